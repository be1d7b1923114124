"""What deployments say of themselves that they hold: files and vector stores that were uploaded beforehand."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from checks.affinity.domain import domain, same_domain
from checks.affinity.replay import Replayed, replay
from checks.affinity.transcript import Turn
from providers.errors import HomeLostError
from providers.types import Call, Deployment


@dataclass(slots=True)
class Holdings:
    """Who holds what, by `Deployment.holds`: several may hold the same, each with all that share its state."""

    locate: Callable[[str], Deployment | None]
    """The deployment with an id, as it is now; None if it is gone."""
    known: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """Ids of deployments, by what they hold."""
    _ids: tuple[str, ...] = ()
    """Of those that hold anything."""

    def accept(self, deployments: Iterable[Deployment]) -> None:
        """The Router's deployments are to be these. Till then, and if another check refuses, they are as before."""
        holders: dict[str, dict[str, None]] = {}
        holding = [each for each in (*deployments, *self._located(self._ids)) if each.holds]
        for each in holding:
            for name in each.holds:
                holders.setdefault(name, {})[each.id] = None
        self.known = {name: tuple(ids) for name, ids in holders.items()}
        self._ids = tuple(dict.fromkeys(each.id for each in holding))

    def holders(self, name: str) -> tuple[Deployment, ...]:
        """Those that say they hold `name`, in the order of the model list."""
        return tuple(each for each in self._located(self.known.get(name, ())) if name in each.holds)

    def elsewhere(self, group: str, homes: Collection[Deployment]) -> list[frozenset[str]]:
        """What is held at each place where a conversation of `group` could move to that was at `homes`."""
        places: dict[object, frozenset[str]] = {}
        for each in self._located(self._ids):
            if each.group == group and not any(same_domain(home, each) for home in homes):
                places[domain(each)] = places.get(domain(each), frozenset()) | each.holds
        return list(places.values())

    def _located(self, ids: Iterable[str]) -> Iterable[Deployment]:
        return (each for each in map(self.locate, ids) if each is not None)


def replay_where_most_moves(
    places: Sequence[Collection[str]], turns: Sequence[Turn], call: Call, *, lossy: bool, same_vendor: bool
) -> Replayed:
    """As `replay`, at the place where the least that matters must be dropped. `places`: what each of them holds."""
    best: Replayed | None = None
    refusals: list[HomeLostError] = []
    for held in places or ((),):
        try:
            told = replay(turns, call, lossy=lossy, same_vendor=same_vendor, held=held)
        except HomeLostError as error:
            refusals.append(error)
            continue
        if best is None or _unsafe(told) < _unsafe(best):
            best = told
        if not _unsafe(best):
            break
    if best is None:
        raise refusals[0]
    return best


def _unsafe(told: Replayed) -> int:
    return sum(not part.safe for part in told.dropped)
