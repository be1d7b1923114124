"""What every HTTP connection is held to: a head that comes in time and is no larger than allowed, a body that ends."""

from __future__ import annotations

import asyncio
from abc import abstractmethod
from typing import Any, ClassVar

from router.proxy.connection.limits import LINGER, PARTING, TOLD, Limits, refusal
from router.proxy.connection.stalling import Stalling


class Guarded(Stalling):
    """Put before one of the server's own classes, which says what its parser has seen."""

    limits: ClassVar[Limits] = Limits()
    loop: asyncio.AbstractEventLoop
    connections: set[Any]
    """Of the server."""
    in_head = True
    """Whether the next byte belongs to a head: of the first request, or of one that may follow."""
    heads = 0
    """How many were complete, where one may be without `in_head` ever being false from outside."""
    _room = 0
    """Bytes that the head may still have."""
    _heads_end: asyncio.TimerHandle | None = None
    _end: asyncio.TimerHandle | None = None
    _refused = False

    @property
    @abstractmethod
    def answering(self) -> bool:
        """Whether a request is being answered."""

    @property
    @abstractmethod
    def unread(self) -> bool:
        """Whether a request was answered whose body is still to come."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """A client has connected."""
        super().connection_made(transport)
        self._room = self.limits.max_head_bytes
        excess = len(self.connections) - self.limits.most_connections
        if excess > TOLD:
            self.transport.abort()
        elif excess > 0:
            self._refuse(503, "there are too many connections", "too_many_connections")
        else:
            self._time_head()

    def connection_lost(self, exc: Exception | None) -> None:
        """It has left, or was let go."""
        self._stop_timing()
        if self._end is not None:
            self._end.cancel()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Take what came, as far as the head may reach; what is behind it is of the body."""
        if self._refused:
            return
        was, before = self.in_head, self.heads
        if was and len(data) > self._room:
            self._divide(data)
            return
        super().data_received(data)
        if was:
            if self.in_head and self.heads == before:
                self._room -= len(data)
                self._time_head()
            elif self._heads_end is not None:
                self._stop_timing()
                self._room = self.limits.max_head_bytes
        if self._end is not None and not self.unread:  # the body has come after all
            self._end.cancel()
            self._end = None

    def _divide(self, data: bytes) -> None:
        """Take what may be a head; the rest, if that was one."""
        room = self._room
        self.data_received(data[:room])
        if self._room <= 0:
            said = f"the head of the request is larger than {self.limits.max_head_bytes:,} bytes"
            self._refuse(431, said, "request_header_fields_too_large")
        elif not self._refused and self.transport.get_protocol() is self:
            self.data_received(data[room:])

    def shutdown(self) -> None:
        """The server is to stop."""
        if self._refused:
            self.transport.close()
        else:
            super().shutdown()  # type: ignore[misc]  # the server's own class has it

    def send_400_response(self, msg: str) -> None:
        """The parser can make nothing of what came."""
        self._refuse(400, msg, "invalid_http")

    def linger(self) -> None:
        """A request was answered whose body is still to come. It need not come for ever."""
        self._end = self.loop.call_later(LINGER, self.transport.close)

    def _time_head(self) -> None:
        if self._heads_end is None:
            self._heads_end = self.loop.call_later(self.limits.head_timeout, self._head_is_late)

    def _stop_timing(self) -> None:
        if self._heads_end is not None:
            self._heads_end.cancel()
            self._heads_end = None

    def _head_is_late(self) -> None:
        self._heads_end = None
        if self._room == self.limits.max_head_bytes:  # it has not asked for anything: many connect in advance
            self.transport.close()
        else:
            said = f"the head of the request did not come within {self.limits.head_timeout:g} s"
            self._refuse(408, said, "header_timeout")

    def _refuse(self, status: int, message: str, code: str) -> None:
        """Answer, and listen no more; the connection ends when the client has taken that, or soon."""
        self._refused = True
        self._stop_timing()
        if self.answering:  # in the middle of an answer nothing else can be said
            self.transport.abort()
            return
        self.transport.write(refusal(status, message, code))
        self.transport.write_eof()  # not closed at once: what is unread would take the answer with it
        self._end = self.loop.call_later(PARTING, self.transport.close)
