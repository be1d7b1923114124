"""Where commands print their tables."""

from __future__ import annotations

import os
from typing import Final

from rich import box
from rich.console import Console
from rich.table import Table

_UNLIMITED: Final = 10_000


def console() -> Console:
    """What prints on stdout: as wide as the terminal, or as `COLUMNS` says; as wide as it takes in files and pipes."""
    found = Console(highlight=False, markup=False)
    if not found.is_terminal and "COLUMNS" not in os.environ:
        found.width = _UNLIMITED
    return found


def sheet(*headings: str, folded: tuple[str, ...]) -> Table:
    """A table of which nothing is cut off, for it is copied from: where it is too wide, these columns are folded."""
    found = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for heading in headings:
        folds = heading in folded
        found.add_column(heading, overflow="fold", no_wrap=not folds, min_width=None if folds else len(heading))
    return found
