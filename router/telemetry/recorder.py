"""Makes one record of each call, off its path, and gives it to all that want it."""

from __future__ import annotations

import asyncio
import atexit
import logging
import secrets
import time
import weakref
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from itertools import count
from typing import Final

import msgspec

from providers.types import UNFINISHED, Deployment, Verb
from providers.usage import Bill, Cost, Loads, PriceSource, TokenUsage
from router.pool import DeploymentHealth
from router.telemetry.account import Policy, payer_of, record_of
from router.telemetry.base import RAISED, Batching, LossTeller, Sink, Tracer, one_by_one
from router.telemetry.callbacks import CallbackSink, CallbackStats
from router.telemetry.debts import Debts, Payer
from router.telemetry.delivery import Delivery
from router.telemetry.opened import OpenCall
from router.telemetry.record import CallRecord
from router.telemetry.trace import TraceRecording
from router.telemetry.tracing import follow

_log = logging.getLogger("router.telemetry")
AT_EXIT: Final = 2.0
"""Seconds that the end of the process waits for records to be made."""
_NO_USAGE = "the vendor told no usage"
_NOT_YET = "it runs in the background: its usage is not known before it has ended"


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
        self._at_exit = partial(_finish, weakref.ref(self))
        atexit.register(self._at_exit)
        self.clock = clock
        self.wall = wall
        self.sinks = sinks
        for sink in self.sinks:
            sink.attach(health)
            if isinstance(sink, LossTeller):
                sink.watch_losses(self.losses)
        self.policy = policy
        self.on_end: Callable[[OpenCall], None] | None = None
        """Told of each call at once when it is over, wherever that is: in a destructor, too. It may not raise."""
        self._prices = prices
        self._loads = prices if isinstance(prices, Loads) else None
        self._tracers = tuple(tracers)
        self._prefix = f"call_{secrets.token_hex(6)}_"
        self._numbers = count(1)
        self._delivery = Delivery(self._deliver, self._loader)
        self._debts = Debts()

    def __del__(self) -> None:
        atexit.unregister(self._at_exit)

    @property
    def sinks(self) -> Sequence[Sink]:
        """Who gets the records; may be replaced between two calls."""
        return self._sinks

    @sinks.setter
    def sinks(self, sinks: Sequence[Sink]) -> None:
        self._sinks = tuple(sinks)
        self._takers = [_taker(sink) for sink in sinks]

    @property
    def waiting(self) -> int:
        """Records that are yet to be made."""
        return len(self._delivery)

    def open(self, verb: Verb, model: str, stream: bool) -> OpenCall:
        """A call has come in."""
        number, loop = f"{self._prefix}{next(self._numbers)}", asyncio.get_running_loop()
        opened = OpenCall(self, number, verb, model, stream, self.clock(), self.wall(), loop)
        if self._tracers:
            opened.trace = follow(self._tracers, str(model), verb.value)
        return opened

    def put(self, opened: OpenCall) -> None:
        """A call is over; its record follows."""
        if self.on_end is not None:
            self.on_end(opened)
        self._delivery.put(opened)

    def bill(self, opened: OpenCall) -> Bill | None:
        """What a call costs, to be worked out when it is asked for; None if it used nothing."""
        usage, response = opened.usage, opened.response
        if usage is None:
            if opened.status != "succeeded":
                return None
            if response.get("status") not in UNFINISHED:
                return Bill(Cost(None, _NO_USAGE))
            self._owe(opened)
            return Bill(Cost(None, _NOT_YET))
        assert opened.run is not None, "only what was sent is billed"
        assert opened.run.deployment is not None, "the same"
        model, tier = response.get("model"), response.get("service_tier")
        named = model if model and isinstance(model, str) else None
        served = tier if isinstance(tier, str) else None
        # not the whole call, which is much more: whoever has the answer may keep this for long
        return Bill(_Pricing(self._prices, usage, opened.run.deployment, named, served, opened.started))

    def collect(self, opened: OpenCall) -> Payer | None:
        """Who pays for what a call shows: the end of a response in the background that was not billed yet."""
        shown = opened.response
        if opened.response_id is None or shown.get("status") in UNFINISHED or shown.get("usage") is None:
            return None
        return self._debts.collect(opened.response_id)

    def _owe(self, opened: OpenCall) -> None:
        """Have a response in the background billed when it has ended."""
        identity = opened.response.get("id")
        if isinstance(identity, str) and opened.run is not None:
            self._debts.owe(identity, payer_of(opened.run.call, self.policy))

    async def flush(self, timeout: float) -> bool:
        """Deliver what waits, and wait until callbacks have had it, `timeout` seconds at most; whether they have."""
        began = asyncio.get_running_loop().time()
        if not await self._delivery.flush(timeout):
            return False
        left = max(0.0, timeout - (asyncio.get_running_loop().time() - began))
        callbacks = [sink for sink in self.sinks if isinstance(sink, CallbackSink | TraceRecording)]
        return all(await asyncio.gather(*(each.flush(left) for each in callbacks)))

    @property
    def unfinished(self) -> bool:
        """Whether there is something to do for `finish`."""
        return self.waiting > 0 or any(isinstance(sink, CallbackSink) and sink.stranded for sink in self.sinks)

    async def finish(self, timeout: float) -> None:
        """As `flush`, at the end of the process: callbacks on threads are waited for by themselves."""
        await self._delivery.flush(timeout)
        await asyncio.gather(*(sink.finish(timeout) for sink in self.sinks if isinstance(sink, CallbackSink)))

    def settle(self) -> None:
        """Make the records of the calls that are over, now; may block until prices are loaded."""
        self._delivery.drain()

    async def aclose(self, timeout: float) -> None:
        """Flush, and stop what still runs on this loop."""
        if not await self.flush(timeout):
            _log.warning("callbacks did not take all records within %g s; the rest is lost", timeout)
        for sink in self.sinks:
            if isinstance(sink, CallbackSink):
                await sink.aclose(timeout)
        if self._loads is not None:
            self._loads.close()

    @property
    def stats(self) -> list[CallbackStats]:
        """What became of the records that callbacks were to get."""
        return [replace(sink.stats) for sink in self.sinks if isinstance(sink, CallbackSink)]

    @property
    def dropped(self) -> int:
        """Records that were lost, as too many waited."""
        return self._delivery.dropped

    def losses(self) -> dict[str, int]:
        """Records that were lost, as too many waited: of everybody by the name `""`, of callbacks by theirs."""
        lost = {"": self.dropped}
        for each in self.stats:
            lost[each.name] = lost.get(each.name, 0) + each.dropped
        return lost

    def _loader(self, opened: OpenCall) -> Callable[[], object] | None:
        """What has to run before it is known what a call costs; None: nothing."""
        if self._loads is None or opened.bill is None or opened.bill.ready or opened.run is None:
            return None
        deployment = opened.run.deployment
        try:
            return None if deployment is None else self._loads.loader(deployment)
        except Exception:  # of a user's own
            _log.exception("a price source failed")
            return None

    def _deliver(self, batch: Sequence[OpenCall]) -> None:
        records: list[CallRecord] = []
        policy = self.policy
        for opened in batch:
            try:
                record = record_of(opened, policy)
                records.append(record)
                if opened.trace is not None:
                    opened.trace.end(record)
            except Exception:
                _log.exception("the record of a call could not be made")
        for take in self._takers:
            take(records)


class _Pricing(msgspec.Struct):  # made for each call, as `Bill`
    """All that a call's cost depends on."""

    prices: PriceSource
    usage: TokenUsage
    deployment: Deployment
    model: str | None
    """What the vendor says answered."""
    tier: str | None
    started: float

    def __call__(self) -> Cost:
        """The cost; unknown, if the price source fails."""
        deployment = self.deployment
        model = self.model or deployment.model
        try:
            return self.prices.cost(self.usage, deployment, model=model, service_tier=self.tier, at=self.started)
        except Exception as error:  # of a user's own, which is not to
            _log.exception("a call could not be priced")
            return Cost(None, f"the price source failed: {type(error).__name__}", model=model)


def _taker(sink: Sink) -> Callable[[Sequence[CallRecord]], None]:
    """What gives records to `sink`, of which no failure keeps others from theirs."""
    name = type(sink).__name__
    if not isinstance(sink, Batching):
        return partial(one_by_one, sink.take, name)
    take_all = sink.take_all

    def give(records: Sequence[CallRecord]) -> None:
        try:
            take_all(records)
        except RAISED:
            _log.exception("%s failed to take the records of calls", name)

    return give


def _finish(recorder: weakref.ref[Recorder]) -> None:
    """At the end of the process: see to it that what nobody waited for is not lost, if that does not take long.

    Not by `flush`: the pool that it waits on ended with the main thread.
    """
    alive = recorder()
    if alive is not None and alive.unfinished:
        asyncio.run(alive.finish(AT_EXIT))
