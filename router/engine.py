"""The loop every call goes through: choose, lease, encode, send, decode, report; or the next plan.

Everything that awaits on a call's behalf stands here. What to do after a failure is the plan's to say, what is known
of the deployments is the pool's.
"""

from __future__ import annotations

import asyncio
import logging
import random
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import replace
from typing import TypeAlias

from checks.base import Failed, Finished, Outcome, PreCallCheck, Started
from providers.base import Provider
from providers.catalog import provider_of
from providers.errors import (
    APIError,
    APITimeoutError,
    CallerError,
    CredentialError,
    HomeLostError,
    NotFoundError,
    RouterError,
    UnknownModelError,
    UnsupportedParamsError,
)
from providers.faults import malformed
from providers.types import Affinity, Call, Deployment, Fetched, HttpReply, JsonObject, Verb
from providers.usage import count
from providers.views import Routed, Routing
from router.chooser import Chooser, Notes, Resolve
from router.hiding import hide
from router.outgoing import echoing, encode, in_background
from router.plan import Failure, Plan
from router.pool import Lease, Pool
from router.run import Limits, Run, overriding
from router.stream import ResponseStream
from router.timely import timely
from router.tokens import Tokens
from router.transport.base import OpenReply, Transport
from router.watch import Watch

_log = logging.getLogger("router")

Fetch: TypeAlias = Callable[[Sequence[str], float], Awaitable[Mapping[str, Fetched]]]
"""Downloads the files at these addresses within so many seconds. Raises `APIError`."""

PROBE_TIMEOUT = 5.0
"""Seconds a deployment may take to say whether it has a response, or a conversation."""


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
        fetch: Fetch,
        notes: Notes | None = None,
        clock: Callable[[], float] = time.monotonic,
        rng: random.Random | None = None,
        sleep: Callable[[float], Awaitable[object]] = asyncio.sleep,
    ) -> None:
        self._chooser = Chooser(pool, checks, resolve, notes=notes, clock=clock, rng=rng, sleep=sleep)
        self._transport = transport
        self._resolve = resolve
        self._defaults = defaults
        self._fetch = fetch
        self._clock = clock
        self._tokens = Tokens(clock)
        self.ask(checks)

    def ask(self, checks: Sequence[PreCallCheck]) -> None:
        """Ask these from now on. Calls on their way go on with them."""
        self._chooser.ask(checks)
        self._answerers = overriding(checks, "answer")
        self._preparers = overriding(checks, "prepare")
        self._presenters = overriding(checks, "present")
        self._rescuers = overriding(checks, "rescue")
        self._observers = overriding(checks, "observe")

    async def run(self, run: Run) -> Routed | ResponseStream:
        """Serve the call. Raises the error it ended with, which carries every attempt."""
        run.era = self._chooser.era
        for check in self._answerers:
            answer = await timely(run, self._clock, check.answer(run.call), "while a check was looking for its answer")
            if answer is not None:
                return answer.view.served_by(self._routed(run, answer.deployment_id, answer.provider))
        while True:
            run.asked = asked = self._clock()
            try:
                lease = await self._chooser.choose(run)
            except APIError as error:
                run.found_nobody(self._clock() - asked)
                await self._move(run, Failure(error, at_home=run.home is not None))
                continue
            finally:
                sent = self._clock()
                run.queued += sent - asked
            try:
                return await self._attempt(run, lease, sent)
            except APIError as error:
                await self._report(run, lease, error, sent)
                deployment = lease.deployment
                failure = Failure(
                    error,
                    deployment.id,
                    at_home=run.home is not None,
                    home_wait=run.home_wait,
                    num_retries=deployment.num_retries,
                    probe=lease.probe,
                    slow_to_read=deployment.provider.startswith("azure"),
                )
                await self._move(run, failure)

    async def has(self, deployment: Deployment, call: Call) -> bool | None:
        """Whether a deployment has what `call` reads, by one request; None if it can't be said now. Never raises."""
        provider = provider_of(deployment)
        try:
            async with asyncio.timeout(PROBE_TIMEOUT):
                token = None
                if deployment.token_source is not None:
                    token = await self._tokens.fresh(deployment, PROBE_TIMEOUT)
                request = encode(provider, call, deployment, token)
                reply = await self._transport.send(request, deployment.connection, timeout=PROBE_TIMEOUT)
                await self._read(reply, provider, call, deployment, PROBE_TIMEOUT)
        except (CallerError, NotFoundError):
            return False
        except (RouterError, TimeoutError):
            return None
        return True

    def end_calls(self) -> None:
        """Let no call that is on its way now try again: their Router is closing."""
        self._chooser.end_calls()

    async def _move(self, run: Run, failure: Failure) -> None:
        """On to the next plan, or raise what the call ends with."""
        error = failure.error
        if isinstance(error, UnsupportedParamsError):
            run.unsaid = error
        else:
            run.error = error
        before = run.plan.target
        left = run.left(self._clock())
        try:
            if left <= 0 or run.era != self._chooser.era:
                raise error
            try:
                run.plan = run.plan.after(failure)
                if run.plan.wait >= left:
                    raise error
            except APIError as last:
                await self._rescue(run, last, failure.deployment_id)
        except APIError as last:
            last.attempts, last.decision = tuple(run.attempts), run.decision
            raise
        if run.plan.target is not before:
            await self._turn(run, error)

    async def _rescue(self, run: Run, error: APIError, failed: str | None) -> None:
        """Begin anew with a call that does without its home, if a check has one; else raise what the call ends with."""
        if run.home is not None or isinstance(error, HomeLostError):
            for check in self._rescuers:
                work = check.rescue(run.call, error)
                call = await timely(run, self._clock, work, "while a check was looking for another home")
                if call is not None:
                    run.call, run.home, run.error, run.unsaid = call, None, None, None
                    # those that failed are asked only if there is nobody else
                    tried = run.plan.tried if failed is None else run.plan.tried | {failed}
                    run.plan = Plan(run.plan.policy, run.plan.target, call.verb, tried, visited=run.plan.visited)
                    return
        raise error

    async def _turn(self, run: Run, error: APIError) -> None:
        """To the group that the plan turned to; past it, if it is not there any more."""
        target = run.plan.target
        try:
            run.place = self._resolve(target.group, run.call)
        except UnknownModelError as unknown:
            _log.warning("the fallback group %r is passed over: %s", target.group, unknown)
            await self._move(run, Failure(error))
            return
        run.call = replace(run.place.call, body={**run.call.body, **target.overrides})
        run.error = run.unsaid = None

    # attempting

    async def _attempt(self, run: Run, lease: Lease, sent: float) -> Routed | ResponseStream:
        """One request on one deployment. A failure leaves the lease to `_report`; cancellation ends it here."""
        deployment = run.deployment = lease.deployment
        try:
            call = run.call
            for check in self._preparers:
                call = check.prepare(call, deployment)
            run.echo = run.continues if call.previous_response_id is None else None
            provider = provider_of(deployment)
            limit = rest = run.limit(deployment, self._defaults, self._clock())
            token = None
            if deployment.token_source is not None:
                token = await self._tokens.fresh(deployment, limit)
                rest = limit - (self._clock() - sent)
            wanted = provider.remote(call, deployment)
            if wanted:
                call = replace(call, fetched=await self._fetch(wanted, rest))
                rest = limit - (self._clock() - sent)
            request = encode(provider, call, deployment, token)
            run.dropped = request.dropped
            if run.trace is not None:
                run.attempt_trace = run.trace.attempt(call, deployment, request.url)
                request = replace(request, headers={**request.headers, **run.attempt_trace.headers})
            reply = await self._transport.send(request, deployment.connection, timeout=rest)
            lease.observe_headers(reply.headers)
            rest = limit - (self._clock() - sent)
            if call.stream and reply.status == 200 and "json" not in reply.headers.get("content-type", ""):
                idle, own = run.idle(deployment, self._defaults)
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
                    present=self._present(run, deployment),
                )
                await self._commit(run, stream, reply, rest)
                return stream.served_by(self._routing(run, lease, sent))
            view = await self._read(reply, provider, call, deployment, rest)
        except APIError:
            raise
        except BaseException:
            lease.cancel()
            run.note(sent, self._clock())
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

    # reporting

    async def _served(self, run: Run, lease: Lease, view: Routed, sent: float) -> Routed:
        usage = view.to_dict().get("usage")
        counts = usage if isinstance(usage, dict) else {}
        lease.succeed(input_tokens=count(counts, "input_tokens"), output_tokens=count(counts, "output_tokens"))
        routing = self._routing(run, lease, sent)
        if self._observers:
            tell = self._observer(run.call, lease.deployment)
            identity = run.call.response_id or view.get("id")
            verb = run.call.verb
            if isinstance(identity, str) and verb is not Verb.DELETE and not verb.of_conversations:
                await tell(Started(identity))
            await tell(Finished(view))
        present = self._present(run, lease.deployment)
        if present is not None:
            json = view.to_dict()
            shown = present(json)
            if shown is not json:  # else the bytes that came can still be passed on
                view = type(view)(shown)
        return view.served_by(routing)

    async def _report(self, run: Run, lease: Lease, error: APIError, sent: float) -> None:
        """Say that an attempt failed: to the pool, the record of the call, the checks."""
        deployment = lease.deployment
        error.deployment_id, error.provider = deployment.id, deployment.provider
        hide(error, deployment)
        if isinstance(error, APITimeoutError) and not run.own:
            lease.cancel()  # the caller's own impatience says nothing about the deployment
        else:
            lease.fail(error)
        if isinstance(error, CredentialError):
            self._tokens.forget(deployment)
        run.note(sent, self._clock(), error)
        _log.info("an attempt on %s failed: %s %s", deployment.id, type(error).__name__, error.status_code)
        if self._observers:
            await self._observer(run.call, deployment)(Failed(error))

    def _routing(self, run: Run, lease: Lease, sent: float) -> Routing:
        deployment = lease.deployment
        run.note(sent, self._clock())
        run.affinity = _affinity(run, deployment)
        return self._routed(run, deployment.id, deployment.provider, run.affinity)

    def _routed(self, run: Run, deployment_id: str, provider: str, affinity: Affinity | None = None) -> Routing:
        now = self._clock()
        return Routing(
            deployment_id=deployment_id,
            model_group=run.call.group,
            provider=provider,
            attempts=tuple(run.attempts),
            fallbacks=len(run.plan.visited),
            started=run.started,
            first_output=now - run.began if run.call.stream else None,
            duration=now - run.began,
            affinity=affinity,
            dropped=run.dropped,
            call_id=run.call_id,
        )

    def _present(self, run: Run, deployment: Deployment) -> Callable[[JsonObject], JsonObject] | None:
        """How an answer looks to the caller: as the checks would have it, the last asked first; None: as it came."""
        call, echo = run.call, run.echo
        if echo is None and not self._presenters:
            return None

        def present(json: JsonObject) -> JsonObject:
            for check in reversed(self._presenters):
                json = check.present(call, deployment, json)
            return json if echo is None else echoing(json, echo)

        return present

    def _observer(self, call: Call, deployment: Deployment) -> Callable[[Outcome], Awaitable[None]]:
        """Tells every check that learns. What a check raises is logged, never the caller's."""

        async def tell(outcome: Outcome) -> None:
            for check in self._observers:
                try:
                    await check.observe(call, deployment, outcome)
                except Exception:
                    _log.exception("the check %s failed to learn from an attempt", type(check).__name__)

        return tell


def _affinity(run: Run, deployment: Deployment) -> Affinity | None:
    """How the call found its home, now that it is known which of the deployments there serves it."""
    moved = run.call.affinity
    return moved if moved is not None or run.home is None else run.home.served_by(deployment.id)
