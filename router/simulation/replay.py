"""Replays a trace through a Router whose deployments, and whose time, are simulated."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import msgspec

from checks.affinity.domain import domain
from checks.base import Started
from providers.errors import APIError, PreviousResponseNotFoundError
from providers.types import Call, Deployment, Verb
from router.pool import DeploymentHealth
from router.pricing.prices import Prices
from router.registry import Registry
from router.router import Router
from router.run import overriding
from router.simulation.chance import token
from router.simulation.configured import Prepared
from router.simulation.past import History
from router.simulation.provider import INDEX, StandIn
from router.simulation.reading import Trace
from router.simulation.upstreams import Upstreams
from router.simulation.virtual import VirtualLoop
from router.stream import ResponseStream
from router.telemetry.record import CallRecord
from router.telemetry.traced import TracedCall, traced

_TOKEN: Final = "xxx "
"""Of input that counts as one token, by its bytes as by its words."""
_EVERY: Final = 100
"""Calls after which progress is told."""


@dataclass(frozen=True, slots=True, repr=False)  # asyncio asks for it twice, and it would be larger than all else
class Replay:
    """What became of the calls of a trace under another configuration."""

    calls: tuple[TracedCall, ...]
    """Those that were replayed, in the order of the trace."""
    decisions: tuple[bytes, ...]
    """A line of JSON for each attempt."""
    notes: tuple[str, ...]


def replay(trace: Trace, history: History, config: Prepared, seed: int, progress: Callable[[int], None]) -> Replay:
    """Replay `trace` under `config`. `progress` is told now and then how many calls have begun.

    Raises `ConfigurationError` for what is wrong with the configuration.
    """
    with asyncio.Runner(loop_factory=VirtualLoop) as runner:
        return runner.run(_Stage(trace, history, config, seed, runner.get_loop()).play(progress))


class _SimulatedRouter(Router):
    """The Router itself, over simulated deployments and in simulated time."""

    def __init__(
        self, config: Prepared, upstreams: Upstreams, wall: Callable[[], float], take: _Sink, **parts: Any
    ) -> None:
        self._upstreams = upstreams
        self._prices = Prices()
        self.notes: list[str] = []
        settings = {**config.settings, "record_decisions": True}
        parts |= {"http_client": upstreams, "callbacks": [take], "price_source": self._prices}
        super().__init__(config.model_list, **parts, **settings)
        self._recorder.wall = wall

    def _swap(self, registry: Registry) -> None:
        stand_in = StandIn()
        super()._swap(registry)
        for deployment in registry.by_id.values():
            load = self._prices.loader(deployment)
            if load is not None:  # now: a thread that loads them takes its time, and here time does not wait for it
                load()
            domain(deployment)  # remembered as its own provider has it
            deployment.memo["provider"] = stand_in
            like = self._upstreams.add(deployment)
            if like is not None:
                self.notes.append(f"{deployment.id} is not in the trace, and simulated like {like}")

    async def know(self, response_id: str, deployment_id: str, group: str, scope: str | None) -> bool:
        """Let the checks know who holds a response of before the trace; whether there is such a deployment."""
        deployment = self._registry.by_id.get(deployment_id)
        if deployment is None or not deployment.dialect.keeps_state:
            return False
        self._upstreams.holders[response_id] = deployment
        for check in overriding(self._checks, "observe"):
            await check.observe(Call(group, scope=scope), deployment, Started(response_id))
        return True

    def simulated(self) -> Sequence[Deployment]:
        """The deployments."""
        return tuple(self._registry.by_id.values())


class _Sink:
    """Keeps what became of each call."""

    def __init__(self) -> None:
        self.calls: dict[int, TracedCall] = {}

    def attach(self, health: Callable[[], Sequence[DeploymentHealth]]) -> None:
        """Deployments are not watched."""

    def take(self, record: CallRecord) -> None:
        """Keep it, by its place in the trace."""
        index = record.metadata.get(INDEX)
        if isinstance(index, int):
            self.calls[index] = traced(record)


class _Stage:
    """One replay on its way."""

    def __init__(self, trace: Trace, history: History, config: Prepared, seed: int, loop: asyncio.AbstractEventLoop):
        began = trace.began

        def wall() -> float:
            return began + loop.time()

        self._trace = trace
        self._config = config
        self._seed = seed
        self._loop = loop
        self._sink = _Sink()
        upstreams = Upstreams(trace.calls, history, seed, wall)
        self._router = _SimulatedRouter(
            config, upstreams, wall, self._sink, clock=loop.time, rng=random.Random(seed), sleep=asyncio.sleep
        )
        self._made: dict[str, tuple[int, asyncio.Future[str | None]]] = {}
        """By the id that a response has in the trace: the call that makes it, and the id it has here."""
        self._before: dict[str, str | None] = {}
        """The same, of responses of before the trace."""
        self._skipped = 0
        self._begun_anew = 0

    async def play(self, progress: Callable[[int], None]) -> Replay:
        """Let each call arrive when it did, and wait for the last."""
        calls, began, now = self._trace.calls, self._trace.began, self._loop.time
        for index, call in enumerate(calls):
            if call.verb == Verb.CREATE.value and call.response_id is not None:
                self._made[call.response_id] = index, self._loop.create_future()
        async with self._router, asyncio.TaskGroup() as playing:
            for index, call in enumerate(calls):
                if index % _EVERY == 0:
                    progress(index)
                if call.verb != Verb.CREATE.value:
                    self._skipped += 1
                    continue
                await asyncio.sleep(max(0.0, call.arrival - began - now()))
                playing.create_task(self._play(index, call))
        progress(len(calls))
        return self._result()

    async def _play(self, index: int, call: TracedCall) -> None:
        going_on: str | None = None
        try:
            going_on = await self._previous(index, call)
            going_on = await self._ask(index, call, going_on)
        finally:
            maker, made = self._made.get(call.response_id or "", (None, None))
            if made is not None and maker == index:
                made.set_result(going_on)

    async def _previous(self, index: int, call: TracedCall) -> str | None:
        """What the call goes on from, once it is there: a caller does not go on from what has not come."""
        wanted = call.previous_response_id
        if wanted is None:
            return None
        maker, made = self._made.get(wanted, (index, None))
        if made is not None and maker < index:
            found = await made
        else:
            if wanted not in self._before:
                self._before[wanted] = await self._held_before(wanted, call)
            found = self._before[wanted]
        self._begun_anew += found is None
        return found

    async def _held_before(self, wanted: str, call: TracedCall) -> str | None:
        """Its id, if it is known who held it."""
        if call.deployment is None or call.status != "succeeded":
            return None
        identity = f"resp_{token(self._seed, 'before', wanted)}{token(self._seed, wanted)[:16]}"
        known = await self._router.know(identity, call.deployment, call.group, call.tenant)
        gone = all(each.id != call.deployment for each in self._router.simulated())
        return identity if known or gone else None

    async def _ask(self, index: int, call: TracedCall, previous: str | None) -> str | None:
        """Make the call as its caller did; what the next turn goes on from. A caller who left leaves again.

        After a turn that failed that is what it went on from itself; nothing, if that is what was not found.
        """
        left = call.status in ("cancelled", "abandoned")
        try:
            async with asyncio.timeout(call.duration if left else None):
                answer = await self._router.aresponses(
                    call.model, stream=call.stream, **self._params(index, call, previous)
                )
                if not isinstance(answer, ResponseStream):
                    return str(answer["id"])
                async with answer:
                    async for _ in answer:
                        pass
                seen = answer.response
        except PreviousResponseNotFoundError:
            return None
        except (APIError, TimeoutError):
            return previous
        return previous if seen is None else str(seen["id"])

    def _params(self, index: int, call: TracedCall, previous: str | None) -> dict[str, Any]:
        """A call's arguments: as much input as it had, and what matters to checks."""
        maker, _ = self._made.get(call.previous_response_id or "", (None, None))
        before = None if maker is None else self._trace.calls[maker].usage
        given = 0 if call.usage is None else call.usage.input_tokens
        told = 0 if before is None else before.total_tokens  # the conversation so far, which is not said again
        params: dict[str, Any] = {
            "input": _TOKEN * max(1, given - told),
            "litellm_metadata": {INDEX: index, "tags": list(call.tags)},
        }
        optional = {
            "previous_response_id": previous,
            "max_output_tokens": call.max_output_tokens,
            "affinity_scope": call.tenant,
            "safety_identifier": call.end_user,
        }
        return params | {name: value for name, value in optional.items() if value is not None}

    def _result(self) -> Replay:
        found = self._sink.calls
        notes = [*self._config.notes, *self._router.notes]
        if self._skipped:
            notes.append(f"calls that are not replayed, as only those that create responses are: {self._skipped}")
        refused = len(self._trace.calls) - self._skipped - len(found)
        if refused:
            notes.append(f"calls that are not in the figures, as their arguments were wrong from the start: {refused}")
        if self._begun_anew:
            notes.append(f"follow-ups that begin anew, as what they go on from is not there: {self._begun_anew}")
        lines = tuple(line for index in sorted(found) for line in self._decisions(index, found[index]))
        return Replay(tuple(found[index] for index in sorted(found)), lines, tuple(notes))

    def _decisions(self, index: int, call: TracedCall) -> list[bytes]:
        arrived = call.arrival - self._trace.began
        lines: list[Mapping[str, object]] = [
            {
                "call": index,
                "attempt": number,
                "at": round(arrived + attempt.started, 6),
                "group": attempt.group,
                "deployment": attempt.deployment,
                "status": attempt.status,
                "error": attempt.error_type,
                "decision": attempt.decision,
            }
            for number, attempt in enumerate(call.attempts)
        ]
        if call.status == "failed" and (not call.attempts or call.attempts[-1].status == "succeeded"):
            lines.append({"call": index, "error": call.error_type, "decision": call.decision})
        return [msgspec.json.encode({"config": self._config.name, **line}) for line in lines]
