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

from msgspec import structs

from checks.affinity.discovery import Discovery
from checks.affinity.remembered import Remembered
from checks.base import AffinityStore
from checks.catalog import Services
from checks.catalog import build as build_checks
from checks.draining import Draining
from providers.errors import BadRequestError
from providers.types import Call, Deployment, Fetched, Verb
from providers.usage import PriceSource, read_usage
from providers.views import Routed
from router import wiring
from router.budgeting import Budgeting
from router.config import load
from router.conversations import Conversations, check_names
from router.deciding import recorder
from router.engine import Engine
from router.fleet import Fleet
from router.locating import group_of
from router.operations import FLUSH, Operations
from router.options import RouterOptions
from router.placing import place
from router.plan import Plan, Target
from router.pool import Pool
from router.pricing.prices import Prices
from router.probing import Probe, Prober
from router.registry import Registry
from router.request import Request
from router.run import Limits, Place, Run
from router.shared import open_stores
from router.stream import ResponseStream
from router.sync import Portal
from router.telemetry.account import Policy
from router.telemetry.catalog import CallbackSpec, resolve
from router.telemetry.logs import CallLog
from router.telemetry.opened import OpenCall
from router.telemetry.recorder import Recorder
from router.telemetry.spend import SpendSink
from router.transport import choose
from router.transport.base import Transport
from router.verbs import Verbs

if TYPE_CHECKING:
    import httpx

    from router.fetching import Fetcher

_log = logging.getLogger("router")


class Router(Verbs, Conversations, Fleet, Operations):
    """Balances calls over deployments, keeps conversations at home, moves on from what fails.

    `model_list`: deployments, as LiteLLM writes them: `{"model_name", "litellm_params", "model_info"}`. All else is
    optional; `RouterOptions` lists the settings, times in seconds. Beyond those that a file can hold:

    - `optional_pre_call_checks`: names, instances or subclasses of `PreCallCheck`, asked in this order;
    - `routing_strategy`: a name, or an object with a `pick` method, or a class of such (default `adaptive`);
    - `http_client`: an `httpx.AsyncClient`, an `httpx.AsyncBaseTransport` or a `Transport` to send with;
    - `callbacks`: functions, or objects with a method `on_call`, that get the `CallRecord` of each call that is over;
      loggers written for LiteLLM;
    - `price_source`: what calls cost, instead of the prices that genai-prices knows;
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
        callbacks: Sequence[CallbackSpec] = (),
        price_source: PriceSource | None = None,
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
        rng, seed = wiring.randomness(self._settings.seed, rng)
        self._lock = threading.Lock()
        self._aliases = {name: alias.model for name, alias in self._settings.model_group_alias.items()}
        self._registry = Registry((), self._aliases)
        self._strategies = wiring.StrategyFactory(self._settings, routing_strategy, rng)
        self._pool = Pool(wiring.health(self._settings), clock=clock, rng=rng)
        self._stores = open_stores(self._settings, self._pool, affinity_store, clock)
        self._home, self._homes = wiring.home_policy(self._settings), wiring.home_policies(self._settings)
        self._policy, self._policies = wiring.policy(self._settings), wiring.policies(self._settings)
        self._end_users = wiring.end_users(self._settings)
        self._remembered = Remembered(self._stores.transcripts, ttl=self._settings.affinity_ttl)
        prices = price_source or Prices(updates=self._settings.price_updates)
        self._budgeting = Budgeting(self._settings, prices, self._stores.budgets, clock, self._end_users)
        specs = wiring.check_specs(self._settings, optional_pre_call_checks)
        self._given = self._checks = build_checks(specs, self._services(own_store=affinity_store is not None))
        self._checks_closed = False
        self._draining = Draining()
        self._transport = choose(http_client)
        self._engine = Engine(
            self._pool,
            self._transport,
            self._checks,
            self._turn,
            wiring.limits(self._settings),
            fetch=self._fetch,
            notes=recorder(seed) if self._settings.record_decisions else None,
            clock=clock,
            rng=rng,
            sleep=sleep,
        )
        self._spend = SpendSink()
        self._recorder = self._recording(callbacks, prices)
        self._prober = self._probing(rng, sleep)
        self._portal = Portal()
        weakref.finalize(self, self._portal.stop)
        self._swap(Registry(wiring.completed(deployments, self._settings), self._aliases))

    def _recording(self, callbacks: Sequence[CallbackSpec], prices: PriceSource) -> Recorder:
        """What keeps a record of each call, and gives it to the log, the totals and `callbacks`."""
        contents = self._settings.record_contents
        sinks, tracers = resolve(callbacks, self._settings.callback_queue)
        return Recorder(
            prices,
            Policy(contents, self._end_users),
            (CallLog(contents=contents), self._spend, *sinks),
            tracers,
            health=self._pool.health,
            clock=self._clock,
        )

    def _probing(self, rng: random.Random, sleep: Callable[[float], Awaitable[object]]) -> Prober:
        """What checks deployments, if it is asked to."""
        settings = self._settings
        probe = Probe(self._pool, self._transport, settings.health_check_timeout, self._clock)
        usual, interval = settings.health_checks, settings.health_check_interval
        return Prober(self._pool, probe, usual, interval, clock=self._clock, rng=rng, sleep=sleep)

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
            Discovery(self._ask_for_conversation, clock=self._clock) if discover else None,
            stores.transcripts if wiring.replays(settings) else None,
            self._remembered,
            wiring.signed_ids(settings),
            acknowledged=settings.affinity_write == "acknowledged",
            budget=self._budgeting.check,
        )

    def __repr__(self) -> str:
        groups = ", ".join(f"{name} x{len(members)}" for name, members in self._registry.groups.items())
        return f"<Router {groups or 'empty'}>"

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
            await self._prober.aclose()
            await self._recorder.aclose(FLUSH)
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
        opened = self._recorder.open(verb, model, stream)
        try:
            if not isinstance(model, str) or not model:
                said = f"model: must be the name of a group, not {model!r}"
                raise BadRequestError(said, param="model", code="missing_required_parameter")
            opened.request = request = Request(verb, model, params)
            return await self._serve(opened, request, stream)
        except BaseException as error:
            opened.failed(error)
            raise

    async def _by_id(
        self, verb: Verb, response_id: str, model: str | None, params: dict[str, Any], *, stream: bool = False
    ) -> Routed | ResponseStream:
        opened = self._recorder.open(verb, model or "", stream)
        try:
            if not isinstance(response_id, str) or not response_id:
                said = f"response_id: must be the id of a response, not {response_id!r}"
                raise BadRequestError(said, param="response_id", code="missing_required_parameter")
            opened.response_id = response_id
            opened.request = request = Request(verb, model or "", params)
            if not model:
                call = Call("", verb, response_id=response_id, scope=request.scope)
                request.model = await self._group_of(call, request.limits)
            return await self._serve(opened, request, stream, response_id)
        except BaseException as error:
            opened.failed(error)
            raise

    async def _converse(self, verb: Verb, model: str | None, params: dict[str, Any], *names: str) -> Routed:
        opened = self._recorder.open(verb, model or "", False)
        try:
            check_names(model, names)
            opened.request = request = Request(verb, model or "", params, *names)
            if not model:
                call = Call("", verb, scope=request.scope, conversation_id=request.conversation_id)
                request.model = await self._group_of(call, request.limits)
            return cast("Routed", await self._serve(opened, request, False))
        except BaseException as error:
            opened.failed(error)
            raise

    async def _group_of(self, call: Call, limits: Limits) -> str:
        """The group that a call means that names none."""
        deadline = self._settings.deadline if limits.deadline is None else limits.deadline
        return await group_of(call, self._registry, self._checks, self._remembered, deadline)

    async def _serve(
        self, opened: OpenCall, request: Request, stream: bool, response_id: str | None = None
    ) -> Routed | ResponseStream:
        registry = self._registry
        found = registry.resolve(request.model)
        group = found.group
        call = request.call(
            stream=stream,
            response_id=response_id,
            group=group,
            wildcard=found.wildcard,
            unsent=self._end_users.headers,
            identity=opened.id,
            usual=self._homes.get(group, self._home),
        )
        where = place(registry, found, call)
        policy = request.policy(self._policies.get(group, self._policy), group)
        limits = request.limits
        if limits.deadline is None and self._settings.deadline is not None:
            limits = replace(limits, deadline=self._settings.deadline)
        run = Run(where, Plan(policy, Target(group), request.verb), limits, opened.began, opened.id)
        opened.run, run.trace = run, opened.trace
        if self._stores.feed is not None:
            await self._stores.feed.sync()
        return _accounted(opened, await self._engine.run(run))

    def _turn(self, name: str, call: Call) -> Place:
        """Where `name` leads now: for a call that turns to another group."""
        registry = self._registry
        found = registry.resolve(name)
        return place(registry, found, replace(call, group=found.group, wildcard=found.wildcard))

    async def _ask(self, deployment: Deployment, response_id: str) -> bool | None:
        return await self._engine.has(deployment, Call(deployment.group, Verb.GET, response_id=response_id))

    async def _ask_for_conversation(self, deployment: Deployment, conversation_id: str) -> bool | None:
        call = Call(deployment.group, Verb.GET_CONVERSATION, conversation_id=conversation_id)
        return await self._engine.has(deployment, call)

    @cached_property
    def _fetcher(self) -> Fetcher:
        # Imported when needed: it stands on aiohttp, which takes a third of the time that `import router` would.
        from router.fetching import Fetcher

        return Fetcher(self._settings.remote_files)

    async def _fetch(self, urls: Sequence[str], timeout: float) -> Mapping[str, Fetched]:
        return await self._fetcher.fetch(urls, timeout)


def _accounted(opened: OpenCall, answer: Routed | ResponseStream) -> Routed | ResponseStream:
    """A call's answer, which shows what it cost; one that is streamed keeps the call open until it ends."""
    if isinstance(answer, ResponseStream):
        opened.first_event = answer.routing.first_output
        answer.account_to(opened)
        return answer
    json = answer.to_dict()
    bill = opened.close("succeeded", json, read_usage(json))
    if bill is not None:
        # nobody has seen it yet, and another would take as long as all that is billed
        structs.force_setattr(answer.routing, "bill", bill)
    return answer
