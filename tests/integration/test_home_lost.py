"""When the deployment that holds a conversation is gone: what each policy does, twice in a row, however called."""

import asyncio
import pickle
import time
from collections import Counter
from collections.abc import AsyncIterator
from typing import Any

import pytest
from fakes import Clock
from redis_servers import eventually
from routers import AFFINITY, closed, create, entry, group, misbehave, served, serving, tick
from talking import PLACES, SAID, WAYS, calls, placed, talk

from providers.simulated import SimulatedUpstream
from providers.simulated.state import State
from router import HomeLostError, RateLimitError, Router


@pytest.fixture
async def upstreams() -> AsyncIterator[dict[str, SimulatedUpstream]]:
    async with serving(3) as made:
        yield {upstream.name: upstream for upstream in made}


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("where", PLACES)
async def test_fail_says_so_at_once(where: str, way: str, upstreams: dict[str, SimulatedUpstream]) -> None:
    settings, params = placed("fail", where)
    router = Router(
        group(upstreams.values()), optional_pre_call_checks=AFFINITY, disable_cooldowns=True, sleep=tick, **settings
    )
    speak = talk(router, way)
    first = await speak("hello")
    owner = upstreams[served(first)]
    misbehave(owner, "refuse")
    before, began = calls(upstreams), time.time()
    lost = []
    for number in range(2):
        with pytest.raises(HomeLostError) as raised:
            await speak(previous_response_id=first.id, **params)
        lost.append(raised.value)
        assert router.affinity_stats().lost == number + 1
    assert calls(upstreams) == before, "nobody else was asked"
    for error in lost:
        assert (error.owner, error.deployment_id) == (owner.name, owner.name)
        assert (error.status_code, error.code) == (503, "home_lost")
        assert error.reason is not None
        assert f"no connection to {owner.url}" in error.reason
        assert first.id in error.message
        assert error.since is not None
        assert began <= error.since <= time.time()
        assert [attempt.deployment_id for attempt in error.attempts] == [owner.name]
    assert lost[0].since == lost[1].since, "it is known since when"
    misbehave(owner)
    again = await speak(previous_response_id=first.id, **params)
    assert again.output_text.startswith(SAID.format(2, owner.name))
    await closed(router, upstreams.values())


async def test_fail_asks_nobody_while_the_breaker_is_open(upstreams: dict[str, SimulatedUpstream]) -> None:
    router = Router(group(upstreams.values()), optional_pre_call_checks=AFFINITY, on_home_lost="fail")
    first = await router.aresponses("gpt", "hello")
    misbehave(upstreams[served(first)], "500")
    for _ in range(2):
        with pytest.raises(HomeLostError, match="server had an error"):
            await router.aresponses("gpt", "more", previous_response_id=first.id)
    before = calls(upstreams)
    with pytest.raises(HomeLostError, match=f"{served(first)}: cooling for") as raised:
        await router.aresponses("gpt", "more", previous_response_id=first.id)
    assert raised.value.attempts == ()
    assert raised.value.retry_after is not None
    assert calls(upstreams) == before
    await closed(router, upstreams.values())


async def test_the_error_can_be_pickled(upstreams: dict[str, SimulatedUpstream]) -> None:
    router = Router(group(upstreams.values()), optional_pre_call_checks=AFFINITY, on_home_lost="fail")
    first = await router.aresponses("gpt", "hello")
    misbehave(upstreams[served(first)], "500")
    with pytest.raises(HomeLostError) as raised:
        await router.aresponses("gpt", "more", previous_response_id=first.id)
    error, copy = raised.value, pickle.loads(pickle.dumps(raised.value))
    assert type(copy) is HomeLostError
    for name in ("owner", "reason", "since", "message", "code", "deployment_id", "provider", "status_code"):
        assert getattr(copy, name) == getattr(error, name)
    assert [attempt.deployment_id for attempt in copy.attempts] == [served(first)]
    assert str(copy) == str(error)
    await closed(router, upstreams.values())


async def test_a_failing_home_is_named_with_its_own_error(upstreams: dict[str, SimulatedUpstream]) -> None:
    router = Router(group(upstreams.values()), optional_pre_call_checks=AFFINITY, on_home_lost="fail")
    first = await router.aresponses("gpt", "hello")
    owner = upstreams[served(first)]
    for fault, said in (("500", "server had an error"), ("401", "API key"), ("reset", "no connection to")):
        misbehave(owner, fault)
        with pytest.raises(HomeLostError) as raised:
            await router.aresponses("gpt", "more", previous_response_id=first.id)
        assert said.lower() in str(raised.value.reason).lower()
        router.upsert_deployment(entry(owner, rpm=1_000 + len(said)))
        router.delete_deployment(owner.name)
        router.add_deployment(entry(owner))  # with a breaker that is closed
    assert {name for name, upstream in upstreams.items() if upstream.calls} == {owner.name}
    await closed(router, upstreams.values())


# waiting


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("where", PLACES)
async def test_wait_is_served_at_home_once_it_is_back(
    where: str, way: str, upstreams: dict[str, SimulatedUpstream]
) -> None:
    owner: list[SimulatedUpstream] = []
    waits: list[float] = []

    async def sleep(seconds: float) -> None:
        waits.append(seconds)
        misbehave(owner[0])  # it is back while we wait

    settings, params = placed("wait", where, home_wait=30)
    router = Router(group(upstreams.values()), optional_pre_call_checks=AFFINITY, sleep=sleep, **settings)
    speak = talk(router, way)
    turn = await speak("hello")
    owner.append(upstreams[served(turn)])
    before = calls(upstreams)
    for number in (2, 3):
        misbehave(owner[0], "refuse")
        turn = await speak(previous_response_id=turn.id, **params)
        assert turn.output_text.startswith(SAID.format(number, owner[0].name))
        assert [attempt.error is None for attempt in turn.routing.attempts] == [False, True]
        assert turn.routing.affinity is not None
        assert (turn.routing.affinity.mode, turn.routing.affinity.home) == ("home", owner[0].name)
    assert len(waits) == 2
    assert calls(upstreams) == {**before, owner[0].name: before[owner[0].name] + 2}
    assert router.affinity_stats().lost == 0
    await closed(router, upstreams.values())


@pytest.mark.parametrize("fault", ["reset", "500", "503", "429"])
async def test_wait_needs_no_retries(fault: Any, upstreams: dict[str, SimulatedUpstream]) -> None:
    router = Router(
        group(upstreams.values()),
        optional_pre_call_checks=AFFINITY,
        disable_cooldowns=True,
        num_retries=0,
        sleep=tick,
    )
    turn = await router.aresponses("gpt", "hello")
    owner = upstreams[served(turn)]
    misbehave(owner, retry_after=0.01)
    owner.script(fault)
    with pytest.raises(RateLimitError if fault == "429" else HomeLostError) as raised:
        await router.aresponses("gpt", "more", previous_response_id=turn.id, on_home_lost="fail")
    assert len(raised.value.attempts) == 1
    owner.script(fault)
    back = await router.aresponses("gpt", "more", previous_response_id=turn.id, num_retries=0)
    assert [attempt.error is None for attempt in back.routing.attempts] == [False, True]
    assert sum(upstream.calls > 0 for upstream in upstreams.values()) == 1
    await closed(router, upstreams.values())


async def test_a_home_that_was_too_slow_is_not_asked_again_without_retries(
    upstreams: dict[str, SimulatedUpstream],
) -> None:
    router = Router(group(upstreams.values()), optional_pre_call_checks=AFFINITY, num_retries=0)
    turn = await router.aresponses("gpt", "hello")
    owner = upstreams[served(turn)]
    misbehave(owner, "hang")
    with pytest.raises(HomeLostError) as raised:
        await router.aresponses("gpt", "more", previous_response_id=turn.id, timeout=0.05)
    assert len(raised.value.attempts) == 1
    await closed(router, upstreams.values())


async def test_wait_lasts_until_the_breaker_lets_a_call_through(upstreams: dict[str, SimulatedUpstream]) -> None:
    router = Router(
        group(upstreams.values(), cooldown_time=0.02), optional_pre_call_checks=AFFINITY, home_wait=30, sleep=tick
    )
    first = await router.aresponses("gpt", "hello")
    owner = upstreams[served(first)]
    misbehave(owner, "500")
    turns = [
        asyncio.create_task(create(router, number % 2 == 0, input="more", previous_response_id=first.id))
        for number in range(4)
    ]
    await eventually(
        lambda: any(each.id == owner.name and each.state == "open" for each in router.health()), "the breaker is open"
    )
    misbehave(owner)
    for turn in await asyncio.gather(*turns):
        assert turn.output_text.startswith(SAID.format(2, owner.name))
    assert sum(upstream.calls > 0 for upstream in upstreams.values()) == 1
    await closed(router, upstreams.values())


async def test_wait_gives_up_after_its_bound(clock: Clock, upstreams: dict[str, SimulatedUpstream]) -> None:
    waits: list[float] = []

    async def sleep(seconds: float) -> None:
        waits.append(seconds)
        clock.advance(seconds)

    router = Router(
        group(upstreams.values()),
        optional_pre_call_checks=AFFINITY,
        disable_cooldowns=True,
        retry_after=1,
        clock=clock,
        sleep=sleep,
    )
    first = await router.aresponses("gpt", "hello")
    misbehave(upstreams[served(first)], "500")
    for bound, expected in ((2.5, 2), (3.5, 3)):
        waits.clear()
        began = clock.now
        with pytest.raises(HomeLostError) as raised:
            await router.aresponses("gpt", "more", previous_response_id=first.id, home_wait=bound)
        assert waits[:2] == [1, 1]
        assert len(waits) == expected
        assert clock.now - began <= bound
        assert len(raised.value.attempts) == expected + 1
    assert sum(upstream.calls > 0 for upstream in upstreams.values()) == 1
    await closed(router, upstreams.values())


@pytest.mark.parametrize("back", [False, True], ids=["stays away", "comes back"])
async def test_a_breaker_that_is_open_for_longer_lets_a_call_try_when_its_wait_is_over(
    back: bool, upstreams: dict[str, SimulatedUpstream]
) -> None:
    """On the real clock: never sooner than the bound."""
    router = Router(
        group(upstreams.values(), cooldown_time=500), optional_pre_call_checks=AFFINITY, home_wait=0.1, sleep=tick
    )
    first = await router.aresponses("gpt", "hello")
    owner = upstreams[served(first)]
    misbehave(owner, "500")

    def state() -> str:
        return next(each.state for each in router.health() if each.id == owner.name)

    while state() == "closed":
        with pytest.raises(HomeLostError):
            await router.aresponses("gpt", "more", previous_response_id=first.id)
    if not back:
        with pytest.raises(HomeLostError) as raised:
            await router.aresponses("gpt", "more", previous_response_id=first.id)
        (attempt,) = raised.value.attempts
    else:
        misbehave(owner)
        turn = await router.aresponses("gpt", "more", previous_response_id=first.id)
        assert turn.output_text.startswith(SAID.format(2, owner.name))
        (attempt,) = turn.routing.attempts
        assert state() != "open"
    assert attempt.started >= 0.1
    await closed(router, upstreams.values())


async def test_a_busy_home_is_not_lost(upstreams: dict[str, SimulatedUpstream]) -> None:
    router = Router(group(upstreams.values()), optional_pre_call_checks=AFFINITY, home_wait=0.01)
    first = await router.aresponses("gpt", "hello")
    misbehave(upstreams[served(first)], "429", retry_after=7.0)
    for policy in ("wait", "fail"):
        with pytest.raises(RateLimitError) as raised:
            await router.aresponses("gpt", "more", previous_response_id=first.id, on_home_lost=policy)
        assert raised.value.retry_after == pytest.approx(7, abs=1)
    assert router.affinity_stats().lost == 0
    await closed(router, upstreams.values())


# its domain first


async def test_an_account_is_balanced_and_fails_over_inside() -> None:
    state = State(seed=1)
    made = [SimulatedUpstream(f"u{n}", seed=n, state=state if n < 3 else None) for n in range(5)]
    for upstream in made:
        await upstream.start()
    router = Router(
        [*group(made[:3], account="acme"), *group(made[3:])],
        optional_pre_call_checks=AFFINITY,
        routing_strategy="round-robin",
        on_home_lost="fail",
    )
    turn = await router.aresponses("gpt", "hello")
    while served(turn) in ("u3", "u4"):
        turn = await router.aresponses("gpt", "hello")
    outside = [upstream.calls for upstream in made[3:]]
    found: Counter[str] = Counter()
    for number in range(30):
        turn = await create(router, number % 2 == 0, input="more", previous_response_id=turn.id)
        found[served(turn)] += 1
        assert turn.routing.affinity is not None
        assert turn.routing.affinity.mode in ("home", "domain")
        assert turn.output_text.startswith(SAID.format(number + 2, served(turn)))
    assert found == {"u0": 10, "u1": 10, "u2": 10}
    for upstream in made[:2]:
        misbehave(upstream, "500")
        for _ in range(3):
            turn = await router.aresponses("gpt", "more", previous_response_id=turn.id)
            assert served(turn) in ("u1", "u2")
    assert served(turn) == "u2"
    misbehave(made[2], "500")
    with pytest.raises(HomeLostError):
        await router.aresponses("gpt", "more", previous_response_id=turn.id)
    assert [upstream.calls for upstream in made[3:]] == outside, "they don't know it"
    await closed(router, made)
    for upstream in made:
        await upstream.stop()


ONE_PLACE: list[tuple[str, list[dict[str, Any]]]] = [
    ("azure resource", [{"model": "azure/a", "api_key": "k-1"}, {"model": "azure/b", "api_key": "k-2"}]),
    ("same key", [{"model": "openai/a"}, {"model": "openai/b"}]),
]
APART: list[tuple[str, list[dict[str, Any]]]] = [
    ("keys", [{"api_key": "sk-1"}, {"api_key": "sk-2"}]),
    ("organizations", [{"organization": "org-1"}, {"organization": "org-2"}]),
    ("projects", [{"project": "p-1"}, {"project": "p-2"}]),
    ("accounts", [{"account": "one"}, {"account": "two"}]),
]


@pytest.mark.parametrize("params", [pair for _, pair in ONE_PLACE], ids=[name for name, _ in ONE_PLACE])
async def test_deployments_of_one_place_stand_in_for_each_other(params: list[dict[str, Any]]) -> None:
    async with serving(1) as (place,):
        router = Router(
            [entry(place, id=f"d{n}", **each) for n, each in enumerate(params)],
            optional_pre_call_checks=AFFINITY,
            routing_strategy="round-robin",
            on_home_lost="fail",
            disable_cooldowns=True,
        )
        turn = await router.aresponses("gpt", "hello")
        found: Counter[str] = Counter()
        for _ in range(8):
            turn = await router.aresponses("gpt", "more", previous_response_id=turn.id)
            found[served(turn)] += 1
        assert found == {"d0": 4, "d1": 4}
        for _ in range(4):
            place.script("500")
            turn = await router.aresponses("gpt", "more", previous_response_id=turn.id)
            first, second = (attempt.deployment_id for attempt in turn.routing.attempts)
            assert {first, second} == {"d0", "d1"}
        await closed(router, [place])


@pytest.mark.parametrize("params", [pair for _, pair in APART], ids=[name for name, _ in APART])
async def test_deployments_of_two_places_do_not(params: list[dict[str, Any]]) -> None:
    async with serving(1) as (place,):
        router = Router(
            [entry(place, id=f"d{n}", **each) for n, each in enumerate(params)],
            optional_pre_call_checks=AFFINITY,
            routing_strategy="round-robin",
            on_home_lost="fail",
        )
        turn = await router.aresponses("gpt", "hello")
        home = served(turn)
        for _ in range(6):
            turn = await router.aresponses("gpt", "more", previous_response_id=turn.id)
            assert served(turn) == home
        place.script("500")
        with pytest.raises(HomeLostError) as raised:
            await router.aresponses("gpt", "more", previous_response_id=turn.id)
        assert raised.value.owner == home
        await closed(router, [place])
