"""How the fleet stands now, as the page is told."""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

from providers.types import Json, JsonObject
from router.pool import DeploymentHealth
from router.proxy.page.history import History
from router.router import Router
from router.telemetry.spend import Totals

MOST_DEPLOYMENTS = 500
"""Deployments that are shown: those that are not well first, if there are more."""
MOST_BUDGETS = 50
"""Budgets that are shown: those that are spent most of."""
_NOTHING = Totals()


class Snapshots:
    """Looks at a Router."""

    def __init__(self, router: Router) -> None:
        self._router = router
        self._history = History()
        recorder = router._recorder
        recorder.sinks = [*recorder.sinks, self._history]

    def take(self) -> JsonObject:
        """Everything the page shows. Times in seconds unless their names say milliseconds; money in US dollars."""
        router, history = self._router, self._history
        health = router.health()
        history.keep({each.group for each in health}, {each.id for each in health})
        total, spent = router._spend.brief()
        budgets = sorted(
            router.budgets(), key=lambda each: (each.spent + each.reserved) / (each.limit or 1), reverse=True
        )
        shown = health if len(health) <= MOST_DEPLOYMENTS else sorted(health, key=_well)[:MOST_DEPLOYMENTS]
        groups: dict[str, list[Json]] = {}
        shares = {name: history.shares(name) for name in dict.fromkeys(each.group for each in shown)}
        for each in shown:
            share = shares[each.group].get(each.id, 0.0) if shares[each.group] else None
            groups.setdefault(each.group, []).append(self._deployment(each, share, spent.get(each.id, _NOTHING)))
        return {
            "at": router._recorder.wall(),
            "groups": [{"name": name, "deployments": members} for name, members in groups.items()],
            "omitted": len(health) - len(shown),
            "in_flight": sum(each.in_flight for each in health),
            "spend": msgspec.to_builtins(total),
            "pins": msgspec.to_builtins(router.affinity_stats()),
            "budgets": [msgspec.to_builtins(each) for each in budgets[:MOST_BUDGETS]],
            "decisions": router._settings.record_decisions,
            "calls": _list(history.calls()),
        }

    def _deployment(self, health: DeploymentHealth, share: float | None, spent: Totals) -> JsonObject:
        deployment = self._router._locate(health.id)
        last_check = health.last_check
        return {
            "id": health.id,
            "provider": "" if deployment is None else deployment.provider,
            "model": "" if deployment is None else deployment.model,
            "state": health.state,
            "reason": health.reason,
            "drained": health.id in self._router.drained_deployments(),
            "open_for": health.open_for,
            "blocked_for": health.blocked_for,
            "in_flight": health.in_flight,
            "share": share,
            "weight": health.weight,
            "latencies": _list(self._history.latencies(health.id)),
            "failing": health.failure_rate,
            "calls": health.calls,
            "failures": health.failures,
            "headroom": health.headroom,
            "spent": spent.cost,
            "unpriced": spent.unpriced,
            "check": None if last_check is None else msgspec.to_builtins(last_check),
        }


def _well(health: DeploymentHealth) -> bool:
    return health.state == "closed" and not health.blocked_for


def _list(values: Iterable[Json]) -> list[Json]:
    return list(values)
