"""Query strings of URLs."""

from __future__ import annotations

from collections.abc import Mapping
from urllib.parse import unquote_plus, urlencode


class Repeated(tuple[str, ...]):
    """Values of one name that are written one after the other as they are, without brackets."""

    __slots__ = ()


class NativeQuery(dict[str, object]):
    """What a client of the Responses API says in its query: for those that speak it, and for no others."""

    __slots__ = ()


def joined_query(query: str, values: Mapping[str, object]) -> str:
    """A query string with `values` added, which win over what it says under the same names.

    Written as the OpenAI SDK writes it: lists with brackets (but those that are `Repeated`), booleans in lower case,
    None left out.
    """
    pairs: list[tuple[str, str]] = []
    for name, value in values.items():
        if isinstance(value, Repeated):
            pairs += [(name, item) for item in value]
        elif isinstance(value, (list, tuple)):
            pairs += [(f"{name}[]", _text(item)) for item in value]
        elif value is not None:
            pairs.append((name, _text(value)))
    names = {name for name, _ in pairs}
    kept = [part for part in query.split("&") if part and unquote_plus(part.partition("=")[0]) not in names]
    return "&".join([*kept, urlencode(pairs)] if pairs else kept)


def with_query(url: str, *queries: str | Mapping[str, object]) -> str:
    """`url` with these query strings and values; later ones win."""
    whole = ""
    for each in queries:
        if isinstance(each, str):
            whole = f"{whole}&{each}" if whole and each else whole or each
        elif each:
            whole = joined_query(whole, each)
    return f"{url}?{whole}" if whole else url


def _text(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)
