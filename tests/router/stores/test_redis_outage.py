"""Redis killed, paused, deaf, read-only, refusing: no call fails, one warning, and back by itself."""

from __future__ import annotations

import asyncio
import logging
import weakref
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TypeVar

import pytest
from fakes import Clock
from redis.exceptions import BusyLoadingError
from redis_servers import Cluster, Server, Watched, eventually, until

from router.stores.board import RedisCooldownBoard
from router.stores.memory import MemoryStore
from router.stores.outbox import Pin
from router.stores.redis import RedisStore
from router.stores.redis_client import Command, RedisClient
from router.stores.redis_link import OutageError, RedisLink, _send_all
from router.stores.redis_url import RedisSettings

T = TypeVar("T")
SHORT = 0.5
"""Bound of operations that are to run into it."""
OpenStore = Callable[..., RedisStore]
SettingsOf = Callable[[str], RedisSettings]


@pytest.fixture
def log(caplog: pytest.LogCaptureFixture) -> Callable[[int], list[str]]:
    caplog.set_level(logging.INFO, "router.stores")
    return lambda level: [record.getMessage() for record in caplog.records if record.levelno == level]


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


@contextmanager
def in_a_hurry(store: RedisStore) -> Iterator[None]:
    """Give operations no more than `SHORT`; before and after they have all the time a busy machine may want."""
    patience, store._link.timeout = store._link.timeout, SHORT
    try:
        yield
    finally:
        store._link.timeout = patience


async def back(store: RedisStore, recoveries: int = 1) -> None:
    await eventually(lambda: store.stats.recoveries >= recoveries, "recovery")


async def use(store: RedisStore, number: int) -> None:
    await store.set(f"new_{number}", "d1", ttl=60)
    await store.get("known")
    await store.get(f"unknown_{number}")
    await store.delete(f"gone_{number}")


async def test_killed_and_started_again(frail: Server, open_store: OpenStore, log: Callable[[int], list[str]]) -> None:
    store, other = open_store(settings_for(frail)), open_store(settings_for(frail))
    await store.set("known", "d1", ttl=60)
    await store.set("gone_0", "d1", ttl=60)
    frail.kill()
    await asyncio.gather(*(use(store, number) for number in range(40)))
    assert store.stats.outages == 1
    assert at_once(store.get("known")) == "d1"
    assert at_once(store.get("unknown")) is None
    at_once(store.set("later", "d2", ttl=60))
    at_once(store.delete("known"))
    assert at_once(store.get("known")) is None
    assert store.stats.blind > 0
    frail.start()
    await back(store)
    assert (store.waiting, store.stats.dropped) == (0, 0)
    assert [await other.get(key) for key in ("new_0", "new_39", "later", "known")] == ["d1", "d1", "d2", None]
    (warning,), (notice,) = log(logging.WARNING), log(logging.INFO)
    assert f"127.0.0.1:{frail.port}" in warning
    assert "is back" in notice


async def test_several_in_an_outage(frail: Server, open_store: OpenStore) -> None:
    store = open_store(settings_for(frail))
    await store.set("known", "d1", ttl=60)
    frail.kill()
    assert await store.get_many(["known", "a", "b"]) == {"known": "d1"}
    assert (store.stats.outages, store.stats.blind) == (1, 2)
    assert at_once(store.get_many(["known", "a", "b"])) == {"known": "d1"}
    values = {f"item:{number}": "d1" for number in range(300)}
    at_once(store.set_many(values, ttl=60))
    assert store.waiting == 300
    frail.start()
    await back(store)
    assert (store.waiting, store.stats.dropped) == (0, 0)
    assert await open_store(settings_for(frail)).get_many(list(values)) == values


async def test_several_that_find_redis_gone_wait(frail: Server, open_store: OpenStore) -> None:
    store = open_store(settings_for(frail))
    await store.set("known", "d1", ttl=60)
    frail.kill()
    values = {f"item:{number}": "d1" for number in range(300)}
    await store.set_many(values, ttl=60)
    await eventually(lambda: store.stats.outages, "outage")
    assert store.waiting == 300
    frail.start()
    await back(store)
    assert await open_store(settings_for(frail)).get_many(list(values)) == values


async def test_several_that_a_demoted_master_refuses_wait(frail: Server, open_store: OpenStore) -> None:
    store = open_store(settings_for(frail))
    with frail.client() as client:
        client.replicaof("127.0.0.1", "1")
        await store.set_many({"a": "d1", "b": "d1"}, ttl=60)
        await eventually(lambda: store.stats.outages, "outage")
        assert (store.waiting, store.stats.dropped) == (2, 0)
        client.replicaof("NO", "ONE")
    await back(store)
    assert await open_store(settings_for(frail)).get_many(["a", "b"]) == {"a": "d1", "b": "d1"}


async def test_closing_in_an_outage_waits_for_nothing(frail: Server, open_store: OpenStore) -> None:
    store = open_store(settings_for(frail))
    frail.kill()
    await store.set("a", "d1", ttl=60)
    at_once(store.set_many({"b": "d1"}, ttl=60))
    await store.aclose()
    assert store.waiting == 2


async def test_paused_and_resumed(frail: Server, open_store: OpenStore, log: Callable[[int], list[str]]) -> None:
    store = open_store(settings_for(frail))
    await store.set("known", "d1", ttl=60)
    await store.set("gone_0", "d1", ttl=60)
    frail.pause()
    try:
        with in_a_hurry(store):
            await asyncio.gather(*(use(store, number) for number in range(100)))
        assert at_once(store.get("known")) == "d1"
        at_once(store.delete("gone_0"))
    finally:
        frail.resume()
    await back(store)
    assert store.waiting == 0
    other = open_store(settings_for(frail))
    assert [await other.get(key) for key in ("new_0", "new_99", "gone_0", "known")] == ["d1", "d1", None, "d1"]
    assert len(log(logging.WARNING)) == 1


async def test_outages_follow_one_another(frail: Server, open_store: OpenStore) -> None:
    store = open_store(settings_for(frail))
    for number in (1, 2, 3):
        frail.kill()
        await store.set(f"k{number}", "d1", ttl=60)
        assert store.stats.outages == number
        frail.start()
        await back(store, number)
        assert await open_store(settings_for(frail)).get(f"k{number}") == "d1"


class Deaf:
    """Takes connections and never says a word."""

    def __init__(self) -> None:
        self.connections = 0
        self._writers: list[asyncio.StreamWriter] = []

    async def open(self) -> None:
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", 0)
        self.port: int = self._server.sockets[0].getsockname()[1]

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        self._writers.append(writer)

    async def close(self) -> None:
        self._server.close()
        for writer in self._writers:
            writer.transport.abort()


@pytest.fixture
async def deaf() -> AsyncIterator[Deaf]:
    deaf = Deaf()
    await deaf.open()
    yield deaf
    await deaf.close()


@pytest.mark.parametrize("form", ["redis://{}", "redis+cluster://{}", "redis+sentinel://{}/main"])
async def test_a_server_that_never_answers(
    deaf: Deaf, form: str, open_store: OpenStore, log: Callable[[int], list[str]]
) -> None:
    store = open_store(RedisSettings.parse(form.format(f"127.0.0.1:{deaf.port}")), timeout=SHORT)
    await asyncio.gather(*(use(store, number) for number in range(100)))
    connections = deaf.connections
    for number in range(100):
        at_once(store.set(f"more_{number}", "d1", ttl=60))
    assert deaf.connections == connections
    assert store.stats.outages == len(log(logging.WARNING)) == 1
    await eventually(lambda: deaf.connections > connections, "a probe")
    assert store.stats.recoveries == 0


async def test_what_waits_is_bounded(frail: Server, open_store: OpenStore) -> None:
    store = open_store(settings_for(frail), max_waiting=3)
    frail.kill()
    for number in range(5):
        await store.set(f"k{number}", "d1", ttl=60)
    assert (store.waiting, store.stats.dropped) == (3, 2)
    frail.start()
    await back(store)
    other = open_store(settings_for(frail))
    assert [await other.get(f"k{number}") for number in range(5)] == [None, None, "d1", "d1", "d1"]


async def test_a_pin_of_the_outage_does_not_displace_a_newer_one(frail: Server, open_store: OpenStore) -> None:
    store, other = open_store(settings_for(frail)), open_store(settings_for(frail))
    frail.pause()
    try:
        with in_a_hurry(store):
            await store.set("resp_1", "d1", ttl=60)
    finally:
        frail.resume()
    await other.set("resp_1", "d2", ttl=60)
    await back(store)
    first = await open_store(settings_for(frail)).get("resp_1")
    assert first in {"d1", "d2"}  # whichever came first
    assert await store.get("resp_1") == await other.get("resp_1") == first


async def test_a_write_of_the_outage_that_redis_refuses_is_dropped(frail: Server, open_store: OpenStore) -> None:
    store = open_store(settings_for(frail), prefix="homing")
    frail.kill()
    await store.set("a", "d1", ttl=60)
    await store.set("b", "d1", ttl=60)
    with frail.start().client() as client:
        client.lpush("homing:pin:a", "not", "a", "pin")
    await back(store)
    assert (store.waiting, store.stats.dropped, store.stats.outages) == (0, store.stats.dropped, 1)
    assert await open_store(settings_for(frail), prefix="homing").get("b") == "d1"


async def test_renewals_rest_while_redis_is_away(frail: Server, open_store: OpenStore) -> None:
    clock = Clock()
    store = open_store(settings_for(frail), memory=MemoryStore(clock=clock))
    await store.set("known", "d1", ttl=100)
    frail.kill()
    await store.get("unknown")
    clock.advance(20)
    assert at_once(store.get("known")) == "d1"
    assert store.waiting == 0
    frail.start()
    await back(store)
    await store.get("known")
    await eventually(lambda: store.stats.flushed, "renewal")


async def test_a_renewal_that_finds_redis_gone_waits(frail: Server, open_store: OpenStore) -> None:
    clock = Clock()
    store = open_store(settings_for(frail), memory=MemoryStore(clock=clock))
    await store.set("known", "d1", ttl=100)
    frail.kill()
    clock.advance(20)
    assert await store.get("known") == "d1"
    await eventually(lambda: store.stats.outages, "outage")
    frail.start()
    await back(store)
    assert await open_store(settings_for(frail)).get("known") == "d1"


async def test_a_read_only_server_stays_given_up(
    frail: Server, folder: Path, open_store: OpenStore, log: Callable[[int], list[str]]
) -> None:
    """As a master that was failed over: it answers a ping, and refuses what we need."""
    with frail.client() as client:
        client.replicaof("127.0.0.1", "1")
        store = open_store(settings_for(frail))
        await store.set("resp_1", "d1", ttl=60)
        asked = client.info("stats")["total_commands_processed"]
        await eventually(lambda: client.info("stats")["total_commands_processed"] > asked + 20, "probes")
        assert (store.stats.outages, store.stats.recoveries) == (1, 0)
        client.replicaof("NO", "ONE")
    await back(store)
    assert await open_store(settings_for(frail)).get("resp_1") == "d1"
    assert len(log(logging.WARNING)) == 1


@pytest.mark.parametrize("password", ["hunter2", None])
async def test_a_password_is_not_told(
    guarded: Server, password: str | None, open_store: OpenStore, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG, "router.stores")
    store = open_store(RedisSettings.parse(host="127.0.0.1", port=guarded.port, password=password))
    await store.set("resp_1", "d1", ttl=60)
    assert await store.get("resp_1") == "d1"
    await eventually(lambda: any("still away" in record.getMessage() for record in caplog.records), "a probe")
    assert store.stats.outages == 1
    assert "hunter2" not in caplog.text


def test_a_password_that_a_server_repeats_is_not_told() -> None:
    settings = RedisSettings.parse("redis+sentinel://:hunter2@h/m?sentinel_password=hunter3")
    assert settings.redact("unknown command AUTH hunter2 hunter3") == "unknown command AUTH *** ***"


async def test_a_failure_from_before_an_outage_does_not_count_as_another(frail: Server) -> None:
    link = RedisLink(settings_for(frail), timeout=20)
    await link.run(("PING",))
    slow = asyncio.create_task(link.run(("BLPOP", "nothing", 0)))
    with frail.client() as client:
        await eventually(lambda: client.info("clients")["blocked_clients"], "a waiting call")
        with pytest.raises(OutageError):
            await link.run(("GET",))
        await eventually(lambda: link.stats.recoveries, "recovery")
        client.client_kill_filter(_type="normal")
    with pytest.raises(OutageError):
        await slow
    assert (link.stats.errors, link.stats.outages, link.down) == (2, 1, False)
    await link.aclose()


async def test_a_failure_beside_one_that_is_known_is_no_news(frail: Server, log: Callable[[int], list[str]]) -> None:
    """As when two threads find out together."""
    link = RedisLink(settings_for(frail), timeout=20)
    slow = asyncio.create_task(link.run(("BLPOP", "nothing", 0)))
    with frail.client() as client:
        await eventually(lambda: client.info("clients")["blocked_clients"], "a waiting call")
        link._circuit.trip(weakref.WeakMethod(link._probe))
        client.client_kill_filter(_type="normal")
    with pytest.raises(OutageError):
        await slow
    assert (link.stats.outages, log(logging.WARNING)) == (0, [])
    await eventually(lambda: not link.down, "recovery")
    await link.aclose()


async def test_a_second_probe_that_succeeds_is_no_news(frail: Server, log: Callable[[int], list[str]]) -> None:
    link = RedisLink(settings_for(frail), timeout=20)
    await link.run(("PING",))
    assert await link._probe()
    assert (link.stats.recoveries, log(logging.INFO)) == (0, [])
    await link.aclose()


async def test_a_write_that_fails_when_redis_is_back_is_sent_again(
    frail: Server, open_store: OpenStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As one that began before the outage and took longer."""
    store = open_store(settings_for(frail))

    async def late(command: Command) -> object:
        raise OutageError

    with monkeypatch.context() as patch:
        patch.setattr(store._link, "run", late)
        await store.set("resp_1", "d1", ttl=60)
    await eventually(lambda: store.stats.flushed, "the write")
    assert await open_store(settings_for(frail)).get("resp_1") == "d1"


async def test_a_batch_that_fails_when_redis_is_back_is_sent_again(
    frail: Server, open_store: OpenStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As one that began before the outage, and was in nobody's sight when the rest was sent."""
    store = open_store(settings_for(frail))
    real, failed = store._link.run_all, asyncio.Event()

    async def late(commands: Sequence[Command]) -> list[object]:
        if not failed.is_set():
            failed.set()
            raise OutageError
        return await real(commands)

    monkeypatch.setattr(store._link, "run_all", late)
    await store.set_many({"item:1": "d1", "item:2": "d1"}, ttl=60)
    await failed.wait()
    await eventually(lambda: store.stats.flushed == 2, "the writes")
    assert store.waiting == 0
    failed.clear()
    await store._link._finish(store)
    assert not failed.is_set(), "nothing waits: nothing is sent"
    store._outbox.put("item:3", Pin("d1", 60, None))
    await store._link._finish(store)
    assert (store.waiting, store.stats.flushed) == (0, 3)
    assert await open_store(settings_for(frail)).get("item:3") == "d1"


async def test_a_client_that_cannot_be_made(
    frail: Server, open_store: OpenStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = open_store(settings_for(frail))

    def fail() -> RedisClient:
        raise OSError("no more files")

    with monkeypatch.context() as patch:
        patch.setattr(store._link, "_open", fail)
        await store.set("resp_1", "d1", ttl=60)
        assert await store.get("resp_1") == "d1"
        assert await store._link._probe() is False
    assert store.stats.outages == 1
    await back(store)


async def test_a_server_that_is_loading_fails_a_batch() -> None:
    class Loading(RedisClient):
        def __init__(self) -> None:
            """Connects to nothing."""

        async def run_all(self, commands: Sequence[Command]) -> list[object]:
            return ["OK", BusyLoadingError("loading")]

    with pytest.raises(BusyLoadingError):
        await _send_all(Loading(), [("PING",), ("PING",)])


async def test_a_cancelled_call_is_cancelled(frail: Server) -> None:
    link = RedisLink(settings_for(frail), timeout=20)
    await link.run(("PING",))
    slow = asyncio.create_task(link.run(("BLPOP", "nothing", 0)))
    with frail.client() as client:
        await eventually(lambda: client.info("clients")["blocked_clients"], "a waiting call")
    slow.cancel()
    with pytest.raises(asyncio.CancelledError):
        await slow
    assert link.stats.errors == 0
    assert await link.run(("ECHO", "hello")) == "hello"
    await link.aclose()


async def test_a_cluster_node_paused(
    cluster: Cluster, settings_of: SettingsOf, open_store: OpenStore, log: Callable[[int], list[str]]
) -> None:
    store = open_store(settings_of("cluster"))
    await asyncio.gather(*(store.set(f"k{number}", "d1", ttl=60) for number in range(20)))
    cluster.servers[1].pause()
    try:
        with in_a_hurry(store):
            await asyncio.gather(*(use(store, number) for number in range(50)))
    finally:
        cluster.servers[1].resume()
    await back(store)
    other = open_store(settings_of("cluster"))
    assert [await other.get(f"new_{number}") for number in range(50)] == ["d1"] * 50
    assert store.stats.outages == len(log(logging.WARNING)) == 1


async def test_sentinels_name_another_master(folder: Path, open_store: OpenStore) -> None:
    watched = Watched(folder / "failover").start()
    try:
        settings = RedisSettings.parse(watched.url)
        store = open_store(settings)
        await store.set("before", "d1", ttl=60)
        with watched.replica.client() as client:
            until(lambda: client.dbsize() == 1, "replication")
        watched.kill_master()
        watched.sentinels[0].pause()
        with in_a_hurry(store):
            await store.set("during", "d2", ttl=60)
        assert await store.get("before") == "d1"
        watched.sentinels[0].resume()
        await back(store)
        watched.await_failover()  # they find out one after the other
        other = open_store(settings)
        assert [await other.get("before"), await other.get("during")] == ["d1", "d2"]
    finally:
        watched.kill()


async def test_a_board_without_redis(frail: Server) -> None:
    link = RedisLink(settings_for(frail), timeout=20)
    board = RedisCooldownBoard(link)
    frail.kill()
    await board.publish("d1", "rate", 60)
    assert await board.read() is None
    await board.clear("d1")
    frail.start()
    await eventually(lambda: link.stats.recoveries, "recovery")
    assert await board.read() == {}
    await board.aclose()


async def test_a_cancellation_that_the_client_swallows_is_heeded(server: Server, open_store: OpenStore) -> None:
    store = open_store(settings_for(server))
    link = store._link
    begun = asyncio.Event()

    async def swallow(client: object) -> str:
        begun.set()
        with suppress(asyncio.CancelledError):
            await asyncio.Event().wait()
        return "as if nothing had happened"

    task = asyncio.create_task(link._bounded(swallow))
    await begun.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert not link.down


async def test_what_waits_is_not_sent_into_another_outage(frail: Server, open_store: OpenStore) -> None:
    link = open_store(settings_for(frail), timeout=SHORT)._link
    asked = 0

    class Waiting:
        def probes(self) -> list[Command]:
            return []

        async def recover(self, send: object) -> None:
            nonlocal asked
            asked += 1
            frail.kill()
            await link.run(("PING",))  # Redis has gone again

    await link._finish(Waiting())
    assert link.down
    assert asked == 1
