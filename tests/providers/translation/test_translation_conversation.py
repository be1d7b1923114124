"""Input, in every form that clients give it, as a conversation; outputs of tools with their calls."""

from dataclasses import dataclass
from itertools import groupby
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel
from toy_dialect import DEPLOYMENT, TOY

from providers.errors import BadRequestError
from providers.translation.asked import Asked
from providers.translation.conversation import conversation, instructions
from providers.translation.entries import (
    Address,
    Audio,
    Entry,
    File,
    FunctionCall,
    FunctionOutput,
    Image,
    Inline,
    Part,
    Refusal,
    Said,
    Stored,
    Text,
    Thought,
)
from providers.types import Call, Json, JsonObject
from providers.views import OutputItem


def asked(input: object = None, *, history: tuple[JsonObject, ...] = (), drop: bool = False, **body: object) -> Asked:
    call = Call("toys", body={"input": input, **body}, history=history, drop_params=drop)
    return Asked.of(call, DEPLOYMENT, TOY, "toys")


def read(input: object, **rest: Any) -> list[Entry]:
    return conversation(asked(input, **rest))


def parts(*given: JsonObject) -> tuple[Part, ...]:
    (said,) = read([{"role": "user", "content": list(given)}])
    assert isinstance(said, Said)
    return said.parts


def call(call_id: str, arguments: str = "{}") -> JsonObject:
    return {"type": "function_call", "call_id": call_id, "name": f"tool_{call_id}", "arguments": arguments}


def output(call_id: str, text: str = "done") -> JsonObject:
    return {"type": "function_call_output", "call_id": call_id, "output": text}


def user(text: str) -> JsonObject:
    return {"role": "user", "content": text}


def brief(entries: list[Entry]) -> list[str]:
    """`c1`: call; `=c1`: its output; a role: a message."""
    found = []
    for entry in entries:
        if isinstance(entry, FunctionCall):
            found.append(entry.call_id)
        elif isinstance(entry, FunctionOutput):
            found.append(f"={entry.call_id}")
        else:
            found.append(entry.role if isinstance(entry, Said) else "thought")
    return found


def refused(input: object, **rest: Any) -> BadRequestError:
    with pytest.raises(BadRequestError) as failed:
        read(input, **rest)
    return failed.value


# what is said


def test_a_string_is_the_users() -> None:
    assert read("Hello") == [Said("user", (Text("Hello", "input"),), "input")]


@pytest.mark.parametrize("nothing", [None, "", []])
def test_nothing_is_nothing(nothing: object) -> None:
    assert read(nothing) == []


@pytest.mark.parametrize(
    ("role", "told"), [("user", "user"), ("assistant", "assistant"), ("system", "system"), ("developer", "system")]
)
def test_roles(role: str, told: str) -> None:
    parts: list[Json] = [{"type": "input_text", "text": "b"}]
    entries = read([{"role": role, "content": "a"}, {"type": "message", "role": role, "content": parts}])
    first, second = Text("a", "input[0].content"), Text("b", "input[1].content[0]")
    assert entries == [Said(told, (first,), "input[0]"), Said(told, (second,), "input[1]")]  # type: ignore[arg-type]  # a role


def test_messages_without_words_are_left_out() -> None:
    assert read([user(""), {"role": "user"}, {"role": "user", "content": [{"type": "input_text", "text": ""}]}]) == []


def test_the_turns_before_come_first() -> None:
    entries = read("And?", history=({"type": "message", "role": "assistant", "content": "Hm."},))
    assert [(entry.where, entry.role) for entry in entries if isinstance(entry, Said)] == [
        ("history[0]", "assistant"),
        ("input", "user"),
    ]


def test_objects_of_an_sdk_and_of_ours_are_items_too() -> None:
    class Item(BaseModel):
        type: str
        call_id: str
        name: str
        arguments: str
        id: str | None = None

    @dataclass
    class Message:
        role: str
        content: str

    view = OutputItem(
        {"type": "reasoning", "summary": [{"type": "summary_text", "text": "Hm"}], "encrypted_content": "x"}
    )
    given = [
        Message("user", "a"),
        view,
        Item(type="function_call", call_id="c1", name="f", arguments="{}"),
        output("c1"),
    ]
    assert brief(read(given)) == ["user", "thought", "c1", "=c1"]


# parts


def test_texts_and_refusals() -> None:
    found = parts(
        {"type": "input_text", "text": "a", "cache_control": {"type": "ephemeral"}},
        {"type": "output_text", "text": "b", "annotations": []},
        {"type": "text", "text": ""},
        {"type": "refusal", "refusal": "no"},
        {"type": "refusal", "refusal": ""},
    )
    where = "input[0].content"
    assert found == (
        Text("a", f"{where}[0]", {"type": "ephemeral"}),
        Text("b", f"{where}[1]"),
        Refusal("no", f"{where}[3]"),
    )


@pytest.mark.parametrize(
    ("given", "source"),
    [
        ({"image_url": "https://a.example/x.png"}, Address("https://a.example/x.png")),
        ({"image_url": {"url": "https://a.example/x.png"}}, Address("https://a.example/x.png")),
        ({"image_url": "data:image/jpeg;base64,AAAA"}, Inline("image/jpeg", "AAAA")),
        ({"image_url": "data:;base64,AAAA"}, Inline("image/png", "AAAA")),
        ({"image_url": "data:image/png;name=a.png;base64,AA\nAA"}, Inline("image/png", "AA\nAA")),
        ({"file_id": "file-1", "image_url": None}, Stored("file-1")),
        ({"file_id": "", "image_url": "gs://b/x.png"}, Address("gs://b/x.png")),
        ({"file_id": 3, "image_url": "gs://b/x.png"}, Address("gs://b/x.png")),
    ],
)
def test_images(given: JsonObject, source: object) -> None:
    (image,) = parts({"type": "input_image", "detail": "high", **given})
    assert image == Image(source, "input[0].content[0]", "high")  # type: ignore[arg-type]  # a source


def test_an_image_as_chat_completions_have_it() -> None:
    (image,) = parts({"type": "image_url", "image_url": {"url": "data:image/gif;base64,AA", "detail": "low"}})
    assert image == Image(Inline("image/gif", "AA"), "input[0].content[0]", "low")
    (image,) = parts({"type": "image_url", "image_url": "data:image/gif;base64,AA"})
    assert isinstance(image, Image)
    assert image.detail is None


@pytest.mark.parametrize(
    ("given", "source"),
    [
        ({"file_data": "AAAA"}, Inline("application/pdf", "AAAA")),
        ({"file_data": "AAAA", "filename": "a.csv"}, Inline("text/csv", "AAAA")),
        ({"file_data": "AAAA", "filename": "a.TXT"}, Inline("text/plain", "AAAA")),
        ({"file_data": "data:text/html;base64,AAAA", "filename": "a.csv"}, Inline("text/html", "AAAA")),
        ({"file_data": "data:;base64,AAAA", "filename": "a.csv"}, Inline("text/csv", "AAAA")),
        ({"file_url": "https://a.example/x.pdf"}, Address("https://a.example/x.pdf")),
        ({"file_url": "data:;base64,AAAA", "filename": "what"}, Inline("application/pdf", "AAAA")),
        ({"file_id": "file-1"}, Stored("file-1")),
        ({"file_id": "file-1", "file_url": "https://a.example/x.pdf"}, Stored("file-1")),
        ({"file_id": "", "file_url": "https://a.example/x.pdf"}, Address("https://a.example/x.pdf")),
        ({"file_id": 3, "file_url": "", "file_data": "AAAA"}, Inline("application/pdf", "AAAA")),
        ({"file_url": 3, "file_data": "AAAA"}, Inline("application/pdf", "AAAA")),
    ],
)
def test_files(given: JsonObject, source: object) -> None:
    (file,) = parts({"type": "input_file", **given})
    name = given.get("filename")
    assert file == File(source, "input[0].content[0]", name if isinstance(name, str) else None)  # type: ignore[arg-type]  # a source


@pytest.mark.parametrize("given", [{"input_audio": {"data": "AA", "format": "wav"}}, {"data": "AA", "format": "wav"}])
def test_sound(given: JsonObject) -> None:
    assert parts({"type": "input_audio", **given}) == (Audio("AA", "wav", "input[0].content[0]"),)


@pytest.mark.parametrize(
    ("given", "mark"),
    [
        ({}, None),
        ({"prompt_cache_breakpoint": None}, None),
        ({"prompt_cache_breakpoint": {}}, {"type": "ephemeral"}),
        ({"prompt_cache_breakpoint": {"ttl": "12h"}}, {"type": "ephemeral", "ttl": "1h"}),
        ({"prompt_cache_breakpoint": {}, "cache_control": {"type": "mine"}}, {"type": "mine"}),
    ],
)
def test_where_a_prefix_to_be_cached_ends(given: JsonObject, mark: Json) -> None:
    (text,) = parts({"type": "input_text", "text": "a", **given})
    assert isinstance(text, Text)
    assert text.cache == mark


@pytest.mark.parametrize(
    ("content", "param"),
    [
        (3, "content"),
        (["a"], "content[0]"),
        ([{"type": "input_text"}], "content[0].text"),
        ([{"type": "input_text", "text": 3}], "content[0].text"),
        ([{"type": "refusal"}], "content[0].refusal"),
        ([{"type": "what"}], "content[0].type"),
        ([{}], "content[0].type"),
        ([{"type": "input_image"}], "content[0].image_url"),
        ([{"type": "input_image", "image_url": {"url": 3}}], "content[0].image_url"),
        ([{"type": "input_image", "image_url": "data:image/png,AA"}], "content[0].image_url"),
        ([{"type": "input_file", "filename": "a"}], "content[0]"),
        ([{"type": "input_file", "file_data": "data:x"}], "content[0].file_data"),
        ([{"type": "input_file", "file_url": "data:x"}], "content[0].file_url"),
        ([{"type": "input_audio", "data": "A"}], "content[0].format"),
    ],
)
def test_what_is_no_part_is_refused_where_it_stands(content: Json, param: str) -> None:
    for drop in (False, True):
        error = refused([{"role": "user", "content": content}], drop=drop)
        assert error.param == f"input[0].{param}"
        assert f"input[0].{param}" in error.message


@pytest.mark.parametrize(
    ("input", "param"),
    [
        (3, "input"),
        ({"role": "user"}, "input"),
        ([3], "input[0]"),
        ([{"role": "robot", "content": "a"}], "input[0].role"),
        ([{"type": "message", "content": "a"}], "input[0].role"),
        ([{"type": "function_call", "name": "f", "arguments": "{}"}], "input[0].call_id"),
        ([{"type": "function_call", "call_id": "c", "name": "", "arguments": "{}"}], "input[0].name"),
        ([{"type": "function_call", "call_id": "c", "name": "f", "arguments": {}}], "input[0].arguments"),
        ([{"type": "function_call_output", "output": "x"}], "input[0].call_id"),
    ],
)
def test_what_is_no_item_is_refused_where_it_stands(input: object, param: str) -> None:
    assert refused(input).param == param


@pytest.mark.parametrize(
    "item", [{"type": "item_reference", "id": "x"}, {"type": "compaction"}, {}, {"type": "computer_call"}]
)
def test_items_that_no_other_dialect_knows_are_refused_or_dropped(item: JsonObject) -> None:
    assert refused([item]).param == "input[0].type"
    dropping = asked([user("a"), item], drop=True)
    assert brief(conversation(dropping)) == ["user"]
    (note,) = dropping.dropped
    assert note.startswith("input[1].type: ")


def test_records_of_what_other_vendors_did_are_left_out() -> None:
    records: list[JsonObject] = [{"type": kind} for kind in ("web_search_call", "file_search_call", "mcp_list_tools")]
    told: tuple[JsonObject, ...] = (*records, {"type": "compaction", "encrypted_content": "x"})
    assert read([*records, user("a")], history=told) == [Said("user", (Text("a", "input[3].content"),), "input[3]")]


@pytest.mark.parametrize(("form", "kind"), [({}, "png"), ({"output_format": "webp"}, "webp")])
def test_images_that_a_model_made_are_what_it_said(form: JsonObject, kind: str) -> None:
    made: JsonObject = {"type": "image_generation_call", "id": "ig_1", "status": "completed", "result": "AA==", **form}
    image = Image(Inline(f"image/{kind}", "AA=="), "input[0]")
    assert conversation(asked([made]), images=True) == [Said("assistant", (image,), "input[0]")]
    assert refused([made]).param == "input[0].type"


# reasoning


def test_reasoning() -> None:
    summary: list[Json] = [
        {"type": "summary_text", "text": "a"},
        {"type": "summary_text", "text": "b"},
        {"text": 3},
        "x",
    ]
    content: list[Json] = [{"type": "reasoning_text", "text": "raw"}]
    entries = read(
        [
            {"type": "reasoning", "summary": summary, "content": content, "encrypted_content": "hr1.x"},
            {"type": "reasoning", "summary": [], "content": content, "encrypted_content": None},
            {"type": "reasoning"},
        ]
    )
    assert entries == [
        Thought("a\n\nb", "hr1.x", "input[0]"),
        Thought("raw", None, "input[1]"),
        Thought("", None, "input[2]"),
    ]


# tools


def test_an_output_knows_its_tool() -> None:
    _, found = read(
        [
            call("c1"),
            {**output("c1"), "output": [{"type": "input_text", "text": "a"}, {"type": "input_image", "file_id": "f"}]},
        ]
    )
    assert isinstance(found, FunctionOutput)
    assert (found.name, found.text, found.failed, len(found.parts)) == ("tool_c1", "a", False, 2)


@pytest.mark.parametrize("mark", [{"is_error": True}, {"status": "failed"}])
def test_an_output_can_be_a_failure(mark: JsonObject) -> None:
    _, found = read([call("c1"), {**output("c1"), **mark}])
    assert isinstance(found, FunctionOutput)
    assert found.failed


def test_custom_tools_are_functions_of_one_text() -> None:
    given: list[JsonObject] = [
        {"type": "custom_tool_call", "call_id": "c1", "name": "shell", "input": 'ls "a"'},
        {"type": "custom_tool_call_output", "call_id": "c1", "output": "x"},
    ]
    found = read(given)[0]
    assert isinstance(found, FunctionCall)
    assert found.parsed == {"input": 'ls "a"'}


@pytest.mark.parametrize(
    ("arguments", "parsed"),
    [("", {}), (" ", {}), ('{"a":1}', {"a": 1}), ('{"a', {"_raw": '{"a'}), ("[1]", {"_raw": "[1]"})],
)
def test_arguments_are_an_object_whatever_the_model_wrote(arguments: str, parsed: Json) -> None:
    found = read([call("c1", arguments), output("c1")])[0]
    assert isinstance(found, FunctionCall)
    assert found.parsed == parsed


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ("a =a b =b", "a =a b =b"),  # two steps, not two calls at once
        ("a b =b =a", "a b =a =b"),
        ("a user =a", "a =a user"),
        ("a user b =b =a", "a =a user b =b"),
        ("=a a user", "a =a user"),
        ("a assistant =a", "a assistant =a"),
        ("a assistant b =a user =b", "a assistant b =a =b user"),
        ("thought a =a thought b =b assistant user", "thought a =a thought b =b assistant user"),
        ("a =a user a =a", "a =a user a =a"),
        ("a a =a =a", "a a =a =a"),
        ("a b =a c =c =b", "a b =a =b c =c"),
    ],
)
def test_outputs_follow_the_calls_of_their_turn(given: str, told: str) -> None:
    assert brief(read([_item(word) for word in given.split()])) == told.split()


def _item(word: str) -> JsonObject:
    if word in ("user", "assistant"):
        return {"role": word, "content": "…"}
    if word == "thought":
        return {"type": "reasoning", "summary": []}
    return output(word[1:]) if word.startswith("=") else call(word)


@given(st.lists(st.tuples(st.integers(1, 3), st.booleans()), min_size=1, max_size=4), st.randoms(use_true_random=False))
def test_every_call_is_answered_in_its_turn(turns: list[tuple[int, bool]], rng: Any) -> None:
    """Each turn calls some tools at once, with ids that the turns before had too; answers come in any order."""
    given: list[JsonObject] = []
    for turn, (count, speaks) in enumerate(turns):
        ids = [f"c{n}" for n in range(count)]
        outputs = [output(call_id, f"{turn}") for call_id in ids]
        rng.shuffle(outputs)
        said: list[JsonObject] = [{"role": "assistant", "content": "…"}] if speaks else []
        given += [*[call(call_id) for call_id in ids], *said, *outputs, *([user("…")] if turn % 2 else [])]
    entries = read(given)
    assert sorted(map(brief_one, entries)) == sorted(map(brief_one_item, given))
    calls = [[e.call_id for e in run] for kind, run in groupby(entries, type) if kind is FunctionCall]  # type: ignore[union-attr]  # calls
    answers = [list(run) for kind, run in groupby(entries, type) if kind is FunctionOutput]
    assert [[e.call_id for e in run] for run in answers] == calls  # type: ignore[union-attr]  # outputs
    assert [{e.text for e in run} for run in answers] == [{f"{turn}"} for turn in range(len(turns))]  # type: ignore[union-attr]  # outputs


def brief_one(entry: Entry) -> str:
    return brief([entry])[0]


def brief_one_item(item: JsonObject) -> str:
    if "role" in item:
        return str(item["role"])
    return f"{'=' if 'output' in item else ''}{item['call_id']}"


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ("=a", "No tool call found for function call output with call_id a."),
        ("a =a =a", "No tool call found for function call output with call_id a."),
        ("a", "No tool output found for function call a."),
        ("a user", "No tool output found for function call a."),
        ("a a =a", "No tool output found for function call a."),
        ("a b =a", "No tool output found for function call b."),
    ],
)
def test_calls_and_outputs_without_the_other_are_refused_as_openai_does(given: str, message: str) -> None:
    error = refused([_item(word) for word in given.split()])
    assert error.message.endswith(message)
    assert (error.param, error.status_code) == ("input", 400)


# instructions


@pytest.mark.parametrize(("given", "found"), [(None, None), ("", None), ("Be brief.", "Be brief.")])
def test_instructions(given: object, found: object) -> None:
    assert instructions(asked("Hello", instructions=given)) == found


def test_instructions_are_text() -> None:
    with pytest.raises(BadRequestError, match="instructions: must be a string"):
        instructions(asked("Hello", instructions=[user("a")]))
