"""Where a call would go: told without sending it, counting it or asking anybody."""

import asyncio
from collections.abc import Sequence

import pytest
from routers import AFFINITY, entry, misbehave, serving

from checks import PreCallCheck, Preferred
from providers.simulated import Behaviour
from providers.types import Call, Deployment
from router import AuthenticationError, RateLimitError, Router
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
