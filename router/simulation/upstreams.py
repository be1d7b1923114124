"""Simulated deployments as a transport of the Router: they take as long, fail and refuse as a trace says they did."""

from __future__ import annotations

import asyncio
from collections import Counter, deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Final

import msgspec

from checks.affinity.domain import same_domain
from providers.errors import (
    APITimeoutError,
    PreviousResponseNotFoundError,
    RateLimitError,
    ResponseNotFoundError,
)
from providers.types import Connection, Deployment, HttpRequest, JsonObject
from router.simulation import answers
from router.simulation.chance import token
from router.simulation.failures import Failure
from router.simulation.past import MINUTE, History, Past, Service
from router.simulation.provider import Asked, is_create
from router.telemetry.traced import TracedCall
from router.transport.base import OpenReply

_READ: Final = 0.05
"""Seconds that it takes to read a response that is there."""


@dataclass(slots=True)
class _Place:
    """One deployment in the simulation."""

    deployment: Deployment
    past: Past
    rpm: int | None
    tpm: int | None
    configured: bool
    """Whether the limits are configured, and not inferred from what the trace shows."""
    minute: deque[tuple[float, int]] = field(default_factory=deque)
    """What it took within the last minute: when, and how many tokens."""
    tokens: int = 0

    def full(self, now: float, size: int) -> float | None:
        """Seconds until it takes a call of `size` tokens; None: now."""
        minute = self.minute
        while minute and minute[0][0] <= now - MINUTE:
            self.tokens -= minute.popleft()[1]
        over = self.rpm is not None and len(minute) >= self.rpm
        over = over or (self.tpm is not None and bool(minute) and self.tokens + size > self.tpm)
        return max(0.001, minute[0][0] + MINUTE - now) if over and minute else None

    def take(self, now: float, size: int) -> None:
        """Take a call."""
        self.minute.append((now, size))
        self.tokens += size


class Upstreams:
    """Every simulated deployment; a `Transport` that sends nothing anywhere."""

    def __init__(self, calls: tuple[TracedCall, ...], history: History, seed: int, wall: Callable[[], float]) -> None:
        """`wall` tells the simulated Unix time."""
        self._calls = calls
        self._history = history
        self._seed = seed
        self._wall = wall
        self._places: dict[str, _Place] = {}
        self._tries: Counter[tuple[int | None, str]] = Counter()
        self.holders: dict[str, Deployment] = {}
        """Who holds each response that was made."""

    def add(self, deployment: Deployment) -> str | None:
        """Simulate a deployment; whose past it has, if the trace doesn't know its own."""
        past, like = self._history.of(deployment)
        configured = deployment.rpm is not None or deployment.tpm is not None
        rpm = deployment.rpm if configured else past.most
        self._places[deployment.id] = _Place(deployment, past, rpm, deployment.tpm, configured)
        return like

    async def send(self, request: HttpRequest, connection: Connection, *, timeout: float) -> OpenReply:
        """Take as long as it takes, then answer, or raise what it failed with."""
        asked = msgspec.json.decode(request.content, type=Asked)
        place = self._places[asked.deployment]
        if not is_create(asked):
            return await self._read(asked, place, timeout)
        now = self._wall()
        key = asked.call, asked.deployment
        nth = self._tries[key]
        self._tries[key] += 1
        service = self._history.service(place.past, asked.deployment, asked.call, now, nth)
        failure = self._failure(place, asked, now)
        late = failure is not None and failure.late and asked.stream
        if failure is not None and not late:
            await _wait(timeout if failure.hangs else failure.after, timeout)
            raise failure.error()
        self._admit(place, now, service)
        self._check_home(place, asked)
        await _wait(service.first if asked.stream else service.total, timeout)
        return self._answer(place, asked, service, nth, failure)

    async def aclose(self) -> None:
        """There is nothing to close."""

    def _failure(self, place: _Place, asked: Asked, now: float) -> Failure | None:
        """What this attempt fails with, by what the trace says."""
        refused = self._history.refusal(asked.call, asked.deployment)
        if refused is not None:
            return refused
        failure = place.past.failure(now)
        if failure is not None and failure.limited:
            # too many then: with fewer now, it would have taken this one
            place.full(now, 0)
            if place.configured or len(place.minute) < place.past.within_minute(now):
                return None
        return failure

    def _admit(self, place: _Place, now: float, service: Service) -> None:
        size = service.usage.total_tokens
        wait = place.full(now, size)
        if wait is not None:
            raise RateLimitError("too many calls, or tokens, within a minute", retry_after=wait)
        place.take(now, size)

    def _check_home(self, place: _Place, asked: Asked) -> None:
        """Refuse what goes on from a response that is not held there."""
        previous = asked.previous_response_id
        if previous is None:
            return
        holder = self.holders.get(previous)
        if holder is None or not same_domain(holder, place.deployment):
            raise PreviousResponseNotFoundError("it is not held here", code="previous_response_not_found")

    async def _read(self, asked: Asked, place: _Place, timeout: float) -> OpenReply:
        """Answer a question about a response that is there, or isn't."""
        failure = place.past.failure(self._wall())
        await _wait(_READ if failure is None or not failure.hangs else timeout, timeout)
        if failure is not None:
            raise failure.error()
        holder = self.holders.get(asked.response_id or "")
        if holder is None or not same_domain(holder, place.deployment):
            raise ResponseNotFoundError("it is not held here")
        known: JsonObject = {"id": asked.response_id, "object": "response", "status": "completed"}
        return _Reply([(0.0, answers.body(known))])

    def _answer(self, place: _Place, asked: Asked, service: Service, nth: int, failure: Failure | None) -> OpenReply:
        deployment = place.deployment
        stem = token(self._seed, "response", deployment.id, asked.call, nth)
        keeps = deployment.dialect.keeps_state
        identity = f"resp_{stem}{stem[:16]}" if keeps else f"resp_{stem}"  # as its vendor would make it, as ours are
        self.holders[identity] = deployment
        call = None if asked.call is None else self._calls[asked.call]
        tier = None if call is None else call.service_tier
        model = place.past.model or deployment.model
        answer = answers.response(identity, stem, model, tier, service.usage)
        if not asked.stream:
            return _Reply([(0.0, answers.body(answer))])
        first, rest = answers.stream(answer)
        if failure is not None:
            return _Reply([(0.0, first)])  # it breaks off
        return _Reply([(0.0, first), (service.total - service.first, rest)])


async def _wait(seconds: float, timeout: float) -> None:
    """Let time pass, at most `timeout` seconds. Raises `APITimeoutError`."""
    await asyncio.sleep(min(seconds, timeout))
    if seconds >= timeout:
        raise APITimeoutError(f"no answer within {timeout:.3g} s")


class _Reply:
    """An open reply whose parts arrive when they are due."""

    def __init__(self, parts: list[tuple[float, bytes]]) -> None:
        """`parts`: seconds after the one before, and the bytes."""
        self.status = 200
        self.headers: Mapping[str, str] = {}
        self._parts = deque(parts)

    async def read(self) -> bytes:
        """See `OpenReply.read`."""
        return await self.chunk()

    async def chunk(self) -> bytes:
        """See `OpenReply.chunk`."""
        if not self._parts:
            return b""
        due, content = self._parts[0]
        if due > 0:
            await asyncio.sleep(due)
        self._parts.popleft()
        return content

    async def aclose(self) -> None:
        """See `OpenReply.aclose`."""

    def abort(self) -> None:
        """See `OpenReply.abort`."""
