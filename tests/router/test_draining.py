"""Deployments that are drained by hand: nothing new goes there, what is bound to them still does."""

import asyncio

import pytest
from routers import AFFINITY, create, entry, group, in_flight, served, serving

from providers.errors import NoDeploymentError
from providers.simulated import Behaviour
from providers.views import Response
from router import Router

pytestmark = pytest.mark.asyncio


async def test_a_drained_deployment_gets_no_new_calls_until_it_is_undrained() -> None:
    async with serving(2) as upstreams:
        router = Router(group(upstreams))
        assert router.drain_deployment("u0")
        assert router.drained_deployments() == {"u0"}
        assert {served(await create(router, stream=False)) for _ in range(6)} == {"u1"}
        assert router.undrain_deployment("u0")
        assert router.drain_deployment("u1")
        assert served(await create(router, stream=True)) == "u0"
        await router.aclose()


async def test_what_is_in_flight_ends_there_undisturbed() -> None:
    drained = asyncio.Event()

    async def sleep(seconds: float) -> None:
        await drained.wait()

    async with serving(1, Behaviour(latency=1.0), sleep) as upstreams:
        router = Router(group(upstreams))
        call = asyncio.create_task(create(router, stream=False))
        await upstreams[0].until(lambda: upstreams[0].active_requests == 1)
        router.drain_deployment("u0")
        assert in_flight(router) == {"u0": 1}
        drained.set()
        assert (await call).status == "completed"
        await router.aclose()


@pytest.mark.parametrize("checks", [AFFINITY, (*AFFINITY, "tag_filtering")])
async def test_a_conversation_that_lives_there_goes_on_there(checks: tuple[str, ...]) -> None:
    async with serving(2) as upstreams:
        router = Router(group(upstreams, tags=["default"]), optional_pre_call_checks=checks)
        first = await create(router, stream=False)
        router.drain_deployment(served(first))
        again = await create(router, stream=False, previous_response_id=first.id)
        assert served(again) == served(first)
        got = await router.aget_responses(first.id)
        assert isinstance(got, Response)
        assert got.id == first.id
        assert served(await create(router, stream=False)) != served(first)
        await router.aclose()


async def test_a_conversation_moves_to_an_undrained_deployment_that_shares_its_state() -> None:
    async with serving(1) as upstreams:
        two = [entry(upstreams[0], id="one"), entry(upstreams[0], id="two")]
        router = Router(two, optional_pre_call_checks=AFFINITY)
        first = await create(router, stream=False)
        router.drain_deployment(served(first))
        again = await create(router, stream=False, previous_response_id=first.id)
        assert {served(first), served(again)} == {"one", "two"}
        await router.aclose()


async def test_if_all_are_drained_calls_go_to_the_fallback_or_fail_and_decisions_say_why() -> None:
    async with serving(2) as upstreams:
        models = [entry(upstreams[0], "gpt"), entry(upstreams[1], "other")]
        router = Router(models, fallbacks=[{"gpt": ["other"]}], record_decisions=True)
        router.drain_deployment("u0")
        assert served(await create(router, stream=False)) == "u1"
        told = await router.aexplain("gpt", input="hi")
        assert "left out by Draining" in str(told)
        router.drain_deployment("u1")
        with pytest.raises(NoDeploymentError, match="Draining refused them all"):
            await create(router, stream=False, model="other")
        await router.aclose()


async def test_what_is_drained_is_known_by_its_id_and_forgotten_with_it() -> None:
    async with serving(2) as upstreams:
        router = Router(group(upstreams))
        assert not router.drain_deployment("nobody")
        assert not router.undrain_deployment("nobody")
        router.drain_deployment("u0")
        router.upsert_deployment(entry(upstreams[0], weight=3))
        assert router.drained_deployments() == {"u0"}
        router.delete_deployment("u0")
        assert router.drained_deployments() == set()
        router.add_deployment(entry(upstreams[0]))
        router.drain_deployment("u1")
        assert served(await create(router, stream=False)) == "u0"
        await asyncio.wait_for(router.aclose(), 10)
