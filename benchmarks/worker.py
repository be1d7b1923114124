"""One contender in a process of its own: `worker.py NAME URL…`. Started by `contest.py`, never by hand.

Reads commands as lines of JSON, answers each with a line of JSON. What is measured is `time.process_time`: the CPU
time of all threads of this process, in user code and in the kernel, so waiting costs nothing and a client that works
in threads or background tasks is charged for them.
"""

from __future__ import annotations

import asyncio
import gc
import json
import os
import sys
import time
from collections.abc import Awaitable, Callable
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import Any

from contenders import CONTENDERS, Contender

_AFTERWARDS = 0.1
"""Seconds that background work (logging, bookkeeping) gets to end before the clock is read."""


async def measure(one: Callable[[], Awaitable[int]], *, tasks: int, most: int, seconds: float) -> dict[str, float]:
    """CPU seconds and units of `most` runs of `one` by `tasks` tasks, or of what `seconds` of them allow.

    Starts warm: every task has made a run, so connections are open and caches filled.
    """
    await _run(one, tasks, tasks + 10, seconds / 3)
    await asyncio.sleep(_AFTERWARDS)
    gc.collect()
    began = time.process_time()
    units = await _run(one, tasks, most, seconds)
    await asyncio.sleep(_AFTERWARDS)
    return {"cpu": time.process_time() - began, "units": units}


async def _run(one: Callable[[], Awaitable[int]], tasks: int, most: int, seconds: float) -> int:
    units = started = 0
    until = time.perf_counter() + seconds

    async def repeat() -> None:
        nonlocal units, started
        while started < most and (time.perf_counter() < until or not units):
            started += 1
            got = await one()
            units += got

    await asyncio.gather(*(repeat() for _ in range(tasks)))
    return units


async def serve(name: str, urls: list[str]) -> None:
    """Answer commands until the input ends. The loop rests while the parent measures somebody else."""
    contenders = [CONTENDERS[name](url) for url in urls]
    try:
        for contender in contenders:
            await contender.open()
        await contenders[0].call()
    except Exception as error:
        answer({"error": f"{type(error).__name__}: {error}"})
        return
    answer({"version": version(contender.package) if contender.package else ""})
    for line in sys.stdin:
        order: dict[str, Any] = json.loads(line)
        contender = contenders[order.pop("at", 0)]
        match order.pop("what"):
            case "reopen":
                await contender.close()
                await contender.open()
                answer({})
            case "connect":  # all begin before any has a reply: each opens a connection of its own
                await asyncio.gather(*(contender.call() for _ in range(order["connections"])))
                answer({})
            case "call":
                answer(await measure(partial(_once, contender), **order))
            case "stream":
                answer(await measure(contender.stream, **order))
    os._exit(0)  # clients are dropped as they are; what they say to that is not ours to show


async def _once(contender: Contender) -> int:
    await contender.call()
    return 1


def answer(reply: dict[str, Any]) -> None:
    """Say it to the parent."""
    print(json.dumps(reply), file=_TO_PARENT, flush=True)


if __name__ == "__main__":
    sys.path.append(str(Path(__file__).resolve().parents[1]))  # our packages, where they are not installed
    _TO_PARENT = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # what a library prints is no answer
    asyncio.run(serve(sys.argv[1], sys.argv[2:]))
