"""What a Claude takes, by its generation, which its name tells. No list of models: an unknown name is a new model's.

Sources: platform.claude.com/docs, the migration guides of each model (models/opus-5-5/migration-guide, …),
build-with-claude/{thinking,thinking-troubleshooting,extended-thinking,effort,structured-outputs};
docs.aws.amazon.com/bedrock, claude-messages-adaptive-thinking; langchain-aws#1141 (which take forced tools).
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from typing import Final, Literal

from providers.types import Deployment

_NAME: Final = re.compile(r"claude-(?:(?P<family>[a-z]+)-)?(?P<major>\d{1,2})(?:[-.](?P<minor>\d{1,2}))?(?!\d)")
"""`claude-opus-4-7`, `claude-sonnet-4-5-20250929`, `claude-haiku-4-5@20251001`, `claude-3-5-sonnet-20241022`."""
_RESTLESS: Final = frozenset({"fable", "mythos"})
"""Families that never could be told not to think."""
_BOUND: Final = (5, 1)
"""From here on, but for Haiku, no tool can be forced, and thinking belongs to a model, an account, a conversation."""


@dataclass(frozen=True, slots=True)
class Generation:
    """What the models of one generation have in common."""

    adaptive: bool
    """Decides by itself how much to think; older ones are given a budget."""
    thinks: bool
    """Can think at all."""
    always: bool
    """Thinks unless it is told not to."""
    off: Literal["disabled", "between_tools"] | None
    """What tells it not to think; None: nothing does."""
    forced: Literal["always", "unthinking", "never"]
    """When a tool can be forced on it. Whoever thinks on a budget can't be forced in any case."""
    bound: bool
    """Its signed thinking is taken back only by the account, and for the conversation, that it was made in."""
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
    family, version, found = _read(name)
    newest = version >= _BOUND and found and family != "haiku"
    restless = family in _RESTLESS or (newest and family != "sonnet")
    return Generation(
        adaptive=version >= (4, 6),
        thinks=version >= (3, 7),
        always=version >= (5, 0) and found,
        off=None if restless else "between_tools" if newest else "disabled",
        forced="never" if newest else "always" if version >= (4, 8) else "unthinking",
        bound=version >= _BOUND and found,
        efforts=_EFFORTS if version > (4, 6) else _EFFORTS - {"xhigh"},
        sampling=version < (4, 7) or not found,
        both=version < (4, 1) or not found,
        structured=version >= (4, 5),
        room=4096 if version < (3, 5) else 8192 if version < (4, 6) else 32_000,
    )


def seal_family(deployment: Deployment, model: str) -> str:
    """Which models may be given back each other's thinking: every Claude, wherever it is hosted, but those to whose
    account it is bound."""
    if not generation(deployment, model).bound:
        return "claude"
    account = deployment.account or deployment.id
    return f"claude-{hashlib.sha256(account.encode()).hexdigest()[:12]}"


def _read(name: str) -> tuple[str, tuple[int, int], bool]:
    """Family and version that a name tells, and whether it tells any: without one it is taken for the latest."""
    found = _NAME.search(name)
    if found is None:
        return next((family for family in _RESTLESS if family in name), ""), (99, 0), False
    return found["family"] or "", (int(found["major"]), int(found["minor"] or 0)), True
