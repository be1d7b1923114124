"""Calls without a Router: `router.aresponses(model="openai/o1-pro", input="…")`."""

from __future__ import annotations

import threading
from collections.abc import Hashable
from typing import Any, Literal, overload

from cachetools import LRUCache

from providers import jsonio
from providers.errors import ConfigurationError
from providers.views import Deleted, ItemPage, Response
from router.config.credentials import Credentials
from router.config.entry import PLACE
from router.router import Router
from router.stream import ResponseStream
from router.sync import SyncResponseStream

MOST = 64
"""Routers kept for reuse, so that connections are; the least recently used is dropped first."""

_PARAMS = (
    *sorted(PLACE | Credentials.model_fields.keys() | Credentials.synonyms.keys()),
    "organization",
    "project",
    "ssl_verify",
    "client_cert",
    "proxy",
)
"""Arguments that say where to send, and as whom."""
MOST_IDS = 10_000
"""Ids of responses of which it is known who made them; the least recently used is forgotten first."""
_lock = threading.Lock()
_routers: LRUCache[tuple[object, ...], Router] = LRUCache(MOST)
_makers: LRUCache[str, tuple[str, dict[str, Any]]] = LRUCache(MOST_IDS)


def _router(model: str, params: dict[str, Any]) -> Router:
    """A Router of one deployment, the same one for the same place and key."""
    given = _place(params)
    for name in given:
        del params[name]
    key = (model, *((name, _hashable(name, given[name])) for name in given))
    with _lock:
        router = _routers.get(key)
        if router is None:
            entry = {"model_name": model, "litellm_params": {"model": model, **given}}
            router = _routers[key] = Router([entry])
        return router


def _place(params: dict[str, Any]) -> dict[str, Any]:
    """Those of `params` that say where to send, and as whom."""
    return {name: params[name] for name in _PARAMS if name in params}


def _note(model: str, place: dict[str, Any], answer: Response | ResponseStream | SyncResponseStream) -> None:
    """Keep in mind where a response was made. A stream shows its id before it is handed out."""
    response = answer if isinstance(answer, Response) else answer.response
    if response is not None and response.get("id"):
        with _lock:
            _makers[response.id] = model, place


def _maker(verb: str, response_id: str, params: dict[str, Any]) -> Router:
    """The Router for where a response was made, or for the `model` that is said to hold it."""
    model = params.pop("model", None)
    if model is not None:
        return _router(model, params)
    with _lock:
        found = _makers.get(response_id)
    if found is None:
        raise ConfigurationError(
            f"{verb}: nobody here made {response_id!r}; pass model='provider/model', and what says where that is and "
            "as whom, to say who holds it"
        )
    return _router(found[0], dict(found[1]))


def _hashable(name: str, value: object) -> Hashable:
    """What tells one value from another."""
    if isinstance(value, Hashable):
        return value
    if not name.endswith("_credentials"):
        raise ConfigurationError(f"{name}: must be a text, not {type(value).__name__}")
    try:
        return jsonio.dumps(value)
    except TypeError as error:
        raise ConfigurationError(f"{name}: {error}") from None


@overload
async def aresponses(model: str, input: Any = ..., *, stream: Literal[False] = False, **params: Any) -> Response: ...
@overload
async def aresponses(model: str, input: Any = ..., *, stream: Literal[True], **params: Any) -> ResponseStream: ...
@overload
async def aresponses(model: str, input: Any = ..., *, stream: bool, **params: Any) -> Response | ResponseStream: ...
async def aresponses(model: str, input: Any = ..., *, stream: bool = False, **params: Any) -> Response | ResponseStream:
    """Create a response with no Router: `model` is `provider/model`, the key comes from the environment.

    `api_key`, `api_base`, `aws_region_name`, `vertex_project` and the other parameters that say where to send and as
    whom may be passed; all else is as of `Router.aresponses`. Retried as a Router retries; connections are
    kept. Raises `ConfigurationError` if the model's provider is unknown or has no key.
    """
    place = _place(params)
    router = _router(model, params)
    if input is not ...:
        params["input"] = input
    answer = await router.aresponses(model, stream=stream, **params)
    _note(model, place, answer)
    return answer


@overload
def responses(model: str, input: Any = ..., *, stream: Literal[False] = False, **params: Any) -> Response: ...
@overload
def responses(model: str, input: Any = ..., *, stream: Literal[True], **params: Any) -> SyncResponseStream: ...
@overload
def responses(model: str, input: Any = ..., *, stream: bool, **params: Any) -> Response | SyncResponseStream: ...
def responses(model: str, input: Any = ..., *, stream: bool = False, **params: Any) -> Response | SyncResponseStream:
    """As `aresponses`, for synchronous callers."""
    place = _place(params)
    router = _router(model, params)
    if input is not ...:
        params["input"] = input
    answer = router.responses(model, stream=stream, **params)
    _note(model, place, answer)
    return answer


async def aget_responses(response_id: str, *, stream: bool = False, **params: Any) -> Response | ResponseStream:
    """Read a response that `aresponses` made; `stream=True` resumes a background one.

    One that another process made needs `model`, and what says where that is. Raises `ResponseNotFoundError` if it is
    not there, `ConfigurationError` if nobody knows who holds it.
    """
    return await _maker("aget_responses", response_id, params).aget_responses(response_id, stream=stream, **params)


def get_responses(response_id: str, *, stream: bool = False, **params: Any) -> Response | SyncResponseStream:
    """As `aget_responses`, for synchronous callers."""
    return _maker("get_responses", response_id, params).get_responses(response_id, stream=stream, **params)


async def adelete_responses(response_id: str, **params: Any) -> Deleted:
    """Delete a response. Arguments and errors as of `aget_responses`."""
    return await _maker("adelete_responses", response_id, params).adelete_responses(response_id, **params)


def delete_responses(response_id: str, **params: Any) -> Deleted:
    """As `adelete_responses`, for synchronous callers."""
    return _maker("delete_responses", response_id, params).delete_responses(response_id, **params)


async def acancel_responses(response_id: str, **params: Any) -> Response:
    """Cancel a background response. Arguments and errors as of `aget_responses`."""
    return await _maker("acancel_responses", response_id, params).acancel_responses(response_id, **params)


def cancel_responses(response_id: str, **params: Any) -> Response:
    """As `acancel_responses`, for synchronous callers."""
    return _maker("cancel_responses", response_id, params).cancel_responses(response_id, **params)


async def alist_input_items(response_id: str, **params: Any) -> ItemPage:
    """One page of a response's input items. Arguments and errors as of `aget_responses`, and of the Router's."""
    return await _maker("alist_input_items", response_id, params).alist_input_items(response_id, **params)


def list_input_items(response_id: str, **params: Any) -> ItemPage:
    """As `alist_input_items`, for synchronous callers."""
    return _maker("list_input_items", response_id, params).list_input_items(response_id, **params)
