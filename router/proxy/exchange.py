"""One HTTP request and its answer, over ASGI."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Mapping, MutableMapping
from typing import Any, TypeAlias, cast
from urllib.parse import parse_qsl, quote

from providers import jsonio
from providers.errors import APITimeoutError, BadRequestError, RequestTooLargeError
from providers.queries import Repeated
from providers.types import Json
from router.proxy.holder import Holder

Message: TypeAlias = "MutableMapping[str, Any]"  # ASGI's own word: what servers and applications tell one another
Scope: TypeAlias = "MutableMapping[str, Any]"
Receive: TypeAlias = "Callable[[], Awaitable[Message]]"
Send: TypeAlias = "Callable[[Message], Awaitable[None]]"
Headers: TypeAlias = "list[tuple[bytes, bytes]]"

JSON = b"application/json"
SLOWEST = 1024
"""Bytes a second at which a body must come after its first `timeout`, so that none takes for ever."""
_EVENTS = (
    (b"content-type", b"text/event-stream; charset=utf-8"),
    (b"cache-control", b"no-cache"),
    (b"x-accel-buffering", b"no"),  # nginx would otherwise collect events
)


class Disconnected(Exception):  # noqa: N818 - nobody's error: the client has left
    """The client is gone before it had said what it wants."""


class Head:
    """What a client says before any body: the path, the query and the headers."""

    __slots__ = ("_headers", "_holder", "path", "query")

    def __init__(self, scope: Scope) -> None:
        raw = cast("bytes | None", scope.get("raw_path"))
        self.path: str = quote(scope["path"]) if raw is None else raw.decode("latin-1").partition("?")[0]
        """Still with its escapes: a part of it may be a name that holds slashes."""
        self.query = cast("bytes", scope.get("query_string", b"")).decode("latin-1")
        self._headers: dict[str, str] = {}
        for name, value in cast("Iterable[tuple[bytes, bytes]]", scope["headers"]):
            self._headers[name.decode("latin-1").lower()] = value.decode("latin-1")
        self._holder: Holder | None = None

    @property
    def holder(self) -> Holder:
        """Who calls. Only once the key was looked at: nobody is taken for the master by default."""
        assert self._holder is not None, "whoever calls is let in first"
        return self._holder

    @holder.setter
    def holder(self, holder: Holder) -> None:
        self._holder = holder

    @property
    def headers(self) -> Mapping[str, str]:
        """The request's, by lower-case name."""
        return self._headers

    def parameters(self) -> dict[str, object]:
        """The query, under the names that stand there, `include[]` too: text, or what is given more than once."""
        found: dict[str, list[str]] = {}
        for name, value in parse_qsl(self.query, keep_blank_values=True):
            found.setdefault(name, []).append(value)
        return {name: values[0] if len(values) == 1 else Repeated(values) for name, values in found.items()}


class Exchange(Head):
    """Reads the request, writes the answer, notices when the client leaves."""

    __slots__ = ("_receive", "_send", "method", "started")

    def __init__(self, scope: Scope, receive: Receive, send: Send) -> None:
        super().__init__(scope)
        self._receive = receive
        self._send = send
        self.method: str = scope["method"]
        self.started = False
        """Whether the head of the answer was sent."""

    async def body(self, most: int, timeout: float) -> bytes:
        """The request's body. Raises `RequestTooLargeError`, `APITimeoutError`, `Disconnected`.

        `timeout`: seconds from one part to the next, and for all of it together, but that each KiB earns one more.
        """
        declared = self._headers.get("content-length", "")
        if declared.isdigit() and int(declared) > most:
            raise _too_large(most)
        parts: list[bytes] = []
        size = 0
        now = asyncio.get_running_loop().time
        began = now()
        while True:
            message = await self._next(min(timeout, timeout + size / SLOWEST - (now() - began)))
            if message["type"] == "http.disconnect":
                raise Disconnected
            part: bytes = message.get("body", b"")
            size += len(part)
            if size > most:
                raise _too_large(most)
            parts.append(part)
            if not message.get("more_body", False):
                return parts[0] if len(parts) == 1 else b"".join(parts)

    async def json(self, most: int, timeout: float) -> dict[str, Json]:
        """The request's body as a JSON object; empty if there is none. Raises `BadRequestError` too."""
        content = await self.body(most, timeout)
        if not content:
            return {}
        try:
            value = jsonio.loads(content)
        except ValueError as error:
            raise BadRequestError(f"the body is not valid JSON: {error}", code="invalid_json") from None
        if not isinstance(value, dict):
            said = f"the body must be a JSON object, not {type(value).__name__}"
            raise BadRequestError(said, code="invalid_json")
        return value

    async def gone(self) -> None:
        """Return when the client has left. Only once the body was read."""
        while (await self._receive())["type"] != "http.disconnect":
            pass

    async def answer(
        self, status: int, content: bytes = b"", headers: Iterable[tuple[bytes, bytes]] = (), *, kind: bytes = JSON
    ) -> None:
        """The whole answer."""
        length = str(len(content)).encode()
        self.started = True
        await self._send(
            {
                "type": "http.response.start",
                "status": status,
                "headers": [(b"content-type", kind), (b"content-length", length), *headers],
            }
        )
        await self._send({"type": "http.response.body", "body": content})

    async def begin(self, headers: Iterable[tuple[bytes, bytes]] = ()) -> None:
        """The head of a stream of events. Idempotent."""
        if not self.started:
            self.started = True
            await self._send({"type": "http.response.start", "status": 200, "headers": [*_EVENTS, *headers]})

    def write(self, frame: bytes) -> Awaitable[None]:
        """One frame, in one write. Waits while the client reads more slowly than it is written to."""
        return self._send({"type": "http.response.body", "body": frame, "more_body": True})

    async def end(self) -> None:
        """The end of a stream."""
        await self._send({"type": "http.response.body", "body": b""})

    async def _next(self, timeout: float) -> Message:
        try:
            async with asyncio.timeout(timeout):
                return await self._receive()
        except TimeoutError:
            raise APITimeoutError("the body did not come in time", code="body_timeout") from None


def _too_large(most: int) -> RequestTooLargeError:
    return RequestTooLargeError(f"the body is larger than {most:,} bytes", code="request_too_large")
