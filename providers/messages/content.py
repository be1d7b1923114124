"""Parts of messages as Anthropic's blocks of content. Source: Messages API reference, `ContentBlockParam`."""

from __future__ import annotations

import base64
import re
from collections.abc import Iterable
from typing import Final

from providers.translation.asked import Asked, wrong
from providers.translation.entries import Address, File, Image, Inline, Part, Refusal, Source, Stored, Text
from providers.types import Json, JsonObject

_IMAGES: Final = frozenset({"image/jpeg", "image/png", "image/gif", "image/webp"})
_TEXTUAL: Final = re.compile(r"text/.+|application/(?:json|xml|x-yaml|yaml|javascript|(?:.+\+)(?:json|xml))")
_PDF: Final = "application/pdf"
_WEB: Final = re.compile("https?://", re.IGNORECASE)
_LONGEST_TITLE: Final = 500


def blocks(asked: Asked, parts: Iterable[Part]) -> list[Json]:
    """The parts as blocks; text of nothing but white space, which the API refuses, is left out.

    Raises `BadRequestError` for what Claude can't read: nothing else ever vanishes.
    """
    return [block for part in parts if (block := _block(asked, part)) is not None]


def _block(asked: Asked, part: Part) -> JsonObject | None:
    match part:
        case Text(text) | Refusal(text):
            if not text.strip():
                return None
            return _marked({"type": "text", "text": text}, part.cache if isinstance(part, Text) else None)
        case Image(source, where):
            return _marked({"type": "image", "source": _image(_at_hand(asked, source), where)}, part.cache)
        case File(source, where):
            return _marked(_document(_at_hand(asked, source), part.name, where), part.cache)
        case _:
            raise wrong(f"{part.where}.type", "Claude takes no audio")


def _marked(block: JsonObject, cache: Json) -> JsonObject:
    """With the mark that ends a prefix to be cached."""
    if cache is not None:
        block["cache_control"] = cache
    return block


def _at_hand(asked: Asked, source: Source) -> Source:
    """The file itself, if it was downloaded for this call."""
    if isinstance(source, Address):
        fetched = asked.call.fetched.get(source.url)
        if fetched is not None:
            return Inline(fetched.media_type.partition(";")[0].strip(), base64.b64encode(fetched.content).decode())
    return source


def _image(source: Source, where: str) -> JsonObject:
    if not isinstance(source, Inline):
        return _elsewhere(source, where)
    media_type = source.media_type.lower().replace("image/jpg", "image/jpeg")
    if media_type not in _IMAGES:
        raise wrong(where, f"Claude takes images as {', '.join(sorted(_IMAGES))}, not as {source.media_type[:80]!r}")
    return {"type": "base64", "media_type": media_type, "data": source.data}


def _document(source: Source, name: str | None, where: str) -> JsonObject:
    if isinstance(source, Inline) and source.media_type.startswith("image/"):
        return {"type": "image", "source": _image(source, where)}
    block: JsonObject = {"type": "document", "source": _paper(source, where)}
    if name:
        block["title"] = name[:_LONGEST_TITLE]
    return block


def _paper(source: Source, where: str) -> JsonObject:
    if not isinstance(source, Inline):
        return _elsewhere(source, where)
    if source.media_type == _PDF:
        return {"type": "base64", "media_type": _PDF, "data": source.data}
    if not _TEXTUAL.fullmatch(source.media_type):
        raise wrong(where, f"Claude takes documents as PDF or text, not as {source.media_type[:80]!r}")
    try:
        text = base64.b64decode(source.data, validate=True).decode()
    except ValueError:
        raise wrong(where, "is not UTF-8 text in base64") from None
    return {"type": "text", "media_type": "text/plain", "data": text}


def _elsewhere(source: Address | Stored, where: str) -> JsonObject:
    if isinstance(source, Stored):
        return {"type": "file", "file_id": source.file_id}
    if not _WEB.match(source.url):
        raise wrong(where, "must be an http or https URL, or a data: URL")
    return {"type": "url", "url": source.url}
