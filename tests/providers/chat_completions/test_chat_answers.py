"""What vendors of chat completions answer, as responses: whole and streamed alike, however the stream is cut."""

from __future__ import annotations

import json
from typing import Any

import pytest
from chat_talk import asking, dicts, hear, names, pieces, place, recorded, streamed, summed_up, vendor, whole
from hypothesis import given, settings
from hypothesis import strategies as st
from responses_protocol import check_stream

from providers.errors import (
    APIError,
    InternalServerError,
    MalformedReplyError,
    RateLimitError,
    ServiceUnavailableError,
    StreamInterruptedError,
)
from providers.translation.narrator import Failure
from providers.translation.sealed import unseal

PARIS = ("call", "call_a", "get_weather", '{"city":"Paris"}')
OSLO = ("call", "c1", "get_weather", '{"city":"Oslo"}')
CET = ("call", "c2", "get_time", '{"zone":"CET"}')
WELL = ("completed", None)

CASES: dict[str, tuple[list[tuple[str, ...]], tuple[str, str | None], tuple[int, ...] | None]] = {
    "openai_text": ([("output_text", "Hello wörld 🌍")], WELL, (12, 8, 0, 7, 3)),
    "openai_tools": ([PARIS, ("call", "call_b", "get_time", '{"zone":"CET"}')], WELL, (12, 8, 0, 7, 3)),
    "openai_text_then_tool": (
        [("output_text", "Let me look."), ("call", "call_a", "get_weather", "{}")],
        WELL,
        (12, 8, 0, 7, 3),
    ),
    "openai_refusal": ([("refusal", "I can't help.")], WELL, (12, 8, 0, 7, 3)),
    "openai_citation": ([("output_text", "Meow.")], WELL, (12, 8, 0, 7, 3)),
    "openai_logprobs": ([("output_text", "Hi!")], WELL, (12, 8, 0, 7, 3)),
    "openai_length": ([("output_text", "Once")], ("incomplete", "max_output_tokens"), (12, 8, 0, 7, 3)),
    "openai_length_in_call": (
        [("call", "call_a", "get_weather", '{"ci')],
        ("incomplete", "max_output_tokens"),
        (12, 8, 0, 7, 3),
    ),
    "azure_filter": ([("output_text", "How to")], ("incomplete", "content_filter"), None),
    "deepseek_reasoning_tool": (
        [
            ("reasoning", "The user wants weather."),
            ("output_text", "I will ask."),
            ("call", "call_00_x", "get_weather", '{"city": "Oslo"}'),
        ],
        WELL,
        (20, 16, 0, 30, 25),
    ),
    "deepseek_heartbeats": ([("output_text", "Hi")], WELL, (20, 16, 0, 30, 25)),
    "vllm_reasoning": ([("reasoning", "Let us see."), ("output_text", "\n\n42")], WELL, (5, 0, 0, 9, 0)),
    "vllm_random_ids": ([("call", "chatcmpl-tool-1", "get_weather", '{"city":"Bonn"}')], WELL, (5, 0, 0, 9, 0)),
    "groq_reasoning": ([("reasoning", "Thinking"), ("output_text", "Done.")], WELL, (40, 0, 0, 21, 11)),
    "groq_think_tags": ([("reasoning", "Hmm"), ("output_text", "Blue.")], WELL, (40, 0, 0, 21, 11)),
    "openrouter_details": ([("reasoning", "Weighing"), ("output_text", "Ok")], WELL, (9, 2, 3, 4, 0)),
    "mistral_thinking": ([("reasoning", "Two plus two"), ("output_text", "Four.")], WELL, (10, 0, 0, 20, 0)),
    "mistral_signed": ([("reasoning", "Two"), ("output_text", "Four.")], WELL, (10, 0, 0, 20, 0)),
    "mistral_tools": (
        [
            ("call", "D681PevKs", "get_weather", '{"city": "Lyon"}'),
            ("call", "gZ7bX2aQp", "get_time", '{"zone": "CET"}'),
        ],
        WELL,
        (10, 0, 0, 20, 0),
    ),
    "mistral_reference": ([("output_text", "As told")], WELL, (10, 0, 0, 20, 0)),
    "mistral_model_length": ([("output_text", "And so")], ("incomplete", "max_output_tokens"), (10, 0, 0, 20, 0)),
    "ollama_tools": (
        [
            ("reasoning", "Tool"),
            ("call", "call_hk81qg8b", "get_weather", '{"city":"Kyiv"}'),
            ("call", "call_wteop8bt", "get_time", "{}"),
        ],
        WELL,
        (30, 0, 0, 8, 0),
    ),
    "perplexity_sources": ([("output_text", "Blue[1] wide.")], WELL, (14, 0, 0, 6, 2)),
    "perplexity_citations_only": ([("output_text", "Blue.")], WELL, (14, 0, 0, 6, 2)),
    "cerebras_reasoning": ([("reasoning", "Greet."), ("output_text", "Hello!")], WELL, (12, 0, 0, 10, 0)),
    "tools_no_index": ([OSLO, CET], WELL, (12, 0, 0, 7, 0)),
    "tools_same_index": ([OSLO, CET], WELL, (12, 0, 0, 7, 0)),
    "tools_interleaved": ([OSLO, CET], WELL, (12, 0, 0, 7, 0)),
    "tools_repeated_names": ([OSLO, CET], WELL, (12, 0, 0, 7, 0)),
    "tools_object_arguments": ([OSLO, CET], WELL, (12, 0, 0, 7, 0)),
    "tools_then_text": ([("output_text", "First."), OSLO, ("output_text", "Then wait.")], WELL, (12, 0, 0, 7, 0)),
    "tools_amid_text": (
        [OSLO, ("output_text", "Aside"), ("reasoning", "Hm"), ("output_text", ".")],
        WELL,
        (12, 0, 0, 7, 0),
    ),
    "heartbeats": ([("output_text", "Hi you")], WELL, (12, 0, 0, 7, 0)),
    "no_usage": ([("output_text", "Hi")], WELL, None),
    "usage_with_choices": ([("output_text", "Hi")], WELL, (12, 0, 0, 7, 0)),
    "unknown_finish": ([("output_text", "Hi")], ("incomplete", "paused_by_vendor"), (12, 0, 0, 7, 0)),
    "empty": ([], WELL, (5, 0, 0, 0, 0)),
    "xai_usage": ([("output_text", "Hi")], WELL, (10, 0, 0, 10, 8)),
}
"""What each fixture says: its items, its end, its usage (input, cached, written, output, reasoning)."""

FAILURES: dict[str, tuple[type[APIError], list[tuple[str, ...]]]] = {
    "openai_error_in_stream": (InternalServerError, [("output_text", "Hel")]),
    "openai_cut_off": (StreamInterruptedError, [("output_text", "Hello")]),
    "vllm_error_in_stream": (InternalServerError, [("output_text", "Hel")]),
    "vllm_abort": (InternalServerError, [("output_text", "Hel")]),
    "groq_error_in_stream": (InternalServerError, [("output_text", "Hel")]),
    "openrouter_error_in_stream": (RateLimitError, [("output_text", "Hel")]),
    "deepseek_no_resource": (ServiceUnavailableError, [("output_text", "Hm")]),
}
OTHERS = {"openai_error_at_once", "openai_legacy_function", "tools_no_ids"}


def maker(fixture: str) -> str:
    """The vendor that a fixture is of."""
    first = fixture.partition("_")[0]
    known = {"azure", "cerebras", "deepseek", "groq", "mistral", "ollama", "openai", "perplexity"}
    return first if first in known else "openai_compatible"


def check(response: dict[str, Any], name: str) -> None:
    items, (status, reason), usage = CASES[name]
    assert summed_up(response) == items
    assert response["status"] == status
    assert (response["incomplete_details"] or {}).get("reason") == reason
    told = response["usage"]
    assert (None if told is None else _counts(told)) == usage


def _counts(usage: dict[str, Any]) -> tuple[int, ...]:
    given, told = usage["input_tokens_details"], usage["output_tokens_details"]
    return (
        usage["input_tokens"],
        given["cached_tokens"],
        given["cache_write_tokens"],
        usage["output_tokens"],
        told["reasoning_tokens"],
    )


def test_every_fixture_is_looked_at() -> None:
    looked_at = {*CASES, *FAILURES, *OTHERS}
    assert {name.rpartition(".")[0] for name in names(".sse") + names(".json")} == looked_at


@pytest.mark.parametrize("name", [name for name in CASES if f"{name}.json" in names(".json")])
def test_a_whole_reply(name: str) -> None:
    check(whole(recorded(f"{name}.json"), maker(name)), name)


@pytest.mark.parametrize("name", [name for name in CASES if f"{name}.sse" in names(".sse")])
def test_a_stream(name: str) -> None:
    response = streamed(recorded(f"{name}.sse"), maker(name))
    check(response, name)


@pytest.mark.parametrize("name", [name for name in CASES if f"{name}.sse" in names(".sse")])
def test_a_stream_and_a_whole_reply_agree(name: str) -> None:
    if f"{name}.json" in names(".json"):
        assert streamed(recorded(f"{name}.sse"), maker(name)) == whole(recorded(f"{name}.json"), maker(name))


@settings(max_examples=40)
@given(st.data())
def test_cuts_change_nothing(data: st.DataObject) -> None:
    name = data.draw(st.sampled_from(names(".sse")))
    if name == "openai_error_at_once.sse":
        return
    content = recorded(name)
    cuts = data.draw(st.lists(st.integers(0, len(content)), max_size=30))
    usual = [strip(event) for event in dicts(hear([content], maker(name)))]
    assert [strip(event) for event in dicts(hear(pieces(content, cuts), maker(name)))] == usual


def strip(event: Any) -> Any:
    """Without the ids of calls, which are made up where there are none."""
    if isinstance(event, dict):
        return {key: strip(value) for key, value in event.items() if key != "call_id"}
    return [strip(each) for each in event] if isinstance(event, list) else event


@pytest.mark.parametrize("name", FAILURES)
def test_a_stream_that_fails(name: str) -> None:
    events = hear([recorded(f"{name}.sse")], maker(name))
    response = check_stream(dicts(events))
    kind, items = FAILURES[name]
    last = events[-1]
    assert isinstance(last, Failure)
    assert type(last.cause) is kind
    assert response["status"] == "failed"
    assert summed_up(response) == items


def test_a_stream_that_fails_at_once_is_an_error() -> None:
    with pytest.raises(RateLimitError, match="Rate limit reached"):
        hear([recorded("openai_error_at_once.sse")], "openai")


def test_usage_is_told_of_what_failed() -> None:
    response = streamed(recorded("deepseek_no_resource.sse"), "deepseek")
    assert response["usage"]["total_tokens"] == 50


def test_a_whole_reply_that_failed_is_an_error() -> None:
    with pytest.raises(ServiceUnavailableError, match="insufficient_system_resource"):
        whole(recorded("deepseek_no_resource.json"), "deepseek")


@pytest.mark.parametrize("name", ["openai_legacy_function", "tools_no_ids"])
def test_calls_without_ids_get_some(name: str) -> None:
    calls = [line[1:] for line in summed_up(streamed(recorded(f"{name}.sse"), "openai"))]
    assert all(call_id.startswith("call_") for call_id, *_ in calls)
    rest = [tuple(call[1:]) for call in calls]
    assert rest == ([("get_weather", '{"city":"Rome"}')] if "legacy" in name else [OSLO[2:], CET[2:]])
    assert len({call_id for call_id, *_ in calls}) == len(calls)


def test_a_legacy_call_in_a_whole_reply() -> None:
    ((kind, _, *rest),) = summed_up(whole(recorded("openai_legacy_function.json"), "openai"))
    assert (kind, rest) == ("call", ["get_weather", '{"city":"Rome"}'])


# what comes as it comes


def deltas(name: str, kind: str, of: str = "openai") -> list[str]:
    return [event["delta"] for event in dicts(hear([recorded(f"{name}.sse")], of)) if event["type"].endswith(kind)]


def test_text_and_arguments_are_not_cut_anew() -> None:
    assert deltas("openai_text", "output_text.delta") == ["Hello", " wörld 🌍"]
    assert deltas("openai_tools", "arguments.delta") == ['{"ci', 'ty":"', 'Paris"}', '{"zone"', ':"CET"}']
    assert deltas("tools_interleaved", "arguments.delta") == ['{"city"', ':"Oslo"}', '{"zone"', ':"CET"}']


def test_a_second_call_is_told_while_it_comes() -> None:
    content = recorded("openai_tools.sse")
    before = content[: content.index(b'{"zone')] if b'{"zone' in content else content[: content.index(b'{\\"zone')]
    events = dicts(hear([before + b"\n\n"], "openai"))
    added = [event["item"]["name"] for event in events if event["type"] == "response.output_item.added"]
    assert added == ["get_weather", "get_time"]


def test_the_response_ends_with_the_usage_and_not_with_the_connection() -> None:
    translator = vendor("openai")
    decoder = translator.events(asking(stream=True), place(provider="openai"))
    content = recorded("openai_text.sse").removesuffix(b"data: [DONE]\n\n")
    assert decoder.feed(content)[-1].type == "response.completed"
    assert decoder.feed(b"data: [DONE]\n\n") == decoder.end() == []


def test_a_call_that_was_cut_off_is_incomplete() -> None:
    for response in (
        streamed(recorded("openai_length_in_call.sse"), "openai"),
        whole(recorded("openai_length_in_call.json"), "openai"),
    ):
        assert response["output"][0]["status"] == "incomplete"
    begun = call(index=0, id="a", function={"name": "f", "arguments": "{}"})
    cut = call(index=1, id="b", function={"name": "g", "arguments": "{"})
    statuses = [item["status"] for item in streamed(frames(begun, cut, finish="length"), "openai")["output"]]
    assert statuses == ["completed", "incomplete"]


def test_the_model_and_the_tier_are_the_vendors() -> None:
    response = whole(recorded("openai_text.json"), "openai")
    assert (response["model"], response["service_tier"]) == ("gpt-5.4-2026-03-05", "default")
    assert whole(recorded("groq_reasoning.json"), "groq")["service_tier"] == "default"
    assert streamed(recorded("azure_filter.sse"), "azure")["model"] == "gpt-4o-2024-11-20"


# notes and logprobs


def notes(response: dict[str, Any]) -> list[dict[str, Any]]:
    return [note for item in response["output"] for part in item["content"] for note in part["annotations"]]


def test_citations_of_openai() -> None:
    note = {"type": "url_citation", "start_index": 0, "end_index": 5, "title": "Cats", "url": "https://cats.example/"}
    assert notes(streamed(recorded("openai_citation.sse"), "openai")) == [note]


def test_sources_of_perplexity() -> None:
    named = {"type": "url_citation", "start_index": 4, "end_index": 7, "url": "https://sky.example/", "title": "Sky"}
    unnamed = {"type": "url_citation", "start_index": 13, "end_index": 13, "url": "https://sea.example/"}
    found = notes(streamed(recorded("perplexity_sources.sse"), "perplexity"))
    assert found == [named, {**unnamed, "title": "Sea"}]
    (only,) = notes(whole(recorded("perplexity_citations_only.json"), "perplexity"))
    assert (only["url"], only["title"]) == ("https://sky.example/", "https://sky.example/")


def test_what_is_no_text_is_noted() -> None:
    assert notes(whole(recorded("mistral_reference.json"), "mistral")) == [{"type": "reference", "reference_ids": [2]}]


def test_log_probabilities() -> None:
    response = streamed(recorded("openai_logprobs.sse"), "openai")
    assert [each["token"] for each in response["output"][0]["content"][0]["logprobs"]] == ["Hi", "!"]


# reasoning that goes back


@pytest.mark.parametrize(
    ("name", "field", "value"),
    [
        ("deepseek_reasoning_tool", "reasoning_content", None),
        ("groq_reasoning", "reasoning", None),
        ("groq_think_tags", "reasoning_content", None),
        ("mistral_thinking", "content", None),
        (
            "mistral_signed",
            "content",
            [{"type": "thinking", "thinking": [{"type": "text", "text": "Two"}], "signature": "S1"}],
        ),
        (
            "openrouter_details",
            "reasoning_details",
            [
                {
                    "type": "reasoning.text",
                    "text": "Weighing",
                    "format": "anthropic-claude-v1",
                    "index": 0,
                    "signature": "SIG",
                }
            ],
        ),
    ],
)
def test_what_goes_back_is_sealed(name: str, field: str, value: Any) -> None:
    for response in (
        streamed(recorded(f"{name}.sse"), maker(name)),
        whole(recorded(f"{name}.json"), maker(name)),
    ):
        sealed = response["output"][0]["encrypted_content"]
        assert unseal("chat", sealed) == [{"field": field} if value is None else {"field": field, "value": value}]


# what is no answer


@pytest.mark.parametrize(
    "content",
    [
        b"[]",
        b"{}",
        b"<html>",
        b'{"choices":[]}',
        b'{"choices":"none"}',
        b'{"choices":[{"index":0,"message":{"tool_calls":[{"id":"c","function":{"arguments":"{}"}}]}}]}',
    ],
)
def test_what_is_no_reply_is_malformed(content: bytes) -> None:
    with pytest.raises(MalformedReplyError):
        whole(content, "openai")


def test_an_error_inside_a_200_is_an_error() -> None:
    with pytest.raises(RateLimitError, match="slow down"):
        whole(b'{"error":{"message":"slow down","code":429}}', "openai")
    with pytest.raises(InternalServerError, match="broken"):
        whole(b'{"choices":[{"error":{"message":"broken"}}]}', "openai")


def frames(*deltas: str, finish: str = "stop") -> bytes:
    """A stream of these deltas."""
    lines = [f'data: {{"choices":[{{"index":0,"delta":{delta}}}]}}\n\n' for delta in deltas]
    return "".join([*lines, f'data: {{"choices":[{{"delta":{{}},"finish_reason":"{finish}"}}]}}\n\n']).encode()


def call(**fields: object) -> str:
    return json.dumps({"tool_calls": [fields]})


def test_arguments_after_the_end_of_a_call_are_malformed() -> None:
    first = call(index=0, id="a", function={"name": "f", "arguments": "{}"})
    second = call(index=1, id="b", function={"name": "g", "arguments": "{"})
    for late, fails in ((" \n", False), ("x", True)):
        more = call(index=0, function={"arguments": late})
        response = streamed(frames(first, second, more, finish="length"), "openai")
        assert (response["status"] == "failed") is fails


def test_other_choices_are_not_listened_to() -> None:
    content = b'data: {"choices":[{"index":1,"delta":{"content":"no"}},{"index":0,"delta":{"content":"yes"}}]}\n\n'
    assert summed_up(streamed(content + frames(), "openai")) == [("output_text", "yes")]


def test_a_refusal_and_notes_amid_a_call_wait() -> None:
    begun = call(index=0, id="a", function={"name": "f", "arguments": "{"})
    done = call(index=0, function={"arguments": "}"})
    response = streamed(
        frames(begun, '{"refusal":"No."}', '{"content":"Text","annotations":[{"type":"x"}]}', done), "openai"
    )
    assert summed_up(response) == [("call", "a", "f", "{}"), ("refusal", "No."), ("output_text", "Text")]
    assert response["output"][1]["content"][1]["annotations"] == [{"type": "x"}]


def test_details_that_come_with_a_call_follow_it() -> None:
    detail = '{"reasoning_details":[{"type":"reasoning.encrypted","data":"E1","index":null}]}'
    begun = call(index=0, id="a", function={"name": "f", "arguments": "{"})
    done = call(index=0, function={"arguments": "}"})
    response = streamed(frames(begun, detail, done, detail), "openai_compatible")
    assert summed_up(response) == [("call", "a", "f", "{}"), ("reasoning", "")]
    blocks = unseal("chat", response["output"][1]["encrypted_content"])
    assert blocks == [
        {
            "field": "reasoning_details",
            "value": [{"type": "reasoning.encrypted", "data": "E1", "index": None}] * 2,
        }
    ]


def test_details_that_come_between_calls_follow_them() -> None:
    detail = '{"reasoning_details":[{"type":"reasoning.encrypted","data":"E1"}]}'
    calls = [call(index=number, id=name, function={"name": name}) for number, name in enumerate("ab")]
    response = streamed(frames(calls[0], detail, calls[1], detail), "openai_compatible")
    assert [line[0] for line in summed_up(response)] == ["call", "call", "reasoning"]


def test_words_beside_details_do_not_replace_them() -> None:
    detail = '{"reasoning_details":[{"type":"reasoning.encrypted","data":"E1"}]}'
    response = streamed(frames('{"reasoning":"A"}', detail, '{"reasoning":"B"}', '{"content":"C"}'), "openai")
    assert summed_up(response) == [("reasoning", "AB"), ("output_text", "C")]
    blocks = unseal("chat", response["output"][0]["encrypted_content"])
    assert blocks == [{"field": "reasoning_details", "value": [{"type": "reasoning.encrypted", "data": "E1"}]}]


def test_calls_that_wait_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("providers.chat_completions.calls.MAX_KEPT", 10)
    begun = call(index=0, id="a", function={"name": "f", "arguments": "{"})
    more = call(index=1, id="b", function={"name": "g", "arguments": '{"x":12345678'})
    events = hear([frames(begun, more)], "openai")
    assert isinstance(events[-1], Failure)
    assert "come in turns" in events[-1].cause.message


def test_an_id_alone_says_which_call_goes_on() -> None:
    parts = [
        call(id="a", function={"name": "f", "arguments": "{"}),
        call(id="b", function={"name": "g", "arguments": "{"}),
        call(id="a", function={"arguments": "}"}),
        call(id="b", function={"arguments": "}"}),
        call(id="unheard", function={"arguments": " "}),
    ]
    assert summed_up(streamed(frames(*parts), "openai")) == [("call", "a", "f", "{}"), ("call", "b", "g", "{} ")]


def test_a_name_may_come_after_the_arguments_began() -> None:
    parts = [call(index=0, id="a", function={"arguments": '{"x"'}), call(index=0, function={"name": "f"})]
    parts.append(call(index=0, function={"arguments": ":1}"}))
    assert summed_up(streamed(frames(*parts), "openai")) == [("call", "a", "f", '{"x":1}')]


def test_a_call_without_arguments_has_none() -> None:
    parts = [call(index=0, id="a", function={"name": "f"}), call(index=1, id="b", function={"name": "g"})]
    assert summed_up(streamed(frames(*parts), "openai")) == [("call", "a", "f", "{}"), ("call", "b", "g", "{}")]


def test_a_custom_tool_gets_its_text() -> None:
    asked = asking({"tools": [{"type": "custom", "name": "sql"}]}, stream=True)
    parts = [call(index=0, id="a", function={"name": "sql", "arguments": json.dumps({"input": "SELECT 1"})})]
    (item,) = streamed(frames(*parts), "openai", asked)["output"]
    assert (item["type"], item["name"], item["input"]) == ("custom_tool_call", "sql", "SELECT 1")


def test_what_might_have_become_a_tag_is_told() -> None:
    assert summed_up(streamed(frames('{"content":"<thi"}'), "groq")) == [("output_text", "<thi")]
    assert summed_up(streamed(frames('{"content":"<think>a</th"}'), "groq")) == [("reasoning", "a</th")]
    begun, done = (
        call(index=0, id="a", function={"name": "f", "arguments": "{"}),
        call(index=0, function={"arguments": "}"}),
    )
    found = summed_up(streamed(frames(begun, '{"content":"<"}', done), "groq"))
    assert found == [("call", "a", "f", "{}"), ("output_text", "<")]
    found = summed_up(streamed(frames('{"content":"<"}', call(index=0, id="a", function={"name": "f"})), "groq"))
    assert found == [("output_text", "<"), ("call", "a", "f", "{}")]


def test_braces_do_not_end_a_call() -> None:
    parts = [
        call(index=0, id="a", function={"name": "f", "arguments": '{"x":{}'}),
        call(index=1, id="b", function={"name": "g", "arguments": "{}"}),
        call(index=0, function={"arguments": "}"}),
    ]
    found = summed_up(streamed(frames(*parts), "openai"))
    assert found == [("call", "a", "f", '{"x":{}}'), ("call", "b", "g", "{}")]


def test_a_name_alone_says_which_call_goes_on() -> None:
    parts = [
        call(function={"name": "f", "arguments": "{"}),
        call(function={"name": "f", "arguments": "}"}),
        call(function={"name": "f", "arguments": "{}"}),
        call(function={"name": "g", "arguments": "{}"}),
    ]
    found = [line[2:] for line in summed_up(streamed(frames(*parts), "openai"))]
    assert found == [("f", "{}"), ("f", "{}"), ("g", "{}")]


def test_choices_without_anything() -> None:
    response = whole(b'{"choices":[{"index":0,"message":null}]}', "openai")
    assert (response["status"], response["output"], response["usage"]) == ("completed", [], None)


def searched(text: str, **beside: Any) -> list[dict[str, Any]]:
    message = {"role": "assistant", "content": text}
    return notes(whole(json.dumps({"choices": [{"message": message}], **beside}).encode(), "perplexity"))


def test_sources_that_do_not_exist() -> None:
    (only,) = searched("See [9] and [0].", citations=["https://x.example/"])
    assert (only["start_index"], only["end_index"]) == (16, 16)
    assert searched("See [1].", search_results=[{"url": "u"}, "no source"], citations=["https://x.example/"]) == [
        {"type": "url_citation", "start_index": 4, "end_index": 7, "url": "u", "title": "u"}
    ]
    assert searched("See [1].") == []
    assert searched("", citations=["https://x.example/"]) == []


def test_sources_of_what_is_said_after_a_call() -> None:
    parts = ['{"content":"See [1]."}', call(index=0, id="a", function={"name": "f", "arguments": "{}"})]
    head = b'data: {"citations":["https://x.example/"],"choices":[]}\n\n'
    last = streamed(head + frames(*parts, '{"content":"And [1]."}'), "perplexity")["output"][2]
    assert [note["start_index"] for note in last["content"][0]["annotations"]] == [4]
    assert len(streamed(head + frames(*parts), "perplexity")["output"]) == 2
