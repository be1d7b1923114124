"""What answers make known."""

from typing import Any

import pytest
from hypothesis import given
from jsons import OBJECTS, VALUES

from checks.affinity.learnt import is_response, learnt
from checks.affinity.tie import fingerprint
from checks.affinity.ties import ties
from providers.types import Call

REASONING = {"type": "reasoning", "id": "rs_1", "summary": [], "encrypted_content": "gAAA"}
MESSAGE = {"type": "message", "id": "msg_1", "role": "assistant", "content": [{"type": "output_text", "text": "x"}]}
CODE = {"type": "code_interpreter_call", "id": "ci_1", "container_id": "cntr_1"}
SHELL = {"type": "shell_call", "id": "sh_1", "environment": {"type": "container_reference", "container_id": "cntr_2"}}
AGENT = {"type": "agent_message", "content": [{"type": "encrypted_content", "encrypted_content": "gBBB"}, "x"]}
RESPONSE = {
    "id": "resp_1",
    "object": "response",
    "conversation": {"id": "conv_1"},
    "previous_response_id": "resp_0",
    "output": [REASONING, MESSAGE, CODE, SHELL, AGENT, MESSAGE],
}
KEYS = (
    "resp_1",
    "conversation:conv_1",
    "item:rs_1",
    f"encrypted:{fingerprint('gAAA')}",
    "item:msg_1",
    "item:ci_1",
    "container:cntr_1",
    "item:sh_1",
    "container:cntr_2",
    f"encrypted:{fingerprint('gBBB')}",
)


@pytest.mark.parametrize(
    ("json", "keys"),
    [
        (RESPONSE, KEYS),
        ({"type": "response.completed", "response": RESPONSE}, KEYS),
        ({"type": "response.created", "response": {"id": "resp_1", "conversation": "conv_1"}}, KEYS[:2]),
        ({"type": "response.output_item.added", "item": {"type": "message", "id": "msg_1"}}, ("item:msg_1",)),
        ({"type": "response.output_item.done", "item": REASONING}, KEYS[2:4]),
        (REASONING, KEYS[2:4]),
        ({"object": "list", "data": [MESSAGE, CODE]}, KEYS[4:7]),
        ({"object": "response.compaction", "id": "resp_1", "output": []}, KEYS[:1]),
        ({"id": "resp_1", "output": [MESSAGE]}, ("resp_1", "item:msg_1")),
        ({"id": "conv_1", "object": "conversation", "metadata": {}}, KEYS[1:2]),
    ],
    ids=lambda value: "" if isinstance(value, tuple) else str(value.get("type", value.get("object"))),
)
def test_ids_are_learnt_from(json: Any, keys: tuple[str, ...]) -> None:
    assert learnt(json) == keys


@pytest.mark.parametrize(
    "json",
    [
        None,
        [],
        {},
        "resp_1",
        {"type": "response.output_text.delta", "id": "x", "item_id": "msg_1", "delta": "resp_1"},
        {"type": "error", "error": {"message": "no"}},
        {"id": "resp_1", "object": "response", "deleted": True},
        {"id": "resp_1", "object": "response.deleted", "deleted": True},
        {"object": "response.input_tokens", "input_tokens": 3},
        {"id": "conv_1", "object": "conversation.deleted", "deleted": True},
        {"object": "list", "data": None},
        {"object": "list", "data": ["x", None]},
        {"object": ["odd"], "id": "x"},
        {"id": "x", "type": 3},
        {"object": "response", "id": 7, "output": {}},
        {"id": "x"},
    ],
    ids=str,
)
def test_nothing_is_learnt_from(json: Any) -> None:
    assert learnt(json) == ()


def test_each_version_of_encrypted_content_is_learnt() -> None:
    """A caller may send back any of the three that a stream showed it."""
    item = {"type": "reasoning", "id": "rs_1"}
    events: list[Any] = [
        {"type": "response.output_item.added", "item": {**item, "encrypted_content": "one"}},
        {"type": "response.output_item.done", "item": {**item, "encrypted_content": "two"}},
        {"type": "response.completed", "response": {"output": [{**item, "encrypted_content": "three"}]}},
    ]
    known = {key for event in events for key in learnt(event)}
    for text in ("one", "two", "three"):
        found = ties(Call("g", body={"input": [{**item, "encrypted_content": text}]}))
        assert {tie.key for tie in found if tie.hard} <= known


def test_what_was_learnt_of_an_answer_is_what_ties_the_next_call() -> None:
    known = set(learnt(RESPONSE))  # type: ignore[arg-type]  # mypy infers `object` for mixed values
    body = {"input": RESPONSE["output"], "previous_response_id": "resp_1", "conversation": RESPONSE["conversation"]}
    found = ties(Call("g", body=body))
    assert found
    assert {tie.key for tie in found} <= known


@given(OBJECTS, VALUES)
def test_nothing_a_server_sends_is_too_odd(json: dict[str, Any], value: Any) -> None:
    for odd in (json, {**json, "response": value}, {**json, "item": value}, {**json, "object": "list", "data": value}):
        assert all(isinstance(key, str) for key in learnt(odd))
        assert isinstance(is_response(odd), bool)
