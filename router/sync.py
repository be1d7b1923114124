"""The same verbs for synchronous callers: one private event loop on one thread runs them all.

So synchronous calls get the same retries, fallbacks, checks and streams, and work in any thread, inside a running
event loop too (which they block, as any synchronous call does).
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Coroutine
from concurrent.futures import CancelledError
from contextlib import suppress
from types import TracebackType
from typing import Any, Self, TypeVar

from providers.errors import RouterError
from providers.views import Event, Response, Routing
from router.stream import ResponseStream

T = TypeVar("T")


class Portal:
    """Runs coroutines for synchronous callers. Its thread starts with the first one and ends with `stop`."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread: threading.Thread | None = None

    @property
    def running(self) -> bool:
        """Whether the thread was started and not stopped."""
        return self._loop is not None

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        """The coroutine's result. Interrupting the caller cancels it; `stop` makes it end with `RouterError`.

        It runs in a copy of the caller's context: traces and context variables go on in it.
        """
        with self._lock:  # so that what `stop` finds running is all there is
            if threading.current_thread() is self._thread:
                work.close()
                raise RuntimeError("a synchronous call was made from the Router's own event loop; use the async verb")
            # which takes the context along: what is handed to a loop runs in a copy of the one it was handed over in
            future = asyncio.run_coroutine_threadsafe(work, self._started())
        try:
            return future.result()
        except CancelledError:
            raise RouterError("the Router was closed while the call was on its way") from None
        except BaseException:
            future.cancel()
            raise

    def start(self, work: Coroutine[Any, Any, None]) -> None:
        """Run the coroutine beside what is asked for, until it ends, or `stop` cancels it. It handles its errors."""
        with self._lock:
            asyncio.run_coroutine_threadsafe(work, self._started())

    def stop(self) -> None:
        """End the loop and the thread, cancelling what still runs. Idempotent."""
        with self._lock:
            loop, thread, self._loop, self._thread = self._loop, self._thread, None, None
        if loop is None or thread is None:
            return
        with suppress(RuntimeError):  # it has ended by itself
            loop.call_soon_threadsafe(loop.stop)
        if threading.current_thread() is not thread:
            thread.join()

    def _started(self) -> asyncio.AbstractEventLoop:
        if self._loop is None:
            self._loop = asyncio.new_event_loop()
            self._thread = threading.Thread(target=_serve, args=(self._loop,), name="homing-router-sync", daemon=True)
            self._thread.start()
        return self._loop


def _serve(loop: asyncio.AbstractEventLoop) -> None:
    asyncio.set_event_loop(loop)
    try:
        loop.run_forever()
        tasks = asyncio.all_tasks(loop)
        for task in tasks:
            task.cancel()
        if tasks:
            loop.run_until_complete(asyncio.wait(tasks, timeout=5))
        loop.run_until_complete(loop.shutdown_asyncgens())
    finally:
        loop.close()


class SyncResponseStream:
    """A streamed response for synchronous callers: an iterator of events, and a context manager."""

    __slots__ = ("_portal", "_stream")

    def __init__(self, stream: ResponseStream, portal: Portal) -> None:
        self._stream = stream
        self._portal = portal

    @property
    def routing(self) -> Routing:
        """Who serves the stream."""
        return self._stream.routing

    @property
    def response(self) -> Response | None:
        """The response as the last lifecycle event showed it; final once the stream has ended."""
        return self._stream.response

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> Event:
        event = self._stream.ready()  # most events arrive in company: no need to cross threads for each
        if event is not None:
            return event
        if not self._portal.running:
            if self._stream.ended:
                raise StopIteration
            self._stream.abandon()
            raise RouterError("the Router of this stream was closed")
        event = self._portal.run(_next(self._stream))
        if event is None:
            raise StopIteration
        return event

    def close(self) -> None:
        """End the stream: the upstream connection is closed, the lease is free. Idempotent."""
        if self._portal.running:
            self._portal.run(self._stream.aclose())
        else:
            self._stream.abandon()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def __repr__(self) -> str:
        return repr(self._stream).replace("ResponseStream", "SyncResponseStream")


async def _next(stream: ResponseStream) -> Event | None:
    """The next event; None at the end, for a `StopIteration` can't leave a coroutine."""
    async for event in stream:
        return event
    return None
