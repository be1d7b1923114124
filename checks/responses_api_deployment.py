"""A follow-up comes home: to the deployment that holds the response it continues."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from weakref import WeakSet

from checks.base import AffinityStore, Finished, Home, Outcome, PreCallCheck, Started
from providers.errors import HomeLostError
from providers.types import Call, Deployment, Verb

DEFAULT_TTL = 30 * 24 * 3600.0
"""Seconds a pin lives after its last use: as long as OpenAI stores a response."""

Locate = Callable[[str], Deployment | None]
"""The deployment with an id, wherever it is in the Router now; None if it is gone."""


class ResponsesApiDeployment(PreCallCheck):
    """Remembers which deployment made each response, and sends what refers to one back there.

    The owner is remembered at `response.created` (streams) or at the reply, before the caller can know the id. Calls
    with `previous_response_id`, and get, delete, cancel and list of a response's input items, go to the owner, or to
    a deployment of the same `account` if the owner can't serve. An id that nobody remembers is routed like any other
    call, and learnt from what serves it. Raises `HomeLostError` when the owner, and its account, are not in the group.
    """

    def __init__(self, store: AffinityStore, locate: Locate, *, ttl: float = DEFAULT_TTL) -> None:
        self._store = store
        self._locate = locate
        self._ttl = ttl
        self._strangers: WeakSet[Call] = WeakSet()

    async def home(self, response_id: str) -> Deployment | None:
        """The deployment that holds a response; None if nobody knows. Raises `HomeLostError` if it is gone."""
        name = await self._store.get(response_id)
        if name is None:
            return None
        owner = self._locate(name)
        if owner is None:
            raise HomeLostError(
                f"response {response_id!r} is held by deployment {name!r}, which this Router no longer has",
                deployment_id=name,
            )
        return owner

    async def eligible(self, call: Call, deployments: Sequence[Deployment]) -> Sequence[Deployment]:
        """The owner of what the call refers to, then its account's other deployments; all, if nobody knows it."""
        wanted = call.response_id or call.previous_response_id
        if wanted is None:
            return deployments
        owner = await self.home(wanted)
        if owner is None:
            self._strangers.add(call)
            return deployments
        held = _holders(owner, deployments)
        if not held:
            raise HomeLostError(
                f"response {wanted!r} is held by deployment {owner.id!r} of group {owner.group!r}; no deployment that "
                f"may serve this call ({call.group!r}) shares its account",
                deployment_id=owner.id,
            )
        return held

    async def observe(self, call: Call, deployment: Deployment, outcome: Outcome) -> None:
        """Remember the owner of a new response, and of an id that turned out to be held here; forget a deleted one."""
        if isinstance(outcome, Started):
            await self._store.set(outcome.response_id, deployment.id, ttl=self._ttl)
            if call in self._strangers and call.previous_response_id is not None:
                self._strangers.discard(call)
                await self._store.set(call.previous_response_id, deployment.id, ttl=self._ttl)
        elif isinstance(outcome, Finished) and call.verb is Verb.DELETE and call.response_id is not None:
            await self._store.delete(call.response_id)


def _holders(owner: Deployment, deployments: Sequence[Deployment]) -> Sequence[Deployment]:
    """Those of `deployments` that hold what `owner` holds, the owner first."""
    # by id: the model list may have been replaced since the call began
    held = [each for each in deployments if each.id == owner.id]
    if owner.account is not None:
        held += [each for each in deployments if each.account == owner.account and each.id != owner.id]
    return Home(held)
