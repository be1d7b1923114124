"""One connection that speaks HTTP/1.1 to a server: a request at a time, its reply parsed by httptools."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import cast

import httptools

MOST_HEAD = 64 * 1024
"""Bytes that the head of a reply may have."""
_HIGH = 1024 * 1024
"""Bytes of a body that wait to be read; beyond them nothing more is taken from the socket."""
_BODILESS = frozenset({204, 304})


class Wire(asyncio.Protocol):
    """A connection. Before the head of a reply `failure` is what `ask` raises, after it what the body ends with."""

    def __init__(self, loop: asyncio.AbstractEventLoop, lost: Callable[[Wire], None]) -> None:
        """`lost` is told when it is closed, by whomever."""
        self.closed = False
        self.status = 0
        self.headers: dict[str, str] = {}
        self.whole = False
        """Whether the reply has come to its end."""
        self.failure: Exception | None = None
        self._loop = loop
        self._lost = lost
        self._parts: list[bytes] = []
        self._waiting = 0
        """Bytes of `_parts`."""
        self._paused = False
        self._busy = False
        self._headed = False
        self._bounded = False
        """Whether the head tells where the body ends; else the end of the connection is its end."""
        self._keeps = False
        self._fed = 0
        self._waiter: asyncio.Future[None] | None = None
        self._parser = httptools.HttpResponseParser(self)

    # what its user does

    async def ask(self, request: bytes) -> None:
        """Send a request, and wait for the head of its reply. Raises `OSError` or an error of httptools."""
        self._begin()
        self._busy, self.whole = True, False
        self._transport.write(request)
        while not self._headed:
            await self.more()

    async def more(self) -> None:
        """Wait until something has come, or the connection has failed. Raises what it had failed with before."""
        if self.failure is not None:
            raise self.failure
        self._waiter = waiter = self._loop.create_future()
        try:
            await waiter
        finally:
            self._waiter = None

    def take(self) -> bytes:
        """What of the body has come since the last time."""
        parts = self._parts
        if not parts:
            return b""
        content = parts[0] if len(parts) == 1 else b"".join(parts)
        self._parts, self._waiting = [], 0
        if self._paused:
            self._paused = False
            self._transport.resume_reading()
        return content

    def rest(self) -> bool:
        """The reply has been read: whether another request may follow. Else it is closed."""
        self._busy = False
        if self.whole and self._keeps and not self.closed and not self._transport.get_write_buffer_size():
            return True
        self.close()
        return False

    def close(self, failure: Exception | None = None) -> None:
        """Close it at once, whatever is under way. Only in its loop. Idempotent."""
        if self.failure is None:
            self.failure = failure or ConnectionAbortedError("it was closed")
        self._transport.abort()
        self._wake()

    # what the event loop does

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """It is open."""
        self._transport = cast("asyncio.Transport", transport)  # uvloop's say so by no class

    def data_received(self, data: bytes) -> None:
        """Bytes of a reply."""
        if not self._busy:  # nobody has asked for anything
            self.close()
            return
        try:
            self._parser.feed_data(data)
        except (httptools.HttpParserError, httptools.HttpParserUpgrade) as error:
            self.close(error)
            return
        if not self._headed:
            self._fed += len(data)
            if self._fed > MOST_HEAD:
                self.close(ValueError("the head of the reply is too large"))
        elif self._waiting > _HIGH and not self._paused and not self.whole:
            self._paused = True
            self._transport.pause_reading()
        if self._waiter is not None and (self._headed or self.failure is not None):
            self._wake()

    def connection_lost(self, exc: Exception | None) -> None:
        """It is closed."""
        self.closed = True
        if self._busy and not self.whole and self.failure is None:
            if self._headed and not self._bounded and exc is None:
                self.whole = True
            else:
                self.failure = exc or ConnectionResetError("the server closed the connection")
        self._lost(self)
        self._wake()

    # what the parser finds

    def on_message_begin(self) -> None:
        """A head begins."""
        if self.whole:  # more than was asked for
            self._keeps = False

    def on_header(self, name: bytes, value: bytes) -> None:
        """A field of the head."""
        if self._headed:  # a trailer
            return
        key, text = name.decode("latin-1").lower(), value.decode("latin-1")
        self.headers[key] = f"{self.headers[key]}, {text}" if key in self.headers else text

    def on_headers_complete(self) -> None:
        """The end of a head."""
        status = self._parser.get_status_code()
        if status < 200 or self.whole:
            return
        self.status = status
        self._headed = True
        self._keeps = self._parser.should_keep_alive()
        headers = self.headers
        self._bounded = status in _BODILESS or "content-length" in headers or "transfer-encoding" in headers

    def on_body(self, body: bytes) -> None:
        """A piece of the body."""
        if not self.whole:
            self._parts.append(body)
            self._waiting += len(body)

    def on_message_complete(self) -> None:
        """The end of a reply, or of an interim one, after which the reply follows."""
        if self._headed:
            self.whole = True
        else:
            self.headers = {}

    # parts

    def _begin(self) -> None:
        self.headers, self._parts, self._waiting, self._fed = {}, [], 0, 0
        self._headed = False

    def _wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)
