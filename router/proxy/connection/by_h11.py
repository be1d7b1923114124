"""HTTP connections that h11 reads: in pure Python, where httptools can't be had."""

from __future__ import annotations

import h11
from uvicorn.protocols.http.h11_impl import H11Protocol

from router.proxy.connection.guarded import Guarded


class H11Connection(Guarded, H11Protocol):
    """uvicorn's, guarded."""

    @property
    def answering(self) -> bool:
        """Whether a request is being answered."""
        return self.cycle is not None and not self.cycle.response_complete

    @property
    def unread(self) -> bool:
        """Whether a request was answered whose body is still to come."""
        return self.conn.our_state is h11.DONE and self.conn.their_state is h11.SEND_BODY

    def handle_events(self) -> None:
        """The parser may have more."""
        super().handle_events()
        self.in_head = self.conn.their_state is h11.IDLE

    def on_response_complete(self) -> None:
        """A request was answered."""
        super().on_response_complete()
        if self.unread:
            self.linger()
