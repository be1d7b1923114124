"""Gemini through a Router, at both of its addresses: tool loops that go on by ids, with their signatures."""

from __future__ import annotations

from contextlib import AsyncExitStack
from typing import Any

import pytest
from fake_gemini import KEY, TOKEN, FakeGemini, frame, hello
from fake_google_tokens import FakeTokens, service_account
from routers import create, served, tick
from wire import serve

from router import Router

TOOLS: list[Any] = [
    {"type": "function", "name": "step", "parameters": {"type": "object", "properties": {"n": {"type": "integer"}}}}
]
BUSY = {"error": {"code": 503, "message": "The model is overloaded.", "status": "UNAVAILABLE"}}
USAGE = {"promptTokenCount": 3, "candidatesTokenCount": 2}


def entry(name: str, model: str, url: str, order: int = 0, **params: Any) -> dict[str, Any]:
    """A deployment of Google's."""
    given = {"model": model, "api_base": url, "order": order, **params}
    return {"model_name": "google", "litellm_params": given, "model_info": {"id": name}}


@pytest.mark.parametrize("stream", [False, True])
async def test_a_tool_loop_goes_on_by_ids_from_the_gemini_api_to_vertex(stream: bool) -> None:
    """With a service account there, whose project the call finds by itself."""
    studio, cloud, tokens = FakeGemini(), FakeGemini(), FakeTokens(issues=TOKEN)
    async with AsyncExitStack() as stack:
        one, two, three = [await stack.enter_async_context(serve(each)) for each in (studio, cloud, tokens)]
        router = Router(
            [
                entry("studio", "gemini/gemini-3-pro", one.url, api_key=KEY),
                entry(
                    "cloud",
                    "vertex_ai/gemini-3-pro",
                    two.url,
                    order=1,
                    vertex_credentials=service_account(three.url),
                    vertex_location="global",
                ),
            ],
            num_retries=1,
            sleep=tick,
        )
        stack.push_async_callback(router.aclose)
        studio.says(
            frame({"text": "Two steps.", "thought": True}),
            frame({"functionCall": {"name": "step", "args": {"n": 1}}, "thoughtSignature": "MQ=="}),
            frame({"functionCall": {"name": "step", "args": {"n": 2}}}, stop="STOP", usage=USAGE),
        )
        asked = await create(router, stream, "google", "Go.", tools=TOOLS, reasoning={"summary": "auto"})
        calls = [item for item in asked.output if item.type == "function_call"]
        assert [call.arguments for call in calls] == ['{"n":1}', '{"n":2}']
        results = [{"type": "function_call_output", "call_id": each.call_id, "output": "done"} for each in calls]
        studio.fails(503, BUSY)
        told = await create(router, stream, "google", results, previous_response_id=asked.id, tools=TOOLS)
        assert served(told) == "cloud"
        assert (told.output_text, told.previous_response_id) == ("Hello", asked.id)
        contents = cloud.sent[0].body["contents"]
        assert [turn["role"] for turn in contents] == ["user", "model", "user"]
        assert contents[1]["parts"][0]["thoughtSignature"] == "MQ=="
        assert cloud.sent[0].path.startswith("/v1beta1/projects/acme/locations/global/publishers/google/models/")
        assert cloud.sent[0].headers["authorization"] == f"Bearer {TOKEN}"
        assert (studio.complaints, cloud.complaints, len(tokens.asked)) == ([], [], 1)
        assert await router.aget_responses(told.id) == told.to_dict()


async def test_an_expired_key_moves_the_call_and_an_error_in_a_stream_too() -> None:
    bad, good = FakeGemini(), FakeGemini()
    async with serve(bad) as one, serve(good) as two:
        router = Router(
            [
                entry("bad", "gemini/gemini-3-flash", one.url, api_key="AIza-old"),
                entry("good", "gemini/gemini-3-flash", two.url, order=1, api_key=KEY),
            ],
            num_retries=2,
            sleep=tick,
        )
        response = await create(router, True, "google")
        assert served(response) == "good"
        good.says(BUSY)
        good.says(hello("Again"))
        assert (await create(router, True, "google")).output_text == "Again"
        await router.aclose()
