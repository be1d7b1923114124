"""Ids of responses, changed on the way out and back."""

import copy
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from jsons import OBJECTS, VALUES
from pydantic import BaseModel, SecretStr

from checks.affinity.rewriting import rewrite, unwrap_request
from checks.affinity.signed_id import SignedIdError, SignedIds, owner_tag
from providers.types import Call, Verb

IDS = SignedIds(SecretStr("a key for tests only"))
TAG = owner_tag("a")
UP, UP2, UP3 = (f"resp_{digit * 50}" for digit in "123")
FOREIGN = SignedIds(SecretStr("another key, as long")).wrap(UP, "a")


def _wrap(upstream: str) -> str:
    return IDS.wrap(upstream, "a")


def _shown(upstream: str) -> str:
    return f"<{upstream}>"


RESPONSE = {
    "id": "r1",
    "object": "response",
    "previous_response_id": "r0",
    "prompt_cache_options": {"mode": "implicit", "comparison_response_id": "rc"},
    "metadata": {"id": "r1", "previous_response_id": "r0"},
    "output": [
        {"type": "message", "id": "msg_1", "created_by": {"agent": "x", "response_id": "r1"}, "content": []},
        {"type": "function_call_output", "output": [{"response_id": "r1"}], "created_by": "someone"},
        "odd",
    ],
}
SHOWN = {
    **RESPONSE,
    "id": "<r1>",
    "previous_response_id": "<r0>",
    "prompt_cache_options": {"mode": "implicit", "comparison_response_id": "<rc>"},
    "output": [
        {"type": "message", "id": "msg_1", "created_by": {"agent": "x", "response_id": "<r1>"}, "content": []},
        {"type": "function_call_output", "output": [{"response_id": "r1"}], "created_by": "someone"},
        "odd",
    ],
}


@pytest.mark.parametrize(
    ("json", "shown"),
    [
        (RESPONSE, SHOWN),
        *(
            ({"type": f"response.{kind}", "response": RESPONSE}, {"type": f"response.{kind}", "response": SHOWN})
            for kind in ("created", "queued", "in_progress", "completed", "failed", "incomplete")
        ),
        ({"response": {"id": "r1"}}, {"response": {"id": "<r1>"}}),
        ({"id": "r1", "output": []}, {"id": "<r1>", "output": []}),
        ({"id": "r1", "object": "response", "deleted": True}, {"id": "<r1>", "object": "response", "deleted": True}),
        (
            {"id": "r1", "object": "response.deleted", "deleted": True},
            {"id": "<r1>", "object": "response.deleted", "deleted": True},
        ),
        ({"id": "r1", "deleted": True}, {"id": "<r1>", "deleted": True}),
        ({"id": "r1", "object": "response.compaction"}, {"id": "<r1>", "object": "response.compaction"}),
        (
            {"object": "list", "data": [RESPONSE, {"type": "message", "id": "m", "response_id": "r1"}, 3]},
            {"object": "list", "data": [SHOWN, {"type": "message", "id": "m", "response_id": "<r1>"}, 3]},
        ),
        (
            {"type": "response.output_item.done", "item": {"id": "m", "created_by": {"response_id": "r1"}}},
            {"type": "response.output_item.done", "item": {"id": "m", "created_by": {"response_id": "<r1>"}}},
        ),
        (
            {"type": "response.steer.accepted", "previous_response_id": "r1"},
            {"type": "response.steer.accepted", "previous_response_id": "<r1>"},
        ),
        ({"type": "x", "response_id": "r1", "item_id": "m"}, {"type": "x", "response_id": "<r1>", "item_id": "m"}),
    ],
    ids=lambda value: str(value.get("type", value.get("object"))),
)
def test_every_place_of_an_id_is_rewritten(json: Any, shown: Any) -> None:
    before = copy.deepcopy(json)
    assert rewrite(json, _shown) == shown
    assert json == before, "what arrived was changed in place"


@pytest.mark.parametrize(
    "json",
    [
        {"type": "response.output_text.delta", "item_id": "msg_1", "delta": "resp_1"},
        {"type": "error", "error": {"message": "Response with id 'r1' not found."}},
        {"object": "list", "data": [{"type": "message", "id": "msg_1"}]},
        {"object": "list", "data": None},
        {"object": "response.input_tokens", "input_tokens": 3},
        {"type": "response.output_item.done", "item": {"id": "m", "created_by": {"response_id": None}}},
        {"object": "response", "id": None, "previous_response_id": None, "output": None},
        {"id": "vs_1", "object": "vector_store.deleted", "deleted": True},
        {"id": "x"},
    ],
    ids=str,
)
def test_what_has_no_id_of_a_response_comes_back_itself(json: Any) -> None:
    assert rewrite(json, _shown) is json


def test_only_what_differs_is_copied() -> None:
    rewritten = rewrite(RESPONSE, _shown)  # type: ignore[arg-type]  # mypy infers `object` for mixed values
    assert rewritten["metadata"] is RESPONSE["metadata"]
    assert rewritten["output"][1] is RESPONSE["output"][1]  # type: ignore[index]  # it is a list
    assert rewrite(RESPONSE, str) is RESPONSE  # type: ignore[arg-type]  # as above


@given(OBJECTS, VALUES)
def test_nothing_a_server_sends_is_too_odd(json: dict[str, Any], value: Any) -> None:
    shapes = [{"response": value}, {"item": value}, {"object": "list", "data": value}, {"object": value}]
    for shape in ({}, *shapes, {"deleted": True, "object": value}, {"created_by": value, "output": value}):
        odd = {**json, **shape}
        before = copy.deepcopy(odd)
        assert rewrite(odd, lambda each: each) is odd
        rewrite(odd, _shown)
        assert odd == before


def test_a_call_without_signed_ids_comes_back_itself() -> None:
    for options in ({}, {"comparison_response_id": UP2}):
        call = Call("g", body={"input": "hi", "previous_response_id": UP, "prompt_cache_options": options})
        assert unwrap_request(call, IDS) == (call, {}, {})
        assert unwrap_request(call, IDS).call is call


def test_every_signed_id_of_a_request_is_unwrapped() -> None:
    options = {"ttl": "30m", "comparison_response_id": _wrap(UP2)}
    body = {"input": "hi", "previous_response_id": _wrap(UP), "prompt_cache_options": options}
    call = Call("g", body=body, extra_body={"previous_response_id": _wrap(UP3)}, metadata={"tags": ["x"]})
    before = copy.deepcopy(body)
    changed, tags, written = unwrap_request(call, IDS)
    assert changed.body == {
        "input": "hi",
        "previous_response_id": UP,
        "prompt_cache_options": {"ttl": "30m", "comparison_response_id": UP2},
    }
    assert changed.extra_body == {"previous_response_id": UP3}
    assert changed.metadata is call.metadata
    assert tags == dict.fromkeys((UP, UP2, UP3), TAG)
    assert written == {each: _wrap(each) for each in (UP, UP2, UP3)}
    assert body == before, "what the caller passed was changed in place"


def test_the_id_in_a_path_is_unwrapped() -> None:
    changed, tags, written = unwrap_request(Call("g", Verb.GET, response_id=_wrap(UP)), IDS)
    assert (changed.response_id, changed.verb) == (UP, Verb.GET)
    assert (tags, written) == ({UP: TAG}, {UP: _wrap(UP)})


class _Options(BaseModel):
    comparison_response_id: str
    ttl: str | None = None


def test_an_object_of_options_is_unwrapped_too() -> None:
    call = Call("g", body={"prompt_cache_options": _Options(comparison_response_id=_wrap(UP))})
    assert unwrap_request(call, IDS).call.body == {"prompt_cache_options": {"comparison_response_id": UP}}


def test_a_text_of_the_callers_own_stays() -> None:
    call = Call("g", body={"background_options": {"continuation_id": _wrap(UP)}, "previous_response_id": 7})
    assert unwrap_request(call, IDS).call is call


@pytest.mark.parametrize(
    ("call", "param"),
    [
        (Call("g", Verb.GET, response_id=FOREIGN), "response_id"),
        (Call("g", body={"previous_response_id": FOREIGN}), "previous_response_id"),
        (Call("g", extra_body={"previous_response_id": FOREIGN}), "previous_response_id"),
        (
            Call("g", body={"prompt_cache_options": {"comparison_response_id": FOREIGN}}),
            "prompt_cache_options.comparison_response_id",
        ),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_foreign_id_is_refused_where_it_stands(call: Call, param: str) -> None:
    with pytest.raises(SignedIdError, match=f"^{param}: ") as raised:
        unwrap_request(call, IDS)
    assert (raised.value.param, raised.value.code) == (param, "invalid_response_id")


TALK, SIGNED_TALK = "conv_1", IDS.of_conversations().wrap("conv_1", "a")


@pytest.mark.parametrize(
    ("json", "shown"),
    [
        ({"object": "conversation", "id": "c1"}, {"object": "conversation", "id": "(c1)"}),
        (
            {"object": "conversation.deleted", "id": "c1", "deleted": True},
            {"object": "conversation.deleted", "id": "(c1)", "deleted": True},
        ),
        (
            {"object": "response", "id": "r1", "conversation": "c1"},
            {"object": "response", "id": "<r1>", "conversation": "(c1)"},
        ),
        (
            {"type": "response.created", "response": {"id": "r1", "conversation": {"id": "c1", "x": None}}},
            {"type": "response.created", "response": {"id": "<r1>", "conversation": {"id": "(c1)", "x": None}}},
        ),
        (
            {"object": "list", "data": [{"object": "conversation", "id": "c1"}]},
            {"object": "list", "data": [{"object": "conversation", "id": "(c1)"}]},
        ),
    ],
    ids=["one", "deleted", "a response's", "an event's", "listed"],
)
def test_ids_of_conversations_are_rewritten(json: Any, shown: Any) -> None:
    before = copy.deepcopy(json)
    assert rewrite(json, _shown, lambda name: f"({name})") == shown
    assert json == before


@pytest.mark.parametrize(
    ("call", "param", "opened"),
    [
        (Call("g", body={"conversation": SIGNED_TALK}), "conversation", {"conversation": TALK}),
        (Call("g", extra_body={"conversation": SIGNED_TALK}), "conversation", {"conversation": TALK}),
        (
            Call("g", body={"conversation": {"id": SIGNED_TALK, "x": 1}}),
            "conversation.id",
            {"conversation": {"id": TALK, "x": 1}},
        ),
        (Call("g", Verb.GET_CONVERSATION, conversation_id=SIGNED_TALK), "conversation_id", {}),
    ],
    ids=["a text", "in extra_body", "an object", "in the path"],
)
def test_ids_of_conversations_are_unwrapped(call: Call, param: str, opened: dict[str, Any]) -> None:
    found = unwrap_request(call, IDS)
    assert {**found.call.body, **found.call.extra_body} == opened
    assert found.call.conversation_id == (None if call.conversation_id is None else TALK)
    assert (found.tags, found.written) == ({"conversation:conv_1": TAG}, {TALK: SIGNED_TALK})
    with pytest.raises(SignedIdError) as refused:
        unwrap_request(call, IDS, scope="another")
    assert refused.value.param == param


@pytest.mark.parametrize("name", ["input", "items"])
def test_items_that_were_listed_can_be_sent_back_wherever_items_are_listed(name: str) -> None:
    item = {"type": "message", "response_id": _wrap(UP), "created_by": {"response_id": _wrap(UP)}}
    found = unwrap_request(Call("g", Verb.CREATE_CONVERSATION_ITEMS, body={name: [item]}), IDS)
    assert found.call.body == {name: [{"type": "message", "response_id": UP, "created_by": {"response_id": UP}}]}
    assert found.tags == {}, "they inform, and direct nothing"


@pytest.mark.parametrize("conversation", [None, TALK, {"id": TALK}, {"id": 7}, 7, {}], ids=str)
def test_other_names_of_conversations_stay(conversation: Any) -> None:
    call = Call("g", body={"conversation": conversation})
    assert unwrap_request(call, IDS).call is call


def test_an_id_of_another_scope_is_refused() -> None:
    wrapped = IDS.wrap(UP, "a", scope="ann")
    call = Call("g", body={"previous_response_id": wrapped})
    assert unwrap_request(call, IDS, scope="ann").tags == {UP: TAG}
    with pytest.raises(SignedIdError):
        unwrap_request(call, IDS, scope="bob")


def _item(response_id: str) -> dict[str, Any]:
    return {"type": "message", "id": "msg_1", "created_by": {"agent": "x", "response_id": response_id}}


class _Item(BaseModel):
    type: str
    response_id: str


def test_output_that_is_sent_back_says_what_upstream_said() -> None:
    plain, foreign, untouchable = {"role": "user"}, _item(FOREIGN), SimpleNamespace(response_id=_wrap(UP))
    items = (plain, _item(_wrap(UP)), foreign, _Item(type="x", response_id=_wrap(UP2)), untouchable, _item(UP3), 3)
    call = Call("g", body={"input": items, "previous_response_id": _wrap(UP)})
    changed = unwrap_request(call, IDS).call.body["input"]
    assert changed == [plain, _item(UP), foreign, {"type": "x", "response_id": UP2}, untouchable, _item(UP3), 3]
    assert isinstance(changed, list)
    assert changed[0] is plain
    assert changed[2] is foreign


def test_an_input_without_signed_ids_is_not_copied() -> None:
    items = [{"role": "user", "content": "x"}, _item(UP)]
    call = Call("g", body={"input": items, "previous_response_id": _wrap(UP)})
    assert unwrap_request(call, IDS).call.body["input"] is items


@given(st.lists(OBJECTS, max_size=3), VALUES)
def test_no_request_is_too_odd(items: list[dict[str, Any]], value: Any) -> None:
    body = {"input": items, "previous_response_id": value, "prompt_cache_options": value}
    call = Call("g", body=body, extra_body={"input": [value, {"created_by": value, "response_id": value}]})
    assert unwrap_request(call, IDS).call is call


@given(st.sampled_from([UP, UP2, UP3]), st.sampled_from([UP, UP2, UP3]))
def test_what_the_caller_sees_is_what_it_may_send(one: str, other: str) -> None:
    """An answer goes out, its ids come back, and the next answer's echo is what the caller wrote."""
    shown = rewrite({"object": "response", "id": one, "previous_response_id": other, "output": []}, _wrap)
    assert isinstance(shown["id"], str)
    call, _, written = unwrap_request(Call("g", body={"previous_response_id": shown["id"]}), IDS)
    assert call.previous_response_id == one
    echo = rewrite({"object": "response", "previous_response_id": one}, lambda each: written.get(each, each))
    assert echo["previous_response_id"] == shown["id"]
