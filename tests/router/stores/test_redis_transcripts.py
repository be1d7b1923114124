"""Transcripts in Redis: shared, renewed, and no call fails when it is away."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import AsyncIterator, Callable, Coroutine
from dataclasses import dataclass
from typing import Any, TypeVar

import pytest
from fakes import Clock
from redis_servers import Server, eventually

from checks.affinity.transcript import TranscriptStore, Turn, encode
from router.stores.redis_link import OutageError, RedisLink
from router.stores.redis_transcripts import RedisTranscripts
from router.stores.redis_url import RedisSettings
from router.stores.transcripts import MemoryTranscripts

T = TypeVar("T")
SettingsOf = Callable[[str], RedisSettings]
OpenTranscripts = Callable[..., RedisTranscripts]
PATIENCE = 20.0
"""Bound of operations that are to succeed: a slow machine is no outage."""
SHARED = ["tcp", "password", "cluster", "sentinel"]


def turn(name: str = "resp_1", text: str = "hello", *, finished: bool = True) -> Turn:
    return Turn(name, None, ({"role": "user", "content": text},), (), finished=finished)


def data(turn: Turn) -> str:
    encoded = encode(turn)
    assert encoded is not None
    return b64encode(encoded).decode()


@pytest.fixture
async def open_transcripts(prefix: str) -> AsyncIterator[OpenTranscripts]:
    """Makes stores, each with a link of its own; closes them in the end. `options` are the memory's."""
    stores: list[RedisTranscripts] = []

    def make(
        settings: RedisSettings, *, max_waiting: int = 100, timeout: float = PATIENCE, **options: Any
    ) -> RedisTranscripts:
        link, memory = RedisLink(settings, timeout=timeout), MemoryTranscripts(**options)
        stores.append(RedisTranscripts(link, memory, prefix=prefix, max_waiting=max_waiting))
        return stores[-1]

    yield make
    for store in stores:
        await store.aclose()


@dataclass
class Pair:
    """Two Routers' stores on one Redis, and a look behind them."""

    one: RedisTranscripts
    other: RedisTranscripts
    raw: RedisLink
    clock: Clock
    """Of `one`."""
    prefix: str

    async def ask(self, command: str, key: str, *more: str | int) -> object:
        return await self.raw.run((command, f"{self.prefix}:turn:{key}", *more))

    async def lifetime(self, key: str) -> float:
        """Seconds that Redis will keep it."""
        left = await self.ask("PTTL", key)
        assert isinstance(left, int)
        return left / 1000


@pytest.fixture(params=SHARED)
async def pair(
    request: pytest.FixtureRequest, settings_of: SettingsOf, open_transcripts: OpenTranscripts, prefix: str
) -> AsyncIterator[Pair]:
    settings = settings_of(request.param)
    raw, clock = RedisLink(settings, timeout=PATIENCE), Clock()
    yield Pair(open_transcripts(settings, clock=clock), open_transcripts(settings), raw, clock, prefix)
    await raw.aclose()


async def test_a_turn_is_shared(pair: Pair) -> None:
    store: TranscriptStore = pair.one
    await store.put(turn(), ttl=60)
    assert await pair.one.get("resp_1") == turn()
    assert await pair.other.get("resp_1") == turn()
    assert await pair.other.get("resp_1") == turn()
    assert await pair.other.get("resp_2") is None
    stats = pair.other.stats
    assert (stats.shared_hits, stats.hits, stats.misses) == (1, 1, 1)
    assert (pair.one.stats.hits, pair.one.stats.shared_hits) == (1, 0)


async def test_a_deletion_is_shared(pair: Pair) -> None:
    await pair.one.put(turn(), ttl=60)
    await pair.one.delete("resp_1")
    assert await pair.one.get("resp_1") is None
    assert await pair.other.get("resp_1") is None


async def test_who_has_used_a_turn_learns_of_its_deletion_when_asked_to_look(pair: Pair) -> None:
    await pair.one.put(turn(), ttl=60)
    assert await pair.other.get("resp_1") == turn()
    assert await pair.other.get("resp_1", fresh=True) == turn()
    await pair.one.delete("resp_1")
    assert await pair.other.get("resp_1") == turn(), "memory answers alone"
    pair.clock.advance(59)
    assert await pair.other.get("resp_1", fresh=True) is None
    assert await pair.other.get("resp_1") is None
    assert pair.other.waiting == 0, "what was deleted isn't put back"


async def test_redis_forgets_after_the_time_to_live_unless_it_is_read(pair: Pair) -> None:
    await pair.one.put(turn(), ttl=60)
    assert 50 < await pair.lifetime("resp_1") <= 60
    await pair.ask("PEXPIRE", "resp_1", 20_000)
    assert await pair.other.get("resp_1") == turn()
    assert pair.other._link._background._tasks, "renewal is nobody's to wait for"
    await eventually(lambda: not pair.other._link._background._tasks, "renewal")
    assert 50 < await pair.lifetime("resp_1") <= 60


async def test_reading_from_memory_renews_a_tenth_later(pair: Pair) -> None:
    await pair.one.put(turn(), ttl=600)
    await pair.ask("DEL", "resp_1")
    pair.clock.advance(60)
    await pair.one.get("resp_1")
    assert pair.one.waiting == 0
    pair.clock.advance(1)
    await pair.one.get("resp_1")
    await pair.one.get("resp_1")
    assert pair.one.waiting == 1
    await eventually(lambda: not pair.one._link._background._tasks, "renewal")
    assert await pair.other.get("resp_1") == turn()
    assert 500 < await pair.lifetime("resp_1") <= 600


async def test_the_end_of_an_unfinished_turn_is_learnt(pair: Pair) -> None:
    await pair.one.put(turn(finished=False), ttl=60)
    assert await pair.one.get("resp_1") == turn(finished=False)
    await pair.other.put(turn(text="the end"), ttl=60)
    assert await pair.one.get("resp_1") == turn(text="the end")
    await pair.one.put(turn("resp_2", finished=False), ttl=60)
    await pair.ask("DEL", "resp_2")
    assert await pair.one.get("resp_2") == turn("resp_2", finished=False)
    assert pair.one.stats.misses == 0


async def test_a_turn_too_large_is_kept_nowhere(pair: Pair, open_transcripts: OpenTranscripts) -> None:
    small = open_transcripts(pair.one._link._settings, max_turn_bytes=10)
    await pair.one.put(turn(), ttl=60)
    await small.put(turn(), ttl=60)
    assert small.stats.oversized == 1
    assert await pair.other.get("resp_1") is None


@pytest.mark.parametrize("ttl", [0.0001, 1e9, float("inf")])
async def test_any_time_to_live(ttl: float, settings_of: SettingsOf, open_transcripts: OpenTranscripts) -> None:
    store = open_transcripts(settings_of("tcp"))
    await store.put(turn(), ttl=ttl)
    other = open_transcripts(settings_of("tcp"))
    await other.get("resp_1")
    await eventually(lambda: not other._link._background._tasks, "renewal")
    assert (store._link.stats.errors, other._link.stats.errors) == (0, 0)


async def test_a_time_to_live_is_above_zero(settings_of: SettingsOf, open_transcripts: OpenTranscripts) -> None:
    with pytest.raises(ValueError, match="ttl"):
        await open_transcripts(settings_of("tcp")).put(turn(), ttl=0)


@pytest.mark.parametrize(
    "value",
    [
        "",
        "hello",
        "60000 ",
        "60000 AQ==",
        "60000 é",
        f"0 {data(turn())}",
        f"x {data(turn())}",
        f"{10**20} {data(turn())}",
        f"{'9' * 5000} {data(turn())}",
    ],
)
async def test_what_another_program_wrote_is_no_turn(
    value: str, settings_of: SettingsOf, open_transcripts: OpenTranscripts, prefix: str
) -> None:
    store = open_transcripts(settings_of("tcp"))
    await store._link.run(("SET", f"{prefix}:turn:resp_1", value))
    assert await store.get("resp_1") is None
    assert (store.stats.unreadable, store.stats.misses) == (1, 1)
    assert store._link.stats.errors == 0


# outages


def settings_for(server: Server) -> RedisSettings:
    return RedisSettings.parse(f"redis://127.0.0.1:{server.port}")


def at_once(work: Coroutine[object, object, T]) -> T:
    """What `work` returns; fails if it waits for anything at all."""
    try:
        work.send(None)
    except StopIteration as end:
        result: T = end.value
        return result
    work.close()
    raise AssertionError("it waits")


async def well_again(store: RedisTranscripts) -> None:
    await eventually(lambda: store._link.stats.recoveries and not store.waiting, "recovery")
    await eventually(lambda: not store._link._background._tasks, "what was sent later")


async def test_what_redis_has_not_been_told_is_not_taken_for_deleted(
    frail: Server, open_transcripts: OpenTranscripts
) -> None:
    store = open_transcripts(settings_for(frail))
    await store.put(turn("old"), ttl=60)
    frail.kill()
    await store.put(turn("new"), ttl=60)
    for name in ("old", "new"):
        assert await store.get(name, fresh=True) == turn(name)
    frail.start()
    await well_again(store)
    assert await store.get("new", fresh=True) == turn("new")


async def test_memory_answers_alone_and_redis_is_told_later(frail: Server, open_transcripts: OpenTranscripts) -> None:
    store = open_transcripts(settings_for(frail))
    await store.put(turn("old"), ttl=60)
    frail.kill()
    await store.put(turn("first"), ttl=60)
    at_once(store.put(turn("second"), ttl=60))
    at_once(store.put(turn("gone"), ttl=60))
    at_once(store.delete("gone"))
    assert at_once(store.get("first")) == turn("first")
    assert at_once(store.get("elsewhere")) is None
    assert store.waiting == 3
    frail.start()
    await well_again(store)
    other = open_transcripts(settings_for(frail))
    assert [await other.get(name) for name in ("first", "second", "gone")] == [turn("first"), turn("second"), None]


async def test_a_deletion_reaches_redis_when_it_is_back(frail: Server, open_transcripts: OpenTranscripts) -> None:
    store = open_transcripts(settings_for(frail), timeout=0.5)
    store._link.timeout = PATIENCE
    await store.put(turn(), ttl=60)
    store._link.timeout = 0.5
    frail.pause()
    await store.delete("resp_1")
    at_once(store.delete("resp_1"))
    assert store.waiting == 1
    frail.resume()
    await well_again(store)
    assert await open_transcripts(settings_for(frail)).get("resp_1") is None


async def test_only_so_many_writes_wait(frail: Server, open_transcripts: OpenTranscripts) -> None:
    frail.kill()
    store = open_transcripts(settings_for(frail), max_waiting=2)
    for name in "abc":
        await store.put(turn(name), ttl=60)
    assert (store.waiting, store.stats.dropped) == (2, 1)


async def test_what_has_left_memory_is_not_sent_but_counted(frail: Server, open_transcripts: OpenTranscripts) -> None:
    frail.kill()
    store = open_transcripts(settings_for(frail), max_entries=1)
    await store.put(turn("a"), ttl=60)
    await store.put(turn("b"), ttl=60)
    assert (store.waiting, store.stats.evicted) == (2, 1)
    frail.start()
    await well_again(store)
    assert store.stats.dropped == 1


async def test_nothing_is_renewed_in_an_outage(frail: Server, open_transcripts: OpenTranscripts) -> None:
    clock = Clock()
    store = open_transcripts(settings_for(frail), clock=clock)
    await store.put(turn(), ttl=60)
    frail.kill()
    await store.get("elsewhere")
    clock.advance(30)
    assert at_once(store.get("resp_1")) == turn()
    assert store.waiting == 0
    frail.start()
    await well_again(store)
    await store.get("resp_1")
    await eventually(lambda: not store._link._background._tasks, "renewal")
    assert await open_transcripts(settings_for(frail)).get("resp_1") == turn()


async def test_a_renewal_that_fails_costs_nobody_anything(frail: Server, open_transcripts: OpenTranscripts) -> None:
    clock = Clock()
    store = open_transcripts(settings_for(frail), clock=clock)
    await store.put(turn(), ttl=60)
    reader = open_transcripts(settings_for(frail))
    held = await reader._link.run(("GET", reader._name("resp_1")))
    frail.kill()
    assert isinstance(held, str)
    assert await reader._learn("resp_1", held) == turn()
    clock.advance(30)
    assert at_once(store.get("resp_1")) == turn()
    await eventually(lambda: store._link.down and reader._link.down, "the outage")
    assert store.waiting == 1
    frail.start()
    await well_again(store)
    assert await open_transcripts(settings_for(frail)).get("resp_1") == turn()


async def test_a_link_raises_but_a_store_does_not(frail: Server, open_transcripts: OpenTranscripts) -> None:
    frail.kill()
    store = open_transcripts(settings_for(frail))
    with pytest.raises(OutageError):
        await store._link.run(("PING",))
    await store.put(turn(), ttl=60)
    await store.delete("resp_1")
    assert await store.get("resp_1") is None
