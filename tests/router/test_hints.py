"""Did-you-mean."""

from __future__ import annotations

import pytest

from router.hints import closest, did_you_mean


@pytest.mark.parametrize(
    ("name", "known", "found"),
    [
        ("api_bse", ["api_base", "api_key"], "api_base"),
        ("API_BASE", ["api_base"], "api_base"),
        ("gpt", ["GPT", "o1"], "GPT"),
        ("rmp", ["rpm", "tpm"], "rpm"),
        ("zzz", ["rpm", "tpm"], None),
        ("x", [], None),
    ],
)
def test_closest(name: str, known: list[str], found: str | None) -> None:
    assert closest(name, known) == found


def test_likeness() -> None:
    assert closest("mode", ["model"], likeness=0.8) == "model"
    assert closest("mode", ["model"], likeness=0.9) is None


def test_as_part_of_a_sentence() -> None:
    assert did_you_mean("wieght", ["weight"]) == "; did you mean 'weight'?"
    assert did_you_mean("zzz", ["weight"]) == ""
