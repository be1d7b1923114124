"""The face: construction, the verbs, the model list. What happens to a call stands in `engine`."""

from __future__ import annotations

import asyncio
import logging
import random
import threading
import time
import weakref
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import replace
from functools import cached_property
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self, Unpack, cast

from checks.affinity.discovery import Discovery
from checks.affinity.pins import AffinityStats
from checks.affinity.remembered import KnownOnly, Remembered
from checks.affinity.responses_api_deployment import ResponsesApiDeployment
from checks.base import AffinityStore
from checks.catalog import Services
from checks.catalog import build as build_checks
from providers.catalog import provider_of
from providers.errors import BadRequestError
from providers.types import Call, Deployment, Fetched, JsonObject, Verb
from providers.views import Routed
from router import wiring
from router.config import build_deployment, describe, json_schema, load
from router.engine import Engine
from router.explain import Explanation, explain
from router.options import RouterOptions
from router.plan import Plan, Target
from router.pool import DeploymentHealth, Pool
from router.registry import Registry, Resolution
from router.request import Request
from router.run import Place, Run
from router.shared import open_stores
from router.stream import ResponseStream
from router.sync import Portal
from router.transport import choose
from router.transport.base import Transport
from router.verbs import Verbs

if TYPE_CHECKING:
    import httpx

    from router.fetching import Fetcher

_log = logging.getLogger("router")


class Router(Verbs):
    """Balances calls over deployments, keeps conversations at home, moves on from what fails.

    `model_list`: deployments, as LiteLLM writes them: `{"model_name", "litellm_params", "model_info"}`. All else is
    optional; `RouterOptions` lists the settings, times in seconds. Beyond those that a file can hold:

    - `optional_pre_call_checks`: names, instances or subclasses of `PreCallCheck`, asked in this order;
    - `routing_strategy`: a name, or an object with a `pick` method, or a class of such (default `adaptive`);
    - `http_client`: an `httpx.AsyncClient`, an `httpx.AsyncBaseTransport` or a `Transport` to send with;
    - `affinity_store`: where owners of responses are remembered, instead of memory or Redis;
    - `clock`, `rng`, `sleep`: time, randomness and waiting, for tests and simulations.

    Raises `ConfigurationError` that names every problem and its place. Routers share nothing. Close with `aclose`
    (or `close`), or use `async with` (or `with`).
    """

    def __init__(
        self,
        model_list: Sequence[Mapping[str, object]] = (),
        *,
        optional_pre_call_checks: Sequence[wiring.CheckSpec] | None = None,
        routing_strategy: wiring.StrategySpec | None = None,
        http_client: httpx.AsyncClient | httpx.AsyncBaseTransport | Transport | None = None,
        affinity_store: AffinityStore | None = None,
        clock: Callable[[], float] = time.monotonic,
        rng: random.Random | None = None,
        sleep: Callable[[float], Awaitable[object]] = asyncio.sleep,
        **settings: Unpack[RouterOptions],
    ) -> None:
        raw = cast("dict[str, object]", settings)
        if isinstance(routing_strategy, str):
            raw, routing_strategy = {**raw, "routing_strategy": routing_strategy}, None
        deployments, self._settings = load(model_list, raw)
        self._raw, self._clock = raw, clock
        rng = rng or random.Random()
        self._lock = threading.Lock()
        self._aliases = {name: alias.model for name, alias in self._settings.model_group_alias.items()}
        self._registry = Registry((), self._aliases)
        self._strategies = wiring.StrategyFactory(self._settings, routing_strategy, rng)
        self._pool = Pool(wiring.health(self._settings), clock=clock, rng=rng)
        self._stores = open_stores(self._settings, self._pool, affinity_store, clock)
        self._home, self._homes = wiring.home_policy(self._settings), wiring.home_policies(self._settings)
        self._policy, self._policies = wiring.policy(self._settings), wiring.policies(self._settings)
        self._remembered = Remembered(self._stores.transcripts, ttl=self._settings.affinity_ttl)
        specs = wiring.check_specs(self._settings, optional_pre_call_checks)
        self._given = self._checks = build_checks(specs, self._services(own_store=affinity_store is not None))
        self._checks_closed = False
        self._transport = choose(http_client)
        self._engine = Engine(
            self._pool,
            self._transport,
            self._checks,
            self._turn,
            wiring.limits(self._settings),
            fetch=self._fetch,
            clock=clock,
            rng=rng,
            sleep=sleep,
        )
        self._portal = Portal()
        weakref.finalize(self, self._portal.stop)
        self._swap(Registry(wiring.completed(deployments, self._settings), self._aliases))

    def _services(self, *, own_store: bool) -> Services:
        """What the checks that are built here get; `own_store`: affinity is kept in a store of the user's own."""
        settings, stores = self._settings, self._stores
        discover = settings.discover
        if discover is None:  # by default if what is remembered ends with this process
            discover = not own_store and stores.link is None and settings.affinity == "store"
        return Services(
            stores.affinity,
            self._locate,
            settings.affinity_ttl,
            self._clock,
            self._home,
            self._homes,
            Discovery(self._ask, clock=self._clock) if discover else None,
            stores.transcripts if wiring.replays(settings) else None,
            self._remembered,
            wiring.signed_ids(settings),
            acknowledged=settings.affinity_write == "acknowledged",
        )

    def __repr__(self) -> str:
        groups = ", ".join(f"{name} x{len(members)}" for name, members in self._registry.groups.items())
        return f"<Router {groups or 'empty'}>"

    # the model list

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

    def get_model_list(self, model: str | None = None) -> list[JsonObject]:
        """The deployments as configured, secrets hidden; only those `model` stands for, if it is given."""
        if model is None:
            return [describe(each) for each in self._registry.by_id.values()]
        found = self._registry.resolve(model)
        members = (found.deployment,) if found.deployment else self._registry.groups[found.group]
        return [describe(each) for each in members]

    def health(self) -> list[DeploymentHealth]:
        """What is known of each deployment now: breaker, calls in flight, latency, failures, quota."""
        return self._pool.health()

    def affinity_stats(self) -> AffinityStats:
        """How often homes were looked up, and with what result; zeros without `responses_api_deployment_check`."""
        for check in self._checks:
            if isinstance(check, ResponsesApiDeployment):
                link = self._stores.link
                return replace(check.stats, store_error=link.stats.errors if link is not None else 0)
        return AffinityStats()

    async def aexplain(self, model: str, **params: Any) -> Explanation:
        """Where a call to create a response would go now, and why, without sending it.

        Takes what `aresponses` takes. Raises `UnknownModelError`, `BadRequestError` for arguments that are wrong.
        """
        request = Request(Verb.CREATE, model, params)
        registry = self._registry
        found = registry.resolve(model)
        call = request.call(stream=False, group=found.group, wildcard=found.wildcard)
        health = {each.id: each for each in self._pool.health() if each.group == found.group}
        return await explain(_place(registry, found, call), self._checks, health)

    def explain(self, model: str, **params: Any) -> Explanation:
        """As `aexplain`, for synchronous callers."""
        return self._portal.run(self.aexplain(model, **params))

    # closing

    async def aclose(self) -> None:
        """Close connections and stores, and end the thread of the synchronous verbs. Idempotent.

        Await it in the event loop that made the calls; calls in flight fail.
        """
        await self._close_loop()
        if self._portal.running:
            await asyncio.to_thread(self.close)

    def close(self) -> None:
        """As `aclose`, for synchronous callers."""
        if self._portal.running:
            self._portal.run(self._close_loop())
            self._portal.stop()

    async def _close_loop(self) -> None:
        """Close what belongs to the running event loop."""
        self._engine.end_calls()
        try:
            if "_fetcher" in self.__dict__:
                await self._fetcher.aclose()
            await self._close_checks()
        finally:
            await self._transport.aclose()
            await self._stores.aclose()

    async def _close_checks(self) -> None:
        if self._checks_closed:
            return
        self._checks_closed = True
        for check in self._checks:
            try:
                await check.aclose()
            except Exception:
                _log.exception("the check %s failed to close", type(check).__name__)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.aclose()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    # serving

    async def _create(
        self, verb: Verb, model: str, params: dict[str, Any], *, stream: bool = False
    ) -> Routed | ResponseStream:
        if not isinstance(model, str) or not model:
            raise BadRequestError(
                f"model: must be the name of a group, not {model!r}", param="model", code="missing_required_parameter"
            )
        return await self._serve(Request(verb, model, params), stream)

    async def _by_id(
        self, verb: Verb, response_id: str, model: str | None, params: dict[str, Any], *, stream: bool = False
    ) -> Routed | ResponseStream:
        if not isinstance(response_id, str) or not response_id:
            raise BadRequestError(
                f"response_id: must be the id of a response, not {response_id!r}",
                param="response_id",
                code="missing_required_parameter",
            )
        request = Request(verb, model or "", params)
        if not model:
            request.model = await self._group_of(response_id, request.scope)
        return await self._serve(request, stream, response_id)

    async def _serve(self, request: Request, stream: bool, response_id: str | None = None) -> Routed | ResponseStream:
        registry = self._registry
        found = registry.resolve(request.model)
        group = found.group
        call = request.call(stream=stream, response_id=response_id, group=group, wildcard=found.wildcard)
        home = request.home(self._homes.get(group, self._home))
        if home is not None:
            call = replace(call, home=home)
        place = _place(registry, found, call)
        policy = request.policy(self._policies.get(group, self._policy), group)
        limits = request.limits
        if limits.deadline is None and self._settings.deadline is not None:
            limits = replace(limits, deadline=self._settings.deadline)
        run = Run(place, Plan(policy, Target(group), request.verb), limits, self._clock())
        if self._stores.feed is not None:
            await self._stores.feed.sync()
        return await self._engine.run(run)

    def _turn(self, name: str, call: Call) -> Place:
        """Where `name` leads now: for a call that turns to another group."""
        registry = self._registry
        found = registry.resolve(name)
        return _place(registry, found, replace(call, group=found.group, wildcard=found.wildcard))

    async def _ask(self, deployment: Deployment, response_id: str) -> bool | None:
        return await self._engine.has(deployment, response_id)

    @cached_property
    def _fetcher(self) -> Fetcher:
        # Imported when needed: it stands on aiohttp, which takes a third of the time that `import router` would.
        from router.fetching import Fetcher

        return Fetcher(self._settings.remote_files)

    async def _fetch(self, urls: Sequence[str], timeout: float) -> Mapping[str, Fetched]:
        return await self._fetcher.fetch(urls, timeout)

    async def _group_of(self, response_id: str, scope: str | None) -> str:
        """The group to ask about a response, where the caller did not say."""
        registry = self._registry
        if self._remembered.needed and registry.groups:
            group = await self._remembered.group(response_id, scope)
            if group is not None:  # which may be gone: what is kept here is found from any
                return group if group in registry.groups else next(iter(registry.groups))
        for check in self._checks:
            if isinstance(check, ResponsesApiDeployment):
                home = await check.home(response_id, scope)
                if home is not None:
                    return home.group
        groups = [
            name for name, members in registry.groups.items() if any(each.dialect.keeps_state for each in members)
        ]
        groups = groups or list(registry.groups)[:1]
        if len(groups) == 1:
            return groups[0]
        raise BadRequestError(
            f"it is not known which deployment holds {response_id!r}; pass model= (one of {', '.join(groups[:8])})",
            param="model",
            code="missing_required_parameter",
        )

    # the snapshot

    def _swap(self, registry: Registry) -> None:
        for deployment in registry.by_id.values():
            provider_of(deployment)  # so that its translator is loaded now, not while calls are on their way
        for check in (*self._given, self._remembered):
            check.accept(tuple(registry.by_id.values()))
        if self._remembered.needed and self._checks is self._given:
            # first, for others must know what it knows; and last, for others may know what it doesn't
            self._checks = (self._remembered, *self._given, KnownOnly(self._remembered))
            self._engine.ask(self._checks)
        self._strategies.keep(registry.groups)
        self._pool.update(
            {name: (members, self._strategies.strategy(name)) for name, members in registry.groups.items()}
        )
        self._registry = registry

    def _locate(self, deployment_id: str) -> Deployment | None:
        return self._registry.by_id.get(deployment_id)

    def _build(self, entry: Mapping[str, object], taken: Mapping[str, object] | None = None) -> Deployment:
        built = build_deployment(entry, self._settings.default_litellm_params, taken=taken or ())
        return wiring.completed((built,), self._settings)[0]


def _place(registry: Registry, found: Resolution, call: Call) -> Place:
    """Who may serve `call`, whose name stands for `found`."""
    deployment = found.deployment
    if deployment is None:
        return Place(call, registry.groups[found.group])
    if "*" in deployment.model and not found.wildcard and not call.verb.by_id:
        raise BadRequestError(
            f"the deployment {deployment.id!r} serves whatever {found.group!r} matches; ask for a name that it matches",
            param="model",
            code="invalid_argument",
        )
    return Place(call, (deployment,), alone=True)
