"""Who a call is for: the person, or the customer, at the end of the line."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Mapping
from typing import Final

from providers.types import Call

HEADERS: Final = ("x-litellm-customer-id", "x-litellm-end-user-id")
"""Headers that say it, wherever they stand; the first wins."""
LONGEST: Final = 256
"""Characters of an id; a longer one is replaced by its digest, and so is one that can't be printed."""

_EMAIL = re.compile(r"[^\s@]+@[^\s@]+\.[^\s@.]{2,}")
_PHONE = re.compile(r"\+?\(?\d[\d\s()./-]{5,24}\d")


class EndUsers:
    """Tells who each call is for. Pure.

    The first of these that says it: the header `x-litellm-customer-id`, `x-litellm-end-user-id`, those of `headers`
    in order; `user` of the body; `user` or `user_id` of `litellm_metadata`; `user_id` of the body's `metadata`;
    `safety_identifier`. Headers are the call's `extra_headers`, or those that a proxy was sent and passed on as
    `headers` of `litellm_metadata`; their names in any case. With `hashed`, ids that look like an e-mail address or
    a telephone number are replaced by their `digest`.
    """

    def __init__(self, headers: Iterable[str] = (), *, hashed: bool = False) -> None:
        self.headers: Final = tuple(dict.fromkeys((*HEADERS, *(name.lower() for name in headers))))
        """Names of the headers that say it, in lower case; they are not sent upstream."""
        self._hashed = hashed

    def __call__(self, call: Call) -> str | None:
        """Who `call` is for; None if it does not say."""
        metadata = call.metadata
        named = self._by_header(call) if call.headers or call.unsent or "headers" in metadata else None
        if named is None:
            body = {**call.body, **call.extra_body} if call.extra_body else call.body  # as it goes upstream
            named = _text(body.get("user"))
            if named is None and (named := _elsewhere(body, metadata)) is None:
                return None
        if len(named) > LONGEST or not named.isprintable() or (self._hashed and is_personal(named)):
            return digest(named)
        return named

    def _by_header(self, call: Call) -> str | None:
        lower = _lower(call.metadata.get("headers")) | _lower(call.headers) | _lower(call.unsent)
        for name in self.headers if lower else ():
            if (named := _text(lower.get(name))) is not None:
                return named
        return None


def _elsewhere(body: Mapping[str, object], metadata: Mapping[str, object]) -> str | None:
    """Who a call is for that has no `user`."""
    for value in (metadata.get("user"), metadata.get("user_id")) if metadata else ():
        if (named := _text(value)) is not None:
            return named
    inner = body.get("metadata")
    said = _text(inner.get("user_id")) if isinstance(inner, Mapping) else None
    return said or _text(body.get("safety_identifier"))


def _lower(headers: object) -> dict[str, object]:
    if not headers or not isinstance(headers, Mapping):
        return {}
    return {str(name).lower(): value for name, value in headers.items()}


def is_personal(name: str) -> bool:
    """Whether it looks like an e-mail address, or has one in it, or like a telephone number."""
    if _EMAIL.search(name):
        return True
    digits = sum(each.isdigit() for each in name)
    # a bare number may be any id; with a plus, or set in groups, or as long as a number with its country is one
    return bool(7 <= digits <= 15 and _PHONE.fullmatch(name) and (digits >= 10 or not name.isdigit()))


def digest(name: str) -> str:
    """What stands in for an id: `sha256:` and the first 24 digits of the hash of its lower case. Always the same, so
    that one who knows the id can look for it."""
    return f"sha256:{hashlib.sha256(name.lower().encode('utf-8', 'replace')).hexdigest()[:24]}"


def _text(value: object) -> str | None:
    if isinstance(value, str):
        return value.strip() or None
    return str(value) if isinstance(value, int) and not isinstance(value, bool) else None
