"""A server over a real socket that records exact bytes and plays exact bytes back."""

import asyncio
import contextlib
import re
import socket
import ssl
import struct
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from typing import TypeAlias

from providers.types import Connection, HttpRequest
from router.transport.base import OpenReply, Transport

PATIENCE = 20.0
"""Seconds after which waiting for what must happen is given up. Only a defect waits that long."""

HELLO = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello"
CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
END = b"0\r\n\r\n"

_LENGTH = re.compile(rb"(?im)^content-length: *(\d+)")


def piece(content: bytes) -> bytes:
    """One chunk of a chunked body."""
    return b"%x\r\n%s\r\n" % (len(content), content)


class Link:
    """One accepted connection."""

    def __init__(self, server: "Server", reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._server = server
        self._reader = reader
        self._writer = writer

    async def request(self) -> bytes:
        """The next request, whole; empty when the peer has closed instead."""
        try:
            head = await self._reader.readuntil(b"\r\n\r\n")
            length = _LENGTH.search(head)
            body = await self._reader.readexactly(int(length[1])) if length else b""
        except (asyncio.IncompleteReadError, ConnectionError):
            return b""
        self._server.requests.append(head + body)
        return head + body

    async def head(self) -> bytes:
        """The head of the next request; its body stays unread."""
        return await self._reader.readuntil(b"\r\n\r\n")

    async def send(self, *parts: bytes) -> None:
        """Write bytes as they are."""
        self._writer.write(b"".join(parts))
        with contextlib.suppress(ConnectionError):
            await self._writer.drain()

    async def gone(self) -> None:
        """Wait until the peer has closed."""
        with contextlib.suppress(ConnectionError):
            await self._reader.read()

    async def refused(self) -> None:
        """Write, without reading, until the peer's system says that nobody is there any more."""
        while not self._writer.is_closing():
            await self.send(b"x")
            await asyncio.sleep(0)

    async def relay(self, port: int) -> None:
        """Pass everything on to a port of loopback and back, until either side closes."""
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        ways = [asyncio.ensure_future(_pump(self._reader, writer)), asyncio.ensure_future(_pump(reader, self._writer))]
        try:
            await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for way in ways:
                way.cancel()
            await asyncio.gather(*ways, return_exceptions=True)
            writer.transport.abort()

    def close(self) -> None:
        """Close in order."""
        self._writer.close()

    def reset(self) -> None:
        """Close with a reset."""
        raw = self._writer.get_extra_info("socket")
        raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self._writer.transport.abort()


async def _pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while data := await reader.read(65536):
        writer.write(data)
        await writer.drain()


Play: TypeAlias = Callable[[Link], Awaitable[None]]


async def hello(link: Link) -> None:
    """Answer every request with `hello`."""
    while await link.request():
        await link.send(HELLO)


def says(*parts: bytes) -> Play:
    """Answer every request with these bytes."""

    async def play(link: Link) -> None:
        while await link.request():
            await link.send(*parts)

    return play


class Server:
    """What a served address has seen."""

    def __init__(self, play: Play) -> None:
        self.requests: list[bytes] = []
        self.accepted = 0
        self.port = 0
        self.scheme = "http"
        self._play = play
        self._links: set[asyncio.Task[None]] = set()
        self._changed = asyncio.Condition()

    @property
    def url(self) -> str:
        """Where it listens."""
        return f"{self.scheme}://127.0.0.1:{self.port}"

    async def until(self, *, open: int) -> None:
        """Wait until no more connections than this are open."""
        async with asyncio.timeout(PATIENCE), self._changed:
            await self._changed.wait_for(lambda: len(self._links) <= open)

    def accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Play one connection."""
        task = asyncio.get_running_loop().create_task(self._serve(reader, writer))
        self._links.add(task)
        self.accepted += 1

    async def stop(self) -> None:
        """Close what is still open."""
        for task in tuple(self._links):
            task.cancel()
        await asyncio.gather(*self._links, return_exceptions=True)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        link = Link(self, reader, writer)
        try:
            await self._notify()
            await self._play(link)
            if not writer.is_closing():
                await link.gone()
        finally:
            writer.transport.abort()
            task = asyncio.current_task()
            assert task is not None
            self._links.discard(task)
            await self._notify()

    async def _notify(self) -> None:
        async with self._changed:
            self._changed.notify_all()


@contextlib.asynccontextmanager
async def serve(play: Play = hello, *, tls: ssl.SSLContext | None = None) -> AsyncIterator[Server]:
    """Listen on a free port of loopback and play every connection."""
    server = Server(play)
    listener = await asyncio.start_server(server.accept, "127.0.0.1", 0, ssl=tls, limit=1 << 22)
    server.port = listener.sockets[0].getsockname()[1]
    server.scheme = "http" if tls is None else "https"
    try:
        yield server
    finally:
        listener.close()
        await server.stop()


def closed_port() -> int:
    """A port of loopback on which nobody listens."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@dataclass
class Sender:
    """A transport with short names for what tests send."""

    kind: str
    transport: Transport

    async def post(
        self, url: str, content: bytes = b"{}", *, timeout: float = 20.0, headers: dict[str, str] | None = None
    ) -> OpenReply:
        """Send a POST."""
        request = HttpRequest("POST", url, {"content-type": "application/json", **(headers or {})}, content)
        return await self.transport.send(request, Connection(), timeout=timeout)

    async def get(self, url: str, *, timeout: float = 20.0, connection: Connection = Connection()) -> OpenReply:  # noqa: B008 - frozen
        """Send a GET."""
        return await self.transport.send(HttpRequest("GET", url, {}), connection, timeout=timeout)
