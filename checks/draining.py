"""Deployments that an operator wants emptied: they finish what they have, and get nothing new."""

from __future__ import annotations

from collections.abc import Sequence

from checks.affinity.responses_api_deployment import ResponsesApiDeployment
from checks.base import Home, PreCallCheck
from providers.types import Call, Deployment


class Draining(PreCallCheck):
    """Leaves out those that are drained, but for what only they can serve: conversations and responses they hold.

    Asked right after affinity is, so that it sees who is bound; last, where nobody asks for affinity. Costs nothing
    while nobody is drained, for it is not asked then.
    """

    def __init__(self) -> None:
        self.ids: frozenset[str] = frozenset()
        """Of those that are drained."""

    def accept(self, deployments: Sequence[Deployment]) -> None:
        """Forget those that are no more."""
        self.ids &= {each.id for each in deployments}

    def among(self, checks: tuple[PreCallCheck, ...]) -> tuple[PreCallCheck, ...]:
        """`checks`, with this one in its place if anybody is drained."""
        if not self.ids:
            return checks
        bound = [index for index, check in enumerate(checks) if isinstance(check, ResponsesApiDeployment)]
        place = bound[-1] + 1 if bound else len(checks)
        return (*checks[:place], self, *checks[place:])

    async def eligible(self, call: Call, deployments: Sequence[Deployment]) -> Sequence[Deployment]:
        """Those that are not drained; all, if only drained ones are left of those that the call is bound to, or if it
        names what exists already."""
        if call.verb.by_id:
            return deployments
        left = tuple(each for each in deployments if each.id not in self.ids)
        if len(left) == len(deployments):
            return deployments
        if isinstance(deployments, Home):
            home = deployments
            return Home(left, home.affinity, home.policy, home.owners) if left else home
        return left
