"""What a connection may take, and how it is refused where no request was understood yet."""

from __future__ import annotations

from dataclasses import dataclass
from http import HTTPStatus
from typing import TypeVar, cast

from providers import jsonio

LINGER = 30.0
"""Seconds for which a client that has its answer may go on sending a body that nobody reads."""
PARTING = 2.0
"""Seconds in which a client whose request was none may take its answer and go."""
TOLD = 64
"""Of the connections that are too many, so many are told so; more are dropped."""
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Limits:
    """For each connection of one server. Seconds, and bytes."""

    head_timeout: float = 10.0
    """For a request's head, from its first byte to its last; the first must be there so long after the connection."""
    max_head_bytes: int = 64 * 1024
    most_connections: int = 10_000
    write_timeout: float = 120.0
    """For a client to take something of what is written to it."""


def limited(kind: type[T], limits: Limits) -> type[T]:
    """`kind` with these limits, for a server to make instances of."""
    return cast("type[T]", type(kind.__name__, (kind,), {"limits": limits}))


def refusal(status: int, message: str, code: str) -> bytes:
    """An answer to what is no request, in OpenAI's shape; nothing follows it."""
    kind = {408: "timeout_error", 503: "server_error"}.get(status, "invalid_request_error")
    content = jsonio.dumps({"error": {"message": message, "type": kind, "param": None, "code": code}})
    head = (
        f"HTTP/1.1 {status} {HTTPStatus(status).phrase}\r\ncontent-type: application/json\r\n"
        f"content-length: {len(content)}\r\nconnection: close\r\n\r\n"
    )
    return head.encode() + content
