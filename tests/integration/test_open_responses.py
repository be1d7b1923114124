"""What the proxy sends is as Open Responses demands, whatever dialect the deployment speaks."""

import json
from typing import Any

import httpx
import pytest
from conversations import KEY, house
from open_responses import EVENTS, check_event, check_response
from provider_stages import TOOL, Stage, stages
from proxies import proxying
from responses_protocol import check_stream, parse_sse
from routers import entry

from providers.simulated import Behaviour, SimulatedUpstream
from router import Router
from router.proxy.settings import ProxySettings

STAGES = stages()
FUNCTION = {
    "type": "function",
    "name": TOOL,
    "description": "The weather of a city.",
    "parameters": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
    "strict": False,
}
SAYS = ("text", "call", "calls", "thought", "refusal", "length", "filter")
THINKING = {"reasoning": {"effort": "low", "summary": "auto"}, "include": ["reasoning.encrypted_content"]}
CALLS: dict[str, Any] = {
    "text": {"input": "hi"},
    "tool": {"input": f"call {TOOL}", "tools": [FUNCTION]},
    "thought": {"input": "hi", **THINKING},
    "too long": {"input": "hi", "max_output_tokens": 16},
    "background": {"input": "hi", "background": True},
    "settings": {"input": "hi", "metadata": {"a": "b"}, "temperature": 0.5, "tools": [FUNCTION], "tool_choice": "none"},
}


def seen(content: bytes) -> set[str]:
    """The types of a stream's events, each of which was checked."""
    events = parse_sse(content, done_marker=True)
    check_response(check_stream(events))
    for event in events:
        check_event(event)
    return {event["type"] for event in events}


def test_events_are_checked_by_their_models() -> None:
    assert len(EVENTS) == 24
    with pytest.raises(AssertionError, match="sequence_number: Field required"):
        check_event({"type": "error", "error": {"type": "a", "code": None, "message": "b", "param": None}})
    with pytest.raises(AssertionError, match="there is no event"):
        check_event({"type": "response.ended"})
    with pytest.raises(AssertionError, match="completed_at"):
        check_response({"object": "response"})


def test_what_a_native_deployment_says_passes_as_open_responses_has_it() -> None:
    kinds: set[str] = set()
    with house() as home, httpx.Client(base_url=home.url, headers={"authorization": f"Bearer {KEY}"}) as client:
        for call in CALLS.values():
            answer = client.post("/v1/responses", json={"model": "gpt", **call})
            check_response(answer.json())
            check_response(client.get(f"/v1/responses/{answer.json()['id']}").json())
            kinds |= seen(client.post("/v1/responses", json={"model": "gpt", "stream": True, **call}).content)
    assert {
        "response.queued",
        "response.reasoning_summary_text.delta",
        "response.function_call_arguments.done",
    } <= kinds


@pytest.mark.parametrize("stage", STAGES, ids=[stage.title for stage in STAGES])
async def test_what_is_translated_is_as_open_responses_has_it(stage: Stage) -> None:
    async with stage.play():
        router = Router([stage.entry(thinks=True)], num_retries=0, disable_cooldowns=True)
        with proxying(router) as url:
            async with httpx.AsyncClient(base_url=url, timeout=20) as client:
                for says in SAYS:
                    call: dict[str, Any] = {"model": "group", "input": "hi", "tools": [FUNCTION]}
                    if says == "thought":
                        call = {"model": "group", "input": "hi", **THINKING}
                    stage.says(says, stream=False)
                    answer = await client.post("/v1/responses", json=call)
                    assert answer.status_code == 200, (says, answer.text)
                    check_response(answer.json())
                    stage.says(says, stream=True)
                    answer = await client.post("/v1/responses", json={**call, "stream": True})
                    assert answer.status_code == 200, (says, answer.text)
                    seen(answer.content)


async def test_a_failure_in_a_stream_is_as_open_responses_has_it() -> None:
    (stage,) = (each for each in STAGES if each.title == "anthropic")
    async with stage.play():
        with proxying(Router([stage.entry()], num_retries=0)) as url:
            stage.says("cut", stream=True)
            async with httpx.AsyncClient(base_url=url, timeout=20) as client:
                answer = await client.post("/v1/responses", json={"model": "group", "input": "hi", "stream": True})
            events = parse_sse(answer.content, done_marker=True)
            assert [event["type"] for event in events[-2:]] == ["error", "response.failed"], json.dumps(events[-2:])
            check_event(events[-2])
            check_response(events[-1]["response"])


def test_a_failure_after_the_headers_is_an_event_and_the_stream_ends_as_any_other() -> None:
    with SimulatedUpstream.in_thread("u0", behaviour=Behaviour(fault="hang")) as upstream:
        router = Router([entry(upstream, timeout=0.2)], num_retries=0)
        with proxying(router, ProxySettings(headers_after=0.01)) as url:
            answer = httpx.post(f"{url}/responses", json={"model": "gpt", "input": "hi", "stream": True}, timeout=20)
    assert answer.status_code == 200
    error, failed = parse_sse(answer.content, done_marker=True)
    check_event(error)
    assert (error["error"]["type"], failed["type"]) == ("timeout_error", "response.failed")
