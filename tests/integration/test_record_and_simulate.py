"""Traffic over real sockets is recorded, and replayed under other configurations."""

import asyncio
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from routers import AFFINITY, create, group, misbehave, quiet, serving

from providers.simulated import Behaviour
from router import APIError, Router, simulate


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "calls.trace"


def config(model_list: list[dict[str, Any]], **settings: Any) -> dict[str, Any]:
    return {"model_list": model_list, "router_settings": {"optional_pre_call_checks": list(AFFINITY), **settings}}


async def converse(router: Router, number: int, turns: int = 3) -> None:
    """Conversations side by side, streamed and not."""

    async def one(stream: bool) -> None:
        previous: str | None = None
        for _ in range(turns):
            more = {} if previous is None else {"previous_response_id": previous}
            previous = (await create(router, stream, **more)).id

    await asyncio.gather(*(one(index % 2 == 0) for index in range(number)))


async def test_what_was_recorded_is_met_again(path: Path) -> None:
    behaviour = Behaviour(latency=0.02, token_delay=0.001)
    async with serving(3, behaviour) as upstreams:
        upstreams[2].behaviour = replace(behaviour, latency=0.2)
        async with Router(group(upstreams), optional_pre_call_checks=list(AFFINITY)) as router:
            with router.record(path):
                await converse(router, 24)
        model_list = group(upstreams)
    found = simulate(path, [config(model_list), config(model_list[:2]), config(model_list[2:])])
    same, fast, slow = found.simulated
    assert found.recorded.calls == 72
    assert found.notes == ()
    for each in (found.recorded, same, fast, slow):
        assert (each.failures, each.follow_ups, each.home, each.breaks) == (0, 48, 48, 0)
    assert set(fast.shares) == {"u0", "u1"}
    assert slow.shares == {"u2": 72}
    assert found.recorded.latency is not None
    assert same.latency is not None
    assert fast.latency is not None
    assert slow.latency is not None
    assert 0.2 < slow.latency.p50 < 2
    assert fast.latency.p50 < slow.latency.p50


async def test_an_outage_that_was_recorded_is_met_again(path: Path) -> None:
    async with serving(2) as upstreams:
        async with Router(group(upstreams), num_retries=0, disable_cooldowns=True) as router:
            with router.record(path):
                await converse_once(router, 10)
                upstreams[0].behaviour = Behaviour(fault="500")
                await converse_once(router, 20)
                upstreams[0].behaviour = Behaviour()
                await converse_once(router, 10)
        model_list = group(upstreams)
    found = simulate(path, [config(model_list, num_retries=2), config(model_list[:1], num_retries=0)])
    patient, alone = found.simulated
    assert found.recorded.failures > 0
    assert found.recorded.errors == {"InternalServerError": found.recorded.failures}
    assert patient.failures == 0
    assert alone.failures >= found.recorded.failures
    assert alone.failures < 40


async def converse_once(router: Router, number: int) -> None:
    """Calls one after the other, whatever becomes of them."""
    for _ in range(number):
        try:
            await create(router, False)
        except APIError:
            continue


async def test_a_callers_early_leave_is_met_again(path: Path) -> None:
    async with serving(1, Behaviour(latency=0.01, tokens=50, token_delay=0.01)) as upstreams:
        async with Router(group(upstreams)) as router:
            with router.record(path):
                stream = await router.aresponses("gpt", "hi", stream=True)
                await anext(stream)
                await stream.aclose()
                await quiet(upstreams)
                misbehave(upstreams[0], "hang")
                task = asyncio.create_task(router.aresponses("gpt", "hi"))
                await upstreams[0].until(lambda: upstreams[0].active_requests == 1)
                task.cancel()
                with pytest.raises(asyncio.CancelledError):
                    await task
        model_list = group(upstreams)
    found = simulate(path, config(model_list))
    assert found.recorded.left == 2
    assert found.simulated[0].calls == 2
    assert found.simulated[0].failures == 0
