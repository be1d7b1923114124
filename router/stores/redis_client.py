"""redis-py, narrowed to what the stores use: one client, bound to the event loop that made it.

redis-py retries nothing here (a cluster once, to follow a move of slots): who asks has a bound and a circuit.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncGenerator, Awaitable, Sequence
from ssl import SSLContext
from typing import Any, TypeAlias

from router.stores.redis_topology import Connections, Topology, open_topology
from router.stores.redis_url import RedisSettings

Command: TypeAlias = tuple[str | int, ...]


class RedisClient:
    """The connections of one event loop. Every method but `abandon` is for that loop alone.

    An asynchronous generator stands guard: asyncio closes those that are left when a loop ends in good order
    (`asyncio.run`, `asyncio.Runner`), so the connections are closed with their loop, though nobody told them.
    """

    def __init__(
        self, settings: RedisSettings, tls: SSLContext | None, *, timeout: float, max_connections: int
    ) -> None:
        """`timeout`: seconds for one command, connecting included; at most `max_connections` at once (per node)."""
        self._places = asyncio.Semaphore(max_connections)
        self._running = 0
        self._retired = False
        self._made = Connections(tls)
        self._topology = open_topology(settings, self._made, timeout, max_connections)
        self._loop = asyncio.get_running_loop()
        self._guard = _guard(self._topology, self._made, self._loop)
        _step(self._guard.__anext__())

    async def run(self, command: Command) -> object:
        """The reply to `command`. Raises whatever redis-py does."""
        async with self._place():
            reply: object = await self._topology.client.execute_command(*command)
            return reply

    async def run_all(self, commands: Sequence[Command]) -> list[object]:
        """The replies, or the `RedisError`s, of `commands`, sent together."""
        pipeline = self._topology.client.pipeline(transaction=False)
        for command in commands:
            pipeline.execute_command(*command)
        async with self._place():
            replies: list[object] = await pipeline.execute(raise_on_error=False)
            return replies

    async def ping(self) -> None:
        """Ask every master. Raises unless each answers."""
        async with self._place():
            await self._topology.ping()

    def retire(self) -> None:
        """Close once nobody uses it: used while it closes, a client of redis-py would open again. Idempotent."""
        self._retired = True
        if not self._running:
            _step(self._guard.aclose())

    def abandon(self) -> None:
        """Drop the connections of a loop that has been closed, from any thread, without a warning."""
        _end(self._topology, self._made, self._loop)

    @contextlib.asynccontextmanager
    async def _place(self) -> AsyncGenerator[None, None]:
        self._running += 1
        try:
            async with self._places:
                await self._topology.prepare()
                yield
        finally:
            self._running -= 1
            if self._retired:
                self.retire()


async def _guard(topology: Topology, made: Connections, loop: asyncio.AbstractEventLoop) -> AsyncGenerator[None, None]:
    try:
        yield
    finally:
        _end(topology, made, loop)


def _step(step: Awaitable[None]) -> None:
    """Take a step of the guard, which waits for nothing."""
    with contextlib.suppress(StopIteration):
        next(step.__await__())


def _end(topology: Topology, made: Connections, loop: asyncio.AbstractEventLoop) -> None:
    """Close, and make redis-py forget: its finalisers, and those of asyncio's writers, would complain."""
    topology.disown()
    for connection in made:
        if connection._writer is not None:
            _close(connection._writer.transport, loop)
            connection._writer = connection._reader = None


def _close(transport: asyncio.WriteTransport, loop: asyncio.AbstractEventLoop) -> None:
    """Close at once; TLS would wait for the other side. A closed loop refuses the last step of it: taken here."""
    with contextlib.suppress(RuntimeError):
        transport.abort()
    if loop.is_closed():
        inner: Any = getattr(getattr(transport, "_ssl_protocol", None), "_transport", None) or transport
        with contextlib.suppress(Exception):  # a future of the closed loop may have had a waiter, or it was taken
            inner._call_connection_lost(None)
