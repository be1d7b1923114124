"""How `homing` reads its command line: parsers that say what was meant, and what arguments can be."""

from __future__ import annotations

import argparse
import re
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Final, NoReturn, TypeAlias

from router.cli.exits import USAGE
from router.hints import did_you_mean

if TYPE_CHECKING:
    from argparse import _SubParsersAction  # argparse has no public name for it

Commands: TypeAlias = "_SubParsersAction[Parser]"
"""What a command adds its parser to."""
_FILES: Final = {
    "bash": "_shtab_compgen_files",
    "zsh": "_files",
    "fish": "(__fish_complete_path (commandline -ct))",
}
"""What shtab takes for files. Its own constant is the same, and would have to be imported at every start."""


class Parser(argparse.ArgumentParser):
    """A parser whose help shows examples as they are written, and whose errors end with what was meant."""

    def __init__(self, **settings: object) -> None:
        settings.setdefault("formatter_class", argparse.RawDescriptionHelpFormatter)
        super().__init__(**settings)  # type: ignore[arg-type]  # argparse's own keywords, passed on
        self.examples: Callable[[], str] | None = None
        """Writes the end of the help, where that takes imports that other commands can do without."""

    def format_help(self) -> str:
        """The help."""
        if self.examples is not None:
            self.epilog = self.examples()
        return super().format_help()

    def error(self, message: str) -> NoReturn:
        """End with the usage, what is wrong, and where to read on."""
        self.print_usage(sys.stderr)
        self.exit(USAGE, f"{self.prog}: {message}\nSee {self.prog} --help.\n")

    def parse(self, arguments: Sequence[str], commands: Commands) -> argparse.Namespace:
        """What the arguments say. An unknown command or option ends it with the one that may have been meant."""
        name = next((each for each in arguments if not each.startswith("-")), None)
        if name is not None and name not in commands.choices:
            self.error(f"there is no command {name!r}{did_you_mean(name, commands.choices)}")
        commands.required = name is not None  # else that would be the error, whatever else there is
        found, unknown = self.parse_known_args(arguments)
        if unknown:
            (commands.choices[name] if name is not None else self).refuse(unknown[0])
        return found

    def refuse(self, argument: str) -> NoReturn:
        """End with what is wrong with an argument that is none of this parser's."""
        if argument.startswith("-"):
            inner = [
                each for action in self._actions if isinstance(action.choices, dict) for each in action.choices.values()
            ]
            text = "\n".join(each.format_help() for each in (self, *inner))
            plain = re.sub(r"\x1b\[[\d;]*m", "", text)  # Python 3.14 colours it
            lines = re.findall(r"^ +-.*", plain, re.MULTILINE)
            options = re.findall(r"--[\w-]+", " ".join(lines))
            self.error(f"there is no option {argument!r}{did_you_mean(argument.partition('=')[0], options)}")
        self.error(f"{argument!r} is too much")


class Suggestions:
    """What a shell may complete an argument to. Nothing is refused for not being among it: commands say more."""

    def __init__(self, names: Callable[[], Iterable[str]]) -> None:
        self._names = names

    def __contains__(self, name: object) -> bool:
        return True

    def __iter__(self) -> Iterator[str]:
        return iter(self._names())


def takes_file(action: argparse.Action) -> None:
    """Have shells complete an argument to the names of files."""
    action.complete = _FILES  # type: ignore[attr-defined]  # where shtab looks for it


def whole(least: int, most: int) -> Callable[[str], int]:
    """Whole numbers within bounds, as an argument's type."""

    def read(text: str) -> int:
        number = int(text) if text.isascii() and text.isdigit() else -1
        if not least <= number <= most:
            raise argparse.ArgumentTypeError(f"must be a whole number from {least} to {most:,}")
        return number

    return read
