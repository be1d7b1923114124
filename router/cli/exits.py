"""The exit codes of every command, in one place."""

from __future__ import annotations

from typing import Final

OK: Final = 0
FOUND: Final = 1
USAGE: Final = 2
INTERRUPTED: Final = 130
LEFT: Final = 141

MEANINGS: Final = {
    OK: "done; a server ended as it was told to (Ctrl-C, SIGTERM)",
    FOUND: (
        "a problem was found: the configuration is wrong (check), nobody could\n"
        "serve the call (explain), a call was lost (demo), a proxy refused (keys)"
    ),
    USAGE: "it can't be done as asked: an option, a file, a configuration is wrong",
    INTERRUPTED: "interrupted (Ctrl-C)",
    LEFT: "whoever read the output left (a closed pipe)",
}
"""What each means, to people."""


def told() -> str:
    """The codes and their meanings, for the help."""
    lines = ["exit codes:"]
    for code, meaning in MEANINGS.items():
        first, *more = meaning.split("\n")
        lines += [f"  {code:<5}{first}", *(f"       {line}" for line in more)]
    return "\n".join(lines)
