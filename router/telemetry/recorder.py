"""Makes one record of each call, off its path, and gives it to all that want it."""

from __future__ import annotations

import asyncio
import logging
import secrets
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from itertools import count

from providers.types import Verb
from providers.usage import Bill, Cost, PriceSource
from router.pool import DeploymentHealth
from router.telemetry.account import Policy, record_of
from router.telemetry.base import CallTrace, Sink, Tracer
from router.telemetry.callbacks import CallbackSink, CallbackStats
from router.telemetry.delivery import Delivery
from router.telemetry.opened import OpenCall
from router.telemetry.trace import TraceRecording

_log = logging.getLogger("router.telemetry")
_NO_USAGE = "the vendor told no usage"


class Recorder:
    """Opens calls, bills them, and delivers their records. One for each Router.

    `clock` is the Router's; `wall` tells Unix time. Records wait in a bounded queue for the event loop's next turn,
    so that whoever called has the answer before anything is made of it.
    """

    def __init__(
        self,
        prices: PriceSource,
        policy: Policy,
        sinks: Sequence[Sink] = (),
        tracers: Sequence[Tracer] = (),
        *,
        health: Callable[[], Sequence[DeploymentHealth]] = list,
        clock: Callable[[], float] = time.monotonic,
        wall: Callable[[], float] = time.time,
    ) -> None:
        self.clock = clock
        self.wall = wall
        self.sinks = list(sinks)
        """May be added to and taken from between two calls."""
        for sink in self.sinks:
            sink.attach(health)
        self.policy = policy
        self._prices = prices
        self._tracers = tuple(tracers)
        self._prefix = f"call_{secrets.token_hex(6)}"
        self._numbers = count(1)
        self._delivery = Delivery(self._deliver)

    def open(self, verb: Verb, model: str, stream: bool) -> OpenCall:
        """A call has come in."""
        opened = OpenCall(self, f"{self._prefix}{next(self._numbers):06x}", verb, model, stream, self.clock())
        for tracer in self._tracers:
            try:
                opened.trace = tracer.begin(str(model), verb.value)
            except Exception:
                _log.exception("the tracer %s failed to follow a call", type(tracer).__name__)
        return opened

    def put(self, opened: OpenCall) -> None:
        """A call is over; its record follows."""
        self._delivery.put(opened)

    def bill(self, opened: OpenCall) -> Bill | None:
        """What a call costs, to be worked out when it is asked for; None if it used nothing."""
        run, usage, response = opened.run, opened.usage, opened.response
        if run is None or run.deployment is None:
            return None
        if usage is None:
            return Bill(Cost(None, _NO_USAGE)) if opened.status == "succeeded" else None
        model, tier = response.get("model"), response.get("service_tier")
        deployment = run.deployment
        work = partial(
            self._prices.cost,
            usage,
            deployment,
            model=model if isinstance(model, str) and model else deployment.model,
            service_tier=tier if isinstance(tier, str) else None,
            at=opened.started,
        )
        return Bill(work)

    async def flush(self, timeout: float) -> bool:
        """Deliver what waits, and wait until callbacks have had it, `timeout` seconds at most; whether they have."""
        self.settle()
        callbacks = [sink for sink in self.sinks if isinstance(sink, CallbackSink | TraceRecording)]
        return all(await asyncio.gather(*(each.flush(timeout) for each in callbacks)))

    def settle(self) -> None:
        """Make the records of the calls that are over, now. For the event loop's thread."""
        self._delivery.drain()

    async def aclose(self, timeout: float) -> None:
        """Flush, and stop what still runs on this loop."""
        if not await self.flush(timeout):
            _log.warning("callbacks did not take all records within %g s; the rest is lost", timeout)
        for sink in self.sinks:
            if isinstance(sink, CallbackSink):
                await sink.aclose(timeout)

    @property
    def stats(self) -> list[CallbackStats]:
        """What became of the records that callbacks were to get."""
        return [replace(sink.stats) for sink in self.sinks if isinstance(sink, CallbackSink)]

    @property
    def dropped(self) -> int:
        """Records that were lost, as too many waited."""
        return self._delivery.dropped

    def _deliver(self, opened: OpenCall) -> None:
        record = record_of(opened, self.policy)
        trace: CallTrace | None = opened.trace
        if trace is not None:
            try:
                trace.end(record)
            except Exception:
                _log.exception("the tracer %s failed to end a call", type(trace).__name__)
        for sink in self.sinks:
            try:
                sink.take(record)
            except Exception:
                _log.exception("%s failed to take the record of a call", type(sink).__name__)
