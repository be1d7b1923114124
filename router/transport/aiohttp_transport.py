"""The default transport: aiohttp, used directly.

Its pool is O(1) in connections open and idle, where httpx scans its whole pool per call; `benchmarks/transports.py`
compares them.
"""

from __future__ import annotations

import asyncio
import io
import weakref
from collections.abc import Mapping

import aiohttp
from aiohttp.http import HttpProcessingError

from providers.errors import APIError
from providers.types import Connection, HttpRequest
from router.transport import faults
from router.transport.base import MAX_BODY, OpenReply
from router.transport.sessions import ONCE, LoopSession, Sessions
from router.transport.targets import resolver
from router.transport.whole import whole

_AT_ONCE = 1024 * 1024
"""Bytes of a request that are written in one go; aiohttp feeds more than that to the socket in pieces."""

_BODY_FAULTS = (aiohttp.ClientError, HttpProcessingError, OSError)


class AiohttpTransport:
    """Sends with one aiohttp session per event loop, closed with its loop.

    Any number of calls may be in flight; idle connections are kept for 60 s. No cookies, no redirects, no netrc, no
    retries. `aclose` may be followed by further use, which opens a new session.

    Args:
        max_body: bytes of a body that `read` accepts; more is a `MalformedReplyError`.
        trust_env: use the proxies named by HTTP_PROXY, HTTPS_PROXY, ALL_PROXY and NO_PROXY.
    """

    def __init__(self, *, max_body: int = MAX_BODY, trust_env: bool = True) -> None:
        self._max_body = max_body
        self._target = resolver(trust_env=trust_env)
        self._sessions: Sessions = {}
        # Dropped without aclose, the sessions outlive the transport until they are closed.
        weakref.finalize(self, _close_all, self._sessions)

    async def send(self, request: HttpRequest, connection: Connection, *, timeout: float) -> OpenReply:
        """See `Transport.send`. Also raises `MalformedReplyError` if the reply is not HTTP, `ConfigurationError`
        for an unusable URL, proxy or TLS file, and names a header that HTTP forbids."""
        url = request.url
        target = self._target(url, connection)
        session = self._sessions.get(asyncio.get_running_loop()) or await self._open()
        content = request.content
        try:
            async with asyncio.timeout(timeout):
                response = await session.client.request(
                    request.method,
                    target.url,
                    headers=request.headers,
                    data=(content if len(content) <= _AT_ONCE else io.BytesIO(content)) or None,
                    ssl=target.ssl,
                    proxy=target.proxy,
                    allow_redirects=False,
                    middlewares=None if request.method == "POST" else ONCE,
                )
        except TimeoutError as error:
            raise faults.too_late(url, timeout) from error
        except (aiohttp.ClientError, OSError, ValueError) as error:
            raise _fault(request, error) from faults.fit_to_show(error)
        return AiohttpReply(response, session, url, self._max_body)

    async def aclose(self) -> None:
        """Close what the running loop, and every loop that has ended, left open."""
        _bury_ended(self._sessions)
        session = self._sessions.get(asyncio.get_running_loop())
        if session is not None:
            await session.close()

    async def _open(self) -> LoopSession:
        _bury_ended(self._sessions)
        session = LoopSession(self._sessions)
        await session.watch()
        return session


class AiohttpReply:
    """A reply whose head has arrived. Dropped without `read`, `aclose` or `abort`, it closes its connection."""

    __slots__ = ("_ended", "_limit", "_response", "_session", "_url", "headers", "status")

    def __init__(self, response: aiohttp.ClientResponse, session: LoopSession, url: str, limit: int) -> None:
        self.status: int = response.status
        self.headers: Mapping[str, str] = response.headers
        self._response = response
        self._session = session
        self._url = url
        self._limit = limit
        self._ended = False
        session.open.add(response)

    async def read(self) -> bytes:
        """See `OpenReply.read`."""
        try:
            body = await whole(self, self._url, self._limit)
        except BaseException:
            self.abort()
            raise
        self._finish()
        return body

    async def chunk(self) -> bytes:
        """See `OpenReply.chunk`. Everything that has arrived comes at once."""
        try:
            part = await self._response.content.readany()
        except _BODY_FAULTS as error:
            raise faults.interrupted(self._url, error) from error
        if not part:
            self._finish()
        return part

    async def aclose(self) -> None:
        """See `OpenReply.aclose`."""
        self.abort()  # a body that was received to its end has given its connection back already

    def abort(self) -> None:
        """See `OpenReply.abort`."""
        if self._ended:
            return
        self._ended = True
        if _running_loop() is self._session.loop:
            self._session.drop(self._response)
        else:
            self._session.drop_soon(self._response)

    def __del__(self) -> None:
        # The collector may run us on any thread, or in the midst of aiohttp's own bookkeeping.
        if not self._ended:
            self._ended = True
            self._session.drop_soon(self._response)

    def _finish(self) -> None:
        self._ended = True
        self._session.open.discard(self._response)


def _fault(request: HttpRequest, error: Exception) -> APIError:
    if isinstance(error, aiohttp.ClientHttpProxyError):
        return faults.not_connected(request.url, error)
    if isinstance(error, aiohttp.ClientResponseError):
        return faults.not_http(request.url, error)
    if isinstance(error, (aiohttp.ClientError, OSError)):
        return faults.not_connected(request.url, error)
    return faults.unsendable(request, error)


def _running_loop() -> asyncio.AbstractEventLoop | None:
    try:
        return asyncio.get_running_loop()
    except RuntimeError:
        return None


def _bury_ended(sessions: Sessions) -> None:
    for session in tuple(sessions.values()):
        if session.loop.is_closed():
            session.bury()


def _close_all(sessions: Sessions) -> None:
    for session in tuple(sessions.values()):
        session.close_soon()
