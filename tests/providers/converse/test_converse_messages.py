"""Conversations in Converse's words. Each request is held against botocore's service model before it is looked at."""

from __future__ import annotations

import base64
from typing import Any

import pytest
from converse_calls import BEDROCK, CLAUDE, GPT_OSS, LLAMA, NOVA, asking, bedrock, dropped, heard, request, written
from hypothesis import given
from hypothesis import strategies as st

from providers.converse.content import AUDIO, DOCUMENTS
from providers.converse.messages import call_id
from providers.errors import BadRequestError
from providers.translation.sealed import seal
from providers.types import Fetched

PNG = "iVBORw0KGgo="
PDF = "JVBERi0xLjQK"
TOOLS = [{"type": "function", "name": "look", "parameters": {"type": "object", "properties": {"x": {}}}}]
SIGNED = {"type": "thinking", "thinking": "Hm.", "signature": "c2ln"}


def said(content: Any, role: str = "user") -> dict[str, Any]:
    return {"role": role, "content": content}


def image(url: str) -> dict[str, Any]:
    return {"type": "input_image", "image_url": url}


def file(name: str | None, **source: str) -> dict[str, Any]:
    return {"type": "input_file", "filename": name, **source}


def call(id: str, name: str = "look", arguments: str = "{}") -> dict[str, Any]:
    return {"type": "function_call", "call_id": id, "name": name, "arguments": arguments}


def output(id: str, output: Any = "42", **rest: Any) -> dict[str, Any]:
    return {"type": "function_call_output", "call_id": id, "output": output, **rest}


def thought(family: str = "claude", *blocks: Any) -> dict[str, Any]:
    return {"type": "reasoning", "summary": [], "encrypted_content": seal(family, list(blocks or (SIGNED,)))}


def first(parts: list[Any], **settings: Any) -> list[Any]:
    """The blocks of a message of the user."""
    content: list[Any] = written({"input": [said(parts)]}, **settings)["messages"][0]["content"]
    return content


def test_a_string_is_one_message_of_the_user() -> None:
    assert written("Hi") == {"messages": [{"role": "user", "content": [{"text": "Hi"}]}]}


def test_system_text_at_the_beginning_is_the_system_prompt() -> None:
    body = {
        "instructions": "Be brief.",
        "input": [
            said("Be kind.", "developer"),
            said([{"type": "input_text", "text": "Be wise."}], "system"),
            said("Hi"),
        ],
    }
    sent = written(body)
    assert sent["system"] == [{"text": "Be brief."}, {"text": "Be kind."}, {"text": "Be wise."}]
    assert [message["role"] for message in sent["messages"]] == ["user"]


def test_system_text_later_is_said_as_the_users() -> None:
    sent, notes = dropped({"input": [said("Hi"), said("Hello", "assistant"), said("Now be rude.", "developer")]})
    assert sent["messages"][2] == {"role": "user", "content": [{"text": "Now be rude."}]}
    assert notes == ["input[2].role: said as the user's: Bedrock takes system text only at the beginning"]


def test_blank_instructions_are_none() -> None:
    assert "system" not in written({"input": "Hi", "instructions": "  "})


def test_roles_take_turns_and_blank_texts_vanish() -> None:
    body = [
        said("a"),
        said("b"),
        said(" ", "assistant"),
        said("c"),
        said([{"type": "refusal", "refusal": "No."}], "assistant"),
    ]
    assert written({"input": body})["messages"] == [
        {"role": "user", "content": [{"text": "a"}, {"text": "b"}, {"text": "c"}]},
        {"role": "assistant", "content": [{"text": "No."}]},
    ]


def test_a_conversation_that_begins_with_the_model_is_begun_by_the_user() -> None:
    sent, notes = dropped({"input": [said("Welcome!", "assistant"), said("Hi")]})
    assert [message["role"] for message in sent["messages"]] == ["user", "assistant", "user"]
    assert notes == ["input: '…' was put before it: at Bedrock, the user begins"]


def test_nothing_to_say_is_said() -> None:
    assert written({"instructions": "Tell a joke."})["messages"] == [{"role": "user", "content": [{"text": "…"}]}]


def test_the_turns_before_come_first() -> None:
    history = (said("One?"), said("1", "assistant"))
    sent = written({"input": "Two?", "previous_response_id": "resp_1"}, history=history)
    assert [message["content"][0]["text"] for message in sent["messages"]] == ["One?", "1", "Two?"]


def test_images() -> None:
    blocks = first([image(f"data:image/jpg;base64,{PNG}"), {"type": "input_text", "text": "?"}])
    assert blocks[0] == {"image": {"format": "jpeg", "source": {"bytes": PNG}}}
    (stored,) = first([image("s3://bucket/a/b.JPG")])
    assert stored == {"image": {"format": "jpeg", "source": {"s3Location": {"uri": "s3://bucket/a/b.JPG"}}}}


@pytest.mark.parametrize("form", ["png", "jpeg", "gif", "webp"])
def test_forms_of_images(form: str) -> None:
    source = {"s3Location": {"uri": f"s3://bucket/a.{form}"}}
    assert first([image(f"s3://bucket/a.{form}")]) == [{"image": {"format": form, "source": source}}]
    assert first([image(f"data:image/{form};base64,{PNG}")]) == [{"image": {"format": form, "source": {"bytes": PNG}}}]


@pytest.mark.parametrize("form", sorted(AUDIO))
def test_forms_of_audio(form: str) -> None:
    (block,) = first([{"type": "input_audio", "input_audio": {"data": "AAAA", "format": form}}])
    assert block["audio"]["format"] == form


@pytest.mark.parametrize(("media_type", "form"), sorted(DOCUMENTS.items()))
def test_forms_of_documents(media_type: str, form: str) -> None:
    (block, _) = first([file("a", file_data=f"data:{media_type};base64,AAAA")])
    assert block["document"]["format"] == form


@pytest.mark.parametrize(
    ("content", "form"),
    [(b"\x89PNG\r\n", "png"), (b"\xff\xd8\xff\xe0", "jpeg"), (b"GIF89a", "gif"), (b"RIFF....WEBP", "webp")],
)
def test_images_that_are_downloaded(content: bytes, form: str) -> None:
    url = "https://example.com/picture"
    body = {"input": [said([image(url)]), said("ok", "assistant"), said([image(url), image("s3://b1b/a.png")])]}
    assert BEDROCK.remote(asking(body), bedrock()) == [url]
    for media_type in ("application/octet-stream", f"image/{form}; charset=binary"):
        sent = written(body, fetched={url: Fetched(media_type, content)})
        source = {"bytes": base64.b64encode(content).decode()}
        assert sent["messages"][0]["content"] == [{"image": {"format": form, "source": source}}]


def test_what_need_not_be_downloaded() -> None:
    assert BEDROCK.remote(asking("https://example.com/"), bedrock()) == ()
    assert BEDROCK.remote(asking({"input": [said("https://example.com/")]}), bedrock()) == []
    history = (said([image("HTTPS://example.com/a.png")]),)
    assert BEDROCK.remote(asking("Hi", history=history), bedrock()) == ["HTTPS://example.com/a.png"]
    tool = [said("?"), call("c"), output("c", [image("http://example.com/a")])]
    assert BEDROCK.remote(asking({"input": tool}), bedrock()) == ["http://example.com/a"]


@pytest.mark.parametrize(
    ("part", "why"),
    [
        (image("data:image/tiff;base64,SUkqAA=="), "images as png, jpeg, gif and webp, not as 'image/tiff'"),
        (image("data:image/x;base64,§§§"), "not as 'image/x'"),
        (image("ftp://example.com/a.png"), "must be an http or https URL"),
        (image("s3://bucket/picture"), "must tell its format"),
        ({"type": "input_image", "file_id": "file-1"}, "Bedrock keeps no files"),
        (file("a.bin", file_data="data:application/x-thing;base64,AAAA"), "documents as pdf, csv"),
        (file("a", file_url="s3://bucket/paper"), "must tell its format"),
        ({"type": "input_audio", "input_audio": {"data": "AAAA", "format": "midi"}}, "audio as aac"),
    ],
)
@pytest.mark.parametrize("drop", [False, True])
def test_content_that_bedrock_can_not_take_is_refused_in_any_case(
    part: dict[str, Any], why: str, *, drop: bool
) -> None:
    with pytest.raises(BadRequestError, match=why) as raised:
        written({"input": [said([part])]}, drop_params=drop)
    assert (raised.value.param or "").startswith("input[0].content[0]")


def test_documents() -> None:
    blocks = first(
        [
            file("Annual  report (2025)!.pdf", file_data=PDF),
            file("Annual report (2025).pdf", file_data=f"data:application/pdf;base64,{PDF}"),
            file("notes.json", file_data="e30="),
            file(None, file_data="data:text/markdown;base64,IyBI"),
            file("§.csv", file_data="YSxi"),
            file("scan.png", file_data=f"data:image/png;base64,{PNG}"),
            file("x.docx", file_url="s3://bucket/x.docx"),
        ]
    )
    forms = [(block["document"]["format"], block["document"]["name"]) for block in blocks if "document" in block]
    assert forms == [
        ("pdf", "Annual report (2025)"),
        ("pdf", "Annual report (2025) 2"),
        ("txt", "notes"),
        ("md", "document"),
        ("csv", "document 2"),
        ("docx", "x"),
    ]
    assert blocks[5] == {"image": {"format": "png", "source": {"bytes": PNG}}}
    assert blocks[-1]["text"].startswith("Attached: Annual report (2025), Annual report (2025) 2, ")


@given(st.lists(st.text(max_size=220), min_size=1, max_size=4))
def test_any_name_becomes_one_that_bedrock_takes(names: list[str]) -> None:
    parts = [file(name, file_data="data:text/plain;base64,YQ==") for name in names]
    assert len(first(parts)) == len(names) + 1


def test_audio() -> None:
    blocks = first([{"type": "input_audio", "input_audio": {"data": "AAAA", "format": "wav"}}])
    assert blocks == [{"audio": {"format": "wav", "source": {"bytes": "AAAA"}}}]


def test_calls_and_their_outputs() -> None:
    body = {
        "input": [
            said("?"),
            said("Looking.", "assistant"),
            call("a", arguments='{"x":1}'),
            call("b"),
            output("b", [{"type": "input_text", "text": "two"}, image(f"data:image/png;base64,{PNG}")]),
            output("a", "one"),
            said("Go on."),
        ],
        "tools": TOOLS,
    }
    assert written(body)["messages"][1:] == [
        {
            "role": "assistant",
            "content": [
                {"text": "Looking."},
                {"toolUse": {"toolUseId": "a", "name": "look", "input": {"x": 1}}},
                {"toolUse": {"toolUseId": "b", "name": "look", "input": {}}},
            ],
        },
        {
            "role": "user",
            "content": [
                {"toolResult": {"toolUseId": "a", "content": [{"text": "one"}]}},
                {
                    "toolResult": {
                        "toolUseId": "b",
                        "content": [{"text": "two"}, {"image": {"format": "png", "source": {"bytes": PNG}}}],
                    }
                },
                {"text": "Go on."},
            ],
        },
    ]


def test_outputs_that_failed_or_say_nothing() -> None:
    body = {
        "input": [said("?"), call("a"), call("b"), output("a", "", status="failed"), output("b", " ")],
        "tools": TOOLS,
    }
    results = [block["toolResult"] for block in written(body)["messages"][2]["content"]]
    assert results == [
        {"toolUseId": "a", "content": [{"text": "(no output)"}], "status": "error"},
        {"toolUseId": "b", "content": [{"text": "(no output)"}]},
    ]


def test_tools_answer_no_audio() -> None:
    sound = {"type": "input_audio", "input_audio": {"data": "AAAA", "format": "wav"}}
    with pytest.raises(BadRequestError, match="no audio from tools"):
        written({"input": [said("?"), call("a"), output("a", [sound])], "tools": TOOLS})


def test_ids_of_calls_become_such_as_bedrock_takes() -> None:
    body = {"input": [said("?"), call("a b"), output("a b")], "tools": TOOLS}
    _, asked, answered = written(body)["messages"]
    sent = asked["content"][0]["toolUse"]["toolUseId"]
    assert answered["content"][0]["toolResult"]["toolUseId"] == sent == call_id("a b") != call_id("a_b")
    assert len(call_id("x" * 65)) <= 64
    assert call_id("\udc80") == call_id("\udc80")


def test_thoughts_go_back_as_they_were_signed() -> None:
    redacted = {"type": "redacted_thinking", "data": "cmVk"}
    body = {
        "input": [said("?"), thought("claude", SIGNED, redacted, {"type": "new"}, "odd"), call("a"), output("a")],
        "tools": TOOLS,
    }
    assert written(body)["messages"][1]["content"][:2] == [
        {"reasoningContent": {"reasoningText": {"text": "Hm.", "signature": "c2ln"}}},
        {"reasoningContent": {"redactedContent": "cmVk"}},
    ]
    unsigned = {"type": "thinking", "thinking": "Hm."}
    (block,) = written({"input": [said("?"), thought("claude", unsigned)]})["messages"][1]["content"]
    assert block == {"reasoningContent": {"reasoningText": {"text": "Hm."}}}


def test_thoughts_of_bedrocks_other_models() -> None:
    signed = {"reasoningText": {"text": "Hm.", "signature": "s"}}
    sent = written({"input": [said("?"), thought("bedrock", signed), said("!", "assistant")]}, NOVA)
    assert sent["messages"][1]["content"] == [{"reasoningContent": signed}, {"text": "!"}]


def test_thoughts_that_belong_to_an_account() -> None:
    """Those of the newest Claudes; sealed as wherever else they are hosted."""
    newest = "us.anthropic.claude-opus-5-5-v1:0"
    told = heard("thinking", model=newest)[-1].to_dict()["response"]
    item: Any = told["output"][0]  # type: ignore[index,call-overload]  # an object
    assert not item["encrypted_content"].startswith("hr1.claude.")
    body = {"input": [said("?"), item, said("!", "assistant")]}
    assert "reasoningContent" in written(body, newest)["messages"][1]["content"][0]
    assert len(dropped(body, drop_params=False)[1]) == 1


@pytest.mark.parametrize("model", [GPT_OSS, CLAUDE])
def test_thoughts_of_others_are_not_told(model: str) -> None:
    items = [said("?"), thought("gemini"), {"type": "reasoning", "summary": [{"type": "summary_text", "text": "Hm."}]}]
    sent, notes = dropped({"input": [*items, said("!", "assistant")]}, model, drop_params=False)
    assert sent["messages"][1]["content"] == [{"text": "!"}]
    assert notes == ["input[1]: left out: it was sealed by another vendor, or for another model"]


def test_marks_of_what_is_to_be_cached() -> None:
    mark = {"type": "ephemeral", "ttl": "1h"}
    body: dict[str, Any] = {
        "input": [
            said([{"type": "input_text", "text": "Rules.", "cache_control": {"type": "ephemeral"}}], "system"),
            said([{"type": "input_text", "text": "Book.", "cache_control": mark}, {"type": "input_text", "text": "?"}]),
        ],
        "tools": [{**TOOLS[0], "cache_control": mark}],
    }
    sent = written(body)
    long = {"cachePoint": {"type": "default", "ttl": "1h"}}
    assert sent["system"] == [{"text": "Rules."}, {"cachePoint": {"type": "default"}}]
    assert sent["messages"][0]["content"] == [{"text": "Book."}, long, {"text": "?"}]
    assert sent["toolConfig"]["tools"][1] == long
    assert "cachePoint" not in str(written(body, LLAMA))


def test_everything_reaches_the_wire() -> None:
    """Nothing that is said vanishes without a note, whatever else is."""
    content = request({"input": [said("alpha"), said("beta", "assistant"), said("gamma")]}).content
    assert all(word in content for word in (b"alpha", b"beta", b"gamma"))
