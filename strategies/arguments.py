"""Arguments of strategies, checked before the first call."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from difflib import get_close_matches

from providers.errors import ConfigurationError


@dataclass(frozen=True, slots=True)
class Whole:
    """A whole number from `low` to `high`."""

    low: int
    high: int

    def check(self, value: object, place: str) -> int:
        """`value` if it fits; else a `ConfigurationError` naming `place`."""
        if isinstance(value, int) and not isinstance(value, bool) and self.low <= value <= self.high:
            return value
        raise ConfigurationError(f"{place}: a whole number from {self.low} to {self.high} is needed, not {value!r}")


def guess(name: str, known: Collection[str]) -> str:
    """A did-you-mean to end a sentence with: the known name most like `name`, or all of them."""
    close = get_close_matches(name, known, n=1)
    if close:
        return f"did you mean {close[0]!r}?"
    return f"known: {', '.join(sorted(known))}" if known else "it takes none"


def parse(
    strategy: str,
    args: Mapping[str, object],
    known: Mapping[str, Whole],
    *,
    elsewhere: Mapping[str, str],
    place: str,
) -> dict[str, int]:
    """`args` checked against what `strategy` knows; all problems in one `ConfigurationError`.

    `elsewhere` says, for arguments of other routers, what takes their place here.
    """
    parsed: dict[str, int] = {}
    problems: list[str] = []
    for name, value in args.items():
        if name in known:
            try:
                parsed[name] = known[name].check(value, f"{place}.{name}")
            except ConfigurationError as error:
                problems.append(str(error))
        elif name in elsewhere:
            problems.append(f"{place}.{name}: {elsewhere[name]}")
        else:
            problems.append(f"{place}.{name}: unknown argument of the strategy {strategy!r}; {guess(name, known)}")
    if problems:
        raise ConfigurationError("\n".join(problems))
    return parsed
