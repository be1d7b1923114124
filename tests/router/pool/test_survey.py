"""What is told of a choice is what it was made by: surveys of leases, and what would be leased, in any health."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import pytest
from fakes import Clock
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule
from pools import CALL, deployment, deployments, leased, pool_of, refused

from providers.decisions import MOST_CONSIDERED, Considered
from providers.errors import APIError, AuthenticationError, InternalServerError, RateLimitError
from providers.types import Call, Deployment
from router.pool import HealthSettings, Lease, Pool, Prospect, Survey, Wish
from strategies import Candidate

DOWN = InternalServerError("down")


class Watched:
    """Picks what it is told to, and remembers what it was shown last."""

    def __init__(self) -> None:
        self.index = 0
        self.shown: list[str] = []

    def pick(self, call: Call, candidates: Sequence[Candidate], now: float) -> Candidate:
        self.shown = [each.id for each in candidates]
        return candidates[self.index % len(candidates)]


def survey_of(
    among: Sequence[Deployment] | None = None, *, ordered: bool = False, avoid: Sequence[str] = (), retry: bool = False
) -> Survey:
    return Survey(among, ordered=ordered, avoid=frozenset(avoid), retry=retry)


def by_id(survey: Survey) -> dict[str, Considered]:
    return {each.deployment_id: each for each in survey.considered}


def reasons(survey: Survey) -> dict[str, str]:
    """The words of those left out."""
    return {each.deployment_id: each.words for each in survey.considered if each.score is None}


def prospect_of(pool: Pool, among: Sequence[Deployment] | None = None, ordered: bool = False) -> Prospect:
    return pool.foresee("g", Wish(CALL, among, ordered, (), False, None))


class Foretold(RuleBasedStateMachine):
    """Whatever happened before: what is foreseen is what the next lease chooses from, and says of the others."""

    members: Sequence[Deployment] = (
        deployment("a", max_parallel_requests=2),
        deployment("b", order=1, weight=3),
        deployment("c", weight=0),
        deployment("d", max_parallel_requests=1),
        deployment("e"),
        deployment("f", order=1),
    )

    def __init__(self) -> None:
        super().__init__()
        self.clock = Clock()
        self.strategy = Watched()
        self.pool = pool_of(self.members, clock=self.clock, strategy=self.strategy)
        self.held: list[Lease] = []

    @rule(
        index=st.integers(0, 5),
        among=st.none() | st.permutations("abcdef").map(lambda names: names[:3]),
        ordered=st.booleans(),
        force=st.booleans(),
        full=st.sets(st.sampled_from("abcdef"), max_size=3),
        keep=st.booleans(),
    )
    def lease(
        self, index: int, among: list[str] | None, ordered: bool, force: bool, full: set[str], keep: bool
    ) -> None:
        some = None if among is None else [each for name in among for each in self.members if each.id == name]
        ordered = ordered and some is not None

        def reserve(deployment: Deployment, now: float) -> float:
            return 5.0 if deployment.id in full else 0.0

        claim = reserve if full else None
        foreseen = self.pool.foresee("g", Wish(CALL, some, ordered, (), False, claim, force))
        survey = survey_of(some, ordered=ordered)
        self.strategy.index, self.strategy.shown = index, []
        got = self.pool.lease("g", CALL, among=some, ordered=ordered, reserve=claim, force=force, survey=survey)
        assert survey.strategy == foreseen.strategy == "Watched"
        assert set(foreseen.considered) == set(among or "abcdef")
        if not isinstance(got, Lease):
            assert foreseen.candidates == ()
            assert foreseen.shortage == got
            assert survey.chosen is None
        else:
            assert got.deployment.id == survey.chosen == survey.considered[0].deployment_id
            assert got.deployment.id in foreseen.candidates
            assert foreseen.shortage is None
            assert (got.probe, survey.probe, survey.forced) == (foreseen.probe, foreseen.probe, foreseen.forced)
            if ordered or got.probe:
                assert foreseen.candidates == (got.deployment.id,)
            elif not full:
                assert set(foreseen.candidates) == set(self.strategy.shown or [got.deployment.id])
            if keep:
                self.held.append(got)
            else:
                got.cancel()
        self._say_the_same(foreseen, by_id(survey), full)

    def _say_the_same(self, foreseen: Prospect, told: Mapping[str, Considered], full: set[str]) -> None:
        """Of each deployment; but a lease asks only those for room that it comes to."""
        assert set(told) == set(foreseen.considered)
        for name, considered in foreseen.considered.items():
            if considered.cause == "room":
                assert name in full
            elif not full:
                assert told[name] == considered

    @rule(data=st.data(), error=st.sampled_from([None, DOWN, AuthenticationError("x"), RateLimitError("x")]))
    def end(self, data: st.DataObject, error: APIError | None) -> None:
        if self.held:
            lease = self.held.pop(data.draw(st.integers(0, len(self.held) - 1)))
            lease.fail(error) if error else lease.succeed()

    @rule(name=st.sampled_from("abcdef"), kind=st.sampled_from(["breaker", "quota"]))
    def impose(self, name: str, kind: str) -> None:
        self.pool.impose(name, kind, 20.0)

    @rule(seconds=st.sampled_from([0.1, 1.0, 7.0, 70.0]))
    def wait(self, seconds: float) -> None:
        self.clock.advance(seconds)

    @invariant()
    def usable_is_what_the_pool_would_give(self) -> None:
        """With the strategy free to pick any: who is named as candidate is leased if picked, and nobody else is."""
        foreseen = prospect_of(self.pool)
        scored = {name for name, each in foreseen.considered.items() if each.score is not None}
        assert set(foreseen.candidates) <= scored
        given = set()
        for index in range(1 if foreseen.probe else len(self.members)):  # a test that is over makes it another's turn
            self.strategy.index = index
            got = self.pool.lease("g", CALL)
            if isinstance(got, Lease):
                given.add(got.deployment.id)
                got.cancel()
        assert given == set(foreseen.candidates)


TestForetold = Foretold.TestCase
TestForetold.settings = settings(max_examples=40, stateful_step_count=25, deadline=None)


def test_all_that_keeps_one_out_is_told(clock: Clock) -> None:
    members = [
        *deployments(2),
        deployment("open"),
        deployment("tested"),
        deployment("limited"),
        deployment("full", max_parallel_requests=1),
        deployment("later", order=3),
        deployment("standby", weight=0),
        deployment("tried"),
    ]
    pool = pool_of(members, clock=clock)
    by_name = {each.id: each for each in members}

    def one(name: str) -> Lease:
        return leased(pool.lease("g", CALL, among=[by_name[name]]))

    one("tested").fail(AuthenticationError("x"))
    clock.advance(60)
    one("open").fail(AuthenticationError("x"))
    one("limited").fail(RateLimitError("x", retry_after=8))
    held = [one("full")]
    clock.advance(1)
    survey = survey_of(avoid=["tried"], retry=True)
    held.append(leased(pool.lease("g", CALL, avoid=["tried"], retry=True, survey=survey)))
    assert {each.deployment_id for each in survey.considered[:2]} == {"d0", "d1"}
    assert all(each.score is not None and each.reason is None for each in survey.considered[:2])
    assert reasons(survey) == {
        "open": "its breaker is open for 59.0 s: AuthenticationError 401",
        "tested": "its breaker is half-open: AuthenticationError 401",
        "limited": "its rate limit is reached for 7.0 s",
        "full": "1 of 1 parallel requests are in flight",
        "later": "its order is 3, and one of order 0 can serve",
        "standby": "its weight is 0, and one that has a weight can serve",
        "tried": "tried already",
    }
    causes = {each.deployment_id: (each.cause, each.wait) for each in survey.considered}
    assert causes["open"] == ("breaker", 59.0)
    assert causes["limited"] == ("quota", 7.0)
    assert {name: cause for name, (cause, wait) in causes.items() if wait is None} == {
        "d0": None,
        "d1": None,
        "tested": "breaker",
        "full": "capacity",
        "later": "order",
        "standby": "order",
        "tried": "tried",
    }
    free = survey_of()
    one("tested").succeed()
    held.append(leased(pool.lease("g", CALL, survey=free)))
    assert reasons(free) == {name: why for name, why in reasons(survey).items() if name not in ("tried", "tested")}


def test_a_score_is_the_load_before_the_lease(clock: Clock) -> None:
    pool = pool_of(deployments(2), clock=clock)
    held = [leased(pool.lease("g", CALL)) for _ in range(3)]
    survey = survey_of()
    held.append(leased(pool.lease("g", CALL, survey=survey)))
    assert sorted((each.score for each in survey.considered), key=str) == [2.0, 3.0]
    assert survey.considered[0].score == 2.0, "the strategy takes the lesser"


@pytest.mark.parametrize("narrowed", [False, True])
def test_at_most_twenty_are_told_of_the_chosen_and_the_usable_first(clock: Clock, narrowed: bool) -> None:
    members = deployments(60)
    pool = pool_of(members, clock=clock)
    for each in members[:30]:
        pool.impose(each.id, "breaker", 9)
    survey = survey_of(members if narrowed else None)
    lease = leased(pool.lease("g", CALL, among=survey.among, survey=survey))
    assert (len(survey.considered), survey.total) == (MOST_CONSIDERED, 60)
    assert survey.considered[0].deployment_id == lease.deployment.id
    assert all(each.score is not None for each in survey.considered)
    for each in members[5:]:
        pool.impose(each.id, "breaker", 9)
    pool.impose("d5", "quota", 9)
    clock.advance(9)
    few = survey_of(members if narrowed else None, retry=True)
    leased(pool.lease("g", CALL, among=few.among, retry=True, survey=few))
    assert few.forced
    assert len(few.considered) == MOST_CONSIDERED


def test_a_choice_by_force_says_what_was_overridden(clock: Clock) -> None:
    pool = pool_of(deployments(3), clock=clock)
    for index in range(3):
        pool.impose(f"d{index}", "breaker", 9)
    survey = survey_of(retry=True)
    leased(pool.lease("g", CALL, retry=True, survey=survey))
    assert (survey.forced, survey.probe) == (True, False)
    assert {each.words for each in survey.considered} == {"its breaker is open for 9.0 s: reported by another Router"}
    assert all(each.score is not None for each in survey.considered)
    clock.advance(9)
    probed = survey_of()
    assert leased(pool.lease("g", CALL, survey=probed)).probe
    assert (probed.forced, probed.probe) == (False, True)
    assert [(each.score is None, each.cause) for each in probed.considered] == [
        (False, "breaker"),
        (True, "breaker"),
        (True, "breaker"),
    ]


def test_a_lease_among_the_preferred_is_told_of_against_all(clock: Clock) -> None:
    members = deployments(3)
    pool = pool_of(members, clock=clock)
    survey = survey_of()
    leased(pool.lease("g", CALL, among=members[2:], retry=True, force=False, survey=survey))
    assert survey.chosen == "d2"
    assert [each.deployment_id for each in survey.considered] == ["d2", "d0", "d1"]
    assert all(each.score is not None for each in survey.considered)


def test_those_without_room_are_told(clock: Clock) -> None:
    members = deployments(2)
    pool = pool_of(members, clock=clock)
    survey = survey_of()
    short = refused(pool.lease("g", CALL, reserve=lambda deployment, now: 5.0, survey=survey))
    assert short.kind == "quota"
    assert reasons(survey) == dict.fromkeys(("d0", "d1"), "no room within its limits for 5.0 s")
    assert {each.cause for each in survey.considered} == {"room"}


def test_a_group_that_is_gone_has_nothing_to_tell(clock: Clock) -> None:
    pool = pool_of(deployments(1), clock=clock)
    survey = survey_of()
    refused(pool.lease("nowhere", CALL, survey=survey))
    assert (survey.strategy, survey.considered) == (None, ())
    assert pool.foresee("nowhere", Wish(CALL, None, False, (), False, None)) == Prospect()


def test_where_none_may_be_tried_by_force_none_is_foreseen(clock: Clock) -> None:
    pool = pool_of(deployments(2), clock=clock, settings=HealthSettings(on_all_down="fail"))
    for index in range(2):
        pool.impose(f"d{index}", "breaker", 9 + index)
    foreseen = prospect_of(pool)
    assert (foreseen.candidates, foreseen.forced) == ((), False)
    assert foreseen.shortage is not None
    assert foreseen.shortage.wait == 9
