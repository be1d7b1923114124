"""Sends through an httpx client or transport of the user's own."""

from __future__ import annotations

import asyncio
import weakref
from functools import lru_cache

import httpx

from providers.errors import APIError, ConfigurationError
from providers.types import Connection, HttpRequest
from router.transport import faults
from router.transport.base import MAX_BODY, OpenReply
from router.transport.httpx_reply import HttpxReply

_DEFAULT = Connection()
_URLS = 4096
_STATELESS = (httpx.MockTransport, httpx.ASGITransport)


class HttpxTransport:
    """Adapts an `httpx.AsyncClient`, or any `httpx.AsyncBaseTransport`.

    A client's own settings hold (hooks, auth, cookies, redirects, default headers, TLS, proxies, limits), except its
    timeouts: the Router's take their place. A transport is called directly, which costs much less. Neither is closed
    by `aclose`: whoever made it closes it. httpx binds connections to the event loop that made them, so the first
    loop that sends is the only one that may. (What these clients do of themselves stays: httpx-aiohttp lets aiohttp
    send a lost GET or DELETE once more; httpcore 1.0, cancelled between connecting and writing, keeps the connection
    open and unused until it is closed itself.)

    Args:
        inner: the client or transport.
        max_body: bytes of a body that `read` accepts; more is a `MalformedReplyError`.
    """

    def __init__(self, inner: httpx.AsyncClient | httpx.AsyncBaseTransport, *, max_body: int = MAX_BODY) -> None:
        self._client = inner if isinstance(inner, httpx.AsyncClient) else None
        self._wire = inner if isinstance(inner, httpx.AsyncBaseTransport) else None
        self._max_body = max_body
        self._url = lru_cache(_URLS)(_address)
        self._loop: weakref.ref[asyncio.AbstractEventLoop] | None = None
        self._any_loop = isinstance(inner, _STATELESS)

    @property
    def one_loop(self) -> bool:
        """Whether a second event loop may not send."""
        return not self._any_loop

    async def send(self, request: HttpRequest, connection: Connection, *, timeout: float) -> OpenReply:
        """See `Transport.send`. Also raises `MalformedReplyError` if the reply is not HTTP, and `ConfigurationError`
        for TLS or proxy settings of a deployment and for a second event loop."""
        loop = self._bind()
        if connection != _DEFAULT:
            raise ConfigurationError(
                "a deployment's `ssl_verify`, client certificate and proxy cannot be put into an http_client of your"
                " own: set them on that client, or leave `http_client` out"
            )
        url = self._url(request.url)
        try:
            async with asyncio.timeout(timeout):
                response = await self._exchange(request, url, timeout)
        except httpx.HTTPStatusError as error:  # a response hook of the client called raise_for_status
            response = _bare(error.response)
        except Exception as error:  # a client's hooks and foreign transports raise what they like
            raise _fault(request, error, timeout) from _fit_to_show(error)
        return HttpxReply(response, loop, request.url, self._max_body)

    async def aclose(self) -> None:
        """Nothing: the client or transport belongs to whoever made it."""

    async def _exchange(self, request: HttpRequest, url: httpx.URL, timeout: float) -> httpx.Response:
        # The head is bounded by `send`; between chunks the caller keeps the time.
        limits = {"connect": timeout, "write": timeout, "pool": timeout, "read": None}
        if self._client is not None:
            built = self._client.build_request(
                request.method, url, headers=request.headers, content=request.content, extensions={"timeout": limits}
            )
            return await self._client.send(built, stream=True)
        assert self._wire is not None  # one of the two
        headers = {"accept-encoding": "identity", **request.headers}
        built = httpx.Request(
            request.method, url, headers=headers, content=request.content, extensions={"timeout": limits}
        )
        return await self._wire.handle_async_request(built)

    def _bind(self) -> asyncio.AbstractEventLoop:
        loop = asyncio.get_running_loop()
        if self._loop is None:
            self._loop = weakref.ref(loop)
        elif self._loop() is not loop and not self._any_loop:
            raise ConfigurationError(
                "this http_client belongs to the event loop that used it first, as every httpx client does: make one"
                " Router per event loop, use either the synchronous or the asynchronous verbs, or leave `http_client`"
                " out (the default transport serves every loop)"
            )
        return loop


def _fault(request: HttpRequest, error: Exception, timeout: float) -> APIError | ConfigurationError:
    match error:
        case httpx.ConnectTimeout() if _is_misnamed(error):
            return faults.not_connected(request.url, error)
        case TimeoutError() | httpx.TimeoutException():
            return faults.too_late(request.url, timeout)
        case httpx.UnsupportedProtocol():
            return faults.no_address(request.url)
        case httpx.TooManyRedirects():
            return faults.not_http(request.url, error)
        case httpx.LocalProtocolError() | ValueError():
            return faults.unsendable(request, error)
        case _:
            return faults.not_connected(request.url, error)


def _fit_to_show(error: Exception) -> BaseException | None:
    """`error`, unless it may quote a header's value or a URL's query."""
    return None if isinstance(error, (httpx.LocalProtocolError, ValueError)) else faults.fit_to_show(error)


def _is_misnamed(error: httpx.ConnectTimeout) -> bool:
    """httpx-aiohttp calls every lost or refused connection a ConnectTimeout."""
    cause = error.__cause__
    return type(cause).__module__.startswith("aiohttp.") and not isinstance(cause, TimeoutError)


def _address(url: str) -> httpx.URL:
    try:
        parsed = httpx.URL(url)
    except httpx.InvalidURL:
        raise faults.no_address(url) from None
    if parsed.scheme not in ("http", "https") or not parsed.host:
        raise faults.no_address(url)
    return parsed


def _bare(response: httpx.Response) -> httpx.Response:
    """The head of a response that the client has closed already, with what was read of its body."""
    content = response.content if response.is_closed and response.is_stream_consumed else b""
    headers = {
        name: value
        for name, value in response.headers.items()
        if name not in ("content-length", "content-encoding", "transfer-encoding")
    }
    return httpx.Response(response.status_code, headers=headers, content=content)
