"""The command `homing`."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from typing import Any

from router.cli import check, completion, demo, dialects, exits, explain, keys, serve, simulate, upstream
from router.cli.parsing import Commands, Parser

_COMMANDS = (serve, check, keys, explain, simulate, dialects, demo, upstream)
_EXAMPLES = """\
start here:
  homing demo
      four simulated deployments, balanced before your eyes; one dies
  homing check config.yaml
      what is wrong with a configuration, or the routing that it yields
  homing serve --config config.yaml
      the proxy, at http://127.0.0.1:4000
  homing COMMAND --help
      each command explains itself, with examples

"""


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; the exit code. `argv` without the program's name; None: the process's arguments."""
    parser, commands = _parser()
    given = sys.argv[1:] if argv is None else argv
    if not given:
        parser.print_help(sys.stderr)
        return exits.USAGE
    arguments = parser.parse(given, commands)
    try:
        code: int = arguments.run(arguments)
        sys.stdout.flush()
    except KeyboardInterrupt:
        return exits.INTERRUPTED
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # else Python tries again at its end
        return exits.LEFT
    return code


def _parser() -> tuple[Parser, Commands]:
    parser = Parser(
        prog="homing",
        description="Homing Router: every follow-up comes home.",
        epilog=_EXAMPLES + exits.told(),
    )
    parser.add_argument("-V", "--version", action=_Version, nargs=0, help="print the version and exit")
    commands = parser.add_subparsers(title="commands", metavar="COMMAND")
    for command in _COMMANDS:
        command.register(commands)
    completion.register(commands, lambda: _parser()[0])
    return parser, commands


class _Version(argparse.Action):
    """Prints the version: looked up when asked for, for that takes a while."""

    def __call__(self, parser: argparse.ArgumentParser, *_: Any) -> None:
        """Print, and end the process."""
        from importlib.metadata import version
        from platform import python_version

        print(f"homing {version('homing-router')} (Python {python_version()})")
        parser.exit()
