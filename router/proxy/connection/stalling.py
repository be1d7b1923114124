"""Finds connections whose clients take nothing of what is written to them, and cuts them."""

from __future__ import annotations

import asyncio
import socket
import struct
from collections.abc import Iterable
from typing import TypeAlias

LEAST = 16 * 1024
"""Bytes that a client must have taken from one look to the next, if it has not taken all."""
_AT_ONCE = struct.pack("ii", 1, 0)
_State: TypeAlias = "tuple[int, int]"


class Stalling(asyncio.Protocol):
    """A connection that can be seen to stall. Put before the server's own class."""

    transport: asyncio.Transport
    turns = 0
    """How often writing was paused or resumed: odd while it is paused."""

    def pause_writing(self) -> None:
        """The client takes less than is written."""
        self.turns += 1
        super().pause_writing()

    def resume_writing(self) -> None:
        """It has taken nearly all."""
        self.turns += 1
        super().resume_writing()

    def waiting(self) -> int:
        """Bytes that wait for the client, while nothing more is written until it takes them."""
        held = self.turns % 2 == 1 or self.transport.is_closing()
        return self.transport.get_write_buffer_size() if held else 0


class Watchman:
    """Looks at all connections now and then: one that has not moved since the last look is cut."""

    def __init__(self, connections: Iterable[object]) -> None:
        """`connections`: those there are whenever it looks."""
        self._connections = connections
        self._seen: dict[Stalling, _State] = {}

    def look(self) -> None:
        """Cut what has stalled, which ends its work too."""
        seen: dict[Stalling, _State] = {}
        for each in list(self._connections):
            if not isinstance(each, Stalling) or not (size := each.waiting()):
                continue
            turns, before = self._seen.get(each, (-1, 0))
            if turns == each.turns and size > before - LEAST:
                _cut(each.transport)
            else:
                seen[each] = each.turns, size
        self._seen = seen


def _cut(transport: asyncio.Transport) -> None:
    """End a connection, and have the system forget as well what the client has not taken."""
    transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _AT_ONCE)
    transport.abort()
