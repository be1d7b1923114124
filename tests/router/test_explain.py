"""Where a call would go: told without sending it, counting it or asking anybody."""

import asyncio
import json
from collections.abc import Coroutine, Sequence
from typing import Any

import pytest
from fakes import Clock
from routers import AFFINITY, entry, group, misbehave, serving

from checks import PreCallCheck, Preferred
from providers.simulated import Behaviour
from providers.types import Call, Deployment
from router import (
    APIError,
    AuthenticationError,
    BadRequestError,
    ContextWindowExceededError,
    RateLimitError,
    Router,
    UnknownModelError,
)
from router.explain import Option


class Backwards(PreCallCheck):
    """Prefers the last."""

    async def eligible(self, call: Call, deployments: Sequence[Deployment]) -> Preferred:
        return Preferred(tuple(reversed(deployments)))


async def test_ties_home_and_what_leaves_the_others_out() -> None:
    async with serving(3) as upstreams:
        model_list = [entry(each, tags=["paid"] if index < 2 else []) for index, each in enumerate(upstreams)]
        async with Router(model_list, optional_pre_call_checks=[*AFFINITY, "tags", Backwards]) as router:
            hello = await router.aresponses("gpt", "hi")
            sent = sum(each.calls for each in upstreams)
            before = router.affinity_stats()
            told = await router.aexplain("gpt", input="more", previous_response_id=hello.id, prompt_cache_key="k")
            assert told.home == hello.routing.deployment_id
            assert told.model_group == "gpt"
            assert told.ties[0] == f"previous_response_id (response {hello.id}, hard)"
            assert "soft" in told.ties[1]
            others = [option for option in told.options if option.deployment_id != told.home]
            assert all(option.reason == "left out by ResponsesApiDeployment" for option in others)
            assert not any(option.may_serve or option.usable for option in others)
            assert f"home is {told.home}" in str(told)
            free = await router.aexplain("gpt", input="x", litellm_metadata={"tags": ["paid"]})
            assert [option.reason for option in free.options] == ["ready", "ready", "left out by Tags"]
            assert "no home" in str(free)
            refused = await router.aexplain("gpt", input="x", litellm_metadata={"tags": ["none"]})
            assert refused.error is not None
            assert {option.reason for option in refused.options} == {"refused by Tags"}
            assert "refused: " in str(refused)
            assert await asyncio.to_thread(router.explain, "gpt", input="x") == await router.aexplain("gpt", input="x")
            assert (sum(each.calls for each in upstreams), router.affinity_stats()) == (sent, before)


async def test_a_preference_leans_and_leaves_nobody_out() -> None:
    async with (
        serving(2) as upstreams,
        Router([entry(each) for each in upstreams], optional_pre_call_checks=AFFINITY) as router,
    ):
        await router.aresponses("gpt", "hi", prompt_cache_key="k")
        told = await router.aexplain("gpt", input="x", prompt_cache_key="k")
        assert told.home is None
        assert [option.reason for option in told.options] == ["ready", "ready"]


async def test_what_keeps_a_deployment_out_now() -> None:
    async with serving(1, Behaviour(fault="401")) as (broken,), serving(3) as (_, limited, full):
        limited_entry = entry(limited, id="limited")
        full_entry = entry(full, id="full", max_parallel_requests=1)
        misbehave(limited, "429")
        misbehave(full, "stall_after_output", cut_after=1)
        async with Router([entry(broken, id="broken"), limited_entry, full_entry]) as router:
            for name, error in (("broken", AuthenticationError), ("limited", RateLimitError)):
                with pytest.raises(error):
                    await router.aresponses(name, "hi", num_retries=0)
            held = await router.aresponses("full", "hi", stream=True)
            told = {option.deployment_id: option for option in (await router.aexplain("gpt", input="x")).options}
            assert told["broken"].reason.startswith("its breaker is open for ")
            assert told["limited"].reason.startswith("its rate limit is reached for ")
            assert told["full"] == Option("full", True, False, "1 of 1 parallel requests are in flight")
            await held.aclose()


async def test_a_router_without_the_check_has_counted_nothing() -> None:
    async with Router([entry("http://127.0.0.1:9", id="d")]) as router:
        assert router.affinity_stats().hit == 0
        assert (await router.aexplain("gpt", input="x")).options == (Option("d", True, True, "ready", "responses"),)


async def test_a_check_that_refuses_all_is_the_last_one_asked() -> None:
    class Nobody(PreCallCheck):
        async def eligible(self, call: Call, deployments: Sequence[Deployment]) -> Sequence[Deployment]:
            return ()

    class Next(PreCallCheck):
        async def eligible(self, call: Call, deployments: Sequence[Deployment]) -> Sequence[Deployment]:
            raise AssertionError("never asked about nobody")

    async with Router([entry("http://127.0.0.1:9", id="d")], optional_pre_call_checks=[Nobody(), Next()]) as router:
        told = await router.aexplain("gpt", input="x")
        assert told.options == (Option("d", False, False, "left out by Nobody"),)


async def test_a_deployment_that_goes_while_the_checks_look() -> None:
    class Removing(PreCallCheck):
        async def preview(self, call: Call, deployments: Sequence[Deployment]) -> Sequence[Deployment]:
            router.delete_deployment("d")
            return deployments

    model_list = [entry("http://127.0.0.1:9", id="d"), entry("http://127.0.0.1:9", "other", id="o")]
    async with Router(model_list, optional_pre_call_checks=[Removing()]) as router:
        told = await router.aexplain("gpt", input="x")
        assert told.options == (Option("d", True, False, "it has just been removed"),)
        assert told.candidates == ()


class Half(PreCallCheck):
    """Has room on the first of a group only, and counts what is claimed of it."""

    def __init__(self) -> None:
        self.held = 0

    def reserve(self, call: Call, deployment: Deployment, now: float) -> float:
        if deployment.id != "u0":
            return 4.0
        self.held += 1
        return 0.0

    def release(self, call: Call, deployment: Deployment) -> None:
        self.held -= 1


async def test_limits_of_checks_are_tried_and_nothing_is_claimed(clock: Clock) -> None:
    async with serving(2) as upstreams:
        half = Half()
        checks: list[PreCallCheck | str | type[PreCallCheck]] = [half, "rate_limit"]
        async with Router(group(upstreams, rpm=1), optional_pre_call_checks=checks, clock=clock) as router:
            told = await router.aexplain("gpt", input="x")
            assert told.candidates == ("u0",)
            assert [(each.usable, each.reason, each.cause) for each in told.options] == [
                (True, "ready", None),
                (False, "no room within its limits for 4.0 s", "room"),
            ]
            assert half.held == 0
            await router.aresponses("gpt", "hi")
            assert half.held == 1, "which the call held, and no explanation"
            clock.advance(15)
            told = await router.aexplain("gpt", input="x")
            assert (told.candidates, told.wait) == ((), 4.0)
            assert told.options[0].reason == "no room within its limits for 45.0 s"
            assert half.held == 1
            assert str(told).endswith("nobody can be had now, somebody may in 4.0 s")


async def test_it_names_the_tier_the_strategy_and_what_follows() -> None:
    async with serving(4) as upstreams:
        model_list = [
            entry(upstreams[0], order=2),
            entry(upstreams[1], order=1),
            entry(upstreams[2], order=1),
            entry(upstreams[3], "small"),
            entry(upstreams[3], "last", id="last"),
            entry(upstreams[3], "long", id="long"),
        ]
        settings: dict[str, Any] = {
            "fallbacks": [{"gpt": ["small"]}, {"small": ["last"]}],
            "context_window_fallbacks": [{"gpt": ["long"]}],
            "routing_strategy": "least-busy",
        }
        async with Router(model_list, **settings) as router:
            told = await router.aexplain("gpt", input="x")
            assert (told.strategy, told.candidates) == ("LeastBusy", ("u1", "u2"))
            assert (told.order, told.standby, told.fallbacks, told.snapshot) == (1, False, ("small", "last"), 1)
            assert told.options[0].reason == "its order is 2, and one of order 1 can serve"
            assert [each.score for each in told.options] == [None, 1.0, 1.0]
            text = str(told).splitlines()
            assert text[-2:] == ["  LeastBusy would pick from: u1, u2", "  then: small, last"]
            assert (await router.aexplain("gpt", input="x", disable_fallbacks=True)).fallbacks == ()
            assert (await router.aexplain("gpt", input="x", max_fallbacks=1)).fallbacks == ("small",)
            own = await router.aexplain("gpt", input="x", fallbacks=["last"])
            assert own.fallbacks == ("last",)


async def test_a_refusal_leads_to_the_groups_named_for_it() -> None:
    model_list = [
        entry("http://127.0.0.1:9", id="short", max_input_tokens=2),
        entry("http://127.0.0.1:9", "long", id="long"),
    ]
    async with Router(
        model_list, optional_pre_call_checks=["context_window"], context_window_fallbacks=[{"gpt": ["long"]}]
    ) as router:
        told = await router.aexplain("gpt", input="more than two tokens, for certain")
        assert (type(told.error), told.fallbacks, told.candidates) == (ContextWindowExceededError, ("long",), ())
        assert told.strategy is None
        data = told.to_dict()
        assert json.loads(json.dumps(data)) == data
        assert told.error is not None
        assert data["error"] == {
            "type": "ContextWindowExceededError",
            "status": 400,
            "code": "context_length_exceeded",
            "message": told.error.message,
        }


async def test_names_of_every_kind_are_explained() -> None:
    model_list = [
        entry("http://127.0.0.1:9", id="d0"),
        entry("http://127.0.0.1:9", id="d1"),
        entry("http://127.0.0.1:9", "open/*", id="any", model="openai/*"),
    ]
    async with Router(model_list, model_group_alias={"best": "gpt"}) as router:
        assert (await router.aexplain("best", input="x")).candidates == ("d0", "d1")
        assert (await router.aexplain("best", input="x")).model_group == "gpt"
        assert (await router.aexplain("open/gpt-5", input="x")).candidates == ("any",)
        alone = await router.aexplain("d1", input="x")
        assert (alone.candidates, [each.deployment_id for each in alone.options]) == (("d1",), ["d1"])
        with pytest.raises(UnknownModelError, match="did you mean 'best'"):
            await router.aexplain("bset", input="x")


async def test_it_takes_what_a_call_takes() -> None:
    class Streams(PreCallCheck):
        async def eligible(self, call: Call, deployments: Sequence[Deployment]) -> Sequence[Deployment]:
            return deployments[call.stream :]

    model_list = [entry("http://127.0.0.1:9", id="d0", max_input_tokens=50), entry("http://127.0.0.1:9", id="d1")]
    async with Router(model_list, optional_pre_call_checks=["context_window", Streams()]) as router:
        assert (await router.aexplain("gpt", "hello")).candidates == ("d0", "d1")
        assert (await router.aexplain("gpt", "hello", stream=True)).candidates == ("d1",)
        assert router.explain("gpt", "word " * 60).candidates == ("d1",)


@pytest.mark.parametrize("wrong", [5, ["gpt"]])
async def test_what_is_no_name_is_one_clear_error(wrong: Any) -> None:
    async with Router([entry("http://127.0.0.1:9", id="d0")]) as router:
        asked: list[Coroutine[Any, Any, object]] = [
            router.aexplain(wrong, "hi"),
            router.acheck_health(wrong),
            router.aget_responses("resp_1", model=wrong),
        ]
        for each in asked:
            with pytest.raises(BadRequestError, match=r"^model: must be the name of a group, not "):
                await each


async def test_what_a_check_refuses_for_now_says_when() -> None:
    class Busy(PreCallCheck):
        async def eligible(self, call: Call, deployments: Sequence[Deployment]) -> Sequence[Deployment]:
            raise RateLimitError("busy", retry_after=6)

    async with Router([entry("http://127.0.0.1:9", id="d")], optional_pre_call_checks=[Busy()]) as router:
        told = await router.aexplain("gpt", input="x")
        assert told.wait == 6
        assert str(told).endswith("refused: busy")


async def test_a_test_of_a_breaker_and_a_choice_by_force(clock: Clock) -> None:
    async with serving(2) as upstreams:
        for upstream in upstreams:
            misbehave(upstream, "401")
        async with Router(group(upstreams), clock=clock, cooldown_time=30, num_retries=0) as router:
            for name in ("u0", "u1"):
                with pytest.raises(AuthenticationError):
                    await router.aresponses(name, "hi")
                clock.advance(10)
            told = await router.aexplain("gpt", input="x")
            assert (told.forced, told.probe, told.candidates) == (True, False, ("u0", "u1"))
            assert told.options[0].reason == "its breaker is open for 10.0 s: AuthenticationError 401"
            assert told.options[0].usable
            assert str(told).endswith("Adaptive would pick from: u0, u1, though all breakers are open")
            clock.advance(10)
            told = await router.aexplain("gpt", input="x")
            assert (told.forced, told.probe, told.candidates) == (False, True, ("u0",))
            assert str(told).endswith("Adaptive would pick from: u0, to test it")
        async with Router(group(upstreams), clock=clock, num_retries=0, on_all_down="fail") as router:
            for name in ("u0", "u1"):
                with pytest.raises(AuthenticationError):
                    await router.aresponses(name, "hi")
            told = await router.aexplain("gpt", input="x")
            assert (told.candidates, told.order, told.wait) == ((), None, 60.0)


async def test_a_preference_narrows_the_candidates_while_it_is_not_busy() -> None:
    async with serving(2) as upstreams, Router(group(upstreams), optional_pre_call_checks=AFFINITY) as router:
        await router.aresponses("u0", "hi", prompt_cache_key="k")
        misbehave(upstreams[0], "stall_after_output", cut_after=1)
        told = await router.aexplain("gpt", input="x", prompt_cache_key="k")
        assert (told.preferred, told.candidates) == (("u0",), ("u0",))
        held = [await router.aresponses("u0", "hi", stream=True) for _ in range(4)]
        told = await router.aexplain("gpt", input="x", prompt_cache_key="k")
        assert (told.preferred, told.candidates) == (("u0",), ("u0", "u1"))
        assert "u0: ready, preferred" in str(told)
        for each in held:
            await each.aclose()


async def test_a_conversation_at_home_has_no_fallbacks() -> None:
    async with serving(3) as upstreams:
        model_list = [entry(upstreams[0]), entry(upstreams[1]), entry(upstreams[2], "spare")]
        settings: dict[str, Any] = {"fallbacks": [{"gpt": ["spare"]}], "record_decisions": True}
        async with Router(model_list, optional_pre_call_checks=AFFINITY, **settings) as router:
            hello = await router.aresponses("gpt", "hi")
            told = await router.aexplain("gpt", input="x", previous_response_id=hello.id, on_home_lost="fail")
            assert (told.fallbacks, told.candidates) == ((), (told.home,))
            assert {each.cause for each in told.options} == {None, "home"}


async def test_the_decision_of_the_call_that_follows_gives_the_same_reasons(clock: Clock) -> None:
    async with serving(5) as upstreams:
        model_list = [
            *(entry(each, tags=["a"]) for each in upstreams[:3]),
            entry(upstreams[3], tags=["a"], order=1),
            entry(upstreams[4], tags=["b"]),
        ]
        settings: dict[str, Any] = {"record_decisions": True, "optional_pre_call_checks": ["tags"], "cooldown_time": 30}
        async with Router(model_list, clock=clock, num_retries=0, **settings) as router:
            misbehave(upstreams[0], "401")
            misbehave(upstreams[1], "429", retry_after=9)
            for name in ("u0", "u1"):
                with pytest.raises(APIError):
                    await router.aresponses(name, "hi", litellm_metadata={"tags": ["a"]})
            asked: dict[str, Any] = {"input": "x", "litellm_metadata": {"tags": ["a"]}}
            told = await router.aexplain("gpt", **asked)
            decision = (await router.aresponses("gpt", **asked)).routing.attempts[0].decision
            assert decision is not None
            assert (decision.chosen, told.candidates) == ("u2", ("u2",))
            assert {each.deployment_id: (each.words, each.cause, each.score) for each in decision.considered} == {
                each.deployment_id: (each.reason, each.cause, each.score) for each in told.options
            }
            assert decision.snapshot == told.snapshot
