"""What ties a call, in every place the protocol has for it."""

from types import SimpleNamespace
from typing import Any, NoReturn

import pytest
from hypothesis import given
from hypothesis import strategies as st
from jsons import OBJECTS, VALUES
from pydantic import BaseModel

from checks.affinity.tie import Tie, TieKind, common_homes, fingerprint, store_key
from checks.affinity.ties import MADE_UP, MOST_SOFT_ITEMS, ties
from providers.errors import BadRequestError
from providers.types import Call, Deployment, Verb
from providers.views import OutputItem

RESPONSE = "resp_" + "0a" * 25
SEALED = "gAAAAABo" + "x" * 500


def _call(**body: Any) -> Call:
    return Call("g", body=body)


def _found(**body: Any) -> list[tuple[str, str, bool]]:
    return [(tie.key, tie.param, tie.hard) for tie in ties(_call(**body))]


def made_up(kind: str, name: str, scope: str = "", group: str = "g") -> str:
    """The key of a soft tie whose name is of the caller's making."""
    return f"{kind}:{fingerprint(chr(10).join((scope, group, name)))}"


def _item(item: Any) -> list[tuple[str, str, bool]]:
    return _found(input=[item])


@pytest.mark.parametrize("body", [{}, {"input": "hi"}, {"input": "hi", "previous_response_id": ""}, {"input": []}])
def test_most_calls_are_tied_to_nothing(body: dict[str, Any]) -> None:
    assert ties(_call(**body)) == ()


def test_a_response_is_known_by_its_bare_id() -> None:
    assert ties(_call(input="hi", previous_response_id=RESPONSE)) == (
        Tie(TieKind.RESPONSE, RESPONSE, RESPONSE, True, "previous_response_id"),
    )
    assert _found(input=[], previous_response_id=RESPONSE) == [(RESPONSE, "previous_response_id", True)]


def test_a_verb_by_id_is_tied_to_that_response() -> None:
    found = ties(Call("g", Verb.GET, response_id=RESPONSE, query={"starting_after": 3}))
    assert found == (Tie(TieKind.RESPONSE, RESPONSE, RESPONSE, True, "response_id"),)


def test_a_verb_on_conversations_is_tied_to_the_one_it_names_and_to_what_its_items_refer_to() -> None:
    named = Tie(TieKind.CONVERSATION, "conv_1", "conversation:conv_1", True, "conversation_id")
    assert ties(Call("g", Verb.GET_CONVERSATION_ITEM, conversation_id="conv_1", item_id="msg_1")) == (named,)
    items = [{"role": "user", "content": [{"type": "input_file", "file_id": "file-1"}]}]
    held = Tie(TieKind.FILE, "file-1", "file:file-1", True, "items[0].content[0].file_id")
    adding = Call("g", Verb.CREATE_CONVERSATION_ITEMS, {"items": items}, conversation_id="conv_1")
    assert ties(adding) == (named, held)
    assert ties(Call("g", Verb.CREATE_CONVERSATION, {"items": items, "input": [{"id": "x"}]})) == (held,)
    assert ties(Call("g", Verb.CREATE_CONVERSATION, {"metadata": {}})) == ()


@pytest.mark.parametrize(
    ("body", "key", "param"),
    [
        ({"conversation": "conv_1"}, "conversation:conv_1", "conversation"),
        ({"conversation": {"id": "conv_1"}}, "conversation:conv_1", "conversation.id"),
        ({"conversation": SimpleNamespace(id="conv_1")}, "conversation:conv_1", "conversation.id"),
        (
            {"prompt_cache_options": {"comparison_response_id": RESPONSE}},
            RESPONSE,
            "prompt_cache_options.comparison_response_id",
        ),
        (
            {"tools": [{"type": "x"}, {"type": "file_search", "vector_store_ids": ["vs_1"]}]},
            "vector_store:vs_1",
            "tools[1].vector_store_ids[0]",
        ),
        ({"tools": [{"type": "code_interpreter", "container": "cntr_1"}]}, "container:cntr_1", "tools[0].container"),
        (
            {"tools": [{"type": "code_interpreter", "container": {"type": "auto", "file_ids": ["file-1"]}}]},
            "file:file-1",
            "tools[0].container.file_ids[0]",
        ),
        (
            {"tools": [{"type": "shell", "environment": {"type": "container_reference", "container_id": "cntr_1"}}]},
            "container:cntr_1",
            "tools[0].environment.container_id",
        ),
        (
            {"tools": [{"type": "image_generation", "input_image_mask": {"file_id": "file-1"}}]},
            "file:file-1",
            "tools[0].input_image_mask.file_id",
        ),
        (
            {"prompt": {"id": "pmpt_1", "variables": {"doc": {"type": "input_file", "file_id": "file-1"}, "n": "x"}}},
            "file:file-1",
            "prompt.variables.doc.file_id",
        ),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_parameters_that_name_what_only_one_place_has_are_hard(body: dict[str, Any], key: str, param: str) -> None:
    assert _found(input="hi", **body) == [(key, param, True)]


@pytest.mark.parametrize(
    ("item", "key", "param"),
    [
        ({"type": "item_reference", "id": "msg_1"}, "item:msg_1", "input[0].id"),
        ({"id": "msg_1"}, "item:msg_1", "input[0].id"),
        ({"type": None, "id": "msg_1"}, "item:msg_1", "input[0].id"),
        ({"type": "reasoning", "id": "rs_1", "summary": []}, "item:rs_1", "input[0].id"),
        ({"type": "reasoning", "id": "rs_1", "encrypted_content": None}, "item:rs_1", "input[0].id"),
        ({"type": "compaction", "id": "cmp_1"}, "item:cmp_1", "input[0].id"),
        ({"type": "image_generation_call", "id": "ig_1"}, "item:ig_1", "input[0].id"),
        (
            {"type": "reasoning", "summary": [], "encrypted_content": SEALED},
            f"encrypted:{fingerprint(SEALED)}",
            "input[0].encrypted_content",
        ),
        (
            {"type": "compaction", "encrypted_content": SEALED},
            f"encrypted:{fingerprint(SEALED)}",
            "input[0].encrypted_content",
        ),
        (
            {"type": "agent_message", "content": [{"type": "encrypted_content", "encrypted_content": SEALED}]},
            f"encrypted:{fingerprint(SEALED)}",
            "input[0].content[0].encrypted_content",
        ),
        (
            {"role": "user", "content": [{"type": "input_text"}, {"type": "input_file", "file_id": "file-1"}]},
            "file:file-1",
            "input[0].content[1].file_id",
        ),
        (
            {"type": "function_call_output", "call_id": "c", "output": [{"type": "input_image", "file_id": "file-1"}]},
            "file:file-1",
            "input[0].output[0].file_id",
        ),
        (
            {"type": "computer_call_output", "call_id": "c", "output": {"file_id": "file-1"}},
            "file:file-1",
            "input[0].output.file_id",
        ),
        (
            {"type": "additional_tools", "tools": [{"type": "file_search", "vector_store_ids": ["vs_1"]}]},
            "vector_store:vs_1",
            "input[0].tools[0].vector_store_ids[0]",
        ),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_items_that_need_what_only_one_place_has_are_hard(item: dict[str, Any], key: str, param: str) -> None:
    assert _item(item) == [(key, param, True)]
    assert _item(SimpleNamespace(**item)) == [(key, param, True)], "an object says the same"


@pytest.mark.parametrize(
    ("item", "key", "param"),
    [
        ({"id": "msg_1", "role": "assistant", "content": "x"}, "item:msg_1", "input[0].id"),
        ({"type": "message", "id": "msg_1", "content": []}, "item:msg_1", "input[0].id"),
        ({"type": "function_call", "id": "fc_1", "call_id": "c"}, "item:fc_1", "input[0].id"),
        ({"type": "image_generation_call", "id": "ig_1", "result": "aGk="}, "item:ig_1", "input[0].id"),
        ({"type": 7, "id": "msg_1"}, "item:msg_1", "input[0].id"),
        (
            {"type": "mcp_approval_response", "approval_request_id": "mcpr_1", "approve": True},
            "item:mcpr_1",
            "input[0].approval_request_id",
        ),
        ({"type": "code_interpreter_call", "container_id": "cntr_1"}, "container:cntr_1", "input[0].container_id"),
        (
            {"type": "shell_call", "environment": {"container_id": "cntr_1"}},
            "container:cntr_1",
            "input[0].environment.container_id",
        ),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_items_that_are_complete_in_themselves_are_soft(item: dict[str, Any], key: str, param: str) -> None:
    assert _item(item) == [(key, param, False)]
    assert _item(SimpleNamespace(**item)) == [(key, param, False)], "an object says the same"


def test_sealed_reasoning_goes_by_what_is_sealed_not_by_its_id() -> None:
    assert _item({"type": "reasoning", "id": "rs_1", "encrypted_content": SEALED}) == [
        (f"encrypted:{fingerprint(SEALED)}", "input[0].encrypted_content", True),
        ("item:rs_1", "input[0].id", False),
    ]


def test_cache_keys_and_sessions_are_soft_and_no_store_reads_them() -> None:
    call = Call(
        "g",
        body={"input": "hi", "prompt_cache_key": "ann@example.com", "background_options": {"continuation_id": "job"}},
        headers={"Session-Id": "s1", "x-session-id": "s2", "x-other": "s3"},
    )
    found = ties(call)
    assert [(tie.kind, tie.name, tie.param, tie.hard) for tie in found] == [
        (TieKind.CACHE_KEY, "ann@example.com", "prompt_cache_key", False),
        (TieKind.SESSION, "job", "background_options.continuation_id", False),
        (TieKind.SESSION, "s1", "extra_headers['Session-Id']", False),
        (TieKind.SESSION, "s2", "extra_headers['x-session-id']", False),
    ]
    assert found[0].key == made_up("cache_key", "ann@example.com")
    assert [tie.key for tie in found[1:]] == [made_up("session", name) for name in ("job", "s1", "s2")]
    assert not any(tie.name in tie.key for tie in found)


def test_what_is_encrypted_is_told_nowhere() -> None:
    found = ties(_call(input=[{"type": "reasoning", "encrypted_content": SEALED}]))
    assert SEALED not in repr(found)
    assert found[0].name == fingerprint(SEALED)
    assert len(found[0].key) == len("encrypted:") + 32


def test_what_callers_make_up_belongs_to_a_tenant_and_a_group() -> None:
    call = Call("g", body={"prompt_cache_key": "k", "previous_response_id": "resp_1"}, scope="acme")
    keys = [tie.key for tie in ties(call)]
    assert keys == ["resp_1", made_up("cache_key", "k", "acme")]
    assert ties(Call("h", body=call.body))[1].key == made_up("cache_key", "k", group="h")


def test_a_text_that_is_no_unicode_has_a_fingerprint_too() -> None:
    assert [key for key, _, _ in _found(prompt_cache_key="\ud800")] == [made_up("cache_key", "\ud800")]


def test_hard_ties_come_before_soft_ones_and_the_newest_items_first() -> None:
    items = [{"type": "message", "id": f"msg_{n}", "role": "user", "content": ""} for n in range(20)]
    last = {"type": "item_reference", "id": "rs_9"}
    found = ties(_call(input=[*items, last], prompt_cache_key="k", previous_response_id=RESPONSE))
    assert [tie.hard for tie in found] == [True, True] + [False] * (MOST_SOFT_ITEMS + 1)
    assert [tie.name for tie in found] == [RESPONSE, "rs_9", "msg_19", "msg_18", "msg_17", "msg_16", "k"]


def test_each_thing_is_one_tie_the_hard_one() -> None:
    message = {"type": "message", "id": "msg_1", "role": "user", "content": [{"file_id": "f"}, {"file_id": "f"}]}
    found = _found(input=[message, message, {"type": "item_reference", "id": "msg_1"}])
    assert found == [("file:f", "input[0].content[0].file_id", True), ("item:msg_1", "input[2].id", True)]


def test_what_extra_body_says_wins() -> None:
    call = Call("g", body={"input": "hi", "previous_response_id": "a"}, extra_body={"previous_response_id": "b"})
    assert [tie.name for tie in ties(call)] == ["b"]


class _Part(BaseModel):
    type: str
    file_id: str | None = None


class _Message(BaseModel):
    role: str
    content: list[_Part] | str
    id: str | None = None


class _Trap:
    @property
    def id(self) -> NoReturn:
        raise RuntimeError("not now")


def test_objects_of_any_library_are_read() -> None:
    model = _Message(role="user", content=[_Part(type="input_file", file_id="file-1")], id="msg_1")
    view = OutputItem({"type": "reasoning", "id": "rs_1", "encrypted_content": SEALED})
    odd = OutputItem({"type": "message", "content": [{"type": "input_file", "file_id": "file-2"}]})
    found = _found(input=(model, view, odd, _Trap(), 7, None, "x", {"content": 3}))
    assert [key for key, _, hard in found if hard] == ["file:file-1", f"encrypted:{fingerprint(SEALED)}", "file:file-2"]


@given(OBJECTS | st.dictionaries(st.sampled_from(["input", "tools", "conversation", "prompt"]), VALUES), VALUES)
def test_nothing_a_caller_sends_is_too_odd(body: dict[str, Any], value: Any) -> None:
    shapes = [
        value,
        [value],
        [{"id": value, "content": [value], "output": value, "tools": value}],
        [{"tools": [value]}],
    ]
    for shape in shapes:
        call = Call("g", body={**body, "input": shape, "tools": shape, "prompt_cache_key": value}, extra_body=body)
        for tie in ties(call):
            assert tie.key == store_key(tie.kind, tie.name) or tie.kind in (TieKind.ENCRYPTED, *MADE_UP)


OWNERS = {name: Deployment(name, "g", "openai", "m") for name in "ABC"}
SAME = {("A", "B"), ("B", "A")}


def _same(one: Deployment, other: Deployment) -> bool:
    return (one.id, other.id) in SAME


def _tied(owned: dict[str, str]) -> tuple[tuple[Tie, ...], dict[str, tuple[Deployment, ...]]]:
    found = ties(_call(input="hi", previous_response_id="resp_1", conversation="conv_1", prompt_cache_key="k"))
    return found, {key: tuple(OWNERS[owner] for owner in several) for key, several in owned.items()}


@pytest.mark.parametrize(
    ("owned", "homes"),
    [
        ({}, ""),
        ({"resp_1": "A"}, "A"),
        ({"conversation:conv_1": "C"}, "C"),
        ({"resp_1": "A", "conversation:conv_1": "A"}, "A"),
        ({"resp_1": "B", "conversation:conv_1": "A"}, "B"),
        ({made_up("cache_key", "k"): "C", "conversation:conv_1": "A"}, "A"),
        ({made_up("cache_key", "k"): "C"}, ""),
        ({"resp_1": "AC"}, "AC"),
        ({"resp_1": "AC", "conversation:conv_1": "C"}, "C"),
        ({"resp_1": "C", "conversation:conv_1": "BC"}, "C"),
        ({"resp_1": "AC", "conversation:conv_1": "BC"}, "AC"),
        ({"resp_1": "AC", "conversation:conv_1": "B"}, "A"),
    ],
    ids=str,
)
def test_hard_ties_agree_on_their_homes(owned: dict[str, str], homes: str) -> None:
    assert "".join(each.id for each in common_homes(*_tied(owned), _same)) == homes


def test_two_hard_ties_to_different_homes_are_refused_with_both_named() -> None:
    with pytest.raises(BadRequestError) as raised:
        common_homes(*_tied({"resp_1": "A", "conversation:conv_1": "C"}), _same)
    assert str(raised.value) == (
        "conversation: conversation 'conv_1' is held by deployment 'C', but previous_response_id: response 'resp_1' by "
        "'A', and no deployment holds all that the call refers to; leave one of the two out, or, if these deployments "
        "do share their state, give both the same account"
    )
    assert (raised.value.param, raised.value.code) == ("conversation", "conflicting_ties")


def test_a_refusal_is_no_longer_than_it_needs_to_be() -> None:
    found = ties(_call(previous_response_id="x" * 10_000, conversation="conv_1"))
    with pytest.raises(BadRequestError) as raised:
        common_homes(found, {"x" * 10_000: (OWNERS["A"],), "conversation:conv_1": (OWNERS["C"],)}, _same)
    assert len(str(raised.value)) < 500
