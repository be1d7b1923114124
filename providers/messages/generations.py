"""What a Claude takes, by its generation, which its name tells. No list of models: an unknown name is a new model's.

Sources: platform.claude.com/docs, about-claude/models/migration-guide, build-with-claude/{adaptive-thinking,
extended-thinking,effort,structured-outputs}; docs.aws.amazon.com/bedrock, claude-messages-adaptive-thinking.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

from providers.types import Deployment

_NAME: Final = re.compile(r"claude-(?:(?P<family>[a-z]+)-)?(?P<major>\d{1,2})(?:[-.](?P<minor>\d{1,2}))?(?!\d)")
"""`claude-opus-4-7`, `claude-sonnet-4-5-20250929`, `claude-haiku-4-5@20251001`, `claude-3-5-sonnet-20241022`."""
_RESTLESS: Final = re.compile("fable|mythos")
"""Families that can't be told not to think."""


@dataclass(frozen=True, slots=True)
class Generation:
    """What the models of one generation have in common."""

    adaptive: bool
    """Decides by itself how much to think; older ones are given a budget."""
    thinks: bool
    """Can think at all."""
    always: bool
    """Thinks unless it is told not to."""
    obeys: bool
    """Can be told not to think."""
    efforts: frozenset[str]
    sampling: bool
    """Takes `temperature` and `top_p`."""
    both: bool
    """Takes the two together."""
    structured: bool
    """Keeps to a schema, in its text and in the arguments of strict tools."""
    room: int
    """Tokens that every model of the generation may write."""


_EFFORTS: Final = frozenset({"low", "medium", "high", "xhigh", "max"})


def generation(deployment: Deployment, model: str) -> Generation:
    """What a model takes. Where the name is the user's own (Foundry), `model_info.base_model` may tell."""
    named = deployment.info.get("base_model")
    name = named if isinstance(named, str) and "claude" in named else model
    version, found = _version(name)
    return Generation(
        adaptive=version >= (4, 6),
        thinks=version >= (3, 7),
        always=version >= (5, 0) and found,
        obeys=not _RESTLESS.search(name),
        efforts=_EFFORTS if version > (4, 6) else _EFFORTS - {"xhigh"},
        sampling=version < (4, 7) or not found,
        both=version < (4, 1) or not found,
        structured=version >= (4, 5),
        room=4096 if version < (3, 5) else 8192 if version < (4, 6) else 32_000,
    )


def _version(name: str) -> tuple[tuple[int, int], bool]:
    """The version that a name tells, and whether it tells any: without one it is taken for the latest."""
    found = _NAME.search(name)
    return ((int(found["major"]), int(found["minor"] or 0)), True) if found else ((99, 0), False)
