"""What was said in a conversation, turn by turn, kept so that another deployment can be told."""

from __future__ import annotations

import zlib
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Final, Literal, Protocol, TypeAlias, cast

import msgspec

from checks.affinity.pins import tenant_of
from providers import jsonio
from providers.types import UNFINISHED, Call, Json, JsonObject, Verb

MAX_TURN_BYTES: Final = 1024 * 1024
"""The largest turn that stores keep, encoded, unless told otherwise."""
_LARGEST: Final = 32 * 1024 * 1024
"""JSON of one turn that is ever packed or unpacked: a few bytes can be made to unpack to gigabytes."""
_VERSION: Final = b"\x01"
_STEP: Final = 256 * 1024
_FASTEST: Final = 1  # zlib's level: for text a quarter larger than its default, in a quarter of the time
_NEVER: Final = 1e12  # seconds


@dataclass(frozen=True, slots=True)
class Turn:
    """One request and what came of it. It holds JSON as it came; nothing here changes it."""

    response_id: str
    previous_response_id: str | None
    input: tuple[JsonObject, ...]
    """What the request added: without what its `previous_response_id` or `conversation` stands for."""
    output: tuple[JsonObject, ...]
    store: bool = True
    """Whether the deployment that answered says that it keeps the response."""
    group: str = ""
    created: float = 0.0
    """Unix time, seconds."""
    conversation: str | None = None
    """The hosted conversation it is a part of, which holds what was said before."""
    finished: bool = True
    """Whether the response had ended; if not, `output` is not all of it."""
    response: JsonObject | None = None
    """The response itself, null in place of its output; only if it was made where no state is kept: nobody but us
    can continue it, or show it."""
    deployment: str = ""
    """Id of the deployment that made it, and below its provider; empty where it wasn't written down."""
    provider: str = ""
    tenant: str = ""
    """Digest of the scope it was made in; empty without one."""

    @property
    def whole(self) -> JsonObject | None:
        """The response as it was made, if it is here."""
        return None if self.response is None else {**self.response, "output": list(self.output)}

    @classmethod
    def of(cls, call: Call, response: Mapping[str, Json]) -> Turn | None:
        """The turn that `call`, as its caller made it, and its answer make; None if it can't be continued by id.

        That is: if the call is not a creation, if it says `store: false` (then we keep no copy either), if the answer
        has no id, or if input or output are not lists of items.
        """
        body = {**call.body, **call.extra_body}
        response_id, output = response.get("id"), _objects(response.get("output"))
        if call.verb is not Verb.CREATE or body.get("store") is False:
            return None
        given = items_of(body.get("input"))
        if given is None or output is None or not isinstance(response_id, str) or not response_id:
            return None
        created = response.get("created_at")
        return cls(
            response_id=response_id,
            previous_response_id=_id_of(body.get("previous_response_id")),
            input=given,
            output=output,
            store=response.get("store") is not False,
            group=call.group,
            created=float(created) if isinstance(created, (int, float)) and 0 <= created < _NEVER else 0.0,
            conversation=_id_of(body.get("conversation")),
            finished=response.get("status") not in UNFINISHED,
            tenant=tenant_of(call.scope),
        )

    def updated(self, response: Mapping[str, Json]) -> Turn:
        """The same turn after a later read of its response: what a background response said meanwhile."""
        output = _objects(response.get("output"))
        if output is None:
            return self
        return replace(self, output=output, finished=response.get("status") not in UNFINISHED)

    @property
    def size(self) -> int:
        """Bytes of its items as JSON."""
        return len(jsonio.dumps((self.input, self.output)))


def items_of(value: object) -> tuple[JsonObject, ...] | None:
    """The items of an `input`, as plain JSON: a string is one message of the user. None if it is no such thing."""
    if value is None:
        return ()
    if isinstance(value, str):
        return ({"type": "message", "role": "user", "content": value},)
    try:
        return _objects(jsonio.loads(jsonio.dumps(value)))
    except TypeError:
        return None


def _objects(value: Json) -> tuple[JsonObject, ...] | None:
    if not isinstance(value, list) or not all(isinstance(item, dict) for item in value):
        return None
    return tuple(cast("list[JsonObject]", value))


def _id_of(value: object) -> str | None:
    """The id in a reference: a string, or an object with an `id`."""
    if isinstance(value, Mapping):
        value = value.get("id")
    return value if isinstance(value, str) and value else None


class _Record(msgspec.Struct, array_like=True, frozen=True):
    """A turn as it is stored. Only ever appended to; anything else takes a new version."""

    response_id: str
    previous_response_id: str | None
    input: tuple[dict[str, object], ...]
    output: tuple[dict[str, object], ...]
    store: bool
    group: str
    created: float
    conversation: str | None
    finished: bool
    # appended later: what was stored before has none of them
    response: dict[str, object] | None = None
    deployment: str = ""
    provider: str = ""
    tenant: str = ""


def encode(turn: Turn, *, limit: int = MAX_TURN_BYTES) -> bytes | None:
    """`turn` as bytes: a version, then compressed JSON. None if that takes more than `limit` bytes, or can't be."""
    try:
        raw = memoryview(jsonio.dumps(_Record(*(getattr(turn, name) for name in _Record.__struct_fields__))))
    except TypeError:  # say, an integer of thousands of digits
        return None
    if len(raw) > _LARGEST:
        return None
    deflate = zlib.compressobj(_FASTEST)
    data = bytearray(_VERSION)
    for start in range(0, len(raw), _STEP):
        data += deflate.compress(raw[start : start + _STEP])
        if len(data) > limit:  # images hardly shrink: stop as soon as it is clear
            return None
    data += deflate.flush()
    return bytes(data) if len(data) <= limit else None


def decode(data: bytes) -> Turn | None:
    """The turn that `encode` made `data` of; None for anything else."""
    if data[:1] != _VERSION:
        return None
    inflate = zlib.decompressobj()
    try:
        raw = inflate.decompress(data[1:], _LARGEST)
        if not inflate.eof:
            return None  # cut off, or too much
        record = msgspec.convert(jsonio.loads(raw), _Record)
    except (zlib.error, ValueError, msgspec.ValidationError):
        return None
    return Turn(*(getattr(record, name) for name in _Record.__struct_fields__))


class TranscriptStore(Protocol):
    """Remembers turns, within bounds. Implemented in memory and in Redis. No method raises for an outage."""

    async def get(self, response_id: str, *, fresh: bool = False) -> Turn | None:
        """The turn that made a response, whose time to live starts anew; None if it is not, or no longer, known.

        `fresh`: what others that share the store have deleted is gone; it may take longer to say so.
        """
        ...

    async def put(self, turn: Turn, *, ttl: float) -> None:
        """Remember `turn` for `ttl` seconds, in place of an older one of its id; not if it is too large."""
        ...

    async def delete(self, response_id: str) -> None:
        """Forget the turn that made a response."""
        ...

    async def aclose(self) -> None:
        """Close connections."""
        ...


Reason: TypeAlias = Literal["missing", "cycle", "too long", "too large"]


@dataclass(frozen=True, slots=True)
class Broken:
    """Why a conversation can't be told from its transcript."""

    reason: Reason
    response_id: str
    """The link at which it breaks."""
    bound: int = 0
    """The bound that it is over: turns, or bytes."""

    def __str__(self) -> str:
        if self.reason == "missing":
            return f"there is no transcript of response {self.response_id!r}"
        if self.reason == "cycle":
            return f"response {self.response_id!r} is its own predecessor"
        unit = "turns" if self.reason == "too long" else "bytes"
        return f"its transcript has more than {self.bound} {unit}, counted back to {self.response_id!r}"


async def chain(
    store: TranscriptStore, response_id: str, *, max_turns: int = 500, max_bytes: int = 8 * 1024 * 1024
) -> list[Turn] | Broken:
    """The turns that led to a response, the oldest first; `max_bytes` bounds their items as JSON.

    Asks the store once per turn, one after the other, as each names the one before: the caller bounds the time.
    """
    turns: list[Turn] = []
    seen: set[str] = set()
    size = 0
    link: str | None = response_id
    while link is not None:
        if link in seen:
            return Broken("cycle", link)
        if len(turns) == max_turns:
            return Broken("too long", link, max_turns)
        turn = await store.get(link)
        if turn is None:
            return Broken("missing", link)
        size += turn.size
        if size > max_bytes:
            return Broken("too large", link, max_bytes)
        turns.append(turn)
        seen.add(link)
        link = turn.previous_response_id
    turns.reverse()
    return turns
