"""HTTP connections that httptools reads: the fastest there are."""

from __future__ import annotations

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from router.proxy.connection.guarded import Guarded


class HttptoolsConnection(Guarded, HttpToolsProtocol):
    """uvicorn's, guarded."""

    @property
    def answering(self) -> bool:
        """Whether a request is being answered."""
        return self.cycle is not None and not self.cycle.response_complete

    @property
    def unread(self) -> bool:
        """Whether a request was answered whose body is still to come."""
        return not self.in_head and self.cycle is not None and self.cycle.response_complete

    def on_headers_complete(self) -> None:
        """The parser has a whole head."""
        self.in_head = False
        self.heads += 1
        super().on_headers_complete()

    def on_message_complete(self) -> None:
        """The parser has a whole request."""
        self.in_head = True
        super().on_message_complete()

    def on_response_complete(self) -> None:
        """A request was answered."""
        super().on_response_complete()
        if self.unread:
            self.linger()
