"""One connection from its handshake to its end: hears what is asked, and knows when it is time to close."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

from providers.errors import APIError, BadRequestError, ServiceUnavailableError
from router.proxy.exchange import Disconnected
from router.proxy.keys.keys import Keys
from router.proxy.websocket.channel import Channel
from router.proxy.websocket.lanes import Lanes
from router.proxy.websocket.memory import Memory
from router.proxy.websocket.said import Steer, failure, lane_of, parse, understood, unsteered, within
from router.proxy.websocket.turns import Turns
from router.router import Router

LAST_WORDS = 600.0
"""Seconds that what is in flight may take to end on a connection that is to close: OpenAI's clients wait no longer."""
_GOING_AWAY = 1001
_RESTARTING = 1012
"""OpenAI's client connects anew after either, if it was told to."""


@dataclass(frozen=True, slots=True)
class Limits:
    """How long a connection may last. Seconds, and bytes."""

    age: float
    idle: float
    """Without anything asked or in flight."""
    most_bytes: int
    """Of one message."""


@dataclass(frozen=True, slots=True)
class _Ending:
    """Why a connection takes nothing more."""

    code: int
    reason: str
    refusal: APIError
    until: float


class Session:
    """Serves one accepted connection."""

    def __init__(self, router: Router, keys: Keys, channel: Channel, limits: Limits) -> None:
        self._channel = channel
        self._limits = limits
        self._lanes = Lanes(Turns(router, keys, channel, Memory()).serve, self._rest, most_bytes=limits.most_bytes)
        self._now = asyncio.get_running_loop().time
        self._began = self._active = self._now()
        self._ending: _Ending | None = None
        self._woken = asyncio.Event()

    async def run(self) -> None:
        """Serve until the client leaves, or it is time to end."""
        try:
            await self._listen()
        except Disconnected:
            return
        except asyncio.CancelledError:  # the server's patience with what is in flight is at its end
            self._end(_RESTARTING, "the proxy stops", _stopping())
        finally:
            await self._lanes.aclose()
        assert self._ending is not None, "it is over"
        await self._channel.close(self._ending.code, self._ending.reason)

    def stop(self) -> None:
        """Take nothing more, and close as soon as nothing is in flight."""
        self._end(_RESTARTING, "the proxy stops", _stopping())
        self._wake()

    @property
    def _over(self) -> bool:
        return self._ending is not None and (self._lanes.idle or self._now() >= self._ending.until)

    @property
    def _next(self) -> float:
        """When there is something to do, if the client is silent."""
        if self._ending is not None:
            return self._ending.until
        age = self._began + self._limits.age
        return min(age, self._active + self._limits.idle) if self._lanes.idle else age

    async def _listen(self) -> None:
        loop = asyncio.get_running_loop()
        self._await_message(loop)
        try:
            while not self._over:
                timer = loop.call_at(self._next, self._wake)
                try:
                    await self._woken.wait()
                finally:
                    timer.cancel()
                self._woken.clear()
                if self._arriving.done():
                    content = self._arriving.result()
                    if content is None:
                        raise Disconnected
                    self._await_message(loop)
                    self._active = self._now()
                    await self._take(content)
                await self._look()
        finally:
            self._arriving.cancel()

    def _await_message(self, loop: asyncio.AbstractEventLoop) -> None:
        # in a task of its own: not every server's messages survive that waiting for them is cancelled
        self._arriving = loop.create_task(self._channel.receive())
        self._arriving.add_done_callback(lambda _: self._wake())

    async def _look(self) -> None:
        """End the connection if it is time to."""
        if self._ending is not None:
            return
        now = self._now()
        if now >= self._began + self._limits.age:
            said = f"this connection has lasted {self._limits.age:g} s, which is the most; open another to go on"
            refusal = BadRequestError(said, code="websocket_connection_limit_reached")
            self._end(_GOING_AWAY, "it has lasted long enough", refusal)
            await self._channel.send(failure(refusal))
        elif self._lanes.idle and now >= self._active + self._limits.idle:
            said = f"nothing was asked for {self._limits.idle:g} s"
            self._end(_GOING_AWAY, said, ServiceUnavailableError(said))

    async def _take(self, content: str | bytes) -> None:
        lane: str | None = None
        try:
            json = parse(content)
            lane = lane_of(json)
            asked = understood(json, lane, len(content))
            if isinstance(asked, Steer):
                await self._channel.send(within(unsteered(asked), lane))
            elif self._ending is not None:
                raise self._ending.refusal
            else:
                self._lanes.submit(asked)
        except APIError as error:
            await self._channel.send(failure(error, lane))

    def _end(self, code: int, reason: str, refusal: APIError) -> None:
        if self._ending is None:
            self._ending = _Ending(code, reason, refusal, self._now() + LAST_WORDS)

    def _rest(self) -> None:
        """Nothing is in flight any more."""
        self._active = self._now()
        self._wake()

    def _wake(self) -> None:
        """Have it look what time it is, and what has arrived."""
        self._woken.set()


def _stopping() -> APIError:
    return ServiceUnavailableError("the proxy stops; connect anew", code="shutting_down")
