"""A call that is on its way, as telemetry sees it: noted at its start, closed exactly once, however it ends."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Protocol

import msgspec

from providers.errors import APIError
from providers.types import JsonObject, Verb
from providers.usage import Bill, TokenUsage
from router.request import Request
from router.run import Run
from router.telemetry.base import CallTrace
from router.telemetry.debts import Payer
from router.telemetry.record import Status

BILLED = frozenset({Verb.CREATE, Verb.COMPACT})
"""Verbs that use tokens; the others only show what was used."""


class Book(Protocol):
    """Where calls are entered that are over."""

    clock: Callable[[], float]
    wall: Callable[[], float]

    def bill(self, opened: OpenCall) -> Bill | None:
        """What it costs; None if it used nothing."""
        ...

    def collect(self, opened: OpenCall) -> Payer | None:
        """Who pays for what it shows, if that is to be billed now."""
        ...

    def put(self, opened: OpenCall) -> None:
        """It is over."""
        ...


class OpenCall(msgspec.Struct, eq=False):  # made for each call, which `__init__` of a class of Python would hold up
    """The facts of one call. Whoever ends it calls `close`; later closings do nothing."""

    book: Book
    id: str
    verb: Verb
    model: str
    stream: bool
    began: float
    """By the Router's clock."""
    started: float
    """Unix time."""
    loop: asyncio.AbstractEventLoop
    trace: CallTrace | None = None
    request: Request | None = None
    run: Run | None = None
    """None as long as it is not known who may serve it."""
    closed: bool = False
    status: Status = "failed"
    error: BaseException | None = None
    duration: float = 0.0
    first_event: float | None = None
    response: JsonObject = {}
    """The answer, or of a stream the newest that a lifecycle event showed."""
    output: JsonObject | None = None
    """The answer as far as it came, if contents are recorded and it is not in `response`."""
    usage: TokenUsage | None = None
    partial: bool = False
    bill: Bill | None = None
    response_id: str | None = None
    """The response that it is about, by the id that the caller knows."""
    payer: Payer | None = None
    """Whom the bill is for, if that was said by the call that began the response."""

    def close(
        self,
        status: Status,
        response: JsonObject | None = None,
        usage: TokenUsage | None = None,
        error: BaseException | None = None,
        *,
        partial: bool = False,
    ) -> Bill | None:
        """It is over. The bill for it, if there is something to pay for. May run anywhere, in a destructor too."""
        if self.closed:
            return self.bill
        self.closed = True
        self.status = status
        self.error = error
        self.duration = self.book.clock() - self.began
        if response is not None:
            self.response = response
        if self.run is not None:
            self.request = None  # the run has all that is told of it
        if self.run is not None and self.run.deployment is not None and self._billed(usage):
            self.usage, self.partial = usage, partial and usage is not None
            self.bill = self.book.bill(self)
        self.book.put(self)
        return self.bill

    def failed(self, error: BaseException) -> None:
        """It ended with `error`: its own, or that of a caller who cancelled it."""
        status: Status = "failed" if isinstance(error, Exception) else "cancelled"
        spent = error.spent if isinstance(error, APIError) else None
        if spent is None:
            self.close(status, error=error)
        else:
            self.close(status, spent.answer, spent.usage, error, partial=True)

    def _billed(self, usage: TokenUsage | None) -> bool:
        """Whether it used something, or is the first to show what a response in the background has."""
        if self.verb in BILLED:
            return True
        if usage is not None:
            self.payer = self.book.collect(self)
        return self.payer is not None
