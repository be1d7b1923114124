"""A second loopback server: the events of `upstream`, one write each, the way a model produces them.

`upstream` sends a stream in one write, so a client reads many events at once; here each arrives by itself, and every
one costs the client a wake-up of its event loop and a read. Every stream gets its next event at the same tick.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import subprocess
import sys
from collections.abc import Iterator

import upstream

TICK = 0.001
"""Seconds between two events of a stream."""

_HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n"


def _chunks() -> list[bytes]:
    frames = [f"event: {event['type']}\ndata: {json.dumps(event)}\n\n".encode() for event in upstream.events()]
    return [*(b"%x\r\n%b\r\n" % (len(frame), frame) for frame in frames), b"0\r\n\r\n"]


class _Connection(asyncio.Protocol):
    """Starts a stream for every request; its length is all that is read of one."""

    def __init__(self, streams: dict[_Connection, int]) -> None:
        self._streams = streams
        self._received = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Remember where to write."""
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget the stream of a client that left."""
        self._streams.pop(self, None)

    def data_received(self, data: bytes) -> None:
        """Begin when the request, whose body ends in a brace, is complete."""
        self._received += data
        if self._received.endswith(b"}"):
            self._received = b""
            self.transport.write(_HEAD)
            self._streams[self] = 0


async def _serve() -> None:
    chunks, streams = _chunks(), dict[_Connection, int]()
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: _Connection(streams), "127.0.0.1", 0, backlog=4096)
    print(server.sockets[0].getsockname()[1], flush=True)
    ended = asyncio.Event()
    loop.add_reader(sys.stdin.fileno(), ended.set)  # nothing is ever written there: it closes
    while not ended.is_set():
        await asyncio.sleep(TICK)
        for connection, sent in tuple(streams.items()):
            connection.transport.write(chunks[sent])
            streams[connection] = sent + 1
            if sent + 1 == len(chunks):
                del streams[connection]


@contextlib.contextmanager
def start() -> Iterator[str]:
    """As `upstream.start`."""
    with subprocess.Popen(
        [sys.executable, __file__], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        try:
            yield f"http://127.0.0.1:{int(process.stdout.readline())}/v1"
        finally:
            process.terminate()


if __name__ == "__main__":
    asyncio.run(_serve())
