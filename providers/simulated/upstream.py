"""A simulated deployment: a real HTTP server on loopback that speaks the Responses API."""

from __future__ import annotations

import asyncio
import random
import time
from collections import deque
from collections.abc import Awaitable, Callable, Collection, Iterator
from contextlib import contextmanager
from dataclasses import replace
from threading import get_ident
from types import TracebackType
from typing import TypedDict, Unpack

from providers.simulated.behaviour import Behaviour, Fault
from providers.simulated.connections import Connections
from providers.simulated.front import Conduct, Front
from providers.simulated.ledger import Ledger, Record
from providers.simulated.limits import Limits
from providers.simulated.listener import Listener
from providers.simulated.service import Service
from providers.simulated.state import State
from providers.simulated.thread import LoopThread

_KEPT = 10_000
_PATIENCE = 10.0  # seconds for what should take milliseconds: start, stop, a change of behaviour


class Options(TypedDict, total=False):
    """The keyword arguments of `SimulatedUpstream`."""

    behaviour: Behaviour
    seed: int | None
    api_keys: Collection[str] | None
    models: Collection[str] | None
    host: str
    port: int
    state: State | None
    sleep: Callable[[float], Awaitable[None]]
    clock: Callable[[], float]
    wall: Callable[[], float]


class SimulatedUpstream:
    """Serves the Responses and Conversations APIs at `url`, and knows only the ids it issued.

    `async with SimulatedUpstream("east") as upstream:` serves in the running loop;
    `with SimulatedUpstream.in_thread("east") as upstream:` in a thread of its own.

    `name`: appears in the replies; with `seed` it determines every id and every chance: give upstreams distinct names.
    `behaviour`: may be replaced at any time. `api_keys`: those accepted, as bearer token or `api-key`; None: any.
    `models`: those served; None: any. `port`: 0 takes a free one, kept by `restart`. `state`: share one between
    upstreams of the same account. `sleep` waits out latency; `clock` times rate limits; `wall` dates responses.
    """

    def __init__(
        self,
        name: str = "sim",
        *,
        behaviour: Behaviour = Behaviour(),  # noqa: B008 - a frozen value
        seed: int | None = None,
        api_keys: Collection[str] | None = None,
        models: Collection[str] | None = None,
        host: str = "127.0.0.1",
        port: int = 0,
        state: State | None = None,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
        clock: Callable[[], float] = time.monotonic,
        wall: Callable[[], float] = time.time,
    ) -> None:
        rng = random.Random(None if seed is None else f"{seed}:{name}")
        self.name = name
        self.host = host
        self.port = port
        """The port; 0 until it is known."""
        self.state = State(seed=None if seed is None else f"{seed}:{name}:state") if state is None else state
        """What it remembers; survives `stop`, `restart` and the fault `refuse`."""
        self._ledger = Ledger(_KEPT)
        self._script: deque[Fault | None] = deque()
        self._conduct = Conduct(behaviour, self._scripted)
        service = Service(name, self.state, rng, wall, models, self._ledger.ids)
        self._front = Front(service, self._ledger, Limits(clock), self._conduct, rng, api_keys, sleep)
        self._listener: Listener | None = None
        self._connections: Connections | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread_id = 0

    def __repr__(self) -> str:
        return (
            f"<SimulatedUpstream {self.name!r} {self.url} fault={self.behaviour.fault} calls={self.calls} "
            f"active={self.active_requests} open={self.open_connections}>"
        )

    @property
    def url(self) -> str:
        """`http://HOST:PORT`; the API lies below it with and without `/v1`, and Azure's below `/openai`."""
        return f"http://{f'[{self.host}]' if ':' in self.host else self.host}:{self.port}"

    @property
    def behaviour(self) -> Behaviour:
        """How it behaves. Requests in service keep the behaviour they began with."""
        return self._conduct.behaviour

    @behaviour.setter
    def behaviour(self, value: Behaviour) -> None:
        self._conduct.behaviour = value
        self._in_loop(self._listen)
        self._ledger.changed()

    def script(self, *faults: Fault | None) -> None:
        """Give the next creations these faults, one each, None for a good one; then `behaviour` counts again."""
        behaviours = [replace(self.behaviour, fault=fault) for fault in faults]
        if any(each.fault == "refuse" for each in behaviours):
            raise ValueError("script() cannot refuse: the socket refuses before any request; set `behaviour`")
        self._script.extend(faults)

    def _scripted(self) -> Behaviour | None:
        return replace(self.behaviour, fault=self._script.popleft()) if self._script else None

    @property
    def requests(self) -> deque[Record]:
        """The last requests, oldest first (10,000 at most)."""
        return self._ledger.requests

    @property
    def calls(self) -> int:
        """Requests so far."""
        return self._ledger.calls

    @property
    def active_requests(self) -> int:
        """Requests in service now: streams not yet over, hanging ones too."""
        return self._ledger.active

    @property
    def open_connections(self) -> int:
        """TCP connections open now."""
        return self._ledger.open

    @property
    def ids(self) -> tuple[str, ...]:
        """Ids of the responses begun here, oldest first (the last 10,000)."""
        return tuple(self._ledger.ids)

    async def until(self, condition: Callable[[], bool], *, timeout: float = 10.0) -> None:
        """Wait until `condition()` holds; it is asked now and after each change seen here. From any loop.

        Raises `TimeoutError` after `timeout` seconds.
        """
        if not await self._ledger.until(condition, timeout):
            raise TimeoutError(f"not so within {timeout} s: {self!r}")

    def wait_until(self, condition: Callable[[], bool], *, timeout: float = 10.0) -> None:
        """`until` for other threads than the one that serves."""
        if not self._ledger.wait(condition, timeout):
            raise TimeoutError(f"not so within {timeout} s: {self!r}")

    async def start(self) -> None:
        """Serve in the running loop. Raises `OSError` if the port is taken, `RuntimeError` if it runs already."""
        if self._listener is not None:
            raise RuntimeError(f"{self!r} runs already")
        self._loop, self._thread_id = asyncio.get_running_loop(), get_ident()
        self._connections = Connections(self._front.serve, self._ledger)
        self._listener = Listener(self.host, self.port, self._connections)
        self.port = self._listener.port
        self._listen()

    async def stop(self) -> None:
        """Close the port and every connection, and wait until all requests have ended. Idempotent."""
        if self._listener is None or self._connections is None:
            return
        await self._listener.close()
        self._connections.abort()
        await self._ledger.until(lambda: not self._ledger.active and not self._ledger.open, _PATIENCE)
        self._listener = self._connections = self._loop = None

    async def restart(self) -> None:
        """Stop, and serve again on the same port, with the same memory."""
        await self.stop()
        await self.start()

    def _listen(self) -> None:
        """Bring the socket in line with the behaviour."""
        if self._listener is None or self._connections is None:
            return
        if self.behaviour.fault == "refuse":
            self._listener.refuse()
            self._connections.abort()
        else:
            self._listener.accept()

    def _in_loop(self, act: Callable[[], None]) -> None:
        """Do it now, in the thread that serves."""
        if self._loop is None or self._thread_id == get_ident():
            act()
            return

        async def acted() -> None:
            act()

        asyncio.run_coroutine_threadsafe(acted(), self._loop).result(_PATIENCE)

    async def __aenter__(self) -> SimulatedUpstream:
        await self.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.stop()

    @classmethod
    @contextmanager
    def in_thread(cls, name: str = "sim", **options: Unpack[Options]) -> Iterator[SimulatedUpstream]:
        """One that serves in a daemon thread of its own, for synchronous code."""
        upstream = cls(name, **options)
        thread = LoopThread(f"simulated-{name}")
        try:
            thread.run(upstream.start(), _PATIENCE)
            yield upstream
        finally:
            thread.run(upstream.stop(), _PATIENCE)
            thread.close(_PATIENCE)
