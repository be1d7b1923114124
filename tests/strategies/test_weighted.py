"""Weighted round robin: exact shares, evenly spread, whatever joins and leaves."""

import random
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st
from pools import CALL, member, ready_set, shares

from strategies import Weighted

weights = st.lists(st.integers(1, 20), min_size=1, max_size=8)


def turns(strategy: Weighted, candidates: object, picks: int) -> list[str]:
    return [strategy.pick(CALL, candidates, 0.0).id for _ in range(picks)]  # type: ignore[arg-type]


@given(weights, st.integers(0, 5), st.integers())
def test_every_period_gives_each_exactly_its_weight(given: list[int], skipped: int, seed: int) -> None:
    ready, _ = ready_set(given)
    strategy = Weighted(rng=random.Random(seed))
    for _ in range(skipped + 1):
        counts = shares(strategy, ready, sum(given))
        assert [counts[str(index)] for index in range(len(given))] == given


@given(weights, st.integers())
def test_shares_hold_in_a_list_made_for_one_call(given: list[int], seed: int) -> None:
    _, members = ready_set(given)
    counts = shares(Weighted(rng=random.Random(seed)), members, sum(given))
    assert [counts[str(index)] for index in range(len(given))] == given


@given(weights, st.integers())
def test_picks_are_spread_evenly(given: list[int], seed: int) -> None:
    """At no time is anybody two picks or more away from its share."""
    ready, _ = ready_set(given)
    strategy = Weighted(rng=random.Random(seed))
    counts = dict.fromkeys((str(index) for index in range(len(given))), 0)
    for made in range(1, sum(given) + 1):
        counts[strategy.pick(CALL, ready, 0.0).id] += 1
        for index, weight in enumerate(given):
            assert abs(counts[str(index)] - made * weight / sum(given)) < 2


def test_a_heavy_one_is_interleaved_with_the_light() -> None:
    ready, _ = ready_set([5, 1, 1])
    picked = "".join(turns(Weighted(rng=random.Random(3)), ready, 210))
    assert "000000" not in picked, "in turn it would be served ten times in a row"


def test_fractions_are_shares_too() -> None:
    ready, _ = ready_set([0.7, 0.2, 0.1])
    assert shares(Weighted(rng=random.Random(1)), ready, 100) == {"0": 70, "1": 20, "2": 10}


def test_equal_weights_rotate_strictly() -> None:
    ready, _ = ready_set([1.0] * 5)
    picked = turns(Weighted(rng=random.Random(1)), ready, 25)
    assert len(set(picked[:5])) == 5
    assert all(first == second for first, second in zip(picked, picked[5:], strict=False))


def test_several_routers_do_not_start_with_the_same() -> None:
    first = {turns(Weighted(rng=random.Random(seed)), ready_set([1.0] * 4)[0], 1)[0] for seed in range(40)}
    assert first == {"0", "1", "2", "3"}


def test_one_that_returns_claims_nothing_of_what_it_missed() -> None:
    ready, members = ready_set([1.0] * 4)
    strategy = Weighted(rng=random.Random(1))
    turns(strategy, ready, 4)
    ready.leave(members[0])
    assert "0" not in turns(strategy, ready, 300)
    ready.join(members[0])
    assert shares(strategy, ready, 40)["0"] in {10, 11}
    ready.leave(members[0])
    turns(strategy, ready, 1)
    ready.join(members[0])
    assert all(pair != ("0", "0") for pair in pairwise(turns(strategy, ready, 40)))


def test_absences_of_a_moment_cost_no_turn() -> None:
    """What parallel-request limits do all the time: full at each pick, free again before the next."""
    ready, members = ready_set([3.0, 1.0])
    strategy = Weighted(rng=random.Random(1))
    counts = {"0": 0, "1": 0}
    for _ in range(400):
        picked = strategy.pick(CALL, ready, 0.0)
        counts[picked.id] += 1
        ready.leave(members[int(picked.id)])
        ready.join(members[int(picked.id)])
    assert counts == {"0": 300, "1": 100}


def test_a_new_weight_takes_effect_at_once_and_exactly() -> None:
    ready, members = ready_set([1.0, 1.0])
    strategy = Weighted(rng=random.Random(1))
    turns(strategy, ready, 10)
    for step in range(1, 21):  # slow start: many small changes, none of which may starve it
        ready.reweigh(members[0], step / 20)
        turns(strategy, ready, 3)
    assert shares(strategy, ready, 100) == {"0": 50, "1": 50}
    ready.reweigh(members[0], 4.0)
    assert shares(strategy, ready, 500)["0"] in range(399, 402)
    ready.reweigh(members[0], 0.25)
    assert shares(strategy, ready, 500)["0"] in range(99, 102)


def test_a_growing_weight_gets_its_growing_share() -> None:
    ready, members = ready_set([0.25, 1.0])
    strategy = Weighted(rng=random.Random(1))
    counts = 0
    for step in range(25, 100):
        ready.reweigh(members[0], step / 100)
        counts += turns(strategy, ready, 1) == ["0"]
    assert 24 <= counts <= 33, "the mean share is 0.38"


def test_a_list_neither_starves_nor_favours_its_members_afterwards() -> None:
    ready, members = ready_set([1.0] * 4)
    strategy = Weighted(rng=random.Random(1))
    turns(strategy, ready, 4)
    assert shares(strategy, members[:2], 200) == {"0": 100, "1": 100}
    assert all(9 <= count <= 12 for count in shares(strategy, ready, 40).values())
    assert set(shares(strategy, members[2:], 100).values()) == {50}


def test_a_list_after_long_absence_claims_nothing() -> None:
    ready, members = ready_set([1.0] * 3)
    strategy = Weighted(rng=random.Random(1))
    turns(strategy, ready, 3)
    ready.leave(members[2])
    turns(strategy, ready, 300)
    assert shares(strategy, members, 30)["2"] in {10, 11}


def test_it_forgets_who_is_gone() -> None:
    strategy = Weighted(rng=random.Random(1))
    for generation in range(50):
        ready, members = ready_set([1.0] * 10)
        for index, each in enumerate(members):
            each.id = f"{generation}-{index}"
        turns(strategy, ready, 10)
        turns(strategy, members, 3)
    assert len(strategy._turns) <= 128
    assert len(strategy._rings) <= 8


def test_the_rotation_survives_a_swap_of_everybody() -> None:
    ready, members = ready_set([2.0, 1.0])
    strategy = Weighted(rng=random.Random(1))
    turns(strategy, ready, 5)
    ready.reset()
    for each in members:
        ready.join(each)
    assert shares(strategy, ready, 301)["0"] in range(199, 203)


def test_churn_does_not_pile_up() -> None:
    ready, members = ready_set([1.0] * 10)
    strategy = Weighted(rng=random.Random(1))
    for index in range(3_000):
        each = members[index % 10]
        ready.leave(each)
        ready.join(each)
        turns(strategy, ready, 1)
    (ring,) = strategy._rings.values()
    assert len(ring.heap) <= 2 * 10 + 64 + 2


def test_equal_ties_are_told_apart() -> None:
    class Unlucky(random.Random):
        def random(self) -> float:
            return 0.5

    ready, _ = ready_set([1.0] * 3)
    assert shares(Weighted(rng=Unlucky()), ready, 9) == {"0": 3, "1": 3, "2": 3}


def test_it_needs_no_random_source() -> None:
    assert Weighted().pick(CALL, [member("x")], 0.0).id == "x"
