"""Homes without a store: the id that a caller sees says who holds the response, or conversation, and is signed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any, NamedTuple
from weakref import WeakKeyDictionary, WeakSet

from checks.affinity.domain import same_domain
from checks.affinity.homes import not_found
from checks.affinity.owners import Owners, signs_as
from checks.affinity.responses_api_deployment import GONE, ResponsesApiDeployment
from checks.affinity.rewriting import Unwrapped, rewrite, unwrap_request
from checks.affinity.signed_id import SignedIdError, SignedIds
from checks.affinity.tie import Tie, TieKind
from checks.affinity.ties import ties
from checks.base import Failed, Outcome, Started
from providers.errors import APIError
from providers.rewording import reword
from providers.types import Call, Deployment, JsonObject


class _Said(NamedTuple):
    """What the signed ids in a call said."""

    owners: Mapping[str, str]
    """Ids of deployments, by what a store knows the thing by."""
    written: Mapping[str, str]
    """The ids as the caller wrote them, by upstream id."""


_NOTHING = _Said({}, {})
_SIGNED = frozenset({TieKind.RESPONSE, TieKind.CONVERSATION})


class SignedAffinity(ResponsesApiDeployment):
    """As its base, but ids of responses and conversations carry their owner, so any process that has the key finds it.

    Ids are wrapped wherever a caller sees them and unwrapped before they are sent. One that was tampered with, or
    signed with a foreign key, is refused with `SignedIdError`; under a scope, as if it did not exist. What has no
    signed id of its own (items, files) is still remembered in the store.
    """

    def __init__(self, ids: SignedIds, *args: Any, **options: Any) -> None:
        """`ids` wraps and unwraps; the rest is the base's."""
        super().__init__(*args, **options)
        self._ids = ids
        self._talks = ids.of_conversations()
        self._tags = Owners()
        self._plain: WeakSet[Call] = WeakSet()  # calls without signed ids: what maps a call to itself is never freed
        self._opened: WeakKeyDictionary[Call, Unwrapped] = WeakKeyDictionary()
        self._said: WeakKeyDictionary[Call, _Said] = WeakKeyDictionary()
        """By the call under upstream's ids."""

    def accept(self, deployments: Sequence[Deployment]) -> None:
        """Know these by their tags. Raises `ConfigurationError` if two have the same."""
        self._tags.accept(deployments)
        super().accept(deployments)

    async def home(self, name: str, scope: str | None = None, kind: TieKind = TieKind.RESPONSE) -> Deployment | None:
        """The deployment that an id names, or that is remembered for it. None for an id of another scope, too.

        Raises `HomeLostError` if the Router never had it; without a scope, `SignedIdError` for an id that isn't
        genuine.
        """
        ids = self._talks if kind is TieKind.CONVERSATION else self._ids
        try:
            signed = ids.unwrap(name, scope=scope or "")
        except SignedIdError as error:
            if not scope:
                at = f"{kind}_id"
                raise SignedIdError(f"{at}: {error.message}", param=at, code=error.code) from None
            return None
        if signed is None:
            return await super().home(name, scope, kind)
        holder = self._tags.find(signed.owner_tag)
        if holder is None:
            raise self._lost(signed.owner_tag, f"{kind} {name!r}", GONE)
        return holder

    async def eligible(self, call: Call, deployments: Sequence[Deployment]) -> Sequence[Deployment]:
        """The deployments of the call's home; all, if it has none."""
        return await super().eligible(self._followed(call), deployments)

    async def preview(self, call: Call, deployments: Sequence[Deployment]) -> Sequence[Deployment]:
        """As `eligible`, but no deployment is asked and nothing is counted."""
        return await super().preview(self._followed(call), deployments)

    def prepare(self, call: Call, deployment: Deployment) -> Call:
        """The call under the ids that upstream knows."""
        return self._open(call).call

    def present(self, call: Call, deployment: Deployment, json: JsonObject) -> JsonObject:
        """The answer under signed ids; an id that the caller wrote comes back as it was written."""
        opened, scope = self._open(call), call.scope or ""
        if not deployment.dialect.keeps_state:  # what this Router keeps itself needs no signature
            return rewrite(json, lambda name: opened.written.get(name, name))
        owner = signs_as(self._holder(opened.call, deployment))

        def shown(ids: SignedIds, name: str) -> str:
            return opened.written.get(name) or ids.wrap(name, owner, scope=scope)

        return rewrite(json, partial(shown, self._ids), partial(shown, self._talks))

    async def observe(self, call: Call, deployment: Deployment, outcome: Outcome) -> None:
        """Learn, under upstream's ids. An error names things as the caller does."""
        opened, _, written = self._open(call)
        if isinstance(outcome, Started) and outcome.response_id == call.response_id:
            outcome = Started(opened.response_id or outcome.response_id)
        if isinstance(outcome, Failed):
            for upstream, name in written.items():
                reword(outcome.error, upstream, name)
        await super().observe(opened, deployment, outcome)

    async def rescue(self, call: Call, error: APIError) -> Call | None:
        """As the base's, under upstream's ids."""
        return await super().rescue(self._open(call).call, error)

    def _followed(self, call: Call) -> Call:
        """The call under upstream's ids, of which is known what is known of it."""
        opened = self._open(call).call
        if self._remembered is not None and opened is not call:
            self._remembered.follow(call, opened)
        return opened

    def _told(self, call: Call) -> Mapping[str, str]:
        return self._said.get(call, _NOTHING).owners

    def _shown(self, call: Call, tie: Tie | None) -> str:
        written = None if tie is None else self._said.get(call, _NOTHING).written.get(tie.name)
        return super()._shown(call, tie) if tie is None or written is None else f"{tie.kind} {written!r}"

    def _holder(self, opened: Call, deployment: Deployment) -> Deployment:
        """As whose the ids in an answer are signed: a conversation's keep the owner it began with.

        Whoever of a domain serves, an id is then the same on every read.
        """
        for deployment_id in self._said.get(opened, _NOTHING).owners.values():
            home = self._homes.owner(deployment_id)
            if home is not None and not self._homes.gone(home) and same_domain(home, deployment):
                return home
        return deployment

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
        except SignedIdError as error:
            tied = [tie for tie in ties(call) if tie.kind in _SIGNED]
            if call.scope and tied:
                raise not_found(call, next((tie for tie in tied if tie.param == error.param), tied[0])) from None
            raise
        if opened.tags:
            holders = {name: (tag, self._tags.find(tag)) for name, tag in opened.tags.items()}
            # an owner that was never here has no id; its tag names it as one nobody can find
            owners = {name: tag if holder is None else holder.id for name, (tag, holder) in holders.items()}
            self._said[opened.call] = _Said(owners, opened.written)
        return opened
