"""The open reply of an httpx client or transport."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncGenerator, Mapping
from typing import cast

import httpx

from router.transport import faults
from router.transport.whole import whole

_CLOSING = 1.0
"""Seconds that closing one reply may take."""

_BODY_FAULTS = (httpx.HTTPError, httpx.StreamError, OSError)


class HttpxReply:
    """A reply whose head has arrived. Dropped without `read`, `aclose` or `abort`, it closes its connection."""

    __slots__ = ("_broken", "_ended", "_limit", "_loop", "_parts", "_response", "_url", "headers", "status")

    def __init__(self, response: httpx.Response, loop: asyncio.AbstractEventLoop, url: str, limit: int) -> None:
        self.status = response.status_code
        self.headers: Mapping[str, str] = response.headers
        self._response = response
        self._parts = cast("AsyncGenerator[bytes, None]", response.aiter_bytes())  # annotated as a mere iterator
        self._loop = loop
        self._url = url
        self._limit = limit
        self._ended = False
        self._broken = False

    async def read(self) -> bytes:
        """See `OpenReply.read`."""
        try:
            return await whole(self, self._url, self._limit)
        except BaseException:
            self.abort()
            raise

    async def chunk(self) -> bytes:
        """See `OpenReply.chunk`."""
        if self._broken:
            raise faults.interrupted(self._url, ConnectionAbortedError("closed by us"))
        try:
            part = await anext(self._parts, b"")
        except BaseException as error:
            self._broken = True  # the iterator has ended, which must not pass for the end of the body
            if isinstance(error, _BODY_FAULTS):
                raise faults.interrupted(self._url, error) from error
            raise
        if not part:
            self._ended = True
        return part

    async def aclose(self) -> None:
        """See `OpenReply.aclose`."""
        if self._leave():
            await _close(self._response, self._parts)

    def abort(self) -> None:
        """See `OpenReply.abort`."""
        if self._leave():
            _close_soon(self._loop, self._response, self._parts)

    def __del__(self) -> None:
        self.abort()

    def _leave(self) -> bool:
        """Whether there is something left to close."""
        if self._ended:
            return False
        self._ended = self._broken = True
        return True


def _close_soon(loop: asyncio.AbstractEventLoop, response: httpx.Response, parts: AsyncGenerator[bytes, None]) -> None:
    def start() -> None:
        loop.create_task(_close(response, parts))  # kept alive by its own deadline

    with contextlib.suppress(RuntimeError):  # the loop is closed, or closing at this moment
        loop.call_soon_threadsafe(start)


async def _close(response: httpx.Response, parts: AsyncGenerator[bytes, None]) -> None:
    # A task that is reading learns of it from the closed connection; its iterator cannot be closed under it.
    with contextlib.suppress(TimeoutError, RuntimeError, *_BODY_FAULTS):
        async with asyncio.timeout(_CLOSING):
            await response.aclose()
            await parts.aclose()
