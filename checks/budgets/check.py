"""Hold calls to what may be spent, by reservation."""

from __future__ import annotations

import asyncio
import hashlib
import logging
from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, NamedTuple

from checks.base import Failed, Outcome, PreCallCheck
from checks.budgets.board import BudgetBoard
from checks.budgets.ledger import BudgetState, Counter, Ledger, Part
from checks.budgets.period import LIFETIME
from checks.budgets.rules import NANO, Rules, Scope, nano
from checks.tags import tags_of
from providers.errors import BadRequestError, BudgetExceededError
from providers.types import Call, Deployment, Verb
from providers.usage import Bill

_log = logging.getLogger("router")

BILLED: Final = frozenset({Verb.CREATE, Verb.COMPACT})
"""Verbs that cost something."""
MOST_TAGS: Final = 64
"""Tags with a budget that one call may have: each is a counter to keep."""
MOST_UNPRICED: Final = 1_000
"""Models without a price that are told apart in the log."""
_AGAIN: Final = 0.01
"""Seconds after which to look again, where room was taken in the very step of the pick."""
KEY: Final = "user_api_key_hash"
"""In the metadata of a call, LiteLLM's name for the key that it came with; here it is the id of what the key grants."""
LONGEST_NAME: Final = 200
"""Characters; an end user or a tag with a longer name is known by its digest."""


class Ended(NamedTuple):
    """How a call ended."""

    bill: Bill | None
    """What it costs; None: nothing was used."""
    model: str = ""
    """For the log, if there is no price."""


@dataclass(slots=True)
class _Claim:
    """What one call has reserved."""

    group: str
    parts: list[Part] = field(default_factory=list)
    """Of the budgets of its group, its end user, its tags: kept until it is over."""
    placed: list[Part] = field(default_factory=list)
    """Of the budgets of the deployment that it is on, or failed on last, and of its provider."""


@dataclass(frozen=True, slots=True)
class Means:
    """What the check needs of its Router."""

    rules: Rules
    ledger: Ledger
    estimate: Callable[[Call, Deployment], float | None]
    """What a call may cost on a deployment, in US dollars; None if no price is known."""
    end_user: Callable[[Call], str | None]
    """Whom a call is for."""
    board: BudgetBoard | None = None
    """Where budgets are shared, if they are; the ledger's own."""


class Budget(PreCallCheck):
    """Lets calls be made while their budgets last: of their group, end user and tags, of deployments and providers.

    What a call may cost is reserved before it is sent and settled on what it cost once it is over, so a burst can't
    overshoot by more than the estimates are wrong. A deployment without room is passed over; where none has any, or
    the call's own budget has none, `BudgetExceededError` says which, and when it starts anew. Only calls that use
    tokens count. What has no known price counts as nothing.
    """

    def __init__(self, means: Means) -> None:
        self._rules = means.rules
        self._ledger = means.ledger
        self._estimate = means.estimate
        self._end_user = means.end_user
        self._board = means.board
        self._places: Mapping[str, tuple[Counter, ...]] = {}
        self._claims: dict[str, _Claim] = {}
        self._ended: deque[tuple[str, Ended]] = deque()
        self._unpriced: set[str] = set()

    def accept(self, deployments: Sequence[Deployment]) -> None:
        """Keep the budgets of these deployments, their providers and groups."""
        ledger, rules = self._ledger, self._rules
        places: dict[str, tuple[Counter, ...]] = {}
        for deployment in deployments:
            found: list[Counter] = []
            for rule in rules.of_deployment(deployment):
                name = deployment.id if rule.scope == "deployment" else deployment.provider
                found += ledger.counters((rule,), name)
            if found:
                places[deployment.id] = tuple(found)
        kept = [counter for counters in places.values() for counter in counters]
        for group in {each.group for each in deployments}:
            kept += ledger.counters(rules.of("group", group), group)
        ledger.keep(kept, rules)
        self._places = places

    async def eligible(self, call: Call, deployments: Sequence[Deployment]) -> Sequence[Deployment]:
        """Those whose budgets have room for `call`, once its own budgets had."""
        self.settle()
        if call.verb not in BILLED:
            return deployments
        claim = self._claims.get(call.id)
        if claim is not None and claim.group != call.group:  # it has turned to another group
            self._give_back(self._claims.pop(call.id))
            claim = None
        wanted = self._wanted(call, deployments) if claim is None else []
        read = self._placed(deployments)
        if not wanted and not read:
            return deployments
        parts = await self._reserve(wanted, read)
        if claim is None:
            self._claims[call.id] = _Claim(call.group, parts)
        return self._with_room(call, deployments) if read else deployments

    async def preview(self, call: Call, deployments: Sequence[Deployment]) -> Sequence[Deployment]:
        """The same, with nothing reserved; asked of calls alone that are billed."""
        self.settle()
        wanted, read = self._wanted(call, deployments), self._placed(deployments)
        await self._read([*(counter for counter, _ in wanted), *read])
        full = self._ledger.full(((counter,), amount) for counter, amount in wanted)
        for counter, (_, amount) in zip(full, wanted, strict=True):
            if counter is not None:
                raise self._refusal(counter, amount)
        return self._with_room(call, deployments) if read else deployments

    def reserve(self, call: Call, deployment: Deployment, now: float) -> float:
        """Claim what the call may cost there."""
        claim = self._claims.get(call.id)
        if claim is None:
            return 0.0
        counters = self._places.get(deployment.id, ())
        amount = self._amount(call, deployment) if counters else 0
        parts, full = self._ledger.reserve([(counter, amount) for counter in counters])
        if full is None:
            claim.placed = parts
        return 0.0 if full is None else _AGAIN

    def release(self, call: Call, deployment: Deployment) -> None:
        """Give that back."""
        claim = self._claims.get(call.id)
        if claim is not None:
            self._withdraw(claim)

    async def observe(self, call: Call, deployment: Deployment, outcome: Outcome) -> None:
        """Give back what an attempt that failed had claimed; what was used by then is billed when the call is over."""
        if isinstance(outcome, Failed):
            self.settle()  # a stream that failed amid its output is over already
            self.release(call, deployment)

    async def aclose(self) -> None:
        """Settle what is over."""
        self.settle()

    def over(self, call_id: str, ended: Ended) -> None:
        """A call is over: it is settled on the event loop's next turn, or when the next asks.

        May run anywhere, in a destructor too.
        """
        if call_id not in self._claims:
            return
        self._ended.append((call_id, ended))
        try:
            asyncio.get_running_loop().call_soon(self.settle)
        except RuntimeError:  # no loop: the next call will
            return

    def settle(self) -> None:
        """Put what calls that are over have cost in place of what was reserved for them."""
        while True:
            try:
                call_id, ended = self._ended.popleft()
            except IndexError:  # asked for, not looked at first: another thread may be faster
                return
            claim = self._claims.pop(call_id, None)
            if claim is not None:
                self._settle(claim, ended)

    def states(self) -> list[BudgetState]:
        """How the budgets stand."""
        self.settle()
        return self._ledger.states()

    # claims

    def _wanted(self, call: Call, deployments: Sequence[Deployment]) -> list[tuple[Counter, int]]:
        """What must be reserved of the call's own budgets, wherever it goes: as much as the dearest would take."""
        found = [(rules, name) for scope, name in self._names(call) if (rules := self._rules.of(scope, name))]
        if not found:
            return []
        amount = max((self._amount(call, each) for each in deployments), default=0)
        return [(counter, amount) for rules, name in found for counter in self._ledger.counters(rules, name)]

    def _names(self, call: Call) -> Iterable[tuple[Scope, str]]:
        scopes = self._rules.scopes
        if "group" in scopes:
            yield "group", call.group
        if "end_user" in scopes:
            user = self._end_user(call)
            if user:
                yield "end_user", _short(user)
        if "tag" in scopes:
            tags = sorted(tag for tag in tags_of(call) if self._rules.of("tag", tag))
            if len(tags) > MOST_TAGS:
                said = f"litellm_metadata.tags: {len(tags)} of them have a budget; {MOST_TAGS} may at most"
                raise BadRequestError(said, param="litellm_metadata.tags")
            for tag in tags:
                yield "tag", _short(tag)
        if "key" in scopes:
            key = call.metadata.get(KEY)
            if isinstance(key, str):
                yield "key", _short(key)

    async def _reserve(self, wanted: list[tuple[Counter, int]], read: Sequence[Counter]) -> list[Part]:
        """Reserve all of `wanted`, also with the others, and hear of `read`. Raises `BudgetExceededError`."""
        if self._board is None:
            parts, full = self._ledger.reserve(wanted)
        else:
            parts, full = await self._ledger.share(self._board, wanted, read)
        if full is not None:
            raise self._refusal(full, next(amount for counter, amount in wanted if counter is full))
        return parts

    async def _read(self, counters: Sequence[Counter]) -> None:
        """Hear of `counters` from the others."""
        if counters:
            await self._reserve([], counters)

    def _placed(self, deployments: Sequence[Deployment]) -> Sequence[Counter]:
        """The budgets of these deployments and their providers, each once."""
        places = self._places
        if not places:
            return ()
        return tuple({counter: None for each in deployments for counter in places.get(each.id, ())})

    def _with_room(self, call: Call, deployments: Sequence[Deployment]) -> Sequence[Deployment]:
        """Those that have room. Raises `BudgetExceededError` if none has, for the budget that starts anew first."""
        asked = [(self._places.get(each.id, ()), each) for each in deployments]
        amounts = [self._amount(call, each) if counters else 0 for counters, each in asked]
        full = self._ledger.full((counters, amount) for (counters, _), amount in zip(asked, amounts, strict=True))
        left = [each for each, without in zip(deployments, full, strict=True) if without is None]
        if len(left) == len(deployments):
            return deployments
        if not left:
            found = zip(full, amounts, strict=True)
            refusals = [self._refusal(counter, amount) for counter, amount in found if counter is not None]
            raise min(refusals, key=lambda refusal: refusal.retry_after or float("inf"))
        return left

    def _withdraw(self, claim: _Claim) -> None:
        """Give back what is reserved of the deployment's budgets. If the call ends with that, what it used is billed
        there all the same."""
        placed, claim.placed = claim.placed, [part._replace(amount=0) for part in claim.placed]
        for part in placed:
            if part.amount:
                self._ledger.settle(part, 0)

    def _give_back(self, claim: _Claim) -> None:
        self._withdraw(claim)
        for part in claim.parts:
            self._ledger.settle(part, 0)

    def _settle(self, claim: _Claim, ended: Ended) -> None:
        if ended.bill is None:
            self._give_back(claim)
            return
        parts = claim.parts + claim.placed
        cost = ended.bill.cost.total
        if cost is None and not any(part.amount for part in parts):
            self._note_unpriced(ended.model)
        for part in parts:
            self._ledger.settle(part, part.amount if cost is None else nano(cost))

    # money

    def _amount(self, call: Call, deployment: Deployment) -> int:
        found = self._estimate(call, deployment)
        return 0 if found is None else nano(found)

    def _note_unpriced(self, model: str) -> None:
        if model not in self._unpriced and len(self._unpriced) < MOST_UNPRICED:
            self._unpriced.add(model)
            _log.warning("the price of %s is not known: its calls count as nothing in budgets", model)

    def _refusal(self, counter: Counter, amount: int) -> BudgetExceededError:
        """Says whose budget has no room, and why."""
        state = self._ledger.state(counter)
        whose = f"{state.scope.replace('_', ' ')} {state.name!r}"
        said = f"the budget of {whose} has no room: ${state.spent:.6g} of ${state.limit:g} per {state.duration} spent"
        if state.reserved:
            said += f", ${state.reserved:.6g} reserved by calls on their way"
        if amount:
            said += f", and this call may cost ${amount / NANO:.6g}"
        hopeless = not counter.rule.limit or amount > counter.rule.limit or counter.rule.period is LIFETIME
        return BudgetExceededError(
            said if counter.rule.period is LIFETIME else f"{said}; it resets in {state.resets_in:.0f} s",
            retry_after=None if hopeless else state.resets_in,
            code="budget_exceeded",
        )


def _short(name: str) -> str:
    """`name`, or what stands for one that is too long to be kept."""
    if len(name) <= LONGEST_NAME:
        return name
    return hashlib.blake2b(name.encode(errors="surrogatepass"), digest_size=16).hexdigest()
