"""Calls become requests that Anthropic's API takes; every one is judged by its rules."""

from __future__ import annotations

import base64
import json
from dataclasses import replace
from typing import Any

import pytest
from claude_calls import CLAUDE, LATEST, OLD, OLDEST, PDF, PNG, asking, claude, decoded, dropped, request, user, written
from fake_anthropic import message

from providers.errors import BadRequestError
from providers.translation.sealed import seal
from providers.types import Deployment, JsonObject

TOOL = {
    "type": "function",
    "name": "get_weather",
    "description": "Tells it.",
    "parameters": {"type": "object", "properties": {}},
}
OTHER = {"type": "function", "name": "get_time"}
CALL = {"type": "function_call", "call_id": "call_1", "name": "get_weather", "arguments": '{"city":"Rome"}'}
OUTPUT = {"type": "function_call_output", "call_id": "call_1", "output": "sunny"}
SIGNED: JsonObject = {"type": "thinking", "thinking": "Hm.", "signature": "c2ln"}
REASONING = {"type": "reasoning", "summary": [], "encrypted_content": seal("claude", [SIGNED])}
MARK = {"type": "ephemeral"}


def text(words: str) -> dict[str, Any]:
    return {"type": "text", "text": words}


def refused(body: dict[str, Any], model: str = LATEST, deployment: Deployment | None = None) -> BadRequestError:
    with pytest.raises(BadRequestError) as caught:
        CLAUDE.encode(asking(body), deployment or claude(model))
    return caught.value


def test_the_least_a_call_says() -> None:
    assert written() == {
        "model": LATEST,
        "max_tokens": 32_000,
        "messages": [{"role": "user", "content": [text("Hi")]}],
    }
    assert written("Hi", OLD)["max_tokens"] == 8192
    assert written("Hi", OLDEST)["max_tokens"] == 8192
    assert written({"input": "Hi", "max_output_tokens": 16})["max_tokens"] == 16
    assert written("Hi", stream=True)["stream"] is True


def test_system_prompts_lead_and_later_ones_are_the_users() -> None:
    sent = written(
        {
            "instructions": "Be brief.",
            "input": [
                {"role": "developer", "content": "Be kind."},
                {"role": "system", "content": [{"type": "input_text", "text": "Be true.", "cache_control": MARK}]},
                {"role": "user", "content": "Hi"},
                {"role": "assistant", "content": "Hello"},
                {"role": "developer", "content": "Be gone."},
            ],
        }
    )
    assert sent["system"] == [text("Be brief."), text("Be kind."), {**text("Be true."), "cache_control": MARK}]
    assert [turn["role"] for turn in sent["messages"]] == ["user", "assistant", "user"]
    assert sent["messages"][2]["content"] == [text("Be gone.")]
    assert "system" not in written({"instructions": " \n", "input": "Hi"})


def test_turns_of_one_role_are_one_message() -> None:
    sent = written(
        {
            "input": [
                user({"type": "input_text", "text": "a"}),
                user({"type": "input_text", "text": " \n"}),
                user({"type": "input_text", "text": "b"}),
            ]
        }
    )
    assert sent["messages"] == [{"role": "user", "content": [text("a"), text("b")]}]


def test_the_turns_before_come_first() -> None:
    call = asking(
        "And you?",
        history=(
            {"role": "user", "content": "Hi"},
            {
                "role": "assistant",
                "content": [{"type": "output_text", "text": "Hello"}, {"type": "refusal", "refusal": "no"}],
            },
        ),
    )
    sent = json.loads(CLAUDE.encode(call, claude()).content)
    assert [turn["content"] for turn in sent["messages"]] == [
        [text("Hi")],
        [text("Hello"), text("no")],
        [text("And you?")],
    ]


def test_a_conversation_that_begins_with_the_model() -> None:
    body = {"input": [{"role": "assistant", "content": "Hello"}, {"role": "user", "content": "Hi"}]}
    assert [turn["role"] for turn in written(body)["messages"]] == ["user", "assistant", "user"]
    assert "begins with" in dropped(body)[0]
    assert written({"input": [{"role": "user", "content": "Hi"}, {"role": "assistant", "content": "He: "}]}, OLD)[
        "messages"
    ][1]["content"] == [text("He:")]


@pytest.mark.parametrize(
    "body", [{}, {"input": ""}, {"input": []}, {"input": " "}, {"input": [{"role": "system", "content": "x"}]}]
)
def test_there_must_be_a_message(body: dict[str, Any]) -> None:
    assert refused(body).param == "input"


def test_images_from_wherever_they_are() -> None:
    sent = written(
        {
            "input": [
                user(
                    {"type": "input_image", "image_url": f"data:image/jpg;base64,{PNG}", "detail": "low"},
                    {"type": "input_image", "image_url": "https://x.example/a.png", "cache_control": MARK},
                    {"type": "input_image", "file_id": "file_1"},
                    {"type": "input_file", "file_data": f"data:image/png;base64,{PNG}"},
                )
            ]
        }
    )
    sources = [block["source"] for block in sent["messages"][0]["content"]]
    assert sources == [
        {"type": "base64", "media_type": "image/jpeg", "data": PNG},
        {"type": "url", "url": "https://x.example/a.png"},
        {"type": "file", "file_id": "file_1"},
        {"type": "base64", "media_type": "image/png", "data": PNG},
    ]
    assert sent["messages"][0]["content"][1]["cache_control"] == MARK


def test_documents_from_wherever_they_are() -> None:
    words = base64.b64encode("Größe".encode()).decode()
    sent = written(
        {
            "input": [
                user(
                    {"type": "input_file", "filename": "a.pdf", "file_data": PDF, "cache_control": MARK},
                    {"type": "input_file", "filename": "b.csv", "file_data": words},
                    {"type": "input_file", "file_url": "https://x.example/c.pdf"},
                    {"type": "input_file", "file_id": "file_2", "filename": "d" * 600},
                )
            ]
        }
    )
    assert sent["messages"][0]["content"] == [
        {
            "type": "document",
            "title": "a.pdf",
            "cache_control": MARK,
            "source": {"type": "base64", "media_type": "application/pdf", "data": PDF},
        },
        {"type": "document", "title": "b.csv", "source": {"type": "text", "media_type": "text/plain", "data": "Größe"}},
        {"type": "document", "source": {"type": "url", "url": "https://x.example/c.pdf"}},
        {"type": "document", "title": "d" * 500, "source": {"type": "file", "file_id": "file_2"}},
    ]


@pytest.mark.parametrize(
    ("part", "words"),
    [
        ({"type": "input_audio", "input_audio": {"data": "AA==", "format": "wav"}}, "no audio"),
        ({"type": "input_image", "image_url": "data:image/bmp;base64,AA=="}, "image/bmp"),
        ({"type": "input_image", "image_url": "gs://bucket/a.png"}, "http"),
        ({"type": "input_file", "filename": "a.docx", "file_data": "AA=="}, "PDF or text"),
        ({"type": "input_file", "filename": "a.txt", "file_data": "/w=="}, "UTF-8"),
        ({"type": "input_file", "filename": "a.txt", "file_data": "?"}, "UTF-8"),
    ],
)
def test_what_claude_cant_read_is_refused_and_never_dropped(part: dict[str, Any], words: str) -> None:
    with pytest.raises(BadRequestError, match=words) as caught:
        request({"input": [user(part)]}, drop_params=True)
    assert (caught.value.param or "").startswith("input[0].content[0]")


def test_files_come_from_the_user() -> None:
    image = {"type": "input_image", "file_id": "file_1"}
    assert "not from itself" in str(refused({"input": [{"role": "assistant", "content": [image]}]}))


def test_calls_and_outputs_of_a_loop() -> None:
    image = {"type": "input_image", "image_url": "https://x.example/a.png"}
    second = {**CALL, "call_id": "call:2", "name": "odd name!", "arguments": ""}
    sent = written(
        {
            "tools": [TOOL],
            "input": [
                {"role": "user", "content": "Weather?"},
                REASONING,
                {"role": "assistant", "content": "Let me see."},
                CALL,
                second,
                {**OUTPUT, "call_id": "call:2", "output": [{"type": "input_text", "text": " "}], "status": "failed"},
                {"role": "user", "content": "Well?"},
                {**OUTPUT, "output": [{"type": "input_text", "text": "sunny"}, image]},
            ],
        }
    )
    first, turn, results = sent["messages"]
    assert first["role"] == "user"
    assert turn["content"][:2] == [SIGNED, text("Let me see.")]
    weather, odd = turn["content"][2:]
    assert weather == {"type": "tool_use", "id": "call_1", "name": "get_weather", "input": {"city": "Rome"}}
    assert odd["name"].startswith("odd_name__")
    assert odd["id"].startswith("call_")
    assert odd["input"] == {}
    assert results["content"] == [
        {
            "type": "tool_result",
            "tool_use_id": "call_1",
            "content": [text("sunny"), {"type": "image", "source": {"type": "url", "url": image["image_url"]}}],
        },
        {"type": "tool_result", "tool_use_id": odd["id"], "is_error": True},
        text("Well?"),
    ]


def test_steps_of_a_loop_stay_apart() -> None:
    again = [{**CALL, "call_id": "call_2"}, {**OUTPUT, "call_id": "call_2"}]
    sent = written({"tools": [TOOL], "input": [{"role": "user", "content": "x"}, CALL, OUTPUT, REASONING, *again]})
    assert [turn["role"] for turn in sent["messages"]] == ["user", "assistant", "user", "assistant", "user"]
    assert sent["messages"][3]["content"][0] == SIGNED


def test_past_calls_without_tools_are_declared() -> None:
    sent = written({"input": [{"role": "user", "content": "x"}, CALL, OUTPUT]})
    assert sent["tools"] == [{"name": "get_weather", "input_schema": {"type": "object"}}]
    assert sent["tool_choice"] == {"type": "none"}


def test_reasoning_of_others_is_left_out_and_reported() -> None:
    foreign = {"type": "reasoning", "summary": [{"type": "summary_text", "text": "Hm."}], "encrypted_content": "gAAAA"}
    found = request({"input": [foreign, {"role": "user", "content": "Hi"}]})
    assert found.dropped == ("input[0]: reasoning that this Claude did not sign can't be given back to it",)
    assert json.loads(found.content)["messages"] == [{"role": "user", "content": [text("Hi")]}]


def test_a_turn_goes_round() -> None:
    """What was answered is sent back as it came, thinking first and in order."""
    for name in ("interleaved", "parallel_tools", "redacted"):
        output: Any = decoded(name).to_dict()["output"]
        results = [{**OUTPUT, "call_id": item["call_id"]} for item in output if item["type"] == "function_call"]
        sent = written(
            {"input": [{"role": "user", "content": "x"}, *output, *results, {"role": "user", "content": "y"}]}
        )
        said = [{key: value for key, value in block.items() if key != "caller"} for block in message(name)["content"]]
        assert sent["messages"][1]["content"] == said


def test_functions() -> None:
    odd = {"type": "function", "name": "näme with spaces", "parameters": None}
    sent = written(
        {
            "input": "x",
            "tools": [
                {**TOOL, "cache_control": MARK},
                odd,
                {"type": "function", "function": {"name": "old", "parameters": {}}},
            ],
        }
    )
    weather, renamed, old = sent["tools"]
    assert weather == {
        "name": "get_weather",
        "description": "Tells it.",
        "input_schema": {"type": "object", "properties": {}},
        "cache_control": MARK,
    }
    assert renamed["name"].startswith("n_me_with_spaces_")
    assert old == {"name": "old", "input_schema": {"type": "object", "properties": {}}}
    assert "tool_choice" not in sent


def test_strict_functions_have_closed_schemas() -> None:
    schema = {"type": "object", "properties": {"n": {"type": "integer", "minimum": 1}}, "required": ["n"]}
    tool = {**TOOL, "strict": True, "parameters": schema}
    assert written({"input": "x", "tools": [tool]})["tools"][0]["input_schema"] == {
        "type": "object",
        "properties": {"n": {"type": "integer", "description": "{minimum: 1}"}},
        "required": ["n"],
        "additionalProperties": False,
    }
    found = request({"input": "x", "tools": [tool]}, OLDEST)
    assert json.loads(found.content)["tools"][0]["input_schema"] == schema
    assert found.dropped == (f"tools[0].strict: {OLDEST} does not keep to schemas strictly",)


def test_custom_tools_are_functions_of_one_text() -> None:
    sent = written(
        {
            "input": "x",
            "tools": [
                {
                    "type": "custom",
                    "name": "sql",
                    "format": {"type": "grammar", "syntax": "lark", "definition": "start: x"},
                }
            ],
        }
    )
    (tool,) = sent["tools"]
    assert "lark" in tool["description"]
    assert tool["input_schema"]["required"] == ["input"]


def test_web_search() -> None:
    tool = {
        "type": "web_search",
        "filters": {"allowed_domains": ["a.example"], "blocked_domains": None},
        "user_location": {"type": "approximate", "city": "Rome", "country": None},
        "search_context_size": "high",
    }
    found = request({"input": "x", "tools": [tool], "max_tool_calls": 3, "include": ["web_search_call.action.sources"]})
    assert json.loads(found.content)["tools"] == [
        {
            "type": "web_search_20250305",
            "name": "web_search",
            "allowed_domains": ["a.example"],
            "user_location": {"type": "approximate", "city": "Rome"},
            "max_uses": 3,
        }
    ]
    assert found.dropped == ("tools[0].search_context_size: there is no such setting",)
    for kind in ("web_search_preview", "web_search_2025_08_26", "web_search_preview_2025_03_11"):
        assert written({"input": "x", "tools": [{"type": kind, "user_location": {"type": "approximate"}}]})[
            "tools"
        ] == [{"type": "web_search_20250305", "name": "web_search"}]
    assert (
        refused({"input": "x", "tools": [{"type": "web_search", "external_web_access": False}]}).param
        == "tools[0].external_web_access"
    )


def test_tools_of_anthropics_own_pass_and_others_dont() -> None:
    own = {"type": "web_search_20260318", "name": "web_search", "max_uses": 2}
    assert written({"input": "x", "tools": [own]})["tools"] == [own]
    for kind in ("code_interpreter", "file_search", "mcp", "image_generation", "computer_use_preview"):
        assert refused({"input": "x", "tools": [{"type": kind}]}).param == "tools[0].type"
        assert dropped({"input": "x", "tools": [{"type": kind}]}) == [f"tools[0].type: Anthropic runs no {kind!r} tool"]


@pytest.mark.parametrize(
    ("choice", "said", "names"),
    [
        ("auto", None, ["get_weather", "get_time"]),
        ("none", {"type": "none"}, ["get_weather", "get_time"]),
        ("required", {"type": "any"}, ["get_weather", "get_time"]),
        ({"type": "function", "name": "get_time"}, {"type": "tool", "name": "get_time"}, ["get_time"]),
        ({"type": "function", "function": {"name": "get_time"}}, {"type": "tool", "name": "get_time"}, ["get_time"]),
        (
            {"type": "allowed_tools", "mode": "auto", "tools": [{"type": "function", "name": "get_time"}]},
            None,
            ["get_time"],
        ),
        (
            {
                "type": "allowed_tools",
                "mode": "required",
                "tools": [{"type": "function", "name": "get_time"}, {"type": "function", "name": "get_weather"}],
            },
            {"type": "any"},
            ["get_weather", "get_time"],
        ),
    ],
)
def test_every_form_of_choice(choice: Any, said: Any, names: list[str]) -> None:
    sent = written({"input": "x", "tools": [TOOL, OTHER], "tool_choice": choice})
    assert sent.get("tool_choice") == said
    assert [tool["name"] for tool in sent["tools"]] == names


def test_a_search_can_be_forced() -> None:
    tools = [TOOL, {"type": "web_search"}]
    sent = written({"input": "x", "tools": tools, "tool_choice": {"type": "web_search"}})
    assert sent["tool_choice"] == {"type": "tool", "name": "web_search"}
    assert [tool["name"] for tool in sent["tools"]] == ["web_search"]
    own = {"type": "web_search_20260318", "name": "web_search"}
    assert (
        written({"input": "x", "tools": [own], "tool_choice": {"type": "web_search_20260318"}})["tool_choice"]
        == sent["tool_choice"]
    )


def test_a_choice_among_functions_leaves_searches_out() -> None:
    tools = [TOOL, {"type": "web_search"}]
    sent = written({"input": "x", "tools": tools, "tool_choice": {"type": "function", "name": "get_weather"}})
    assert [tool["name"] for tool in sent["tools"]] == ["get_weather"]


def test_calls_one_at_a_time() -> None:
    body = {"input": "x", "tools": [TOOL], "parallel_tool_calls": False}
    assert written(body)["tool_choice"] == {"type": "auto", "disable_parallel_tool_use": True}
    assert written({**body, "tool_choice": "required"})["tool_choice"] == {
        "type": "any",
        "disable_parallel_tool_use": True,
    }
    assert "tool_choice" not in written({**body, "parallel_tool_calls": True})
    assert "tool_choice" not in written({"input": "x", "parallel_tool_calls": False})
    assert refused({**body, "parallel_tool_calls": "no"}).param == "parallel_tool_calls"


def test_a_choice_without_tools() -> None:
    assert refused({"input": "x", "tool_choice": "required"}).param == "tool_choice"
    assert "tool_choice" not in written({"input": "x", "tool_choice": "none"})


@pytest.mark.parametrize("model", ["claude-opus-4-7", "claude-sonnet-4-6", OLD])
def test_nothing_is_forced_on_a_model_that_thinks(model: str) -> None:
    body: dict[str, Any] = {"input": "x", "tools": [TOOL], "tool_choice": "required"}
    assert written(body, model)["tool_choice"] == {"type": "any"}
    body["reasoning"] = {"effort": "high"}
    found = request(body, model)
    assert "tool_choice" not in written(body, model)
    assert found.dropped == ("tool_choice: while it thinks, Claude can't be made to call a tool; it may",)


@pytest.mark.parametrize("model", ["claude-opus-4-8", "claude-opus-5", "claude-fable-5", "claude-haiku-5-5"])
def test_some_can_be_forced_while_they_think(model: str) -> None:
    body = {"input": "x", "tools": [TOOL], "tool_choice": "required", "reasoning": {"effort": "high"}}
    assert written(body, model)["tool_choice"] == {"type": "any"}
    assert request(body, model).dropped == ()


@pytest.mark.parametrize("model", ["claude-fable-5-1", "claude-opus-5-5", "claude-sonnet-5-5"])
def test_some_can_never_be_forced(model: str) -> None:
    body = {"input": "x", "tools": [TOOL], "tool_choice": {"type": "function", "name": "get_weather"}}
    assert "tool_choice" not in written(body, model)
    assert request(body, model).dropped == ("tool_choice: this model can't be made to call a tool; it may",)


SCHEMA = {"type": "object", "properties": {"name": {"type": "string", "maxLength": 9}}, "required": ["name"]}
CLOSED = {
    "type": "object",
    "properties": {"name": {"type": "string", "description": "{maxLength: 9}"}},
    "required": ["name"],
    "additionalProperties": False,
}
FORM = {"format": {"type": "json_schema", "name": "person", "schema": SCHEMA, "strict": True}}


def test_forms() -> None:
    assert written({"input": "x", "text": FORM})["output_config"] == {
        "format": {"type": "json_schema", "schema": CLOSED}
    }
    chat = {"format": {"type": "json_schema", "json_schema": {"name": "person", "schema": SCHEMA}}}
    assert written({"input": "x", "text": chat}) == written({"input": "x", "text": FORM})
    assert written({"input": "x", "text": {"format": {"type": "text"}, "verbosity": "medium"}}) == written("x")
    assert written({"input": "x", "text": {}}) == written("x")
    told = written({"input": "x", "text": {"format": {"type": "json_object"}}})
    assert told["system"] == [text("Answer with one JSON object and nothing else.")]


def test_forms_before_there_were_any() -> None:
    body: dict[str, Any] = {"input": "x", "text": FORM}
    sent = written(body, OLDEST)
    assert sent["tools"][0]["input_schema"] == CLOSED
    assert sent["tool_choice"] == {"type": "tool", "name": "respond_in_json"}
    assert "output_config" not in sent
    assert written({**body, "tools": [TOOL]}, OLDEST)["tool_choice"] == {"type": "any"}
    assert written({**body, "tools": [TOOL], "tool_choice": "none"}, OLDEST)["tool_choice"] == {
        "type": "tool",
        "name": "respond_in_json",
    }
    thinking = "claude-3-7-sonnet-20250219"
    found = request({**body, "reasoning": {"effort": "low"}}, thinking)
    assert "tool_choice" not in json.loads(found.content)
    assert found.dropped[0].startswith("tool_choice:")
    silent = written({**body, "tools": [TOOL], "tool_choice": "none", "reasoning": {"effort": "low"}}, thinking)
    assert "tool_choice" not in silent
    one = written({**body, "reasoning": {"effort": "low"}, "parallel_tool_calls": False}, thinking)
    assert one["tool_choice"] == {"type": "auto", "disable_parallel_tool_use": True}


@pytest.mark.parametrize(
    "form", ["json", {"type": "grammar"}, {"type": "json_schema"}, {"type": "json_schema", "schema": "x"}]
)
def test_what_is_no_form(form: Any) -> None:
    assert refused({"input": "x", "text": {"format": form}}).param == "text.format"


def test_verbosity() -> None:
    assert refused({"input": "x", "text": {"verbosity": "low"}}).param == "text.verbosity"
    assert dropped({"input": "x", "text": {"verbosity": "low"}}) == ["text.verbosity: Claude has no such setting"]


def test_sampling_where_there_is_any() -> None:
    assert written({"input": "x", "temperature": 0.5}, OLD)["temperature"] == 0.5
    assert written({"input": "x", "top_p": 0.5}, OLD)["top_p"] == 0.5
    sent = written({"input": "x", "temperature": 0.5, "top_p": 0.5}, OLDEST)
    assert (sent["temperature"], sent["top_p"]) == (0.5, 0.5)


@pytest.mark.parametrize(
    ("body", "model", "param"),
    [
        ({"temperature": 0.5}, LATEST, "temperature"),
        ({"top_p": 0.5}, LATEST, "top_p"),
        ({"temperature": 1.5}, OLD, "temperature"),
        ({"temperature": 0.5, "top_p": 0.5}, OLD, "top_p"),
        ({"temperature": 0.5, "reasoning": {"effort": "low"}}, OLD, "temperature"),
        ({"top_p": 0.5, "reasoning": {"effort": "low"}}, OLD, "top_p"),
    ],
)
def test_sampling_where_there_is_none(body: dict[str, Any], model: str, param: str) -> None:
    body = {"input": "x", **body}
    error = refused(body, model)
    assert (error.param, error.code) == (param, "unsupported_parameter")
    assert [each.partition(":")[0] for each in dropped(body, model)] == [param]


def test_sampling_as_it_is_done_anyway_is_not_said() -> None:
    assert written({"input": "x", "temperature": 1, "top_p": 1.0}) == written("x")
    assert request({"input": "x", "temperature": 1}).dropped == ()
    near = written({"input": "x", "top_p": 0.97, "reasoning": {"effort": "low"}}, OLD)
    assert near["top_p"] == 0.97
    assert refused({"input": "x", "temperature": "hot"}).param == "temperature"


def test_the_new_version_has_no_sampling() -> None:
    new = claude(OLD, api_version="2026-10-21")
    assert "2026-10-21" in str(refused({"input": "x", "temperature": 0.5}, deployment=new))
    assert request("x", deployment=new).headers["anthropic-version"] == "2026-10-21"


@pytest.mark.parametrize(
    ("body", "user_id"),
    [
        ({"user": "u-42"}, "u-42"),
        ({"user": "u-42", "safety_identifier": "s-1"}, "s-1"),
        ({"user": "ada@example.com"}, None),
        ({"user": "+1 (555) 123-4567"}, None),
        ({"user": "x" * 300}, None),
    ],
)
def test_users_are_opaque(body: dict[str, Any], user_id: str | None) -> None:
    sent = written({"input": "x", **body})["metadata"]["user_id"]
    assert sent == user_id if user_id else sent.startswith("user_")
    assert len(sent) < 100


@pytest.mark.parametrize(("tier", "said"), [("auto", "auto"), ("default", "standard_only"), ("priority", "auto")])
def test_tiers(tier: str, said: str) -> None:
    assert written({"input": "x", "service_tier": tier})["service_tier"] == said


@pytest.mark.parametrize("tier", ["flex", {}])
def test_tiers_there_are_none_of(tier: Any) -> None:
    assert refused({"input": "x", "service_tier": tier}).param == "service_tier"


def test_stop_sequences() -> None:
    assert written({"input": "x", "stop": "END"})["stop_sequences"] == ["END"]
    assert written({"input": "x", "stop": ["A", "B"]})["stop_sequences"] == ["A", "B"]
    assert written({"input": "x"}, extra_body={"stop_sequences": ["C"]})["stop_sequences"] == ["C"]


@pytest.mark.parametrize(
    ("body", "mark"),
    [
        ({"prompt_cache_options": {"mode": "implicit"}}, {"type": "ephemeral"}),
        ({"prompt_cache_options": {"ttl": "30m"}}, {"type": "ephemeral", "ttl": "1h"}),
        ({"prompt_cache_retention": "in_memory"}, {"type": "ephemeral"}),
        ({"prompt_cache_options": {"mode": "explicit"}}, None),
        ({"prompt_cache_key": "k"}, None),
        ({}, None),
    ],
)
def test_caching(body: dict[str, Any], mark: Any) -> None:
    assert written({"input": "x", **body}).get("cache_control") == mark


def test_breakpoints_of_caches_are_marks() -> None:
    def ask(point: Any, **more: Any) -> Any:
        part = {"type": "input_text", "text": "x", "prompt_cache_breakpoint": point, **more.pop("part", {})}
        return written({"input": [user(part)], **more})["messages"][0]["content"][0].get("cache_control")

    explicit = {"mode": "explicit"}
    assert ask(explicit) == MARK
    assert ask({**explicit, "ttl": "30m"}) == {**MARK, "ttl": "1h"}
    assert ask(explicit, prompt_cache_options={"mode": "explicit", "ttl": "30m"}) == {**MARK, "ttl": "1h"}
    assert ask(explicit, part={"cache_control": {**MARK, "ttl": "5m"}}) == {**MARK, "ttl": "5m"}
    assert ask(None) is None


def test_caching_that_cant_be_had() -> None:
    for body in ({"prompt_cache_options": {"ttl": "12h"}}, {"prompt_cache_retention": "24h"}):
        assert request({"input": "x", **body}).dropped == (
            "prompt_cache_options.ttl: Anthropic keeps caches for an hour at most",
        )
        assert written({"input": "x", **body})["cache_control"]["ttl"] == "1h"
    assert refused({"input": "x", "prompt_cache_options": {"prewarm": True}}).param == "prompt_cache_options.prewarm"
    assert refused({"input": "x", "prompt_cache_options": {"ttl": "1y"}}).param == "prompt_cache_options.ttl"


def test_what_goes_in_extra_body_goes_on_the_wire() -> None:
    raw = json.loads(request("x", extra_body={"top_k": 5, "cache_control": MARK}).content)
    assert (raw["top_k"], raw["cache_control"]) == (5, MARK)
    fixed = claude(extra_body={"inference_geo": "eu"})
    assert json.loads(request("x", deployment=fixed).content)["inference_geo"] == "eu"


@pytest.mark.parametrize(
    "body",
    [
        {"background": True},
        {"conversation": "conv_1"},
        {"prompt": {"id": "pmpt_1"}},
        {"context_management": [{"type": "compaction"}]},
        {"top_logprobs": 3},
        {"reasoning": {"effort": "low", "mode": "x"}},
    ],
)
def test_what_there_is_no_word_for_is_refused_or_reported(body: dict[str, Any]) -> None:
    (name,) = body
    assert (refused({"input": "x", **body}).param or "").startswith(name)
    assert dropped({"input": "x", **body})[0].startswith(name)


@pytest.mark.parametrize(
    "body",
    [{"background": False}, {"truncation": "disabled"}, {"top_logprobs": 0}, {"metadata": {"a": "b"}}, {"store": True}],
)
def test_what_asks_for_nothing_is_left_out(body: dict[str, Any]) -> None:
    assert written({"input": "x", **body}) == written("x")
    assert request({"input": "x", **body}).dropped == ()


def test_wildcards_name_the_model() -> None:
    call = replace(asking("x"), wildcard="claude-opus-4-7")
    assert json.loads(CLAUDE.encode(call, claude("*")).content)["model"] == "claude-opus-4-7"
