"""How many tokens a request may be, without a tokenizer: bounds that are cheap, and an estimate near a limit.

A byte-level BPE token stands for at least one byte, so the bytes of the text bound its tokens from above. English
prose has about four characters a token; other scripts and code have fewer. The estimate counts what common
tokenizers split on: words by their length, digits in threes, every other mark for itself.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

from providers.types import Call

PER_IMAGE = 1_000
"""Tokens assumed for an image or a file, whose bytes say nothing about them."""

_PIECES = re.compile(r"[A-Za-z]+|\d{1,3}|[^\sA-Za-z\d]")
_TEXTUAL = ("input", "instructions", "tools", "text", "prompt")
_OPAQUE = frozenset({"image_url", "file_data", "file_url", "encrypted_content", "file_id"})


def bound(call: Call) -> int:
    """No call has more tokens than this; costs a walk over the body, no look at its words."""
    return sum(len(text) if text.isascii() else len(text.encode("utf-8", "replace")) for text in _texts(call))


def estimate(call: Call) -> int:
    """About how many tokens the request has; reads every word, so ask only when a limit is near."""
    return sum(_pieces(text) for text in _texts(call))


def _pieces(text: str) -> int:
    # words of up to six letters are mostly one token, longer ones one for every five letters or so
    return sum(1 if len(piece) <= 6 else -(-len(piece) // 5) for piece in _PIECES.findall(text))


def _texts(call: Call) -> Iterator[str]:
    for name in _TEXTUAL:
        if name in call.body:
            yield from _walk(call.body[name])


def _walk(value: object) -> Iterator[str]:
    """Every text below `value`. Iterative: a request may be nested deeper than the interpreter's stack."""
    rest = [value]
    while rest:
        value = rest.pop()
        if isinstance(value, str):
            yield value
        elif isinstance(value, Mapping):
            for key, item in value.items():
                if key in _OPAQUE:
                    yield "x " * PER_IMAGE
                else:
                    rest.append(item)
        elif isinstance(value, (list, tuple)):
            rest.extend(value)
        elif value is not None and not isinstance(value, (bool, int, float)):
            to_dict = getattr(value, "to_dict", None) or getattr(value, "model_dump", None)
            if callable(to_dict):
                rest.append(to_dict())
