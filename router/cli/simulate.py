"""`homing simulate`: a recorded trace under other configurations."""

from __future__ import annotations

import argparse
import json
import sys
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn

from providers.errors import ConfigurationError
from router.cli import exits
from router.cli.parsing import Commands, takes_file

if TYPE_CHECKING:
    from router.simulation import Simulation

_NARROWEST = 100
"""Columns of a table that no terminal limits."""
_EPILOG = """\
a trace is what a program records of its own traffic, without contents or
secrets:
  with router.record("monday.trace"):
      ...

examples:
  homing simulate monday.trace config.yaml
      what was recorded, beside what config.yaml would make of the same calls
  homing simulate monday.trace now.yaml cheaper.yaml --plot compare.png
      two configurations side by side, as a table and as a picture
  homing simulate monday.trace config.yaml --decisions now.jsonl &&
      diff before.jsonl now.jsonl
      which calls a change sends elsewhere: the same trace and seed make the
      same bytes

Configurations are YAML or JSON with model_list and router_settings. They need
no credentials: nothing is sent. Deployments take as long as the trace shows,
fail when it shows, and refuse what is beyond their rpm and tpm; one that the
trace does not know is simulated like others of its model or group. On a
terminal it shows how far it is.
"""


def register(commands: Commands) -> None:
    """Add the command to the parser."""
    parser = commands.add_parser(
        "simulate",
        help="show what would have become of recorded calls under another configuration",
        description=(
            "Replay a recorded trace through the Router itself, on a clock that jumps.\n"
            "Shows shares, latencies, 429s, cost and lost conversations beside those that\n"
            "were recorded."
        ),
        epilog=_EPILOG,
    )
    takes_file(parser.add_argument("trace", metavar="TRACE", help="the file that Router.record wrote"))
    takes_file(parser.add_argument("config", metavar="CONFIG", nargs="+", help="a configuration, as YAML or JSON"))
    parser.add_argument("--seed", type=int, default=0, metavar="N", help="of everything left to chance (default: 0)")
    takes_file(parser.add_argument("--plot", metavar="FILE", help="draw it, as .png or .svg (needs the extra `plot`)"))
    takes_file(
        parser.add_argument("--decisions", metavar="FILE", help="write a line of JSON for each simulated attempt")
    )
    parser.add_argument("--json", action="store_true", help="print the figures as JSON")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Simulate, and print; 0, or 2 if the trace or a configuration can't be used, or a file can't be written."""
    try:
        found = _simulated(arguments)
    except ConfigurationError as error:
        print(f"homing simulate: {error}", file=sys.stderr)
        return exits.USAGE
    problem = _write(found, arguments)
    if arguments.json:
        print(json.dumps(found.to_dict(), indent=2))
    else:
        _show(found)
    if problem:  # no reason to lose what took so long
        print(f"homing simulate: {problem}", file=sys.stderr)
        return exits.USAGE
    return exits.OK


def _write(found: Simulation, arguments: argparse.Namespace) -> str:
    """Write the files that are asked for; what is wrong with one, or nothing."""
    try:
        if arguments.decisions:
            Path(arguments.decisions).write_bytes(found.decisions)
        if arguments.plot:
            found.plot(arguments.plot)
    except ConfigurationError as error:
        return str(error)
    except OSError as error:
        return f"{arguments.decisions}: can't be written: {error.strerror}"
    return ""


def _simulated(arguments: argparse.Namespace) -> Simulation:
    from router.simulation import simulate

    console = Console(stderr=True)
    if not console.is_terminal:
        return simulate(arguments.trace, arguments.config, seed=arguments.seed)
    columns = (TextColumn("{task.description}", markup=False), BarColumn(), MofNCompleteColumn())
    with ExitStack() as stack:
        progress = stack.enter_context(Progress(*columns, console=console, transient=True))
        tasks: dict[str, TaskID] = {}

        def told(name: str, begun: int, calls: int) -> None:
            if name not in tasks:
                tasks[name] = progress.add_task(name, total=calls)
            progress.update(tasks[name], completed=begun)

        return simulate(arguments.trace, arguments.config, seed=arguments.seed, progress=told)


def _show(found: Simulation) -> None:
    from router.simulation.table import table

    options: dict[str, Any] = {"highlight": False}
    console = Console(**options)
    if not console.is_terminal:
        print(found)
        return
    console.print(table(found.columns))
    for note in found.notes:
        console.print(f"note: {note}", style="dim", markup=False)
