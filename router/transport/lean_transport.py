"""A transport for those who send thousands of requests a second: HTTP/1.1 with next to nothing around it.

A request costs a fifth to a third of what it costs by aiohttp (`benchmarks/transports.py`). It needs httptools, which
the proxy has, and leaves to `AiohttpTransport` what is rare: proxies, and credentials within a URL.
"""

from __future__ import annotations

import asyncio
import re
import socket
import ssl
import zlib
from collections import deque
from collections.abc import Mapping
from contextlib import suppress
from functools import lru_cache
from typing import TypeAlias

import httptools
from aiohappyeyeballs import start_connection

from providers.types import Connection, HttpRequest
from router.transport import faults
from router.transport.aiohttp_transport import AiohttpTransport
from router.transport.base import MAX_BODY, OpenReply
from router.transport.targets import Target, resolver
from router.transport.whole import whole
from router.transport.wire import Wire

_KEEPALIVE = 60.0
"""Seconds an idle connection is kept."""
_EYEBALLS = 0.25
"""Seconds after which the next address of a host is tried beside the one before."""
_HEADS = 1024
_SENDABLE = re.compile(r"[!-~]+")
_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_VALUE = re.compile(r"(?:[!-~](?:[ -~\t]*[!-~])?)?")
_ENCODINGS = {"identity": 0, "gzip": 31, "x-gzip": 31, "deflate": 15}
"""Content encodings that are undone if they are sent though they were declined; each with what zlib calls it."""
_Key: TypeAlias = "tuple[str, int, ssl.SSLContext | None]"


class LeanTransport:
    """Sends on connections of its own, kept per event loop. Any number of calls may be in flight.

    No cookies, no redirects, no netrc, no retries; idle connections are kept for 60 s. `aclose` may be followed by
    further use.

    Args:
        max_body: bytes of a body that `read` accepts; more is a `MalformedReplyError`.
        trust_env: use the proxies named by HTTP_PROXY, HTTPS_PROXY, ALL_PROXY and NO_PROXY.
    """

    def __init__(self, *, max_body: int = MAX_BODY, trust_env: bool = True) -> None:
        self._max_body = max_body
        self._target = resolver(trust_env=trust_env)
        self._other = AiohttpTransport(max_body=max_body, trust_env=trust_env)
        self._heads = lru_cache(_HEADS)(_head)
        self._contexts: dict[bool, ssl.SSLContext] = {}
        self._pools: dict[asyncio.AbstractEventLoop, _Pool] = {}

    async def send(self, request: HttpRequest, connection: Connection, *, timeout: float) -> OpenReply:
        """See `Transport.send`, and `AiohttpTransport.send`."""
        url = request.url
        target = self._target(url, connection)
        if target.proxy is not None or target.url.raw_user is not None or target.url.raw_password is not None:
            return await self._other.send(request, connection, timeout=timeout)
        head = self._heads(request.method, target, tuple(request.headers.items()))
        if head is None:
            raise faults.unsendable(request, ValueError())
        content = request.content
        sized = content or request.method != "GET"
        message = b"%sContent-Length: %d\r\n\r\n%s" % (head, len(content), content) if sized else head + b"\r\n"
        wire: Wire | None = None
        try:
            async with asyncio.timeout(timeout):
                pool, key = self._pool(), self._key(target)
                wire = pool.idle(key) or await pool.open(key)
                await wire.ask(message)
        except TimeoutError as error:
            _close(wire)
            raise faults.too_late(url, timeout) from error
        except OSError as error:
            raise faults.not_connected(url, error) from faults.fit_to_show(error)
        except (httptools.HttpParserError, httptools.HttpParserUpgrade, ValueError) as error:
            raise faults.not_http(url, error) from faults.fit_to_show(error)
        except BaseException:
            _close(wire)
            raise
        encoding = wire.headers.get("content-encoding", "identity").strip().lower()
        if encoding not in _ENCODINGS:
            wire.close()
            raise faults.not_http(url, ValueError(f"nobody asked for the encoding {encoding[:40]!r}"))
        return LeanReply(wire, pool, key, url, self._max_body, _ENCODINGS[encoding])

    async def aclose(self) -> None:
        """Close what the running loop left open."""
        pool = self._pools.pop(asyncio.get_running_loop(), None)
        if pool is not None:
            pool.close()
            await asyncio.sleep(0)  # in which the loop gives the sockets up
        await self._other.aclose()

    def _pool(self) -> _Pool:
        loop = asyncio.get_running_loop()
        pool = self._pools.get(loop)
        if pool is None:
            for ended in [each for each in self._pools if each.is_closed()]:
                del self._pools[ended]
            self._pools[loop] = pool = _Pool(loop)
        return pool

    def _key(self, target: Target) -> _Key:
        """What connections are alike for."""
        address = target.url
        assert address.raw_host is not None, "the resolver has seen to it"
        assert address.port is not None, "the same"
        context = None
        if address.scheme == "https":
            context = target.ssl if isinstance(target.ssl, ssl.SSLContext) else self._context(target.ssl)
        return address.raw_host, address.port, context

    def _context(self, verify: bool) -> ssl.SSLContext:
        if verify not in self._contexts:
            self._contexts[verify] = context = ssl.create_default_context()
            if not verify:
                context.check_hostname = False
                context.verify_mode = ssl.CERT_NONE
        return self._contexts[verify]


class LeanReply:
    """A reply whose head has arrived. Dropped without `read`, `aclose` or `abort`, it closes its connection."""

    __slots__ = ("__weakref__", "_failure", "_key", "_limit", "_packed", "_pool", "_url", "_wire", "headers", "status")

    def __init__(self, wire: Wire, pool: _Pool, key: _Key, url: str, limit: int, encoding: int) -> None:
        self.status: int = wire.status
        self.headers: Mapping[str, str] = wire.headers
        self._wire: Wire | None = wire
        self._pool = pool
        self._key = key
        self._url = url
        self._limit = limit
        self._failure: Exception | None = None
        self._packed = zlib.decompressobj(encoding) if encoding else None

    async def read(self) -> bytes:
        """See `OpenReply.read`."""
        try:
            return await whole(self, self._url, self._limit)
        except BaseException:
            self.abort()
            raise

    async def chunk(self) -> bytes:
        """See `OpenReply.chunk`. Everything that has arrived comes at once."""
        while True:
            wire = self._wire
            if wire is None:
                if self._failure is not None:
                    raise faults.interrupted(self._url, self._failure) from self._failure
                return b""
            try:
                part = wire.take()
                if part and self._packed is not None:
                    part = self._unpacked(part)
                if part:
                    return part
                if wire.whole:
                    self._finish(wire)
                else:
                    await wire.more()
            except asyncio.CancelledError:
                raise
            except Exception as error:
                self._end(wire, error)

    async def aclose(self) -> None:
        """See `OpenReply.aclose`."""
        wire = self._wire
        if wire is not None and wire.whole and _running_loop() is self._pool.loop:
            wire.take()
            self._packed = None
            self._finish(wire)
        else:
            self.abort()

    def abort(self) -> None:
        """See `OpenReply.abort`."""
        if self._wire is not None:
            self._end(self._wire, ConnectionAbortedError("it was closed"))

    def __del__(self) -> None:
        # the collector may run us on any thread, in the midst of anything
        wire = getattr(self, "_wire", None)
        if wire is not None:
            self._pool.close_soon(wire)

    def _end(self, wire: Wire, failure: Exception) -> None:
        """It ends before its end."""
        self._wire, self._failure = None, failure
        if _running_loop() is self._pool.loop:
            wire.close(failure)
        else:
            self._pool.close_soon(wire)

    def _finish(self, wire: Wire) -> None:
        if self._packed is not None and not self._packed.eof:
            raise zlib.error("the content ends too early")
        self._wire = None
        self._pool.free(self._key, wire)

    def _unpacked(self, part: bytes) -> bytes:
        assert self._packed is not None, "asked before"
        content = self._packed.decompress(part, self._limit + 1)
        if len(content) > self._limit:
            raise ValueError("it is larger than it may be")
        return content


class _Pool:
    """The connections of one event loop."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self.loop = loop
        self._idle: dict[_Key, deque[tuple[float, Wire]]] = {}
        """Those that wait for a request, and since when; the newest last, which is the next to be used."""
        self._all: set[Wire] = set()
        self._sweeper: asyncio.TimerHandle | None = None

    def idle(self, key: _Key) -> Wire | None:
        """One that can be used at once."""
        waiting = self._idle.get(key)
        while waiting:
            since, wire = waiting.pop()
            if wire.failure is None and not wire.closed:
                if self.loop.time() - since < _KEEPALIVE:
                    return wire
                wire.close()
        return None

    async def open(self, key: _Key) -> Wire:
        """A new one. Raises `OSError`."""
        host, port, context = key
        infos = await self.loop.getaddrinfo(host, port, type=socket.SOCK_STREAM)
        sock = await start_connection(
            [(info[0], info[1], info[2], "", info[4]) for info in infos], happy_eyeballs_delay=_EYEBALLS, loop=self.loop
        )
        try:
            _, wire = await self.loop.create_connection(
                lambda: Wire(self.loop, self._all.discard),
                sock=sock,
                ssl=context,
                server_hostname=None if context is None else host,
            )
        except BaseException:
            sock.close()
            raise
        self._all.add(wire)
        return wire

    def free(self, key: _Key, wire: Wire) -> None:
        """Its reply was read to the end."""
        if not wire.rest():
            return
        self._idle.setdefault(key, deque()).append((self.loop.time(), wire))
        if self._sweeper is None:
            self._sweeper = self.loop.call_later(_KEEPALIVE / 2, self._sweep)

    def close(self) -> None:
        """Close them all. Only in the loop."""
        if self._sweeper is not None:
            self._sweeper.cancel()
            self._sweeper = None
        for wire in tuple(self._all):
            wire.close()
        self._idle.clear()

    def close_soon(self, wire: Wire) -> None:
        """Close one, from any thread. Silent if the loop is closed."""
        with suppress(RuntimeError):
            self.loop.call_soon_threadsafe(wire.close)

    def _sweep(self) -> None:
        """Close what has waited for too long."""
        self._sweeper = None
        until = self.loop.time() - _KEEPALIVE
        for key, waiting in tuple(self._idle.items()):
            while waiting and (waiting[0][0] <= until or waiting[0][1].closed):
                waiting.popleft()[1].close()
            if not waiting:
                del self._idle[key]
        if self._idle:
            self._sweeper = self.loop.call_later(_KEEPALIVE / 2, self._sweep)


def _head(method: str, target: Target, headers: tuple[tuple[str, str], ...]) -> bytes | None:
    """A request's head, but for its length and the blank line; None if it can't be sent."""
    path = target.url.raw_path_qs
    names = {name.lower() for name, _ in headers}
    if not _SENDABLE.fullmatch(path) or not all(_NAME.fullmatch(n) and _VALUE.fullmatch(v) for n, v in headers):
        return None
    lines = [f"{method} {path} HTTP/1.1"]
    if "host" not in names:
        lines.append(f"Host: {target.url.host_port_subcomponent}")
    if "accept-encoding" not in names:
        lines.append("Accept-Encoding: identity")
    lines += [f"{name}: {value}" for name, value in headers if name.lower() != "content-length"]
    return "".join(f"{line}\r\n" for line in lines).encode()


def _close(wire: Wire | None) -> None:
    if wire is not None:
        wire.close()


def _running_loop() -> asyncio.AbstractEventLoop | None:
    try:
        return asyncio.get_running_loop()
    except RuntimeError:
        return None
