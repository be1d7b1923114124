"""Files that a call names are downloaded: within bounds, from public addresses unless more is allowed."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

import pytest
from fakes import Clock
from wire import CHUNKED, END, Link, Play, closed_port, piece, says, serve

from providers.errors import APIConnectionError, BadRequestError
from router import Router
from router.addresses import CheckedResolver, is_public, look_up
from router.fetching import MAX_FILES, Fetcher, RemoteFiles
from router.media import media_type

PNG = b"\x89PNG\r\n\x1a\n" + b"pixels"
FOREVER = 60.0


def file(content: bytes, *headers: str, status: str = "200 OK") -> bytes:
    """An answer with this body."""
    lines = [f"HTTP/1.1 {status}", f"Content-Length: {len(content)}", *headers]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + content


def by_path(**answers: bytes) -> Play:
    """Answers by the first segment of the path."""

    async def play(link: Link) -> None:
        while request := await link.request():
            await link.send(answers[request.split(b" ")[1].decode().strip("/").partition("?")[0].partition("/")[0]])

    return play


def names(**addresses: Sequence[str]) -> Callable[[str, int], Awaitable[Sequence[str]]]:
    """A resolver that knows these first labels of names."""

    async def look_up(host: str, port: int) -> Sequence[str]:
        found = addresses.get(host.partition(".")[0])
        if found is None:
            raise OSError("no such host")
        return found

    return look_up


async def refusal(fetcher: Fetcher, url: str, timeout: float = FOREVER) -> str:
    with pytest.raises(BadRequestError) as caught:
        await fetcher.fetch([url], timeout)
    assert (caught.value.param, caught.value.code) == ("input", "invalid_file_url")
    return caught.value.message


# what is downloaded


async def test_files_come_by_their_urls() -> None:
    async with serve(by_path(a=file(PNG, "Content-Type: Image/PNG; x=y"), b=file(b"%PDF-1"))) as server:
        first, second = f"{server.url}/a", f"{server.url}/b?sig=1%2F2"
        files = await Fetcher("any").fetch([first, second, first], FOREVER)
        assert set(files) == {first, second}
        assert (files[first].media_type, files[first].content) == ("image/png", PNG)
        assert (files[second].media_type, files[second].content) == ("application/pdf", b"%PDF-1")
        assert sorted(request.split(b" ")[1] for request in server.requests) == [b"/a", b"/b?sig=1%2F2"]
        await server.until(open=0)


async def test_a_request_asks_for_the_plain_file_and_says_who_asks() -> None:
    async with serve(says(file(PNG))) as server:
        await Fetcher("any", look_up=names(files=["127.0.0.1"])).fetch([f"http://files.test:{server.port}/a b"], 9.0)
        (request,) = server.requests
        head = request.decode().lower()
        assert request.startswith(b"GET /a%20b HTTP/1.1\r\n")
        for line in (f"host: files.test:{server.port}", "accept-encoding: identity", "user-agent: homing-router"):
            assert f"\r\n{line}\r\n" in head
        assert "cookie" not in head


async def test_files_come_at_the_same_time() -> None:
    arrived = asyncio.Barrier(3)

    async def play(link: Link) -> None:
        await link.request()
        await arrived.wait()
        await link.send(file(PNG))

    async with serve(play) as server:
        files = await Fetcher("any").fetch([f"{server.url}/{each}" for each in "abc"], FOREVER)
        assert len(files) == 3


async def test_redirects_are_followed_thrice() -> None:
    def to(where: str) -> bytes:
        return file(b"", f"Location: {where}", status="302 Found")

    async with serve(by_path(a=to("/b"), b=to("c?x=1"), c=to("/d"), d=file(PNG), z=to("/a"))) as server:
        url = f"{server.url}/a"
        assert (await Fetcher("any").fetch([url], FOREVER))[url].content == PNG
        assert "leads on more than 3 times" in await refusal(Fetcher("any"), f"{server.url}/z")


async def test_a_redirect_leads_to_http_only() -> None:
    async with serve(says(file(b"", "Location: file:///etc/passwd", status="301 Moved"))) as server:
        assert "the address it leads on to is not an http" in await refusal(Fetcher("any"), server.url)
    async with serve(says(file(b"", "Location: http://[", status="301 Moved"))) as server:
        assert "the address it leads on to is not an http" in await refusal(Fetcher("any"), server.url)


# what is refused


@pytest.mark.parametrize("url", ["file:///etc/passwd", "ftp://host/x", "x.png", "http://", "http://[", "http://h:0/"])
async def test_only_http_is_downloaded(url: str) -> None:
    assert "is not an http:// or https:// URL" in await refusal(Fetcher("any"), url)


async def test_nothing_is_downloaded_if_the_router_may_not() -> None:
    assert "`remote_files` is 'refuse'" in await refusal(Fetcher("refuse"), "http://8.8.8.8/x")


async def test_too_many_files_are_refused() -> None:
    with pytest.raises(BadRequestError, match=f"at most {MAX_FILES}"):
        await Fetcher("any").fetch([f"http://h/{each}" for each in range(MAX_FILES + 1)], FOREVER)


@pytest.mark.parametrize(
    ("answer", "why"),
    [
        (file(b"", status="404 Not Found"), "its server answered 404"),
        (file(b"", status="503 Busy"), "its server answered 503"),
        (file(b"x", "Content-Encoding: gzip"), "compressed"),
        (file(b"123456789"), "larger than 8 bytes"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n", "larger than 8 bytes"),
        (CHUNKED + piece(b"12345") + piece(b"6789") + END, "larger than 8 bytes"),
        (b"SSH-2.0-OpenSSH\r\n\r\n", "did not answer in HTTP"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n12", "the connection to its host failed|did not answer in HTTP"),
    ],
)
async def test_what_can_not_be_used_is_named(answer: bytes, why: str) -> None:
    async def play(link: Link) -> None:
        await link.request()
        await link.send(answer)
        link.close()

    async with serve(play) as server:
        host = f"u:secret@127.0.0.1:{server.port}"
        said = await refusal(Fetcher("any", max_file=8), f"http://{host}/pic.png?token=secret#secret")
        assert said.startswith(f"input: http://127.0.0.1:{server.port}/pic.png: ")
        assert any(each in said for each in why.split("|")), said
        assert "secret" not in said
        await server.until(open=0)


async def test_the_files_of_a_call_are_bounded_together() -> None:
    async with serve(says(CHUNKED + piece(b"12345") + END)) as server:
        urls = [f"{server.url}/{each}" for each in "abc"]
        assert len(await Fetcher("any", max_total=15).fetch(urls, FOREVER)) == 3
        with pytest.raises(BadRequestError, match="too large together"):
            await Fetcher("any", max_total=14).fetch(urls, FOREVER)


async def test_no_host_and_no_connection() -> None:
    fetcher = Fetcher("any", look_up=names())
    assert "its host is not known" in await refusal(fetcher, "http://nobody.test/x")
    assert "the connection to its host failed" in await refusal(fetcher, f"http://127.0.0.1:{closed_port()}/x")


async def test_a_long_address_is_shown_shortened() -> None:
    said = await refusal(Fetcher("any", look_up=names()), "http://nobody.test/" + "x" * 1000)
    assert len(said) < 300


# time


async def test_what_does_not_arrive_in_time_is_named() -> None:
    asked = asyncio.Event()

    async def play(link: Link) -> None:
        if b" /quick " in await link.request():
            await link.send(file(PNG))
        else:
            asked.set()

    fetcher = Fetcher("any")
    async with serve(play) as server:
        task = asyncio.create_task(fetcher.fetch([f"{server.url}/quick", f"{server.url}/slow?sig=x"], FOREVER))
        await asked.wait()
        await server.until(open=1)  # the quick one has arrived
        (limit,) = fetcher._running
        limit.reschedule(0)
        with pytest.raises(BadRequestError, match=r"/slow: it did not arrive within 60 s"):
            await task
        await server.until(open=0)
        assert "it did not arrive within 0 s" in await refusal(fetcher, f"{server.url}/slow", timeout=0.0)


async def test_a_cancelled_call_leaves_nothing_behind() -> None:
    asked = asyncio.Event()

    async def play(link: Link) -> None:
        await link.request()
        asked.set()

    async with serve(play) as server:
        task = asyncio.create_task(Fetcher("any").fetch([server.url], FOREVER))
        await asked.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        await server.until(open=0)


async def test_closing_ends_downloads_of_this_loop() -> None:
    asked = asyncio.Event()

    async def play(link: Link) -> None:
        await link.request()
        asked.set()

    fetcher = Fetcher("any")
    async with serve(play) as server:
        task = asyncio.create_task(fetcher.fetch([server.url], FOREVER))
        await asked.wait()
        await asyncio.to_thread(asyncio.run, fetcher.aclose())  # another loop has nothing to end
        assert len(fetcher._running) == 1
        await fetcher.aclose()
        with pytest.raises(APIConnectionError, match="closed while it downloaded"):
            await task
        await server.until(open=0)
    await fetcher.aclose()


# from where


@pytest.mark.parametrize(
    "host",
    ["127.0.0.1", "10.0.0.1", "169.254.169.254", "[::1]", "[::ffff:127.0.0.1]", "127.1", "0.0.0.0", "[fe80::1%25lo]"],
)
async def test_private_addresses_are_not_asked(host: str) -> None:
    async with serve(says(file(PNG))) as server:
        assert "not a public one" in await refusal(Fetcher(), f"http://{host}:{server.port}/")
        assert server.accepted == 0


@pytest.mark.parametrize("name", ["inside", "mixed", "localhost", "0x7f"])
async def test_names_of_private_addresses_are_not_asked(name: str) -> None:
    async with serve(says(file(PNG))) as server:
        known = names(inside=["127.0.0.1"], mixed=["10.1.2.3", "::1"])
        fetcher = Fetcher(look_up=look_up if name in ("localhost", "0x7f") else known)
        host = {"0x7f": "0x7f.1"}.get(name, name)
        assert "not a public one" in await refusal(fetcher, f"http://{host}:{server.port}/")
        assert server.accepted == 0


async def test_a_redirect_into_the_own_network_is_not_followed(monkeypatch: pytest.MonkeyPatch) -> None:
    # loopback counts as public for the first step only, so that a real server can send us on
    async with serve(says(file(PNG))) as inside:
        answer = file(b"", f"Location: http://127.0.0.2:{inside.port}/", status="307 Go")
        async with serve(says(answer)) as outside:
            monkeypatch.setattr("router.fetching.is_public", lambda address: address == "127.0.0.1")
            assert "not a public one" in await refusal(Fetcher(), outside.url)
            assert (outside.accepted, inside.accepted) == (1, 0)


async def test_what_was_checked_is_what_is_connected_to() -> None:
    asked: list[tuple[str, int]] = []

    async def rebinding(host: str, port: int) -> Sequence[str]:
        asked.append((host, port))
        return ["8.8.8.8", "127.0.0.1"] if len(asked) == 1 else ["127.0.0.1"]

    resolver = CheckedResolver(rebinding, public=True)
    (found,) = await resolver.resolve("h", 80)
    assert (found["host"], found["hostname"], found["port"]) == ("8.8.8.8", "h", 80)
    assert asked == [("h", 80)]
    await resolver.close()


async def test_both_kinds_of_addresses_are_given() -> None:
    found = await CheckedResolver(names(h=["2606:4700::1111", "1.1.1.1"]), public=True).resolve("h", 80)
    assert [each["host"] for each in found] == ["2606:4700::1111", "1.1.1.1"]
    assert found[0]["family"] != found[1]["family"]


@pytest.mark.parametrize(
    "address", ["8.8.8.8", "2606:4700::1111", "::ffff:8.8.8.8", "64:ff9b::8.8.8.8", "2002:808:808::1"]
)
def test_public_addresses(address: str) -> None:
    assert is_public(address)


@pytest.mark.parametrize(
    "address",
    [
        *("127.0.0.1", "0.0.0.0", "10.0.0.1", "172.16.0.1", "192.168.1.1", "100.64.0.1", "169.254.169.254", "127.1"),
        *("192.0.2.1", "192.88.99.1", "198.18.0.1", "224.0.0.1", "240.0.0.1", "255.255.255.255", "::", "::1"),
        *("::8.8.8.8", "::ffff:10.0.0.1", "64:ff9b::7f00:1", "64:ff9b:1::1", "2002:7f00:1::", "2001:0:1::1"),
        *("2001:db8::1", "fe80::1", "fe80::1%eth0", "fec0::1", "fc00::1", "ff02::1"),
    ],
)
def test_addresses_that_are_not_public(address: str) -> None:
    assert not is_public(address)


# kinds of files


@pytest.mark.parametrize(
    ("header", "content", "path", "kind"),
    [
        ("image/png", b"GIF89a", "/x.pdf", "image/png"),
        ("application/octet-stream", b"GIF89a", "/x.pdf", "image/gif"),
        (None, b"RIFF\0\0\0\0WEBPVP8", "/x", "image/webp"),
        (None, b"RIFF\0\0\0\0WAVEfmt", "/x", "audio/wav"),
        (None, b"\0\0\0\x20ftypavif", "/x", "image/avif"),
        (None, b"\0\0\0\x20ftypisom", "/x", "video/mp4"),
        ("", b"a,b", "/a.b/table.CSV", "text/csv"),
        ("binary/octet-stream; x=y", b"?", "/x", "application/octet-stream"),
    ],
)
def test_kinds(header: str | None, content: bytes, path: str, kind: str) -> None:
    assert media_type(header, content, path) == kind


# in a Router


@pytest.mark.parametrize(("setting", "rule"), [({}, "public"), ({"remote_files": "any"}, "any")])
async def test_a_router_says_from_where(setting: dict[str, Any], rule: RemoteFiles, clock: Clock) -> None:
    router = Router(clock=clock, **setting)
    assert router._fetcher._rule == rule
    await router.aclose()
