"""How many tokens a request may be, without a tokenizer: bounds that are cheap, and an estimate near a limit.

A byte-level BPE token stands for at least one byte, so the bytes of the text bound its tokens from above. English
prose has about four characters a token; other scripts and code have fewer. The estimate counts what common
tokenizers split on: words by their length, digits in threes, every other mark for itself. Names of fields count as
text, for the model is shown the schemas of tools, and roles.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

from providers import jsonio
from providers.types import Call

PER_IMAGE = 1_000
"""Tokens assumed for an image or a file, whose bytes say nothing about them."""

_PIECES = re.compile(r"[A-Za-z]+|\d{1,3}|[^\sA-Za-z\d]")
_TEXTUAL = ("input", "instructions", "tools", "text", "prompt")
_OPAQUE = frozenset(
    {"image_url", "file_data", "file_url", "file_id", "encrypted_content", "input_audio", "partial_image_b64"}
)
_STAND_IN = "xxx " * PER_IMAGE
"""As many words, and four times as many bytes, as an image has tokens."""

_DEEPEST = 10_000
"""Levels that are looked at: far more than can be sent."""


def bound(call: Call) -> int:
    """No text has more tokens than this; costs a walk over the body, no look at its words."""
    return sum(len(text) if text.isascii() else len(text.encode("utf-8", "replace")) for text in _texts(call))


def guess(call: Call) -> int:
    """About how many tokens the request has, at the price of `bound`: four bytes a token."""
    return bound(call) // 4


def estimate(call: Call) -> int:
    """About how many tokens the request has; reads every word, so ask only when a limit is near."""
    return sum(_pieces(text) for text in _texts(call))


def _pieces(text: str) -> int:
    # words of up to six letters are mostly one token, longer ones one for every five letters or so
    return sum(1 if len(piece) <= 6 else -(-len(piece) // 5) for piece in _PIECES.findall(text))


def _texts(call: Call) -> Iterator[str]:
    return _walk([call.body[name] for name in _TEXTUAL if name in call.body])


def _walk(root: list[object]) -> Iterator[str]:
    """Every text below `root`. Iterative: a request may be nested deeper than the interpreter's stack."""
    path: list[tuple[object, Iterator[object]]] = [(root, iter(root))]
    open_ids = {id(root)}
    while path:
        container, rest = path[-1]
        for value in rest:
            if isinstance(value, str):
                yield value
                continue
            inner = None if value is None or isinstance(value, (bool, int, float)) else _parts(value)
            # what contains itself, or is that deep, is refused when it is sent
            if inner is not None and id(value) not in open_ids and len(path) < _DEEPEST:
                path.append((value, inner))
                open_ids.add(id(value))
                break
        else:
            path.pop()
            open_ids.discard(id(container))


def _parts(value: object) -> Iterator[object] | None:
    """What is to be counted of a value that holds others; None for what has no JSON form."""
    if isinstance(value, (list, tuple)):
        return iter(value)
    if isinstance(value, Mapping):
        return _fields(value)
    try:
        return iter((jsonio.plain(value),))
    except TypeError:
        return None


def _fields(value: Mapping[object, object]) -> Iterator[object]:
    drawn = value.get("type") == "image_generation_call"
    for name, item in value.items():
        if item is None:
            continue
        opaque = name in _OPAQUE or (drawn and name == "result")
        yield name
        yield _STAND_IN if opaque and _is_payload(item) else item


def _is_payload(item: object) -> bool:
    """Whether it is a file, not the schema of a parameter that happens to have such a name."""
    if isinstance(item, Mapping):
        return isinstance(item.get("url"), str) or isinstance(item.get("data"), str)
    return isinstance(item, str)
