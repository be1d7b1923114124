"""How deployments are to be asked how they are: the settings, LiteLLM's names for them, and what is wrong."""

from typing import Any

import pytest
import yaml

from providers.errors import ConfigurationError
from router.config import describe, load, parse_settings
from router.options import RouterOptions


def built(params: dict[str, Any], info: dict[str, Any] | None = None, group: str = "g") -> Any:
    entry = {"model_name": group, "params": {"model": "openai/gpt-5", "api_key": "k", **params}}
    return load([{**entry, "model_info": info} if info else entry], {}, environ={})[0][0]


def problem(params: dict[str, Any], info: dict[str, Any] | None = None, group: str = "g") -> str:
    with pytest.raises(ConfigurationError) as caught:
        built(params, info, group)
    return str(caught.value)


def test_by_default_nobody_is_asked() -> None:
    found = parse_settings({})
    assert (found.health_checks, found.health_check_interval, found.health_check_timeout) == ("off", 300.0, 10.0)
    assert built({}).health_check is None


@pytest.mark.parametrize(
    ("written", "meant"), [("off", "off"), ("models", "models"), ("call", "call"), (True, "models"), (False, "off")]
)
@pytest.mark.parametrize("name", ["health_checks", "background_health_checks"])
def test_how_all_are_asked(name: str, written: object, meant: str) -> None:
    assert parse_settings({name: written}).health_checks == meant


def test_yaml_s_off_is_what_it_looks_like() -> None:
    assert parse_settings(yaml.safe_load("health_checks: off")).health_checks == "off"
    assert built(yaml.safe_load("health_check: off")).health_check == "off"


def test_how_one_is_asked_may_stand_in_either_place() -> None:
    assert built({"health_check": "call"}).health_check == "call"
    assert built({}, {"health_check": "models"}).health_check == "models"
    assert describe(built({"health_check": "call"}))["litellm_params"]["health_check"] == "call"  # type: ignore[index,call-overload]  # JSON


def test_litellm_s_name_of_a_wildcard_s_model_is_taken() -> None:
    found = built({"model": "openai/*"}, {"health_check_model": "openai/gpt-5-nano"}, "openai/*")
    assert found.health_check_model == "openai/gpt-5-nano"


@pytest.mark.parametrize(
    ("params", "group", "said"),
    [
        (
            {"health_check": "ping"},
            "g",
            "model_list[0].params.health_check: must be 'off', 'models' or 'call'",
        ),
        (
            {"health_check_model": "gpt-5-nano"},
            "g",
            "model_list[0].params.health_check_model: is for models with a '*'; a health check calls this deployment's "
            "own model",
        ),
        (
            {"model": "openai/gpt-*", "health_check_model": "openai/o5"},
            "gpt-*",
            "model_list[0].params.health_check_model: is none of the models that openai/gpt-* stands for",
        ),
    ],
)
def test_what_is_wrong_with_a_deployment_s_is_said(params: dict[str, Any], group: str, said: str) -> None:
    assert problem(params, group=group) == said


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"health_checks": "on"}, "health_checks: must be 'off', 'models' or 'call'"),
        ({"health_check_interval": 0}, "health_check_interval: must be greater than 0"),
        ({"health_check_timeout": "soon"}, "health_check_timeout: must be a number"),
        ({"health_check": "call"}, "health_check: unknown argument; did you mean 'health_checks'?"),
        (
            {"health_checks": True, "background_health_checks": True},
            "background_health_checks: another name of health_checks; give one of them",
        ),
    ],
)
def test_what_is_wrong_with_a_setting_is_said(settings: dict[str, Any], said: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        parse_settings(settings)
    assert str(caught.value) == said


@pytest.mark.parametrize(
    ("name", "instead"),
    [
        ("enable_health_check_routing", "set health_checks"),
        ("health_check_staleness_threshold", "what a call finds"),
        ("health_check_ignore_transient_errors", "allowed_fails"),
        ("background_health_check_model_groups", "set health_check of the deployments"),
    ],
)
def test_litellm_s_other_settings_are_answered(name: str, instead: str) -> None:
    with pytest.raises(ConfigurationError, match=f"{name}: not supported: .*{instead}"):
        parse_settings({name: True})


@pytest.mark.parametrize("name", ["disable_background_health_check", "health_check_timeout", "health_check_max_tokens"])
def test_litellm_s_other_metadata_is_answered(name: str) -> None:
    assert f"model_info.{name}: not supported: " in problem({}, {name: 1})


def test_each_setting_is_an_argument_of_the_router() -> None:
    assert {"health_checks", "health_check_interval", "health_check_timeout"} <= RouterOptions.__annotations__.keys()
