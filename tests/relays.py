"""Relays before simulated deployments: each lets exactly so many events of a stream through, then holds it or cuts it.

A relay hears its deployment out before it passes anything on, so that the response exists there, whole and stored,
however little of it the caller gets: what becomes of the next turn is then the Router's doing alone.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from typing import Literal

import aiohttp
from aiohttp import web
from aiohttp.web_request import BaseRequest

from providers.simulated import SimulatedUpstream

PATIENCE = 20.0
"""Seconds after which waiting for what must happen is given up. Only a defect waits that long."""


@dataclass
class Cut:
    """What happens to one stream."""

    events: int
    """How many pass."""
    then: Literal["hold", "cut"]
    passed: asyncio.Event = field(default_factory=asyncio.Event)
    """Set once they have."""


class Relays:
    """The relays before one group."""

    def __init__(self) -> None:
        self.next: Cut | None = None
        """For the next stream, whichever relay it comes to; None: it passes whole."""
        self.urls: dict[str, str] = {}
        """By the deployment's name."""
        self.homes: list[str] = []
        """Which deployments were asked, in order."""

    def cut(self, events: int, then: Literal["hold", "cut"]) -> Cut:
        """Let only `events` of the next stream pass."""
        self.next = Cut(events, then)
        return self.next


@dataclass
class _Relay:
    name: str
    target: str
    relays: Relays
    client: aiohttp.ClientSession

    async def serve(self, request: BaseRequest) -> web.StreamResponse:
        self.relays.homes.append(self.name)
        headers = {name: request.headers[name] for name in ("authorization", "content-type") if name in request.headers}
        async with self.client.request(
            request.method, f"{self.target}{request.path_qs}", data=await request.read(), headers=headers
        ) as answer:
            body, kind = await answer.read(), answer.headers["content-type"]
        cut = self.relays.next
        if cut is None or not kind.startswith("text/event-stream"):
            return web.Response(body=body, status=answer.status, headers={"content-type": kind})
        self.relays.next = None
        reply = web.StreamResponse(headers={"content-type": kind})
        await reply.prepare(request)
        for event in body.split(b"\n\n")[: cut.events]:
            await reply.write(event + b"\n\n")
        cut.passed.set()
        if cut.then == "cut" and request.transport is not None:
            request.transport.close()
        await asyncio.Event().wait()  # until the caller is gone
        raise AssertionError


@asynccontextmanager
async def relayed(upstreams: Sequence[SimulatedUpstream]) -> AsyncIterator[Relays]:
    """A relay before each of `upstreams`."""
    relays = Relays()
    async with AsyncExitStack() as stack:
        client = await stack.enter_async_context(aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(PATIENCE)))
        for upstream in upstreams:
            server = web.Server(_Relay(upstream.name, upstream.url, relays, client).serve, handler_cancellation=True)
            runner = web.ServerRunner(server, shutdown_timeout=0.1)
            await runner.setup()
            stack.push_async_callback(runner.cleanup)
            site = web.TCPSite(runner, "127.0.0.1", 0)
            await site.start()
            relays.urls[upstream.name] = f"http://127.0.0.1:{runner.addresses[0][1]}"
        yield relays
