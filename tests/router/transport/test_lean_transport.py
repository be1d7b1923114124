"""What the lean transport does in its own way. What every transport does is in the tests beside."""

from __future__ import annotations

import asyncio
import gzip
import zlib
from collections.abc import AsyncIterator, Awaitable

import pytest
from wire import CHUNKED, END, HELLO, Link, Sender, piece, says, serve

from providers.errors import APIConnectionError, APITimeoutError, MalformedReplyError, StreamInterruptedError
from router.transport import lean_transport
from router.transport.lean_transport import LeanTransport

LIMIT = 100_000


async def turns(number: int) -> None:
    """Let the event loop, which is the server's too, do so often what it finds to do."""
    for _ in range(number):
        await asyncio.sleep(0)


@pytest.fixture
async def lean() -> AsyncIterator[Sender]:
    """The transport, closed afterwards."""
    transport = LeanTransport(max_body=LIMIT, trust_env=False)
    yield Sender("lean", transport)
    await transport.aclose()


async def test_credentials_in_an_address_are_sent_as_aiohttp_does(lean: Sender) -> None:
    async with serve() as server:
        reply = await lean.post(f"http://user:word@127.0.0.1:{server.port}/")
        assert await reply.read() == b"hello"
        assert b"authorization: basic" in server.requests[0].lower()


async def test_own_host_and_encodings_win(lean: Sender) -> None:
    async with serve() as server:
        headers = {"Host": "elsewhere", "accept-encoding": "gzip", "content-length": "7"}
        await (await lean.post(server.url, headers=headers)).read()
        head = server.requests[0].lower()
        assert b"host: elsewhere\r\n" in head
        assert (head.count(b"host:"), head.count(b"accept-encoding:"), head.count(b"content-length:")) == (1, 1, 1)


async def test_an_address_with_a_blank_is_not_sent(lean: Sender) -> None:
    async with serve() as server:
        with pytest.raises(Exception, match="cannot be sent"):
            await lean.post(f"{server.url}/a b")
        assert not server.requests


async def test_fields_that_come_twice_are_one_list_and_trailers_are_passed_over(lean: Sender) -> None:
    head = b"HTTP/1.1 200 OK\r\nX-A: 1\r\nx-a: 2\r\nTransfer-Encoding: chunked\r\n\r\n"
    async with serve(says(head, piece(b"hello"), b"0\r\nX-A: 3\r\n\r\n")) as server:
        reply = await lean.post(server.url)
        assert (await reply.read(), reply.headers["x-a"]) == (b"hello", "1, 2")
        await (await lean.post(server.url)).read()
        assert server.accepted == 1


@pytest.mark.parametrize(
    "extra",
    [HELLO, b"HTTP/1.1 200 OK\r\nX-A: b\r\nTransfer-Encoding: chunked\r\n\r\n" + piece(b"more") + END, b"garbage"],
    ids=["an answer", "a chunked answer", "garbage"],
)
async def test_more_than_was_asked_for_ends_the_connection(lean: Sender, extra: bytes) -> None:
    async with serve(says(HELLO + extra)) as server:
        for _ in range(2):
            try:
                assert await (await lean.post(server.url)).read() == b"hello"
            except MalformedReplyError:
                assert extra == b"garbage"
        assert server.accepted == 2


async def test_what_comes_unasked_ends_the_connection(lean: Sender) -> None:
    asked = asyncio.Event()

    async def play(link: Link) -> None:
        await link.request()
        await link.send(HELLO)
        await asked.wait()
        await link.send(HELLO)
        await link.gone()

    async with serve(play) as server:
        await (await lean.post(server.url)).read()
        asked.set()
        await server.until(open=0)


async def test_an_upgrade_that_nobody_asked_for_is_no_reply(lean: Sender) -> None:
    async with serve(says(b"HTTP/1.1 101 Switching\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n")) as server:
        with pytest.raises(MalformedReplyError):
            await lean.post(server.url)


async def test_a_head_without_an_end(lean: Sender) -> None:
    async def play(link: Link) -> None:
        await link.request()
        await link.send(b"HTTP/1.1 200 OK\r\nx: ")
        for _ in range(1000):
            await link.send(b"x" * 1000)

    async with serve(play) as server:
        with pytest.raises(MalformedReplyError, match="head"):
            await lean.post(server.url)


async def test_a_head_in_pieces_and_a_request_that_is_not_read_to_its_end(lean: Sender) -> None:
    async def play(link: Link) -> None:
        await link.head()
        for each in (HELLO[:20], HELLO[20:]):
            await link.send(each)
            await turns(3)  # in which it is read
        await link.gone()

    async with serve(play) as server:
        reply = await lean.post(server.url, bytes(30_000_000))
        assert await reply.read() == b"hello"
        await server.until(open=0)  # what was not taken of the request would be taken for the next one


async def test_a_slow_reader_holds_the_server_up(lean: Sender) -> None:
    sent = 0

    async def play(link: Link) -> None:
        nonlocal sent
        await link.request()
        await link.send(CHUNKED)
        for _ in range(2000):
            await link.send(piece(bytes(65536)))
            sent += 1
        await link.send(END)

    async with serve(play) as server:
        reply = await lean.post(server.url)
        before = -1
        while sent != before:
            before = sent
            await turns(100)
        assert sent < 1000
        size = 0
        while part := await reply.chunk():
            size += len(part)
        assert size == 2000 * 65536


@pytest.mark.parametrize("name", ["gzip", "deflate"])
@pytest.mark.parametrize("broken", ["no", "short", "large", "unknown"])
async def test_what_is_packed(lean: Sender, name: str, broken: str) -> None:
    content = bytes(LIMIT + 5) if broken == "large" else b"hello " * 100
    packed = (gzip.compress(content) if name == "gzip" else zlib.compress(content))[: -6 if broken == "short" else None]
    encoding = b"br" if broken == "unknown" else name.encode()
    head = b"HTTP/1.1 200 OK\r\nContent-Encoding: %s\r\nContent-Length: %d\r\n\r\n" % (encoding, len(packed))
    async with serve(says(head, packed)) as server:
        if broken == "unknown":
            with pytest.raises(MalformedReplyError, match="br"):
                await lean.post(server.url)
        else:
            reply = await lean.post(server.url)
            if broken == "no":
                assert await reply.read() == content
            else:
                with pytest.raises(StreamInterruptedError):
                    await reply.read()


async def test_an_end_that_nobody_waited_for_frees_the_connection(lean: Sender) -> None:
    async with serve() as server:
        for _ in range(2):
            reply = await lean.post(server.url)
            await reply.aclose()
        assert server.accepted == 1


async def test_connections_that_waited_too_long_are_not_used_and_closed(
    lean: Sender, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lean_transport, "_KEEPALIVE", 0.0)
    async with serve() as server:
        for _ in range(2):
            await (await lean.post(server.url)).read()
        assert server.accepted == 2
        await server.until(open=0)
        monkeypatch.setattr(lean_transport, "_KEEPALIVE", 0.05)
        await (await lean.post(server.url)).read()
        await server.until(open=0)  # swept twice, the first time too early


@pytest.mark.parametrize("when", ["asking", "connecting"])
async def test_cancelled_while_it_connects(lean: Sender, when: str) -> None:
    async with serve(Link.gone) as server:
        scheme = "https" if when == "connecting" else "http"  # nobody answers the hello of TLS
        with pytest.raises((APITimeoutError, APIConnectionError)):
            await lean.post(f"{scheme}://127.0.0.1:{server.port}/", timeout=0.1)
        await server.until(open=0)


async def test_no_tls_is_an_error_of_the_connection(lean: Sender) -> None:
    async def play(link: Link) -> None:
        await link.send(b"220 plain words\r\n" * 10)
        await link.gone()

    async with serve(play) as server:
        with pytest.raises(APIConnectionError):
            await lean.post(f"https://127.0.0.1:{server.port}/")


def test_each_event_loop_has_its_own_connections() -> None:
    transport = LeanTransport(trust_env=False)
    kept: list[Awaitable[object]] = []

    async def call() -> None:
        async with serve() as server:
            sender = Sender("lean", transport)
            reply = await sender.post(server.url)
            assert await reply.read() == b"hello"
            kept.append(await sender.post(server.url))  # type: ignore[arg-type]  # only kept
            if len(kept) == 2:
                await transport.aclose()
            else:
                await server.until(open=1)

    for _ in range(2):
        asyncio.run(call())
    kept.clear()  # one of them belongs to a loop that is closed


async def test_an_interrupted_body_stays_interrupted_for_whoever_reads_on(lean: Sender) -> None:
    async with serve(says(CHUNKED, b"zz\r\n")) as server:
        reply = await lean.post(server.url)
        for _ in range(2):
            with pytest.raises(StreamInterruptedError):
                await reply.chunk()
        await reply.aclose()
        reply.abort()
        await server.until(open=0)
