"""A streamed response: owns the lease and the connection from the first byte to the last.

Until the first output the stream is not committed: lifecycle events are held, and a failure is the engine's to move
elsewhere. From then on an error is the caller's to see, with what was received. However the stream ends (terminal
event, error, `aclose`, `break` with garbage collection, cancellation), the connection and the lease are freed.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable
from types import TracebackType
from typing import Self

from msgspec.structs import replace

from checks import tokens
from checks.base import Appeared, Failed, Finished, Outcome, Started
from providers.base import EventDecoder
from providers.errors import APIError, APITimeoutError, Attempt, StreamInterruptedError
from providers.types import JsonObject
from providers.usage import TokenUsage, count, read_spent, read_usage
from providers.views import Event, Response, Routing
from router.hiding import hide
from router.pool import Lease
from router.received import Received
from router.telemetry.opened import OpenCall
from router.telemetry.record import Status
from router.transport.base import OpenReply
from router.watch import Watch

HELD_EVENTS = 64
"""Events held back at most before the stream is committed without output."""
HELD_BYTES = 256 * 1024

_ANNOUNCEMENTS = frozenset(
    {
        "response.created",
        "response.queued",
        "response.in_progress",
        "response.output_item.added",
        "response.content_part.added",
        "response.reasoning_summary_part.added",
        "keepalive",
        "ping",
        None,  # no type at all: gateways' signs of life
    }
)
"""Events that carry no output: what they announce can still come from another deployment."""
_ITEMS = frozenset({"response.output_item.added", "response.output_item.done"})
_ENDS = frozenset({"response.completed", "response.incomplete", "response.failed"})
_DRAIN = 0.1
"""Seconds to wait for the end of the body after the last event, so that the connection can be reused."""


class ResponseStream:
    """An async iterator of events. Use it in `async for`; `async with` or `aclose` ends it early."""

    __slots__ = (
        "__weakref__",
        "_bytes",
        "_committed",
        "_decoder",
        "_eager",
        "_ended",
        "_failure",
        "_fault",
        "_id",
        "_idle",
        "_lease",
        "_observe",
        "_opened",
        "_outcome",
        "_own",
        "_owner",
        "_present",
        "_ready",
        "_received",
        "_reply",
        "_routing",
        "_watch",
        "stall",
    )  # fmt: skip

    def __init__(
        self,
        reply: OpenReply,
        lease: Lease,
        decoder: EventDecoder,
        fault: Callable[[Event], APIError | None],
        observe: Callable[[Outcome], Awaitable[None]] | None,
        *,
        idle: float,
        own: bool = True,
        eager: bool = False,
        owner: object = None,
        present: Callable[[JsonObject], JsonObject] | None = None,
    ) -> None:
        """`idle`: seconds between two chunks; `own`: whether that is the deployment's to keep, not just this call's.

        `present` says how JSON looks to the caller.
        """
        self._present = present
        self._owner = owner  # kept alive: a stream may outlive the last reference to its Router
        self._reply = reply
        self._lease = lease
        self._decoder = decoder
        self._fault = fault
        self._observe = observe
        self._idle = idle
        self._own = own
        self.stall: bool | None = None
        """Once it has stalled between two chunks: whether the deployment is to blame."""
        self._eager = eager
        self._ready: deque[Event] = deque()
        self._failure: APIError | None = None
        self._received = Received()
        self._routing: Routing | None = None
        self._opened: OpenCall | None = None
        self._outcome: tuple[Status, APIError | None] | None = None
        """How it ended."""
        self._committed = False
        self._ended = False
        self._id: str | None = None
        self._bytes = 0
        self._watch = Watch()

    @property
    def routing(self) -> Routing:
        """Who serves the stream. Known from the start: a stream is handed out once it is committed.

        What it costs is known when it has ended.
        """
        if self._routing is None:
            raise AttributeError("the stream is not committed yet")
        return self._routing

    @property
    def response(self) -> Response | None:
        """The response as the last lifecycle event showed it; final once the stream has ended."""
        snapshot = self._received.snapshot
        return Response(self._seen(snapshot), self._routing) if snapshot else None

    @property
    def usage(self) -> TokenUsage | None:
        """What was used, once the stream has ended; None if nobody knows."""
        return None if self._opened is None else self._opened.usage

    @property
    def ended(self) -> bool:
        """Whether nothing more will arrive; what has arrived may still be to be read."""
        return self._ended

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Event:
        ready = self._ready
        while not ready:
            if self._failure is not None:
                failure, self._failure = self._failure, None
                raise failure
            if self._ended:
                await self._drain()
                raise StopAsyncIteration
            await self._read(self._idle)
        return ready.popleft()

    async def aclose(self) -> None:
        """End the stream: the upstream connection is closed, the lease is free. Idempotent."""
        self._ready.clear()
        self._failure = None
        await self._stop()
        self._reply.abort()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.aclose()

    def __del__(self) -> None:
        # the lease frees itself when it is collected; taking the pool's lock here could deadlock
        if not getattr(self, "_ended", True):
            self._reply.abort()
            self._close("abandoned")

    def __repr__(self) -> str:
        state = "ended" if self._ended else "open" if self._committed else "opening"
        return f"<ResponseStream {self._id or '(no id yet)'} {state}>"

    def ready(self) -> Event | None:
        """The next event, if one has arrived already and nothing need be waited for."""
        return self._ready.popleft() if self._ready else None

    # before the commit: driven by the engine

    async def commit(self, first: float) -> None:
        """Read until the first output, at most `first` seconds to the first event.

        Raises what the stream failed with; the lease and the connection are then the engine's to end.
        """
        now = asyncio.get_running_loop().time
        until = now() + first
        while not self._committed:
            if self._failure is not None:
                raise self._failure
            await self._read(self._idle if self._ready else max(0.0, until - now()))
        self._lease.first_output()

    def served_by(self, routing: Routing) -> Self:
        """Tell the stream who serves it. Called once, by the engine."""
        self._routing = routing
        if self._failure is not None:
            self._failure.attempts = _ended_with(routing, self._failure)
        return self

    def account_to(self, opened: OpenCall) -> None:
        """Have `opened` closed when the stream ends, or now if it has. Called once, by the Router."""
        self._opened = opened
        if self._outcome is not None:
            self._close(*self._outcome)

    # reading

    async def _read(self, timeout: float) -> None:
        """Take one chunk from the wire, as far as it leads. Cancelled, it ends the stream."""
        try:
            with self._watch.limit(timeout):
                chunk = await self._reply.chunk()
            self._bytes += len(chunk)
            await self._take(self._decoder.feed(chunk) if chunk else self._decoder.end())
            if not chunk and not self._ended and self._failure is None:
                await self._fail(StreamInterruptedError("the stream ended before its last event"))
        except TimeoutError:
            if self._committed or self._ready:
                self.stall = self._own
            await self._fail(APITimeoutError(f"no event for {timeout:.3g} s"))
        except APIError as error:
            await self._fail(error)
        except BaseException:
            self.abandon("cancelled")
            raise

    async def _take(self, events: list[Event]) -> None:
        received, ready = self._received, self._ready
        for event in events:
            json = event.to_dict()
            kind = json.get("type")
            if type(kind) is not str:  # no call per event
                kind = None
            received.take(kind, json)
            if self._id is None:
                await self._start(json)
            if kind in _ENDS or kind == "error" or "error" in json:
                fault = self._fault(event)
                if fault is not None:
                    if self._committed and kind == "response.failed":
                        ready.append(self._shown(event))
                    await self._fail(fault)
                    return
                if kind in _ENDS:
                    ready.append(self._shown(event))
                    self._committed = True
                    await self._succeed()
                    return
            if kind in _ITEMS:
                await self._tell(Appeared(event))
            ready.append(event if self._present is None else self._shown(event))
            if not self._committed and (kind not in _ANNOUNCEMENTS or self._eager or self._overfull()):
                self._committed = True

    def _shown(self, event: Event) -> Event:
        """The event as the caller shall see it."""
        if self._present is None:
            return event
        json = event.to_dict()
        shown = self._present(json)
        return event if shown is json else Event(shown)

    def _seen(self, json: JsonObject) -> JsonObject:
        return json if self._present is None else self._present(json)

    def _overfull(self) -> bool:
        return len(self._ready) > HELD_EVENTS or self._bytes > HELD_BYTES

    async def _start(self, json: JsonObject) -> None:
        """Let the checks know the response's id before the caller can."""
        response = json.get("response")
        identity = response.get("id") if isinstance(response, dict) else None
        if isinstance(identity, str):
            self._id = identity
            await self._tell(Started(identity))

    async def _succeed(self) -> None:
        usage = self._received.snapshot.get("usage")
        counts = usage if isinstance(usage, dict) else {}
        self._ended = True
        self._watch.close()
        self._lease.succeed(input_tokens=count(counts, "input_tokens"), output_tokens=count(counts, "output_tokens"))
        self._close("succeeded")
        await self._tell(Finished(Response(self._received.snapshot)))

    async def _fail(self, error: APIError) -> None:
        """Keep the failure for whoever reads next; before the commit the engine ends lease and connection."""
        self._failure = error
        self._watch.close()
        if not self._committed:
            told = None if error.spent is not None else self._decoder.usage()
            if told is not None:
                error.spent = read_spent({**self._received.snapshot, "usage": told})
            return
        deployment = self._lease.deployment
        error.deployment_id, error.provider = deployment.id, deployment.provider
        hide(error, deployment)
        if self._routing is not None:
            error.attempts = _ended_with(self._routing, error)
        error.received = self._seen(self._received.response())
        self._ended = True
        if self.stall is False:
            self._lease.cancel()
        else:
            self._lease.fail(error)
        self._reply.abort()
        self._close("failed", error)
        await self._tell(Failed(error))

    async def _stop(self) -> None:
        """End early: nobody's failure."""
        if not self._ended:
            self.abandon()
            await self._tell(Finished(None))

    def abandon(self, how: Status = "abandoned") -> None:
        """End it without waiting, and without telling the checks: for a stream whose loop is gone."""
        self._ended = True
        self._watch.close()
        self._lease.cancel()
        self._reply.abort()
        self._close(how)

    def _close(self, status: Status, error: APIError | None = None) -> None:
        """It is over: tell whoever keeps account of the call."""
        self._outcome = status, error
        opened = self._opened
        if opened is None or opened.closed:
            return
        snapshot = self._received.snapshot
        usage = read_usage(snapshot)
        if status != "succeeded":
            opened.output = output = self._received.response()
            usage = usage or read_usage({**output, "usage": self._decoder.usage()}) or self._guess(opened, output)
        bill = opened.close(status, snapshot, usage, error, partial=status != "succeeded")
        self._routing = replace(self.routing, bill=bill)

    def _guess(self, opened: OpenCall, output: JsonObject) -> TokenUsage:
        """About what was used by now, of which the vendor has not said a word."""
        asked = 0 if opened.run is None else tokens.guess(opened.run.call)
        guessed: JsonObject = {"input_tokens": asked, "output_tokens": self._received.tokens}
        usage = read_usage({**output, "usage": guessed})
        assert usage is not None, "it has just been told"
        return replace(usage, estimated=True)

    async def _tell(self, outcome: Outcome) -> None:
        if self._observe is not None:
            await self._observe(outcome)

    async def _drain(self) -> None:
        """Read the body to its end, if that comes at once, so that the connection can be reused."""
        try:
            async with asyncio.timeout(_DRAIN):
                while await self._reply.chunk():
                    pass
        except (TimeoutError, APIError):
            pass
        except BaseException:
            self._reply.abort()
            raise
        await self._reply.aclose()


def _ended_with(routing: Routing, error: APIError) -> tuple[Attempt, ...]:
    """The attempts of a call whose last one served, and then failed."""
    *before, last = routing.attempts
    return (*before, replace(last, error=error))
