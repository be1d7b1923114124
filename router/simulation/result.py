"""What a simulation found."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import Any

import msgspec

from router.simulation.figures import Figures


@dataclass(frozen=True, slots=True, repr=False)
class Simulation:
    """A trace beside what would have become of it. `str()` is a table."""

    recorded: Figures
    """As it was."""
    simulated: tuple[Figures, ...]
    """As it would have been, by configuration, in the order given."""
    seed: int
    notes: tuple[str, ...]
    """What the figures don't show: what was left out, or stands in for something else."""
    decisions: bytes
    """A line of JSON for each simulated attempt: the call's place in the trace, when, where, how it ended, and why it
    went there. The same trace, configurations and seed make the same bytes, on any machine and in any process."""

    @property
    def columns(self) -> tuple[Figures, ...]:
        """As recorded, and as simulated."""
        return self.recorded, *self.simulated

    def to_dict(self) -> dict[str, Any]:
        """The figures as JSON-able data, without the decisions."""
        return {
            "seed": self.seed,
            "recorded": msgspec.to_builtins(self.recorded),
            "simulated": [msgspec.to_builtins(each) for each in self.simulated],
            "notes": list(self.notes),
        }

    def plot(self, path: str | os.PathLike[str]) -> None:
        """Draw shares and latencies side by side, as PNG or SVG by the file's name.

        Raises `ConfigurationError` without the extra `plot`, for other names, and if the file can't be written.
        """
        from router.simulation.plot import draw

        draw(self.columns, path)

    def __str__(self) -> str:
        from router.simulation.table import text

        return text(self.columns, self.notes)

    def __repr__(self) -> str:
        names = ", ".join(each.name for each in self.simulated)
        return f"<Simulation of {self.recorded.calls} calls under {names}>"
