"""The fake of Anthropic's API, proven by Anthropic's own client, and shown to refuse what the API refuses."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from typing import Any

import anthropic
import httpx
import pytest
from anthropic_rules import MODELS, Judge, Refused
from fake_anthropic import KEY, TOKEN, FakeAnthropic, error, fake_anthropic, message

ASK = [{"role": "user", "content": "What's the weather?"}]
WEATHER = {"name": "get_weather", "input_schema": {"type": "object", "properties": {}}}


@pytest.fixture
async def fake() -> AsyncIterator[FakeAnthropic]:
    async with fake_anthropic() as server:
        yield server


def ask(**more: Any) -> dict[str, Any]:
    return {"model": "claude-opus-5", "max_tokens": 100, "messages": ASK, **more}


async def official(fake: FakeAnthropic, version: str | None = None, **options: Any) -> anthropic.AsyncAnthropic:
    headers = {"anthropic-version": version} if version else {}
    options.setdefault("api_key", KEY)
    return anthropic.AsyncAnthropic(base_url=fake.url, max_retries=0, default_headers=headers, **options)


@pytest.mark.parametrize(
    "name", ["text", "thinking", "tool_use", "parallel_tools", "citations", "web_search", "refusal"]
)
async def test_the_official_client_reads_its_replies_and_its_streams_alike(fake: FakeAnthropic, name: str) -> None:
    async with await official(fake) as client:
        fake.play(name)
        whole = await client.messages.create(**ask(tools=[WEATHER]))
        fake.answer(message(name))
        async with client.messages.stream(**ask(tools=[WEATHER])) as stream:
            told = await stream.get_final_message()
        fake.play(name)
        async with client.messages.stream(**ask(tools=[WEATHER])) as stream:
            recorded = await stream.get_final_message()
    expected = message(name)
    for reply in (whole, told, recorded):
        said = reply.model_dump(mode="json", exclude_unset=True)
        assert [block["type"] for block in said["content"]] == [block["type"] for block in expected["content"]]
        assert reply.stop_reason == expected["stop_reason"]
        assert reply.usage.output_tokens == expected["usage"]["output_tokens"]
    assert whole.model_dump(mode="json", include={"content"}) == told.model_dump(mode="json", include={"content"})


async def test_the_official_client_continues_with_the_thinking_it_was_given(fake: FakeAnthropic) -> None:
    async with await official(fake) as client:
        fake.play("parallel_tools")
        first = await client.messages.create(**ask(tools=[WEATHER], thinking={"type": "adaptive"}))
        results = [
            {"type": "tool_result", "tool_use_id": block.id, "content": "sunny"}
            for block in first.content
            if block.type == "tool_use"
        ]
        turns = [*ASK, {"role": "assistant", "content": first.content}, {"role": "user", "content": results}]
        fake.play("text")
        await client.messages.create(**ask(messages=turns, tools=[WEATHER]))
        changed = first.model_dump(mode="json", exclude_unset=True)["content"]
        changed[0]["thinking"] += "!"
        with pytest.raises(anthropic.BadRequestError, match="Invalid `signature`"):
            await client.messages.create(
                **ask(messages=[ASK[0], {"role": "assistant", "content": changed}, turns[2]], tools=[WEATHER])
            )


async def test_thinking_of_the_newest_is_bound_to_its_conversation(fake: FakeAnthropic) -> None:
    async with await official(fake) as client:
        newest = ask(model="claude-opus-5-5")
        fake.play("thinking")
        first = await client.messages.create(**newest)
        turns = [*ASK, {"role": "assistant", "content": first.content}, {"role": "user", "content": "And?"}]
        fake.play("text")
        await client.messages.create(**{**newest, "messages": turns})
        with pytest.raises(anthropic.BadRequestError, match="bound to a different conversation"):
            await client.messages.create(**{**newest, "messages": turns, "system": "Be brief."})
        fake.play("text")
        await client.beta.messages.create(
            **{**newest, "messages": turns, "system": "Be brief."},
            thinking={"type": "adaptive", "block_binding": {"prefix_mismatch_behavior": "drop_block"}},
            betas=["thinking-binding-controls-2026-08-01"],
        )
    assert len(fake.unbound) == 2


async def test_vertex_and_foundry_by_their_official_clients(fake: FakeAnthropic) -> None:
    vertex = anthropic.AsyncAnthropicVertex(
        region="global", project_id="p-1", access_token=TOKEN, base_url=f"{fake.url}/v1", max_retries=0
    )
    foundry = anthropic.AsyncAnthropicFoundry(api_key=KEY, base_url=f"{fake.url}/anthropic/", max_retries=0)
    async with vertex, foundry:
        for client in (vertex, foundry):
            fake.play("text")
            whole: anthropic.types.Message = await client.messages.create(**ask())
            fake.play("text")
            async with client.messages.stream(**ask()) as stream:
                assert await stream.get_final_text() == message("text")["content"][0]["text"]
            assert whole.to_dict()["content"] == message("text")["content"]
    paths = [request.path for request in fake.received]
    assert paths[0] == "/v1/projects/p-1/locations/global/publishers/anthropic/models/claude-opus-5:rawPredict"
    assert paths[1].endswith(":streamRawPredict")
    assert paths[2:] == ["/anthropic/v1/messages"] * 2


@pytest.mark.parametrize(
    ("status", "kind", "raised"),
    [
        (400, "invalid_request_error", anthropic.BadRequestError),
        (401, "authentication_error", anthropic.AuthenticationError),
        (403, "permission_error", anthropic.PermissionDeniedError),
        (413, "request_too_large", anthropic.APIStatusError),
        (429, "rate_limit_error", anthropic.RateLimitError),
        (500, "api_error", anthropic.InternalServerError),
        (529, "overloaded_error", anthropic.InternalServerError),
    ],
)
async def test_errors_are_those_the_official_client_expects(
    fake: FakeAnthropic, status: int, kind: str, raised: type[anthropic.APIStatusError]
) -> None:
    fake.refuse(status, error(status, kind, "so it is"), retry_after="7")
    async with await official(fake) as client:
        with pytest.raises(raised) as caught:
            await client.messages.create(**ask())
    assert caught.value.type == kind
    assert caught.value.response.headers["retry-after"] == "7"
    assert caught.value.request_id == "req_011CSHoEeqs5C35K2UUqR7Fy"


async def test_who_is_let_in(fake: FakeAnthropic) -> None:
    for headers, status in [
        ({"x-api-key": KEY}, 200),
        ({"authorization": f"Bearer {TOKEN}"}, 200),
        ({"x-api-key": "wrong", "authorization": f"Bearer {TOKEN}"}, 401),
        ({"authorization": f"Basic {TOKEN}"}, 401),
        ({}, 401),
    ]:
        fake.play("text")
        async with httpx.AsyncClient() as client:
            reply = await client.post(
                f"{fake.url}/v1/messages", json=ask(), headers={"anthropic-version": "2023-06-01", **headers}
            )
        assert reply.status_code == status, headers
    assert "x-api-key header is required" in fake.refused


async def test_what_is_no_request(fake: FakeAnthropic) -> None:
    good = {"x-api-key": KEY, "anthropic-version": "2023-06-01"}
    async with httpx.AsyncClient(base_url=fake.url, headers=good) as client:
        assert (await client.get("/v1/messages")).status_code == 405
        assert (
            await client.post("/v1/messages", content=b"{", headers={"content-type": "application/json"})
        ).status_code == 400
        assert (await client.post("/v1/messages", content=b"{}")).status_code == 400
        assert (await client.post("/v2/messages", json=ask())).status_code == 404
        assert (await client.post("/v1/messages", json=ask(model="gpt-9"))).status_code == 404
        assert (await client.post("/v1/messages", json=ask(), headers={"anthropic-version": "1"})).status_code == 400
        assert (await client.post("/v1/messages", json=ask(), headers={"anthropic-beta": "a, B"})).status_code == 400


@contextmanager
def refused(words: str) -> Iterator[None]:
    with pytest.raises(Refused, match=words):
        yield


def judge(model: str = "claude-opus-5", version: str = "2023-06-01", **more: Any) -> None:
    body = {"model": model, "max_tokens": 2000, "messages": ASK, **more}
    Judge(body, MODELS[model], version, lambda block: True).check()


def turns(*contents: Any) -> dict[str, Any]:
    roles = ["user", "assistant"]
    return {"messages": [{"role": roles[place % 2], "content": each} for place, each in enumerate(contents)]}


USE = {"type": "tool_use", "id": "t1", "name": "get_weather", "input": {}}
RESULT = {"type": "tool_result", "tool_use_id": "t1", "content": "sunny"}
OLD = "claude-sonnet-4-5"
FORMAT = {"type": "json_schema", "schema": {"type": "object", "properties": {}}}
BAD: list[tuple[str, dict[str, Any]]] = [
    ("Extra inputs", {"input": "x"}),
    ("max_tokens: must", {"max_tokens": 0}),
    ("stream", {"stream": "yes"}),
    ("thinking", {"thinking": None}),
    ("does not match any", {"thinking": {"type": "on"}}),
    ("not supported for this model", {"thinking": {"type": "enabled", "budget_tokens": 1024}}),
    ("not supported for this model", {"model": "claude-fable-5-1", "thinking": {"type": "disabled"}}),
    ("greater than or equal to 1024", {"model": OLD, "thinking": {"type": "enabled", "budget_tokens": 100}}),
    ("must be greater", {"model": OLD, "thinking": {"type": "enabled", "budget_tokens": 2000}}),
    ("deprecated for this model", {"temperature": 0.5}),
    ("Extra inputs", {"model": OLD, "version": "2026-10-21", "temperature": 1}),
    ("0..1", {"model": OLD, "temperature": 1.5}),
    ("cannot both", {"model": OLD, "temperature": 0.5, "top_p": 0.5}),
    ("only be set to 1", {"model": OLD, "temperature": 0.5, "thinking": {"type": "enabled", "budget_tokens": 1024}}),
    ("0.95", {"model": OLD, "top_p": 0.5, "thinking": {"type": "enabled", "budget_tokens": 1024}}),
    ("unique", {"tools": [WEATHER, WEATHER]}),
    ("should match pattern", {"tools": [{**WEATHER, "name": "a b"}]}),
    ("Field required", {"tools": [{**WEATHER, "input_schema": {"properties": {}}}]}),
    ("Extra inputs", {"tools": [{**WEATHER, "parameters": {}}]}),
    ("additionalProperties", {"tools": [{**WEATHER, "strict": True}]}),
    ("no such tool", {"tools": [{"type": "web_search_1", "name": "web_search"}]}),
    ("while providing tools", {"tool_choice": {"type": "auto"}}),
    ("not found in provided", {"tools": [WEATHER], "tool_choice": {"type": "tool", "name": "x"}}),
    ("does not match any", {"tools": [WEATHER], "tool_choice": {"type": "required"}}),
    (
        "forces tool use",
        {
            "model": "claude-opus-4-7",
            "tools": [WEATHER],
            "tool_choice": {"type": "any"},
            "thinking": {"type": "adaptive"},
        },
    ),
    ("not supported for this", {"model": "claude-opus-5-5", "tools": [WEATHER], "tool_choice": {"type": "any"}}),
    ("between_tools", {"thinking": {"type": "between_tools"}}),
    ("block_binding: Extra", {"thinking": {"type": "adaptive", "block_binding": {}}}),
    ("must define tools", turns("x", [USE], [RESULT])),
    ("effort", {"output_config": {"effort": "minimal"}}),
    ("effort", {"model": OLD, "output_config": {"effort": "low"}}),
    ("additionalProperties", {"output_config": {"format": FORMAT}}),
    ("structured outputs", {"model": "claude-3-5-sonnet-20241022", "output_config": {"format": FORMAT}}),
    ("not supported", {"output_config": {"format": {**FORMAT, "schema": {"type": "integer", "minimum": 1}}}}),
    ("first message", {"messages": [{"role": "assistant", "content": "x"}]}),
    ("alternate", {"messages": [*ASK, *ASK]}),
    ("role 'system'", {"messages": [*ASK, {"role": "system", "content": "x"}]}),
    ("at least one", {"messages": []}),
    ("non-empty", turns([])),
    ("non-whitespace", turns([{"type": "text", "text": " \n"}])),
    ("not permitted", turns("x", [{"type": "image", "source": {"type": "url", "url": "http://x"}}], "y")),
    ("without `tool_result`", {"tools": [WEATHER], **turns("x", [USE])}),
    ("without `tool_result`", turns("x", [USE], "y")),
    ("unexpected `tool_use_id`", turns([RESULT])),
    ("come first", turns("x", [USE], [{"type": "text", "text": "y"}, RESULT])),
    ("single result", turns("x", [USE], [RESULT, RESULT])),
    ("prefill", turns("x", "y")),
    ("trailing whitespace", {"model": OLD, **turns("x", "y ")}),
    ("media_type", turns([{"type": "image", "source": {"type": "base64", "media_type": "image/bmp", "data": "AA=="}}])),
    (
        "Invalid base64",
        turns([{"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "?"}}]),
    ),
    ("text/plain", turns([{"type": "document", "source": {"type": "text", "media_type": "text/csv", "data": "a"}}])),
    ("HTTP", turns([{"type": "image", "source": {"type": "url", "url": "gs://x"}}])),
    ("does not match any", turns([{"type": "document", "source": {"type": "gs", "url": "x"}}])),
    ("citations", {"version": "2026-10-21", **turns([{"type": "text", "text": "x", "citations": [{}]}])}),
    ("stop_sequences", {"stop_sequences": ["\n"]}),
    ("service_tier", {"service_tier": "default"}),
    ("email", {"metadata": {"user_id": "ada@example.com"}}),
    ("phone", {"metadata": {"user_id": "+1 555 123 4567"}}),
    ("256", {"metadata": {"user_id": "x" * 257}}),
    ("ephemeral", {"cache_control": {"type": "forever"}}),
    ("maximum of 4", turns([{"type": "text", "text": "x", "cache_control": {"type": "ephemeral"}}] * 5)),
    (
        "Expected `thinking`",
        {"model": OLD, "thinking": {"type": "enabled", "budget_tokens": 1024}, **turns("x", [USE], [RESULT])},
    ),
]


@pytest.mark.parametrize(("words", "body"), BAD)
def test_the_judge_refuses_what_the_api_refuses(words: str, body: dict[str, Any]) -> None:
    with refused(words):
        judge(**body)


def test_the_judge_takes_what_the_api_takes() -> None:
    judge()
    judge(OLD, temperature=0.5, thinking={"type": "disabled"})
    judge(tools=[WEATHER, {"type": "web_search_20250305", "name": "web_search"}], tool_choice={"type": "any"})
    judge(**turns("x", [USE], [RESULT, {"type": "text", "text": "y"}]), tools=[WEATHER])
    judge(
        output_config={
            "effort": "max",
            "format": {**FORMAT, "schema": {"type": "object", "additionalProperties": False}},
        }
    )
