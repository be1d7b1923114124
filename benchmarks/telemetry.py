"""What it costs to know all about a call: `python benchmarks/telemetry.py` (a minute; --help for more).

CPU time of one call of a Router over ten deployments, on a transport in memory that answers at once, so that what is
measured is the Router's own work. Contenders take turns in one process, in short rounds; each figure is that of the
quickest round, as others on a machine can only add to it; the ratio is the median of those within a round. `silent` is
a Router whose recorder is taken out: no record is made, nothing is billed. `records` is what every Router does; the
others add to it what their names say, together with what it needs: the lines of the log go to a stream that drops them.

The promise is one of microseconds, so it depends on the machine: it holds for one that takes 8 us for a line of
Python's own logging (`logging.info` to a stream that drops it), measured in the same rounds; for others in proportion.

`--calls` then makes so many calls on the Router with everything and tells what memory it holds before and after.
The exit status is 1 if a promise is broken.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import io
import logging
import statistics
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from time import process_time
from typing import Any

from rich.box import MARKDOWN
from rich.table import Table

sys.path.insert(0, str(Path(__file__).parents[1]))

from contest import console
from instant import Instant

from providers.types import Verb
from router import JsonLog, Router

MOST = 30.0
"""Microseconds that record, log and Prometheus may add to a call, together, where `LINE` is what a line takes."""
LINE = 8.0
"""Microseconds for a line of Python's own logging on the machine that the promise was made for."""
FLAT = 1.02
"""What a Router may hold after many calls over what it held before."""


class _Untold:
    """In the place of an open call: takes what is noted, and forgets it."""

    def __init__(self) -> None:
        self.id, self.trace, self.began = "", None, 0.0
        self.request: object = None
        self.run: object = None

    def close(self, *_: object, **__: object) -> None:
        """Nothing comes of it."""

    failed = close


class _Silent:
    """In the place of a recorder."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock

    def open(self, verb: Verb, model: str, stream: bool) -> _Untold:
        """Nothing will come of it."""
        opened = _Untold()
        opened.began = self._clock()
        return opened

    async def flush(self, timeout: float) -> bool:
        """Nothing waits."""
        return True

    async def aclose(self, timeout: float) -> None:
        """Nothing waits."""


class _Drop(io.StringIO):
    """A stream that keeps nothing."""

    def write(self, text: str) -> int:
        """Forget it."""
        return len(text)


def _model_list() -> list[dict[str, Any]]:
    params = {"model": "openai/gpt-4.1-mini", "api_key": "sk-benchmark"}
    return [{"model_name": "gpt", "litellm_params": dict(params), "model_info": {"id": f"d{n}"}} for n in range(10)]


def _router(**settings: Any) -> Router:
    return Router(_model_list(), http_client=Instant(), **settings)


def _silent() -> Router:
    router = _router()
    router._recorder = _Silent(router._clock)  # type: ignore[assignment]  # as if there were no records
    return router


CONTENDERS: Mapping[str, Callable[[], Router]] = {
    "silent": _silent,
    "records": _router,
    "logging": _router,
    "prometheus": lambda: _router(callbacks=["prometheus"]),
    "logging and prometheus": lambda: _router(callbacks=["prometheus"]),
    "a callback": lambda: _router(callbacks=[_later]),
    "OpenTelemetry": lambda: _router(callbacks=["otel"]),
}
"""How each is made, what they log set apart: see `_logging`."""


async def _later(record: object) -> None:
    """A callback that does nothing."""


def _logging(on: bool) -> None:
    logging.getLogger("router.calls").setLevel(logging.INFO if on else logging.WARNING)


async def measure(rounds: int, calls: int) -> dict[str, list[float]]:
    """Microseconds per call, by contender, and per line of Python's own logging; one figure a round."""
    routers = {name: make() for name, make in CONTENDERS.items()}
    took: dict[str, list[float]] = {name: [] for name in (*routers, _LINE)}
    for router in routers.values():
        await _burst(router, calls)
    await asyncio.sleep(1)  # prices are loaded beside the first calls
    for _ in range(rounds):
        for name, router in routers.items():
            _logging(name.startswith("logging"))
            gc.collect()
            began = process_time()
            await _burst(router, calls)
            took[name].append((process_time() - began) / calls * 1e6)
        took[_LINE].append(_line(calls))
    _logging(False)
    for router in routers.values():
        await router.aclose()
    return took


_LINE = "a line of logging"


def _line(calls: int) -> float:
    """Microseconds for a line of Python's own logging."""
    logger = logging.Logger("lines", logging.INFO)
    logger.addHandler(logging.StreamHandler(_Drop()))
    began = process_time()
    for number in range(calls):
        logger.info("call %d succeeded", number)
    return (process_time() - began) / calls * 1e6


async def _burst(router: Router, calls: int) -> None:
    for _ in range(calls):
        await router.aresponses("gpt", input="Hello, who are you?", user="ada", litellm_metadata={"tags": ["paid"]})
    await router.aflush()  # so that each pays for its own


def show(took: Mapping[str, list[float]]) -> bool:
    """Print the figures; whether the promise is kept."""
    table = Table("what is done", "us a call", "added: us", "x silent", title="CPU per call", box=MARKDOWN)
    least = {name: min(mine) for name, mine in took.items()}
    for name in CONTENDERS:
        ratio = statistics.median(one / other for one, other in zip(took[name], took["silent"], strict=True))
        table.add_row(name, f"{least[name]:.1f}", f"{least[name] - least['silent']:.1f}", f"{ratio:.2f}")
    console().print(table)
    found, line = least["logging and prometheus"] - least["silent"], least[_LINE]
    most = MOST * line / LINE
    said = (
        f"record, log and Prometheus add {found:.1f} us, at most {most:.1f}: {MOST:g} where {_LINE} takes {LINE:g} us"
    )
    console().print(f"{'kept  ' if found <= most else 'BROKEN'}  {said}, here it takes {line:.1f}")
    return found <= most


async def soak(calls: int) -> bool:
    """Make many calls with everything on; print what is held before and after; whether that is flat."""
    router = _router(callbacks=["prometheus", _later], record_decisions=True)
    _logging(True)
    held = []
    for _ in range(11):
        await _burst(router, calls // 10)
        await router.aflush()
        gc.collect()
        held.append(sys.getallocatedblocks())
    _logging(False)
    await router.aclose()
    first, *_, last = held
    kept = last <= first * FLAT
    said = f"{calls:,} calls with everything on: {first:,} blocks of memory before, {last:,} after"
    console().print(f"{'kept  ' if kept else 'BROKEN'}  {said}, at most {FLAT} of it")
    return kept


def main() -> int:
    """Measure and print; the exit status."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=120, help="rounds in which all take turns (default %(default)s)")
    parser.add_argument("--burst", type=int, default=200, help="calls of each in a round (default %(default)s)")
    parser.add_argument("--calls", type=int, default=100_000, help="of the soak; 0: none (default %(default)s)")
    args = parser.parse_args()
    logging.getLogger("router.calls").addHandler(JsonLog(_Drop()))
    kept = show(asyncio.run(measure(args.rounds, args.burst)))
    if args.calls:
        kept = asyncio.run(soak(args.calls)) and kept
    return 0 if kept else 1


if __name__ == "__main__":
    sys.exit(main())
