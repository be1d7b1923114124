"""The memory store, against a model and under threads."""

from __future__ import annotations

import threading
from collections import OrderedDict

import pytest
from fakes import Clock
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from checks.base import AffinityStore
from providers.errors import ConfigurationError
from router.stores.memory import MemoryStore

KEYS = st.sampled_from(["a", "b", "c", "d", "e"])
ROOM = 3


class MemoryAgainstModel(RuleBasedStateMachine):
    """The model keeps every entry, oldest use first, and drops the first when there are more than fit."""

    def __init__(self) -> None:
        super().__init__()
        self.clock = Clock(0)
        self.store = MemoryStore(max_entries=ROOM, clock=self.clock)
        self.model: OrderedDict[str, tuple[str, float, float]] = OrderedDict()

    def living(self, key: str) -> str | None:
        found = self.model.get(key)
        return found[0] if found and self.clock.now < found[2] else None

    @rule(key=KEYS, value=st.text(max_size=2), ttl=st.integers(1, 20))
    def remember(self, key: str, value: str, ttl: int) -> None:
        assert self.store.remember(key, value, ttl) == self.living(key)
        if key not in self.model and len(self.model) == ROOM:
            self.model.popitem(last=False)
        self.model[key] = (value, ttl, self.clock.now + ttl)
        self.model.move_to_end(key)

    @rule(key=KEYS)
    def lookup(self, key: str) -> None:
        entry = self.store.lookup(key)
        expected = self.living(key)
        assert (entry.value if entry else None) == expected
        if expected is None:
            self.model.pop(key, None)
        else:
            value, ttl, _ = self.model[key]
            self.model[key] = (value, ttl, self.clock.now + ttl)
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


MemoryAgainstModel.TestCase.settings = settings(stateful_step_count=30)
TestMemoryAgainstModel = MemoryAgainstModel.TestCase


async def test_get_renews_the_time_to_live() -> None:
    clock = Clock(0)
    store = MemoryStore(clock=clock)
    await store.set("a", "d1", ttl=10)
    for clock.now in (9.0, 18.0, 27.0):
        assert await store.get("a") == "d1"
    clock.now = 37.0
    assert await store.get("a") is None
    assert len(store) == 0


async def test_what_was_asked_for_last_stays() -> None:
    store = MemoryStore(max_entries=2)
    await store.set("a", "d1", ttl=10)
    await store.set("b", "d2", ttl=10)
    await store.get("a")
    await store.set("c", "d3", ttl=10)
    assert [await store.get(key) for key in "abc"] == ["d1", None, "d3"]


@pytest.mark.parametrize("ttl", [0, -1, float("nan")])
async def test_a_time_to_live_is_above_zero(ttl: float) -> None:
    with pytest.raises(ValueError, match="ttl"):
        await MemoryStore().set("a", "d1", ttl=ttl)


def test_room_for_one_at_least() -> None:
    with pytest.raises(ConfigurationError, match="max_entries: 0"):
        MemoryStore(max_entries=0)


def test_threads_share_a_store() -> None:
    store = MemoryStore(max_entries=50)
    start = threading.Barrier(4)
    wrong: list[object] = []

    def work(seed: int) -> None:
        start.wait(10)
        for step in range(4000):
            key = str((step * 7 + seed) % 80)
            try:
                match step % 3:
                    case 0:
                        store.remember(key, key, 100)
                    case 1:
                        entry = store.lookup(key)
                        if entry is not None and entry.value != key:
                            wrong.append((key, entry.value))
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


async def test_it_is_an_affinity_store() -> None:
    store: AffinityStore = MemoryStore()
    await store.set("a", "d1", ttl=10)
    await store.delete("a")
    await store.delete("a")
    await store.set("b", "d2", ttl=10)
    await store.aclose()
    assert (await store.get("a"), await store.get("b")) == (None, "d2")
