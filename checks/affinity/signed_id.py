"""Ids that say where home is: an upstream id wrapped with the tag of its owner, and signed. No store is needed.

    resp_hr1-<55 characters of URL-safe base64>          64 in all for an id of OpenAI's
              form 1 · owner 5 · signature 10 · id ≤ 25  bytes

Ids of conversations are wrapped alike, behind `conv_`. `hr1-` tells the scheme's first version from what upstreams
send: `h`, `r` and `-` stand in no hexadecimal id. *Form* says how the id is packed. *Owner* is a digest of its name.
*Signature* is keyed BLAKE2b (RFC 7693) over all else, and over the scope: nobody without the key can make an id, change
one, or use one of another scope.
"""

from __future__ import annotations

import hmac
from base64 import urlsafe_b64decode, urlsafe_b64encode
from hashlib import blake2b
from typing import NamedTuple

from pydantic import SecretStr

from checks.affinity.packing import pack, unpack
from providers.errors import BadRequestError, ConfigurationError

LONGEST = 64
"""Characters of the longest id that OpenAI accepts as `previous_response_id`."""
SHORTEST_KEY = 16
"""Characters."""
_RESPONSE, _CONVERSATION = "resp_", "conv_"
_MARK = "hr1-"
_OWNER = 5
_SIGNATURE = 10
_FIXED = 1 + _OWNER + _SIGNATURE
_ROOM = (LONGEST - len(_RESPONSE + _MARK)) * 3 // 4 - _FIXED
"""Bytes for the id itself."""


class SignedIdError(BadRequestError):
    """An id has the shape of those this Router gives out, but wasn't given out by it, or not to this scope."""


class Signed(NamedTuple):
    """What a signed id says."""

    upstream_id: str
    owner_tag: str


class SignedIds:
    """Wraps upstream ids and unwraps them.

    `key` signs, and must be the same in every process of a fleet; a text of at least 16 characters. Ids signed with
    `previous_key` are still taken: to rotate, give every process the new key as `previous_key`, then swap the two,
    and drop the old one when its ids have expired. Raises `ConfigurationError` for a key that is too short.
    """

    __slots__ = ("_head", "_keys", "_prefix")

    def __init__(self, key: SecretStr, *, previous_key: SecretStr | None = None) -> None:
        keys = [_derived(key, "key")]
        if previous_key is not None:
            keys.append(_derived(previous_key, "previous_key"))
        self._keys = tuple(keys)
        self._name(_RESPONSE)

    def of_conversations(self) -> SignedIds:
        """The same for ids of conversations, of which only those that begin with `conv_` are wrapped."""
        other = object.__new__(SignedIds)
        other._keys = self._keys
        other._name(_CONVERSATION)
        return other

    def _name(self, prefix: str) -> None:
        self._prefix = prefix
        self._head = prefix + _MARK

    def wrap(self, upstream_id: str, owner: str, *, scope: str = "") -> str:
        """The id to give to the caller: always the same one for the same arguments and key.

        An id that this already wrapped is returned as it is. So is one that doesn't fit (`fits`): the call has been
        served, and losing its answer would be worse than an id that the Router must find the owner of by asking.
        `owner` names who holds the response; `scope` names a tenant: the id is refused in any other.
        """
        packed = self._packed(upstream_id)
        if packed is None:
            return upstream_id
        form, payload = packed
        told = bytes((form,)) + _digest(owner)
        body = told + self._signature(self._keys[0], told + payload, scope) + payload
        return self._head + urlsafe_b64encode(body).rstrip(b"=").decode()

    def unwrap(self, id: str, *, scope: str = "") -> Signed | None:
        """The upstream id and its owner's tag; None for an id that isn't of this kind, which is an upstream's own.

        Raises `SignedIdError` for an id that looks like one of ours (but for one character of its head, at most) and
        isn't signed with either key for this scope.
        """
        if not _looks_ours(id, self._head):
            return None
        body = _decoded(id, self._head)
        if body is None:
            raise self._refusal(id)
        told, signature, payload = body[: 1 + _OWNER], body[1 + _OWNER : _FIXED], body[_FIXED:]
        genuine = [hmac.compare_digest(signature, self._signature(key, told + payload, scope)) for key in self._keys]
        if not any(genuine):
            raise self._refusal(id)
        upstream_id = unpack(told[0], payload)
        return Signed(upstream_id if self._prefix == _RESPONSE else self._prefix + upstream_id, told[1:].hex())

    def _packed(self, upstream_id: str) -> tuple[int, bytes] | None:
        """Its form and its bytes, if it can be wrapped."""
        bare = upstream_id
        if self._prefix != _RESPONSE:  # which `pack` knows, and does without
            bare = upstream_id.removeprefix(self._prefix)
            if bare == upstream_id:
                return None
        packed = pack(bare)
        fitting = packed is not None and len(packed[1]) <= _ROOM and not _looks_ours(upstream_id, self._head)
        return packed if fitting else None

    def _signature(self, key: bytes, told: bytes, scope: str) -> bytes:
        where = blake2b(scope.encode("utf-8", "surrogatepass"), digest_size=16).digest()
        person = b"homing id 1" if self._prefix == _RESPONSE else b"homing conv 1"
        return blake2b(where + told, key=key, digest_size=_SIGNATURE, person=person).digest()

    def _refusal(self, id: str) -> SignedIdError:
        kind = "response" if self._prefix == _RESPONSE else "conversation"
        return SignedIdError(_REFUSAL.format(id[:LONGEST], kind), code=f"invalid_{kind}_id")


def fits(upstream_id: str) -> bool:
    """Whether an upstream id can be wrapped.

    With or without `resp_` before it: hexadecimal digits (up to 50), a UUID, up to 33 of `A-Za-z0-9_-`, or any text of
    up to 25 bytes. Not one that looks wrapped: of a Router behind this one, say.
    """
    packed = pack(upstream_id)
    return packed is not None and len(packed[1]) <= _ROOM and not _looks_ours(upstream_id, _RESPONSE + _MARK)


def owner_tag(name: str) -> str:
    """The tag that stands for an owner's name: 40 bits of a digest, in hex. No key has a part in it."""
    return _digest(name).hex()


_REFUSAL = (
    "{!r} is no id that this Router gave out to you: it was changed, or signed with a key that this Router doesn't "
    "have; pass a {}'s id exactly as it was returned"
)


def _looks_ours(id: str, ours: str) -> bool:
    """Whether the head is `ours`, or that with one character changed."""
    if id.startswith(ours):
        return True
    head = id[: len(ours)]
    return len(head) == len(ours) and sum(a != b for a, b in zip(head, ours, strict=True)) == 1


def _decoded(id: str, head: str) -> bytes | None:
    """The bytes in an id behind its head; None if it isn't written exactly as `wrap` would."""
    if not id.startswith(head) or len(id) > LONGEST:
        return None
    text = id[len(head) :]
    try:
        body = urlsafe_b64decode(text + "=" * (-len(text) % 4))
    except ValueError:
        return None
    # the decoder passes over foreign characters and spare bits
    exact = len(body) >= _FIXED and urlsafe_b64encode(body).rstrip(b"=") == text.encode()
    return body if exact else None


def _digest(name: str) -> bytes:
    text = name.encode("utf-8", "surrogatepass")
    return blake2b(text, digest_size=_OWNER, person=b"homing owner").digest()


def _derived(key: SecretStr, name: str) -> bytes:
    text = key.get_secret_value()
    if len(text) < SHORTEST_KEY:
        raise ConfigurationError(f"{name}: must have at least {SHORTEST_KEY} characters; use a random one")
    return blake2b(text.encode("utf-8", "surrogatepass"), digest_size=32, person=b"homing key").digest()
