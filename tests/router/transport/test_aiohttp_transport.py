"""What only the default transport does: TLS, proxies, any number of event loops, an end without aclose."""

import asyncio
import gc
import logging
import shutil
import ssl
import subprocess
import sys
import threading
import warnings
from collections.abc import Callable
from pathlib import Path

import aiohttp
import pytest
import wire
from wire import CHUNKED, Link, Sender, piece, says, serve

from providers.errors import APIConnectionError, ConfigurationError, MalformedReplyError, StreamInterruptedError
from providers.types import Connection
from router.transport.aiohttp_transport import AiohttpTransport
from router.transport.base import OpenReply

ROOT = Path(__file__).parents[3]
TLS = Path(__file__).parent / "tls"
CERTIFICATE = str(TLS / "loopback.pem")
WITH_KEY = str(TLS / "loopback-with-key.pem")
TRUSTING = Connection(verify=CERTIFICATE)


async def test_the_exact_bytes(direct: Sender) -> None:
    async with serve() as server:
        await (await direct.post(f"{server.url}/v1?a=b%2Fc", b"{}", headers={"User-Agent": "x/1"})).read()
        assert server.requests == [
            b"POST /v1?a=b%%2Fc HTTP/1.1\r\nHost: 127.0.0.1:%d\r\nAccept-Encoding: identity\r\n"
            b"content-type: application/json\r\nUser-Agent: x/1\r\nContent-Length: 2\r\n\r\n{}" % server.port
        ]


async def test_no_cookie_is_kept(direct: Sender) -> None:
    async with serve(says(b"HTTP/1.1 200 OK\r\nSet-Cookie: a=b\r\nContent-Length: 0\r\n\r\n")) as server:
        for _ in range(2):
            await (await direct.post(f"http://localhost:{server.port}")).read()
        assert b"ookie" not in server.requests[1]


async def test_no_call_waits_for_another(direct: Sender) -> None:
    asked, everybody = 0, asyncio.Event()

    async def play(link: Link) -> None:
        nonlocal asked
        while await link.request():
            asked += 1
            if asked == 300:
                everybody.set()
            await everybody.wait()
            await link.send(wire.HELLO)

    async with serve(play) as server:
        replies = await asyncio.gather(*(direct.post(server.url) for _ in range(300)))
        assert [await reply.read() for reply in replies] == [b"hello"] * 300


async def test_nothing_is_kept_of_a_reply_that_has_ended(direct: Sender) -> None:
    async with serve() as server:
        # what another test left behind is none of this one's business
        kept = [thing for thing in gc.get_objects() if isinstance(thing, aiohttp.ClientResponse)]
        await (await direct.post(server.url)).read()
        await (await direct.post(server.url)).aclose()
        (await direct.post(server.url)).abort()
        await direct.post(server.url)  # dropped
        reply = await direct.post(server.url)
        while await reply.chunk():
            pass
        del reply
        await asyncio.sleep(0)
        gc.collect()
        left = [thing for thing in gc.get_objects() if isinstance(thing, aiohttp.ClientResponse)]
        assert not [thing for thing in left if not any(thing is each for each in kept)]


async def test_a_head_above_the_limits(direct: Sender) -> None:
    async with serve(says(b"HTTP/1.1 200 OK\r\nX-Long: " + bytes(100_000) + b"\r\n\r\n")) as server:
        with pytest.raises(MalformedReplyError):
            await direct.post(server.url)
        await server.until(open=0)


class TestTls:
    async def test_a_certificate_nobody_vouches_for(self, direct: Sender, server_tls: ssl.SSLContext) -> None:
        async with serve(tls=server_tls) as server:
            with pytest.raises(APIConnectionError, match="ertificate"):
                await direct.get(server.url)

    @pytest.mark.parametrize(
        "connection", [TRUSTING, Connection(verify=False), Connection(verify=False, cert=WITH_KEY)]
    )
    async def test_accepted(self, direct: Sender, server_tls: ssl.SSLContext, connection: Connection) -> None:
        async with serve(tls=server_tls) as server:
            for _ in range(2):
                reply = await direct.get(server.url, connection=connection)
                assert await reply.read() == b"hello"
            assert server.accepted == 1

    async def test_a_folder_of_certificates(self, direct: Sender, server_tls: ssl.SSLContext, tmp_path: Path) -> None:
        shutil.copy(CERTIFICATE, tmp_path / "eadc1405.0")  # the hash of its subject, as `openssl rehash` names it
        async with serve(tls=server_tls) as server:
            reply = await direct.get(server.url, connection=Connection(verify=str(tmp_path)))
            assert await reply.read() == b"hello"

    async def test_the_name_must_match_too(self, direct: Sender, server_tls: ssl.SSLContext) -> None:
        async with serve(tls=server_tls) as server:
            with pytest.raises(APIConnectionError, match="match"):
                await direct.get(f"https://0.0.0.0:{server.port}", connection=TRUSTING)  # leads there, is not named

    async def test_a_client_certificate(self, direct: Sender, server_tls: ssl.SSLContext) -> None:
        demanding = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        demanding.load_cert_chain(WITH_KEY)
        demanding.load_verify_locations(CERTIFICATE)
        demanding.verify_mode = ssl.CERT_REQUIRED
        async with serve(tls=demanding) as server:
            reply = await direct.get(server.url, connection=Connection(verify=CERTIFICATE, cert=WITH_KEY))
            assert await reply.read() == b"hello"
            with pytest.raises(APIConnectionError):
                await direct.get(server.url, connection=TRUSTING)

    async def test_different_settings_share_no_connection(self, direct: Sender, server_tls: ssl.SSLContext) -> None:
        async with serve(tls=server_tls) as server:
            for connection in (TRUSTING, Connection(verify=False), TRUSTING):
                await (await direct.get(server.url, connection=connection)).read()
            assert server.accepted == 2

    async def test_equal_settings_do(self, direct: Sender, server_tls: ssl.SSLContext) -> None:
        async with serve(tls=server_tls) as server:
            for path in ("/a", "/b"):
                await (await direct.get(server.url + path, connection=Connection(verify=CERTIFICATE))).read()
            assert server.accepted == 1

    @pytest.mark.parametrize(
        "connection", [Connection(verify="/no/such.pem"), Connection(cert="/no/such.pem"), Connection(cert=CERTIFICATE)]
    )
    async def test_files_that_cannot_be_loaded(self, direct: Sender, connection: Connection) -> None:
        with pytest.raises(ConfigurationError, match=r"TLS files.*\.pem"):
            await direct.get("https://127.0.0.1:1/", connection=connection)

    async def test_hanging_within_the_body_is_cut_at_once(self, direct: Sender, server_tls: ssl.SSLContext) -> None:
        async with serve(says(CHUNKED, piece(b"endless")), tls=server_tls) as server:
            reply = await direct.get(server.url, connection=TRUSTING)
            await reply.chunk()
            reply.abort()
            await server.until(open=0)


class TestProxy:
    async def test_asks_the_proxy_for_the_whole_address(self, direct: Sender) -> None:
        async with serve() as proxy:
            connection = Connection(proxy=f"http://user:pass@127.0.0.1:{proxy.port}")
            for _ in range(2):
                reply = await direct.get("http://upstream.invalid/v1?a=%2F", connection=connection)
                assert await reply.read() == b"hello"
            assert proxy.requests[1].startswith(b"GET http://upstream.invalid/v1?a=%2F HTTP/1.1\r\n")
            assert b"Proxy-Authorization: Basic dXNlcjpwYXNz\r\n" in proxy.requests[1]
            assert proxy.accepted == 1

    async def test_a_tunnel_for_tls(self, direct: Sender, server_tls: ssl.SSLContext) -> None:
        async def tunnel(link: Link) -> None:
            assert (await link.request()).startswith(b"CONNECT 127.0.0.1:%d HTTP/1.1\r\n" % server.port)
            await link.send(b"HTTP/1.1 200 OK\r\n\r\n")
            await link.relay(server.port)

        async with serve(tls=server_tls) as server, serve(tunnel) as proxy:
            connection = Connection(verify=CERTIFICATE, proxy=proxy.url)
            for _ in range(2):
                reply = await direct.get(server.url, connection=connection)
                assert await reply.read() == b"hello"
            assert (proxy.accepted, server.accepted) == (1, 1)
            await direct.transport.aclose()
            await proxy.until(open=0)

    async def test_a_refusing_proxy(self, direct: Sender) -> None:
        async with serve(says(b"HTTP/1.1 407 Password please\r\nContent-Length: 0\r\n\r\n")) as proxy:
            with pytest.raises(APIConnectionError, match="Password please"):
                await direct.get("https://upstream.invalid/", connection=Connection(proxy=proxy.url))
            await proxy.until(open=0)

    async def test_no_proxy_there(self, direct: Sender) -> None:
        connection = Connection(proxy=f"http://user:word@127.0.0.1:{wire.closed_port()}")
        with pytest.raises(APIConnectionError) as caught:
            await direct.get("http://upstream.invalid/", connection=connection)
        assert "word" not in str(caught.value)

    @pytest.mark.parametrize("proxy", ["socks5://user:word@127.0.0.1:1", "127.0.0.1:1", "http://[", "http://"])
    async def test_of_another_kind(self, direct: Sender, proxy: str) -> None:
        with pytest.raises(ConfigurationError, match=r"httpx\.AsyncClient\(proxy=") as caught:
            await direct.get("http://upstream.invalid/", connection=Connection(proxy=proxy))
        assert "word" not in str(caught.value)

    @pytest.mark.parametrize(
        ("environment", "proxied"),
        [
            ({"http_proxy": "http://{}"}, True),
            ({"http_proxy": "{}"}, True),
            ({"ALL_PROXY": "http://{}"}, True),
            ({"http_proxy": "http://{}", "no_proxy": "127.0.0.1"}, False),
            ({"https_proxy": "http://{}"}, False),
        ],
    )
    async def test_from_the_environment(
        self, monkeypatch: pytest.MonkeyPatch, environment: dict[str, str], proxied: bool
    ) -> None:
        for name in ("http_proxy", "https_proxy", "all_proxy", "no_proxy"):
            monkeypatch.delenv(name, raising=False)
            monkeypatch.delenv(name.upper(), raising=False)
        async with serve() as proxy, serve() as server:
            for name, value in environment.items():
                monkeypatch.setenv(name, value.format(f"127.0.0.1:{proxy.port}"))
            sender = Sender("aiohttp", AiohttpTransport())
            await (await sender.get(server.url)).read()
            await sender.transport.aclose()
            assert (len(proxy.requests), len(server.requests)) == ((1, 0) if proxied else (0, 1))


class TestLoops:
    def test_two_at_the_same_time(self) -> None:
        sender = Sender("aiohttp", AiohttpTransport(trust_env=False))
        together = threading.Barrier(2)
        bodies: list[bytes] = []

        async def work() -> None:
            async with serve() as server:
                for _ in range(3):
                    await asyncio.to_thread(together.wait, wire.PATIENCE)
                    bodies.append(await (await sender.post(server.url)).read())
                assert server.accepted == 1
                await sender.transport.aclose()
                await server.until(open=0)

        threads = [threading.Thread(target=asyncio.run, args=(work(),)) for _ in range(2)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert bodies == [b"hello"] * 6

    def test_one_after_the_other_without_aclose(self) -> None:
        sender = Sender("aiohttp", AiohttpTransport(trust_env=False))

        async def work() -> bytes:
            async with serve() as server:
                unfinished.append(await sender.post(server.url))
                return await (await sender.post(server.url)).read()

        unfinished: list[OpenReply] = []
        for _ in range(2):
            assert asyncio.run(work()) == b"hello"  # sockets left open, or a warning, would fail this test
        unfinished[0].abort()

    @pytest.mark.parametrize("dropped", [True, False])
    def test_a_loop_that_was_closed_without_a_word(self, caplog: pytest.LogCaptureFixture, dropped: bool) -> None:
        sender = Sender("aiohttp", AiohttpTransport(trust_env=False))

        async def work() -> OpenReply:
            await (await sender.post(f"http://127.0.0.1:{port}")).read()
            return await sender.post(f"http://127.0.0.1:{port}")

        with warnings.catch_warnings(record=True) as caught, caplog.at_level(logging.DEBUG), _in_a_thread() as port:
            warnings.simplefilter("always")
            loop = asyncio.new_event_loop()
            reply = loop.run_until_complete(work())
            loop.close()
            reply.abort()
            if dropped:
                del sender
            else:
                asyncio.run(sender.transport.aclose())
            del reply, loop
            gc.collect()
        # Python says this of whatever a loop was closed with; aiohttp's own complaints must not come on top.
        assert {str(warning.message).split(" <")[0] for warning in caught} <= {"unclosed transport", "unclosed"}
        assert not [record for record in caplog.records if record.levelno > logging.DEBUG]

    async def test_usable_again_after_aclose(self, direct: Sender) -> None:
        async with serve() as server:
            for _ in range(2):
                assert await (await direct.post(server.url)).read() == b"hello"
                await direct.transport.aclose()
                await server.until(open=0)
            assert server.accepted == 2

    async def test_aclose_ends_what_is_being_read(self, direct: Sender) -> None:
        async with serve(says(CHUNKED, piece(b"endless"))) as server:
            reply = await direct.post(server.url)
            await reply.chunk()
            reader = asyncio.create_task(reply.chunk())
            await asyncio.sleep(0)
            await direct.transport.aclose()
            with pytest.raises(StreamInterruptedError):
                await reader
            await server.until(open=0)

    async def test_aclose_ends_what_is_being_sent(self, direct: Sender) -> None:
        asked = asyncio.Event()

        async def play(link: Link) -> None:
            await link.request()
            asked.set()

        async with serve(play) as server:
            sending = asyncio.create_task(direct.post(server.url))
            await asked.wait()
            await direct.transport.aclose()
            with pytest.raises(APIConnectionError):
                await sending

    @pytest.mark.parametrize("drop", [gc.collect, lambda: None])
    async def test_dropped_without_aclose(self, drop: Callable[[], object]) -> None:
        complaints: list[object] = []
        asyncio.get_running_loop().set_exception_handler(lambda _, context: complaints.append(context))
        async with serve(says(CHUNKED, piece(b"endless"))) as server:
            sender = Sender("aiohttp", AiohttpTransport(trust_env=False))
            reply = await sender.post(server.url)
            if drop is gc.collect:
                circle: list[object] = [sender, reply]
                circle.append(circle)
                del circle
            del sender, reply
            drop()
            await server.until(open=0)
        assert not complaints


def test_a_program_that_closes_nothing_ends_silently() -> None:
    code = (
        "import asyncio, sys\n"
        "sys.path[:0] = ['tests']\n"
        "from wire import *\n"
        "from router.transport import choose\n"
        "transport = choose()\n"
        "async def main():\n"
        "    async with serve() as server:\n"
        "        global reply\n"
        "        sender = Sender('', transport)\n"
        "        await (await sender.post(server.url)).read()\n"
        "        reply = await sender.post(server.url)\n"
        "asyncio.run(main())\n"
    )
    command = [sys.executable, "-X", "dev", "-W", "always", "-c", code]
    run = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60, check=False)
    assert (run.returncode, run.stdout, run.stderr) == (0, "", "")


class _in_a_thread:  # noqa: N801 - reads as a function
    """A server on a loop of its own; gives its port."""

    def __enter__(self) -> int:
        self._ready = threading.Event()
        self._thread = threading.Thread(target=asyncio.run, args=(self._serve(),))
        self._thread.start()
        self._ready.wait()
        return self._port

    def __exit__(self, *_: object) -> None:
        self._loop.call_soon_threadsafe(self._done.set)
        self._thread.join()

    async def _serve(self) -> None:
        self._loop, self._done = asyncio.get_running_loop(), asyncio.Event()
        async with serve() as server:
            self._port = server.port
            self._ready.set()
            await self._done.wait()
