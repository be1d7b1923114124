"""What Google's answers become: responses, streamed and whole, that agree."""

from __future__ import annotations

import json
from typing import Any

import pytest
from fake_gemini import frame, hello
from gemini_talk import AT_STUDIO, STUDIO, call, encoded, heard, sse, streamed, told, whole
from hypothesis import given
from hypothesis import strategies as st
from responses_protocol import check_stream

from providers.errors import (
    APIError,
    InternalServerError,
    MalformedReplyError,
    PermissionDeniedError,
    RateLimitError,
    StreamInterruptedError,
)
from providers.generate_content.signatures import blocks
from providers.types import HttpReply
from providers.views import Event

USAGE = {"promptTokenCount": 10, "candidatesTokenCount": 5}


def kinds(response: dict[str, Any]) -> list[str]:
    return [item["type"] for item in response["output"]]


def text(response: dict[str, Any]) -> str:
    parts = [part for item in response["output"] if item["type"] == "message" for part in item["content"]]
    return "".join(part["text"] for part in parts)


def unsealed(item: dict[str, Any]) -> Any:
    return blocks(item["encrypted_content"])


def decoded(json_: Any) -> Any:
    return STUDIO.decode(HttpReply(200, {}, json.dumps(json_).encode()), call(), AT_STUDIO)


def replayed(response: dict[str, Any]) -> Any:
    """What the model is told of its own turn when the output is the next input."""
    asked = call([{"role": "user", "content": "Hi"}, *response["output"], {"role": "user", "content": "Go on."}])
    return json.loads(encoded(asked).content)["contents"]


# content


def test_a_text_is_a_message() -> None:
    response = heard(frame({"text": "Hel"}), hello("lo"))
    assert response["status"] == "completed"
    assert response["model"] == "gemini-fake-001"
    assert response["output"][0]["content"][0]["text"] == "Hello"
    assert response["usage"]["total_tokens"] == 5


def test_thoughts_are_reasoning_and_never_text() -> None:
    response = heard(
        frame({"text": "First, ", "thought": True}),
        frame({"text": "then.", "thought": True}),
        hello("Yes."),
    )
    assert kinds(response) == ["reasoning", "message"]
    assert response["output"][0]["summary"] == [{"type": "summary_text", "text": "First, then."}]
    assert text(response) == "Yes."


def test_text_call_text_are_three_items_in_order() -> None:
    response = heard(
        frame({"text": "a"}),
        frame({"functionCall": {"id": "x1", "name": "f", "args": {"b": "ü"}}}),
        frame({"text": "c"}, stop="STOP", usage=USAGE),
    )
    assert kinds(response) == ["message", "function_call", "message"]
    assert response["output"][1]["call_id"] == "x1"
    assert json.loads(response["output"][1]["arguments"]) == {"b": "ü"}


def test_calls_without_ids_get_some_and_without_arguments_an_empty_object() -> None:
    response = heard(frame({"functionCall": {"name": "f"}}, {"functionCall": {"name": "f", "args": {}}}, stop="STOP"))
    ids = {item["call_id"] for item in response["output"]}
    assert len(ids) == 2
    assert all(call_id.startswith("call_") for call_id in ids)
    assert [item["arguments"] for item in response["output"]] == ["{}", "{}"]


def test_names_on_the_wire_are_the_callers_again() -> None:
    tools = [{"type": "function", "name": "odd name"}, {"type": "custom", "name": "run"}]
    asked = call(tools=tools)
    wire = json.loads(STUDIO.encode(asked, AT_STUDIO).content)["tools"][0]["functionDeclarations"][0]["name"]
    response = heard(
        frame(
            {"functionCall": {"name": wire}}, {"functionCall": {"name": "run", "args": {"input": "ls"}}}, stop="STOP"
        ),
        asked=asked,
    )
    assert response["output"][0]["name"] == "odd name"
    assert (response["output"][1]["type"], response["output"][1]["input"]) == ("custom_tool_call", "ls")


def test_images_are_items_and_can_be_sent_back() -> None:
    signed = {"inlineData": {"mimeType": "image/webp", "data": "aQ=="}, "thoughtSignature": "cw=="}
    bare = {"inlineData": {"mimeType": "image/png", "data": "ag=="}}
    response = heard(frame({"text": "Here:"}, bare), frame(signed, stop="STOP", usage=USAGE))
    assert kinds(response) == ["message", "image_generation_call", "image_generation_call", "reasoning"]
    image = response["output"][2]
    assert (image["result"], image["output_format"], image["status"]) == ("aQ==", "webp", "completed")
    assert unsealed(response["output"][3]) == [{"image": "cw=="}]
    assert replayed(response)[1]["parts"] == [{"text": "Here:"}, bare, signed]


def test_sounds_are_kept_to_be_sent_back() -> None:
    part = {"inlineData": {"mimeType": "audio/pcm", "data": "aQ=="}}
    response = heard(frame(part, stop="STOP"))
    assert unsealed(response["output"][0]) == [{"part": part}]


def test_images_of_thoughts_are_left_to_the_thoughts() -> None:
    blob = {"mimeType": "image/png", "data": "aQ=="}
    assert kinds(heard(frame({"thought": True, "inlineData": blob}), hello())) == ["message"]


def test_code_that_google_ran_is_an_item_with_what_it_printed() -> None:
    code = {"executableCode": {"code": "print(1)", "language": "PYTHON"}}
    result = {"codeExecutionResult": {"outcome": "OUTCOME_OK", "output": "1\n"}}
    response = heard(frame({"text": "Let me see."}), frame(code), frame(result), hello("1."))
    assert kinds(response) == ["message", "code_interpreter_call", "reasoning", "message"]
    item = response["output"][1]
    assert (item["code"], item["outputs"]) == ("print(1)", [{"type": "logs", "logs": "1\n"}])
    assert unsealed(response["output"][2]) == [{"part": code}, {"part": result}]
    assert replayed(response)[1]["parts"] == [{"text": "Let me see."}, code, result, {"text": "1."}]


def test_code_without_a_result_is_an_item_too() -> None:
    code = {"executableCode": {"code": "1", "language": "PYTHON"}}
    response = heard(frame(code), frame(code), frame(stop="STOP"))
    assert kinds(response) == ["code_interpreter_call", "reasoning", "code_interpreter_call", "reasoning"]
    assert response["output"][0]["outputs"] == []
    alone = heard(frame({"codeExecutionResult": {"outcome": "OUTCOME_FAILED"}}, stop="STOP"))
    assert alone["output"][0]["code"] is None


def test_parts_that_are_no_items_are_kept_to_be_sent_back() -> None:
    part = {"toolCall": {"toolType": "GOOGLE_SEARCH_WEB", "id": "1"}, "thoughtSignature": "cw=="}
    response = heard(frame(part), frame({}), hello())
    assert kinds(response) == ["reasoning", "message"]
    assert unsealed(response["output"][0]) == [{"part": part}]


# signatures


def test_the_signature_of_a_call_is_in_the_reasoning_before_it() -> None:
    signed = {"functionCall": {"name": "f"}, "thoughtSignature": "cw=="}
    response = heard(
        frame({"text": "Hm.", "thought": True}), frame(signed, {"functionCall": {"name": "g"}}, stop="STOP")
    )
    assert kinds(response) == ["reasoning", "function_call", "function_call"]
    assert unsealed(response["output"][0]) == [{"call": "cw=="}]
    assert kinds(heard(frame(signed, stop="STOP"))) == ["reasoning", "function_call"]


def test_signatures_of_texts_follow_the_message_which_stays_one() -> None:
    frames = [frame({"text": "a", "thoughtSignature": "MQ=="}), frame({"text": "bc"}), frame({"text": "d"})]
    end = frame({"text": "", "thoughtSignature": "Mg=="}, stop="STOP", usage=USAGE)
    response = streamed(*frames, end)
    assert kinds(response) == ["message", "reasoning"]
    assert text(response) == "abcd"
    assert unsealed(response["output"][1]) == [{"text": [[1, "MQ=="], [3, None], [0, "Mg=="]]}]


def test_other_signed_parts_are_kept_whole() -> None:
    empty = {"text": "", "thoughtSignature": "MQ=="}
    assert unsealed(heard(frame(empty), hello())["output"][0]) == [{"part": empty}]
    thought = {"text": "Hm.", "thought": True, "thoughtSignature": "MQ=="}
    response = heard(frame(thought), hello())
    assert kinds(response) == ["reasoning", "message"]
    assert unsealed(response["output"][0]) == [{"part": thought}]
    assert kinds(heard(frame({"text": ""}), frame({"text": "", "thought": True}), hello())) == ["message"]


def test_what_was_said_comes_back_as_it_was() -> None:
    """Each signature is on its part again when the output is the next input."""
    parts: list[dict[str, Any]] = [
        {"text": "Let me "},
        {"text": "see.", "thoughtSignature": "MQ=="},
        {"functionCall": {"id": "c1", "name": "f", "args": {"a": 1}}, "thoughtSignature": "Mg=="},
        {"functionCall": {"id": "c2", "name": "f", "args": {}}},
    ]
    response = streamed(*map(frame, parts), frame(stop="STOP", usage=USAGE))
    answers = [{"type": "function_call_output", "call_id": call_id, "output": "1"} for call_id in ("c1", "c2")]
    asked = call([{"role": "user", "content": "Hi"}, *response["output"], *answers])
    contents = json.loads(STUDIO.encode(asked, AT_STUDIO).content)["contents"]
    assert contents[1] == {"role": "model", "parts": parts}


# where it comes from

GROUNDS = {
    "webSearchQueries": ["who won", "score"],
    "groundingChunks": [
        {"web": {"uri": "https://a.org", "title": "A"}},
        {"web": {"title": "no address"}},
        {"retrievedContext": {"uri": "https://b.org"}},
        "?",
    ],
    "groundingSupports": [
        {"segment": {"startIndex": 0, "endIndex": 5, "text": "Über"}, "groundingChunkIndices": [0]},
        {"segment": {"startIndex": 99, "endIndex": 120, "text": "won."}, "groundingChunkIndices": [2, 1, 9, "x"]},
        {"groundingChunkIndices": [0]},
        "?",
    ],
}


def test_grounding_is_citations_in_characters_and_a_search() -> None:
    metadata = {**USAGE, "toolUsePromptTokenCount": 7}
    response = heard(
        frame({"text": "Über "}), frame({"text": "us won."}, stop="STOP", usage=metadata, groundingMetadata=GROUNDS)
    )
    assert kinds(response) == ["message", "web_search_call", "web_search_call"]
    notes = response["output"][0]["content"][0]["annotations"]
    assert [(note["start_index"], note["end_index"], note["url"], note["title"]) for note in notes] == [
        (0, 4, "https://a.org", "A"),
        (8, 12, "https://b.org", "https://b.org"),
        (0, 12, "https://a.org", "A"),
    ]
    assert [item["action"] for item in response["output"][1:]] == [
        {"type": "search", "query": "who won", "queries": ["who won"]},
        {"type": "search", "query": "score", "queries": ["score"]},
    ]
    assert response["usage"]["input_tokens"] == 10, "what a search read is not charged for"


@pytest.mark.parametrize(
    ("model", "searches"),
    [
        ("gemini-2.5-pro", [["who won", "score"]]),  # charged for by the prompt
        ("models/gemini-2.0-flash", [["who won", "score"]]),
        ("gemini-3-flash-preview", [["who won"], ["score"]]),  # by the query
        ("gemini-flash-latest", [["who won"], ["score"]]),
    ],
)
def test_there_is_a_search_for_each_that_google_charges_for(model: str, searches: list[list[str]]) -> None:
    queries = ["who won", "", "score", "who won"]
    said = frame({"text": "They."}, stop="STOP", groundingMetadata={"webSearchQueries": queries})
    response = heard({**said, "modelVersion": model})
    assert [item["action"]["queries"] for item in response["output"][1:]] == searches


def test_grounding_that_nothing_was_said_of_is_a_search() -> None:
    response = heard(frame({"functionCall": {"name": "f"}}, stop="STOP", groundingMetadata={"webSearchQueries": ["q"]}))
    assert kinds(response) == ["function_call", "web_search_call"]
    assert kinds(heard(frame({"text": "a"}, stop="STOP", groundingMetadata={}))) == ["message"]


def test_citations_are_annotations_too() -> None:
    cited = {"citations": [{"startIndex": 1, "endIndex": 3, "uri": "https://c.org", "title": "C"}, {"endIndex": 2}, 0]}
    response = heard(frame({"text": "abcd"}, stop="STOP", citationMetadata=cited))
    assert response["output"][0]["content"][0]["annotations"] == [
        {"type": "url_citation", "start_index": 1, "end_index": 3, "url": "https://c.org", "title": "C"}
    ]
    loose = {
        "citationSources": [{"startIndex": 3, "endIndex": 1, "uri": "https://c.org"}, {"startIndex": -1, "uri": "u"}]
    }
    notes = heard(frame({"text": "abcd"}, stop="STOP", citationMetadata=loose))["output"][0]["content"][0][
        "annotations"
    ]
    assert [(note["start_index"], note["end_index"], note["title"]) for note in notes] == [
        (3, 3, "https://c.org"),
        (0, 4, "u"),
    ]


def test_sources_are_of_several_kinds() -> None:
    chunks = [{"maps": {"uri": "https://m", "title": "M"}}, {"image": {"sourceUri": "https://i"}}]
    grounds = {"groundingChunks": chunks, "groundingSupports": [{"groundingChunkIndices": [0, 1]}]}
    notes = heard(frame({"text": "a"}, stop="STOP", groundingMetadata=grounds))["output"][0]["content"][0][
        "annotations"
    ]
    assert [(note["url"], note["title"]) for note in notes] == [("https://m", "M"), ("https://i", "https://i")]


def test_quotes_that_are_nowhere_keep_their_places() -> None:
    support = {"segment": {"startIndex": 0, "endIndex": 2, "text": "xyz"}, "groundingChunkIndices": [0]}
    grounds = {"groundingChunks": [{"web": {"uri": "u"}}], "groundingSupports": [support]}
    notes = heard(frame({"text": "abcd"}, stop="STOP", groundingMetadata=grounds))["output"][0]["content"][0][
        "annotations"
    ]
    assert (notes[0]["start_index"], notes[0]["end_index"]) == (0, 2)


def test_log_probabilities_are_told_with_the_text() -> None:
    result = {
        "chosenCandidates": [{"token": "a", "logProbability": -0.5}, {"token": "é"}],
        "topCandidates": [
            {"candidates": [{"token": "a", "logProbability": -0.5}, {"token": "b", "logProbability": -1}]}
        ],
    }
    response = heard(frame({"text": "t", "thought": True}, {"text": "aé"}, stop="STOP", logprobsResult=result))
    assert response["output"][1]["content"][0]["logprobs"] == [
        {
            "token": "a",
            "logprob": -0.5,
            "bytes": [97],
            "top_logprobs": [
                {"token": "a", "logprob": -0.5, "bytes": [97]},
                {"token": "b", "logprob": -1, "bytes": [98]},
            ],
        },
        {"token": "é", "logprob": 0.0, "bytes": [195, 169], "top_logprobs": []},
    ]


# how it ends


@pytest.mark.parametrize("reason", ["MAX_TOKENS", "CONTINUATION"])
def test_length_stops_are_incomplete(reason: str) -> None:
    response = heard(frame({"text": "cut"}), frame(stop=reason, usage=USAGE))
    assert (response["status"], response["incomplete_details"]) == ("incomplete", {"reason": "max_output_tokens"})
    assert response["output"][0]["status"] == "incomplete"
    nothing = heard(frame(stop=reason, usage=USAGE))
    assert (nothing["status"], nothing["output"]) == ("incomplete", [])


@pytest.mark.parametrize(
    "reason",
    [
        "SAFETY",
        "RECITATION",
        "LANGUAGE",
        "OTHER",
        "BLOCKLIST",
        "PROHIBITED_CONTENT",
        "SPII",
        "ESCALATION",
        "MODEL_ARMOR",
        "IMAGE_SAFETY",
        "IMAGE_PROHIBITED_CONTENT",
        "IMAGE_RECITATION",
        "IMAGE_OTHER",
    ],
)
def test_filters_are_incomplete(reason: str) -> None:
    response = heard(frame(stop=reason, usage=USAGE))
    assert (response["status"], response["incomplete_details"]) == ("incomplete", {"reason": "content_filter"})


def test_a_blocked_prompt_is_incomplete() -> None:
    block = {"promptFeedback": {"blockReason": "PROHIBITED_CONTENT"}, "usageMetadata": {"promptTokenCount": 4}}
    response = heard(block)
    assert (response["status"], response["incomplete_details"]) == ("incomplete", {"reason": "content_filter"})
    assert response["model"] == "gemini-3-flash"
    assert response["usage"]["input_tokens"] == 4


@pytest.mark.parametrize(
    ("reason", "kind"),
    [
        ("MALFORMED_FUNCTION_CALL", InternalServerError),
        ("MALFORMED_RESPONSE", InternalServerError),
        ("UNEXPECTED_TOOL_CALL", InternalServerError),
        ("TOO_MANY_TOOL_CALLS", InternalServerError),
        ("MISSING_THOUGHT_SIGNATURE", InternalServerError),
        ("NO_IMAGE", InternalServerError),
        ("PUP_LIMITED_DISABLED", PermissionDeniedError),
        ("FINISH_REASON_UNSPECIFIED", InternalServerError),
        ("A_NEW_ONE", InternalServerError),
    ],
)
def test_failures_fail_by_name(reason: str, kind: type[APIError]) -> None:
    frames = [frame({"text": "a"}), frame(stop=reason, finishMessage="print(", usage=USAGE)]
    response = streamed(*frames)
    assert response["status"] == "failed"
    assert response["error"]["message"].endswith(f": print( ({reason})")
    with pytest.raises(kind, match=reason) as caught:
        whole(*frames)
    assert caught.value.code == reason
    with pytest.raises(kind, match=reason):
        whole(frame(stop=reason))


def test_every_reason_that_google_knows_is_known() -> None:
    from google.genai.types import FinishReason

    from providers.generate_content.ending import FAILURES, INCOMPLETE

    assert {reason.value for reason in FinishReason} - {"FINISH_REASON_UNSPECIFIED"} == {*INCOMPLETE, *FAILURES}


@pytest.mark.parametrize(
    ("counts", "expected"),
    [
        ({"promptTokenCount": 10, "candidatesTokenCount": 5, "totalTokenCount": 15}, (10, 5, 0, 0)),
        (
            {"promptTokenCount": 10, "candidatesTokenCount": 5, "thoughtsTokenCount": 7, "totalTokenCount": 22},
            (10, 12, 0, 7),
        ),
        (
            {"promptTokenCount": 10, "candidatesTokenCount": 12, "thoughtsTokenCount": 7, "totalTokenCount": 22},
            (10, 12, 0, 7),
        ),
        (
            {"promptTokenCount": 10, "cachedContentTokenCount": 8, "thoughtsTokenCount": 3, "totalTokenCount": 13},
            (10, 3, 8, 3),
        ),
        ({"promptTokenCount": 10, "toolUsePromptTokenCount": 4, "totalTokenCount": 14}, (14, 0, 0, 0)),
        ({"promptTokenCount": "10", "candidatesTokenCount": -1}, (0, 0, 0, 0)),
    ],
)
def test_tokens_are_counted_as_openai_counts(counts: dict[str, Any], expected: tuple[int, ...]) -> None:
    usage = heard({**frame({"text": "a"}, stop="STOP"), "usageMetadata": counts})["usage"]
    found = (
        usage["input_tokens"],
        usage["output_tokens"],
        usage["input_tokens_details"]["cached_tokens"],
        usage["output_tokens_details"]["reasoning_tokens"],
    )
    assert found == expected
    assert usage["total_tokens"] == usage["input_tokens"] + usage["output_tokens"]


def test_the_last_count_counts_and_none_is_none() -> None:
    response = streamed(
        frame({"text": "a"}, usage={"promptTokenCount": 1}), frame({"text": "b"}, stop="STOP", usage=USAGE)
    )
    assert response["usage"]["total_tokens"] == 15
    assert whole(frame({"text": "a"}, stop="STOP"))["usage"] is None


@pytest.mark.parametrize(
    ("told_", "tier"),
    [
        ({"trafficType": "ON_DEMAND_FLEX"}, "flex"),
        ({"serviceTier": "priority"}, "priority"),
        ({"trafficType": "ON_DEMAND"}, "default"),
        ({"trafficType": "NEW"}, "default"),
        ({}, "default"),
    ],
)
def test_the_tier_that_served_is_told(told_: dict[str, Any], tier: str) -> None:
    metadata = {"promptTokenCount": 1, **told_}
    assert heard({**frame({"text": "a"}, stop="STOP"), "usageMetadata": metadata})["service_tier"] == tier


def test_only_the_first_candidate_is_heard() -> None:
    both = hello("one")
    both["candidates"].append(hello("two")["candidates"][0])
    assert text(heard(both)) == "one"


# what goes wrong

EXHAUSTED = {"error": {"code": 429, "message": "slow down", "status": "RESOURCE_EXHAUSTED"}}


def test_an_error_within_a_stream_fails_the_response() -> None:
    events = told(sse([frame({"text": "a"}), EXHAUSTED]))
    final = check_stream(events)
    assert (final["status"], final["error"]) == ("failed", {"code": "rate_limit_exceeded", "message": "slow down"})


@pytest.mark.parametrize(
    "body", [sse([EXHAUSTED]), json.dumps(EXHAUSTED).encode(), b" \r\n" + json.dumps([EXHAUSTED], indent=1).encode()]
)
def test_an_error_that_begins_a_stream_is_raised_however_it_is_sent(body: bytes) -> None:
    for cuts in ((), (1,), (3, 9)):
        with pytest.raises(RateLimitError, match="slow down"):
            told(body, *cuts)


def test_an_error_in_a_whole_reply_is_raised() -> None:
    with pytest.raises(RateLimitError, match="slow down"):
        decoded(EXHAUSTED)


def test_failures_are_faults_of_the_stream() -> None:
    decoder = STUDIO.events(call(stream=True), AT_STUDIO)
    events = decoder.feed(sse([frame({"text": "a"}), EXHAUSTED]))
    assert isinstance(STUDIO.fault(events[-1]), RateLimitError)
    assert STUDIO.fault(Event({"type": "response.completed"})) is None


def test_a_stream_that_breaks_off_has_failed() -> None:
    final = check_stream(told(sse([frame({"text": "a"})])))
    assert final["status"] == "failed"
    assert final["output"][0]["content"][0]["text"] == "a"
    for nothing in (b"", b"data: {", b": comment\n\n"):
        with pytest.raises(StreamInterruptedError):
            told(nothing)


@pytest.mark.parametrize("body", [b"<html>", b"[1, {}", b"{oops"])
def test_what_is_no_stream_is_an_error(body: bytes) -> None:
    with pytest.raises((MalformedReplyError, StreamInterruptedError)):
        told(body)


def test_json_without_end_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("providers.generate_content.framing.MAX_FRAME", 8)
    with pytest.raises(MalformedReplyError, match="more than 8 bytes"):
        told(b"[[[[[[[[[[")


def test_plain_json_may_hold_a_whole_stream() -> None:
    frames = [frame({"text": "a"}), hello("b"), 1]
    assert text(check_stream(told(json.dumps(frames).encode()))) == "ab"


@pytest.mark.parametrize(
    "broken",
    [
        {"candidates": [{"content": {"parts": [{"functionCall": {}}]}}]},
        {"candidates": ["?"]},
        {"candidates": [{"content": {"parts": [{"text": 1}]}, "finishReason": "STOP"}]},
        {"candidates": {"a": 1}},
        {"candidates": []},
        {},
    ],
)
def test_other_shapes_are_malformed(broken: Any) -> None:
    with pytest.raises(MalformedReplyError):
        decoded(broken)


@pytest.mark.parametrize("content", [b"no", b"[]", b"1"])
def test_what_is_no_object_is_malformed(content: bytes) -> None:
    with pytest.raises(MalformedReplyError):
        STUDIO.decode(HttpReply(200, {}, content), call(), AT_STUDIO)


# arguments that arrive in pieces


def piece(*args: Any, more: bool = True, **rest: Any) -> dict[str, Any]:
    inner: dict[str, Any] = {**rest, "partialArgs": list(args)} if args else dict(rest)
    if more:
        inner["willContinue"] = True
    return {"functionCall": inner}


def value(path: str, **kind: Any) -> dict[str, Any]:
    return {"jsonPath": path, **kind}


def test_arguments_that_arrive_in_pieces_are_put_together() -> None:
    frames = [
        frame({**piece(name="f", id="x1"), "thoughtSignature": "cw=="}),
        frame(piece(value("$.city", stringValue="Be", willContinue=True))),
        frame(piece(value("$.city", stringValue="rn"), value("$.days[0].n", numberValue=1))),
        frame(piece(value('$[\'a.b\']["c\\"d"]', boolValue=True), value("$.days[2]", nullValue="NULL_VALUE"))),
        frame(piece(value("$.nothing"))),
        frame(piece(more=False), stop="STOP", usage=USAGE),
    ]
    response = streamed(*frames)
    assert kinds(response) == ["reasoning", "function_call"]
    assert json.loads(response["output"][1]["arguments"]) == {
        "city": "Bern",
        "days": [{"n": 1}, None, None],
        "a.b": {'c"d': True},
    }


def test_a_call_that_is_cut_off_is_incomplete() -> None:
    response = streamed(frame(piece(value("$.a", stringValue="x"), name="f")), frame(stop="MAX_TOKENS", usage=USAGE))
    assert (response["output"][0]["status"], response["output"][0]["arguments"]) == ("incomplete", '{"a":"x"}')


@pytest.mark.parametrize(
    "arg",
    [
        "?",
        {},
        value("a", stringValue="x"),
        value("$", stringValue="x"),
        value("$..a", stringValue="x"),
        value("$.a!!", stringValue="x") | {"jsonPath": "$.a[b]"},
        value("$[0]", stringValue="x"),
        value("$.a[99999]", stringValue="x"),
    ],
)
def test_paths_that_lead_nowhere_are_malformed(arg: Any) -> None:
    final = streamed(frame({"text": "a"}), frame(piece(arg, name="f")))
    assert final["status"] == "failed"


def test_a_path_through_a_value_is_malformed() -> None:
    final = streamed(
        frame({"text": "a"}), frame(piece(value("$.a", stringValue="x"), value("$.a.b", boolValue=True), name="f"))
    )
    assert final["status"] == "failed"
    other = streamed(
        frame({"text": "a"}), frame(piece(value("$.a[0]", boolValue=True), value("$.a.b", boolValue=True), name="f"))
    )
    assert other["status"] == "failed"


# any chunking

EVERYTHING = sse(
    [
        frame({"text": "Hm. ", "thought": True}, usage={"promptTokenCount": 1}),
        frame({"text": "Über "}),
        frame({"text": "uns: 😀", "thoughtSignature": "MQ=="}),
        frame({"functionCall": {"id": "x1", "name": "f", "args": {"q": "data: \n\n"}}, "thoughtSignature": "Mg=="}),
        frame({"executableCode": {"code": "1"}}, {"codeExecutionResult": {"output": "1"}}),
        frame({"text": "So."}, groundingMetadata=GROUNDS),
        frame(stop="STOP", usage=USAGE),
    ]
)
WHOLE = told(EVERYTHING)


@given(st.lists(st.integers(0, len(EVERYTHING)), max_size=12))
def test_any_chunking_makes_the_same_events(cuts: list[int]) -> None:
    events = told(EVERYTHING, *cuts)
    check_stream(events)
    assert events == WHOLE


PARTS = st.one_of(
    st.builds(
        lambda text, signed: {"text": text, **signed},
        st.text(max_size=5),
        st.sampled_from([{}, {"thoughtSignature": "YQ=="}]),
    ),
    st.builds(lambda text: {"text": text, "thought": True}, st.text(max_size=5)),
    st.builds(
        lambda args: {"functionCall": {"id": "i", "name": "f", "args": args}},
        st.dictionaries(st.text(max_size=3), st.integers(), max_size=2),
    ),
    st.sampled_from(
        [
            {"executableCode": {"code": "1"}},
            {"codeExecutionResult": {"output": "1"}},
            {"inlineData": {"mimeType": "image/png", "data": ""}},
            {"toolResponse": {}},
        ]
    ),
)


@given(st.lists(st.lists(PARTS, max_size=3), max_size=6), st.sampled_from(["STOP", "MAX_TOKENS", "SAFETY", "NO_IMAGE"]))
def test_any_parts_in_any_order_are_a_proper_stream(turns: list[list[dict[str, Any]]], stop: str) -> None:
    response = streamed(*(frame(*parts) for parts in turns), frame(stop=stop, usage=USAGE))
    said = "".join(part["text"] for parts in turns for part in parts if "text" in part and "thought" not in part)
    assert text(response) == said
