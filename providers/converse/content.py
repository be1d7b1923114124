"""Parts of messages as Converse's blocks of content.

Source: botocore 1.44.5, bedrock-runtime/2023-09-30, ContentBlock and ToolResultContentBlock; the rules on the names of
documents from the API reference, DocumentBlock.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Iterable, Mapping
from typing import Final

from providers.converse.caching import Caching
from providers.translation.asked import Asked, wrong
from providers.translation.entries import Address, Audio, File, Image, Inline, Part, Refusal, Source, Stored, Text
from providers.types import Json, JsonObject

IMAGES: Final[Mapping[str, str]] = {
    "image/png": "png",
    "image/jpeg": "jpeg",
    "image/jpg": "jpeg",
    "image/gif": "gif",
    "image/webp": "webp",
}
_MAGIC: Final = ((b"\x89PNG", "png"), (b"\xff\xd8\xff", "jpeg"), (b"GIF8", "gif"), (b"RIFF", "webp"))
"""How files begin, for servers that don't say what they send."""
DOCUMENTS: Final[Mapping[str, str]] = {
    "application/pdf": "pdf",
    "text/csv": "csv",
    "application/msword": "doc",
    "application/vnd.openxmlformats-officedocument.wordprocessingml.document": "docx",
    "application/vnd.ms-excel": "xls",
    "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet": "xlsx",
    "text/html": "html",
    "text/plain": "txt",
    "text/markdown": "md",
}
_TEXTUAL: Final = re.compile(r"text/.+|application/(?:json|xml|x-yaml|yaml|javascript|(?:.+\+)(?:json|xml))")
AUDIO: Final = frozenset(
    {"mp3", "opus", "wav", "aac", "flac", "mp4", "ogg", "mkv", "mka", "x-aac", "m4a", "mpeg", "mpga", "pcm", "webm"}
)
_IMAGE_SUFFIXES: Final = {"png": "png", "jpg": "jpeg", "jpeg": "jpeg", "gif": "gif", "webp": "webp"}
_FOREIGN: Final = re.compile(r"[^A-Za-z0-9()\[\]-]+")
_LONGEST_NAME: Final = 200


class Blocks:
    """Makes the blocks of one request, whose documents all have names of their own."""

    def __init__(self, asked: Asked, caching: Caching) -> None:
        self._asked = asked
        self._caching = caching
        self._names: set[str] = set()

    def of(self, parts: Iterable[Part]) -> list[Json]:
        """The parts as blocks of a message; text of nothing but white space, which Converse refuses, is left out.

        Raises `BadRequestError` for what Converse can't take: nothing else ever vanishes.
        """
        blocks: list[Json] = []
        for part in parts:
            block = self._block(part)
            if block is not None:
                blocks.append(block)
                blocks.extend(self._caching.point(None if isinstance(part, Refusal | Audio) else part.cache))
        return blocks

    def of_output(self, parts: Iterable[Part]) -> list[Json]:
        """The parts as what a tool answered."""
        blocks: list[Json] = []
        for part in parts:
            if isinstance(part, Audio):
                raise wrong(f"{part.where}.type", "Bedrock takes no audio from tools")
            block = self._block(part)
            if block is not None:
                blocks.append(block)
        return blocks or [{"text": "(no output)"}]

    def _block(self, part: Part) -> JsonObject | None:
        if isinstance(part, Text | Refusal):
            return {"text": part.text} if part.text.strip() else None
        if isinstance(part, Image):
            return self._image(part.source, part.where)
        if isinstance(part, File):
            return self._file(part.source, part.name, part.where)
        if part.format not in AUDIO:
            raise wrong(f"{part.where}.format", f"Bedrock takes audio as {', '.join(sorted(AUDIO))}")
        return {"audio": {"format": part.format, "source": {"bytes": part.data}}}

    def _image(self, source: Source, where: str) -> JsonObject:
        bucket = _bucket(source)
        if bucket is not None:
            suffix = bucket.rpartition(".")[2].lower()
            if suffix not in _IMAGE_SUFFIXES:
                raise wrong(where, "the name of an image in S3 must tell its format: .png, .jpeg, .gif or .webp")
            return {"image": {"format": _IMAGE_SUFFIXES[suffix], "source": {"s3Location": {"uri": bucket}}}}
        file = self._at_hand(source, where)
        form = IMAGES.get(file.media_type.lower()) or _sniffed(file.data)
        if form is None:
            said = file.media_type[:80]
            raise wrong(where, f"Bedrock takes images as png, jpeg, gif and webp, not as {said!r}")
        return {"image": {"format": form, "source": {"bytes": file.data}}}

    def _file(self, source: Source, name: str | None, where: str) -> JsonObject:
        bucket = _bucket(source)
        if bucket is not None:
            suffix = bucket.rpartition(".")[2].lower()
            if suffix not in DOCUMENTS.values():
                forms = ", ".join(DOCUMENTS.values())
                raise wrong(where, f"the name of a document in S3 must tell its format: {forms}")
            return self._document(suffix, name, {"s3Location": {"uri": bucket}})
        file = self._at_hand(source, where)
        kind = file.media_type.lower()
        if kind in IMAGES:
            return self._image(file, where)
        form = DOCUMENTS.get(kind) or ("txt" if _TEXTUAL.fullmatch(kind) else None)
        if form is None:
            raise wrong(where, f"Bedrock takes documents as {', '.join(DOCUMENTS.values())}, not as {kind[:80]!r}")
        return self._document(form, name, {"bytes": file.data})

    def _document(self, form: str, name: str | None, source: JsonObject) -> JsonObject:
        return {"document": {"format": form, "name": self._name(name), "source": source}}

    def _name(self, name: str | None) -> str:
        """A name that Bedrock takes, and that no other document of the request has."""
        stem = (name or "").rpartition(".")[0] or name or ""
        plain = _FOREIGN.sub(" ", stem).strip()[: _LONGEST_NAME - 8].strip() or "document"
        unique, number = plain, 1
        while unique in self._names:
            number += 1
            unique = f"{plain} {number}"
        self._names.add(unique)
        return unique

    def _at_hand(self, source: Source, where: str) -> Inline:
        """The file itself: as it was given, or as it was downloaded for this call."""
        if isinstance(source, Inline):
            return source
        if isinstance(source, Stored):
            raise wrong(where, "Bedrock keeps no files: give the file itself, its URL, or its address in S3")
        fetched = self._asked.call.fetched.get(source.url)
        if fetched is None:
            raise wrong(where, "must be an http or https URL, an s3:// address, or a data: URL")
        media_type = fetched.media_type.partition(";")[0].strip()
        return Inline(media_type, base64.b64encode(fetched.content).decode())


def _bucket(source: Source) -> str | None:
    """The address of a file in S3, which Bedrock reads itself."""
    return source.url if isinstance(source, Address) and source.url.startswith("s3://") else None


def _sniffed(data: str) -> str | None:
    try:
        head = base64.b64decode(data[:16])
    except ValueError:
        return None
    return next((form for magic, form in _MAGIC if head.startswith(magic)), None)
