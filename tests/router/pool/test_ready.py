"""The ready set against the plainest model of it."""

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule
from pools import member

from router.pool.ready import Ready

SIZE = 6
indices = st.integers(0, SIZE - 1)


class ReadyMachine(RuleBasedStateMachine):
    """Members join, leave, rise and fall in any order."""

    def __init__(self) -> None:
        super().__init__()
        self.ready = Ready()
        self.everyone = [member(str(index)) for index in range(SIZE)]
        self.inside: set[int] = set()
        self.seen = 0
        self.noted: list[str] = []

    def note(self, index: int) -> None:
        self.noted.append(str(index))

    @rule(index=indices)
    def join_or_leave(self, index: int) -> None:
        each = self.everyone[index]
        if index in self.inside:
            self.ready.leave(each)
        else:
            self.ready.join(each)
        self.inside ^= {index}
        self.note(index)

    @rule(index=indices, calls=st.integers(1, 5))
    def rise(self, index: int, calls: int) -> None:
        each = self.everyone[index]
        for _ in range(calls):
            each.in_flight += 1
            if index in self.inside:
                self.ready.rose(each)

    @rule(index=indices, calls=st.integers(1, 5))
    def fall(self, index: int, calls: int) -> None:
        each = self.everyone[index]
        for _ in range(min(calls, each.in_flight)):
            each.in_flight -= 1
            if index in self.inside:
                self.ready.fell(each)

    @precondition(lambda self: self.inside)
    @rule(data=st.data(), weight=st.sampled_from([0.5, 1.0, 2.0]))
    def reweigh(self, data: st.DataObject, weight: float) -> None:
        index = data.draw(st.sampled_from(sorted(self.inside)))
        self.ready.reweigh(self.everyone[index], weight)
        self.note(index)

    @rule()
    def look(self) -> None:
        """Read the journal, as a strategy does before it picks."""
        changed = self.ready.changed(self.seen)
        assert changed is not None
        assert [each.id for each in changed] == self.noted
        self.seen, self.noted = self.ready.version, []

    @rule()
    def start_over(self) -> None:
        self.ready.reset()
        assert self.ready.changed(self.seen) is None
        self.inside.clear()
        self.seen, self.noted = self.ready.version, []

    @invariant()
    def members_are_those_inside(self) -> None:
        assert {int(each.id) for each in self.ready} == self.inside
        assert len(self.ready) == len(self.inside)
        assert [each in self.ready for each in self.everyone] == [i in self.inside for i in range(SIZE)]
        assert [each.slot for each in self.ready] == list(range(len(self.ready)))

    @invariant()
    def idlest_are_those_with_the_fewest(self) -> None:
        fewest = min((self.everyone[index].in_flight for index in self.inside), default=0)
        expected = {index for index in self.inside if self.everyone[index].in_flight == fewest}
        assert {int(each.id) for each in self.ready.idlest()} == expected
        assert len(self.ready.idlest()) == len(expected)

    @invariant()
    def uniform_means_one_weight(self) -> None:
        assert self.ready.uniform == (len({self.everyone[index].weight for index in self.inside}) < 2)


class TestReady(ReadyMachine.TestCase):  # type: ignore[misc, valid-type]  # made by hypothesis
    settings = settings(max_examples=80, stateful_step_count=60)


def test_what_is_too_long_ago_is_not_told() -> None:
    ready, one = Ready(), member("x")
    for _ in range(1_000):
        ready.join(one)
        ready.leave(one)
    assert ready.changed(0) is None
    recent = ready.changed(ready.version - 3)
    assert recent == [one] * 3
    assert ready.changed(ready.version) == []


def test_strangers_are_not_in_it() -> None:
    ready, other = Ready(), Ready()
    one, two = member("x"), member("y")
    ready.join(one)
    other.join(two)
    stranger: object = "x"
    assert stranger not in ready
    assert two not in ready, "not even at the same slot"
