"""A WebSocket's connection when the server stops before its handshake is over."""

import asyncio

import uvicorn
from uvicorn.server import ServerState

from router.proxy.connection.by_websockets import SocketConnection


class Paper(asyncio.Transport):
    """Keeps what is written."""

    def __init__(self) -> None:
        super().__init__()
        self.written = b""
        self.closed = False

    def write(self, data: bytes | bytearray | memoryview) -> None:
        self.written += bytes(data)

    def close(self) -> None:
        self.closed = True

    def is_closing(self) -> bool:
        return self.closed


async def test_a_handshake_that_is_under_way_is_refused() -> None:
    async def silent(scope: object, receive: object, send: object) -> None:
        raise AssertionError("nothing was asked")

    config = uvicorn.Config(silent, log_config=None, lifespan="off", ws=SocketConnection)
    config.load()
    connection = SocketConnection(config, ServerState(), {}, asyncio.get_running_loop())
    paper = Paper()
    connection.connection_made(paper)
    connection.shutdown()
    assert paper.written.startswith(b"HTTP/1.1 500")
    assert paper.closed
