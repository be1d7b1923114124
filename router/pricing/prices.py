"""The default price source: genai-prices' published prices, over which a deployment's own win."""

from __future__ import annotations

import logging
import sys
import threading
import weakref
from collections.abc import Callable
from functools import lru_cache
from typing import TYPE_CHECKING

from providers.types import Deployment
from providers.usage import Cost, TokenUsage
from router.pricing.book import MOST_CARDS, Book
from router.pricing.card import ENGINE, Priced, Unpriced
from router.pricing.own import own_card

if TYPE_CHECKING:
    from genai_prices.types import Provider

_log = logging.getLogger("router.pricing")


class Prices:
    """Knows what genai-prices knows, loaded when it is first needed: 1.6 MB of data that came with it, no network.

    Prices of a deployment's own win, class by class (`router.pricing.own`); one that says what its input and output
    cost needs nothing loaded. `updates`: newer prices are fetched each hour from GitHub, by genai-prices' own
    `UpdatePrices`, from when prices are first needed to `close`. Its thread serves all of the process; yet who did not
    ask for updates goes on with the prices that came with genai-prices.
    """

    def __init__(self, *, updates: bool = False) -> None:
        self._updates = updates
        self._book: Book | None = None
        self._failure: Unpriced | None = None
        """Why there are no prices, if loading them failed."""
        self._lock = threading.Lock()
        self._stop: weakref.finalize[..., Prices] | None = None
        """Ends the updater, also when this is collected; None: it does not run."""
        self._own = lru_cache(MOST_CARDS)(own_card)

    def cost(
        self, usage: TokenUsage, deployment: Deployment, *, model: str, service_tier: str | None, at: float
    ) -> Cost:
        """What `usage` costs on `deployment`, where `model` answered in `service_tier` at the Unix time `at`.

        What is not known is a `Cost` with a `reason`. Loads the prices where `loader` was not asked to.
        """
        try:
            return self._card(deployment, model, service_tier, at).cost(usage)
        except Exception as error:  # data of a kind that nobody knows yet
            _log.exception("a call could not be priced")
            return Cost(None, f"pricing failed: {type(error).__name__}", model=model)

    def loader(self, deployment: Deployment) -> Callable[[], object] | None:
        """What loads the prices, if a call to `deployment` needs them: some tenths of a second."""
        if deployment.prices is not None and deployment.prices.whole:
            return None
        done = self._stop is not None if self._updates else self._book is not None or _imported()
        return None if done or self._failure is not None else self._load

    def close(self) -> None:
        """End the updater."""
        with self._lock:
            stop, self._stop = self._stop, None
        if stop is not None:
            stop()

    def _card(self, deployment: Deployment, model: str, tier: str | None, at: float) -> Priced:
        own = deployment.prices
        if own is not None and own.whole:
            return self._own(own, None, tier, deployment.model)
        book = self._book
        if book is None:
            book = self._load()
        elif self._updates:
            book = self._newest(book)
        if book is None:
            assert self._failure is not None, "loading either has a result or fails"
            return self._failure if own is None else own_card(own, self._failure, tier, deployment.model)
        return book.card(deployment, model, tier, at)

    def _load(self) -> Book | None:
        """The prices; None if they can't be loaded."""
        with self._lock:
            try:
                if self._book is None:
                    self._book = Book(self._providers())
                if self._updates and self._stop is None:
                    self._stop = self._start()
            except Exception as error:
                _log.exception("the prices could not be loaded")
                self._failure = Unpriced(f"{ENGINE} could not be loaded: {type(error).__name__}")
            return self._book

    def _start(self) -> weakref.finalize[..., Prices]:
        """Begin to fetch newer prices; what ends it."""
        from genai_prices import UpdatePrices

        updater = UpdatePrices()
        updater.start()
        return weakref.finalize(self, updater.stop)

    def _newest(self, book: Book) -> Book:
        """The prices as they were fetched last."""
        providers = self._providers()
        if providers is not book.providers:
            book = self._book = Book(providers)
        return book

    def _providers(self) -> list[Provider]:
        if self._updates:
            from genai_prices.data_snapshot import get_snapshot

            return get_snapshot().providers
        from genai_prices.data import providers

        return providers


def _imported() -> bool:
    """Whether somebody has loaded the data already."""
    return hasattr(sys.modules.get("genai_prices.data"), "providers")
