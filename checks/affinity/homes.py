"""Where the home of a call's conversation is: from its ties and what is remembered of them, tenants apart."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from typing import NamedTuple

from checks.affinity.discovery import DOUBT_TTL
from checks.affinity.domain import same_domain
from checks.affinity.holdings import Holdings
from checks.affinity.pins import Pin, Pins, tenant_of
from checks.affinity.tie import Tie, TieKind, common_homes
from checks.affinity.ties import MADE_UP, ties
from providers.errors import (
    APIError,
    BadRequestError,
    PreviousResponseNotFoundError,
    ResponseNotFoundError,
    ServiceUnavailableError,
)
from providers.types import Call, Deployment, JsonObject

Locate = Callable[[str], Deployment | None]
"""The deployment with an id, wherever it is in the Router now; None if it is gone."""

MOST_KNOWN = 10_000
"""Deployments remembered by their ids, those included that are gone."""
_RESPONSES = frozenset({"response_id", "previous_response_id"})


class Lost(NamedTuple):
    """What is held by a deployment that the Router has no more, and of which it doesn't know where it was."""

    tie: Tie
    owner: str
    """The deployment's id."""


class Found(NamedTuple):
    """What is known of where a call belongs."""

    ties: tuple[Tie, ...] = ()
    home: Deployment | None = None
    """The owner of what it can't be served without; perhaps one that the Router has no more."""
    lost: Lost | None = None
    """The first of those owners that can't be found."""
    leaning: Deployment | None = None
    """The owner of what it would be better served with."""
    unknown: tuple[Tie, ...] = ()
    """Hard ties that nobody remembers."""
    free: tuple[Tie, ...] = ()
    """Soft ties of the caller's making that nobody serves yet."""
    gone: bool = False
    """Whether the Router has `home` no more: others there may hold what it held."""
    others: tuple[Deployment, ...] = ()
    """Those that say they hold it as well as `home` does, elsewhere."""

    @property
    def tied(self) -> Tie | None:
        """The first of the ties it can't be served without."""
        return next((tie for tie in self.ties if tie.hard), None)

    @property
    def continued(self) -> tuple[str, ...]:
        """Store keys of the responses that nobody remembers and without which the call can't succeed."""
        return tuple(tie.key for tie in self.unknown if tie.kind is TieKind.RESPONSE and tie.param in _RESPONSES)


class Homes:
    """Looks homes up. One round trip to the store, and none for a call without ties."""

    def __init__(self, pins: Pins, locate: Locate) -> None:
        self.pins = pins
        self.holdings = Holdings(locate)
        self._locate = locate
        self._known: dict[str, Deployment] = {}

    def know(self, deployments: Iterable[Deployment]) -> None:
        """The Router's deployments are to be these. Where they keep their state is remembered: when one is gone, the
        others of its domain hold what it held."""
        deployments = tuple(deployments)
        self.holdings.accept(deployments)
        if len(self._known) >= MOST_KNOWN:
            self._known.clear()
        self._known |= {each.id: each for each in deployments}

    def owner(self, deployment_id: str) -> Deployment | None:
        """The deployment with an id as it is, or as it was before it was removed; None if it was never here."""
        return self._locate(deployment_id) or self._known.get(deployment_id)

    def gone(self, deployment: Deployment) -> bool:
        """Whether the Router has a deployment no more."""
        return self._locate(deployment.id) is None

    async def find(self, call: Call, told: Mapping[str, str] | None = None, kept: Collection[str] = ()) -> Found:
        """Where `call` belongs. `told` are owners known otherwise: deployment ids by key, in the call's own scope.
        `kept` are keys of what this Router keeps itself, which ties the call to nobody.

        Raises what upstream would if the call names what belongs to another tenant, `ServiceUnavailableError` while
        the store that would know whose it is is away.
        """
        tied = ties(call)
        if kept:
            tied = tuple(tie for tie in tied if tie.key not in kept)
        if not tied:
            return _NOWHERE
        tenant = tenant_of(call.scope)
        declared = self._declared(tied) if self.holdings.known else _NOBODY
        if len(tied) == 1 and not told and not declared and tied[0].hard:
            return self._only(call, tied, await self.pins.owner(tied[0].key), tenant)
        known = {*declared, *told} if told else declared
        pinned = await self.pins.find([tie.key for tie in tied if tie.key not in known])
        if told:
            pinned |= {key: Pin(owner, tenant) for key, owner in told.items()}
        owners = {**declared}
        unknown: list[Tie] = []
        free: list[Tie] = []
        lost: Lost | None = None
        leaning: Deployment | None = None
        for tie in tied:
            if tie.key in declared:
                continue
            pin = pinned.get(tie.key)
            if pin is None or not _may_know(tie, pin, tenant):
                if tie.hard:
                    self._keep_apart(call, tie, pin, tenant)
                    unknown.append(tie)
                elif tie.kind in MADE_UP:
                    free.append(tie)
            elif tie.hard:
                owner = self.owner(pin.deployment_id)
                if owner is not None and not owner.dialect.keeps_state:
                    leaning = leaning or self._locate(owner.id)
                elif owner is not None:
                    owners[tie.key] = (owner,)
                else:
                    lost = lost or Lost(tie, pin.deployment_id)
            else:
                owner = self._locate(pin.deployment_id)
                if owner is None and tie.kind in MADE_UP:
                    free.append(tie)
                leaning = leaning or owner
        home, *others = common_homes(tied, owners, same_domain) or (None,)
        gone = home is not None and self._locate(home.id) is None
        return Found(tied, home, lost, leaning, tuple(unknown), tuple(free), gone, tuple(others))

    def _declared(self, tied: Sequence[Tie]) -> dict[str, tuple[Deployment, ...]]:
        """The owners, by key, of what deployments say they hold. That outranks what was learnt."""
        uploads = (tie for tie in tied if tie.kind in _COMMON)
        return {tie.key: holders for tie in uploads if (holders := self.holdings.holders(tie.name))}

    def _only(self, call: Call, tied: tuple[Tie, ...], pin: Pin | None, tenant: str) -> Found:
        """As most follow-ups: one tie, which agrees with itself."""
        if pin is None or not _may_know(tied[0], pin, tenant):
            self._keep_apart(call, tied[0], pin, tenant)
            return Found(tied, unknown=tied)
        owner = self._locate(pin.deployment_id)
        if owner is not None:
            return Found(tied, owner) if owner.dialect.keeps_state else Found(tied, leaning=owner)
        before = self._known.get(pin.deployment_id)
        if before is not None and not before.dialect.keeps_state:
            return Found(tied)
        return Found(tied, before, None if before else Lost(tied[0], pin.deployment_id), gone=before is not None)

    def _keep_apart(self, call: Call, tie: Tie, pin: Pin | None, tenant: str) -> None:
        """Another tenant's things don't exist for this one.

        Nor, under a scope, do responses, conversations and items that nobody remembers: whose they are can't be known.
        (Without one they may be looked for, and found whosever they were: whether there are tenants can't be known
        either.) Of containers, which callers make elsewhere, the first tenant to name one successfully is its owner;
        were they refused, nobody could ever begin.
        """
        if pin is not None:
            self.pins.stats.foreign += 1
            raise self.missing(call, tie)
        if tenant and tie.kind in _MADE_HERE:
            raise self.missing(call, tie)

    def missing(self, call: Call, tie: Tie, hint: str = "") -> APIError:
        """What is answered for a thing that nobody remembers, or remembers to be this caller's."""
        blind = self.pins.blind and tie.kind in _MADE_HERE
        return unknown_now(tie) if blind else not_found(call, tie, hint)


_NOWHERE = Found()
_NOBODY: Mapping[str, tuple[Deployment, ...]] = {}

_MADE_HERE = frozenset({TieKind.RESPONSE, TieKind.CONVERSATION, TieKind.ITEM})
"""What is made by way of this Router."""
_COMMON = frozenset({TieKind.FILE, TieKind.VECTOR_STORE})
"""What an operator may have uploaded for all tenants: who has it is no tenant's secret."""


def _may_know(tie: Tie, pin: Pin, tenant: str) -> bool:
    return pin.tenant == tenant or tie.kind in _COMMON


def unknown_now(tie: Tie) -> APIError:
    """What is answered for a thing that may exist, while nobody can tell: a client that is told that it does not exist
    would give it up."""
    message = f"{tie.kind} {tie.name!r}: it can't be told now where it is; try again"
    return ServiceUnavailableError(message, code="home_unknown", retry_after=DOUBT_TTL)


def not_found(call: Call, tie: Tie, hint: str = "") -> APIError:
    """What OpenAI answers for a thing that does not exist. `hint`: what more there is to say of what a verb names."""
    name = tie.name
    if tie.kind is TieKind.RESPONSE and call.verb.by_id:
        return _refusal(ResponseNotFoundError, f"Response with id '{name}' not found.{hint}", 404)
    if tie.kind is TieKind.RESPONSE:
        message = f"Previous response with id '{name}' not found."
        return _refusal(PreviousResponseNotFoundError, message, 400, "previous_response_not_found", tie.param)
    if tie.kind is TieKind.ENCRYPTED:
        message = "The encrypted content could not be verified."
        return _refusal(BadRequestError, message, 400, "invalid_encrypted_content")
    if tie.kind is TieKind.CONVERSATION:
        message = f"Conversation with id '{name}' not found.{hint}"
        param = None if call.verb.of_conversations else "conversation"
        return _refusal(ResponseNotFoundError, message, 404, param=param)
    return _refusal(ResponseNotFoundError, f"Item with id '{name}' not found.", 404, param="input")


def _refusal(
    kind: type[APIError], message: str, status: int, code: str | None = None, param: str | None = None
) -> APIError:
    detail: JsonObject = {"message": message, "type": "invalid_request_error", "param": param, "code": code}
    body: JsonObject = {"error": detail}
    return kind(message, status_code=status, code=code, param=param, type="invalid_request_error", body=body)
