"""A deployment's own prices, as they are written, refused and shown."""

from __future__ import annotations

from typing import Any

import pytest

from router import ConfigurationError, Router
from router.config import build_deployment, json_schema, load
from router.config.costs import Costs

PARAMS = {"model": "openai/gpt-4o", "api_key": "sk-1"}


def entry(params: Any = None, info: Any = None) -> Any:
    return {"model_name": "g", "litellm_params": {**PARAMS, **(params or {})}, "model_info": info or {}}


def prices(params: Any = None, info: Any = None, **settings: Any) -> dict[str, float]:
    ((deployment,), _) = load([entry(params, info)], settings)
    return {} if deployment.prices is None else dict(deployment.prices.given)


def complaint(params: Any = None, info: Any = None) -> str:
    with pytest.raises(ConfigurationError) as caught:
        load([entry(params, info)], {})
    return str(caught.value)


def test_prices_stand_with_the_parameters_or_with_the_metadata() -> None:
    given = {"input_cost_per_token": 3e-6, "output_cost_per_token": 0}
    assert prices(given) == prices(info=given) == given
    assert prices({"input_cost_per_token": 3e-6}, {"output_cost_per_token": 0}) == given
    assert prices(default_litellm_params=given) == given
    assert prices({"input_cost_per_token": 1e-6}, default_litellm_params=given) == given | {
        "input_cost_per_token": 1e-6
    }
    assert prices({"input_cost_per_token": None}) == {}
    assert prices() == {}


@pytest.mark.parametrize("name", sorted(Costs.model_fields))
def test_every_price_is_taken_and_0_is_one(name: str) -> None:
    assert prices({name: 0}) == {name: 0.0}
    assert prices(info={name: 1.5e-6}) == {name: 1.5e-6}


def test_numbers_may_be_written_as_text_as_yaml_reads_3e_6() -> None:
    assert prices({"input_cost_per_token": "3e-6"}) == {"input_cost_per_token": 3e-6}


def test_litellm_s_other_name_of_a_price_per_call() -> None:
    assert prices({"input_cost_per_query": 0.01}) == {"input_cost_per_request": 0.01}


PLACE = "model_list[0].litellm_params"


@pytest.mark.parametrize(
    ("params", "info", "said"),
    [
        ({"input_cost_per_token": -1}, {}, f"{PLACE}.input_cost_per_token: must be at least 0"),
        ({"input_cost_per_token": "cheap"}, {}, f"{PLACE}.input_cost_per_token: must be a number"),
        ({"input_cost_per_token": True}, {}, f"{PLACE}.input_cost_per_token: must be a number"),
        ({"input_cost_per_token": float("nan")}, {}, f"{PLACE}.input_cost_per_token: must be a finite number"),
        (
            {"input_cost_per_tokens": 1},
            {},
            f"{PLACE}.input_cost_per_tokens: unknown field; did you mean 'input_cost_per_token'?",
        ),
        ({}, {"output_cost_per_token": -1}, "model_list[0].model_info.output_cost_per_token: must be at least 0"),
        (
            {},
            {"output_cost_per_tokn": 1},
            "model_list[0].model_info.output_cost_per_tokn: unknown field; did you mean 'output_cost_per_token'?",
        ),
        (
            {"input_cost_per_second": 1},
            {},
            f"{PLACE}.input_cost_per_second: not supported: calls are priced by tokens and by the request; use "
            "input_cost_per_token and its kin",
        ),
        (
            {},
            {"input_cost_per_second": 1},
            "model_list[0].model_info.input_cost_per_second: not supported: calls are priced by tokens and by the "
            "request; use input_cost_per_token and its kin",
        ),
        (
            {"input_cost_per_token": 1},
            {"input_cost_per_token": 2},
            "model_list[0].model_info.input_cost_per_token: contradicts model_list[0].litellm_params."
            "input_cost_per_token; give it once",
        ),
    ],
)
def test_what_is_wrong_is_said_once(params: Any, info: Any, said: str) -> None:
    assert complaint(params, info) == said


def test_what_litellm_knows_of_a_model_can_be_pasted() -> None:
    info = {
        "input_cost_per_token": 1e-6,
        "input_cost_per_token_batches": 5e-7,
        "input_cost_per_second": None,
        "input_cost_per_image": 0.1,
        "output_cost_per_image_token": 0.1,
        "output_cost_per_character": None,
        "cache_read_input_audio_token_cost": 1e-7,
        "input_cost_per_token_cache_hit": 1e-7,
        "search_context_cost_per_query": {"search_context_size_low": 0.03},
        "litellm_provider": "openai",
        "supports_vision": True,
    }
    deployment = build_deployment(entry(info=info), {})
    assert deployment.prices is not None
    assert deployment.prices.given == {"input_cost_per_token": 1e-6}
    assert deployment.info["input_cost_per_token_batches"] == 5e-7
    assert "input_cost_per_second" not in deployment.info


def test_prices_are_shown() -> None:
    router = Router([entry({"input_cost_per_token": 3e-6}, {"output_cost_per_token": 0})])
    (shown,) = router.get_model_list()
    params: Any = shown["litellm_params"]
    assert params["input_cost_per_token"] == 3e-6
    assert params["output_cost_per_token"] == 0
    assert Router([shown | {"litellm_params": params | {"api_key": "sk-1"}}]).get_model_list() == [shown]


def test_prices_do_not_change_a_deployment_s_id() -> None:
    assert build_deployment(entry(), {}).id == build_deployment(entry({"input_cost_per_token": 1}), {}).id


def test_the_schema_knows_them() -> None:
    definitions: Any = json_schema()["$defs"]
    for model in ("Params", "Info"):
        assert definitions[model]["properties"]["input_cost_per_token"]["anyOf"][0]["minimum"] == 0


def test_updates_are_off_by_default() -> None:
    assert load([], {})[1].price_updates is False
