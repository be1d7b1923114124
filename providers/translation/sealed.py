"""Reasoning that a vendor has signed, carried by `encrypted_content`: sealed here, opened when it is sent back.

Nothing is encrypted: the vendor has signed it, and only changes to it would be refused. A family is a set of models
that take each other's reasoning, wherever they are hosted.
"""

from __future__ import annotations

import base64
import zlib
from typing import Final

from providers import jsonio
from providers.types import Json

MARK: Final = "hr1."
"""What the `encrypted_content` that we make begins with: it ties nobody to an account."""
LARGEST: Final = 16 * 1024 * 1024
"""Bytes of JSON that are ever opened: a few bytes can be made to unpack to gigabytes."""


def seal(family: str, blocks: list[Json]) -> str:
    """`blocks`, reasoning in a vendor's own words, as one string: the mark, the family, deflated JSON in base64."""
    return f"{MARK}{family}.{base64.urlsafe_b64encode(zlib.compress(jsonio.dumps(blocks), 1)).decode()}"


def unseal(family: str, text: str | None) -> list[Json] | None:
    """The blocks sealed for `family`; None for what another made, another family's, or what was damaged."""
    head = f"{MARK}{family}."
    if text is None or not text.startswith(head):
        return None
    inflate = zlib.decompressobj()
    try:
        raw = inflate.decompress(base64.urlsafe_b64decode(text[len(head) :].encode()), LARGEST)
        blocks = jsonio.loads(raw) if inflate.eof else None
    except (ValueError, zlib.error):
        return None
    return blocks if isinstance(blocks, list) else None
