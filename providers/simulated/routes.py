"""Which verb a path asks for."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from providers.simulated import refusals
from providers.types import Verb

_PATH = re.compile(
    r"(?P<base>(?:/v1|(?:/api/projects/[^/]+)?/openai(?:/v1)?)?)/(?P<kind>responses|models)"
    r"(?:/(?P<id>[^/]+))?(?:/(?P<action>cancel|input_items))?/?"
)
_CONVERSATION = re.compile(
    r"(?P<base>(?:/v1|(?:/api/projects/[^/]+)?/openai(?:/v1)?)?)/conversations"
    r"(?:/(?P<id>[^/]+)(?P<items>/items(?:/(?P<item>[^/]+))?)?)?/?"
)
_VERBS = {
    "": {"POST": Verb.CREATE_CONVERSATION},
    "id": {
        "GET": Verb.GET_CONVERSATION,
        "POST": Verb.UPDATE_CONVERSATION,
        "DELETE": Verb.DELETE_CONVERSATION,
    },
    "items": {"GET": Verb.LIST_CONVERSATION_ITEMS, "POST": Verb.CREATE_CONVERSATION_ITEMS},
    "item": {"GET": Verb.GET_CONVERSATION_ITEM, "DELETE": Verb.DELETE_CONVERSATION_ITEM},
}
"""Operations on conversations, by the last part of the path that is there, and the method."""
_STATIC = {"input_tokens": Verb.INPUT_TOKENS, "compact": Verb.COMPACT}


@dataclass(frozen=True, slots=True)
class Route:
    """What a request asks for."""

    verb: Verb | None
    """None: the list of models."""
    response_id: str | None = None
    azure: bool = False
    """Whether the path is one of Azure's."""
    conversation_id: str | None = None
    item_id: str | None = None


def route(method: str, path: str) -> Route:
    """The route of a request. Raises `WireError`: 404 for an unknown path, 405 for a wrong method."""
    match = _PATH.fullmatch(path)
    if match is None:
        return _of_conversations(method, path)
    azure = "/openai" in match["base"]
    response_id, action = match["id"], match["action"]
    if match["kind"] == "models":
        if response_id is not None:
            raise refusals.no_such_path(method, path)
        allowed = {"GET": Route(None, azure=azure)}
    elif response_id is None:
        allowed = {"POST": Route(Verb.CREATE, azure=azure)}
    elif response_id in _STATIC and action is None:
        allowed = {"POST": Route(_STATIC[response_id], azure=azure)}
    elif action == "cancel":
        allowed = {"POST": Route(Verb.CANCEL, response_id, azure)}
    elif action == "input_items":
        allowed = {"GET": Route(Verb.INPUT_ITEMS, response_id, azure)}
    else:
        allowed = {"GET": Route(Verb.GET, response_id, azure), "DELETE": Route(Verb.DELETE, response_id, azure)}
    return _allowed(method, path, allowed)


def _of_conversations(method: str, path: str) -> Route:
    match = _CONVERSATION.fullmatch(path)
    if match is None:
        raise refusals.no_such_path(method, path)
    last = next((name for name in ("item", "items", "id") if match[name] is not None), "")
    azure, names = "/openai" in match["base"], (match["id"], match["item"])
    routes = {name: Route(verb, None, azure, *names) for name, verb in _VERBS[last].items()}
    return _allowed(method, path, routes)


def _allowed(method: str, path: str, allowed: Mapping[str, Route]) -> Route:
    if method not in allowed:
        message = f"Not allowed to {method} on {path}. (HINT: Perhaps you meant to use a different HTTP method?)"
        raise refusals.invalid(message, code="method_not_supported", status=405)
    return allowed[method]
