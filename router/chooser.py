"""Finding a deployment for a call: the checks narrow, the pool leases, and where nobody can be had now, one waits."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace

from checks.base import Home, Leaning, PreCallCheck, Preferred
from providers.errors import APIConnectionError, APIError, NoDeploymentError, RateLimitError, UnknownModelError
from providers.types import Call, Deployment
from router.deciding import Choice
from router.plan import shortage_error
from router.pool import Lease, Pool, Shortage, Survey
from router.run import Place, Run, overriding
from router.timely import timely

Resolve = Callable[[str, Call], Place]
"""Finds the group a name stands for, and makes the call for it. Raises `UnknownModelError`."""

Notes = Callable[[Place], Choice]
"""Begins to write down a choice."""

_FOREIGN = -1
"""Marks a shortage that the pool knows nothing of."""


class Chooser:
    """Gets a call its lease."""

    def __init__(
        self,
        pool: Pool,
        checks: Sequence[PreCallCheck],
        resolve: Resolve,
        *,
        notes: Notes | None = None,
        clock: Callable[[], float] = time.monotonic,
        rng: random.Random | None = None,
        sleep: Callable[[float], Awaitable[object]] = asyncio.sleep,
    ) -> None:
        self._pool = pool
        self._resolve = resolve
        self._notes = notes
        self._clock = clock
        self._rng = rng or random.Random()
        self._sleep = sleep
        self.ask(checks)
        self.era = 0
        """Grows when the Router closes: calls of an earlier era don't wait on."""

    def ask(self, checks: Sequence[PreCallCheck]) -> None:
        """Ask these from now on."""
        self._filters = overriding(checks, "eligible")
        self._reservers = overriding(checks, "reserve")

    def end_calls(self) -> None:
        """Let no call that is on its way now wait on."""
        self.era += 1
        self._pool.wake_all()

    async def choose(self, run: Run) -> Lease:
        """A lease on the deployment to try now, waited for if need be."""
        if run.plan.wait:
            await self._pause(run, run.plan.wait)
        run.waiter = None
        try:
            return await self._queue(run)
        except BaseException:
            self._give_way(run)
            raise

    def _give_way(self, run: Run) -> None:
        """A wake-up that this call has no use for is the next one's in line."""
        if run.waiter is not None:
            self._pool.pass_on(run.call.group, run.waiter)

    async def _queue(self, run: Run) -> Lease:
        """Try, and wait in line, until there is a lease or no hope of one."""
        plan, group = run.plan, run.call.group
        avoid = plan.tried
        while True:
            if run.era != self.era:
                raise run.error or APIConnectionError("the Router was closed while the call waited")
            got = await self._lease(run, avoid)
            if isinstance(got, Lease):
                if not plan.sent:
                    self._pool.budget(group).deposit()
                return got
            if got.kind == "empty" and self._find_again(run):
                continue
            error = run.error or run.refusal or shortage_error(got.kind, group, got.wait, got.reasons)
            left = run.patience(self._clock(), got.kind)
            jitter = self._rng.random()
            wait = plan.patience(got.kind, got.wait, error, jitter=jitter, left=left, at_home=run.home is not None)
            if wait is None and run.may_insist(self._clock(), got.kind, error):
                wait = left
            if wait is None or (got.kind == "tried" and not self._pool.budget(group).withdraw()):
                raise error
            run.plan = plan = plan.charge()
            if got.kind == "tried" or got.seen == _FOREIGN:
                self._give_way(run)
                await self._pause(run, wait)
            else:
                began = self._clock()
                run.waiter = await self._pool.wait(group, wait, since=got, again=run.waiter)
                run.waited += self._clock() - began
            avoid = frozenset()

    async def _lease(self, run: Run, avoid: frozenset[str]) -> Lease | Shortage:
        """A deployment that the checks allow and the pool has, or why there is none."""
        run.refusal = None
        choice = run.choice = None if self._notes is None else self._notes(run.place)
        try:
            work = self._eligible(run, choice)
            if self._filters:
                among, ordered = await timely(run, self._clock, work, "while a check was finding who may serve it")
            else:
                among, ordered = await work
        except RateLimitError as error:  # a check's limit is waited for as an upstream's would be
            run.refusal = error
            return Shortage("quota", error.retry_after, ((run.call.group, error.message),), _FOREIGN)
        group, call, home = run.call.group, run.call, run.home
        reserve = self._reserve(call) if self._reservers else None
        # at home there is no other to turn to: its breaker is respected while there is time, and a wait may end as its
        # probe
        retry = run.plan.retrying and home is None
        survey = None
        if choice is not None:
            survey = choice.survey = Survey(among, ordered=ordered, avoid=avoid, retry=retry)
            choice.home, choice.leaning = home, run.leaning
        leaning = self._pool.spare(group, run.leaning) if run.leaning else ()
        if leaning:
            got = self._pool.lease(
                group, call, among=leaning, avoid=avoid, retry=True, reserve=reserve, force=False, survey=survey
            )
            if isinstance(got, Lease):
                return got
        return self._pool.lease(
            group,
            call,
            among=among,
            ordered=ordered,
            avoid=avoid,
            retry=retry,
            reserve=reserve,
            force=home is None or run.insists,
            survey=survey,
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
        run.place = replace(run.place, deployments=place.deployments, snapshot=place.snapshot)
        return changed

    async def _pause(self, run: Run, seconds: float) -> None:
        run.waited += seconds
        await self._sleep(min(seconds, max(0.0, run.left(self._clock()))))

    async def _eligible(self, run: Run, choice: Choice | None) -> tuple[Sequence[Deployment] | None, bool]:
        """Whom the checks leave, None if all; and whether their order binds the strategy."""
        eligible = everyone = run.place.deployments
        ordered, run.home, run.leaning = False, None, ()
        for check in self._filters:
            try:
                narrowed = await check.eligible(run.call, eligible)
            except APIError:
                if choice is not None:
                    choice.refused(check)
                raise
            if narrowed is eligible:
                continue
            if choice is not None and not isinstance(narrowed, Leaning):
                choice.narrowed(check, narrowed)
            if not narrowed:
                raise NoDeploymentError(
                    f"no deployment of {run.call.group!r} may serve this call: {type(check).__name__} refused them all",
                    code="no_deployment_available",
                )
            if isinstance(narrowed, Leaning):
                run.leaning = narrowed
                continue
            ordered = ordered or isinstance(narrowed, Preferred)
            if isinstance(narrowed, Home):
                run.home = narrowed
            eligible = narrowed
        if run.unsaid is not None:
            eligible = tuple(each for each in eligible if each.id not in run.plan.unfit)
            if choice is not None:
                choice.unsaid(eligible)
            if not eligible:
                raise run.unsaid
        if run.leaning:  # what one check would rather have, another may refuse
            run.leaning = tuple(each for each in run.leaning if each in eligible)
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
