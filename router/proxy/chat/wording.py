"""Tells a client of chat completions its answer."""

from __future__ import annotations

from collections.abc import Callable

from providers import jsonio
from providers.errors import APIError, NotFoundError, UnknownModelError
from providers.views import Event, Routed
from router.proxy.chat.answer import completion_of
from router.proxy.chat.asking import ChatCall
from router.proxy.chat.chunks import Chunks
from router.proxy.errors import envelope
from router.proxy.exchange import Exchange, Headers
from router.proxy.routing_headers import printable
from router.proxy.streaming import DONE, Pulse, frame
from router.stream import ResponseStream


class ChatWording:
    """The wording of one chat completion."""

    __slots__ = ("_call",)

    def __init__(self, call: ChatCall) -> None:
        self._call = call

    @property
    def headers(self) -> Headers:
        """Which parameters were left out for want of a word."""
        dropped = self._call.dropped
        return [(b"x-homing-dropped", printable(", ".join(dropped)))] if dropped else []

    def whole(self, answer: Routed) -> bytes:
        """A `chat.completion`."""
        call = self._call
        return jsonio.dumps(completion_of(answer.to_dict(), logprobs=call.logprobs, legacy=call.legacy))

    async def relay(self, exchange: Exchange, stream: ResponseStream, pulse: Pulse, over: Callable[[], None]) -> None:
        """Each event as the chunks that it becomes; a failure as an error, which every client notices."""
        call, begun = self._call, stream.response
        known = {} if begun is None else begun.to_dict()
        chunks = Chunks(known, usage=call.usage, logprobs=call.logprobs, legacy=call.legacy)
        try:
            event: Event | None
            async for event in stream:
                while event is not None:
                    if stream.ended:
                        over()
                    for chunk in chunks.hear(event.to_dict()):
                        await exchange.write(frame(chunk))
                        pulse.wrote()
                    event = stream.ready()
        except APIError as error:
            over()
            await self.fail(exchange, error)
        else:
            await exchange.write(DONE)

    async def fail(self, exchange: Exchange, error: Exception) -> None:
        """An error, and the end."""
        await exchange.write(frame(envelope(self.renamed(error))))
        await exchange.write(DONE)

    def renamed(self, error: Exception) -> Exception:
        """`error` as chat completions have it: its parameter by the client's name, an unknown model as a 404."""
        if isinstance(error, UnknownModelError):
            return NotFoundError(error.message, code=error.code, param=error.param, type=error.type)
        if isinstance(error, APIError) and error.param is not None:
            error.param = self._call.name(error.param)
        return error
