"""What is written down of a choice while it is made, and put into words once its attempt is over."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial

from checks.base import Home, PreCallCheck, Preferred
from providers.decisions import MOST_CONSIDERED, Cause, Considered, RouteDecision
from providers.types import Deployment
from router.pool import Survey
from router.run import Place

GONE = "it has just been removed"


class Choice:
    """One choice of a deployment: what each check left of them, and what the pool saw.

    `seed` is what the Router's randomness began with.
    """

    __slots__ = ("_binding", "_left", "_place", "_seed", "home", "leaning", "survey")

    def __init__(self, seed: int | None, place: Place) -> None:
        self._seed = seed
        self._place = place
        self._left: list[tuple[Cause, str, Sequence[Deployment]]] = []
        self._binding: str | None = None
        """The check whose order binds the strategy."""
        self.home: Sequence[Deployment] | None = None
        self.leaning: Sequence[Deployment] = ()
        self.survey: Survey | None = None
        """None as long as the pool was not asked."""

    def narrowed(self, check: PreCallCheck, left: Sequence[Deployment]) -> None:
        """`check` leaves these."""
        name = type(check).__name__
        if isinstance(left, Preferred):
            self._binding = name
        self._left.append(("home" if isinstance(left, Home) else "check", f"left out by {name}", left))

    def refused(self, check: PreCallCheck) -> None:
        """`check` ended the attempt."""
        self._left.append(("check", f"refused by {type(check).__name__}", ()))

    def unsaid(self, left: Sequence[Deployment]) -> None:
        """Only these can say what is asked."""
        self._left.append(("unsaid", "it can't say what is asked", left))

    def decision(self, waited: float) -> RouteDecision:
        """The choice as data; `waited`: seconds that it took."""
        survey, place = self.survey, self._place
        considered: tuple[Considered, ...] = ()
        total, strategy, chosen, probe, forced = len(place.deployments), None, None, False, False
        if survey is not None:
            considered, chosen, probe, forced = survey.considered, survey.chosen, survey.probe, survey.forced
            strategy = survey.strategy and (self._binding or survey.strategy)
            if survey.among is None and survey.total:
                total = survey.total
        if len(considered) < min(total, MOST_CONSIDERED):
            considered = (*considered, *self._others(considered))
        pinned = self.home if self.home is not None else self.leaning
        return RouteDecision(
            place.call.group,
            strategy,
            chosen,
            considered,
            total - len(considered),
            "home" if self.home is not None else "leaning" if pinned else None,
            tuple([each.id for each in pinned[:MOST_CONSIDERED]]) if pinned else (),
            probe,
            forced,
            self._seed,
            place.snapshot,
            waited,
        )

    def _others(self, listed: Sequence[Considered]) -> list[Considered]:
        """Those that the pool was not asked for."""
        known = {each.deployment_id for each in listed}
        left = [(cause, reason, frozenset(each.id for each in kept)) for cause, reason, kept in self._left]
        late: tuple[Cause, str] = ("deadline", "the call's time was over before it could be chosen")
        rest = late if self.survey is None else ("gone", GONE)
        others: list[Considered] = []
        for each in self._place.deployments:
            if len(listed) + len(others) == MOST_CONSIDERED:
                break
            if each.id not in known:
                why = next(((cause, reason) for cause, reason, kept in left if each.id not in kept), rest)
                others.append(Considered(each.id, why[1], None, why[0]))
        return others


def recorder(seed: int | None) -> Callable[[Place], Choice]:
    """What begins to write a choice down, for a Router whose randomness began with `seed`."""
    return partial(Choice, seed)
