"""Drives an HTTP server as fast as it answers, in a process of its own. Started by `proxy.py` and `servers.py`.

Reads orders as lines of JSON, answers each with a line of JSON. An HTTP client would be the bottleneck: this one writes
one ready-made request on connections that are kept, and looks for no more in the answers than where they end, whether
they are good, and how many events they have.
"""

from __future__ import annotations

import asyncio
import json
import re
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, cast
from urllib.parse import urlsplit

_LENGTH = re.compile(rb"content-length: *(\d+)", re.IGNORECASE)
_CHUNKED = re.compile(rb"transfer-encoding: *chunked", re.IGNORECASE)
_LAST = b"0\r\n\r\n"
_PATIENCE = 60.0
"""Seconds to wait for the answers that are still out when the time is over."""


class Connection(asyncio.Protocol):
    """Asks, and asks again once it was answered, until it is told to stop."""

    def __init__(self, request: bytes, mark: bytes, load: Load) -> None:
        self._request = request
        self._mark = mark
        self._load = load
        self._parts: list[bytes] = []
        self._size = 0
        self._whole = 0
        """Bytes of head and body; 0: not known, as the head has not come; -1: it comes in chunks."""
        self._sent = self._first = 0.0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Ask at once."""
        self._transport = cast("asyncio.Transport", transport)  # uvloop's say so by no class
        self._ask()

    def connection_lost(self, exc: Exception | None) -> None:
        """The server has had enough."""
        self._load.lost(self, exc)

    def close(self) -> None:
        """No more."""
        self._transport.abort()

    def data_received(self, data: bytes) -> None:
        """A piece of the answer."""
        if not self._size:
            self._first = time.perf_counter()
        self._parts.append(data)
        self._size += len(data)
        if not self._whole and not self._head():
            return
        ended = self._size >= self._whole if self._whole > 0 else self._tail().endswith(_LAST)
        if ended:
            answer = b"".join(self._parts)
            good = answer.startswith(b"HTTP/1.1 200 ") and self._mark in answer
            self._load.answered(self._first - self._sent, time.perf_counter() - self._sent, answer, good=good)
            if self._load.going:
                self._ask()
            else:
                self._load.stopped(self)

    def _ask(self) -> None:
        self._parts, self._size, self._whole = [], 0, 0
        self._sent = time.perf_counter()
        self._transport.write(self._request)

    def _head(self) -> bool:
        """Read the head, if it is there."""
        start = b"".join(self._parts)
        end = start.find(b"\r\n\r\n")
        if end < 0:
            return False
        length = _LENGTH.search(start, 0, end)
        if length is not None:
            self._whole = end + 4 + int(length[1])
        elif _CHUNKED.search(start, 0, end):
            self._whole = -1
        else:
            raise SystemExit(f"an answer without a length: {start[:200]!r}")
        return True

    def _tail(self) -> bytes:
        last = self._parts[-1]
        return last if len(last) >= len(_LAST) or len(self._parts) == 1 else self._parts[-2] + last


class Load:
    """So many connections to one server for so long."""

    def __init__(self) -> None:
        self.going = True
        self._firsts: list[float] = []
        self._wholes: list[float] = []
        self._events = 0
        self._wrong: list[bytes] = []
        self._open: set[Connection] = set()
        self._over: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    async def run(self, url: str, request: bytes, mark: bytes, connections: int, seconds: float) -> dict[str, Any]:
        """What came of it: medians in seconds."""
        parts, loop = urlsplit(url), asyncio.get_running_loop()
        for _ in range(connections):
            _, one = await loop.create_connection(
                lambda: Connection(request, mark, self), parts.hostname or "", parts.port or 80
            )
            self._open.add(one)
        began = time.perf_counter()
        await asyncio.sleep(seconds)
        self.going = False
        if self._open:
            await asyncio.wait_for(self._over, _PATIENCE)
        return {
            "answers": len(self._wholes),
            "seconds": time.perf_counter() - began,  # until the last answer: a slow server is not charged for those out
            "events": self._events,
            "first": statistics.median(self._firsts or [0.0]),
            "median": statistics.median(self._wholes or [0.0]),
            "wrong": len(self._wrong),
            "example": self._wrong[0][:600].decode("latin-1") if self._wrong else "",
        }

    def answered(self, first: float, whole: float, answer: bytes, *, good: bool) -> None:
        """One answer."""
        self._firsts.append(first)
        self._wholes.append(whole)
        self._events += answer.count(b"data: ")
        if not good and len(self._wrong) < 10_000:
            self._wrong.append(answer)

    def stopped(self, connection: Connection) -> None:
        """It has its last answer."""
        connection.close()

    def lost(self, connection: Connection, why: Exception | None) -> None:
        """It is closed: by us at the end, else by the server."""
        self._open.discard(connection)
        if self.going:
            self._wrong.append(f"the server closed a connection: {why!r}".encode())
        if not self._open and not self._over.done():
            self._over.set_result(None)


def request(url: str, body: object, key: str = "") -> bytes:
    """A POST of `body`."""
    parts, content = urlsplit(url), json.dumps(body).encode()
    lines = [
        f"POST {parts.path} HTTP/1.1",
        f"Host: {parts.netloc}",
        "Content-Type: application/json",
        f"Content-Length: {len(content)}",
        *([f"Authorization: Bearer {key}"] if key else []),
    ]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + content


class Driver:
    """The load in a process of its own."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process
        self.pid = process.pid

    def ask(
        self, url: str, body: object, *, mark: str, connections: int, seconds: float, key: str = ""
    ) -> dict[str, Any]:
        """The findings of `Load.run`. Ends the program if a single answer was wrong: it would not be a comparison."""
        assert self._process.stdin is not None, "asked for below"
        assert self._process.stdout is not None, "asked for below"
        order = {"url": url, "request": request(url, body, key).decode(), "mark": mark}
        print(
            json.dumps({**order, "connections": connections, "seconds": seconds}), file=self._process.stdin, flush=True
        )
        found: dict[str, Any] = json.loads(self._process.stdout.readline())
        if found["wrong"]:
            raise SystemExit(f"{url}: {found['wrong']} wrong answers, such as {found['example']}")
        return found


@contextmanager
def driver() -> Iterator[Driver]:
    """A load that waits for orders."""
    with subprocess.Popen(
        [sys.executable, __file__], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        try:
            yield Driver(process)
        finally:
            process.terminate()


def run(work: Any) -> Any:
    """`asyncio.run`, on uvloop where it can be had."""
    try:
        from uvloop import new_event_loop
    except ImportError:
        return asyncio.run(work)
    with asyncio.Runner(loop_factory=new_event_loop) as runner:
        return runner.run(work)


async def _serve() -> None:
    while line := await asyncio.to_thread(sys.stdin.readline):
        order = json.loads(line)
        found = await Load().run(
            order["url"], order["request"].encode(), order["mark"].encode(), order["connections"], order["seconds"]
        )
        print(json.dumps(found), flush=True)


if __name__ == "__main__":
    run(_serve())
