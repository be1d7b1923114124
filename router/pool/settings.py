"""What can be set about health."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True, slots=True)
class HealthSettings:
    """When a deployment is taken out of use, and what happens when all are."""

    enabled: bool = True
    """False: no breaker ever opens (LiteLLM's `disable_cooldowns`). Rate limits are respected all the same."""
    consecutive: int = 2
    """Failures in a row that open a breaker. LiteLLM's `allowed_fails=n` means n + 1."""
    cooldown_time: float | None = None
    """Seconds a breaker stays open; None: 1 to 30 s, by the traffic there is to probe with and how often it opened."""
    on_all_down: Literal["try", "wait", "fail"] = "try"
    """When every breaker that matters is open: try one all the same, wait for one, or fail."""
