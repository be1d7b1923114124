"""What a caller passes is sorted into what goes upstream and what is the Router's, and what is wrong is named."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from providers.errors import BadRequestError
from providers.types import HomePolicy, Verb
from router.plan import Policy, Target
from router.request import ROUTING, Request

USUAL = HomePolicy("replay", 4.0, lossy=True)
USUALLY = Policy(default_fallbacks=(Target("a"),))


def request(**params: Any) -> Request:
    return Request(Verb.CREATE, "gpt", {"input": "hi", **params})


def test_what_is_the_routers_does_not_go_upstream() -> None:
    homely = {"on_home_lost": "fail", "home_wait": 1, "replay": "lossy", "affinity_scope": "acme"}
    assert homely.keys() <= ROUTING
    call = request(**homely, unknown=1).call(stream=False, group="gpt")
    assert call.body == {"input": "hi", "unknown": 1}
    assert call.scope == "acme"
    assert "acme" not in repr(call)
    by_id = Request(Verb.GET, "gpt", {"include": ["x"], **homely}).call(stream=True, response_id="resp_1")
    assert (by_id.query, by_id.scope) == ({"include": ["x"], "stream": True}, "acme")


def test_a_call_has_no_policy_and_no_tenant_of_its_own_unless_it_says_so() -> None:
    for plain in (request(), request(timeout=3), request(on_home_lost=None, affinity_scope=None)):
        assert plain.home(USUAL) is None
        assert plain.scope is None
        assert plain.call(stream=False).scope is None


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({"on_home_lost": "fail"}, HomePolicy("fail", 4.0, lossy=True)),
        ({"on_home_lost": "wait", "home_wait": 0}, HomePolicy("wait", 0.0, lossy=True)),
        ({"home_wait": 2.5}, HomePolicy("replay", 2.5, lossy=True)),
        ({"replay": "strict"}, HomePolicy("replay", 4.0, lossy=False)),
        ({"replay": "lossy"}, USUAL),
    ],
)
def test_a_call_says_what_follows_when_its_home_is_lost(given: dict[str, Any], expected: HomePolicy) -> None:
    assert request(**given).home(USUAL) == expected


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"on_home_lost": "panic"}, "on_home_lost: must be one of 'fail', 'wait', 'replay', not 'panic'"),
        ({"on_home_lost": ["fail"]}, r"on_home_lost: must be one of .* not \['fail'\]"),
        ({"replay": True}, "replay: must be one of 'strict', 'lossy', not True"),
        ({"home_wait": -1}, "home_wait: must be a number of seconds from 0, not -1"),
        ({"home_wait": "1"}, "home_wait: must be a number of seconds from 0, not '1'"),
        ({"home_wait": True}, "home_wait: must be a number of seconds from 0, not True"),
        ({"home_wait": float("nan")}, "home_wait: must be a number of seconds from 0, not nan"),
        ({"affinity_scope": ""}, "affinity_scope: must be a text that names a tenant, not an empty one"),
        ({"affinity_scope": 7}, "affinity_scope: must be a text that names a tenant, not int"),
    ],
)
def test_what_is_wrong_is_named(given: dict[str, Any], said: str) -> None:
    wrong = request(**given)
    ask: Callable[[], object] = (lambda: wrong.scope) if "affinity_scope" in given else (lambda: wrong.home(USUAL))
    with pytest.raises(BadRequestError, match=f"^{said}$") as caught:
        ask()
    assert caught.value.param == next(iter(given))
    assert caught.value.code == "invalid_argument"


@pytest.mark.parametrize("name", ["timeout", "deadline"])
@pytest.mark.parametrize("value", [0, -1, "1", True, None])
def test_time_limits_are_above_nought(name: str, value: Any) -> None:
    if value is None:
        assert getattr(request(**{name: None}).limits, name) is None
        return
    with pytest.raises(BadRequestError, match=f"^{name}: must be a number of seconds above 0, not "):
        request(**{name: value})
    assert getattr(request(**{name: 2}).limits, name) == 2.0


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"num_retries": -1}, "num_retries: must be a whole number from 0, not -1"),
        ({"disable_fallbacks": 1}, "disable_fallbacks: must be True or False, not 1"),
        ({"fallbacks": [{"model": ""}]}, "fallbacks: "),
    ],
)
def test_what_is_wrong_of_a_policy_is_named(given: dict[str, Any], said: str) -> None:
    with pytest.raises(BadRequestError, match=f"^{said}"):
        request(**given).policy(Policy(), "gpt")


def test_headers_and_queries_are_mappings() -> None:
    with pytest.raises(BadRequestError, match=r"^extra_headers: must be a mapping, not list"):
        request(extra_headers=[1]).call(stream=False)


def test_a_call_changes_the_policy_for_itself() -> None:
    assert request().policy(USUALLY, "gpt") is USUALLY
    changed = request(num_retries=7, max_fallbacks=0, disable_fallbacks=True, fallbacks=["b"]).policy(USUALLY, "gpt")
    assert (changed.num_retries, changed.insistent, changed.max_fallbacks, changed.disable_fallbacks) == (
        7,
        True,
        0,
        True,
    )
    for given in (["b"], {"gpt": ["b"]}, [{"*": ["b"]}]):
        own = request(fallbacks=given, content_policy_fallbacks=given, retry_policy={"TimeoutErrorRetries": 1})
        changed = own.policy(USUALLY, "gpt")
        assert [each.group for each in changed.fallbacks["gpt"]] == ["b"]
        assert [each.group for each in changed.content_policy_fallbacks["gpt"]] == ["b"]
        assert (changed.default_fallbacks, changed.retry_policy) == ((), {"TimeoutErrorRetries": 1})


def test_a_call_says_what_becomes_of_parameters_a_vendor_has_no_word_for() -> None:
    call = request(drop_params=True, allowed_openai_params=["logit_bias"], temperature=1).call(stream=False)
    assert (call.drop_params, call.allowed_openai_params) == (True, frozenset({"logit_bias"}))
    assert call.body == {"input": "hi", "temperature": 1}
    for plain in (request(), request(timeout=3), request(drop_params=None, allowed_openai_params=None)):
        assert plain.call(stream=False).drop_params is None
        assert not plain.call(stream=False).allowed_openai_params
    assert request(drop_params=False).call(stream=False).drop_params is False


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"drop_params": "yes"}, "drop_params: must be True or False, not 'yes'"),
        ({"allowed_openai_params": "logit_bias"}, "allowed_openai_params: must be a list of parameters' names"),
        ({"allowed_openai_params": [1]}, "allowed_openai_params: must be a list of parameters' names"),
    ],
)
def test_what_is_wrong_of_a_translation_is_named(given: dict[str, Any], said: str) -> None:
    with pytest.raises(BadRequestError, match=f"^{said}$") as caught:
        request(**given).call(stream=False)
    assert caught.value.param == next(iter(given))


@pytest.mark.parametrize(
    "name",
    [
        *("api_key", "api_base", "aws_secret_access_key", "aws_region_name", "vertex_credentials"),
        *("vertex_ai_credentials", "enable_azure_ad_token_refresh"),
        *("vertex_ai_project", "client_secret", "azure_ad_token", "custom_llm_provider", "dialect"),
    ],
)
@pytest.mark.parametrize("verb", [Verb.CREATE, Verb.GET])
def test_a_call_cannot_replace_what_a_deployment_has(name: str, verb: Verb) -> None:
    """Sent upstream, as all that is not the Router's is, it would tell a secret."""
    with pytest.raises(BadRequestError, match=f"^{name}: is a deployment's, .* into the model_list") as caught:
        Request(verb, "gpt", {name: "sesame"})
    assert caught.value.param == name
    assert "sesame" not in str(caught.value)
    assert Request(verb, "gpt", {name: None}).call(stream=False).body == {}


def test_headers_that_are_for_the_router_alone_are_told_apart() -> None:
    given = request(extra_headers={"X-User": "ann", "x-own": 1})
    kept = given.call(stream=False, unsent=("x-user",))
    assert (kept.headers, kept.unsent) == ({"x-own": "1"}, {"X-User": "ann"})
    assert "ann" not in repr(kept)
    whole = given.call(stream=False)
    assert (whole.headers, whole.unsent) == ({"X-User": "ann", "x-own": "1"}, {})
