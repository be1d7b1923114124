"""A simulation as a table, for terminals and for `str()`."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Final, TypeAlias

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from router.simulation.figures import Figures, Percentiles

WIDTH: Final = 100
"""Columns of the text that `str()` gives, and more if there are many configurations."""
_COLUMN: Final = 16
MOST_DEPLOYMENTS: Final = 20
"""Deployments that are listed one by one."""

_Row: TypeAlias = "tuple[str, Callable[[Figures], str], Callable[[Figures], float | None] | None]"
"""A label; what stands in each column; and what is compared, where less is better."""


def table(columns: Sequence[Figures]) -> Table:
    """The figures side by side; first what was recorded. What is better than that is green, what is worse is red."""
    sheet = Table(box=box.SIMPLE_HEAD, pad_edge=False, title_justify="left")
    sheet.add_column("", no_wrap=True, overflow="ellipsis", max_width=48)
    for each in columns:
        sheet.add_column(Text(each.name, "bold"), justify="right", overflow="fold")
    for number, rows in enumerate(_sections(columns)):
        if number:
            sheet.add_section()
        for label, shown, weight in rows:
            sheet.add_row(label, *(_cell(columns[0], each, shown, weight) for each in columns))
    return sheet


def text(columns: Sequence[Figures], notes: Iterable[str]) -> str:
    """The table, and the notes below it."""
    width = max(WIDTH, 50 + _COLUMN * len(columns))
    console = Console(file=io.StringIO(), width=width, color_system=None, force_terminal=False, legacy_windows=False)
    with console.capture() as captured:
        console.print(table(columns))
        for note in notes:
            console.print(Text(f"note: {note}"))
    return "\n".join(line.rstrip() for line in captured.get().splitlines()).strip("\n")


def _cell(
    recorded: Figures, each: Figures, shown: Callable[[Figures], str], weight: Callable[[Figures], float | None] | None
) -> Text:
    before, now = (None, None) if weight is None or each is recorded else (weight(recorded), weight(each))
    style = ""
    if before is not None and now is not None and abs(now - before) > 0.05 * abs(before):
        style = "green" if now < before else "red"
    return Text(shown(each), style)


def _sections(columns: Sequence[Figures]) -> Iterator[list[_Row]]:
    yield [
        ("calls", lambda each: f"{each.calls:,}", None),
        ("failed", lambda each: _part(each.failures, each.calls), lambda each: each.failures),
        *(_error(name) for name in _all(columns, lambda each: each.errors)),
        *(
            [("left by their callers", lambda each: f"{each.left:,}", None)]
            if any(each.left for each in columns)
            else []
        ),
    ]
    names = list(_all(columns, lambda each: each.shares))
    yield [
        *(_share(name) for name in names[:MOST_DEPLOYMENTS]),
        *([_others(frozenset(names[MOST_DEPLOYMENTS:]))] if len(names) > MOST_DEPLOYMENTS else []),
    ]
    yield [
        *_times("latency", lambda each: each.latency),
        *(_times("first output", lambda each: each.first_output) if any(each.first_output for each in columns) else []),
    ]
    yield [
        ("429s from deployments", lambda each: f"{each.limited_upstream:,}", lambda each: each.limited_upstream),
        ("429s to callers", lambda each: f"{each.limited_callers:,}", lambda each: each.limited_callers),
        ("retries", lambda each: f"{each.retries:,}", lambda each: each.retries),
        ("fallbacks", lambda each: f"{each.fallbacks:,}", lambda each: each.fallbacks),
    ]
    yield [
        ("cost", _dollars, _comparable(columns)),
        *([("of unknown cost", lambda each: f"{each.unpriced:,}", None)] if any(e.unpriced for e in columns) else []),
    ]
    yield [
        ("follow-ups", lambda each: f"{each.follow_ups:,}", None),
        ("came home", lambda each: _part(each.home, each.follow_ups), None),
        ("lost their conversation", lambda each: f"{each.breaks:,}", lambda each: each.breaks),
    ]


def _dollars(each: Figures) -> str:
    if each.unpriced and not each.cost:
        return "unknown"
    return f"${each.cost:,.4f}" if each.cost < 100 else f"${each.cost:,.2f}"


def _comparable(columns: Sequence[Figures]) -> Callable[[Figures], float | None] | None:
    """Costs say something about each other if no price is missing."""
    return None if any(each.unpriced for each in columns) else lambda each: each.cost


def _all(columns: Sequence[Figures], of: Callable[[Figures], dict[str, int]]) -> dict[str, None]:
    return dict.fromkeys(name for each in columns for name in of(each))


def _part(number: int, whole: int) -> str:
    return f"{number:,}" if not number or not whole else f"{number:,} ({number / whole:.1%})"


def _error(name: str) -> _Row:
    return f"  {name}", lambda each: f"{each.errors.get(name, 0):,}", None


def _share(name: str) -> _Row:
    return f"served by {name}", lambda each: _percent(each.shares.get(name, 0), each), None


def _others(names: frozenset[str]) -> _Row:
    label = f"served by {len(names)} others"
    return label, lambda each: _percent(sum(each.shares.get(name, 0) for name in names), each), None


def _percent(number: int, each: Figures) -> str:
    served = sum(each.shares.values())
    return f"{number / served:.1%}" if served else "–"


def _times(label: str, of: Callable[[Figures], Percentiles | None]) -> list[_Row]:
    def row(name: str) -> _Row:
        def seconds(each: Figures) -> float | None:
            found = of(each)
            return None if found is None else float(getattr(found, name))

        def shown(each: Figures) -> str:
            found = seconds(each)
            return "–" if found is None else f"{found:.2f} s" if found >= 1 else f"{found * 1000:.0f} ms"

        return f"{label} {name}", shown, seconds

    return [row(name) for name in ("p50", "p90", "p99")]
