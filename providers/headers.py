"""What reply headers say about waiting. Garbage and negatives read as unknown.

Dialects: `retry-after-ms`, `x-ms-retry-after-ms`, `retry-after` (seconds, fractions, an HTTP date) and, where those
are missing, `x-ratelimit-reset-{requests,tokens}` (durations such as `120ms`, `50.529s`, `6m0s`).
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from email.utils import parsedate_to_datetime

_UNITS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
_PART = re.compile(r"(\d+(?:\.\d+)?)(ms|s|m|h|d)")
_DIMENSIONS = ("requests", "tokens")


def number(text: str | None) -> float | None:
    """A finite number not below zero, or None."""
    if text is None:
        return None
    try:
        value = float(text)
    except ValueError:
        return None
    return value if math.isfinite(value) and value >= 0 else None


def duration(text: str | None) -> float | None:
    """Seconds in a duration such as `6m0s`, `120ms` or plain `1.5`; None if it is none of these."""
    plain = number(text)
    if plain is not None or text is None:
        return plain
    parts = _PART.findall(text)
    if not parts or "".join(value + unit for value, unit in parts) != text.strip():
        return None
    return sum(float(value) * _UNITS[unit] for value, unit in parts)


def retry_after(headers: Mapping[str, str], received: float) -> float | None:
    """Seconds the server asks to wait, counted from `received` (Unix time); None if it does not say."""
    for name in ("retry-after-ms", "x-ms-retry-after-ms"):
        milliseconds = number(headers.get(name))
        if milliseconds is not None:
            return milliseconds / 1000
    text = headers.get("retry-after")
    if text is not None:
        seconds = duration(text)
        return seconds if seconds is not None else _until(text, headers.get("date"), received)
    return _reset(headers)


def _until(date: str, server_now: str | None, received: float) -> float | None:
    """Seconds to an HTTP date; the server's own clock is the better reference, where it tells it."""
    try:
        then = parsedate_to_datetime(date).timestamp()
    except ValueError:
        return None
    try:
        now = parsedate_to_datetime(server_now).timestamp() if server_now else received
    except ValueError:
        now = received
    return max(0.0, then - now)


def _reset(headers: Mapping[str, str]) -> float | None:
    """The reset of what is exhausted; the longest one given if the reply does not say what is."""
    resets = {name: duration(headers.get(f"x-ratelimit-reset-{name}")) for name in _DIMENSIONS}
    exhausted = [name for name in _DIMENSIONS if number(headers.get(f"x-ratelimit-remaining-{name}")) == 0]
    waits = [wait for name in exhausted or _DIMENSIONS if (wait := resets[name]) is not None]
    return max(waits, default=None)
