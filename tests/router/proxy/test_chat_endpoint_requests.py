"""What a request for a chat completion becomes: nothing of it vanishes."""

from typing import Any

import pytest
from chat_talk import written
from hypothesis import given
from hypothesis import strategies as st

from providers.errors import BadRequestError
from router.proxy.chat.asking import ChatCall
from router.proxy.chat.parameters import translated

HI: dict[str, Any] = {"role": "user", "content": "Hi"}
SCHEMA = {"type": "object", "properties": {"a": {"type": "string"}}}


def calling(*messages: Any, **asked: Any) -> ChatCall:
    """What a request becomes."""
    return translated({"messages": list(messages) or [HI], **asked}, drop=False)


def body(*messages: Any, **asked: Any) -> dict[str, Any]:
    """The request for a response."""
    return calling(*messages, **asked).body


def items(*messages: Any, **asked: Any) -> Any:
    """Its input."""
    return body(*messages, **asked)["input"]


def refused(*messages: Any, **asked: Any) -> str:
    """The parameter that is to blame."""
    with pytest.raises(BadRequestError) as raised:
        body(*messages, **asked)
    assert raised.value.param is not None
    assert raised.value.message.startswith(raised.value.param)
    return raised.value.param


# messages


@pytest.mark.parametrize("role", ["system", "developer", "user"])
def test_what_anybody_says_stays_in_its_place(role: str) -> None:
    said = {"role": role, "content": "Hi"}
    assert items(HI, said, HI) == [HI, said, HI]


def test_parts_are_called_as_responses_call_them() -> None:
    mark = {"cache_control": {"type": "ephemeral"}}
    content = [
        {"type": "text", "text": "See", **mark},
        {"type": "image_url", "image_url": {"url": "https://x/a.png", "detail": "low"}, **mark},
        {"type": "image_url", "image_url": "https://x/b.png"},
        {"type": "input_audio", "input_audio": {"data": "UklG", "format": "wav"}},
        {"type": "file", "file": {"file_id": "file_1"}, **mark},
        {"type": "input_text", "text": "as it is"},
    ]
    [item] = items({"role": "user", "content": content})
    assert item["content"] == [
        {"type": "input_text", "text": "See", **mark},
        {"type": "input_image", "image_url": "https://x/a.png", "detail": "low", **mark},
        {"type": "input_image", "image_url": "https://x/b.png", "detail": "auto"},
        {"type": "input_audio", "input_audio": {"data": "UklG", "format": "wav"}},
        {"type": "input_file", "file_id": "file_1", **mark},
        {"type": "input_text", "text": "as it is"},
    ]


def test_what_the_model_said_did_and_refused_are_items_in_order() -> None:
    said = {
        "role": "assistant",
        "content": "I look.",
        "refusal": "But no further.",
        "annotations": [{"type": "url_citation", "url_citation": {"url": "https://x", "start_index": 0}}],
        "reasoning_content": "Hm.",
        "reasoning_details": [
            {"type": "reasoning.encrypted", "data": "gAAA", "id": "rs_1", "summary": "Hm."},
            {"type": "reasoning.encrypted", "data": "gBBB"},
            {"type": "reasoning.text", "text": "nobody takes it"},
        ],
        "audio": None,
        "tool_calls": [
            {"id": "call_1", "type": "function", "function": {"name": "f", "arguments": "{}"}},
            {"id": "call_2", "type": "custom", "custom": {"name": "c", "input": "x"}},
        ],
    }
    outputs = [{"role": "tool", "tool_call_id": f"call_{n}", "content": each} for n, each in ((1, "one"), (2, None))]
    note = {"type": "url_citation", "url": "https://x", "start_index": 0}
    assert items(HI, said, *outputs) == [
        HI,
        {
            "type": "reasoning",
            "id": "rs_1",
            "summary": [{"type": "summary_text", "text": "Hm."}],
            "encrypted_content": "gAAA",
        },
        {"type": "reasoning", "summary": [], "encrypted_content": "gBBB"},
        {
            "role": "assistant",
            "content": [
                {"type": "output_text", "text": "I look.", "annotations": [note]},
                {"type": "refusal", "refusal": "But no further."},
            ],
        },
        {"type": "function_call", "call_id": "call_1", "name": "f", "arguments": "{}"},
        {"type": "custom_tool_call", "call_id": "call_2", "name": "c", "input": "x"},
        {"type": "function_call_output", "call_id": "call_1", "output": "one"},
        {"type": "custom_tool_call_output", "call_id": "call_2", "output": ""},
    ]


def test_thoughts_that_led_to_nothing_are_not_told_again() -> None:
    cut = {"role": "assistant", "content": "", "reasoning_details": [{"type": "reasoning.encrypted", "data": "gAAA"}]}
    assert items(HI, cut, HI) == [HI, HI]


@pytest.mark.parametrize(
    ("said", "content"),
    [
        ({"content": "Yes"}, "Yes"),
        ({"content": [{"type": "text", "text": "Yes"}]}, [{"type": "output_text", "text": "Yes"}]),
        ({"content": [{"type": "refusal", "refusal": "No"}]}, [{"type": "refusal", "refusal": "No"}]),
        ({"content": None, "refusal": "No"}, [{"type": "refusal", "refusal": "No"}]),
        (
            {"content": "Yes", "refusal": "No"},
            [{"type": "output_text", "text": "Yes"}, {"type": "refusal", "refusal": "No"}],
        ),
        (
            {"content": "Yes", "annotations": [{"type": "file", "name": "a"}]},
            [{"type": "output_text", "text": "Yes", "annotations": [{"type": "file", "name": "a"}]}],
        ),
    ],
)
def test_an_assistants_words_are_text_or_parts(said: dict[str, Any], content: Any) -> None:
    assert items(HI, {"role": "assistant", **said}) == [HI, {"role": "assistant", "content": content}]


def test_calls_without_ids_are_paired_by_name() -> None:
    def call(name: str) -> dict[str, Any]:
        return {"role": "assistant", "content": None, "function_call": {"name": name, "arguments": "{}"}}

    told = items(
        HI, call("f"), call("g"), {"role": "function", "name": "g", "content": "1"},
        {"role": "function", "name": "f", "content": "2"},
    )  # fmt: skip
    calls, outputs = told[1:3], told[3:]
    assert [each["name"] for each in calls] == ["f", "g"]
    assert [each["call_id"] for each in outputs] == [calls[1]["call_id"], calls[0]["call_id"]]
    assert refused(HI, {"role": "function", "name": "g", "content": "1"}) == "messages[1].name"


@pytest.mark.parametrize(
    ("message", "param"),
    [
        ({"role": "tool", "content": "x"}, "tool_call_id"),
        ({"role": "tool", "tool_call_id": 7, "content": "x"}, "tool_call_id"),
        ({"role": "user", "content": "Hi", "name": "ada"}, "name"),
        ({"role": "user", "content": ["Hi"]}, "content[0]"),
        ({"role": "user", "content": [{"type": "text"}]}, "content[0].text"),
        ({"role": "user", "content": [{"type": "file"}]}, "content[0].file"),
        ({"role": "user", "content": [{"type": "image_url", "image_url": {}}]}, "content[0].image_url.url"),
        ({"role": "assistant", "content": "Hi", "name": "bot"}, "name"),
        ({"role": "assistant", "audio": {"id": "audio_1"}}, "audio"),
        ({"role": "assistant", "content": "Yes", "annotations": [7]}, "annotations"),
        ({"role": "assistant", "refusal": 7}, "refusal"),
        ({"role": "assistant", "tool_calls": {}}, "tool_calls"),
        ({"role": "assistant", "tool_calls": [{"type": "function"}]}, "tool_calls[0].id"),
        ({"role": "assistant", "tool_calls": [{"id": "c", "type": "other"}]}, "tool_calls[0].type"),
        ({"role": "assistant", "tool_calls": [{"id": "c", "custom": {}}]}, "tool_calls[0].function"),
        ({"role": "assistant", "tool_calls": [{"id": "c", "type": "custom"}]}, "tool_calls[0].custom"),
        ({"role": "assistant", "function_call": {"name": "f"}}, "function_call.arguments"),
        ({"content": "Hi"}, "role"),
    ],
)
def test_what_can_not_be_meant_is_named_with_its_place(message: dict[str, Any], param: str) -> None:
    assert refused(HI, message) == f"messages[1].{param}"


def test_messages_that_say_nothing_are_no_request() -> None:
    assert refused({"role": "assistant", "content": ""}) == "messages"
    with pytest.raises(BadRequestError, match="messages: is required"):
        translated({}, drop=False)
    with pytest.raises(BadRequestError, match=r"messages\[0\]: must be an object"):
        body("Hi")


# tools


def test_tools_are_flat_and_not_strict_unless_they_are_said_to_be() -> None:
    grammar = {"type": "grammar", "grammar": {"syntax": "lark", "definition": "x"}}
    tools = [
        {"type": "function", "function": {"name": "f", "description": "F", "parameters": SCHEMA, "strict": True}},
        {"type": "function", "function": {"name": "g"}, "cache_control": {"type": "ephemeral"}},
        {"type": "custom", "custom": {"name": "c", "format": grammar}},
        {"type": "custom", "custom": {"name": "d", "format": {"type": "text"}}},
        {"type": "web_search", "filters": {}},
        {"type": "function", "name": "h", "parameters": SCHEMA, "strict": False},
    ]
    empty = {"type": "object", "properties": {}}
    assert body(tools=tools)["tools"] == [
        {"type": "function", "name": "f", "description": "F", "parameters": SCHEMA, "strict": True},
        {
            "type": "function",
            "name": "g",
            "parameters": empty,
            "strict": False,
            "cache_control": {"type": "ephemeral"},
        },
        {"type": "custom", "name": "c", "format": {"type": "grammar", "syntax": "lark", "definition": "x"}},
        {"type": "custom", "name": "d", "format": {"type": "text"}},
        *tools[4:],
    ]


def test_functions_and_searches_become_tools_that_errors_call_by_their_own_names() -> None:
    place = {"type": "approximate", "approximate": {"city": "Rome"}}
    call = calling(
        tools=None,
        functions=[{"name": "f", "parameters": SCHEMA}],
        function_call={"name": "f"},
        web_search_options={"search_context_size": "low", "user_location": place},
    )
    tools: Any = call.body["tools"]
    function, search = tools
    assert function == {"type": "function", "name": "f", "parameters": SCHEMA, "strict": False}
    location = {"type": "approximate", "city": "Rome"}
    assert search == {"type": "web_search", "search_context_size": "low", "user_location": location}
    assert call.body["tool_choice"] == {"type": "function", "name": "f"}
    assert call.legacy
    names = ["tools[0].name", "tools[1]", "tools[2].name", "tool_choice.name", "tools"]
    expected = ["functions[0]", "web_search_options", "tools[2].name", "function_call", "tools"]
    assert [call.name(each) for each in names] == expected
    assert body(web_search_options={})["tools"] == [{"type": "web_search"}]
    assert not calling(tools=[], functions=[]).legacy


@pytest.mark.parametrize(
    ("choice", "told"),
    [
        ("auto", "auto"),
        ("required", "required"),
        ({"type": "function", "function": {"name": "f"}}, {"type": "function", "name": "f"}),
        ({"type": "custom", "custom": {"name": "c"}}, {"type": "custom", "name": "c"}),
        ({"type": "web_search"}, {"type": "web_search"}),
        ({"type": "function", "function": "f"}, {"type": "function", "function": "f"}),
        (
            {
                "type": "allowed_tools",
                "allowed_tools": {"mode": "auto", "tools": [{"type": "function", "function": {"name": "f"}}, "g"]},
            },
            {"type": "allowed_tools", "mode": "auto", "tools": [{"type": "function", "name": "f"}, "g"]},
        ),
    ],
)
def test_the_choice_of_tools_is_flat(choice: Any, told: Any) -> None:
    assert body(tool_choice=choice)["tool_choice"] == told
    assert body(function_call="none")["tool_choice"] == "none"


@pytest.mark.parametrize(
    ("asked", "param"),
    [
        ({"tools": {}}, "tools"),
        ({"tools": ["f"]}, "tools[0]"),
        ({"tools": [{"type": "function"}]}, "tools[0].function"),
        ({"tools": [{"type": "custom", "custom": {}}]}, "tools[0].custom.name"),
        ({"functions": [{}]}, "functions[0].name"),
        ({"functions": 7}, "functions"),
        ({"web_search_options": []}, "web_search_options"),
        ({"tool_choice": 7}, "tool_choice"),
        ({"function_call": {}}, "function_call.name"),
        (
            {"tool_choice": {"type": "allowed_tools", "allowed_tools": {"mode": "auto"}}},
            "tool_choice.allowed_tools.tools",
        ),
        ({"response_format": "json"}, "response_format"),
        ({"response_format": {"type": "json_schema"}}, "response_format.json_schema"),
        ({"text": "x"}, "text"),
        ({"reasoning": "x", "reasoning_effort": "low"}, "reasoning"),
        ({"logprobs": "yes"}, "logprobs"),
        ({"top_logprobs": 3}, "top_logprobs"),
        ({"stream_options": {"include_usage": True}}, "stream_options"),
        ({"stream": True, "stream_options": 7}, "stream_options"),
        ({"background": True}, "background"),
    ],
)
def test_parameters_that_can_not_be_meant_are_named(asked: dict[str, Any], param: str) -> None:
    assert refused(**asked) == param


# parameters


def test_parameters_are_said_in_the_words_of_responses() -> None:
    schema = {"name": "x", "schema": SCHEMA, "strict": True}
    told = body(
        response_format={"type": "json_schema", "json_schema": schema},
        verbosity="low",
        reasoning_effort="high",
        max_completion_tokens=50,
        max_tokens=70,
        logprobs=True,
        top_logprobs=3,
        temperature=0.5,
        service_tier="flex",
        unheard_of={"a": None},
        stream=True,
        stream_options={"include_usage": True, "include_obfuscation": False},
    )
    assert told == {
        "input": [HI],
        "text": {"format": {"type": "json_schema", **schema}, "verbosity": "low"},
        "reasoning": {"effort": "high"},
        "max_output_tokens": 50,
        "include": ["message.output_text.logprobs"],
        "top_logprobs": 3,
        "temperature": 0.5,
        "service_tier": "flex",
        "unheard_of": {"a": None},
        "stream": True,
        "stream_options": {"include_obfuscation": False},
        "store": False,
    }


def test_what_is_said_in_the_words_of_responses_already_is_kept_beside() -> None:
    told = body(
        text={"verbosity": "low"},
        response_format={"type": "json_object"},
        reasoning={"summary": "auto"},
        reasoning_effort="low",
        include=["reasoning.encrypted_content"],
        logprobs=True,
    )
    assert told["text"] == {"verbosity": "low", "format": {"type": "json_object"}}
    assert told["reasoning"] == {"summary": "auto", "effort": "low"}
    assert told["include"] == ["reasoning.encrypted_content", "message.output_text.logprobs"]


def test_what_asks_for_nothing_is_left_out() -> None:
    nothing: dict[str, Any] = {
        "stop": None,
        "seed": None,
        "frequency_penalty": 0.0,
        "presence_penalty": 0,
        "n": 1,
        "logit_bias": {},
        "prediction": None,
        "audio": None,
        "modalities": ["text"],
        "background": False,
        "max_tokens": None,
        "logprobs": False,
        "top_logprobs": 0,
        "response_format": None,
        "reasoning_effort": None,
        "tool_choice": None,
        "stream_options": None,
        "store": None,
    }
    assert body(**nothing) == body() == {"input": [HI], "store": False}
    assert body(stream=True, stream_options={"include_usage": True}) == {**body(), "stream": True}


def test_errors_are_told_by_the_names_that_the_client_knows() -> None:
    said: list[Any] = [
        HI,
        {"role": "assistant", "content": "x", "tool_calls": [
            {"id": "c", "type": "function", "function": {"name": "f", "arguments": "{}"}}
        ]},
        {"role": "tool", "tool_call_id": "c", "content": [{"type": "text", "text": "y"}]},
    ]  # fmt: skip
    call = calling(
        *said,
        max_tokens=1,
        verbosity="low",
        response_format={"type": "text"},
        reasoning_effort="low",
        logprobs=True,
    )
    expected = {
        "input": "messages",
        "input[0].content[0]": "messages[0].content[0]",
        "input[2].name": "messages[1].name",
        "input[3].output[0].text": "messages[2].content[0].text",
        "input[9]": "messages",
        "max_output_tokens": "max_tokens",
        "text.format.type": "response_format",
        "text.verbosity": "verbosity",
        "reasoning.effort": "reasoning_effort",
        "reasoning": "reasoning_effort",
        "include": "logprobs",
        "temperature": "temperature",
    }
    assert {each: call.name(each) for each in expected} == expected


# nothing vanishes

WORDS = st.text(st.characters(codec="utf-8", categories=["L", "N"]), min_size=1, max_size=6)
MARKS = st.integers(min_value=10**9, max_value=10**12)
"""Numbers that are found again wherever they have gone."""


@st.composite
def message(draw: st.DrawFn) -> dict[str, Any]:
    """A message of any role, its every leaf a mark."""

    def mark() -> str:
        return f"<{draw(MARKS)}>"

    def part() -> dict[str, Any]:
        return draw(
            st.sampled_from(
                [
                    {"type": "text", "text": mark()},
                    {"type": "image_url", "image_url": {"url": mark(), "detail": mark()}},
                    {"type": "input_audio", "input_audio": {"data": mark(), "format": "wav"}},
                    {"type": "file", "file": {"file_data": mark(), "filename": mark()}},
                    {"type": "video_url", "video_url": {"url": mark()}},
                    {"type": "text"},
                ]
            )
        )

    role = draw(st.sampled_from(["system", "developer", "user", "assistant", "tool", "function", "other"]))
    content = draw(st.sampled_from([mark(), [part(), part()], None]))
    said: dict[str, Any] = {"role": role, "content": content}
    if role == "assistant":
        said["refusal"] = draw(st.sampled_from([None, mark()]))
        said["tool_calls"] = [
            {"id": mark(), "type": "function", "function": {"name": mark(), "arguments": mark()}},
            {"id": mark(), "type": "custom", "custom": {"name": mark(), "input": mark()}},
        ][: draw(st.integers(0, 2))]
        said["function_call"] = draw(st.sampled_from([None, {"name": mark(), "arguments": mark()}]))
    elif role == "tool":
        said["tool_call_id"] = mark()
    elif draw(st.booleans()):
        said["name"] = mark()
    return said


def marks(value: Any) -> list[str]:
    """Every mark in `value`, in order."""
    if isinstance(value, dict):
        return [each for inner in value.values() for each in marks(inner)]
    if isinstance(value, list):
        return [each for inner in value for each in marks(inner)]
    return [value] if isinstance(value, str) and value.startswith("<") else []


@given(st.lists(message(), min_size=1, max_size=6))
def test_whatever_is_said_is_passed_on_or_refused_by_name(messages: list[dict[str, Any]]) -> None:
    try:
        call = calling(*messages)
    except BadRequestError as error:
        blamed = str(error.param)
    else:
        blamed = ""
    if blamed:
        assert blamed.startswith("messages")
        return
    for number, said in enumerate(messages):
        told: Any = call.body["input"]
        own = [item for item, place in zip(told, call.places, strict=True) if place == number]
        lost = set(marks(said)) - set(marks(own))
        assert lost == ({said["name"]} if said["role"] == "function" else set()), "a function is known by its call"
    assert call.places == sorted(call.places)


# there and back

IMAGE = {"type": "image_url", "image_url": {"url": "data:image/png;base64,iVBORw0KGgo=", "detail": "low"}}
FILE = {"type": "file", "file": {"filename": "a.pdf", "file_data": "data:application/pdf;base64,JVBERi0="}}
SOUND = {"type": "input_audio", "input_audio": {"data": "UklGRg==", "format": "wav"}}


@st.composite
def turn(draw: st.DrawFn) -> list[dict[str, Any]]:
    """What a user says and what the model answers, after calls of tools perhaps."""
    parts = st.lists(st.sampled_from([IMAGE, FILE, SOUND]), min_size=1, max_size=3)
    content = draw(
        st.one_of(WORDS, st.builds(lambda text, more: [{"type": "text", "text": text}, *more], WORDS, parts))
    )
    turn: list[dict[str, Any]] = [{"role": "user", "content": content}]
    ids = [f"call_{number}" for number in range(draw(st.integers(0, 2)))]
    if ids:
        call = {"type": "function", "function": {"name": "f", "arguments": '{"a": 1}'}}
        calls = [{"id": each, **call} for each in ids]
        turn.append({"role": "assistant", "content": draw(st.one_of(st.none(), WORDS)), "tool_calls": calls})
        turn += [{"role": "tool", "tool_call_id": each, "content": draw(WORDS)} for each in ids]
    return [*turn, {"role": "assistant", "content": draw(WORDS)}]


@given(st.one_of(st.none(), WORDS), st.lists(turn(), min_size=1, max_size=3))
def test_a_vendor_of_chat_completions_hears_the_messages_that_were_sent(
    system: str | None, turns: list[list[dict[str, Any]]]
) -> None:
    said = [{"role": "system", "content": system}] if system else []
    said += [message for turn in turns for message in turn]
    tool: dict[str, Any] = {"type": "function", "function": {"name": "f", "parameters": SCHEMA, "strict": True}}
    told = written("openai_compatible", body(*said, tools=[tool]))
    assert told == {"model": "m-1", "messages": said, "tools": [tool]}
