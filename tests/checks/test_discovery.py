"""Whoever has a response that nobody remembers is found by asking; once, for however many want to know."""

from __future__ import annotations

import asyncio
import gc
import logging
from collections import Counter
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest
from fakes import Clock

from checks.affinity.discovery import (
    AT_ONCE,
    DOUBT_TTL,
    MISS_TTL,
    MOST_DOMAINS,
    MOST_SEARCHES,
    Discovery,
)
from providers.types import Deployment

Answer = bool | None | Exception


def places(count: int, start: int = 0) -> tuple[Deployment, ...]:
    """Deployments that share nothing."""
    return tuple(Deployment(f"d{n}", "gpt", "openai", "m", account=f"a{n}") for n in range(start, start + count))


class Upstreams:
    """What each deployment answers, and when: at once, unless it is told to wait."""

    def __init__(self, **answers: Answer) -> None:
        self.answers = answers
        self.asked: list[str] = []
        self.at_once = self.most_at_once = 0
        self.gate: asyncio.Event | None = None
        self.arrived = asyncio.Event()
        self.learnt: list[str] = []
        self._waiting: list[tuple[int, asyncio.Event]] = []

    def _notify(self) -> None:
        for count, event in self._waiting:
            if len(self.asked) >= count:
                event.set()

    async def until(self, count: int) -> None:
        """Wait until so many questions have been asked."""
        event = asyncio.Event()
        self._waiting.append((count, event))
        self._notify()
        await event.wait()

    async def ask(self, deployment: Deployment, response_id: str) -> bool | None:
        self.asked.append(deployment.id)
        self.at_once += 1
        self.most_at_once = max(self.most_at_once, self.at_once)
        self.arrived.set()
        self._notify()
        try:
            await (self.gate.wait() if self.gate is not None else asyncio.sleep(0))
        finally:
            self.at_once -= 1
        answer = self.answers.get(deployment.id, False)
        if isinstance(answer, Exception):
            raise answer
        return answer

    async def learn(self, deployment: Deployment) -> None:
        self.learnt.append(deployment.id)


async def test_who_has_it_is_found_and_learnt() -> None:
    upstreams = Upstreams(d2=True)
    three = places(3)
    found = await Discovery(upstreams.ask).find("gpt", "resp_1", three, upstreams.learn)
    assert found is three[2]
    assert upstreams.learnt == ["d2"]


async def test_a_miss_is_remembered_for_a_while(clock: Clock) -> None:
    upstreams = Upstreams()
    discovery = Discovery(upstreams.ask, clock=clock)
    three = places(3)
    assert await discovery.find("gpt", "resp_1", three, upstreams.learn) is None
    assert Counter(upstreams.asked) == {"d0": 1, "d1": 1, "d2": 1}
    clock.advance(MISS_TTL - 0.001)
    assert await discovery.find("gpt", "resp_1", three, upstreams.learn) is None
    assert len(upstreams.asked) == 3
    for others in (("gpt", "resp_2", three), ("other", "resp_1", three), ("gpt", "resp_1", places(4))):
        before = len(upstreams.asked)
        await discovery.find(*others, upstreams.learn)
        assert len(upstreams.asked) == before + len(others[2]), "another id, another group, another one who may serve"
    clock.advance(0.001)
    await discovery.find("gpt", "resp_1", three, upstreams.learn)
    assert len(upstreams.asked) == 13 + 3
    assert upstreams.learnt == []


@pytest.mark.parametrize("answer", [None, RuntimeError("broken")])
async def test_no_answer_is_no_miss(answer: Answer, clock: Clock, caplog: pytest.LogCaptureFixture) -> None:
    upstreams = Upstreams(d1=answer)
    discovery = Discovery(upstreams.ask, clock=clock)
    with caplog.at_level(logging.ERROR, "router"):
        assert await discovery.find("gpt", "resp_1", places(2), upstreams.learn) is None
    assert ("could not be asked" in caplog.text) is isinstance(answer, Exception)
    clock.advance(DOUBT_TTL - 0.001)
    await discovery.find("gpt", "resp_1", places(2), upstreams.learn)
    assert len(upstreams.asked) == 2, "even so it isn't asked all the time"
    clock.advance(0.001)
    upstreams.answers["d1"] = True
    found = await discovery.find("gpt", "resp_1", places(2), upstreams.learn)
    assert found is not None
    assert found.id == "d1"


async def test_one_of_each_domain_is_asked_and_another_if_it_cannot_say() -> None:
    a, b, c = (Deployment(name, "gpt", "openai", "m", account="acme") for name in "abc")
    upstreams = Upstreams(a=None, b=True)
    assert await Discovery(upstreams.ask).find("gpt", "resp_1", (a, b, c), upstreams.learn) is b
    assert upstreams.asked == ["a", "b"]
    upstreams = Upstreams()
    assert await Discovery(upstreams.ask).find("gpt", "resp_1", (a, b, c), upstreams.learn) is None
    assert upstreams.asked == ["a"], "a no is the whole domain's"


async def test_a_group_with_too_many_domains_is_not_searched() -> None:
    upstreams = Upstreams()
    discovery = Discovery(upstreams.ask)
    assert await discovery.find("gpt", "resp_1", places(MOST_DOMAINS + 1), upstreams.learn) is None
    assert upstreams.asked == []
    await discovery.find("gpt", "resp_1", places(MOST_DOMAINS), upstreams.learn)
    assert len(upstreams.asked) == MOST_DOMAINS
    assert upstreams.most_at_once == AT_ONCE


async def test_who_else_asks_meanwhile_shares_the_search() -> None:
    upstreams = Upstreams(d1=True)
    discovery = Discovery(upstreams.ask)
    two = places(2)
    found = await asyncio.gather(*(discovery.find("gpt", "resp_1", two, upstreams.learn) for _ in range(20)))
    assert {each.id for each in found if each} == {"d1"}
    assert len(upstreams.asked) == 2
    assert upstreams.learnt == ["d1"], "once"
    assert discovery._searches == {}


async def test_who_leaves_does_not_end_the_search_of_others() -> None:
    upstreams = Upstreams(d0=True)
    upstreams.gate = asyncio.Event()
    discovery = Discovery(upstreams.ask)
    one = places(1)
    first, second = (
        asyncio.create_task(discovery.find("gpt", "resp_1", one, upstreams.learn), name=name) for name in "ab"
    )
    await upstreams.arrived.wait()
    first.cancel()
    with pytest.raises(asyncio.CancelledError):
        await first
    upstreams.gate.set()
    assert await second is one[0]
    assert upstreams.asked == ["d0"]


async def test_a_search_that_nobody_waits_for_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("checks.affinity.discovery.LONGEST", 3_600.0)
    upstreams = Upstreams()
    upstreams.gate = asyncio.Event()
    discovery = Discovery(upstreams.ask)
    caller = asyncio.create_task(discovery.find("gpt", "resp_1", places(AT_ONCE + 2), upstreams.learn))
    await upstreams.arrived.wait()
    caller.cancel()
    with pytest.raises(asyncio.CancelledError):
        await caller
    assert discovery._searches == {}
    _, left = await asyncio.wait(asyncio.all_tasks() - {asyncio.current_task()}, timeout=5)
    assert not left
    assert upstreams.at_once == 0
    upstreams.gate.set()
    before = len(upstreams.asked)
    assert await discovery.find("gpt", "resp_1", places(1), upstreams.learn) is None
    assert len(upstreams.asked) == before + 1, "what was given up is no miss"


async def test_searches_at_the_same_time_are_bounded() -> None:
    upstreams = Upstreams(d0=True)
    upstreams.gate = asyncio.Event()
    discovery = Discovery(upstreams.ask)
    one = places(1)
    running = [
        asyncio.create_task(discovery.find("gpt", f"resp_{n}", one, upstreams.learn)) for n in range(MOST_SEARCHES)
    ]
    await upstreams.until(MOST_SEARCHES)
    assert await discovery.find("gpt", "resp_x", one, upstreams.learn) is None
    assert len(upstreams.asked) == MOST_SEARCHES
    upstreams.gate.set()
    assert await asyncio.gather(*running) == [one[0]] * MOST_SEARCHES
    assert await discovery.find("gpt", "resp_x", one, upstreams.learn) is one[0], "that was no miss"


async def test_a_search_takes_no_longer_than_it_may(monkeypatch: pytest.MonkeyPatch, clock: Clock) -> None:
    monkeypatch.setattr("checks.affinity.discovery.LONGEST", 0.0)
    upstreams = Upstreams(d0=True)
    upstreams.gate = asyncio.Event()
    discovery = Discovery(upstreams.ask, clock=clock)
    assert await discovery.find("gpt", "resp_1", places(1), upstreams.learn) is None
    assert upstreams.at_once == 0
    monkeypatch.undo()
    upstreams.gate.set()
    clock.advance(DOUBT_TTL)
    assert await discovery.find("gpt", "resp_1", places(1), upstreams.learn) is not None, "in doubt, not missed"


def run_and_leave(start: Callable[[], Any]) -> list[dict[str, Any]]:
    """Run a loop that ends in the middle of what `start` makes; what it complained about."""
    complaints: list[dict[str, Any]] = []

    async def main() -> None:
        asyncio.get_running_loop().set_exception_handler(lambda _, context: complaints.append(context))
        await start()

    asyncio.run(main())
    gc.collect()
    return complaints


def test_a_loop_that_ends_takes_its_searches_with_it() -> None:
    upstreams = Upstreams(d0=True)
    state = SimpleNamespace()

    async def leave() -> None:
        upstreams.gate, upstreams.arrived = asyncio.Event(), asyncio.Event()
        state.discovery = Discovery(upstreams.ask)
        state.caller = asyncio.create_task(state.discovery.find("gpt", "resp_1", places(3), upstreams.learn))
        await upstreams.arrived.wait()

    assert run_and_leave(leave) == []
    assert state.caller.cancelled()
    assert state.discovery._searches == {}
    upstreams.gate = None
    found = asyncio.run(state.discovery.find("gpt", "resp_1", places(3), upstreams.learn))
    assert found is not None, "in another loop"


def test_a_loop_that_was_just_closed_is_forgotten() -> None:
    upstreams = Upstreams()
    loop = asyncio.new_event_loop()
    discovery = Discovery(upstreams.ask)
    upstreams.gate = asyncio.Event()
    caller = loop.create_task(discovery.find("gpt", "resp_1", places(1), upstreams.learn))
    loop.run_until_complete(upstreams.arrived.wait())
    tasks = asyncio.all_tasks(loop)
    assert len(discovery._searches) == 1
    closed = asyncio.new_event_loop()
    closed.close()
    try:
        discovery._searches = {(closed, key): each for (_, key), each in discovery._searches.items()}
        upstreams.gate = None
        assert asyncio.run(discovery.find("gpt", "resp_2", places(1), upstreams.learn)) is None
        assert discovery._searches == {}
    finally:
        for task in tasks:
            task.cancel()
        loop.run_until_complete(asyncio.gather(*tasks, return_exceptions=True))
        loop.close()
    assert caller.cancelled()


async def test_a_store_that_fails_to_learn_is_the_callers_to_hear() -> None:
    async def learn(deployment: Deployment) -> None:
        raise OSError("the store is broken")

    with pytest.raises(OSError, match="broken"):
        await Discovery(Upstreams(d0=True).ask).find("gpt", "resp_1", places(1), learn)
