"""The command `homing`."""

from __future__ import annotations

import argparse
from collections.abc import Sequence

from router.cli import check, demo, dialects, explain, keys, serve, simulate, upstream

_COMMANDS = (serve, check, keys, demo, upstream, dialects, explain, simulate)


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; the exit code. `argv` without the program's name; None: the process's arguments."""
    parser = argparse.ArgumentParser(prog="homing", description="Homing Router: every follow-up comes home.")
    commands = parser.add_subparsers(title="commands", required=True, metavar="COMMAND")
    for command in _COMMANDS:
        command.register(commands)
    arguments = parser.parse_args(argv)
    code: int = arguments.run(arguments)
    return code
