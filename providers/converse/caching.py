"""Prompt caching: cache points, and what of OpenAI's settings they can say.

Source: https://docs.aws.amazon.com/bedrock/latest/userguide/prompt-caching.html: Claude and Nova take cache points;
only Claude, from 4.5 on, keeps what they end for an hour, all else for five minutes.
"""

from __future__ import annotations

from enum import Enum
from typing import Final

from providers.converse.families import Family
from providers.messages.generations import Generation
from providers.translation.asked import Asked, wrong
from providers.types import Json, JsonObject

_LIVES: Final = {"30m": "1h", "12h": "1h", "24h": "1h", "in_memory": None, None: None}
_LONGER: Final = ("12h", "24h")
_HOUR: Final = "1h"


class Caching(Enum):
    """How long a model keeps prompts."""

    NEVER = 0
    MINUTES = 1
    HOUR = 2

    def point(self, mark: Json) -> list[Json]:
        """The block that ends a prefix to be cached, where `mark`, a `cache_control`, asks for it."""
        if not mark or self is Caching.NEVER:
            return []
        point: JsonObject = {"type": "default"}
        if self is Caching.HOUR and isinstance(mark, dict) and mark.get("ttl") == _HOUR:
            point["ttl"] = _HOUR
        return [{"cachePoint": point}]


def caching(kind: Family, claude: Generation) -> Caching:
    """How long a model keeps prompts."""
    if kind is Family.CLAUDE:
        return Caching.HOUR if claude.structured else Caching.MINUTES  # both came with Claude 4.5
    return Caching.MINUTES if kind in (Family.NOVA, Family.NOVA_2) else Caching.NEVER


def whole(asked: Asked) -> Json:
    """The mark for a point at the end of all, if the settings ask for one."""
    options, retention = asked.mapping("prompt_cache_options"), asked.get("prompt_cache_retention")
    for name, harmless in (("prewarm", (None, False)), ("comparison_response_id", (None,))):
        if options.get(name) not in harmless:
            asked.refuse(f"prompt_cache_options.{name}", "there is no such setting")
    lives = options.get("ttl") or retention
    if isinstance(lives, dict | list) or lives not in _LIVES:
        raise wrong("prompt_cache_options.ttl", f"must be 30m or 12h, not {str(lives)[:80]!r}")
    if options.get("mode") == "explicit" or not (options or retention not in (None, "in_memory")):
        return None
    if lives in _LONGER:
        asked.note("prompt_cache_options.ttl", "Bedrock keeps caches for an hour at most")
    ttl = _LIVES[lives]
    return {"type": "ephemeral", "ttl": ttl} if ttl else {"type": "ephemeral"}
