"""CPU time per event of a streamed response: `python benchmarks/streams.py` (a minute or two; --help for more).

Every contender (`contenders.py`), in a process of its own, reads streams of 108 events, decodes each and looks at its
type: bare httpx and aiohttp line by line, with JSON by msgspec; the OpenAI SDK; LiteLLM's Router; ours, and ours
through a user's own `httpx.AsyncClient`. `socket` is the floor: asyncio's streams, nothing decoded.

Two servers. `upstream.py` writes a stream at once, so that a read carries many events: that is what parsing costs.
`paced.py` writes one event at a time, as a model does, so that each event costs a wake-up of the event loop and a
read besides; most of it is the floor's, and no client can save it.

Counted is the CPU time of the contender's process, kernel included, per event: connecting, choosing and all else that
a call costs is in it. Read the ratios: each is the median over interleaved rounds of the ratio within a round. At the
end stand the project's promises; the exit status is 1 if one is broken.
"""

from __future__ import annotations

import sys

import paced
import upstream
from contest import Column, Target, arguments, compete, judge, show, workers

NAMES = ("socket", "httpx", "aiohttp", "openai", "litellm", "ours", "ours-httpx")


def main() -> int:
    """Measure and print; the exit status."""
    args = arguments(__doc__, rounds=5, most=48, unit="streams")
    burst = Column("at once, 1 stream", {"what": "stream", "tasks": 1})
    crowd = Column("at once, 16 streams", {"what": "stream", "tasks": 16})
    single = Column("one by one, 32 streams", {"what": "stream", "tasks": 32, "at": 1})
    columns = (burst, crowd, single)
    with upstream.start() as first, paced.start() as second, workers(NAMES, (first, second), args) as contenders:
        compete(contenders, columns, args)
    show("CPU per event of a stream", columns, contenders, "httpx")
    promises = [Target(column, "ours", 20) for column in (burst, crowd)]
    promises += [Target(column, "ours", 1 / 10, "openai") for column in (burst, crowd)]
    promises += [Target(single, "ours", 1.1, "aiohttp"), Target(single, "ours", 1 / 3, "openai")]
    return judge(promises)


if __name__ == "__main__":
    sys.exit(main())
