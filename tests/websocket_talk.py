"""A plain client of WebSocket mode, for tests: what it says, what it hears."""

from __future__ import annotations

import json
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from conversations import KEY
from proxies import PATIENCE
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import connect
from websockets.sync.connection import Connection

BEARER = {"authorization": f"Bearer {KEY}"}


@contextmanager
def opened(url: str, path: str = "/v1/responses", headers: Any = BEARER, **options: Any) -> Iterator[Connection]:
    """A WebSocket, as a client of any make opens it."""
    address = url.replace("http", "ws", 1) + path
    with connect(address, additional_headers=headers, open_timeout=PATIENCE, max_size=None, **options) as socket:
        yield socket


def hear(socket: Connection) -> dict[str, Any]:
    """One event."""
    content = socket.recv(timeout=PATIENCE)
    assert isinstance(content, str)
    event: dict[str, Any] = json.loads(content)
    return event


def hear_all(socket: Connection) -> list[dict[str, Any]]:
    """The events of one response, up to its end or an error."""
    events = [hear(socket)]
    while events[-1]["type"] not in ("response.completed", "response.failed", "response.incomplete", "error"):
        events.append(hear(socket))
    return events


def say(socket: Connection, **body: Any) -> None:
    """Ask for a response."""
    socket.send(json.dumps({"type": "response.create", "model": "gpt", "input": "hi", **body}))


def ask(socket: Connection, **body: Any) -> dict[str, Any]:
    """How a response ends."""
    say(socket, **body)
    return hear_all(socket)[-1]


def closing(socket: Connection) -> int:
    """The code with which the proxy closes, when all it has said is read."""
    try:
        while True:
            socket.recv(timeout=PATIENCE)
    except ConnectionClosed as closed:
        return closed.rcvd.code if closed.rcvd else 1006


@contextmanager
def handshaken(url: str) -> Iterator[socket.socket]:
    """A WebSocket of which nothing is done by itself."""
    host, _, port = url.removeprefix("http://").partition(":")
    with socket.create_connection((host, int(port)), timeout=PATIENCE) as client:
        client.sendall(
            b"GET /responses HTTP/1.1\r\nhost: x\r\nupgrade: websocket\r\nconnection: upgrade\r\n"
            b"sec-websocket-version: 13\r\nsec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
        )
        assert client.recv(12) == b"HTTP/1.1 101"
        yield client
