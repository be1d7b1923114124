"""`homing demo`: simulated deployments, real traffic over real sockets, one of them dies and comes back."""

from __future__ import annotations

import argparse
import asyncio
import sys
from math import inf

from rich.console import Console

from providers.errors import ConfigurationError
from router.cli import exits
from router.cli.parsing import Commands, Suggestions
from strategies.catalog import STRATEGIES

_EXAMPLES = """\
examples:
  homing demo
      on a terminal a table that lives, elsewhere plain lines
  homing demo --strategy least-busy --seconds 60 --conversations 200
      more of it, by another strategy
"""


def register(commands: Commands) -> None:
    """Add the command to the parser."""
    parser = commands.add_parser(
        "demo",
        help="watch simulated deployments being balanced, one of them dying and coming back",
        description=(
            "Hold conversations with four simulated deployments, through a Router.\n"
            "One deployment is killed on the way and comes back. Ends by itself; the exit\n"
            "code is 0 if every call was answered and every follow-up came home."
        ),
        epilog=_EXAMPLES,
    )
    parser.add_argument("--seconds", type=float, default=22.0, metavar="S", help="how long to play (default: 22)")
    parser.add_argument("--conversations", type=int, default=24, metavar="N", help="held at once (default: 24)")
    parser.add_argument(
        "--strategy",
        default="adaptive",
        metavar="NAME",
        choices=Suggestions(lambda: STRATEGIES),
        help="who serves a call (default: adaptive)",
    )
    parser.add_argument("--plain", action="store_true", help="plain lines even on a terminal")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Play, and sum up; 0 if all went well, 1 if not, 2 if it can't be played as asked."""
    from router.cli.demo.screen import summary
    from router.cli.demo.stage import play  # here, for simulated deployments take a while to import

    console = Console(highlight=False)
    for name in ("seconds", "conversations"):
        if not 0 < getattr(arguments, name) < inf:
            said = f"--{name} is {getattr(arguments, name):g}; it must be above 0, and finite"
            print(f"homing demo: {said}", file=sys.stderr)
            return exits.USAGE
    live = console.is_terminal and not arguments.plain
    try:
        ended = asyncio.run(play(console, arguments.seconds, arguments.conversations, arguments.strategy, live=live))
    except ConfigurationError as error:
        print(f"homing demo: {error}", file=sys.stderr)
        return exits.USAGE
    console.print(summary(ended), soft_wrap=True)
    return exits.OK if ended.well else exits.FOUND
