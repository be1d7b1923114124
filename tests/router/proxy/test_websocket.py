"""WebSocket mode: what is refused, how one connection is shared, when it ends; over real sockets."""

import asyncio
import json
import select
import socket
import threading
from collections.abc import AsyncIterator, Iterator
from contextlib import ExitStack, asynccontextmanager, contextmanager
from itertools import pairwise
from typing import Any

import leftovers
import pytest
from conversations import KEY
from proxies import PATIENCE, proxying
from pydantic import SecretStr
from routers import AFFINITY, bodies, entry, group, in_flight, misbehave
from websocket_talk import BEARER, ask, closing, handshaken, hear, hear_all, opened, say
from websockets.asyncio.client import ClientConnection as AsyncConnection
from websockets.asyncio.client import connect as connect_async
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.connection import Connection
from wire import CHUNKED, END, Link, piece
from wire import serve as serving_bytes

from providers.simulated import SimulatedUpstream
from router import Router
from router.proxy.app import Proxy
from router.proxy.server import listen, server
from router.proxy.settings import ProxySettings
from router.proxy.websocket import lanes as lanes_module
from router.proxy.websocket.channel import Channel

CREATE = json.dumps({"type": "response.create", "model": "gpt", "input": "hi"})


_nothing_left_open = leftovers.nothing_left_open_at_the_end


@pytest.fixture(scope="module")
def upstreams() -> Iterator[list[SimulatedUpstream]]:
    with SimulatedUpstream.in_thread("u0") as one, SimulatedUpstream.in_thread("u1") as two:
        yield [one, two]


@pytest.fixture(scope="module")
def router(upstreams: list[SimulatedUpstream]) -> Router:
    return Router(
        group(upstreams), optional_pre_call_checks=AFFINITY, routing_strategy="round-robin", num_retries=0,
        disable_cooldowns=True,
    )  # fmt: skip


@pytest.fixture(scope="module")
def url(router: Router) -> Iterator[str]:
    with proxying(router, ProxySettings(master_key=SecretStr(KEY))) as url:
        yield url


@pytest.fixture(autouse=True)
def _well(upstreams: list[SimulatedUpstream], router: Router) -> Iterator[None]:
    yield
    for upstream in upstreams:
        misbehave(upstream, tokens=8, token_delay=0.0)
        upstream.wait_until(lambda upstream=upstream: upstream.active_requests == 0)  # type: ignore[misc]
    assert in_flight(router) == {}


@asynccontextmanager
async def serving_here(router: Router) -> AsyncIterator[tuple[Proxy, str]]:
    """A proxy in this loop, and where its WebSockets are."""
    listening = listen("127.0.0.1", 0)
    proxy = Proxy(router)
    running = server(proxy, grace=1.0)
    task = asyncio.create_task(running.serve(sockets=[listening]))
    try:
        yield proxy, f"ws://127.0.0.1:{listening.getsockname()[1]}/responses"
    finally:
        running.should_exit = True
        await task


@contextmanager
def small(url: str) -> Iterator[Connection]:
    """A WebSocket whose client soon takes no more, unless it is read from."""
    host, _, port = url.removeprefix("http://").partition(":")
    with socket.socket() as client:
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        client.connect((host, int(port)))
        with opened(url, sock=client, ping_interval=None, max_queue=1, close_timeout=0.1) as reader:
            yield reader


async def rest(socket: AsyncConnection) -> list[dict[str, Any]]:
    """The events that come before the proxy closes."""
    events = []
    try:
        while True:
            events.append(json.loads(await socket.recv()))
    except ConnectionClosed:
        return events


# handshakes


@pytest.mark.parametrize("prefix", ["", "/v1", "/openai/v1", "/openai"])
def test_a_websocket_is_served_wherever_responses_are(url: str, prefix: str) -> None:
    with opened(url, f"{prefix}/responses") as socket:
        assert ask(socket)["type"] == "response.completed"


@pytest.mark.parametrize(
    ("path", "headers", "status", "code"),
    [
        ("/v1/responses", {}, 401, "invalid_api_key"),
        ("/v1/responses", {"authorization": "Bearer wrong"}, 401, "invalid_api_key"),
        ("/v1/models", BEARER, 404, "not_found"),
        ("/v1/responses/resp_1", BEARER, 404, "not_found"),
    ],
    ids=["no key", "wrong key", "another endpoint", "a response"],
)
def test_a_handshake_is_denied_as_any_other_request(url: str, path: str, headers: Any, status: int, code: str) -> None:
    with pytest.raises(InvalidStatus) as denied, opened(url, path, headers):
        pass
    answer = denied.value.response
    assert (answer.status_code, answer.headers["content-type"]) == (status, "application/json")
    assert answer.body is not None
    assert json.loads(answer.body)["error"]["code"] == code


def test_pages_of_other_sites_get_in_only_with_a_key(upstreams: list[SimulatedUpstream], url: str) -> None:
    with opened(url, origin="https://evil.example") as socket:
        assert ask(socket)["type"] == "response.completed"
    with proxying(Router(group(upstreams))) as free:
        own = free.removeprefix("http://")
        with opened(free, headers={}, origin=f"http://{own}"):
            pass
        with pytest.raises(InvalidStatus) as denied, opened(free, headers={}, origin="https://evil.example"):
            pass
        assert denied.value.response.status_code == 403


async def connecting() -> Any:
    """What a server tells first."""
    return {"type": "websocket.connect"}


async def test_a_server_that_cannot_deny_closes() -> None:
    sent: list[Any] = []

    async def send(message: Any) -> None:
        sent.append(message)

    scope = {"type": "websocket", "path": "/nowhere", "headers": []}
    await Proxy(Router([]))(scope, connecting, send)
    assert sent == [{"type": "websocket.close"}]


@pytest.mark.parametrize("warm_up", [False, True], ids=["an error", "an event"])
async def test_a_server_that_hears_of_the_end_first_tells_it_in_two_ways(warm_up: bool) -> None:
    gone = asyncio.Event()
    said = json.dumps({**json.loads(CREATE), "generate": not warm_up})
    messages = iter([{"type": "websocket.connect"}, {"type": "websocket.receive", "text": said}])
    sent: list[str] = []

    async def receive() -> Any:
        for message in messages:
            return message
        await gone.wait()
        return {"type": "websocket.disconnect"}

    async def send(message: Any) -> None:
        sent.append(message["type"])
        if message["type"] == "websocket.send":
            gone.set()
            raise RuntimeError("it is closed")  # as uvicorn says it

    router = Router([entry("http://127.0.0.1:9")] if warm_up else [])
    await Proxy(router)({"type": "websocket", "path": "/responses", "headers": []}, receive, send)
    await router.aclose()
    assert sent == ["websocket.accept", "websocket.send"]


async def test_a_server_that_gives_up_finds_nothing_left() -> None:
    messages = iter([{"type": "websocket.connect"}])
    sent: list[str] = []
    accepted = asyncio.Event()

    async def receive() -> Any:
        for message in messages:
            return message
        await asyncio.Event().wait()
        raise AssertionError("nothing comes")

    async def send(message: Any) -> None:
        sent.append(message["type"])
        accepted.set()

    scope = {"type": "websocket", "path": "/responses", "headers": []}
    serving = asyncio.ensure_future(Proxy(Router([]))(scope, receive, send))
    await accepted.wait()
    await asyncio.sleep(0)
    serving.cancel()
    await serving
    assert sent == ["websocket.accept", "websocket.close"]


async def test_a_handshake_that_fails_within_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    proxy = Proxy(Router([]))
    sent: list[Any] = []

    async def send(message: Any) -> None:
        sent.append(message)

    async def admit(headers: Any) -> Any:
        raise ZeroDivisionError

    proxy.keys.admit = admit  # type: ignore[method-assign]  # as if it were wrong
    scope = {"type": "websocket", "path": "/", "headers": [], "extensions": {"websocket.http.response": {}}}
    await proxy(scope, connecting, send)
    assert sent[0]["status"] == 500
    assert "ZeroDivisionError" in caplog.text


def test_what_browsers_put_into_a_handshake_is_nobodys_to_see() -> None:
    headers = [(b"Sec-WebSocket-Protocol", b"openai-insecure-api-key.sk-1"), (b"host", b"x")]
    channel = Channel({"path": "/", "headers": headers}, connecting, connecting)  # type: ignore[arg-type]  # not called
    assert channel.headers == {"host": "x"}


# what is said


@pytest.mark.parametrize(
    ("said", "code", "param"),
    [
        ("{", "invalid_json", None),
        ("[]", "invalid_json", None),
        ({}, "invalid_event_type", "type"),
        ({"type": "response.cancel"}, "invalid_event_type", "type"),
        ({"type": "response.create", "stream_id": ""}, "invalid_stream_id", "stream_id"),
        ({"type": "response.create", "stream_id": 7}, "invalid_stream_id", "stream_id"),
        ({"type": "response.create", "stream_id": "a b"}, "invalid_stream_id", "stream_id"),
        ({"type": "response.create", "stream": False}, "unsupported_parameter", "stream"),
        ({"type": "response.create", "background": True}, "unsupported_parameter", "background"),
        ({"type": "response.create", "generate": "no"}, "invalid_argument", "generate"),
        ({"type": "response.create"}, "missing_required_parameter", "model"),
        ({"type": "response.create", "model": 7}, "missing_required_parameter", "model"),
        ({"type": "response.create", "model": "gtp", "input": "hi"}, "model_not_found", "model"),
        ({"type": "response.create", "model": "gtp", "input": "hi", "generate": False}, "model_not_found", "model"),
        ({"type": "response.create", "model": "gpt", "input": 7, "generate": False}, "invalid_argument", "input"),
        ({"type": "response.create", "model": "gpt", "affinity_scope": "x"}, "invalid_argument", "affinity_scope"),
        (
            {"type": "response.create", "model": "gpt", "input": "hi", "previous_response_id": "resp_" + "0" * 50},
            "previous_response_not_found",
            "previous_response_id",
        ),
    ],
    ids=str,
)
def test_what_is_wrong_is_told_as_an_event_and_the_next_may_be_right(
    url: str, said: Any, code: str, param: str | None
) -> None:
    with opened(url) as socket:
        socket.send(said if isinstance(said, str) else json.dumps(said))
        event = hear(socket)
        assert (event["type"], event["status"]) == ("error", 400)
        assert (event["error"]["type"], event["error"]["code"], event["error"]["param"]) == (
            "invalid_request_error",
            code,
            param,
        )
        assert "stream_id" not in event
        socket.send(json.dumps({"type": "response.create", "model": "gpt", "input": "hi", "stream": True}).encode())
        assert hear_all(socket)[-1]["type"] == "response.completed"


def test_what_would_steer_a_response_is_given_back(url: str) -> None:
    with opened(url) as socket:
        steer = {"type": "response.steer", "previous_response_id": "resp_1", "input": "left"}
        socket.send(json.dumps(steer))
        event = hear(socket)
        assert (event["type"], event["error"]["code"]) == ("response.steer.failed", "steering_not_supported")
        assert event["steer"] == {"previous_response_id": "resp_1", "input": "left"}


def test_headers_and_query_of_the_handshake_hold_for_each_turn(upstreams: list[SimulatedUpstream], url: str) -> None:
    headers = {**BEARER, "openai-beta": "responses_multi_agent=v1", "sec-websocket-extra": "secret"}
    before = [upstream.calls for upstream in upstreams]
    with opened(url, "/v1/responses?beta=true", headers) as socket:
        ask(socket)
    [request] = [
        each for upstream, seen in zip(upstreams, before, strict=True) for each in list(upstream.requests)[seen:]
    ]
    assert (request.query["beta"], request.headers["openai-beta"]) == ("true", "responses_multi_agent=v1")


def test_an_error_within_a_stream_is_its_one_end(upstreams: list[SimulatedUpstream], url: str) -> None:
    for upstream in upstreams:
        misbehave(upstream, "error_event_after_output")
    with opened(url) as socket:
        say(socket, stream_id="one")
        events = hear_all(socket)
        assert [event["type"] for event in events][-2:] == ["response.output_text.delta", "error"]
        assert [event["sequence_number"] for event in events] == list(range(len(events)))
        assert {event["stream_id"] for event in events} == {"one"}
        for upstream in upstreams:
            misbehave(upstream)
        assert ask(socket)["type"] == "response.completed"


async def test_a_failure_that_upstream_tells_is_not_told_twice() -> None:
    begun = {"type": "response.created", "response": {"id": "resp_1", "status": "in_progress"}}
    delta = {"type": "response.output_text.delta", "output_index": 0, "content_index": 0, "delta": "Half an"}
    error = {"code": "server_error", "message": "Sorry."}
    failed = {"type": "response.failed", "response": {"id": "resp_1", "status": "failed", "error": error}}
    body = b"".join(b"data: %s\n\n" % json.dumps(event).encode() for event in (begun, delta, failed))

    async def answer(link: Link) -> None:
        while await link.request():
            head = CHUNKED.replace(b"\r\n\r\n", b"\r\ncontent-type: text/event-stream\r\n\r\n")
            await link.send(head, piece(body), END)

    router_here = Router([])
    async with serving_bytes(answer) as upstream, serving_here(router_here) as (_, address):
        router_here.set_model_list([entry(upstream.url, id="s0")])
        async with connect_async(address) as socket:
            for _ in range(2):
                await socket.send(CREATE)
                told = [await socket.recv(decode=False) for _ in range(3)]
                assert b"".join(b"data: %s\n\n" % each for each in told) == body, "they go on byte for byte"


def test_an_error_tells_when_to_come_again(upstreams: list[SimulatedUpstream], url: str) -> None:
    for upstream in upstreams:
        misbehave(upstream, "429")
    with opened(url) as socket:
        event = ask(socket)
        assert (event["status"], event["error"]["headers"]["x-should-retry"]) == (429, "false")
        assert float(event["error"]["headers"]["retry-after"]) > 0


def test_what_fails_here_is_not_the_connections_end(
    url: str, router: Router, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    async def fail(*args: Any, **more: Any) -> Any:
        raise ZeroDivisionError

    with opened(url) as socket:
        with monkeypatch.context() as patch:
            patch.setattr(router, "_create", fail)
            event = ask(socket)
        assert (event["status"], event["error"]["type"]) == (500, "server_error")
        assert "ZeroDivisionError" in caplog.text
        assert ask(socket)["type"] == "response.completed"


# what only the connection knows


def test_a_turn_that_nobody_stores_is_continued_on_its_connection_only(
    upstreams: list[SimulatedUpstream], url: str
) -> None:
    with opened(url) as socket:
        first = ask(socket, input="I am Ada.", store=False)["response"]
        said = [{"role": "user", "content": "Who am I?"}]
        for turn in range(2, 5):
            last = ask(socket, input=said, store=False, previous_response_id=first["id"])["response"]
            assert last["previous_response_id"] == first["id"]
            assert f"Turn {turn} at" in last["output"][0]["content"][0]["text"]
            assert "I am Ada." in last["output"][0]["content"][0]["text"]
            first = last
        kept = ask(socket, store=True, previous_response_id=first["id"])["response"]
        fork = ask(socket, stream_id="fork", store=False, previous_response_id=first["id"])["response"]
        assert kept["previous_response_id"] == fork["previous_response_id"] == first["id"]
        refused = ask(socket, previous_response_id=first["id"], conversation="conv_1")
        assert refused["error"]["code"] == "mutually_exclusive_parameters"
    with opened(url) as other:
        refused = ask(other, previous_response_id=first["id"], store=False)
        assert (refused["status"], refused["error"]["code"]) == (400, "previous_response_not_found")
        assert ask(other, previous_response_id=kept["id"])["response"]["previous_response_id"] == kept["id"]
    assert "previous_response_id" not in bodies(upstreams[0])[0]


def test_turns_that_are_stored_and_turns_that_are_not_may_alternate(url: str) -> None:
    with opened(url) as socket:
        last = None
        for turn, store in enumerate((True, False, False, True, False, False), 1):
            response = ask(socket, input=f"I am number {turn}.", store=store, previous_response_id=last)["response"]
            assert response["previous_response_id"] == last
            assert "I am number 1." in response["output"][0]["content"][0]["text"]
            last = response["id"]


def test_a_warm_up_is_a_response_without_output_that_can_be_continued(
    upstreams: list[SimulatedUpstream], url: str
) -> None:
    with opened(url) as socket:
        before = sum(upstream.calls for upstream in upstreams)
        say(socket, input="I am Ada.", generate=False, instructions="Be brief.")
        events = hear_all(socket)
        assert [each["type"] for each in events] == ["response.created", "response.in_progress", "response.completed"]
        warm = events[-1]["response"]
        assert (warm["output"], warm["usage"]["total_tokens"], warm["instructions"]) == ([], 0, "Be brief.")
        assert sum(upstream.calls for upstream in upstreams) == before
        second = ask(socket, input="I am Bob.", generate=False, previous_response_id=warm["id"])["response"]
        last = ask(socket, input="Who?", previous_response_id=second["id"])["response"]
        assert last["previous_response_id"] == second["id"]
        assert "I am Ada." in last["output"][0]["content"][0]["text"]
        stored = ask(socket, input="On.", previous_response_id=last["id"])["response"]
        assert "I am Ada." in stored["output"][0]["content"][0]["text"]


# lanes


def test_lanes_go_side_by_side_and_each_in_order(upstreams: list[SimulatedUpstream], url: str) -> None:
    for upstream in upstreams:
        misbehave(upstream, token_delay=0.005)
    with opened(url) as socket:
        for turn in range(2):
            for lane in ("a", "b", None):
                say(socket, input=f"{lane} {turn}", **({} if lane is None else {"stream_id": lane}))
        found: dict[Any, list[Any]] = {}
        order = []
        while sum(event["type"] == "response.completed" for events in found.values() for event in events) < 6:
            event = hear(socket)
            order.append(event.get("stream_id"))
            found.setdefault(event.get("stream_id"), []).append(event)
    assert found.keys() == {"a", "b", None}
    for lane, events in found.items():
        ids = [event["response"]["id"] for event in events if "response" in event]
        assert ids == sorted(ids, key=ids.index)
        assert [event["type"] for event in events].count("response.completed") == 2
        texts = [
            each["response"]["output"][0]["content"][0]["text"] for each in events if each["type"].endswith("completed")
        ]
        assert [f"{lane} {turn}" in text for turn, text in enumerate(texts)] == [True, True]
    changes = sum(one != other for one, other in pairwise(order))
    assert changes > 6, "they came one after the other"


def test_a_connection_uses_so_many_lanes_and_no_more(url: str) -> None:
    with opened(url) as socket:
        for number in range(lanes_module.MOST_NAMES):
            ask(socket, stream_id=f"lane-{number}", generate=False)
        refused = ask(socket, stream_id="another")
        assert (refused["error"]["code"], refused["stream_id"]) == ("websocket_stream_limit_reached", "another")
        assert ask(socket, stream_id="lane-0", generate=False)["type"] == "response.completed"
        assert ask(socket, generate=False)["type"] == "response.completed"


def test_so_much_may_wait_and_no_more(
    upstreams: list[SimulatedUpstream], router: Router, url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lanes_module, "MOST_ACTIVE", 1)
    monkeypatch.setattr(lanes_module, "MOST_WAITING", 2)
    for upstream in upstreams:
        misbehave(upstream, "hang")
    with opened(url) as socket:
        say(socket)
        _one_in_service(upstreams)
        say(socket, stream_id="a")
        say(socket, stream_id="a")
        refused = ask(socket, stream_id="b")
        assert (refused["status"], refused["error"]["code"]) == (429, "rate_limit_exceeded")
        assert sum(in_flight(router).values()) == 1
    with proxying(Router(group(upstreams)), ProxySettings(max_request_bytes=300)) as small, opened(small) as socket:
        say(socket)
        _one_in_service(upstreams)
        say(socket, input="x" * 150)
        assert ask(socket, input="x" * 150)["status"] == 429


def _one_in_service(upstreams: list[SimulatedUpstream]) -> None:
    """Wait until one deployment is asked for something that it won't answer."""
    while not any(upstream.active_requests for upstream in upstreams):
        threading.Event().wait(0.002)


# ends


def test_a_client_that_leaves_ends_what_is_in_flight(
    upstreams: list[SimulatedUpstream], router: Router, url: str
) -> None:
    for upstream in upstreams:
        misbehave(upstream, "stall_after_output")
    with opened(url) as socket:
        say(socket)
        while hear(socket)["type"] != "response.output_text.delta":
            pass
        say(socket)  # it waits for its turn
        assert sum(in_flight(router).values()) == 1
    for upstream in upstreams:
        upstream.wait_until(lambda upstream=upstream: upstream.active_requests == 0)  # type: ignore[misc]


def test_a_message_that_is_too_large_ends_the_connection(upstreams: list[SimulatedUpstream]) -> None:
    settings = ProxySettings(max_request_bytes=1000)
    with proxying(Router(group(upstreams)), settings) as url, opened(url) as socket:
        assert ask(socket, input="x" * 800)["type"] == "response.completed"
        say(socket, input="x" * 1000)
        assert closing(socket) == 1009


def test_a_message_of_endless_fragments_ends_the_connection(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("router.proxy.connection.by_websockets.MOST_FRAGMENTS", 8)
    with opened(url) as socket:
        said = json.dumps({"type": "response.create", "model": "gpt", "input": "hi"})
        socket.send([said[:5], said[5:9], said[9:]])
        assert hear_all(socket)[-1]["type"] == "response.completed"
        codes = []

        def fragments() -> Iterator[str]:
            yield from [""] * 9
            codes.append(closing(socket))

        with pytest.raises(ConnectionClosed):
            socket.send(fragments())
        assert codes == [1009]


async def test_a_connection_ends_when_it_is_old_but_not_within_a_response(upstreams: list[SimulatedUpstream]) -> None:
    misbehave(upstreams[0], token_delay=0.05)
    async with serving_here(Router(group(upstreams[:1]))) as (proxy, address), connect_async(address) as socket:
        await socket.send(CREATE)
        assert json.loads(await socket.recv())["type"] == "response.created"
        [session] = proxy._sockets._sessions
        session._began -= 3600  # an hour ago
        session._wake()
        events = [json.loads(await socket.recv())]
        while events[-1]["type"] != "error":
            events.append(json.loads(await socket.recv()))
        assert (events[-1]["status"], events[-1]["error"]["code"]) == (400, "websocket_connection_limit_reached")
        await socket.send(CREATE)
        events += await rest(socket)
        assert [each["type"] for each in events].count("response.completed") == 1
        assert [each["type"] for each in events].count("error") == 2
        assert socket.close_code == 1001


async def test_what_is_in_flight_on_an_old_connection_is_not_waited_for_for_ever(
    upstreams: list[SimulatedUpstream], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("router.proxy.websocket.session.LAST_WORDS", 0.02)
    misbehave(upstreams[0], "stall_after_output")
    async with serving_here(Router(group(upstreams[:1]))) as (proxy, address), connect_async(address) as socket:
        await socket.send(CREATE)
        assert json.loads(await socket.recv())["type"] == "response.created"
        [session] = proxy._sockets._sessions
        session._began -= 3600
        session._wake()
        assert (await rest(socket))[-1]["error"]["code"] == "websocket_connection_limit_reached"
        assert socket.close_code == 1001


async def test_a_connection_on_which_nothing_is_asked_ends(upstreams: list[SimulatedUpstream]) -> None:
    misbehave(upstreams[0], token_delay=0.05)
    async with serving_here(Router(group(upstreams[:1]))) as (proxy, address), connect_async(address) as socket:
        await socket.send(CREATE)
        assert json.loads(await socket.recv())["type"] == "response.created"
        [session] = proxy._sockets._sessions
        session._active -= 3600
        session._wake()  # a response is in flight
        assert session._next == session._began + 3600, "it looks at the clock all the time"
        while json.loads(await socket.recv())["type"] != "response.completed":
            pass
        session._wake()  # it has just ended
        await socket.send(CREATE)
        while json.loads(await socket.recv())["type"] != "response.completed":
            pass
        await asyncio.gather(*session._lanes._tasks)
        timers: Any = asyncio.get_running_loop()._scheduled  # type: ignore[attr-defined]  # asyncio's own
        assert [each.cancelled() for each in timers if each._callback == session._wake].count(False) <= 1
        session._active -= 3600
        session._wake()
        assert await rest(socket) == []
        assert socket.close_code == 1001


def test_when_the_proxy_stops_connections_end_after_their_response(upstreams: list[SimulatedUpstream]) -> None:
    misbehave(upstreams[0], token_delay=0.05)
    with ExitStack() as stack:
        with proxying(Router(group(upstreams[:1]))) as url:
            idle, busy = (stack.enter_context(opened(url)) for _ in range(2))
            say(busy)
            assert hear(busy)["type"] == "response.created"
        assert hear_all(busy)[-1]["type"] == "response.completed"
        assert (closing(idle), closing(busy)) == (1012, 1012)


def test_a_response_that_never_ends_is_not_waited_for_longer_than_the_grace(
    upstreams: list[SimulatedUpstream],
) -> None:
    misbehave(upstreams[0], "hang")
    router = Router(group(upstreams[:1]))
    with ExitStack() as stack:
        with proxying(router) as url:
            busy = stack.enter_context(opened(url))
            say(busy)
            upstreams[0].wait_until(lambda: upstreams[0].active_requests == 1)
        assert closing(busy) == 1012
    upstreams[0].wait_until(lambda: upstreams[0].active_requests == 0)
    assert in_flight(router) == {}


def test_a_client_that_reads_nothing_does_not_keep_the_proxy_from_stopping(
    upstreams: list[SimulatedUpstream], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("router.proxy.server._LAST", 0.05)
    misbehave(upstreams[0], tokens=4000)
    router = Router(group(upstreams[:1]))
    with ExitStack() as stack:
        with proxying(router, buffer=4096) as url:
            reader = stack.enter_context(small(url))
            say(reader)
            assert hear(reader)["type"] == "response.created"
        assert closing(reader) == 1006
    assert in_flight(router) == {}


async def test_nothing_new_is_taken_while_the_proxy_stops(upstreams: list[SimulatedUpstream]) -> None:
    misbehave(upstreams[0], token_delay=0.05)
    async with serving_here(Router(group(upstreams[:1]))) as (proxy, address):
        async with connect_async(address) as socket:
            await socket.send(CREATE)
            assert json.loads(await socket.recv())["type"] == "response.created"
            proxy.stop()
            await socket.send(CREATE)
            events = await rest(socket)
            assert [each["error"]["code"] for each in events if each["type"] == "error"] == ["shutting_down"]
            assert [each["type"] for each in events].count("response.completed") == 1
            assert socket.close_code == 1012
        with pytest.raises(InvalidStatus) as denied:
            await connect_async(address)
        assert denied.value.response.status_code == 503


def test_a_client_that_answers_no_ping_is_let_go(
    upstreams: list[SimulatedUpstream], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("router.proxy.server._PING", 0.02)
    with proxying(Router(group(upstreams)), ProxySettings(write_timeout=0.1)) as url, handshaken(url) as client:
        received = b""
        try:
            while part := client.recv(65536):
                received += part
        except ConnectionResetError:
            pass
    assert received


def test_a_client_that_does_not_take_its_leave_is_not_waited_for(upstreams: list[SimulatedUpstream]) -> None:
    with ExitStack() as stack:
        with proxying(Router(group(upstreams)), ProxySettings(websocket_idle=0.05)) as url:
            client = stack.enter_context(handshaken(url))
            received = b""
            while b"nothing was asked" not in received:
                received += client.recv(65536)
        assert client.recv(65536) == b""


def test_a_client_that_reads_nothing_is_let_go(upstreams: list[SimulatedUpstream]) -> None:
    misbehave(upstreams[0], tokens=4000)
    router = Router(group(upstreams[:1]))
    with proxying(router, ProxySettings(write_timeout=0.1), buffer=4096, pure=True) as url, small(url) as reader:
        gone = select.poll()
        gone.register(reader.socket, 0)
        say(reader)
        assert gone.poll(PATIENCE * 1000), "it is still served"
        assert closing(reader) == 1006
    assert in_flight(router) == {}
