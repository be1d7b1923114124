"""What operators ask a Router, beside calls: how its deployments are, where calls would go and why."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from checks.affinity.pins import AffinityStats
from checks.affinity.responses_api_deployment import ResponsesApiDeployment
from checks.base import PreCallCheck
from checks.budgets.ledger import BudgetState
from checks.draining import Draining
from providers.errors import ConfigurationError
from providers.types import HomePolicy, Verb
from router.budgeting import Budgeting
from router.explain import Explanation, explain
from router.hints import did_you_mean
from router.placing import place
from router.plan import Plan, Policy, Target
from router.pool import DeploymentHealth, HealthCheck, Kind, Pool
from router.probing import Prober
from router.registry import Registry
from router.request import Request
from router.shared import Stores
from router.sync import Portal
from router.telemetry.base import Exposing
from router.telemetry.callbacks import CallbackStats
from router.telemetry.recorder import Recorder
from router.telemetry.spend import Spend, SpendSink
from router.telemetry.trace import TraceRecording
from router.verbs import UNSET

FLUSH = 5.0
"""Seconds that closing, and `flush`, wait for callbacks to take their records."""


class Operations:
    """The part of a Router that answers operators."""

    _pool: Pool
    _home: HomePolicy
    _homes: Mapping[str, HomePolicy]
    _policy: Policy
    _policies: Mapping[str, Policy]
    _checks: tuple[PreCallCheck, ...]
    _stores: Stores
    _registry: Registry
    _portal: Portal
    _recorder: Recorder
    _spend: SpendSink
    _prober: Prober
    _budgeting: Budgeting
    _draining: Draining

    def health(self) -> list[DeploymentHealth]:
        """What is known of each deployment now: breaker, calls in flight, latency, failures, quota, last check."""
        return self._pool.health()

    async def acheck_health(self, model: str | None = None, kind: Kind | None = None) -> list[HealthCheck]:
        """Ask deployments now whether they are well, and let their breakers know; what was found, in their order.

        `model`: those it stands for; default: all. `kind`: `"models"`, a request for the models there are, which is
        free; or `"call"`, for one token, which is paid for; default: as each is checked otherwise, or `"models"`.
        Takes `health_check_timeout` for each 32 of them at most. A sick deployment raises nothing; raises
        `UnknownModelError` for a name nobody has, `ConfigurationError` for a kind there is not.
        """
        if kind not in (None, "models", "call"):
            raise ConfigurationError(f"kind: must be 'models' or 'call'{did_you_mean(str(kind), ('models', 'call'))}")
        registry = self._registry
        if model is None:
            return await self._prober.check(tuple(registry.by_id.values()), kind)
        found = registry.resolve(model)
        members = registry.groups[found.group] if found.deployment is None else (found.deployment,)
        return await self._prober.check(members, kind, found.wildcard)

    def check_health(self, model: str | None = None, kind: Kind | None = None) -> list[HealthCheck]:
        """As `acheck_health`, for synchronous callers."""
        return self._portal.run(self.acheck_health(model, kind))

    def affinity_stats(self) -> AffinityStats:
        """How often homes were looked up, and with what result; zeros without `responses_api_deployment_check`."""
        for check in self._checks:
            if isinstance(check, ResponsesApiDeployment):
                link = self._stores.link
                return replace(check.stats, store_error=link.stats.errors if link is not None else 0)
        return AffinityStats()

    def spend(self) -> Spend:
        """What was used and what it cost since the Router was made, in all and by group, deployment, provider, end
        user and tag. Of calls that have ended; `aflush` before makes sure of the last ones. May be called in any
        thread."""
        return self._spend.spend()

    def callback_stats(self) -> list[CallbackStats]:
        """What became of the records that `callbacks` were to get: delivered, failed, dropped, waiting."""
        return self._recorder.stats

    async def aflush(self, timeout: float = FLUSH) -> bool:
        """Make the records of the calls that have ended, and wait until callbacks have had them.

        At most `timeout` seconds; False if they have not. `aclose` does so by itself.
        """
        return await self._recorder.flush(timeout)

    def flush(self, timeout: float = FLUSH) -> bool:
        """As `aflush`, for synchronous callers; in the thread of an event loop, that loop stands still meanwhile."""
        return self._portal.run(self.aflush(timeout))

    def budgets(self) -> list[BudgetState]:
        """How each budget stands; of end users' and tags' that all have alike, those of which something is spent.

        Where they are shared through Redis, what others have spent is as of the last call that asked.
        """
        return self._budgeting.check.states()

    async def aexplain(self, model: str, input: Any = UNSET, *, stream: bool = False, **params: Any) -> Explanation:
        """Where a call to create a response would go now, and why, without sending it.

        Takes what `aresponses` takes. Raises `UnknownModelError`, `BadRequestError` for arguments that are wrong.
        """
        if input is not UNSET:
            params["input"] = input
        request = Request(Verb.CREATE, model, params)
        registry = self._registry
        found = registry.resolve(model)
        call = request.call(stream=stream, group=found.group, wildcard=found.wildcard)
        home = request.home(self._homes.get(found.group, self._home))
        call = call if home is None else replace(call, home=home)
        plan = Plan(request.policy(self._policies.get(found.group, self._policy), found.group), Target(found.group))
        return await explain(place(registry, found, call), self._draining.among(self._checks), self._pool, plan)

    def prometheus_metrics(self) -> bytes:
        """What `callbacks=["prometheus"]` counts, in Prometheus's text format, for whoever serves `/metrics`.

        Takes about a millisecond for each deployment; of a large fleet it is better asked for in a thread. Raises
        `ConfigurationError` if nobody counts.
        """
        for sink in self._recorder.sinks:
            if isinstance(sink, Exposing):
                return sink.exposition()
        raise ConfigurationError('nobody counts for Prometheus; construct the Router with callbacks=["prometheus"]')

    def explain(self, model: str, input: Any = UNSET, *, stream: bool = False, **params: Any) -> Explanation:
        """As `aexplain`, for synchronous callers."""
        return self._portal.run(self.aexplain(model, input, stream=stream, **params))

    def record(self, path: str | os.PathLike[str]) -> TraceRecording:
        """Write each call from now on to a trace, for `router.simulate`, until the recording is closed.

        Nothing of what is asked or answered, no metadata, no secrets: sizes, times, ids, outcomes. A trace that is
        there already is gone on with. Raises `ConfigurationError` if the file can't be written.
        """
        recording = TraceRecording(path, self._stop_recording)
        self._settle()  # those that have ended are none of its
        self._recorder.sinks = [*self._recorder.sinks, recording]
        return recording

    def _stop_recording(self, recording: TraceRecording) -> None:
        self._settle()
        self._recorder.sinks = [sink for sink in self._recorder.sinks if sink is not recording]

    def _settle(self) -> None:
        """Make the records of the calls that have ended, now."""
        try:
            asyncio.get_running_loop()
        except RuntimeError:
            if self._portal.running:  # what synchronous callers did is delivered there
                self._portal.run(self._asettle())
        else:
            self._recorder.settle()

    async def _asettle(self) -> None:
        self._recorder.settle()
