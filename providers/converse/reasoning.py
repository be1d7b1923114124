"""`reasoning` and `max_output_tokens`, in the words of each family.

Claude: as Anthropic's API has it, in additionalModelRequestFields (Bedrock's user guide,
claude-messages-extended-thinking and -adaptive-thinking). Nova 2: reasoningConfig (Nova's user guide,
extended-thinking). gpt-oss: reasoning_effort (Bedrock's user guide, model-parameters-openai). All else:
outputConfig.effort (botocore 1.44.5, OutputConfig).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

from providers.converse.families import Family
from providers.messages.generations import Generation
from providers.messages.thinking import BUDGETS, rules_out_force, thinking
from providers.translation.asked import Asked, wrong
from providers.types import JsonObject

_THREE: Final = {"minimal": "low", "low": "low", "medium": "medium", "high": "high", "xhigh": "high", "max": "high"}
"""Efforts where there are three."""


@dataclass(slots=True)
class Reasoning:
    """What a request says of reasoning."""

    fields: JsonObject = field(default_factory=dict)
    """additionalModelRequestFields."""
    effort: str | None = None
    """outputConfig.effort."""
    on: bool = False
    """Whether the request asks for it."""
    max_tokens: int | None = None
    """inferenceConfig.maxTokens; None: the model's limit."""
    unforced: str | None = None
    """Why no tool can be forced; None: one can."""
    budgeted: bool = False
    """Whether it is limited by a budget: then each turn must begin with it, or it can't be on."""


def reasoning(asked: Asked, kind: Family, claude: Generation) -> Reasoning:
    """What to say. Raises `BadRequestError` for an effort that no model has, and for what can't be said."""
    if kind is Family.CLAUDE:
        return _claude(asked, claude)
    found = Reasoning(max_tokens=tokens(asked))
    given = asked.mapping("reasoning")
    for name in ("context", "mode"):
        if given.get(name) is not None:
            asked.refuse(f"reasoning.{name}", "there is no such setting")
    effort = given.get("effort")
    if effort is None:
        return found
    if not isinstance(effort, str) or (effort != "none" and effort not in BUDGETS):
        raise wrong("reasoning.effort", f"must be one of none, {', '.join(BUDGETS)}")
    found.on = effort != "none"
    if kind is Family.NOVA_2:
        _nova(asked, found, effort)
    elif kind is Family.GPT_OSS:
        if found.on:
            found.fields = {"reasoning_effort": _THREE[effort]}
        else:
            asked.refuse("reasoning.effort", f"{asked.model} always reasons")
    elif found.on:
        found.effort = "low" if effort == "minimal" else effort
    return found


def _claude(asked: Asked, model: Generation) -> Reasoning:
    said = thinking(asked, model)
    found = Reasoning(on=said.on, max_tokens=tokens(asked), unforced=rules_out_force(said, model))
    if said.config is not None:
        found.fields["thinking"] = said.config
        found.budgeted = "budget_tokens" in said.config
        if found.budgeted:
            found.max_tokens = said.max_tokens
    if said.effort is not None:
        found.fields["output_config"] = {"effort": said.effort}
    return found


def _nova(asked: Asked, found: Reasoning, effort: str) -> None:
    """At high effort, Nova sets the limits itself."""
    if not found.on:
        found.fields = {"reasoningConfig": {"type": "disabled"}}
        return
    found.fields = {"reasoningConfig": {"type": "enabled", "maxReasoningEffort": _THREE[effort]}}
    if _THREE[effort] == "high" and found.max_tokens is not None:
        asked.refuse("max_output_tokens", "at high effort, Nova takes no limit")
        found.max_tokens = None


def tokens(asked: Asked) -> int | None:
    """`max_output_tokens`, if it was given."""
    given = asked.get("max_output_tokens")
    if given is not None and (type(given) is not int or given < 1):
        raise wrong("max_output_tokens", "must be a positive integer")
    return given
