"""The open connections of a simulated deployment, counted and closed at will."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

from aiohttp import web
from aiohttp.abc import AbstractStreamWriter
from aiohttp.http_parser import RawRequestMessage
from aiohttp.streams import StreamReader
from aiohttp.web_protocol import RequestHandler
from aiohttp.web_request import BaseRequest

from providers.simulated.ledger import Ledger

_LARGEST_BODY = 64 * 1024 * 1024


class Connections(web.Server):
    """aiohttp's low-level server: one protocol per connection, each request to `serve`.

    A request is cancelled as soon as its client is gone.
    """

    def __init__(self, serve: Callable[[BaseRequest], Awaitable[web.StreamResponse]], ledger: Ledger) -> None:
        super().__init__(serve, request_factory=self._request, handler_cancellation=True, access_log=None)
        self._ledger = ledger
        self._of: dict[RequestHandler, asyncio.Transport] = {}

    def _request(
        self,
        message: RawRequestMessage,
        payload: StreamReader,
        protocol: RequestHandler,
        writer: AbstractStreamWriter,
        task: asyncio.Task[None],
    ) -> BaseRequest:
        return BaseRequest(message, payload, protocol, writer, task, self._loop, client_max_size=_LARGEST_BODY)

    def connection_made(self, handler: RequestHandler, transport: asyncio.Transport) -> None:
        """Count a new connection."""
        super().connection_made(handler, transport)
        self._of[handler] = transport
        self._count()

    def connection_lost(self, handler: RequestHandler, exc: BaseException | None = None) -> None:
        """Count a lost connection."""
        super().connection_lost(handler, exc)
        self._of.pop(handler, None)
        self._count()

    def _count(self) -> None:
        self._ledger.open = len(self._of)
        self._ledger.changed()

    def abort(self) -> None:
        """Drop every connection at once, as a process that dies."""
        for transport in list(self._of.values()):
            transport.abort()
