"""A WebSocket's connection before its handshake is over, and after its end."""

import asyncio

import uvicorn
from uvicorn.server import ServerState
from websockets.frames import Frame, Opcode

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


def connected() -> tuple[SocketConnection, Paper]:
    """A connection on which nothing was said yet."""

    async def silent(scope: object, receive: object, send: object) -> None:
        raise AssertionError("nothing was asked")

    config = uvicorn.Config(silent, log_config=None, lifespan="off", ws=SocketConnection)
    config.load()
    connection = SocketConnection(config, ServerState(), {}, asyncio.get_running_loop())
    paper = Paper()
    connection.connection_made(paper)
    return connection, paper


async def test_a_handshake_that_is_under_way_is_refused() -> None:
    connection, paper = connected()
    connection.shutdown()
    assert paper.written.startswith(b"HTTP/1.1 500")
    assert paper.closed


async def test_what_comes_after_the_close_is_of_no_matter() -> None:
    connection, _ = connected()
    connection.frames = [b"before"]
    connection.close_sent = True
    connection.handle_cont(Frame(Opcode.CONT, b"after"))
    assert connection.frames == [b"before"]
