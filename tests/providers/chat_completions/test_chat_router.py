"""Vendors of chat completions behind a Router: as users name them, streamed or not, with memory and failover."""

from __future__ import annotations

from typing import Any

import pytest
from chat_rules import VARIANTS
from chat_talk import TIME, WEATHER, summed_up
from fake_chat import KEY, FakeChat, fake_chat
from responses_protocol import check_stream
from wire import serve

from router import APIError, BadRequestError, RateLimitError, Router

VENDORS = sorted(set(VARIANTS) - {"azure", "openai"})


def entry(fake: FakeChat, vendor: str, group: str = "chat", **params: Any) -> dict[str, Any]:
    """One deployment as users write it."""
    base = fake.url if vendor == "azure" else f"{fake.url}/v1"
    usual: dict[str, Any] = {"model": f"{vendor}/m-1", "api_base": base, "api_key": KEY}
    if vendor in ("openai", "azure"):
        usual["use_chat_completions_api"] = True
    return {"model_name": group, "litellm_params": {**usual, **params}}


def plain(value: Any) -> Any:
    return value.to_dict()


async def events(stream: Any) -> list[dict[str, Any]]:
    return [plain(event) async for event in stream]


@pytest.mark.parametrize("vendor", [*VENDORS, "openai", "azure"])
async def test_whole_and_streamed(vendor: str) -> None:
    async with fake_chat(vendor) as fake, Router([entry(fake, vendor)]) as router:
        fake.say("Hello there")
        whole = await router.aresponses("chat", "Hi", instructions="Be brief.")
        assert whole.output_text == "Hello there"
        assert plain(whole)["usage"]["total_tokens"] == 5
        fake.say("Hello there")
        response = check_stream(await events(await router.aresponses("chat", "Hi", stream=True)))
        assert summed_up(response) == [("output_text", "Hello there")]
        # Mistral and Perplexity tell it unasked, which the fake does not imitate
        assert (response["usage"] is None) is (vendor in ("mistral", "perplexity"))
        path = "/openai/v1/chat/completions" if vendor == "azure" else "/v1/chat/completions"
        assert [received.path for received in fake.received] == [path, path]
        assert not fake.refused


@pytest.mark.parametrize("vendor", VENDORS)
@pytest.mark.parametrize("stream", [False, True])
async def test_a_conversation_with_tools_goes_on_by_its_id(vendor: str, stream: bool) -> None:
    async with fake_chat(vendor) as fake, Router([entry(fake, vendor)]) as router:

        async def ask(what: Any, **more: Any) -> dict[str, Any]:
            found = await router.aresponses("chat", what, stream=stream, tools=[WEATHER, TIME], **more)
            response: dict[str, Any] = check_stream(await events(found)) if stream else plain(found)
            return response

        fake.play("openai_tools")
        first = await ask("Weather and time in Paris?")
        calls = [item for item in first["output"] if item["type"] == "function_call"]
        outputs = [
            {"type": "function_call_output", "call_id": call["call_id"], "output": call["name"]} for call in calls
        ]
        fake.play("openai_text")
        second = await ask(outputs[::-1], previous_response_id=first["id"])
        assert summed_up(second) == [("output_text", "Hello wörld 🌍")]
        assert [message["role"] for message in fake.body["messages"]] == ["user", "assistant", "tool", "tool"]
        assert [message["content"] for message in fake.body["messages"][2:]] == ["get_weather", "get_time"]
        fake.say("Bye")
        await ask("Bye", previous_response_id=second["id"])
        assert [message["role"] for message in fake.body["messages"]][-2:] == ["assistant", "user"]
        assert not fake.refused
        found = await router.aget_responses(first["id"])
        assert plain(found)["id"] == first["id"]


async def test_reasoning_goes_back_in_a_tool_loop() -> None:
    async with fake_chat("deepseek") as fake, Router([entry(fake, "deepseek")]) as router:
        fake.play("deepseek_reasoning_tool")
        first = await router.aresponses("chat", "Oslo?", tools=[WEATHER])
        fake.say("Rain.")
        output = {"type": "function_call_output", "call_id": "call_00_x", "output": "Rain"}
        await router.aresponses("chat", [output], previous_response_id=first.id, tools=[WEATHER])
        assert fake.body["messages"][1]["reasoning_content"] == "The user wants weather."
        assert fake.body["messages"][1]["content"] == "I will ask."


async def test_pictures_are_downloaded_for_who_takes_no_addresses() -> None:
    async def picture(link: Any) -> None:
        while await link.request():
            await link.send(b"HTTP/1.1 200 OK\r\nContent-Type: image/png\r\nContent-Length: 3\r\n\r\nabc")

    async with fake_chat("ollama") as fake, serve(picture) as files:
        part = {"type": "input_image", "image_url": f"{files.url}/cat.png"}
        asked = [{"role": "user", "content": [part]}]
        async with Router([entry(fake, "ollama")], remote_files="any") as router:
            fake.say("A cat.")
            await router.aresponses("chat", asked)
            shown = fake.body["messages"][0]["content"][0]["image_url"]["url"]
            assert shown == "data:image/png;base64,YWJj"
        async with Router([entry(fake, "ollama")]) as router:
            with pytest.raises(BadRequestError, match="not a public one"):
                await router.aresponses("chat", asked)
            assert files.accepted == 1


async def test_a_rate_limit_leads_elsewhere() -> None:
    async with fake_chat("groq") as first, fake_chat("mistral") as second:
        model_list = [entry(first, "groq", order=1), entry(second, "mistral", order=2)]
        async with Router(model_list) as router:
            first.refuse(429, {"error": {"message": "slow down", "code": "rate_limit_exceeded"}}, retry_after="30")
            second.say("Here.")
            found = await router.aresponses("chat", "Hi")
            assert (found.output_text, found.routing.provider) == ("Here.", "mistral")
            assert isinstance(found.routing.attempts[0].error, RateLimitError)


async def test_an_error_at_the_head_of_a_stream_leads_elsewhere() -> None:
    async with fake_chat("groq") as first, fake_chat("mistral") as second:
        model_list = [entry(first, "groq", order=1), entry(second, "mistral", order=2)]
        async with Router(model_list) as router:
            first.play("openai_error_at_once")
            second.say("Here.")
            response = check_stream(await events(await router.aresponses("chat", "Hi", stream=True)))
            assert summed_up(response) == [("output_text", "Here.")]


async def test_a_stream_that_breaks_off_is_an_error() -> None:
    async with fake_chat("groq") as fake, Router([entry(fake, "groq")], num_retries=0) as router:
        fake.send(b'data: {"choices":[{"index":0,"delta":{"content":"Hel"}}]}\n\n', cut=True)
        stream = await router.aresponses("chat", "Hi", stream=True)
        with pytest.raises(APIError) as caught:
            await events(stream)
        assert caught.value.received is not None


async def test_what_was_left_out_is_told() -> None:
    async with fake_chat("groq") as fake, Router([entry(fake, "groq", drop_params=True)]) as router:
        fake.say()
        found = await router.aresponses("chat", "Hi", max_tool_calls=3, reasoning={"effort": "max"})
        assert [line.partition(":")[0] for line in found.routing.dropped] == ["max_tool_calls", "reasoning.effort"]
