"""What the budgets' check needs of a Router: what calls may cost, whom they are for, how they ended."""

from __future__ import annotations

import logging
import time
from collections import OrderedDict
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Final

from checks import tokens
from checks.budgets.board import BudgetBoard
from checks.budgets.check import Budget, Ended, Means
from checks.budgets.ledger import Ledger
from checks.budgets.period import Period
from checks.budgets.rules import Rules, nano
from providers.types import Call, Deployment
from providers.usage import Cost, Loads, PriceSource, TokenUsage
from router.config import RouterSettings
from router.config.allowances import rules
from router.telemetry.opened import OpenCall

_log = logging.getLogger("router")

USUAL_OUTPUT: Final = 1_000.0
"""Tokens of output assumed of a call that says no `max_output_tokens`, until it is known how many its deployment
usually gives."""
_WEIGHT: Final = 0.1
_MOST: Final = 10_000
_MOST_RATES: Final = 256
_SAMPLE: Final = 1_000
_TIERS: Final = frozenset({"flex", "priority", "scale", "batch"})

Rates = tuple[float, float, float]
"""Dollars for a call, for a token of its input, and of its output."""


class _Asked:
    """What a call says of its cost, wherever it goes."""

    __slots__ = ("bits", "call", "output", "size", "tier")

    def __init__(self, call: Call, kept: int) -> None:
        """`kept`: tokens of the conversation that it goes on with, which its vendor keeps."""
        self.call = call
        self.size = tokens.guess(call) + kept
        self.bits = self.size.bit_length()
        self.output = _limit(call.body.get("max_output_tokens"))
        tier = call.body.get("service_tier")
        self.tier = tier if isinstance(tier, str) and tier in _TIERS else None


class Estimator:
    """What a call may cost: its input by its length, its output at most, or as long as usual there. Of a conversation
    that goes on, what it had used is input again, as far as that is remembered.

    Prices are asked for once for each size of input, to the next power of two: a model's longest inputs may cost more.
    """

    def __init__(self, prices: PriceSource, wall: Callable[[], float]) -> None:
        self._prices = prices
        self._wall = wall
        self._usual: dict[str, float] = {}
        self._rates: dict[str, tuple[Deployment, dict[tuple[int, str, str | None], Rates | None]]] = {}
        self._kept: OrderedDict[str, int] = OrderedDict()
        """Tokens of conversations, by the ids of their last responses; the newest are last."""
        self._last = _Asked(Call(""), 0)

    def __call__(self, call: Call, deployment: Deployment) -> float | None:
        """In US dollars; None if no price is known."""
        asked = self._last
        if asked.call is not call:  # most often it is the same: it may go to many deployments
            asked = self._last = _Asked(call, self._kept.get(call.previous_response_id or "", 0))
        rates = self._rates_of(asked, deployment)
        if rates is None:
            return None
        output = asked.output or _limit(deployment.defaults.get("max_output_tokens"))
        piece, given, told = rates
        return piece + asked.size * given + (output or self._usual.get(deployment.id, USUAL_OUTPUT)) * told

    def learn(self, deployment: Deployment, output_tokens: int) -> None:
        """A call had so much output there."""
        if len(self._usual) >= _MOST:
            self._usual.clear()
        usual = self._usual.get(deployment.id, float(output_tokens))
        self._usual[deployment.id] = usual + _WEIGHT * (output_tokens - usual)

    def remember(self, response_id: str, used: int) -> None:
        """A conversation had so many tokens when this response had been given."""
        self._kept[response_id] = used
        if len(self._kept) > _MOST:
            with suppress(KeyError):  # it may run in any thread, and another was faster
                self._kept.popitem(last=False)

    def _rates_of(self, asked: _Asked, deployment: Deployment) -> Rates | None:
        entry = self._rates.get(deployment.id)
        if entry is None or entry[0] is not deployment:
            if len(self._rates) >= _MOST:
                self._rates.clear()
            entry = self._rates[deployment.id] = (deployment, {})
        rates, model = entry[1], deployment.model
        if "*" in model:
            model = model.replace("*", asked.call.wildcard)
        key = (asked.bits, model, asked.tier)
        if key not in rates:
            if len(rates) >= _MOST_RATES:
                rates.clear()
            rates[key] = self._ask(deployment, model, asked.tier, 1 << asked.bits)
        return rates[key]

    def _ask(self, deployment: Deployment, model: str, tier: str | None, size: int) -> Rates | None:
        def price(output: int) -> Cost:
            usage = TokenUsage(size, output)
            return self._prices.cost(usage, deployment, model=model, service_tier=tier, at=self._wall())

        try:
            alone, both = price(0), price(_SAMPLE)
        except Exception:
            _log.exception("a price source failed")
            return None
        if alone.total is None or both.total is None:
            return None
        piece = alone.requests
        return piece, (alone.total - piece) / size, (both.total - alone.total) / _SAMPLE


class Budgeting:
    """The budgets of a Router."""

    def __init__(
        self,
        settings: RouterSettings,
        prices: PriceSource,
        board: BudgetBoard | None,
        clock: Callable[[], float],
        end_user: Callable[[Call], str | None],
    ) -> None:
        wall = wall_clock(clock)
        self._loads = prices if isinstance(prices, Loads) else None
        self._estimate = Estimator(prices, wall)
        ledger = Ledger(wall, board)
        self._rules = Rules(rules(settings))
        self.check = Budget(Means(self._rules, ledger, self._estimate, end_user, board))
        """The check, whether it is asked or not."""
        self.needed = False
        """Whether keys of a proxy have budgets, so that it must be asked."""

    def charge(self, key: str, dollars: float, period: Period) -> None:
        """Hold the calls that come with a key of a proxy to so much in each `period`. Only once it is needed."""
        self._rules.charge(key, nano(dollars), period)

    def accept(self, deployments: Sequence[Deployment]) -> None:
        """Calls to these will be estimated: load the prices that takes, before one waits for it."""
        if self._loads is None:
            return
        for deployment in deployments:
            load = self._loads.loader(deployment)
            if load is not None:
                load()

    def over(self, opened: OpenCall) -> None:
        """A call is over. May run anywhere."""
        deployment = None if opened.run is None else opened.run.deployment
        if deployment is None:
            self.check.over(opened.id, Ended(None))
            return
        usage = opened.usage
        if usage is not None and not opened.partial:
            self._estimate.learn(deployment, usage.output_tokens)
            identity = opened.response.get("id")
            if isinstance(identity, str):
                self._estimate.remember(identity, usage.total_tokens)
        self.check.over(opened.id, Ended(opened.bill, deployment.model))


def _limit(most: object) -> int:
    return most if type(most) is int and most > 0 else 0


def wall_clock(clock: Callable[[], float]) -> Callable[[], float]:
    """Unix time; that a Router's own `clock` makes pass, if it has one."""
    if clock is time.monotonic:
        return time.time
    began = time.time() - clock()
    return lambda: began + clock()
