"""The server that the proxy runs on: uvicorn, with its fastest parts where they can be had.

Chosen by `benchmarks/servers.py`, which serves the proxy without the network behind it. CPU time for each request, as
ratios to uvicorn with uvloop and httptools (two runs of rounds on two shared cores, so ±0.15):

                                      whole       streamed    MiB
    uvicorn 0.54, uvloop, httptools   1.00        1.00         65
    uvicorn, uvloop, h11              1.6-1.7     1.4-2.0      65
    granian 2 (ASGI), uvloop          0.8-0.9     0.9-1.2     104
    hypercorn, uvloop                 2.3         1.5-2.4     105

Granian, too, tells of clients that leave, denies WebSockets by an answer (which still promises the upgrade in its
headers), holds writers up for slow readers and lets streams end. It is not ahead by enough to give up that the server
runs in our own event loop, on a socket that it is given, beside the Router and what reloads it. Of routing a request
costs 3 us by the proxy's own table, 25 us by Starlette's.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable
from typing import TYPE_CHECKING

from providers.errors import ConfigurationError
from router.proxy.app import Proxy

if TYPE_CHECKING:
    import uvicorn

BACKLOG = 2048
IDLE = 75
"""Seconds for which a connection without a request is kept: longer than common load balancers keep theirs."""


def server(proxy: Proxy, *, grace: float = 30.0) -> uvicorn.Server:
    """A server for `proxy`, to be run on sockets. `grace`: seconds that streams may take to end when it is stopped.

    Raises `ConfigurationError` if the extra `proxy` is not installed.
    """
    try:
        import uvicorn
    except ImportError:
        raise ConfigurationError("the proxy needs `pip install 'homing-router[proxy]'`") from None

    class Server(uvicorn.Server):
        """Tells the proxy when it is to stop, so that it need not wait for those who watch the fleet."""

        async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
            proxy.stop()
            await super().shutdown(sockets)

    config = uvicorn.Config(
        proxy,
        log_config=None,
        access_log=False,
        server_header=False,
        lifespan="on",
        proxy_headers=False,
        backlog=BACKLOG,
        timeout_keep_alive=IDLE,
        timeout_graceful_shutdown=max(1, round(grace)),
    )
    return Server(config)


def loop_factory() -> Callable[[], asyncio.AbstractEventLoop] | None:
    """What makes the fastest event loop there is; None: asyncio's own."""
    try:
        import uvloop
    except ImportError:
        return None
    return uvloop.new_event_loop


def listen(host: str, port: int) -> socket.socket:
    """A socket that listens; port 0 takes a free one. Raises `ConfigurationError` that says why it can't."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    # of this protocol by name: only then does asyncio send each write at once, and not 40 ms after the one before
    listening = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    try:
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.bind((host, port))
        listening.listen(BACKLOG)
    except OSError as error:
        listening.close()
        raise ConfigurationError(f"can't listen at {host}:{port}: {error.strerror or error}") from None
    listening.setblocking(False)
    return listening
