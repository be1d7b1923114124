"""What vendors of chat completions are sent: found good by a judge that is as strict as they are."""

from __future__ import annotations

import json
from typing import Any

import pytest
from chat_rules import VARIANTS, Judge
from chat_talk import TIME, USER, WEATHER, asking, place, recorded, sent, streamed, vendor, whole, written
from hypothesis import given, settings
from hypothesis import strategies as st

from providers.chat_completions.vendors import GENERIC, IDIOMS, idiom_of, table_of
from providers.errors import BadRequestError
from providers.translation.parameters import Outcome
from providers.translation.sealed import seal
from providers.types import Fetched

PNG = "data:image/png;base64,iVBORw0KGgo="
PDF = "data:application/pdf;base64,JVBERi0="
WIRE_WEATHER = {
    "type": "function",
    "function": {
        "name": "get_weather",
        "description": "Tells the weather.",
        "parameters": {"type": "object", "properties": {"city": {"type": "string"}}},
    },
}
CALL = {"type": "function_call", "call_id": "call_1", "name": "get_weather", "arguments": '{"city":"Oslo"}'}
OUTPUT = {"type": "function_call_output", "call_id": "call_1", "output": "Sunny"}
WIRE_CALL = {
    "id": "call_1",
    "type": "function",
    "function": {"name": "get_weather", "arguments": '{"city":"Oslo"}'},
}
ALL = sorted(VARIANTS)
every_vendor = pytest.mark.parametrize("name", ALL)


def good(name: str, body: dict[str, Any] | None = None, /, **fields: Any) -> dict[str, Any]:
    """What a vendor is sent, once its judge has found it good."""
    found = written(name, body, **fields)
    Judge(found, VARIANTS[name]).check()
    return found


def messages(name: str, *items: Any, **body: Any) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = good(name, {"input": [*items], **body})["messages"]
    return found


def refusal(name: str, body: dict[str, Any], **fields: Any) -> BadRequestError:
    with pytest.raises(BadRequestError) as caught:
        written(name, body, **fields)
    return caught.value


def dropping(name: str, body: dict[str, Any]) -> tuple[dict[str, Any], tuple[str, ...]]:
    """What is sent of a call with `drop_params`, and what is not."""
    request = vendor(name).encode(asking(body, drop_params=True), place(provider=name))
    return sent(request), request.dropped


# the plainest call


@every_vendor
@pytest.mark.parametrize("stream", [False, True])
def test_a_plain_call(name: str, stream: bool) -> None:
    found = good(name, {"instructions": "Be brief.", "temperature": 0.5, "top_p": 0.9}, stream=stream)
    assert found["messages"] == [{"role": "system", "content": "Be brief."}, USER]
    assert (found["model"], found["temperature"], found["top_p"]) == ("m-1", 0.5, 0.9)
    assert found.get("stream", False) is stream
    asks = stream and name not in ("mistral", "perplexity")
    assert found.get("stream_options") == ({"include_usage": True} if asks else None)


@every_vendor
def test_the_limit(name: str) -> None:
    found = good(name, {"max_output_tokens": 100})
    new = name in ("openai", "azure", "groq", "cerebras")
    assert found["max_completion_tokens" if new else "max_tokens"] == 100


@every_vendor
def test_what_all_can_be_asked_at_once(name: str) -> None:
    body = {
        "metadata": {"a": "b"},
        "user": "u1",
        "safety_identifier": "s1",
        "prompt_cache_key": "k",
        "prompt_cache_retention": "24h",
        "service_tier": "auto",
        "store": True,
        "truncation": "disabled",
        "background": False,
        "top_logprobs": 0,
        "include": ["reasoning.encrypted_content"],
        "tools": [WEATHER, TIME],
        "tool_choice": "auto",
        "text": {"format": {"type": "text"}, "verbosity": "medium"},
        "reasoning": {"effort": "low", "summary": "auto"},
    }
    found = good(name, body)
    assert "metadata" not in found
    assert found["reasoning_effort"] == "low"
    assert [tool["function"]["name"] for tool in found["tools"]] == ["get_weather", "get_time"]


# messages


@every_vendor
def test_a_tool_loop(name: str) -> None:
    items = [USER, CALL, {**CALL, "call_id": "call_2"}, {**OUTPUT, "call_id": "call_2"}, OUTPUT]
    found = messages(name, *items, tools=[WEATHER])
    assert [message["role"] for message in found] == ["user", "assistant", "tool", "tool"]
    assert found[1]["content"] is None
    ids = [call["id"] for call in found[1]["tool_calls"]]
    assert [message["tool_call_id"] for message in found[2:]] == ids
    assert ids == ["call_1", "call_2"] or name == "mistral"


def test_text_and_calls_of_one_turn_are_one_message() -> None:
    said = {"role": "assistant", "content": [{"type": "output_text", "text": "Let me look."}]}
    after = {"role": "assistant", "content": "Wait."}
    found = messages("openai", USER, said, CALL, after, OUTPUT, {"role": "assistant", "content": "Sun."}, USER)
    parts = [{"type": "text", "text": "Let me look."}, {"type": "text", "text": "Wait."}]
    assert found[1] == {"role": "assistant", "content": parts, "tool_calls": [WIRE_CALL]}
    assert found[2] == {"role": "tool", "tool_call_id": "call_1", "content": "Sunny"}
    assert found[3:] == [{"role": "assistant", "content": "Sun."}, USER]


def test_steps_of_a_tool_loop_stay_apart() -> None:
    second = {**CALL, "call_id": "call_2"}
    found = messages("openai", USER, CALL, OUTPUT, second, {**OUTPUT, "call_id": "call_2"})
    assert [message["role"] for message in found] == ["user", "assistant", "tool", "assistant", "tool"]


def test_roles_and_refusals() -> None:
    refused = {"role": "assistant", "content": [{"type": "refusal", "refusal": "No."}]}
    found = messages(
        "openai", {"role": "developer", "content": "Rule"}, USER, refused, {"role": "system", "content": "x"}
    )
    assert found[0] == {"role": "system", "content": "Rule"}
    assert found[2:] == [{"role": "assistant", "content": "No."}, {"role": "system", "content": "x"}]


@pytest.mark.parametrize(("name", "flat"), [("openai", False), ("deepseek", True)])
def test_several_texts(name: str, flat: bool) -> None:
    content = [{"type": "input_text", "text": "A"}, {"type": "input_text", "text": "B"}]
    found = messages(name, {"role": "system", "content": content}, {"role": "user", "content": content})
    parts = [{"type": "text", "text": "A"}, {"type": "text", "text": "B"}]
    assert [message["content"] for message in found] == (["A\n\nB"] * 2 if flat else [parts] * 2)


def test_only_users_show_pictures() -> None:
    picture = {"role": "assistant", "content": [{"type": "input_image", "image_url": PNG}]}
    assert refusal("openai", {"input": [USER, picture]}).param == "input[1].content[0]"


def test_arguments_are_an_objects_json() -> None:
    broken = {**CALL, "arguments": '{"ci'}
    empty = {**CALL, "call_id": "call_2", "arguments": ""}
    outputs = [OUTPUT, {**OUTPUT, "call_id": "call_2"}]
    calls = messages("openai", USER, broken, empty, *outputs)[1]["tool_calls"]
    assert [json.loads(call["function"]["arguments"]) for call in calls] == [{"_raw": '{"ci'}, {}]


def test_perplexity_is_spoken_to_in_turns() -> None:
    items = [USER, {"role": "user", "content": "And?"}, {"role": "system", "content": "Late rule"}]
    found = messages("perplexity", *items, {"role": "assistant", "content": "Yes."}, USER, instructions="First")
    assert found[0] == {"role": "system", "content": "First"}
    assert found[1] == {"role": "user", "content": "Hi\n\nAnd?\n\nLate rule"}
    assert [message["role"] for message in found] == ["system", "user", "assistant", "user"]
    picture = {"role": "user", "content": [{"type": "input_image", "image_url": PNG}]}
    (joined,) = messages("perplexity", USER, picture)
    assert [part["type"] for part in joined["content"]] == ["text", "image_url"]


def test_nobody_but_the_assistant_speaks_after_a_tool_of_mistrals() -> None:
    call = asking({"input": [USER, CALL, OUTPUT, USER]})
    request = vendor("mistral").encode(call, place(provider="mistral"))
    roles = [message["role"] for message in sent(request)["messages"]]
    assert roles == ["user", "assistant", "tool", "assistant", "user"]
    assert request.dropped == ("input: after a tool mistral lets only the assistant speak, so it says 'Ok.'",)
    assert len(messages("openai", USER, CALL, OUTPUT, USER)) == 4


def test_marks_for_caches_go_where_they_may_be_heeded() -> None:
    mark = {"type": "ephemeral"}
    part = {"type": "input_text", "text": "A", "cache_control": mark}
    said = {"role": "user", "content": [part]}
    marked = written("openrouter", {"input": [{"role": "system", "content": [part]}, said]})["messages"]
    assert [message["content"] for message in marked] == [[{"type": "text", "text": "A", "cache_control": mark}]] * 2
    assert messages("openai", said) == [{"role": "user", "content": "A"}]
    assert written("openrouter", {"input": [USER]})["messages"] == [USER]


# parts


@every_vendor
def test_pictures(name: str) -> None:
    picture = {"type": "input_image", "image_url": PNG, "detail": "low"}
    (message,) = messages(name, {"role": "user", "content": [{"type": "input_text", "text": "See"}, picture]})
    assert message["content"] == [
        {"type": "text", "text": "See"},
        {"type": "image_url", "image_url": {"url": PNG, "detail": "low"}},
    ]


DOCUMENTS: dict[str, Any] = {
    "openai": {"type": "file", "file": {"filename": "a.pdf", "file_data": PDF}},
    "mistral": {"type": "document_url", "document_url": PDF, "document_name": "a.pdf"},
    "perplexity": {"type": "file_url", "file_url": {"url": "JVBERi0="}, "file_name": "a.pdf"},
}


@every_vendor
def test_documents(name: str) -> None:
    part = {"type": "input_file", "filename": "a.pdf", "file_data": PDF}
    (message,) = messages(name, {"role": "user", "content": [part]})
    assert message["content"] == [DOCUMENTS.get(name, DOCUMENTS["openai"])]


@every_vendor
def test_sound(name: str) -> None:
    part = {"type": "input_audio", "input_audio": {"data": "UklGRg==", "format": "wav"}}
    (message,) = messages(name, {"role": "user", "content": [part]})
    sound = "UklGRg==" if name == "mistral" else {"data": "UklGRg==", "format": "wav"}
    assert message["content"] == [{"type": "input_audio", "input_audio": sound}]


@every_vendor
def test_files_at_an_address(name: str) -> None:
    picture, paper = "https://x.example/a.png", "https://x.example/a.pdf"
    parts = [{"type": "input_image", "image_url": picture}, {"type": "input_file", "file_url": paper}]
    call = asking({"input": [{"role": "user", "content": parts}]})
    translator, deployment = vendor(name), place(provider=name)
    wanted = translator.remote(call, deployment)
    assert (picture in wanted) is (name == "ollama")
    assert (paper in wanted) is (name not in ("mistral", "perplexity"))
    files = {url: Fetched("application/pdf" if url == paper else "image/png", b"abc") for url in wanted}
    if wanted:
        with pytest.raises(BadRequestError, match="the content of files, not their addresses"):
            translator.encode(call, deployment)
    found = good(name, call.body, fetched=files)  # type: ignore[arg-type]  # a plain dict
    shown, read = found["messages"][0]["content"]
    assert shown["image_url"]["url"] == ("data:image/png;base64,YWJj" if name == "ollama" else picture)
    assert (paper if name in ("mistral", "perplexity") else "data:application/pdf;base64,YWJj") in json.dumps(read)


def test_what_need_not_be_downloaded() -> None:
    assert vendor("openai").remote(asking(), place()) == ()
    items = [USER, CALL, OUTPUT, {"role": "user", "content": [{"type": "input_image", "image_url": PNG}]}]
    assert vendor("ollama").remote(asking({"input": items}), place(provider="ollama")) == ()
    told = asking(history=({"role": "user", "content": [{"type": "input_file", "file_url": "http://x.example"}]},))
    assert vendor("openai").remote(told, place()) == ("http://x.example",)


def test_only_the_web_is_downloaded_from() -> None:
    part = {"type": "input_file", "file_url": "gs://bucket/a.pdf"}
    call = asking({"input": [{"role": "user", "content": [part]}]})
    with pytest.raises(BadRequestError, match="http:// or https://"):
        vendor("openai").remote(call, place())


@pytest.mark.parametrize(
    ("name", "expected"),
    [("openai", {"type": "file", "file": {"file_id": "file-1"}}), ("mistral", {"type": "file", "file_id": "file-1"})],
)
def test_files_that_the_vendor_keeps(name: str, expected: Any) -> None:
    (message,) = messages(name, {"role": "user", "content": [{"type": "input_file", "file_id": "file-1"}]})
    assert message["content"] == [expected]


def test_files_that_the_vendor_can_not_have() -> None:
    picture = {"input": [{"role": "user", "content": [{"type": "input_image", "file_id": "file-1"}]}]}
    assert "takes no file_id" in refusal("openai", picture).message
    paper = {"input": [{"role": "user", "content": [{"type": "input_file", "file_id": "file-1"}]}]}
    assert refusal("perplexity", paper).param == "input[0].content[0]"


def test_files_without_a_name() -> None:
    part = {"type": "input_file", "file_data": PDF}
    for name, key in (("openai", "filename"), ("mistral", "document_name"), ("perplexity", "file_name")):
        (message,) = messages(name, {"role": "user", "content": [part]})
        assert (key in json.dumps(message)) is (name == "openai")


# outputs of tools


@every_vendor
def test_pictures_that_tools_show(name: str) -> None:
    shown = {**OUTPUT, "output": [{"type": "input_text", "text": "See"}, {"type": "input_image", "image_url": PNG}]}
    found = messages(name, USER, CALL, shown, {"role": "assistant", "content": "Ok"})
    picture = {"type": "image_url", "image_url": {"url": PNG}}
    if name == "mistral":
        assert found[2]["content"] == [{"type": "text", "text": "See"}, picture]
        return
    assert found[2]["content"] == "See"
    told = {"type": "text", "text": "Output of get_weather (call_1):"}
    assert found[3] == {"role": "user", "content": [told, picture]}


def test_an_empty_output() -> None:
    found = messages("openai", USER, CALL, {**OUTPUT, "output": ""})
    assert found[2]["content"] == ""


def test_ids_of_mistral() -> None:
    short = {**CALL, "call_id": "D681PevKs"}
    ids = [messages("mistral", USER, call, {**OUTPUT, "call_id": call["call_id"]})[1] for call in (CALL, short, CALL)]
    first, second, third = (message["tool_calls"][0]["id"] for message in ids)
    assert (second, first) == ("D681PevKs", third)


# reasoning that goes back


@pytest.mark.parametrize(
    ("name", "fixture", "field", "value"),
    [
        ("deepseek", "deepseek_reasoning_tool", "reasoning_content", "The user wants weather."),
        ("groq", "deepseek_reasoning_tool", "reasoning", "The user wants weather."),
        ("openai_compatible", "deepseek_reasoning_tool", "reasoning_content", "The user wants weather."),
        ("openai", "deepseek_reasoning_tool", "reasoning_content", None),
    ],
)
def test_reasoning_goes_back(name: str, fixture: str, field: str, value: str | None) -> None:
    output = whole(recorded(f"{fixture}.json"), "deepseek")["output"]
    told = [USER, *output, {**OUTPUT, "call_id": "call_00_x"}]
    assistant = written(name, {"input": told})["messages"][1]
    assert assistant.get(field) == value
    assert assistant["tool_calls"][0]["function"]["arguments"] == '{"city": "Oslo"}'


def test_a_server_that_nobody_knows_gets_it_back_with_calls_only() -> None:
    output = streamed(recorded("vllm_reasoning.sse"), "openai_compatible")["output"]
    assert messages("openai_compatible", USER, *output, USER)[1] == {"role": "assistant", "content": "\n\n42"}


def test_chunks_of_mistral_go_back() -> None:
    chunk = {"type": "thinking", "thinking": [{"type": "text", "text": "Two"}]}
    for fixture, expected in (
        ("mistral_signed", {**chunk, "signature": "S1"}),
        ("groq_think_tags", {"type": "thinking", "thinking": [{"type": "text", "text": "Hmm"}]}),
    ):
        output = whole(recorded(f"{fixture}.json"), fixture.partition("_")[0])["output"]
        content = messages("mistral", USER, *output, USER)[1]["content"]
        assert content[0] == expected
        assert content[1]["type"] == "text"


def test_thoughts_before_a_call_are_chunks_too() -> None:
    thought = {
        "type": "reasoning",
        "summary": [{"type": "summary_text", "text": "Hm"}],
        "encrypted_content": seal("chat", [{"field": "reasoning"}]),
    }
    content = messages("mistral", USER, thought, CALL, OUTPUT)[1]["content"]
    assert content == [{"type": "thinking", "thinking": [{"type": "text", "text": "Hm"}]}]
    said = [{"type": "output_text", "text": "A"}, {"type": "output_text", "text": "B"}]
    content = messages("mistral", USER, thought, {"role": "assistant", "content": said}, USER)[1]["content"]
    assert [chunk["type"] for chunk in content] == ["thinking", "text", "text"]


def test_details_go_back_as_they_came() -> None:
    output = whole(recorded("openrouter_details.json"), "openai_compatible")["output"]
    assistant = messages("openai_compatible", USER, *output, *output, CALL, OUTPUT)[1]
    assert [detail["signature"] for detail in assistant["reasoning_details"]] == ["SIG", "SIG"]


def test_several_thoughts_are_joined() -> None:
    blocks = seal("chat", [{"field": "reasoning_content"}, "no block"])
    thoughts = [
        {"type": "reasoning", "summary": [{"type": "summary_text", "text": text}], "encrypted_content": blocks}
        for text in ("A", "B", "")
    ]
    assert messages("deepseek", USER, *thoughts, CALL, OUTPUT)[1]["reasoning_content"] == "A\n\nB"


@pytest.mark.parametrize("sealed", [None, "gAAAA", seal("anthropic", [{"type": "thinking"}])])
def test_the_reasoning_of_others_stays_here(sealed: str | None) -> None:
    thought = {
        "type": "reasoning",
        "summary": [{"type": "summary_text", "text": "Hm"}],
        "encrypted_content": sealed,
    }
    found = messages("groq", USER, thought, CALL, OUTPUT, thought)
    assert "reasoning" not in found[1]
    assert len(found) == 3  # nor is a thought alone a message
    alone = {**thought, "encrypted_content": seal("chat", [{"field": "reasoning"}])}
    assert "reasoning" not in messages("groq", USER, alone, USER, {"role": "assistant", "content": "A"}, USER)[2]
    assert messages("deepseek", USER, thought, CALL, OUTPUT)[1]["reasoning_content"] == ""


# tools


def test_tools_and_their_names() -> None:
    odd = {"type": "function", "name": "nächster.Zug", "strict": True}
    found = good("openai", {"tools": [WEATHER, odd], "parallel_tool_calls": False})
    assert found["tools"][0] == WIRE_WEATHER
    function = found["tools"][1]["function"]
    assert (function["strict"], function["parameters"]) == (True, {"type": "object", "properties": {}})
    assert found["parallel_tool_calls"] is False
    call = {"type": "function_call", "call_id": "c", "name": "nächster.Zug", "arguments": "{}"}
    unknown = {**call, "call_id": "d", "name": "other.one"}
    outputs = [{**OUTPUT, "call_id": "c"}, {**OUTPUT, "call_id": "d"}]
    calls = messages("openai", USER, call, unknown, *outputs, tools=[odd])[1]["tool_calls"]
    assert calls[0]["function"]["name"] == function["name"]
    assert calls[1]["function"]["name"].startswith("other_one_")


def test_names_come_back_as_the_caller_knows_them() -> None:
    odd = {"type": "function", "name": "nächster.Zug"}
    wire = good("openai", {"tools": [odd]})["tools"][0]["function"]["name"]
    content = recorded("openai_legacy_function.json").replace(b"get_weather", wire.encode())
    response = whole(content, "openai", asking({"tools": [odd]}))
    assert response["output"][0]["name"] == "nächster.Zug"


def test_custom_tools_are_functions() -> None:
    tool = {"type": "custom", "name": "sql", "format": {"type": "grammar", "syntax": "lark", "definition": "start: x"}}
    function = good("openai", {"tools": [tool]})["tools"][0]["function"]
    assert function["parameters"]["required"] == ["input"]
    assert "start: x" in function["description"]
    items = [
        USER,
        {"type": "custom_tool_call", "call_id": "c", "name": "sql", "input": "SELECT 1"},
        {"type": "custom_tool_call_output", "call_id": "c", "output": "1"},
    ]
    call = messages("openai", *items, tools=[tool])[1]["tool_calls"][0]
    assert json.loads(call["function"]["arguments"]) == {"input": "SELECT 1"}


NAMED = {"type": "function", "function": {"name": "get_weather"}}


@pytest.mark.parametrize(
    ("name", "choice", "expected", "tools"),
    [
        ("openai", "auto", "auto", 2),
        ("openai", "none", "none", 2),
        ("openai", "required", "required", 2),
        ("openai", {"type": "function", "name": "get_weather"}, NAMED, 2),
        ("mistral", {"type": "function", "name": "get_weather"}, NAMED, 2),
        ("perplexity", {"type": "function", "name": "get_weather"}, "required", 1),
        (
            "openai",
            {"type": "allowed_tools", "mode": "auto", "tools": [{"type": "function", "name": "get_weather"}]},
            {"type": "allowed_tools", "allowed_tools": {"mode": "auto", "tools": [NAMED]}},
            2,
        ),
        (
            "groq",
            {"type": "allowed_tools", "mode": "auto", "tools": [{"type": "function", "name": "get_weather"}]},
            "auto",
            1,
        ),
        (
            "groq",
            {"type": "allowed_tools", "mode": "required", "tools": [{"type": "function", "name": "get_weather"}]},
            NAMED,
            2,
        ),
        ("ollama", "auto", None, 2),
        ("ollama", "none", None, 0),
        (
            "ollama",
            {"type": "allowed_tools", "mode": "auto", "tools": [{"type": "function", "name": "get_weather"}]},
            None,
            1,
        ),
    ],
)
def test_tool_choice(name: str, choice: Any, expected: Any, tools: int) -> None:
    found = good(name, {"tools": [WEATHER, TIME], "tool_choice": choice})
    assert found.get("tool_choice") == expected
    assert len(found.get("tools", ())) == tools


def test_ollama_can_not_be_made_to_call() -> None:
    body = {"tools": [WEATHER], "tool_choice": "required"}
    assert refusal("ollama", body).param == "tool_choice"
    found, dropped = dropping("ollama", body)
    assert "tool_choice" not in found
    assert dropped == ("tool_choice: a call can't be required of the model",)


def test_without_tools_nothing_is_said_of_them() -> None:
    found = good("openai", {"tool_choice": "none", "parallel_tool_calls": True, "tools": []})
    assert not {"tools", "tool_choice", "parallel_tool_calls"} & set(found)


def test_hosted_tools_are_refused() -> None:
    body = {"tools": [{"type": "code_interpreter", "container": {"type": "auto"}}, WEATHER]}
    assert refusal("openai", body).param == "tools[0]"
    found, dropped = dropping("openai", body)
    assert found["tools"] == [WIRE_WEATHER]
    assert dropped == ("tools[0]: it runs no 'code_interpreter' tools",)


def test_perplexity_searches_anyway() -> None:
    search = {
        "type": "web_search",
        "search_context_size": "low",
        "filters": {"allowed_domains": ["x.example"]},
        "user_location": {"country": "NO"},
    }
    found = good("perplexity", {"tools": [search]})
    assert found["web_search_options"] == {"search_context_size": "low", "user_location": {"country": "NO"}}
    assert found["search_domain_filter"] == ["x.example"]
    assert "tools" not in found
    assert "web_search_options" not in good("perplexity", {"tools": [{"type": "web_search"}]})


# reasoning, form, and the rest


@pytest.mark.parametrize(
    ("name", "effort", "expected"),
    [
        ("openai", "xhigh", {"reasoning_effort": "xhigh"}),
        ("openai", "none", {"reasoning_effort": "none"}),
        ("groq", "minimal", {"reasoning_effort": "low"}),
        ("deepseek", "high", {"reasoning_effort": "high", "thinking": {"type": "enabled"}}),
        ("deepseek", "none", {"thinking": {"type": "disabled"}}),
        ("together_ai", "none", {"reasoning": {"enabled": False}}),
        ("perplexity", "none", {"reasoning_effort": "minimal"}),
    ],
)
def test_efforts(name: str, effort: str, expected: dict[str, Any]) -> None:
    found = good(name, {"reasoning": {"effort": effort}})
    said = {key: found[key] for key in ("reasoning_effort", "thinking", "reasoning") if key in found}
    assert said == expected


@every_vendor
@pytest.mark.parametrize("effort", ["none", "minimal", "low", "medium", "high", "xhigh", "max"])
def test_every_effort_is_one_that_the_vendor_knows(name: str, effort: str) -> None:
    good(name, {"reasoning": {"effort": effort}})


def test_an_effort_that_was_changed_is_told() -> None:
    request = vendor("groq").encode(asking({"reasoning": {"effort": "max"}}), place(provider="groq"))
    assert request.dropped == ("reasoning.effort: groq does not know 'max', so 'high' was sent",)
    assert refusal("groq", {"reasoning": {"effort": 3}}).param == "reasoning.effort"
    assert refusal("groq", {"reasoning": {"mode": "pro"}}).param == "reasoning.mode"


SCHEMA = {"type": "json_schema", "name": "answer", "schema": {"type": "object"}, "strict": True, "description": None}


def test_forms() -> None:
    expected = {"name": "answer", "schema": {"type": "object"}, "strict": True}
    found = good("openai", {"text": {"format": SCHEMA, "verbosity": "low"}})
    assert found["response_format"] == {"type": "json_schema", "json_schema": expected}
    assert found["verbosity"] == "low"
    nested = {"type": "json_schema", "json_schema": expected}
    assert good("groq", {"text": {"format": nested}})["response_format"] == nested
    assert good("mistral", {"text": {"format": {"type": "json_object"}}})["response_format"] == {"type": "json_object"}
    assert "response_format" not in good("openai", {"text": {}})


def test_forms_that_can_not_be_had() -> None:
    assert refusal("deepseek", {"text": {"format": SCHEMA}}).param == "text.format"
    found, dropped = dropping("deepseek", {"text": {"format": SCHEMA}})
    assert found["response_format"] == {"type": "json_object"}
    assert dropped == ("text.format: answers can be bound to JSON, but to no schema",)
    assert refusal("groq", {"text": {"verbosity": "low"}}).param == "text.verbosity"
    assert refusal("groq", {"text": {"format": "json"}}).param == "text.format"
    assert refusal("groq", {"text": {"format": {"type": "xml"}}}).param == "text.format.type"


def test_log_probabilities() -> None:
    found = good("openai", {"top_logprobs": 3})
    assert (found["logprobs"], found["top_logprobs"]) == (True, 3)
    asked = {"include": ["message.output_text.logprobs"]}
    assert good("openai", asked)["logprobs"] is True
    assert refusal("together_ai", {"top_logprobs": 3}).param == "top_logprobs"
    assert refusal("together_ai", asked).param == "include"


def test_end_users() -> None:
    both = {"user": "u1", "safety_identifier": "s1"}
    found = good("openai", both)
    assert (found["user"], found["safety_identifier"]) == ("u1", "s1")
    assert good("groq", both)["user"] == "u1"
    assert good("groq", {"safety_identifier": "s1"})["user"] == "s1"
    assert "user" not in good("mistral", both)


def test_service_tiers() -> None:
    assert good("openai", {"service_tier": "flex"})["service_tier"] == "flex"
    assert good("groq", {"service_tier": "default"})["service_tier"] == "on_demand"
    assert refusal("deepseek", {"service_tier": "flex"}).param == "service_tier"
    assert "service_tier" not in good("deepseek", {"service_tier": "default"})


@pytest.mark.parametrize("name", [*ALL, "fireworks_ai", "hosted_vllm", "vertex_ai", "azure_ai"])
def test_what_would_change_the_answer_is_refused(name: str) -> None:
    for parameter, value in (("conversation", "conv_1"), ("prompt", {"id": "p"}), ("background", True)):
        assert refusal(name, {parameter: value}).param == parameter
        _, dropped = dropping(name, {parameter: value})
        assert dropped[0].startswith(f"{parameter}: ")


def test_what_is_the_vendors_own_is_passed_on() -> None:
    found = good("openai", extra_body={"seed": 7, "stop": ["x"]})
    assert (found["seed"], found["stop"]) == (7, ["x"])
    assert good("openai", {"logit_bias": {}}, allowed_openai_params=frozenset({"logit_bias"}))["logit_bias"] == {}
    assert refusal("openai", {"logit_bias": {}}).param == "logit_bias"


@pytest.mark.parametrize("name", ["seed", "stop", "frequency_penalty", "presence_penalty"])
def test_what_callers_of_chat_completions_are_used_to_is_said(name: str) -> None:
    assert good("openai", {name: 1})[name] == 1


def test_mistrals_seed_has_another_name() -> None:
    assert "random_seed" in str(refusal("mistral", {"seed": 7}))


@pytest.mark.parametrize("name", [*IDIOMS, "openai_compatible"])
def test_every_vendor_has_a_table(name: str) -> None:
    table = table_of(idiom_of(name))
    assert table["input"].outcome is Outcome.MAPPED
    assert all(line.note for line in table.values())


def test_who_is_not_known_is_spoken_to_with_nothing_special() -> None:
    assert idiom_of("somebody") is GENERIC


# whatever is said


TEXTS = st.text("ab ä\n", min_size=1, max_size=5)
PARTS = st.one_of(
    TEXTS.map(lambda text: {"type": "input_text", "text": text}),
    st.just({"type": "input_image", "image_url": PNG}),
    st.just({"type": "input_file", "filename": "a.pdf", "file_data": PDF}),
)
OUTPUTS = st.one_of(st.text("ab", max_size=3), st.lists(PARTS, max_size=3))


@st.composite
def conversations(draw: st.DrawFn) -> list[dict[str, Any]]:
    """Items in any order, whose calls are answered, sometimes late."""
    items: list[dict[str, Any]] = []
    for turn in range(draw(st.integers(1, 5))):
        kind = draw(st.sampled_from(["user", "system", "assistant", "calls", "thought"]))
        if kind == "user":
            items.append({"role": "user", "content": draw(st.one_of(TEXTS, st.lists(PARTS, min_size=1, max_size=3)))})
        elif kind == "calls":
            ids = [f"call_{turn}_{number}" for number in range(draw(st.integers(1, 3)))]
            aside = [{"role": "assistant", "content": "Wait"}] if draw(st.booleans()) else []
            outputs = [{"type": "function_call_output", "call_id": each, "output": draw(OUTPUTS)} for each in ids]
            items += [{**CALL, "call_id": each} for each in ids] + aside + draw(st.permutations(outputs))
        elif kind == "thought":
            summary = [{"type": "summary_text", "text": draw(TEXTS)}]
            field = draw(st.sampled_from(["reasoning", "reasoning_content", "content"]))
            sealed = seal("chat", [{"field": field}])
            items.append({"type": "reasoning", "summary": summary, "encrypted_content": sealed})
        else:
            items.append({"role": kind, "content": draw(TEXTS)})
    return [*items, USER]


@pytest.mark.parametrize("field", ["reasoning", "reasoning_content", "content"])
@pytest.mark.parametrize("name", [name for name in ALL if name != "openai_compatible"])
def test_reasoning_of_any_vendor_is_good_before_calls(name: str, field: str) -> None:
    thought = {
        "type": "reasoning",
        "summary": [{"type": "summary_text", "text": "a"}],
        "encrypted_content": seal("chat", [{"field": field}]),
    }
    good(name, {"input": [thought, {**CALL, "call_id": "call_1"}, {**OUTPUT, "call_id": "call_1"}, USER]})


@settings(max_examples=150, deadline=None)
@given(conversations(), st.sampled_from([name for name in ALL if name != "openai_compatible"]))
def test_any_conversation_is_good(items: list[dict[str, Any]], name: str) -> None:
    good(name, {"input": items})
