"""One aiohttp session per event loop, closed when its loop ends."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncGenerator
from typing import TypeAlias

import aiohttp

_KEEPALIVE = 60.0
"""Seconds an idle connection is kept."""
_CLOSING = 1.0
"""Seconds to wait for sockets to close; TLS is aborted, so this is only a bound."""

Sessions: TypeAlias = "dict[asyncio.AbstractEventLoop, LoopSession]"
"""The sessions of one transport. A session takes itself out when it closes."""


class LoopSession:
    """The session of one event loop, and the replies that are open on it. Made on its loop.

    `asyncio.run`, and whatever else shuts asynchronous generators down before it closes its loop, closes the session
    through `_guard`: a program that never calls `aclose` ends without a word about unclosed sessions.
    """

    def __init__(self, home: Sessions) -> None:
        self.loop = asyncio.get_running_loop()
        self.client = _client()
        self.open: set[aiohttp.ClientResponse] = set()
        """Those not yet ended. aiohttp forgets whoever waits for a body when it closes a session; we must not."""
        self._home = home
        self._guard = self._until_the_end()
        home[self.loop] = self

    async def watch(self) -> None:
        """Bind the session's life to its loop. Never suspends."""
        await anext(self._guard)

    def drop(self, response: aiohttp.ClientResponse) -> None:
        """Close a reply and its connection. On the loop's own thread."""
        self.open.discard(response)
        response.close()

    def drop_soon(self, response: aiohttp.ClientResponse) -> None:
        """`drop` from any thread, or from a finaliser. Silent if the loop is closed."""
        with contextlib.suppress(RuntimeError):  # closed, or closing at this moment
            self.loop.call_soon_threadsafe(self.drop, response)

    async def close(self) -> None:
        """Close everything. On the loop's own thread."""
        await self._guard.aclose()

    def close_soon(self) -> None:
        """`close` from any thread, or from a finaliser."""
        try:
            self.loop.call_soon_threadsafe(self._start_closing)
        except RuntimeError:  # the loop is closed
            self.bury()

    def bury(self) -> None:
        """Forget a session whose loop was closed under it, without aiohttp's complaint; no callback can run there."""
        self._leave()
        self.open.clear()
        closing = self.client.close()
        with contextlib.suppress(StopIteration, RuntimeError):
            closing.send(None)  # has nothing to wait for on a closed loop
        closing.close()

    def _start_closing(self) -> None:
        # Kept alive by what it waits for: the sockets, which the loop knows.
        self.loop.create_task(self.close())

    async def _until_the_end(self) -> AsyncGenerator[None, None]:
        try:
            yield
        finally:
            self._leave()
            for response in tuple(self.open):
                self.drop(response)
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(_CLOSING):
                    await self.client.close()

    def _leave(self) -> None:
        self._home.pop(self.loop, None)


class _Response(aiohttp.ClientResponse):
    """A response that, closed early, gives its socket up at once: a plain close would first flush what is left of
    the request, for as long as a hanging server pleases."""

    def close(self) -> None:
        wire = None if self.connection is None else self.connection.transport
        super().close()
        if wire is not None:
            wire.abort()


async def _once(request: aiohttp.ClientRequest, send: aiohttp.ClientHandlerType) -> aiohttp.ClientResponse:
    """Withhold from aiohttp the errors on which it sends a request again: retrying is the Router's business."""
    try:
        return await send(request)
    except aiohttp.ClientConnectorError:
        raise
    except (aiohttp.ClientOSError, aiohttp.ServerDisconnectedError) as error:
        raise aiohttp.ClientConnectionError(str(error)) from error


ONCE = (_once,)
"""The middleware for methods aiohttp would send again (it never does so with POST)."""


def _client() -> aiohttp.ClientSession:
    connector = aiohttp.TCPConnector(limit=0, keepalive_timeout=_KEEPALIVE)
    return aiohttp.ClientSession(
        connector=connector,
        # A provider says what it accepts; nothing else goes out. Compression is declined: bodies are small, and a
        # proxy that compresses an event stream holds events back. What is compressed regardless is decoded.
        headers={"Accept-Encoding": "identity"},
        skip_auto_headers=("Accept", "Content-Type", "User-Agent"),
        cookie_jar=aiohttp.DummyCookieJar(),
        response_class=_Response,
        timeout=aiohttp.ClientTimeout(total=None, sock_connect=None),
    )
