"""Whatever a listener tells a narrator, the stream keeps the rules, and a reply told with the same acts agrees."""

from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from responses_protocol import check_stream
from toy_dialect import DEPLOYMENT, NOTE, SEARCH, STEM, TOOLS, Act, act, frames, tell, toy, toy_call

from providers import jsonio
from providers.errors import ContentPolicyViolationError, InternalServerError, RateLimitError
from providers.translation.narrator import Failure, Narrator, mint, usage_of
from providers.types import HttpReply
from providers.views import Event

text = st.text(max_size=6)
logprobs = st.none() | st.just([{"token": "a", "logprob": -0.5, "bytes": [97], "top_logprobs": []}])
calls = st.builds(
    lambda *of: act("call", *of), st.sampled_from(["c1", "", "c" * 65]), st.sampled_from(["get_weather", "shell"])
)
acts = st.one_of(
    calls,
    st.builds(lambda delta, probs: act("text", delta, probs), text, logprobs),
    st.builds(lambda delta: act("refusal", delta), text),
    st.builds(lambda delta: act("think", delta), text),
    st.builds(lambda sealed: act("seal", sealed), text),
    st.just(act("annotate", NOTE)),
    calls,
    st.builds(lambda delta: act("arguments", delta), text),
    st.just(act("item", SEARCH, "ws", "in_progress", "searching", "completed")),
    st.just(act("item", {"type": "image_generation_call", "result": "AA=="}, "ig")),
    st.just(act("close_part")),
    st.just(act("close")),
)
ends = st.one_of(
    st.builds(
        lambda reason, usage: act("finish", reason, usage),
        st.sampled_from([None, "max_output_tokens", "content_filter"]),
        st.none() | st.just(usage_of(3, 4, cached=1, written=1, reasoning=2)),
    ),
    st.just({"error": "it broke"}),
)


def playable(told: Sequence[Act]) -> list[Act]:
    """Without the arguments that follow no call."""
    kept: list[Act] = []
    calling = False
    for each in told:
        silent = each["act"] in ("text", "refusal", "think") and each["of"][0] == ""
        if each["act"] == "arguments" and not calling:
            continue
        kept.append(each)
        if each["act"] == "call":
            calling = True
        elif each["act"] not in ("arguments", "close_part") and not silent:
            calling = False
    return kept


def of_kind(events: Sequence[dict[str, Any]], kind: str) -> list[dict[str, Any]]:
    return [event for event in events if event["type"] == kind]


@settings(max_examples=300)
@given(st.lists(acts, max_size=12), ends, st.sampled_from([None, "toy-1-2026"]))
def test_any_acts_make_a_stream_that_keeps_the_rules(told: list[Act], end: Act, model: str | None) -> None:
    events = tell([act("start", model), *playable(told), end])
    final = check_stream(events)
    assert final["model"] == (model or "toy-1")
    assert final["output"] == [event["item"] for event in of_kind(events, "response.output_item.done")]
    assert [item["id"][-36:] for item in final["output"]] == [f"{STEM}{n:04x}" for n in range(len(final["output"]))]
    assert all(item.get("status") != "in_progress" for item in final["output"])
    assert all(len(item["id"]) <= 64 and len(item.get("call_id", "x")) <= 64 for item in final["output"])


@given(st.lists(acts, max_size=12), ends.filter(lambda end: "act" in end))
def test_a_reply_of_the_same_acts_is_the_last_event_of_their_stream(told: list[Act], end: Act) -> None:
    whole = [act("start"), *_with_ids(playable(told)), end]
    final = tell(whole)[-1]["response"]
    reply = HttpReply(200, {}, jsonio.dumps({"acts": whole}))
    assert jsonio.loads(jsonio.dumps(toy().decode(reply, toy_call(tools=TOOLS), DEPLOYMENT))) == final


def _with_ids(told: Sequence[Act]) -> list[Act]:
    """With ids that are kept: others are made up, differently each time."""
    return [act("call", "call_1", *each["of"][1:]) if each["act"] == "call" else each for each in told]


@given(st.lists(acts, max_size=8), ends, st.lists(st.integers(1, 40), min_size=1))
def test_chunks_make_no_difference(told: list[Act], end: Act, sizes: list[int]) -> None:
    whole = [act("start"), *_with_ids(playable(told)), end]
    body, decoder = frames(whole), toy().events(toy_call(True, tools=TOOLS), DEPLOYMENT)
    events: list[Event] = []
    while body:
        size = sizes[len(events) % len(sizes)]
        events += decoder.feed(body[:size])
        body = body[size:]
    events += decoder.end()
    assert [event["type"] for event in events] == [event["type"] for event in tell(whole)]
    assert events[-1].to_dict() == tell(whole)[-1]


def test_text_then_a_call_then_text_are_three_items() -> None:
    told = [
        act("text", "Hm."),
        act("call", "c1", "get_weather_d3d08e52"),
        act("arguments", '{"a":'),
        act("arguments", "1}"),
    ]
    events = tell([act("start"), *told, act("text", "So."), act("finish")])
    message, call, last = check_stream(events)["output"]
    assert (message["type"], call["type"], last["type"]) == ("message", "function_call", "message")
    assert call["arguments"] == '{"a":1}'
    assert [item["status"] for item in (message, call, last)] == ["completed"] * 3
    assert [event["delta"] for event in of_kind(events, "response.function_call_arguments.delta")] == ['{"a":', "1}"]


def test_a_call_without_arguments_has_empty_ones() -> None:
    events = tell([act("start"), act("call", "c1", "what"), act("finish")])
    (call,) = check_stream(events)["output"]
    assert (call["arguments"], call["call_id"], call["status"]) == ("{}", "c1", "completed")


def test_a_call_that_was_cut_off_keeps_what_there_is() -> None:
    told = [act("start"), act("call", "c1", "what"), act("arguments", '{"a'), act("finish", "max_output_tokens")]
    final = check_stream(tell(told))
    assert (final["status"], final["incomplete_details"]) == ("incomplete", {"reason": "max_output_tokens"})
    assert (final["output"][0]["arguments"], final["output"][0]["status"]) == ('{"a', "incomplete")
    assert final["completed_at"] is None


def test_a_call_that_was_cut_off_at_once_has_no_arguments() -> None:
    final = check_stream(tell([act("start"), act("call", "c1", "what"), act("finish", "content_filter")]))
    assert final["output"][0]["arguments"] == ""


@pytest.mark.parametrize("given", ["c", "c" * 64])
def test_ids_of_calls_are_kept(given: str) -> None:
    (call,) = check_stream(tell([act("start"), act("call", given, "what"), act("finish")]))["output"]
    assert call["call_id"] == given


@pytest.mark.parametrize("given", ["", "c" * 65])
def test_ids_of_calls_that_openai_would_not_take_are_replaced(given: str) -> None:
    (call,) = check_stream(tell([act("start"), act("call", given, "what"), act("finish")]))["output"]
    assert call["call_id"].startswith("call_")
    assert len(call["call_id"]) == 29


@pytest.mark.parametrize(
    ("arguments", "input"),
    [
        ('{"input":"ls -l"}', "ls -l"),
        ("", ""),
        ('{"other":1}', '{"other":1}'),
        ("ls", "ls"),
        ("[1]", "[1]"),
        ('{"input":2}', '{"input":2}'),
    ],
)
def test_a_function_that_stands_for_a_custom_tool_is_told_as_one(arguments: str, input: str) -> None:
    events = tell([act("start"), act("call", "c1", "shell"), act("arguments", arguments), act("finish")])
    (call,) = check_stream(events)["output"]
    assert (call["type"], call["name"], call["input"]) == ("custom_tool_call", "shell", input)
    assert "arguments" not in call
    assert [event["delta"] for event in of_kind(events, "response.custom_tool_call_input.delta")] == [input] * bool(
        input
    )


def test_reasoning_that_is_sealed_is_one_item_each() -> None:
    told = [
        act("think", "a"),
        act("close_part"),
        act("think", "b"),
        act("seal", "s1"),
        act("seal", "s2"),
        act("think", "c"),
    ]
    first, second, third = check_stream(tell([act("start"), *told, act("finish")]))["output"]
    assert [part["text"] for part in first["summary"]] == ["a", "b"]
    assert (first["encrypted_content"], second["encrypted_content"], second["summary"]) == ("s1", "s2", [])
    assert "encrypted_content" not in third


def test_notes_and_probabilities_stay_with_their_text() -> None:
    probs = [{"token": "a", "logprob": -0.5, "bytes": [97], "top_logprobs": []}]
    events = tell([act("start"), act("text", "ab", probs), act("annotate", NOTE), act("text", "c"), act("finish")])
    (part,) = check_stream(events)["output"][0]["content"]
    assert part == {"type": "output_text", "text": "abc", "annotations": [NOTE], "logprobs": probs}
    assert [each["logprobs"] for each in of_kind(events, "response.output_text.delta")] == [probs, []]
    assert of_kind(events, "response.output_text.done")[0]["logprobs"] == probs
    (added,) = of_kind(events, "response.output_text.annotation.added")
    assert (added["annotation_index"], added["content_index"], added["annotation"]) == (0, 0, NOTE)
    (opened,) = of_kind(events, "response.content_part.added")
    assert opened["part"] == {"type": "output_text", "text": "", "annotations": [], "logprobs": []}


def test_a_note_on_nothing_opens_a_text() -> None:
    (message,) = check_stream(tell([act("start"), act("annotate", NOTE), act("finish")]))["output"]
    assert message["content"] == [{"type": "output_text", "text": "", "annotations": [NOTE], "logprobs": []}]


def test_what_was_said_is_counted_in_characters() -> None:
    narrator = Narrator({"id": "r"}, STEM, lambda: 0.0, lambda wire: (wire, False))
    narrator.start()
    assert narrator.said == 0
    narrator.text("né")
    narrator.text("!")
    assert narrator.said == 3
    narrator.think("hm")
    assert narrator.said == 0


@pytest.mark.parametrize("status", ["completed", "failed"])
def test_an_item_of_another_kind_ends_as_it_says(status: str) -> None:
    events = tell([act("start"), act("item", {**SEARCH, "status": status}, "ws", "in_progress"), act("finish")])
    (item,) = check_stream(events)["output"]
    assert item == {**SEARCH, "status": status, "id": f"ws_{STEM}0000"}
    assert of_kind(events, "response.output_item.added")[0]["item"]["status"] == "in_progress"
    assert of_kind(events, "response.web_search_call.in_progress")[0]["item_id"] == item["id"]


@pytest.mark.parametrize("before", [[], [act("text", "Hm.")], [act("call", "c1", "what"), act("close")]])
def test_arguments_of_no_call_are_a_malformed_stream(before: list[Act]) -> None:
    final = check_stream(tell([act("start"), *before, act("arguments", "{}"), act("finish")]))
    assert final["status"] == "failed"


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (RateLimitError("slowly"), "rate_limit_exceeded"),
        (ContentPolicyViolationError("no"), "invalid_prompt"),
        (InternalServerError("oh"), "server_error"),
    ],
)
def test_a_failure_is_told_with_its_cause(error: Any, code: str) -> None:
    narrator = Narrator({"id": "r", "output": [], "model": "m"}, STEM, lambda: 0.0, lambda wire: (wire, False))
    with pytest.raises(type(error)):
        narrator.fail(error)
    narrator.start()
    narrator.text("Hm")
    narrator.fail(error, usage_of(1, 2))
    event = narrator.take()[-1]
    assert isinstance(event, Failure)
    assert event.cause is error is narrator.cause
    assert event["response"]["error"] == {"code": code, "message": error.message}
    assert event["response"]["usage"]["total_tokens"] == 3
    assert event["response"]["output"][0]["status"] == "incomplete"


def test_usage_adds_up() -> None:
    assert usage_of(10, 5, cached=3, written=2, reasoning=4) == {
        "input_tokens": 10,
        "input_tokens_details": {"cached_tokens": 3, "cache_write_tokens": 2},
        "output_tokens": 5,
        "output_tokens_details": {"reasoning_tokens": 4},
        "total_tokens": 15,
    }
    details = usage_of(1, 1)
    assert details["input_tokens_details"] == {"cached_tokens": 0, "cache_write_tokens": 0}
    assert details["output_tokens_details"] == {"reasoning_tokens": 0}


def test_ids_differ() -> None:
    assert len({mint() for _ in range(100)}) == 100
    assert len(mint()) == 32
