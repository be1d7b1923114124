"""Strategies by name: what is accepted, and how what is not is refused."""

import random
from collections.abc import Sequence

import pytest
from pools import CALL, member

from providers.errors import ConfigurationError
from providers.types import Call
from strategies import Adaptive, Candidate, Latency, LeastBusy, SimpleShuffle, Strategy, Weighted
from strategies.arguments import Whole, guess
from strategies.catalog import STRATEGIES, build, factory

RNG = random.Random(1)


@pytest.mark.parametrize(
    ("name", "cls"),
    [
        *STRATEGIES.items(),
        ("latency-based-routing", Latency),
        ("round_robin", Weighted),
        ("least_busy", LeastBusy),
        ("Simple-Shuffle ", SimpleShuffle),
        ("adaptive", Adaptive),
    ],
)
def test_names(name: str, cls: type[Strategy]) -> None:
    strategy = build(name, None, RNG)
    assert type(strategy) is cls
    assert isinstance(strategy, Strategy)
    assert strategy.pick(CALL, [member("x")], 0.0).id == "x"


def test_every_group_gets_its_own() -> None:
    make = factory("weighted", {}, RNG)
    assert make() is not make()


@pytest.mark.parametrize(
    ("name", "advice"),
    [
        ("usage-based-routing", "rate_limit"),
        ("usage-based-routing-v2", "rate_limit"),
        ("cost-based-routing", "order"),
        ("provider-budget-routing", "weight"),
        ("leest-busy", "did you mean 'least-busy'"),
        ("zzz", "known: adaptive, latency"),
    ],
)
def test_what_does_not_exist_is_refused_with_advice(name: str, advice: str) -> None:
    with pytest.raises(ConfigurationError, match=rf"(?s)routing_strategy: .*{name}.*{advice}"):
        build(name, None, RNG)


def test_arguments_take_effect() -> None:
    strategy = build("adaptive", {"sample": 8, "full_scan": 4}, RNG)
    assert isinstance(strategy, Adaptive)
    assert (strategy._sample, strategy._full_scan) == (8, 4)


def test_all_wrong_arguments_are_named_at_once() -> None:
    args = {"sampel": 3, "sample": "3", "full_scan": 0, "ttl": 10, "lowest_latency_buffer": 0.1}
    with pytest.raises(ConfigurationError) as caught:
        build("latency", args, RNG, place="routing_groups[2].routing_strategy")
    lines = str(caught.value).splitlines()
    place = "routing_groups[2].routing_strategy_args"
    assert lines == [
        f"{place}.sampel: unknown argument of the strategy 'latency'; did you mean 'sample'?",
        f"{place}.sample: a whole number from 2 to 64 is needed, not '3'",
        f"{place}.full_scan: a whole number from 1 to 256 is needed, not 0",
        f"{place}.ttl: not needed: what was learnt of a deployment fades within a minute of not using it; leave it out",
        f"{place}.lowest_latency_buffer: not needed: calls in flight count, so the fastest is never flooded; "
        "leave it out",
    ]


def test_a_strategy_without_arguments_says_so() -> None:
    with pytest.raises(ConfigurationError, match="it takes none"):
        build("weighted", {"sample": 3}, RNG)


def test_a_truth_value_is_no_number() -> None:
    with pytest.raises(ConfigurationError, match="here: a whole number from 0 to 2 is needed, not True"):
        Whole(0, 2).check(True, "here")


class First:
    """A custom strategy."""

    def __init__(self, offset: int = 0) -> None:
        self.offset = offset

    def pick(self, call: Call, candidates: Sequence[Candidate], now: float) -> Candidate:
        return candidates[self.offset]


class Random(First):
    def __init__(self, rng: random.Random) -> None:
        super().__init__()
        self.rng = rng


def test_an_instance_is_taken_as_it_is() -> None:
    mine = First()
    make = factory(mine, None, RNG)
    assert make() is make() is mine
    with pytest.raises(ConfigurationError, match="routing_strategy_args: an instance takes no arguments"):
        build(mine, {"offset": 1}, RNG)


def test_a_class_is_made_with_its_arguments() -> None:
    strategy = build(First, {"offset": 1}, RNG)
    assert isinstance(strategy, First)
    assert strategy.offset == 1
    assert factory(First, None, RNG)() is not factory(First, None, RNG)()


def test_a_class_that_wants_randomness_gets_the_routers() -> None:
    strategy = build(Random, None, RNG)
    assert isinstance(strategy, Random)
    assert strategy.rng is RNG


def test_a_class_refuses_what_it_does_not_take() -> None:
    with pytest.raises(ConfigurationError, match=r"routing_strategy_args: First: .*did you mean 'offset'"):
        build(First, {"ofset": 1}, RNG)


@pytest.mark.parametrize("spec", [object(), 3, int])
def test_what_cannot_pick_is_no_strategy(spec: object) -> None:
    with pytest.raises(ConfigurationError, match=r"routing_strategy: .*`pick`"):
        build(spec, None, RNG)  # type: ignore[arg-type]


def test_a_guess_lists_what_is_known_if_nothing_is_close() -> None:
    assert guess("zzz", ["b", "a"]) == "known: a, b"
