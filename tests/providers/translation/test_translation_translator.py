"""What is the same for every dialect: encoding, decoding, streams that break off or break rules, errors, names."""

import re
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest
from pydantic import BaseModel
from responses_protocol import check_stream
from toy_dialect import DEPLOYMENT, NAMING, STEM, TOY, Toy, ToyListener, frames, toy, toy_call

from providers import jsonio
from providers.errors import (
    APIError,
    BadRequestError,
    InternalServerError,
    MalformedReplyError,
    RateLimitError,
    StreamInterruptedError,
    UnsupportedParamsError,
)
from providers.translation.narrator import Narrator
from providers.translation.tools import wire_name
from providers.translation.translator import Translator, joined
from providers.types import Call, Deployment, HttpReply, Json, JsonObject, Verb
from providers.views import Event, Response

START: JsonObject = {"act": "start"}
TEXT: JsonObject = {"act": "text", "of": ["Hello"]}
FINISH: JsonObject = {"act": "finish"}
FIELDS = """
    id object created_at completed_at status incomplete_details model previous_response_id instructions output error
    tools tool_choice truncation parallel_tool_calls text top_p presence_penalty frequency_penalty top_logprobs
    temperature reasoning usage max_output_tokens max_tool_calls store background service_tier metadata
    safety_identifier prompt_cache_key

    user moderation prompt_cache_retention
"""
"""What Open Responses requires, and what OpenAI's own responses have besides."""


def reply(json: object, status: int = 200, **headers: str) -> HttpReply:
    return HttpReply(status, {name.replace("_", "-"): value for name, value in headers.items()}, jsonio.dumps(json))


def decode(*acts: JsonObject, call: Call | None = None) -> Response:
    found = toy().decode(reply({"acts": list(acts)}), call or toy_call(), DEPLOYMENT)
    assert isinstance(found, Response)
    return found


def stream(*chunks: bytes, translator: Translator | None = None) -> list[Event]:
    decoder = (translator or toy()).events(toy_call(True), DEPLOYMENT)
    return [event for chunk in chunks for event in decoder.feed(chunk)] + decoder.end()


def final(events: Sequence[Event]) -> dict[str, Any]:
    return check_stream([event.to_dict() for event in events])


# requests


def test_a_request() -> None:
    deployment = replace(DEPLOYMENT, headers={"X-Team": "a", "Accept": "text/plain"}, drop_params=True)
    call = replace(
        toy_call(temperature=0.5, top_p=1), headers={"X-Team": "b"}, extra_body={"options": {"k": 4}, "z": 1}
    )
    request = toy().encode(call, deployment)
    assert (request.method, request.url) == ("POST", "https://toys.example.com/toy-1")
    assert request.headers == {
        "accept": "text/plain",
        "content-type": "application/json",
        "user-agent": "homing-router",
        "x-toy": "yes",
        "x-team": "b",
    }
    body = jsonio.loads(request.content)
    assert isinstance(body, dict)
    assert (body["said"], body["z"]) == (["user: Hello"], 1)
    assert body["options"] == {
        "instructions": None,
        "max_output_tokens": None,
        "metadata": None,
        "temperature": 0.5,
        "k": 4,
    }
    assert request.dropped == ("top_p: toys have none",)
    assert toy().encode(toy_call(True), DEPLOYMENT).headers["accept"] == "text/event-stream"


def test_headers_that_are_lists_are_joined() -> None:
    class Listing(Toy):
        listed = frozenset({"x-toy", "x-more"})

    deployment = replace(DEPLOYMENT, headers={"X-Toy": "a, yes", "X-Other": "1"})
    call = replace(toy_call(), headers={"x-toy": "b,", "x-more": "c", "x-other": "2"})
    headers = Listing("toys").encode(call, deployment).headers
    assert (headers["x-toy"], headers["x-more"], headers["x-other"]) == ("yes,a,b", "c", "2")


@pytest.mark.parametrize("verb", [verb for verb in Verb if verb is not Verb.CREATE and not verb.of_conversations])
def test_other_operations_there_are_none(verb: Verb) -> None:
    with pytest.raises(BadRequestError, match=f"toys has no operation {verb}") as failed:
        toy().encode(Call("toys", verb, response_id="resp_1"), DEPLOYMENT)
    assert failed.value.code == "unsupported_operation"


@pytest.mark.parametrize("verb", [verb for verb in Verb if verb.of_conversations])
def test_there_are_no_conversations_and_it_is_said_where_there_are(verb: Verb) -> None:
    with pytest.raises(UnsupportedParamsError, match=r"^toys keeps no conversations; deployments of azure, .* do$"):
        toy().encode(Call("toys", verb, conversation_id="conv_1"), DEPLOYMENT)


def test_what_has_no_json_form_is_a_type_error() -> None:
    with pytest.raises(TypeError, match="object is not JSON"):
        toy().encode(toy_call(metadata={"a": object()}), DEPLOYMENT)


def test_bodies_are_joined_the_second_winning() -> None:
    body: JsonObject = {"a": {"b": {"c": 1, "d": 2}, "e": 3}, "f": [1], "g": 1}
    inner = body["a"]
    assert joined(body, {"a": {"b": {"c": 9}}, "f": [2], "g": {"h": 1}, "i": None}) == {
        "a": {"b": {"c": 9, "d": 2}, "e": 3},
        "f": [2],
        "g": {"h": 1},
        "i": None,
    }
    assert inner == {"b": {"c": 1, "d": 2}, "e": 3}


# replies


def test_a_reply() -> None:
    class Format(BaseModel):
        type: str

    call = toy_call(
        instructions="Be brief.",
        metadata={"a": "1"},
        reasoning={"effort": "low"},
        text={"format": Format(type="text"), "verbosity": "low"},
        temperature=None,
        service_tier="auto",
        previous_response_id="resp_0",
    )
    response = decode(START, TEXT, FINISH, call=replace(call, extra_body={"user": "u", "odd": 1}))
    assert (response.id, response.status, response.output_text) == (f"resp_{STEM}", "completed", "Hello")
    assert (response.created_at, response.completed_at, response.model) == (1_700_000_000, 1_700_000_000, "toy-1")
    json = response.to_dict()
    assert json["instructions"] == "Be brief."
    assert json["metadata"] == {"a": "1"}
    assert json["reasoning"] == {"effort": "low", "summary": None}
    assert json["text"] == {"format": {"type": "text"}, "verbosity": "low"}
    assert (json["temperature"], json["service_tier"], json["user"]) == (1.0, "default", "u")
    assert json["previous_response_id"] == "resp_0"
    assert "odd" not in json


def test_a_response_has_every_field_that_openai_requires() -> None:
    assert set(decode(START, FINISH).to_dict()) == set(FIELDS.split())


def test_what_is_no_object_is_echoed_as_it_is() -> None:
    response = decode(START, FINISH, call=toy_call(reasoning="high", tool_choice={"type": "none"}))
    assert (response["reasoning"], response["tool_choice"]) == ("high", {"type": "none"})


def test_responses_share_nothing() -> None:
    first = decode(START, FINISH).to_dict()
    for value in first.values():
        if isinstance(value, dict):
            value["mine"] = 1
        elif isinstance(value, list):
            value.append(1)
    assert "mine" not in jsonio.dumps(decode(START, FINISH)).decode()
    assert decode(START, FINISH)["tools"] == []


def test_the_model_of_a_wildcard() -> None:
    call = replace(toy_call(), wildcard="2")
    found = toy().decode(reply({"acts": [START, FINISH]}), call, replace(DEPLOYMENT, model="toy-*"))
    assert found["model"] == "toy-2"


def test_defaults_and_extra_bodies_are_echoed() -> None:
    deployment = replace(DEPLOYMENT, defaults={"temperature": 0.1, "top_p": 0.2}, extra_body={"top_p": 0.3})
    found = toy().decode(reply({"acts": [START, FINISH]}), toy_call(temperature=0.4), deployment)
    assert (found["temperature"], found["top_p"]) == (0.4, 0.3)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "the reply is not JSON"),
        (b"<html>", "the reply is not JSON: '<html>'"),
        (b"[1]", "the reply is not a JSON object"),
        (b"{}", "the reply has another shape"),
        (b'{"acts":[3]}', "the reply has another shape"),
        (b'{"acts":[{"act":"what"}]}', "the reply has another shape"),
        (b'{"acts":[{"act":"start"}]}', "the reply is not whole"),
    ],
)
def test_a_reply_of_another_shape_is_malformed(content: bytes, message: str) -> None:
    malformed = HttpReply(200, {"x-request-id": "req_1", "retry-after": "3"}, content, 1_700_000_000.0)
    with pytest.raises(MalformedReplyError) as failed:
        toy().decode(malformed, toy_call(), DEPLOYMENT)
    assert failed.value.message.startswith(message)
    assert (failed.value.request_id, failed.value.retry_after) == ("req_1", 3.0)
    assert failed.value.__suppress_context__


@pytest.mark.parametrize("acts", [[{"error": "oh"}], [START, TEXT, {"error": "oh"}]])
def test_a_reply_that_reports_an_error_raises_it(acts: list[Json]) -> None:
    with pytest.raises(InternalServerError, match="oh") as failed:
        toy().decode(reply({"acts": acts}, x_request_id="req_1"), toy_call(), DEPLOYMENT)
    assert (failed.value.code, failed.value.request_id) == ("toy", "req_1")


def test_a_reply_that_fails_as_it_is_told_raises_its_cause() -> None:
    class Failing(Toy):
        def read(self, json: JsonObject, narrator: Narrator, call: Call, deployment: Deployment) -> None:
            narrator.start()
            narrator.fail(RateLimitError("slowly", request_id="mine", retry_after=1.0))

    with pytest.raises(RateLimitError) as failed:
        Failing("toys").decode(reply({}, x_request_id="other", retry_after="9"), toy_call(), DEPLOYMENT)
    assert (failed.value.request_id, failed.value.retry_after) == ("mine", 1.0)


@pytest.mark.parametrize("status", [199, 300, 404])
def test_only_a_2xx_is_an_answer(status: int) -> None:
    with pytest.raises(APIError) as failed:
        toy().decode(reply({"acts": [START, FINISH]}, status), toy_call(), DEPLOYMENT)
    assert failed.value.status_code == status


def test_other_statuses_are_errors() -> None:
    with pytest.raises(RateLimitError, match="slowly"):
        toy().decode(reply({"error": {"message": "slowly"}}, 429), toy_call(), DEPLOYMENT)


# streams


def test_a_stream() -> None:
    assert final(stream(frames([START, TEXT, FINISH])))["output"][0]["content"][0]["text"] == "Hello"


@pytest.mark.parametrize(
    ("body", "error"),
    [
        (b"", StreamInterruptedError),
        (b": ping\n\n", StreamInterruptedError),
        (b"data: {\n\n", MalformedReplyError),
        (b'data: {"act": "what"}\n\n', MalformedReplyError),
        (b'data: {"act": "text", "of": [1, 2, 3, 4]}\n\n', MalformedReplyError),
        (b"data: {}\n\n", MalformedReplyError),
        (b'data: {"error": "oh"}\n\n', InternalServerError),
    ],
)
def test_a_stream_that_fails_before_it_began_raises(body: bytes, error: type[APIError]) -> None:
    with pytest.raises(error) as failed:
        stream(body)
    assert type(failed.value) is error


@pytest.mark.parametrize(
    ("rest", "error"),
    [
        (b"", StreamInterruptedError),
        (b'data: {"act": "te', StreamInterruptedError),
        (b"data: {\n\n", MalformedReplyError),
        (b'data: {"act": "what"}\n\n', MalformedReplyError),
        (b'data: {"error": "oh"}\n\n', InternalServerError),
    ],
)
@pytest.mark.parametrize("before", [[START], [START, TEXT]])
def test_a_stream_that_fails_after_it_began_says_so(
    before: list[JsonObject], rest: bytes, error: type[APIError]
) -> None:
    for chunks in ([frames(before) + rest], [frames(before), rest]):
        events = stream(*chunks)
        response = final(events)
        assert (response["status"], len(response["output"])) == ("failed", len(before) - 1)
        cause = toy().fault(events[-1])
        assert type(cause) is error
        assert response["error"]["message"] == cause.message
        assert [toy().fault(event) for event in events[:-1]] == [None] * (len(events) - 1)


def test_what_follows_the_end_is_not_heard() -> None:
    for rest in (frames([TEXT]), b"data: {\n\n", frames([{"error": "oh"}])):
        for chunks in ([frames([START, FINISH]) + rest], [frames([START, FINISH]), rest]):
            assert final(stream(*chunks))["status"] == "completed"


def test_a_last_frame_without_its_blank_line_counts() -> None:
    assert final(stream(frames([START, FINISH])[:-2]))["status"] == "completed"


def test_a_dialect_without_a_last_frame_can_say_that_the_end_is_the_end() -> None:
    class Ending(Toy):
        ends_itself = True

    assert final(stream(frames([START, TEXT]), translator=Ending("toys")))["status"] == "completed"


@pytest.mark.parametrize("error", [KeyError("x"), RateLimitError("slowly")])
@pytest.mark.parametrize("finishes", [False, True])
def test_an_end_that_goes_wrong_fails_the_stream(error: Exception, finishes: bool) -> None:
    class Broken(ToyListener):
        def end(self) -> None:
            if finishes:
                self._narrator.finish()
            raise error

    class Breaking(Toy):
        def listener(self, narrator: Narrator, call: Call, deployment: Deployment) -> ToyListener:
            return Broken(narrator)

    events = stream(frames([START, TEXT]), translator=Breaking("toys"))
    assert final(events)["status"] == ("completed" if finishes else "failed")
    expected = error if isinstance(error, APIError) else None
    if not finishes:
        cause = toy().fault(events[-1])
        assert cause is expected or isinstance(cause, MalformedReplyError)


# names of functions


def test_functions_are_told_by_the_callers_names() -> None:
    wire = wire_name("get weather", NAMING, {})
    tools = [{"type": "function", "name": "get weather"}, {"type": "custom", "name": "shell"}]
    acts: list[JsonObject] = [START]
    for name in (wire, "shell", "unheard_of"):
        acts += [{"act": "call", "of": [f"c_{name}", name]}, {"act": "arguments", "of": ['{"input":"x"}']}]
    response = decode(*acts, FINISH, call=toy_call(tools=tools))
    assert [(item.type, item.name) for item in response.output] == [
        ("function_call", "get weather"),
        ("custom_tool_call", "shell"),
        ("function_call", "unheard_of"),
    ]


def test_a_function_called_though_none_was_given_is_told_all_the_same() -> None:
    response = decode(START, {"act": "call", "of": ["c1", "f"]}, FINISH)
    assert response.output[0].name == "f"


def test_a_function_called_though_tools_were_dropped_is_told_all_the_same() -> None:
    class Without(Toy):
        table = {**TOY, "tools": replace(TOY["top_p"], name="tools")}

    call = replace(toy_call(tools=[{"type": "function", "name": "f"}]), drop_params=True)
    acts: list[Json] = [START, {"act": "call", "of": ["c1", "f"]}, FINISH]
    found = Without("toys").decode(reply({"acts": acts}), call, DEPLOYMENT)
    assert found["output"][0]["name"] == "f"


def test_an_extra_body_can_bring_the_tools() -> None:
    wire = wire_name("get weather", NAMING, {})
    call = replace(toy_call(), extra_body={"tools": [{"type": "function", "name": "get weather"}]})
    assert decode(START, {"act": "call", "of": ["c1", wire]}, FINISH, call=call).output[0].name == "get weather"


# the rest


def test_a_translator_says_who_it_is() -> None:
    assert repr(toy()) == "Toy('toys')"
    assert (toy().name, toy().default_base) == ("toys", None)
    assert toy().remote(toy_call(), DEPLOYMENT) == ()


def test_ids_and_times_are_real_unless_told_otherwise() -> None:
    one, two = (Toy("toys").decode(reply({"acts": [START, FINISH]}), toy_call(), DEPLOYMENT) for _ in "ab")
    assert one["id"] != two["id"]
    assert re.fullmatch(r"resp_[0-9a-f]{32}", one["id"])
    assert one["created_at"] > 1_700_000_000
