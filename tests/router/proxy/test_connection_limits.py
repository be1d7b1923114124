"""Connections whose clients are slow, endless, silent or too many: over real sockets, with limits soon reached."""

import asyncio
import json
import resource
import select
import socket
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any, Self

import pytest
from proxies import PATIENCE, proxying
from routers import group, in_flight, misbehave

from providers.simulated import SimulatedUpstream
from router import Router
from router.proxy.app import Proxy
from router.proxy.connection.files import UNBOUNDED, affordable, allow_most
from router.proxy.connection.stalling import LEAST, Stalling, Watchman
from router.proxy.server import listen, server
from router.proxy.settings import ProxySettings

SERVERS = pytest.mark.parametrize(
    "kind", [{"fast": True}, {"pure": True}], ids=["httptools and uvloop", "h11 and asyncio"]
)
LIVE = b"GET /health/liveness HTTP/1.1\r\nhost: x\r\n\r\n"


@pytest.fixture(scope="module")
def upstream() -> Iterator[SimulatedUpstream]:
    with SimulatedUpstream.in_thread("u0") as made:
        yield made


@contextmanager
def connected(url: str, receive: int | None = None) -> Iterator[socket.socket]:
    """A plain connection. `receive`: bytes that the system holds for us."""
    host, _, port = url.removeprefix("http://").partition(":")
    with socket.socket() as client:
        client.settimeout(PATIENCE)
        if receive is not None:
            client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive)
        client.connect((host, int(port)))
        yield client


def everything(client: socket.socket) -> bytes:
    """What comes until the other side ends."""
    found = b""
    while True:
        try:
            part = client.recv(65536)
        except ConnectionResetError:
            return found
        if not part:
            return found
        found += part


def answer(client: socket.socket) -> bytes:
    """One answer whose length is told."""
    found = b""
    while True:
        head, end, body = found.partition(b"\r\n\r\n")
        if end and len(body) >= int(head.lower().partition(b"content-length: ")[2].split(b"\r\n")[0]):
            return found
        part = client.recv(65536)
        assert part, found
        found += part


def refused(content: bytes) -> tuple[int, str]:
    """Status and code of an answer in OpenAI's shape, which is all there is."""
    head, _, body = content.partition(b"\r\n\r\n")
    error = json.loads(body)["error"]
    assert error.keys() == {"message", "type", "param", "code"}
    assert b"connection: close" in head.lower()
    return int(head.split()[1]), error["code"]


def dribble(client: socket.socket, piece: bytes) -> None:
    """Send a piece again and again, until something comes back."""
    while not select.select([client], [], [], 0.005)[0]:
        client.sendall(piece)


# heads


@SERVERS
def test_a_head_that_comes_too_slowly_is_not_waited_for(kind: Any) -> None:
    with proxying(Router([]), ProxySettings(head_timeout=0.5), **kind) as url:
        with connected(url) as client:
            client.sendall(b"GET /health/liveness HTTP/1.1\r\nx-slow: ")
            dribble(client, b"a")
            assert refused(everything(client)) == (408, "header_timeout")
        with connected(url) as silent:
            assert everything(silent) == b""
        with connected(url) as again:  # the second of one connection as well
            again.sendall(LIVE)
            assert b" 200 " in answer(again)
            again.sendall(b"GET /heal")
            assert refused(everything(again)) == (408, "header_timeout")
        with connected(url) as idler:  # an empty line is no request, and no sign of life either
            idler.sendall(LIVE)
            assert b" 200 " in answer(idler)
            idler.sendall(b"\r\n")
            assert refused(everything(idler))[0] in (400, 408)


@SERVERS
def test_a_head_that_is_too_large_is_refused_and_a_body_is_none_of_it(kind: Any, upstream: SimulatedUpstream) -> None:
    head = b"GET /health/liveness HTTP/1.1\r\nconnection: close\r\nhost: x\r\nx-long: %s\r\n\r\n"
    room = 1000 - len(head) + 2
    with proxying(Router(group([upstream])), ProxySettings(max_header_bytes=1000), **kind) as url:
        for length, status in ((room, 200), (room + 1, 431), (100_000, 431)):
            with connected(url) as client:
                client.sendall(head % (b"a" * length))
                assert int(everything(client).split()[1]) == status, length
        with connected(url) as endless:
            endless.sendall(b"GET /health/liveness HTTP/1.1\r\nx-long: ")
            dribble(endless, b"a" * 50)
            assert refused(everything(endless)) == (431, "request_header_fields_too_large")
        with connected(url) as whole:
            body = b'{"model": "gpt", "input": "%s"}' % (b"x" * 5000)
            told = b"POST /responses HTTP/1.1\r\nhost: x\r\nconnection: close\r\ncontent-length: %d\r\n\r\n"
            whole.sendall(told % len(body) + body)
            assert b" 200 " in everything(whole).split(b"\r\n")[0]


@SERVERS
def test_what_is_no_request_is_refused_in_the_shape_of_all_errors(kind: Any) -> None:
    with ExitStack() as stack:
        with proxying(Router([]), **kind) as url:
            client = stack.enter_context(connected(url))
            client.sendall(b"\x01\x02 what is this\r\n\r\n")
            assert refused(answer(client)) == (400, "invalid_http")
            client.sendall(b"more of it")  # nobody listens, and the proxy stops without waiting for us to go
            with connected(url) as long:
                long.sendall(b"\x01\x02 what is this" + b"a" * 100_000)
                assert refused(answer(long))[0] == 400
            idle = stack.enter_context(connected(url))
            idle.sendall(LIVE)
            assert b" 200 " in answer(idle)
        assert everything(idle) == b""


def test_what_follows_a_request_that_is_being_answered_can_only_end_it(upstream: SimulatedUpstream) -> None:
    router = Router(group([upstream]))
    misbehave(upstream, "hang")
    with proxying(router) as url, connected(url) as client:
        body = b'{"model": "gpt", "input": "hi"}'
        client.sendall(b"POST /responses HTTP/1.1\r\nhost: x\r\ncontent-length: %d\r\n\r\n%s" % (len(body), body))
        upstream.wait_until(lambda: upstream.active_requests == 1)
        client.sendall(b"\x01\x02 what is this\r\n\r\n")
        assert everything(client) == b""
        upstream.wait_until(lambda: upstream.active_requests == 0)
    misbehave(upstream)
    assert in_flight(router) == {}


def test_without_httptools_requests_are_read_by_h11(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "router.proxy.connection.by_httptools", None)
    assert server(Proxy(Router([]))).config.http.__name__ == "H11Connection"  # type: ignore[union-attr]  # a class


# bodies


@SERVERS
def test_a_body_that_comes_byte_by_byte_is_not_waited_for(kind: Any) -> None:
    with proxying(Router([]), ProxySettings(body_timeout=0.1), **kind) as url, connected(url) as client:
        client.sendall(b"POST /responses HTTP/1.1\r\nhost: x\r\ncontent-length: 100000\r\n\r\n")
        dribble(client, b" ")
        content = answer(client)
        assert (content.split()[1], b'"body_timeout"' in content) == (b"408", True)


@SERVERS
def test_a_body_that_nobody_reads_need_not_come_for_ever(kind: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    with proxying(Router([]), **kind) as url:
        asked = b"GET /health/liveness HTTP/1.1\r\nhost: x\r\ncontent-length: 2\r\n\r\n"
        with connected(url) as late:
            late.sendall(asked)
            assert b" 200 " in answer(late)
            late.sendall(b"{}" + LIVE)
            assert b" 200 " in answer(late)
            monkeypatch.setattr("router.proxy.connection.guarded.LINGER", 0.05)
            late.sendall(asked)
            assert b" 200 " in answer(late)
            assert everything(late) == b""


@pytest.mark.parametrize("pure", [False, True], ids=["httptools", "h11"])
async def test_no_timer_is_left_for_a_head_that_is_there_or_a_body_that_has_come(pure: bool) -> None:
    listening = listen("127.0.0.1", 0)
    running = server(Proxy(Router([])), pure=pure)
    serving = asyncio.create_task(running.serve(sockets=[listening]))
    reader, writer = await asyncio.open_connection(*listening.getsockname())

    async def answered() -> Any:
        """The connection, once it has answered."""
        length = 0
        while line := (await reader.readline()).strip():
            if line.lower().startswith(b"content-length: "):
                length = int(line.split()[1])
        await reader.readexactly(length)
        [connection] = running.server_state.connections
        return connection

    writer.write(LIVE)
    assert (await answered())._heads_end is None
    writer.write(LIVE[:10])
    await asyncio.sleep(0)
    writer.write(LIVE[10:])
    assert (await answered())._heads_end is None
    writer.write(b"GET /health/liveness HTTP/1.1\r\nhost: x\r\ncontent-length: 2\r\n\r\n")
    connection = await answered()
    assert (connection._heads_end, connection._end is None) == (None, False)
    writer.write(b"{}" + LIVE)
    assert await answered() is connection
    assert (connection._heads_end, connection._end) == (None, None)
    writer.close()
    await writer.wait_closed()
    running.should_exit = True
    await serving


# connections


@SERVERS
def test_more_connections_than_there_may_be_are_refused(kind: Any) -> None:
    with proxying(Router([]), ProxySettings(max_connections=1), **kind) as url, connected(url) as first:
        first.sendall(LIVE)
        assert b" 200 " in answer(first)
        with connected(url) as second:
            assert refused(everything(second)) == (503, "too_many_connections")
        first.sendall(LIVE)
        assert b" 200 " in answer(first)


def test_of_many_too_many_not_all_are_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("router.proxy.connection.guarded.TOLD", 1)
    with proxying(Router([]), ProxySettings(max_connections=1)) as url, connected(url) as first:
        first.sendall(LIVE)
        assert b" 200 " in answer(first)
        with connected(url) as second, connected(url) as third:
            assert refused(answer(second))[0] == 503
            assert everything(third) == b""


def test_half_of_the_files_that_may_be_open_are_for_clients(monkeypatch: pytest.MonkeyPatch) -> None:
    bounds = [100, 1000]
    monkeypatch.setattr("resource.getrlimit", lambda _: tuple(bounds))
    monkeypatch.setattr("resource.setrlimit", lambda _, new: bounds.__setitem__(slice(None), new))
    assert affordable() == 50
    allow_most()
    assert affordable() == 500
    bounds[0] = resource.RLIM_INFINITY
    assert affordable() == UNBOUNDED


@SERVERS
def test_a_connection_without_a_request_is_kept_for_so_long(kind: Any) -> None:
    with proxying(Router([]), ProxySettings(connection_idle=0.05), **kind) as url, connected(url) as client:
        client.sendall(LIVE)
        content = everything(client)
        assert b" 200 " in content


# clients that don't read


@SERVERS
def test_a_client_that_takes_nothing_of_its_stream_is_let_go(kind: Any, upstream: SimulatedUpstream) -> None:
    router = Router(group([upstream]))
    misbehave(upstream, tokens=4000)
    settings = ProxySettings(write_timeout=0.1)
    with proxying(router, settings, buffer=4096, **kind) as url, connected(url, receive=4096) as client:
        body = b'{"model": "gpt", "input": "hi", "stream": true}'
        client.sendall(b"POST /responses HTTP/1.1\r\nhost: x\r\ncontent-length: %d\r\n\r\n%s" % (len(body), body))
        gone = select.poll()
        gone.register(client, 0)  # nothing but that the other side has reset it
        assert gone.poll(PATIENCE * 1000), "it is still served"
        upstream.wait_until(lambda: upstream.active_requests == 0)
        assert len(everything(client)) < 400_000
    misbehave(upstream, tokens=8)
    assert in_flight(router) == {}


def test_what_is_left_of_an_answer_when_the_connection_closes_is_not_kept_for_ever(
    upstream: SimulatedUpstream,
) -> None:
    settings = ProxySettings(write_timeout=0.1)
    with (
        proxying(Router(group([upstream])), settings, buffer=4096) as url,
        connected(url, receive=4096) as client,
    ):
        client.sendall(b"GET /openapi.json HTTP/1.1\r\nconnection: close\r\nhost: x\r\n\r\n")
        gone = select.poll()
        gone.register(client, 0)
        assert gone.poll(PATIENCE * 1000), "it is still kept"


class Pipe:
    """What the watchman sees of a connection: how much waits in it."""

    def __init__(self) -> None:
        self.size = 0
        self.closing = self.cut = False

    def get_write_buffer_size(self) -> int:
        return self.size

    def is_closing(self) -> bool:
        return self.closing

    def get_extra_info(self, name: str) -> Self:
        return self

    def setsockopt(self, *option: Any) -> None:
        pass

    def abort(self) -> None:
        self.cut = True


def watched() -> tuple[Stalling, Pipe, Watchman]:
    connection, pipe = Stalling(), Pipe()
    connection.transport = pipe  # type: ignore[assignment]  # all of it that is asked
    return connection, pipe, Watchman([object(), connection])


def test_whoever_takes_something_now_and_then_is_not_cut() -> None:
    connection, pipe, watchman = watched()
    pipe.size = 10 * LEAST
    watchman.look()
    watchman.look()  # it is not paused: more may be written than waits
    connection.pause_writing()
    for _ in range(9):
        watchman.look()
        pipe.size -= LEAST
    connection.resume_writing()
    watchman.look()
    connection.pause_writing()
    watchman.look()
    connection.resume_writing()
    connection.pause_writing()
    watchman.look()
    assert not pipe.cut
    pipe.size -= LEAST - 1
    watchman.look()
    assert pipe.cut


def test_a_connection_that_closes_is_watched_too() -> None:
    _, pipe, watchman = watched()
    pipe.size, pipe.closing = 1, True
    watchman.look()
    assert not pipe.cut
    watchman.look()
    assert pipe.cut
