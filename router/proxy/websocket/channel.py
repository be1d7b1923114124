"""One WebSocket, over ASGI: its handshake, what arrives on it, what is said on it, how it ends."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from contextlib import suppress
from typing import cast
from urllib.parse import urlsplit

from providers import jsonio
from providers.types import JsonObject
from router.proxy.exchange import JSON, Disconnected, Head, Receive, Scope, Send

_HANDSHAKE = "sec-websocket-"
"""How headers begin that are the handshake's own. One of them is where browsers would put a secret."""


class Channel(Head):
    """A connection that asks to become a WebSocket: accept it or deny it, first of all."""

    __slots__ = ("_deniable", "_receive", "_send")

    def __init__(self, scope: Scope, receive: Receive, send: Send) -> None:
        super().__init__(scope)
        self._headers = {name: value for name, value in self._headers.items() if not name.startswith(_HANDSHAKE)}
        self._deniable = "websocket.http.response" in cast("Mapping[str, object]", scope.get("extensions") or {})
        self._receive = receive
        self._send = send

    @property
    def foreign(self) -> bool:
        """Whether a browser opens it for the page of another site, which it lets any page do."""
        origin = self._headers.get("origin")
        return origin is not None and urlsplit(origin).netloc != self._headers.get("host")

    async def accept(self) -> None:
        """Let it become a WebSocket."""
        await self._receive()  # websocket.connect
        await self._send({"type": "websocket.accept"})

    async def deny(self, status: int, content: bytes, headers: Iterable[tuple[bytes, bytes]] = ()) -> None:
        """Answer as to any other request. A server that can't (ASGI leaves it open) says 403."""
        await self._receive()
        if not self._deniable:
            await self._send({"type": "websocket.close"})
            return
        told = [(b"content-type", JSON), (b"content-length", str(len(content)).encode()), *headers]
        await self._send({"type": "websocket.http.response.start", "status": status, "headers": told})
        await self._send({"type": "websocket.http.response.body", "body": content})

    async def receive(self) -> str | bytes | None:
        """The next message; None when the client has left."""
        message = await self._receive()
        if message["type"] != "websocket.receive":
            return None
        content: str | bytes | None = message.get("text")
        return message["bytes"] if content is None else content

    async def send(self, json: JsonObject, raw: bytes | None = None) -> None:
        """Say one event, in one message. Waits while the client reads more slowly; raises `Disconnected`.

        `raw`: its JSON as it came, which goes on byte for byte.
        """
        text = (jsonio.dumps(json) if raw is None else raw).decode()
        try:
            await self._send({"type": "websocket.send", "text": text})
        except (OSError, RuntimeError):  # the second, where the server has closed and has not told us yet
            raise Disconnected from None

    async def close(self, code: int, reason: str) -> None:
        """End it. If it has ended, that is all right."""
        with suppress(OSError, RuntimeError):
            await self._send({"type": "websocket.close", "code": code, "reason": reason})
