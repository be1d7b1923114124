"""What cards say is what genai-prices says: every model, whatever was used, in every tier, at any time."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest
from genai_prices import Usage, calc_price
from genai_prices.data import providers as everybody
from genai_prices.types import ModelInfo, ModelPrice, Provider
from hypothesis import example, given, settings
from hypothesis import strategies as st

from providers.types import Deployment
from providers.usage import TokenUsage
from router.pricing.book import MOST_CARDS, Book
from router.pricing.card import Unpriced
from router.pricing.compiling import compile_card
from router.pricing.names import VENDORS
from router.pricing.prices import Prices

BOOK = Book(everybody)
PRICES = Prices()
MODELS = [(provider, model) for provider in everybody for model in provider.models]
TIERS = (None, "default", "flex", "priority", "fast", "scale")
NAMES = {name: ours for ours, name in VENDORS.items()}
START = int(datetime(2023, 1, 1, tzinfo=UTC).timestamp())
END = int(datetime(2027, 6, 1, tzinfo=UTC).timestamp())


def counts(most: int) -> st.SearchStrategy[int]:
    return st.one_of(st.just(0), st.integers(0, most))


@st.composite
def usages(draw: st.DrawFn) -> TokenUsage:
    """Usages that add up, and some that don't."""
    size = draw(st.sampled_from((0, 1, 40, 150_000, 200_000, 200_001, 272_000, 272_001, 300_000, 1_200_000)))
    whole = max(0, size + draw(st.integers(-2, 2)))
    read = draw(counts(whole))
    written = draw(counts(whole - read if draw(st.booleans()) else whole))
    audio = draw(counts(whole - read - written if whole > read + written else 10))
    said = draw(counts(50_000))
    thought = draw(counts(said + 3))
    return TokenUsage(
        whole,
        said,
        read,
        written,
        draw(counts(written)),
        thought,
        audio,
        draw(counts(max(0, said - thought))),
        draw(counts(9)),
        cache_read_audio_tokens=draw(counts(min(audio, read))),
        output_image_tokens=draw(counts(max(0, said - thought))),
        file_searches=draw(counts(9)),
    )


def as_genai(usage: TokenUsage) -> Usage:
    """The same as genai-prices counts. What is not told is 0."""
    return Usage(
        input_tokens=usage.input_tokens,
        output_tokens=usage.output_tokens,
        cache_read_tokens=usage.cache_read_tokens,
        cache_write_tokens=usage.cache_write_tokens,
        cache_write_5m_tokens=max(0, usage.cache_write_tokens - usage.cache_write_1h_tokens),
        cache_write_1h_tokens=usage.cache_write_1h_tokens,
        output_reasoning_tokens=usage.reasoning_tokens,
        input_audio_tokens=usage.input_audio_tokens,
        output_audio_tokens=usage.output_audio_tokens,
        cache_audio_read_tokens=usage.cache_read_audio_tokens,
        output_image_tokens=usage.output_image_tokens,
        web_searches=usage.web_searches,
        storage_searches=usage.file_searches,
        cache_audio_write_tokens=0,
        cache_image_read_tokens=0,
    )


def card_of(provider: Provider, model: ModelInfo, tier: str | None, at: float) -> Any:
    return BOOK._timetable(provider, model, tier).at(at)


def check(provider: Provider, model: ModelInfo, usage: TokenUsage, tier: str | None, at: int) -> None:
    """The card of this model says what genai-prices says."""
    found = card_of(provider, model, tier, at).cost(usage)
    when = datetime.fromtimestamp(at, UTC)
    prices = model.get_prices(when)
    if prices.input_mtok is None and not model.id.endswith(":free"):
        assert found.total is None  # genai-prices says 0 where it does not know
        assert "no price of a token" in found.reason
        return
    try:
        context = {"service_tier": tier, "speed": tier} if tier else None
        expected = model.calc_price(as_genai(usage), provider, genai_request_timestamp=when, price_context=context)
    except ValueError:
        assert found.total is None
        assert found.reason is not None
        return
    assert found.total == pytest.approx(float(expected.total_price), rel=1e-12, abs=1e-18)
    parts = found.input + found.cache_read + found.cache_write
    assert parts == pytest.approx(float(expected.input_price), rel=1e-12, abs=1e-18)
    assert found.output == pytest.approx(float(expected.output_price), rel=1e-12, abs=1e-18)
    assert found.total == pytest.approx(parts + found.output + found.requests, rel=1e-12, abs=1e-18)


@settings(max_examples=500, deadline=None)
@given(st.sampled_from(MODELS), usages(), st.sampled_from(TIERS), st.integers(START, END))
def test_any_use_costs_what_genai_prices_says(
    which: tuple[Provider, ModelInfo], usage: TokenUsage, tier: str | None, at: int
) -> None:
    check(*which, usage, tier, at)


@pytest.mark.parametrize("tier", [None, "flex", "priority"])
def test_every_model_costs_what_genai_prices_says(tier: str | None) -> None:
    everything = TokenUsage(
        300_000, 5_000, 1_000, 2_000, 500, 300, 400, 200, 3, cache_read_audio_tokens=100, output_image_tokens=50
    )
    assert len(MODELS) > 2_000
    for provider, model in MODELS:
        check(provider, model, everything, tier, END)


@settings(max_examples=150, deadline=None)
@given(
    st.sampled_from([each for each in MODELS if each[0].id in NAMES]),
    usages(),
    st.sampled_from(TIERS),
    st.integers(START, END),
)
@example(("openai", "gpt-5.4"), TokenUsage(300_000, 10, 5), None, END)
@example(("openai", "gpt-5.4"), TokenUsage(272_000, 10, 5), "flex", END)
@example(("gemini", "gemini-2.5-pro"), TokenUsage(300_000, 10, 5), None, END)
@example(("azure", "gpt-5.4"), TokenUsage(300_000, 10, 5), "priority", END)
def test_a_call_costs_what_genai_prices_finds_by_the_names(
    which: Any, usage: TokenUsage, tier: str | None, at: int
) -> None:
    provider, model = which if isinstance(which[0], str) else (NAMES[which[0].id], which[1].id)
    found = PRICES.cost(usage, Deployment("d", "g", provider, model), model=model, service_tier=tier, at=at)
    try:
        expected = calc_price(
            as_genai(usage),
            model,
            provider_id=VENDORS[provider],
            genai_request_timestamp=datetime.fromtimestamp(at, UTC),
            price_context={"service_tier": tier, "speed": tier} if tier else None,
        )
    except (LookupError, ValueError):
        assert found.total is None
        assert found.reason is not None
        return
    if found.total is None:
        assert "no price of a token" in str(found.reason)
    else:
        assert found.total == pytest.approx(float(expected.total_price), rel=1e-12, abs=1e-18)


def test_prices_change_at_the_very_second_they_are_said_to() -> None:
    changing = [(provider, model) for provider, model in MODELS if isinstance(model.prices, list)]
    assert len(changing) > 100
    usage = TokenUsage(1_000, 1_000, 100)
    for provider, model in changing:
        table = BOOK._timetable(provider, model, None)
        edges = [*table._dates, *(END + edge - END % 86_400 for edge in table._hours)]
        for moment in [edge + second for second in (1, -1, 0) for edge in edges]:
            when = datetime.fromtimestamp(moment, UTC)
            try:
                expected = model.calc_price(as_genai(usage), provider, genai_request_timestamp=when)
            except ValueError:
                continue
            found = table.at(moment).cost(usage)
            if found.reason is None:
                assert found.total == pytest.approx(float(expected.total_price), rel=1e-12), (model.id, when)


def test_nothing_is_free_for_want_of_a_price() -> None:
    unpriced = 0
    for provider, model in MODELS:
        card = card_of(provider, model, None, END)
        if isinstance(card, Unpriced):
            unpriced += 1
            assert card.cost(TokenUsage(10, 10)).total is None
    assert unpriced > 20


def test_prices_that_genai_prices_would_refuse_make_no_card() -> None:
    odd = ModelPrice(input_mtok=Decimal(1), cache_audio_read_mtok=Decimal(1))
    with pytest.raises(ValueError, match="Missing ancestor price"):
        odd.calc_price(Usage(input_tokens=1))
    card = compile_card("odd", odd, BOOK._units)
    assert str(card.cost(TokenUsage(1)).reason).startswith("genai-prices can't use its prices of 'odd': Missing ancest")


def test_a_model_s_cards_are_made_once_for_each_span_and_no_more() -> None:
    deployment = Deployment("d", "g", "deepseek", "deepseek-chat")
    cards = {id(BOOK.card(deployment, "deepseek-chat", None, START + hour * 1800)) for hour in range(2_000)}
    assert len(cards) == 3  # before, in and after the dear hours of a day


def test_names_without_end_take_no_memory_without_end() -> None:
    book = Book(everybody)
    for number in range(MOST_CARDS + 50):
        book.card(Deployment("d", "g", "hosted_vllm", "m"), f"made-up-{number}", None, START)
    assert book._table.cache_info().currsize == MOST_CARDS
