"""Chat completions through the proxy, over real sockets, asked by OpenAI's own client and by plain HTTP."""

import json
import queue
import socket
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any

import httpx
import leftovers
import openai
import pytest
from chat_talk import recorded
from chatting import apart, completion, joined, message
from fake_anthropic import KEY as ANTHROPIC_KEY
from fake_anthropic import FakeAnthropic, fake_anthropic
from fake_chat import KEY as CHAT_KEY
from fake_chat import FakeChat, fake_chat
from openai.types.chat import ChatCompletionMessageParam, ChatCompletionToolUnionParam
from proxies import data, proxying
from pydantic import BaseModel
from routers import bodies, entry, misbehave

from providers.simulated import SimulatedUpstream
from router import Router
from router.proxy.settings import ProxySettings
from router.telemetry.record import CallRecord

HI: list[dict[str, Any]] = [{"role": "user", "content": "Hi"}]
WEATHER: ChatCompletionToolUnionParam = {
    "type": "function",
    "function": {"name": "get_weather", "parameters": {"type": "object", "properties": {"city": {"type": "string"}}}},
}


@dataclass
class Stage:
    """A proxy and what stands behind it."""

    url: str
    upstream: SimulatedUpstream
    """Behind the model `gpt`."""
    broken: SimulatedUpstream
    """Behind `broken`, to be changed by tests."""
    chat: FakeChat
    """Behind `chat`, and `lenient` which drops what it has no word for."""
    claude: FakeAnthropic
    """Behind `claude`."""
    records: "queue.SimpleQueue[CallRecord]"
    http: httpx.Client

    def post(self, path: str = "/v1/chat/completions", headers: Any = None, **body: Any) -> httpx.Response:
        """Ask by plain HTTP."""
        asked = {"model": "gpt", "messages": HI, **body}
        return self.http.post(path, json=asked, headers=headers)


_nothing_left_open = leftovers.nothing_left_open_at_the_end


@pytest.fixture(scope="module")
def stage() -> Iterator[Stage]:
    with ExitStack() as stack:
        upstream = stack.enter_context(SimulatedUpstream.in_thread("u0"))
        broken = stack.enter_context(SimulatedUpstream.in_thread("u1"))
        chat, claude = stack.enter_context(apart(fake_chat())), stack.enter_context(apart(fake_anthropic()))
        there = {"model": "openai_compatible/m-1", "api_base": f"{chat.url}/v1", "api_key": CHAT_KEY}
        anthropic = {"model": "anthropic/claude-sonnet-4-5", "api_base": claude.url, "api_key": ANTHROPIC_KEY}
        model_list = [
            entry(upstream, "gpt"),
            entry(upstream, "dropping", id="dropping", drop_params=True),
            entry(upstream, "half", id="half-dropping", drop_params=True),
            entry(upstream, "half", id="half-strict"),
            entry(broken, "broken"),
            {"model_name": "chat", "litellm_params": there},
            {"model_name": "lenient", "litellm_params": {**there, "drop_params": True}},
            {"model_name": "claude", "litellm_params": anthropic},
        ]
        records: queue.SimpleQueue[CallRecord] = queue.SimpleQueue()
        settings = ProxySettings(keep_alive=0.02, headers_after=0.2)
        router = Router(model_list, num_retries=0, disable_cooldowns=True, callbacks=[records.put])
        url = stack.enter_context(proxying(router, settings))
        http = stack.enter_context(httpx.Client(base_url=url, timeout=20))
        yield Stage(url, upstream, broken, chat, claude, records, http)


@pytest.fixture(autouse=True)
def well(stage: Stage) -> None:
    misbehave(stage.broken)


def client(stage: Stage, prefix: str = "/v1") -> openai.OpenAI:
    return openai.OpenAI(base_url=stage.url + prefix, api_key="any", max_retries=0, _strict_response_validation=True)


# OpenAI's own client


@pytest.mark.parametrize("prefix", ["", "/v1", "/openai/v1"])
def test_openais_client_is_answered(stage: Stage, prefix: str) -> None:
    with client(stage, prefix) as ask:
        answer = ask.chat.completions.create(model="gpt", messages=[{"role": "user", "content": "My name is Ada."}])
    assert answer.choices[0].finish_reason == "stop"
    assert "My name is Ada." in (answer.choices[0].message.content or "")
    assert answer.usage is not None
    assert answer.usage.prompt_tokens > 0
    assert answer.created > 1_700_000_000
    assert answer.model


async def test_openais_async_client_reads_a_stream(stage: Stage) -> None:
    async with openai.AsyncOpenAI(base_url=stage.url, api_key="any", max_retries=0) as ask:
        stream = await ask.chat.completions.create(
            model="gpt",
            messages=[{"role": "user", "content": "Hi"}],
            stream=True,
            stream_options={"include_usage": True},
        )
        chunks = [chunk async for chunk in stream]
    text = "".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices)
    assert text.startswith("Turn 1 at u0.")
    assert chunks[-1].usage is not None
    assert chunks[-1].usage.total_tokens == chunks[-1].usage.prompt_tokens + chunks[-1].usage.completion_tokens


def test_openais_stream_helper_is_content_with_our_streams(stage: Stage) -> None:
    class Weather(BaseModel):
        city: str
        degrees: int

    with (
        client(stage) as ask,
        ask.chat.completions.stream(
            model="gpt", messages=[{"role": "user", "content": "The weather?"}], response_format=Weather
        ) as events,
    ):
        kinds = {event.type for event in events}
        final = events.get_final_completion()
    assert {"chunk", "content.delta", "content.done"} <= kinds
    assert isinstance(final.choices[0].message.parsed, Weather)


def test_a_pydantic_model_is_parsed(stage: Stage) -> None:
    class Weather(BaseModel):
        city: str

    with client(stage) as ask:
        answer = ask.chat.completions.parse(
            model="gpt", messages=[{"role": "user", "content": "The weather?"}], response_format=Weather
        )
    assert isinstance(answer.choices[0].message.parsed, Weather)
    form = bodies(stage.upstream)[-1]["text"]["format"]
    assert (form["type"], form["name"], form["strict"]) == ("json_schema", "Weather", True)


@pytest.mark.parametrize("model", ["gpt", "claude", "chat"])
@pytest.mark.parametrize("streamed", [False, True])
def test_a_tool_is_called_and_its_output_is_told(stage: Stage, model: str, streamed: bool) -> None:
    said: list[ChatCompletionMessageParam] = [{"role": "user", "content": "please call get_weather"}]
    _play(stage, model, chat="openai_tools", claude="parallel_tools")
    with client(stage) as ask:
        if streamed:
            with ask.chat.completions.stream(model=model, messages=said, tools=[WEATHER]) as events:
                for _ in events:
                    pass
                answer: Any = events.get_final_completion().choices[0]
        else:
            answer = ask.chat.completions.create(model=model, messages=said, tools=[WEATHER]).choices[0]
        assert answer.finish_reason == "tool_calls"
        calls = answer.message.tool_calls
        assert calls
        assert all(isinstance(json.loads(call.function.arguments), dict) for call in calls)
        said.append(answer.message.model_dump(exclude_none=True))
        said += [{"role": "tool", "tool_call_id": call.id, "content": "18 degrees"} for call in calls]
        _play(stage, model, chat="openai_text", claude="text")
        end = ask.chat.completions.create(model=model, messages=said, tools=[WEATHER]).choices[0]
        assert end.finish_reason == "stop"
        if model == "gpt":
            assert "The tool said: '18 degrees'" in (end.message.content or "")
    if model == "claude":
        results = stage.claude.body["messages"][-1]["content"]
        assert [block["tool_use_id"] for block in results] == [call.id for call in calls]


def _play(stage: Stage, model: str, *, chat: str, claude: str) -> None:
    """What the fake behind `model`, if there is one, answers next."""
    if model == "chat":
        stage.chat.play(chat)
    elif model == "claude":
        stage.claude.play(claude)


# the same way there and back


@pytest.mark.parametrize(
    "name",
    [
        "openai_text",
        "openai_refusal",
        "openai_length",
        "openai_length_in_call",
        "openai_logprobs",
        "openai_text_then_tool",
        "openai_tools",
        "openai_legacy_function",
    ],
)
@pytest.mark.parametrize("streamed", [False, True])
def test_what_a_vendor_of_chat_completions_says_arrives_as_it_was_said(stage: Stage, name: str, streamed: bool) -> None:
    stage.chat.play(name)
    legacy = name == "openai_legacy_function"
    more: dict[str, Any] = {"functions": [{"name": "get_weather"}]} if legacy else {"tools": [WEATHER]}
    if streamed:
        more |= {"stream": True, "stream_options": {"include_usage": not legacy}}
    answer = stage.post(model="chat", logprobs=True, **more)
    assert answer.status_code == 200, answer.text
    if streamed:
        got = joined(data(answer.text), usage=not legacy)
    else:
        completion(answer.json())
        got = answer.json()
    said = json.loads(recorded(f"{name}.json"))
    wanted, choice = said["choices"][0], got["choices"][0]
    told = message(got)
    if name == "openai_length_in_call":
        told["tool_calls"][0]["id"] = wanted["message"]["tool_calls"][0]["id"]
    assert told == message(said)
    assert choice["finish_reason"] == wanted["finish_reason"]
    assert choice.get("logprobs") == wanted["logprobs"]
    assert got["model"] == said["model"]
    if "usage" not in said:
        assert got.get("usage") is None
        return
    for count in ("prompt_tokens", "completion_tokens", "total_tokens"):
        assert got["usage"][count] == said["usage"][count]
    assert got["usage"]["prompt_tokens_details"]["cached_tokens"] == 8
    assert got["usage"]["completion_tokens_details"]["reasoning_tokens"] == 3


PNG = "data:image/png;base64,iVBORw0KGgo="
TALK: list[dict[str, Any]] = [
    {"role": "system", "content": "Be brief."},
    {
        "role": "user",
        "content": [
            {"type": "text", "text": "What is this?"},
            {"type": "image_url", "image_url": {"url": PNG, "detail": "low"}},
            {"type": "input_audio", "input_audio": {"data": "UklGRg==", "format": "wav"}},
            {"type": "file", "file": {"filename": "a.pdf", "file_data": "data:application/pdf;base64,JVBERi0="}},
        ],
    },
    {
        "role": "assistant",
        "content": "I look.",
        "tool_calls": [{"id": "call_1", "type": "function", "function": {"name": "get_weather", "arguments": "{}"}}],
    },
    {"role": "tool", "tool_call_id": "call_1", "content": "18"},
    {"role": "assistant", "content": "Mild."},
    {"role": "user", "content": "Thanks"},
]


def test_a_vendor_of_chat_completions_is_sent_what_was_asked(stage: Stage) -> None:
    stage.chat.say("You're welcome")
    asked: dict[str, Any] = {
        "messages": TALK,
        "tools": [{"type": "function", "function": {**WEATHER["function"], "strict": False}}],  # type: ignore[typeddict-item]  # it is a function
        "tool_choice": {"type": "function", "function": {"name": "get_weather"}},
        "parallel_tool_calls": False,
        "max_tokens": 100,
        "temperature": 0.5,
        "top_p": 0.9,
        "stop": ["END"],
        "seed": 7,
        "frequency_penalty": 0.1,
        "presence_penalty": 0.2,
        "logprobs": True,
        "top_logprobs": 2,
        "reasoning_effort": "low",
        "user": "ada",
        "response_format": {"type": "json_schema", "json_schema": {"name": "x", "schema": {"type": "object"}}},
    }
    answer = stage.post(model="chat", **asked)
    assert answer.status_code == 200, answer.text
    sent = stage.chat.body
    assert {**asked, "model": "m-1"} == sent


def test_claude_is_heard_with_its_thoughts_which_can_be_sent_back(stage: Stage) -> None:
    for streamed in (False, True):
        stage.claude.play("interleaved")
        answer = stage.post(model="claude", tools=[WEATHER], stream=streamed, reasoning_effort="high", max_tokens=9999)
        assert answer.status_code == 200, answer.text
        said = message(joined(data(answer.text)) if streamed else answer.json())
        assert said["reasoning_content"]
        assert said["reasoning_details"][0]["data"]
        back = stage.chat if streamed else stage.claude
        results = [{"role": "tool", "tool_call_id": call["id"], "content": "done"} for call in said["tool_calls"]]
        back.play("text" if back is stage.claude else "openai_text")
        talk = [*HI, {**said, "role": "assistant"}, *results]
        model = "claude" if back is stage.claude else "chat"
        more: dict[str, Any] = {"reasoning_effort": "high", "max_tokens": 9999} if model == "claude" else {}
        again = stage.post(model=model, messages=talk, tools=[WEATHER], **more)
        assert again.status_code == 200, again.text
    kinds = [block["type"] for block in stage.claude.received[-2].body["messages"][1]["content"]]
    assert kinds[0] == "thinking"


# errors


@pytest.mark.parametrize(
    ("body", "param", "code"),
    [
        ({"model": None}, "model", "missing_required_parameter"),
        ({"messages": None}, "messages", "missing_required_parameter"),
        ({"messages": []}, "messages", "empty_array"),
        ({"messages": "Hi"}, "messages", "invalid_value"),
        ({"messages": [{"role": "user"}]}, "messages[0].content", "missing_required_parameter"),
        ({"messages": [{"role": "user", "content": 7}]}, "messages[0].content", "invalid_type"),
        ({"messages": [{"role": "robot", "content": "Hi"}]}, "messages[0].role", "invalid_value"),
        ({"n": 2}, "n", "unsupported_parameter"),
        ({"logit_bias": {"50256": -100}}, "logit_bias", "unsupported_parameter"),
        ({"prediction": {"type": "content", "content": "x"}}, "prediction", "unsupported_parameter"),
        ({"modalities": ["text", "audio"], "drop_params": True}, "modalities", "unsupported_parameter"),
        ({"audio": {"voice": "alloy", "format": "wav"}, "drop_params": True}, "audio", "unsupported_parameter"),
        ({"input": "Hi"}, "input", "unsupported_parameter"),
        ({"affinity_scope": "x"}, "affinity_scope", "invalid_argument"),
        ({"stream": "yes"}, "stream", "invalid_argument"),
        ({"model": "half", "n": 2}, "n", "unsupported_parameter"),
        ({"model": "dropping", "n": 2, "drop_params": False}, "n", "unsupported_parameter"),
        ({"model": "chat", "verbosity": "low"}, "verbosity", "unsupported_parameter"),
        ({"model": "claude", "logprobs": True}, "logprobs", "unsupported_parameter"),
        ({"model": "chat", "web_search_options": {}}, "web_search_options", "unsupported_parameter"),
        (
            {"model": "chat", "messages": [*HI, {"role": "user", "content": [{"type": "video_url"}]}]},
            "messages[1].content[0].type",
            "invalid_value",
        ),
    ],
)
def test_errors_name_the_parameter_as_the_client_knows_it(
    stage: Stage, body: dict[str, Any], param: str, code: str
) -> None:
    for stream in (False, True):
        answer = stage.post(**{"stream": stream, **body})
        error = answer.json()["error"]
        assert (answer.status_code, error["param"], error["code"]) == (400, param, code), error
        assert error["type"] == "invalid_request_error"


def test_an_unknown_model_is_a_404_as_it_is_for_chat_completions(stage: Stage) -> None:
    with client(stage) as ask, pytest.raises(openai.NotFoundError) as raised:
        ask.chat.completions.create(model="gtp", messages=[{"role": "user", "content": "Hi"}])
    assert raised.value.code == "model_not_found"
    assert "'gpt'" in str(raised.value)


@pytest.mark.parametrize("stream", [False, True])
def test_an_error_before_the_first_byte_is_json(stage: Stage, stream: bool) -> None:
    misbehave(stage.broken, "429", retry_after=0.001)
    answer = stage.post(model="broken", stream=stream)
    assert answer.status_code == 429
    assert answer.headers["x-should-retry"] == "false"
    assert answer.json()["error"]["code"] == "rate_limit_exceeded"


def test_a_stream_that_is_cut_tells_it_so_that_clients_notice(stage: Stage) -> None:
    misbehave(stage.broken, "cut_after_output")
    *chunks, error, done = data(stage.post(model="broken", stream=True).text)
    assert (list(error), done) == (["error"], "[DONE]")
    assert set(error["error"]) == {"message", "type", "param", "code"}
    assert chunks[0]["choices"][0]["delta"] == {"role": "assistant", "content": "", "refusal": None}
    assert not [each for each in chunks if each["choices"][0]["finish_reason"]]
    with client(stage) as ask, pytest.raises(openai.APIError):
        list(ask.chat.completions.create(model="broken", messages=[{"role": "user", "content": "Hi"}], stream=True))


def test_a_failure_that_upstream_tells_itself_is_told_once(stage: Stage) -> None:
    misbehave(stage.broken, "error_event_after_output")
    events = data(stage.post(model="broken", stream=True).text)
    assert [list(each) for each in events if "error" in each] == [["error"]]
    assert "error" in events[-2]


def test_a_failure_after_the_headers_is_told_in_the_stream(stage: Stage) -> None:
    misbehave(stage.broken, "hang")
    text = stage.post(model="broken", stream=True, timeout=1).text
    assert ": ping\n\n" in text
    error, done = data(text)
    assert (error["error"]["type"], done) == ("timeout_error", "[DONE]")


@pytest.mark.parametrize(("stream", "fault"), [(True, "stall_after_output"), (False, "hang")])
def test_when_a_client_leaves_the_deployment_is_told_at_once(stage: Stage, stream: bool, fault: Any) -> None:
    misbehave(stage.broken, fault)
    asked = {"model": "broken", "messages": HI, "stream": stream}
    address = stage.url.removeprefix("http://").split(":")
    content = json.dumps(asked).encode()
    with socket.create_connection((address[0], int(address[1])), timeout=20) as leaving:
        leaving.sendall(b"POST /chat/completions HTTP/1.1\r\nhost: x\r\ncontent-length: %d\r\n\r\n" % len(content))
        leaving.sendall(content)
        stage.broken.wait_until(lambda: stage.broken.active_requests == 1)
    stage.broken.wait_until(lambda: stage.broken.active_requests == 0)
    stage.broken.wait_until(lambda: stage.broken.open_connections == 0)


# what is the same as for responses


def test_each_frame_is_one_write_and_names_no_event(stage: Stage) -> None:
    asked = {"model": "gpt", "messages": HI, "stream": True}
    with stage.http.stream("POST", "/chat/completions", json=asked) as answer:
        assert answer.headers["content-type"] == "text/event-stream; charset=utf-8"
        text = "".join(answer.iter_text())
    frames = text.split("\n\n")
    assert frames.pop() == ""
    assert all(each.startswith("data: ") and "\n" not in each for each in frames)


def test_azures_form_names_the_deployment_in_the_path(stage: Stage) -> None:
    with openai.AzureOpenAI(
        azure_endpoint=stage.url, azure_deployment="gpt", api_key="any", api_version="2024-10-21", max_retries=0
    ) as ask:
        answer = ask.chat.completions.create(model="whatever", messages=[{"role": "user", "content": "Hi"}])
    assert (answer.choices[0].message.content or "").startswith("Turn 1 at u0.")
    assert not stage.upstream.requests[-1].query, "what Azure's client says of its version is nothing to others"


def test_answers_say_who_served_them_and_records_know_who_asked(stage: Stage) -> None:
    headers = {"x-litellm-tags": "a, b"}
    answer = stage.post(headers=headers, user="ada", litellm_metadata={"team": "red"}, metadata={"order": "17"})
    assert answer.headers["x-homing-deployment"] == answer.headers["x-litellm-model-id"] == "u0"
    assert answer.headers["x-request-id"]
    records = iter(lambda: stage.records.get(timeout=20), None)
    record = next(each for each in records if each.id == answer.headers["x-homing-call-id"])
    assert record.tags == ("a", "b")
    assert record.metadata["team"] == "red"
    body = bodies(stage.upstream)[-1]
    assert (body["user"], body["metadata"]) == ("ada", {"order": "17"})
    assert "litellm_metadata" not in body


def test_nothing_is_kept_unless_it_is_asked_for(stage: Stage) -> None:
    stage.post()
    assert bodies(stage.upstream)[-1]["store"] is False
    kept = stage.post(store=True).json()
    assert bodies(stage.upstream)[-1]["store"] is True
    identity = kept["id"].replace("chatcmpl-", "resp_")
    assert stage.http.get(f"/v1/responses/{identity}?model=gpt").json()["id"] == identity


@pytest.mark.parametrize("asked", [{"drop_params": True}, {"model": "dropping"}, {"model": "u0", "drop_params": True}])
def test_what_has_no_word_is_left_out_and_told_if_that_is_asked_for(stage: Stage, asked: dict[str, Any]) -> None:
    talk = [{"role": "user", "content": "Hi", "name": "ada"}]
    answer = stage.post(messages=talk, n=2, logit_bias={"1": 1}, stop=["END"], seed=3, **asked)
    assert answer.status_code == 200, answer.text
    told = {name for each in answer.headers.get_list("x-homing-dropped") for name in each.split(", ")}
    assert told == {"messages[0].name", "n", "logit_bias", "stop", "seed"}
    body = bodies(stage.upstream)[-1]
    assert not {"n", "logit_bias", "stop", "seed"} & body.keys()
    assert body["input"] == [{"role": "user", "content": "Hi"}]


def test_what_others_may_take_is_passed_to_them(stage: Stage) -> None:
    assert stage.post(stop=["END"], seed=3).status_code == 200  # the simulated one does
    body = bodies(stage.upstream)[-1]
    assert (body["stop"], body["seed"]) == (["END"], 3)
    stage.chat.say("Hello")
    answer = stage.post(model="lenient", n=2, stop="END", verbosity="low")
    assert answer.status_code == 200, answer.text
    assert stage.chat.body["stop"] == "END"
    assert answer.headers.get_list("x-homing-dropped") == ["text.verbosity", "n"]
    stage.chat.say("Hello")
    assert stage.post(model="chat", logit_bias={"1": 2}, allowed_openai_params=["logit_bias"]).status_code == 200
    assert stage.chat.body["logit_bias"] == {"1": 2}
