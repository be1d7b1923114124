"""What happened in a soak, counted, and as a table."""

from __future__ import annotations

import argparse
from collections import Counter
from dataclasses import dataclass, field

from rich.table import Table

BROKEN_OFF = "StreamInterruptedError"
NOT_FOUND = frozenset({"PreviousResponseNotFoundError", "ResponseNotFoundError"})


@dataclass
class Outcome:
    """What happened."""

    conversations: int = 0
    """Come to their end."""
    turns: int = 0
    modes: Counter[str] = field(default_factory=Counter)
    """How follow-ups found their home."""
    errors: Counter[str] = field(default_factory=Counter)
    """What calls failed with, by class."""
    attempts: Counter[str] = field(default_factory=Counter)
    """What attempts failed with that callers did not notice."""
    examples: dict[str, str] = field(default_factory=dict)
    repeated: int = 0
    """Calls that were in the hands of a process that was killed."""
    restarts: int = 0
    strayed: int = 0
    """Follow-ups served where their conversation was not."""
    forgetful: int = 0
    """Answers without the first words, or of the wrong turn."""
    lost: int = 0
    """Conversations that did not come to their end."""
    foreign: int = 0
    """Requests for a response that the deployment had not issued."""
    probes: int = 0
    requests: int = 0
    seconds: float = 0.0

    def violations(self) -> list[str]:
        """What must not be."""
        counts = {
            "requests at a wrong home": self.foreign,
            "attempts answered “not found”": sum(self.attempts[name] for name in NOT_FOUND),
            "follow-ups served elsewhere": self.strayed,
            "answers that had forgotten": self.forgetful,
            "lost conversations": self.lost,
            "failed calls": sum(self.errors.values()) - self.errors[BROKEN_OFF],
        }
        return [f"{count:,} {what}" for what, count in counts.items() if count]


def report(options: argparse.Namespace, outcome: Outcome) -> Table:
    """What happened, as a table."""
    title = (
        f"{options.conversations:,} conversations, {options.deployments} deployments, {options.processes} processes, "
        "one Redis"
    )
    table = Table("", "", title=title, show_header=False)
    seconds = outcome.seconds
    rows = {
        "conversations completed": f"{outcome.conversations:,}",
        "lost": f"{outcome.lost:,}",
        "turns": f"{outcome.turns:,} ({outcome.requests:,} requests upstream)",
        "time": f"{seconds:,.1f} s: {outcome.conversations / seconds:,.1f} conversations/s, "
        f"{outcome.turns / seconds:,.0f} turns/s",
        "requests at a wrong home": f"{outcome.foreign:,}",
        "follow-ups served elsewhere": f"{outcome.strayed:,}",
        "answers that had forgotten": f"{outcome.forgetful:,}",
        "follow-ups": ", ".join(f"{count:,} {mode}" for mode, count in sorted(outcome.modes.items())),
        "replays": f"{outcome.modes['replayed']:,}",
        "discoveries": f"{outcome.modes['discovered']:,} ({outcome.probes:,} probes)",
        "router processes restarted": f"{outcome.restarts:,} ({outcome.repeated:,} calls were in their hands)",
        "deployments lost": "2",
        "calls that failed": _listed(outcome.errors),
        "attempts that failed, unnoticed": _listed(outcome.attempts),
    }
    for name, value in rows.items():
        table.add_row(name, value)
    return table


def _listed(counts: Counter[str]) -> str:
    return ", ".join(f"{count:,} {name}" for name, count in counts.most_common()) or "0"
