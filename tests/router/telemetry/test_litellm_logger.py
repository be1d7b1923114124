"""Loggers written for LiteLLM: which of their methods are called, once for each call, and with what."""

from __future__ import annotations

import asyncio
import re
import threading
from collections.abc import Callable
from datetime import datetime
from typing import Any

import pytest
from fakes import Clock
from routers import create, entry, group, misbehave, serving, tick

from providers import errors
from providers.types import Deployment
from providers.usage import Cost, TokenUsage
from providers.views import Response
from router import APIError, ConfigurationError, RateLimitError, Router
from router.telemetry.litellm_payload import REDACTED

Event = tuple[str, dict[str, Any], Any, datetime, datetime]
CANARY = "canary-in-the-prompt"


class FlatRate:
    """Knows the price of everything but `u1`."""

    def cost(
        self, usage: TokenUsage, deployment: Deployment, *, model: str, service_tier: str | None, at: float
    ) -> Cost:
        """Four parts, each with a price of its own."""
        if deployment.id == "u1":
            return Cost(None, "no price")
        return Cost(1.0, input=0.125, output=0.5, cache_read=0.0625, cache_write=0.0625, requests=0.25)


class Plain:
    """Has all four methods; keeps what each is called with."""

    def __init__(self) -> None:
        self.events: list[Event] = []
        self.threads: set[int] = set()

    def _note(self, name: str, *event: Any) -> None:
        self.events.append((name, *event))
        self.threads.add(threading.get_ident())

    def log_success_event(self, kwargs: Any, response_obj: Any, start_time: Any, end_time: Any) -> None:
        self._note("success", kwargs, response_obj, start_time, end_time)

    def log_failure_event(self, kwargs: Any, response_obj: Any, start_time: Any, end_time: Any) -> None:
        self._note("failure", kwargs, response_obj, start_time, end_time)


class Both(Plain):
    """Its async methods are to be preferred."""

    async def async_log_success_event(self, kwargs: Any, response_obj: Any, start_time: Any, end_time: Any) -> None:
        await asyncio.sleep(0)
        self._note("async success", kwargs, response_obj, start_time, end_time)

    async def async_log_failure_event(self, kwargs: Any, response_obj: Any, start_time: Any, end_time: Any) -> None:
        self._note("async failure", kwargs, response_obj, start_time, end_time)


async def _nothing(self: object, kwargs: Any, response_obj: Any, start_time: Any, end_time: Any) -> None:
    raise AssertionError("LiteLLM's own method, which does nothing, was called")


NO_OPS: dict[str, Any] = dict.fromkeys(
    ("async_log_success_event", "log_success_event", "async_log_failure_event", "log_failure_event"), _nothing
)
CustomLogger: Any = type("CustomLogger", (), {**NO_OPS, "__module__": "litellm.integrations.custom_logger"})
"""As LiteLLM's: it has them all, and they do nothing."""


class Derived(CustomLogger):  # type: ignore[misc]  # made above
    """Overrides two."""

    def __init__(self) -> None:
        self.events: list[str] = []

    async def async_log_success_event(self, kwargs: Any, response_obj: Any, start_time: Any, end_time: Any) -> None:
        self.events.append("async success")

    def log_failure_event(self, kwargs: Any, response_obj: Any, start_time: Any, end_time: Any) -> None:
        self.events.append("failure")


async def test_one_event_for_each_call_whatever_it_took() -> None:
    plain, both, derived = Plain(), Both(), Derived()
    async with serving(3) as upstreams:
        for upstream, fault in zip(upstreams, ("500", None, "context_window"), strict=True):
            misbehave(upstream, fault)
        models = [*group(upstreams[:1]), entry(upstreams[1], "spare"), entry(upstreams[2], "bad")]
        async with Router(
            models, callbacks=[plain, both, derived], fallbacks=[{"gpt": ["spare"]}], sleep=tick, num_retries=1
        ) as router:
            await create(router, False)
            await create(router, True)
            with pytest.raises(APIError):
                await create(router, False, model="bad")
            assert await router.aflush()
            stats = {each.name: (each.delivered, each.failed) for each in router.callback_stats()}
    assert sorted(event[0] for event in plain.events) == ["failure", "success", "success"]
    assert sorted(event[0] for event in both.events) == ["async failure", "async success", "async success"]
    assert sorted(derived.events) == ["async success", "async success", "failure"]
    assert threading.get_ident() not in plain.threads
    assert both.threads == {threading.get_ident()}
    assert stats == {
        "Plain.log_success_event": (2, 0),
        "Plain.log_failure_event": (1, 0),
        "Both.async_log_success_event": (2, 0),
        "Both.async_log_failure_event": (1, 0),
        "Derived.async_log_success_event": (2, 0),
        "Derived.log_failure_event": (1, 0),
    }


@pytest.mark.parametrize("stream", [False, True])
async def test_what_a_success_is_told_with(stream: bool) -> None:
    both = Both()
    async with (
        serving(1) as upstreams,
        Router(group(upstreams), callbacks=[both], price_source=FlatRate()) as router,
    ):
        answer = await create(
            router,
            stream,
            input=CANARY,
            user="ann",
            temperature=0.5,
            instructions=CANARY,
            litellm_metadata={"tags": ["paid"], "team": "red", "trace_id": "t1", "session_id": "s1"},
        )
        await router.aflush()
    ((_, kwargs, response, start, end),) = both.events
    usage = answer.usage
    assert usage is not None
    assert isinstance(response, Response)
    assert (response.id, response["id"], response.status, response.model) == (answer.id,) * 2 + (
        "completed",
        answer.model,
    )
    assert response.usage is not None
    assert response.usage.input_tokens == response["usage"]["prompt_tokens"] == usage.input_tokens
    assert response["usage"]["completion_tokens"] == response.usage.output_tokens == usage.output_tokens
    assert (response.output, response.output_text) == ([], "")
    assert (type(start), type(end)) == (datetime, datetime)
    assert start.tzinfo is None
    assert start.timestamp() == pytest.approx(answer.routing.started, abs=1)
    assert 0 <= (end - start).total_seconds() < 10

    assert (kwargs["model"], kwargs["call_type"], kwargs["litellm_call_id"]) == (
        "gpt-4o",
        "aresponses",
        answer.routing.call_id,
    )
    assert (kwargs["user"], kwargs["response_cost"], kwargs["stream"], kwargs["cache_hit"]) == (
        "ann",
        1.0,
        stream,
        False,
    )
    assert kwargs["messages"] == [{"role": "user", "content": REDACTED}]
    assert (kwargs["start_time"], kwargs["end_time"]) == (start, end)
    assert kwargs["litellm_metadata"]["team"] == kwargs["litellm_params"]["metadata"]["team"] == "red"
    assert kwargs["litellm_params"]["model_info"] == {"id": "u0"}
    assert ("complete_streaming_response" in kwargs) is stream
    assert "exception" not in kwargs

    payload = kwargs["standard_logging_object"]
    expected = {
        "id": answer.id,
        "trace_id": "t1",
        "session_id": "s1",
        "litellm_call_id": answer.routing.call_id,
        "call_type": "aresponses",
        "stream": stream,
        "status": "success",
        "error_str": None,
        "error_information": dict.fromkeys(
            ("error_code", "error_class", "llm_provider", "error_message", "traceback"), ""
        ),
        "custom_llm_provider": "openai",
        "model": "gpt-4o",
        "model_id": "u0",
        "model_group": "gpt",
        "prompt_tokens": usage.input_tokens,
        "completion_tokens": usage.output_tokens,
        "total_tokens": usage.total_tokens,
        "response_cost": 1.0,
        "response_cost_failure_debug_info": None,
        "cost_breakdown": {
            "input_cost": 0.25,
            "output_cost": 0.5,
            "tool_usage_cost": 0.25,
            "total_cost": 1.0,
            "original_cost": 1.0,
        },
        "end_user": "ann",
        "request_tags": ["paid"],
        "messages": [{"role": "user", "content": REDACTED}],
        "model_parameters": {"temperature": 0.5, **({"stream": True} if stream else {})},
        "cache_hit": False,
        "saved_cache_cost": 0.0,
    }
    assert {name: payload[name] for name in expected} == expected
    assert payload["startTime"] == pytest.approx(start.timestamp(), abs=1e-5)
    assert payload["startTime"] <= payload["completionStartTime"] <= payload["endTime"]
    assert (payload["completionStartTime"] == payload["endTime"]) is not stream
    assert payload["response_time"] == pytest.approx((end - start).total_seconds(), abs=1e-5)
    assert payload["hidden_params"]["model_id"] == "u0"
    assert payload["response"]["usage"]["total_tokens"] == usage.total_tokens
    metadata = payload["metadata"]
    assert metadata["usage_object"]["prompt_tokens"] == usage.input_tokens
    assert (metadata["team"], metadata["ended"], metadata["partial"]) == ("red", "succeeded", False)
    assert CANARY not in str(kwargs)


async def test_contents_where_they_are_recorded_unless_the_logger_wants_none() -> None:
    both, modest = Both(), Both()
    modest.message_logging = False  # type: ignore[attr-defined]  # as LiteLLM's CustomLogger has it
    messages = [{"role": "user", "content": CANARY}]
    async with serving(2) as upstreams:
        misbehave(upstreams[1], "context_window")
        async with Router(
            [*group(upstreams[:1]), entry(upstreams[1], "bad")], callbacks=[both, modest], record_contents=True
        ) as router:
            answer = await create(router, False, input=messages, instructions=CANARY, temperature=0.5)
            with pytest.raises(APIError) as raised:
                await create(router, False, model="bad", input=CANARY)
            await router.aflush()
    told = {event[0]: event for event in both.events}
    _, kwargs, response, *_ = told["async success"]
    assert kwargs["messages"] == kwargs["input"] == kwargs["standard_logging_object"]["messages"] == messages
    assert response.output_text == answer.output_text
    assert kwargs["optional_params"] == {"instructions": CANARY, "temperature": 0.5}
    failure = told["async failure"][1]
    assert failure["messages"] == [{"role": "user", "content": CANARY}]
    assert failure["exception"].message == raised.value.message
    assert failure["standard_logging_object"]["error_information"]["error_message"] == str(failure["exception"])

    told = {event[0]: event for event in modest.events}
    assert CANARY not in str(told)
    assert told["async success"][2].output == []
    assert told["async success"][1]["optional_params"] == {"temperature": 0.5}
    assert raised.value.message not in str(told["async failure"][1])


@pytest.mark.parametrize("fault", ["429", "401", "500", "content_policy", "garbage", "refuse"])
async def test_what_a_failure_is_told_with(fault: str) -> None:
    both = Both()
    async with serving(1) as upstreams:
        misbehave(upstreams[0], fault)
        async with Router(group(upstreams), callbacks=[both], num_retries=0) as router:
            with pytest.raises(APIError) as raised:
                await create(router, False, input=CANARY)
            await router.aflush()
    error = raised.value
    ((name, kwargs, response, _, _),) = both.events
    assert (name, response) == ("async failure", None)
    exception = kwargs["exception"]
    assert type(exception) is type(error)
    assert (exception.status_code, exception.code, exception.deployment_id) == (error.status_code, error.code, "u0")
    assert error.message not in str(exception)
    payload = kwargs["standard_logging_object"]
    assert (payload["status"], payload["error_str"], payload["response"]) == ("failure", str(exception), {})
    assert payload["error_information"] == {
        "error_code": str(error.status_code),
        "error_class": type(error).__name__,
        "llm_provider": "openai",
        "error_message": str(exception),
        "traceback": "",
    }
    assert (kwargs["response_cost"], payload["response_cost"], payload["cost_breakdown"]) == (0.0, 0.0, None)
    assert (payload["total_tokens"], payload["metadata"]["usage_object"]) == (0, None)


async def test_a_stream_that_is_left_succeeded_in_part_and_a_call_that_is_cancelled_failed(clock: Clock) -> None:
    both = Both()
    async with serving(2) as upstreams:
        misbehave(upstreams[0], "stall_after_output")
        misbehave(upstreams[1], "hang")
        async with Router(
            [*group(upstreams[:1]), entry(upstreams[1], "slow")], callbacks=[both], price_source=FlatRate()
        ) as router:
            stream = await router.aresponses("gpt", "hi", stream=True)
            async for event in stream:
                if event.type == "response.output_text.delta":
                    break
            await stream.aclose()
            call = asyncio.create_task(create(router, False, model="slow"))
            await upstreams[1].until(lambda: upstreams[1].active_requests == 1)
            call.cancel()
            await asyncio.wait([call])
            await router.aflush()
    told = {event[0]: event for event in both.events}
    _, kwargs, response, *_ = told["async success"]
    payload = kwargs["standard_logging_object"]
    assert (payload["status"], payload["metadata"]["ended"], payload["metadata"]["partial"]) == (
        "success",
        "abandoned",
        True,
    )
    assert payload["completion_tokens"] == payload["metadata"]["usage_object"]["completion_tokens"] > 0
    assert kwargs["complete_streaming_response"] is response
    _, kwargs, response, *_ = told["async failure"]
    assert (response, kwargs["exception"].status_code) == (None, 499)
    assert str(kwargs["exception"]).startswith("CancelledError: ")
    assert kwargs["standard_logging_object"]["metadata"]["ended"] == "cancelled"


async def test_a_cost_that_is_not_known_is_none_and_adds_nothing_up() -> None:
    both = Both()
    async with (
        serving(2) as upstreams,
        Router(group(upstreams[1:]), callbacks=[both], price_source=FlatRate()) as router,
    ):
        await create(router, False)
        await router.aflush()
    ((_, kwargs, *_),) = both.events
    payload = kwargs["standard_logging_object"]
    assert (kwargs["response_cost"], payload["response_cost"], payload["cost_breakdown"]) == (None, 0.0, None)
    assert payload["response_cost_failure_debug_info"] == {"error_str": "no price", "model": "gpt"}


async def test_other_verbs_and_errors_that_are_nobody_s_class() -> None:
    both = Both()

    class Broken:
        """A transport that fails in a way of its own."""

        async def send(self, request: object, connection: object, *, timeout: float) -> Any:
            """Fails."""
            raise RuntimeError(CANARY)

        async def aclose(self) -> None:
            """Nothing to do."""

    async with serving(1) as upstreams:
        async with Router(group(upstreams), callbacks=[both]) as router:
            answer = await create(router, False)
            await router.aget_responses(answer.id)
            await router.adelete_responses(answer.id)
            await router.aflush()
        async with Router(group(upstreams), callbacks=[both], http_client=Broken()) as router:
            with pytest.raises(RuntimeError):
                await create(router, False)
            await router.aflush()
    assert [event[1]["call_type"] for event in both.events] == [
        "aresponses",
        "aget_responses",
        "adelete_responses",
        "aresponses",
    ]
    assert [event[2].id for event in both.events[:3]] == [answer.id] * 3
    exception = both.events[-1][1]["exception"]
    assert (type(exception), str(exception)) == (APIError, "RuntimeError [deployment u0]")


def test_every_class_of_error_can_be_told() -> None:
    kinds = [each for each in vars(errors).values() if isinstance(each, type) and issubclass(each, APIError)]
    assert RateLimitError in kinds
    for kind in kinds:
        assert kind("x", status_code=None, code=None, deployment_id=None, provider=None).message == "x"


async def _four(kwargs: Any, completion_response: Any, start_time: Any, end_time: Any) -> None:
    kwargs["litellm_metadata"]["seen"].append(completion_response.status)


def _four_and_more(kwargs: Any, completion_response: Any, start_time: Any, end_time: Any, flag: bool = True) -> None:
    kwargs["litellm_metadata"]["seen"].append(flag)


@pytest.mark.parametrize(("function", "expected"), [(_four, "completed"), (_four_and_more, True)])
async def test_a_function_of_four_arguments_gets_successes(function: Callable[..., Any], expected: object) -> None:
    seen: list[object] = []
    async with serving(2) as upstreams:
        misbehave(upstreams[1], "context_window")
        async with Router([*group(upstreams[:1]), entry(upstreams[1], "bad")], callbacks=[function]) as router:
            await create(router, False, litellm_metadata={"seen": seen})
            with pytest.raises(APIError):
                await create(router, False, model="bad", litellm_metadata={"seen": seen})
            await router.aflush()
            (stats,) = router.callback_stats()
    assert seen == [expected]
    assert (stats.name, stats.delivered) == (function.__qualname__, 1)


async def test_what_is_written_for_this_router_gets_records() -> None:
    """Functions of one argument, objects with `on_call`, and what does not say how many it takes."""
    seen: list[object] = []

    class Both2(Both):
        """Has both forms."""

        def on_call(self, record: object) -> None:
            """Keeps it."""
            seen.append(record)

    class Odd:
        """Can be called, but does not say with what."""

        __signature__ = "none"

        def __call__(self, record: object) -> None:
            seen.append(record)

    both = Both2()
    async with (
        serving(1) as upstreams,
        Router(group(upstreams), callbacks=[both, Odd(), seen.append, lambda record, *rest: 0]) as router,
    ):
        await create(router, False)
        await router.aflush()
        assert [each.delivered for each in router.callback_stats()] == [1, 1, 1, 1]
    assert len(seen) == 3
    assert both.events == []


async def test_a_method_that_an_object_has_of_itself_counts() -> None:
    seen: list[object] = []
    logger = CustomLogger()
    logger.log_success_event = lambda *event: seen.append(event)
    async with serving(1) as upstreams, Router(group(upstreams), callbacks=[logger]) as router:
        await create(router, False)
        await router.aflush()
    assert len(seen) == 1


def test_a_logger_that_logs_nothing_is_refused_and_so_is_a_class() -> None:
    class Idle(CustomLogger):  # type: ignore[misc]  # made above
        """Overrides nothing."""

    with pytest.raises(ConfigurationError, match=re.escape("callbacks[1]: Idle has none of async_log_success_event")):
        Router([], callbacks=[Both(), Idle()])
    with pytest.raises(ConfigurationError, match=re.escape("pass an instance, Both(…)")):
        Router([], callbacks=[Both])
