"""What `Pool.lease` returns: a place taken on a deployment, or why there is none."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, Protocol, TypeAlias

from providers.errors import APIError
from providers.types import Deployment
from router.pool.breaker import State
from router.pool.member import Member

Cause: TypeAlias = Literal["quota", "capacity", "breaker", "empty", "tried"]


@dataclass(frozen=True, slots=True)
class Shortage:
    """Nobody can be leased now."""

    kind: Cause
    """What stands in the way, or in the way of the one that is nearest to being usable."""
    wait: float | None = None
    """Seconds until the earliest could be usable; None if no clock tells."""
    reasons: tuple[tuple[str, str], ...] = ()
    """For each deployment considered (the first twenty), its id and what keeps it from serving."""
    seen: int = 0
    """What had happened in the group by then; `Pool.wait` takes it, so that nothing that happens since is missed."""

    @property
    def only_tried(self) -> bool:
        """Whether some are usable but all of those are in `avoid`: wait, and lease again without it."""
        return self.kind == "tried"


class Ledger(Protocol):
    """Where leases end: the pool. See `Lease` for what each means."""

    def succeed(self, lease: Lease, input_tokens: int, output_tokens: int) -> None:
        """The call ended well."""
        ...

    def fail(self, lease: Lease, error: APIError) -> None:
        """The call failed."""
        ...

    def cancel(self, lease: Lease) -> None:
        """The call was given up."""
        ...

    def drop(self, lease: Lease) -> None:
        """The lease is garbage. May run anywhere, even while this thread holds the pool's lock."""
        ...

    def alive(self, lease: Lease, now: float | None) -> None:
        """The call gave its first sign of life."""
        ...

    def learn(self, lease: Lease, headers: Mapping[str, str]) -> None:
        """These are the headers of the reply."""
        ...


class Lease:
    """One call's place on a deployment, from the pick until the call, or its stream, is over.

    Ended exactly once, by whichever of `succeed`, `fail`, `cancel` comes first; later ones do nothing. A lease that is
    dropped without any is cancelled when it is garbage-collected. Thread-safe.
    """

    __slots__ = ("_ledger", "company", "deployment", "epoch", "member", "open", "probe", "started")

    def __init__(self, ledger: Ledger, member: Member, started: float, probe: bool) -> None:
        self.open = True
        self._ledger = ledger
        self.member = member
        self.deployment: Deployment = member.deployment
        self.started = started
        """When it was taken, on the pool's clock."""
        self.probe = probe
        """Whether this call tests a deployment whose breaker is open."""
        self.epoch = member.breaker.epoch
        self.company = member.in_flight
        """Calls in flight there when it was taken, itself included."""

    def tests(self) -> bool:
        """Whether it was sent while its deployment's breaker was open, and that still is: then life closes it."""
        breaker = self.member.breaker
        return breaker.state is not State.CLOSED and breaker.epoch == self.epoch

    def first_output(self, now: float | None = None) -> None:
        """The deployment gave its first sign of life: that closes a breaker that is being tested."""
        self._ledger.alive(self, now)

    def succeed(self, *, input_tokens: int | None = None, output_tokens: int | None = None) -> None:
        """The call, or its stream, ended well. Tokens tell slow from long; None if unknown."""
        self._ledger.succeed(self, input_tokens or 0, output_tokens or 0)

    def fail(self, error: APIError) -> None:
        """The call failed; the error's type says what that means for the deployment."""
        self._ledger.fail(self, error)

    def cancel(self) -> None:
        """The call was given up, for reasons that say nothing about the deployment."""
        self._ledger.cancel(self)

    def observe_headers(self, headers: Mapping[str, str]) -> None:
        """Learn from the `x-ratelimit-*` headers of the reply; names in lower case."""
        self._ledger.learn(self, headers)

    def __del__(self) -> None:
        if self.open:
            self._ledger.drop(self)

    def __repr__(self) -> str:
        return f"<Lease of {self.deployment.id}{' (probe)' if self.probe else ''}{'' if self.open else ', ended'}>"
