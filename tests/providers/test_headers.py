"""What reply headers say about waiting, in every dialect, and that garbage says nothing."""

from __future__ import annotations

import math
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from providers.headers import asked_wait, duration, number, retry_after, seconds_until

NOW = 1_788_263_999.0  # Tue, 01 Sep 2026 11:59:59 GMT
NOON = "Tue, 01 Sep 2026 12:00:00 GMT"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("120ms", 0.12),
        ("50.529s", 50.529),
        ("6m0s", 360.0),
        ("1h2m3.5s", 3723.5),
        ("2d", 172_800.0),
        (" 7s ", 7.0),
        ("1.5", 1.5),
        ("0", 0.0),
        (None, None),
        ("", None),
        ("soon", None),
        ("6m soon", None),
        ("m6", None),
        ("-3s", None),
        ("-3", None),
        ("1 s", None),
        ("9" * 400 + "s", None),
    ],
)
def test_durations(text: str | None, expected: float | None) -> None:
    assert duration(text) == (None if expected is None else pytest.approx(expected))


@pytest.mark.parametrize(
    ("text", "expected"),
    [(None, None), ("", None), ("x", None), ("nan", None), ("inf", None), ("-1", None), ("0", 0.0), ("3", 3.0)],
)
def test_numbers(text: str | None, expected: float | None) -> None:
    assert number(text) == expected


@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        ({}, None),
        ({"retry-after-ms": "1500", "retry-after": "9"}, 1.5),
        ({"x-ms-retry-after-ms": "250", "retry-after": "9"}, 0.25),
        ({"retry-after-ms": "-5", "x-ms-retry-after-ms": "40"}, 0.04),
        ({"retry-after-ms": "soon", "retry-after": "2.5"}, 2.5),
        ({"retry-after": "0"}, 0.0),
        ({"retry-after": "6m0s"}, 360.0),
        ({"retry-after": "-1"}, None),
        ({"retry-after": NOON}, 1.0),
        ({"retry-after": "Tuesday, 01-Sep-26 12:00:00 GMT"}, 1.0),
        ({"retry-after": "Tue, 01 Sep 2026 12:00:00"}, 1.0),
        ({"retry-after": "Tue, 01 Sep 2026 14:00:00 +0200"}, 1.0),
        ({"retry-after": NOON, "date": "Tue, 01 Sep 2026 11:59:30 GMT"}, 30.0),
        ({"retry-after": NOON, "date": "Tue, 01 Sep 2026 12:00:30 GMT"}, 0.0),
        ({"retry-after": NOON, "date": "yesterday"}, 1.0),
        ({"retry-after": "Tue, 32 Sep 2026 12:00:00 GMT"}, None),
        ({"retry-after": "Tue, 01 Sep 99999999999 12:00:00 GMT"}, None),
        ({"retry-after": "x" * 10_000}, None),
        ({"x-ratelimit-reset-requests": "9s"}, None),
    ],
)
def test_what_the_server_asks_for(headers: dict[str, str], expected: float | None) -> None:
    assert asked_wait(headers, NOW) == expected
    if not any(name.startswith("x-ratelimit") for name in headers):
        assert retry_after(headers, NOW) == expected


def test_a_date_says_nothing_when_nobody_knows_the_time() -> None:
    assert asked_wait({"retry-after": NOON}, 0.0) is None
    assert asked_wait({"retry-after": NOON, "date": "Tue, 01 Sep 2026 11:59:00 GMT"}, 0.0) == 60.0


def test_a_date_without_a_zone_is_in_gmt_wherever_we_are(monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patch:
        patch.setenv("TZ", "Asia/Tokyo")
        time.tzset()
        assert asked_wait({"retry-after": "Tue, 01 Sep 2026 12:00:00"}, NOW) == 1.0
        assert asked_wait({"retry-after": "Tue, 01 Sep 2026 12:00:00 -0000"}, NOW) == 1.0
    time.tzset()


@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        ({"reset-requests": "120ms"}, 0.12),
        ({"reset-requests": "1s", "reset-tokens": "6m0s"}, 360.0),
        ({"reset-requests": "1s", "reset-tokens": "6m0s", "remaining-requests": "0", "remaining-tokens": "5"}, 1.0),
        ({"reset-requests": "1s", "reset-tokens": "6m0s", "remaining-requests": "0", "remaining-tokens": "0"}, 360.0),
        ({"reset-requests": "1s", "remaining-tokens": "0"}, None),
        ({"reset-requests": "1s", "reset-tokens": "9s", "remaining-tokens": "-1"}, 9.0),
        ({"reset-requests": "never"}, None),
    ],
)
def test_the_reset_of_what_is_exhausted(headers: dict[str, str], expected: float | None) -> None:
    assert retry_after({f"x-ratelimit-{name}": value for name, value in headers.items()}, NOW) == expected


def test_what_is_asked_for_goes_before_the_reset() -> None:
    headers = {"retry-after": "2", "x-ratelimit-reset-requests": "9s"}
    assert retry_after(headers, NOW) == 2.0
    assert retry_after({**headers, "retry-after": "garbage"}, NOW) == 9.0


SOON = "2026-09-01T12:00:00Z"
LATER = "2026-09-01T14:01:59+02:00"


@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        ({"requests-remaining": "0", "requests-reset": SOON}, 1.0),
        ({"requests-remaining": "3", "requests-reset": SOON}, None),
        ({"tokens-remaining": "0", "tokens-reset": LATER, "requests-remaining": "0", "requests-reset": SOON}, 120.0),
        (
            {"input-tokens-remaining": "0", "input-tokens-reset": LATER, "tokens-remaining": "5", "tokens-reset": SOON},
            120.0,
        ),
        ({"output-tokens-remaining": "0", "output-tokens-reset": "2026-09-01T11:00:00Z"}, 0.0),
        ({"requests-remaining": "0"}, None),
        ({"requests-remaining": "0", "requests-reset": "soon"}, None),
    ],
)
def test_the_reset_of_what_is_exhausted_at_anthropic(headers: dict[str, str], expected: float | None) -> None:
    named = {f"anthropic-ratelimit-{name}": value for name, value in headers.items()}
    assert retry_after(named, NOW) == expected
    assert retry_after({**named, "retry-after": "7"}, NOW) == 7.0


def test_times_are_seen_from_the_reply() -> None:
    assert seconds_until(SOON, {"date": "Tue, 01 Sep 2026 11:59:00 GMT"}, NOW) == 60.0
    assert seconds_until("2026-09-01T12:00:00", {}, NOW) == 1.0
    assert seconds_until(SOON, {}) is None
    assert seconds_until(None, {}, NOW) is None
    assert seconds_until("2026-09-01T12:00:00Z" + " " * 100, {}, NOW) is None


NAMES = (
    "retry-after-ms",
    "x-ms-retry-after-ms",
    "retry-after",
    "date",
    *(f"x-ratelimit-{what}-{kind}" for what in ("reset", "remaining") for kind in ("requests", "tokens")),
    *(f"anthropic-ratelimit-{kind}-{what}" for what in ("reset", "remaining") for kind in ("requests", "tokens")),
)
DATES = st.builds(
    "{}, {} {} {} {}:{}:{} {}".format,
    st.sampled_from(["Tue", "Someday", ""]),
    st.integers(-1, 40),
    st.sampled_from(["Sep", "Febtober", "13"]),
    st.integers(0, 20_000) | st.integers(),
    st.integers(0, 99),
    st.integers(0, 99),
    st.integers(0, 10**12),
    st.sampled_from(["GMT", "-0000", "+9999", "-9999", "EST", "", "+" + "9" * 12]),
)
GARBAGE = (
    st.text(max_size=40)
    | DATES
    | st.datetimes().map(str)
    | st.just("0")
    | st.from_regex(r"-?[0-9]*(\.[0-9]*)?(e[0-9]+)?(ms|s|m|h|d)?", fullmatch=True)
)


@given(st.dictionaries(st.sampled_from(NAMES), GARBAGE), st.floats(0, 4e9))
def test_garbage_never_raises_and_never_asks_for_nonsense(headers: dict[str, str], received: float) -> None:
    for wait in (asked_wait(headers, received), retry_after(headers, received)):
        assert wait is None or (wait >= 0 and math.isfinite(wait))
