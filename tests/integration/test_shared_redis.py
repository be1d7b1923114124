"""Routers that share a Redis: pins and cooldowns; and that nobody notices when it is killed, restarted or paused."""

import asyncio
import logging
from collections.abc import Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest
from fakes import Clock
from redis_servers import Server, eventually
from routers import AFFINITY, closed, create, entry, group, misbehave, served, serving

from providers.simulated import SimulatedUpstream
from router import APIError, InternalServerError, RateLimitError, Router


@pytest.fixture
def shared(redis: Server) -> dict[str, Any]:
    """Settings of Routers that share a key prefix which no other test has."""
    return {**redis.settings(), "optional_pre_call_checks": AFFINITY}


def health(router: Router, name: str = "u0") -> Any:
    return next(each for each in router.health() if each.id == name)


@pytest.mark.parametrize("stream", [False, True])
async def test_a_pin_of_one_is_honoured_by_the_others_next_call(stream: bool, shared: dict[str, Any]) -> None:
    async with serving(5) as upstreams:
        routers = [Router(group(upstreams), **shared) for _ in range(3)]
        response = await create(routers[0], stream)
        home = served(response)
        for turn in range(1, 20):
            response = await create(routers[turn % 3], stream, previous_response_id=response.id)
            assert served(response) == home
        got = await routers[1].aget_responses(response.id)
        assert served(got) == home
        await routers[2].adelete_responses(response.id)
        for router in routers[1:]:
            await router.aclose()
        await closed(routers[0], upstreams)


async def test_a_stream_is_known_to_others_before_its_first_event_is_handed_out(shared: dict[str, Any]) -> None:
    async with serving(4) as upstreams:
        one, two = (Router(group(upstreams), **shared) for _ in range(2))
        for _ in range(10):
            stream = await one.aresponses("gpt", "hi", stream=True, background=True)
            created = await anext(stream)
            assert served(await two.aget_responses(created.response.id)) == served(stream)
            await stream.aclose()
        await one.aclose()
        await closed(two, upstreams)


async def test_pins_of_another_prefix_are_another_fleets(shared: dict[str, Any]) -> None:
    async with serving(2) as upstreams:
        one = Router(group(upstreams), **shared)
        two = Router(group(upstreams), **{**shared, "redis_key_prefix": "other", "discover": False})
        response = await one.aresponses("u0", "hi")
        with pytest.raises(APIError):
            await two.aresponses("u1", "more", previous_response_id=response.id)
        await one.aclose()
        await closed(two, upstreams)


@pytest.mark.parametrize(("fault", "kind"), [("500", "breaker"), ("401", "breaker"), ("429", "quota")])
async def test_a_cooldown_found_by_one_spares_the_other_within_a_second(
    fault: Any, kind: str, shared: dict[str, Any]
) -> None:
    clock = Clock()
    async with serving(2) as upstreams:
        strategy: dict[str, Any] = {"routing_strategy": "round-robin", "clock": clock}
        one, two = (Router(group(upstreams), **shared, **strategy) for _ in range(2))
        await two.aresponses("u1", "hi")  # it has looked at the board, and found it empty
        misbehave(upstreams[0], fault, retry_after=30)
        while health(one).state == "closed" and not health(one).blocked_for:
            await one.aresponses("gpt", "hi")
        seen = upstreams[0].calls
        with _board(shared) as board:
            await eventually(lambda: board.hlen(f"{shared['redis_key_prefix']}:cooldowns"), "it is published")
        clock.advance(1)
        for _ in range(10):
            assert served(await two.aresponses("gpt", "hi")) == "u1"
        assert upstreams[0].calls == seen, "the other one has not sent a single request there"
        other = health(two)
        assert (other.open_for if kind == "breaker" else other.blocked_for) > 0
        await one.aclose()
        await closed(two, upstreams)


def _board(shared: dict[str, Any]) -> Any:
    from redis import Redis

    return Redis.from_url(shared["redis_url"])


async def test_a_shared_cooldown_ends(shared: dict[str, Any]) -> None:
    clock = Clock()
    async with serving(2) as upstreams:
        short: dict[str, Any] = {"routing_strategy": "round-robin", "cooldown_time": 0.3}
        one, two = (Router(group(upstreams), clock=clock, **short, **shared) for _ in range(2))
        misbehave(upstreams[0], "500")
        while health(one).state == "closed":
            await one.aresponses("gpt", "hi")
        with _board(shared) as board:
            await eventually(lambda: board.hlen(f"{shared['redis_key_prefix']}:cooldowns"), "it is published")
            await two.aresponses("gpt", "hi")
            assert health(two).state == "open"
            misbehave(upstreams[0])
            await eventually(lambda: not board.exists(f"{shared['redis_key_prefix']}:cooldowns"), "it is over")
            clock.advance(10)
            await two.aresponses("gpt", "hi")
            assert {served(await two.aresponses("gpt", "hi")) for _ in range(10)} == {"u0", "u1"}
        await one.aclose()
        await closed(two, upstreams)


# outages

Act = Callable[[Server], None]


class Load:
    """Conversations that go on until told to stop; every error is kept."""

    def __init__(self, router: Router) -> None:
        self.router = router
        self.answers = 0
        self.errors: list[BaseException] = []
        self.strays = 0
        self.going = True

    async def converse(self, number: int) -> None:
        home, last = "", None
        while self.going:
            try:
                response = await create(self.router, number % 2 == 0, previous_response_id=last)
            except APIError as error:
                self.errors.append(error)
                return
            self.answers += 1
            self.strays += last is not None and served(response) != home
            home, last = served(response), response.id

    async def more(self, calls: int = 60) -> None:
        """Wait for so many more answers."""
        goal = self.answers + calls
        await eventually(lambda: self.answers >= goal or self.errors, "the load goes on")


@asynccontextmanager
async def load(router: Router, conversations: int = 8) -> Any:
    running = Load(router)
    tasks = [asyncio.create_task(running.converse(number)) for number in range(conversations)]
    try:
        await running.more()
        yield running
    finally:
        running.going = False
        await asyncio.gather(*tasks)


@pytest.mark.parametrize("outage", ["killed", "paused"])
async def test_no_call_fails_while_redis_is_away(outage: str, frail: Server, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    async with serving(4) as upstreams:
        url = f"redis://127.0.0.1:{frail.port}"
        router = Router(group(upstreams), optional_pre_call_checks=AFFINITY, redis_url=url)
        link = router._stores.link
        assert link is not None
        stats = link.stats
        async with load(router) as running:
            for _ in range(2):
                if outage == "killed":
                    frail.kill()
                else:
                    frail.pause()
                await eventually(lambda: stats.outages > stats.recoveries, "it is noticed, if it was not away already")
                await running.more(200)
                if outage == "killed":
                    frail.start()
                else:
                    frail.resume()
                await eventually(lambda: stats.outages == stats.recoveries, "it is back")
                await running.more()
        assert running.errors == []
        assert running.strays == 0, "and every follow-up came home"
        warnings = [record.getMessage() for record in caplog.records if record.levelno >= logging.WARNING]
        assert 0 < len(warnings) == stats.outages, "one warning for each outage"
        assert stats.outages < 6, "of which a busy machine may add some"
        assert all("memory answers alone" in warning for warning in warnings)
        await closed(router, upstreams)


async def test_pins_of_an_outage_reach_the_others_afterwards(frail: Server) -> None:
    async with serving(4) as upstreams:
        settings: dict[str, Any] = {
            "redis_url": f"redis://127.0.0.1:{frail.port}",
            "optional_pre_call_checks": AFFINITY,
            "discover": False,
        }
        one, two = (Router(group(upstreams), **settings) for _ in range(2))
        await one.aresponses("gpt", "hi")
        frail.kill()
        responses = [await one.aresponses("gpt", "hi") for _ in range(20)]
        frail.start()
        stats = one._stores.link.stats  # type: ignore[union-attr]
        await eventually(lambda: stats.recoveries == 1, "it is back")
        for response in responses:
            follow_up = await two.aresponses("gpt", "more", previous_response_id=response.id)
            assert served(follow_up) == served(response)
        await one.aclose()
        await closed(two, upstreams)


async def test_a_redis_that_was_never_there(caplog: pytest.LogCaptureFixture) -> None:
    from redis_servers import free_port

    async with serving(3) as upstreams:
        router = Router(
            group(upstreams), optional_pre_call_checks=AFFINITY, redis_url=f"redis://127.0.0.1:{free_port()}"
        )
        for _ in range(10):
            response = await router.aresponses("gpt", "hi")
            assert served(await router.aresponses("gpt", "more", previous_response_id=response.id)) == served(response)
        assert caplog.text.count("memory answers alone") == 1
        await closed(router, upstreams)


def test_sync_calls_share_too(shared: dict[str, Any]) -> None:
    with SimulatedUpstream.in_thread("u0") as a, SimulatedUpstream.in_thread("u1") as b:
        with Router(group([a, b]), **shared) as one, Router(group([a, b]), **shared) as two:
            for _ in range(10):
                first = one.responses("gpt", "hi")
                assert served(two.responses("gpt", "more", previous_response_id=first.id)) == served(first)
        for upstream in (a, b):
            upstream.wait_until(lambda upstream=upstream: upstream.open_connections == 0)  # type: ignore[misc]


async def test_one_router_may_be_used_from_several_loops_with_one_redis(shared: dict[str, Any]) -> None:
    async with serving(3) as upstreams:
        router = Router(group(upstreams), **shared)
        first = await router.aresponses("gpt", "hi")
        follow_up = await asyncio.to_thread(router.responses, "gpt", "more", previous_response_id=first.id)
        assert served(follow_up) == served(first)
        await closed(router, upstreams)


async def test_the_error_of_a_shared_cooldown_says_where_it_comes_from(shared: dict[str, Any]) -> None:
    clock = Clock()
    async with serving(1) as upstreams:
        one, two = (
            Router([entry(upstreams[0])], clock=clock, on_all_down="fail", num_retries=0, **shared) for _ in range(2)
        )
        misbehave(upstreams[0], "500")
        for _ in range(2):
            with pytest.raises(InternalServerError):
                await one.aresponses("gpt", "hi")
        with _board(shared) as board:
            await eventually(lambda: board.hlen(f"{shared['redis_key_prefix']}:cooldowns"), "it is published")
        with pytest.raises(APIError, match="reported by another Router") as raised:
            await two.aresponses("gpt", "hi")
        assert not isinstance(raised.value, RateLimitError)
        await one.aclose()
        await closed(two, upstreams)
