"""What every transport does, over real sockets."""

import asyncio
import contextlib
import gc
import gzip
import threading
import traceback

import pytest
import wire
from wire import CHUNKED, END, HELLO, Link, Sender, piece, says, serve

from providers.errors import (
    APIConnectionError,
    APIError,
    APITimeoutError,
    AuthenticationError,
    BadRequestError,
    ConfigurationError,
    MalformedReplyError,
    StreamInterruptedError,
)
from providers.types import Connection, HttpRequest
from router.transport.base import OpenReply


async def test_sends_what_it_is_given(sender: Sender) -> None:
    async with serve() as server:
        url = f"{server.url}/v1/responses/a%2Fb?api-version=2024-06-01&q=%20x"
        reply = await sender.post(url, b'{"input":"\xc3\xa9"}', headers={"Authorization": "Bearer k", "x-n": "1"})
        assert (reply.status, await reply.read()) == (200, b"hello")
        head, _, body = server.requests[0].partition(b"\r\n\r\n")
        line, *rest = head.decode().split("\r\n")
        headers = {name.lower(): value for name, _, value in (field.partition(": ") for field in rest)}
    assert line == "POST /v1/responses/a%2Fb?api-version=2024-06-01&q=%20x HTTP/1.1"
    assert body == b'{"input":"\xc3\xa9"}'
    assert (
        headers
        | {
            "authorization": "Bearer k",
            "x-n": "1",
            "content-type": "application/json",
            "content-length": "14",
            "host": f"127.0.0.1:{server.port}",
        }
        == headers
    )
    assert len(headers) == len(rest)  # nothing twice


async def test_a_get_has_no_body(sender: Sender) -> None:
    async with serve() as server:
        reply = await sender.get(f"{server.url}/x")
        assert await reply.read() == b"hello"
        assert server.requests[0].startswith(b"GET /x HTTP/1.1\r\n")
        assert b"ength" not in server.requests[0]


async def test_a_post_without_content_says_so(sender: Sender) -> None:
    async with serve() as server:
        reply = await sender.post(server.url, b"")
        await reply.read()
        assert b"content-length: 0" in server.requests[0].lower()


async def test_headers_are_found_by_lower_case_name(sender: Sender) -> None:
    async with serve(says(b"HTTP/1.1 429 Slow\r\nRetry-After: 3\r\nX-Two: a\r\nContent-Length: 0\r\n\r\n")) as server:
        reply = await sender.post(server.url)
        assert reply.status == 429
        assert reply.headers["retry-after"] == "3"
        assert "x-none" not in reply.headers
        assert await reply.read() == b""


async def test_keeps_connections_alive(sender: Sender) -> None:
    async with serve() as server:
        for _ in range(3):
            reply = await sender.post(server.url)
            await reply.read()
        assert (server.accepted, len(server.requests)) == (1, 3)


async def test_a_body_read_by_chunks_to_its_end_frees_the_connection(sender: Sender) -> None:
    async with serve() as server:
        for _ in range(2):
            reply = await sender.post(server.url)
            assert await reply.chunk() == b"hello"
            assert await reply.chunk() == b""
            assert await reply.chunk() == b""
            await reply.aclose()
            reply.abort()
        assert server.accepted == 1


async def test_interim_replies_are_passed_over(sender: Sender) -> None:
    async with serve(says(b"HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n", HELLO)) as server:
        reply = await sender.post(server.url)
        assert (reply.status, await reply.read()) == (200, b"hello")


async def test_follows_no_redirect(sender: Sender) -> None:
    async with serve(says(b"HTTP/1.1 307 T\r\nLocation: /elsewhere\r\nContent-Length: 0\r\n\r\n")) as server:
        reply = await sender.post(server.url)
        assert (reply.status, await reply.read()) == (307, b"")
        assert len(server.requests) == 1


async def test_a_body_may_end_with_the_connection(sender: Sender) -> None:
    async def play(link: Link) -> None:
        await link.request()
        await link.send(b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\nhello")
        link.close()

    async with serve(play) as server:
        reply = await sender.post(server.url)
        assert await reply.read() == b"hello"


async def test_decompresses(sender: Sender) -> None:
    packed = gzip.compress(b"hello " * 100)
    head = b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: %d\r\n\r\n" % len(packed)
    async with serve(says(head, packed)) as server:
        reply = await sender.post(server.url)
        assert await reply.read() == b"hello " * 100


async def test_chunks_come_as_they_are_written(sender: Sender) -> None:
    heard = asyncio.Event()

    async def play(link: Link) -> None:
        await link.request()
        await link.send(CHUNKED)
        for number in range(5):
            await link.send(piece(b"data: %d\n\n" % number))
            await heard.wait()
            heard.clear()
        await link.send(END)

    async with serve(play) as server:
        reply = await sender.post(server.url)
        for number in range(5):
            assert await reply.chunk() == b"data: %d\n\n" % number
            heard.set()
        assert await reply.chunk() == b""


def _repeats(sender: Sender, verb: str) -> bool:
    """aiohttp sends lost idempotent requests once more, and httpx-aiohttp has no way to turn that off."""
    return bool(sender.kind == "httpx-aiohttp" and verb == "get")


async def _turn() -> None:
    """Let the loop see what has arrived on its sockets."""
    for _ in range(3):
        await asyncio.sleep(0)


async def test_refused(sender: Sender) -> None:
    with pytest.raises(APIConnectionError, match="no connection to http") as caught:
        await sender.post(f"http://secret:word@127.0.0.1:{wire.closed_port()}/path?key=hidden")
    assert "word" not in str(caught.value)
    assert "hidden" not in str(caught.value)


async def test_an_unknown_host(sender: Sender) -> None:
    with pytest.raises(APIConnectionError):
        await sender.post("http://no-such-host.invalid/")


@pytest.mark.parametrize("verb", ["post", "get"])
@pytest.mark.parametrize("reset", [True, False])
async def test_a_connection_lost_before_the_head_is_an_error_and_nothing_is_sent_again(
    sender: Sender, verb: str, reset: bool
) -> None:
    async def play(link: Link) -> None:
        await link.request()
        link.reset() if reset else link.close()

    async with serve(play) as server:
        with pytest.raises(APIConnectionError):
            await getattr(sender, verb)(server.url)
        assert len(server.requests) == (2 if _repeats(sender, verb) else 1)


@pytest.mark.parametrize("verb", ["post", "get"])
async def test_a_kept_connection_that_dies_under_a_request_is_an_error_too(sender: Sender, verb: str) -> None:
    async def play(link: Link) -> None:
        await link.request()
        await link.send(HELLO)
        await link.request()
        link.close()

    if _repeats(sender, verb):
        return
    async with serve(play) as server:
        reply = await getattr(sender, verb)(server.url)
        await reply.read()
        with pytest.raises(APIConnectionError):
            await getattr(sender, verb)(server.url)
        assert (len(server.requests), server.accepted) == (2, 1)
        reply = await getattr(sender, verb)(server.url)
        assert await reply.read() == b"hello"


async def test_an_idle_connection_that_the_server_closed_is_not_used(sender: Sender) -> None:
    async def play(link: Link) -> None:
        await link.request()
        await link.send(HELLO)
        link.close()

    async with serve(play) as server:
        for _ in range(2):
            reply = await sender.post(server.url)
            assert await reply.read() == b"hello"
            await server.until(open=0)
            await _turn()
        assert server.accepted == 2


@pytest.mark.parametrize("reset", [True, False])
@pytest.mark.parametrize("how", ["read", "chunk"])
@pytest.mark.parametrize(
    "start", [CHUNKED + piece(b"some"), b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nsome"], ids=["chunked", "length"]
)
async def test_a_connection_lost_within_the_body(sender: Sender, how: str, reset: bool, start: bytes) -> None:
    heard = asyncio.Event()

    async def play(link: Link) -> None:
        await link.request()
        await link.send(start)
        await heard.wait()
        link.reset() if reset else link.close()

    async with serve(play) as server:
        reply = await sender.post(server.url)
        if how == "chunk":
            assert await reply.chunk() == b"some"
        heard.set()
        with pytest.raises(StreamInterruptedError):
            await getattr(reply, how)()
        with pytest.raises(StreamInterruptedError):  # and it stays so
            await reply.chunk()
        await reply.aclose()
        await server.until(open=0)


async def test_a_broken_encoding(sender: Sender) -> None:
    head = b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 20\r\n\r\n"
    async with serve(says(head, b"not gzip, certainly!")) as server:
        reply = await sender.post(server.url)
        with pytest.raises(StreamInterruptedError):
            await reply.read()


async def test_what_is_not_http(sender: Sender) -> None:
    async with serve(says(b"220 smtp.example.com ready\r\n\r\n")) as server:
        with pytest.raises((MalformedReplyError, APIConnectionError)):
            await sender.post(server.url)
        await server.until(open=0)


async def test_a_hanging_server(sender: Sender) -> None:
    async with serve(Link.gone) as server:
        with pytest.raises(APITimeoutError, match=r"within 0\.05 s"):
            await sender.post(server.url, timeout=0.05)
        await server.until(open=0)


async def test_a_hanging_server_that_reads_nothing(sender: Sender) -> None:
    """The request must not linger in a buffer, with its connection, until the server deigns to read it."""

    async def play(link: Link) -> None:
        await link.head()
        await given_up.wait()
        await link.refused()

    if sender.kind == "httpx-aiohttp":
        pytest.skip("aiohttp by itself does let it linger, and httpx-aiohttp gives no hold on it")
    given_up = asyncio.Event()
    async with serve(play) as server:
        with pytest.raises(APITimeoutError):
            await sender.post(server.url, bytes(30_000_000), timeout=0.2)
        given_up.set()
        await server.until(open=0)


@pytest.mark.filterwarnings("ignore:Sending a large body:ResourceWarning")  # of httpx-aiohttp
async def test_a_large_request(sender: Sender) -> None:
    content = bytes(range(256)) * 8192
    async with serve() as server:
        reply = await sender.post(server.url, content)
        assert await reply.read() == b"hello"
        assert server.requests[0].endswith(b"\r\n\r\n" + content)


@pytest.mark.parametrize("announced", [True, False])
async def test_a_body_above_the_limit(sender: Sender, announced: bool) -> None:
    body = bytes(10_000_000)
    start = b"HTTP/1.1 200 OK\r\nContent-Length: 10000000\r\n\r\n" if announced else CHUNKED
    async with serve(says(start, body if announced else piece(body))) as server:
        reply = await sender.post(server.url)
        with pytest.raises(MalformedReplyError, match="larger than 100000 bytes"):
            await reply.read()
        await server.until(open=0)


async def test_a_body_at_the_limit(sender: Sender) -> None:
    body = bytes(100_000)
    async with serve(says(CHUNKED, piece(body), END)) as server:
        reply = await sender.post(server.url)
        assert await reply.read() == body


async def test_a_key_with_its_newline(sender: Sender) -> None:
    headers = {"Authorization": "Bearer sk-secret\n"}
    async with serve() as server:
        with pytest.raises(AuthenticationError, match="'Authorization'") as caught:
            await sender.post(server.url, headers=headers)
        assert "secret" not in "".join(traceback.format_exception(caught.value))
        assert not server.requests


@pytest.mark.parametrize("header", [{"x-a": "1\r\nx-b: 2"}, {"x-a\r\n": "1"}])
async def test_a_header_that_cannot_be_sent(sender: Sender, header: dict[str, str]) -> None:
    async with serve() as server:
        with pytest.raises(BadRequestError, match="header") as caught:
            await sender.post(server.url, headers=header)
        assert caught.value.param == next(iter(header))
        assert not server.requests


@pytest.mark.parametrize("url", ["127.0.0.1/x", "ftp://127.0.0.1/x", "http:///x", "http://127.0.0.1:http/", ""])
async def test_an_address_that_is_none(sender: Sender, url: str) -> None:
    with pytest.raises(ConfigurationError, match="api_base"):
        await sender.post(url)


async def _consume(sender: Sender, url: str, progress: list[str]) -> None:
    reply = await sender.post(url)
    progress.append("head")
    try:
        while await reply.chunk():
            progress.append("chunk")
    finally:
        reply.abort()


async def test_cancelled_at_any_await_it_closes_its_connection(sender: Sender) -> None:
    async with serve(says(CHUNKED, piece(b"endless"))) as server:
        progress: list[str] = []
        steps = 0
        while "chunk" not in progress:
            task = asyncio.create_task(_consume(sender, server.url, progress))
            for _ in range(steps):
                await asyncio.sleep(0)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            steps += 1
        assert steps > 2
        await server.until(open=0 if sender.kind not in ("httpx-client", "httpx-transport") else 1)  # httpcore's leak


async def test_read_when_cancelled_closes_the_connection(sender: Sender) -> None:
    async with serve(says(CHUNKED, piece(b"endless"))) as server:
        reply = await sender.post(server.url)
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.02):
                await reply.read()
        await server.until(open=0)


async def test_closing_early_closes_the_connection(sender: Sender) -> None:
    async with serve(says(CHUNKED, piece(b"endless"))) as server:
        reply = await sender.post(server.url)
        await reply.chunk()
        await reply.aclose()
        await reply.aclose()
        await server.until(open=0)
        with pytest.raises(StreamInterruptedError):
            await reply.chunk()


@pytest.mark.parametrize("elsewhere", [True, False])
async def test_abort_while_somebody_reads(sender: Sender, elsewhere: bool) -> None:
    async with serve(says(CHUNKED, piece(b"endless"))) as server:
        reply = await sender.post(server.url)
        await reply.chunk()
        reader = asyncio.create_task(reply.chunk())
        await asyncio.sleep(0)
        if elsewhere:
            thread = threading.Thread(target=reply.abort)
            thread.start()
            thread.join()
        else:
            reply.abort()
        with pytest.raises(StreamInterruptedError):
            await reader
        reply.abort()
        await server.until(open=0)


async def _complaints() -> list[object]:
    found: list[object] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: found.append(context))
    return found


@pytest.mark.parametrize("read", [True, False])
async def test_an_abandoned_reply_closes_its_connection(sender: Sender, read: bool) -> None:
    complaints = await _complaints()
    async with serve(says(CHUNKED, piece(b"endless"))) as server:
        reply = await sender.post(server.url)
        if read:
            await reply.chunk()
        del reply
        gc.collect()
        await server.until(open=0)
    assert not complaints


async def test_a_reply_abandoned_in_a_circle_and_collected_in_another_thread(sender: Sender) -> None:
    complaints = await _complaints()
    asyncio.get_running_loop().set_debug(True)
    async with serve(says(CHUNKED, piece(b"endless"))) as server:
        reply = await sender.post(server.url)
        circle: list[object] = [reply]
        circle.append(circle)
        del reply, circle
        thread = threading.Thread(target=gc.collect)
        thread.start()
        thread.join()
        await server.until(open=0)
    assert not complaints


async def test_many_at_once(sender: Sender) -> None:
    async def call(number: int) -> bytes:
        reply: OpenReply = await sender.post(server.url, b"%d" % number)
        return await reply.read()

    async def echo(link: Link) -> None:
        while request := await link.request():
            body = request.partition(b"\r\n\r\n")[2]
            await link.send(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(body), body)

    async with serve(echo) as server:
        bodies = await asyncio.gather(*(call(number) for number in range(64)))
        assert bodies == [b"%d" % number for number in range(64)]


async def test_every_fault_is_an_api_error_without_the_key(sender: Sender) -> None:
    async with serve(says(b"HTTP/1.1 200 OK\r\nContent-Length: many\r\n\r\n")) as server:
        request = HttpRequest("POST", f"{server.url}/?key=hidden", {"api-key": "hidden"}, b"{}")
        with pytest.raises(APIError) as caught:
            await sender.transport.send(request, Connection(), timeout=20)
        assert "hidden" not in str(caught.value)


async def test_a_reply_whose_loop_has_ended_can_be_dropped(sender: Sender) -> None:
    async with serve(says(CHUNKED, piece(b"endless"))) as server:
        reply = await sender.post(server.url)
        with contextlib.suppress(StreamInterruptedError):
            await reply.chunk()
        await sender.transport.aclose()
        await reply.aclose()
        await server.until(open=0)
