"""Which group a call means that names none: the one that holds what it names, or the only one there is to ask."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from checks.affinity.homes import not_found
from checks.affinity.remembered import Remembered
from checks.affinity.responses_api_deployment import ResponsesApiDeployment
from checks.affinity.tie import Tie, TieKind, store_key
from checks.base import PreCallCheck
from providers.conversations import VENDORS, keeps_conversations
from providers.errors import BadRequestError, UnsupportedParamsError
from providers.types import Call, Deployment, Verb
from router.registry import Registry

_NAMED = 8
"""Groups that an error names."""


async def group_of(call: Call, registry: Registry, checks: Sequence[PreCallCheck], remembered: Remembered) -> str:
    """The group to ask about the response, or the conversation, that `call` names; or to make a conversation in.

    Raises `BadRequestError` if there are several, `ResponseNotFoundError` for what is not this tenant's,
    `UnsupportedParamsError` if nobody keeps conversations.
    """
    if call.verb is Verb.CREATE_CONVERSATION:
        return group_for_conversation(registry)
    kind, name = TieKind.RESPONSE, call.response_id
    if call.verb.of_conversations:
        kind, name = TieKind.CONVERSATION, call.conversation_id
    assert name is not None, "it was checked"
    if kind is TieKind.RESPONSE and remembered.needed and registry.groups:
        group = await remembered.group(name, call.scope)
        if group is not None:  # which may be gone: what is kept here is found from any
            return group if group in registry.groups else next(iter(registry.groups))
    bound = False
    for check in checks:
        if isinstance(check, ResponsesApiDeployment):
            home = await check.home(name, call.scope, kind)
            if home is not None:
                return home.group
            bound = True
    groups = _having(registry, keeps_conversations if kind is TieKind.CONVERSATION else _keeps_state)
    groups = groups or list(registry.groups)[:1]
    if len(groups) == 1:
        return groups[0]
    if bound and call.scope is not None:  # a tenant's are those that are remembered
        raise not_found(call, Tie(kind, name, store_key(kind, name), True, f"{kind}_id"))
    raise _unsaid(f"it is not known which deployment holds {name!r}", groups)


def group_for_conversation(registry: Registry, allowed: Callable[[str], bool] = lambda _: True) -> str:
    """The group to make a conversation in, of those that are `allowed`.

    Raises `UnsupportedParamsError` if there is none, `BadRequestError` if there are several.
    """
    groups = [name for name in _having(registry, keeps_conversations) if allowed(name)]
    if len(groups) == 1:
        return groups[0]
    if groups:
        raise _unsaid("several groups keep conversations", groups)
    said = f"no deployment that may be asked keeps conversations; those of {', '.join(sorted(VENDORS))} would"
    raise UnsupportedParamsError(said, code="unsupported_operation", type="invalid_request_error")


def _having(registry: Registry, able: Callable[[Deployment], bool]) -> list[str]:
    groups: Mapping[str, Sequence[Deployment]] = registry.groups
    return [name for name, members in groups.items() if any(map(able, members))]


def _keeps_state(deployment: Deployment) -> bool:
    return deployment.dialect.keeps_state


def _unsaid(problem: str, groups: Sequence[str]) -> BadRequestError:
    more = ", …" if len(groups) > _NAMED else ""
    return BadRequestError(
        f"{problem}; pass model= (one of {', '.join(groups[:_NAMED])}{more})",
        param="model",
        code="missing_required_parameter",
    )
