"""Servers for our proxy, side by side: `python benchmarks/servers.py --with-peers` (or `--packages DIRECTORY`).

One worker each, with our own plain ASGI application over a transport in memory that answers at once, so that what is
measured is the server, the application and the Router, and no client. Asked by one driver in turn, in rounds:
requests a second at 64 connections and CPU time of all processes of the server for each, whole and streamed (in 108
events, each in a write of its own); the median time of an answer at one connection. Then our routing beside
Starlette's, in this process: what a GET of `/v1/health/liveness` costs before and after the endpoint.

`--packages` is a directory that `pip install --target` has filled with granian, hypercorn and starlette; `--with-peers`
makes one in a cache. What is missing is left out, with a note.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Mapping
from contextlib import ExitStack
from importlib.util import find_spec
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))  # a server's worker imports this file by its name

import upstream
from contest import console, pin
from load import Driver, driver, run
from processes import cpu, memory, serving
from proxy import Contender, Kind, free_port
from rich.box import MARKDOWN
from rich.table import Table

from providers.types import Connection, HttpRequest
from router import Router
from router.proxy.app import Proxy

_PEERS = ("granian", "hypercorn", "starlette", "uvicorn", "uvloop", "httptools", "h11")
_BODY: dict[str, Any] = {"model": "gpt", "input": "Tell me something of some length, please. " * 8}
_WHOLE = Kind("whole", "/responses", _BODY, '"completed"')
_STREAMED = Kind("streamed", "/responses", {**_BODY, "stream": True}, "response.completed")
_UVICORN = ("--no-access-log", "--log-level", "error", "--no-proxy-headers", "--no-server-header", "--lifespan", "on")
SERVERS: Mapping[str, tuple[str, ...]] = {
    "uvicorn, uvloop, httptools": ("uvicorn", *_UVICORN, "--loop", "uvloop", "--http", "httptools"),
    "uvicorn, uvloop, h11": ("uvicorn", *_UVICORN, "--loop", "uvloop", "--http", "h11"),
    "uvicorn, asyncio, h11": ("uvicorn", *_UVICORN, "--loop", "asyncio", "--http", "h11"),
    "granian, uvloop": ("granian", "--interface", "asgi", "--loop", "uvloop", "--workers", "1", "--log-level", "error"),
    "hypercorn, uvloop": ("hypercorn", "--worker-class", "uvloop", "--workers", "1", "--log-level", "error"),
}


class _Reply:
    """A reply that is here already."""

    def __init__(self, content: bytes, kind: str) -> None:
        self.status = 200
        self.headers: Mapping[str, str] = {"content-type": kind}
        self._content = content

    async def read(self) -> bytes:
        """All of it."""
        return await self.chunk()

    async def chunk(self) -> bytes:
        """All of it, then nothing."""
        content, self._content = self._content, b""
        return content

    async def aclose(self) -> None:
        """Nothing is held."""

    def abort(self) -> None:
        """Nothing is held."""


class _Instant:
    """A transport to nowhere."""

    def __init__(self) -> None:
        self._whole = json.dumps(upstream.response()).encode()
        frames = (f"event: {event['type']}\ndata: {json.dumps(event)}\n\n" for event in upstream.events())
        self._streamed = "".join(frames).encode()

    async def send(self, request: HttpRequest, connection: Connection, *, timeout: float) -> _Reply:
        """The answer, in the event loop's next turn."""
        await asyncio.sleep(0)
        if b'"stream":true' in request.content:
            return _Reply(self._streamed, "text/event-stream")
        return _Reply(self._whole, "application/json")

    async def aclose(self) -> None:
        """Nothing is open."""


def application() -> Proxy:
    """The proxy that all servers serve."""
    params = {"model": "openai/gpt-4.1", "api_key": "k", "api_base": "http://upstream.invalid/v1"}
    return Proxy(Router([{"model_name": "gpt", "litellm_params": params}], http_client=_Instant()))


def command(server: tuple[str, ...], port: int) -> list[str]:
    """What starts a server."""
    name, *options = server
    where = ["--bind", f"127.0.0.1:{port}"] if name == "hypercorn" else ["--host", "127.0.0.1", "--port", str(port)]
    return [sys.executable, "-m", name, *options, *where, "servers:app"]


def packages(given: str | None, *, install: bool) -> str | None:
    """The directory that the servers are in, which is made if that is asked for."""
    if given is not None or not install:
        return given
    root = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    folder = Path(root) / "homing-router" / "benchmarks" / "servers"
    if not folder.exists():
        pip = [sys.executable, "-m", "pip", "install", "--quiet", "--target", str(folder), *_PEERS]
        subprocess.run(pip, check=True, timeout=900)
    return str(folder)


def measure(load: Driver, one: Contender, kind: Kind, options: argparse.Namespace) -> None:
    """One round of one kind."""
    assert one.pid is not None, "it is a process"
    alone = load.ask(one.url + kind.path, kind.body, mark=kind.mark, connections=1, seconds=options.seconds / 2)
    before = cpu(one.pid)
    many = load.ask(one.url + kind.path, kind.body, mark=kind.mark, connections=64, seconds=options.seconds)
    used = cpu(one.pid) - before
    one.note(kind, latency=alone["median"], rate=many["answers"] / many["seconds"], cpu=used / many["answers"])
    one.resident = max(one.resident, memory(one.pid))


def show(contenders: list[Contender]) -> None:
    """The table of medians, and ratios to the first."""
    table = Table("server", title="medians of rounds", box=MARKDOWN, title_justify="left")
    for kind in (_WHOLE, _STREAMED):
        for title in ("requests/s", "CPU us", "x", "us at one connection"):
            table.add_column(f"{kind.name}: {title}", justify="right")
    table.add_column("MiB", justify="right")
    first = contenders[0]
    for one in contenders:
        cells = []
        for kind in (_WHOLE, _STREAMED):
            pairs = zip(one.found[kind.name, "cpu"], first.found[kind.name, "cpu"], strict=True)
            cells += [f"{one.median(kind, 'rate'):,.0f}", f"{one.median(kind, 'cpu') * 1e6:,.0f}"]
            cells += [f"{statistics.median(a / b for a, b in pairs):.2f}", f"{one.median(kind, 'latency') * 1e6:,.0f}"]
        table.add_row(one.name, *cells, f"{one.resident:.0f}")
    console().print(table)


async def routing() -> dict[str, float]:
    """CPU microseconds of a request whose endpoint does next to nothing, by who finds the endpoint."""
    apps: dict[str, Any] = {"ours": application()}
    if find_spec("starlette"):
        from starlette.applications import Starlette
        from starlette.responses import Response
        from starlette.routing import Route

        async def alive(_: Any) -> Response:
            return Response(b'{"status":"alive"}', media_type="application/json")

        names = [
            f"/v1/{'/'.join(part or '{name:path}' for part in path)}" for path in apps["ours"]._routes if path != ("",)
        ]
        apps["Starlette"] = Starlette(routes=[Route(name, alive, methods=["GET", "POST"]) for name in names])
    path = "/v1/health/liveness"
    scope = {
        "type": "http",
        "method": "GET",
        "path": path,
        "raw_path": path.encode(),
        "query_string": b"",
        "headers": [],
    }

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(_: Any) -> None:
        """Nobody listens."""

    found: dict[str, list[float]] = {}
    for _ in range(20):
        for name, app in apps.items():
            began = time.process_time()
            for _ in range(500):
                await app({**scope}, receive, send)
            found.setdefault(name, []).append((time.process_time() - began) / 500 * 1e6)
    return {name: min(times) for name, times in found.items()}


def main() -> int:
    """Run and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5, help="interleaved rounds (default %(default)s)")
    parser.add_argument("--seconds", type=float, default=2.0, help="per measurement (default %(default)s)")
    parser.add_argument("--packages", metavar="DIRECTORY", help="where granian, hypercorn and starlette are")
    parser.add_argument("--with-peers", action="store_true", help="install them in a cache, if they are missing")
    options = parser.parse_args()
    folder = packages(options.packages, install=options.with_peers)
    if folder is not None:
        sys.path.append(folder)
    here = Path(__file__).resolve().parent
    path = os.pathsep.join([str(here), str(here.parent), *([] if folder is None else [folder])])
    with ExitStack() as stack:
        load = stack.enter_context(driver())
        pin(load.pid, last=False)
        contenders = []
        for name, server in SERVERS.items():
            if not find_spec(server[0]):
                print(f"skipped {name}: not installed; pass --with-peers or --packages", file=sys.stderr)
                continue
            port = free_port()
            ready, environ = f"http://127.0.0.1:{port}/health/liveness", {"PYTHONPATH": path}
            process = stack.enter_context(serving(command(server, port), ready, environ=environ, last=True))
            contenders.append(Contender(name, f"http://127.0.0.1:{port}/v1", process.pid))
        for _ in range(options.rounds):
            for kind in (_WHOLE, _STREAMED):
                for one in contenders:
                    measure(load, one, kind, options)
    show(contenders)
    for name, took in run(routing()).items():
        console().print(f"routing by {name}: {took:.1f} us for a request to /v1/health/liveness", highlight=False)
    return 0


if __name__ == "__main__":
    sys.exit(main())
app = application()  # `servers:app`, for whoever serves it
