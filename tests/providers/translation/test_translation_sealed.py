"""Reasoning that was sealed comes back as it was, or not at all."""

import base64
import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from providers import jsonio
from providers.translation import sealed
from providers.translation.sealed import MARK, seal, unseal
from providers.types import Json

leaves: st.SearchStrategy[Json] = st.none() | st.booleans() | st.integers() | st.text()
blocks = st.lists(st.dictionaries(st.text(max_size=8), leaves, max_size=3))


def packed(raw: bytes) -> str:
    return f"{MARK}claude.{base64.urlsafe_b64encode(zlib.compress(raw)).decode()}"


@given(blocks)
def test_what_is_sealed_can_be_unsealed(given: list[Json]) -> None:
    text = seal("claude", given)
    assert text.startswith("hr1.claude.")
    assert unseal("claude", text) == given


@given(blocks.filter(bool), st.data())
def test_what_was_damaged_is_not_opened_as_something_else(given: list[Json], data: st.DataObject) -> None:
    text = seal("claude", given)
    place = data.draw(st.integers(0, len(text) - 1))
    letter = data.draw(st.characters(codec=None).filter(lambda found: found != text[place]))
    assert unseal("claude", text[:place] + letter + text[place + 1 :]) in (None, given)
    assert unseal("claude", text[:place]) is None


@pytest.mark.parametrize(
    "text",
    [
        None,
        "",
        "gAAAAA",
        "hr1.",
        "hr1.claude",
        "hr1.claude.",
        "hr1.gemini.eJyLjgUAARUAuQ==",
        "hr1.claude.!",
        "hr1.claude.\ud800",
        "hr1.claude.AAAA",
        packed(b""),
        packed(b"{"),
        packed(b"{}"),
        packed(b'"a"'),
    ],
)
def test_what_is_not_ours_is_nothing(text: str | None) -> None:
    assert unseal("claude", text) is None


def test_families_do_not_open_each_others() -> None:
    assert unseal("gemini", seal("claude", [1])) is None
    assert unseal("claude", seal("claude.x", [1])) is None


def test_what_unpacks_to_too_much_is_not_opened(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sealed, "LARGEST", 1000)
    assert unseal("claude", seal("claude", ["x" * 990])) == ["x" * 990]
    bomb = packed(jsonio.dumps(["x" * 1_000_000]))
    assert len(bomb) < 2000
    assert unseal("claude", bomb) is None
