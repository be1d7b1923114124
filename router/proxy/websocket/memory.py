"""What was said on one connection, of which no deployment keeps a copy: what `store: false` and warm-ups leave."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence

from providers import jsonio
from providers.types import JsonObject

MOST_RESPONSES = 256
"""Responses of one connection that can be continued."""
MOST_BYTES = 32 * 1024 * 1024
"""Bytes of JSON that are remembered for one connection: about as much as the vendors take in one request."""


class Kept:
    """One turn: what it added, and what came before it. Turns that go on from one share what came before."""

    __slots__ = ("base", "before", "items", "size")

    def __init__(self, items: Sequence[JsonObject], before: Kept | None, base: str | None) -> None:
        self.items = items
        self.before = before
        self.base = base
        """A response that a deployment does keep, which the whole goes on from."""
        self.size = len(jsonio.dumps(items))

    def told(self) -> list[JsonObject]:
        """Every item since `base`, the oldest first."""
        turns: list[Kept] = []
        turn: Kept | None = self
        while turn is not None:
            turns.append(turn)
            turn = turn.before
        return [item for turn in reversed(turns) for item in turn.items]


class Memory:
    """The turns of one connection, by the ids of their responses; the least recently used are forgotten first."""

    def __init__(self, most_bytes: int = MOST_BYTES) -> None:
        self._turns: OrderedDict[str, Kept] = OrderedDict()
        self._most_bytes = most_bytes

    def recall(self, response_id: object) -> Kept | None:
        """The turn that made a response; None if it is not, or no longer, known here."""
        found = self._turns.get(response_id) if isinstance(response_id, str) else None
        if found is not None:
            self._turns.move_to_end(str(response_id))
        return found

    def keep(self, response_id: str, turn: Kept) -> None:
        """Remember a turn."""
        self._turns[response_id] = turn
        while len(self._turns) > MOST_RESPONSES or self.size > self._most_bytes:
            self._turns.popitem(last=False)

    @property
    def size(self) -> int:
        """Bytes of all that is remembered, with what turns share counted once."""
        seen: set[Kept] = set()
        for turn in self._turns.values():
            each: Kept | None = turn
            while each is not None and each not in seen:
                seen.add(each)
                each = each.before
        return sum(each.size for each in seen)


def continuable(output: Sequence[JsonObject]) -> list[JsonObject]:
    """An output as the input of a later turn, for which nobody kept it.

    Reasoning goes on only if it is there, encrypted: by its id nobody would know it. Without it, what it led to must
    not show the ids by which it would be missed.
    """
    told = [item for item in output if item.get("type") != "reasoning" or item.get("encrypted_content")]
    if len(told) == len(output):
        return told
    return [
        item if item.get("type") == "reasoning" else {name: value for name, value in item.items() if name != "id"}
        for item in told
    ]
