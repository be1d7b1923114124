"""Event loops that come and go, in one thread and in several; processes that end; links that are dropped."""

from __future__ import annotations

import asyncio
import gc
import logging
import subprocess
import sys
import threading
import weakref
from collections.abc import Callable, Coroutine
from concurrent.futures import ThreadPoolExecutor

import pytest
from redis_servers import Server, TlsFront, eventually, free_port

from router.stores.memory import MemoryStore
from router.stores.redis import RedisStore
from router.stores.redis_link import RedisLink
from router.stores.redis_url import RedisSettings

SettingsOf = Callable[[str], RedisSettings]
EVERY = ["tcp", "tls", "cluster", "sentinel"]


def settings_for(server: Server) -> RedisSettings:
    return RedisSettings.parse(f"redis://127.0.0.1:{server.port}")


def store_on(settings: RedisSettings, prefix: str, timeout: float = 20) -> RedisStore:
    """By default with a bound that no slow machine reaches; with room for one pin, so that Redis has to answer."""
    return RedisStore(RedisLink(settings, timeout=timeout), MemoryStore(max_entries=1), prefix=prefix)


async def use(store: RedisStore, name: str, count: int = 20) -> None:
    await asyncio.gather(*(store.set(f"{name}{number}", name, ttl=60) for number in range(count)))
    found = await asyncio.gather(*(store.get(f"{name}{number}") for number in range(count)))
    assert found == [name] * count


@pytest.mark.parametrize("kind", EVERY)
def test_loops_that_end_in_good_order(kind: str, settings_of: SettingsOf, prefix: str) -> None:
    store = store_on(settings_of(kind), prefix)
    for name in ("a", "b", "c"):
        asyncio.run(use(store, name))  # without a word to the store; tests fail for what is left open
        gc.collect()
    assert store.stats.errors == 0


@pytest.mark.parametrize("closed_by", ["the next loop", "aclose", "nobody"])
@pytest.mark.parametrize("kind", EVERY)
def test_loops_that_are_just_closed(kind: str, closed_by: str, settings_of: SettingsOf, prefix: str) -> None:
    store = store_on(settings_of(kind), prefix)

    def run(work: Coroutine[object, object, None]) -> None:
        loop = asyncio.new_event_loop()
        loop.run_until_complete(work)
        loop.close()

    run(use(store, "a"))
    if closed_by == "the next loop":
        asyncio.run(use(store, "b"))
    elif closed_by == "aclose":
        asyncio.run(store.aclose())
    assert store.stats.errors == 0
    del store
    gc.collect()


def test_loops_in_two_threads(settings_of: SettingsOf, prefix: str) -> None:
    store = store_on(settings_of("tcp"), prefix)

    async def work(name: str) -> None:
        for _ in range(10):
            await use(store, name)

    with ThreadPoolExecutor(2) as threads:
        list(threads.map(lambda name: asyncio.run(work(name)), ["a", "b"]))
    assert (store.stats.errors, store.stats.shared_hits + store.stats.hits) == (0, 400)


def test_an_outage_in_two_threads(frail: Server, prefix: str, caplog: pytest.LogCaptureFixture) -> None:
    """Each loop finds Redis gone and back, though only one of them sees to it."""
    store = store_on(settings_for(frail), prefix)
    up, down, again = (threading.Barrier(3) for _ in range(3))

    async def work(name: str) -> None:
        await use(store, name)
        await asyncio.to_thread(up.wait, 20)
        await asyncio.to_thread(down.wait, 20)
        await asyncio.gather(*(store.set(f"late{name}{number}", name, ttl=60) for number in range(20)))
        await asyncio.to_thread(again.wait, 20)
        await eventually(lambda: store.stats.recoveries, "recovery")
        await use(store, name)

    with ThreadPoolExecutor(2) as threads:
        jobs = [threads.submit(asyncio.run, work(name)) for name in ("a", "b")]
        up.wait(20)
        frail.kill()
        down.wait(20)
        again.wait(20)
        frail.start()
        for job in jobs:
            job.result(30)
    gc.collect()
    assert (store.stats.outages, store.stats.recoveries, store.waiting) == (1, 1, 0)
    assert [record.levelname for record in caplog.records if record.name == "router.stores"] == ["WARNING"]
    with frail.client() as client:
        assert len(client.keys(f"{prefix}:pin:late*")) == 40


@pytest.mark.parametrize("orderly", [True, False])
def test_the_next_loop_goes_on_probing(frail: Server, prefix: str, orderly: bool) -> None:
    store = store_on(settings_for(frail), prefix)

    def run(work: Coroutine[object, object, None]) -> None:
        if orderly:
            asyncio.run(work)
        else:
            loop = asyncio.new_event_loop()
            loop.run_until_complete(work)
            loop.close()

    frail.kill()
    run(store.set("a", "d1", ttl=60))
    assert (store.stats.outages, store.waiting) == (1, 1)
    frail.start()

    async def notice() -> None:
        assert await store.get("b") is None  # turned away, and takes over
        await eventually(lambda: store.stats.recoveries, "recovery")

    run(notice())
    assert store.waiting == 0
    with frail.client() as client:
        assert client.keys(f"{prefix}:pin:*") == [f"{prefix}:pin:a"]


async def test_after_probes_were_cancelled_somebody_goes_on(frail: Server, prefix: str) -> None:
    """As by a program that cancels every task there is."""
    store = store_on(settings_for(frail), prefix, timeout=0.5)
    frail.pause()
    try:
        await store.set("a", "d1", ttl=60)
        mine = asyncio.all_tasks()
        await eventually(lambda: asyncio.all_tasks() - mine, "a probe")
        probes = asyncio.all_tasks() - mine
        for task in probes:
            task.cancel()
        await asyncio.wait(probes)
    finally:
        frail.resume()
    assert await store.get("b") is None
    await eventually(lambda: store.stats.recoveries, "recovery")
    await store.aclose()


async def test_closing_while_redis_is_away_ends_the_probes(frail: Server, prefix: str) -> None:
    store = store_on(settings_for(frail), prefix, timeout=0.5)
    frail.pause()
    try:
        await store.set("a", "d1", ttl=60)
        mine = asyncio.all_tasks()
        await eventually(lambda: asyncio.all_tasks() - mine, "a probe")
        await store.aclose()
        assert asyncio.all_tasks() <= mine
    finally:
        frail.resume()
    await store.aclose()
    assert store.stats.recoveries == 0
    assert await store.get("b") is None  # used again, it opens again
    await eventually(lambda: store.stats.recoveries, "recovery")
    await store.aclose()


async def test_a_link_that_is_dropped_is_collected(frail: Server, server: Server, prefix: str) -> None:
    well, ill = store_on(settings_for(server), prefix), store_on(settings_for(frail), prefix)
    await well.set("a", "d1", ttl=60)
    frail.kill()
    await ill.set("a", "d1", ttl=60)
    links = [weakref.ref(well._link), weakref.ref(ill._link)]
    before = asyncio.all_tasks()
    del well, ill

    def collected() -> bool:
        gc.collect()
        return not any(link() for link in links) and asyncio.all_tasks() <= before

    await eventually(collected, "collection")


PROGRAM = """
import asyncio, logging, sys
from router.stores.memory import MemoryStore
from router.stores.redis import RedisStore
from router.stores.redis_link import RedisLink
from router.stores.redis_url import RedisSettings

logging.disable()
store = RedisStore(RedisLink(RedisSettings.parse(sys.argv[1])), MemoryStore())
work = store.set("a", "d1", ttl=60)
if sys.argv[2] == "orderly":
    asyncio.run(work)
else:
    asyncio.new_event_loop().run_until_complete(work)
"""


@pytest.mark.parametrize("ending", ["orderly", "abrupt"])
@pytest.mark.parametrize("reachable", [True, False])
def test_a_process_ends_in_silence(server: Server, ending: str, reachable: bool) -> None:
    port = server.port if reachable else free_port()
    command = [sys.executable, "-X", "dev", "-c", PROGRAM, f"redis://127.0.0.1:{port}", ending]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    complaints = [line for line in done.stderr.splitlines() if "unclosed event loop" not in line]
    assert done.returncode == 0
    assert ending == "abrupt" or complaints == []
    assert not [line for line in complaints if "Event loop is closed" in line or "Task was destroyed" in line]


async def test_tls_reads_the_authorities_once(tls: TlsFront, settings_of: SettingsOf, prefix: str) -> None:
    store = store_on(settings_of("tls"), prefix)
    await use(store, "a", 50)
    contexts = {id(connection.ssl_context.context) for connection in next(iter(store._link._clients.values()))._made}  # type: ignore[attr-defined]
    assert len(contexts) == 1
    await store.aclose()


async def test_a_stranger_s_certificate_is_refused(tls: TlsFront, caplog: pytest.LogCaptureFixture) -> None:
    link = RedisLink(RedisSettings.parse(f"rediss://127.0.0.1:{tls.port}"), timeout=20)
    store = RedisStore(link, MemoryStore())
    with caplog.at_level(logging.WARNING, "router.stores"):
        await store.set("a", "d1", ttl=60)
    assert "CERTIFICATE_VERIFY_FAILED" in caplog.text
    await store.aclose()
    trusting = RedisLink(RedisSettings.parse(f"rediss://127.0.0.1:{tls.port}?ssl_cert_reqs=none"), timeout=20)
    assert await trusting.run(("ECHO", "hello")) == "hello"
    await trusting.aclose()
