"""One suite over every backend: memory, and each way to reach a Redis."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass

import pytest
from fakes import Clock
from redis_servers import Cluster, eventually

from checks.base import ManyStore
from router.stores.memory import MemoryStore
from router.stores.redis import RedisStore
from router.stores.redis_client import Command
from router.stores.redis_link import RedisLink
from router.stores.redis_url import RedisSettings

SHARED = ["tcp", "unix", "password", "tls", "cluster", "sentinel"]
OpenStore = Callable[..., RedisStore]
SettingsOf = Callable[[str], RedisSettings]


@pytest.fixture(params=["memory", *SHARED])
def store(request: pytest.FixtureRequest, settings_of: SettingsOf, open_store: OpenStore) -> ManyStore:
    return MemoryStore() if request.param == "memory" else open_store(settings_of(request.param))


async def test_what_was_set_is_found(store: ManyStore) -> None:
    assert await store.get("resp_1") is None
    await store.set("resp_1", "d1", ttl=60)
    await store.set("resp_2", "d2", ttl=60)
    assert [await store.get("resp_1"), await store.get("resp_2")] == ["d1", "d2"]


async def test_the_last_word_of_one_writer_counts(store: ManyStore) -> None:
    await store.set("resp_1", "d1", ttl=60)
    await store.set("resp_1", "d2", ttl=60)
    assert await store.get("resp_1") == "d2"


async def test_what_was_deleted_is_gone(store: ManyStore) -> None:
    await store.set("resp_1", "d1", ttl=60)
    await store.delete("resp_1")
    await store.delete("resp_1")
    assert await store.get("resp_1") is None


async def test_several_are_looked_up_together(store: ManyStore) -> None:
    keys = [f"resp_{number}" for number in range(40)]  # in a cluster: of every node
    for number, key in enumerate(keys[:20]):
        await store.set(key, f"d{number}", ttl=60)
    assert await store.get_many([*keys, keys[0]]) == {key: f"d{number}" for number, key in enumerate(keys[:20])}
    assert await store.get_many([]) == {}


async def test_several_are_remembered_together(store: ManyStore) -> None:
    values = {f"item:{number}": f"d{number}" for number in range(40)}
    await store.set_many(values, ttl=60)
    assert await store.get_many(list(values)) == values
    await store.set_many({"item:0": "other"}, ttl=60)
    await store.set_many({}, ttl=60)
    assert await store.get("item:0") == "other"
    with pytest.raises(ValueError, match="ttl"):
        await store.set_many({"item:41": "d"}, ttl=0)


async def test_a_store_of_several_is_known_as_one(store: ManyStore) -> None:
    assert isinstance(store, ManyStore)


@pytest.mark.parametrize("odd", ["", " ", "a b", "{a}b", "*", "é\n", "\x00", "\ud800", "x" * 5000])
async def test_any_string_is_a_key_and_a_value(store: ManyStore, odd: str) -> None:
    await store.set(f"k{odd}", f"v{odd}", ttl=60)
    assert await store.get(f"k{odd}") == f"v{odd}"


@pytest.mark.parametrize("ttl", [0.0001, 1e9, float("inf")])
async def test_any_time_to_live(store: ManyStore, ttl: float) -> None:
    await store.set("resp_1", "d1", ttl=ttl)
    await store.get("resp_1")


async def test_a_time_to_live_is_above_zero(store: ManyStore) -> None:
    with pytest.raises(ValueError, match="ttl"):
        await store.set("resp_1", "d1", ttl=0)


@dataclass
class Pair:
    """Two Routers' stores on one Redis, and a look behind them."""

    one: RedisStore
    other: RedisStore
    third: RedisStore
    raw: RedisLink
    clock: Clock
    """Of `one`."""
    prefix: str

    async def ask(self, command: str, key: str, *more: str | int) -> object:
        return await self.raw.run((command, f"{self.prefix}:pin:{key}", *more))

    async def lifetime(self, key: str) -> float:
        left = await self.ask("PTTL", key)
        assert isinstance(left, int)
        return left / 1000


@pytest.fixture(params=SHARED)
async def pair(
    request: pytest.FixtureRequest, settings_of: SettingsOf, open_store: OpenStore, prefix: str
) -> AsyncIterator[Pair]:
    settings = settings_of(request.param)
    raw, clock = RedisLink(settings, timeout=20), Clock()
    one, other, third = (
        open_store(settings, memory=MemoryStore(clock=clock)),
        open_store(settings),
        open_store(settings),
    )
    yield Pair(one, other, third, raw, clock, prefix)
    await raw.aclose()
    assert [store.stats.errors for store in (one, other, third)] == [0, 0, 0]


async def test_a_pin_is_shared(pair: Pair) -> None:
    await pair.one.set("resp_1", "d1", ttl=60)
    assert await pair.other.get("resp_1") == "d1"
    assert await pair.other.get("resp_1") == "d1"
    assert (pair.other.stats.shared_hits, pair.other.stats.hits) == (1, 1)
    assert await pair.other.get("resp_2") is None
    assert (pair.other.stats.misses, pair.other.stats.blind) == (1, 0)


async def test_a_deletion_is_shared(pair: Pair) -> None:
    await pair.one.set("resp_1", "d1", ttl=60)
    await pair.one.delete("resp_1")
    assert await pair.other.get("resp_1") is None


async def test_prefixes_keep_apart(pair: Pair, settings_of: SettingsOf, open_store: OpenStore) -> None:
    elsewhere = open_store(pair.one._link._settings, prefix=f"{pair.prefix}b")
    await pair.one.set("resp_1", "d1", ttl=60)
    assert await elsewhere.get("resp_1") is None


async def test_of_writers_that_know_nothing_the_first_stands(pair: Pair) -> None:
    await pair.one.set("resp_1", "d1", ttl=60)
    await pair.other.set("resp_1", "d2", ttl=60)
    assert [await store.get("resp_1") for store in (pair.one, pair.other, pair.third)] == ["d1", "d1", "d1"]


async def test_who_has_read_a_pin_may_move_it(pair: Pair) -> None:
    await pair.one.set("resp_1", "d1", ttl=60)
    await pair.other.get("resp_1")
    await pair.other.set("resp_1", "d2", ttl=60)
    assert await pair.third.get("resp_1") == "d2"


class Trips:
    """Counts the round trips of a store, and what was asked in each."""

    def __init__(self, store: RedisStore, monkeypatch: pytest.MonkeyPatch) -> None:
        self.asked: list[list[str]] = []
        run, run_all = store._link.run, store._link.run_all

        async def counted(command: Command) -> object:
            self.asked.append([str(command[3])])
            return await run(command)

        async def all_counted(commands: Sequence[Command]) -> list[object]:
            self.asked.append([str(command[3]) for command in commands])
            return await run_all(commands)

        monkeypatch.setattr(store._link, "run", counted)
        monkeypatch.setattr(store._link, "run_all", all_counted)


async def test_what_memory_lacks_is_asked_in_one_round_trip(pair: Pair, monkeypatch: pytest.MonkeyPatch) -> None:
    keys = [f"k{number}" for number in range(30)]
    for key in keys[:20]:
        await pair.one.set(key, "d1", ttl=60)
    assert await pair.other.get("k0") == "d1"
    trips = Trips(pair.other, monkeypatch)
    assert await pair.other.get_many(keys) == dict.fromkeys(keys[:20], "d1")
    assert trips.asked == [[f"{pair.prefix}:pin:{key}" for key in keys[1:]]]
    assert await pair.other.get_many(keys[:20]) == dict.fromkeys(keys[:20], "d1")
    assert len(trips.asked) == 1, "memory has learnt them"
    stats = pair.other.stats
    assert (stats.hits, stats.shared_hits, stats.misses, stats.blind) == (21, 20, 10, 0)


async def test_a_great_many_are_asked_in_parts(pair: Pair, monkeypatch: pytest.MonkeyPatch) -> None:
    trips = Trips(pair.other, monkeypatch)
    assert await pair.other.get_many([f"k{number}" for number in range(1001)]) == {}
    assert [len(part) for part in trips.asked] == [1000, 1]


async def test_reading_several_renews(pair: Pair) -> None:
    for key in ("a", "b"):
        await pair.one.set(key, "d1", ttl=60)
        await pair.ask("PEXPIRE", key, 20_000)
    await pair.other.get_many(["a", "b"])
    assert [50 < await pair.lifetime(key) <= 60 for key in ("a", "b")] == [True, True]
    pair.clock.advance(7)
    await pair.one.get_many(["a", "b"])
    await eventually(lambda: pair.one.stats.flushed == 2, "renewals")


async def test_several_are_shared_soon_after(pair: Pair, monkeypatch: pytest.MonkeyPatch) -> None:
    values = {f"item:{number}": f"d{number}" for number in range(250)}
    trips = Trips(pair.one, monkeypatch)
    written = pair.one.set_many(values, ttl=60)
    with pytest.raises(StopIteration):  # nothing is waited for
        written.send(None)
    assert (trips.asked, pair.one.waiting) == ([], 250)
    await eventually(lambda: pair.one.stats.flushed == 250, "the writes")
    assert [len(part) for part in trips.asked] == [200, 50]
    assert await pair.other.get_many(list(values)) == values


async def test_what_is_known_is_not_written_again(pair: Pair) -> None:
    await pair.one.set_many({"item:1": "d1"}, ttl=60)
    await eventually(lambda: pair.one.stats.flushed == 1, "the write")
    pair.clock.advance(5)
    await pair.one.set_many({"item:1": "d1"}, ttl=60)
    assert pair.one.waiting == 0
    pair.clock.advance(6.5)
    await pair.one.set_many({"item:1": "d1"}, ttl=60)
    assert pair.one.waiting == 1, "the last write is a tenth of its time ago"
    await eventually(lambda: pair.one.stats.flushed == 2, "the renewal")
    await pair.one.set_many({"item:1": "d1"}, ttl=120)
    await eventually(lambda: pair.one.stats.flushed == 3, "a longer time to live")
    assert 100 < await pair.lifetime("item:1") <= 120


async def test_of_several_too_the_first_stands(pair: Pair) -> None:
    await pair.one.set("item:1", "d1", ttl=60)
    await pair.other.set_many({"item:1": "d2", "item:2": "d2"}, ttl=60)
    await eventually(lambda: pair.other.stats.flushed == 2, "the writes")
    assert await pair.other.get_many(["item:1", "item:2"]) == {"item:1": "d1", "item:2": "d2"}


async def test_closing_waits_for_what_is_on_its_way(pair: Pair) -> None:
    values = {f"item:{number}": "d1" for number in range(300)}
    await pair.one.set_many(values, ttl=60)
    await pair.one.aclose()
    assert await pair.other.get_many(list(values)) == values


async def test_what_another_program_wrote_is_not_among_several(pair: Pair) -> None:
    await pair.ask("HSET", "a", "not", "a pin")
    await pair.one.set("b", "d1", ttl=60)
    assert await pair.other.get_many(["a", "b"]) == {"b": "d1"}
    assert (pair.other.stats.misses, pair.other.stats.blind) == (1, 1)


async def test_reading_from_redis_renews(pair: Pair) -> None:
    await pair.one.set("resp_1", "d1", ttl=60)
    assert 50 < await pair.lifetime("resp_1") <= 60
    await pair.ask("PEXPIRE", "resp_1", 20_000)
    await pair.other.get("resp_1")
    assert 50 < await pair.lifetime("resp_1") <= 60


async def test_reading_from_memory_renews_in_the_background_a_tenth_later(pair: Pair) -> None:
    await pair.one.set("resp_1", "d1", ttl=600)
    await pair.ask("PEXPIRE", "resp_1", 200_000)
    pair.clock.advance(60)
    await pair.one.get("resp_1")
    assert pair.one.waiting == 0
    pair.clock.advance(1)
    await pair.one.get("resp_1")
    await pair.one.get("resp_1")
    assert pair.one.waiting == 1
    await eventually(lambda: pair.one.stats.flushed, "renewal")
    assert pair.one.stats.flushed == 1
    assert 500 < await pair.lifetime("resp_1") <= 600


async def test_a_pin_that_redis_lost_comes_back_with_its_use(pair: Pair) -> None:
    await pair.one.set("resp_1", "d1", ttl=60)
    await pair.ask("DEL", "resp_1")
    pair.clock.advance(7)
    assert await pair.one.get("resp_1") == "d1"
    await eventually(lambda: pair.one.stats.flushed, "renewal")
    assert await pair.other.get("resp_1") == "d1"


async def test_a_renewal_learns_that_a_pin_has_moved(pair: Pair) -> None:
    await pair.one.set("resp_1", "d1", ttl=60)
    await pair.other.get("resp_1")
    await pair.other.set("resp_1", "d2", ttl=60)
    pair.clock.advance(7)
    assert await pair.one.get("resp_1") == "d1"
    await eventually(lambda: pair.one.stats.flushed, "renewal")
    assert await pair.one.get("resp_1") == "d2"


async def test_a_deletion_overtakes_a_renewal(pair: Pair) -> None:
    await pair.one.set("resp_1", "d1", ttl=60)
    pair.clock.advance(7)
    await pair.one.get("resp_1")
    assert pair.one.waiting == 1
    await pair.one.delete("resp_1")
    assert (pair.one.waiting, pair.one.stats.flushed) == (0, 0)
    assert await pair.other.get("resp_1") is None


async def test_what_another_program_wrote_is_not_a_pin(pair: Pair) -> None:
    await pair.ask("SET", "resp_1", "hello")
    assert await pair.one.get("resp_1") is None
    await pair.one.set("resp_1", "d1", ttl=60)
    assert await pair.other.get("resp_1") == "d1"


async def test_localhost_is_a_node_of_a_cluster(cluster: Cluster, open_store: OpenStore) -> None:
    store = open_store(RedisSettings.parse(f"redis+cluster://localhost:{cluster.servers[0].port}"))
    await store.set("resp_1", "d1", ttl=60)
    assert (await store.get("resp_1"), store.stats.errors) == ("d1", 0)
