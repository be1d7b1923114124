"""Reads the parts of a message, or of a tool's output."""

from __future__ import annotations

import re
from typing import Final

from providers.translation.asked import Asked, wrong
from providers.translation.entries import Address, Audio, File, Image, Inline, Part, Refusal, Source, Stored, Text
from providers.types import Json, JsonObject

_DATA_URL: Final = re.compile(r"data:(?P<type>[^;,]*)(?:;[^;,=]*=[^;,]*)*;base64,(?P<data>.*)", re.DOTALL)
_TEXTS: Final = frozenset({"input_text", "output_text", "text", "summary_text"})
_PDF: Final = "application/pdf"
_BY_SUFFIX: Final = {
    "pdf": _PDF,
    "txt": "text/plain",
    "md": "text/markdown",
    "csv": "text/csv",
    "html": "text/html",
    "json": "application/json",
    "xml": "application/xml",
    "doc": "application/msword",
    "docx": "application/vnd.openxmlformats-officedocument.wordprocessingml.document",
    "xls": "application/vnd.ms-excel",
    "xlsx": "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
    "pptx": "application/vnd.openxmlformats-officedocument.presentationml.presentation",
}


def parts_of(asked: Asked, content: Json, where: str) -> tuple[Part, ...]:
    """The parts that a `content` or an `output` holds; texts that are empty are no parts.

    Raises `UnsupportedParamsError` for what is no part; nothing ever vanishes.
    """
    if content is None:
        return ()
    if isinstance(content, str):
        return (Text(content, where),) if content else ()
    if not isinstance(content, list):
        raise wrong(where, "must be a string or a list of parts")
    parts: list[Part] = []
    for place, part in enumerate(content):
        spot = f"{where}[{place}]"
        if not isinstance(part, dict):
            raise wrong(spot, "must be an object")
        found = _part(asked, part, spot)
        if found is not None:
            parts.append(found)
    return tuple(parts)


def _part(asked: Asked, part: JsonObject, where: str) -> Part | None:
    kind = part.get("type")
    cache = _mark(asked, part)
    if kind in _TEXTS:
        text = _text(part, "text", where)
        return Text(text, where, cache) if text else None
    if kind == "refusal":
        text = _text(part, "refusal", where)
        return Refusal(text, where) if text else None
    if kind in ("input_image", "image_url"):
        inner = part.get("image_url")
        detail = part.get("detail") or (inner.get("detail") if isinstance(inner, dict) else None)
        return Image(_image(part, where), where, detail if isinstance(detail, str) else None, cache)
    if kind == "input_file":
        name = part.get("filename")
        return _file(part, name if isinstance(name, str) else None, where, cache)
    if kind == "input_audio":
        inner = part.get("input_audio")
        sound = inner if isinstance(inner, dict) else part
        return Audio(_text(sound, "data", where), _text(sound, "format", where), where)
    # content is never dropped: without it the question would be another
    raise wrong(f"{where}.type", f"{asked.provider} has no word for {str(kind)[:80]!r} parts")


def _mark(asked: Asked, part: JsonObject) -> Json:
    """The `cache_control` of a part, or what says the same in OpenAI's words: that a prefix to be cached ends here."""
    mark, point = part.get("cache_control"), part.get("prompt_cache_breakpoint")
    if mark is not None or not isinstance(point, dict):
        return mark
    lives = point.get("ttl") or asked.mapping("prompt_cache_options").get("ttl")
    return {"type": "ephemeral", "ttl": "1h"} if lives else {"type": "ephemeral"}


def _image(part: JsonObject, where: str) -> Source:
    file_id, url = part.get("file_id"), part.get("image_url")
    if isinstance(url, dict):
        url = url.get("url")
    if isinstance(file_id, str) and file_id:
        return Stored(file_id)
    if not isinstance(url, str) or not url:
        raise wrong(f"{where}.image_url", "an image needs image_url or file_id")
    return _source(url, "image/png", f"{where}.image_url")


def _file(part: JsonObject, name: str | None, where: str, cache: Json) -> File:
    file_id, url, data = part.get("file_id"), part.get("file_url"), part.get("file_data")
    if isinstance(file_id, str) and file_id:
        return File(Stored(file_id), where, name, cache)
    if isinstance(url, str) and url:
        return File(_source(url, _type_of(name), f"{where}.file_url"), where, name, cache)
    if isinstance(data, str) and data:
        if data.startswith("data:"):
            return File(_source(data, _type_of(name), f"{where}.file_data"), where, name, cache)
        return File(Inline(_type_of(name), data), where, name, cache)
    raise wrong(where, "a file needs file_data, file_url or file_id")


def _source(url: str, usual: str, where: str) -> Source:
    """What a URL means: a `data:` URL is the file itself. `usual`: the media type of one that does not say its own."""
    if not url.startswith("data:"):
        return Address(url)
    match = _DATA_URL.fullmatch(url)
    if match is None:
        raise wrong(where, "a data: URL must be in base64: data:<media type>;base64,<data>")
    return Inline(match["type"] or usual, match["data"])


def _type_of(name: str | None) -> str:
    """The media type that a file's name promises; PDF, as OpenAI has it, if it promises none."""
    return _BY_SUFFIX.get((name or "").rpartition(".")[2].lower(), _PDF)


def _text(part: JsonObject, name: str, where: str) -> str:
    value = part.get(name)
    if not isinstance(value, str):
        raise wrong(f"{where}.{name}", "must be a string")
    return value
