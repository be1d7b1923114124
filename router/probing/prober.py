"""Checks deployments in turn, for as long as there is somebody to check them for."""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import Awaitable, Callable, Coroutine, Iterable, Sequence
from contextlib import suppress
from typing import Any, Final, Literal

from providers.errors import ConfigurationError
from providers.types import Deployment
from router.pool import HealthCheck, Kind, Pool
from router.probing.probe import Probe
from router.probing.rota import Rota

_log = logging.getLogger("router")

AT_ONCE: Final = 8
"""Checks in flight, of those that are made in turn."""
ASKED_AT_ONCE: Final = 32
"""Checks in flight, of those that one caller asks for."""
CLOSING: Final = 5.0
"""Seconds to wait, when closing, for checks to end that were cancelled."""


class Prober:
    """Makes health checks: in turn, while `run` runs on an event loop of its own, and when asked.

    `usual`: how deployments are asked that do not say so themselves. `interval`: seconds in which each has its turn.
    `clock` is the pool's; `sleep` waits. Knows nothing of the Router, so that who forgets to close one can lose it.
    """

    def __init__(
        self,
        pool: Pool,
        probe: Probe,
        usual: Literal["off", "models", "call"],
        interval: float,
        *,
        clock: Callable[[], float],
        rng: random.Random,
        sleep: Callable[[float], Awaitable[object]] = asyncio.sleep,
    ) -> None:
        self._pool = pool
        self._probe = probe
        self._usual = usual
        self._clock = clock
        self._sleep = sleep
        self._rota = Rota(pool, self.wanted, interval, clock, rng)
        self._loop: asyncio.AbstractEventLoop | None = None
        self._task: asyncio.Task[None] | None = None
        self._stirred = asyncio.Event()
        self._running: set[asyncio.Task[None]] = set()
        self._started = False
        """Whether `run` was asked for. Once only: what was closed stays so."""

    def wanted(self, deployment: Deployment) -> bool:
        """Whether a deployment is to be checked without being asked to."""
        return (deployment.health_check or self._usual) != "off"

    def accept(self, deployments: Iterable[Deployment]) -> None:
        """Raise `ConfigurationError` if these can't be checked without being asked to, as they are to be."""
        if self._probe.one_loop and any(map(self.wanted, deployments)):
            raise ConfigurationError(
                "health_checks: an http_client of httpx belongs to one event loop, and checks have one of their own: "
                "leave http_client out, or health_checks, and call acheck_health where you make your calls"
            )

    def begin(self, deployments: Iterable[Deployment], start: Callable[[Coroutine[Any, Any, None]], None]) -> None:
        """Have `run` started, if there is something to check for the first time."""
        if not self._started and any(map(self.wanted, deployments)):
            self._started = True
            start(self.run())

    def kind(self, deployment: Deployment) -> Kind:
        """How a deployment is asked; those that are not to be, for their models."""
        kind = deployment.health_check or self._usual
        return "models" if kind == "off" else kind

    async def check(
        self, deployments: Sequence[Deployment], kind: Kind | None = None, wildcard: str = ""
    ) -> list[HealthCheck]:
        """Check these now, on the running loop; what was found, in their order."""
        gate = asyncio.Semaphore(ASKED_AT_ONCE)

        async def one(deployment: Deployment) -> HealthCheck:
            async with gate:
                return await self._probe.check(deployment, kind or self.kind(deployment), wildcard)

        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(one(deployment)) for deployment in deployments]
        return [task.result() for task in tasks]

    # in turn

    async def run(self) -> None:
        """Check deployments in turn until cancelled, or closed."""
        loop = asyncio.get_running_loop()
        self._loop, self._task = loop, asyncio.current_task()

        def stir() -> None:
            """Something may be due earlier than was thought."""
            with suppress(RuntimeError):  # the loop has ended
                loop.call_soon_threadsafe(self._stirred.set)

        self._pool.on_open = stir
        self._pool.watch(self.wanted)
        try:
            while True:
                self._stirred.clear()
                await self._rest(self._begin())
        except Exception:
            _log.exception("health checks have come to an end")
        finally:
            self._pool.on_open = None
            self._pool.watch(None)
            await self._end()

    async def aclose(self) -> None:
        """Make no more checks in turn. Waits for those in flight, which are cancelled, if they run on this loop."""
        self._started = True
        loop, task = self._loop, self._task
        if loop is None or task is None:
            return
        if loop is asyncio.get_running_loop():
            task.cancel()
            await asyncio.wait([task], timeout=CLOSING)
        else:
            with suppress(RuntimeError):  # that loop has ended
                loop.call_soon_threadsafe(task.cancel)

    def _begin(self) -> float:
        """Begin what is due; seconds until something may be again."""
        for deployment in self._rota.due(AT_ONCE - len(self._running)):
            task = asyncio.get_running_loop().create_task(self._one(deployment))
            self._running.add(task)
            task.add_done_callback(self._done)
        return self._rota.wait(full=len(self._running) >= AT_ONCE)

    async def _one(self, deployment: Deployment) -> None:
        self._rota.checked(await self._probe.check(deployment, self.kind(deployment)))

    def _done(self, task: asyncio.Task[None]) -> None:
        self._running.discard(task)
        if not task.cancelled() and task.exception() is not None:
            _log.error("a health check broke off", exc_info=task.exception())
        self._stirred.set()

    async def _rest(self, seconds: float) -> None:
        """For so long, or until stirred."""

        async def sleep() -> None:
            await self._sleep(seconds)

        timer, stirred = asyncio.ensure_future(sleep()), asyncio.ensure_future(self._stirred.wait())
        try:
            await asyncio.wait((timer, stirred), return_when=asyncio.FIRST_COMPLETED)
            if timer.done():
                timer.result()  # raises what a sleep of the user's own raises
        finally:
            timer.cancel()
            stirred.cancel()

    async def _end(self) -> None:
        """End the checks in flight."""
        for task in self._running:
            task.cancel()
        if self._running:
            await asyncio.wait(self._running, timeout=CLOSING)
