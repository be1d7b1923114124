"""The books: nothing is taken that is not there, what is given back is what was taken, windows begin anew."""

from __future__ import annotations

from collections.abc import Sequence

from fakes import Clock
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from checks.budgets.board import Page, Want
from checks.budgets.ledger import Counter, Ledger, Part
from checks.budgets.period import parse_period
from checks.budgets.rules import Rule, Rules, Scope, nano

LIMITS = (100, 60, 30)
EACH_USER = Rule("end_user", "*", 100, parse_period("1h"))


def counter_of(ledger: Ledger, rule: Rule = EACH_USER, name: str = "ann") -> Counter:
    return ledger.counters((rule,), name)[0]


def taken(counter: Counter) -> int:
    return counter.page.spent + counter.page.reserved


class Books(RuleBasedStateMachine):
    """Calls that reserve, some of several budgets at once, and are settled in any order, at any time."""

    @initialize()
    def open(self) -> None:
        self.clock = Clock(10_000.0)
        self.ledger = Ledger(self.clock)
        self.counters = [
            counter_of(self.ledger, Rule("tag", f"t{limit}", limit, parse_period("1h")), f"t{limit}")
            for limit in LIMITS
        ]
        self.open_calls: list[list[Part]] = []
        self.spent = [0, 0, 0]
        self.errors = [0, 0, 0]

    @rule(which=st.sets(st.sampled_from(range(3)), min_size=1), amount=st.integers(0, 40))
    def reserve(self, which: set[int], amount: int) -> None:
        before = [taken(counter) for counter in self.counters]
        parts, full = self.ledger.reserve([(self.counters[each], amount) for each in which])
        after = [taken(counter) for counter in self.counters]
        if full is None:
            self.open_calls.append(parts)
            for each in which:
                assert after[each] == before[each] + amount
        else:
            assert not parts
            assert after == before

    @rule(data=st.data(), error=st.integers(-20, 20))
    def settle(self, data: st.DataObject, error: int) -> None:
        if not self.open_calls:
            return
        parts = self.open_calls.pop(data.draw(st.integers(0, len(self.open_calls) - 1)))
        for part in parts:
            cost = max(0, part.amount + error)
            which = self.counters.index(part.counter)
            if part.counter.page is part.page:
                self.spent[which] += cost
                self.errors[which] += max(0, cost - part.amount)
            self.ledger.settle(part, cost)

    @rule(data=st.data())
    def give_back(self, data: st.DataObject) -> None:
        if self.open_calls:
            for part in self.open_calls.pop(data.draw(st.integers(0, len(self.open_calls) - 1))):
                self.ledger.settle(part, 0)

    @rule()
    def a_window_passes(self) -> None:
        self.clock.advance(3_600)
        for counter in self.counters:
            self.ledger.full([((counter,), 0)])
        self.spent, self.errors = [0, 0, 0], [0, 0, 0]

    @invariant()
    def the_books_are_right(self) -> None:
        if not hasattr(self, "counters"):
            return
        for which, counter in enumerate(self.counters):
            reserved = sum(
                part.amount
                for parts in self.open_calls
                for part in parts
                if part.counter is counter and part.page is counter.page
            )
            page = counter.page
            assert (page.spent, page.reserved) == (self.spent[which], reserved)
            assert page.spent + page.reserved <= LIMITS[which] + self.errors[which]


TestBooks = Books.TestCase


@given(st.lists(st.tuples(st.integers(0, 50), st.integers(-10, 10)), max_size=30))
def test_one_call_after_the_other_overshoots_by_the_last_ones_error_at_most(calls: list[tuple[int, int]]) -> None:
    ledger = Ledger(Clock())
    counter, last = counter_of(ledger), 0
    for amount, error in calls:
        parts, full = ledger.reserve([(counter, amount)])
        if full is None:
            last = max(0, error)
            ledger.settle(parts[0], max(0, amount + error))
        assert taken(counter) <= 100 + last


def test_what_is_settled_in_a_later_window_counts_in_none() -> None:
    clock = Clock()
    ledger = Ledger(clock)
    counter = counter_of(ledger)
    (part,), _ = ledger.reserve([(counter, 40)])
    clock.advance(3_600)
    assert ledger.state(counter).reserved == 0
    ledger.settle(part, 40)
    assert ledger.state(counter).spent == 0


def test_a_clock_set_back_opens_no_window_that_is_over() -> None:
    clock = Clock()
    ledger = Ledger(clock)
    counter = counter_of(ledger)
    ledger.settle(ledger.reserve([(counter, 40)])[0][0], 40)
    clock.now -= 7_200
    assert ledger.state(counter).spent == 40e-9


def test_of_end_users_the_longest_unheard_of_is_forgotten_and_nobody_with_a_budget_of_their_own() -> None:
    vip = Rule("end_user", "vip", 100, parse_period("1h"))
    rules, ledger = Rules([EACH_USER, vip]), Ledger(Clock(), most=2)
    ledger.keep((), rules)
    for name in ("vip", "ann", "bob", "cid"):
        (part,), _ = ledger.reserve([(counter, 7) for counter in ledger.counters(rules.of("end_user", name), name)])
        ledger.settle(part, 7)
    assert [(state.name, state.spent) for state in ledger.states()] == [("vip", 7e-9), ("bob", 7e-9), ("cid", 7e-9)]


def spend_seven(ledger: Ledger, rules: Rules, scope: Scope, name: str) -> None:
    (part,), _ = ledger.reserve([(counter, 7) for counter in ledger.counters(rules.of(scope, name), name)])
    ledger.settle(part, 7)


def test_who_looks_at_budgets_makes_nobody_be_forgotten_sooner() -> None:
    rules, ledger = Rules([EACH_USER]), Ledger(Clock(), most=2)
    for name in ("ann", "bob", "ann"):
        spend_seven(ledger, rules, "end_user", name)
    assert len(ledger.states()) == 2
    spend_seven(ledger, rules, "end_user", "cid")
    assert [(state.name, state.spent) for state in ledger.states()] == [("ann", 14e-9), ("cid", 7e-9)]


def test_no_crowd_of_end_users_makes_a_key_be_forgotten() -> None:
    rules, ledger = Rules([EACH_USER]), Ledger(Clock(), most=2)
    rules.charge("key", 100, parse_period("1h"))
    spend_seven(ledger, rules, "key", "key")
    for name in ("ann", "bob", "cid"):
        spend_seven(ledger, rules, "end_user", name)
    assert [(state.name, state.spent) for state in ledger.states() if state.scope == "key"] == [("key", 7e-9)]


def test_money_is_counted_in_billionths_and_nonsense_is_none() -> None:
    assert nano(0.1) + nano(0.2) == nano(0.3)
    assert [nano(value) for value in (float("nan"), -1.0, 0.0, float("inf"))] == [0, 0, 0, 4 * 10**15]


class Board:
    """A board that a test writes on."""

    def __init__(self) -> None:
        self.told: list[tuple[int, int, int]] = []

    async def claim(self, wanted: Sequence[Want], read: Sequence[Page]) -> int | None:
        """Away."""
        return None

    def tell(self, page: Page) -> None:
        """Remembers it."""
        self.told.append(page.told())


def test_whatever_changes_is_told_with_all_that_there_is() -> None:
    board = Board()
    ledger = Ledger(Clock(7_200.0), board)
    counter = counter_of(ledger)
    (part,), _ = ledger.reserve([(counter, 40)])
    counter.page.change(pending=2)
    ledger.settle(part, 30)
    assert board.told == [(1, 0, 40), (3, 30, 2)]


async def test_what_others_have_leaves_less_room_until_the_window_ends() -> None:
    clock = Clock()
    ledger = Ledger(clock)
    counter = counter_of(ledger)
    assert ledger.full([([counter], 100)]) == [None]
    counter.page.heard(70, 20)
    assert ledger.full([([counter], 11)]) == [counter]
    assert ledger.full([([counter], 10)]) == [None]
    _, full = await ledger.share(Board(), [(counter, 30)], [])
    assert full is None, "what others have reserved is not known while the board is away"
    clock.advance(3_600)
    assert ledger.full([([counter], 100)]) == [None]
