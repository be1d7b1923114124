"""Budgets in a configuration: how they may be written, and what is said of those that can't be."""

from __future__ import annotations

from typing import Any

import pytest

from checks.budgets.rules import Rule, Rules
from providers.errors import ConfigurationError
from router.config import load
from router.config.allowances import rules

GPT = {"model_name": "gpt", "litellm_params": {"model": "openai/gpt-4o", "api_key": "k"}, "model_info": {"id": "one"}}
DAY = {"max_budget": 5, "budget_duration": "1d"}


def read(**settings: Any) -> list[Rule]:
    return list(rules(load([GPT], settings)[1]))


def problem(model_list: Any = (GPT,), **settings: Any) -> str:
    with pytest.raises(ConfigurationError) as refused:
        load([*model_list], settings)
    return str(refused.value)


def with_params(**params: Any) -> list[dict[str, Any]]:
    return [{**GPT, "litellm_params": {**GPT["litellm_params"], **params}}]  # type: ignore[dict-item]  # a mapping


def test_each_kind_of_budget() -> None:
    budgets = [{"group": "gpt", **DAY}, {"deployment": "one", **DAY}, {"provider": "openai", **DAY}]
    budgets += [{"end_user": "*", **DAY}, {"tag": "free", "max_budget": 0, "budget_duration": "1mo"}]
    found = read(budgets=budgets)
    assert [(rule.scope, rule.name, rule.limit, rule.period.text) for rule in found] == [
        ("group", "gpt", 5 * 10**9, "1d"),
        ("deployment", "one", 5 * 10**9, "1d"),
        ("provider", "openai", 5 * 10**9, "1d"),
        ("end_user", "*", 5 * 10**9, "1d"),
        ("tag", "free", 0, "1mo"),
    ]


@pytest.mark.parametrize(("limit", "time"), [("budget_limit", "time_period"), ("max_budget", "budget_duration")])
def test_providers_as_litellm_writes_them(limit: str, time: str) -> None:
    (rule,) = read(provider_budget_config={"openai": {limit: 10, time: "1d"}})
    assert (rule.scope, rule.name, rule.limit) == ("provider", "openai", 10 * 10**9)


@pytest.mark.parametrize("place", ["litellm_params", "model_info"])
def test_a_deployment_may_bring_its_own(place: str) -> None:
    entry = {**GPT, place: {**GPT[place], **DAY}}  # type: ignore[dict-item]  # a mapping
    ((deployment,), _) = load([entry], {})
    (rule,) = Rules().of_deployment(deployment)
    assert (rule.scope, rule.name, rule.limit, rule.period.text) == ("deployment", "one", 5 * 10**9, "1d")


def test_aliases_stand_for_what_they_lead_to() -> None:
    aliases = {"a": "b", "b": "gpt"}
    (first, second) = read(
        budgets=[{"group": "a", **DAY}, {"provider": "ollama_chat", **DAY}], model_group_alias=aliases
    )
    assert (first.name, second.name) == ("gpt", "ollama")


def test_an_own_budget_wins_over_everybodys_and_two_of_different_times_hold_both() -> None:
    found = Rules(
        read(budgets=[{"tag": "*", **DAY}, {"tag": "a", **DAY}, {"tag": "a", **DAY, "budget_duration": "1h"}])
    )
    assert [rule.period.text for rule in found.of("tag", "a")] == ["1d", "1h"]
    assert [rule.name for rule in found.of("tag", "b")] == ["*"]
    assert found.of("group", "gpt") == ()


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"budgets": [{"group": "gtp", **DAY}]}, "budgets[0].group: no model group 'gtp'; did you mean 'gpt'?"),
        ({"budgets": [{"deployment": "onne", **DAY}]}, "no deployment 'onne'; did you mean 'one'?"),
        ({"budgets": [{"provider": "opnai", **DAY}]}, "no provider 'opnai'; did you mean 'openai'?"),
        (
            {"provider_budget_config": {"opnai": DAY}},
            "provider_budget_config.opnai: no provider 'opnai'; did you mean 'openai'?",
        ),
        ({"budgets": [DAY]}, "budgets[0]: is for one of group, deployment, provider, end_user, tag; none is given"),
        ({"budgets": [{"tag": "a", "group": "gpt", **DAY}]}, "group and tag are given"),
        ({"budgets": [{"tag": "a", "budget_duration": "1d"}]}, "budgets[0].max_budget: is required"),
        ({"budgets": [{"tag": "a", "max_budget": 1}]}, "budgets[0].budget_duration: is required"),
        ({"budgets": [{"tag": "a", "max_budget": -1, "budget_duration": "1d"}]}, "max_budget: must be at least 0"),
        ({"budgets": [{"tag": "a", "max_budget": True, "budget_duration": "1d"}]}, "must be a number"),
        ({"budgets": [{"tag": "a", "max_budget": 1, "budget_duration": "daily"}]}, "must be a number and a unit"),
        ({"budgets": [{"tag": "a", "max_budget": 1, "budget_duration": 60}]}, "must be a string"),
        ({"budgets": [{"tagg": "a", **DAY}]}, "budgets[0].tagg: unknown field; did you mean 'tag'?"),
        ({"budgets": [{"user": "a", **DAY}]}, "not supported: it is called end_user"),
        ({"budgets": [{"tag": "a", "budget_limit": 1, **DAY}]}, "budget_limit is another name of max_budget"),
        ({"budgets": ["gpt"]}, "budgets[0]: must be a mapping"),
        ({"budgets": [{"tag": "a", **DAY}] * 2}, "budgets[1].tag: the tag 'a' has another budget per 1d; give one"),
        (
            {"budgets": [{"provider": "openai", **DAY}], "provider_budget_config": {"openai": DAY}},
            "provider_budget_config.openai: the provider 'openai' has another budget per 1d",
        ),
        (
            {"budgets": [{"group": "x", **DAY}], "model_group_alias": {"x": "y", "y": "x"}},
            "no model group 'x'",
        ),
    ],
)
def test_what_is_wrong_is_said_with_its_place(settings: Any, said: str) -> None:
    assert said in problem(**settings)


def test_a_deployments_budget_given_twice_is_refused() -> None:
    assert "the deployment 'one' has another budget per 1d" in problem(
        with_params(**DAY), budgets=[{"deployment": "one", **DAY}]
    )


@pytest.mark.parametrize(
    ("params", "said"),
    [
        ({"max_budget": 5}, "budget_duration: is needed beside max_budget; write it as '1d'"),
        ({"budget_duration": "1d"}, "max_budget: is needed beside budget_duration; write it as 10"),
        ({"max_budget": 5, "budget_duration": "1y"}, "budget_duration: must be a number and a unit"),
        ({"max_budget": -5, "budget_duration": "1d"}, "max_budget: must be at least 0"),
    ],
)
def test_a_deployments_budget_is_checked(params: Any, said: str) -> None:
    assert said in problem(with_params(**params))


def test_without_deployments_names_of_groups_can_not_be_judged_but_providers_can() -> None:
    load([], {"budgets": [{"group": "any", **DAY}, {"deployment": "any", **DAY}]})
    assert "no provider 'any'" in problem((), budgets=[{"provider": "any", **DAY}])
