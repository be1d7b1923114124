"""The conversations of a simulated deployment, over real sockets."""

from collections.abc import Iterator
from typing import Any

import httpx
import leftovers
import pytest

from providers.simulated import SimulatedUpstream, State
from providers.simulated.state import Talk

HELLO: dict[str, Any] = {"role": "user", "content": "hello there"}
ONE = "/v1/conversations/conv_1"
WEATHER: dict[str, Any] = {"type": "function", "name": "weather", "parameters": {"type": "object"}}


_nothing_left_open = leftovers.nothing_left_open_at_the_end


@pytest.fixture(scope="module")
def upstream() -> Iterator[SimulatedUpstream]:
    with SimulatedUpstream.in_thread("east", seed=1, wall=lambda: 1_700_000_000.0) as made:
        yield made


@pytest.fixture(scope="module")
def client(upstream: SimulatedUpstream) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=upstream.url) as made:
        yield made


def begin(client: httpx.Client, **body: Any) -> str:
    name: str = (client.post("/v1/conversations", json=body)).json()["id"]
    return name


def items(client: httpx.Client, name: str, **query: Any) -> list[dict[str, Any]]:
    """The newest last."""
    reply = client.get(f"/v1/conversations/{name}/items", params={"order": "asc", "limit": 100, **query})
    data: list[dict[str, Any]] = reply.json()["data"]
    return data


def respond(client: httpx.Client, **body: Any) -> dict[str, Any]:
    reply = client.post("/v1/responses", json=body)
    assert reply.status_code == 200, reply.text
    response: dict[str, Any] = reply.json()
    return response


@pytest.mark.parametrize("prefix", ["", "/v1", "/openai", "/openai/v1", "/api/projects/p/openai/v1"])
def test_a_conversation_is_made_read_changed_and_deleted(prefix: str, client: httpx.Client) -> None:
    made = (client.post(f"{prefix}/conversations", json={"metadata": {"a": "b"}})).json()
    name = made["id"]
    assert name.startswith("conv_")
    assert len(name) == len("conv_") + 50
    assert made == {"id": name, "object": "conversation", "created_at": 1_700_000_000, "metadata": {"a": "b"}}
    assert (client.get(f"{prefix}/conversations/{name}")).json() == made
    changed = (client.post(f"{prefix}/conversations/{name}", json={"metadata": {}})).json()
    assert changed == {**made, "metadata": {}} == (client.get(f"{prefix}/conversations/{name}")).json()
    gone = client.delete(f"{prefix}/conversations/{name}")
    assert gone.json() == {"id": name, "object": "conversation.deleted", "deleted": True}
    missing = client.get(f"{prefix}/conversations/{name}")
    assert missing.status_code == 404
    assert missing.json()["error"] == {
        "message": f"Conversation with id '{name}' not found.",
        "type": "invalid_request_error",
        "param": None,
        "code": None,
    }
    assert (client.post(f"{prefix}/conversations")).json()["metadata"] == {}


def test_items_are_added_listed_read_and_deleted(client: httpx.Client) -> None:
    name = begin(client, items=[HELLO])
    added = (client.post(f"/v1/conversations/{name}/items", json={"items": [HELLO, HELLO]})).json()
    assert {key: value for key, value in added.items() if key != "data"} == {
        "object": "list",
        "first_id": added["data"][0]["id"],
        "last_id": added["data"][1]["id"],
        "has_more": False,
    }
    known = items(client, name)
    assert known[1:] == added["data"]
    assert len({item["id"] for item in known}) == 3
    assert [item["content"] for item in known] == [[{"type": "input_text", "text": "hello there"}]] * 3
    assert items(client, name, order="desc", limit=2) == known[:0:-1]
    assert items(client, name, after=known[0]["id"]) == known[1:]
    path = f"/v1/conversations/{name}/items/{known[1]['id']}"
    assert (client.get(path)).json() == known[1]
    assert (client.delete(path)).json()["id"] == name
    assert items(client, name) == [known[0], known[2]]
    for method in ("GET", "DELETE"):
        missing = client.request(method, path)
        assert missing.status_code == 404
        assert missing.json()["error"]["message"] == f"Conversation item with id '{known[1]['id']}' not found."


def test_responses_go_on_from_it_and_add_to_it(client: httpx.Client) -> None:
    name = begin(client)
    first = respond(client, input="my name is Ada", conversation=name)
    assert first["conversation"] == {"id": name}
    assert first["output"][0]["content"][0]["text"].startswith("Turn 1 at east. You began: 'my name is Ada'.")
    client.post(f"/v1/conversations/{name}/items", json={"items": [HELLO, {"role": "assistant", "content": "x"}]})
    with client.stream(
        "POST", "/v1/responses", json={"input": "and?", "conversation": {"id": name}, "stream": True, "store": False}
    ) as reply:
        text = (reply.read()).decode()
    assert "Turn 3 " in text
    assert "You began: 'my name is Ada'." in text
    said = [item["content"][0]["text"] for item in items(client, name)]
    assert said[:5] == ["my name is Ada", first["output"][0]["content"][0]["text"], "hello there", "x", "and?"]
    assert said[5].startswith("Turn 3")
    assert len(said) == 6
    counted = client.post("/v1/responses/input_tokens", json={"input": "x", "conversation": name})
    assert counted.json()["input_tokens"] > 50


def test_it_remembers_open_calls_of_tools(client: httpx.Client) -> None:
    name = begin(client)
    asked = respond(client, input="call weather", tools=[WEATHER], conversation=name)
    [call] = asked["output"]
    refused = client.post("/v1/responses", json={"input": "well?", "conversation": name})
    assert refused.status_code == 400
    assert "No tool output found" in refused.text
    output = {"type": "function_call_output", "call_id": call["call_id"], "output": "sunny"}
    answer = respond(client, input=[output], conversation=name)
    assert "The tool said: 'sunny'" in answer["output"][0]["content"][0]["text"]
    assert (respond(client, input="and?", conversation=name))["output"][0]["type"] == "message"


@pytest.mark.parametrize("stream", [False, True])
def test_one_in_the_background_adds_to_it_once(stream: bool, client: httpx.Client) -> None:
    name = begin(client)
    body = {"input": "x", "conversation": name, "background": True, "stream": stream}
    client.post("/v1/responses", json=body)
    assert [item["role"] for item in items(client, name)] == ["user", "assistant"]


def test_items_can_be_referred_to(client: httpx.Client) -> None:
    name = begin(client, items=[HELLO])
    [known] = items(client, name)
    reference = {"type": "item_reference", "id": known["id"]}
    answer = respond(client, input=[reference])
    assert "You began: 'hello there'." in answer["output"][0]["content"][0]["text"]
    other = begin(client, items=[reference])
    assert items(client, other) == [known]


@pytest.mark.parametrize(
    ("method", "path", "body", "status", "param", "code"),
    [
        ("POST", "/v1/conversations", {"items": 7}, 400, "items", "invalid_type"),
        ("POST", "/v1/conversations", {"items": [{}]}, 400, "items[0].type", "missing_required_parameter"),
        ("POST", "/v1/conversations", {"items": [HELLO] * 21}, 400, "items", "array_above_max_length"),
        ("POST", "/v1/conversations", {"items": [{"type": "item_reference", "id": "x"}]}, 404, "input", None),
        ("POST", "{}", {}, 400, "metadata", "missing_required_parameter"),
        ("POST", "{}/items", {}, 400, "items", "missing_required_parameter"),
        ("GET", "{}/items?limit=0", None, 400, "limit", "integer_below_min_value"),
        ("POST", ONE, {"metadata": {}}, 404, None, None),
        ("GET", f"{ONE}/items", None, 404, None, None),
        ("POST", f"{ONE}/items", {"items": []}, 404, None, None),
        ("GET", f"{ONE}/items/msg_1", None, 404, None, None),
        ("DELETE", ONE, None, 404, None, None),
        ("GET", "/v1/conversations", None, 405, None, "method_not_supported"),
        ("PUT", ONE, None, 405, None, "method_not_supported"),
        ("DELETE", f"{ONE}/items", None, 405, None, "method_not_supported"),
        ("POST", f"{ONE}/items/msg_1", None, 405, None, "method_not_supported"),
        ("GET", f"{ONE}/things", None, 404, None, None),
        ("POST", "/v1/responses", {"input": "x", "conversation": 7}, 400, "conversation", "invalid_type"),
        ("POST", "/v1/responses", {"input": "x", "conversation": {}}, 400, "conversation", "invalid_type"),
        ("POST", "/v1/responses", {"input": "x", "conversation": "c"}, 404, "conversation", None),
    ],
)
def test_what_is_refused(
    client: httpx.Client, method: str, path: str, body: Any, status: int, param: str | None, code: str | None
) -> None:
    name = begin(client)
    reply = client.request(method, path.format(f"/v1/conversations/{name}"), json=body)
    assert reply.status_code == status
    error = reply.json()["error"]
    assert (error["type"], error["param"], error["code"]) == ("invalid_request_error", param, code)


def test_what_arrived_is_told(client: httpx.Client, upstream: SimulatedUpstream) -> None:
    before = upstream.calls
    name = begin(client)
    items(client, name)
    assert [(record.verb, record.conversation_id) for record in [*upstream.requests][before:]] == [
        ("create_conversation", None),
        ("list_conversation_items", name),
    ]


def test_a_state_keeps_no_more_conversations_than_it_may() -> None:
    state = State(capacity=2)
    talks = [Talk(f"conv_{number}", 0, {}) for number in range(3)]
    for talk in talks:
        state.begin(talk)
    assert [state.talk(talk.id) for talk in talks] == [None, *talks[1:]]
    state.end(talks[1])
    state.end(talks[1])
    assert state.talk("conv_1") is None


def test_items_of_what_was_deleted_stay_until_others_need_the_room() -> None:
    state = State(capacity=2)
    talks = [Talk(f"conv_{number}", 0, {}) for number in range(4)]

    def held() -> list[str]:
        return [talk.id for talk in talks if state.item(f"msg_{talk.id}") is not None]

    for talk in talks[:2]:
        state.begin(talk)
        state.extend(talk, [{"id": f"msg_{talk.id}"}], 1)
    state.end(talks[0])
    assert list(state.conversations) == ["conv_1"]
    assert held() == ["conv_0", "conv_1"]
    state.begin(talks[2])
    assert held() == ["conv_1"], "the oldest, which has been deleted, has made room"
    state.begin(talks[3])
    assert held() == []
    assert list(state.conversations) == ["conv_2", "conv_3"]
