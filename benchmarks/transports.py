"""CPU time of one POST with its reply (1.2 KB of JSON) through each way of sending, on one loopback server.

    python benchmarks/transports.py [--rounds N] [--calls N]

Only this process's CPU time counts; the server runs in another. Contenders take turns within each round, and the
figures are medians over rounds: compare columns of one run, and ratios between runs, never microseconds. The last
pair of columns repeats the sequential calls while 256 connections lie idle in the pool.

The default of the Router is `AiohttpTransport`: it costs what aiohttp itself costs, a fifth of a bare httpx call at
one task and a twenty-fifth at 64, and the same with 256 idle connections, where httpx polls every one of them. On
two shared cores (CPython 3.11, aiohttp 3.14, httpx 0.28; 5 rounds), as ratios to bare httpx:

                                        1 task   64 tasks   1 task, 256 idle
    HttpxTransport(AsyncClient)          1.05       0.90          1.05
    HttpxTransport(AsyncHTTPTransport)   0.85       0.91          0.93
    HttpxTransport(httpx_aiohttp)        0.26       0.08          0.01
    AiohttpTransport                     0.21       0.04          0.01
    aiohttp.ClientSession.post           0.16       0.04          0.01
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import gc
import statistics
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import TypeAlias

import aiohttp
import httpx
import httpx_aiohttp
import upstream
from rich.console import Console
from rich.table import Table

from providers.types import Connection, HttpRequest
from router.transport import Transport
from router.transport.aiohttp_transport import AiohttpTransport
from router.transport.httpx_transport import HttpxTransport
from router.transport.lean_transport import LeanTransport

BODY = b'{"model":"gpt-4.1","input":"' + b"Tell me something about load balancing. " * 4 + b'"}'
HEADERS = {"authorization": "Bearer sk-1", "content-type": "application/json", "accept": "application/json"}
IDLE = 256

Post: TypeAlias = Callable[[], Awaitable[bytes]]
"""Sends the request and gives the body of the reply."""


@contextlib.asynccontextmanager
async def bare_httpx(url: str) -> AsyncIterator[Post]:
    """What most programs do."""
    limits = httpx.Limits(max_connections=1000, max_keepalive_connections=1000, keepalive_expiry=60)
    async with httpx.AsyncClient(limits=limits, timeout=60, trust_env=False) as client:

        async def post() -> bytes:
            return (await client.post(url, content=BODY, headers=HEADERS)).content

        yield post


@contextlib.asynccontextmanager
async def bare_aiohttp(url: str) -> AsyncIterator[Post]:
    """aiohttp by itself."""
    connector = aiohttp.TCPConnector(limit=0, keepalive_timeout=60)
    async with aiohttp.ClientSession(connector=connector) as session:

        async def post() -> bytes:
            async with session.post(url, data=BODY, headers=HEADERS) as reply:
                return await reply.read()

        yield post


@contextlib.asynccontextmanager
async def through(transport: Transport, url: str) -> AsyncIterator[Post]:
    """A transport of ours, as the Router uses it."""
    request, connection = HttpRequest("POST", url, HEADERS, BODY), Connection()

    async def post() -> bytes:
        reply = await transport.send(request, connection, timeout=60)
        return await reply.read()

    yield post
    await transport.aclose()


@contextlib.asynccontextmanager
async def over_httpx_client(url: str) -> AsyncIterator[Post]:
    """The adapter around a user's client."""
    limits = httpx.Limits(max_connections=1000, max_keepalive_connections=1000, keepalive_expiry=60)
    async with (
        httpx.AsyncClient(limits=limits, trust_env=False) as client,
        through(HttpxTransport(client), url) as post,
    ):
        yield post


@contextlib.asynccontextmanager
async def over_httpx(url: str) -> AsyncIterator[Post]:
    """The adapter around httpx's own transport."""
    limits = httpx.Limits(max_connections=1000, max_keepalive_connections=1000, keepalive_expiry=60)
    async with httpx.AsyncHTTPTransport(limits=limits) as inner, through(HttpxTransport(inner), url) as post:
        yield post


@contextlib.asynccontextmanager
async def over_httpx_aiohttp(url: str) -> AsyncIterator[Post]:
    """The adapter around httpx-aiohttp."""
    limits = httpx.Limits(max_connections=None, keepalive_expiry=60)
    async with httpx_aiohttp.AiohttpTransport(limits=limits) as inner, through(HttpxTransport(inner), url) as post:
        yield post


@contextlib.asynccontextmanager
async def ours(url: str) -> AsyncIterator[Post]:
    """The Router's default."""
    async with through(AiohttpTransport(), url) as post:
        yield post


@contextlib.asynccontextmanager
async def lean(url: str) -> AsyncIterator[Post]:
    """What `homing serve` sends with."""
    async with through(LeanTransport(), url) as post:
        yield post


CONTENDERS = {
    "httpx.AsyncClient.post": bare_httpx,
    "HttpxTransport(AsyncClient)": over_httpx_client,
    "HttpxTransport(AsyncHTTPTransport)": over_httpx,
    "HttpxTransport(httpx_aiohttp)": over_httpx_aiohttp,
    "AiohttpTransport (default)": ours,
    "LeanTransport (the proxy)": lean,
    "aiohttp.ClientSession.post": bare_aiohttp,
}
COLUMNS = ("1 task", "64 tasks", f"1 task, {IDLE} idle")


async def spent(post: Post, calls: int, tasks: int) -> float:
    """CPU microseconds per call."""

    async def work() -> None:
        for _ in range(calls // tasks):
            await post()

    gc.collect()
    start = time.process_time()
    await asyncio.gather(*(work() for _ in range(tasks)))
    return (time.process_time() - start) / (calls // tasks * tasks) * 1e6


async def measure(
    contender: Callable[[str], contextlib.AbstractAsyncContextManager[Post]], url: str, calls: int
) -> list[float]:
    """One round of one contender: each column, warm."""
    async with contender(url) as post:
        await spent(post, 8, 1)
        one = await spent(post, calls, 1)
        await spent(post, 128, 64)
        many = await spent(post, calls, 64)
    async with contender(url) as post:
        await asyncio.gather(*(post() for _ in range(IDLE)))
        return [one, many, await spent(post, max(calls // 8, 16), 1)]


def table(rounds: dict[str, list[list[float]]]) -> Table:
    """Medians, and medians of the ratios to the first contender within each round."""
    grid = Table(title="CPU µs per POST and reply of 1.2 KB; × is the ratio to the first row", title_justify="left")
    grid.add_column("contender")
    for column in COLUMNS:
        grid.add_column(column, justify="right")
        grid.add_column("×", justify="right")
    base = next(iter(rounds.values()))
    for name, figures in rounds.items():
        cells = []
        for place in range(len(COLUMNS)):
            ratios = [mine[place] / first[place] for mine, first in zip(figures, base, strict=True)]
            cells += [f"{statistics.median(row[place] for row in figures):,.0f}", f"{statistics.median(ratios):.2f}"]
        grid.add_row(name, *cells)
    return grid


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0] if __doc__ else None)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--calls", type=int, default=256, help="calls per contender, column and round")
    options = parser.parse_args()
    rounds: dict[str, list[list[float]]] = {name: [] for name in CONTENDERS}
    with upstream.start() as base_url:
        for _ in range(options.rounds):
            for name, contender in CONTENDERS.items():
                rounds[name].append(asyncio.run(measure(contender, f"{base_url}/responses", options.calls)))
    Console(width=120).print(table(rounds))


if __name__ == "__main__":
    main()
