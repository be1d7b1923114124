"""What a simulated deployment remembers: the responses and conversations it issued, its seals."""

from __future__ import annotations

import base64
import hashlib
import hmac
import random
from collections.abc import Iterable
from dataclasses import dataclass, field
from threading import Lock

from providers.types import Json, JsonObject


@dataclass(frozen=True, slots=True, eq=False)
class Turn:
    """One request and its reply, linked to the turn before. Outlives the deletion of earlier responses."""

    parent: Turn | None
    input: tuple[JsonObject, ...]
    output: tuple[JsonObject, ...]
    number: int
    opening: str
    """The first words the user said in this conversation."""
    tokens: int
    """Size of the context after this turn."""
    open_calls: frozenset[str]
    """Tool calls that the next turn has to answer."""


@dataclass(frozen=True, slots=True)
class Output:
    """An output item: as it opens in a stream, as it ends, and the deltas between."""

    opening: JsonObject
    final: JsonObject
    deltas: tuple[str, ...]


@dataclass(slots=True, eq=False)
class Stored:
    """A response that can be read, continued, deleted."""

    started: JsonObject
    """The response as it was when it began."""
    final: JsonObject
    outputs: tuple[Output, ...]
    turn: Turn
    status: str
    """What a reader is told now; behind `final` while a background response runs."""
    reads: int = 0
    """Reads so far while it ran in the background."""
    lagged: int = 0
    """References that failed because of a read-after-write lag."""


@dataclass(slots=True, eq=False)
class Talk:
    """A conversation that is kept under an id of its own, to which responses add."""

    id: str
    created_at: int
    metadata: Json
    items: list[JsonObject] = field(default_factory=list)
    """The oldest first."""
    turns: int = 0
    """Things the user said so far, whether a response answered them or not."""
    ended: bool = False
    """Whether it was deleted: only its items are there any more."""


@dataclass(slots=True)
class _Shelf:
    responses: dict[str, Stored] = field(default_factory=dict)
    items: dict[str, JsonObject] = field(default_factory=dict)
    talks: dict[str, Talk] = field(default_factory=dict)


class State:
    """Stored responses of one account. Simulated deployments that share a `State` hold each other's conversations.

    `capacity` bounds the responses kept, and the conversations; the oldest go first. Safe to share between threads.
    """

    def __init__(self, *, capacity: int = 20_000, seed: int | str | None = None) -> None:
        self._capacity = capacity
        self._shelf = _Shelf()
        self._lock = Lock()
        rng = random.Random(seed)
        self._key = rng.randbytes(32)
        self._nonces = rng

    def __len__(self) -> int:
        return len(self._shelf.responses)

    def __contains__(self, response_id: object) -> bool:
        return response_id in self._shelf.responses

    def keep(self, response_id: str, stored: Stored) -> None:
        """Remember a response and its items."""
        with self._lock:
            self._shelf.responses[response_id] = stored
            self._shelf.items.update(_items(stored))
            while len(self._shelf.responses) > self._capacity:
                self._drop(next(iter(self._shelf.responses)))

    def find(self, response_id: str) -> Stored | None:
        """The response, or None if it was never issued here, not stored, or deleted."""
        return self._shelf.responses.get(response_id)

    def talk(self, conversation_id: str) -> Talk | None:
        """A conversation, or None if it was never begun here, or deleted."""
        talk = self._shelf.talks.get(conversation_id)
        return None if talk is None or talk.ended else talk

    @property
    def conversations(self) -> tuple[str, ...]:
        """Ids of those that are kept, the oldest first."""
        return tuple(name for name, talk in self._shelf.talks.items() if not talk.ended)

    def begin(self, talk: Talk) -> None:
        """Remember a conversation."""
        with self._lock:
            self._shelf.talks[talk.id] = talk
            while len(self._shelf.talks) > self._capacity:
                oldest = self._shelf.talks.pop(next(iter(self._shelf.talks)))
                for item in oldest.items:
                    self._shelf.items.pop(str(item["id"]), None)

    def extend(self, talk: Talk, items: Iterable[JsonObject], turns: int) -> None:
        """Add items to a conversation, which can be referred to from now on."""
        with self._lock:
            for item in items:
                talk.items.append(item)
                self._shelf.items[str(item["id"])] = item
            talk.turns += turns

    def end(self, talk: Talk) -> None:
        """Forget a conversation; its items stay, as OpenAI has it, until others need the room."""
        talk.ended = True

    def item(self, item_id: str) -> JsonObject | None:
        """An item of a stored response."""
        return self._shelf.items.get(item_id)

    def forget(self, response_id: str) -> bool:
        """Delete a response; whether there was one."""
        with self._lock:
            return self._drop(response_id)

    def clear(self) -> None:
        """Forget everything, as a deployment that lost its disk."""
        with self._lock:
            self._shelf = _Shelf()

    def _drop(self, response_id: str) -> bool:
        stored = self._shelf.responses.pop(response_id, None)
        if stored is None:
            return False
        for item_id in _items(stored):
            self._shelf.items.pop(item_id, None)
        return True

    def seal(self, payload: bytes) -> str:
        """`payload` as `encrypted_content` that only this state accepts. Differs each time, as OpenAI's does."""
        with self._lock:
            body = self._nonces.randbytes(8) + payload
        return "gAAAAA" + base64.urlsafe_b64encode(self._tag(body) + body).decode()

    def unseal(self, content: str) -> bytes | None:
        """The payload of a seal, or None if it was not made here."""
        try:
            raw = base64.urlsafe_b64decode(content.removeprefix("gAAAAA"))
        except ValueError:
            return None
        tag, body = raw[:16], raw[16:]
        return body[8:] if hmac.compare_digest(tag, self._tag(body)) else None

    def _tag(self, body: bytes) -> bytes:
        return hashlib.blake2s(body, key=self._key, digest_size=16).digest()


def _items(stored: Stored) -> dict[str, JsonObject]:
    return {str(item["id"]): item for item in (*stored.turn.input, *stored.turn.output)}
