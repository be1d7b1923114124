"""The Router's settings, and what is said of those that are wrong."""

from __future__ import annotations

import re
from typing import Any

import pytest

from providers.errors import ConfigurationError
from providers.types import HomePolicy
from router import wiring
from router.config import RouterSettings, load, parse_settings, validate

ENTRIES: list[dict[str, Any]] = [
    {"model_name": "gpt", "params": {"model": "gpt-4o", "api_key": "k"}, "model_info": {"id": "first"}},
    {"model_name": "claude", "params": {"model": "openrouter/claude", "api_key": "k"}},
    {"model_name": "openai/*", "params": {"model": "openai/*", "api_key": "k"}},
]


def problems(place: str = "", **settings: Any) -> list[str]:
    with pytest.raises(ConfigurationError) as caught:
        load(ENTRIES, settings, place=place, environ={})
    assert caught.value.__context__ is None
    head, *lines = str(caught.value).split("\n  ")
    return lines or [head]


def accepted(**settings: object) -> RouterSettings:
    return load(ENTRIES, settings, environ={})[1]


def test_defaults() -> None:
    found = parse_settings({})
    assert found == RouterSettings()
    assert (found.routing_strategy, found.num_retries, found.timeout, found.max_fallbacks) == ("adaptive", 2, 600.0, 5)
    assert (found.on_all_down, found.disable_cooldowns, found.redis()) == ("try", False, None)
    assert (found.affinity_ttl, found.affinity_max_entries) == (2_592_000.0, 100_000)
    assert (found.redis_key_prefix, found.redis_timeout) == ("homing", 0.25)


def test_homes_are_waited_for_by_default_and_nothing_is_kept_to_replay() -> None:
    found = accepted()
    assert (found.affinity, found.affinity_key, found.affinity_previous_key) == ("store", None, None)
    assert (found.on_home_lost, found.home_wait, found.replay, found.discover) == ("wait", 10.0, "strict", None)
    assert found.transcript_max_bytes == 64 * 1024 * 1024
    assert (wiring.home_policy(found), wiring.home_policies(found)) == (HomePolicy(), {})
    assert wiring.signed_ids(found) is None


def test_a_group_has_a_home_policy_of_its_own_where_it_differs() -> None:
    found = accepted(
        on_home_lost="fail",
        home_wait=0,
        replay="lossy",
        model_group_affinity={
            "gpt": {"on_home_lost": "replay", "replay": "strict"},
            "claude": {"home_wait": 0.5},
            "openai/*": {},
        },
    )
    assert wiring.home_policy(found) == HomePolicy("fail", 0.0, lossy=True)
    assert wiring.home_policies(found) == {
        "gpt": HomePolicy("replay", 0.0, lossy=False),
        "claude": HomePolicy("fail", 0.5, lossy=True),
        "openai/*": HomePolicy("fail", 0.0, lossy=True),
    }


def test_how_owners_are_written() -> None:
    assert accepted().affinity_write == "acknowledged"
    assert accepted(affinity_write="beside").affinity_write == "beside"


KEY = "0123456789abcdef"


def test_ids_are_signed_with_keys_that_nobody_sees() -> None:
    found = accepted(affinity="signed-id", affinity_key=KEY, affinity_previous_key=KEY[::-1])
    ids = wiring.signed_ids(found)
    assert ids is not None
    before = wiring.signed_ids(accepted(affinity="signed-id", affinity_key=KEY[::-1]))
    assert before is not None
    assert ids.wrap("resp_1", "a") != before.wrap("resp_1", "a")
    assert ids.unwrap(before.wrap("resp_1", "a")) == ids.unwrap(ids.wrap("resp_1", "a"))
    for secret in (KEY, KEY[::-1]):
        assert secret not in f"{found!r}{found}{found.model_dump()}{ids!r}"


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        (
            {"affinity": "signed-id"},
            ["affinity_key: is needed to sign ids; give at least 16 characters, kept secret"],
        ),
        (
            {"affinity": "signed-id", "affinity_key": "hush-hush-hush!"},
            ["affinity_key: must have at least 16 characters"],
        ),
        (
            {"affinity": "signed-id", "affinity_key": KEY, "affinity_previous_key": "hush"},
            ["affinity_previous_key: must have at least 16 characters"],
        ),
        (
            {"affinity_key": KEY, "affinity_previous_key": KEY},
            [
                "affinity_key: has no effect without affinity='signed-id'",
                "affinity_previous_key: has no effect without affinity='signed-id'",
            ],
        ),
    ],
)
def test_keys_that_are_missing_too_short_or_without_effect(settings: dict[str, Any], said: list[str]) -> None:
    found = problems(**settings)
    assert [line.partition(": ")[0] for line in found] == [line.partition(": ")[0] for line in said]
    assert found == said
    assert "hush" not in str(found)


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"affinity": "signed"}, "affinity: .*'store' or 'signed-id'"),
        ({"on_home_lost": "panic"}, "on_home_lost: .*'fail', 'wait' or 'replay'"),
        ({"home_wait": -1}, "home_wait: "),
        ({"replay": True}, "replay: .*'strict' or 'lossy'"),
        ({"transcript_max_bytes": 0}, "transcript_max_bytes: "),
        ({"discover": "perhaps"}, "discover: "),
        ({"model_group_affinity": {"gtp": {}}}, r"model_group_affinity\.gtp: no model group 'gtp'; did you mean 'gpt'"),
        ({"model_group_affinity": {"gpt": {"wait": 3}}}, r"model_group_affinity\.gpt\.wait: "),
        ({"model_group_affinity": {"gpt": {"home_wait": "x"}}}, r"model_group_affinity\.gpt\.home_wait: "),
    ],
)
def test_what_is_wrong_about_homes_is_named(settings: dict[str, Any], said: str) -> None:
    (found,) = problems(**settings)
    assert re.match(said, found), found


def test_fallbacks_in_both_forms() -> None:
    listed = accepted(fallbacks=[{"gpt": ["claude", {"model": "first", "temperature": 0}]}, {"claude": ["openai/o1"]}])
    assert (
        accepted(fallbacks={"gpt": ["claude", {"model": "first", "temperature": 0}], "claude": ["openai/o1"]}) == listed
    )
    first, second = listed.fallbacks["gpt"]
    assert (first.model, first.overrides) == ("claude", {})
    assert (second.model, second.overrides) == ("first", {"temperature": 0})


def test_a_star_in_fallbacks_means_every_group() -> None:
    found = accepted(fallbacks=[{"*": ["claude"]}, {"claude": ["gpt"]}])
    assert [target.model for target in found.default_fallbacks] == ["claude"]
    assert list(found.fallbacks) == ["claude"]


def test_aliases_in_both_forms() -> None:
    found = accepted(model_group_alias={"a": "gpt", "b": {"model": "a", "hidden": True}}, default_fallbacks=["b"])
    assert [(alias.model, alias.hidden) for alias in found.model_group_alias.values()] == [("gpt", False), ("a", True)]


def test_routing_groups_in_litellm_s_shape() -> None:
    (found,) = accepted(
        routing_groups=[
            {
                "group_name": "fast",
                "models": ["gpt", "openai/*"],
                "routing_strategy": "latency",
                "routing_strategy_args": {"window": 5},
            }
        ]
    ).routing_groups
    assert (found.group_name, found.models) == ("fast", ["gpt", "openai/*"])
    assert (found.routing_strategy, found.routing_strategy_args) == ("latency", {"window": 5})


def test_retry_policies() -> None:
    found = accepted(
        retry_policy={"TimeoutErrorRetries": 3}, model_group_retry_policy={"gpt": {"RateLimitErrorRetries": 0}}
    )
    assert found.retry_policy.TimeoutErrorRetries == 3
    assert found.model_group_retry_policy["gpt"].RateLimitErrorRetries == 0


def test_nulls_count_as_not_given() -> None:
    assert parse_settings({"timeout": None, "fallbacks": None, "num_retries": None}) == RouterSettings()


def test_references_to_the_environment() -> None:
    found = parse_settings(
        {"num_retries": "os.environ/N", "fallbacks": [{"a": ["os.environ/F"]}]}, environ={"N": "7", "F": "b"}
    )
    assert found.num_retries == 7
    assert found.fallbacks["a"][0].model == "b"


def test_the_caller_s_settings_are_not_kept() -> None:
    raw: dict[str, Any] = {"fallbacks": [{"a": ["b"]}], "routing_strategy_args": {"x": [1]}}
    found = parse_settings(raw)
    raw["routing_strategy_args"]["x"].append(2)
    raw["fallbacks"][0]["a"].clear()
    assert found.routing_strategy_args == {"x": [1]}
    assert len(found.fallbacks["a"]) == 1


def test_redis() -> None:
    found = parse_settings({"redis_host": "h", "redis_port": 1, "redis_password": "sesame", "redis_ssl": True})
    redis = found.redis()
    assert redis is not None
    assert (redis.nodes, redis.ssl) == ((("h", 1),), True)
    assert "sesame" not in repr(found)
    by_url = parse_settings({"redis_url": "redis://:sesame@h:1/2"})
    assert "sesame" not in repr(by_url)
    there = by_url.redis()
    assert there is not None
    assert there.db == 2


def test_secrets_among_the_defaults_are_not_shown() -> None:
    assert "sesame" not in repr(parse_settings({"default_litellm_params": {"api_key": "sesame"}}))


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"num_retires": 1}, "num_retires: unknown argument; did you mean 'num_retries'?"),
        ({"zzz": 1}, "zzz: unknown argument"),
        ({"client_ttl": 1}, "client_ttl: not supported: connections are kept and closed by the transport"),
        (
            {"set_verbose": True},
            "set_verbose: not supported: set the level of the logger 'router' with the logging module",
        ),
        (
            {"cache_responses": True},
            "cache_responses: not supported: responses are not cached",
        ),
        ({"num_retries": -1}, "num_retries: must be at least 0"),
        ({"num_retries": True}, "num_retries: must be a number"),
        ({"timeout": 0}, "timeout: must be greater than 0"),
        ({"timeout": float("inf")}, "timeout: must be a finite number"),
        ({"routing_strategy": 5}, "routing_strategy: must be a string"),
        ({"on_all_down": "panic"}, "on_all_down: must be 'try', 'wait' or 'fail'"),
        ({"redis_host": "h", "redis_port": 70_000}, "redis_port: must be at most 65535"),
        ({"redis_port": 1}, "redis_port: has no effect without redis_host or redis_url"),
        ({"optional_pre_call_checks": "tags"}, "optional_pre_call_checks: must be a list"),
        ({"optional_pre_call_checks": [5]}, "optional_pre_call_checks[0]: must be a string"),
        ({"timeout": "os.environ/NOPE"}, "timeout: the environment variable 'NOPE' is not set"),
        (
            {"retry_policy": {"RateLimitRetries": 1}},
            "retry_policy.RateLimitRetries: unknown field; did you mean 'RateLimitErrorRetries'?",
        ),
        ({"retry_policy": {"DefaultRetries": 1}}, "retry_policy.DefaultRetries: not supported: use num_retries"),
        ({"retry_policy": 5}, "retry_policy: must be a mapping"),
        (
            {"model_group_retry_policy": {"gpt": {"TimeoutRetries": 1}}},
            "model_group_retry_policy.gpt.TimeoutRetries: unknown field; did you mean 'TimeoutErrorRetries'?",
        ),
        (
            {"model_group_retry_policy": {"gtp": {}}},
            "model_group_retry_policy.gtp: no model group 'gtp'; did you mean 'gpt'?",
        ),
        (
            {"model_group_alias": {"a": {"model": "gpt", "hide": 1}}},
            "model_group_alias.a.hide: unknown field; did you mean 'hidden'?",
        ),
        ({"model_group_alias": {"a": 5}}, "model_group_alias.a: must be a mapping"),
        ({"model_group_alias": {"": "gpt"}}, 'model_group_alias[""]: must not be empty'),
        ({"model_group_alias": {"a": "gtp"}}, "model_group_alias.a: no model group 'gtp'; did you mean 'gpt'?"),
        (
            {"model_group_alias": {"gpt": "claude"}},
            "model_group_alias.gpt: is also a model_name, which would always win; rename one",
        ),
        ({"routing_groups": [{"models": ["gpt"]}]}, "routing_groups[0].routing_strategy: is required"),
        ({"routing_groups": [{"models": [], "routing_strategy": "x"}]}, "routing_groups[0].models: must not be empty"),
        (
            {"routing_groups": [{"models": ["gpt"], "routing_strategy": "x", "model_priorities": {}}]},
            "routing_groups[0].model_priorities: not supported: give the deployments an order",
        ),
        (
            {"routing_groups": [{"models": ["gtp"], "routing_strategy": "x"}]},
            "routing_groups[0].models[0]: no model group 'gtp'; did you mean 'gpt'?",
        ),
        (
            {
                "routing_groups": [
                    {"models": ["gpt"], "routing_strategy": "x"},
                    {"models": ["claude", "gpt"], "routing_strategy": "y"},
                ]
            },
            "routing_groups[1].models[1]: 'gpt' is already in routing_groups[0]",
        ),
        ({"fallbacks": 5}, "fallbacks: must be a mapping"),
        ({"fallbacks": ["gpt"]}, "fallbacks: item 0 must be a mapping of a group to a list of groups"),
        ({"fallbacks": [{"gpt": "claude"}]}, "fallbacks.gpt: must be a list"),
        ({"fallbacks": [{"gpt": [5]}]}, "fallbacks.gpt[0]: must be a mapping"),
        ({"fallbacks": [{"gpt": [{"mode": "x"}]}]}, "fallbacks.gpt[0].model: is required"),
        (
            {"fallbacks": [{"gpt": ["claude"]}, {"gpt": []}]},
            "fallbacks: has two items for 'gpt'; put their groups in one list",
        ),
        ({"fallbacks": [{"gtp": ["claude"]}]}, "fallbacks.gtp: no model group 'gtp'; did you mean 'gpt'?"),
        (
            {"context_window_fallbacks": [{"gpt": ["cloude"]}]},
            "context_window_fallbacks.gpt[0]: no model group 'cloude'; did you mean 'claude'?",
        ),
        ({"content_policy_fallbacks": [{"gpt": ["zzz"]}]}, "content_policy_fallbacks.gpt[0]: no model group 'zzz'"),
        ({"default_fallbacks": ["gtp"]}, "default_fallbacks[0]: no model group 'gtp'; did you mean 'gpt'?"),
        (
            {"fallbacks": [{"*": ["gpt"]}], "default_fallbacks": ["gpt"]},
            'fallbacks["*"]: is another way to write default_fallbacks; give one',
        ),
        ({"default_litellm_params": 5}, "default_litellm_params: must be a mapping"),
        ({"default_params": {"rpm": 0}}, "default_litellm_params.rpm: must be at least 1"),
    ],
)
def test_what_is_said(settings: dict[str, Any], said: str) -> None:
    assert problems(**settings) == [said]


def test_what_redis_says_has_its_place() -> None:
    (said,) = problems("router_settings", redis_url="reds://x")
    assert said.startswith("router_settings.redis_url: ")


def test_in_a_file_the_place_is_router_settings() -> None:
    assert problems("router_settings", num_retires=1, fallbacks=[{"gpt": ["x9"]}]) == [
        "router_settings.num_retires: unknown field; did you mean 'num_retries'?",
        "router_settings.fallbacks.gpt[0]: no model group 'x9'",
    ]


def test_aliases_that_lead_in_a_circle() -> None:
    assert problems(model_group_alias={"one": "two", "two": "one"}) == [
        "model_group_alias.one: the alias 'two' leads to no model group",
        "model_group_alias.two: the alias 'one' leads to no model group",
    ]


def test_fallbacks_may_lead_in_a_circle() -> None:
    assert accepted(fallbacks=[{"gpt": ["claude"]}, {"claude": ["gpt", "claude"]}]).fallbacks


def test_without_deployments_names_cannot_be_judged() -> None:
    assert parse_settings({"fallbacks": [{"later": ["too"]}]}).fallbacks


def test_a_group_whose_entry_is_wrong_still_counts() -> None:
    wrong: list[dict[str, Any]] = [
        {"model_name": "a", "params": {"model": "nope/x"}},
        {"model_name": "b"},
        {"model_name": "c", "params": {}, "model_info": {"id": "c1"}},
        *ENTRIES,
    ]
    settings = {"default_fallbacks": ["a", "b", "c", "c1", "gtp"]}
    with pytest.raises(ConfigurationError) as caught:
        load(wrong, settings, environ={})
    assert [line.split(":")[0] for line in str(caught.value).split("\n  ")[1:]] == [
        "model_list[0].params.model",
        "model_list[1].litellm_params",
        "model_list[2].params.model",
        "default_fallbacks[4]",
    ]
    with pytest.raises(ConfigurationError) as caught:  # which groups there are can't be told
        load([{}, *ENTRIES], settings, environ={})
    assert "default_fallbacks" not in str(caught.value)


def test_settings_held_against_other_deployments() -> None:
    deployments, settings = load(ENTRIES, {"default_fallbacks": ["claude"]}, environ={})
    validate(settings, deployments)
    with pytest.raises(ConfigurationError, match=r"^default_fallbacks\[0\]: no model group 'claude'$"):
        validate(settings, deployments[:1])


@pytest.mark.parametrize("given", [{"drop_params": True}, {"default_litellm_params": {"drop_params": True}}])
def test_drop_params_is_a_default_of_deployments(given: dict[str, Any]) -> None:
    own = {"model_name": "gpt", "params": {"model": "gpt-4o", "api_key": "k", "drop_params": False}}
    deployments, settings = load([*ENTRIES, own], given, environ={})
    assert [each.drop_params for each in deployments] == [True, True, True, False]
    assert settings.default_litellm_params == {"drop_params": True}, "entries that are added later have it too"
    assert not load(ENTRIES, {}, environ={})[0][0].drop_params


def test_drop_params_said_twice() -> None:
    assert accepted(drop_params=True, default_litellm_params={"drop_params": True}).drop_params
    assert problems(drop_params=True, default_litellm_params={"drop_params": False}) == [
        "drop_params: contradicts default_litellm_params.drop_params; give one of them"
    ]
    assert problems(drop_params=5) == ["drop_params: must be true or false"]
