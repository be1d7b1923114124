"""CPU time of translating between dialects: `python benchmarks/translation.py` (a minute; --help for more).

For each dialect of the catalog one reply of a kilobyte is made a response object, and each frame of a stream of a
hundred pieces of text made the events it stands for. Bytes in, objects out: nothing is sent. Contenders, each in a
process of its own (`translators.py`), get the same bytes (`recordings.py`): ours; LiteLLM's translation to chat
completions and from there to responses, without what its logging does; and `json`, which parses and does no more, as
the floor.

Read the ratios: each is the median over interleaved rounds of the ratio within a round. At the end stand the
project's promises; the exit status is 1 if one is broken.
"""

from __future__ import annotations

import sys

from contest import Column, Target, arguments, compete, judge, show, workers
from recordings import REPLIES

from providers.catalog import VENDORS

NAMES = ("json", "ours", "litellm")
REPLY = 60
"""Microseconds that a reply may take."""
FRAME = 15
"""Microseconds that a frame of a stream may take."""


def main() -> int:
    """Measure and print; the exit status."""
    args = arguments(__doc__, rounds=7, most=200, unit="replies")
    spoken = {dialect for vendor in VENDORS.values() for dialect in vendor.dialects}
    dialects = [dialect for dialect in REPLIES if dialect in spoken]
    replies = [Column(f"{dialect}: a reply", {"dialect": dialect, "what": "reply"}) for dialect in dialects]
    frames = [Column(f"{dialect}: a frame", {"dialect": dialect, "what": "stream"}) for dialect in dialects]
    with workers(NAMES, (), args, "translators.py") as contenders:
        compete(contenders, [*replies, *frames], args)
    show("CPU per reply of 1 KB", replies, contenders, "json")
    show("CPU per frame of a stream", frames, contenders, "json")
    return judge([*(Target(column, "ours", REPLY) for column in replies), *(Target(c, "ours", FRAME) for c in frames)])


if __name__ == "__main__":
    sys.exit(main())
