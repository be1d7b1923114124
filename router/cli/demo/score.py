"""What the demo counts."""

from __future__ import annotations

import asyncio
from collections import Counter, deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from providers.views import Routing

_WINDOW = 2.0
"""Seconds that a share looks back."""
_SERVED_KEPT = 4_000


@dataclass(slots=True)
class Score:
    """Calls, follow-ups and where they went, in all and by deployment."""

    accounts: Mapping[str, str]
    """Deployment → account: whose members hold each other's conversations."""
    clock: Callable[[], float]
    calls: int = 0
    conversations: int = 0
    follow_ups: int = 0
    came_home: int = 0
    by_twin: int = 0
    """Of those that came home, the ones another deployment of the account took."""
    moved: int = 0
    """Attempts that failed and were made good elsewhere, or later."""
    errors: list[str] = field(default_factory=list)
    """Calls that failed, in words."""
    served: Counter[str] = field(default_factory=Counter)
    pins: Counter[str] = field(default_factory=Counter)
    """Follow-ups at home, by the deployment that took them."""
    failed: Counter[str] = field(default_factory=Counter)
    """Attempts that failed, by deployment."""
    awaited: str | None = None
    """The deployment that has come back from the dead and has not served since."""
    returned: asyncio.Event = field(default_factory=asyncio.Event)
    """Set once it has."""
    _recent: deque[tuple[float, str]] = field(default_factory=lambda: deque(maxlen=_SERVED_KEPT))

    @property
    def well(self) -> bool:
        """Whether every call was answered, every follow-up came home, and the dead deployment came back to work."""
        home = self.follow_ups > 0 and self.came_home == self.follow_ups
        return home and not self.errors and self.returned.is_set()

    def answered(self, routing: Routing, home: str | None, remembered: bool) -> None:
        """A call was served. `home`: the deployment that served the turn before, None for a first turn."""
        now, name = self.clock(), routing.deployment_id
        self.calls += 1
        self.served[name] += 1
        self._recent.append((now, name))
        self.moved += len(routing.attempts) - 1
        if name == self.awaited:
            self.returned.set()
        self.failed.update(attempt.deployment_id for attempt in routing.attempts if attempt.error is not None)
        if home is None:
            self.conversations += 1
            return
        self.follow_ups += 1
        if remembered and self.accounts[name] == self.accounts[home]:
            self.came_home += 1
            self.pins[name] += 1
            self.by_twin += name != home

    def lost(self, error: Exception) -> None:
        """A call failed."""
        self.calls += 1
        self.errors.append(f"{type(error).__name__}: {error}")

    def shares(self) -> dict[str, float]:
        """The fraction of recent calls that each deployment served."""
        since = self.clock() - _WINDOW
        while self._recent and self._recent[0][0] < since:
            self._recent.popleft()
        counts = Counter(name for _, name in self._recent)
        return {name: counts[name] / max(1, len(self._recent)) for name in self.accounts}
