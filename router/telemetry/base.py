"""What takes records, and what follows calls while they are on their way."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Mapping, Sequence
from typing import Final, Protocol, runtime_checkable

from router.pool import DeploymentHealth
from router.run import Trace
from router.telemetry.record import CallRecord

_log = logging.getLogger("router.telemetry")

RAISED: Final = (Exception, asyncio.CancelledError)
"""What a part of the user's raises without harm to others: all but what is to end the process, or a coroutine."""


class Sink(Protocol):
    """Takes each record, on the event loop, once its call is over and its caller has been answered.

    For what is built in, and quick: it may not wait or block. What it raises is logged.
    """

    def attach(self, health: Callable[[], Sequence[DeploymentHealth]]) -> None:
        """It serves a Router, of whose deployments `health` tells the state. Called once, before the first record."""
        ...

    def take(self, record: CallRecord) -> None:
        """One call is over."""
        ...


@runtime_checkable
class LossTeller(Protocol):
    """A sink that also tells which records nobody got."""

    def watch_losses(self, losses: Callable[[], Mapping[str, int]]) -> None:
        """`losses` counts them: of everybody by the name `""`, of single callbacks by theirs."""
        ...


@runtime_checkable
class Batching(Protocol):
    """A sink for which less is to be done if it gets many records at a time."""

    def take_all(self, records: Sequence[CallRecord]) -> None:
        """These calls are over: in the place of `take`. What it raises is logged."""
        ...


@runtime_checkable
class Exposing(Protocol):
    """A sink that shows what it counts to whoever asks."""

    def exposition(self) -> bytes:
        """All of it, in Prometheus's text format."""
        ...


class CallTrace(Trace, Protocol):
    """Follows one call to its end."""

    def end(self, record: CallRecord) -> None:
        """The call is over, and so is its last attempt."""
        ...


class Tracer(Protocol):
    """Follows calls while they are on their way."""

    def begin(self, model: str, verb: str) -> CallTrace:
        """A call has begun; asked in its caller's context."""
        ...


def one_by_one(take: Callable[[CallRecord], None], name: str, records: Sequence[CallRecord]) -> None:
    """Give each of `records` to `take`, of `name`; what it raises is logged, and the next one comes all the same."""
    for record in records:
        try:
            take(record)
        except RAISED:
            _log.exception("%s failed to take the record of a call", name)
