"""A conversation told to another deployment: what moves, what may be missing, what is refused."""

from __future__ import annotations

from typing import Any

import pytest

from checks.affinity.portability import Dropped, kind_of
from checks.affinity.replay import Replayed, replay
from checks.affinity.transcript import Turn
from providers.errors import BadRequestError, HomeLostError
from providers.types import Call
from providers.views import OutputItem

USER: dict[str, Any] = {"type": "message", "role": "user", "content": "hello"}
MORE: dict[str, Any] = {"type": "message", "role": "user", "content": "and?"}
TEXT: dict[str, Any] = {"type": "output_text", "text": "hi", "annotations": [], "logprobs": []}
SAID: dict[str, Any] = {"type": "message", "id": "msg_1", "status": "completed", "role": "assistant", "content": [TEXT]}
TOLD: dict[str, Any] = {"type": "message", "role": "assistant", "content": [TEXT]}
THOUGHT: dict[str, Any] = {"type": "reasoning", "id": "rs_1", "summary": [], "encrypted_content": "gAAA"}
ASKED: dict[str, Any] = {
    "type": "function_call",
    "id": "fc_1",
    "call_id": "call_1",
    "name": "f",
    "arguments": "{}",
    "status": None,
}
RESULT: dict[str, Any] = {"type": "function_call_output", "call_id": "call_1", "output": "42"}


def turn(*output: dict[str, Any], input: tuple[dict[str, Any], ...] = (USER,), **more: Any) -> Turn:
    return Turn("resp_1", None, input, output or (SAID,), **more)


def call(input: object = "and?", **body: object) -> Call:
    return Call("gpt", body={"input": input, "previous_response_id": "resp_1", **body})


def told(*turns: Turn, to: Call | None = None, lossy: bool = False, same_vendor: bool = True, **more: Any) -> Replayed:
    return replay(turns, to or call(), lossy=lossy, same_vendor=same_vendor, **more)


def refusal(*turns: Turn, to: Call | None = None, **more: Any) -> str:
    with pytest.raises(HomeLostError) as caught:
        told(*turns, to=to, **more)
    return caught.value.message


# what moves


def test_everything_said_becomes_the_input() -> None:
    done = told(turn(), turn(ASKED, input=(MORE,)), to=call([RESULT], store=True, temperature=0.5, instructions="x"))
    asked = {"type": "function_call", "call_id": "call_1", "name": "f", "arguments": "{}"}
    assert done.call.body == {
        "input": [USER, TOLD, MORE, asked, RESULT],
        "store": True,
        "temperature": 0.5,
        "instructions": "x",
    }
    assert done.dropped == ()


def test_the_rest_of_the_call_is_as_it_was() -> None:
    before = Call("gpt", model="alias", stream=True, body={"input": "x"}, metadata={"a": 1}, headers={"h": "1"})
    after = told(turn(), to=before).call
    assert (after.group, after.model, after.stream, after.metadata, after.headers) == (
        "gpt",
        "alias",
        True,
        {"a": 1},
        {"h": "1"},
    )


def test_what_the_extra_body_says_goes_as_well() -> None:
    extra = {"previous_response_id": "resp_1", "input": "and?", "custom": 1, "conversation": "conv_1"}
    after = told(turn(), to=Call("gpt", body={"input": "no"}, extra_body=extra), lossy=True).call
    assert after.body == {"input": [USER, TOLD, MORE]}
    assert after.extra_body == {"custom": 1}


@pytest.mark.parametrize("body", [{}, {"input": None}])
def test_without_input_of_its_own_the_history_is_all(body: dict[str, object]) -> None:
    assert told(turn(), to=Call("gpt", body=body)).call.body == {"input": [USER, TOLD]}
    assert told(to=Call("gpt", body=body)).call.body == body


def test_input_may_be_objects_of_an_sdk() -> None:
    assert told(turn(), to=call([OutputItem(SAID), MORE])).call.body["input"] == [USER, TOLD, TOLD, MORE]


@pytest.mark.parametrize("input", [5, [5], {"role": "user"}])
def test_what_is_no_input_is_refused(input: object) -> None:
    with pytest.raises(BadRequestError, match="input: expected a string or a list of items") as caught:
        told(turn(), to=call(input))
    assert caught.value.param == "input"


def test_a_status_that_says_something_stays_with_a_call() -> None:
    item = {**ASKED, "status": "completed"}
    assert told(turn(item), to=call([RESULT])).call.body["input"] == [
        USER,
        {key: value for key, value in item.items() if key != "id"},
        RESULT,
    ]


def test_items_of_unknown_types_move_within_a_vendor() -> None:
    item = {"type": "hologram", "id": "h_1", "created_by": "agent_1", "response_id": "resp_1", "beam": [1, None, "x"]}
    assert told(turn(item)).call.body["input"] == [USER, {"type": "hologram", "beam": [1, None, "x"]}, MORE]
    assert "hologram at resp_1.output[0]" in refusal(turn(item), same_vendor=False)


def test_messages_and_the_callers_tools_move_everywhere() -> None:
    custom = [{"type": "custom_tool_call", "call_id": "c", "name": "n", "input": "i"}]
    custom += [{"type": "custom_tool_call_output", "call_id": "c", "output": "o"}]
    done = told(turn(), turn(ASKED, input=(MORE,)), to=call([RESULT, *custom]), same_vendor=False)
    assert done.dropped == ()


def test_images_by_address_move() -> None:
    image = {"type": "input_image", "image_url": "data:image/png;base64,AA", "file_id": None}
    item = {"role": "user", "content": [image]}
    assert told(turn(input=(item,))).call.body["input"] == [item, TOLD, MORE]


# what may be missing


@pytest.mark.parametrize("kind", ["reasoning", "web_search_call", "file_search_call", "mcp_list_tools"])
@pytest.mark.parametrize("same_vendor", [True, False])
def test_what_is_safe_to_drop_is_reported(kind: str, same_vendor: bool) -> None:
    done = told(turn({**THOUGHT, "type": kind}, SAID), same_vendor=same_vendor)
    assert done.call.body["input"] == [USER, TOLD, MORE]
    assert done.dropped == (Dropped(kind, "resp_1.output[0]", safe=True),)


def test_reasoning_by_id_in_the_new_input_too() -> None:
    done = told(turn(), to=call([{"type": "reasoning", "id": "rs_9", "summary": []}, SAID, MORE]))
    assert done.call.body["input"] == [USER, TOLD, TOLD, MORE]
    assert done.dropped == (Dropped("reasoning", "input[0]", safe=True),)


def test_citations_of_files_go_and_those_of_pages_stay() -> None:
    page = {"type": "url_citation", "url": "https://example.com"}
    file = {"type": "file_citation", "file_id": "file_1"}
    noted = {**TEXT, "annotations": [file, page, {"type": "container_file_citation", "container_id": "cntr_1"}]}
    done = told(turn({**SAID, "content": [noted]}))
    assert done.call.body["input"] == [USER, {**TOLD, "content": [{**TEXT, "annotations": [page]}]}, MORE]
    assert done.dropped == (
        Dropped("file_id", "resp_1.output[0].content[0].annotations[0]", safe=True),
        Dropped("container_id", "resp_1.output[0].content[0].annotations[2]", safe=True),
    )
    assert told(turn({**SAID, "content": [noted]}), held={"file_1", "cntr_1"}).dropped == ()


def test_a_compaction_on_the_way_stands_for_what_is_told_anyway() -> None:
    squeezed = {"type": "compaction", "id": "cmp_1", "encrypted_content": "gAAA"}
    done = told(turn(squeezed, SAID))
    assert done.call.body["input"] == [USER, TOLD, MORE]
    assert done.dropped == (Dropped("compaction", "resp_1.output[0]", safe=True),)
    assert "compaction at resp_1.input[0]" in refusal(turn(input=(squeezed, USER)))
    assert "compaction at input[0]" in refusal(turn(), to=call([squeezed, MORE]))


def test_a_comparison_is_for_statistics() -> None:
    options = {"comparison_response_id": "resp_1", "mode": "x"}
    done = told(turn(), to=call(prompt_cache_options=options))
    assert done.call.body["prompt_cache_options"] == {"mode": "x"}
    assert done.dropped == (
        Dropped("comparison_response_id", "prompt_cache_options.comparison_response_id", safe=True),
    )
    assert (
        "prompt_cache_options"
        not in told(turn(), to=call(prompt_cache_options={"comparison_response_id": "resp_1"})).call.body
    )
    same = {"comparison_response_id": None}
    assert told(turn(), to=call(prompt_cache_options=same)).call.body["prompt_cache_options"] == same


# what is refused, unless losses are allowed


@pytest.mark.parametrize(
    "kind",
    [
        "code_interpreter_call",
        "image_generation_call",
        "computer_call",
        "computer_call_output",
        "mcp_call",
        "mcp_approval_request",
        "mcp_approval_response",
    ],
)
def test_what_lives_at_home_is_refused_or_dropped(kind: str) -> None:
    item = {"type": kind, "id": "x_1"}
    assert refusal(turn(item, SAID)) == (
        f'what can\'t be sent to another deployment: {kind} at resp_1.output[0]; replay="lossy" would go without'
    )
    done = told(turn(item, SAID), lossy=True)
    assert done.call.body["input"] == [USER, TOLD, MORE]
    assert done.dropped == (Dropped(kind, "resp_1.output[0]", safe=False),)


@pytest.mark.parametrize("part", [{"type": "input_file", "file_id": "f_1"}, {"type": "input_image", "file_id": "f_1"}])
def test_files_of_the_home(part: dict[str, Any]) -> None:
    words = {"type": "input_text", "text": "see this"}
    item = {"role": "user", "content": [words, part]}
    assert "file_id at input[0].content[1]" in refusal(turn(), to=call([item]))
    done = told(turn(), to=call([item]), lossy=True)
    assert done.call.body["input"] == [USER, TOLD, {"role": "user", "content": [words]}]
    assert done.dropped == (Dropped("file_id", "input[0].content[1]", safe=False),)
    assert told(turn(), to=call([item]), held=["f_1"]).call.body["input"] == [USER, TOLD, item]


def test_a_message_of_nothing_else_goes_with_its_parts() -> None:
    item = {"role": "user", "content": [{"type": "input_file", "file_id": "f_1"}]}
    done = told(turn(input=(item, USER)), lossy=True)
    assert done.call.body["input"] == [USER, TOLD, MORE]
    assert done.dropped == (Dropped("file_id", "resp_1.input[0].content[0]", safe=False),)


def test_a_noted_part_of_the_home_goes_with_its_notes() -> None:
    part = {"type": "input_file", "file_id": "f_1", "annotations": [{"file_id": "f_2"}]}
    done = told(turn(input=({"role": "user", "content": [part, TEXT]},)), lossy=True)
    assert done.dropped == (Dropped("file_id", "resp_1.input[0].content[0]", safe=False),)


def test_a_result_of_nothing_else_is_empty_for_its_call_must_have_one() -> None:
    result = {**RESULT, "output": [{"type": "input_image", "file_id": "f_1"}]}
    done = told(turn(ASKED), to=call([result]), lossy=True)
    assert done.call.body["input"][-1] == {**RESULT, "output": ""}  # type: ignore[index]
    assert done.dropped == (Dropped("file_id", "input[0].output[0]", safe=False),)


def test_empty_content_stays_empty() -> None:
    item = {"role": "user", "content": []}
    assert told(turn(input=(item,))).call.body["input"] == [item, TOLD, MORE]


@pytest.mark.parametrize(
    ("tie", "field"),
    [
        ({"environment": {"type": "container_reference", "container_id": "cntr_1"}}, "container_id"),
        ({"container": "cntr_1"}, "container"),
        ({"skills": [{"skill_id": "s"}]}, "skill_id"),
        ({"encrypted_content": "gAAA"}, "encrypted_content"),
    ],
)
def test_a_call_that_is_tied_takes_its_output_along(tie: dict[str, Any], field: str) -> None:
    asked = {"type": "shell_call", "id": "sh_1", "call_id": "call_1", "action": {"commands": ["ls"]}, **tie}
    result = {"type": "shell_call_output", "call_id": "call_1", "output": [{"stdout": "x", "stderr": ""}]}
    assert f"{field} at resp_1.output[0], shell_call_output at input[0]" in refusal(
        turn(asked), to=call([result, MORE])
    )
    done = told(turn(asked), to=call([result, MORE]), lossy=True)
    assert done.call.body["input"] == [USER, MORE]
    assert done.dropped == (
        Dropped(field, "resp_1.output[0]", safe=False),
        Dropped("shell_call_output", "input[0]", safe=False),
    )


def test_both_of_a_pair_that_is_tied_are_reported_once() -> None:
    pair = {"type": "computer_call", "call_id": "c"}, {"type": "computer_call_output", "call_id": "c"}
    done = told(turn(*pair), lossy=True)
    assert [each.kind for each in done.dropped] == ["computer_call", "computer_call_output"]


def test_items_without_a_call_id_are_no_pair() -> None:
    first, second = {"type": "computer_call", "call_id": ""}, {"type": "function_call", "call_id": "", "name": "f"}
    done = told(turn(first, second), lossy=True)
    assert done.call.body["input"] == [USER, second, MORE]


def test_the_output_of_a_local_shell_follows_its_call() -> None:
    asked = {"type": "local_shell_call", "id": "lsh_1", "call_id": "call_1", "action": {}}
    by_item, by_call = ({"type": "local_shell_call_output", "id": name, "output": "x"} for name in ("lsh_1", "call_1"))
    for result in (by_item, by_call):
        done = told(turn(asked), to=call([result]))
        assert done.call.body["input"] == [
            USER,
            {"type": "local_shell_call", "call_id": "call_1", "action": {}},
            {"type": "local_shell_call_output", "id": "call_1", "output": "x"},
        ]
    tied = {**asked, "container_id": "cntr_1"}
    assert [each.where for each in told(turn(tied), to=call([by_item, MORE]), lossy=True).dropped] == [
        "resp_1.output[0]",
        "input[0]",
    ]
    odd = {"type": "local_shell_call", "id": "lsh_1", "action": {}}
    assert told(turn(odd), to=call([by_item])).call.body["input"][-1] == by_item  # type: ignore[index]
    nameless = {"type": "local_shell_call_output", "output": "x"}
    assert told(turn(), to=call([nameless])).call.body["input"][-1] == nameless  # type: ignore[index]


@pytest.mark.parametrize(
    ("more", "dropped"),
    [({"conversation": "conv_1"}, "conversation"), ({"finished": False}, "unfinished")],
)
def test_a_turn_of_which_the_home_knows_more(more: dict[str, Any], dropped: str) -> None:
    assert f"{dropped} at resp_1" in refusal(turn(**more))
    done = told(turn(**more), lossy=True)
    assert done.call.body["input"] == [USER, TOLD, MORE]
    assert done.dropped == (Dropped(dropped, "resp_1", safe=False),)


@pytest.mark.parametrize("name", ["conversation", "prompt"])
@pytest.mark.parametrize("value", ["x_1", {"id": "x_1", "version": "2"}])
def test_parameters_that_live_at_home(name: str, value: object) -> None:
    assert f"{name} at {name}" in refusal(turn(), to=call(**{name: value}))
    done = told(turn(), to=call(**{name: value}), lossy=True)
    assert name not in done.call.body
    assert done.dropped == (Dropped(name, name, safe=False),)
    assert told(turn(), to=call(**{name: value}), held=("x_1",)).call.body[name] == value
    assert told(turn(), to=call(**{name: None})).call.body[name] is None


def test_what_a_background_response_went_on_with() -> None:
    to = call(background=True, background_options={"continuation_id": "c_1"})
    assert "continuation_id at background_options.continuation_id" in refusal(turn(), to=to)
    done = told(turn(), to=to, lossy=True)
    assert done.call.body == {"input": [USER, TOLD, MORE], "background": True}


def test_another_vendor_has_no_background() -> None:
    assert "background at background" in refusal(turn(), to=call(background=True), same_vendor=False)
    done = told(turn(), to=call(background=True), lossy=True, same_vendor=False)
    assert "background" not in done.call.body
    assert told(turn(), to=call(background=False), same_vendor=False).call.body["background"] is False


FUNCTION = {"type": "function", "name": "f", "parameters": {"file_id": "any word", "properties": {"file_id": {}}}}
SEARCH = {"type": "file_search", "vector_store_ids": ["vs_1"]}
CODE = {"type": "code_interpreter", "container": {"type": "auto", "file_ids": ["f_1"]}}


def test_tools_that_act_on_what_lives_at_home() -> None:
    to = call(tools=[FUNCTION, SEARCH, CODE, {"type": "code_interpreter", "container": "cntr_1"}])
    assert "vector_store_ids at tools[1], file_ids at tools[2], container at tools[3]" in refusal(turn(), to=to)
    assert told(turn(), to=to, lossy=True).call.body["tools"] == [FUNCTION]
    assert told(turn(), to=to, held={"vs_1", "f_1", "cntr_1"}).call.body["tools"] == to.body["tools"]


@pytest.mark.parametrize(
    "tools", [[FUNCTION], [{"type": "code_interpreter", "container": {"type": "auto"}}], None, "x"]
)
def test_tools_of_the_callers_own(tools: object) -> None:
    done = told(turn(), to=call(tools=tools))
    assert done.call.body["tools"] == tools
    assert done.dropped == ()


@pytest.mark.parametrize(
    ("tools", "choice", "possible"),
    [
        ([SEARCH, FUNCTION], "required", "required"),
        ([SEARCH, FUNCTION], {"type": "function", "name": "f"}, {"type": "function", "name": "f"}),
        ([SEARCH, FUNCTION], {"type": "function", "name": "g"}, None),
        ([SEARCH, FUNCTION], {"type": "file_search"}, None),
        (
            [SEARCH, FUNCTION],
            {"type": "allowed_tools", "mode": "auto", "tools": [{"type": "file_search"}, FUNCTION]},
            {"type": "allowed_tools", "mode": "auto", "tools": [FUNCTION]},
        ),
        (
            [SEARCH, FUNCTION],
            {"type": "allowed_tools", "mode": "auto", "tools": [{"type": "file_search"}, "x"]},
            "none",
        ),
        ([SEARCH], "auto", "auto"),
        ([SEARCH], "none", "none"),
        ([SEARCH], "required", None),
        ([SEARCH], {"type": "file_search"}, None),
    ],
)
def test_a_choice_allows_no_more_and_demands_nothing_that_went(tools: Any, choice: Any, possible: Any) -> None:
    done = told(turn(), to=call(tools=tools, tool_choice=choice), lossy=True)
    assert done.call.body.get("tool_choice") == possible
    assert done.call.body.get("tools") == ([FUNCTION] if FUNCTION in tools else None)
    assert [each.kind for each in done.dropped][1:] == ([] if possible == choice else ["tool_choice"])


def test_a_call_of_which_nothing_is_left_is_refused_even_so() -> None:
    message = refusal(turn(), to=call([{"type": "computer_call_output", "call_id": "c"}]), lossy=True)
    assert message == (
        "nothing of the call's own input can be sent to another deployment: "
        "what can't be sent to another deployment: computer_call_output at input[0]"
    )


def test_an_error_names_ten() -> None:
    message = refusal(turn(*({"type": "mcp_call"} for _ in range(12))))
    assert "mcp_call at resp_1.output[9], and 2 more; " in message
    assert "output[10]" not in message


# references


@pytest.mark.parametrize(
    "reference", [{"type": "item_reference", "id": "msg_1"}, {"id": "msg_1"}, {"type": None, "id": "msg_1"}]
)
def test_a_reference_becomes_what_it_refers_to(reference: dict[str, Any]) -> None:
    done = told(to=call([reference, MORE, reference]), others=[turn()])
    assert done.call.body["input"] == [TOLD, MORE]
    assert done.dropped == ()


def test_a_reference_to_what_is_told_anyway_goes() -> None:
    reference = {"type": "item_reference", "id": "msg_1"}
    assert told(turn(), to=call([reference, MORE]), others=[turn()]).call.body["input"] == [USER, TOLD, MORE]
    done = told(turn(), to=call([reference]))
    assert (done.call.body["input"], done.dropped) == ([USER, TOLD], ())


def test_a_reference_to_something_unknown_is_refused() -> None:
    reference = {"type": "item_reference", "id": "msg_9"}
    others = [turn(input=(reference,))]
    assert "item_reference at resp_1.input[0]" in refusal(turn(input=(reference, USER)))
    assert "item_reference at input[0]" in refusal(turn(), to=call([reference, MORE]), others=others)


def test_what_a_reference_stands_for_may_not_move_either() -> None:
    reference = {"type": "item_reference", "id": "rs_1"}
    done = told(turn(input=(reference, USER)), others=[turn(THOUGHT)])
    assert done.dropped == (Dropped("reasoning", "resp_1.input[0]", safe=True),)


def test_kinds_of_items() -> None:
    assert kind_of({"role": "user"}) == "message"
    assert kind_of({"id": "x", "name": "y"}) == ""
