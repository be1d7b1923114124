"""The loop every call goes through: choose, lease, encode, send, decode, report; or the next plan.

Everything that awaits on a call's behalf stands here. What to do after a failure is the plan's to say, what is known
of the deployments is the pool's.
"""

from __future__ import annotations

import asyncio
import logging
import random
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace

from checks.base import Failed, Finished, Home, Outcome, PreCallCheck, Preferred, Started
from providers.base import Provider
from providers.catalog import VENDORS
from providers.errors import (
    APIConnectionError,
    APIError,
    APITimeoutError,
    Attempt,
    CredentialError,
    NoDeploymentError,
    RateLimitError,
    UnknownModelError,
)
from providers.faults import malformed
from providers.types import Call, Deployment, HttpReply, Verb
from providers.views import Routed, Routing
from router.outgoing import encode, in_background
from router.plan import Failure, shortage_error
from router.pool import Lease, Pool, Shortage
from router.run import DEFAULT_TIMEOUT, Limits, Place, Run
from router.stream import ResponseStream, count
from router.tokens import Tokens
from router.transport.base import OpenReply, Transport
from router.watch import Watch

_log = logging.getLogger("router")

_FOREIGN = -1
"""Marks a shortage that the pool knows nothing of."""


Resolve = Callable[[str, Call], Place]
"""Finds the group a name stands for, and makes the call for it. Raises `UnknownModelError`."""


class Engine:
    """Runs calls. Shared by every verb, streamed or not, async or sync."""

    def __init__(
        self,
        pool: Pool,
        transport: Transport,
        checks: Sequence[PreCallCheck],
        resolve: Resolve,
        defaults: Limits,
        *,
        clock: Callable[[], float] = time.monotonic,
        rng: random.Random | None = None,
        sleep: Callable[[float], Awaitable[object]] = asyncio.sleep,
    ) -> None:
        self._pool = pool
        self._transport = transport
        self._resolve = resolve
        self._defaults = defaults
        self._clock = clock
        self._rng = rng or random.Random()
        self._sleep = sleep
        self._tokens = Tokens(clock)
        self._era = 0
        # a check takes part only in what it overrides: what it does not do costs nothing
        self._filters = _overriding(checks, "eligible")
        self._preparers = _overriding(checks, "prepare")
        self._reservers = _overriding(checks, "reserve")
        self._observers = _overriding(checks, "observe")

    async def run(self, run: Run) -> Routed | ResponseStream:
        """Serve the call. Raises the error it ended with, which carries every attempt."""
        run.era = self._era
        while True:
            try:
                lease = await self._choose(run)
            except APIError as error:
                self._move(run, Failure(error, at_home=run.at_home))
                continue
            sent = self._clock()
            try:
                return await self._attempt(run, lease, sent)
            except APIError as error:
                await self._report(run, lease, error, sent)
                deployment = lease.deployment
                slow = deployment.provider.startswith("azure")
                self._move(run, Failure(error, deployment.id, run.at_home, deployment.num_retries, lease.probe, slow))

    def end_calls(self) -> None:
        """Let no call that is on its way now try again: their Router is closing."""
        self._era += 1

    def _move(self, run: Run, failure: Failure) -> None:
        """On to the next plan, or raise what the call ends with."""
        error = run.error = failure.error
        before = run.plan.target
        left = run.left(self._clock())
        try:
            if left <= 0 or run.era != self._era:
                raise error
            run.plan = run.plan.after(failure)
            if run.plan.wait >= left:
                raise error
        except APIError:
            error.attempts = tuple(run.attempts)
            raise
        if run.plan.target is not before:
            self._turn(run, error)

    def _turn(self, run: Run, error: APIError) -> None:
        """To the group that the plan turned to; past it, if it is not there any more."""
        target = run.plan.target
        try:
            run.place = self._resolve(target.group, run.call)
        except UnknownModelError as unknown:
            _log.warning("the fallback group %r is passed over: %s", target.group, unknown)
            self._move(run, Failure(error))
            return
        run.call = replace(run.place.call, body={**run.call.body, **target.overrides})
        run.error = None

    # choosing

    async def _choose(self, run: Run) -> Lease:
        """A lease on the deployment to try now, waited for if need be."""
        plan = run.plan
        if plan.wait:
            await self._pause(run, plan.wait)
        avoid = plan.tried
        group = run.call.group
        place: int | None = None  # in the line of those who wait for the group
        while True:
            if run.era != self._era:
                raise run.error or APIConnectionError("the Router was closed while the call waited")
            got = await self._lease(run, avoid)
            if isinstance(got, Lease):
                if not plan.sent:
                    self._pool.budget(group).deposit()
                return got
            if got.kind == "empty" and self._find_again(run):
                continue
            error = run.error or run.refusal or shortage_error(got.kind, group, got.wait, got.reasons)
            left = run.patience(self._clock())
            jitter = self._rng.random()
            wait = plan.patience(got.kind, got.wait, error, jitter=jitter, left=left, at_home=run.at_home)
            if wait is None or (got.kind == "tried" and not self._pool.budget(group).withdraw()):
                raise error
            run.plan = plan = plan.charge()
            if got.kind == "tried" or got.seen == _FOREIGN:
                await self._pause(run, wait)
            else:
                began = self._clock()
                place = await self._pool.wait(group, wait, since=got, place=place)
                run.waited += self._clock() - began
            avoid = frozenset()

    async def _lease(self, run: Run, avoid: frozenset[str]) -> Lease | Shortage:
        """A deployment that the checks allow and the pool has, or why there is none."""
        run.refusal = None
        try:
            among, ordered = await self._eligible(run)
        except RateLimitError as error:  # a check's limit is waited for as an upstream's would be
            run.refusal = error
            return Shortage("quota", error.retry_after, ((run.call.group, error.message),), _FOREIGN)
        return self._pool.lease(
            run.call.group,
            run.call,
            among=among,
            ordered=ordered,
            avoid=avoid,
            retry=run.plan.retrying,
            reserve=self._reserve(run.call) if self._reservers else None,
        )

    def _find_again(self, run: Run) -> bool:
        """Look the group up again; whether its deployments are others now, the model list having changed."""
        if run.place.alone:
            return False
        try:
            place = self._resolve(run.call.group, run.call)
        except UnknownModelError:
            return False
        changed = place.call.group == run.call.group and place.deployments is not run.place.deployments
        run.place = replace(run.place, deployments=place.deployments)
        return changed

    async def _pause(self, run: Run, seconds: float) -> None:
        run.waited += seconds
        await self._sleep(min(seconds, max(0.0, run.left(self._clock()))))

    async def _eligible(self, run: Run) -> tuple[Sequence[Deployment] | None, bool]:
        """Whom the checks leave, None if all; and whether their order binds the strategy."""
        eligible = everyone = run.place.deployments
        ordered = run.at_home = False
        for check in self._filters:
            narrowed = await check.eligible(run.call, eligible)
            if narrowed is eligible:
                continue
            ordered = ordered or isinstance(narrowed, Preferred)
            run.at_home = run.at_home or isinstance(narrowed, Home)
            if not narrowed:
                raise NoDeploymentError(
                    f"no deployment of {run.call.group!r} may serve this call: {type(check).__name__} refused them all",
                    code="no_deployment_available",
                )
            eligible = narrowed
        return (None if eligible is everyone and not run.place.alone else eligible), ordered

    def _reserve(self, call: Call) -> Callable[[Deployment, float], float]:
        """One claim on all the checks that reserve: all of them, or none."""

        def reserve(deployment: Deployment, now: float) -> float:
            for index, check in enumerate(self._reservers):
                wait = check.reserve(call, deployment, now)
                if wait > 0:
                    for earlier in self._reservers[:index]:
                        earlier.release(call, deployment)
                    return wait
            return 0.0

        return reserve

    # attempting

    async def _attempt(self, run: Run, lease: Lease, sent: float) -> Routed | ResponseStream:
        """One request on one deployment. A failure leaves the lease to `_report`; cancellation ends it here."""
        deployment = lease.deployment
        try:
            call = run.call
            for check in self._preparers:
                call = check.prepare(call, deployment)
            provider = VENDORS[deployment.provider].provider
            limit = rest = self._limit(run, deployment)
            token = None
            if deployment.token_source is not None:
                token = await self._tokens.fresh(deployment, limit)
                rest = limit - (self._clock() - sent)
            request = encode(provider, call, deployment, token)
            reply = await self._transport.send(request, deployment.connection, timeout=rest)
            lease.observe_headers(reply.headers)
            rest = limit - (self._clock() - sent)
            if call.stream and reply.status == 200 and "json" not in reply.headers.get("content-type", ""):
                idle, own = self._idle(run, deployment)
                stream = ResponseStream(
                    reply,
                    lease,
                    provider.events(call, deployment),
                    provider.fault,
                    self._observer(run.call, deployment) if self._observers else None,
                    idle=idle,
                    own=own,
                    eager=call.verb is Verb.GET or in_background(call, deployment),
                    owner=self,
                )
                await self._commit(run, stream, reply, rest)
                return stream.served_by(self._routing(run, lease, sent))
            view = await self._read(reply, provider, call, deployment, rest)
        except APIError:
            raise
        except BaseException:
            lease.cancel()
            raise
        return await self._served(run, lease, view, sent)

    async def _commit(self, run: Run, stream: ResponseStream, reply: OpenReply, first: float) -> None:
        """Read the stream up to its first output, within the deadline."""
        left = run.left(self._clock())
        try:
            if left == float("inf"):
                await stream.commit(first)
            else:
                async with asyncio.timeout(left):
                    await stream.commit(first)
        except TimeoutError:
            run.own = False
            raise APITimeoutError("the call's deadline passed before the first output") from None
        except BaseException:
            if stream.stall is not None:
                run.own = stream.stall
            reply.abort()
            raise

    async def _read(
        self, reply: OpenReply, provider: Provider, call: Call, deployment: Deployment, timeout: float
    ) -> Routed:
        """The answer in a complete reply."""
        watch = Watch()
        try:
            with watch.limit(timeout):
                content = await reply.read()
        except TimeoutError:
            reply.abort()
            raise APITimeoutError("the reply's body did not arrive in time") from None
        except BaseException:
            reply.abort()
            raise
        finally:
            watch.close()
        view = provider.decode(HttpReply(reply.status, reply.headers, content, time.time()), call, deployment)
        if call.stream:
            raise malformed("asked for a stream, got one JSON body", content)
        return view

    def _limit(self, run: Run, deployment: Deployment) -> float:
        """Seconds to the reply (streams: to the first event). Notes whose limit it is."""
        asked, usual = run.limits.timeout, deployment.timeout or self._defaults.timeout or DEFAULT_TIMEOUT
        if run.call.stream:
            asked = run.limits.stream_timeout or asked
            usual = deployment.stream_timeout or self._defaults.stream_timeout or usual
        limit = min(asked or usual, max(0.0, run.left(self._clock())))
        run.own = limit >= usual
        return limit

    def _idle(self, run: Run, deployment: Deployment) -> tuple[float, bool]:
        """Seconds between two chunks of a stream, and whether they are the deployment's to keep."""
        asked, usual = run.limits.idle_timeout, deployment.idle_timeout or self._defaults.idle_timeout
        if usual is None:
            asked = asked or run.limits.timeout
            usual = deployment.timeout or self._defaults.timeout or DEFAULT_TIMEOUT
        idle = asked or usual
        return idle, idle >= usual

    # reporting

    async def _served(self, run: Run, lease: Lease, view: Routed, sent: float) -> Routed:
        usage = view.to_dict().get("usage")
        counts = usage if isinstance(usage, dict) else {}
        lease.succeed(input_tokens=count(counts, "input_tokens"), output_tokens=count(counts, "output_tokens"))
        view.served_by(self._routing(run, lease, sent))
        if self._observers:
            tell = self._observer(run.call, lease.deployment)
            identity = run.call.response_id or view.get("id")
            if isinstance(identity, str) and run.call.verb is not Verb.DELETE:
                await tell(Started(identity))
            await tell(Finished(view))
        return view

    async def _report(self, run: Run, lease: Lease, error: APIError, sent: float) -> None:
        """Say that an attempt failed: to the pool, the record of the call, the checks."""
        deployment = lease.deployment
        error.deployment_id, error.provider = deployment.id, deployment.provider
        if isinstance(error, APITimeoutError) and not run.own:
            lease.cancel()  # the caller's own impatience says nothing about the deployment
        else:
            lease.fail(error)
        if isinstance(error, CredentialError):
            self._tokens.forget(deployment)
        now = self._clock()
        run.attempts.append(Attempt(deployment.id, run.call.group, sent - run.began, now - sent, error))
        _log.info("attempt failed: %s: %s", type(error).__name__, error)
        if self._observers:
            await self._observer(run.call, deployment)(Failed(error))

    def _routing(self, run: Run, lease: Lease, sent: float) -> Routing:
        deployment, now = lease.deployment, self._clock()
        run.attempts.append(Attempt(deployment.id, run.call.group, sent - run.began, now - sent))
        return Routing(
            deployment_id=deployment.id,
            model_group=run.call.group,
            provider=deployment.provider,
            attempts=tuple(run.attempts),
            fallbacks=len(run.plan.visited),
            started=run.started,
            first_output=now - run.began if run.call.stream else None,
            duration=now - run.began,
        )

    def _observer(self, call: Call, deployment: Deployment) -> Callable[[Outcome], Awaitable[None]]:
        """Tells every check that learns. What a check raises is logged, never the caller's."""

        async def tell(outcome: Outcome) -> None:
            for check in self._observers:
                try:
                    await check.observe(call, deployment, outcome)
                except Exception:
                    _log.exception("the check %s failed to learn from an attempt", type(check).__name__)

        return tell


def _overriding(checks: Sequence[PreCallCheck], method: str) -> tuple[PreCallCheck, ...]:
    """The checks that define `method` themselves."""
    return tuple(check for check in checks if getattr(type(check), method) is not getattr(PreCallCheck, method))
