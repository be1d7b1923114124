"""The queue between calls and their records: bounded, drained in turns, on whatever loop there is."""

import asyncio
import pickle
from collections.abc import Callable, Iterator, Sequence
from contextvars import ContextVar
from typing import Any

import pytest
from call_records import CALL
from msgspec.structs import replace
from routers import create, group, misbehave, serving

from providers.types import Call, Deployment, Verb
from providers.usage import Bill, Cost, TokenUsage, read_usage
from router import Router
from router.run import AttemptTrace
from router.telemetry.account import Policy
from router.telemetry.delivery import Delivery
from router.telemetry.opened import OpenCall
from router.telemetry.record import CallRecord
from router.telemetry.recorder import Recorder


class Free:
    """A price source for which all is free."""

    def cost(
        self, usage: TokenUsage, deployment: Deployment, *, model: str, service_tier: str | None, at: float
    ) -> Cost:
        return Cost(0.0, source="free", model=model)


def recorder() -> Recorder:
    return Recorder(Free(), Policy())


def closed_call(book: Recorder) -> OpenCall:
    """A call that is over, and of which nobody was told."""
    opened = book.open(Verb.CREATE, "gpt", False)
    opened.closed = True
    return opened


async def test_a_burst_is_delivered_in_turns() -> None:
    taken: list[str] = []
    delivery = Delivery(lambda batch: taken.extend(opened.id for opened in batch))
    book = recorder()
    for _ in range(150):
        delivery.put(closed_call(book))
    sizes = []
    while len(taken) < 150:
        await asyncio.sleep(0)
        sizes.append(len(taken))
    assert sizes == [64, 128, 150]
    assert taken == sorted(taken, key=lambda name: int(name.rpartition("_")[2]))


async def test_what_waits_is_drained_in_batches() -> None:
    sizes: list[int] = []
    delivery = Delivery(lambda batch: sizes.append(len(batch)))
    book = recorder()
    for _ in range(130):
        delivery.put(closed_call(book))
    delivery.drain()
    assert sizes == [64, 64, 2]
    assert len(delivery) == 0


async def test_a_call_is_closed_once() -> None:
    book = recorder()
    opened = book.open(Verb.CREATE, "gpt", False)
    opened.failed(ZeroDivisionError())
    assert opened.close("succeeded") is None
    assert opened.status == "failed"
    await book.flush(1)


async def test_what_is_too_many_is_dropped_and_counted() -> None:
    taken: list[OpenCall] = []
    delivery = Delivery(taken.extend, most=2)
    book = recorder()
    for _ in range(5):
        delivery.put(closed_call(book))
    assert await delivery.flush(5)
    assert (len(taken), delivery.dropped) == (2, 3)


async def test_a_record_that_can_not_be_made_stops_no_other(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    ends: Iterator[CallRecord | Exception] = iter([ZeroDivisionError(), CALL, CALL])

    def made(*_: object) -> CallRecord:
        end = next(ends)
        if isinstance(end, Exception):
            raise end
        return end

    monkeypatch.setattr("router.telemetry.recorder.record_of", made)
    taken: list[CallRecord] = []
    book = Recorder(Free(), Policy(), [Taking(taken)])
    for _ in range(3):
        book.open(Verb.CREATE, "gpt", False).failed(ValueError())
    assert await book.flush(5)
    assert taken == [CALL, CALL]
    assert "the record of a call could not be made" in caplog.text


class Taking:
    """A sink that keeps what it gets."""

    def __init__(self, taken: list[CallRecord]) -> None:
        self._taken = taken

    def attach(self, health: object) -> None:
        """Nothing is needed of it."""

    def take(self, record: CallRecord) -> None:
        self._taken.append(record)


async def test_a_delivery_that_fails_is_told_and_the_next_one_comes(caplog: pytest.LogCaptureFixture) -> None:
    sizes: list[int] = []

    def deliver(batch: Sequence[OpenCall]) -> None:
        sizes.append(len(batch))
        raise ZeroDivisionError

    delivery = Delivery(deliver)
    book = recorder()
    for _ in range(65):
        delivery.put(closed_call(book))
    assert await delivery.flush(5)
    assert sizes == [64, 1]
    assert "could not be made" in caplog.text


async def test_an_interrupt_stops_one_delivery_and_no_later_one() -> None:
    taken: list[str] = []
    delivered = asyncio.Event()

    def deliver(batch: Sequence[OpenCall]) -> None:
        taken.extend(opened.id for opened in batch)
        delivered.set()
        if len(taken) == 1:
            raise GeneratorExit

    delivery = Delivery(deliver)
    book = recorder()
    loop = asyncio.get_running_loop()
    told: list[object] = []
    loop.set_exception_handler(lambda _, context: told.append(context["exception"]))
    calls = [closed_call(book) for _ in range(2)]
    async with asyncio.timeout(60):
        for call in calls:
            delivery.put(call)
            await delivered.wait()
            delivered.clear()
    loop.set_exception_handler(None)
    assert taken == [call.id for call in calls]
    assert [type(each) for each in told] == [GeneratorExit]


class Failing:
    """Prices that fail, though they are not to."""

    def cost(self, *_: object, **__: object) -> Cost:
        raise ZeroDivisionError


class FailingToLoad(Free):
    def loader(self, deployment: Deployment) -> Callable[[], object]:
        raise ZeroDivisionError

    def close(self) -> None:
        """Nothing runs."""


@pytest.mark.parametrize(
    ("prices", "cost"),
    [
        (Failing(), Cost(None, "the price source failed: ZeroDivisionError", model="gpt-4o")),
        (FailingToLoad(), Cost(0.0, source="free", model="gpt-4o")),
    ],
    ids=["cost", "loader"],
)
async def test_a_price_source_that_fails_loses_no_record(
    prices: Any, cost: Cost, caplog: pytest.LogCaptureFixture
) -> None:
    records: list[CallRecord] = []
    async with serving(1) as upstreams, Router(group(upstreams), callbacks=[Taking(records)], price_source=prices) as r:
        answer = await create(r, False)
        await r.aflush()
        assert [each.cost_breakdown for each in records] == [cost] == [answer.routing.cost_breakdown]
    assert "ZeroDivisionError" in caplog.text


class Cancelling:
    """A sink that raises what is no `Exception`."""

    def attach(self, health: object) -> None:
        """Nothing is needed of it."""

    def take(self, record: CallRecord) -> None:
        raise asyncio.CancelledError


async def test_a_sink_that_raises_a_cancellation_keeps_nobody_from_the_others() -> None:
    taken: list[CallRecord] = []
    book = Recorder(Free(), Policy(), [Cancelling(), Taking(taken)])
    for _ in range(3):
        book.open(Verb.CREATE, "gpt", False).failed(ValueError())
        await asyncio.sleep(0)
    assert await book.flush(5)
    assert len(taken) == 3


WHOSE: ContextVar[str] = ContextVar("whose", default="nobody's")


class Wondering(Taking):
    """Notes in whose context it gets records."""

    def take(self, record: CallRecord) -> None:
        super().take(replace(record, model=WHOSE.get()))


async def test_nothing_is_made_of_a_call_in_the_context_of_another() -> None:
    records: list[CallRecord] = []
    told: list[str] = []
    delivered = asyncio.Event()

    async def callback(record: CallRecord) -> None:
        told.append(WHOSE.get())
        if len(told) == 3:
            delivered.set()

    sinks = [Wondering(records), callback]
    WHOSE.set("the Router's")
    async with serving(1) as upstreams, Router(group(upstreams), callbacks=sinks) as router:

        async def call(name: str) -> None:
            WHOSE.set(name)
            await create(router, False)

        await asyncio.gather(*map(call, ("ann", "bob", "eve")))
        await delivered.wait()
    assert [record.model for record in records] == told == ["the Router's"] * 3


def test_what_is_put_where_no_loop_runs_is_delivered_by_the_next_loop_or_by_draining() -> None:
    taken: list[str] = []
    delivery = Delivery(lambda batch: taken.extend(opened.id for opened in batch))
    book = recorder()

    async def opened() -> OpenCall:
        return closed_call(book)

    first, second = asyncio.run(opened()), asyncio.run(opened())
    delivery.put(first)  # its loop is closed
    assert taken == []

    async def put() -> None:
        delivery.put(second)
        await asyncio.sleep(0)

    asyncio.run(put())
    assert taken == [first.id, second.id]
    delivery.put(first)
    assert asyncio.run(delivery.flush(5))
    assert len(taken) == 3


def test_the_end_of_the_process_makes_what_waits() -> None:
    taken: list[CallRecord] = []
    book = Recorder(Free(), Policy(), [Taking(taken)])

    async def opened() -> OpenCall:
        return book.open(Verb.CREATE, "gpt", False)

    call = asyncio.run(opened())
    book._at_exit()
    call.failed(ValueError())  # its loop is closed
    assert (book.waiting, taken) == (1, [])
    book._at_exit()
    assert [record.id for record in taken] == [call.id]


def test_a_loop_that_has_stopped_holds_nothing_up() -> None:
    taken: list[str] = []
    delivery = Delivery(lambda batch: taken.extend(opened.id for opened in batch))
    book = recorder()
    stopped = asyncio.new_event_loop()

    async def put() -> None:
        delivery.put(closed_call(book))
        asyncio.get_running_loop().stop()

    try:
        task = stopped.create_task(put())
        stopped.run_forever()
        delivery._scheduled = True  # as if it had stopped before the turn came
        asyncio.run(_put_and_wait(delivery, book))
        assert len(taken) == 2
        stopped.run_until_complete(task)
    finally:
        stopped.close()


async def _put_and_wait(delivery: Delivery, book: Recorder) -> None:
    delivery.put(closed_call(book))
    await asyncio.sleep(0)


class Tracer:
    """Follows calls, and writes down what it sees."""

    def __init__(self, *, broken: bool = False) -> None:
        self.seen: list[str] = []
        self.broken = broken

    def begin(self, model: str, verb: str) -> Any:
        if self.broken:
            raise ZeroDivisionError
        self.seen.append(f"begin {verb} {model}")
        return self

    def attempt(self, call: Call, deployment: Deployment, url: str) -> AttemptTrace:
        self.seen.append(f"attempt {deployment.id}")
        return Following(self.seen, deployment.id)

    def end(self, record: CallRecord) -> None:
        self.seen.append(f"end {record.status}")


class Following:
    def __init__(self, seen: list[str], name: str) -> None:
        self.headers = {"x-trace": name}
        self._seen = seen

    def failed(self, error: BaseException) -> None:
        self._seen.append(f"failed {type(error).__name__}")


async def test_a_tracer_follows_each_call_and_its_headers_go_upstream() -> None:
    tracer, broken = Tracer(), Tracer(broken=True)
    async with serving(2) as upstreams:
        misbehave(upstreams[0], "500")
        model_list = group(upstreams)
        model_list[1]["litellm_params"]["order"] = 1
        router = Router(model_list, callbacks=[tracer, broken])
        await create(router, False)
        await router._recorder.flush(5)
        assert tracer.seen == [
            "begin create gpt",
            "attempt u0",
            "failed InternalServerError",
            "attempt u1",
            "end succeeded",
        ]
        assert [upstream.requests[0].headers["x-trace"] for upstream in upstreams] == ["u0", "u1"]
        await router.aclose()


# what a call costs


async def test_the_cost_is_worked_out_when_it_is_asked_for_and_once() -> None:
    asked: list[str] = []

    class Counting(Free):
        def cost(self, *args: Any, **params: Any) -> Cost:
            asked.append(params["model"])
            return Cost(0.25, input=0.25)

    async with serving(1) as upstreams:
        router = Router(group(upstreams), price_source=Counting())
        response = await create(router, False)
        routing = response.routing
        assert routing.bill is not None
        assert "Bill(…)" in repr(routing)
        assert (routing.cost, routing.cost_breakdown) == (0.25, Cost(0.25, input=0.25))
        assert "0.25" in repr(routing)
        await router._recorder.flush(5)
        assert asked == ["gpt-4o"]
        again = pickle.loads(pickle.dumps(response))
        assert again.routing.cost == 0.25
        assert (again.routing.bill, hash(again.routing.bill)) == (routing.bill, hash(routing.bill))
        stream = await create(router, True)
        assert stream.routing.cost == 0.25
        await router.aclose()


def test_a_bill_equals_one_of_the_same_cost() -> None:
    work: Callable[[], Cost] = lambda: Cost(1.0)  # noqa: E731 - short, and said once
    assert Bill(work) == Bill(Cost(1.0)) != Bill(Cost(2.0))
    assert Bill(Cost(1.0)) != 1.0


async def test_a_response_that_tells_no_usage_has_no_known_cost() -> None:
    from wire import Link, serve  # only here: a server of one answer

    async def answer(link: Link) -> None:
        while await link.request():
            body = b'{"id":"resp_1","object":"response","status":"completed","output":[]}'
            head = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n"
            await link.send(head % len(body) + body)

    async with serve(answer) as server:
        router = Router([_entry(server.url)])
        response = await create(router, False)
        assert response.routing.cost is None
        assert response.routing.cost_breakdown == Cost(None, "the vendor told no usage")
        await router.aclose()


def _entry(url: str) -> dict[str, Any]:
    return {"model_name": "gpt", "litellm_params": {"model": "openai/m", "api_key": "sk-1", "api_base": url}}


def test_usage_is_read_by_class() -> None:
    search = {"type": "web_search_call", "action": {"type": "search"}}
    page = {"type": "web_search_call", "action": {"type": "open_page"}}
    response: Any = {
        "usage": {
            "input_tokens": 100,
            "input_tokens_details": {
                "cached_tokens": 10,
                "cache_write_tokens": 20,
                "cache_write_1h_tokens": 5,
                "audio_tokens": 3,
            },
            "output_tokens": 50,
            "output_tokens_details": {"reasoning_tokens": 30, "audio_tokens": 2},
        },
        "output": [search, page, {"type": "web_search_call"}, {"type": "message"}, 7],
    }
    usage = read_usage(response)
    assert usage is not None
    assert usage == TokenUsage(100, 50, 10, 20, 5, 30, 3, 2, 2)
    assert usage.total_tokens == 150


@pytest.mark.parametrize("usage", [None, 7, []])
def test_no_usage_is_not_a_usage_of_nothing(usage: Any) -> None:
    assert read_usage({"usage": usage}) is None


def test_counts_that_are_none_are_no_usage() -> None:
    wrong: Any = {"usage": {"input_tokens": True, "output_tokens": -1, "input_tokens_details": 7}, "output": None}
    assert read_usage(wrong) is None
