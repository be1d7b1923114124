"""A response told as a chat completion: whole and in pieces alike."""

from collections.abc import Iterator
from typing import Any

import pytest
from chatting import completion, joined, message
from hypothesis import given
from hypothesis import strategies as st

from router.proxy.chat.answer import completion_of
from router.proxy.chat.chunks import Chunks

HEAD: dict[str, Any] = {"id": "resp_1", "object": "response", "created_at": 1_790_000_000.5, "model": "gpt-5"}
USAGE = {
    "input_tokens": 12,
    "input_tokens_details": {"cached_tokens": 8, "cache_write_tokens": 1, "cache_write_tokens_details": {"a": 1}},
    "output_tokens": 7,
    "output_tokens_details": {"reasoning_tokens": 3},
    "total_tokens": 19,
}
LOGPROB = {"token": "Hi", "logprob": -0.1, "top_logprobs": [{"token": "Hi", "logprob": -0.1}]}


def response(*output: Any, **more: Any) -> dict[str, Any]:
    """A response that is complete."""
    return {**HEAD, "status": "completed", "output": [*output], "usage": USAGE, **more}


def said(*parts: Any) -> dict[str, Any]:
    """A message; a part that is a text is one of text."""
    whole = [{"type": "output_text", "text": part} if isinstance(part, str) else part for part in parts]
    return {"type": "message", "id": "msg_1", "role": "assistant", "content": whole}


def called(name: str = "f", arguments: str = "{}", call_id: str = "call_1") -> dict[str, Any]:
    """A call of a function."""
    return {"type": "function_call", "id": "fc_1", "call_id": call_id, "name": name, "arguments": arguments}


def thought(*texts: str, content: tuple[str, ...] = (), sealed: str | None = None) -> dict[str, Any]:
    """Reasoning."""
    item: dict[str, Any] = {"type": "reasoning", "id": "rs_1", "summary": _texts("summary_text", texts)}
    if content:
        item["content"] = _texts("reasoning_text", content)
    return item if sealed is None else {**item, "encrypted_content": sealed}


def _texts(kind: str, texts: tuple[str, ...]) -> list[dict[str, str]]:
    return [{"type": kind, "text": text} for text in texts]


# streams


def events(whole: dict[str, Any], size: int = 3) -> Iterator[dict[str, Any]]:
    """The stream of a response, its texts cut into pieces of `size`."""
    for kind in ("created", "in_progress"):
        yield {"type": f"response.{kind}", "response": {**whole, "status": "in_progress", "output": [], "usage": None}}
    for place, item in enumerate(whole["output"]):
        spot = {"output_index": place, "item_id": item.get("id")}
        bare = {name: [] if isinstance(value, list) else value for name, value in item.items()}
        yield {"type": "response.output_item.added", "output_index": place, "item": bare}
        for field, kind in (("arguments", "function_call_arguments"), ("input", "custom_tool_call_input")):
            yield from _pieces(f"response.{kind}.delta", item.get(field) or "", size, spot)
        for number, part in enumerate(item.get("summary") or ()):
            where = {**spot, "summary_index": number}
            yield from _pieces("response.reasoning_summary_text.delta", part["text"], size, where)
        for number, part in enumerate(item.get("content") or ()):
            where = {**spot, "content_index": number}
            kind = {"refusal": "refusal", "reasoning_text": "reasoning_text"}.get(part["type"], "output_text")
            text = part.get("text", part.get("refusal"))
            yield from _pieces(f"response.{kind}.delta", text, size, {**where, "logprobs": part.get("logprobs")})
            for note in part.get("annotations") or ():
                yield {"type": "response.output_text.annotation.added", **where, "annotation": note}
        yield {"type": "response.output_item.done", "output_index": place, "item": item}
    yield {"type": f"response.{whole['status']}", "response": whole}


def _pieces(kind: str, text: str, size: int, where: dict[str, Any]) -> Iterator[dict[str, Any]]:
    for at in range(0, len(text), size):
        yield {"type": kind, **where, "delta": text[at : at + size], **({"logprobs": None} if at else {})}


def streamed(told: Any, **asked: Any) -> dict[str, Any]:
    """What the chunks of a stream say together."""
    chunks = Chunks(HEAD, **asked)
    made = [chunk for event in told for chunk in chunks.hear(event)]
    return joined([*made, "[DONE]"], usage=asked.get("usage", False))


def both(whole: dict[str, Any], **asked: Any) -> Any:
    """The message and the rest of a completion, which is the same in pieces."""
    told: Any = completion_of(whole, **asked)
    completion(told)
    pieces = streamed(events(whole), usage=whole["usage"] is not None, **asked)
    assert message(pieces) == message(told)
    first, second = told["choices"][0], pieces["choices"][0]
    assert first["finish_reason"] == second["finish_reason"]
    assert first["logprobs"] == second.get("logprobs")
    assert told["usage"] == pieces.get("usage")
    return told


# answers


def test_a_completion_has_what_openais_has() -> None:
    assert both(response(said("Hi"), service_tier="default")) == {
        "id": "chatcmpl-1",
        "object": "chat.completion",
        "created": 1_790_000_000,
        "model": "gpt-5",
        "service_tier": "default",
        "system_fingerprint": None,
        "choices": [
            {
                "index": 0,
                "message": {"role": "assistant", "content": "Hi", "refusal": None, "annotations": []},
                "logprobs": None,
                "finish_reason": "stop",
            }
        ],
        "usage": {
            "prompt_tokens": 12,
            "completion_tokens": 7,
            "total_tokens": 19,
            "prompt_tokens_details": {"cached_tokens": 8, "cache_write_tokens": 1},
            "completion_tokens_details": {"reasoning_tokens": 3},
        },
    }


def test_what_upstream_does_not_say_has_a_value_all_the_same() -> None:
    told = completion_of({"output": None, "usage": {"output_tokens": 2}, "created_at": None})
    completion(told)
    assert (told["created"], told["model"]) == (0, "")
    assert told["usage"] == {
        "prompt_tokens": 0,
        "completion_tokens": 2,
        "total_tokens": 2,
        "prompt_tokens_details": {"cached_tokens": 0},
        "completion_tokens_details": {"reasoning_tokens": 0},
    }
    assert completion_of({"output": ["odd"]})["usage"] is None


@pytest.mark.parametrize(
    ("whole", "reason"),
    [
        (response(said("Hi")), "stop"),
        (response(), "stop"),
        (response(said("Hi"), called()), "tool_calls"),
        (response(status="incomplete", incomplete_details={"reason": "max_output_tokens"}), "length"),
        (response(called(), status="incomplete", incomplete_details={"reason": "max_output_tokens"}), "length"),
        (response(status="incomplete", incomplete_details={"reason": "content_filter"}), "content_filter"),
        (response(status="incomplete", incomplete_details={"reason": "max_messages"}), "stop"),
        (response(status="incomplete", incomplete_details=None), "stop"),
    ],
)
def test_why_it_stopped(whole: dict[str, Any], reason: str) -> None:
    assert both(whole)["choices"][0]["finish_reason"] == reason


def test_several_messages_are_one_with_annotations_where_they_belong() -> None:
    note = {"type": "url_citation", "start_index": 0, "end_index": 2, "title": "x", "url": "https://x"}
    file = {"type": "file_citation", "file_id": "file_1", "index": 3}
    cited = {"type": "output_text", "text": "So", "annotations": [note]}
    told = message(both(response(said("I look."), said("Well. ", cited), said(""), said({**cited, "annotations": []}))))
    assert told["content"] == "I look.\n\nWell. So\n\nSo"
    where = {"start_index": 15, "end_index": 17, "title": "x", "url": "https://x"}
    assert told["annotations"] == [{"type": "url_citation", "url_citation": where}]
    bare = {"type": "url_citation", "url": "https://x"}
    other = message(both(response(said({**cited, "annotations": [file, bare]}))))
    assert other["annotations"][0]["url_citation"] == {**where, "start_index": 0, "end_index": 0, "title": ""}
    assert len(other["annotations"]) == 1, "there are no others in chat completions"


def test_refusals_calls_thoughts_and_images() -> None:
    custom = {"type": "custom_tool_call", "id": "ctc_1", "call_id": "call_2", "name": "c", "input": "x = 1"}
    image = {"type": "image_generation_call", "id": "ig_1", "result": "iVBO", "output_format": "webp"}
    whole = response(
        thought("First.", "Second.", sealed="gAAA"),
        {"type": "web_search_call", "id": "ws_1", "status": "completed"},
        thought("Third."),
        thought(content=("Fourth.",), sealed="gBBB"),
        thought(sealed=""),
        image,
        {**image, "result": None},
        called(arguments='{"a": "b"}'),
        custom,
        called("g", "", ""),
    )
    told = message(both(whole))
    sealed = {"type": "reasoning.encrypted", "id": "rs_1"}
    assert told == {
        "role": "assistant",
        "reasoning_content": "First.\n\nSecond.\n\nThird.\n\nFourth.",
        "reasoning_details": [
            {**sealed, "data": "gAAA", "summary": "First.\n\nSecond."},
            {**sealed, "data": "gBBB", "summary": "Fourth."},
        ],
        "images": [{"type": "image_url", "image_url": {"url": "data:image/webp;base64,iVBO"}}],
        "tool_calls": [
            {"id": "call_1", "type": "function", "function": {"name": "f", "arguments": '{"a": "b"}'}},
            {"id": "call_2", "type": "custom", "custom": {"name": "c", "input": "x = 1"}},
            {"id": "fc_1", "type": "function", "function": {"name": "g", "arguments": ""}},
        ],
    }
    refused = both(response(said({"type": "refusal", "refusal": "I won't do that."})))
    assert message(refused) == {"role": "assistant", "refusal": "I won't do that."}


def test_reasoning_that_is_sealed_without_a_name_or_words() -> None:
    sealed = {"type": "reasoning", "summary": [], "encrypted_content": "gAAA"}
    told = message(both(response(sealed, said("Hi"))))
    assert told["reasoning_details"] == [{"type": "reasoning.encrypted", "data": "gAAA"}]


def test_log_probabilities_are_told_if_they_were_asked_for() -> None:
    whole = response(said({"type": "output_text", "text": "Hi", "logprobs": [LOGPROB, "odd"]}))
    told = both(whole, logprobs=True)
    token = {"token": "Hi", "logprob": -0.1, "bytes": None}
    choice = told["choices"][0]
    assert choice["logprobs"] == {"content": [{**token, "top_logprobs": [token]}], "refusal": None}
    unasked = both(whole)["choices"][0]
    assert unasked["logprobs"] is None


def test_clients_that_know_no_tools_get_the_first_call_as_they_know_it() -> None:
    whole = response(called("f", '{"a": 1}'), called("g", '{"b": 2}', "call_2"))
    told = both(whole, legacy=True)
    assert message(told) == {"role": "assistant", "function_call": {"name": "f", "arguments": '{"a": 1}'}}
    assert told["choices"][0]["finish_reason"] == "function_call"
    assert both(response(said("Hi")), legacy=True)["choices"][0]["finish_reason"] == "stop"


# streams that are told otherwise

WHOLE = response(
    thought("Hm.", "So."),
    said(
        {"type": "output_text", "text": "Hi", "annotations": [{"type": "url_citation"}]},
        {"type": "refusal", "refusal": "No."},
    ),
    called(arguments='{"a": 1}'),
)


@pytest.mark.parametrize(
    "kinds",
    [
        ("created", "in_progress", "output_item.done", "completed"),
        ("created", "output_item.added", "output_item.done", "completed"),
        ("completed",),
        ("created", "output_item.added", "output_text.delta", "function_call_arguments.delta", "refusal.delta",
         "reasoning_summary_text.delta", "output_text.annotation.added", "completed"),
    ],
)  # fmt: skip
def test_what_does_not_come_in_pieces_is_told_nonetheless(kinds: tuple[str, ...]) -> None:
    told = [event for event in events(WHOLE) if event["type"].removeprefix("response.") in kinds]
    assert message(streamed(told)) == message(completion_of(WHOLE))


def test_what_is_no_part_of_the_answer_is_passed_over() -> None:
    odd: list[dict[str, Any]] = [
        {"type": "keepalive"},
        {"type": None},
        {"type": "response.output_text.delta", "output_index": 1, "delta": ""},
        {"type": "response.refusal.delta", "output_index": 1, "delta": ""},
        {"type": "response.reasoning_text.delta", "output_index": 0, "delta": ""},
        {"type": "response.function_call_arguments.delta", "output_index": 7, "delta": "x"},
        {"type": "response.output_text.annotation.added", "output_index": 1, "annotation": None},
        {"type": "response.output_item.added", "output_index": 8, "item": None},
        {"type": "response.output_item.done", "output_index": 8, "item": None},
        {"type": "response.output_item.done", "output_index": 9, "item": {"type": "mcp_list_tools"}},
        {"type": "response.completed", "response": None},
    ]
    assert message(streamed([*odd, *events(WHOLE)])) == message(completion_of(WHOLE))


def test_reasoning_that_is_told_in_two_forms_is_told_once() -> None:
    told = [*events(response(thought("Hm.", content=("At length.",)), said("Hi")))]
    assert message(streamed(told))["reasoning_content"] == "Hm."


def test_pieces_without_their_place_are_one_message() -> None:
    told = [
        {"type": "response.output_text.annotation.added", "annotation": {"type": "url_citation", "start_index": 0}},
        {"type": "response.output_text.delta", "delta": "Hi "},
        {"type": "response.output_text.delta", "delta": "there"},
        {"type": "response.completed", "response": response(said("Hi there"))},
    ]
    assert message(streamed(told))["content"] == "Hi there"


def test_a_call_that_was_told_otherwise_than_it_ended_is_left_as_it_was_told() -> None:
    told = [
        {"type": "response.output_item.added", "output_index": 0, "item": called(arguments="")},
        {"type": "response.function_call_arguments.delta", "output_index": 0, "delta": '{"a":1}'},
        {"type": "response.output_item.done", "output_index": 0, "item": called(arguments='{"a": 1}')},
        {"type": "response.completed", "response": response(called(arguments='{"a": 1}'))},
    ]
    assert message(streamed(told))["tool_calls"][0]["function"]["arguments"] == '{"a":1}'


def test_the_first_chunk_says_whether_text_is_to_come() -> None:
    def first(*output: Any) -> Any:
        chunks = Chunks(HEAD)
        return next(chunk for event in events(response(*output)) for chunk in chunks.hear(event))

    speaks = {"role": "assistant", "refusal": None}
    assert first(said("Hi"))["choices"][0]["delta"] == {**speaks, "content": ""}
    assert first()["choices"][0]["delta"] == {**speaks, "content": ""}
    assert first(called())["choices"][0]["delta"] == {**speaks, "content": None}
    assert first(thought("Hm."), said("Hi"))["choices"][0]["delta"] == {**speaks, "content": None}


# any answer

TEXT = st.text(max_size=8)
ITEMS = st.one_of(
    st.builds(said, TEXT, TEXT),
    st.builds(lambda no, text: said({"type": "refusal", "refusal": no}, text), TEXT, TEXT),
    st.builds(called, st.just("f"), TEXT, st.just("call_1")),
    st.builds(thought, TEXT, TEXT),
    st.builds(lambda text: thought(content=(text,), sealed=text), TEXT),
)


@given(st.lists(ITEMS, max_size=5), st.integers(1, 4), st.booleans())
def test_any_answer_is_the_same_whole_and_in_pieces(output: list[Any], size: int, legacy: bool) -> None:
    whole = response(*output)
    told = completion_of(whole, legacy=legacy)
    completion(told)
    pieces = streamed(events(whole, size), legacy=legacy)
    expected, got = message(told), message(pieces)
    for name in ("content", "reasoning_content"):  # an empty one is as good as none
        assert (got.pop(name, None) or "") == (expected.pop(name, None) or "")
    assert got == expected
