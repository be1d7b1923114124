"""How hard a model is to think: `reasoning` as `thinkingConfig`, by the model's generation.

Generation 3 and later has levels, 2.5 budgets of tokens; a budget is understood by all. What a model can't do becomes
the nearest that it can, and is noted. Sources: ai.google.dev/gemini-api/docs/thinking and docs/gemini-3; the budgets
are LiteLLM's, whose users expect them.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final, NamedTuple

from providers.translation.asked import Asked, wrong
from providers.types import JsonObject

_NAME: Final = re.compile(r"gemini-(?P<major>\d+)(?:\.(?P<minor>\d+))?(?![\d.])")
_LATEST: Final = re.compile(r"gemini-[a-z-]*latest")
_EFFORTS: Final = ("none", "minimal", "low", "medium", "high", "xhigh", "max")
_BUDGETS: Final[Mapping[str, int]] = {
    "none": 0,
    "minimal": 512,
    "low": 1024,
    "medium": 2048,
    "high": 4096,
    "xhigh": 8192,
    "max": 24576,
}
"""Tokens."""
_LEAST_PRO: Final = 128
"""Tokens that a Pro model of generation 2.5 thinks at least."""
_LEVELS: Final[Mapping[str, str]] = {
    "none": "MINIMAL",
    "minimal": "MINIMAL",
    "low": "LOW",
    "medium": "MEDIUM",
    "high": "HIGH",
    "xhigh": "HIGH",
    "max": "HIGH",
}
_HEARD: Final = frozenset({"effort", "summary", "generate_summary"})


class Generation(NamedTuple):
    """What a model's name tells of it."""

    version: tuple[int, int] | None
    """Of `gemini-<version>-…`; None for any other name."""
    pro: bool

    @property
    def has_levels(self) -> bool:
        """Whether it is told how hard to think in words; it then also insists on its signatures."""
        return self.version is not None and self.version >= (3, 0)

    @property
    def thinks(self) -> bool:
        """Whether it can reason at all; unknown models are taken to."""
        return self.version is None or self.version >= (2, 5)


def generation(model: str) -> Generation:
    """What is known of a model by its name alone: there is no list of models."""
    name = model.rpartition("/")[2].lower()
    found = _NAME.match(name)
    pro = "pro" in re.split(r"[^a-z]+", name)
    if found is not None:
        return Generation((int(found["major"]), int(found["minor"] or 0)), pro)
    return Generation((3, 0) if _LATEST.match(name) else None, pro)


def thinking(asked: Asked) -> JsonObject | None:
    """`thinkingConfig`; None if nothing is asked. Raises `BadRequestError` for an effort that is none."""
    wanted = asked.mapping("reasoning")
    effort, summary = wanted.get("effort"), wanted.get("summary") or wanted.get("generate_summary")
    for name, value in wanted.items():
        if name not in _HEARD and value is not None:
            asked.refuse(f"reasoning.{name}", "there is no such setting")
    if effort is not None and effort not in _EFFORTS:
        raise wrong("reasoning.effort", f"must be one of {', '.join(_EFFORTS)}")
    model = generation(asked.model)
    if not model.thinks and (summary or effort not in (None, "none")):
        asked.refuse("reasoning", f"{asked.model} does not reason")
        return None
    config: JsonObject = {}
    if isinstance(effort, str) and model.thinks:
        config |= _level(asked, effort, model) if model.has_levels else _budget(asked, effort, model)
    if summary:
        config["includeThoughts"] = True
    return config or None


def _level(asked: Asked, effort: str, model: Generation) -> JsonObject:
    level = _LEVELS[effort]
    if model.pro and level == "MINIMAL":
        level = "LOW"
    elif model.pro and model.version == (3, 0) and level == "MEDIUM":
        level = "HIGH"
    if level != effort.upper():
        asked.note("reasoning.effort", f"{asked.model} has no {effort!r}, so it is told {level.lower()!r}")
    return {"thinkingLevel": level}


def _budget(asked: Asked, effort: str, model: Generation) -> JsonObject:
    budget = _BUDGETS[effort]
    if model.pro and not budget:
        asked.note("reasoning.effort", f"{asked.model} always thinks, so it is told to think little")
        budget = _LEAST_PRO
    return {"thinkingBudget": budget}
