"""What `record_decisions` costs: CPU time of one call with it off and on, by the number of deployments.

    python benchmarks/decisions.py

The Router sends through a transport in memory that answers at once, so that what is counted is the call's own overhead
and no network: arguments, pick, encoding, decoding, bookkeeping, the record. Rounds of off and on take turns, each
figure is a median, and the ratio is the median of the ratios within a round. With `breakers open` there is something to
be said of every deployment but one. The promise is at most 1.20 with 10 deployments, whatever their breakers; the exit
status is 1 if it is broken.
"""

from __future__ import annotations

import asyncio
import gc
import statistics
import sys
from pathlib import Path
from time import thread_time

from instant import Instant, Reply
from rich.console import Console
from rich.table import Table

sys.path.insert(0, str(Path(__file__).parents[1]))

from router import AuthenticationError, Router

SIZES = (2, 10, 100, 1_000)
ROUNDS = 41
CALLS = 300
BOUND, JUDGED = 1.20, 10
"""The promise, and the number of deployments that it is given for."""
_REFUSAL = {"error": {"message": "wrong key", "type": "invalid_request_error", "code": "invalid_api_key"}}


async def router_of(size: int, *, on: bool, down: bool) -> Router:
    """A Router all of whose deployments have served; or all but the first have open breakers, for an hour."""
    transport = Instant()
    deployments = [
        {
            "model_name": "g",
            "params": {"model": "openai/gpt-4.1-mini", "api_key": "k", "api_base": f"http://d{index}.test"},
            "model_info": {"id": f"d{index}"},
        }
        for index in range(size)
    ]
    router = Router(deployments, http_client=transport, record_decisions=on, cooldown_time=3600.0, seed=size)
    for index in range(size):
        await router.aresponses(f"d{index}", "hi")
    if down:
        transport.reply = Reply(401, _REFUSAL)
        for index in range(1, size):
            try:
                await router.aresponses(f"d{index}", "hi", num_retries=0)
            except AuthenticationError:
                continue
        transport.reply = Reply()
    return router


async def timed(router: Router) -> float:
    """Microseconds of CPU for each call."""
    started = thread_time()
    for _ in range(CALLS):
        await router.aresponses("g", "hi")
    return (thread_time() - started) / CALLS * 1e6


async def measure() -> dict[tuple[int, bool], list[tuple[float, float]]]:
    """Rounds of (off, on), by size and whether breakers are open."""
    keys = [(size, down) for size in SIZES for down in (False, True)]
    pairs = {key: [await router_of(key[0], on=on, down=key[1]) for on in (False, True)] for key in keys}
    rounds: dict[tuple[int, bool], list[tuple[float, float]]] = {key: [] for key in pairs}
    gc.collect()
    gc.freeze()
    for number in range(ROUNDS):
        for key, (off, on) in pairs.items():
            order = (off, on) if number % 2 else (on, off)
            costs = {router: await timed(router) for router in order}
            rounds[key].append((costs[off], costs[on]))
    for pair in pairs.values():
        for router in pair:
            await router.aclose()
    return rounds


def main() -> int:
    """Print the table; the exit status."""
    table = Table(title="one call over a transport in memory, µs of CPU (median)")
    for heading in ("deployments", "breakers", "off", "on", "on : off"):
        table.add_column(heading, justify="right")
    worst = 0.0
    for (size, down), costs in asyncio.run(measure()).items():
        ratio = statistics.median(on / off for off, on in costs)
        worst = max(worst, ratio if size == JUDGED else 0.0)
        off, on = (statistics.median(column) for column in zip(*costs, strict=True))
        table.add_row(f"{size:,}", "open" if down else "closed", f"{off:.1f}", f"{on:.1f}", f"{ratio:.3f}")
    console = Console()
    console.print(table)
    console.print(f"{'kept' if worst <= BOUND else 'BROKEN'}: at most {BOUND} with {JUDGED} deployments ({worst:.3f})")
    return int(worst > BOUND)


if __name__ == "__main__":
    sys.exit(main())
