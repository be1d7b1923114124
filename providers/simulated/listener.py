"""The listening socket: open, or closed in such a way that the port stays ours and refuses."""

from __future__ import annotations

import asyncio
import os
import socket
from collections.abc import Callable

_BACKLOG = 1024


class Listener:
    """Accepts connections on one port of `host`. Belongs to the loop it is opened in."""

    def __init__(self, host: str, port: int, factory: Callable[[], asyncio.Protocol]) -> None:
        self._host = host
        self._factory = factory
        self._loop = asyncio.get_running_loop()
        self._socket = _bound(host, port)
        self.port: int = self._socket.getsockname()[1]
        self._server: asyncio.Server | None = None
        self._opening: asyncio.Task[None] | None = None
        self._wanted = False

    def accept(self) -> None:
        """Take connections from now on. They queue at once and are served when the loop next runs."""
        self._wanted = True
        if self._server is None and self._opening is None:
            self._socket.listen(_BACKLOG)
            self._opening = self._loop.create_task(self._open())

    async def _open(self) -> None:
        server = await self._loop.create_server(self._factory, sock=self._socket, backlog=_BACKLOG)
        self._server, self._opening = server, None
        if not self._wanted:
            self.refuse()

    def refuse(self) -> None:
        """Refuse connections from now on. The port stays bound, so that nobody else can take it."""
        self._wanted = False
        if self._server is not None:
            self._server.close()
            self._server = None
            self._socket = _bound(self._host, self.port)

    async def close(self) -> None:
        """Give the port back."""
        self._wanted = False
        if self._opening is not None:
            await self._opening
        self.refuse()
        self._socket.close()


def _bound(host: str, port: int) -> socket.socket:
    """A bound socket that does not listen: connections to it are refused."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    bound = socket.socket(family, socket.SOCK_STREAM)
    try:
        if os.name == "posix":  # pragma: no branch - elsewhere the option lets two servers share a port
            bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        bound.setblocking(False)
        bound.bind((host, port))
    except OSError:
        bound.close()
        raise
    return bound
