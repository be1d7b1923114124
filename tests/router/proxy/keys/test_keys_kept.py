"""What a key may use, counted in memory and in Redis: one suite for both, and invariants of the counting itself.

And the book of keys, which is in Redis alone.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import AsyncIterator, Iterator
from itertools import count
from pathlib import Path
from typing import Any, Protocol, cast

import pytest
from cancelling import cancelled
from fakes import Clock
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule
from redis import Redis
from redis_servers import Cluster, Server, eventually

from router.proxy.holder import Grant, Limits
from router.proxy.keys import book as books
from router.proxy.keys.book import KeyBook
from router.proxy.keys.limits import WINDOW, Limiter, MemoryLimiter, Standing, Ticket
from router.proxy.keys.redis_limits import RedisLimiter
from router.stores.redis_client import Command
from router.stores.redis_link import RedisLink
from router.stores.redis_url import RedisSettings

PATIENCE = 20.0
_numbers = count()


class Counting(Protocol):
    """Limiters that count together, and what tests do to their time."""

    @property
    def one(self) -> Limiter:
        """That of one process."""
        ...

    @property
    def other(self) -> Limiter:
        """That of another; in memory there is none, and it is the same."""
        ...

    def pass_time(self, key: str, seconds: float) -> None:
        """So much later."""

    async def in_flight(self, key: str) -> int:
        """Calls that are counted so, once all is told."""
        ...


class InMemory:
    def __init__(self) -> None:
        self.clock = Clock()
        self.one = self.other = self.limiter = MemoryLimiter(self.clock)

    def pass_time(self, key: str, seconds: float) -> None:
        self.clock.now += seconds

    async def in_flight(self, key: str) -> int:
        return self.limiter.in_flight(key)


class InRedis:
    def __init__(self, where: RedisSettings, clients: list[Redis], prefix: str) -> None:
        self.links = [RedisLink(where, timeout=PATIENCE) for _ in range(2)]
        self.one, self.other = (RedisLimiter(link, Clock(), prefix=prefix) for link in self.links)
        self.clients = clients

    def _hash(self, name: str) -> dict[str, str]:
        return cast("dict[str, str]", self._owner(name).hgetall(name))

    def _owner(self, name: str) -> Redis:
        if len(self.clients) == 1:
            return self.clients[0]
        slot: int = self.clients[0].execute_command("CLUSTER", "KEYSLOT", name)  # type: ignore[no-untyped-call]  # redis-py
        owner: Redis = self.clients[(slot > 5460) + (slot > 10922)]
        return owner

    def pass_time(self, key: str, seconds: float) -> None:
        """Nobody can set the clock of Redis: what it knows is made older instead."""
        minute, calls = self.one._keys(key)
        known, leases = self._hash(minute), self._hash(calls)
        with self._owner(minute).pipeline() as pipe:
            pipe.delete(minute)
            for second, used in known.items():
                pipe.hset(minute, str(int(second) - math.ceil(seconds)), used)
            for call, ends in leases.items():
                pipe.hset(calls, call, str(int(ends) - int(seconds * 1000)))
            pipe.execute()

    async def in_flight(self, key: str) -> int:
        for limiter in (self.one, self.other):
            for tasks in list(limiter._leaving.values()):
                await asyncio.wait(set(tasks))
        return len(self._hash(self.one._keys(key)[1]))

    async def aclose(self) -> None:
        for link in self.links:
            await link.aclose()
            assert link.stats.errors == 0


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    server = Server(tmp_path_factory.mktemp("redis")).start()
    yield server
    server.kill()


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    cluster = Cluster(tmp_path_factory.mktemp("cluster")).start()
    yield cluster
    cluster.kill()


@pytest.fixture(params=["memory", "redis", "cluster"])
async def counting(request: pytest.FixtureRequest) -> AsyncIterator[Counting]:
    if request.param == "memory":
        yield InMemory()
        return
    where = request.getfixturevalue("server" if request.param == "redis" else "cluster")
    servers = [where] if isinstance(where, Server) else where.servers
    url = f"redis://127.0.0.1:{where.port}" if isinstance(where, Server) else where.url
    made = InRedis(RedisSettings.parse(url), [each.client() for each in servers], f"limits{next(_numbers)}")
    yield made
    await made.aclose()
    for client in made.clients:
        client.close()


async def admitted(limiter: Limiter, limits: Limits, tokens: int = 0, key: str = "k") -> Ticket:
    standing = await limiter.enter(key, limits, tokens)
    assert standing.ticket is not None, standing
    return standing.ticket


async def refused(limiter: Limiter, limits: Limits, tokens: int = 0, key: str = "k") -> Standing:
    standing = await limiter.enter(key, limits, tokens)
    assert standing.ticket is None
    return standing


async def test_so_many_requests_a_minute_and_no_more(counting: Counting) -> None:
    limits = Limits(requests=3)
    for left in (2, 1, 0):
        standing = await counting.one.enter("k", limits, 0)
        assert (standing.refused, standing.requests) == (None, left)
        assert WINDOW <= standing.requests_reset <= WINDOW + 1
    standing = await refused(counting.other, limits)
    assert (standing.refused, standing.requests) == ("requests", 0)
    assert WINDOW - PATIENCE <= standing.wait <= WINDOW + 1
    await admitted(counting.one, limits, key="another's")
    counting.pass_time("k", standing.wait)
    assert (await counting.one.enter("k", limits, 0)).refused is None


async def test_tokens_are_taken_as_assumed_and_put_right_by_what_was_used(counting: Counting) -> None:
    limits = Limits(tokens=100)
    ticket = await admitted(counting.one, limits, 60)
    standing = await refused(counting.other, limits, 60)
    assert (standing.refused, standing.tokens) == ("tokens", 40)
    assert 0 < standing.wait <= WINDOW + 1
    counting.one.leave(ticket, 10)
    await counting.in_flight("k")
    second = await admitted(counting.other, limits, 60)
    counting.other.leave(second, 95)  # more than was assumed
    await counting.in_flight("k")
    assert (await refused(counting.one, limits, 1)).tokens == 0
    counting.pass_time("k", WINDOW + 1)
    assert (await counting.one.enter("k", limits, 1)).tokens == 99


async def test_what_is_told_after_its_minute_is_of_no_matter(counting: Counting) -> None:
    limits = Limits(tokens=100)
    ticket = await admitted(counting.one, limits, 60)
    counting.pass_time("k", WINDOW + 2)
    now = await admitted(counting.one, limits, 50)
    counting.one.leave(ticket, 1_000)
    await counting.in_flight("k")
    assert (await counting.one.enter("k", limits, 50)).tokens == 0
    counting.one.leave(now, 50)  # nothing to put right


async def test_a_call_larger_than_a_minute_is_let_through_alone(counting: Counting) -> None:
    limits = Limits(tokens=100)
    small = await admitted(counting.one, limits, 1)
    assert (await refused(counting.one, limits, 1_000)).refused == "tokens"
    counting.one.leave(small, 0)
    await counting.in_flight("k")
    await admitted(counting.one, limits, 1_000)
    assert (await refused(counting.other, limits, 1)).refused == "tokens"


async def test_so_many_at_a_time_whoever_lets_them_through(counting: Counting) -> None:
    limits = Limits(parallel=2)
    first, second = await admitted(counting.one, limits), await admitted(counting.other, limits)
    standing = await refused(counting.one, limits)
    assert (standing.refused, standing.wait) == ("parallel requests", 1.0)
    counting.one.leave(first, 0)
    third = await admitted(counting.one, limits)  # at once: where it was, it is known that it is over
    counting.other.leave(second, 0)
    counting.one.leave(third, 0)
    assert await counting.in_flight("k") == 0


async def test_what_is_refused_counts_as_nothing(counting: Counting) -> None:
    limits = Limits(requests=5, tokens=10, parallel=1)
    ticket = await admitted(counting.one, limits, 4)
    for _ in range(10):
        await refused(counting.one, limits, 4)
    counting.one.leave(ticket, 4)
    standing = await counting.one.enter("k", limits, 4)
    assert (standing.refused, standing.requests, standing.tokens) == (None, 3, 2)
    assert standing.ticket is not None
    counting.one.leave(standing.ticket, 4)
    standing = await refused(counting.one, limits, 4)
    assert (standing.refused, await counting.in_flight("k")) == ("tokens", 0)


@pytest.mark.parametrize("late", [False, True])
async def test_a_call_that_is_cancelled_anywhere_leaves_nothing_in_flight(counting: Counting, late: bool) -> None:
    limits, place = Limits(parallel=1), 0
    while await cancelled(counting.one.enter("k", limits, 0), place, late=late):
        place += 1
        await let_go(counting)
    await let_go(counting, 1)  # the one that was not cancelled
    assert place > 0 or isinstance(counting, InMemory)


async def let_go(counting: Counting, expected: int = 0) -> None:
    """Wait until so many are in flight: the answer to one that was cancelled may be on its way."""
    if isinstance(counting, InRedis):
        limiter = counting.one
        await eventually(lambda: not limiter._link._background._mine(), "what runs in the background")
    assert await counting.in_flight("k") == expected


async def test_a_call_in_flight_is_renewed_and_counts_for_a_while_after_a_crash(server: Server) -> None:
    limits = Limits(parallel=1)
    where = RedisSettings.parse(f"redis://127.0.0.1:{server.port}")
    links = [RedisLink(where, timeout=PATIENCE) for _ in range(2)]
    quick, other = (RedisLimiter(link, Clock(), prefix="renewal", lease=0.3) for link in links)
    with server.client() as client:
        ticket = await admitted(quick, limits)
        calls = quick._keys("k")[1]
        first = str(client.hget(calls, ticket.held))
        await eventually(lambda: str(client.hget(calls, ticket.held)) > first, "a renewal")
        assert (await refused(other, limits)).refused == "parallel requests"
        quick.leave(ticket, 0)
        await eventually(lambda: not client.exists(calls), "the end of the call")
        assert quick._renewal is None
        ticket = await admitted(quick, limits)
        assert quick._renewal is not None
        quick._renewal.cancel()  # as if its process had died
        await eventually(lambda: not client.exists(calls), "the end of its lease")
        second = await admitted(other, limits)
        quick.leave(ticket, 0)
        other.leave(second, 0)
        await eventually(lambda: not client.exists(calls), "the end of the other")
    for link in links:
        await link.aclose()


async def test_a_call_waits_for_the_word_that_the_one_before_is_over(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    limits = Limits(parallel=1)
    link = RedisLink(RedisSettings.parse(f"redis://127.0.0.1:{server.port}"), timeout=PATIENCE)
    limiter = RedisLimiter(link, Clock(), prefix="waiting")
    ticket = await admitted(limiter, limits)
    run, go = link.run, asyncio.Event()
    await asyncio.gather(*(run(("PING",)) for _ in range(4)))  # so that there are connections for all

    async def late(command: Command) -> object:
        if command[5] == ticket.held:  # the word of its end
            await go.wait()
        return await run(command)

    monkeypatch.setattr(link, "run", late)
    limiter.leave(ticket, 0)
    following = asyncio.ensure_future(limiter.enter("k", limits, 0))
    for _ in range(3):
        await run(("PING",))  # so long that an answer would have come
    go.set()
    second = (await following).ticket
    assert second is not None
    limiter.leave(second, 0)
    await eventually(lambda: not link._background._mine(), "what runs in the background")
    await link.aclose()


async def test_a_renewal_does_not_bring_back_what_is_over(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    link = RedisLink(RedisSettings.parse(f"redis://127.0.0.1:{server.port}"), timeout=PATIENCE)
    limiter = RedisLimiter(link, Clock(), prefix="overtaken")
    ticket = await admitted(limiter, Limits(parallel=1))
    run, go = link.run, asyncio.Event()
    await asyncio.gather(*(run(("PING",)) for _ in range(4)))  # so that there are connections for all

    async def late(command: Command) -> object:
        if command[2] == 1:  # a renewal: it has but one key
            await go.wait()
        return await run(command)

    monkeypatch.setattr(link, "run", late)
    limiter._renew()
    await asyncio.sleep(0)  # the renewal is on its way
    limiter.leave(ticket, 0)
    for _ in range(3):
        await run(("PING",))  # so long that a word of the end would have come
    go.set()
    await eventually(lambda: not link._background._mine(), "what runs in the background")
    with server.client() as client:
        assert not client.exists(limiter._keys("k")[1])
    assert limiter._renewal is None
    await link.aclose()


@pytest.mark.parametrize("full", [False, True])
async def test_who_leaves_when_the_answer_has_come_has_taken_nothing(
    server: Server, monkeypatch: pytest.MonkeyPatch, full: bool
) -> None:
    limits = Limits(parallel=1)
    link = RedisLink(RedisSettings.parse(f"redis://127.0.0.1:{server.port}"), timeout=PATIENCE)
    limiter = RedisLimiter(link, Clock(), prefix=f"left-{full}")
    before = [await admitted(limiter, limits)] if full else []
    asked: list[Any] = []
    for answered in (False, True):
        with monkeypatch.context() as patch:
            patch.setattr(link, "background", asked.append)
            waiting = asyncio.ensure_future(limiter.enter("k", limits, 0))
            await asyncio.sleep(0)
        if answered:
            await asked.pop()
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting
        if not answered:
            await asked.pop()
        await eventually(lambda: not link._background._mine(), "what runs in the background")
        assert len(limiter._held) == len(before)
    for ticket in before:
        limiter.leave(ticket, 0)
    tickets = [await admitted(limiter, Limits(parallel=5)) for _ in range(3)]
    for ticket in tickets:  # together
        limiter.leave(ticket, 0)
    await admitted(limiter, limits)
    await link.aclose()
    assert limiter._renewal is not None
    limiter._renewal.cancel()


async def test_while_redis_is_away_each_process_counts_for_itself(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    server = Server(tmp_path).start()
    link = RedisLink(RedisSettings.parse(f"redis://127.0.0.1:{server.port}"), timeout=1.0)
    limiter = RedisLimiter(link, Clock(), prefix="away")
    limits = Limits(requests=3, parallel=2)
    before = await admitted(limiter, limits)
    server.kill()
    leaving = asyncio.ensure_future(limiter.enter("k", limits, 0))
    await asyncio.sleep(0)
    leaving.cancel()
    await asyncio.wait({leaving})
    await eventually(lambda: not link._background._mine(), "what runs in the background")
    taken = [await admitted(limiter, limits) for _ in range(2)]
    assert (await refused(limiter, limits)).refused == "parallel requests"
    for ticket in (before, *taken):
        limiter.leave(ticket, 0)
    last = await admitted(limiter, limits)
    assert (await refused(limiter, limits)).refused == "requests"
    limiter.leave(last, 0)
    limiter._held = {"k": {"x"}}
    limiter._renew()  # comes to nothing
    await link.aclose()
    assert limiter._renewal is not None
    limiter._renewal.cancel()
    assert [record.levelname for record in caplog.records if record.name == "router.stores"] == ["WARNING"]


async def test_whoever_waits_is_told_when_the_link_is_closed(server: Server) -> None:
    link = RedisLink(RedisSettings.parse(f"redis://127.0.0.1:{server.port}"), timeout=0.5)
    limiter = RedisLimiter(link, Clock(), prefix="closed")
    await link.run(("PING",))
    server.pause()
    try:
        waiting = asyncio.ensure_future(limiter.enter("k", Limits(requests=1), 0))
        await asyncio.sleep(0)
        await link.aclose()
        assert (await waiting).ticket is not None  # memory has let it through
    finally:
        server.resume()


def grant(name: str, **more: Any) -> Grant:
    return Grant(id=name, digest=f"digest-{name}", created=1.0, **more)


@pytest.mark.parametrize("kind", ["server", "cluster"])
async def test_a_book_keeps_grants_by_every_name_they_have(
    kind: str, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(books, "MOST_KEYS", 3)
    where = request.getfixturevalue(kind)
    url = f"redis://127.0.0.1:{where.port}" if isinstance(where, Server) else where.url
    link = RedisLink(RedisSettings.parse(url), timeout=PATIENCE)
    book = KeyBook(link, link, prefix=f"book{next(_numbers)}")
    a, b = grant("a", key_alias="ann", metadata={"x": [1.5, None, "ä"]}), grant("b")
    assert [await book.save(each) for each in (a, b)] == ["saved", "saved"]
    assert await book.find("digest-a") == a
    assert await book.find("a") is None  # it is looked up by nothing else
    assert [await book.one(name) for name in ("a", "ann", "digest-a", "b", "bob")] == [a, a, a, b, None]
    assert await book.all() == [a, b]
    assert await book.save(grant("c", key_alias="ann")) == "alias"
    assert await book.save(Grant(id="c", digest="digest-a")) == "key"
    changed = grant("a", key_alias="amy")
    assert await book.save(changed, b) == "changed"
    assert await book.save(a) == "changed"
    assert await book.save(changed, a) == "saved"
    assert (await book.one("ann"), await book.one("amy")) == (None, changed)
    assert await book.save(grant("c")) == "saved"
    assert await book.save(grant("d")) == "full"
    assert [await book.drop(each) for each in (changed, changed)] == [True, False]
    assert (await book.one("amy"), await book.find("digest-a")) == (None, None)
    assert await book.save(grant("d", key_alias="amy")) == "saved"
    assert await book.drop(b)
    await link.aclose()


class Model(RuleBasedStateMachine):
    """Calls come, end and are counted; time passes."""

    def __init__(self) -> None:
        super().__init__()
        self.clock = Clock()
        self.limiter = MemoryLimiter(self.clock)
        self.limits = Limits(requests=4, tokens=100, parallel=3)
        self.taken: list[list[float]] = []
        """Time and tokens of each that was let through."""
        self.open: list[tuple[Ticket, list[float]]] = []

    def counted(self, column: int, seconds: float) -> float:
        since = self.clock.now - seconds
        return sum(each[1] if column else 1 for each in self.taken if each[0] > since)

    @rule(tokens=st.integers(1, 120))
    def enter(self, tokens: int) -> None:
        standing = self.limiter.take("k", self.limits, tokens)
        room = min(tokens, 100)
        if standing.ticket is not None:
            assert self.counted(0, WINDOW) < 4
            assert self.counted(1, WINDOW) + room <= 100
            assert len(self.open) < 3
            entry = [self.clock.now, float(tokens)]
            self.taken.append(entry)
            self.open.append((standing.ticket, entry))
            return
        full = self.counted(0, WINDOW + 1) >= 4, self.counted(1, WINDOW + 1) + room > 100, len(self.open) >= 3
        assert any(full), "there was room"
        if standing.refused != "parallel requests":
            assert 0 < standing.wait <= WINDOW + 1
            self.clock.now += standing.wait
            if len(self.open) < 3:
                again = self.limiter.take("k", self.limits, tokens)
                assert again.ticket is not None, "it was told to come again now"
                self.limiter.leave(again.ticket, 0)
                self.taken.append([self.clock.now, 0.0])

    @precondition(lambda self: self.open)
    @rule(data=st.data(), used=st.integers(0, 300))
    def leave(self, data: st.DataObject, used: int) -> None:
        ticket, entry = self.open.pop(data.draw(st.integers(0, len(self.open) - 1)))
        entry[1] = used
        self.limiter.leave(ticket, used)

    @rule(seconds=st.floats(0, 90) | st.floats(0, 1) | st.floats(WINDOW - 1, WINDOW + 1))
    def wait(self, seconds: float) -> None:
        self.clock.now += seconds

    @invariant()
    def as_many_are_in_flight_as_have_not_ended(self) -> None:
        assert self.limiter.in_flight("k") == len(self.open)


Model.TestCase.settings = settings(max_examples=60, stateful_step_count=40, deadline=None)
TestModel = Model.TestCase
