"""From an HTTP request to the arguments of a Router's verb."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, cast

from providers.errors import BadRequestError
from providers.queries import NativeQuery
from providers.types import Json
from router.proxy.exchange import Head
from router.proxy.holder import MARK, Holder

_SECRET = frozenset(
    {"authorization", "x-api-key", "api-key", "x-litellm-api-key", "x-goog-api-key", "cookie", "proxy-authorization"}
)
_ONWARD = frozenset({"openai-beta", "session-id", "thread-id", "x-client-request-id", "originator"})
_ONWARD_PREFIXES = ("x-codex-", "x-openai-")
"""Headers of the client that go upstream: what its own protocol says there."""
_OURS = frozenset({"affinity_scope", "extra_headers", "extra_query"})
"""Arguments of the Router that clients of the proxy can't set in a body."""
_MOST_RETRIES = 100
"""How often a client can have a call tried again: a deployment that fails must not be asked for ever."""
_SECONDS = {"x-litellm-timeout": "timeout", "x-litellm-stream-timeout": "stream_timeout"}


def arguments(head: Head, body: Mapping[str, Json]) -> dict[str, Any]:
    """What a body, the query and the headers ask of the Router. Raises `BadRequestError`."""
    params: dict[str, Any] = dict(body)
    for name in sorted(_OURS & params.keys()):
        raise BadRequestError(f"{name}: is not for clients of the proxy to set", param=name, code="invalid_argument")
    headers = head.headers
    query = head.parameters()
    query.pop("api-version", None)  # of Azure's clients; which one a deployment is asked in is its own to say
    if query:
        params["extra_query"] = NativeQuery(query)
    onward = {name: value for name, value in headers.items() if name in _ONWARD or name.startswith(_ONWARD_PREFIXES)}
    if onward:
        params["extra_headers"] = onward
    params["litellm_metadata"] = _metadata(params, headers, head.holder)
    if head.holder.scope is not None:
        params["affinity_scope"] = head.holder.scope
    for header, name in _SECONDS.items():
        if header in headers:
            params[name] = _number(header, headers[header])
    if "x-litellm-num-retries" in headers:
        params["num_retries"] = int(_number("x-litellm-num-retries", headers["x-litellm-num-retries"]))
    retries = params.get("num_retries")
    if isinstance(retries, int) and retries > _MOST_RETRIES:
        said = f"num_retries: must be {_MOST_RETRIES} or less"
        raise BadRequestError(said, param="num_retries", code="invalid_argument")
    return params


def _metadata(params: dict[str, Any], headers: Mapping[str, str], holder: Holder) -> dict[str, object]:
    """What is for checks, callbacks and the accounts: the caller's own, tags, the headers that are no secret, the key.

    What a client says of keys by itself is left out: nobody calls in another's name.
    """
    given = params.pop("litellm_metadata", None) or {}
    if not isinstance(given, dict):
        said = f"litellm_metadata: must be an object, not {type(given).__name__}"
        raise BadRequestError(said, param="litellm_metadata", code="invalid_argument")
    own = cast("Mapping[str, object]", given)
    metadata = {name: value for name, value in own.items() if not name.startswith(MARK)}
    metadata.update(holder.marks)
    tags = params.pop("tags", None) or metadata.get("tags") or headers.get("x-litellm-tags")
    if isinstance(tags, str):
        tags = [tag.strip() for tag in tags.split(",") if tag.strip()]
    if tags:
        metadata["tags"] = tags
    metadata["headers"] = {name: value for name, value in headers.items() if name not in _SECRET}
    return metadata


def _number(header: str, value: str) -> float:
    try:
        number = float(value)
    except ValueError:
        number = math.nan
    if not math.isfinite(number):
        raise BadRequestError(f"{header}: must be a number, not {value!r}", code="invalid_argument")
    return number
