"""The fake of chat completions, proven by OpenAI's own client, and shown to refuse what vendors refuse."""

from __future__ import annotations

from typing import Any

import openai
import pytest
from chat_rules import VARIANTS, Judge, Refused
from fake_chat import KEY, FakeChat, fake_chat

ASK: list[Any] = [{"role": "user", "content": "Hi"}]
TOOL: Any = {"type": "function", "function": {"name": "get_weather", "parameters": {"type": "object"}}}


def official(fake: FakeChat) -> openai.AsyncOpenAI:
    return openai.AsyncOpenAI(base_url=f"{fake.url}/v1", api_key=KEY, max_retries=0)


@pytest.mark.parametrize("name", ["openai_text", "openai_tools", "openai_refusal", "openai_logprobs"])
async def test_the_official_client_reads_its_replies_and_its_streams_alike(name: str) -> None:
    async with fake_chat() as fake, official(fake) as client:
        fake.play(name)
        whole = await client.chat.completions.create(model="gpt", messages=ASK, tools=[TOOL])
        fake.play(name)
        async with client.chat.completions.stream(
            model="gpt", messages=ASK, tools=[TOOL], stream_options={"include_usage": True}
        ) as stream:
            told = await stream.get_final_completion()
    first, second = whole.choices[0], told.choices[0]
    assert first.finish_reason == second.finish_reason
    assert (first.message.content, first.message.refusal) == (second.message.content, second.message.refusal)
    assert whole.usage == told.usage
    calls = [(call.id, call.function.name, call.function.arguments) for call in first.message.tool_calls or ()]  # type: ignore[union-attr]  # functions all
    assert calls == [(call.id, call.function.name, call.function.arguments) for call in second.message.tool_calls or ()]


async def test_the_official_client_closes_a_tool_loop() -> None:
    async with fake_chat() as fake, official(fake) as client:
        fake.play("openai_tools")
        first = await client.chat.completions.create(model="gpt", messages=ASK, tools=[TOOL])
        message = first.choices[0].message
        answers: list[Any] = [
            {"role": "tool", "tool_call_id": call.id, "content": "Sunny"} for call in message.tool_calls or ()
        ]
        fake.say("All good.")
        kept = message.model_dump(include={"role", "content", "tool_calls"}, mode="json")
        second = await client.chat.completions.create(model="gpt", messages=[*ASK, kept, *answers], tools=[TOOL])  # type: ignore[list-item]  # plain data
        assert second.choices[0].message.content == "All good."
        with pytest.raises(openai.BadRequestError, match="did not have response messages"):
            await client.chat.completions.create(model="gpt", messages=[*ASK, kept, *answers[:1]], tools=[TOOL])  # type: ignore[list-item]  # as above


async def test_the_official_client_sees_errors() -> None:
    async with fake_chat() as fake, official(fake) as client:
        fake.refuse(429, {"error": {"message": "slow down", "code": "rate_limit_exceeded"}}, retry_after="2")
        with pytest.raises(openai.RateLimitError, match="slow down"):
            await client.chat.completions.create(model="gpt", messages=ASK)
        with pytest.raises(openai.AuthenticationError):
            await client.with_options(api_key="other").chat.completions.create(model="gpt", messages=ASK)
        with pytest.raises(openai.NotFoundError):
            await client.with_options(base_url=fake.url).embeddings.create(model="gpt", input="Hi")
    assert fake.refused


def refused(variant: str = "openai", **fields: Any) -> str:
    with pytest.raises(Refused) as caught:
        Judge({"model": "m", "messages": ASK, **fields}, VARIANTS[variant]).check()
    return caught.value.message


def test_it_refuses_what_openai_refuses() -> None:
    Judge({"model": "m", "messages": ASK, "verbosity": "low"}, VARIANTS["openai"]).check()
    assert "Unrecognized request argument supplied: top_k" in refused(top_k=1)
    assert "must not be empty" in refused(messages=[])
    assert "is not one of" in refused(messages=[{"role": "bot", "content": "x"}])
    assert "must not be null" in refused(messages=[{"role": "assistant", "content": None}])
    assert "preceding message" in refused(messages=[{"role": "tool", "tool_call_id": "x", "content": "y"}])
    assert "unexpected" in refused(messages=[{"role": "assistant", "content": "x", "reasoning_content": "y"}])
    assert "needs 'tools'" in refused(parallel_tool_calls=False)
    assert "needs 'stream'" in refused(stream_options={"include_usage": True})
    assert "needs 'logprobs'" in refused(top_logprobs=2)
    assert "not in tools" in refused(tools=[TOOL], tool_choice={"type": "function", "function": {"name": "other"}})
    assert "json_schema.name" in refused(response_format={"type": "json_schema", "json_schema": {"schema": {}}})


def test_it_refuses_what_other_vendors_refuse() -> None:
    call = {"id": "call_1", "type": "function", "function": {"name": "f", "arguments": "{}"}}
    loop = [*ASK, {"role": "assistant", "content": None, "tool_calls": [call]}]
    loop.append({"role": "tool", "tool_call_id": "call_1", "content": "x"})
    assert "length of 9" in refused("mistral", messages=loop)
    assert "stream_options" in refused("mistral", stream=True, stream_options={})
    assert "must be passed back" in refused("deepseek", messages=loop)
    assert "alternate" in refused("perplexity", messages=[*ASK, *ASK])
    assert "not a data URL" in refused(
        "ollama",
        messages=[{"role": "user", "content": [{"type": "image_url", "image_url": {"url": "https://x.example"}}]}],
    )
    assert "must be a string" in refused(
        "deepseek", messages=[{"role": "system", "content": [{"type": "text", "text": "x"}]}]
    )
