"""What reply headers say about waiting. Garbage and negatives read as unknown.

Dialects: `retry-after-ms`, `x-ms-retry-after-ms`, `retry-after` (seconds, fractions, an HTTP date) and, where those
are missing, `x-ratelimit-reset-{requests,tokens}` (durations such as `120ms`, `50.529s`, `6m0s`), or Anthropic's
`anthropic-ratelimit-{requests,tokens,…}-reset` (times of RFC 3339).
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

_UNITS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
_PART = re.compile(r"(\d+(?:\.\d+)?)(ms|s|m|h|d)")
_DIMENSIONS = ("requests", "tokens")
_ANTHROPIC = ("requests", "tokens", "input-tokens", "output-tokens")
_LONGEST_TEXT = 64
"""Characters a header about time may have; what is longer says nothing."""


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
    if text is None or len(text) > _LONGEST_TEXT:
        return None
    plain = number(text)
    if plain is not None:
        return plain
    parts = _PART.findall(text)
    if not parts or "".join(value + unit for value, unit in parts) != text.strip():
        return None
    return sum(float(value) * _UNITS[unit] for value, unit in parts)


def asked_wait(headers: Mapping[str, str], received: float) -> float | None:
    """Seconds the server asks to wait; None if it does not say.

    `received` is the Unix time at which the reply arrived. A date is compared with the reply's own `date` if it has
    one, for the two clocks differ; without it, and with `received` unknown (0), a date says nothing.
    """
    for name in ("retry-after-ms", "x-ms-retry-after-ms"):
        milliseconds = number(headers.get(name))
        if milliseconds is not None:
            return milliseconds / 1000
    text = headers.get("retry-after")
    if text is None:
        return None
    seconds = duration(text)
    return seconds if seconds is not None else _until(text, headers.get("date"), received)


def retry_after(headers: Mapping[str, str], received: float) -> float | None:
    """Seconds until a refusal for its rate passes: what the server asks for, else when its limits are reset."""
    asked = asked_wait(headers, received)
    return _reset(headers, received) if asked is None else asked


def seconds_until(stamp: str | None, headers: Mapping[str, str], received: float = 0.0) -> float | None:
    """Seconds from the reply to a time of RFC 3339, 0 if it is over; None if either is unknown.

    The reply's own `date` says when it was, for the two clocks differ; without one, `received` (Unix time) does.
    """
    if stamp is None or len(stamp) > _LONGEST_TEXT:
        return None
    try:
        then = datetime.fromisoformat(stamp)
    except ValueError:
        return None
    now = _time(headers.get("date")) or received
    return max(0.0, (then if then.tzinfo else then.replace(tzinfo=UTC)).timestamp() - now) if now else None


def _until(date: str, server_now: str | None, received: float) -> float | None:
    """Seconds to an HTTP date, 0 if it is over."""
    then, now = _time(date), _time(server_now) or received
    return max(0.0, then - now) if then is not None and now else None


def _time(date: str | None) -> float | None:
    """The Unix time of an HTTP date, or None."""
    if date is None or len(date) > _LONGEST_TEXT:
        return None
    try:
        time = parsedate_to_datetime(date)
    except (ValueError, TypeError, IndexError, OverflowError):  # its parser fails in all these ways
        return None
    # HTTP dates are in GMT; one without a zone would be taken for local time
    return (time if time.tzinfo else time.replace(tzinfo=UTC)).timestamp()


def _reset(headers: Mapping[str, str], received: float) -> float | None:
    """The reset of what is exhausted; the longest one given if the reply does not say what is."""
    resets = {name: duration(headers.get(f"x-ratelimit-reset-{name}")) for name in _DIMENSIONS}
    exhausted = [name for name in _DIMENSIONS if number(headers.get(f"x-ratelimit-remaining-{name}")) == 0]
    waits = [wait for name in exhausted or _DIMENSIONS if (wait := resets[name]) is not None]
    return max(waits) if waits else _anthropic_reset(headers, received)


def _anthropic_reset(headers: Mapping[str, str], received: float) -> float | None:
    """The same in Anthropic's words, which tell when a limit will be whole again, long after some of it is back: only
    what is exhausted counts."""
    exhausted = [name for name in _ANTHROPIC if number(headers.get(f"anthropic-ratelimit-{name}-remaining")) == 0]
    waits = [seconds_until(headers.get(f"anthropic-ratelimit-{name}-reset"), headers, received) for name in exhausted]
    return max((wait for wait in waits if wait is not None), default=None)
