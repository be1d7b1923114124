"""A call's deadline ends what its checks wait for, too; what nobody else waits for is cancelled."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from types import SimpleNamespace
from typing import Any

import pytest
from fakes import Clock
from redis_servers import eventually
from routers import AFFINITY, closed, entry, group, misbehave, quiet, serving, tick

from checks import Home, PreCallCheck
from checks.base import Answer
from providers.errors import APIError
from providers.types import Call, Deployment, HomePolicy
from router import APITimeoutError, Router
from router import timely as module
from router.plan import Plan, Policy, Target
from router.run import Limits, Place, Run
from router.timely import timely

SOON = 0.05
"""Seconds: the deadline of calls that nothing else ends."""


class Hangs(PreCallCheck):
    """Waits for ever in one of its methods, and notes whether it was cancelled there."""

    def __init__(self) -> None:
        self.began = asyncio.Event()
        self.cancelled = 0

    async def hang(self) -> None:
        """Wait for ever."""
        self.began.set()
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            self.cancelled += 1
            raise


class HangsAnswering(Hangs):
    """Before anything else."""

    async def answer(self, call: Call) -> Answer | None:
        await self.hang()
        return None


class HangsChoosing(Hangs):
    """Before each attempt."""

    async def eligible(self, call: Call, deployments: Sequence[Deployment]) -> Sequence[Deployment]:
        await self.hang()
        return deployments


class HangsRescuing(Hangs):
    """When home has failed."""

    async def eligible(self, call: Call, deployments: Sequence[Deployment]) -> Sequence[Deployment]:
        return Home(deployments, None, HomePolicy("fail"))

    async def rescue(self, call: Call, error: APIError) -> Call | None:
        await self.hang()
        return None


HANGING = [
    (HangsAnswering, "while a check was looking for its answer", 0),
    (HangsChoosing, "while a check was finding who may serve it", 0),
    (HangsRescuing, "while a check was looking for another home", 1),
]
each_way = pytest.mark.parametrize(("kind", "said", "attempts"), HANGING, ids=[kind.__name__ for kind, _, _ in HANGING])


@each_way
@pytest.mark.parametrize("stream", [False, True])
async def test_a_check_that_hangs_is_cancelled_at_the_deadline(
    kind: type[Hangs], said: str, attempts: int, stream: bool, clock: Clock
) -> None:
    """The clock stands still: what counts is that the time is over, not what the clock says then."""
    async with serving(2) as upstreams:
        misbehave(upstreams[0], "401")
        check = kind()
        router = Router(
            [entry(upstreams[0]), entry(upstreams[1], "spare")],
            optional_pre_call_checks=[check],
            fallbacks=[{"gpt": ["spare"]}],
            clock=clock,
            sleep=tick,
        )
        with pytest.raises(APITimeoutError, match=rf"deadline of 0\.05 s passed {said}") as raised:
            await router.aresponses("gpt", "hi", stream=stream, deadline=SOON)
        assert check.cancelled == 1
        assert len(raised.value.attempts) == attempts
        assert [upstream.calls for upstream in upstreams] == [attempts, 0], "the call is over"
        await closed(router, upstreams)


@each_way
@pytest.mark.parametrize("deadline", [None, 600.0])
async def test_a_caller_who_leaves_ends_it_too(
    kind: type[Hangs], said: str, attempts: int, deadline: float | None
) -> None:
    async with serving(1) as upstreams:
        misbehave(upstreams[0], "401")
        check = kind()
        router = Router(group(upstreams), optional_pre_call_checks=[check], deadline=deadline)
        call = asyncio.create_task(router.aresponses("gpt", "hi"))
        await check.began.wait()
        call.cancel()
        with pytest.raises(asyncio.CancelledError):
            await call
        assert check.cancelled == 1
        assert upstreams[0].calls == attempts
        await closed(router, upstreams)


@pytest.mark.parametrize("deadline", [None, 600.0])
async def test_a_check_s_own_timeout_is_its_own(deadline: float | None) -> None:
    class GivesUp(PreCallCheck):
        """Has patience of its own."""

        async def eligible(self, call: Call, deployments: Sequence[Deployment]) -> Sequence[Deployment]:
            raise TimeoutError("mine")

    async with serving(1) as upstreams:
        router = Router(group(upstreams), optional_pre_call_checks=[GivesUp()], deadline=deadline)
        with pytest.raises(TimeoutError, match="mine"):
            await router.aresponses("gpt", "hi")
        await closed(router, upstreams)


@pytest.fixture
def limits(monkeypatch: pytest.MonkeyPatch) -> list[asyncio.Timeout]:
    """Those that deadlines set, which don't pass by themselves."""
    made: list[asyncio.Timeout] = []

    def timeout(seconds: float) -> asyncio.Timeout:
        made.append(asyncio.timeout(None))
        return made[-1]

    monkeypatch.setattr(module, "asyncio", SimpleNamespace(timeout=timeout))
    return made


def pass_now(limits: list[asyncio.Timeout]) -> None:
    """Let the last deadline pass."""
    limits[-1].reschedule(asyncio.get_running_loop().time())


@pytest.mark.parametrize("own", [True, False], ids=["the call's", "the Router's"])
async def test_a_search_for_a_home_ends_with_its_call(own: bool, limits: list[asyncio.Timeout]) -> None:
    async with serving(2) as upstreams:
        for upstream in upstreams:
            misbehave(upstream, "hang")
        router = Router(
            [entry(upstream, account=upstream.name) for upstream in upstreams],
            optional_pre_call_checks=AFFINITY,
            deadline=None if own else 600,
        )
        late: dict[str, Any] = {"deadline": 600} if own else {}
        call = asyncio.create_task(router.aresponses("gpt", "hi", previous_response_id="resp_1", **late))
        for upstream in upstreams:
            await upstream.until(lambda upstream=upstream: upstream.active_requests == 1)  # type: ignore[misc]
        pass_now(limits)
        with pytest.raises(APITimeoutError, match="deadline of 600 s"):
            await call
        await quiet(upstreams)
        assert [[each.method for each in upstream.requests] for upstream in upstreams] == [["GET"], ["GET"]]
        assert all(health.failures == 0 for health in router.health())
        await closed(router, upstreams)


async def test_a_search_goes_on_for_those_who_have_time(limits: list[asyncio.Timeout]) -> None:
    async with serving(1) as (upstream,):
        misbehave(upstream, "hang")
        router = Router(group([upstream]), optional_pre_call_checks=AFFINITY)
        patient = asyncio.create_task(router.aresponses("gpt", "hi", previous_response_id="resp_1"))
        await upstream.until(lambda: upstream.active_requests == 1)
        hasty = asyncio.create_task(router.aresponses("gpt", "hi", previous_response_id="resp_1", deadline=600))
        await eventually(lambda: bool(limits), "the other call waits too")
        pass_now(limits)
        with pytest.raises(APITimeoutError):
            await hasty
        assert upstream.active_requests == 1
        patient.cancel()
        await asyncio.wait([patient])
        await closed(router, [upstream])


async def test_without_a_deadline_nothing_stands_between() -> None:
    run = Run(Place(Call("gpt"), ()), Plan(Policy(), Target("gpt")), Limits(), 0.0)

    async def work() -> int:
        return 7

    def clock() -> float:
        raise AssertionError("nobody need know the time")

    given = work()
    assert timely(run, clock, given, "") is given
    assert await given == 7
