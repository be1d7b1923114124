"""Checks and strategies of the user's own, inside real calls. What belongs to one Router belongs to no other."""

import asyncio
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import pytest
from fakes import Clock
from routers import AFFINITY, bodies, closed, create, entry, group, in_flight, misbehave, served, serving, tick

from checks.base import Failed, Finished, Home, Outcome, PreCallCheck, Preferred, Started
from providers.types import Call, Deployment
from router import (
    BadRequestError,
    Candidate,
    ConfigurationError,
    InsufficientQuotaError,
    InternalServerError,
    NoDeploymentError,
    PermissionDeniedError,
    RateLimitError,
    Router,
    RouterError,
    ServiceUnavailableError,
    Strategy,
)

Narrow = Callable[[Sequence[Deployment]], Sequence[Deployment]]


class Narrowing(PreCallCheck):
    """Answers with what `narrow` makes of the deployments."""

    def __init__(self, narrow: Narrow) -> None:
        self._narrow = narrow
        self.asked = 0

    async def eligible(self, call: Call, deployments: Sequence[Deployment]) -> Sequence[Deployment]:
        self.asked += 1
        return self._narrow(deployments)


class Raising(PreCallCheck):
    """Refuses every call."""

    def __init__(self, error: Exception, times: int = 10**9) -> None:
        self.error = error
        self.asked = 0
        self._times = times

    async def eligible(self, call: Call, deployments: Sequence[Deployment]) -> Sequence[Deployment]:
        self.asked += 1
        if self.asked <= self._times:
            raise self.error
        return deployments


def only(*names: str) -> Narrow:
    return lambda deployments: [each for each in deployments if each.id in names]


def named(*names: str, kind: Any = list) -> Narrow:
    """Those of these names, in this order."""
    return lambda deployments: kind(each for name in names for each in deployments if each.id == name)


@pytest.mark.parametrize("stream", [False, True])
async def test_checks_narrow_one_after_the_other(stream: bool) -> None:
    async with serving(4) as upstreams:
        seen: list[list[str]] = []

        def note(deployments: Sequence[Deployment]) -> Sequence[Deployment]:
            seen.append([each.id for each in deployments])
            return deployments

        checks = [Narrowing(only("u1", "u2", "u3")), Narrowing(note), Narrowing(only("u2", "u0")), Narrowing(note)]
        router = Router(group(upstreams), optional_pre_call_checks=checks)
        assert {served(await create(router, stream)) for _ in range(5)} == {"u2"}
        assert seen[:2] == [["u1", "u2", "u3"], ["u2"]]
        await closed(router, upstreams)


async def test_the_strategy_chooses_among_whom_a_check_leaves() -> None:
    async with serving(3) as upstreams:
        router = Router(
            group(upstreams), optional_pre_call_checks=[Narrowing(only("u0", "u2"))], routing_strategy="round-robin"
        )
        answers = [served(await router.aresponses("gpt", "hi")) for _ in range(10)]
        assert Counter(answers) == {"u0": 5, "u2": 5}
        await closed(router, upstreams)


async def test_an_order_binds_the_strategy(clock: Clock) -> None:
    async with serving(3) as upstreams:
        check = Narrowing(named("u2", "u0", kind=Preferred))
        router = Router(group(upstreams), optional_pre_call_checks=[check], clock=clock, sleep=tick)
        assert {served(await router.aresponses("gpt", "hi")) for _ in range(5)} == {"u2"}
        misbehave(upstreams[2], "500")
        assert {served(await router.aresponses("gpt", "hi")) for _ in range(5)} == {"u0"}
        misbehave(upstreams[0], "500")
        with pytest.raises(InternalServerError):
            await router.aresponses("gpt", "hi")
        assert upstreams[1].calls == 0
        await closed(router, upstreams)


async def test_an_order_survives_a_later_check() -> None:
    async with serving(3) as upstreams:
        checks = [Narrowing(named("u2", "u1", "u0", kind=Preferred)), Narrowing(only("u0", "u1"))]
        router = Router(group(upstreams), optional_pre_call_checks=checks)
        assert {served(await router.aresponses("gpt", "hi")) for _ in range(5)} == {"u1"}
        await closed(router, upstreams)


async def test_a_home_is_never_left(clock: Clock) -> None:
    async with serving(2) as upstreams:
        router = Router(
            [entry(upstreams[0]), entry(upstreams[1]), entry(upstreams[1], "spare", id="spare")],
            optional_pre_call_checks=[Narrowing(named("u0", kind=Home))],
            fallbacks=[{"gpt": ["spare"]}],
            clock=clock,
            sleep=tick,
            on_all_down="fail",
        )
        misbehave(upstreams[0], "500")
        with pytest.raises(InternalServerError):
            await router.aresponses("gpt", "hi")
        assert upstreams[1].calls == 0
        await closed(router, upstreams)


async def test_nobody_left_turns_to_the_fallbacks_and_names_the_check() -> None:
    async with serving(2) as upstreams:

        class NotHere(PreCallCheck):
            async def eligible(self, call: Call, deployments: Sequence[Deployment]) -> Sequence[Deployment]:
                return deployments if call.group == "spare" else []

        router = Router([entry(upstreams[0]), entry(upstreams[1], "spare")], optional_pre_call_checks=[NotHere])
        with pytest.raises(NoDeploymentError, match="'gpt' may serve this call: NotHere refused them all"):
            await router.aresponses("gpt", "hi")
        assert served(await router.aresponses("gpt", "hi", fallbacks=["spare"])) == "u1"
        await closed(router, upstreams)


@pytest.mark.parametrize(
    "error",
    [BadRequestError("no"), PermissionDeniedError("no"), ServiceUnavailableError("no"), InsufficientQuotaError("no")],
)
async def test_a_typed_refusal_is_raised_as_it_is(error: Any) -> None:
    async with serving(2) as upstreams:
        check = Raising(error)
        router = Router([entry(upstreams[0]), entry(upstreams[1], "spare")], optional_pre_call_checks=[check])
        calls: list[dict[str, Any]] = [{}, {"fallbacks": ["spare"]}]
        for params in calls:
            with pytest.raises(type(error)) as raised:
                await router.aresponses("gpt", "hi", **params)
            assert raised.value is error
        assert check.asked == (2 if isinstance(error, BadRequestError) else 3), "the caller's fault turns nowhere"
        assert sum(upstream.calls for upstream in upstreams) == 0
        await closed(router, upstreams)


async def test_a_limit_of_a_check_is_waited_for(clock: Clock) -> None:
    waits: list[float] = []

    async def sleep(seconds: float) -> None:
        waits.append(seconds)
        clock.advance(seconds)

    async with serving(1) as upstreams:
        error = RateLimitError("one a minute", retry_after=7)
        router = Router(group(upstreams), optional_pre_call_checks=[Raising(error, times=2)], clock=clock, sleep=sleep)
        await router.aresponses("gpt", "hi")
        assert waits == [7, 7]
        await closed(router, upstreams)
        router = Router(group(upstreams), optional_pre_call_checks=[Raising(error)], clock=clock, sleep=sleep)
        waits.clear()
        with pytest.raises(RateLimitError, match="one a minute") as raised:
            await router.aresponses("gpt", "hi", deadline=20)
        assert raised.value is error, "and says itself why it gave up"
        assert waits == [7, 7]
        await closed(router, upstreams)


async def test_an_error_without_a_type_is_raised_and_frees_everything() -> None:
    async with serving(1) as upstreams:

        class Broken(PreCallCheck):
            async def eligible(self, call: Call, deployments: Sequence[Deployment]) -> Sequence[Deployment]:
                if "eligible" in str(call.body):
                    raise ZeroDivisionError("eligible")
                return deployments

            def prepare(self, call: Call, deployment: Deployment) -> Call:
                if "prepare" in str(call.body):
                    raise ZeroDivisionError("prepare")
                return call

            def reserve(self, call: Call, deployment: Deployment, now: float) -> float:
                if "reserve" in str(call.body):
                    raise ZeroDivisionError("reserve")
                return 0.0

        router = Router(group(upstreams), optional_pre_call_checks=[Broken])
        for where in ("eligible", "prepare", "reserve"):
            with pytest.raises(ZeroDivisionError, match=where):
                await router.aresponses("gpt", where)
            assert in_flight(router) == {}
        await router.aresponses("gpt", "hi")
        await closed(router, upstreams)


async def test_prepare_rewrites_what_goes_upstream_for_each_deployment() -> None:
    async with serving(2) as upstreams:
        observed: list[Call] = []

        class Rewriting(PreCallCheck):
            def prepare(self, call: Call, deployment: Deployment) -> Call:
                return replace(call, body={**call.body, "user": f"{call.body['user']}@{deployment.id}"})

            async def observe(self, call: Call, deployment: Deployment, outcome: Outcome) -> None:
                observed.append(call)

        misbehave(upstreams[0], "500")
        router = Router(
            group(upstreams), optional_pre_call_checks=[Rewriting, Rewriting], routing_strategy="round-robin"
        )
        for _ in range(2):
            await router.aresponses("gpt", "hi", user="ada")
        assert bodies(upstreams[0])[-1]["user"] == "ada@u0@u0"
        assert [body["user"] for body in bodies(upstreams[1])] == ["ada@u1@u1"] * 2
        assert {call.body["user"] for call in observed} == {"ada"}, "the call itself stays what it was"
        await closed(router, upstreams)


async def test_what_observers_raise_is_logged_and_nobody_elses(caplog: pytest.LogCaptureFixture) -> None:
    async with serving(2) as upstreams:
        told: list[type] = []

        class Moody(PreCallCheck):
            async def observe(self, call: Call, deployment: Deployment, outcome: Outcome) -> None:
                raise TimeoutError("not in the mood")

        class Attentive(PreCallCheck):
            async def observe(self, call: Call, deployment: Deployment, outcome: Outcome) -> None:
                told.append(type(outcome))

        misbehave(upstreams[0], "500")
        router = Router(
            [entry(upstreams[0], order=0), entry(upstreams[1], order=1)],
            optional_pre_call_checks=[Moody(), Attentive()],
        )
        for stream in (False, True):
            told.clear()
            assert served(await create(router, stream)) == "u1"
            assert [kind for kind in told if kind in (Failed, Started, Finished)] == [Failed, Started, Finished]
        assert "Moody failed to learn" in caplog.text
        assert "not in the mood" in caplog.text
        await closed(router, upstreams)


class Seats(PreCallCheck):
    """So many calls in all, for each deployment."""

    def __init__(self, **seats: int) -> None:
        self.seats = seats
        self.released = 0

    def reserve(self, call: Call, deployment: Deployment, now: float) -> float:
        if not self.seats.get(deployment.id):
            return 5.0
        self.seats[deployment.id] -= 1
        return 0.0

    def release(self, call: Call, deployment: Deployment) -> None:
        self.released += 1
        self.seats[deployment.id] += 1


async def test_all_checks_that_reserve_must_have_room(clock: Clock) -> None:
    async with serving(2) as upstreams:
        first, second = Seats(u0=5, u1=5), Seats(u0=0, u1=3)
        router = Router(group(upstreams), optional_pre_call_checks=[first, second], clock=clock)
        for _ in range(3):
            assert served(await router.aresponses("gpt", "hi")) == "u1"
        assert (first.seats, second.seats) == ({"u0": 5, "u1": 2}, {"u0": 0, "u1": 0})
        with pytest.raises(RateLimitError) as raised:
            await router.aresponses("gpt", "hi", deadline=1)
        assert raised.value.retry_after == 5
        assert first.seats == {"u0": 5, "u1": 2}, "what was taken for nothing is given back"
        assert first.released > 0
        await closed(router, upstreams)


class Needy(PreCallCheck):
    def __init__(self, required: int) -> None:
        self.required = required


def test_what_is_no_check_is_refused() -> None:
    for spec, message in ((Needy, "Needy needs arguments"), (7, "not int"), ("afinity", "unknown check")):
        with pytest.raises(ConfigurationError, match=message):
            Router(optional_pre_call_checks=[spec])  # type: ignore[list-item]


async def test_routers_share_nothing() -> None:
    async with serving(2) as upstreams:
        mine, yours = Narrowing(only("u0")), Narrowing(only("u1"))
        one = Router(group(upstreams), optional_pre_call_checks=[mine, *AFFINITY])
        two = Router(group(upstreams), optional_pre_call_checks=[yours])
        three = Router(group(upstreams), optional_pre_call_checks=[])
        first = await one.aresponses("gpt", "hi")
        assert (mine.asked, yours.asked) == (1, 0)
        assert served(await two.aresponses("gpt", "hi")) == "u1"
        assert (mine.asked, yours.asked) == (1, 1)
        await asyncio.gather(*(three.aresponses("gpt", "hi") for _ in range(10)))
        assert (mine.asked, yours.asked) == (1, 1)
        assert sum(each.calls for each in one.health()) == 1
        with pytest.raises(RouterError):  # pins are the first one's
            await two.aresponses("gpt", "more", previous_response_id=first.id)
        await one.aclose()
        await two.aclose()
        await closed(three, upstreams)


async def test_one_affinity_store_may_serve_several_routers() -> None:
    from router.stores.memory import MemoryStore

    async with serving(3) as upstreams:
        store = MemoryStore()
        routers = [Router(group(upstreams), optional_pre_call_checks=AFFINITY, affinity_store=store) for _ in range(2)]
        for _ in range(6):
            first = await routers[0].aresponses("gpt", "hi")
            assert served(await routers[1].aresponses("gpt", "more", previous_response_id=first.id)) == served(first)
        assert len(store) >= 12
        await routers[0].aclose()
        await closed(routers[1], upstreams)


# strategies


class Last:
    """The last one, by name."""

    def pick(self, call: Call, candidates: Sequence[Candidate], now: float) -> Candidate:
        return max(candidates, key=lambda each: each.id)


class Returning:
    """Whatever it was told to."""

    def __init__(self, junk: object) -> None:
        self.junk = junk

    def pick(self, call: Call, candidates: Sequence[Candidate], now: float) -> Any:
        if isinstance(self.junk, Exception):
            raise self.junk
        return self.junk


@pytest.mark.parametrize("spec", [Last, Last()])
@pytest.mark.parametrize("stream", [False, True])
async def test_a_strategy_of_ones_own(spec: Any, stream: bool) -> None:
    async with serving(3) as upstreams:
        router = Router(group(upstreams), routing_strategy=spec)
        assert isinstance(Last(), Strategy)
        assert [served(await create(router, stream)) for _ in range(3)] == ["u2"] * 3
        misbehave(upstreams[2], "500")
        assert [served(await create(router, stream)) for _ in range(3)] == ["u1"] * 3
        await closed(router, upstreams)


@pytest.mark.parametrize("junk", [None, "u1", 7, object(), KeyError("lost")])
@pytest.mark.parametrize("narrowed", [False, True])
async def test_a_strategy_that_returns_junk_is_blamed_by_name(junk: Any, narrowed: bool) -> None:
    async with serving(3) as upstreams:
        checks = [Narrowing(only("u0", "u1"))] if narrowed else []
        strategy = Returning(junk)
        router = Router(group(upstreams), routing_strategy=strategy, optional_pre_call_checks=checks)
        expected: Any = KeyError if isinstance(junk, Exception) else RouterError
        with pytest.raises(expected, match=r"lost|the strategy Returning returned"):
            await router.aresponses("gpt", "hi")
        assert in_flight(router) == {}
        assert sum(upstream.calls for upstream in upstreams) == 0
        await closed(router, upstreams)


async def test_a_strategy_that_keeps_a_candidate_is_caught() -> None:
    async with serving(2) as upstreams:
        strategy = Returning(None)
        router = Router(group(upstreams), routing_strategy=strategy)
        strategy.junk = router._pool._members["u0"]
        await router.aresponses("gpt", "hi")
        router.delete_deployment("u0")
        router.add_deployment(entry(upstreams[0], id="u2"))
        with pytest.raises(RouterError, match="none of the 2 candidates"):
            await router.aresponses("gpt", "hi")
        await closed(router, upstreams)


async def test_groups_may_have_strategies_of_their_own() -> None:
    async with serving(3) as upstreams:
        router = Router(
            [*group(upstreams), *(entry(each, "mini", id=f"mini-{each.name}") for each in upstreams)],
            routing_strategy=Last,
            routing_groups=[{"models": ["mini"], "routing_strategy": "round-robin"}],
        )
        assert {served(await router.aresponses("gpt", "hi")) for _ in range(6)} == {"u2"}
        assert Counter([served(await router.aresponses("mini", "hi")) for _ in range(6)]) == {
            f"mini-u{n}": 2 for n in range(3)
        }
        for upstream in upstreams:
            assert router.delete_deployment(f"mini-{upstream.name}")
        router.add_deployment(entry(upstreams[0], "mini", id="mini-u0"))
        assert served(await router.aresponses("mini", "hi")) == "mini-u0"
        await closed(router, upstreams)


def test_a_wrong_strategy_is_refused_before_any_call() -> None:
    for spec, args, message in (
        ("round-robbin", None, "did you mean 'round-robin'"),
        ("cost-based-routing", None, "does not exist here"),
        (object(), None, "pick"),
        ("latency", {"sampel": 3}, "did you mean 'sample'"),
    ):
        with pytest.raises(ConfigurationError, match=message):
            Router(routing_strategy=spec, routing_strategy_args=args)  # type: ignore[arg-type]
    with pytest.raises(ConfigurationError, match="least-busy"):
        Router(routing_groups=[{"models": ["x"], "routing_strategy": "leastbusy"}])


@pytest.mark.parametrize(
    ("name", "settings", "expected"),
    [
        ("tags", {"enable_tag_filtering": True}, 1),
        ("context_window", {"enable_pre_call_checks": True}, 1),
        ("tags", {"enable_tag_filtering": True, "optional_pre_call_checks": ["tags"]}, 1),
        ("context_window", {"enable_pre_call_checks": True, "optional_pre_call_checks": ["context_window"]}, 1),
        ("none", {}, 0),
    ],
)
async def test_litellms_switches_add_checks(name: str, settings: dict[str, Any], expected: int) -> None:
    router = Router(**settings)
    assert len(router._checks) == expected, name
    await router.aclose()


async def test_tags_and_context_windows_in_calls() -> None:
    async with serving(3) as upstreams:
        small, large, free = upstreams
        router = Router(
            [
                entry(small, max_input_tokens=10),
                entry(large, max_input_tokens=10_000, tags=["paid"]),
                entry(free, "free", tags=["free", "default"]),
            ],
            enable_pre_call_checks=True,
            enable_tag_filtering=True,
            context_window_fallbacks=[{"gpt": ["free"]}],
        )
        long = "word " * 1_000
        assert served(await router.aresponses("gpt", long)) == "u1"
        assert served(await router.aresponses("gpt", "hi", litellm_metadata={"tags": ["paid"]})) == "u1"
        assert served(await router.aresponses("gpt", "word " * 20_000)) == "u2"
        with pytest.raises(BadRequestError, match="paid"):
            await router.aresponses("gpt", "hi", litellm_metadata={"tags": ["gold"]})
        await closed(router, upstreams)
