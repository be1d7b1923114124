"""What tests can see of a simulated deployment, and wait for."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Mapping
from concurrent.futures import Future
from dataclasses import dataclass, field
from threading import RLock

from providers.types import Json, Verb


@dataclass(frozen=True, slots=True)
class Record:
    """A request as it arrived."""

    method: str
    path: str
    """Without the query."""
    query: Mapping[str, str]
    headers: Mapping[str, str] = field(repr=False)
    """By lower-case name."""
    body: Json
    """None if there was none, or if it was not JSON."""
    response_id: str | None
    """The stored response that the path names."""
    verb: Verb | None
    """None: the path or the method is none of the Responses API's."""
    conversation_id: str | None = None
    """The conversation that the path names."""


class Ledger:
    """Counts, keeps the last requests, and tells who waits whenever anything changes."""

    def __init__(self, kept: int) -> None:
        self.requests: deque[Record] = deque(maxlen=kept)
        self.ids: deque[str] = deque(maxlen=kept)
        self.calls = 0
        self.active = 0
        self.open = 0
        self._waiting: list[tuple[Callable[[], bool], Future[None]]] = []
        self._lock = RLock()

    def note(self, record: Record) -> None:
        """A request has arrived."""
        self.requests.append(record)
        self.calls += 1
        self.changed()

    def changed(self) -> None:
        """Something observable is different now."""
        if not self._waiting:
            return
        with self._lock:
            self._waiting = [waiter for waiter in self._waiting if not _settle(*waiter)]

    def expect(self, condition: Callable[[], bool]) -> Future[None]:
        """Done as soon as `condition` holds, which is asked now and after each change."""
        waiter: tuple[Callable[[], bool], Future[None]] = (condition, Future())
        waiter[1].set_running_or_notify_cancel()  # from here on only `_settle` ends it, and only once
        with self._lock:
            if not _settle(*waiter):
                self._waiting.append(waiter)
        return waiter[1]

    def dismiss(self, future: Future[None]) -> None:
        """Stop waiting."""
        with self._lock:
            self._waiting = [waiter for waiter in self._waiting if waiter[1] is not future]

    async def until(self, condition: Callable[[], bool], timeout: float) -> bool:
        """Wait in the running loop, whichever it is; whether the condition came true in time."""
        future = self.expect(condition)
        try:
            if not future.done():
                await asyncio.wait_for(asyncio.wrap_future(future), timeout)
        except TimeoutError:
            return False
        finally:
            self.dismiss(future)
        future.result()  # raises what the condition raised
        return True

    def wait(self, condition: Callable[[], bool], timeout: float) -> bool:
        """Wait in this thread, which must not be the one that serves."""
        future = self.expect(condition)
        try:
            future.result(timeout)
        except TimeoutError:
            return False
        finally:
            self.dismiss(future)
        return True


def _settle(condition: Callable[[], bool], future: Future[None]) -> bool:
    """Whether nobody waits on this any more."""
    try:
        if not condition():
            return False
    except Exception as error:  # the condition is the waiter's: so is its error
        future.set_exception(error)
    else:
        future.set_result(None)
    return True
