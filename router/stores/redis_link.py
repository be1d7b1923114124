"""The way to Redis that a Router's stores share: one client per event loop, one bound, one circuit.

Every operation ends within the bound. The first that fails opens the circuit: from then on nobody asks Redis, and
nobody waits, until a probe in the background has found it well again.
"""

from __future__ import annotations

import asyncio
import logging
import random
import threading
import time
import weakref
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from functools import partial
from typing import Final, Protocol, TypeAlias, TypeVar
from weakref import WeakSet

from redis.exceptions import ClusterDownError, OutOfMemoryError, ReadOnlyError
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import TimeoutError as RedisTimeoutError

from router.stores.background import Background
from router.stores.bound import Bound
from router.stores.circuit import Circuit
from router.stores.redis_client import Command, RedisClient
from router.stores.redis_url import RedisSettings
from router.stores.stats import StoreStats

logger: Final = logging.getLogger("router.stores")

PROBE_BOUND: Final = 1.0  # nobody waits for a probe, and a cluster may have to be looked for at several addresses

_AWAY: Final = (RedisConnectionError, RedisTimeoutError, ClusterDownError, ReadOnlyError, OutOfMemoryError)
"""What says nothing of the command, but that this server takes none now."""

T = TypeVar("T")
Send: TypeAlias = Callable[[Sequence[Command]], Awaitable[list[object]]]


class OutageError(Exception):
    """Redis did not answer, or is not being asked. Never leaves the stores."""


class Tenant(Protocol):
    """A store on a link."""

    def probes(self) -> Sequence[Command]:
        """Harmless commands like those it sends; Redis is well when they succeed."""
        ...

    async def recover(self, send: Send) -> None:
        """Send what has waited; the circuit closes once this returns. `send` raises if Redis has gone again."""
        ...


class RedisLink:
    """Runs commands for any number of threads and event loops; raises nothing but `OutageError`.

    An outage is logged once, as a warning of `router.stores`; its end once, as information.
    """

    def __init__(
        self,
        settings: RedisSettings,
        *,
        timeout: float = 0.25,
        max_connections: int = 50,
        clock: Callable[[], float] = time.monotonic,
        rng: random.Random | None = None,
    ) -> None:
        """`timeout`: seconds any operation may take. `max_connections`: per event loop, in a cluster per node.

        `rng` spreads the probes of many routers. Raises `ConfigurationError` if the files named for TLS are unusable.
        """
        self.stats = StoreStats()
        self.timeout = timeout
        self._settings = settings
        self._tls = settings.tls()
        self._max_connections = max_connections
        self._background = Background()
        self._circuit = Circuit(self._background, clock, random.Random() if rng is None else rng)
        self._lock = threading.Lock()
        self._clients: dict[asyncio.AbstractEventLoop, RedisClient] = {}
        self._stale: WeakSet[RedisClient] = WeakSet()  # of before an outage; each is replaced on its own loop
        self._tenants: list[Tenant] = []
        weakref.finalize(self, _abandon_closed, self._clients)

    @property
    def down(self) -> bool:
        """Whether Redis is given up on for now."""
        return self._circuit.down

    def admit(self, tenant: Tenant) -> None:
        """Ask `tenant` for probes, and let it catch up first, whenever Redis comes back."""
        self._tenants.append(tenant)

    async def run(self, command: Command) -> object:
        """The reply to `command`. Raises `OutageError`, at once while the circuit is open."""
        return await self._bounded(lambda client: client.run(command))

    async def run_all(self, commands: Sequence[Command]) -> list[object]:
        """The replies, or the errors, of `commands`, sent together within one bound. Raises `OutageError`."""
        return await self._bounded(lambda client: _send_all(client, commands))

    def background(self, work: Coroutine[object, object, None]) -> asyncio.Task[None]:
        """Run `work`, which handles its own errors, beside the caller. It ends with the loop."""
        return self._background.start(work)

    async def aclose(self) -> None:
        """Wait for what runs in the background, if Redis is well; close what this loop, and every loop that has ended,
        left open.

        A link that is used again opens again.
        """
        self._circuit.rest()
        if not self._circuit.down:  # writes that nobody waits for are not to be lost
            await self._background.finish(self.timeout)
        await self._background.stop(self.timeout)
        with self._lock:
            client = self._clients.pop(asyncio.get_running_loop(), None)
            _abandon_closed(self._clients)
        if client is not None:
            client.retire()

    async def _bounded(self, ask: Callable[[RedisClient], Awaitable[T]]) -> T:
        if self._circuit.down:
            self._circuit.watch(weakref.WeakMethod(self._probe))
            raise OutageError
        client: RedisClient | None = None
        try:
            client = self._client()
            with Bound(self.timeout):
                return await ask(client)
        except Exception as error:
            self._give_up(client, error)
            raise OutageError from None

    def _client(self) -> RedisClient:
        loop = asyncio.get_running_loop()
        with self._lock:
            client = self._clients.get(loop)
            if client is None or client in self._stale:
                client = self._open()
                self._adopt(loop, client)
            return client

    def _adopt(self, loop: asyncio.AbstractEventLoop, client: RedisClient) -> None:
        _abandon_closed(self._clients)
        former = self._clients.get(loop)
        self._clients[loop] = client
        if former is not None:
            self._stale.add(former)
            former.retire()

    def _open(self) -> RedisClient:
        return RedisClient(self._settings, self._tls, timeout=self.timeout, max_connections=self._max_connections)

    def _give_up(self, client: RedisClient | None, error: Exception) -> None:
        self.stats.errors += 1
        with self._lock:
            if client is not None:
                if client in self._stale:
                    return  # a call that began before an outage which is known by now
                self._stale.add(client)
                client.retire()
            self._stale.update(self._clients.values())
        if self._circuit.trip(weakref.WeakMethod(self._probe)):
            self.stats.outages += 1
            where, why = self._settings.where, self._say(error)
            logger.warning("Redis at %s failed (%s); until it is back, memory answers alone", where, why)

    def _say(self, error: Exception) -> str:
        if type(error) is TimeoutError:
            return f"no answer within {self.timeout:g} s"
        return self._settings.redact(f"{type(error).__name__}: {error}")

    async def _probe(self) -> bool:
        client: RedisClient | None = None
        adopted = False
        try:
            client = self._open()
            await self._check(client)
            for tenant in self._tenants:
                await tenant.recover(partial(self._catch_up, client))
            adopted = self._come_back(client)
        except Exception as error:
            logger.debug("Redis at %s is still away (%s)", self._settings.where, self._say(error))
            return False
        finally:
            if client is not None and not adopted:
                client.retire()
        return True

    def _come_back(self, client: RedisClient) -> bool:
        lasted = self._circuit.mend()
        if lasted is None:
            return False
        with self._lock:
            self._adopt(asyncio.get_running_loop(), client)
        self.stats.recoveries += 1
        for tenant in self._tenants:
            self.background(self._finish(tenant))
        logger.info("Redis at %s is back after %.1f s", self._settings.where, lasted)
        return True

    async def _finish(self, tenant: Tenant) -> None:
        """Send what has come to wait while the tenant caught up."""
        while not self._circuit.down:
            try:
                await tenant.recover(self.run_all)
            except OutageError:
                continue  # on a client of before the outage: once more
            return

    async def _check(self, client: RedisClient) -> None:
        with Bound(max(PROBE_BOUND, self.timeout)):
            await client.ping()
            for tenant in self._tenants:
                for command in tenant.probes():
                    await client.run(command)

    async def _catch_up(self, client: RedisClient, commands: Sequence[Command]) -> list[object]:
        with Bound(self.timeout):
            return await _send_all(client, commands)


async def _send_all(client: RedisClient, commands: Sequence[Command]) -> list[object]:
    replies = await client.run_all(commands)
    for reply in replies:
        if isinstance(reply, _AWAY):
            raise reply
    return replies


def _abandon_closed(clients: dict[asyncio.AbstractEventLoop, RedisClient]) -> None:
    for loop in [loop for loop in clients if loop.is_closed()]:
        clients.pop(loop).abandon()
