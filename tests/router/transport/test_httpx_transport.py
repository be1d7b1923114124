"""What only the adapter of httpx does: its errors, the user's own client, one event loop."""

import asyncio
import gc
from collections.abc import AsyncIterator

import httpx
import pytest
from wire import CHUNKED, Sender, piece, says, serve

from providers.errors import (
    APIConnectionError,
    APITimeoutError,
    BadRequestError,
    ConfigurationError,
    MalformedReplyError,
    RouterError,
    StreamInterruptedError,
    TransportError,
)
from providers.types import Connection
from router.transport.httpx_transport import HttpxTransport

URL = "http://upstream.invalid/"


def _concrete(base: type[Exception]) -> list[type[Exception]]:
    """The classes under `base` that have none under them."""
    return [leaf for kind in base.__subclasses__() for leaf in _concrete(kind) or [kind]]


SPECIAL: dict[type[Exception], type[RouterError]] = {
    httpx.ConnectTimeout: APITimeoutError,
    httpx.ReadTimeout: APITimeoutError,
    httpx.WriteTimeout: APITimeoutError,
    httpx.PoolTimeout: APITimeoutError,
    httpx.LocalProtocolError: BadRequestError,
    httpx.UnsupportedProtocol: ConfigurationError,
    httpx.TooManyRedirects: MalformedReplyError,
}


def _raising(error: Exception) -> Sender:
    def answer(request: httpx.Request) -> httpx.Response:
        raise error

    return Sender("mock", HttpxTransport(httpx.MockTransport(answer)))


@pytest.mark.parametrize("kind", _concrete(httpx.RequestError))
async def test_every_error_of_httpx_before_the_head_is_ours(kind: type[Exception]) -> None:
    with pytest.raises(SPECIAL.get(kind, APIConnectionError)) as caught:
        await _raising(kind("why")).post(URL)
    if kind is httpx.LocalProtocolError:  # it quotes what it complains of, which may be a key
        assert caught.value.__cause__ is None
    else:
        assert isinstance(caught.value.__cause__, kind)


def test_the_errors_of_httpx_are_all_there() -> None:
    assert set(SPECIAL) < set(_concrete(httpx.RequestError))


class Breaking(httpx.AsyncByteStream):
    """A body that fails after its first part."""

    def __init__(self, error: Exception) -> None:
        self._error = error

    async def __aiter__(self) -> AsyncIterator[bytes]:
        yield b"some"
        raise self._error


@pytest.mark.parametrize("kind", _concrete(httpx.RequestError))
async def test_every_error_of_httpx_within_the_body_is_ours(kind: type[Exception]) -> None:
    def answer(request: httpx.Request) -> httpx.Response:
        return httpx.Response(200, stream=Breaking(kind("why")))

    reply = await Sender("mock", HttpxTransport(httpx.MockTransport(answer))).post(URL)
    assert await reply.chunk() == b"some"
    with pytest.raises(StreamInterruptedError):
        await reply.chunk()
    await reply.aclose()


async def test_an_error_in_a_body_that_is_not_httpxs_comes_through() -> None:
    def answer(request: httpx.Request) -> httpx.Response:
        return httpx.Response(200, stream=Breaking(ZeroDivisionError()))

    reply = await Sender("mock", HttpxTransport(httpx.MockTransport(answer))).post(URL)
    with pytest.raises(ZeroDivisionError):
        await reply.read()
    with pytest.raises(TransportError):
        await reply.chunk()


async def test_whatever_a_transport_of_ones_own_raises_means_no_reply() -> None:
    with pytest.raises(APIConnectionError, match="KeyError"):
        await _raising(KeyError("x")).post(URL)


async def test_an_encoding_that_fails_before_the_head() -> None:
    with pytest.raises(BadRequestError, match="cannot be sent: ValueError"):
        await _raising(ValueError("Bearer hidden")).post(URL)


@pytest.mark.parametrize("connection", [Connection(verify=False), Connection(proxy="http://p"), Connection(cert="x")])
async def test_settings_of_a_deployment_do_not_mix_with_a_client_of_ones_own(connection: Connection) -> None:
    async with httpx.AsyncClient() as client:
        with pytest.raises(ConfigurationError, match="set them on that client"):
            await Sender("client", HttpxTransport(client)).get(URL, connection=connection)


class TestClient:
    async def test_its_settings_hold_and_it_stays_open(self) -> None:
        seen: list[int] = []

        async def note(response: httpx.Response) -> None:
            seen.append(response.status_code)

        client = httpx.AsyncClient(
            headers={"x-mine": "1"},
            params={"api-version": "1"},
            auth=("user", "pass"),
            cookies={"a": "b"},
            event_hooks={"response": [note]},
            trust_env=False,
            timeout=0.001,
        )
        async with client, serve() as server:
            transport = HttpxTransport(client)
            reply = await Sender("client", transport).post(f"{server.url}/x")
            assert await reply.read() == b"hello"
            await transport.aclose()
            assert not client.is_closed
            request = server.requests[0].lower()
            assert request.startswith(b"post /x?api-version=1 ")
            assert b"\r\nx-mine: 1\r\n" in request
            assert b"\r\ncookie: a=b\r\n" in request
            assert b"\r\nauthorization: basic " in request
            assert seen == [200]

    async def test_follows_redirects_if_told_to(self) -> None:
        async with serve() as there:
            redirect = b"HTTP/1.1 307 There\r\nLocation: %s\r\nContent-Length: 0\r\n\r\n" % there.url.encode()
            async with serve(says(redirect)) as server, httpx.AsyncClient(follow_redirects=True) as client:
                reply = await Sender("client", HttpxTransport(client)).post(server.url, b"body")
                assert (reply.status, await reply.read()) == (200, b"hello")
                assert there.requests[0].endswith(b"\r\n\r\nbody")

    @pytest.mark.parametrize("read", [True, False])
    async def test_a_hook_that_raises_for_status_does_not_hide_the_reply(self, read: bool) -> None:
        async def check(response: httpx.Response) -> None:
            if read:
                await response.aread()
            response.raise_for_status()

        hooks = {"response": [check]}
        head = b"HTTP/1.1 429 Slow\r\nRetry-After: 7\r\nContent-Length: 4\r\n\r\nwait"
        async with serve(says(head)) as server, httpx.AsyncClient(event_hooks=hooks, trust_env=False) as client:
            reply = await Sender("client", HttpxTransport(client)).post(server.url)
            assert (reply.status, reply.headers["retry-after"]) == (429, "7")
            assert await reply.read() == (b"wait" if read else b"")

    async def test_its_timeouts_do_not_cut_a_slow_stream(self) -> None:
        async with (
            serve(says(CHUNKED, piece(b"one"))) as server,
            httpx.AsyncClient(timeout=0.01, trust_env=False) as client,
        ):
            reply = await Sender("client", HttpxTransport(client)).post(server.url)
            assert await reply.chunk() == b"one"
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(0.05):
                    await reply.chunk()
            await reply.aclose()


class TestLoops:
    def test_a_second_loop_is_refused(self) -> None:
        inner = httpx.AsyncHTTPTransport()
        transport = HttpxTransport(inner)

        async def work() -> bytes:
            async with serve() as server:
                body = await (await Sender("x", transport).post(server.url)).read()
                await inner.aclose()
                return body

        assert asyncio.run(work()) == b"hello"
        with pytest.raises(ConfigurationError, match="event loop"):
            asyncio.run(work())

    def test_unless_the_transport_opens_no_connection(self) -> None:
        sender = Sender("x", HttpxTransport(httpx.MockTransport(lambda request: httpx.Response(200, content=b"hi"))))

        async def work() -> bytes:
            return await (await sender.post(URL)).read()

        assert [asyncio.run(work()) for _ in range(2)] == [b"hi", b"hi"]

    def test_a_reply_dropped_after_its_loop(self) -> None:
        sender = Sender("x", HttpxTransport(httpx.MockTransport(lambda request: httpx.Response(200, content=b"hi"))))
        reply = asyncio.run(sender.post(URL))
        reply.abort()
        del reply
        gc.collect()
