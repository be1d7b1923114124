"""What `routing` says of a call, what a final error carries, and that both can be pickled."""

import copy
import json
import pickle
import time
from typing import Any

import pytest
from routers import AFFINITY, closed, entry, group, misbehave, read, served, serving

from router import (
    APIError,
    AuthenticationError,
    InternalServerError,
    Response,
    Router,
    StreamInterruptedError,
)


@pytest.mark.parametrize("stream", [False, True])
async def test_a_call_that_is_served_at_once(stream: bool) -> None:
    async with serving(1) as upstreams:
        router = Router(group(upstreams), model_group_alias={"default": "gpt"})
        before = time.time()
        answer: Any = await router.aresponses("default", "hi", stream=stream)
        routing = answer.routing
        assert (routing.deployment_id, routing.model_group, routing.provider) == ("u0", "gpt", "openai")
        assert (routing.fallbacks, [each.deployment_id for each in routing.attempts]) == (0, ["u0"])
        assert before <= routing.started <= time.time()
        assert 0 < routing.duration < 10
        assert routing.first_output == (routing.duration if stream else None)
        (attempt,) = routing.attempts
        assert (attempt.model_group, attempt.error) == ("gpt", None)
        assert 0 <= attempt.started <= attempt.started + attempt.duration <= routing.duration
        if stream:
            await read(answer)
            assert answer.response.routing is routing
        await closed(router, upstreams)


@pytest.mark.parametrize("stream", [False, True])
async def test_after_retries_and_fallbacks(stream: bool) -> None:
    async with serving(3) as upstreams:
        for upstream, fault in zip(upstreams[:2], ("401", "500"), strict=True):
            misbehave(upstream, fault)
        router = Router(
            [*group(upstreams[:2]), entry(upstreams[2], "spare")], fallbacks=[{"gpt": ["spare"]}], num_retries=1
        )
        answer: Any = await router.aresponses("gpt", "hi", stream=stream)
        routing = answer.routing
        assert (routing.deployment_id, routing.model_group, routing.fallbacks) == ("u2", "spare", 1)
        assert [each.model_group for each in routing.attempts] == ["gpt"] * (len(routing.attempts) - 1) + ["spare"]
        failed = {each.deployment_id: type(each.error) for each in routing.attempts[:-1]}
        assert failed == {"u0": AuthenticationError, "u1": InternalServerError}
        assert routing.attempts[-1].error is None
        started = [each.started for each in routing.attempts]
        assert started == sorted(started)
        if stream:
            await read(answer)
        await closed(router, upstreams)


async def test_a_response_and_its_routing_are_picklable() -> None:
    async with serving(2) as upstreams:
        misbehave(upstreams[0], "500")
        router = Router(group(upstreams), routing_strategy="round-robin")
        answers = [await router.aresponses("gpt", "hi") for _ in range(2)]
        answer = next(each for each in answers if len(each.routing.attempts) == 2)
        back = pickle.loads(pickle.dumps(answer))
        assert type(back) is Response
        assert back == answer
        assert back.routing.deployment_id == "u1"
        assert [type(each.error) for each in back.routing.attempts] == [InternalServerError, type(None)]
        error = back.routing.attempts[0].error
        assert error is not None
        assert error.deployment_id == "u0"
        assert copy.deepcopy(answer).routing.attempts[0].error.message == answer.routing.attempts[0].error.message  # type: ignore[union-attr]
        await closed(router, upstreams)


async def test_a_final_error_carries_every_attempt_and_is_picklable() -> None:
    async with serving(2) as upstreams:
        for upstream in upstreams:
            misbehave(upstream, "500")
        router = Router(group(upstreams), num_retries=1)
        with pytest.raises(InternalServerError) as raised:
            await router.aresponses("gpt", "hi")
        error = raised.value
        assert {each.deployment_id for each in error.attempts} == {"u0", "u1"}
        assert error.attempts[-1].error is error
        assert (error.status_code, error.code, error.type) == (500, "server_error", "server_error")
        assert error.request_id is not None
        assert error.request_id.startswith("req_")
        assert error.provider == "openai"
        assert f"[deployment {error.deployment_id}] (after 2 attempts)" in str(error)
        for back in (pickle.loads(pickle.dumps(error)), copy.deepcopy(error)):
            assert type(back) is InternalServerError
            assert (str(back), back.body, back.request_id) == (str(error), error.body, error.request_id)
            assert [each.deployment_id for each in back.attempts] == [each.deployment_id for each in error.attempts]
            assert back.attempts[-1].error is back
        await closed(router, upstreams)


async def test_an_error_after_output_carries_the_attempts_too() -> None:
    async with serving(2) as upstreams:
        misbehave(upstreams[0], "500")
        misbehave(upstreams[1], "cut_after_output")
        router = Router(group(upstreams))
        for _ in range(3):
            stream = await router.aresponses("gpt", "hi", stream=True)
            with pytest.raises(StreamInterruptedError) as raised:
                await read(stream)
            error = pickle.loads(pickle.dumps(raised.value))
            assert error.attempts[-1].deployment_id == error.deployment_id == "u1"
            assert error.attempts[-1].error is error
            assert error.received["id"] == upstreams[1].ids[-1]
            assert Response(error.received).output_text
            with pytest.raises(StopAsyncIteration):
                await anext(stream)
        await closed(router, upstreams)


async def test_a_view_that_no_router_returned_has_no_routing() -> None:
    with pytest.raises(AttributeError, match="not returned by a Router"):
        _ = Response({"id": "resp_1"}).routing
    json.dumps(Response({"id": "resp_1"}).to_dict())


async def test_the_attempts_of_an_error_hold_nothing_of_another_call() -> None:
    async with serving(1) as upstreams:
        misbehave(upstreams[0], "500")
        router = Router(group(upstreams), num_retries=0, optional_pre_call_checks=AFFINITY)
        errors = []
        for _ in range(3):
            with pytest.raises(APIError) as raised:
                await router.aresponses("gpt", "hi")
            errors.append(raised.value)
        assert [len(error.attempts) for error in errors] == [1, 1, 1]
        misbehave(upstreams[0])
        assert len((await router.aresponses("gpt", "hi")).routing.attempts) == 1
        assert served(await router.aresponses("gpt", "hi")) == "u0"
        await closed(router, upstreams)
