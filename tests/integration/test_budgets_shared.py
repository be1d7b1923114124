"""Budgets that Routers share through a Redis. Every simulated answer costs eight dollars."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from functools import partial
from itertools import count
from typing import Any

import pytest
from fakes import Clock
from prices import PerToken
from redis_servers import Cluster, Server, eventually
from routers import closed, create, group, served, serving

from providers.simulated import Behaviour
from router import BudgetExceededError, Router
from router.stores.redis_budgets import RedisBudgets

eight = partial(serving, behaviour=Behaviour(tokens=16))
DAY = {"budget_duration": "1000d"}
USER = {"end_user": "*", "max_budget": 80, **DAY}
_prefixes = count()


@pytest.fixture(scope="module")
def servers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    """Those that nobody stops."""
    folder = tmp_path_factory.mktemp("budgets")
    server, cluster = Server(folder).start(), Cluster(folder / "cluster").start()
    yield {"alone": f"redis://127.0.0.1:{server.port}", "cluster": cluster.url}
    server.kill()
    cluster.kill()


@pytest.fixture(params=["alone", "cluster"])
def shared(request: pytest.FixtureRequest, servers: dict[str, str]) -> dict[str, Any]:
    """Settings of Routers that share a Redis, and a key prefix which no other test has."""
    return settings_of(servers[request.param])


def settings_of(url: str) -> dict[str, Any]:
    return {
        "redis_url": url,
        "redis_key_prefix": f"budgets{next(_prefixes)}",
        "redis_timeout": 5.0,  # a busy machine is no outage
        "price_source": PerToken(),
        "default_litellm_params": {"max_output_tokens": 16},
        "clock": Clock(),
    }


def board(router: Router) -> RedisBudgets:
    found = router._stores.budgets
    assert isinstance(found, RedisBudgets)
    return found


async def told(*routers: Router) -> None:
    """Wait until the others can know what these have spent."""
    for router in routers:
        router.budgets()
        await eventually(lambda router=router: not board(router).waiting, "it is told")  # type: ignore[misc]
        await board(router)._link._background.finish(5)


def asking(router: Router) -> bool:
    """Whether a request is on its way to Redis."""
    sender = board(router)._sender
    return sender is not None and not sender.done() and not board(router)._asked


def money(router: Router) -> dict[str, tuple[float, float]]:
    return {f"{each.scope} {each.name}": (each.spent, each.reserved) for each in router.budgets()}


@pytest.mark.parametrize("stream", [False, True])
async def test_what_one_has_spent_the_others_can_not_spend_again(stream: bool, shared: dict[str, Any]) -> None:
    async with eight(1) as upstreams:
        one, two = (Router(group(upstreams), budgets=[{**USER, "max_budget": 16}], **shared) for _ in range(2))
        for _ in range(2):
            await create(one, stream, user="ann")
        with pytest.raises(BudgetExceededError, match=r"end user 'ann' has no room: \$16 of \$16"):
            await create(two, stream, user="ann")
        await create(two, stream, user="bob")
        await told(one, two)
        await one.aclose()
        await closed(two, upstreams)


async def test_what_is_reserved_by_one_is_no_room_for_the_others(shared: dict[str, Any]) -> None:
    async with eight(1, behaviour=Behaviour(tokens=16, latency=60)) as upstreams:
        budgets = [{"group": "gpt", "max_budget": 10, **DAY}]
        one, two = (Router(group(upstreams), budgets=budgets, **shared) for _ in range(2))
        task = asyncio.create_task(create(one, False))
        await upstreams[0].until(lambda: upstreams[0].active_requests == 1)
        with pytest.raises(BudgetExceededError, match=r"\$8 reserved by calls on their way"):
            await create(two, False)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        await told(one)
        upstreams[0].behaviour = Behaviour(tokens=16)
        await create(two, False)
        assert money(two) == {"group gpt": (8, 0)}
        await one.aclose()
        await closed(two, upstreams)


async def test_a_burst_over_three_routers_can_not_overshoot(shared: dict[str, Any]) -> None:
    async with eight(1) as upstreams:
        tag = {"tag": "web", "max_budget": 1_000, **DAY}
        routers = [Router(group(upstreams), budgets=[USER, tag], **shared) for _ in range(3)]
        calls = [create(routers[n % 3], n % 2 == 0, user="ann", litellm_metadata={"tags": ["web"]}) for n in range(45)]
        ends = await asyncio.gather(*calls, return_exceptions=True)
        assert all(isinstance(end, BudgetExceededError) for end in ends if isinstance(end, BaseException))
        assert sum(not isinstance(end, BaseException) for end in ends) == 10
        await told(*routers)
        with pytest.raises(BudgetExceededError):
            await create(routers[0], False, user="ann")
        assert money(routers[0])["end_user ann"] == (80, 0)
        for router in routers[1:]:
            await router.aclose()
        await closed(routers[0], upstreams)


async def test_deployments_and_providers_are_shared_too(shared: dict[str, Any]) -> None:
    async with eight(2) as upstreams:
        models = group(upstreams, max_budget=8, **DAY)
        spending = {"openai": {"max_budget": 100, **DAY}}
        one, two = (Router(models, provider_budget_config=spending, **shared) for _ in range(2))
        first = served(await create(one, False))
        await told(one)
        second = served(await create(two, False))
        assert {first, second} == {"u0", "u1"}
        await told(two)
        for router in (one, two):
            with pytest.raises(BudgetExceededError):
                await create(router, False)
            assert money(router)["provider openai"] == (16, 0)
        explained = await two.aexplain("gpt")
        assert isinstance(explained.error, BudgetExceededError)
        await one.aclose()
        await closed(two, upstreams)


async def test_a_call_that_is_cancelled_while_redis_is_asked_leaves_no_reservation(frail: Server) -> None:
    async with eight(1) as upstreams:
        shared = settings_of(f"redis://127.0.0.1:{frail.port}")
        one, two = (Router(group(upstreams), budgets=[{**USER, "max_budget": 8}], **shared) for _ in range(2))
        await create(two, False, user="bob")
        await create(one, False, user="cid")
        frail.pause()
        task = asyncio.create_task(create(one, False, user="ann"))
        await eventually(lambda: asking(one), "Redis is asked")
        task.cancel()
        frail.resume()
        with pytest.raises(asyncio.CancelledError):
            await task
        await told(one)
        assert "end_user ann" not in money(one)
        await create(two, False, user="ann")
        await one.aclose()
        await closed(two, upstreams)


async def test_without_redis_memory_answers_alone_and_redis_hears_of_it_later(frail: Server) -> None:
    async with eight(1) as upstreams:
        shared = settings_of(f"redis://127.0.0.1:{frail.port}")
        one, two = (Router(group(upstreams), budgets=[{**USER, "max_budget": 32}], **shared) for _ in range(2))
        await create(one, False, user="ann")
        await told(one)
        frail.kill()
        for _ in range(3):
            await create(one, False, user="ann")
        with pytest.raises(BudgetExceededError):
            await create(one, False, user="ann")
        assert money(one) == {"end_user ann": (32, 0)}
        frail.start()  # with nothing that it knew
        await eventually(lambda: not board(one)._link.down, "it is back")
        await told(one)
        with pytest.raises(BudgetExceededError):
            await create(two, False, user="ann")
        await one.aclose()
        await closed(two, upstreams)


async def test_a_redis_that_is_restarted_learns_again_what_was_spent(frail: Server) -> None:
    async with eight(1) as upstreams:
        shared = settings_of(f"redis://127.0.0.1:{frail.port}")
        one, two = (Router(group(upstreams), budgets=[{**USER, "max_budget": 24}], **shared) for _ in range(2))
        await create(one, False, user="ann")
        await told(one)
        frail.kill()
        frail.start()
        await create(one, False, user="ann")
        await eventually(lambda: not board(one)._link.down, "it is back")
        await told(one)
        await create(two, False, user="ann")
        assert money(two) == {"end_user ann": (24, 0)}
        await one.aclose()
        await closed(two, upstreams)


async def test_closing_tells_what_was_spent(shared: dict[str, Any]) -> None:
    async with eight(1) as upstreams:
        one, two = (Router(group(upstreams), budgets=[{**USER, "max_budget": 8}], **shared) for _ in range(2))
        await create(one, False, user="ann")
        await one.aclose()
        with pytest.raises(BudgetExceededError):
            await create(two, False, user="ann")
        await closed(two, upstreams)


async def test_calls_without_a_budget_ask_nobody(shared: dict[str, Any]) -> None:
    async with eight(1) as upstreams:
        router = Router(group(upstreams), budgets=[USER], **shared)
        asked: list[object] = []
        claim = board(router).claim

        async def noted(wanted: Any, read: Any) -> Any:
            asked.append(wanted)
            return await claim(wanted, read)

        board(router).claim = noted  # type: ignore[method-assign]  # to count what goes there
        await create(router, False)
        assert asked == []
        await create(router, False, user="ann")
        assert len(asked) == 1
        await closed(router, upstreams)
