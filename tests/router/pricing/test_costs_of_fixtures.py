"""Usage and cost of every recorded answer of every vendor, streamed and not, against sums made by hand."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from typing import Any

import pytest
from replays import DIALECTS, priced, recorded
from routers import create

from providers.usage import TokenUsage
from router import APIError

# dollars for a million tokens, as the vendors publish them
OPUS_5 = {"input": 5.0, "read": 0.5, "minutes": 6.25, "hour": 10.0, "output": 25.0}
SONNET_3 = {"input": 3.0, "output": 15.0}
OPUS_IN_US = {"input": 5.5, "read": 0.55, "minutes": 6.875, "output": 27.5}
FLASH = {"input": 0.3, "read": 0.03, "output": 2.5}
FLASH_IMAGE = {"input": 0.3, "output": 2.5, "image": 30.0}
FLASH_2 = {"input": 0.1, "output": 0.4}
FLASH_3 = {"input": 0.5, "output": 3.0}
PRO = {"input": 1.25, "output": 10.0}
PRO_3 = {"input": 2.0, "output": 12.0}
GPT = {"input": 2.5, "read": 0.25, "output": 15.0}
CEREBRAS = {"input": 0.35, "output": 0.75}
GROQ = {"input": 0.15, "output": 0.6}
MISTRAL = {"input": 2.0, "output": 6.0}
MAGISTRAL = {"input": 2.0, "output": 5.0}
OPENROUTER = {"input": 3.0, "read": 0.3, "minutes": 3.75, "output": 15.0}
SONAR = {"input": 1.0, "output": 1.0}
SONAR_PRO = {"input": 3.0, "output": 15.0}
GROK = {"input": 3.0, "output": 15.0}
OWN = {"input": 1.0, "output": 2.0}

# tokens as the vendors count them, by the price they fall under; pieces in dollars
Row = tuple[Mapping[str, float], Mapping[str, int], float]
SEARCH_10, SEARCH_35, REQUEST_12, REQUEST_14 = 0.010, 0.035, 0.012, 0.014
CHAT: Row = (GPT, {"input": 12 - 8, "read": 8, "output": 7}, 0)
VLLM: Row = (OWN, {"input": 5, "output": 9}, 0)
USUAL: Row = (GPT, {"input": 12, "output": 7}, 0)
BEDROCK: Row = (OPUS_IN_US, {"input": 11, "output": 4}, 0)

TABLE: Mapping[str, Mapping[str, Row]] = {
    "messages": {
        "cached": (OPUS_5, {"input": 5, "read": 100, "minutes": 15, "hour": 5, "output": 7}, 0),
        "citations": (OPUS_5, {"input": 610, "output": 51}, 0),
        "context_window": (OPUS_5, {"input": 199_990, "output": 10}, 0),
        "empty": (OPUS_5, {"input": 40, "output": 3}, 0),
        "error_after_start": (OPUS_5, {"input": 12, "output": 1}, 0),
        "error_midway": (OPUS_5, {"input": 12, "output": 1}, 0),
        "interleaved": (OPUS_5, {"input": 210, "output": 80}, 0),
        "json": (OPUS_5, {"input": 200, "output": 14}, 0),
        "json_tool": (SONNET_3, {"input": 300, "output": 24}, 0),
        "max_tokens": (OPUS_5, {"input": 14, "output": 10}, 0),
        "max_tokens_thinking": (OPUS_5, {"input": 14, "output": 1024}, 0),
        "max_tokens_tool": (OPUS_5, {"input": 14, "output": 10}, 0),
        "parallel_tools": (OPUS_5, {"input": 600, "output": 120}, 0),
        "pause_turn": (OPUS_5, {"input": 2039, "output": 180}, SEARCH_10),
        "redacted": (SONNET_3, {"input": 21, "output": 140}, 0),
        "refusal": (OPUS_5, {"input": 564, "output": 1}, 0),
        "refusal_midway": (OPUS_5, {"input": 564, "output": 12}, 0),
        "stop_sequence": (OPUS_5, {"input": 20, "output": 9}, 0),
        "text": (OPUS_5, {"input": 12, "output": 11}, 0),
        "text_tool_text": (OPUS_5, {"input": 100, "output": 40}, 0),
        "thinking": (OPUS_5, {"input": 44, "output": 93}, 0),
        "thinking_omitted": (OPUS_5, {"input": 44, "output": 90}, 0),
        "tool_only_empty": (OPUS_5, {"input": 380, "output": 34}, 0),
        "tool_use": (OPUS_5, {"input": 472, "output": 89}, 0),
        "truncated": (OPUS_5, {"input": 12, "output": 1}, 0),
        "web_search": (OPUS_5, {"input": 6039, "output": 931}, SEARCH_10),
        "web_search_error": (OPUS_5, {"input": 700, "output": 60}, 0),
    },
    "converse": {
        "cached": (OPUS_IN_US, {"input": 5, "read": 100, "minutes": 20, "output": 7}, 0),
        "thinking": (OPUS_IN_US, {"input": 40, "output": 60}, 0),
        **dict.fromkeys(
            (
                *("citations", "context_window", "empty", "filtered", "guardrail", "image", "interleaved"),
                *("malformed_output", "malformed_tool", "max_tokens", "max_tokens_tool", "parallel_tools", "redacted"),
                *("stop_sequence", "text", "text_tool_text", "thinking_omitted", "tool_use", "unknown_parts"),
                *("unknown_stop", "unsigned_reasoning", "web_search"),
            ),
            BEDROCK,
        ),
    },
    "generate_content": {
        "blocked": (FLASH, {"input": 15}, 0),
        "cached": (FLASH, {"input": 9021 - 8960, "read": 8960, "output": 7}, 0),
        "code": (FLASH, {"input": 20 + 150, "output": 60 + 40}, 0),
        "error_in_stream": (PRO, {"input": 11, "output": 3}, 0),
        "image": (FLASH_IMAGE, {"input": 9, "output": 1295 - 1290, "image": 1290}, 0),
        "length": (PRO, {"input": 11, "output": 4 + 20}, 0),
        "length_while_thinking": (PRO, {"input": 11, "output": 97}, 0),
        "logprobs": (FLASH_2, {"input": 6, "output": 2}, 0),
        "malformed_call": (FLASH, {"input": 70, "output": 2}, 0),
        "parallel_calls": (PRO_3, {"input": 79, "output": 36 + 120}, 0),
        "safety": (FLASH, {"input": 15, "output": 2}, 0),
        "search": (FLASH, {"input": 12, "output": 21 + 85}, SEARCH_35),
        "text": (FLASH, {"input": 8, "output": 16}, 0),
        "text_then_call": (PRO_3, {"input": 60, "output": 29 + 30}, 0),
        "thoughts": (FLASH, {"input": 43, "output": 11 + 133}, 0),
        "tools_of_both": (FLASH_3, {"input": 90, "output": 30 + 33}, 0),
        "vertex_partial_arguments": (PRO_3, {"input": 50, "output": 20 + 10}, 0),
    },
    "chat_completions": {
        **dict.fromkeys(
            (
                *("openai_citation", "openai_length", "openai_length_in_call", "openai_logprobs", "openai_refusal"),
                *("openai_text", "openai_text_then_tool", "openai_tools"),
            ),
            CHAT,
        ),
        **dict.fromkeys(
            (
                *("heartbeats", "tools_amid_text", "tools_interleaved", "tools_no_ids", "tools_no_index"),
                *("tools_object_arguments", "tools_repeated_names", "tools_same_index", "tools_then_text"),
                *("unknown_finish", "usage_with_choices"),
            ),
            USUAL,
        ),
        **dict.fromkeys(("vllm_random_ids", "vllm_reasoning"), VLLM),
        **dict.fromkeys(
            ("deepseek_heartbeats", "deepseek_reasoning_tool", "deepseek_no_resource"),
            (OWN, {"input": 20, "output": 30}, 0),
        ),
        **dict.fromkeys(
            ("mistral_model_length", "mistral_reference", "mistral_tools"), (MISTRAL, {"input": 10, "output": 20}, 0)
        ),
        **dict.fromkeys(("mistral_signed", "mistral_thinking"), (MAGISTRAL, {"input": 10, "output": 20}, 0)),
        **dict.fromkeys(("groq_reasoning", "groq_think_tags"), (GROQ, {"input": 40, "output": 21}, 0)),
        "cerebras_reasoning": (CEREBRAS, {"input": 12, "output": 10}, 0),
        "empty": (GPT, {"input": 5}, 0),
        "ollama_tools": (OWN, {"input": 30, "output": 8}, 0),
        "openrouter_details": (OPENROUTER, {"input": 9 - 2 - 3, "read": 2, "minutes": 3, "output": 4}, 0),
        "perplexity_citations_only": (SONAR, {"input": 14, "output": 6}, REQUEST_12),
        "perplexity_sources": (SONAR_PRO, {"input": 14, "output": 6}, REQUEST_14),
        "vllm_abort": (OWN, {"input": 5, "output": 2}, 0),
        "xai_usage": (GROK, {"input": 10, "output": 2 + 8}, 0),
    },
}
SILENT = {
    "messages": {"error_first"},
    "converse": {"no_metadata"},
    "generate_content": set[str](),
    "chat_completions": {"azure_filter", "no_usage", "openai_error_at_once", "openai_legacy_function"},
}
"""Those that tell no usage."""
ESTIMATED: Mapping[str, tuple[Mapping[str, float], int]] = {
    "cut_off": (OPUS_IN_US, 1),
    "groq_error_in_stream": (GROQ, 1),
    "openai_cut_off": (GPT, 2),
    "openai_error_in_stream": (GPT, 1),
    "openrouter_error_in_stream": (OPENROUTER, 1),
    "vllm_error_in_stream": (OWN, 1),
}
"""Those that fail before they tell any, after some text: at four characters a token."""

MODELS = {
    "messages": "anthropic/claude-opus-5",
    "converse": "bedrock/us.anthropic.claude-opus-4-7-v1:0",
    "generate_content": "gemini/gemini-2.5-pro",
    "chat_completions": "openai/chat_completions/gpt-5.4",
}
VENDORS = {
    "azure": "azure/chat_completions/gpt-4o",
    "cerebras": "cerebras/gpt-oss-120b",
    "deepseek": "deepseek/deepseek-chat",
    "groq": "groq/openai/gpt-oss-120b",
    "magistral": "mistral/magistral-medium-latest",
    "mistral": "mistral/mistral-large-latest",
    "ollama": "ollama/qwen3:8b",
    "openrouter": "openrouter/chat_completions/anthropic/claude-sonnet-4.5",
    "perplexity": "perplexity/sonar",
    "vllm": "hosted_vllm/chat_completions/qwen3",
    "xai": "xai/chat_completions/grok-4",
}
"""Who said what, of the fixtures of chat completions whose names begin so."""
PRICED_BY_OWNER = {
    "input_cost_per_token": 1.0 / 1e6,
    "output_cost_per_token": 2.0 / 1e6,
}


def vendor_of(dialect: str, name: str) -> tuple[str, dict[str, float]]:
    """Who gave the recorded answer, and what it costs there if nobody publishes that, or only by the hour."""
    vendor = name.partition("_")[0]
    if dialect != "chat_completions" or vendor not in VENDORS:
        return MODELS[dialect], {}
    own = PRICED_BY_OWNER if vendor in ("deepseek", "ollama", "vllm") else {}
    return VENDORS["magistral" if name in ("mistral_signed", "mistral_thinking") else vendor], own


async def played(dialect: str, name: str, *, stream: bool, input: str = "Hi") -> tuple[Any, float | None]:
    """The record of one call that is answered so, and what its answer says that it cost."""
    model, own = vendor_of(dialect, name)
    async with priced(model, default_litellm_params=own) as (replay, router, records):
        replay.play(dialect, name, stream=stream)
        shown = None
        with suppress(APIError):
            shown = (await create(router, stream, model="g0", input=input)).routing.cost
    (record,) = records
    return record, shown


def test_every_fixture_is_in_the_table() -> None:
    for dialect in DIALECTS:
        known = {*TABLE[dialect], *SILENT[dialect], *ESTIMATED.keys() & {*recorded(dialect)}}
        assert known == {*recorded(dialect)}, dialect


ALL = [(dialect, name) for dialect in DIALECTS for name in TABLE[dialect]]


@pytest.mark.parametrize(("dialect", "name"), ALL)
async def test_usage_and_cost_are_the_same_streamed_and_not_and_the_sum_made_by_hand(dialect: str, name: str) -> None:
    prices, tokens, pieces = TABLE[dialect][name]
    by_hand = sum(prices[kind] * count for kind, count in tokens.items()) / 1e6 + pieces
    forms = [stream for stream, there in zip((False, True), recorded(dialect)[name], strict=True) if there]
    usages = []
    for stream in forms:
        record, shown = await played(dialect, name, stream=stream)
        assert record.cost == pytest.approx(by_hand, rel=1e-12)
        assert record.cost_breakdown.total == record.cost
        assert record.usage.total_tokens == sum(tokens.values())
        assert record.partial == (record.status == "failed")
        if record.status == "succeeded":
            assert shown == record.cost
        usages.append(record.usage)
    assert usages
    assert all(usage == usages[0] for usage in usages)


@pytest.mark.parametrize(("dialect", "name"), [(each, name) for each in DIALECTS for name in sorted(SILENT[each])])
async def test_an_answer_without_usage_has_no_cost_and_says_why(dialect: str, name: str) -> None:
    for stream, there in zip((False, True), recorded(dialect)[name], strict=True):
        if there:
            record, shown = await played(dialect, name, stream=stream)
            assert (record.usage, record.cost, shown) == (None, None, None)
            if record.status == "succeeded":
                assert record.cost_breakdown.reason == "the vendor told no usage"


@pytest.mark.parametrize("name", sorted(ESTIMATED))
async def test_a_stream_that_breaks_off_without_usage_costs_its_input_and_what_was_heard_about(name: str) -> None:
    dialect = next(each for each in DIALECTS if name in recorded(each))
    record, _ = await played(dialect, name, stream=True, input="x" * 4_000)
    prices, heard = ESTIMATED[name]
    assert record.status == "failed"
    assert record.partial
    assert record.usage == TokenUsage(1_000, heard, estimated=True)
    assert record.cost == pytest.approx((1_000 * prices["input"] + heard * prices["output"]) / 1e6, rel=1e-12)
