"""Prices are loaded when they are first needed, off the event loop; records wait for them, calls don't."""

from __future__ import annotations

import asyncio
import dataclasses
import gc
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import genai_prices
import pytest
from genai_prices import data_snapshot
from genai_prices.types import ModelPrice, Provider
from replays import priced, replaying
from routers import create

from providers.rates import Rates
from providers.types import Deployment
from providers.usage import Cost, TokenUsage
from router import Router
from router.pricing.prices import Prices

ROOT = Path(__file__).parents[3]
USAGE = TokenUsage(1_000_000)
RESPONSE = {
    "id": "resp_1",
    "object": "response",
    "status": "completed",
    "model": "gpt-4o",
    "output": [],
    "usage": {"input_tokens": 1_000_000, "output_tokens": 0},
}


class Slow:
    """A price source that loads for as long as the test wants."""

    def __init__(self) -> None:
        self.go = threading.Event()
        self.loads = 0
        self.loaded = False
        self.closed = False
        self.broken = False
        self.threads: list[threading.Thread] = []

    def loader(self, deployment: Deployment) -> Callable[[], object] | None:
        return None if self.loaded else self._load

    def _load(self) -> None:
        self.loads += 1
        self.threads.append(threading.current_thread())
        assert self.go.wait(30)
        if self.broken:
            raise OSError("no prices here")
        self.loaded = True

    def close(self) -> None:
        self.closed = True

    def cost(
        self, usage: TokenUsage, deployment: Deployment, *, model: str, service_tier: str | None, at: float
    ) -> Cost:
        return Cost(1.0) if self.loaded else Cost(None, "not loaded")


async def test_records_wait_for_prices_in_order_and_the_loop_goes_on() -> None:
    source = Slow()
    async with priced("openai/gpt-4o", price_source=source) as (replay, router, records):
        for _ in range(3):
            replay.respond(RESPONSE)
            await create(router, stream=False, model="g0")  # answered though nothing is loaded
        assert records == []
        source.go.set()
        assert await router._recorder.flush(30)
        assert [each.cost for each in records] == [1.0] * 3
        assert [each.id for each in records] == sorted(each.id for each in records)
        assert source.loads == 1
        replay.respond(RESPONSE)
        await create(router, stream=False, model="g0")
        assert await router._recorder.flush(30)
        assert (len(records), source.loads) == (4, 1)
    assert source.closed
    assert source.threads[0] is not threading.main_thread()
    source.threads[0].join(5)
    assert not source.threads[0].is_alive()


async def test_records_come_by_themselves_once_prices_are_there() -> None:
    source = Slow()
    async with replaying() as replay:
        came = asyncio.Event()

        async def arrived(record: Any) -> None:
            came.set()

        async with Router([replay.entry("openai/gpt-4o", "gpt")], price_source=source, callbacks=[arrived]) as router:
            replay.respond(RESPONSE)
            await create(router, stream=False)
            source.go.set()
            await asyncio.wait_for(came.wait(), 30)


async def test_waiting_for_prices_is_bounded() -> None:
    source = Slow()
    async with priced("openai/gpt-4o", price_source=source) as (replay, router, records):
        replay.respond(RESPONSE)
        await create(router, stream=False, model="g0")
        assert not await router._recorder.flush(0)
        assert not await router._recorder.flush(0.001)
        source.go.set()
        assert await router._recorder.flush(30)
        assert len(records) == 1


async def test_what_can_t_be_loaded_holds_up_no_record(caplog: pytest.LogCaptureFixture) -> None:
    source = Slow()
    source.broken = True
    source.go.set()
    async with priced("openai/gpt-4o", price_source=source) as (replay, router, records):
        for _ in range(2):
            replay.respond(RESPONSE)
            await create(router, stream=False, model="g0")
        assert await router._recorder.flush(30)
        assert [each.cost_breakdown.reason for each in records] == ["not loaded"] * 2
    assert "what the record of a call needs could not be loaded" in caplog.text


async def test_calls_without_a_bill_wait_for_no_prices() -> None:
    source = Slow()
    async with priced("openai/gpt-4o", price_source=source) as (replay, router, records):
        replay.say(b'{"error": {"message": "no"}}', status=400)
        with pytest.raises(Exception, match="no"):
            await router.aresponses("g0", "Hi")
        replay.respond(RESPONSE)
        told = await create(router, stream=False, model="g0")
        assert told.routing.cost is None  # asked before anything is loaded
        assert await router._recorder.flush(5)
        assert len(records) == 2
        assert source.loads == 0


class Plain:
    """A price source that has nothing to load."""

    def cost(
        self, usage: TokenUsage, deployment: Deployment, *, model: str, service_tier: str | None, at: float
    ) -> Cost:
        return Cost(2.0)


async def test_a_price_source_need_not_load_anything() -> None:
    async with priced("openai/gpt-4o", price_source=Plain()) as (replay, router, records):
        replay.respond(RESPONSE)
        assert (await create(router, stream=False, model="g0")).routing.cost == 2.0
        await router.aclose()
        assert [each.cost for each in records] == [2.0]


def test_a_loop_that_ends_while_prices_load_leaves_the_record_to_the_next() -> None:
    source = Slow()
    records: list[Any] = []

    async def keep(record: Any) -> None:
        records.append(record)

    routers: list[Router] = []

    async def call() -> None:
        async with replaying() as replay:
            entry = replay.entry("openai/gpt-4o", "gpt", {"id": "d"})
            if routers:
                routers[0].upsert_deployment(entry)
            else:
                routers.append(Router([entry], price_source=source, callbacks=[keep]))
            replay.respond(RESPONSE)
            await create(routers[0], stream=False)
            if source.loaded:
                await routers[0].aclose()
            else:
                await routers[0]._transport.aclose()

    asyncio.run(call())
    source.go.set()
    source.threads[0].join(5)
    assert records == []
    asyncio.run(call())
    assert [each.cost for each in records] == [1.0, 1.0]


FRESH = """
import asyncio, sys, threading
from replays import replaying
from router import Router

RESPONSE = {response!r}

def loaded():
    return "genai_prices" in sys.modules

async def call(ask, **params):
    names = []
    async with replaying() as replay:
        async with Router([replay.entry("openai/gpt-4o", "gpt", **params)], callbacks=[lambda record: None]) as router:
            replay.respond(RESPONSE)
            told = await router.aresponses("gpt", "Hi")
            before = loaded()
            cost = told.routing.cost if ask else None
            after = loaded()
            await router._recorder.flush(30)
            cost = told.routing.cost
            print(before, after, loaded(), cost)
    loading = [each for each in threading.enumerate() if each.name == "router-loading"]
    for each in loading:
        each.join(30)
    print([each.name for each in loading if each.is_alive()])

print(loaded())
"""


def run(script: str) -> list[str]:
    """What a fresh interpreter prints."""
    code = FRESH.replace("{response!r}", repr(RESPONSE)) + script
    path = {"PYTHONPATH": f"{ROOT}:{ROOT / 'tests'}"}
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, env=path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


def test_prices_are_loaded_with_the_first_record_in_a_thread_that_ends() -> None:
    assert run("asyncio.run(call(ask=False))") == ["False", "False False True 2.5", "[]"]


def test_a_cost_that_is_asked_for_before_that_loads_them_at_once() -> None:
    assert run("asyncio.run(call(ask=True))") == ["False", "False True True 2.5", "[]"]


def test_a_deployment_with_prices_of_its_own_loads_nothing() -> None:
    own = "input_cost_per_token=1e-6, output_cost_per_token=0"
    assert run(f"asyncio.run(call(ask=True, {own}))") == ["False", "False False False 1.0", "[]"]


def price(prices: Prices, deployment: Deployment | None = None) -> Cost:
    deployment = deployment or Deployment("d", "g", "openai", "gpt-4o")
    return prices.cost(USAGE, deployment, model="gpt-4o", service_tier=None, at=1.79e9)


def test_what_is_loaded_already_takes_no_thread() -> None:
    price(Prices())
    assert Prices().loader(Deployment("d", "g", "openai", "gpt-4o")) is None


def test_data_that_is_not_there_is_a_reason(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    monkeypatch.setitem(sys.modules, "genai_prices.data", None)
    prices = Prices()
    deployment = Deployment("d", "g", "openai", "gpt-4o")
    load = prices.loader(deployment)
    assert load is not None
    load()
    assert price(prices) == Cost(None, "genai-prices could not be loaded: ModuleNotFoundError")
    half = dataclasses.replace(deployment, prices=Rates({"input_cost_per_token": 1e-6}))
    assert str(price(prices, half).reason).startswith("the deployment does not say output_cost_per_token, and genai-")
    whole = dataclasses.replace(deployment, prices=Rates({"input_cost_per_token": 1e-6, "output_cost_per_token": 0}))
    assert price(prices, whole).total == 1.0
    assert prices.loader(deployment) is None  # it is not tried again and again
    assert "the prices could not be loaded" in caplog.text


@pytest.fixture
def fetched(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[Any]]:
    """Snapshots that `UpdatePrices` fetches, one after another; nothing leaves the machine."""
    waiting: list[Any] = []
    monkeypatch.setattr(genai_prices.UpdatePrices, "fetch", lambda self: waiting.pop(0) if waiting else None)
    yield waiting
    data_snapshot.set_custom_snapshot(None)


def snapshot(prices: Any) -> data_snapshot.DataSnapshot:
    """Prices as they are, but for those of OpenAI's gpt-4o."""

    def changed(provider: Provider) -> Provider:
        models = [dataclasses.replace(each, prices=prices) if each.id == "gpt-4o" else each for each in provider.models]
        return dataclasses.replace(provider, models=models)

    found = data_snapshot._bundled_snapshot().providers
    return data_snapshot.DataSnapshot([changed(each) if each.id == "openai" else each for each in found], True)


def dollars_each(price: int) -> ModelPrice:
    """So much for a million tokens of input."""
    return ModelPrice(input_mtok=Decimal(price))


async def test_newer_prices_are_fetched_if_asked_for_and_only_then(fetched: list[Any]) -> None:
    fetched.append(snapshot(dollars_each(5)))
    async with priced("openai/gpt-4o", price_updates=True) as (replay, router, records):
        assert updating() == []
        replay.respond(RESPONSE)
        await create(router, stream=False, model="g0")
        await router._recorder.flush(30)
        (thread,) = updating()
        assert await genai_prices.wait_prices_updated_async(30)
        replay.respond(RESPONSE)
        await create(router, stream=False, model="g0")
        await router._recorder.flush(30)
        assert records[-1].cost == 5.0
        data_snapshot.set_custom_snapshot(snapshot(dollars_each(10)))
        replay.respond(RESPONSE)
        assert (await create(router, stream=False, model="g0")).routing.cost == 10.0
        async with priced("openai/gpt-4o") as (other, plain, _):
            other.respond(RESPONSE)
            assert (await create(plain, stream=False, model="g0")).routing.cost == 2.5
        assert updating() == [thread]
        await router.aclose()
        thread.join(5)
        assert updating() == []
        replay.respond(RESPONSE)  # a Router that is used again updates again
        await create(router, stream=False, model="g0")
        await router._recorder.flush(30)
        assert len(updating()) == 1


def test_updates_end_with_a_router_that_nobody_closed(fetched: list[Any]) -> None:
    prices = Prices(updates=True)
    load = prices.loader(Deployment("d", "g", "openai", "gpt-4o"))
    assert load is not None
    load()
    load()
    (thread,) = updating()
    assert prices.loader(Deployment("d", "g", "openai", "gpt-4o")) is None
    del prices, load
    gc.collect()
    thread.join(5)
    assert updating() == []


def updating() -> list[threading.Thread]:
    return [each for each in threading.enumerate() if each.name == "genai_prices:update"]


def test_data_of_an_unknown_kind_is_a_reason_too(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    odd = snapshot([])
    data_snapshot.set_custom_snapshot(odd)
    try:
        prices = Prices(updates=True)
        monkeypatch.setattr(genai_prices.UpdatePrices, "fetch", lambda self: odd)
        assert price(prices) == Cost(None, "pricing failed: IndexError", model="gpt-4o")
        prices.close()
        prices.close()
    finally:
        data_snapshot.set_custom_snapshot(None)
    assert "a call could not be priced" in caplog.text
