"""Signed thinking of Gemini: which part of a reply bore which signature, carried by reasoning items.

Google signs parts: function calls, texts, what its own tools did. A signature must come back on the part it came on,
so a reasoning item next to the item that was made of the part tells of it, in blocks:

- `{"call": signature}`: of the function call that follows;
- `{"image": signature}`: of the image that precedes;
- `{"text": [[characters, signature or null], …]}`: of the pieces of the text that precedes;
- `{"part": part}`: a whole part that is no item of its own.

Source: ai.google.dev/gemini-api/docs/thought-signatures.
"""

from __future__ import annotations

import base64
from typing import Final

from providers.translation.sealed import seal, unseal
from providers.types import Json, JsonObject

FAMILY: Final = "gemini"
"""All its models take each other's, at either address."""
UNSIGNED: Final = base64.b64encode(b"skip_thought_signature_validator").decode()
"""What Google documents for calls that another model made, and that it would otherwise refuse for want of one."""


class Pieces:
    """The pieces of one text: which of them were signed, and with what."""

    __slots__ = ("_pieces", "signed")

    def __init__(self) -> None:
        self._pieces: list[tuple[int, str | None]] = []
        self.signed = False

    def add(self, text: str, signature: str | None) -> None:
        """The next piece; neighbours without a signature are one."""
        if signature is not None:
            self.signed = True
        elif self._pieces and self._pieces[-1][1] is None:
            self._pieces[-1] = (self._pieces[-1][0] + len(text), None)
            return
        self._pieces.append((len(text), signature))

    def sealed(self) -> str:
        """What a reasoning item carries."""
        return sealed({"text": [[length, signature] for length, signature in self._pieces]})


def sealed(*blocks: JsonObject) -> str:
    """Blocks as `encrypted_content`."""
    return seal(FAMILY, list(blocks))


def blocks(text: str | None) -> list[JsonObject] | None:
    """The blocks in a reasoning item; None if it is not one of Gemini's."""
    found = unseal(FAMILY, text)
    return None if found is None else [block for block in found if isinstance(block, dict)]


def cut(text: str, pieces: Json) -> list[JsonObject]:
    """`text` as the signed parts that it came in. If it was changed since, the last signature goes to the whole."""
    read = [piece for piece in pieces if _is_piece(piece)] if isinstance(pieces, list) else []
    lengths: list[tuple[int, str | None]] = [(piece[0], piece[1]) for piece in read]  # type: ignore[index, misc]  # seen to be pairs
    if sum(length for length, _ in lengths) != len(text):
        signature = next((signature for _, signature in reversed(lengths) if signature is not None), None)
        lengths = [(len(text), signature)]
    parts: list[JsonObject] = []
    start = 0
    for length, signature in lengths:
        part: JsonObject = {"text": text[start : start + length]}
        if signature is not None:
            part["thoughtSignature"] = signature
        parts.append(part)
        start += length
    return parts


def _is_piece(piece: Json) -> bool:
    return (
        isinstance(piece, list)
        and len(piece) == 2
        and type(piece[0]) is int
        and piece[0] >= 0
        and (piece[1] is None or isinstance(piece[1], str))
    )
