"""Waiting writes: bounded, the newest of each key, in order."""

from __future__ import annotations

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from router.stores.outbox import Outbox, Pin

KEYS = st.sampled_from(["a", "b", "c", "d", "e"])
ROOM = 3


class OutboxAgainstModel(RuleBasedStateMachine):
    """The model is a list of (key, value); None for a deletion."""

    def __init__(self) -> None:
        super().__init__()
        self.outbox = Outbox(ROOM)
        self.model: list[tuple[str, str | None]] = []
        self.taken: dict[str, Pin | None] = {}

    def trim(self) -> int:
        dropped = max(0, len(self.model) - ROOM)
        del self.model[:dropped]
        return dropped

    @rule(key=KEYS, value=st.none() | st.text(max_size=1))
    def put(self, key: str, value: str | None) -> None:
        self.model = [(other, kept) for other, kept in self.model if other != key] + [(key, value)]
        assert self.outbox.put(key, None if value is None else Pin(value, 60, None)) == self.trim()

    @rule(key=KEYS)
    def discard(self, key: str) -> None:
        self.outbox.discard(key)
        self.model = [(other, kept) for other, kept in self.model if other != key]

    @rule(count=st.integers(0, 4))
    def take(self, count: int) -> None:
        if not self.taken:
            self.taken = self.outbox.take(count)
            found = [(key, write.value if write else None) for key, write in self.taken.items()]
            assert found == self.model[:count]
            del self.model[:count]

    @rule()
    def give_back(self) -> None:
        known = {key for key, _ in self.model}
        back = [(key, write.value if write else None) for key, write in self.taken.items() if key not in known]
        self.model = back + self.model
        assert self.outbox.give_back(self.taken) == self.trim()
        self.taken = {}

    @invariant()
    def bounded(self) -> None:
        assert len(self.outbox) == len(self.model) <= ROOM


OutboxAgainstModel.TestCase.settings = settings(stateful_step_count=30)
TestOutboxAgainstModel = OutboxAgainstModel.TestCase


def test_a_write_in_place_of_another_claims_to_know_what_that_one_did() -> None:
    outbox = Outbox(10)
    outbox.put("a", Pin("d1", 60, known="d0"))
    outbox.put("a", Pin("d2", 60, known="d1"))
    assert outbox.take(1) == {"a": Pin("d2", 60, known="d0")}
