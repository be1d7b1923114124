"""What was spent and what is reserved of each budget, as this process knows it."""

from __future__ import annotations

import secrets
from collections import OrderedDict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from itertools import count
from threading import Lock
from typing import Final, NamedTuple

from checks.budgets.board import BudgetBoard, Page, Want
from checks.budgets.rules import EACH, NANO, Rule, Rules, Scope

MOST_NAMES: Final = 10_000
"""End users, tags (with a budget like everybody's) and keys that are remembered, of each kind; the least recently used
is forgotten first, and with it what it has spent, unless Redis knows."""


@dataclass(frozen=True, slots=True)
class BudgetState:
    """How a budget stands. Money in US dollars."""

    scope: str
    """`group`, `deployment`, `provider`, `end_user`, `tag` or `key`."""
    name: str
    spent: float
    """By calls that are over, in this window."""
    reserved: float
    """For calls on their way."""
    limit: float
    resets_in: float
    """Seconds."""
    duration: str
    """Of its windows, as configured."""


class Counter:
    """One budget in its current window."""

    __slots__ = ("end", "name", "page", "rule")

    def __init__(self, rule: Rule, name: str) -> None:
        self.rule = rule
        self.name = name
        self.end = 0.0
        self.page = Page(rule.scope, name, rule.period.text, 0, "", 0.0)

    def room(self, amount: int) -> bool:
        """Whether `amount` can be reserved. What is used up has no room for nothing."""
        left = self.rule.limit - self.page.taken
        return left > 0 and left >= amount


class Part(NamedTuple):
    """What one call has reserved of one budget. It counts in the window it was reserved in, whenever it is settled."""

    counter: Counter
    page: Page
    amount: int


class Ledger:
    """Keeps the counters. Thread-safe; nothing waits.

    `wall` tells Unix time. With a `board`, whatever changes is told to it.
    """

    def __init__(self, wall: Callable[[], float], board: BudgetBoard | None = None, most: int = MOST_NAMES) -> None:
        self._wall = wall
        self._board = board
        self._lock = Lock()
        self._most = most
        self._named: dict[tuple[str, str, str], Counter] = {}
        self._each: dict[Scope, OrderedDict[tuple[str, str, str], Counter]] = {}
        """Of those that there may be any number of, by what they are: who was used last is last."""
        self._writer = secrets.token_hex(6)
        self._numbers = count(1)

    def counters(self, rules: Iterable[Rule], name: str) -> list[Counter]:
        """The counters of `name`."""
        with self._lock:
            return [self._counter(rule, name) for rule in rules]

    def keep(self, counters: Iterable[Counter], rules: Rules) -> None:
        """Forget the deployments, providers and groups that are not among `counters`, and have no budget in `rules`."""
        kept: dict[tuple[str, str, str], Counter] = {
            (each.rule.scope, each.name, each.rule.period.text): each for each in counters
        }
        with self._lock:
            for rule in rules.all:
                if rule.name != EACH:
                    counter = self._counter(rule, rule.name)
                    kept.setdefault((rule.scope, rule.name, rule.period.text), counter)
            self._named = kept

    def reserve(self, wanted: Sequence[tuple[Counter, int]]) -> tuple[list[Part], Counter | None]:
        """Reserve all of `wanted`; or nothing, and which has no room."""
        with self._lock:
            self._roll(counter for counter, _ in wanted)
            full = next((counter for counter, amount in wanted if not counter.room(amount)), None)
            if full is not None:
                return [], full
            for counter, amount in wanted:
                self._change(counter.page, reserved=amount)
            return [Part(counter, counter.page, amount) for counter, amount in wanted], None

    async def share(
        self, board: BudgetBoard, wanted: Sequence[tuple[Counter, int]], read: Sequence[Counter]
    ) -> tuple[list[Part], Counter | None]:
        """As `reserve`, with the others; of `read` it hears too. While the board is away, memory alone decides."""
        with self._lock:
            self._roll([*(counter for counter, _ in wanted), *read])
            parts = [Part(counter, counter.page, amount) for counter, amount in wanted]
            pages = [counter.page for counter in read]
        found = await board.claim([Want(each.page, each.amount, each.counter.rule.limit) for each in parts], pages)
        if found is None:
            for page in (*pages, *(part.page for part in parts)):
                page.others_reserved = 0  # it will be settled, and nobody hears of it
            return self.reserve(wanted)
        return (parts, None) if found < 0 else ([], parts[found].counter)

    def settle(self, part: Part, cost: int) -> None:
        """`cost` was spent in place of what was reserved. If its window is over, that is of no matter any more."""
        with self._lock:
            self._change(part.page, spent=cost, reserved=-part.amount)

    def full(self, asked: Iterable[tuple[Sequence[Counter], int]]) -> list[Counter | None]:
        """Of each, the first that has no room for so much."""
        found: list[Counter | None] = []
        with self._lock:
            now = self._wall()
            for counters, amount in asked:
                full = None
                for counter in counters:
                    if now >= counter.end:
                        self._roll((counter,))
                    if full is None and not counter.room(amount):
                        full = counter
                found.append(full)
        return found

    def state(self, counter: Counter) -> BudgetState:
        """How one budget stands."""
        with self._lock:
            self._roll((counter,))
            rule, page = counter.rule, counter.page
            return BudgetState(
                rule.scope,
                counter.name,
                page.spent / NANO,
                page.reserved / NANO,
                rule.limit / NANO,
                counter.end - self._wall(),
                rule.period.text,
            )

    def states(self) -> list[BudgetState]:
        """How every budget stands; of those that everybody has, where something was spent or is reserved."""
        with self._lock:
            named = list(self._named.values())
            each = [counter for table in self._each.values() for counter in table.values()]
        known = [self.state(counter) for counter in named]
        return known + [found for found in map(self.state, each) if found.spent or found.reserved]

    # under the lock

    def _counter(self, rule: Rule, name: str) -> Counter:
        many = rule.scope == "key" or (rule.name == EACH and rule.scope in ("end_user", "tag"))
        key = (rule.scope, name, rule.period.text)
        if many:
            counter = self._one_of_many(key, rule)
        else:
            counter = self._named.get(key) or self._named.setdefault(key, Counter(rule, name))
        counter.rule = rule  # a deployment's limit may have been changed
        return counter

    def _one_of_many(self, key: tuple[str, str, str], rule: Rule) -> Counter:
        table = self._each.setdefault(rule.scope, OrderedDict())
        counter = table.get(key)
        if counter is not None:
            table.move_to_end(key)
            return counter
        if len(table) >= self._most:
            table.popitem(last=False)
        counter = table[key] = Counter(rule, key[1])
        return counter

    def _roll(self, counters: Iterable[Counter]) -> None:
        """Begin a new window where the last is over."""
        now = self._wall()
        for counter in counters:
            if now >= counter.end:
                rule = counter.rule
                window = rule.period.window(now)
                counter.end = window.end
                writer = f"{self._writer}.{next(self._numbers)}"
                left = window.end - now
                counter.page = Page(rule.scope, counter.name, rule.period.text, window.index, writer, left)

    def _change(self, page: Page, *, spent: int = 0, reserved: int = 0) -> None:
        page.change(spent=spent, reserved=reserved)
        if self._board is not None:
            self._board.tell(page)
