"""Query strings are joined, and later ones win."""

from __future__ import annotations

import pytest

from providers.queries import Repeated, joined_query, with_query


def test_values_win_over_what_a_query_says_of_the_same_name() -> None:
    assert joined_query("a=1&b=2", {"c": [4, True], "d": None, "e": False}) == "a=1&b=2&c%5B%5D=4&c%5B%5D=true&e=false"
    assert joined_query("a=1&b=2", {"a": 3}) == "b=2&a=3"
    assert joined_query("", {}) == ""
    assert joined_query("a=1&b=2", {"a": Repeated(["3", "x y"]), "c[]": Repeated(["4"])}) == "b=2&a=3&a=x+y&c%5B%5D=4"


@pytest.mark.parametrize(
    ("queries", "url"),
    [
        ((), "http://x/y"),
        (("", {}), "http://x/y"),
        (("a=1", "b=2"), "http://x/y?a=1&b=2"),
        (("", "b=2", {"b": 3, "c": "ü"}), "http://x/y?b=3&c=%C3%BC"),
        (("a=1", ""), "http://x/y?a=1"),
    ],
)
def test_a_url_has_all_of_them(queries: tuple[str], url: str) -> None:
    assert with_query("http://x/y", *queries) == url
