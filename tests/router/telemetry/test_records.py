"""Exactly one record of each call, however it ends, and what it says."""

import asyncio
import gc
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from cancelling import cancelled
from routers import AFFINITY, create, entry, group, in_flight, misbehave, quiet, read, read_until_error, serving, tick

from checks.base import PreCallCheck
from checks.end_user import digest
from providers.errors import APIError, BadRequestError, RateLimitError, UnknownModelError
from providers.simulated import Behaviour, SimulatedUpstream
from providers.types import Call, Deployment
from router import ResponseStream, Router
from router.telemetry.record import CallRecord


class Book:
    """Keeps every record, as a sink that is built in would get it."""

    def __init__(self) -> None:
        self.records: list[CallRecord] = []

    def attach(self, health: Callable[[], Any]) -> None:
        self.health = health

    def take(self, record: CallRecord) -> None:
        self.records.append(record)

    async def only(self, router: Router) -> CallRecord:
        """The one record there is, once all are made; forgotten then."""
        await router._recorder.flush(5)
        [record] = self.records
        self.records.clear()
        return record


async def test_an_answer_that_was_cut_off_says_why() -> None:
    book = Book()
    async with serving(1, Behaviour(tokens=40)) as upstreams:
        router = Router(group(upstreams), callbacks=[book])
        await router.aresponses("gpt", "say many words to me", max_output_tokens=16)
        record = await book.only(router)
        found = record.status, record.response_status, record.incomplete_reason, record.max_output_tokens
        assert found == ("succeeded", "incomplete", "max_output_tokens", 16)


async def test_one_tag_may_be_a_text() -> None:
    book = Book()
    async with serving(1) as upstreams:
        router = Router(group(upstreams), callbacks=[book])
        await router.aresponses("gpt", "hi", litellm_metadata={"tags": "paid"})
        assert (await book.only(router)).tags == ("paid",)


@pytest.mark.parametrize("tags", ["t" * 100_000, ["t" * 100_000]], ids=["text", "list"])
async def test_a_long_tag_is_known_by_a_digest(tags: object) -> None:
    book = Book()
    async with serving(1) as upstreams, Router(group(upstreams), callbacks=[book]) as router:
        await router.aresponses("gpt", "hi", litellm_metadata={"tags": tags})
        assert (await book.only(router)).tags == (digest("t" * 100_000),)


async def test_a_call_that_succeeds() -> None:
    book = Book()
    async with serving(1) as upstreams:
        router = Router(group(upstreams), callbacks=[book])
        response = await router.aresponses(
            "gpt", "hi", affinity_scope="acme", litellm_metadata={"tags": ["paid", "eu"], "order": 7}
        )
        record = await book.only(router)
        assert record.id == response.routing.call_id
        assert (record.verb, record.status, record.model, record.group) == ("create", "succeeded", "gpt", "gpt")
        assert (record.deployment_id, record.provider, record.deployment_model) == ("u0", "openai", "gpt-4o")
        assert (record.response_id, record.response_model) == (response.id, response.model)
        assert (record.response_status, record.service_tier) == ("completed", response.service_tier)
        assert (record.stream, record.first_event, record.partial) == (False, None, False)
        assert record.usage is not None
        assert response.usage is not None
        assert record.usage.input_tokens == response.usage.input_tokens
        assert record.usage.total_tokens == response.usage.total_tokens
        assert (record.tags, record.tenant, record.metadata["order"]) == (("paid", "eu"), "acme", 7)
        assert 0 < record.queued < record.duration < 60
        [attempt] = record.attempts
        assert (attempt.deployment_id, attempt.provider, attempt.status) == ("u0", "openai", "succeeded")
        assert attempt.waited == record.queued
        assert attempt.started + attempt.duration <= record.duration
        assert (record.input, record.output, record.error_message) == (None, None, None)
        await router.aclose()


async def test_a_stream_that_ends() -> None:
    book = Book()
    async with serving(1) as upstreams:
        router = Router(group(upstreams), callbacks=[book])
        stream = await router.aresponses("gpt", "hi", stream=True)
        events = await read(stream)
        record = await book.only(router)
        assert (record.stream, record.status, record.response_status) == (True, "succeeded", "completed")
        assert record.usage is not None
        assert record.usage.output_tokens == events[-1]["response"]["usage"]["output_tokens"]
        assert record.first_event is not None
        assert record.first_event <= record.duration
        assert record.attempts[0].status == "succeeded"
        await router.aclose()


async def test_a_call_that_is_tried_twice_and_one_that_turns_to_another_group() -> None:
    book = Book()
    async with serving(3) as upstreams:
        misbehave(upstreams[0], "500")
        model_list = [*group(upstreams[:2], order=0), entry(upstreams[2], "spare")]
        model_list[1]["litellm_params"]["order"] = 1
        router = Router(model_list, callbacks=[book], fallbacks=[{"gpt": ["spare"]}], num_retries=1)
        await create(router, False)
        record = await book.only(router)
        assert (record.retries, record.fallbacks, record.deployment_id) == (1, 0, "u1")
        first, second = record.attempts
        assert (first.status, first.error_type, first.error_status) == ("failed", "InternalServerError", 500)
        assert (second.status, second.error_type) == ("succeeded", None)
        misbehave(upstreams[1], "500")
        await create(router, True)
        record = await book.only(router)
        assert (record.model, record.group, record.fallbacks, record.deployment_id) == ("gpt", "spare", 1, "u2")
        assert [attempt.group for attempt in record.attempts][-1] == "spare"
        await router.aclose()


@pytest.mark.parametrize("stream", [False, True])
async def test_a_call_that_fails(stream: bool) -> None:
    book = Book()
    async with serving(1) as upstreams:
        misbehave(upstreams[0], "429")
        router = Router(group(upstreams), callbacks=[book], num_retries=0)
        with pytest.raises(RateLimitError) as caught:
            await create(router, stream)
        record = await book.only(router)
        assert (record.status, record.error_type, record.error_status) == ("failed", "RateLimitError", 429)
        assert record.error_code == caught.value.code
        assert (record.usage, record.cost, record.cost_breakdown) == (None, None, None)
        assert [attempt.error_type for attempt in record.attempts] == ["RateLimitError"]
        await router.aclose()


async def test_calls_that_never_come_to_a_deployment() -> None:
    book = Book()
    async with serving(1) as upstreams:
        router = Router(group(upstreams), callbacks=[book])
        with pytest.raises(UnknownModelError):
            await router.aresponses("gtp", "hi", litellm_metadata={"tags": ["a"]})
        record = await book.only(router)
        assert (record.model, record.group, record.error_type) == ("gtp", "", "UnknownModelError")
        assert (record.attempts, record.deployment_id, record.tags) == ((), None, ("a",))
        wrong: list[tuple[Any, dict[str, Any]]] = [
            (None, {}),
            ("gpt", {"timeout": "soon"}),
            ("gpt", {"litellm_metadata": 7}),
            ("gpt", {"drop_params": "maybe"}),
        ]
        for model, params in wrong:
            with pytest.raises(BadRequestError):
                await router.aresponses(model, "hi", **params)
            assert (await book.only(router)).error_type == "BadRequestError"
        with pytest.raises(BadRequestError):
            await router.aget_responses("")
        assert (await book.only(router)).verb == "get"
        await router.aclose()


async def test_reading_a_response_again_uses_and_costs_nothing() -> None:
    book = Book()
    async with serving(1) as upstreams:
        router = Router(group(upstreams), callbacks=[book])
        response = await create(router, False)
        await book.only(router)
        again = await router.aget_responses(response.id)
        record = await book.only(router)
        assert (record.verb, record.usage, record.cost_breakdown) == ("get", None, None)
        assert again.routing.cost_breakdown is None
        await router.adelete_responses(response.id)
        assert (await book.only(router)).verb == "delete"
        await router.aclose()


async def test_a_stream_that_fails_after_its_first_output() -> None:
    book = Book()
    async with serving(1) as upstreams:
        misbehave(upstreams[0], "cut_after_output")
        router = Router(group(upstreams), callbacks=[book])
        _, error = await read_until_error(await router.aresponses("gpt", "hi", stream=True))
        record = await book.only(router)
        assert (record.status, record.error_type) == ("failed", type(error).__name__)
        assert record.attempts[-1].error_type == type(error).__name__
        assert record.attempts[-1].status == "failed"
        assert record.partial
        assert record.usage is not None
        assert record.usage.estimated
        assert record.usage.output_tokens > 0
        await router.aclose()


async def close(stream: ResponseStream) -> None:
    await stream.aclose()
    await stream.aclose()


async def drop(stream: ResponseStream) -> None:
    """Nothing: the last reference goes with the frame."""


async def cycle(stream: ResponseStream) -> None:
    """Only the collector can end this one."""
    ring: list[object] = [stream]
    ring.append(ring)


async def leave_the_block(stream: ResponseStream) -> None:
    async with stream:
        pass


@pytest.mark.parametrize("leave", [close, drop, cycle, leave_the_block])
async def test_a_stream_that_is_left(leave: Callable[[ResponseStream], Awaitable[None]]) -> None:
    book = Book()
    async with serving(1) as upstreams:
        misbehave(upstreams[0], "stall_after_output", cut_after=3)
        router = Router(group(upstreams), callbacks=[book])
        stream = await router.aresponses("gpt", "hi", stream=True)
        identity = stream.routing.call_id
        while not isinstance((await anext(stream)).get("delta"), str):
            pass
        await leave(stream)
        del stream
        gc.collect()
        await quiet(upstreams)
        record = await book.only(router)
        assert (record.id, record.status, record.partial) == (identity, "abandoned", True)
        assert record.attempts[-1].status == "abandoned"
        assert record.usage is not None
        assert (record.usage.estimated, record.usage.output_tokens > 0) == (True, True)
        assert record.response_id is not None
        await router.aclose()


async def test_a_stream_whose_reader_is_cancelled() -> None:
    book = Book()
    async with serving(1) as upstreams:
        misbehave(upstreams[0], "stall_after_output")
        router = Router(group(upstreams), callbacks=[book])
        stream = await router.aresponses("gpt", "hi", stream=True)
        assert await cancelled(read(stream), 0, late=False)
        record = await book.only(router)
        assert (record.status, record.partial) == ("cancelled", True)
        await stream.aclose()
        await router._recorder.flush(5)
        assert book.records == []
        await router.aclose()


@pytest.mark.parametrize("stream", [False, True])
async def test_an_attempt_that_failed_has_though_its_call_is_cancelled_before_the_next(stream: bool) -> None:
    book, waits = Book(), asyncio.Event()

    async def sleep(seconds: float) -> None:
        waits.set()
        await asyncio.Event().wait()

    async with serving(1) as upstreams:
        misbehave(upstreams[0], "500")
        async with Router(group(upstreams), callbacks=[book], num_retries=1, sleep=sleep) as router:
            call = asyncio.ensure_future(router.aresponses("gpt", "hi", stream=stream))
            await waits.wait()
            call.cancel()
            await asyncio.wait([call])
            record = await book.only(router)
    assert record.status == "cancelled"
    assert [(each.status, each.error_type) for each in record.attempts] == [("failed", "InternalServerError")]


class Slow(PreCallCheck):
    """Waits wherever it may."""

    async def eligible(self, call: Call, deployments: Any) -> Any:
        await asyncio.sleep(0)
        return deployments

    async def observe(self, call: Call, deployment: Deployment, outcome: object) -> None:
        await asyncio.sleep(0)


@pytest.mark.parametrize("fault", [None, "500"])
@pytest.mark.parametrize("stream", [False, True])
async def test_a_call_cancelled_at_each_of_its_awaits_has_one_record(stream: bool, fault: Any) -> None:
    book = Book()
    async with serving(2, Behaviour(fault=fault, latency=1, token_delay=1), tick) as upstreams:
        checks: list[Any] = [*AFFINITY, Slow()]
        router = Router(
            group(upstreams), optional_pre_call_checks=checks, callbacks=[book], sleep=tick, disable_cooldowns=True
        )

        async def call() -> None:
            try:
                await create(router, stream)
            except APIError:
                assert fault

        seen = set()
        place = 0
        while await cancelled(call(), place, late=False):
            record = await book.only(router)
            seen.add(record.status)
            assert record.status in ("cancelled", "abandoned", "succeeded")
            assert in_flight(router) == {}
            place += 1
        assert place >= 4
        assert "cancelled" in seen
        await book.only(router)  # the last one was not cancelled
        await router.aclose()


async def test_contents_are_kept_on_request_only() -> None:
    book = Book()
    async with serving(1) as upstreams:
        router = Router(group(upstreams), callbacks=[book], record_contents=True)
        response = await router.aresponses("gpt", "What is your name?")
        record = await book.only(router)
        assert record.input == "What is your name?"
        assert record.output == response.to_dict()["output"]
        misbehave(upstreams[0], "stall_after_output")
        stream = await router.aresponses("gpt", "hi", stream=True)
        while not isinstance((event := await anext(stream)).get("delta"), str):
            pass
        await stream.aclose()
        record = await book.only(router)
        assert event["delta"] in str(record.output)
        misbehave(upstreams[0], "context_window")
        with pytest.raises(BadRequestError) as caught:
            await create(router, False)
        assert (await book.only(router)).error_message == caught.value.message
        await router.aclose()


def test_synchronous_calls_are_recorded_as_well() -> None:
    book = Book()
    with SimulatedUpstream.in_thread("u0") as upstream:
        router = Router(group([upstream]), callbacks=[book])
        router.responses("gpt", "hi")
        for _ in router.responses("gpt", "hi", stream=True):
            pass
        misbehave(upstream, "stall_after_output")
        stream = router.responses("gpt", "hi", stream=True)
        next(stream)
        stream.close()
        router.close()
        assert [record.status for record in book.records] == ["succeeded", "succeeded", "abandoned"]
        assert len({record.id for record in book.records}) == 3


def test_a_synchronous_stream_that_is_dropped_is_recorded_before_the_router_is_closed() -> None:
    taken: list[CallRecord] = []
    with SimulatedUpstream.in_thread("u0") as upstream:
        router = Router(group([upstream]), callbacks=[taken.append])
        misbehave(upstream, "stall_after_output")
        stream = router.responses("gpt", "hi", stream=True)
        next(stream)
        del stream
        gc.collect()
        [stats] = _until(lambda: router._recorder.stats, lambda all_of: all_of[0].delivered == 1)
        assert (stats.name, taken[0].status) == ("list.append", "abandoned")
        router.close()


def _until(read: Callable[[], Any], done: Callable[[Any], bool]) -> Any:
    """What is read once it is as awaited; the test's time limit ends a wait in vain."""
    while not done(value := read()):
        gc.collect(0)
    return value


async def test_an_attempt_says_its_provider_and_its_wait() -> None:
    async with serving(1) as upstreams:
        router = Router(group(upstreams))
        response = await create(router, False)
        [attempt] = response.routing.attempts
        assert (attempt.provider, attempt.decision) == ("openai", None)
        assert 0 < attempt.waited <= attempt.started
        await router.aclose()
