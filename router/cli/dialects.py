"""`homing providers`: what becomes of each parameter of a call at each provider."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from typing import TYPE_CHECKING, Final

from rich import box
from rich.console import Console
from rich.table import Table as Sheet
from rich.text import Text

from providers.catalog import VENDORS, Vendor
from providers.translation.parameters import RESPONSES, Outcome, Table
from providers.translation.translator import Translator

if TYPE_CHECKING:
    from argparse import _SubParsersAction  # argparse has no public name for it

_STYLES: Final = {Outcome.MAPPED: "green", Outcome.IGNORED: "yellow", Outcome.REFUSED: "red"}
_CELLS: Final = {Outcome.MAPPED: "yes", Outcome.IGNORED: "ignored", Outcome.REFUSED: "400"}


@dataclass(frozen=True, slots=True)
class Column:
    """A dialect as some vendors speak it."""

    heading: str
    vendors: tuple[str, ...]
    table: Table | None
    """What becomes of each parameter; None: all are passed on as they are."""


def register(commands: _SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the command to the parser."""
    parser = commands.add_parser(
        "providers",
        help="show what becomes of each parameter of a call at each provider",
        description=(
            "Show the providers, the dialects that their deployments speak, and what becomes of each parameter of a "
            "call there: it is mapped to the dialect's own words; it is ignored, for the answer is as good without; "
            "or the call is refused with a 400, unless drop_params is set, which leaves it out and tells."
        ),
    )
    parser.add_argument("name", nargs="*", help="only these providers or dialects (default: all)")
    parser.add_argument("--format", choices=("table", "md"), default="table", help="md: Markdown (default: table)")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Print it; 0, or 2 if there is no such provider."""
    found = columns(VENDORS)
    names: Sequence[str] = arguments.name
    known = {name for column in found for name in (column.heading, *column.vendors)}
    for name in names:
        if name not in known:
            close = get_close_matches(name, known, n=1)
            hint = f"; did you mean {close[0]!r}?" if close else ""
            print(f"homing providers: there is no provider or dialect {name!r}{hint}", file=sys.stderr)
            return 2
    if names:
        found = [column for column in found if {column.heading, *column.vendors} & set(names)]
    if arguments.format == "md":
        print(markdown(found))
    else:
        console = Console()
        console.print(_vendors(found))
        told = [column for column in found if column.table is not None]
        if told:
            console.print(_parameters(told))
    return 0


def columns(vendors: Mapping[str, Vendor]) -> list[Column]:
    """One column for each dialect and each table of it, in the order in which vendors speak them."""
    found: dict[str, list[tuple[Table | None, list[str]]]] = {}
    for vendor in vendors.values():
        for dialect, provider in vendor.dialects.items():
            table = provider.table if isinstance(provider, Translator) else None
            tables = found.setdefault(dialect, [])
            same = next((names for other, names in tables if other == table), None)
            if same is None:
                tables.append((table, same := []))
            same.append(vendor.name)
    return [
        Column(dialect if len(tables) == 1 else f"{dialect} ({names[0]})", tuple(names), table)
        for dialect, tables in found.items()
        for table, names in tables
    ]


def markdown(found: Sequence[Column]) -> str:
    """The same as the README shows it."""
    told = [column for column in found if column.table is not None]
    lines = ["| dialect | spoken by |", "|---|---|"]
    lines += [f"| {column.heading} | {', '.join(f'`{name}`' for name in column.vendors)} |" for column in found]
    if told:
        lines += [
            "",
            f"| parameter | {' | '.join(column.heading for column in told)} |",
            "|---" * (len(told) + 1) + "|",
        ]
        lines += [f"| `{name}` | {' | '.join(_cells(name, told))} |" for name in RESPONSES]
        lines += ["", *_notes(told)]
    return "\n".join(lines)


def _cells(name: str, told: Iterable[Column]) -> Iterator[str]:
    return (_CELLS[(column.table or {})[name].outcome] for column in told)


def _notes(told: Sequence[Column]) -> Iterator[str]:
    """Why what is not mapped is not, a line for each parameter; what holds everywhere is said once."""
    for name in RESPONSES:
        whys: dict[str, list[str]] = {}
        for column in told:
            line = (column.table or {})[name]
            if line.outcome is not Outcome.MAPPED:
                whys.setdefault(line.note, []).append(column.heading)
        texts = [why if len(where) == len(told) else f"{', '.join(where)}: {why}" for why, where in whys.items()]
        if texts:
            yield f"- `{name}`: {'; '.join(texts)}."


def _vendors(found: Iterable[Column]) -> Sheet:
    sheet = Sheet("dialect", "spoken by", box=box.SIMPLE_HEAD)
    for column in found:
        sheet.add_row(column.heading, ", ".join(column.vendors))
    return sheet


def _parameters(told: Sequence[Column]) -> Sheet:
    sheet = Sheet("parameter", *(column.heading for column in told), box=box.SIMPLE_HEAD, show_lines=True)
    for name in RESPONSES:
        lines = [(column.table or {})[name] for column in told]
        sheet.add_row(
            name, *(Text.assemble((x.outcome, _STYLES[x.outcome]), f"\n{x.note}" * bool(x.note)) for x in lines)
        )
    return sheet
