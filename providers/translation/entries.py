"""A conversation in nobody's dialect: who said what, which tools were called, what they answered."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TypeAlias

from providers import jsonio
from providers.types import Json, JsonObject


@dataclass(frozen=True, slots=True)
class Inline:
    """A file that is part of the request."""

    media_type: str
    data: str
    """In base64."""


@dataclass(frozen=True, slots=True)
class Address:
    """A file somewhere on the net."""

    url: str


@dataclass(frozen=True, slots=True)
class Stored:
    """A file that the vendor keeps."""

    file_id: str


Source: TypeAlias = Inline | Address | Stored


@dataclass(frozen=True, slots=True)
class Text:
    """Words. Never empty."""

    text: str
    where: str
    cache: Json = None
    """The `cache_control` mark that the part bore."""


@dataclass(frozen=True, slots=True)
class Refusal:
    """Words by which the model declined."""

    text: str
    where: str


@dataclass(frozen=True, slots=True)
class Image:
    """A picture."""

    source: Source
    where: str
    detail: str | None = None
    cache: Json = None


@dataclass(frozen=True, slots=True)
class File:
    """A document."""

    source: Source
    where: str
    name: str | None = None
    cache: Json = None


@dataclass(frozen=True, slots=True)
class Audio:
    """Sound."""

    data: str
    """In base64."""
    format: str
    """`wav`, `mp3`, …"""
    where: str


Part: TypeAlias = Text | Refusal | Image | File | Audio


@dataclass(frozen=True, slots=True)
class Said:
    """A message."""

    role: Literal["system", "user", "assistant"]
    parts: tuple[Part, ...]
    where: str


@dataclass(frozen=True, slots=True)
class FunctionCall:
    """The model called a tool that the caller runs."""

    call_id: str
    name: str
    """The caller's, not the wire's."""
    arguments: str
    """JSON, as the model wrote it."""
    where: str

    @property
    def parsed(self) -> JsonObject:
        """The arguments as an object. A model can be cut off as it writes them: then as `{"_raw": text}`."""
        try:
            value = jsonio.loads(self.arguments) if self.arguments.strip() else {}
        except ValueError:
            value = None
        return value if isinstance(value, dict) else {"_raw": self.arguments}


@dataclass(frozen=True, slots=True)
class FunctionOutput:
    """What a tool answered. Follows its call, with nothing but other outputs of the same turn between."""

    call_id: str
    name: str
    """Of the tool."""
    parts: tuple[Part, ...]
    failed: bool
    where: str

    @property
    def text(self) -> str:
        """All its words; empty if there are none."""
        return "".join(part.text for part in self.parts if isinstance(part, Text))


@dataclass(frozen=True, slots=True)
class Thought:
    """The model reasoned."""

    text: str
    """What is known of it in words, perhaps nothing."""
    sealed: str | None
    """Its `encrypted_content`, for `sealed.unseal`."""
    where: str


Entry: TypeAlias = Said | FunctionCall | FunctionOutput | Thought
