"""What a choice costs: pick, lease and release, by strategy and by the number of deployments.

    python benchmarks/picks.py

Each figure is CPU time, the median of rounds that take turns, so that a busy machine troubles all alike. `/burst`
holds 200 leases at a time instead of one. The ratio is that of 1,000 deployments to 10.
"""

from __future__ import annotations

import gc
import random
import statistics
import sys
from collections.abc import Callable
from pathlib import Path
from time import thread_time

from rich.console import Console
from rich.table import Table

sys.path.insert(0, str(Path(__file__).parents[1]))

from providers.types import Call, Deployment
from router.pool import Lease, Pool
from strategies.catalog import STRATEGIES, build

SIZES = (2, 10, 100, 1_000)
ROUNDS = 15
CALLS = 2_000
HELD = 200
CALL = Call("g")


def pool_of(strategy: str, size: int, *, weighted: bool) -> Pool:
    """A pool whose deployments have all served before."""
    rng = random.Random(size)
    pool = Pool(rng=rng)
    weights: list[float | None] = [1 + index % 4 for index in range(size)] if weighted else [None] * size
    members = [
        Deployment(id=f"d{index}", group="g", provider="openai", model="m", weight=weight)
        for index, weight in enumerate(weights)
    ]
    pool.update({"g": (members, build(strategy, None, rng))})
    for _ in range(3 * size):
        leased(pool).succeed(input_tokens=100, output_tokens=100)
    return pool


def leased(pool: Pool) -> Lease:
    """A lease; there always is one."""
    lease = pool.lease("g", CALL)
    assert isinstance(lease, Lease)
    return lease


def one_at_a_time(pool: Pool) -> None:
    """Lease and release."""
    for _ in range(CALLS):
        leased(pool).succeed(input_tokens=100, output_tokens=100)


def in_bursts(pool: Pool) -> None:
    """Many leases held at a time."""
    for _ in range(CALLS // HELD):
        for lease in [leased(pool) for _ in range(HELD)]:
            lease.succeed(input_tokens=100, output_tokens=100)


def timed(run: Callable[[Pool], None], pool: Pool) -> float:
    """Microseconds of CPU for each call."""
    started = thread_time()
    run(pool)
    return (thread_time() - started) / CALLS * 1e6


def measure() -> dict[str, dict[int, float]]:
    """The medians, by row and size."""
    runs: dict[tuple[str, int], tuple[Callable[[Pool], None], Pool]] = {}
    for size in SIZES:
        for name in STRATEGIES:
            runs[name, size] = one_at_a_time, pool_of(name, size, weighted=name == "weighted")
        runs["adaptive, weights set", size] = one_at_a_time, pool_of("adaptive", size, weighted=True)
        for name in ("adaptive", "least-busy"):
            runs[f"{name} /burst", size] = in_bursts, pool_of(name, size, weighted=False)
    samples: dict[tuple[str, int], list[float]] = {key: [] for key in runs}
    gc.collect()
    gc.freeze()
    for _ in range(ROUNDS):
        for key, (run, pool) in runs.items():
            samples[key].append(timed(run, pool))
    rows: dict[str, dict[int, float]] = {}
    for (name, size), values in samples.items():
        rows.setdefault(name, {})[size] = statistics.median(values)
    return rows


def main() -> None:
    """Print the table."""
    table = Table(title="pick + lease + release, µs of CPU a call (median)")
    table.add_column("strategy")
    for heading in (*(f"{size:,}" for size in SIZES), "1,000 : 10"):
        table.add_column(heading, justify="right")
    for name, medians in measure().items():
        ratio = medians[1_000] / medians[10]
        table.add_row(name, *(f"{medians[size]:.2f}" for size in SIZES), f"{ratio:.2f}")
    Console().print(table)


if __name__ == "__main__":
    main()
