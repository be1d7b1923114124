"""What each deployment showed in a trace: how long it took, when it failed and with what, what it refused as too much.

A call that a deployment serves again takes what it took. Any other takes what a call of about that time took there,
drawn by chance, longer or shorter by the deployment's pace for each token of output that it has more or less. It fails
as the recorded attempt failed that is nearest in time: so outages last as long as they did.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from statistics import median
from typing import Final

from providers.errors import CallerError
from providers.types import Deployment
from providers.usage import TokenUsage
from router.simulation.chance import draw
from router.simulation.failures import Failure, kind_of
from router.telemetry.traced import TracedAttempt, TracedCall

_NOTHING: Final = TokenUsage()
NEARBY: Final = 32
"""Calls served at about the same time, of which one is drawn."""
MINUTE: Final = 60.0
DEFAULT_SERVICE: Final = 1.0
"""Seconds that a call takes if the trace has not a single one that was served."""


@dataclass(frozen=True, slots=True)
class Service:
    """How long a call takes, seconds from its sending."""

    first: float
    """To the first output."""
    total: float
    usage: TokenUsage = _NOTHING


@dataclass(slots=True)
class Past:
    """What one deployment, or several together, showed."""

    served: list[tuple[float, Service]] = field(default_factory=list)
    """By time of sending, Unix time."""
    weather: list[tuple[float, Failure | None]] = field(default_factory=list)
    """What each attempt met; None: nothing bad."""
    model: str | None = None
    """What it says answered."""
    pace: float = 0.0
    """Seconds for a token of output."""

    def settle(self) -> None:
        """All has been noted."""
        self.served.sort(key=_time)
        self.weather.sort(key=_time)
        self.pace = _pace([service for _, service in self.served])

    def service(self, at: float, usage: TokenUsage | None, chance: float) -> Service:
        """How long a call that is sent at `at`, and uses this much, takes. `chance` from 0 to 1."""
        if not self.served:
            return Service(DEFAULT_SERVICE, DEFAULT_SERVICE, usage or _NOTHING)
        middle = bisect_left(self.served, at, key=_time)
        low = max(0, min(middle - NEARBY // 2, len(self.served) - NEARBY))
        nearby = self.served[low : low + NEARBY]
        drawn = nearby[int(chance * len(nearby))][1]
        if usage is None:
            return drawn
        total = drawn.total + self.pace * (usage.output_tokens - drawn.usage.output_tokens)
        return Service(drawn.first, max(drawn.first, total), usage)

    def failure(self, at: float) -> Failure | None:
        """What an attempt at this time meets."""
        if not self.weather:
            return None
        index = bisect_left(self.weather, at, key=_time)
        if index == len(self.weather) or (index and at - self.weather[index - 1][0] <= self.weather[index][0] - at):
            index -= 1
        return self.weather[index][1]

    def within_minute(self, until: float) -> int:
        """Calls it served that were sent within the minute before."""
        return bisect_left(self.served, until, key=_time) - bisect_right(self.served, until - MINUTE, key=_time)

    @property
    def most(self) -> int | None:
        """Calls that it takes within a minute: the most it took, if it ever refused one as too many; else None."""
        if not any(failure is not None and failure.limited for _, failure in self.weather):
            return None
        return max((self.within_minute(at) + 1 for at, _ in self.served), default=0)


def _time(noted: tuple[float, object]) -> float:
    return noted[0]


def _pace(served: Sequence[Service]) -> float:
    """Seconds for a token of output: seen in streams; else the slope of time over length."""
    streamed = [
        (each.total - each.first) / each.usage.output_tokens
        for each in served
        if each.total > each.first and each.usage.output_tokens
    ]
    if streamed:
        return max(0.0, median(streamed))
    sizes = [each.usage.output_tokens for each in served]
    if len(served) < 2:
        return 0.0
    middle, usual = sum(sizes) / len(sizes), sum(each.total for each in served) / len(served)
    spread = sum((size - middle) ** 2 for size in sizes)
    together = sum((size - middle) * (each.total - usual) for size, each in zip(sizes, served, strict=True))
    return max(0.0, together / spread) if spread else 0.0


@dataclass(frozen=True, slots=True)
class _Refusals:
    """What a call itself was refused with, by deployment: its own fault, wherever it is sent."""

    by_deployment: dict[str, Failure] = field(default_factory=dict)
    served: bool = False


class History:
    """The past of every deployment, and of those that the trace does not know: of their like."""

    def __init__(self, calls: Sequence[TracedCall], seed: int) -> None:
        self._calls = calls
        self._seed = seed
        self._by_id: dict[str, Past] = {}
        self._alike: dict[tuple[object, ...], Past] = {}
        self._own: dict[tuple[int, str], Service] = {}
        self._refusals: dict[int, _Refusals] = {}
        for index, call in enumerate(calls):
            self._note(index, call)
        for past in (*self._by_id.values(), *self._alike.values()):
            past.settle()

    def _note(self, index: int, call: TracedCall) -> None:
        refused: dict[str, Failure] = {}
        for attempt in call.attempts:
            at = call.arrival + attempt.started
            past = self._by_id.setdefault(attempt.deployment, Past())
            if attempt.status in ("cancelled", "abandoned"):
                continue
            failure = None if attempt.status == "succeeded" else _failure(call, attempt)
            if failure is not None and issubclass(failure.kind, CallerError):
                refused[attempt.deployment] = failure
                failure = None  # it was well, and answered
            past.weather.append((at, failure))
        if refused:
            self._refusals[index] = _Refusals(refused, call.status == "succeeded")
        if call.status == "succeeded" and call.attempts:
            self._serve(index, call, call.attempts[-1])

    def _serve(self, index: int, call: TracedCall, attempt: TracedAttempt) -> None:
        total = max(attempt.duration, call.duration - attempt.started) if call.stream else attempt.duration
        service = Service(attempt.duration, total, call.usage or _NOTHING)
        at = call.arrival + attempt.started
        self._own[index, attempt.deployment] = service
        own = self._by_id[attempt.deployment]
        own.model = call.response_model or own.model
        for past in (own, *self._pools(call.provider, call.deployment_model, attempt.group)):
            past.served.append((at, service))
            if past is not own and past.model is None and call.deployment_model is not None:
                past.model = call.response_model

    def _pools(self, provider: str | None, model: str | None, group: str) -> Iterable[Past]:
        return (self._alike.setdefault(key, Past()) for key in _keys(provider, model, group))

    def of(self, deployment: Deployment) -> tuple[Past, str | None]:
        """The past to model it by, and whose that is if it is not its own."""
        own = self._by_id.get(deployment.id)
        if own is not None and own.served:
            return own, None
        names = (f"others of {deployment.provider}/{deployment.model}", f"the group {deployment.group}", "all others")
        keys = _keys(deployment.provider, deployment.model, deployment.group)
        for key, name in zip(keys, names, strict=True):
            if (alike := self._alike.get(key)) is not None:
                weather = [] if own is None else own.weather
                model = alike.model if key is keys[0] else None
                return Past(alike.served, weather, model, alike.pace), name
        return own or Past(), f"{DEFAULT_SERVICE:g} s, as the trace has no call that was served"

    def service(self, past: Past, deployment_id: str, call: int | None, at: float, nth: int) -> Service:
        """How long the call takes there, sent at `at` (Unix time) as its `nth` attempt on that deployment."""
        again = None if call is None else self._own.get((call, deployment_id))
        if again is not None:
            return again
        usage = None if call is None else self._calls[call].usage
        return past.service(at, usage, draw(self._seed, "service", deployment_id, call, nth, at if call is None else 0))

    def refusal(self, call: int | None, deployment_id: str) -> Failure | None:
        """What the call itself is refused with: as it was there or, if nobody took it, anywhere."""
        known = None if call is None else self._refusals.get(call)
        if known is None:
            return None
        found = known.by_deployment.get(deployment_id)
        return found or (None if known.served else next(iter(known.by_deployment.values())))


def _keys(provider: str | None, model: str | None, group: str) -> tuple[tuple[object, ...], ...]:
    return ("model", provider, model), ("group", group), ("all",)


def _failure(call: TracedCall, attempt: TracedAttempt) -> Failure | None:
    kind = kind_of(attempt.error_type)
    if kind is None:
        return None
    late = attempt is call.attempts[-1] and call.stream and call.first_event is not None
    return Failure(kind, attempt.error_status, attempt.error_code, attempt.duration, late)
