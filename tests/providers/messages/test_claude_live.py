"""Claude through the Router, over real sockets: at Anthropic, on Foundry, on Vertex AI."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest
from claude_calls import PNG
from fake_anthropic import KEY, TOKEN, FakeAnthropic, error, fake_anthropic, fixture, message
from responses_protocol import check_stream
from routers import read, read_until_error

from providers.translation.sealed import unseal
from router import (
    BadRequestError,
    ContextWindowExceededError,
    Router,
    ServiceUnavailableError,
    StreamInterruptedError,
)

HOSTS: dict[str, dict[str, Any]] = {
    "anthropic": {"model": "anthropic/claude-opus-5", "api_key": KEY},
    "foundry": {"model": "azure_ai/claude-opus-5", "api_key": KEY},
    "vertex": {
        "model": "vertex_ai/claude-opus-5",
        "azure_ad_token": TOKEN,
        "vertex_project": "p-1",
        "vertex_location": "global",
    },
}
TOOLS = [{"type": "function", "name": "get_weather", "parameters": {"type": "object", "properties": {"location": {}}}}]


@pytest.fixture
async def fake() -> AsyncIterator[FakeAnthropic]:
    async with fake_anthropic() as server:
        yield server


@pytest.fixture(params=sorted(HOSTS))
async def router(request: pytest.FixtureRequest, fake: FakeAnthropic) -> AsyncIterator[Router]:
    params = dict(HOSTS[request.param])
    if request.param == "vertex":
        params["api_key"] = params.pop("azure_ad_token")
    entry = {"model_name": "claude", "litellm_params": {**params, "api_base": fake.url, "num_retries": 0}}
    async with Router(model_list=[entry], num_retries=0) as made:
        yield made


async def ask(router: Router, stream: bool, input: Any = "Hi", **params: Any) -> dict[str, Any]:
    if not stream:
        whole: dict[str, Any] = (await router.aresponses("claude", input, **params)).to_dict()
        return whole
    events = await read(await router.aresponses("claude", input, stream=True, **params))
    return check_stream(events)


both = pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])


@both
async def test_it_answers(router: Router, fake: FakeAnthropic, stream: bool) -> None:
    fake.play("text")
    response = await ask(router, stream)
    assert response["output"][0]["content"][0]["text"] == "Hello! How can I help you today?"
    assert not fake.refused


@both
async def test_a_loop_of_tools_goes_round_with_its_thinking(router: Router, fake: FakeAnthropic, stream: bool) -> None:
    fake.play("parallel_tools")
    settings: dict[str, Any] = {"tools": TOOLS, "reasoning": {"effort": "high", "summary": "auto"}}
    first = await ask(router, stream, "Paris and London?", **settings)
    calls = [item for item in first["output"] if item["type"] == "function_call"]
    outputs = [{"type": "function_call_output", "call_id": call["call_id"], "output": "rain"} for call in calls]
    fake.play("text")
    await ask(router, stream, outputs, previous_response_id=first["id"], **settings)
    turns = fake.body["messages"]
    assert turns[1]["content"][0] == message("parallel_tools")["content"][0]
    assert [block["type"] for block in turns[2]["content"]] == ["tool_result", "tool_result"]
    sent = [{"role": "user", "content": "Paris and London?"}, *first["output"], *outputs]
    fake.play("text")
    await ask(router, stream, sent, **settings)
    assert fake.body["messages"] == turns
    assert not fake.refused
    sealed = first["output"][0]["encrypted_content"]
    assert unseal("claude", sealed) == [message("parallel_tools")["content"][0]]


async def test_images_and_forms_arrive(router: Router, fake: FakeAnthropic) -> None:
    fake.play("json")
    image = {"type": "input_image", "image_url": f"data:image/png;base64,{PNG}"}
    form = {
        "format": {"type": "json_schema", "name": "x", "schema": {"type": "object", "properties": {}}, "strict": True}
    }
    response = await router.aresponses("claude", [{"role": "user", "content": [image]}], text=form)
    assert response.output_text == '{"name":"Ada","age":36}'
    assert fake.body["messages"][0]["content"][0]["source"]["data"] == PNG


async def test_what_was_dropped_is_told(router: Router, fake: FakeAnthropic) -> None:
    fake.play("text")
    response = await router.aresponses("claude", "Hi", temperature=0.3, drop_params=True)
    assert response.routing.dropped == ("temperature: claude-opus-5 takes none",)
    with pytest.raises(BadRequestError, match="temperature"):
        await router.aresponses("claude", "Hi", temperature=0.3)


@both
async def test_refusals_are_typed(router: Router, fake: FakeAnthropic, stream: bool) -> None:
    fake.refuse(529, error(529, "overloaded_error", "Overloaded"))
    with pytest.raises(ServiceUnavailableError) as caught:
        await ask(router, stream)
    assert caught.value.request_id == "req_011CSHoEeqs5C35K2UUqR7Fy"


async def test_too_long_is_too_long(router: Router, fake: FakeAnthropic) -> None:
    fake.refuse(400, error(400, "invalid_request_error", "prompt is too long: 3 tokens > 2 maximum"))
    with pytest.raises(ContextWindowExceededError):
        await router.aresponses("claude", "Hi")


@pytest.mark.parametrize(
    ("name", "cls"), [("truncated", StreamInterruptedError), ("error_midway", ServiceUnavailableError)]
)
async def test_streams_that_fail_midway(router: Router, fake: FakeAnthropic, name: str, cls: type[Exception]) -> None:
    fake.send(fixture(f"{name}.sse"))
    events, failure = await read_until_error(await router.aresponses("claude", "Hi", stream=True))
    assert isinstance(failure, cls)
    assert events[-1]["type"] in ("response.failed", "response.output_text.delta")


async def test_a_connection_that_breaks(router: Router, fake: FakeAnthropic) -> None:
    fake.send(fixture("truncated.sse"), cut=True)
    _, failure = await read_until_error(await router.aresponses("claude", "Hi", stream=True))
    assert failure.status_code == 503


async def test_an_error_at_the_start_is_tried_elsewhere(fake: FakeAnthropic) -> None:
    entries = [
        {
            "model_name": "claude",
            "litellm_params": {**HOSTS["anthropic"], "api_base": fake.url},
            "model_info": {"id": name},
        }
        for name in ("a", "b")
    ]
    fake.send(fixture("error_after_start.sse"))
    fake.play("text")
    async with Router(model_list=entries) as router:
        stream = await router.aresponses("claude", "Hi", stream=True)
        assert check_stream(await read(stream))["status"] == "completed"
    assert len(fake.received) == 2


@both
async def test_a_turn_that_was_paused_goes_on(fake: FakeAnthropic, stream: bool) -> None:
    entry = {"model_name": "claude", "litellm_params": {**HOSTS["anthropic"], "api_base": fake.url}}
    async with Router(model_list=[entry]) as router:
        tools = [{"type": "web_search"}]
        fake.play("pause_turn")
        first = await ask(router, stream, "Search.", tools=tools)
        assert (first["status"], first["stop_reason"]) == ("incomplete", "pause_turn")
        fake.play("web_search")
        await ask(router, stream, [], previous_response_id=first["id"], tools=tools)
    assert fake.body["messages"][1] == {"role": "assistant", "content": message("pause_turn")["content"]}
    assert not fake.refused


@both
async def test_a_conversation_may_change_though_its_thinking_is_bound_to_it(fake: FakeAnthropic, stream: bool) -> None:
    params = {**HOSTS["anthropic"], "model": "anthropic/claude-opus-5-5", "api_base": fake.url}
    async with Router(model_list=[{"model_name": "claude", "litellm_params": params}]) as router:
        fake.play("thinking")
        first = await ask(router, stream, "Think.", instructions="Be brief.")
        fake.play("thinking")
        second = await ask(router, stream, "On.", instructions="Be brief.", previous_response_id=first["id"])
        assert not fake.unbound
        fake.play("text")
        await ask(router, stream, "And?", previous_response_id=second["id"])
    assert len(fake.unbound) == 2
    assert not fake.refused
