"""The verbs of a simulated deployment, over real sockets."""

import json
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest

from providers.simulated import Behaviour, SimulatedUpstream, State

WEATHER = {
    "type": "function",
    "name": "weather",
    "parameters": {
        "type": "object",
        "properties": {"city": {"type": "string"}, "days": {"type": "integer"}},
        "required": ["city", "days"],
    },
}

KEYS = [
    "id",
    "object",
    "created_at",
    "status",
    "background",
    "billing",
    "completed_at",
    "error",
    "frequency_penalty",
    "incomplete_details",
    "instructions",
    "max_output_tokens",
    "max_tool_calls",
    "metadata",
    "model",
    "moderation",
    "output",
    "parallel_tool_calls",
    "presence_penalty",
    "previous_response_id",
    "prompt_cache_key",
    "prompt_cache_retention",
    "reasoning",
    "safety_identifier",
    "service_tier",
    "store",
    "temperature",
    "text",
    "tool_choice",
    "tool_usage",
    "tools",
    "top_logprobs",
    "top_p",
    "truncation",
    "usage",
    "user",
]


@pytest.fixture
async def upstream() -> AsyncIterator[SimulatedUpstream]:
    async with SimulatedUpstream("east", seed=1, wall=lambda: 1_800_000_000.9) as upstream:
        yield upstream


@pytest.fixture
async def client(upstream: SimulatedUpstream) -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient(base_url=upstream.url, timeout=20) as client:
        yield client


async def create(client: httpx.AsyncClient, **body: Any) -> dict[str, Any]:
    reply = await client.post("/v1/responses", json={"model": "gpt", **body})
    assert reply.status_code == 200, reply.text
    found: dict[str, Any] = reply.json()
    return found


async def refused(client: httpx.AsyncClient, **body: Any) -> tuple[int, dict[str, Any]]:
    reply = await client.post("/v1/responses", json={"model": "gpt", **body})
    error: dict[str, Any] = reply.json()["error"]
    assert set(error) == {"message", "type", "param", "code"}
    assert error["type"] == "invalid_request_error"
    return reply.status_code, error


def text(response: dict[str, Any]) -> str:
    found: str = response["output"][-1]["content"][0]["text"]
    return found


async def test_a_response_has_every_key_of_a_real_one(client: httpx.AsyncClient) -> None:
    response = await create(client, input="Hello, who are you, and why?")
    assert list(response) == KEYS
    assert response["created_at"] == response["completed_at"] == 1_800_000_000
    assert text(response).startswith("Turn 1 at east. You began: 'Hello, who are you, and why?'.")
    usage = response["usage"]
    assert usage["total_tokens"] == usage["input_tokens"] + usage["output_tokens"]
    assert usage["output_tokens"] == Behaviour().tokens
    stem = response["id"][5:21]
    assert len(response["id"]) == 55
    assert response["output"][0]["id"].startswith(f"msg_{stem}")


async def test_parameters_are_echoed_unknown_ones_too(client: httpx.AsyncClient) -> None:
    sent = {
        "instructions": "be kind",
        "temperature": 0.5,
        "metadata": {"a": "b"},
        "service_tier": "fast",
        "reasoning": {"effort": "low"},
        "user": "u",
        "tools": [WEATHER],
        "prompt_cache_options": {"mode": "auto"},
        "novelty": [1, None],
        "id": "resp_mine",
        "usage": 5,
        "top_p": None,
    }
    response = await create(client, input=[{"role": "user", "content": "x"}], **sent)
    for name in ("instructions", "temperature", "metadata", "user", "tools", "prompt_cache_options", "novelty"):
        assert response[name] == sent[name]
    assert response["service_tier"] == "priority"
    assert response["reasoning"] == {"effort": "low", "summary": None}
    assert response["top_p"] == 1.0
    assert response["id"] != "resp_mine"
    assert "input" not in response
    auto = await create(client, input="x", service_tier="auto")
    assert auto["service_tier"] == "default"


async def test_a_chain_is_remembered(client: httpx.AsyncClient) -> None:
    first = await create(client, input="The secret word is plum, keep it")
    second = await create(client, input="go on", previous_response_id=first["id"], instructions="once")
    third = await create(client, input="and on", previous_response_id=second["id"])
    branch = await create(client, input="or else", previous_response_id=first["id"])
    assert text(third).startswith("Turn 3 at east. You began: 'The secret word is plum, keep'.")
    assert text(branch).startswith("Turn 2 at east.")
    assert third["previous_response_id"] == second["id"]
    assert third["instructions"] is None
    assert third["usage"]["input_tokens_details"]["cached_tokens"] == second["usage"]["total_tokens"]
    assert (await client.delete(f"/v1/responses/{first['id']}")).json() == {
        "id": first["id"],
        "object": "response",
        "deleted": True,
    }
    assert text(await create(client, input="still?", previous_response_id=third["id"])).startswith("Turn 4")


async def test_unknown_ids_are_refused_as_openai_refuses(client: httpx.AsyncClient) -> None:
    status, error = await refused(client, input="x", previous_response_id="resp_abc")
    assert status == 400
    assert error["code"] == "previous_response_not_found"
    assert error["param"] == "previous_response_id"
    assert error["message"] == "Previous response with id 'resp_abc' not found."
    for method, path in (
        ("GET", "/v1/responses/resp_abc"),
        ("DELETE", "/v1/responses/resp_abc"),
        ("POST", "/v1/responses/resp_abc/cancel"),
        ("GET", "/v1/responses/resp_abc/input_items"),
        ("GET", "/v1/responses/resp_abc?stream=true"),
    ):
        reply = await client.request(method, path)
        assert reply.status_code == 404
        assert reply.json() == {
            "error": {
                "message": "Response with id 'resp_abc' not found.",
                "type": "invalid_request_error",
                "param": None,
                "code": None,
            }
        }


async def test_what_is_not_stored_cannot_be_referred_to(client: httpx.AsyncClient) -> None:
    response = await create(client, input="x", store=False)
    assert response["store"] is False
    assert (await refused(client, input="y", previous_response_id=response["id"]))[0] == 400
    assert (await client.get(f"/responses/{response['id']}")).status_code == 404
    item = response["output"][0]["id"]
    status, error = await refused(client, input=[{"type": "item_reference", "id": item}])
    assert (status, error["param"]) == (404, "input")
    assert error["message"].startswith(f"Item with id '{item}' not found.")


async def test_get_returns_what_create_did_and_delete_forgets_it(client: httpx.AsyncClient) -> None:
    response = await create(client, input="x")
    assert (await client.get(f"/v1/responses/{response['id']}")).json() == response
    item = response["output"][0]["id"]
    assert await create(client, input=[{"type": "item_reference", "id": item}, {"role": "user", "content": "y"}])
    await client.delete(f"/v1/responses/{response['id']}")
    assert (await client.get(f"/v1/responses/{response['id']}")).status_code == 404
    assert (await refused(client, input=[{"type": "item_reference", "id": item}]))[0] == 404


@pytest.mark.parametrize(("order", "limit"), [(None, None), ("asc", 7), ("desc", 1), ("asc", 100)])
async def test_input_items_are_paged(client: httpx.AsyncClient, order: str | None, limit: int | None) -> None:
    items = [{"role": "user", "content": f"m{number}"} for number in range(45)]
    response = await create(client, input=items)
    query = {name: str(value) for name, value in (("order", order), ("limit", limit)) if value is not None}
    seen: list[str] = []
    page: dict[str, Any] = {"has_more": True}
    while page["has_more"]:
        reply = await client.get(f"/v1/responses/{response['id']}/input_items", params=query)
        page = reply.json()
        assert page["object"] == "list"
        assert len(page["data"]) <= (limit or 20)
        assert (page["first_id"], page["last_id"]) == (page["data"][0]["id"], page["data"][-1]["id"])
        seen += [item["content"][0]["text"] for item in page["data"]]
        query["after"] = page["last_id"]
    expected = [f"m{number}" for number in range(45)]
    assert seen == (expected if order == "asc" else expected[::-1])
    beyond = await client.get(f"/v1/responses/{response['id']}/input_items", params=query)
    assert beyond.json() == {"object": "list", "data": [], "first_id": None, "last_id": None, "has_more": False}


@pytest.mark.parametrize(
    ("query", "param"),
    [
        ("limit=0", "limit"),
        ("limit=101", "limit"),
        ("limit=x", "limit"),
        ("order=up", "order"),
        ("after=msg_none", "after"),
    ],
)
async def test_a_bad_page_is_refused(client: httpx.AsyncClient, query: str, param: str) -> None:
    response = await create(client, input="x")
    reply = await client.get(f"/v1/responses/{response['id']}/input_items?{query}")
    assert reply.status_code == 400
    assert reply.json()["error"]["param"] == param


async def test_tokens_are_counted_and_history_counts(client: httpx.AsyncClient) -> None:
    async def count(**body: Any) -> int:
        reply = await client.post("/v1/responses/input_tokens", json={"model": "gpt", **body})
        assert reply.json()["object"] == "response.input_tokens"
        found: int = reply.json()["input_tokens"]
        return found

    first = await create(client, input="x" * 400)
    assert await count(input="x" * 400) == first["usage"]["input_tokens"]
    assert await count(input="y", previous_response_id=first["id"]) > await count(input="y")


async def test_compaction_keeps_what_the_user_said(client: httpx.AsyncClient) -> None:
    first = await create(client, input="Plums are blue")
    second = await create(client, input="Are they?", previous_response_id=first["id"])
    reply = await client.post("/v1/responses/compact", json={"model": "gpt", "previous_response_id": second["id"]})
    compacted = reply.json()
    assert compacted["object"] == "response.compaction"
    *said, item = compacted["output"]
    assert [message["content"][0]["text"] for message in said] == ["Plums are blue", "Are they?"]
    assert item["type"] == "compaction"
    going_on = await create(client, input=[*compacted["output"], {"role": "user", "content": "Go on"}])
    assert text(going_on).startswith("Turn 3 at east. You began: 'Plums are blue'.")
    only = await create(client, input=[item, {"role": "user", "content": "Go on"}])
    assert "You began: 'Plums are blue'" in text(only)
    direct = await client.post("/v1/responses/compact", json={"model": "gpt", "input": "one"})
    assert [each["type"] for each in direct.json()["output"]] == ["message", "compaction"]
    missing = await client.post("/v1/responses/compact", json={"input": "one"})
    assert missing.json()["error"]["param"] == "model"


async def test_a_function_is_called_and_its_output_awaited(client: httpx.AsyncClient) -> None:
    asked = await create(client, input="please call weather", tools=[WEATHER])
    (call,) = asked["output"]
    assert (call["type"], call["name"]) == ("function_call", "weather")
    assert json.loads(call["arguments"]) == {"city": "text", "days": 1}
    assert len(call["call_id"]) == len("call_") + 24
    status, error = await refused(client, input="hm", previous_response_id=asked["id"])
    assert (status, error["param"]) == (400, "input")
    assert error["message"] == f"No tool output found for function call {call['call_id']}."
    output = {"type": "function_call_output", "call_id": call["call_id"], "output": "sunny"}
    answer = await create(client, input=[output], previous_response_id=asked["id"], tools=[WEATHER])
    assert "The tool said: 'sunny'." in text(answer)
    stateless = await create(client, input=[{"role": "user", "content": "call weather"}, call, output])
    assert "The tool said: 'sunny'." in text(stateless)
    _, error = await refused(client, input=[output])
    assert error["message"] == f"No tool call found for function call output with call_id {call['call_id']}."


@pytest.mark.parametrize(
    ("said", "arguments"),
    [
        ('Please call weather with {"city": "Paris", "days": 2}.', {"city": "Paris", "days": 2}),
        ("Please call weather with an {open} mind.", {"city": "text", "days": 1}),
        ("Please call weather with care.", {"city": "text", "days": 1}),
    ],
)
async def test_a_function_is_called_with_the_arguments_that_are_said(
    client: httpx.AsyncClient, said: str, arguments: Any
) -> None:
    (call,) = (await create(client, input=said, tools=[WEATHER]))["output"]
    assert json.loads(call["arguments"]) == arguments


@pytest.mark.parametrize(
    ("choice", "called"),
    [
        ("required", True),
        ("auto", False),
        ("none", False),
        ({"type": "function", "name": "weather"}, True),
        ({"type": "function", "name": "other"}, False),
        ({"type": "allowed_tools", "mode": "required", "tools": [{"type": "function", "name": "weather"}]}, True),
        ({"type": "allowed_tools", "mode": "auto", "tools": [{"type": "function", "name": "weather"}]}, False),
        ({"type": "allowed_tools", "mode": "required", "tools": []}, False),
    ],
)
async def test_tool_choice_decides(client: httpx.AsyncClient, choice: Any, called: bool) -> None:
    response = await create(client, input="hello", tools=[WEATHER], tool_choice=choice)
    assert (response["output"][0]["type"] == "function_call") is called


async def test_only_the_users_words_call_a_function(client: httpx.AsyncClient) -> None:
    said = [{"role": "user", "content": "hello"}, {"role": "assistant", "content": "call weather"}]
    response = await create(client, input=said, tools=[WEATHER])
    assert response["output"][0]["type"] == "message"


async def test_structured_output_fits_its_schema(client: httpx.AsyncClient) -> None:
    schema = {
        "type": "object",
        "properties": {
            "name": {"$ref": "#/$defs/name"},
            "kind": {"enum": ["a", "b"]},
            "fixed": {"const": 7},
            "many": {"type": "array", "items": {"type": "number"}},
            "none": {"type": "array"},
            "maybe": {"anyOf": [{"type": "boolean"}, {"type": "null"}]},
            "either": {"type": ["integer", "null"]},
            "odd": {"type": []},
            "self": {"$ref": "#"},
            "gone": {"$ref": "#/$defs/name/oops"},
        },
        "$defs": {"name": {"type": "string"}},
    }
    text_format = {"type": "json_schema", "name": "thing", "schema": schema}
    found = json.loads(text(await create(client, input="x", text={"format": text_format})))
    flat = {name: value for name, value in found.items() if name != "self"}
    assert flat == {
        "name": "text",
        "kind": "a",
        "fixed": 7,
        "many": [1.5],
        "none": [],
        "maybe": True,
        "either": 1,
        "odd": None,
        "gone": None,
    }
    assert found["self"]["kind"] == "a"
    plain = await create(client, input="x", text={"format": {"type": "json_object"}})
    assert json.loads(text(plain)) == {"turn": 1, "upstream": "east", "opening": "x"}


async def test_encrypted_reasoning_is_accepted_where_it_was_made_only(client: httpx.AsyncClient) -> None:
    ask = {"reasoning": {"effort": "low"}, "include": ["reasoning.encrypted_content"], "store": False}
    response = await create(client, input="plums", **ask)
    reasoning, message = response["output"]
    assert reasoning["summary"] == []
    assert response["usage"]["output_tokens_details"]["reasoning_tokens"] == 1
    turn = [{"role": "user", "content": "plums"}, reasoning, message, {"role": "user", "content": "pears"}]
    again = await create(client, input=turn, **ask)
    assert text(again).startswith("Turn 2 at east. You began: 'plums'.")
    _, error = await refused(client, input=[turn[0], reasoning])
    assert error["message"].endswith("was provided without its required following item.")
    async with (
        SimulatedUpstream("west") as other,
        httpx.AsyncClient(base_url=other.url) as west,
    ):
        status, error = await refused(west, input=turn)
        assert (status, error["code"]) == (400, "invalid_encrypted_content")
        assert "could not be verified" in error["message"]
    bare = {name: value for name, value in reasoning.items() if name != "encrypted_content"}
    assert (await refused(client, input=[turn[0], bare, message]))[0] == 404
    for content in ("gAAAAAnot+base64!", "gAAAAA" + "A" * 60, "zzz"):
        status, error = await refused(client, input=[{"type": "compaction", "encrypted_content": content}])
        assert error["code"] == "invalid_encrypted_content"


async def test_background_responses_advance_as_they_are_read(
    client: httpx.AsyncClient, upstream: SimulatedUpstream
) -> None:
    upstream.behaviour = Behaviour(background_reads=3)
    queued = await create(client, input="x", background=True)
    assert (queued["status"], queued["output"], queued["usage"]) == ("queued", [], None)
    seen = [(await client.get(f"/v1/responses/{queued['id']}")).json() for _ in range(4)]
    assert [each["status"] for each in seen] == ["in_progress", "in_progress", "completed", "completed"]
    assert text(seen[-1]).startswith("Turn 1")
    late = await client.post(f"/v1/responses/{queued['id']}/cancel")
    assert late.json()["status"] == "completed"


async def test_only_background_responses_are_cancelled(client: httpx.AsyncClient) -> None:
    queued = await create(client, input="x", background=True)
    for _ in range(2):
        cancelled = await client.post(f"/v1/responses/{queued['id']}/cancel")
        assert cancelled.json()["status"] == "cancelled"
    assert (await client.get(f"/v1/responses/{queued['id']}")).json()["status"] == "cancelled"
    plain = await create(client, input="x")
    reply = await client.post(f"/v1/responses/{plain['id']}/cancel")
    assert reply.status_code == 400
    assert reply.json()["error"]["message"] == "Cannot cancel a synchronous response."


async def test_output_stops_at_its_limit(client: httpx.AsyncClient, upstream: SimulatedUpstream) -> None:
    upstream.behaviour = Behaviour(tokens=40)
    response = await create(client, input="x", max_output_tokens=16)
    assert response["status"] == "incomplete"
    assert response["incomplete_details"] == {"reason": "max_output_tokens"}
    assert response["completed_at"] is None
    assert response["output"][0]["status"] == "incomplete"
    assert response["usage"]["output_tokens"] == 16
    call = await create(client, input="x", max_output_tokens=16, tools=[WEATHER], tool_choice="required")
    assert call["output"][0]["arguments"] == '{"city":"text","'
    enough = await create(client, input="x", max_output_tokens=40)
    assert enough["status"] == "completed"
    assert len(text(enough).split()) == 40


@pytest.mark.parametrize(
    ("body", "status", "param", "code"),
    [
        ({}, 400, "input", "missing_required_parameter"),
        ({"input": 5}, 400, "input", "invalid_type"),
        ({"input": ["x"]}, 400, "input", "invalid_type"),
        ({"input": [{"role": "user", "content": "x"}, {}]}, 400, "input[1].type", "missing_required_parameter"),
        ({"input": "x", "temperature": -1}, 400, "temperature", "decimal_below_min_value"),
        ({"input": "x", "temperature": 3}, 400, "temperature", "decimal_above_max_value"),
        ({"input": "x", "max_output_tokens": 15}, 400, "max_output_tokens", "integer_below_min_value"),
        ({"input": "x", "previous_response_id": 5}, 400, "previous_response_id", "invalid_type"),
        ({"input": "x", "previous_response_id": "resp:1"}, 400, "previous_response_id", "invalid_value"),
        ({"input": "x", "previous_response_id": "r" * 65}, 400, "previous_response_id", "string_above_max_length"),
        ({"input": "x", "conversation": {"id": "conv_1"}}, 404, "conversation", None),
        ({"input": "x", "conversation": "conv_1"}, 404, "conversation", None),
        (
            {"input": "x", "conversation": "c", "previous_response_id": "r"},
            400,
            None,
            "mutually_exclusive_parameters",
        ),
        ({"input": "x", "background": True, "store": False}, 400, "store", None),
    ],
)
async def test_bad_requests_are_refused(
    client: httpx.AsyncClient, body: dict[str, Any], status: int, param: str | None, code: str | None
) -> None:
    found, error = await refused(client, **body)
    assert (found, error["param"], error["code"]) == (status, param, code)


async def test_a_flag_is_no_number(client: httpx.AsyncClient) -> None:
    assert (await create(client, input="x", temperature=True))["temperature"] is True


@pytest.mark.parametrize("content", [b"{", b"[1]", b"\xff"])
async def test_what_is_not_a_json_object_is_refused(client: httpx.AsyncClient, content: bytes) -> None:
    reply = await client.post("/v1/responses", content=content)
    assert reply.status_code == 400
    assert "could not parse" in reply.json()["error"]["message"]


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("POST", "/responses", 200),
        ("POST", "/v1/responses", 200),
        ("POST", "/openai/responses?api-version=2025-03-01-preview", 200),
        ("POST", "/openai/v1/responses?api-version=preview", 200),
        ("POST", "/api/projects/p/openai/v1/responses", 200),
        ("POST", "/v1/responses/input_tokens", 200),
        ("GET", "/v1/models", 200),
        ("GET", "/models", 200),
        ("GET", "/v1/models/gpt", 404),
        ("POST", "/v2/responses", 404),
        ("POST", "/v1/chat/completions", 404),
        ("GET", "/v1/responses/a/b", 404),
        ("GET", "/v1/responses", 405),
        ("GET", "/v1/responses/compact", 405),
        ("DELETE", "/v1/responses/compact", 405),
        ("POST", "/v1/responses/resp_1", 405),
    ],
)
async def test_paths(client: httpx.AsyncClient, method: str, path: str, status: int) -> None:
    body = {"model": "gpt", "input": "x"} if method == "POST" else None
    assert (await client.request(method, path, json=body)).status_code == status


async def test_azure_paths_answer_as_azure_does(client: httpx.AsyncClient) -> None:
    plain = await client.post("/v1/responses", json={"input": "x"})
    azure = await client.post("/openai/v1/responses?api-version=preview", json={"input": "x"})
    assert "content_filters" in azure.json()
    assert "apim-request-id" in azure.headers
    assert "openai-version" not in azure.headers
    assert "content_filters" not in plain.json()
    assert plain.headers["openai-version"] == "2020-10-01"
    assert plain.headers["x-request-id"].startswith("req_")


async def test_keys_and_models_are_checked_if_given() -> None:
    async with (
        SimulatedUpstream("east", api_keys={"good"}, models=["b", "a"]) as upstream,
        httpx.AsyncClient(base_url=upstream.url) as client,
    ):
        for path, headers, status in (
            ("/v1/responses", {}, 401),
            ("/v1/responses", {"authorization": "Bearer zz-secret"}, 401),
            ("/v1/responses", {"authorization": "Bearer good"}, 200),
            ("/openai/v1/responses", {"api-key": "good"}, 200),
            ("/openai/v1/responses", {"api-key": "zz-secret"}, 401),
        ):
            reply = await client.post(path, headers=headers, json={"model": "a", "input": "x"})
            assert reply.status_code == status
            assert "zz-secret" not in reply.text
        headers = {"api-key": "good"}
        unknown = await client.post("/v1/responses", headers=headers, json={"model": "c", "input": "x"})
        assert unknown.status_code == 400
        assert unknown.json()["error"]["code"] == "model_not_found"
        models = (await client.get("/v1/models", headers=headers)).json()
        assert [model["id"] for model in models["data"]] == ["a", "b"]


async def test_deployments_of_one_account_hold_each_others_conversations() -> None:
    account = State()
    async with (
        SimulatedUpstream("east", state=account) as east,
        SimulatedUpstream("west", state=account) as west,
        httpx.AsyncClient() as client,
    ):
        first = (await client.post(f"{east.url}/v1/responses", json={"input": "plums"})).json()
        body = {"input": "on", "previous_response_id": first["id"]}
        second = (await client.post(f"{west.url}/v1/responses", json=body)).json()
        assert text(second).startswith("Turn 2 at west. You began: 'plums'.")
        assert (first["id"] in account, len(account)) == (True, 2)
        account.clear()
        assert (await client.get(f"{east.url}/v1/responses/{first['id']}")).status_code == 404


async def test_memory_is_bounded_and_the_oldest_go_first() -> None:
    state = State(capacity=2)
    async with SimulatedUpstream("east", state=state) as upstream, httpx.AsyncClient() as client:
        made = [(await client.post(f"{upstream.url}/responses", json={"input": "x"})).json()["id"] for _ in range(3)]
        assert [response_id in state for response_id in made] == [False, True, True]
        assert upstream.ids == tuple(made)
    assert not state.forget(made[0])
    assert state.forget(made[1])


async def test_a_seed_makes_everything_repeatable() -> None:
    async def run(seed: int | None) -> list[Any]:
        behaviour = Behaviour(failure_rate=0.5, jitter=0.0)
        async with (
            SimulatedUpstream("east", seed=seed, behaviour=behaviour, wall=lambda: 0.0) as upstream,
            httpx.AsyncClient(base_url=upstream.url) as client,
        ):
            replies = [await client.post("/responses", json={"input": str(number)}) for number in range(12)]
        return [reply.json() for reply in replies]

    assert await run(7) == await run(7)
    assert await run(7) != await run(8)
    assert await run(None) != await run(None)
