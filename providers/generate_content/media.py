"""Files in Google's dialect: `inlineData`, and `fileData` for what Google can fetch by itself.

It fetches from Cloud Storage, its Files API and YouTube; what is elsewhere is downloaded first and sent along.
Source: ai.google.dev/gemini-api/docs/file-input-methods.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Iterator, Mapping
from typing import Final
from urllib.parse import urlsplit

from providers.translation.asked import Asked, merged, plain, wrong
from providers.translation.entries import Address, Audio, File, Image, Inline, Part, Refusal, Source, Text
from providers.types import Call, Deployment, Json, JsonObject

_FILES: Final = "https://generativelanguage.googleapis.com/v1beta/"
_FILE_ID: Final = re.compile(r"files/[a-z0-9-]+")
_VIDEO_HOSTS: Final = frozenset({"youtube.com", "www.youtube.com", "m.youtube.com", "youtu.be"})
_TYPES: Final[Mapping[str, str]] = {
    "png": "image/png",
    "jpg": "image/jpeg",
    "jpeg": "image/jpeg",
    "webp": "image/webp",
    "heic": "image/heic",
    "heif": "image/heif",
    "gif": "image/gif",
    "pdf": "application/pdf",
    "txt": "text/plain",
    "md": "text/markdown",
    "csv": "text/csv",
    "html": "text/html",
    "json": "application/json",
    "mp3": "audio/mp3",
    "wav": "audio/wav",
    "flac": "audio/flac",
    "ogg": "audio/ogg",
    "aac": "audio/aac",
    "m4a": "audio/mp4",
    "mp4": "video/mp4",
    "mov": "video/quicktime",
    "webm": "video/webm",
    "mpeg": "video/mpeg",
}
"""Media types by the end of a name, for files that Google is only told the address of."""
_SOUNDS: Final[Mapping[str, str]] = {"pcm16": "audio/pcm", "opus": "audio/ogg", "m4a": "audio/mp4"}
_ADDRESSES: Final = ("image_url", "file_url")


def part(asked: Asked, given: Part) -> JsonObject:
    """A part of a message on the wire. Raises `BadRequestError` for a file that Google can't be given."""
    if isinstance(given, (Text, Refusal)):
        return {"text": given.text}
    if isinstance(given, Audio):
        return _inline(_SOUNDS.get(given.format, f"audio/{given.format}"), given.data)
    if isinstance(given, Image) and given.detail in ("low", "high"):
        asked.note(f"{given.where}.detail", "Google decides how closely it looks")
    usual = "image/png" if isinstance(given, Image) else "application/pdf"
    name = given.name if isinstance(given, File) else None
    return _source(asked, given.source, name, usual, given.where)


def remote(call: Call, deployment: Deployment) -> list[str]:
    """Addresses in a call that Google does not fetch from; each once."""
    given = merged(call, deployment).get("input")
    if (given is None or isinstance(given, str)) and not call.history:
        return []
    try:
        items = plain(given)
    except TypeError:  # said when it is encoded
        return []
    found = [url for item in (*call.history, items) for url in _addresses(item) if _is_elsewhere(url)]
    return list(dict.fromkeys(found))


def _source(asked: Asked, source: Source, name: str | None, usual: str, where: str) -> JsonObject:
    if isinstance(source, Inline):
        return _inline(source.media_type, source.data)
    if isinstance(source, Address):
        if not _is_elsewhere(source.url):
            return _by_reference(source.url, name, usual)
        fetched = asked.call.fetched.get(source.url)
        if fetched is None:
            raise wrong(
                where, "Google fetches files from gs://, its Files API and YouTube; this one was not downloaded"
            )
        return _inline(fetched.media_type, base64.b64encode(fetched.content).decode())
    if _FILE_ID.fullmatch(source.file_id):
        return {"fileData": {"fileUri": _FILES + source.file_id}}
    if not source.file_id.startswith(("gs://", "https://")):
        raise wrong(where, "a file_id is the name (files/…) or URI of a file of Google's, or a gs:// URI")
    return _by_reference(source.file_id, name, usual)


def _inline(media_type: str, data: str) -> JsonObject:
    return {"inlineData": {"mimeType": media_type, "data": data}}


def _by_reference(uri: str, name: str | None, usual: str) -> JsonObject:
    """A file by its address. The Files API knows the types of its own; of others Google wants to be told."""
    if uri.startswith("https://generativelanguage.googleapis.com/"):
        return {"fileData": {"fileUri": uri}}
    if _is_video(uri):
        return {"fileData": {"fileUri": uri, "mimeType": "video/mp4"}}
    media_type = next((found for text in (name, uri) if (found := _type_of(text)) is not None), usual)
    return {"fileData": {"fileUri": uri, "mimeType": media_type}}


def _type_of(name: str | None) -> str | None:
    return _TYPES.get((name or "").partition("?")[0].rpartition(".")[2].lower())


def _is_elsewhere(url: str) -> bool:
    return not (url.startswith(("gs://", "data:", "https://generativelanguage.googleapis.com/")) or _is_video(url))


def _is_video(url: str) -> bool:
    try:
        return urlsplit(url).hostname in _VIDEO_HOSTS
    except ValueError:
        return False


def _addresses(json: Json) -> Iterator[str]:
    """The addresses of images and files in an item, or a list of items."""
    if isinstance(json, list):
        for each in json:
            yield from _addresses(each)
    elif isinstance(json, dict):
        for name in _ADDRESSES:
            url = json.get(name)
            if isinstance(url, dict):
                url = url.get("url")
            if isinstance(url, str) and url:
                yield url
        for name in ("content", "output"):
            yield from _addresses(json.get(name))
