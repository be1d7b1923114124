"""`homing demo`: simulated deployments, real traffic over real sockets, one of them dies and comes back."""

from __future__ import annotations

import argparse
import asyncio
import sys
from typing import TYPE_CHECKING

from rich.console import Console

from providers.errors import ConfigurationError
from router.cli.demo.screen import summary
from router.cli.demo.stage import play

if TYPE_CHECKING:
    from argparse import _SubParsersAction  # argparse has no public name for it

_INTERRUPTED = 130


def register(commands: _SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the command to the parser."""
    parser = commands.add_parser(
        "demo",
        help="watch simulated deployments being balanced, one of them dying and coming back",
        description=(
            "Start four simulated deployments on this machine and hold conversations with them through a Router. "
            "One deployment is killed on the way and comes back. Ends by itself; the exit code is 0 if every call "
            "was answered and every follow-up came home."
        ),
    )
    parser.add_argument("--seconds", type=float, default=22.0, metavar="S", help="how long to play (default: 22)")
    parser.add_argument("--conversations", type=int, default=24, metavar="N", help="held at once (default: 24)")
    parser.add_argument("--strategy", default="adaptive", metavar="NAME", help="who serves a call (default: adaptive)")
    parser.add_argument("--plain", action="store_true", help="plain lines even on a terminal")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Play, and sum up; 0 if all went well, 1 if not, 2 if it can't be played as asked."""
    console = Console(highlight=False)
    for name in ("seconds", "conversations"):
        if getattr(arguments, name) <= 0:
            print(f"homing demo: --{name} is {getattr(arguments, name):g}; it must be above 0", file=sys.stderr)
            return 2
    live = console.is_terminal and not arguments.plain
    try:
        ended = asyncio.run(play(console, arguments.seconds, arguments.conversations, arguments.strategy, live=live))
    except ConfigurationError as error:
        print(f"homing demo: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        return _INTERRUPTED
    console.print(summary(ended), soft_wrap=True)
    return 0 if ended.well else 1
