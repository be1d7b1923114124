"""The server that the proxy runs on: uvicorn, with its fastest parts where they can be had, and limits for clients.

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
from router.proxy.connection.files import affordable
from router.proxy.connection.limits import Limits, limited
from router.proxy.connection.stalling import Watchman
from router.proxy.settings import ProxySettings

if TYPE_CHECKING:
    import uvicorn

BACKLOG = 2048
_PING = 20.0
"""Seconds from one ping over a WebSocket to the next."""
_LAST = 1.0
"""Seconds that what was cancelled may take to say so to its client."""
_TICKS = 10
"""How often a second uvicorn looks whether there is something to do."""


def server(proxy: Proxy, *, grace: float = 30.0, pure: bool = False) -> uvicorn.Server:
    """A server for `proxy`, to be run on sockets. `grace`: seconds that streams may take to end when it is stopped.

    `pure`: read requests in Python only. Raises `ConfigurationError` if the extra `proxy` is not installed.
    """
    try:
        import uvicorn

        from router.proxy.connection.by_websockets import SocketConnection
    except ImportError:
        raise ConfigurationError("the proxy needs `pip install 'homing-router[proxy]'`") from None

    settings = proxy.settings
    limits = _limits(settings)
    config = uvicorn.Config(
        proxy,
        http=limited(_reader(pure=pure), limits),
        ws=SocketConnection,
        ws_max_size=settings.max_request_bytes,
        ws_ping_interval=_PING,
        ws_ping_timeout=settings.write_timeout,
        ws_per_message_deflate=False,  # OpenAI's client asks for none, and it takes memory for each connection
        h11_max_incomplete_event_size=limits.max_head_bytes + 1,
        log_config=None,
        access_log=False,
        server_header=False,
        lifespan="on",
        proxy_headers=False,
        backlog=BACKLOG,
        timeout_keep_alive=settings.connection_idle,  # type: ignore[arg-type]  # the loop takes fractions as well
        timeout_graceful_shutdown=max(1, round(grace)),
    )

    class Server(uvicorn.Server):
        """Tells the proxy when it is to stop, so that it need not wait for those who watch; cuts clients that stall."""

        watchman: Watchman

        async def startup(self, sockets: list[socket.socket] | None = None) -> None:
            self.watchman = Watchman(self.server_state.connections)
            await super().startup(sockets)

        async def on_tick(self, counter: int) -> bool:
            if counter % max(1, round(settings.write_timeout * _TICKS)) == 0:
                self.watchman.look()
            return await super().on_tick(counter)

        async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
            proxy.stop()
            await super().shutdown(sockets)
            if self.server_state.tasks:  # they have been cancelled
                await asyncio.wait(self.server_state.tasks, timeout=_LAST)
            for connection in list(self.server_state.connections):
                connection.transport.abort()
            await asyncio.sleep(0)  # in which they are closed

    return Server(config)


def _reader(*, pure: bool) -> type[asyncio.Protocol]:
    """What reads requests."""
    if not pure:
        try:
            from router.proxy.connection.by_httptools import HttptoolsConnection
        except ImportError:
            pass
        else:
            return HttptoolsConnection
    from router.proxy.connection.by_h11 import H11Connection

    return H11Connection


def _limits(settings: ProxySettings) -> Limits:
    return Limits(
        settings.head_timeout,
        settings.max_header_bytes,
        min(settings.max_connections, affordable()),
        settings.write_timeout,
    )


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
