"""What went wrong on the wire, in our errors. Messages name the host, never a header's value or a query."""

from __future__ import annotations

import re
from urllib.parse import urlsplit

from providers.errors import (
    APIConnectionError,
    APIError,
    APITimeoutError,
    AuthenticationError,
    BadRequestError,
    ConfigurationError,
    MalformedReplyError,
    StreamInterruptedError,
)
from providers.types import HttpRequest

_CREDENTIALS = frozenset({"authorization", "api-key", "x-api-key"})
_ILLEGAL_VALUE = re.compile(r"[\x00\r\n]|^\s|\s$|[^\x00-\x7f]")
_URL = re.compile(r"https?://[^\s'\"]+")
_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")


def place(url: str) -> str:
    """Where a request goes, fit to be shown: scheme, host and port without credentials, path or query."""
    try:
        parts = urlsplit(url)
    except ValueError:
        return "(not a URL)"
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}"


def fit_to_show(cause: BaseException) -> BaseException | None:
    """`cause`, to be shown in a traceback, unless it quotes a URL: that may have a secret in its query."""
    return None if _URL.search(str(cause)) else cause


def no_address(url: str) -> ConfigurationError:
    """Nothing can be sent to this URL."""
    return ConfigurationError(f"{place(url)!r} is not an http:// or https:// address; check `api_base`")


def not_connected(url: str, cause: BaseException) -> APIConnectionError:
    """No reply began: refused, reset, no such host, TLS refused, proxy refused."""
    return APIConnectionError(f"no connection to {place(url)}: {_reason(cause)}")


def too_late(url: str, timeout: float) -> APITimeoutError:
    """No reply began within `timeout` seconds."""
    return APITimeoutError(f"{place(url)} did not answer within {timeout:g} s")


def interrupted(url: str, cause: BaseException) -> StreamInterruptedError:
    """The connection was lost inside the body."""
    return StreamInterruptedError(f"the reply of {place(url)} broke off: {_reason(cause)}")


def too_large(url: str, limit: int) -> MalformedReplyError:
    """The body exceeds `limit` bytes."""
    return MalformedReplyError(f"the reply of {place(url)} is larger than {limit} bytes")


def not_http(url: str, cause: BaseException) -> MalformedReplyError:
    """What came back is not HTTP, or its head exceeds the limits."""
    return MalformedReplyError(f"{place(url)} did not answer in HTTP: {_reason(cause)}")


def unsendable(request: HttpRequest, cause: BaseException) -> APIError:
    """The request breaks HTTP's rules. A broken key is the deployment's fault, anything else the caller's.

    The usual case is an API key read from a file together with its newline, so the header is named; its value is
    not shown, nor is `cause`, which may quote it.
    """
    for name, value in request.headers.items():
        if _ILLEGAL_VALUE.search(value) or not _NAME.fullmatch(name):
            kind = AuthenticationError if name.lower() in _CREDENTIALS else BadRequestError
            return kind(
                f"header {name!r} cannot be sent: its name or value holds a line break, outer whitespace or another"
                " character HTTP forbids",
                param=name,
            )
    return BadRequestError(f"the {request.method} request to {place(request.url)} cannot be sent: {_kind(cause)}")


def _reason(cause: BaseException) -> str:
    # aiohttp keeps the bare message apart from a text that quotes the whole URL.
    text = str(getattr(cause, "message", "") or cause).strip().partition("\n")[0]
    text = _URL.sub(lambda url: place(url[0]), text)
    return f"{_kind(cause)}: {text}" if text else _kind(cause)


def _kind(cause: BaseException) -> str:
    return type(cause).__name__
