"""Cooldowns that Routers share, on every kind of Redis; and the feed that reads them."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Callable, Mapping
from concurrent.futures import ThreadPoolExecutor

import pytest
from fakes import Clock
from redis_servers import eventually

from router.stores.board import CooldownBoard, RedisCooldownBoard
from router.stores.feed import CooldownFeed
from router.stores.redis_link import RedisLink
from router.stores.redis_url import RedisSettings

SettingsOf = Callable[[str], RedisSettings]
Cooldowns = Mapping[str, tuple[str, float]]


@pytest.fixture(params=["tcp", "password", "cluster", "sentinel"])
async def boards(
    request: pytest.FixtureRequest, settings_of: SettingsOf, prefix: str
) -> AsyncIterator[tuple[RedisCooldownBoard, RedisCooldownBoard, RedisLink]]:
    """Those of two Routers, and a look behind them."""
    links = [RedisLink(settings_of(request.param), timeout=20) for _ in range(3)]
    yield RedisCooldownBoard(links[0], prefix=prefix), RedisCooldownBoard(links[1], prefix=prefix), links[2]
    for link in links:
        await link.aclose()
        assert link.stats.errors == 0


Boards = tuple[CooldownBoard, CooldownBoard, RedisLink]


async def read(board: CooldownBoard) -> Cooldowns:
    found = await board.read()
    assert found is not None
    return found


async def test_a_cooldown_is_shared(boards: Boards) -> None:
    one, other, _ = boards
    assert await read(other) == {}
    await one.publish("d1", "rate limit", 60)
    await one.publish("d2", "breaker", 30)
    found = await read(other)
    assert {name: kind for name, (kind, _) in found.items()} == {"d1": "rate limit", "d2": "breaker"}
    assert 50 < found["d1"][1] <= 60
    assert 20 < found["d2"][1] <= 30


async def test_the_latest_deadline_holds(boards: Boards) -> None:
    one, other, _ = boards
    await one.publish("d1", "rate", 60)
    await other.publish("d1", "breaker", 5)
    assert (await read(one))["d1"][0] == "rate"
    await other.publish("d1", "breaker", 600)
    kind, left = (await read(one))["d1"]
    assert (kind, left > 500) == ("breaker", True)


async def test_a_cleared_cooldown_is_gone(boards: Boards) -> None:
    one, other, _ = boards
    await one.publish("d1", "rate", 60)
    await one.publish("d2", "rate", 60)
    await other.clear("d1")
    await other.clear("d3")
    assert list(await read(one)) == ["d2"]


async def test_what_has_passed_is_removed(boards: Boards, prefix: str) -> None:
    one, other, raw = boards
    await one.publish("d1", "rate", 60)
    await one.publish("d2", "rate", 0.001)
    for seconds in (0, -1, 0.0):
        await one.publish("d3", "rate", seconds)
    found: list[Cooldowns] = []

    async def poll() -> None:
        while not found or "d2" in found[-1]:
            found.append(await read(other))

    await asyncio.wait_for(poll(), 20)
    assert list(found[-1]) == ["d1"]
    held = await raw.run(("HGETALL", f"{prefix}:cooldowns"))
    assert isinstance(held, dict)
    assert list(held) == ["d1"]


async def test_the_board_lives_as_long_as_its_longest_entry(boards: Boards, prefix: str) -> None:
    one, _, raw = boards
    for seconds, longest in ((30, 30), (600, 600), (5, 600), (float("inf"), 1e9)):
        await one.publish("d1", "rate", seconds)
        left = await raw.run(("PTTL", f"{prefix}:cooldowns"))
        assert isinstance(left, int)
        assert longest - 10 < left / 1000 <= longest


class Board:
    """A board in hand."""

    def __init__(self) -> None:
        self.reads = 0
        self.reading: Cooldowns | None = {"d1": ("rate", 5.0)}
        self.open = asyncio.Event()
        self.open.set()
        self.error: Exception | None = None

    async def publish(self, deployment_id: str, kind: str, seconds: float) -> None:
        raise AssertionError

    async def clear(self, deployment_id: str) -> None:
        raise AssertionError

    async def read(self) -> Cooldowns | None:
        self.reads += 1
        await self.open.wait()
        if self.error is not None:
            raise self.error
        return self.reading


async def test_a_first_view_is_waited_for_a_fresh_one_is_not(clock: Clock) -> None:
    board, applied = Board(), list[Cooldowns]()
    feed = CooldownFeed(board, applied.append, clock)
    await asyncio.gather(*(feed.sync() for _ in range(10)))
    assert (board.reads, applied) == (1, [{"d1": ("rate", 5.0)}])
    clock.advance(0.49)
    await feed.sync()
    assert board.reads == 1


async def test_an_ageing_view_is_renewed_in_the_background(clock: Clock) -> None:
    board, applied = Board(), list[Cooldowns]()
    feed = CooldownFeed(board, applied.append, clock)
    await feed.sync()
    board.open.clear()
    clock.advance(0.6)
    await asyncio.wait_for(feed.sync(), 20)
    await asyncio.wait_for(feed.sync(), 20)
    assert len(applied) == 1
    board.open.set()
    await eventually(lambda: len(applied) == 2, "renewal")
    assert board.reads == 2


async def test_a_stale_view_is_waited_for_by_everybody(clock: Clock) -> None:
    board, applied = Board(), list[Cooldowns]()
    feed = CooldownFeed(board, applied.append, clock)
    await feed.sync()
    board.open.clear()
    clock.advance(1)
    waiting = [asyncio.create_task(feed.sync()) for _ in range(3)]
    await eventually(lambda: board.reads == 2, "a reading")
    waiting[0].cancel()
    assert not any(task.done() for task in waiting[1:])
    board.open.set()
    assert [type(end) for end in await asyncio.gather(*waiting, return_exceptions=True)] == [
        asyncio.CancelledError,
        type(None),
        type(None),
    ]
    assert (board.reads, len(applied)) == (2, 2)


async def test_a_board_that_is_away_changes_nothing_and_is_left_alone_for_a_while(clock: Clock) -> None:
    board, applied = Board(), list[Cooldowns]()
    board.reading = None
    feed = CooldownFeed(board, applied.append, clock)
    await feed.sync()
    await feed.sync()
    assert (board.reads, applied) == (1, [])


async def test_a_board_that_hangs_is_not_waited_for_longer_than_a_view_may_age(
    clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    board = Board()
    board.open.clear()
    feed = CooldownFeed(board, lambda _: None, clock, refresh_after=0.01, stale_after=0.02)
    await feed.sync()
    assert "longer than 0.02 s" in caplog.text
    board.open.set()


@pytest.mark.parametrize("broken", ["board", "apply"])
async def test_no_error_reaches_the_call(clock: Clock, broken: str, caplog: pytest.LogCaptureFixture) -> None:
    board = Board()
    board.error = RuntimeError("broken") if broken == "board" else None

    def apply(found: Cooldowns) -> None:
        raise RuntimeError("broken")

    feed = CooldownFeed(board, apply, clock)
    await feed.sync()
    await feed.sync()
    assert board.reads == 1
    assert [record.levelno for record in caplog.records] == [logging.ERROR]


def test_a_feed_serves_loops_that_come_and_go(clock: Clock, settings_of: SettingsOf, prefix: str) -> None:
    link = RedisLink(settings_of("tcp"), timeout=20)
    board, applied = RedisCooldownBoard(link, prefix=prefix), list[Cooldowns]()
    feed = CooldownFeed(board, applied.append, clock)

    async def work() -> None:
        await feed.sync()

    for number in (1, 2):
        clock.advance(2)
        asyncio.run(work())
        assert len(applied) == number
    clock.advance(2)
    with ThreadPoolExecutor(2) as threads:
        list(threads.map(lambda _: asyncio.run(work()), range(2)))
    assert len(applied) in {3, 4}


def test_a_loop_that_ended_while_reading_holds_nobody_up(clock: Clock) -> None:
    async def make() -> Board:
        return Board()

    board, applied = asyncio.run(make()), list[Cooldowns]()
    feed = CooldownFeed(board, applied.append, clock)
    board.open.clear()

    async def begin() -> None:
        feed_task = asyncio.ensure_future(feed.sync())
        await eventually(lambda: board.reads, "a reading")
        feed_task.cancel()

    loop = asyncio.new_event_loop()
    loop.run_until_complete(begin())
    loop.close()
    board.open = asyncio.run(_set())
    asyncio.run(feed.sync())
    assert len(applied) == 1


async def _set() -> asyncio.Event:
    event = asyncio.Event()
    event.set()
    return event
