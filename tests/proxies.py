"""A proxy for tests: a real server on a real socket, in a thread of its own, over simulated deployments."""

from __future__ import annotations

import asyncio
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from router import Router
from router.proxy.app import Proxy
from router.proxy.server import listen, loop_factory, server
from router.proxy.settings import ProxySettings

PATIENCE = 20.0
"""Seconds after which waiting for a server to start or stop is given up."""


@contextmanager
def proxying(
    router: Router,
    settings: ProxySettings | None = None,
    *,
    pure: bool = False,
    fast: bool = False,
    buffer: int | None = None,
) -> Iterator[str]:
    """The address of a proxy for `router`, which it closes at its end.

    `pure`: requests are read in Python; `fast`: in the loop of `homing serve`; `buffer`: bytes that the system holds
    for a client.
    """
    listening = listen("127.0.0.1", 0)
    if buffer is not None:
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, buffer)  # connections inherit it
    port = listening.getsockname()[1]
    running = server(Proxy(router, settings), grace=1.0, pure=pure)
    failed: list[BaseException] = []

    def run() -> None:
        try:
            with asyncio.Runner(loop_factory=loop_factory() if fast else None) as runner:
                runner.run(running.serve(sockets=[listening]))
        except BaseException as error:  # reported by the test, not lost with the thread
            failed.append(error)

    thread = threading.Thread(target=run, name="proxy", daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{port}"
    finally:
        running.should_exit = True
        thread.join(PATIENCE)
        assert not thread.is_alive(), "the proxy did not stop"
        assert not failed, failed


def data(text: str) -> list[Any]:
    """The JSON of each event of a stream, `[DONE]` as text."""
    import json  # only here

    found: list[Any] = []
    for block in text.split("\n\n"):
        for line in block.splitlines():
            if line.startswith("data: "):
                content = line.removeprefix("data: ")
                found.append(content if content == "[DONE]" else json.loads(content))
    return found
