"""Packs ids into few bytes, and back: hexadecimal ones by half, UUIDs to 16 bytes, other ids to 6 bits a character."""

from __future__ import annotations

import re
from base64 import urlsafe_b64decode, urlsafe_b64encode

_PREFIX = "resp_"
_PREFIXED = 8
"""Added to a form if `resp_` stood before."""
_TEXT, _SIX_BITS, _HEX, _UUID = range(4)
_PATTERNS = (
    (_HEX, re.compile(r"(?:[0-9a-f]{2})+")),
    (_UUID, re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")),
    (_SIX_BITS, re.compile(r"[A-Za-z0-9_-]*")),
)
_GROUPS = (8, 12, 16, 20)


def pack(id: str) -> tuple[int, bytes] | None:
    """The form of an id, a number below 16, and its bytes; None for the empty id, which stands for nothing."""
    if not id:
        return None
    rest = id.removeprefix(_PREFIX)
    added = 0 if rest == id else _PREFIXED
    form = next((form for form, pattern in _PATTERNS if pattern.fullmatch(rest)), _TEXT)
    if form is _TEXT:
        return form + added, rest.encode("utf-8", "surrogatepass")
    if form is _SIX_BITS:
        # `B` is 1: it marks where the id begins among the zeros (`A`) that fill up four characters, three bytes
        marked = "B" + rest
        return form + added, urlsafe_b64decode("A" * (-len(marked) % 4) + marked).lstrip(b"\0")
    return form + added, bytes.fromhex(rest.replace("-", ""))


def unpack(form: int, packed: bytes) -> str:
    """The id that `pack` packed."""
    prefix = _PREFIX if form & _PREFIXED else ""
    kind = form & ~_PREFIXED
    if kind == _TEXT:
        return prefix + packed.decode("utf-8", "surrogatepass")
    if kind == _SIX_BITS:
        filled = b"\0" * (-len(packed) % 3) + packed
        return prefix + urlsafe_b64encode(filled).decode().lstrip("A")[1:]
    digits = packed.hex()
    if kind == _HEX:
        return prefix + digits
    return prefix + "-".join(digits[a:b] for a, b in zip((0, *_GROUPS), (*_GROUPS, 32), strict=True))
