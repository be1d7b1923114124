"""CPU time of one call that is not streamed: `python benchmarks/calls.py` (a minute or two; --help for more).

Contenders, each in a process of its own (`contenders.py`), ask one loopback server (`upstream.py`) for the same
response: asyncio's streams, as the floor; bare `httpx.AsyncClient.post`; a raw aiohttp client; the OpenAI SDK;
LiteLLM's Router; ours over 10 deployments, over 1,000, with affinity and a follow-up per call, and through a user's
own `httpx.AsyncClient`. None retries, all but the floor decode the JSON.

What is counted is CPU time of the contender's process, kernel included, per call; warm, in interleaved rounds, with 1
and with 64 calls in flight. The second table asks what idle connections cost: one call at a time, while 1 or 256
connections stand open. Read the ratios: each is the median over rounds of the ratio within a round. They hold on any
machine, within some 15 %; microseconds do not. At the end stand the project's promises; the exit status is 1 if one
is broken.
"""

from __future__ import annotations

import sys

import upstream
from contest import Column, Target, Worker, arguments, compete, judge, show, workers

NAMES = ("socket", "httpx", "aiohttp", "openai", "litellm", "ours", "ours-1000", "ours-homing", "ours-httpx")
_IDLE = (1, 16, 256)
_FLAT = 1.25
"""Cost with most connections idle over the cost with one; 1 but for noise."""


def idle(contenders: list[Worker], rounds: int, most: int, seconds: float) -> list[Column]:
    """CPU per call, one at a time, with more and more connections standing by."""
    columns = [Column(f"{count} idle", {"what": "call", "tasks": 1}) for count in _IDLE]
    for _ in range(rounds):
        for worker in contenders:
            for count, column in zip(_IDLE, columns, strict=True):
                worker.ask(what="reopen")
                worker.ask(what="connect", connections=count)
                took = worker.cpu(most=most, seconds=seconds, **column.order)
                column.samples.setdefault(worker.name, []).append(took)
    return columns


def main() -> int:
    """Measure and print; the exit status."""
    args = arguments(__doc__, rounds=5, most=500, unit="calls")
    alone = Column("1 at a time", {"what": "call", "tasks": 1})
    crowd = Column("64 at a time", {"what": "call", "tasks": 64})
    with upstream.start() as url:
        with workers(NAMES, (url,), args) as contenders:
            compete(contenders, (alone, crowd), args)
        with workers(("httpx", "aiohttp", "ours"), (url,), args) as some:
            standing = idle(some, min(args.rounds, 3), args.most // 2, args.seconds)
    show("CPU per call, not streamed", (alone, crowd), contenders, "httpx")
    show("CPU per call while connections stand idle", standing, some, "httpx")
    growth = standing[-1].median("ours") / standing[0].median("ours")
    flat = f"{_IDLE[-1]} idle connections: ours costs {growth:.2f} of what it does with {_IDLE[0]}, at most {_FLAT}"
    return judge(
        (Target(column, "ours", bound, other) for column in (alone, crowd) for other, bound in _PROMISES.items()),
        [(flat, growth <= _FLAT)],
    )


_PROMISES = {"httpx": 0.6, "openai": 1 / 4, "litellm": 1 / 15}

if __name__ == "__main__":
    sys.exit(main())
