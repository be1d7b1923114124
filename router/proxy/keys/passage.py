"""One call of a model on its way, under the limits of the key that it came with."""

from __future__ import annotations

import math
from collections.abc import Awaitable, Callable, Mapping
from types import TracebackType
from typing import Final, Self

from checks import tokens as counting
from providers.types import Call, Verb
from providers.usage import read_usage
from providers.views import Routed
from router.proxy.errors import LimitedError
from router.proxy.exchange import Headers
from router.proxy.holder import Grant, Holder, Limits
from router.proxy.keys.limits import Limiter, Standing, Ticket, What
from router.stream import ResponseStream

_COUNTED: Final = frozenset({Verb.CREATE, Verb.COMPACT})
"""Verbs that use tokens."""
_MOST: Final = 10**12
"""Tokens that one call can have used: no vendor's slip locks a key for ever."""
_SAID: Final[Mapping[What, tuple[str, Callable[[Limits], int | None]]]] = {
    "requests": ("may make {} requests a minute", lambda limits: limits.requests),
    "tokens": ("may use {} tokens a minute", lambda limits: limits.tokens),
    "parallel requests": ("may have {} requests in flight", lambda limits: limits.parallel),
}
"""What a key may, and how much of it."""


class Passage:
    """Taken when it is entered, which raises `LimitedError`; given back when it is left, however that is.

    Tokens are assumed by the call's length, and put right by what its answer says was used.
    """

    __slots__ = ("_answer", "_assumed", "_charge", "_holder", "_limiter", "_ticket", "headers")

    def __init__(
        self,
        limiter: Limiter,
        holder: Holder,
        verb: Verb,
        params: dict[str, object],
        charge: Callable[[Grant], Awaitable[None]],
    ) -> None:
        """`charge` has the call held to the budget of what its key grants."""
        self._limiter = limiter
        self._charge = charge
        self._holder = holder
        self._assumed = 0
        if holder.grant is not None and holder.grant.tpm_limit is not None and verb in _COUNTED:
            self._assumed = min(holder.grant.tpm_limit, _guess(verb, params))  # more than all can't be taken
        self._ticket: Ticket | None = None
        self._answer: Routed | ResponseStream | None = None
        self.headers: Headers = []
        """What the answer's headers say of the limits: OpenAI's names."""

    async def __aenter__(self) -> Self:
        grant = self._holder.grant
        if grant is None:
            return self
        await self._charge(grant)
        if any(limit is not None for limit in grant.limits):
            standing = await self._limiter.enter(grant.id, grant.limits, self._assumed)
            self.headers = _headers(grant.limits, standing)
            self._ticket = standing.ticket
            if standing.ticket is None:
                raise self._refusal(grant.limits, standing)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.leave()

    def served(self, answer: Routed | ResponseStream) -> None:
        """The call is answered, or its stream has begun: what it uses is known when it is left."""
        self._answer = answer

    def leave(self) -> None:
        """It is over. Idempotent."""
        ticket, self._ticket = self._ticket, None
        if ticket is not None:
            self._limiter.leave(ticket, self._used())

    def _used(self) -> int:
        """Tokens; nothing for what failed, and as many as were assumed where nobody has told."""
        answer = self._answer
        if answer is None or not self._assumed:
            return 0
        usage = answer.usage if isinstance(answer, ResponseStream) else read_usage(answer.to_dict())
        used = 0 if usage is None else min(usage.total_tokens, _MOST)
        if usage is None or usage.estimated:  # of a stream that was left: what came is not all that was made
            return max(self._assumed, used)
        return used

    def _refusal(self, limits: Limits, standing: Standing) -> LimitedError:
        what = standing.refused or "requests"
        may, of = _SAID[what]
        error = LimitedError(
            f"the key {self._holder.alias!r} {may.format(of(limits))}; there is no room for this call, "
            f"and may be in {math.ceil(standing.wait)} s",
            code="rate_limit_exceeded",
            type=what if what == "tokens" else "requests",
            retry_after=standing.wait,
        )
        error.headers = self.headers
        return error


def _guess(verb: Verb, params: dict[str, object]) -> int:
    """Tokens that a call may use: its input's by its length, and of its output as many as it asks for at most."""
    most = params.get("max_output_tokens")
    return max(1, counting.guess(Call("", verb, params)) + (most if type(most) is int and most > 0 else 0))


def _headers(limits: Limits, standing: Standing) -> Headers:
    found: Headers = []
    for name, limit, left, reset in (
        (b"requests", limits.requests, standing.requests, standing.requests_reset),
        (b"tokens", limits.tokens, standing.tokens, standing.tokens_reset),
    ):
        if limit is not None:
            found += [
                (b"x-ratelimit-limit-" + name, b"%d" % limit),
                (b"x-ratelimit-remaining-" + name, b"%d" % left),
                (b"x-ratelimit-reset-" + name, b"%.3fs" % reset),
            ]
    return found
