"""Rate limits and the headers that announce them."""

from __future__ import annotations

import math
from collections.abc import Callable

from providers.simulated.behaviour import Behaviour
from providers.simulated.refusals import WireError, envelope

_MINUTE = 60.0
_NOMINAL_RPM = 10_000
_NOMINAL_TPM = 2_000_000


class Bucket:
    """A token bucket: `size` a minute, refilled evenly, full at first."""

    def __init__(self, size: int, now: float) -> None:
        self.size = size
        self._level = float(size)
        self._filled = now

    def level(self, now: float) -> float:
        """What may be taken now."""
        self._level = min(self.size, self._level + (now - self._filled) * self.size / _MINUTE)
        self._filled = now
        return self._level

    def take(self, amount: float, now: float) -> float:
        """Take `amount` and return 0, or the seconds to wait until that much is there."""
        amount = min(amount, self.size)
        missing = amount - self.level(now)
        if missing > 1e-9:
            return missing * _MINUTE / self.size
        self._level -= amount
        return 0.0


class Limits:
    """Counts requests and input tokens against the limits of a behaviour."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._requests = Bucket(_NOMINAL_RPM, clock())
        self._tokens = Bucket(_NOMINAL_TPM, clock())

    def admit(self, behaviour: Behaviour, model: str, tokens: int) -> None:
        """Count a request. Raises a 429 if a limit is exceeded."""
        now = self._fit(behaviour)
        for bucket, kind, amount, limited in (
            (self._requests, "requests", 1, behaviour.rpm),
            (self._tokens, "tokens", tokens, behaviour.tpm),
        ):
            wait = bucket.take(amount, now)
            if wait and limited:
                used = bucket.size - math.floor(bucket.level(now))
                raise self.exceeded(behaviour, model, kind, used, amount, wait)

    def exceeded(
        self, behaviour: Behaviour, model: str, kind: str, used: int, requested: int, wait: float | None
    ) -> WireError:
        """The 429, with all its headers. `wait`: seconds to announce, or None to announce nothing."""
        short = "RPM" if kind == "requests" else "TPM"
        limit = (self._requests if kind == "requests" else self._tokens).size
        message = (
            f"Rate limit reached for {model} in organization org-simulated on {kind} per min ({short}): "
            f"Limit {limit}, Used {used}, Requested {requested}."
        )
        headers = self.headers(behaviour)
        if wait is not None:
            message += f" Please try again in {duration(wait)}."
            headers |= retry_headers(wait)
        return WireError(429, envelope(message, kind, None, "rate_limit_exceeded"), headers)

    def headers(self, behaviour: Behaviour) -> dict[str, str]:
        """`x-ratelimit-*` as they stand now."""
        now = self._fit(behaviour)
        found = {}
        for bucket, kind in ((self._requests, "requests"), (self._tokens, "tokens")):
            level = bucket.level(now)
            found[f"x-ratelimit-limit-{kind}"] = str(bucket.size)
            found[f"x-ratelimit-remaining-{kind}"] = str(math.floor(level))
            found[f"x-ratelimit-reset-{kind}"] = duration((bucket.size - level) * _MINUTE / bucket.size)
        return found

    def _fit(self, behaviour: Behaviour) -> float:
        """Start a new bucket where the behaviour's limit has changed; the time now."""
        now = self._clock()
        rpm, tpm = behaviour.rpm or _NOMINAL_RPM, behaviour.tpm or _NOMINAL_TPM
        if self._requests.size != rpm:
            self._requests = Bucket(rpm, now)
        if self._tokens.size != tpm:
            self._tokens = Bucket(tpm, now)
        return now


def retry_headers(wait: float) -> dict[str, str]:
    """`retry-after-ms`, and `retry-after` in whole seconds, rounded up."""
    return {"retry-after-ms": str(math.ceil(wait * 1000)), "retry-after": str(max(1, math.ceil(wait)))}


def duration(seconds: float) -> str:
    """Seconds as OpenAI writes them: `120ms`, `50.529s`, `6m0s`."""
    if seconds < 1:
        return f"{math.ceil(seconds * 1000)}ms"
    if seconds < _MINUTE:
        return f"{seconds:.3f}".rstrip("0").rstrip(".") + "s"
    minutes, rest = divmod(math.ceil(seconds), 60)
    return f"{minutes}m{rest}s"
