"""Who is at home: the deployments that hold what an owner holds, remembered, for it is asked at every follow-up."""

from __future__ import annotations

from collections.abc import Sequence

from checks.affinity.domain import peers, same_domain
from checks.base import Home
from providers.types import Affinity, Deployment, HomePolicy


class Residents:
    """The `Home` around each owner, remembered while a group's deployments are the same."""

    def __init__(self) -> None:
        self._groups: dict[str, tuple[Sequence[Deployment], dict[str, tuple[Deployment, Home]]]] = {}

    def at_home(self, group: str, owner: Deployment, deployments: Sequence[Deployment], policy: HomePolicy) -> Home:
        """Those of `deployments`, which are the ones of `group` that may serve, that hold what `owner` holds."""
        remembered = self._groups.get(group)
        if remembered is None or remembered[0] is not deployments:
            if type(deployments) is not tuple:  # a list might change
                return _home(owner, deployments, policy)
            remembered = self._groups[group] = deployments, {}
        known = remembered[1].get(owner.id)
        if known is not None and known[0] is owner and known[1].policy is policy:
            return known[1]
        home = _home(owner, deployments, policy)
        remembered[1][owner.id] = owner, home
        return home


def homes_of(owners: Sequence[Deployment], deployments: Sequence[Deployment], policy: HomePolicy) -> Home:
    """Those of `deployments` that hold what each of `owners`, the first of them the one to name, holds."""
    of: dict[str, str] = {}
    for each in deployments:
        owner = each if each in owners else next((one for one in owners if same_domain(one, each)), None)
        if owner is not None:
            of[each.id] = owner.id
    return Home((each for each in deployments if each.id in of), Affinity("home", owners[0].id), policy, of)


def _home(owner: Deployment, deployments: Sequence[Deployment], policy: HomePolicy) -> Home:
    return Home(peers(owner, deployments), Affinity("home", owner.id), policy)
