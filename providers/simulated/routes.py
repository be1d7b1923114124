"""Which verb a path asks for."""

from __future__ import annotations

import re
from dataclasses import dataclass

from providers.simulated import refusals
from providers.types import Verb

_PATH = re.compile(
    r"(?P<base>(?:/v1|(?:/api/projects/[^/]+)?/openai(?:/v1)?)?)/(?P<kind>responses|models)"
    r"(?:/(?P<id>[^/]+))?(?:/(?P<action>cancel|input_items))?/?"
)
_STATIC = {"input_tokens": Verb.INPUT_TOKENS, "compact": Verb.COMPACT}


@dataclass(frozen=True, slots=True)
class Route:
    """What a request asks for."""

    verb: Verb | None
    """None: the list of models."""
    response_id: str | None = None
    azure: bool = False
    """Whether the path is one of Azure's."""


def route(method: str, path: str) -> Route:
    """The route of a request. Raises `WireError`: 404 for an unknown path, 405 for a wrong method."""
    match = _PATH.fullmatch(path)
    if match is None:
        raise refusals.no_such_path(method, path)
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
    if method not in allowed:
        message = f"Not allowed to {method} on {path}. (HINT: Perhaps you meant to use a different HTTP method?)"
        raise refusals.invalid(message, code="method_not_supported", status=405)
    return allowed[method]
