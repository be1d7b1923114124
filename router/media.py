"""What kind of file something is, when whoever served it did not say."""

from __future__ import annotations

UNKNOWN = "application/octet-stream"

_SAYS_NOTHING = frozenset({"", UNKNOWN, "binary/octet-stream", "application/x-binary", "application/unknown"})
_MAGIC = (
    (b"\x89PNG\r\n\x1a\n", "image/png"),
    (b"\xff\xd8\xff", "image/jpeg"),
    (b"GIF87a", "image/gif"),
    (b"GIF89a", "image/gif"),
    (b"BM", "image/bmp"),
    (b"II*\x00", "image/tiff"),
    (b"MM\x00*", "image/tiff"),
    (b"%PDF-", "application/pdf"),
    (b"ID3", "audio/mpeg"),
    (b"\xff\xfb", "audio/mpeg"),
    (b"fLaC", "audio/flac"),
    (b"OggS", "audio/ogg"),
)
_IN_CONTAINERS = ((b"RIFF", b"WEBP", "image/webp"), (b"RIFF", b"WAVE", "audio/wav"))
_BRANDS = {b"avif": "image/avif", b"heic": "image/heic", b"M4A ": "audio/mp4"}
_ENDINGS = {
    "png": "image/png",
    "jpg": "image/jpeg",
    "jpeg": "image/jpeg",
    "gif": "image/gif",
    "webp": "image/webp",
    "svg": "image/svg+xml",
    "pdf": "application/pdf",
    "txt": "text/plain",
    "md": "text/markdown",
    "csv": "text/csv",
    "html": "text/html",
    "json": "application/json",
    "docx": "application/vnd.openxmlformats-officedocument.wordprocessingml.document",
    "xlsx": "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
    "pptx": "application/vnd.openxmlformats-officedocument.presentationml.presentation",
    "mp3": "audio/mpeg",
    "wav": "audio/wav",
    "ogg": "audio/ogg",
    "flac": "audio/flac",
    "m4a": "audio/mp4",
    "mp4": "video/mp4",
    "mov": "video/quicktime",
    "webm": "video/webm",
}


def media_type(header: str | None, content: bytes, path: str) -> str:
    """The type that the header `content-type` gives, else what the first bytes show, else what the name ends with."""
    said = (header or "").partition(";")[0].strip().lower()
    return (said if said not in _SAYS_NOTHING else None) or _by_content(content) or _by_name(path) or UNKNOWN


def _by_content(content: bytes) -> str | None:
    for magic, kind in _MAGIC:
        if content.startswith(magic):
            return kind
    for magic, inner, kind in _IN_CONTAINERS:
        if content.startswith(magic) and content[8:12] == inner:
            return kind
    return _BRANDS.get(content[8:12], "video/mp4") if content[4:8] == b"ftyp" else None


def _by_name(path: str) -> str | None:
    # not the module mimetypes: it reads the machine's files, and so differs from machine to machine
    return _ENDINGS.get(path.rpartition(".")[2].lower())
