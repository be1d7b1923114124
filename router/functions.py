"""Calls without a Router: `router.aresponses(model="openai/o1-pro", input="…")`."""

from __future__ import annotations

import threading
from collections.abc import Hashable
from typing import Any, Literal, overload

from cachetools import LRUCache

from providers import jsonio
from providers.errors import ConfigurationError
from providers.views import Response
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
_lock = threading.Lock()
_routers: LRUCache[tuple[object, ...], Router] = LRUCache(MOST)


def _router(model: str, params: dict[str, Any]) -> Router:
    """A Router of one deployment, the same one for the same place and key."""
    given = {name: params.pop(name) for name in _PARAMS if name in params}
    key = (model, *((name, _hashable(name, given[name])) for name in given))
    with _lock:
        router = _routers.get(key)
        if router is None:
            entry = {"model_name": model, "litellm_params": {"model": model, **given}}
            router = _routers[key] = Router([entry])
        return router


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
    router = _router(model, params)
    if input is not ...:
        params["input"] = input
    return await router.aresponses(model, stream=stream, **params)


@overload
def responses(model: str, input: Any = ..., *, stream: Literal[False] = False, **params: Any) -> Response: ...
@overload
def responses(model: str, input: Any = ..., *, stream: Literal[True], **params: Any) -> SyncResponseStream: ...
@overload
def responses(model: str, input: Any = ..., *, stream: bool, **params: Any) -> Response | SyncResponseStream: ...
def responses(model: str, input: Any = ..., *, stream: bool = False, **params: Any) -> Response | SyncResponseStream:
    """As `aresponses`, for synchronous callers."""
    router = _router(model, params)
    if input is not ...:
        params["input"] = input
    return router.responses(model, stream=stream, **params)
