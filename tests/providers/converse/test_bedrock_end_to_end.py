"""The Router against a Bedrock that checks signatures and requests: streaming and not, with both dialects it speaks."""

from __future__ import annotations

import base64
import json
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest
from amazon_frames import exception
from fake_bedrock import ACCESS_KEY, BEARER, REQUEST_ID, SECRET_KEY, Answer, FakeBedrock, refused, stream, told, whole
from fake_sts import FakeSts
from responses_protocol import check_stream

from providers.errors import (
    AuthenticationError,
    BadRequestError,
    ContextWindowExceededError,
    RateLimitError,
    StreamInterruptedError,
)
from providers.views import Event
from router import Router

MODEL = "us.anthropic.claude-sonnet-4-5-20250929-v1:0"
ARN = "arn:aws:bedrock:us-east-1:123456789012:application-inference-profile/abc"
PNG = base64.b64encode(b"\x89PNG\r\n\x1a\n").decode()


@pytest.fixture(params=[None, "a-session-token"])
async def bedrock(request: pytest.FixtureRequest) -> AsyncIterator[FakeBedrock]:
    async with FakeBedrock(session_token=request.param) as fake:
        yield fake


def _router(bedrock: FakeBedrock, model: str = MODEL, client: httpx.AsyncClient | None = None, **params: Any) -> Router:
    keys = {"aws_access_key_id": ACCESS_KEY, "aws_secret_access_key": SECRET_KEY, "aws_region_name": "us-east-1"}
    if bedrock.session_token is not None:
        keys["aws_session_token"] = bedrock.session_token
    given = {"model": f"bedrock/{model}", "api_base": bedrock.url, **(params or keys)}
    model_list = [{"model_name": "g", "litellm_params": given}]
    return Router(model_list=model_list, num_retries=0, http_client=client)


async def _events(router: Router, **call: Any) -> list[Event]:
    return [event async for event in await router.aresponses(model="g", stream=True, **call)]


async def _collect(events: AsyncIterator[Event], seen: list[Event]) -> None:
    async for event in events:
        seen.append(event)  # noqa: PERF401  # what was seen before it failed counts


@pytest.mark.parametrize("by_httpx", [False, True])
@pytest.mark.parametrize("model", [MODEL, ARN, "meta.llama3-1-8b-instruct-v1:0", f"converse/us-east-1/{MODEL}"])
async def test_calls_are_signed_as_bedrock_checks_them(bedrock: FakeBedrock, model: str, *, by_httpx: bool) -> None:
    async with httpx.AsyncClient() as client, _router(bedrock, model, client if by_httpx else None) as router:
        response = await router.aresponses(model="g", input="Hi", instructions="Be brief.")
        events = await _events(router, input="Grüße")
    assert response.output_text == "Hello."
    assert check_stream([event.to_dict() for event in events])["output"][0]["content"][0]["text"] == "Hello."
    assert bedrock.turned_away == []
    assert [received.streamed for received in bedrock.received] == [False, True]
    assert {received.model for received in bedrock.received} == {model.rpartition("us-east-1/")[2] or model}


async def test_bearer_keys(bedrock: FakeBedrock) -> None:
    async with _router(bedrock, api_key=BEARER) as router:
        assert (await router.aresponses(model="g", input="Hi")).output_text == "Hello."
    assert bedrock.received[0].headers["authorization"] == f"Bearer {BEARER}"
    async with _router(bedrock, api_key="another") as router:
        with pytest.raises(AuthenticationError, match="Authentication failed"):
            await router.aresponses(model="g", input="Hi")


async def test_keys_that_are_found(bedrock: FakeBedrock, monkeypatch: pytest.MonkeyPatch) -> None:
    found = {"AWS_ACCESS_KEY_ID": ACCESS_KEY, "AWS_SECRET_ACCESS_KEY": SECRET_KEY, "AWS_REGION": "us-east-1"}
    if bedrock.session_token is not None:
        found["AWS_SESSION_TOKEN"] = bedrock.session_token
    for name, value in found.items():
        monkeypatch.setenv(name, value)
    params = {"model": f"bedrock/{MODEL}", "aws_bedrock_runtime_endpoint": bedrock.url}
    async with Router(model_list=[{"model_name": "g", "litellm_params": params}]) as router:
        assert (await router.aresponses(model="g", input="Hi")).output_text == "Hello."


async def test_roles_are_assumed(bedrock: FakeBedrock) -> None:
    bedrock.keys = {"ASSUMED1": ("assumed-secret", "assumed-token")}
    keys: dict[str, Any] = {"aws_access_key_id": ACCESS_KEY, "aws_secret_access_key": SECRET_KEY}
    role = {
        "aws_region_name": "us-east-1",
        "aws_role_name": "arn:aws:iam::123456789012:role/r",
        "aws_session_name": "me",
    }
    with FakeSts() as sts:
        async with _router(bedrock, **{**keys, **role}, aws_sts_endpoint=sts.url) as router:
            for _ in range(2):
                assert (await router.aresponses(model="g", input="Hi")).output_text == "Hello."
    assert [asked["RoleSessionName"] for asked in sts.asked] == ["me"]


async def test_a_conversation_goes_on(bedrock: FakeBedrock) -> None:
    use = {"toolUseId": "t1", "name": "look", "input": {"x": 1}}
    thought = {"reasoningContent": {"reasoningText": {"text": "Hm.", "signature": "c2ln"}}}
    bedrock.answer(whole(thought, {"toolUse": use}, stop="tool_use"), told("42", "."))
    tools = [{"type": "function", "name": "look"}]
    async with _router(bedrock) as router:
        first = await router.aresponses(model="g", input="?", tools=tools, reasoning={"effort": "low"})
        call = first.output[-1]
        answer = {"type": "function_call_output", "call_id": call.call_id, "output": "42"}
        events = await _events(
            router, input=[answer], tools=tools, previous_response_id=first.id, reasoning={"effort": "low"}
        )
    assert check_stream([event.to_dict() for event in events])["status"] == "completed"
    sent = bedrock.received[1].body
    assert sent["messages"][1]["content"] == [thought, {"toolUse": use}]
    assert sent["messages"][2]["content"] == [{"toolResult": {"toolUseId": "t1", "content": [{"text": "42"}]}}]
    assert sent["additionalModelRequestFields"]["thinking"]["type"] == "enabled"


async def test_errors_before_a_stream_are_raised(bedrock: FakeBedrock) -> None:
    bedrock.answer(
        refused(429, "ThrottlingException", "slow down", retry_after="3"),
        stream(tail=[exception("throttlingException", "slow down")]),
        refused(400, "ValidationException", "Input is too long for requested model."),
    )
    async with _router(bedrock) as router:
        with pytest.raises(RateLimitError, match="slow down") as raised:
            await router.aresponses(model="g", input="Hi")
        assert (raised.value.code, raised.value.request_id) == ("ThrottlingException", REQUEST_ID)
        assert raised.value.retry_after == 3
    async with _router(bedrock) as router:
        with pytest.raises(RateLimitError, match="slow down"):
            await _events(router, input="Hi")
    async with _router(bedrock) as router:
        with pytest.raises(ContextWindowExceededError):
            await router.aresponses(model="g", input="Hi")


async def test_what_a_stream_fails_with(bedrock: FakeBedrock) -> None:
    began = told("Hello").chunks
    assert began is not None
    bedrock.answer(Answer(chunks=began[:2], content_type="application/vnd.amazon.eventstream"))
    seen: list[Event] = []
    async with _router(bedrock) as router:
        events = await router.aresponses(model="g", input="Hi", stream=True)
        with pytest.raises(StreamInterruptedError):
            await _collect(events, seen)
    assert check_stream([event.to_dict() for event in seen])["status"] == "failed"
    assert "response.output_text.delta" in [event.type for event in seen]


async def test_what_is_left_out_is_told(bedrock: FakeBedrock) -> None:
    async with _router(bedrock) as router:
        with pytest.raises(BadRequestError) as raised:
            await router.aresponses(model="g", input="Hi", top_logprobs=3)
        assert raised.value.param == "top_logprobs"
        response = await router.aresponses(model="g", input="Hi", top_logprobs=3, drop_params=True)
    assert response.routing.dropped == ("top_logprobs: there are no log probabilities",)


async def test_openais_models_are_asked_in_their_own_dialect(bedrock: FakeBedrock) -> None:
    done: dict[str, Any] = {
        "id": "resp_1",
        "object": "response",
        "status": "completed",
        "output": [],
        "model": "openai.gpt-5.6-luna",
    }
    done |= {"created_at": 1, "usage": None, "error": None, "incomplete_details": None}
    bedrock.answer(Answer(body=done), refused(403, "ExpiredTokenException", "The security token is expired"))
    picture = {"type": "input_image", "image_url": f"data:image/png;base64,{PNG}"}
    async with _router(bedrock, "us.openai.gpt-5.6-luna") as router:
        response = await router.aresponses(model="g", input=[{"role": "user", "content": [picture]}])
        assert response.status == "completed"
        with pytest.raises(AuthenticationError, match="expired"):
            await router.aresponses(model="g", input="Hi")
    received = bedrock.received[0]
    assert (received.path, received.model) == ("/openai/v1/responses", "us.openai.gpt-5.6-luna")
    assert received.body["input"][0]["content"] == [json.loads(json.dumps(picture))]
