"""Where the home of a call's conversation is: from its ties and what is remembered of them, tenants apart."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from checks.affinity.domain import same_domain
from checks.affinity.pins import Pin, Pins, tenant_of
from checks.affinity.tie import Tie, TieKind, common_home
from checks.affinity.ties import ties
from providers.errors import APIError, BadRequestError, PreviousResponseNotFoundError, ResponseNotFoundError
from providers.types import Call, Deployment, JsonObject

Locate = Callable[[str], Deployment | None]
"""The deployment with an id, wherever it is in the Router now; None if it is gone."""


@dataclass(frozen=True, slots=True)
class Found:
    """What is known of where a call belongs."""

    ties: tuple[Tie, ...] = ()
    home: Deployment | None = None
    """The owner of what it can't be served without."""
    lost: str | None = None
    """Id of that owner, if the Router has it no more."""
    leaning: Deployment | None = None
    """The owner of what it would be better served with."""
    unknown: tuple[Tie, ...] = ()
    """Hard ties that nobody remembers."""

    @property
    def tied(self) -> Tie | None:
        """The first of the ties it can't be served without."""
        return next((tie for tie in self.ties if tie.hard), None)


class Homes:
    """Looks homes up. One round trip to the store, and none for a call without ties."""

    def __init__(self, pins: Pins, locate: Locate) -> None:
        self.pins = pins
        self._locate = locate

    async def find(self, call: Call, told: Mapping[str, str] | None = None) -> Found:
        """Where `call` belongs. `told` are owners known otherwise: deployment ids by key, in the call's own scope.

        Raises what upstream would if the call names what belongs to another tenant.
        """
        tied = ties(call)
        if not tied:
            return _NOWHERE
        tenant = tenant_of(call.scope)
        known = told or {}
        pinned = await self.pins.find([tie.key for tie in tied if tie.key not in known])
        pinned |= {key: Pin(owner, tenant) for key, owner in known.items()}
        self._keep_apart(call, tied, pinned, tenant)
        owners = {key: owner for key, pin in pinned.items() if (owner := self._locate(pin.deployment_id)) is not None}
        home = common_home(tied, owners, same_domain)
        hard = [tie for tie in tied if tie.hard]
        lost = None
        if home is None:
            lost = next((pinned[tie.key].deployment_id for tie in hard if tie.key in pinned), None)
        leaning = next((owners[tie.key] for tie in tied if not tie.hard and tie.key in owners), None)
        unknown = tuple(tie for tie in hard if tie.key not in pinned)
        return Found(tied, home, lost, leaning if home is None else None, unknown)

    def _keep_apart(self, call: Call, tied: Sequence[Tie], pinned: dict[str, Pin], tenant: str) -> None:
        """Another tenant's things don't exist for this one; nor, under a scope, do responses that nobody remembers."""
        for tie in tied:
            pin = pinned.get(tie.key)
            if pin is None:
                if tenant and tie.kind is TieKind.RESPONSE:
                    raise not_found(call, tie)
            elif pin.tenant != tenant:
                del pinned[tie.key]
                if tie.hard:
                    self.pins.stats.foreign += 1
                    raise not_found(call, tie)


_NOWHERE = Found()


def not_found(call: Call, tie: Tie) -> APIError:
    """What OpenAI answers for a thing that does not exist."""
    name = tie.name
    if tie.kind is TieKind.RESPONSE and call.verb.by_id:
        return _refusal(ResponseNotFoundError, f"Response with id '{name}' not found.", 404)
    if tie.kind is TieKind.RESPONSE:
        message = f"Previous response with id '{name}' not found."
        code, param = "previous_response_not_found", "previous_response_id"
        return _refusal(PreviousResponseNotFoundError, message, 400, code, param)
    if tie.kind is TieKind.ENCRYPTED:
        message = "The encrypted content could not be verified."
        return _refusal(BadRequestError, message, 400, "invalid_encrypted_content")
    if tie.kind is TieKind.CONVERSATION:
        message = f"Conversation with id '{name}' not found."
        return _refusal(ResponseNotFoundError, message, 404, param="conversation")
    return _refusal(ResponseNotFoundError, f"Item with id '{name}' not found.", 404, param="input")


def _refusal(
    kind: type[APIError], message: str, status: int, code: str | None = None, param: str | None = None
) -> APIError:
    detail: JsonObject = {"message": message, "type": "invalid_request_error", "param": param, "code": code}
    body: JsonObject = {"error": detail}
    return kind(message, status_code=status, code=code, param=param, type="invalid_request_error", body=body)
