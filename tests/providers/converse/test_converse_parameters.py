"""What becomes of the parameters of a call at Bedrock."""

from __future__ import annotations

import hashlib
import json
from typing import Any

import pytest
from converse_calls import (
    BEDROCK,
    CLAUDE,
    GPT_OSS,
    LLAMA,
    NOVA,
    NOVA_2,
    OLD_CLAUDE,
    OLDEST_CLAUDE,
    asking,
    bedrock,
    dropped,
    request,
    written,
)
from pydantic import SecretStr

from providers.converse import TABLE
from providers.converse.families import Family, family
from providers.errors import BadRequestError
from providers.translation.parameters import Outcome
from providers.translation.sealed import seal
from providers.types import AwsKeys, Verb

SCHEMA = {"type": "object", "properties": {"n": {"type": "integer", "minimum": 1}}, "required": ["n"]}
TOOL = {"type": "function", "name": "look", "description": "Looks.", "parameters": SCHEMA, "strict": True}
PLAIN = {"type": "function", "name": "look"}
CALLED = [
    {"role": "user", "content": "?"},
    {"type": "function_call", "call_id": "c", "name": "look up", "arguments": "{}"},
    {"type": "function_call_output", "call_id": "c", "output": "42"},
]
SIGNED: Any = {"type": "thinking", "thinking": "Hm.", "signature": "c2ln"}


def asked(**body: Any) -> dict[str, Any]:
    return {"input": "Hi", **body}


def refused(body: dict[str, Any], model: str = CLAUDE, **settings: Any) -> BadRequestError:
    """The error that a call is refused with."""
    with pytest.raises(BadRequestError) as raised:
        request(body, model, **settings)
    return raised.value


def fields(body: dict[str, Any], model: str = CLAUDE) -> Any:
    return written(body, model).get("additionalModelRequestFields")


# the model


@pytest.mark.parametrize(
    ("model", "base", "found"),
    [
        (CLAUDE, None, Family.CLAUDE),
        ("anthropic.something-new-v1:0", None, Family.CLAUDE),
        (NOVA, None, Family.NOVA),
        (NOVA_2, None, Family.NOVA_2),
        (GPT_OSS, None, Family.GPT_OSS),
        (LLAMA, None, Family.OTHER),
        ("arn:aws:bedrock:us-east-1:1:application-inference-profile/x", None, Family.OTHER),
        ("arn:aws:bedrock:us-east-1:1:application-inference-profile/x", "anthropic.claude-opus-4-7", Family.CLAUDE),
    ],
)
def test_whose_words_a_model_takes(model: str, base: str | None, found: Family) -> None:
    assert family(bedrock(model, info={} if base is None else {"base_model": base}), model) is found


# sampling and limits


def test_sampling_and_limits() -> None:
    body = asked(max_output_tokens=100, temperature=0.5, top_p=1, stop="END")
    config = {"maxTokens": 100, "temperature": 0.5, "topP": 1, "stopSequences": ["END"]}
    assert written(body, LLAMA)["inferenceConfig"] == config
    assert written(asked(stop=["a", "b"]))["inferenceConfig"] == {"stopSequences": ["a", "b"]}
    assert written(asked(temperature=0), LLAMA)["inferenceConfig"] == {"temperature": 0}


@pytest.mark.parametrize(
    ("body", "model", "param"),
    [
        (asked(temperature=1.5), LLAMA, "temperature"),
        (asked(temperature=0.5), CLAUDE, "temperature"),
        (asked(top_p=0.5), CLAUDE, "top_p"),
        (asked(temperature=0.5, reasoning={"effort": "low"}), OLD_CLAUDE, "temperature"),
        (asked(top_p=0.5, reasoning={"effort": "low"}), OLD_CLAUDE, "top_p"),
        (asked(temperature=0.5, top_p=0.5), OLD_CLAUDE, "top_p"),
        (asked(temperature=0.5, reasoning={"effort": "high"}), NOVA_2, "temperature"),
        (asked(max_output_tokens=9, reasoning={"effort": "max"}), NOVA_2, "max_output_tokens"),
        (asked(reasoning={"effort": "none"}), GPT_OSS, "reasoning.effort"),
        (asked(reasoning={"mode": "pro"}), LLAMA, "reasoning.mode"),
        (asked(reasoning={"effort": "low"}), OLDEST_CLAUDE, "reasoning"),
        (asked(text={"verbosity": "low"}), CLAUDE, "text.verbosity"),
        (asked(text={"format": {"type": "json_schema", "name": "n", "schema": SCHEMA}}), OLDEST_CLAUDE, "text.format"),
        (asked(service_tier="scale"), CLAUDE, "service_tier"),
        (asked(prompt_cache_options={"prewarm": True}), CLAUDE, "prompt_cache_options.prewarm"),
        (
            asked(prompt_cache_options={"comparison_response_id": "r"}),
            CLAUDE,
            "prompt_cache_options.comparison_response_id",
        ),
        (asked(tools=[PLAIN], parallel_tool_calls=False), LLAMA, "parallel_tool_calls"),
        (asked(tools=[{"type": "code_interpreter"}]), NOVA_2, "tools[0].type"),
        (asked(tools=[{"type": "web_search"}]), CLAUDE, "tools[0].type"),
        (asked(tools=[{"type": "web_search", "user_location": {}}]), NOVA_2, "tools[0].user_location"),
        ({"input": CALLED, "tools": [PLAIN], "tool_choice": "none"}, LLAMA, "tool_choice"),
        (asked(top_logprobs=5), CLAUDE, "top_logprobs"),
        (asked(background=True), CLAUDE, "background"),
        (asked(conversation="conv_1"), CLAUDE, "conversation"),
        (asked(prompt={"id": "p"}), CLAUDE, "prompt"),
        (asked(max_tool_calls=1), CLAUDE, "max_tool_calls"),
    ],
)
def test_what_bedrock_has_no_word_for(body: dict[str, Any], model: str, param: str) -> None:
    error = refused(body, model)
    assert (error.param, error.code) == (param, "unsupported_parameter")
    _, notes = dropped(body, model)
    assert [note.split(":")[0] for note in notes if note.startswith(param)] == [param]


@pytest.mark.parametrize(
    ("body", "model", "param"),
    [
        (asked(max_output_tokens=0), LLAMA, "max_output_tokens"),
        (asked(max_output_tokens="5"), CLAUDE, "max_output_tokens"),
        (asked(temperature="warm"), LLAMA, "temperature"),
        (asked(top_p=3), LLAMA, "top_p"),
        (asked(reasoning={"effort": "huge"}), LLAMA, "reasoning.effort"),
        (asked(reasoning={"effort": "huge"}), CLAUDE, "reasoning.effort"),
        (asked(text={"format": {"type": "xml"}}), CLAUDE, "text.format"),
        (asked(text={"format": {"type": "json_schema", "name": "n"}}), CLAUDE, "text.format.schema"),
        (asked(user=5), CLAUDE, "user"),
        (asked(prompt_cache_options={"ttl": "1h"}), CLAUDE, "prompt_cache_options.ttl"),
        (asked(prompt_cache_options={"ttl": ["1h"]}), CLAUDE, "prompt_cache_options.ttl"),
        (asked(metadata={"a": 5}), CLAUDE, "metadata.a"),
        (asked(tools=[PLAIN], parallel_tool_calls="no"), CLAUDE, "parallel_tool_calls"),
    ],
)
def test_what_means_nothing_anywhere(body: dict[str, Any], model: str, param: str) -> None:
    error = refused(body, model, drop_params=True)
    assert (error.param, error.code) == (param, "invalid_value")


def test_every_parameter_has_its_line() -> None:
    assert TABLE["conversation"].outcome is TABLE["prompt"].outcome is TABLE["background"].outcome is Outcome.REFUSED
    assert all(line.note for line in TABLE.values())


# reasoning


def test_claude_decides_how_much_to_think() -> None:
    body = asked(reasoning={"effort": "xhigh", "summary": "auto"}, max_output_tokens=500)
    sent = written(body)
    assert sent["additionalModelRequestFields"] == {
        "thinking": {"type": "adaptive", "display": "summarized"},
        "output_config": {"effort": "xhigh"},
    }
    assert sent["additionalModelResponseFieldPaths"] == ["/usage/output_tokens_details"]
    assert sent["inferenceConfig"] == {"maxTokens": 500}
    assert "inferenceConfig" not in written(asked(reasoning={"effort": "low"}))


def test_older_claudes_have_a_budget() -> None:
    sent = written(asked(reasoning={"effort": "medium"}), OLD_CLAUDE)
    assert sent["additionalModelRequestFields"] == {"thinking": {"type": "enabled", "budget_tokens": 2048}}
    assert sent["inferenceConfig"]["maxTokens"] > 2048
    assert "additionalModelRequestFields" not in written(asked(reasoning={"effort": "none"}), OLD_CLAUDE)


@pytest.mark.parametrize(
    ("model", "effort", "said"),
    [
        (NOVA_2, "minimal", {"reasoningConfig": {"type": "enabled", "maxReasoningEffort": "low"}}),
        (NOVA_2, "xhigh", {"reasoningConfig": {"type": "enabled", "maxReasoningEffort": "high"}}),
        (NOVA_2, "none", {"reasoningConfig": {"type": "disabled"}}),
        (GPT_OSS, "max", {"reasoning_effort": "high"}),
        (LLAMA, "none", None),
    ],
)
def test_reasoning_of_others(model: str, effort: str, said: Any) -> None:
    assert fields(asked(reasoning={"effort": effort}), model) == said


def test_efforts_where_there_are_three() -> None:
    efforts = {"minimal": "low", "low": "low", "medium": "medium", "high": "high", "xhigh": "high", "max": "high"}
    for effort, said in efforts.items():
        assert fields(asked(reasoning={"effort": effort}), GPT_OSS) == {"reasoning_effort": said}
    assert written(asked(reasoning={"effort": "low"}), GPT_OSS).get("additionalModelResponseFieldPaths") is None


def test_converses_own_word_for_effort() -> None:
    assert written(asked(reasoning={"effort": "max"}), LLAMA)["outputConfig"] == {"effort": "max"}
    assert written(asked(reasoning={"effort": "minimal"}), LLAMA)["outputConfig"] == {"effort": "low"}
    assert "outputConfig" not in written(asked(reasoning={"summary": "auto"}), LLAMA)


def test_a_turn_begun_without_thinking_goes_on_without_it() -> None:
    body = {"input": CALLED, "tools": [PLAIN], "reasoning": {"effort": "low"}, "max_output_tokens": 2000}
    sent, notes = dropped(body, OLD_CLAUDE, drop_params=False)
    assert "additionalModelRequestFields" not in sent
    assert sent["inferenceConfig"] == {"maxTokens": 2000}
    assert notes == ["reasoning: left out: the turn that the tools answer was made without it"]
    thought: Any = {"type": "reasoning", "summary": [], "encrypted_content": seal("claude", [SIGNED])}
    begun = {**body, "input": [CALLED[0], thought, *CALLED[1:]]}
    assert "thinking" in fields(begun, OLD_CLAUDE)
    assert "thinking" in fields({**body, "input": [*CALLED, {"role": "assistant", "content": "!"}]}, OLD_CLAUDE)
    assert "thinking" in fields(body)


# the form of the answer


def test_a_schema() -> None:
    form = {"type": "json_schema", "name": "answer", "description": "An answer.", "schema": SCHEMA, "strict": True}
    for model in (LLAMA, CLAUDE):
        config = written(asked(text={"format": form, "verbosity": "medium"}), model)["outputConfig"]["textFormat"]
        assert config["type"] == "json_schema"
        told = config["structure"]["jsonSchema"]
        assert (told["name"], told["description"]) == ("answer", "An answer.")
        schema = json.loads(told["schema"])
        assert schema["required"] == ["n"]
        assert ("minimum" in schema["properties"]["n"]) == (model == LLAMA)  # Claude is told of it in words
    bare = {"type": "json_schema", "schema": {"type": "object"}, "name": "", "description": None}
    told = written(asked(text={"format": bare}), LLAMA)["outputConfig"]["textFormat"]["structure"]["jsonSchema"]
    assert told == {"schema": '{"type":"object"}'}


def test_any_json_is_asked_for_in_words() -> None:
    sent, notes = dropped(asked(text={"format": {"type": "json_object"}}), drop_params=False)
    assert sent["system"] == [{"text": "Answer with one JSON object and nothing else."}]
    assert notes == ["text.format: json_object is asked for in words, not enforced"]
    assert "system" not in written(asked(text={"format": {"type": "text"}}))


# tools


def test_functions() -> None:
    free = {"type": "custom", "name": "shell"}
    sent = written(asked(tools=[TOOL, free]), LLAMA)["toolConfig"]["tools"]
    assert sent[0]["toolSpec"] == {
        "name": "look",
        "description": "Looks.",
        "strict": True,
        "inputSchema": {"json": SCHEMA},
    }
    assert sent[1]["toolSpec"]["inputSchema"]["json"]["required"] == ["input"]
    (claude,) = written(asked(tools=[TOOL]))["toolConfig"]["tools"]
    assert claude["toolSpec"]["inputSchema"]["json"]["additionalProperties"] is False


def test_strictness_that_an_old_claude_lacks() -> None:
    sent, notes = dropped(asked(tools=[TOOL]), OLDEST_CLAUDE, drop_params=False)
    assert "strict" not in sent["toolConfig"]["tools"][0]["toolSpec"]
    assert notes == [f"tools[0].strict: {OLDEST_CLAUDE} does not keep to schemas strictly"]


OTHER = {"type": "function", "name": "other"}


@pytest.mark.parametrize(
    ("choice", "said"),
    [
        ("auto", None),
        ("required", {"any": {}}),
        ({"type": "function", "name": "look"}, {"tool": {"name": "look"}}),
        ({"type": "allowed_tools", "mode": "auto", "tools": [PLAIN]}, None),
        ({"type": "allowed_tools", "mode": "required", "tools": [PLAIN, OTHER]}, {"any": {}}),
    ],
)
def test_choices(choice: Any, said: Any) -> None:
    config = written(asked(tools=[PLAIN, OTHER], tool_choice=choice), LLAMA)["toolConfig"]
    assert config.get("toolChoice") == said


def test_only_allowed_tools_are_declared() -> None:
    choice = {"type": "allowed_tools", "mode": "required", "tools": [PLAIN]}
    config = written(asked(tools=[PLAIN, OTHER], tool_choice=choice), LLAMA)["toolConfig"]
    assert [tool["toolSpec"]["name"] for tool in config["tools"]] == ["look"]
    searched = {"type": "allowed_tools", "mode": "auto", "tools": [{"type": "web_search"}]}
    config = written(asked(tools=[PLAIN, {"type": "web_search"}], tool_choice=searched), NOVA_2)["toolConfig"]
    assert config == {"tools": [{"systemTool": {"name": "nova_grounding"}}]}
    both = asked(tools=[PLAIN, {"type": "web_search"}], tool_choice={"type": "function", "name": "look"})
    assert len(written(both, NOVA_2)["toolConfig"]["tools"]) == 1
    assert len(written({**both, "tool_choice": "auto"}, NOVA_2)["toolConfig"]["tools"]) == 2


def test_no_tools_may_be_called() -> None:
    assert "toolConfig" not in written(asked(tools=[PLAIN], tool_choice="none"))
    sent = written({"input": CALLED, "tools": [PLAIN], "tool_choice": "none"})
    assert sent["toolConfig"]["tools"][0]["toolSpec"]["name"] == "look"
    assert sent["additionalModelRequestFields"] == {"tool_choice": {"type": "none"}}
    config = dropped({"input": CALLED, "tools": [PLAIN], "tool_choice": "none"}, LLAMA)[0]["toolConfig"]
    assert "toolChoice" not in config


def test_tools_that_were_called_are_declared_even_if_they_are_not_offered_any_more() -> None:
    sent = written({"input": CALLED})
    name = sent["messages"][1]["content"][0]["toolUse"]["name"]
    assert name.startswith("look_up_")
    assert sent["toolConfig"]["tools"] == [{"toolSpec": {"name": name, "inputSchema": {"json": {"type": "object"}}}}]
    assert sent["additionalModelRequestFields"] == {"tool_choice": {"type": "none"}}
    other, notes = dropped({"input": CALLED}, LLAMA, drop_params=False)
    assert other["toolConfig"] == sent["toolConfig"]
    assert notes == ["tools: those called before are declared again, as Bedrock demands: the model may call them"]


def test_one_tool_at_a_time() -> None:
    body = asked(tools=[PLAIN], parallel_tool_calls=False)
    assert fields(body) == {"tool_choice": {"type": "auto", "disable_parallel_tool_use": True}}
    forced = written({**body, "tool_choice": "required"})
    assert forced["toolConfig"]["toolChoice"] == {"any": {}}
    assert forced["additionalModelRequestFields"] == {"tool_choice": {"disable_parallel_tool_use": True}}
    assert fields(asked(tools=[PLAIN], parallel_tool_calls=True)) is None
    assert fields(asked(parallel_tool_calls=False), LLAMA) is None
    assert "additionalModelRequestFields" not in dropped(body, LLAMA)[0]


def test_settings_of_a_search_that_ask_for_nothing() -> None:
    search = {"type": "web_search", "external_web_access": True, "search_context_size": "medium", "filters": {}}
    assert written(asked(tools=[search]), NOVA_2)["toolConfig"]["tools"] == [{"systemTool": {"name": "nova_grounding"}}]


def test_a_claude_that_thinks_is_not_forced() -> None:
    body = asked(tools=[PLAIN], tool_choice="required", reasoning={"effort": "low"})
    sent, notes = dropped(body, drop_params=False)
    assert "toolChoice" not in sent["toolConfig"]
    assert notes == ["tool_choice: while it thinks, Claude can't be made to call a tool; it may"]
    assert written(body, NOVA_2)["toolConfig"]["toolChoice"] == {"any": {}}
    newest = "us.anthropic.claude-opus-5-5-v1:0"
    sent, notes = dropped(asked(tools=[PLAIN], tool_choice="required"), newest, drop_params=False)
    assert "toolChoice" not in sent["toolConfig"]
    assert notes == ["tool_choice: this model can't be made to call a tool; it may"]


# who asks, and how it is served


def test_labels() -> None:
    labels = {"team": "a b", "long": "x" * 257, "umlaut": "ü", "": "e"}
    sent, notes = dropped(asked(user="u-1", safety_identifier="jürgen", metadata=labels), drop_params=False)
    hashed = hashlib.sha256("jürgen".encode()).hexdigest()
    assert sent["requestMetadata"] == {"safety_identifier": hashed, "user": "u-1", "team": "a b"}
    assert [note.split(":")[0] for note in notes] == ["metadata.long", "metadata.umlaut", "metadata."]
    many = {f"k{number}": "v" for number in range(16)}
    sent, notes = dropped(asked(user="u", metadata=many))
    assert (len(sent["requestMetadata"]), len(notes)) == (16, 1)


def test_tiers() -> None:
    assert "serviceTier" not in written(asked(service_tier="auto"))
    for tier in ("default", "flex", "priority"):
        assert written(asked(service_tier=tier))["serviceTier"] == {"type": tier}


@pytest.mark.parametrize(
    ("body", "point", "notes"),
    [
        ({"prompt_cache_options": {"ttl": "30m"}}, {"type": "default", "ttl": "1h"}, 0),
        ({"prompt_cache_options": {"ttl": "12h", "mode": "implicit"}}, {"type": "default", "ttl": "1h"}, 1),
        ({"prompt_cache_options": {"mode": "implicit"}}, {"type": "default"}, 0),
        ({"prompt_cache_retention": "24h"}, {"type": "default", "ttl": "1h"}, 1),
        ({"prompt_cache_retention": "in_memory"}, None, 0),
        ({"prompt_cache_options": {"mode": "explicit", "ttl": "12h"}}, None, 0),
        ({"prompt_cache_options": {}}, None, 0),
        ({"prompt_cache_key": "k"}, None, 0),
    ],
)
def test_prompts_that_are_kept(body: dict[str, Any], point: Any, notes: int) -> None:
    sent, left = dropped(asked(**body), drop_params=False)
    assert sent["messages"][0]["content"][1:] == ([] if point is None else [{"cachePoint": point}])
    assert left == ["prompt_cache_options.ttl: Bedrock keeps caches for an hour at most"] * notes
    for model in (NOVA, OLDEST_CLAUDE):
        short, _ = dropped(asked(**body), model)
        assert short["messages"][0]["content"][1:] == ([] if point is None else [{"cachePoint": {"type": "default"}}])
    assert len(dropped(asked(**body), LLAMA)[0]["messages"][0]["content"]) == 1


def test_a_mark_at_the_end_is_the_point_at_the_end() -> None:
    part = {"type": "input_text", "text": "Hi", "cache_control": {"type": "ephemeral"}}
    body = {"input": [{"role": "user", "content": [part]}], "prompt_cache_options": {"ttl": "30m"}}
    assert written(body)["messages"][0]["content"] == [{"text": "Hi"}, {"cachePoint": {"type": "default"}}]


# the vendor's own parameters


def test_own_parameters() -> None:
    guardrail = {"guardrailIdentifier": "abc123", "guardrailVersion": "1"}
    sent = written(
        asked(max_output_tokens=5),
        LLAMA,
        extra_body={
            "guardrailConfig": guardrail,
            "top_k": 4,
            "inferenceConfig": {"topP": 0.5},
            "additionalModelRequestFields": {"b": 2},
        },
    )
    assert sent["guardrailConfig"] == guardrail
    assert sent["inferenceConfig"] == {"maxTokens": 5, "topP": 0.5}
    assert sent["additionalModelRequestFields"] == {"top_k": 4, "b": 2}


def test_a_callers_own_thinking() -> None:
    own = {"type": "enabled", "budget_tokens": 3000}
    sent = written(asked(reasoning={"effort": "low"}), OLD_CLAUDE, extra_body={"thinking": own})
    assert sent["additionalModelRequestFields"] == {"thinking": own}
    assert sent["inferenceConfig"]["maxTokens"] > 3000


# where it is sent, and who calls


def test_where_it_is_sent() -> None:
    call = asking("Hi", stream=True, query={"b": 2})
    found = BEDROCK.encode(call, bedrock(region="eu-west-1", query={"a": "1"}))
    assert found.url == (
        "https://bedrock-runtime.eu-west-1.amazonaws.com/model/us.anthropic.claude-opus-4-7-v1%3A0/converse-stream?a=1&b=2"
    )
    assert found.headers["accept"] == "application/vnd.amazon.eventstream"
    wild = BEDROCK.encode(
        asking("Hi", wildcard="eu-north-1/mistral.x"), bedrock("*", api_key=None, token_source=str), None
    )
    assert wild.url == "https://bedrock-runtime.eu-north-1.amazonaws.com/model/mistral.x/converse"
    assert "authorization" not in wild.headers


def test_who_calls() -> None:
    keys = AwsKeys("AK", SecretStr("sk"))
    source = bedrock(api_base="http://gateway/b", token_source=lambda: keys, region="ca-central-1")
    signed = BEDROCK.encode(asking(), source, keys).headers["authorization"]
    assert signed.startswith("AWS4-HMAC-SHA256 Credential=AK/")
    assert "/ca-central-1/bedrock/" in signed
    assert BEDROCK.encode(asking(), bedrock()).headers["authorization"] == "Bearer a-bearer-key"
    assert BEDROCK.encode(asking(), source, "token").headers["authorization"] == "Bearer token"
    own = bedrock(headers={"Authorization": "Custom"})
    assert BEDROCK.encode(asking(), own).headers["authorization"] == "Custom"


def test_other_operations_are_not_bedrocks() -> None:
    with pytest.raises(BadRequestError, match="no operation"):
        BEDROCK.encode(asking(verb=Verb.COMPACT), bedrock())
