"""Which budgets there are, and which of them apply to what."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final, Literal, TypeAlias

from cachetools import LRUCache

from checks.budgets.period import Period, parse_period
from providers.types import Deployment

Scope: TypeAlias = Literal["group", "deployment", "provider", "end_user", "tag", "key"]

MOST_KEYS: Final = 10_000
"""Keys of a proxy whose budgets are known; of others it is told again with their next call."""
EACH: Final = "*"
"""As a name: each by itself, but for those that have budgets of their own."""

NANO: Final = 1_000_000_000
"""Money is counted in whole billionths of a dollar, so that what is given back is what was taken."""
_MOST: Final = 4_000_000.0
"""Dollars that are told apart: Redis adds up to 2^53 billionths exactly."""


def nano(dollars: float) -> int:
    """Dollars in billionths. What is no amount of money is none."""
    return round(min(dollars, _MOST) * NANO) if dollars > 0 else 0


@dataclass(frozen=True, slots=True)
class Rule:
    """One budget."""

    scope: Scope
    name: str
    """Whose it is; `*`: each has one like it."""
    limit: int
    """Billionths of a dollar that may be spent in one window."""
    period: Period


class Rules:
    """The budgets of a Router; deployments may bring their own."""

    def __init__(self, rules: Iterable[Rule] = ()) -> None:
        self.all = tuple(rules)
        found: dict[tuple[Scope, str], list[Rule]] = {}
        for rule in self.all:
            found.setdefault((rule.scope, rule.name), []).append(rule)
        self._found: Mapping[tuple[Scope, str], tuple[Rule, ...]] = {key: tuple(each) for key, each in found.items()}
        self.scopes = frozenset(rule.scope for rule in self.all)
        """What anybody has a budget for."""
        self._keys: LRUCache[str, tuple[Rule, ...]] = LRUCache(MOST_KEYS)

    def charge(self, key: str, limit: int, period: Period) -> None:
        """The key of a proxy has a budget: until another is told, or many others are."""
        self.scopes |= {"key"}
        self._keys[key] = (Rule("key", key, limit, period),)

    def of(self, scope: Scope, name: str) -> tuple[Rule, ...]:
        """The budgets of `name`: its own, or else one like everybody's."""
        if scope == "key":
            return self._keys.get(name, ())
        return self._found.get((scope, name)) or self._found.get((scope, EACH), ())

    def of_deployment(self, deployment: Deployment) -> tuple[Rule, ...]:
        """The budgets of a deployment, in its own name, and of its provider."""
        own = self._found.get(("deployment", deployment.id), ())
        if deployment.max_budget is not None and deployment.budget_duration is not None:
            period = parse_period(deployment.budget_duration)
            own = (*own, Rule("deployment", deployment.id, nano(deployment.max_budget), period))
        return (own or self._found.get(("deployment", EACH), ())) + self.of("provider", deployment.provider)
