"""JSON in and out: what the standard library reads and writes, and nothing lost on the way."""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from datetime import date
from types import MappingProxyType
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from jsons import VALUES
from pydantic import BaseModel, Field

from providers import jsonio
from providers.views import Response


class Weather(BaseModel):
    city: str = Field(alias="City")
    degrees: float | None = None


class SdkObject:
    def to_dict(self) -> dict[str, Any]:
        return {"type": "message", "content": [Weather(City="Rome")]}


@given(VALUES)
def test_reads_what_the_standard_library_writes(value: Any) -> None:
    for ascii_only in (True, False):
        text = json.dumps(value, ensure_ascii=ascii_only)
        assert jsonio.loads(text) == value
    assert jsonio.loads(json.dumps(value).encode()) == value


@given(VALUES)
def test_writes_what_the_standard_library_reads_as_the_same(value: Any) -> None:
    written = jsonio.dumps(value)
    assert json.loads(written) == value
    assert jsonio.loads(written) == value


@given(st.binary(max_size=40) | st.text('[]{},:"\\u0d8e+-1.N aInfinity\x00', max_size=20).map(str.encode))
def test_agrees_with_the_standard_library_about_garbage(data: bytes) -> None:
    try:
        expected = json.loads(data)
    except ValueError:
        with pytest.raises(ValueError):  # noqa: PT011 - any of its kinds: what matters is that nothing else gets out
            jsonio.loads(data)
    else:
        assert repr(jsonio.loads(data)) == repr(expected)


@given(st.recursive(st.floats() | st.integers(-9, 9), lambda inner: st.lists(inner, max_size=3), max_leaves=6))
@pytest.mark.parametrize("beside", ["", "\ud800", 2**70])
def test_what_is_no_number_becomes_null(beside: object, value: Any) -> None:
    def finite(part: Any) -> Any:
        if isinstance(part, list):
            return [finite(each) for each in part]
        return part if math.isfinite(part) else None

    assert json.loads(jsonio.dumps([value, beside])) == [finite(value), beside]


@pytest.mark.parametrize("number", [2**63, 2**64 - 1, 2**64, -(2**63) - 1, 10**300])
def test_integers_of_any_size_stay_exact(number: int) -> None:
    assert jsonio.loads(str(number)) == number
    assert jsonio.dumps({"n": number}) == b'{"n":%d}' % number


def test_numbers_beyond_a_double_are_infinite_not_refused() -> None:
    assert jsonio.loads(b'{"n":1e999}') == {"n": math.inf}
    assert repr(jsonio.loads(b"[NaN,-Infinity]")) == "[nan, -inf]"


def test_lone_surrogates_survive() -> None:
    assert jsonio.loads(b'"a\\ud83db"') == "a\ud83db"
    assert jsonio.dumps({"\udc00": "\ud83d"}) == b'{"\\udc00":"\\ud83d"}'
    assert jsonio.loads('"\ud83d"') == "\ud83d"


@pytest.mark.parametrize("depth", [3_000, 300_000])
def test_deep_nesting_is_refused_not_a_crash(depth: int) -> None:
    with pytest.raises(ValueError, match="nested too deeply"):
        jsonio.loads(b"[" * depth + b"NaN" + b"]" * depth)
    nested: list[Any] = ["\ud800"]
    for _ in range(depth):
        nested = [nested]
    with pytest.raises(TypeError, match="nested too deeply"):
        jsonio.dumps(nested)


def test_what_contains_itself_is_refused() -> None:
    loop: list[Any] = []
    loop.append(loop)
    with pytest.raises(TypeError, match="contains itself"):
        jsonio.dumps(loop)


def test_thousands_of_digits_are_refused() -> None:
    with pytest.raises(ValueError, match="digits"):
        jsonio.loads(b"9" * 5_000)
    with pytest.raises(TypeError, match="digits"):
        jsonio.dumps([10**5_000])


@dataclass
class Point:
    x: int


@pytest.mark.parametrize("beside", ["plain", "\ud800"])
@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (Weather(City="Rome", degrees=None), {"City": "Rome", "degrees": None}),
        (Weather(City="Rome"), {"City": "Rome"}),
        (SdkObject(), {"type": "message", "content": [{"City": "Rome"}]}),
        (Response({"id": "resp_1", "x": None}), {"id": "resp_1", "x": None}),
        (MappingProxyType({"a": (1, 2)}), {"a": [1, 2]}),
        (Point(3), {"x": 3}),
        (date(2026, 11, 1), "2026-11-01"),
        ({3: 4}, {"3": 4}),
    ],
)
def test_objects_become_what_they_stand_for(value: object, expected: object, beside: str) -> None:
    assert json.loads(jsonio.dumps([value, beside])) == [expected, beside]


@pytest.mark.parametrize("beside", ["plain", "\ud800"])
@pytest.mark.parametrize(
    ("value", "name"),
    [(object(), "object"), (iter("ab"), "str_ascii_iterator"), (Weather, "the class Weather"), (1j, "complex")],
)
def test_what_has_no_json_form_is_named(value: object, name: str, beside: str) -> None:
    with pytest.raises(TypeError, match=f"^{name} is not JSON: pass plain data"):
        jsonio.dumps({"a": [beside, value]})
