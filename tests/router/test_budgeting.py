"""What calls may cost, before they have."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import pytest
from fakes import Clock
from prices import Broken, PerToken
from routers import entry
from wire import Link, serve

from providers.rates import Rates
from providers.types import Call, Deployment, Json
from providers.usage import Cost, PriceSource, TokenUsage
from router import Router, budgeting
from router.budgeting import Estimator, wall_clock
from router.pricing.prices import Prices


def deployment(name: str = "one", model: str = "gpt-4o", **defaults: Json) -> Deployment:
    return Deployment(name, "gpt", "openai", model, defaults=defaults)


def asking(characters: int = 4_000, wildcard: str = "", **body: Any) -> Call:
    return Call("gpt", body={"input": "x" * characters, **body}, wildcard=wildcard)


def estimated(prices: PriceSource, call: Call, where: Deployment) -> float:
    found = Estimator(prices, time.time)(call, where)
    assert found is not None
    return found


def test_input_counts_by_its_length_and_output_at_most() -> None:
    prices = PerToken(input=0.001, output=0.01)
    assert estimated(prices, asking(max_output_tokens=50), deployment()) == pytest.approx(1.0 + 0.5)
    assert estimated(prices, asking(), deployment(max_output_tokens=70)) == pytest.approx(1.0 + 0.7)
    assert estimated(prices, asking(max_output_tokens=None), deployment()) == pytest.approx(1.0 + 10.0)
    assert estimated(prices, asking(max_output_tokens=True), deployment()) == pytest.approx(1.0 + 10.0)


@pytest.mark.parametrize("characters", [4, 20, 4_000])
def test_the_price_of_the_request_itself_is_all_of_it_however_long_the_input(characters: int) -> None:
    own = Rates({"input_cost_per_request": 0.25, "input_cost_per_token": 1e-6, "output_cost_per_token": 0.0})
    by_hand = 0.25 + characters / 4 * 1e-6
    assert estimated(Prices(), asking(characters), Deployment("one", "gpt", "openai", "m", prices=own)) == (
        pytest.approx(by_hand, rel=1e-9)
    )


def test_what_is_usual_somewhere_is_learnt_there_and_forgotten_if_too_much_is(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(budgeting, "_MOST", 2)
    estimator, call = Estimator(PerToken(), time.time), asking()
    one, two, three = (deployment(name) for name in ("one", "two", "three"))
    usual = []
    for where, tokens in ((one, 100), (one, 200), (two, 10), (three, 20)):
        estimator.learn(where, tokens)
        found = estimator(call, where)
        assert found is not None
        usual.append(found / 0.5)
    assert usual == [100, 110, 10, 20]
    forgotten = estimator(call, one)
    assert forgotten == 500


def test_what_a_vendor_keeps_of_a_conversation_is_input_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(budgeting, "_MOST", 2)
    estimator = Estimator(PerToken(input=0.001, output=0), time.time)
    for name, used in (("resp_1", 500), ("resp_2", 70), ("resp_3", 2_000)):
        estimator.remember(name, used)
    found = [
        estimator(asking(previous_response_id=name), deployment()) for name in (None, "resp_1", "resp_2", "resp_3")
    ]
    assert found == pytest.approx([1.0, 1.0, 1.07, 3.0])


async def test_an_answer_without_an_id_is_billed_like_others() -> None:
    async def answer(link: Link) -> None:
        while await link.request():
            body = b'{"object":"response","status":"completed","output":[],"usage":{"output_tokens":4}}'
            head = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n"
            await link.send(head % len(body) + body)

    budget = {"group": "gpt", "max_budget": 1_000, "budget_duration": "1d"}
    prices = PerToken(input=0, output=0.5)
    async with serve(answer) as server, Router([entry(server.url)], price_source=prices, budgets=[budget]) as router:
        await router.aresponses("gpt", "hi")
        assert [state.spent for state in router.budgets()] == [2.0]


def test_a_price_is_asked_for_once_for_each_size_of_input_tier_and_model(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(budgeting, "_MOST_RATES", 4)
    prices = PerToken()
    estimator, where = Estimator(prices, time.time), deployment(model="*")
    bodies: list[dict[str, Any]] = [{}, {"service_tier": "flex"}, {"service_tier": "nonsense"}]
    for body in bodies:
        for name in ("a", "b"):
            for _ in range(5):
                estimator(asking(wildcard=name, **body), where)
    assert prices.asked == 2 * 4
    estimator(asking(400_000, wildcard="a"), where)
    estimator(asking(wildcard="a"), where)
    assert prices.asked == 2 * 6


def test_the_price_of_long_inputs_is_that_of_their_size() -> None:
    class Tiered(PerToken):
        def cost(self, usage: TokenUsage, *args: Any, **kwargs: Any) -> Cost:
            return Cost(usage.input_tokens * (2.0 if usage.input_tokens > 200_000 else 1.0))

    assert estimated(Tiered(), asking(4 * 100_000), deployment()) == pytest.approx(100_000)
    assert estimated(Tiered(), asking(4 * 250_000), deployment()) == pytest.approx(500_000)


@pytest.mark.parametrize("prices", [PerToken(unknown={"one"}), Broken()])
def test_an_unknown_price_is_none(prices: PriceSource) -> None:
    assert Estimator(prices, time.time)(asking(), deployment()) is None


def test_unix_time_passes_as_the_routers_clock_says() -> None:
    assert wall_clock(time.monotonic) is time.time
    clock = Clock()
    wall = wall_clock(clock)
    began = wall()
    clock.advance(5)
    assert wall() == began + 5
    assert began > 1e9


def test_prices_that_have_to_be_loaded_are_there_before_a_call_is_estimated() -> None:
    class Loading(PerToken):
        def __init__(self) -> None:
            super().__init__()
            self.loaded: list[str] = []

        def loader(self, deployment: Deployment) -> Callable[[], object] | None:
            return None if deployment.id == "known" else lambda: self.loaded.append(deployment.id)

        def close(self) -> None:
            """Nothing runs."""

    prices = Loading()
    entries = [
        {"model_name": "gpt", "params": {"model": "openai/m", "api_key": "k"}, "model_info": {"id": name}}
        for name in ("known", "new")
    ]
    with Router(entries, price_source=prices, budgets=[{"group": "gpt", "max_budget": 1, "budget_duration": "1d"}]):
        assert prices.loaded == ["new"]
    with Router(entries, price_source=prices):
        assert prices.loaded == ["new"], "without a budget there is nothing to estimate"
