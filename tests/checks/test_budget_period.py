"""How long budgets last."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from checks.budgets.period import Window, parse_period


def at(text: str) -> float:
    return datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp()


@pytest.mark.parametrize(
    ("text", "now", "end"),
    [
        ("30s", "2026-03-04T05:06:07", "2026-03-04T05:06:30"),
        ("5m", "2026-03-04T05:06:07", "2026-03-04T05:10:00"),
        ("1h", "2026-03-04T05:06:07", "2026-03-04T06:00:00"),
        ("1d", "2026-03-04T05:06:07", "2026-03-05T00:00:00"),
        ("7d", "2026-03-04T05:06:07", "2026-03-09T00:00:00"),  # a Monday
        ("1w", "2026-03-09T00:00:00", "2026-03-16T00:00:00"),
        ("1mo", "2026-03-04T05:06:07", "2026-04-01T00:00:00"),
        ("1mo", "2026-12-31T23:59:59", "2027-01-01T00:00:00"),
        ("3mo", "2026-03-04T05:06:07", "2026-04-01T00:00:00"),
        ("12mo", "2026-03-04T05:06:07", "2027-01-01T00:00:00"),
    ],
)
def test_windows_end_where_a_calendar_in_utc_says(text: str, now: str, end: str) -> None:
    assert parse_period(text).window(at(now)).end == at(end)


@given(st.sampled_from(["1s", "90s", "7m", "5h", "1d", "30d", "2w", "1mo", "5mo"]), st.floats(0, 4e9))
def test_windows_follow_one_another_without_a_gap(text: str, now: float) -> None:
    period = parse_period(text)
    window = period.window(now)
    assert now < window.end
    assert period.window(window.end) == Window(window.index + 1, period.window(window.end).end)


@pytest.mark.parametrize("text", ["", "1", "d", "0d", "-1d", "1.5h", "1 d", "1y", "daily", "1D", "1mon", "٣d"])
def test_anything_else_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="such as '1h', '1d', '30d' or '1mo'"):
        parse_period(text)


@pytest.mark.parametrize("text", ["36501d", "1178mo"])
def test_a_century_is_enough(text: str) -> None:
    with pytest.raises(ValueError, match="at most 100 years"):
        parse_period(text)
