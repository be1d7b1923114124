"""Callbacks: each gets every record once, none can harm or hold up a call, what can't wait is counted."""

import asyncio
import subprocess
import sys
import threading
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
from call_records import CALL
from msgspec.structs import replace
from routers import create, group, serving

from providers.errors import ConfigurationError
from router import Router
from router.telemetry import callbacks as callbacks_module
from router.telemetry.callbacks import CallbackSink, CallbackStats
from router.telemetry.record import CallRecord


def record(number: int = 0) -> CallRecord:
    """A record that says little."""
    return replace(CALL, id=f"call_{number}")


class OnCall:
    """An object with the method that is looked for."""

    def __init__(self) -> None:
        self.seen: list[str] = []

    def on_call(self, record: CallRecord) -> None:
        self.seen.append(record.id)


class AsyncOnCall(OnCall):
    async def on_call(self, record: CallRecord) -> None:  # type: ignore[override]  # either form is taken
        await asyncio.sleep(0)
        self.seen.append(record.id)


class Callable_(OnCall):  # noqa: N801 - the name of the builtin is taken
    def __call__(self, record: CallRecord) -> None:
        self.seen.append(record.id)

    on_call = None  # type: ignore[assignment]  # called itself


class AsyncCallable(OnCall):
    async def __call__(self, record: CallRecord) -> None:
        self.seen.append(record.id)

    on_call = None  # type: ignore[assignment]  # called itself


@pytest.mark.parametrize("kind", [OnCall, AsyncOnCall, Callable_, AsyncCallable])
async def test_every_form_of_callback_gets_every_record(kind: type[OnCall]) -> None:
    callback = kind()
    async with serving(1) as upstreams:
        router = Router(group(upstreams), callbacks=[callback])
        ids = [(await create(router, stream)).routing.call_id for stream in (False, True, False)]
        await router.aclose()
    assert callback.seen == ids


async def test_functions_of_both_kinds_and_one_that_returns_a_coroutine() -> None:
    seen: list[str] = []

    async def later(record: CallRecord) -> None:
        seen.append(f"later {record.status}")

    async with serving(1) as upstreams:
        router = Router(group(upstreams), callbacks=[later, lambda record: later(record), lambda _: seen.append("now")])
        await create(router, False)
        await router.aclose()
    assert sorted(seen) == ["later succeeded", "later succeeded", "now"]


async def test_a_callback_that_raises_harms_nothing(caplog: pytest.LogCaptureFixture) -> None:
    seen: list[CallRecord] = []

    def broken(record: CallRecord) -> None:
        raise ZeroDivisionError

    async def broken_later(record: CallRecord) -> None:
        raise ZeroDivisionError

    def exits(record: CallRecord) -> None:
        raise SystemExit

    class BrokenSink:
        def attach(self, health: Any) -> None: ...
        def take(self, record: CallRecord) -> None:
            raise ZeroDivisionError

    async with serving(1) as upstreams:
        router = Router(group(upstreams), callbacks=[broken, broken_later, exits, BrokenSink(), seen.append])
        for _ in range(3):
            await create(router, False)
        await router.aclose()
        stats = {each.name.rpartition(".")[2]: each for each in router._recorder.stats}
    assert len(seen) == 3
    assert {name: (each.delivered, each.failed) for name, each in stats.items()} == {
        "broken": (0, 3),
        "broken_later": (0, 3),
        "exits": (0, 3),
        "append": (3, 0),
    }
    assert sum("BrokenSink failed" in message for message in caplog.messages) == 3
    assert sum("broken_later failed" in message for message in caplog.messages) == 3


async def test_an_asynchronous_callback_goes_on_though_what_it_waits_for_is_cancelled() -> None:
    seen: list[str] = []

    async def callback(record: CallRecord) -> None:
        seen.append(record.id)
        if len(seen) == 1:
            cancelled = asyncio.get_running_loop().create_future()
            cancelled.cancel()
            await cancelled

    sink = CallbackSink(callback)
    for number in range(3):
        sink.take(record(number))
    assert await sink.flush(60)
    assert seen == ["call_0", "call_1", "call_2"]
    assert (sink.stats.failed, sink.stats.delivered) == (1, 2)


def hanging_at_first(seen: list[str]) -> Callable[[CallRecord], Awaitable[None]]:
    """A callback that never has done with the first record."""

    async def callback(record: CallRecord) -> None:
        seen.append(record.id)
        if len(seen) == 1:
            await asyncio.Event().wait()

    return callback


async def test_an_asynchronous_callback_that_was_stopped_begins_anew() -> None:
    seen: list[str] = []
    sink = CallbackSink(hanging_at_first(seen))
    for number in range(2):
        sink.take(record(number))
    assert not await sink.flush(0.0)
    await sink.aclose(60)
    assert seen == ["call_0"]
    sink.take(record(2))
    assert await sink.flush(60)
    assert seen == ["call_0", "call_2"]
    assert sink.stats == CallbackStats("hanging_at_first.<locals>.callback", delivered=1, failed=1, dropped=1)


def test_what_waits_when_a_loop_ends_is_taken_by_whoever_flushes_next() -> None:
    seen: list[str] = []
    sink = CallbackSink(hanging_at_first(seen))

    async def begin() -> None:
        for number in range(3):
            sink.take(record(number))
        await asyncio.sleep(0)

    asyncio.run(begin())
    assert asyncio.run(sink.flush(60))
    assert seen == ["call_0", "call_1", "call_2"]


async def test_a_callback_that_hangs_holds_up_nobody_and_what_can_not_wait_is_counted() -> None:
    go_on, seen = threading.Event(), list[CallRecord]()
    begun = threading.Event()

    def hangs(record: CallRecord) -> None:
        begun.set()
        go_on.wait(60)

    async with serving(1) as upstreams:
        router = Router(group(upstreams), callbacks=[hangs, seen.append], callback_queue=2)
        await create(router, False)
        await asyncio.to_thread(begun.wait, 60)
        for _ in range(4):
            await create(router, False)
            await router._recorder.flush(0.0)
        hanging, appending = router._recorder.stats
        assert (hanging.waiting, hanging.dropped, hanging.delivered) == (3, 2, 0)
        go_on.set()
        assert await router._recorder.flush(60)
        hanging, appending = router._recorder.stats
        assert (hanging.waiting, hanging.dropped, hanging.delivered) == (0, 2, 3)
        assert appending.delivered == 5 == len(seen)
        await router.aclose()


async def test_an_asynchronous_callback_that_hangs_is_given_up(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(callbacks_module, "LONGEST_CALL", 0.0)

    async def hangs(record: CallRecord) -> None:
        await asyncio.Event().wait()

    async with serving(1) as upstreams:
        router = Router(group(upstreams), callbacks=[hangs])
        await create(router, False)
        assert await router._recorder.flush(60)
        [stats] = router._recorder.stats
        assert stats.failed == 1
        await router.aclose()


async def test_closing_waits_so_long_and_no_longer(caplog: pytest.LogCaptureFixture) -> None:
    async def hangs(record: CallRecord) -> None:
        await asyncio.Event().wait()

    async with serving(1) as upstreams:
        router = Router(group(upstreams), callbacks=[hangs])
        await create(router, False)
        await router._recorder.aclose(0.01)
        [stats] = router._recorder.stats
        assert (stats.failed, stats.waiting) == (1, 0)
        await router.aclose()
    assert "did not take all records" in caplog.text


async def test_closing_that_is_given_up_closes_the_connections_all_the_same() -> None:
    begun, go_on = asyncio.Event(), asyncio.Event()

    async def hangs(record: CallRecord) -> None:
        begun.set()
        await go_on.wait()

    async with serving(1) as upstreams:
        router = Router(group(upstreams), callbacks=[hangs])
        await create(router, False)
        assert upstreams[0].open_connections == 1
        closing = asyncio.ensure_future(router.aclose())
        await begun.wait()
        closing.cancel()
        await asyncio.wait([closing])
        assert closing.cancelled()
        await upstreams[0].until(lambda: upstreams[0].open_connections == 0)
        go_on.set()
        await router.aclose()


async def test_records_that_come_while_an_asynchronous_callback_is_at_work_wait_for_it() -> None:
    go_on, seen = asyncio.Event(), list[str]()

    async def callback(record: CallRecord) -> None:
        await go_on.wait()
        seen.append(record.id)

    sink = CallbackSink(callback)
    sink.take(record(0))
    await asyncio.sleep(0)
    sink.take(record(1))
    assert sink.stats.waiting == 2
    go_on.set()
    assert await sink.flush(60)
    assert seen == ["call_0", "call_1"]


def test_the_end_of_a_loop_does_not_end_an_asynchronous_callback() -> None:
    seen: list[str] = []
    stuck = asyncio.Event()

    async def callback(record: CallRecord) -> None:
        if record.id == "call_0":
            await stuck.wait()
        seen.append(record.id)

    sink = CallbackSink(callback)

    async def begin() -> None:
        sink.take(record(0))
        await asyncio.sleep(0)

    async def go_on() -> None:
        sink.take(record(1))
        assert await sink.flush(5)

    asyncio.run(begin())  # cancels what the first record waits for
    asyncio.run(go_on())
    assert seen == ["call_1"]
    assert sink.stats.failed == 1


def test_a_loop_that_is_closed_on_a_running_callback_does_not_end_it_for_good() -> None:
    seen: list[str] = []

    async def callback(record: CallRecord) -> None:
        if record.id == "call_0":
            await asyncio.Event().wait()
        seen.append(record.id)

    sink = CallbackSink(callback)
    loop = asyncio.new_event_loop()

    async def begin() -> None:
        sink.take(record(0))
        await asyncio.sleep(0)

    loop.run_until_complete(begin())
    loop.close()

    async def go_on() -> None:
        sink.take(record(1))
        await asyncio.sleep(0)
        await asyncio.sleep(0)

    asyncio.run(go_on())
    assert seen == ["call_1"]


async def test_flushing_waits_for_callbacks_of_another_loop() -> None:
    seen: list[str] = []

    async def callback(record: CallRecord) -> None:
        seen.append(record.id)

    async with serving(1) as upstreams:
        router = Router(group(upstreams), callbacks=[callback])
        await asyncio.to_thread(router.responses, "gpt", "hi")
        assert await router._recorder.flush(60)
        assert len(seen) == 1
        await router.aclose()


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ("promethius", "callbacks[0]: unknown callback 'promethius'"),
        (OnCall, "callbacks[0]: is the class OnCall; pass an instance, OnCall(…)"),
        (
            7,
            "callbacks[0]: int can't be called; pass a function of a record, an object with a method `on_call`, or a",
        ),
    ],
)
def test_what_is_no_callback_is_refused(wrong: object, said: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        Router([], callbacks=[wrong])
    assert str(caught.value).startswith(said)


class Incomplete:
    def take(self, record: CallRecord) -> None:
        """A sink has more than this."""


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ("prometheus", "callbacks: must be a list, not str; write callbacks=['prometheus']"),
        (print, "callbacks: must be a list, not builtin_function_or_method; write callbacks=[…]"),
        ({"otel": 1}, "callbacks: must be a list, not dict; write callbacks=[…]"),
        ([Incomplete()], "callbacks[0]: Incomplete has `take`, as a Sink, but no method `attach`"),
    ],
    ids=["name", "function", "mapping", "incomplete"],
)
def test_callbacks_that_are_no_list_are_refused(wrong: Any, said: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        Router([], callbacks=wrong)
    assert str(caught.value) == said


def test_records_are_not_lost_when_the_process_ends_without_closing(tmp_path: Path) -> None:
    code = f"""
import asyncio, sys, time
sys.path.insert(0, {str(Path(__file__).parents[2])!r})
from routers import group, serving
from router import Router
seen = []
def callback(record):
    time.sleep(0.05)  # as one that writes to a disk would
    print(record.status, flush=True)
begun = asyncio.Event()
async def later(record):
    if not begun.is_set():
        begun.set()
        await asyncio.Event().wait()  # until its loop ends
    print("later", flush=True)
async def main():
    async with serving(1) as upstreams:
        global router
        router = Router(group(upstreams), callbacks=[callback, later])
        for _ in range(3):
            await router.aresponses("gpt", "hi")
        while router.spend().total.calls < 3:
            await asyncio.sleep(0)
        await begun.wait()
asyncio.run(main())
"""
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=False, cwd=tmp_path
    )
    assert sorted(done.stdout.split()) == ["later"] * 2 + ["succeeded"] * 3, done.stderr
    assert "Exception ignored" not in done.stderr


def test_stats_are_for_people() -> None:
    assert repr(CallbackStats("f", 1)) == "CallbackStats(name='f', delivered=1, failed=0, dropped=0, waiting=0)"
