"""The cards of one model over time: prices change from a date on, or by the time of day."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Iterable
from datetime import UTC, date, datetime, time
from typing import TYPE_CHECKING, Final

from router.pricing.card import Priced

if TYPE_CHECKING:
    from genai_prices.types import ModelInfo, StartDateConstraint, TimeOfDateConstraint

_DAY: Final = 86_400
_ALWAYS: Final = (0, 0)


class Timetable:
    """Cards by when a call was made: each made once, by `make`, for a span in which nothing changes.

    `dates`: Unix times at which prices change; `hours`: seconds of the day, in UTC, at which they do.
    """

    __slots__ = ("_cards", "_dates", "_hours", "_make")

    def __init__(self, make: Callable[[datetime], Priced], dates: Iterable[float], hours: Iterable[float]) -> None:
        self._make = make
        self._dates = sorted(set(dates))
        self._hours = sorted(set(hours))
        self._cards: dict[tuple[int, int], Priced] = {}

    def at(self, when: float) -> Priced:
        """The card for a call that was made at this Unix time."""
        dates, hours = self._dates, self._hours
        span = (bisect_right(dates, when), bisect_right(hours, when % _DAY)) if dates or hours else _ALWAYS
        card = self._cards.get(span)
        if card is None:
            card = self._cards[span] = self._make(datetime.fromtimestamp(when, UTC))
        return card


def changes(model: ModelInfo) -> tuple[list[float], list[float]]:
    """When the prices of a model change: Unix times, and seconds of the day in UTC."""
    constraints: list[StartDateConstraint | TimeOfDateConstraint | None] = []
    if isinstance(model.prices, list):
        constraints += [each.constraint for each in model.prices]
    constraints += [each.constraint for each in model.price_variants or ()]
    dates: list[float] = []
    hours: list[float] = []
    for each in constraints:
        start = getattr(each, "start_date", None)
        if start is not None:
            dates.append(datetime.combine(start, time(), UTC).timestamp())
        hours += [_second(getattr(each, name)) for name in ("start_time", "end_time") if hasattr(each, name)]
    return dates, hours


def _second(moment: time) -> float:
    """The second of the day, in UTC; a time that names no zone is UTC's."""
    zoned = moment if moment.tzinfo is not None else moment.replace(tzinfo=UTC)
    return datetime.combine(date(1970, 1, 2), zoned).timestamp() % _DAY
