"""Whatever comes in, it is taken or refused with our own error, which never tells a secret."""

from __future__ import annotations

from contextlib import suppress
from copy import deepcopy
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from providers.errors import ConfigurationError
from router.config import RouterSettings, build_deployment, load
from router.config.entry import Entry, Info, Params

SECRET = "sk-Tr0ub4dor&3"

leaves = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.integers(10**30, 10**40)
    | st.floats()
    | st.text(max_size=20)
    | st.sampled_from(
        ["openai/gpt", "azure/*", "http://h", "os.environ/X", "*", "", "\ud800", "a\0b", "1e999", "9" * 5000]
    )
)
keys = st.text(max_size=8) | st.integers() | st.none()
garbage = st.recursive(
    leaves,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(keys, inner, max_size=3),
    max_leaves=8,
)


def mappings(names: list[str], values: st.SearchStrategy[Any]) -> st.SearchStrategy[dict[Any, Any]]:
    """Mostly known names with any values."""
    return st.dictionaries(st.sampled_from(names) | keys, values, max_size=6)


params = mappings([*Params.model_fields, *Params.synonyms, *Params.refused], garbage)
infos = mappings([*Info.model_fields, *Info.refused, "mode", "api_key"], garbage)
entries = st.dictionaries(
    st.sampled_from([*Entry.model_fields, "params", "rpm"]) | keys, garbage | params | infos, max_size=4
)
settings = mappings([*RouterSettings.model_fields, *RouterSettings.refused], garbage | params)


@given(st.lists(entries | garbage, max_size=4) | garbage, settings | garbage)
def test_any_configuration_is_taken_or_refused(model_list: Any, raw: Any) -> None:
    before = repr(model_list), repr(raw)
    with suppress(ConfigurationError):
        load(model_list, raw, environ={"X": "y"})
    assert (repr(model_list), repr(raw)) == before


@given(params, infos)
def test_any_parameters_are_taken_or_refused(given_params: Any, info: Any) -> None:
    entry = {"model_name": "g", "params": {"model": "gpt-4o", "api_key": "k"} | given_params, "model_info": info}
    with suppress(ConfigurationError):
        build_deployment(entry, environ={"X": "y"})


def plant(value: Any) -> Any:
    """The same, with a secret in the place of every string and number."""
    if isinstance(value, dict):
        return {key: plant(item) for key, item in value.items()}
    if isinstance(value, list):
        return [plant(item) for item in value]
    return SECRET if isinstance(value, str | int | float) else value


@given(params, infos, settings)
def test_no_error_tells_a_value(given_params: Any, info: Any, raw: Any) -> None:
    """But for names, which are no secrets: of models, groups and providers."""
    planted = plant({name: value for name, value in given_params.items() if name not in NAMES})
    entry = {
        "model_name": "g",
        "params": {"model": "gpt-4o", "rpm": 0} | planted,
        "model_info": plant(info) | {"id": "x"},
    }
    told = plant({name: value for name, value in raw.items() if name not in NAMES})
    with pytest.raises(ConfigurationError) as caught:
        load([deepcopy(entry)], told, environ={})
    assert SECRET not in str(caught.value)
    assert caught.value.__context__ is None
    assert caught.value.__cause__ is None


NAMES = frozenset(
    {
        "model",
        "custom_llm_provider",
        "rpm",
        "fallbacks",
        "default_fallbacks",
        "context_window_fallbacks",
        "content_policy_fallbacks",
        "model_group_alias",
        "routing_groups",
    }
)


@given(st.sampled_from(["api_key", "azure_ad_token"]), st.sampled_from(["{}\n", "\x00{}", " {}", "{}\ud800"]))
def test_a_broken_secret_is_not_told(name: str, shape: str) -> None:
    secret = shape.format(SECRET)
    for environ, value in (({}, secret), ({"K": secret}, "os.environ/K")):
        with pytest.raises(ConfigurationError) as caught:
            build_deployment({"model_name": "g", "params": {"model": "gpt-4o", name: value}}, environ=environ)
        assert name in str(caught.value)
        assert SECRET not in str(caught.value)
