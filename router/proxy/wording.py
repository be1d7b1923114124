"""How an answer is put into words: as it is, or in those of another API."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, Protocol

from providers.views import Routed
from router.proxy.exchange import Exchange, Headers
from router.proxy.streaming import DONE, Pulse, fail, relay
from router.stream import ResponseStream


class Wording(Protocol):
    """Tells one client its answer."""

    @property
    def headers(self) -> Headers:
        """What the answer's headers say besides who served."""
        ...

    def whole(self, answer: Routed) -> bytes:
        """The body of an answer that is no stream."""
        ...

    async def relay(self, exchange: Exchange, stream: ResponseStream, pulse: Pulse, over: Callable[[], None]) -> None:
        """Write a whole stream, and how it ended; all but the end of the body. `over` is called before the end of the
        stream is told, perhaps more than once."""
        ...

    async def fail(self, exchange: Exchange, error: Exception) -> None:
        """Tell that there will be no stream, after its headers were sent; all but the end of the body."""
        ...


class _AsItIs:
    """The Responses API's own."""

    headers: Headers = []

    def whole(self, answer: Routed) -> bytes:
        return answer.raw

    async def relay(self, exchange: Exchange, stream: ResponseStream, pulse: Pulse, over: Callable[[], None]) -> None:
        await relay(exchange, stream, pulse, over)

    async def fail(self, exchange: Exchange, error: Exception) -> None:
        await fail(exchange, error)
        await exchange.write(DONE)


AS_IT_IS: Final[Wording] = _AsItIs()
