"""Streams, byte by byte: what is held and until when, whose the failures are, how connections end."""

import asyncio
import json
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

import pytest
from redis_servers import eventually
from routers import AFFINITY, closed, entry, group, in_flight, misbehave, read, read_until_error, serving
from wire import CHUNKED, END, Link, Server, piece, serve

from checks.base import Failed, Finished, Outcome, PreCallCheck, Started
from providers.types import Call, Deployment
from router import (
    APIError,
    APITimeoutError,
    ContentPolicyViolationError,
    InternalServerError,
    MalformedReplyError,
    RateLimitError,
    Response,
    ResponseStream,
    Router,
    StreamInterruptedError,
)
from router.stream import HELD_BYTES, HELD_EVENTS

HEAD = CHUNKED.replace(b"\r\n\r\n", b"\r\nContent-Type: text/event-stream\r\n\r\n")
JSON_HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n"
DELTA: dict[str, Any] = {"type": "response.output_text.delta", "output_index": 0, "content_index": 0, "delta": "Hello"}


def snapshot(status: str = "in_progress", **more: Any) -> dict[str, Any]:
    return {"id": "resp_1", "object": "response", "status": status, "output": [], **more}


def lifecycle(kind: str, **more: Any) -> dict[str, Any]:
    status = kind if kind in ("completed", "failed", "incomplete") else "in_progress"
    return {"type": f"response.{kind}", "response": snapshot(status, **more)}


CREATED, PROGRESS, COMPLETED = lifecycle("created"), lifecycle("in_progress"), lifecycle("completed")


def sse(*events: dict[str, Any]) -> bytes:
    """The frames of `events` in one chunk of the body."""
    return piece(b"".join(b"data: %s\n\n" % json.dumps(event).encode() for event in events))


class Script:
    """Answers every request with these bytes, stopping at each `None` until `go_on`; then keeps the connection."""

    def __init__(self, *parts: bytes | None) -> None:
        self._parts = parts
        self.go_on = asyncio.Event()
        self.links: list[Link] = []

    async def __call__(self, link: Link) -> None:
        while await link.request():
            self.links.append(link)
            for part in self._parts:
                if part is None:
                    if await self._left(link):
                        return
                elif part == b"":
                    link.close()
                else:
                    await link.send(part)

    async def _left(self, link: Link) -> bool:
        """Whether the peer is gone before it may go on."""
        ways = [asyncio.ensure_future(self.go_on.wait()), asyncio.ensure_future(link.gone())]
        try:
            await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
            return ways[1].done()
        finally:
            for way in ways:
                way.cancel()
            await asyncio.gather(*ways, return_exceptions=True)


@asynccontextmanager
async def scripted(*scripts: Script, **settings: Any) -> AsyncIterator[tuple[Router, list[Server]]]:
    """A Router of one deployment for each script, in tiers: `s0` before `s1`."""
    own = settings.pop("own", {})
    async with AsyncExitStack() as stack:
        servers = [await stack.enter_async_context(serve(script)) for script in scripts]
        entries = [entry(server.url, id=f"s{place}", order=place, **own) for place, server in enumerate(servers)]
        router = Router(entries, optional_pre_call_checks=settings.pop("checks", ()), **settings)
        yield router, servers
        assert in_flight(router) == {}
        await router.aclose()
        for server in servers:
            await server.until(open=0)


def whole(*events: dict[str, Any]) -> Script:
    """A stream of one chunk that ends well."""
    return Script(HEAD, sse(*events), END)


GOOD: tuple[dict[str, Any], ...] = (CREATED, PROGRESS, DELTA, COMPLETED)


async def start(router: Router, **params: Any) -> ResponseStream:
    return await router.aresponses("gpt", "hi", stream=True, **params)


def states(router: Router) -> dict[str, int]:
    """Failures counted, by deployment."""
    return {each.id: each.failures for each in router.health()}


async def test_lifecycle_events_are_held_until_there_is_output() -> None:
    script = Script(HEAD, sse(CREATED), None, sse(PROGRESS, DELTA), None)
    async with scripted(script) as (router, _):
        starting = asyncio.create_task(start(router))
        await eventually(lambda: in_flight(router) == {"s0": 1} and script.links, "it is sent")
        await asyncio.sleep(0)
        assert not starting.done()
        script.go_on.set()
        stream = await starting
        assert repr(stream) == "<ResponseStream resp_1 open>"
        assert [(await anext(stream)).to_dict() for _ in range(3)] == [CREATED, PROGRESS, DELTA]
        assert stream.ready() is None
        await stream.aclose()
        assert repr(stream) == "<ResponseStream resp_1 ended>"


HELD_KINDS: list[dict[str, Any]] = [
    {"type": "response.queued", "response": snapshot()},
    {"type": "response.output_item.added", "output_index": 0, "item": {"id": "m", "type": "message"}},
    {"type": "response.content_part.added", "output_index": 0, "part": {"type": "output_text"}},
    {"type": "response.reasoning_summary_part.added", "part": {}},
    {"type": "keepalive"},
    {"type": "ping", "cost": "0"},
    {},
    {"type": ["garbage"]},
]


@pytest.mark.parametrize(
    "broken",
    [
        (b"",),
        (END,),
        (sse({"type": "error", "error": {"code": "server_error", "message": "x"}}), END),
        (sse({"type": "error", "code": "server_error", "message": "x", "param": None}), END),
        (sse({"error": {"code": "server_error", "message": "x"}}), END),
        (sse(lifecycle("failed", error={"code": "server_error", "message": "x"})), END),
        (sse(lifecycle("failed")), END),
        (piece(b"data: {not json\n\n"), END),
        (piece(b'data: {"type": "error", "error": {"code": "server_error", "message": "no blank line"}}'), END),
    ],
    ids=["closed", "ended", "nested", "flat", "untyped", "failed", "failed without a reason", "garbage", "last line"],
)
@pytest.mark.parametrize("where", ["sibling", "fallback"])
async def test_a_failure_before_output_moves_on_unseen(broken: Sequence[bytes], where: str) -> None:
    bad = Script(HEAD, sse(CREATED, *HELD_KINDS), *broken)
    async with scripted(bad, whole(*GOOD), num_retries=1 if where == "sibling" else 0) as (router, servers):
        if where == "fallback":
            router.upsert_deployment(entry(servers[1].url, "spare", id="s1"))
        stream = await start(router, fallbacks=["spare"] if where == "fallback" else None)
        assert await read(stream) == list(GOOD)
        assert stream.routing.deployment_id == "s1"
        first, _ = stream.routing.attempts
        assert isinstance(first.error, (InternalServerError, StreamInterruptedError, MalformedReplyError))
        assert states(router) == {"s0": 1, "s1": 0}


async def test_an_error_in_the_last_line_of_a_body_counts_as_what_it_is() -> None:
    line = b'data: {"type": "error", "error": {"code": "rate_limit_exceeded", "message": "slow down"}}'
    async with scripted(Script(HEAD, sse(CREATED), piece(line), END), num_retries=0) as (router, _):
        with pytest.raises(RateLimitError, match="slow down"):
            await start(router)


async def test_what_is_held_is_bounded_by_number() -> None:
    held = [{"type": "keepalive", "sequence_number": number} for number in range(HELD_EVENTS + 1)]
    script = Script(HEAD, sse(*held[:-1]), None, sse(held[-1]), b"")
    async with scripted(script, whole(*GOOD)) as (router, _):
        starting = asyncio.create_task(start(router))
        await eventually(lambda: script.links, "it is sent")
        script.go_on.set()
        stream = await starting
        assert stream.routing.deployment_id == "s0", "committed without any output"
        with pytest.raises(StreamInterruptedError):
            await read(stream)
        assert repr(stream) == "<ResponseStream (no id yet) ended>"
        assert stream.response is None


async def test_what_is_held_is_bounded_by_size() -> None:
    large = lifecycle("in_progress", instructions="x" * HELD_BYTES)
    async with scripted(Script(HEAD, sse(CREATED), sse(large), b""), whole(*GOOD)) as (router, _):
        stream = await start(router)
        assert stream.routing.deployment_id == "s0"
        with pytest.raises(StreamInterruptedError):
            await read(stream)


@pytest.mark.parametrize("one_chunk", [True, False])
async def test_a_failure_after_output_is_raised_with_what_was_received(one_chunk: bool) -> None:
    error = {"type": "error", "error": {"code": "server_error", "message": "broke"}}
    chunks = [sse(CREATED, DELTA, DELTA, error)] if one_chunk else [sse(CREATED, DELTA), sse(DELTA), sse(error)]
    async with scripted(Script(HEAD, *chunks, END), whole(*GOOD), idle_timeout=20) as (router, servers):
        stream = await start(router)
        seen, failure = await read_until_error(stream)
        assert type(failure) is InternalServerError
        assert seen == [CREATED, DELTA, DELTA], "all that came before, and no error event"
        assert (failure.deployment_id, failure.provider) == ("s0", "openai")
        assert [each.error for each in failure.attempts] == [failure]
        assert failure.received is not None
        assert Response(failure.received).output_text == "HelloHello"
        assert states(router) == {"s0": 1, "s1": 0}
        assert not servers[1].requests
        assert [event async for event in stream] == []


async def test_a_failed_response_after_output_is_handed_out_and_then_raised() -> None:
    failed = lifecycle("failed", error={"code": "server_error", "message": "broke"})
    async with scripted(whole(CREATED, DELTA, failed)) as (router, _):
        stream = await start(router)
        seen, failure = await read_until_error(stream)
        assert type(failure) is InternalServerError
        assert seen == [CREATED, DELTA, failed]
        assert stream.response is not None
        assert stream.response.status == "failed"


@pytest.mark.parametrize("before", [[], [DELTA]])
async def test_a_response_that_failed_by_its_contents_is_an_answer(before: list[dict[str, Any]]) -> None:
    refused = lifecycle("failed", error={"code": "invalid_prompt", "message": "no"})
    async with scripted(whole(CREATED, *before, refused), whole(*GOOD)) as (router, _):
        stream = await start(router)
        assert (await read(stream))[-1] == refused
        assert stream.ended
        assert stream.routing.deployment_id == "s0"
        assert states(router) == {"s0": 0, "s1": 0}


async def test_a_refusal_by_a_content_filter_is_the_callers() -> None:
    event = {"type": "error", "error": {"code": "content_filter", "message": "no"}}
    async with scripted(whole(CREATED, event), whole(*GOOD)) as (router, servers):
        with pytest.raises(ContentPolicyViolationError):
            await start(router)
        assert not servers[1].requests


async def test_an_incomplete_response_ends_well() -> None:
    cut = lifecycle("incomplete", incomplete_details={"reason": "max_output_tokens"}, usage="odd")
    async with scripted(whole(CREATED, cut)) as (router, _):
        stream = await start(router)
        assert await read(stream) == [CREATED, cut]


async def test_an_error_that_is_null_is_none_and_unknown_events_are_output() -> None:
    odd: list[dict[str, Any]] = [
        {"type": "response.brand_new", "error": None, "response": {"id": 7}},
        {"type": "response.created", "response": "none"},
        {**COMPLETED, "response": {**snapshot("completed"), "usage": {"input_tokens": 1.5, "output_tokens": 3}}},
    ]
    async with scripted(whole(*odd)) as (router, _):
        assert await read(await start(router)) == odd


class Diary(PreCallCheck):
    """Writes down what it is told."""

    def __init__(self) -> None:
        self.told: list[str] = []

    async def observe(self, call: Call, deployment: Deployment, outcome: Outcome) -> None:
        match outcome:
            case Started(identity):
                self.told.append(f"started {identity}")
            case Finished(None):
                self.told.append("left")
            case Finished(response):
                self.told.append(f"finished {response['status']}" if response is not None else "")
            case Failed(error):
                self.told.append(f"failed {type(error).__name__}")


async def test_what_the_checks_are_told() -> None:
    diary = Diary()
    error = {"type": "error", "error": {"code": "server_error", "message": "broke"}}
    scripts = (whole(CREATED, error), whole(*GOOD))
    async with scripted(*scripts, checks=[diary]) as (router, _):
        stream = await start(router)
        assert diary.told[:3] == ["started resp_1", "failed InternalServerError", "started resp_1"]
        await read(stream)
        assert diary.told[3:] == ["finished completed"]
    diary.told.clear()
    async with scripted(whole(CREATED, DELTA, error), checks=[diary]) as (router, _):
        with pytest.raises(InternalServerError):
            await read(await start(router))
        assert diary.told == ["started resp_1", "failed InternalServerError"]
    diary.told.clear()
    async with scripted(Script(HEAD, sse(CREATED, DELTA), None), checks=[diary]) as (router, _):
        stream = await start(router)
        await stream.aclose()
        await stream.aclose()
        assert diary.told == ["started resp_1", "left"]


# background


BACKGROUND: dict[str, Any] = {"background": True}


@pytest.mark.parametrize(
    ("own", "params"),
    [({}, BACKGROUND), ({}, {"extra_body": BACKGROUND}), (BACKGROUND, {}), ({"extra_body": BACKGROUND}, {})],
    ids=["argument", "extra_body", "default", "deployment's extra_body"],
)
async def test_a_background_stream_is_committed_at_once(own: dict[str, Any], params: dict[str, Any]) -> None:
    async with scripted(Script(HEAD, sse(CREATED), None), own=own) as (router, _):
        stream = await start(router, **params)
        assert (await anext(stream)).to_dict() == CREATED
        await stream.aclose()


async def test_a_resumed_stream_is_committed_at_once() -> None:
    async with scripted(Script(HEAD, sse(PROGRESS), None)) as (router, servers):
        stream = await router.aget_responses("resp_1", stream=True)
        assert isinstance(stream, ResponseStream)
        assert (await anext(stream)).to_dict() == PROGRESS
        await stream.aclose()
        assert b"GET /responses/resp_1?stream=true" in servers[0].requests[0]


# replies that are no streams


async def test_a_server_that_answers_json_where_a_stream_was_asked_for() -> None:
    body = json.dumps(snapshot("completed")).encode()
    async with scripted(Script(JSON_HEAD % len(body), body), whole(*GOOD)) as (router, _):
        stream = await start(router)
        assert await read(stream) == list(GOOD)
        assert isinstance(stream.routing.attempts[0].error, MalformedReplyError)
        assert states(router) == {"s0": 1, "s1": 0}


async def test_a_server_that_answers_a_json_error_with_200() -> None:
    body = b'{"error": {"code": "rate_limit_exceeded", "message": "slow down"}}'
    async with scripted(Script(JSON_HEAD % len(body), body), num_retries=0) as (router, _):
        with pytest.raises(RateLimitError, match="slow down"):
            await start(router)


# whose patience ended


@pytest.mark.parametrize("output", [False, True])
@pytest.mark.parametrize(
    ("own", "params", "counted"),
    [
        ({}, {"idle_timeout": 0.05}, False),
        ({}, {"timeout": 1.0}, False),  # these are limits of the head too, which must come in time
        ({"timeout": 1.0}, {}, True),
        ({"idle_timeout": 0.05}, {}, True),
        ({"idle_timeout": 0.05}, {"timeout": 30}, True),
        ({"idle_timeout": 0.05}, {"idle_timeout": 0.02}, False),
        ({"idle_timeout": 0.01}, {"idle_timeout": 0.05}, True),
    ],
)
async def test_a_stall_counts_against_the_deployment_unless_only_the_caller_is_in_a_hurry(
    output: bool, own: dict[str, Any], params: dict[str, Any], counted: bool
) -> None:
    events = (CREATED, DELTA) if output else (CREATED,)
    async with scripted(Script(HEAD, sse(*events), None), own=own, num_retries=0, on_all_down="fail") as (router, _):
        with pytest.raises(APITimeoutError, match="no event for") as raised:
            await read(await start(router, **params))
        assert (raised.value.received is not None) == output
        assert states(router) == {"s0": int(counted)}


@pytest.mark.parametrize(
    ("own", "params", "counted"),
    [
        ({}, {"timeout": 0.05}, False),
        ({}, {"deadline": 0.05}, False),
        ({}, {"stream_timeout": 0.05}, False),
        ({"timeout": 0.05}, {}, True),
        ({"timeout": 0.05}, {"timeout": 0.1}, True),
        ({"stream_timeout": 0.05, "timeout": 30}, {}, True),
    ],
)
@pytest.mark.parametrize("head", [False, True])
async def test_no_first_event_counts_in_the_same_way(
    head: bool, own: dict[str, Any], params: dict[str, Any], counted: bool
) -> None:
    parts = (HEAD, piece(b": a comment is no event\n\n"), None) if head else (None,)
    async with scripted(Script(*parts), own=own, num_retries=0) as (router, _):
        with pytest.raises(APITimeoutError):
            await start(router, **params)
        assert states(router) == {"s0": int(counted)}


async def test_the_deadline_spans_the_held_events_but_not_the_output() -> None:
    async with scripted(Script(HEAD, sse(CREATED), None), num_retries=0) as (router, _):
        with pytest.raises(APITimeoutError, match="deadline passed before the first output"):
            await start(router, deadline=1.0)
        assert states(router) == {"s0": 0}
    script = Script(HEAD, sse(CREATED, DELTA), None, sse(COMPLETED), END)
    async with scripted(script) as (router, _):
        stream = await start(router, deadline=30)
        script.go_on.set()
        assert (await read(stream))[-1] == COMPLETED


# connections


async def test_the_connection_of_a_stream_read_to_its_end_is_used_again() -> None:
    async with scripted(whole(*GOOD)) as (router, servers):
        for _ in range(3):
            await read(await start(router))
        assert servers[0].accepted == 1


@pytest.mark.parametrize("end", [(None,), (b"",)], ids=["never ends", "breaks off"])
async def test_a_body_that_does_not_end_after_its_last_event(end: tuple[bytes | None]) -> None:
    async with scripted(Script(HEAD, sse(*GOOD), *end)) as (router, servers):
        stream = await start(router)
        assert await read(stream) == list(GOOD)
        await servers[0].until(open=0)
        assert states(router) == {"s0": 0}


async def test_what_follows_the_last_event_is_read_and_ignored() -> None:
    script = Script(HEAD, sse(*GOOD), None, piece(b"data: [DONE]\n\n"), END)
    async with scripted(script) as (router, _):
        stream = await start(router)
        assert [(await anext(stream)).to_dict() for _ in GOOD] == list(GOOD)
        script.go_on.set()
        assert await read(stream) == []
        assert states(router) == {"s0": 0}


async def test_cancelled_while_the_body_ends() -> None:
    async with scripted(Script(HEAD, sse(*GOOD), None)) as (router, servers):
        stream = await start(router)
        for _ in GOOD:
            await anext(stream)
        ending = asyncio.create_task(read(stream))
        await asyncio.sleep(0)
        ending.cancel()
        with pytest.raises(asyncio.CancelledError):
            await ending
        await servers[0].until(open=0)


async def test_a_stream_that_is_not_handed_out_has_no_routing() -> None:
    stream = ResponseStream.__new__(ResponseStream)
    stream._routing = None
    stream._ended = True
    with pytest.raises(AttributeError, match="not committed"):
        _ = stream.routing


async def test_every_strange_chunking_reads_the_same() -> None:
    body = b"".join(
        b": comment\r\nevent: %s\r\ndata: %s\r\n\r\n" % (event["type"].encode(), json.dumps(event).encode())
        for event in GOOD
    )
    for size in (1, 2, 7, len(body)):
        parts = [piece(body[at : at + size]) for at in range(0, len(body), size)]
        async with scripted(Script(HEAD, *parts, END)) as (router, _):
            assert await read(await start(router)) == list(GOOD)


async def test_simulated_streams_hold_what_they_announce() -> None:
    async with serving(2) as upstreams:
        misbehave(upstreams[0], "rate_limit_event", retry_after=0.01)
        router = Router(group(upstreams), optional_pre_call_checks=AFFINITY)
        for _ in range(4):
            stream = await router.aresponses("gpt", "hi", stream=True)
            events = await read(stream)
            assert events[0]["type"] == "response.created"
            assert events[0]["response"]["id"] == events[-1]["response"]["id"] == upstreams[1].ids[-1]
        with pytest.raises(APIError):
            await router.aresponses("u0", "hi", stream=True, num_retries=0)
        await closed(router, upstreams)
