"""redis-py, narrowed to what the stores use: one client, bound to the event loop that made it.

redis-py retries nothing here (a cluster once, to follow a move of slots): who asks has a bound and a circuit.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncGenerator, Sequence
from ssl import SSLContext
from typing import TypeAlias

from router.stores.redis_topology import Topology, open_topology
from router.stores.redis_url import RedisSettings

Command: TypeAlias = tuple[str | int, ...]

_SOCKET_SHARE = 0.8  # of the bound: redis-py, which knows the address, gives up just before its caller does


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
        self._topology = open_topology(settings, tls, timeout * _SOCKET_SHARE, max_connections)
        self._guard = _guard(self._topology)
        with contextlib.suppress(StopIteration):  # how the first step of a generator that yields at once ends
            self._guard.__anext__().__await__().__next__()

    async def run(self, command: Command) -> object:
        """The reply to `command`. Raises whatever redis-py does."""
        async with self._places:
            reply: object = await self._topology.client.execute_command(*command)
            return reply

    async def run_all(self, commands: Sequence[Command]) -> list[object]:
        """The replies, or the `RedisError`s, of `commands`, sent together."""
        pipeline = self._topology.client.pipeline(transaction=False)
        for command in commands:
            pipeline.execute_command(*command)
        async with self._places:
            replies: list[object] = await pipeline.execute(raise_on_error=False)
            return replies

    async def ping(self) -> None:
        """Ask every master. Raises unless each answers."""
        await self._topology.ping()

    async def aclose(self) -> None:
        """Close the connections; idempotent. What waits for a reply on one of them fails."""
        with contextlib.suppress(RuntimeError):  # another task is closing it already
            await self._guard.aclose()

    def abandon(self) -> None:
        """Drop the connections of a loop that has been closed, from any thread, without a warning."""
        transports = _transports(self._topology)
        self._topology.disown()
        for transport in transports:
            _drop(transport)


async def _guard(topology: Topology) -> AsyncGenerator[None, None]:
    try:
        yield
    finally:
        transports = _transports(topology)
        with contextlib.suppress(Exception):  # a server that is away cannot be told goodbye
            await topology.aclose()
        for transport in transports:
            transport.abort()  # TLS would wait for the other side


def _transports(topology: Topology) -> list[asyncio.WriteTransport]:
    writers = [getattr(connection, "_writer", None) for connection in topology.connections()]
    return [writer.transport for writer in writers if writer is not None]


def _drop(transport: asyncio.WriteTransport) -> None:
    """Close the socket under `transport`. The public ways go through the loop, which refuses: it is closed."""
    with contextlib.suppress(RuntimeError):
        transport.abort()
    inner = getattr(getattr(transport, "_ssl_protocol", None), "_transport", None) or transport
    connection_lost = getattr(inner, "_call_connection_lost", None)
    if connection_lost is not None:
        with contextlib.suppress(Exception):  # a future of the closed loop may have had a waiter
            connection_lost(None)
