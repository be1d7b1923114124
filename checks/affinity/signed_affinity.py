"""Homes without a store: the id that a caller sees says who holds the response, and is signed."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any
from weakref import WeakKeyDictionary, WeakSet

from checks.affinity.homes import not_found
from checks.affinity.responses_api_deployment import ResponsesApiDeployment
from checks.affinity.rewriting import Unwrapped, rewrite, unwrap_request
from checks.affinity.signed_id import SignedIdError, SignedIds, owner, refuse_collisions
from checks.affinity.ties import ties
from checks.base import Outcome, Started
from providers.errors import APIError
from providers.types import Call, Deployment, JsonObject


class SignedAffinity(ResponsesApiDeployment):
    """As its base, but the ids of responses carry their owner, so any process that has the key finds it.

    Ids are wrapped wherever a caller sees them and unwrapped before they are sent. One that was tampered with, or
    signed with a foreign key, is refused with `SignedIdError`; under a scope, as if it did not exist. What has no
    signed id of its own (items, conversations, files) is still remembered in the store.
    """

    def __init__(
        self, ids: SignedIds, everyone: Callable[[], Iterable[Deployment]], *args: Any, **options: Any
    ) -> None:
        """`everyone`: all deployments of the Router now; the rest is the base's."""
        super().__init__(*args, **options)
        refuse_collisions(everyone())
        self._ids = ids
        self._everyone = everyone
        self._plain: WeakSet[Call] = WeakSet()  # calls without signed ids: what maps a call to itself is never freed
        self._opened: WeakKeyDictionary[Call, Unwrapped] = WeakKeyDictionary()
        self._owners: WeakKeyDictionary[Call, Mapping[str, str]] = WeakKeyDictionary()

    async def home(self, response_id: str, scope: str | None = None) -> Deployment | None:
        """The deployment that an id names, or that is remembered for it. None for an id of another scope, too."""
        try:
            signed = self._ids.unwrap(response_id, scope=scope or "")
        except SignedIdError:
            if scope is None:
                raise
            return None
        if signed is None:
            return await super().home(response_id, scope)
        return owner(signed.owner_tag, self._everyone())

    async def eligible(self, call: Call, deployments: Sequence[Deployment]) -> Sequence[Deployment]:
        """The deployments of the call's home; all, if it has none."""
        return await super().eligible(self._open(call).call, deployments)

    async def preview(self, call: Call, deployments: Sequence[Deployment]) -> Sequence[Deployment]:
        """As `eligible`, but no deployment is asked and nothing is counted."""
        return await super().preview(self._open(call).call, deployments)

    def prepare(self, call: Call, deployment: Deployment) -> Call:
        """The call under the ids that upstream knows."""
        return self._open(call).call

    def present(self, call: Call, deployment: Deployment, json: JsonObject) -> JsonObject:
        """The answer under signed ids; an id that the caller wrote comes back as it was written."""
        written, scope = self._open(call).written, call.scope or ""
        return rewrite(json, lambda name: written.get(name) or self._ids.wrap(name, deployment.id, scope=scope))

    async def observe(self, call: Call, deployment: Deployment, outcome: Outcome) -> None:
        """Learn, under upstream's ids."""
        opened = self._open(call).call
        if isinstance(outcome, Started) and outcome.response_id == call.response_id:
            outcome = Started(opened.response_id or outcome.response_id)
        await super().observe(opened, deployment, outcome)

    async def rescue(self, call: Call, error: APIError) -> Call | None:
        """As the base's, under upstream's ids."""
        return await super().rescue(self._open(call).call, error)

    def _told(self, call: Call) -> Mapping[str, str]:
        return self._owners.get(call, {})

    def _open(self, call: Call) -> Unwrapped:
        """The call under upstream's ids, opened once."""
        if call in self._plain:
            return Unwrapped(call, {}, {})
        opened = self._opened.get(call)
        if opened is None:
            opened = self._unwrap(call)
            if opened.call is call:
                self._plain.add(call)
            else:
                self._opened[call] = opened
        return opened

    def _unwrap(self, call: Call) -> Unwrapped:
        try:
            opened = unwrap_request(call, self._ids, scope=call.scope or "")
        except SignedIdError:
            tie = next((tie for tie in ties(call) if tie.hard), None)
            if call.scope and tie is not None:
                raise not_found(call, tie) from None
            raise
        if opened.tags:
            everyone = tuple(self._everyone())
            holders = {name: owner(tag, everyone) for name, tag in opened.tags.items()}
            # an owner that is gone has no id any more; its tag names it as one nobody can find
            self._owners[opened.call] = {
                name: opened.tags[name] if holder is None else holder.id for name, holder in holders.items()
            }
        return opened
