"""Ids: stable where credentials change, different where deployments do, unique in a list."""

from __future__ import annotations

import random
import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from providers.errors import ConfigurationError
from router.config import build_deployments

BASE: dict[str, Any] = {
    "model": "azure/gpt-4-turbo",
    "api_key": "key",
    "api_base": "https://h.openai.azure.com",
    "api_version": "preview",
}


def ids(*params: dict[str, Any], group: str = "g") -> list[str]:
    entries = [{"model_name": group, "litellm_params": each} for each in params]
    return [found.id for found in build_deployments(entries, environ={})]


def one(group: str = "g", **changed: object) -> str:
    return ids(BASE | changed, group=group)[0]


def test_an_id_can_be_read() -> None:
    assert re.fullmatch(r"azure-gpt-4-turbo-[0-9a-f]{12}", one())
    assert re.fullmatch(r"openai-[0-9a-f]{12}", ids({"model": "openai/*", "api_key": "k"}, group="*")[0])
    assert len(one(model="azure/" + "x" * 500)) == 48 + 1 + 12


def test_an_id_is_the_same_for_ever() -> None:
    """Pins outlive a release of this library: a change of the rule would orphan them."""
    assert one() == "azure-gpt-4-turbo-8d8146d9c001"


@pytest.mark.parametrize(
    "changed",
    [
        {"api_key": "rotated"},
        {"api_key": None, "azure_ad_token": "tok"},
        {"extra_headers": {"Authorization": "Bearer x"}},
        {"extra_query": {"key": "x"}},
        {"proxy": "http://u:p@proxy:1"},
        {"weight": 3, "rpm": 5, "tpm": 6, "order": 1, "timeout": 3, "tags": ["a"], "holds": ["vs_1"], "num_retries": 0},
        {"temperature": 0.3, "extra_body": {"a": 1}, "max_input_tokens": 9, "cooldown_time": 3},
        {"api_base": "https://H.openai.azure.com/"},
    ],
)
def test_an_id_survives(changed: dict[str, Any]) -> None:
    assert one(**changed) == one()


@pytest.mark.parametrize(
    "changed",
    [
        {"model": "azure/gpt-4"},
        {"model": "azure_ai/gpt-4-turbo"},
        {"api_base": "https://other.openai.azure.com"},
        {"api_base": "https://h.openai.azure.com/sub"},
        {"api_base": "http://h.openai.azure.com"},
        {"api_base": "https://h.openai.azure.com?api-version=v1"},
        {"api_version": "v1"},
        {"api_version": None},
        {"organization": "o"},
        {"project": "o"},
        {"region": "o"},
        {"account": "o"},
        {"group": "o"},
    ],
)
def test_an_id_tells_apart(changed: dict[str, Any]) -> None:
    assert one(**changed) != one()


def test_the_vendor_s_address_counts_whether_written_or_not() -> None:
    written, unwritten = (
        ids({"model": "gpt-4o", "api_key": "k"} | more)[0] for more in ({"api_base": "https://api.openai.com/v1"}, {})
    )
    assert written == unwritten


@given(st.permutations(range(6)), st.randoms(use_true_random=False))
def test_ids_survive_reordering_and_rotation(order: list[int], rng: random.Random) -> None:
    places = [BASE | {"api_base": f"https://h{index}.openai.azure.com"} for index in range(6)]
    before = ids(*places)
    rotated = [places[index] | {"api_key": f"key-{rng.random()}", "weight": rng.random()} for index in order]
    assert ids(*rotated) == [before[index] for index in order]


def test_twins_are_numbered_by_position() -> None:
    first, second, third = ids(BASE, BASE | {"api_key": "b"}, BASE | {"api_key": "c"})
    assert (second, third) == (f"{first}-2", f"{first}-3")


def test_a_given_id_is_never_derived_again() -> None:
    derived = one()
    entries = [
        {"model_name": "g", "litellm_params": BASE},
        {"model_name": "g", "litellm_params": BASE, "model_info": {"id": derived}},
        {"model_name": "g", "litellm_params": BASE, "model_info": {"id": f"{derived}-2"}},
    ]
    assert [found.id for found in build_deployments(entries, environ={})] == [
        f"{derived}-3",
        derived,
        f"{derived}-2",
    ]


def test_two_given_ids_alike_are_a_problem_naming_both_places() -> None:
    entries = [{"model_name": "g", "litellm_params": BASE, "model_info": {"id": name}} for name in ("a", "b", "a")]
    with pytest.raises(ConfigurationError) as caught:
        build_deployments(entries, environ={})
    assert str(caught.value) == "model_list[2].model_info.id: 'a' is also the id of model_list[0]"
