"""`homing completion`: what a shell needs to complete the commands, options, choices and files of `homing`."""

from __future__ import annotations

import argparse
from collections.abc import Callable

from router.cli.exits import OK
from router.cli.parsing import Commands

SHELLS = ("bash", "zsh", "fish")
_EXAMPLES = """\
examples:
  homing completion bash > ~/.local/share/bash-completion/completions/homing
      for all bash shells that are started from now on (needs bash-completion)
  eval "$(homing completion bash)"
      for this shell alone
  homing completion zsh > ~/.zfunc/_homing
      with `fpath+=~/.zfunc; autoload -Uz compinit; compinit` in ~/.zshrc
  homing completion fish > ~/.config/fish/completions/homing.fish

The script is complete in itself: Python is not started while you type. Write
it again after an update.
"""


def register(commands: Commands, whole: Callable[[], argparse.ArgumentParser]) -> None:
    """Add the command to the parser. `whole` makes the parser of all commands."""
    parser = commands.add_parser(
        "completion",
        help="print what bash, zsh or fish needs to complete commands",
        description="Print what a shell needs to complete commands, options, choices and files.",
        epilog=_EXAMPLES,
    )
    parser.add_argument("shell", choices=SHELLS, help="the shell it is for")
    parser.set_defaults(run=lambda arguments: run(arguments, whole()))


def run(arguments: argparse.Namespace, parser: argparse.ArgumentParser) -> int:
    """Print it; 0."""
    import shtab  # only here: other commands start without it

    print(shtab.complete(parser, arguments.shell))
    return OK
