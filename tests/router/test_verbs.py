"""Every verb, async and sync: what goes upstream is what was passed, what comes back is what arrived."""

import asyncio
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from pydantic import BaseModel
from redis_servers import until
from responses_protocol import check_stream
from routers import AFFINITY, KEY, bodies, closed, entry, group, in_flight, misbehave, read, served, serving

from checks.base import PreCallCheck
from providers.simulated import SimulatedUpstream
from providers.types import Call
from providers.views import View
from router import (
    APITimeoutError,
    BadRequestError,
    Response,
    ResponseNotFoundError,
    Router,
    RouterError,
    SyncResponseStream,
    UnknownModelError,
)
from router.sync import Portal


@pytest.fixture
def pair() -> Iterator[list[SimulatedUpstream]]:
    """Two deployments in threads of their own."""
    with SimulatedUpstream.in_thread("u0", seed=0) as one, SimulatedUpstream.in_thread("u1", seed=1) as two:
        yield [one, two]


@pytest.fixture
def router(pair: list[SimulatedUpstream]) -> Iterator[Router]:
    with Router(group(pair), optional_pre_call_checks=AFFINITY) as router:
        yield router


TOOL = {"type": "function", "name": "weather", "parameters": {"type": "object", "properties": {}}}


class Question(BaseModel):
    """A pydantic model, as callers pass them."""

    role: str
    content: str
    note: str = "unset, so not sent, as in the OpenAI SDK"


class SdkObject:
    """An object as SDKs return them."""

    def to_dict(self) -> dict[str, object]:
        return {"role": "assistant", "content": "earlier", "type": "message"}


async def test_what_is_passed_goes_upstream_as_it_is() -> None:
    async with serving(1) as (upstream,):
        router = Router(group([upstream]))
        params: dict[str, Any] = {
            "input": [{"role": "user", "content": "hi"}],
            "instructions": None,
            "tools": [TOOL],
            "text": {"format": {"type": "text"}},
            "temperature": 0.5,
            "metadata": {"a": "1"},
            "never_heard_of": {"nested": [1, 2.5, None, "ü"]},
            "user": "",
        }
        response = await router.aresponses("gpt", **params)
        assert bodies(upstream)[-1] == {**params, "model": "gpt-4o"}
        assert response.temperature == 0.5
        stream = await router.aresponses(model="gpt", stream=True, **params)
        check_stream(await read(stream))
        assert bodies(upstream)[-1] == {**params, "model": "gpt-4o", "stream": True}
        await closed(router, [upstream])


async def test_objects_of_sdks_and_pydantic_models_are_taken_and_views_are_returned() -> None:
    async with serving(1) as (upstream,):
        router = Router(group([upstream]))
        first = await router.aresponses("gpt", "hi")
        await router.aresponses("gpt", [Question(role="user", content="one"), SdkObject(), *first.output])
        assert bodies(upstream)[-1]["input"] == [
            {"role": "user", "content": "one"},
            {"role": "assistant", "content": "earlier", "type": "message"},
            *first.to_dict()["output"],  # type: ignore[misc]
        ]
        await closed(router, [upstream])


async def test_extra_headers_query_and_body() -> None:
    async with serving(1) as (upstream,):
        router = Router(group([upstream], extra_headers={"x-own": "1"}, extra_query={"q": "own"}))
        await router.aresponses(
            "gpt",
            "hi",
            extra_headers={"X-Trace": 7, "x-own": "2"},
            extra_query={"a": [1, 2], "b": True, "q": "call"},
            extra_body={"service_tier": "flex", "input": "instead"},
            litellm_metadata={"secret": "plans"},
        )
        record = upstream.requests[-1]
        assert (record.headers["x-trace"], record.headers["x-own"]) == ("7", "2")
        assert record.headers["authorization"] == f"Bearer {KEY}"
        assert dict(record.query) == {"a[]": "1", "b": "true", "q": "call"} or record.query["b"] == "true"
        assert record.query["q"] == "call"
        assert record.body == {"input": "instead", "model": "gpt-4o", "service_tier": "flex"}
        await closed(router, [upstream])


async def test_every_verb_async() -> None:
    async with serving(2) as upstreams:
        router = Router(group(upstreams), optional_pre_call_checks=AFFINITY)
        response = await router.aresponses("gpt", [{"role": "user", "content": word} for word in "abc"])
        again = await router.aget_responses(response.id)
        assert again == response
        first = await router.alist_input_items(response.id, limit=2, order="asc")
        rest = await router.alist_input_items(response.id, limit=2, order="asc", after=first.last_id)
        texts = [item.content[0].text for page in (first, rest) for item in page.data]
        assert (texts, first.has_more, rest.has_more) == (["a", "b", "c"], True, False)
        assert (await router.acount_input_tokens("gpt", "one two three")).input_tokens > 0
        compacted = await router.acompact_responses("gpt", "a long story")
        assert compacted.object == "response.compaction"
        background = await router.aresponses("gpt", "hi", background=True)
        cancelled = await router.acancel_responses(background.id)
        assert cancelled.status == "cancelled"
        homes = {served(each) for each in (again, first, rest)}  # type: ignore[arg-type]
        assert homes == {served(response)}
        assert served(cancelled) == served(background)
        deleted = await router.adelete_responses(response.id)
        assert (deleted.id, deleted.deleted, deleted.routing.deployment_id) == (response.id, True, served(response))
        with pytest.raises(ResponseNotFoundError):
            await router.aget_responses(response.id)
        verbs = {record.verb for upstream in upstreams for record in upstream.requests}
        assert {str(verb) for verb in verbs} == {
            "create", "get", "delete", "cancel", "input_items", "compact", "input_tokens",
        }  # fmt: skip
        await closed(router, upstreams)


def test_every_verb_sync(router: Router) -> None:
    response = router.responses("gpt", [{"role": "user", "content": word} for word in "abc"])
    assert router.get_responses(response.id) == response
    page = router.list_input_items(response.id, limit=2, order="asc")
    assert [item.content[0].text for item in page.data] == ["a", "b"]
    assert router.count_input_tokens("gpt", "one two three").input_tokens > 0
    assert router.compact_responses("gpt", "a long story").object == "response.compaction"
    background = router.responses("gpt", "hi", background=True)
    assert router.cancel_responses(background.id).status == "cancelled"
    assert router.delete_responses(response.id).deleted
    with pytest.raises(ResponseNotFoundError) as raised:
        router.get_responses(response.id)
    assert raised.value.status_code == 404


async def test_a_background_response_is_resumed_where_it_runs() -> None:
    async with serving(3) as upstreams:
        router = Router(group(upstreams), optional_pre_call_checks=AFFINITY)
        begun = await router.aresponses("gpt", "hi", background=True)
        stream = await router.aget_responses(begun.id, stream=True, starting_after=1)
        assert not isinstance(stream, Response)
        assert served(stream) == served(begun)
        events = await read(stream)
        assert events[0]["sequence_number"] == 2
        assert events[-1]["response"]["id"] == begun.id
        await closed(router, upstreams)


def test_sync_streams(router: Router) -> None:
    with router.responses("gpt", "hi", stream=True) as stream:
        assert isinstance(stream, SyncResponseStream)
        events = list(stream)
        final = check_stream([event.to_dict() for event in events])
        assert stream.response is not None
        assert stream.response.to_dict() == final
        assert stream.response.routing == stream.routing
        assert list(stream) == []
    assert "ended" in repr(stream)
    assert repr(stream).startswith("<SyncResponseStream resp_")
    resumed = router.get_responses(router.responses("gpt", "hi", background=True).id, stream=True)
    assert isinstance(resumed, SyncResponseStream)
    check_stream([event.to_dict() for event in resumed])


def test_a_sync_stream_left_early_frees_everything(pair: list[SimulatedUpstream], router: Router) -> None:
    for leave in ("close", "with", "drop"):
        stream = router.responses("gpt", "hi", stream=True, extra_body={"truncation": leave})
        for event in stream:
            if event.type == "response.output_text.delta":
                break
        if leave == "close":
            stream.close()
            stream.close()
        elif leave == "with":
            with stream:
                pass
        del stream
        assert [each.in_flight for each in router.health()] == [0, 0]
        for upstream in pair:
            upstream.wait_until(lambda upstream=upstream: upstream.active_requests == 0)  # type: ignore[misc]


async def test_sync_inside_a_running_loop(pair: list[SimulatedUpstream]) -> None:
    with Router(group(pair), optional_pre_call_checks=AFFINITY) as router:
        response = router.responses("gpt", "hi")
        follow_up = await router.aresponses("gpt", "more", previous_response_id=response.id)
        third = router.responses("gpt", "and more", previous_response_id=follow_up.id)
        assert served(response) == served(follow_up) == served(third)
        await router.aclose()


def test_many_threads_at_once(pair: list[SimulatedUpstream], router: Router) -> None:
    barrier = threading.Barrier(16)

    def converse(number: int) -> bool:
        if number < 16:
            barrier.wait(20)
        first = router.responses("gpt", f"hello {number}")
        with router.responses("gpt", "more", previous_response_id=first.id, stream=True) as stream:
            list(stream)
        return served(first) == stream.routing.deployment_id

    with ThreadPoolExecutor(16) as threads:
        assert all(threads.map(converse, range(64)))
    assert [each.in_flight for each in router.health()] == [0, 0]
    assert sum(upstream.calls for upstream in pair) == 128
    assert sum(thread.name == "homing-router-sync" for thread in threading.enumerate()) == 1


def test_a_sync_call_from_the_routers_own_loop_is_refused(router: Router) -> None:
    async def nested() -> None:
        router.responses("gpt", "hi")

    with pytest.raises(RuntimeError, match="use the async verb"):
        router._portal.run(nested())


def test_an_interrupted_sync_call_ends_upstream(pair: list[SimulatedUpstream], monkeypatch: pytest.MonkeyPatch) -> None:
    upstream = pair[0]
    misbehave(upstream, "hang")
    submit = asyncio.run_coroutine_threadsafe

    def interrupted(*args: Any) -> Any:
        future = submit(*args)

        def result() -> None:
            upstream.wait_until(lambda: upstream.active_requests == 1)
            raise KeyboardInterrupt

        monkeypatch.setattr(future, "result", result)
        return future

    with Router(group([upstream])) as router:
        with monkeypatch.context() as patch:
            patch.setattr("router.sync.asyncio.run_coroutine_threadsafe", interrupted)
            with pytest.raises(KeyboardInterrupt):
                router.responses("gpt", "hi")
        upstream.wait_until(lambda: upstream.active_requests == 0)
        until(lambda: in_flight(router) == {}, "the lease is free")


def test_closing_ends_sync_calls_and_streams(pair: list[SimulatedUpstream]) -> None:
    router = Router(group(pair))
    router.close()
    for upstream in pair:
        misbehave(upstream, "stall_after_output")
    stream, other = (router.responses("gpt", "hi", stream=True) for _ in range(2))
    for upstream in pair:
        misbehave(upstream)
    finished = router.responses("gpt", "hi", stream=True)
    assert [event.type for event in finished][-1] == "response.completed"
    for upstream in pair:
        misbehave(upstream, "hang")
    with ThreadPoolExecutor(4) as threads:
        hanging = [threads.submit(router.responses, "gpt", "hi") for _ in range(4)]
        until(lambda: sum(each.active_requests for each in pair) == 6, "all calls hang")
        router.close()
        for call in hanging:
            with pytest.raises(RouterError):
                call.result(20)
    assert list(finished) == []
    with pytest.raises(RouterError, match="closed"):
        list(stream)
    stream.close()
    other.close()
    assert [each.in_flight for each in router.health()] == [0, 0]
    assert not any(thread.name == "homing-router-sync" for thread in threading.enumerate())


class Stuck(PreCallCheck):
    """Never answers."""

    def __init__(self) -> None:
        self.reached = threading.Event()

    async def eligible(self, call: Call, deployments: Any) -> Any:
        self.reached.set()
        await asyncio.Event().wait()


def test_closing_ends_a_sync_call_wherever_it_is(pair: list[SimulatedUpstream]) -> None:
    check = Stuck()
    router = Router(group(pair), optional_pre_call_checks=[check])
    with ThreadPoolExecutor(1) as threads:
        call = threads.submit(router.responses, "gpt", "hi")
        assert check.reached.wait(20)
        router.close()
        with pytest.raises(RouterError, match="closed while the call was on its way"):
            call.result(20)


def test_the_thread_may_be_ended_from_within() -> None:
    """As the collector does, if it runs there."""
    portal = Portal()

    async def end() -> threading.Thread:
        portal.stop()
        return threading.current_thread()

    portal.run(end()).join(20)
    assert not portal.running
    portal.stop()


async def test_verbs_without_an_input() -> None:
    async with serving(1) as (upstream,):
        router = Router(group([upstream]), optional_pre_call_checks=AFFINITY)
        response = await router.aresponses("gpt", "hi")
        compacted = await router.acompact_responses("gpt", previous_response_id=response.id)
        counted = await router.acount_input_tokens("gpt", previous_response_id=response.id)
        assert (served(compacted), served(counted)) == ("u0", "u0")  # type: ignore[arg-type]
        assert all("input" not in body for body in bodies(upstream)[1:])
        await closed(router, [upstream])


async def test_timeouts_of_a_call() -> None:
    async with serving(1) as (upstream,):
        router = Router(group([upstream]), num_retries=0)
        misbehave(upstream, "hang")
        hurries: list[dict[str, Any]] = [{"timeout": 0.05}, {"deadline": 0.05}]
        for limits in hurries:
            with pytest.raises(APITimeoutError):
                await router.aresponses("gpt", "hi", **limits)
        with pytest.raises(APITimeoutError):
            await router.aresponses("gpt", "hi", stream=True, timeout=30, stream_timeout=0.05)
        await closed(router, [upstream])


WRONG: list[tuple[str, object]] = [
    ("timeout", "3"),
    ("timeout", 0),
    ("timeout", True),
    ("stream_timeout", -1),
    ("idle_timeout", float("nan")),
    ("deadline", []),
    ("num_retries", -1),
    ("num_retries", 1.5),
    ("num_retries", True),
    ("max_fallbacks", "2"),
    ("disable_fallbacks", "no"),
    ("fallbacks", 7),
    ("fallbacks", [7]),
    ("fallbacks", {"gpt": 7}),
    ("context_window_fallbacks", [{"gpt": 7}]),
    ("content_policy_fallbacks", "x" * 3 + "\0"),
    ("retry_policy", {"TimeoutErrorRetrys": 1}),
    ("retry_policy", 3),
    ("extra_headers", ["x"]),
    ("extra_query", "x"),
    ("extra_body", 1),
    ("litellm_metadata", "paid"),
    ("on_home_lost", "shrug"),
    ("replay", "partly"),
    ("home_wait", -1),
    ("affinity_scope", 7),
    ("input", object()),
    ("metadata", {"a": {1, 2}.__iter__}),
    ("extra_body", {"inner": object()}),
]


@pytest.mark.parametrize(("name", "value"), WRONG, ids=[f"{name}={value!r:.20}" for name, value in WRONG])
async def test_a_wrong_argument_is_named(name: str, value: object) -> None:
    async with serving(1) as (upstream,):
        router = Router(group([upstream]))
        params: dict[str, Any] = {"input": "hi", name: value}
        with pytest.raises(BadRequestError) as raised:
            await router.aresponses("gpt", **params)
        named = "inner" if name == "extra_body" and isinstance(value, dict) else name
        assert raised.value.param == named
        assert named in str(raised.value)
        assert upstream.calls == 0
        await closed(router, [upstream])


async def test_a_model_or_an_id_that_is_none() -> None:
    router = Router([entry("http://127.0.0.1:9", "gpt"), entry("http://127.0.0.1:9/2", "a*")])
    for model in (None, "", 7, ["gpt"]):
        with pytest.raises(BadRequestError) as raised:
            await router.aresponses(model, "hi")  # type: ignore[arg-type]
        assert raised.value.param == "model"
    with pytest.raises(UnknownModelError, match="did you mean 'gpt'"):
        await router.aresponses("gtp", "hi")
    for response_id in (None, "", 7):
        with pytest.raises(BadRequestError) as raised:
            await router.aget_responses(response_id)  # type: ignore[arg-type]
        assert raised.value.param == "response_id"
    with pytest.raises(BadRequestError) as raised:
        await router.aget_responses("resp_unknown")
    assert raised.value.param == "model"
    assert "one of gpt, a*" in str(raised.value)
    await router.aclose()


async def test_none_means_not_given() -> None:
    async with serving(1) as (upstream,):
        router = Router(group([upstream]))
        await router.aresponses(
            "gpt", "hi", timeout=None, fallbacks=None, extra_headers=None, num_retries=None, litellm_metadata=None
        )
        assert bodies(upstream)[-1] == {"input": "hi", "model": "gpt-4o"}
        await closed(router, [upstream])


async def test_views_are_lossless_and_read_as_in_the_sdk() -> None:
    async with serving(1) as (upstream,):
        router = Router(group([upstream]))
        response = await router.aresponses("gpt", "hi", metadata={"k": "v"})
        json = response.to_dict()
        assert json == upstream.state.find(response.id).final  # type: ignore[union-attr]
        assert "incomplete_details" in json
        assert response.incomplete_details is None
        assert response.output[-1].content[0].text == response.output_text != ""
        assert response.usage is not None
        assert response.usage.total_tokens == json["usage"]["total_tokens"]  # type: ignore[index, call-overload]
        assert isinstance(response.metadata, View)
        assert response.metadata.k == "v"
        with pytest.raises(AttributeError, match="did you mean 'usage'"):
            _ = response.usages
        await closed(router, [upstream])
