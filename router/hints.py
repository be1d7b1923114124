"""Did-you-mean: the known name closest to a wrong one."""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches


def closest(name: str, known: Iterable[str], *, likeness: float = 0.6) -> str | None:
    """The one of `known` most like `name`, case aside; None if none is at least `likeness` (0 to 1) alike.

    Besides difflib's ratio, names made of the same letters count as alike: `rmp` for `rpm`.
    """
    names = {candidate.lower(): candidate for candidate in known}
    wanted = name[:200].lower()
    found = get_close_matches(wanted, names, n=1, cutoff=likeness)
    if found:
        return names[found[0]]
    letters = sorted(wanted)
    return next((names[other] for other in names if sorted(other) == letters), None)


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """`; did you mean 'x'?`, or nothing if no known name is close."""
    near = closest(name, known)
    return f"; did you mean {near!r}?" if near is not None else ""
