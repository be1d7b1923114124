"""Which group a call means that names none: the one that holds what it names, or the only one there is to ask."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence

from checks.affinity.domain import domain, peers
from checks.affinity.remembered import Remembered
from checks.affinity.responses_api_deployment import ResponsesApiDeployment
from checks.affinity.tie import Tie, TieKind, store_key
from checks.base import PreCallCheck
from providers.conversations import VENDORS, keeps_conversations
from providers.errors import APITimeoutError, BadRequestError, NoDeploymentError, UnsupportedParamsError
from providers.types import Call, Deployment, Verb
from router.registry import Registry

_NAMED = 8
"""Groups that an error names."""


async def group_of(
    call: Call, registry: Registry, checks: Sequence[PreCallCheck], remembered: Remembered, deadline: float | None
) -> str:
    """The group to ask about the response, or the conversation, that `call` names; or to make a conversation in.

    What nobody remembers is searched for in all groups that could have it, if the Router is one that searches.

    Raises `ResponseNotFoundError` for what nobody has, or is not this tenant's; `BadRequestError` if any of several
    groups may be meant, and nothing is remembered of who has what; `UnsupportedParamsError` if nobody keeps
    conversations; `APITimeoutError` if a search takes longer than `deadline`, in seconds.
    """
    if call.verb is Verb.CREATE_CONVERSATION:
        return group_for_conversation(registry)
    if not registry.groups:
        raise NoDeploymentError("there are no deployments", code="no_deployment_available")
    kind, name = TieKind.RESPONSE, call.response_id
    if call.verb.of_conversations:
        kind, name = TieKind.CONVERSATION, call.conversation_id
    assert name is not None, "it was checked"
    if kind is TieKind.RESPONSE and remembered.needed:
        group = await remembered.group(name, call.scope)
        if group is not None:  # which may be gone: what is kept here is found from any
            return group if group in registry.groups else next(iter(registry.groups))
    knowing = [check for check in checks if isinstance(check, ResponsesApiDeployment)]
    for check in knowing:
        home = await check.home(name, call.scope, kind)
        if home is not None:
            return _group_at(home, registry)
    able = keeps_conversations if kind is TieKind.CONVERSATION else _keeps_state
    groups = _having(registry, able) or list(registry.groups)[:1]
    if _alike(registry, groups, able):
        return groups[0]
    tie = Tie(kind, name, store_key(kind, name), True, f"{kind}_id")
    if not knowing:
        raise _unsaid(f"without responses_api_deployment_check it is not known who holds {name!r}", groups)
    hint = ""
    if call.scope is None:  # a tenant's are those that are remembered
        members = [each for group in groups for each in registry.groups[group] if able(each)]
        try:
            async with asyncio.timeout(deadline):
                for check in knowing:
                    owner = await check.search(call, tie, members)
                    if owner is not None:
                        return owner.group
        except TimeoutError:
            said = f"the call's deadline of {deadline:g} s passed while {name!r} was looked for"
            raise APITimeoutError(said) from None
        hint = f" It is not remembered who holds it; {_choice(groups)} asks one group."
    raise knowing[0].missing(call, tie, hint)


def group_for_conversation(registry: Registry, allowed: Callable[[str], bool] = lambda _: True) -> str:
    """The group to make a conversation in, of those that are `allowed`: any, if they are the same places.

    Raises `UnsupportedParamsError` if there is none, `BadRequestError` if there are several.
    """
    groups = [name for name in _having(registry, keeps_conversations) if allowed(name)]
    if _alike(registry, groups, keeps_conversations):
        return groups[0]
    if groups:
        raise _unsaid("several groups keep conversations", groups)
    said = f"no deployment that may be asked keeps conversations; those of {', '.join(sorted(VENDORS))} would"
    raise UnsupportedParamsError(said, code="unsupported_operation", type="invalid_request_error")


def _group_at(home: Deployment, registry: Registry) -> str:
    """The group of what a home holds. If that is gone, one that holds it too; if there is none, the check says so."""
    if home.group in registry.groups:
        return home.group
    holding = (name for name, members in registry.groups.items() if peers(home, members))
    return next(holding, next(iter(registry.groups)))


def _having(registry: Registry, able: Callable[[Deployment], bool]) -> list[str]:
    return [name for name, members in registry.groups.items() if any(map(able, members))]


def _alike(registry: Registry, groups: Sequence[str], able: Callable[[Deployment], bool]) -> bool:
    """Whether it is the same to ask any of `groups`: there is but one, or all keep their state in the same places."""
    return len(groups) == 1 or len({_places(registry, name, able) for name in groups}) == 1


def _places(registry: Registry, group: str, able: Callable[[Deployment], bool]) -> frozenset[object]:
    return frozenset(domain(each) for each in registry.groups[group] if able(each))


def _keeps_state(deployment: Deployment) -> bool:
    return deployment.dialect.keeps_state


def _unsaid(problem: str, groups: Sequence[str]) -> BadRequestError:
    return BadRequestError(f"{problem}; pass {_choice(groups)}", param="model", code="missing_required_parameter")


def _choice(groups: Sequence[str]) -> str:
    more = ", …" if len(groups) > _NAMED else ""
    return f"model= (one of {', '.join(groups[:_NAMED])}{more})"
