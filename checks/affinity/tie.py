"""A tie: one reference from a call to what a deployment made or stored, and only that deployment can read.

A hard tie refers to state that the call needs: elsewhere the call is refused, or silently answers from less than the
caller sent. A soft tie is a preference: the call is complete without it, but a deployment that has seen the
conversation answers faster and cheaper from its prompt cache. Hard ties outrank soft ones.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from enum import StrEnum
from hashlib import sha256
from typing import NamedTuple

from providers.errors import BadRequestError
from providers.types import Deployment

_DIGITS = 32
_SHOWN = 80
_NAMED = 8


class TieKind(StrEnum):
    """What a tie refers to."""

    RESPONSE = "response"
    CONVERSATION = "conversation"
    ITEM = "item"
    ENCRYPTED = "encrypted"
    FILE = "file"
    VECTOR_STORE = "vector_store"
    CONTAINER = "container"
    CACHE_KEY = "cache_key"
    SESSION = "session"


_TEXTS = frozenset({TieKind.ENCRYPTED, TieKind.CACHE_KEY, TieKind.SESSION})
"""Kinds whose names are no ids but contents, or texts of the caller's making: of any length, and perhaps private."""


class Tie(NamedTuple):
    """One reference from a call to what a deployment holds."""

    kind: TieKind
    name: str
    """The id as the caller wrote it; of encrypted content its fingerprint."""
    key: str
    """What a store knows it by."""
    hard: bool
    """Whether the call can't be served without what it refers to."""
    param: str
    """Where it stands: `previous_response_id`, `input[3].id`, `tools[0].vector_store_ids[1]`."""


def fingerprint(text: str) -> str:
    """A digest of `text` to know it by, which doesn't tell it: 128 bits of SHA-256 in hex."""
    return sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:_DIGITS]


def store_key(kind: TieKind, name: str) -> str:
    """What a store knows a thing by.

    A response's is its id alone. Encrypted content, cache keys and sessions are known by a fingerprint: a store
    never sees what they say, and its keys stay short.
    """
    if kind is TieKind.RESPONSE:
        return name
    return f"{kind}:{fingerprint(name) if kind in _TEXTS else name}"


def common_homes(
    ties: Sequence[Tie],
    owners: Mapping[str, tuple[Deployment, ...]],
    same_domain: Callable[[Deployment, Deployment], bool],
) -> tuple[Deployment, ...]:
    """The owners of the first hard tie whose owners are known (by key, in `owners`) that share state with one of each
    other such tie's. What was made has one owner; what was uploaded may be in several places.

    Empty if no hard tie's owners are known. Raises `BadRequestError`, naming two ties, their owners and the fix, if
    none are left: nobody could serve the call.
    """
    first: Tie | None = None
    left: tuple[Deployment, ...] = ()
    for tie in ties:
        held = owners.get(tie.key) if tie.hard else None
        if held is None or held == left:
            continue
        if first is None:
            first, left = tie, held
            continue
        left = tuple(one for one in left if any(one is each or same_domain(one, each) for each in held))
        if not left:
            raise BadRequestError(
                f"{tie.param}: {_shown(tie)} is held by deployment {_named(held)}, but {first.param}: {_shown(first)} "
                f"by {_named(owners[first.key])}, and no deployment holds all that the call refers to; leave one of "
                f"the two out, or, if these deployments do share their state, give both the same account",
                param=tie.param,
                code="conflicting_ties",
            )
    return left


def _named(owners: Sequence[Deployment]) -> str:
    return " or ".join(repr(each.id) for each in owners[:_NAMED])


def _shown(tie: Tie) -> str:
    name = tie.name if len(tie.name) <= _SHOWN else tie.name[:_SHOWN] + "…"
    return f"{tie.kind.replace('_', ' ')} {name!r}"
