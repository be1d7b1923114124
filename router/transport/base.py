"""The network seam: plain data in, an open reply out."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

from providers.types import Connection, HttpRequest

MAX_BODY = 64 * 1024 * 1024
"""Bytes of a body that `OpenReply.read` accepts by default."""


class OpenReply(Protocol):
    """A reply whose head has arrived. Whoever holds it ends it, with `read`, `aclose` or `abort`."""

    status: int
    headers: Mapping[str, str]
    """Looked up by lower-case name."""

    async def read(self) -> bytes:
        """The whole body; the connection is free afterwards. Raises `TransportError`, or `MalformedReplyError`
        for a body above the transport's limit."""
        ...

    async def chunk(self) -> bytes:
        """The next bytes of the body as soon as there are any; empty at its end. Raises `TransportError`."""
        ...

    async def aclose(self) -> None:
        """Free the connection: reused if the body was read to its end, closed otherwise. Idempotent."""
        ...

    def abort(self) -> None:
        """Close the connection at once, from any thread, without waiting. Idempotent."""
        ...


class Transport(Protocol):
    """Sends requests. Knows nothing of deployments, retries or JSON; adds no retry of its own.

    One transport serves any number of event loops; what it holds is bound to the loop that uses it.
    """

    async def send(self, request: HttpRequest, connection: Connection, *, timeout: float) -> OpenReply:
        """The reply's head, within `timeout` seconds from now. Raises `APIConnectionError`, `APITimeoutError`."""
        ...

    async def aclose(self) -> None:
        """Close what the running loop, and every loop that has ended, left open."""
        ...
