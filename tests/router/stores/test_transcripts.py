"""Transcripts in memory: against a model, and each bound."""

from __future__ import annotations

import random
import threading
from collections import OrderedDict
from typing import Any

import pytest
from fakes import Clock
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from checks.affinity.transcript import TranscriptStore, Turn, encode
from providers.errors import ConfigurationError
from router.stores.transcripts import Kept, MemoryTranscripts

KEYS = st.sampled_from(["a", "b", "c", "d", "e"])
ROOM = 3
LARGEST = 2000
BYTES = 6000


class MemoryAgainstModel(RuleBasedStateMachine):
    """The model keeps all that lives, oldest use first, and drops the first while there is more than fits."""

    def __init__(self) -> None:
        super().__init__()
        self.clock = Clock(0)
        self.store = MemoryTranscripts(BYTES, ROOM, max_turn_bytes=LARGEST, clock=self.clock)
        self.model: OrderedDict[str, tuple[bytes, float, float]] = OrderedDict()

    def living(self, key: str) -> bytes | None:
        found = self.model.get(key)
        return found[0] if found and self.clock.now < found[2] else None

    def size(self) -> int:
        return sum(Kept(key, data, ttl, 0).size for key, (data, ttl, _) in self.model.items())

    @rule(key=KEYS, size=st.integers(0, LARGEST), ttl=st.integers(1, 20))
    def remember(self, key: str, size: int, ttl: int) -> None:
        self.store.remember(key, bytes(size), ttl)
        self.model.pop(key, None)
        self.model[key] = (bytes(size), ttl, self.clock.now + ttl)
        while True:
            oldest = next(iter(self.model))
            if self.living(oldest) is not None and len(self.model) <= ROOM and self.size() <= BYTES:
                break
            del self.model[oldest]

    @rule(key=KEYS)
    def lookup(self, key: str) -> None:
        kept = self.store.lookup(key)
        expected = self.living(key)
        assert (kept.data if kept else None) == expected
        if expected is None:
            self.model.pop(key, None)
        else:
            data, ttl, _ = self.model[key]
            self.model[key] = (data, ttl, self.clock.now + ttl)
            self.model.move_to_end(key)

    @rule(key=KEYS)
    def forget(self, key: str) -> None:
        self.store.forget(key)
        self.model.pop(key, None)

    @rule(seconds=st.integers(1, 15))
    def wait(self, seconds: int) -> None:
        self.clock.now += seconds

    @invariant()
    def bounded(self) -> None:
        assert len(self.store) == len(self.model) <= ROOM
        assert self.store.size == self.size() <= BYTES


MemoryAgainstModel.TestCase.settings = settings(stateful_step_count=30)
TestMemoryAgainstModel = MemoryAgainstModel.TestCase


def turn(name: str, text: str = "hello") -> Turn:
    return Turn(name, None, ({"role": "user", "content": text},), ())


def noise(size: int) -> str:
    return random.Random(size).randbytes(size).hex()


async def test_it_is_a_transcript_store() -> None:
    store: TranscriptStore = MemoryTranscripts()
    assert await store.get("a") is None
    await store.put(turn("a"), ttl=10)
    await store.put(turn("b"), ttl=10)
    await store.delete("b")
    await store.delete("b")
    await store.aclose()
    assert (await store.get("a"), await store.get("b")) == (turn("a"), None)


async def test_the_newest_of_a_turn_counts() -> None:
    store = MemoryTranscripts()
    await store.put(turn("a"), ttl=10)
    await store.put(turn("a", "more"), ttl=10)
    assert await store.get("a") == turn("a", "more")
    assert (len(store), store.stats.evicted) == (1, 0)


async def test_get_renews_the_time_to_live() -> None:
    clock = Clock(0)
    store = MemoryTranscripts(clock=clock)
    await store.put(turn("a"), ttl=10)
    for clock.now in (9.0, 18.0, 27.0):
        assert await store.get("a") == turn("a")
    clock.now = 37.0
    assert await store.get("a") is None
    assert (len(store), store.size) == (0, 0)
    assert (store.stats.hits, store.stats.misses) == (3, 1)


async def test_what_is_dead_leaves_with_the_next_that_comes() -> None:
    clock = Clock(0)
    store = MemoryTranscripts(clock=clock)
    await store.put(turn("a"), ttl=10)
    await store.put(turn("b"), ttl=10)
    clock.now = 10.0
    await store.put(turn("c"), ttl=10)
    assert (len(store), store.stats.evicted) == (1, 0)


async def test_a_turn_too_large_is_not_kept_but_counted() -> None:
    store = MemoryTranscripts(max_turn_bytes=1000)
    await store.put(turn("a"), ttl=10)
    await store.put(turn("a", noise(2000)), ttl=10)
    assert await store.get("a") is None
    assert (len(store), store.stats.oversized) == (0, 1)


async def test_what_makes_room_is_counted() -> None:
    one = encode(turn("a", noise(1000)))
    assert one is not None
    store = MemoryTranscripts(4 * len(one), max_turn_bytes=len(one) + 10)
    for name in "abcd":
        await store.put(turn(name, noise(1000)), ttl=10)
    assert store.size <= 4 * len(one)
    assert store.stats.evicted == 4 - len(store) > 0
    assert await store.get("a") is None
    assert await store.get("d") is not None


def test_an_id_larger_than_everything_is_not_kept() -> None:
    store = MemoryTranscripts(5000, max_turn_bytes=1000)
    store.remember("a", b"", 10)
    store.remember("b" * 5000, b"", 10)
    assert (len(store), store.size, store.stats.evicted) == (0, 0, 2)


@pytest.mark.parametrize("ttl", [0, -1, float("nan")])
async def test_a_time_to_live_is_above_zero(ttl: float) -> None:
    with pytest.raises(ValueError, match="ttl"):
        await MemoryTranscripts().put(turn("a"), ttl=ttl)


@pytest.mark.parametrize(
    ("bounds", "wrong"),
    [
        ({"max_entries": 0}, "max_entries: 0"),
        ({"max_turn_bytes": 0}, "max_turn_bytes: 0"),
        ({"max_bytes": 1000}, "max_bytes: 1000 .* at least max_turn_bytes"),
    ],
)
def test_bounds_that_leave_no_room(bounds: dict[str, Any], wrong: str) -> None:
    with pytest.raises(ConfigurationError, match=wrong):
        MemoryTranscripts(**bounds)


def test_threads_share_a_store() -> None:
    store = MemoryTranscripts(40_000, max_entries=50, max_turn_bytes=1000)
    start = threading.Barrier(4)
    wrong: list[object] = []

    def work(seed: int) -> None:
        start.wait(10)
        for step in range(4000):
            key = str((step * 7 + seed) % 80)
            try:
                match step % 3:
                    case 0:
                        store.remember(key, key.encode(), 100)
                    case 1:
                        kept = store.lookup(key)
                        if kept is not None and kept.data != key.encode():
                            wrong.append((key, kept.data))
                    case _:
                        store.forget(key)
            except Exception as error:
                wrong.append(error)

    threads = [threading.Thread(target=work, args=(seed,)) for seed in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert not wrong
    assert len(store) <= 50
    for key in range(80):
        store.forget(str(key))
    assert store.size == 0


async def test_a_long_turn_is_packed_and_unpacked_beside_the_loop() -> None:
    store = MemoryTranscripts(max_turn_bytes=4 * 1024 * 1024)
    noise = "".join(random.Random(0).choices("0123456789abcdef", k=1_000_000))
    long = Turn("resp_1", None, ({"role": "user", "content": noise},), ())
    await store.put(long, ttl=60)
    assert await store.get("resp_1", fresh=True) == long
