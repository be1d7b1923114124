"""Tracers follow calls from beginning to end, all of them at once, and can't harm one."""

import asyncio
import contextvars
import logging
from collections.abc import Mapping
from typing import Any

import pytest
from routers import closed, create, entry, misbehave, serving

from providers.errors import RouterError
from providers.simulated import SimulatedUpstream
from providers.types import Call, Deployment
from router import Router
from router.sync import Portal
from router.telemetry.base import CallTrace
from router.telemetry.record import CallRecord


class Notes:
    """Follows calls, and writes down what it sees; raises at the steps it is told to."""

    def __init__(self, name: str, *broken: str) -> None:
        self.name = name
        self.broken = broken
        self.seen: list[str] = []
        self.headers: Mapping[str, str] = {f"x-{name}": name}

    def begin(self, model: str, verb: str) -> CallTrace:
        self._note("begin", model)
        return self

    def attempt(self, call: Call, deployment: Deployment, url: str) -> "Notes":
        self._note("attempt", deployment.id if url.startswith(deployment.api_base or "?") else url)
        return self

    def failed(self, error: BaseException) -> None:
        self._note("failed", type(error).__name__)

    def end(self, record: CallRecord) -> None:
        self._note("end", record.status)

    def _note(self, step: str, what: str) -> None:
        if step in self.broken:
            raise ValueError(f"broken at {step}")
        self.seen.append(f"{step} {what}")


WHOLE = ["begin gpt", "attempt u0", "failed InternalServerError", "attempt u1", "end succeeded"]


@pytest.mark.parametrize("stream", [False, True])
async def test_every_tracer_follows_the_call_and_adds_its_headers(stream: bool) -> None:
    one, two = Notes("one"), Notes("two")
    async with serving(2) as upstreams:
        router = Router([entry(upstreams[0]), entry(upstreams[1], order=1)], callbacks=[one, two])
        misbehave(upstreams[0], "500")
        await create(router, stream)
        assert await router.aflush()
        assert one.seen == two.seen == WHOLE
        for upstream in upstreams:
            assert {"x-one", "x-two"} <= upstream.requests[-1].headers.keys()
        await closed(router, upstreams)


@pytest.mark.parametrize("step", ["begin", "attempt", "failed", "end"])
async def test_a_tracer_that_raises_harms_neither_the_call_nor_the_others(
    step: str, caplog: pytest.LogCaptureFixture
) -> None:
    broken, whole = Notes("broken", step), Notes("whole")
    async with serving(2) as upstreams:
        router = Router([entry(upstreams[0]), entry(upstreams[1], order=1)], callbacks=[broken, whole])
        misbehave(upstreams[0], "500")
        with caplog.at_level(logging.ERROR, "router.telemetry"):
            await create(router, False)
            assert await router.aflush()
        assert whole.seen == WHOLE
        assert "broken at" in caplog.text
        await closed(router, upstreams)


async def test_headers_that_can_not_be_sent_are_left_out() -> None:
    notes = Notes("good")
    odd: dict[Any, Any] = {"x-number": 5, "x-line": "a\nb", "x blank": "x", "x-edge": " x", 7: "x", "": "x"}
    notes.headers = {**odd, "x-good": "é 1"}
    async with serving(1) as upstreams:
        router = Router([entry(upstreams[0])], callbacks=[notes])
        await create(router, False)
        sent = upstreams[0].requests[-1].headers
        assert [name for name in sent if name.startswith("x")] == ["x-good"]
        await closed(router, upstreams)


async def test_if_no_tracer_can_follow_the_call_goes_on_alone() -> None:
    async with serving(1) as upstreams:
        router = Router([entry(upstreams[0])], callbacks=[Notes("broken", "begin")])
        await create(router, True)
        assert "x-broken" not in upstreams[0].requests[-1].headers
        await closed(router, upstreams)


# the context of synchronous callers

WHERE: contextvars.ContextVar[str] = contextvars.ContextVar("WHERE", default="nowhere")


class Witness(Notes):
    """Notes in which context a call begins."""

    def begin(self, model: str, verb: str) -> CallTrace:
        self._note("begin", WHERE.get())
        return self


def test_a_synchronous_call_is_made_in_its_callers_context() -> None:
    witness = Witness("witness")
    with SimulatedUpstream.in_thread("u0") as upstream, Router([entry(upstream)], callbacks=[witness]) as router:
        router.responses("gpt", "hi")
        for where in ("here", "there"):
            contextvars.copy_context().run(_from, where, router)
        assert [each for each in witness.seen if each.startswith("begin")] == [
            "begin nowhere",
            "begin here",
            "begin there",
            "begin there",
        ]


def _from(where: str, router: Router) -> None:
    WHERE.set(where)
    router.responses("gpt", "hi")
    if where == "there":
        for _ in router.responses("gpt", "hi", stream=True):
            pass


def test_what_a_synchronous_call_sets_stays_within_it() -> None:
    async def change() -> str:
        WHERE.set("inside")
        return WHERE.get()

    portal = Portal()
    assert portal.run(change()) == "inside"
    assert WHERE.get() == "nowhere"
    portal.stop()


def test_work_in_its_callers_context_still_ends_with_the_portal() -> None:
    portal = Portal()
    seen: list[str] = []

    async def stop() -> None:
        try:
            asyncio.get_running_loop().call_soon(asyncio.get_running_loop().stop)
            await asyncio.Event().wait()
        finally:
            seen.append(WHERE.get())

    def run() -> None:
        WHERE.set("here")
        with pytest.raises(RouterError, match="closed"):
            portal.run(stop())

    contextvars.copy_context().run(run)
    assert seen == ["here"]
    portal.stop()
