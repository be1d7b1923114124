"""The model list of a Router: who serves, and how that changes while calls are on their way."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Mapping, Sequence
from typing import Any

from checks.affinity.remembered import KnownOnly, Remembered
from checks.base import PreCallCheck
from checks.draining import Draining
from providers.catalog import provider_of
from providers.types import Deployment, JsonObject
from router import wiring
from router.budgeting import Budgeting
from router.config import RouterSettings, build_deployment, describe, json_schema, load
from router.engine import Engine
from router.pool import Pool
from router.probing import Prober
from router.registry import Registry
from router.sync import Portal
from router.telemetry.recorder import Recorder


class Fleet:
    """The part of a Router that holds its deployments: an immutable snapshot, swapped whole on each change."""

    _settings: RouterSettings
    _raw: dict[str, object]
    _aliases: dict[str, str]
    _lock: threading.Lock
    _registry: Registry
    _pool: Pool
    _engine: Engine
    _strategies: wiring.StrategyFactory
    _remembered: Remembered
    _portal: Portal
    _prober: Prober
    _budgeting: Budgeting
    _recorder: Recorder
    _given: tuple[PreCallCheck, ...]
    _checks: tuple[PreCallCheck, ...]
    _draining: Draining

    @staticmethod
    def json_schema() -> dict[str, Any]:
        """The JSON Schema of `model_list` and the settings, for editors and for checking files."""
        return json_schema()

    def set_model_list(self, model_list: Sequence[Mapping[str, object]]) -> None:
        """Replace every deployment at once. Calls in flight end where they are.

        What is known of a deployment lives on if its id does. Raises `ConfigurationError` and changes nothing if
        anything is wrong.
        """
        deployments, _ = load(model_list, self._raw)
        with self._lock:
            self._swap(Registry(wiring.completed(deployments, self._settings), self._aliases))

    def add_deployment(self, entry: Mapping[str, object]) -> str:
        """Add one deployment and return its id. Raises `ConfigurationError`, also if its id is taken."""
        with self._lock:
            deployment = self._build(entry, taken=self._registry.by_id)
            self._swap(self._registry.adding(deployment))
        return deployment.id

    def upsert_deployment(self, entry: Mapping[str, object]) -> str:
        """Add one deployment, or put it in the place of the one with its id. Raises `ConfigurationError`."""
        with self._lock:
            deployment = self._build(entry)
            self._swap(self._registry.putting(deployment))
        return deployment.id

    def delete_deployment(self, deployment_id: str) -> bool:
        """Remove one deployment; False if there is none with this id. Calls in flight on it end undisturbed."""
        with self._lock:
            if deployment_id not in self._registry.by_id:
                return False
            self._swap(self._registry.dropping(deployment_id))
        return True

    def drain_deployment(self, deployment_id: str) -> bool:
        """Send nothing new to one deployment, until it is undrained; False if there is none with this id.

        What is in flight there ends undisturbed, and what only it can serve still goes there: conversations that are
        bound to it (`responses_api_deployment_check`), and responses that are asked for by their id. If all of a group
        are drained, new calls fail, or go to its fallbacks. Holds for this Router alone, and while the id is in its
        model list.
        """
        with self._lock:
            if deployment_id not in self._registry.by_id:
                return False
            self._draining.ids |= {deployment_id}
            self._engine.ask(self._draining.among(self._checks))
        return True

    def undrain_deployment(self, deployment_id: str) -> bool:
        """Let one deployment serve again; False if there is none with this id."""
        with self._lock:
            if deployment_id not in self._registry.by_id:
                return False
            self._draining.ids -= {deployment_id}
            self._engine.ask(self._draining.among(self._checks))
        return True

    def drained_deployments(self) -> frozenset[str]:
        """Ids of those that are drained."""
        return self._draining.ids

    def get_model_list(self, model: str | None = None) -> list[JsonObject]:
        """The deployments as configured, secrets hidden; only those `model` stands for, if it is given."""
        if model is None:
            return [describe(each) for each in self._registry.by_id.values()]
        found = self._registry.resolve(model)
        members = (found.deployment,) if found.deployment else self._registry.groups[found.group]
        return [describe(each) for each in members]

    def _swap(self, registry: Registry) -> None:
        self._prober.accept(registry.by_id.values())
        for deployment in registry.by_id.values():
            provider_of(deployment)  # so that its translator is loaded now, not while calls are on their way
        deployments = tuple(registry.by_id.values())
        given = wiring.with_budgets(self._given, self._budgeting, deployments)
        for check in (*given, self._remembered, self._draining):
            check.accept(deployments)
        if self._budgeting.check in given:
            self._budgeting.accept(deployments)
            self._recorder.on_end = self._budgeting.over
        if given is not self._given:
            self._given = self._checks = given
        if self._remembered.needed and self._checks is self._given:
            # first, for others must know what it knows; and last, for others may know what it doesn't
            self._checks = (self._remembered, *self._given, KnownOnly(self._remembered))
        self._engine.ask(self._draining.among(self._checks))
        self._strategies.keep(registry.groups)
        self._pool.update(
            {name: (members, self._strategies.strategy(name)) for name, members in registry.groups.items()}
        )
        registry.version = self._registry.version + 1
        self._registry = registry
        self._prober.begin(registry.by_id.values(), self._portal.start)

    async def _budget_keys(self) -> None:
        """Ask the check of budgets from now on: a proxy's keys have some. Idempotent."""
        if not self._budgeting.needed:
            # which may load prices: nobody waits for that
            await asyncio.to_thread(self._budgeting.accept, tuple(self._registry.by_id.values()))
            with self._lock:
                self._budgeting.needed = True
                self._swap(self._registry)

    def _locate(self, deployment_id: str) -> Deployment | None:
        return self._registry.by_id.get(deployment_id)

    def _build(self, entry: Mapping[str, object], taken: Mapping[str, object] | None = None) -> Deployment:
        built = build_deployment(entry, self._settings.default_litellm_params, taken=taken or ())
        return wiring.completed((built,), self._settings)[0]
