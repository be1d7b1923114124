"""How much Claude is asked to think, generation by generation."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest
from claude_calls import LATEST, OLD, OLDEST, asking, claude, dropped, request, written

from providers.errors import BadRequestError
from providers.messages.generations import generation, seal_family
from providers.messages.provider import VertexMessages
from providers.translation.sealed import seal
from providers.types import JsonObject

SONNET46 = "claude-sonnet-4-6"
FABLE = "claude-fable-5-1"
ADAPTIVE = {"type": "adaptive"}


def ask(effort: str | None = None, **more: Any) -> dict[str, Any]:
    reasoning = {"effort": effort} if effort else {}
    return {"input": "x", "reasoning": {**reasoning, **more.pop("reasoning", {})}, **more}


@pytest.mark.parametrize(
    ("name", "adaptive", "thinks", "sampling", "structured"),
    [
        ("claude-opus-5", True, True, False, True),
        ("claude-sonnet-5-5", True, True, False, True),
        ("claude-haiku-5-5", True, True, False, True),
        ("claude-mythos-preview", True, True, True, True),
        ("claude-opus-4-8", True, True, False, True),
        ("claude-opus-4-7", True, True, False, True),
        ("claude-opus-4.7", True, True, False, True),
        ("claude-sonnet-4-6@default", True, True, True, True),
        ("claude-sonnet-4-5-20250929", False, True, True, True),
        ("claude-haiku-4-5@20251001", False, True, True, True),
        ("claude-opus-4-1-20250805", False, True, True, False),
        ("claude-opus-4-20250514", False, True, True, False),
        ("claude-sonnet-4@20250514", False, True, True, False),
        ("claude-3-7-sonnet-latest", False, True, True, False),
        ("claude-3-5-sonnet-20241022", False, False, True, False),
        ("claude-3-opus-20240229", False, False, True, False),
        ("my-deployment", True, True, True, True),
    ],
)
def test_a_name_tells_the_generation(name: str, adaptive: bool, thinks: bool, sampling: bool, structured: bool) -> None:
    model = generation(claude(name), name)
    assert (model.adaptive, model.thinks, model.sampling, model.structured) == (adaptive, thinks, sampling, structured)


def test_a_name_of_ones_own_can_be_explained() -> None:
    assert not generation(claude("mine", info={"base_model": OLD}), "mine").adaptive
    assert generation(claude("mine", info={"base_model": "gpt-5"}), "mine").adaptive


@pytest.mark.parametrize(
    ("effort", "said"),
    [("minimal", "low"), ("low", "low"), ("medium", "medium"), ("high", "high"), ("xhigh", "xhigh"), ("max", "max")],
)
def test_the_new_ones_are_told_an_effort(effort: str, said: str) -> None:
    sent = written(ask(effort))
    assert sent["thinking"] == ADAPTIVE
    assert sent["output_config"] == {"effort": said}
    assert sent["max_tokens"] == 32_000


@pytest.mark.parametrize(
    ("effort", "budget"),
    [("minimal", 1024), ("low", 1024), ("medium", 2048), ("high", 4096), ("xhigh", 8192), ("max", 16_384)],
)
def test_the_old_ones_are_given_a_budget(effort: str, budget: int) -> None:
    sent = written(ask(effort), OLD)
    assert sent["thinking"] == {"type": "enabled", "budget_tokens": budget}
    assert sent["max_tokens"] == budget + 8192
    assert "output_config" not in sent


def test_a_summary_shows_the_thinking() -> None:
    shown = {"type": "adaptive", "display": "summarized"}
    assert written(ask("low", reasoning={"summary": "auto"}))["thinking"] == shown
    only = written(ask(reasoning={"summary": "detailed"}))
    assert only["thinking"] == shown
    assert "output_config" not in only
    assert written(ask(reasoning={"generate_summary": "auto"}), OLD)["thinking"]["budget_tokens"] == 2048


def test_the_effort_and_the_form_stand_side_by_side() -> None:
    text = {"format": {"type": "json_schema", "name": "x", "schema": {"type": "object", "properties": {}}}}
    assert set(written(ask("low", text=text))["output_config"]) == {"effort", "format"}


def test_none_is_off() -> None:
    for model in (LATEST, "claude-haiku-5-5"):
        assert written(ask("none"), model)["thinking"] == {"type": "disabled"}
    assert written(ask("none"), "claude-sonnet-5-5")["thinking"] == {"type": "between_tools"}
    for model in (SONNET46, "claude-opus-4-8", OLD):
        assert "thinking" not in written(ask("none"), model)


@pytest.mark.parametrize("model", [FABLE, "claude-fable-5", "claude-opus-5-5"])
def test_none_is_not_to_be_had_of_some(model: str) -> None:
    assert dropped(ask("none"), model) == [f"reasoning.effort: {model} always thinks"]
    with pytest.raises(BadRequestError, match="always thinks"):
        request(ask("none"), model)
    assert generation(claude("claude-mythos-preview"), "claude-mythos-preview").off is None


def test_nothing_said_is_nothing_said() -> None:
    for model in (LATEST, OLD):
        assert "thinking" not in written({"input": "x", "reasoning": {}}, model)


def test_efforts_a_model_lacks() -> None:
    found = request(ask("xhigh"), SONNET46)
    assert json.loads(found.content)["output_config"] == {"effort": "high"}
    assert found.dropped == (f"reasoning.effort: {SONNET46} has no xhigh, so it is high",)
    with pytest.raises(BadRequestError, match=r"reasoning\.effort: must be one of none, minimal"):
        request(ask("huge"))
    assert dropped(ask("low"), OLDEST) == [f"reasoning: {OLDEST} does not think"]
    with pytest.raises(BadRequestError, match="does not think"):
        request(ask("low"), OLDEST)


def test_max_tokens_leave_room() -> None:
    assert written(ask("high", max_output_tokens=8000), OLD)["thinking"]["budget_tokens"] == 4096
    found = request(ask("high", max_output_tokens=3000), OLD)
    assert json.loads(found.content)["thinking"]["budget_tokens"] == 1500
    assert found.dropped == ("reasoning.effort: max_output_tokens leaves room for 1500 tokens of thinking",)
    assert written(ask("high", max_output_tokens=1025), OLD)["thinking"]["budget_tokens"] == 1024
    none = request(ask("high", max_output_tokens=1024), OLD)
    assert "thinking" not in json.loads(none.content)
    assert none.dropped[0].startswith("reasoning: max_output_tokens leaves no room")
    for few in (1, 100):
        assert written(ask("high", max_output_tokens=few))["max_tokens"] == few
    for bad in (0, "many", True):
        with pytest.raises(BadRequestError, match="max_output_tokens"):
            request({"input": "x", "max_output_tokens": bad})


def test_ones_own_words_win() -> None:
    own = {"thinking": {"type": "enabled", "budget_tokens": 5000}}
    sent = written(ask("max"), OLD, extra_body=own)
    assert sent["thinking"] == own["thinking"]
    assert sent["max_tokens"] == 13_192
    assert written(ask("max"), OLD, extra_body={**own, "max_tokens": 6000})["max_tokens"] == 6000
    tool = {"type": "function", "name": "f"}
    forced = {"input": "x", "tools": [tool], "tool_choice": "required"}
    opus = "claude-opus-4-7"
    assert "tool_choice" not in written(forced, opus, extra_body={"thinking": ADAPTIVE})
    assert written(forced, opus, extra_body={"thinking": {"type": "disabled"}})["tool_choice"] == {"type": "any"}


def test_a_turn_begun_without_thinking_goes_on_without() -> None:
    call = {"type": "function_call", "call_id": "c1", "name": "f", "arguments": "{}"}
    output = {"type": "function_call_output", "call_id": "c1", "output": "y"}
    body = ask("low", tools=[{"type": "function", "name": "f"}])
    body["input"] = [{"role": "user", "content": "x"}, call, output]
    found = request(body, OLD)
    assert "thinking" not in json.loads(found.content)
    assert found.dropped[0].startswith("reasoning: the turn goes on")
    written(body, OLD)
    assert written(body)["thinking"] == ADAPTIVE
    body["input"] = [*body["input"], {"role": "assistant", "content": "so"}, {"role": "user", "content": "z"}]
    assert "thinking" in written(body, OLD)


SIGNED: JsonObject = {"type": "thinking", "thinking": "", "signature": "c2ln"}


def before(family: str) -> list[dict[str, Any]]:
    """A turn with thinking that was sealed for a family."""
    reasoning = {"type": "reasoning", "summary": [], "encrypted_content": seal(family, [SIGNED])}
    return [
        {"role": "user", "content": "x"},
        reasoning,
        {"role": "assistant", "content": "y"},
        {"role": "user", "content": "z"},
    ]


def test_thinking_can_be_bound_to_an_account() -> None:
    opus = "claude-opus-5-5"
    here, there = claude(opus), claude(opus, account="acme")
    mine, theirs = seal_family(here, opus), seal_family(there, opus)
    assert len({mine, theirs, "claude"}) == 3
    assert seal_family(claude(LATEST, account="acme"), LATEST) == "claude"
    assert seal_family(replace(there, id="other"), opus) == theirs
    sent = written({"input": before(mine)}, opus)
    assert sent["messages"][1]["content"][0] == SIGNED
    for family in (theirs, "claude"):
        found = request({"input": before(family)}, opus)
        assert found.dropped == ("input[1]: reasoning that this Claude did not sign can't be given back to it",)
        assert "thinking" not in json.loads(found.content)


def test_thinking_that_is_bound_is_dropped_when_the_conversation_changed() -> None:
    opus = "claude-opus-5-5"
    binding = {"prefix_mismatch_behavior": "drop_block"}
    mine = {"input": before(seal_family(claude(opus), opus))}
    found = request(mine, opus)
    assert found.headers["anthropic-beta"] == "thinking-binding-controls-2026-08-01"
    assert json.loads(found.content)["thinking"] == {"type": "adaptive", "block_binding": binding}
    shown = written({**mine, "reasoning": {"summary": "auto"}}, opus)
    assert shown["thinking"] == {"type": "adaptive", "display": "summarized", "block_binding": binding}
    sonnet = "claude-sonnet-5-5"
    off = {"input": before(seal_family(claude(sonnet), sonnet)), "reasoning": {"effort": "none"}}
    assert written(off, sonnet)["thinking"] == {"type": "between_tools"}
    assert "anthropic-beta" not in request({"input": before("claude")}, LATEST).headers
    assert "anthropic-beta" not in request("x", opus).headers
    hosted = VertexMessages("vertex_ai").encode(asking(mine), claude(opus, project="p-1"))
    assert "thinking" not in json.loads(hosted.content)
    assert "anthropic-beta" not in hosted.headers


@pytest.mark.parametrize("blocks", [["x"], [{"type": "text", "text": "x"}], [{"type": 7}], [{}]])
def test_only_what_is_sealed_is_unsealed(blocks: list[Any]) -> None:
    reasoning = {"type": "reasoning", "summary": [], "encrypted_content": seal("claude", blocks)}
    found = request({"input": [{"role": "user", "content": "x"}, reasoning]})
    assert len(found.dropped) == 1
    assert len(json.loads(found.content)["messages"]) == 1
