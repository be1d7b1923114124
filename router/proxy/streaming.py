"""Server-sent events as clients need them: one write a frame, signs of life, errors that every client notices."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from providers import jsonio
from providers.errors import APIError
from providers.types import JsonObject
from providers.views import Event
from router.proxy.errors import envelope
from router.proxy.exchange import Exchange
from router.stream import ResponseStream

DONE = b"data: [DONE]\n\n"
"""Open Responses asks for it; OpenAI's clients stop at it."""
_PING = b": ping\n\n"
"""A comment: what any other form of sign of life does to OpenAI's client is to crash it."""
_FAILED = "response.failed"


def frame(json: JsonObject, raw: bytes | None = None) -> bytes:
    """One event. Clients for browsers, and Codex, go by the name, so it is always there.

    `raw`: its JSON as it came, which goes on byte for byte.
    """
    data = jsonio.dumps(json) if raw is None else raw
    if b"\n" in data:
        data = data.replace(b"\n", b"\ndata: ")
    kind = json.get("type")
    if type(kind) is not str:  # no call per event
        return b"data: %s\n\n" % data
    name = kind if kind.isprintable() else " ".join(kind.split()).encode("utf-8", "replace").decode()
    return b"event: %s\ndata: %s\n\n" % (name.encode(), data)


class Pulse:
    """Writes a comment whenever nothing was written for a while; also the headers, when they have been held so long."""

    def __init__(self, exchange: Exchange, begin_after: float, interval: float) -> None:
        self._exchange = exchange
        self._interval = interval
        self._loop = asyncio.get_running_loop()
        self._written = 0.0
        self._writing: asyncio.Task[None] | None = None
        self._timer = self._loop.call_later(begin_after, self._beat)

    def began(self) -> None:
        """The headers were written, with the events to follow."""
        self.wrote()
        self._timer.cancel()
        self._timer = self._loop.call_later(self._interval, self._beat)

    def wrote(self) -> None:
        """Something was written."""
        self._written = self._loop.time()

    async def stop(self) -> None:
        """No more comments. Waits for one that is being written."""
        self._timer.cancel()
        if self._writing is not None:
            await asyncio.wait({self._writing})

    def _beat(self) -> None:
        idle = self._loop.time() - self._written
        if idle >= self._interval and (self._writing is None or self._writing.done()):
            self._writing = self._loop.create_task(self._write())
        wait = self._interval if idle >= self._interval else self._interval - idle
        self._timer = self._loop.call_later(wait, self._beat)

    async def _write(self) -> None:
        await self._exchange.begin()
        await self._exchange.write(_PING)
        self.wrote()


async def relay(exchange: Exchange, stream: ResponseStream, pulse: Pulse, over: Callable[[], None]) -> None:
    """Write every event of a stream, then the end. A failure in its course becomes events as well.

    `over` is called before the client is told of the end: from then on it may ask again.
    """
    number = -1
    json: JsonObject = {}
    write, wrote, ready = exchange.write, pulse.wrote, stream.ready
    try:
        event: Event | None
        async for event in stream:
            while event is not None:
                json = event.to_dict()
                told = json.get("sequence_number")
                if type(told) is int:
                    number = told
                if stream.ended:
                    over()
                await write(frame(json, event.raw))
                event = ready()
            wrote()
    except APIError as error:
        over()
        if json.get("type") != _FAILED:
            await fail(exchange, error, number)
    await exchange.write(DONE)


async def fail(exchange: Exchange, error: Exception, number: int = -1) -> None:
    """Tell in a stream that it has failed: OpenAI's client raises on the first event, others read the second."""
    said = envelope(error)["error"]
    assert isinstance(said, dict), "an envelope holds an error"
    await exchange.write(frame({"type": "error", "error": said, "sequence_number": number + 1}))
    received = error.received if isinstance(error, APIError) else None
    response: JsonObject = {
        "object": "response",
        "output": [],
        **(received or {}),
        "status": "failed",
        "error": {"code": "server_error", "message": said["message"]},
    }
    await exchange.write(frame({"type": _FAILED, "response": response, "sequence_number": number + 2}))
