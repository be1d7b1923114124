"""`homing providers`: what becomes of each parameter of a call at each provider."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from rich import box
from rich.console import Console
from rich.table import Table as Sheet
from rich.text import Text

from providers.base import Provider
from providers.catalog import VENDORS, Vendor
from providers.translation.parameters import RESPONSES, Outcome, Parameter, Table
from providers.translation.translator import Translator
from router.cli import exits
from router.cli.parsing import Commands, Suggestions
from router.hints import did_you_mean

_UNKNOWN: Final = Parameter("", Outcome.REFUSED, "is not OpenAI's; if the vendor has it, it goes in extra_body")
"""For what is no parameter of the API, and known elsewhere only."""
_STYLES: Final = {Outcome.MAPPED: "green", Outcome.IGNORED: "yellow", Outcome.REFUSED: "red"}
_CELLS: Final = {Outcome.MAPPED: "yes", Outcome.IGNORED: "ignored", Outcome.REFUSED: "400"}


_EXAMPLES = """\
examples:
  homing providers
      all of them, a column for each dialect
  homing providers anthropic gemini
      what Claude and Gemini are told of what a call may say
  homing providers bedrock --format md > bedrock.md
"""


@dataclass(frozen=True, slots=True)
class Way:
    """A way to speak a dialect, and who speaks it so."""

    vendors: tuple[str, ...]
    table: Table


@dataclass(frozen=True, slots=True)
class Line:
    """What becomes of a parameter."""

    outcome: Outcome
    note: str
    where: tuple[str, ...]
    """The vendors; empty: all that speak the dialect."""


@dataclass(frozen=True, slots=True)
class Spoken:
    """A dialect, and who speaks it."""

    dialect: str
    vendors: tuple[str, ...]
    ways: tuple[Way, ...]
    """Without any, all parameters are passed on as they are."""

    def lines(self, name: str) -> list[Line]:
        """What becomes of a parameter, each with those for whom it holds."""
        found: dict[tuple[Outcome, str], tuple[str, ...]] = {}
        for way in self.ways:
            known = way.table.get(name, _UNKNOWN)
            line = known.outcome, known.note
            found[line] = (*found.get(line, ()), *way.vendors)
        return [Line(*line, where if len(found) > 1 else ()) for line, where in found.items()]


def register(commands: Commands) -> None:
    """Add the command to the parser."""
    parser = commands.add_parser(
        "providers",
        help="show what becomes of each parameter of a call at each provider",
        description=(
            "Show providers, their dialects, and what becomes of a call's parameters there.\n"
            "A parameter is mapped to the dialect's own words; it is ignored, for the answer\n"
            "is as good without; or the call is refused with a 400, unless drop_params is\n"
            "set, which leaves it out and tells."
        ),
        epilog=_EXAMPLES,
    )
    parser.add_argument(
        "name",
        nargs="*",
        metavar="NAME",
        choices=Suggestions(lambda: sorted(_known())),
        help="only these providers or dialects (default: all)",
    )
    parser.add_argument("--format", choices=("table", "md"), default="table", help="md: Markdown (default: table)")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Print it; 0, or 2 if there is no such provider."""
    names: Sequence[str] = arguments.name
    known = _known()
    for name in names:
        if name not in known:
            said = f"there is no provider or dialect {name!r}{did_you_mean(name, known)}"
            print(f"homing providers: {said}", file=sys.stderr)
            return exits.USAGE
    found = spoken(VENDORS, frozenset(names))
    if arguments.format == "md":
        print(markdown(found))
    else:
        told = [each for each in found if each.ways]
        console = Console()
        console.print(_vendors(found))
        if told:
            console.print(_parameters(told))
    return exits.OK


def _known() -> set[str]:
    """The providers and the dialects."""
    return {str(name) for vendor in VENDORS.values() for name in (vendor.name, *vendor.dialects)}


def spoken(vendors: Mapping[str, Vendor], names: frozenset[str] = frozenset()) -> list[Spoken]:
    """The dialects, those first that more vendors know first; only those with or of these names, if there are any."""
    speakers: dict[str, dict[str, Provider]] = {}
    for vendor in vendors.values():
        for dialect, provider in vendor.dialects.items():
            if not names or {vendor.name, dialect} & names:
                speakers.setdefault(dialect, {})[vendor.name] = provider
    return [Spoken(dialect, tuple(found), _ways(found)) for dialect, found in speakers.items()]


def _ways(speakers: Mapping[str, Provider]) -> tuple[Way, ...]:
    found: list[tuple[Table, list[str]]] = []
    for name, provider in speakers.items():
        if not isinstance(provider, Translator):
            continue
        same = next((names for table, names in found if table == provider.table), None)
        if same is None:
            found.append((provider.table, same := []))
        same.append(name)
    return tuple(Way(tuple(names), table) for table, names in found)


def markdown(found: Sequence[Spoken]) -> str:
    """The same as the README shows it."""
    told = [each for each in found if each.ways]
    rows = ["| dialect | spoken by |", "|---|---|"]
    rows += [f"| {each.dialect} | {', '.join(f'`{name}`' for name in each.vendors)} |" for each in found]
    if told:
        rows += ["", f"| parameter | {' | '.join(each.dialect for each in told)} |", "|---" * (len(told) + 1) + "|"]
        rows += [f"| `{name}` | {' | '.join(_cell(each, name) for each in told)} |" for name in _names(told)]
        rows += ["", *_notes(told)]
    return "\n".join(rows)


def _names(told: Iterable[Spoken]) -> list[str]:
    """The parameters of the API, and then what else there is a word for somewhere."""
    others = {name for each in told for way in each.ways for name in way.table}
    return [*RESPONSES, *sorted(others.difference(RESPONSES))]


def _cell(each: Spoken, name: str) -> str:
    return " / ".join(dict.fromkeys(_CELLS[line.outcome] for line in each.lines(name)))


def _notes(told: Sequence[Spoken]) -> Iterator[str]:
    """Why what is not mapped is not, a line for each parameter; what holds everywhere is said once."""
    for name in _names(told):
        whys: dict[str, list[str]] = {}
        for each in told:
            for line in each.lines(name):
                if line.outcome is not Outcome.MAPPED and line.note:
                    place = f"{each.dialect} ({', '.join(line.where)})" if line.where else each.dialect
                    whys.setdefault(line.note, []).append(place)
        everywhere = [each.dialect for each in told]
        texts = [why if where == everywhere else f"{', '.join(where)}: {why}" for why, where in whys.items()]
        if texts:
            yield f"- `{name}`: {'; '.join(texts)}."


def _vendors(found: Iterable[Spoken]) -> Sheet:
    sheet = Sheet("dialect", "spoken by", box=box.SIMPLE_HEAD)
    for each in found:
        sheet.add_row(each.dialect, ", ".join(each.vendors))
    return sheet


def _parameters(told: Sequence[Spoken]) -> Sheet:
    sheet = Sheet("parameter", *(each.dialect for each in told), box=box.SIMPLE_HEAD, show_lines=True)
    for name in _names(told):
        sheet.add_row(name, *(_explained(each, name) for each in told))
    return sheet


def _explained(each: Spoken, name: str) -> Text:
    text = Text()
    for line in each.lines(name):
        text.append("\n" if text else "")
        text.append(line.outcome, _STYLES[line.outcome])
        text.append(f" at {', '.join(line.where)}" if line.where else "")
        text.append(f"\n{line.note}" if line.note else "")
    return text
