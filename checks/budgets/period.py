"""How long a budget lasts before it starts anew."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

_DURATION: Final = re.compile(r"([1-9]\d{0,8})(s|m|h|d|w|mo)")
_SECONDS: Final = {"s": 1, "m": 60, "h": 3_600, "d": 86_400, "w": 604_800}
_MONDAY: Final = 4 * 86_400
"""The first Monday of Unix time: weeks begin there, and every whole number of days at midnight, UTC."""
_LONGEST: Final = 100 * 365 * 86_400
_MONTH: Final = 31 * 86_400


@dataclass(frozen=True, slots=True)
class Window:
    """One turn of a budget."""

    index: int
    """Its number, the same in every process."""
    end: float
    """Unix time."""


@dataclass(frozen=True, slots=True)
class Period:
    """A length of time whose windows are fixed: aligned to Unix time, or to calendar months, in UTC."""

    text: str
    """As it was written: `1d`."""
    count: int
    unit: str

    @property
    def seconds(self) -> int:
        """How long it is; a month as long as the longest."""
        return self.count * _SECONDS.get(self.unit, _MONTH)

    def window(self, now: float) -> Window:
        """The window that the Unix time `now` is in."""
        if self.unit == "mo":
            date = datetime.fromtimestamp(now, UTC)
            index = (date.year * 12 + date.month - 1) // self.count
            year, month = divmod((index + 1) * self.count, 12)
            return Window(index, datetime(year, month + 1, 1, tzinfo=UTC).timestamp())
        length = self.count * _SECONDS[self.unit]
        index = int((now - _MONDAY) // length)
        return Window(index, (index + 1) * length + _MONDAY)


LIFETIME: Final = Period("lifetime", 5_200, "w")
"""For ever, as far as anybody will see."""


def parse_period(text: str) -> Period:
    """The period that LiteLLM's `budget_duration` means: `30s`, `5m`, `1h`, `1d`, `7d`, `1w`, `1mo`.

    Raises `ValueError` that says what is taken.
    """
    match = _DURATION.fullmatch(text)
    if match is None:
        raise ValueError("must be a number and a unit of s, m, h, d, w, mo, such as '1h', '1d', '30d' or '1mo'")
    period = Period(text, int(match[1]), match[2])
    if period.seconds > _LONGEST:
        raise ValueError("must be at most 100 years")
    return period
