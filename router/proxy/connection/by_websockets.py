"""WebSocket connections, by the library websockets without any input or output of its own."""

from __future__ import annotations

from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol
from websockets.frames import Frame

from router.proxy.connection.stalling import Stalling

MOST_FRAGMENTS = 16 * 1024
"""Frames of one message: each takes memory, even if it is empty."""
FAREWELL = 1.0
"""Seconds for which a client is waited for to close its side, once the server is to stop."""


class SocketConnection(Stalling, WebSocketsSansIOProtocol):
    """uvicorn's; it leaves open what the application closes when it is told that the server stops."""

    def shutdown(self) -> None:
        """The server is to stop."""
        if self.handshake_complete and not self.close_sent:
            self.close_timeout = FAREWELL
        else:
            super().shutdown()

    def handle_cont(self, event: Frame) -> None:
        """A fragment of a message has come, which is not its first."""
        if self.close_sent:
            return
        super().handle_cont(event)
        if len(self.frames) > MOST_FRAGMENTS:
            self.conn.fail(1009, "too many fragments")
            self.handle_parser_exception()
