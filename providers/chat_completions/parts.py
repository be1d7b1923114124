"""Says the parts of a message: text, pictures, documents, sound."""

from __future__ import annotations

import base64
from collections.abc import Iterable, Iterator
from typing import Final

from providers.chat_completions.idioms import Idiom
from providers.translation.asked import Asked, wrong
from providers.translation.conversation import conversation
from providers.translation.entries import (
    Address,
    Audio,
    File,
    FunctionOutput,
    Image,
    Inline,
    Part,
    Refusal,
    Said,
    Source,
    Stored,
    Text,
)
from providers.types import Json, JsonObject

_WEB: Final = ("http://", "https://")


def words(parts: Iterable[Part], idiom: Idiom) -> Json:
    """Parts that are text: a string, or a list where there are several, or marks, and the vendor takes one."""
    texts = [part for part in parts if isinstance(part, (Text, Refusal))]
    if idiom.flat or not texts:
        return "\n\n".join(part.text for part in texts)
    marked = idiom.marks and any(isinstance(part, Text) and part.cache for part in texts)
    return texts[0].text if len(texts) == 1 and not marked else [_text(part, idiom) for part in texts]


def content(parts: Iterable[Part], asked: Asked, idiom: Idiom) -> Json:
    """What a user says: a string if it is text alone. Raises `BadRequestError` for what can't be said."""
    parts = tuple(parts)
    if all(isinstance(part, (Text, Refusal)) for part in parts):
        return words(parts, idiom)
    return [part_of(part, asked, idiom) for part in parts]


def text_part(text: str) -> JsonObject:
    """A text as one part of several."""
    return {"type": "text", "text": text}


def _text(part: Text | Refusal, idiom: Idiom) -> JsonObject:
    said = text_part(part.text)
    if idiom.marks and isinstance(part, Text) and part.cache:
        said["cache_control"] = part.cache
    return said


def part_of(part: Part, asked: Asked, idiom: Idiom) -> JsonObject:
    """One part. Raises `BadRequestError` for a file that is kept where the vendor can't get it."""
    match part:
        case Text() | Refusal():
            return _text(part, idiom)
        case Image():
            url: JsonObject = {"url": _url(part.source, asked, part.where, keep=idiom.images_by_address)}
            return {"type": "image_url", "image_url": {**url, "detail": part.detail} if part.detail else url}
        case Audio():
            sound: Json = part.data if idiom.files == "document_url" else {"data": part.data, "format": part.format}
            return {"type": "input_audio", "input_audio": sound}
        case _:
            return _file(part, asked, idiom)


def _file(part: File, asked: Asked, idiom: Idiom) -> JsonObject:
    source = part.source
    if idiom.files == "file_url":
        url = _url(source, asked, part.where, keep=True)
        # the vendor wants the bare base64
        named: JsonObject = {"file_name": part.name} if part.name else {}
        return {"type": "file_url", "file_url": {"url": url.partition(";base64,")[2] or url}, **named}
    if idiom.files == "document_url":
        if isinstance(source, Stored):
            return {"type": "file", "file_id": source.file_id}
        named = {"document_name": part.name} if part.name else {}
        return {"type": "document_url", "document_url": _url(source, asked, part.where, keep=True), **named}
    if isinstance(source, Stored):
        return {"type": "file", "file": {"file_id": source.file_id}}
    data = _url(source, asked, part.where, keep=False)
    return {"type": "file", "file": {"filename": part.name or "file", "file_data": data}}


def _url(source: Source, asked: Asked, where: str, *, keep: bool) -> str:
    """A file as a URL: its address, if the vendor is to download it, else its content."""
    match source:
        case Inline():
            return f"data:{source.media_type};base64,{source.data}"
        case Stored():
            raise wrong(where, f"{asked.provider} takes no file_id here; send the content or its address")
        case _:
            if keep:
                return source.url
            file = asked.call.fetched.get(source.url)
            if file is None:
                raise wrong(where, f"{asked.provider} takes the content of files, not their addresses")
            return f"data:{file.media_type};base64,{base64.b64encode(file.content).decode()}"


def to_download(asked: Asked, idiom: Idiom) -> Iterator[str]:
    """Addresses of the files whose content must be sent."""
    for entry in conversation(asked):
        if not isinstance(entry, (Said, FunctionOutput)):
            continue
        for part in entry.parts:
            kept = idiom.files != "file" if isinstance(part, File) else idiom.images_by_address
            if isinstance(part, (File, Image)) and isinstance(part.source, Address) and not kept:
                url = part.source.url
                if not url.startswith(_WEB):
                    raise wrong(part.where, "must be an http:// or https:// address, or a data: URL")
                yield url
