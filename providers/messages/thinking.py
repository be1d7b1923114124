"""How much Claude is to think, and how much it may write: `reasoning` and `max_output_tokens`.

From Claude 4.6 on it decides itself, given an effort; before, it is given a budget of tokens, smaller than
`max_tokens`. Sources: platform.claude.com/docs, build-with-claude/{adaptive-thinking,extended-thinking,effort}; the
budgets are those that LiteLLM gives for the same words.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from providers.messages.generations import Generation
from providers.translation.asked import Asked, wrong
from providers.types import Json, JsonObject

BUDGETS: Final[Mapping[str, int]] = {
    "minimal": 1024,
    "low": 1024,
    "medium": 2048,
    "high": 4096,
    "xhigh": 8192,
    "max": 16_384,
}
_LEAST: Final = 1024
_ROOM: Final = 8192
"""Tokens of answer, where the caller does not say."""
_THINKS: Final = frozenset({"enabled", "adaptive"})


@dataclass(slots=True)
class Thinking:
    """What the request says of thinking."""

    config: JsonObject | None
    """`thinking`; None: nothing is said."""
    effort: str | None
    max_tokens: int

    @property
    def on(self) -> bool:
        """Whether the request asks for thinking."""
        return self.config is not None and self.config.get("type") in _THINKS


def thinking(asked: Asked, model: Generation) -> Thinking:
    """What to say. A caller's own `thinking` (in `extra_body`) is left to the caller.

    Raises `BadRequestError` for an effort that no model has.
    """
    given, own = _tokens(asked), asked.extra.get("thinking")
    if isinstance(own, dict):
        budget = own.get("budget_tokens")
        spare = budget if type(budget) is int else 0
        return Thinking(own, None, given or spare + model.room)
    reasoning = asked.mapping("reasoning")
    for name in ("context", "mode"):
        if reasoning.get(name) is not None:
            asked.refuse(f"reasoning.{name}", "there is no such setting")
    effort, summary = reasoning.get("effort"), reasoning.get("summary", reasoning.get("generate_summary"))
    if effort is None and summary is None:
        return Thinking(None, None, given or (model.room if model.always else min(_ROOM, model.room)))
    if effort is not None and effort != "none" and effort not in BUDGETS:
        raise wrong("reasoning.effort", f"must be one of none, {', '.join(BUDGETS)}")
    if effort == "none":
        return Thinking(_off(asked, model), None, given or min(_ROOM, model.room))
    wanted = effort if isinstance(effort, str) else None
    if model.adaptive:
        return _adaptive(asked, model, wanted, summary, given)
    return _budgeted(asked, model, wanted or "medium", given)


def rules_out_force(found: Thinking, model: Generation) -> str | None:
    """Why no tool can be forced, if none can."""
    if model.forced == "never":
        return "this model can't be made to call a tool; it may"
    if found.on and (model.forced != "always" or (found.config or {}).get("type") == "enabled"):
        return "while it thinks, Claude can't be made to call a tool; it may"
    return None


def without(asked: Asked, found: Thinking, why: str) -> Thinking:
    """The same without thinking."""
    asked.note("reasoning", why)
    return Thinking(None, None, found.max_tokens)


def _tokens(asked: Asked) -> int | None:
    given = asked.get("max_output_tokens")
    if given is None:
        given = asked.extra.get("max_tokens")
    if given is not None and (type(given) is not int or given < 1):
        raise wrong("max_output_tokens", "must be a positive integer")
    return given


def _off(asked: Asked, model: Generation) -> JsonObject | None:
    if model.off is None:
        asked.refuse("reasoning.effort", f"{asked.model} always thinks")
        return None
    return {"type": model.off} if model.always else None


def _adaptive(asked: Asked, model: Generation, effort: str | None, summary: Json, given: int | None) -> Thinking:
    config: JsonObject = {"type": "adaptive"}
    if summary is not None:
        config["display"] = "summarized"
    if effort == "minimal":
        effort = "low"
    if effort is not None and effort not in model.efforts:
        asked.note("reasoning.effort", f"{asked.model} has no {effort}, so it is high")
        effort = "high"
    return Thinking(config, effort, given or model.room)


def _budgeted(asked: Asked, model: Generation, effort: str, given: int | None) -> Thinking:
    if not model.thinks:
        asked.refuse("reasoning", f"{asked.model} does not think")
        return Thinking(None, None, given or model.room)
    budget = BUDGETS[effort]
    if given is None:
        return Thinking({"type": "enabled", "budget_tokens": budget}, None, budget + _ROOM)
    found = Thinking(None, None, given)
    if given <= _LEAST:
        return without(asked, found, f"max_output_tokens leaves no room to think, which takes more than {_LEAST}")
    if budget >= given:
        budget = max(_LEAST, given // 2)
        asked.note("reasoning.effort", f"max_output_tokens leaves room for {budget} tokens of thinking")
    found.config = {"type": "enabled", "budget_tokens": budget}
    return found
