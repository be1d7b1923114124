"""Names, and changes of the model list under load: whatever is in flight survives."""

import asyncio
import random
from typing import Any

import pytest
from fakes import Clock
from routers import AFFINITY, KEY, bodies, closed, entry, group, in_flight, misbehave, read, served, serving

from checks.affinity.pins import AffinityStats
from checks.base import PreCallCheck
from providers.types import Call, Deployment
from router import (
    BadRequestError,
    ConfigurationError,
    HomeLostError,
    NoDeploymentError,
    Router,
    UnknownModelError,
)


async def test_groups_aliases_wildcards_and_ids() -> None:
    async with serving(4) as upstreams:
        one, two, wild, most = upstreams
        router = Router(
            [
                entry(one),
                entry(two),
                entry(wild, "openai/*", model="openai/*"),
                entry(most, "openai/gpt-*", model="openai/chat-*"),
            ],
            model_group_alias={"default": "gpt", "mini": {"model": "openai/gpt-5-mini"}},
        )
        assert served(await router.aresponses("default", "hi")) in ("u0", "u1")
        assert [served(await router.aresponses("u1", "hi")) for _ in range(4)] == ["u1"] * 4
        assert served(await router.aresponses("openai/o1", "hi")) == "u2"
        assert bodies(wild)[-1]["model"] == "o1"
        for name in ("openai/gpt-5-mini", "mini"):
            answer = await router.aresponses(name, "hi")
            assert (served(answer), answer.routing.model_group) == ("u3", "openai/gpt-*")
            assert bodies(most)[-1]["model"] == "chat-5-mini"
        with pytest.raises(BadRequestError, match="ask for a name that it matches"):
            await router.aresponses("u2", "hi")
        assert (await router.aget_responses(answer.id, model="u3")) == answer
        with pytest.raises(UnknownModelError):
            await router.aresponses("gpt-5", "hi")
        assert repr(router) == "<Router gpt x2, openai/* x1, openai/gpt-* x1>"
        assert [each["model_info"]["id"] for each in router.get_model_list("default")] == ["u0", "u1"]  # type: ignore[index, call-overload]
        assert [each["model_info"]["id"] for each in router.get_model_list("u1")] == ["u1"]  # type: ignore[index, call-overload]
        assert len(router.get_model_list()) == 4
        await closed(router, upstreams)


def test_an_empty_router() -> None:
    router = Router()
    assert repr(router) == "<Router empty>"
    assert router.health() == []
    assert "model_list" in router.json_schema()["properties"]
    with pytest.raises(UnknownModelError):
        router.responses("gpt", "hi")
    router.close()


async def test_changing_the_list() -> None:
    async with serving(3) as upstreams:
        router = Router(group(upstreams[:1]))
        assert router.add_deployment(entry(upstreams[1])) == "u1"
        with pytest.raises(ConfigurationError, match="u1"):
            router.add_deployment(entry(upstreams[1]))
        assert router.upsert_deployment(entry(upstreams[2])) == "u2"
        assert router.upsert_deployment(entry(upstreams[2], weight=3)) == "u2"
        assert {each.id: each.weight for each in router.health()} == {"u0": 1, "u1": 1, "u2": 3}
        assert router.delete_deployment("u1")
        assert not router.delete_deployment("u1")
        with pytest.raises(ConfigurationError, match=r"model_list\[0\]"):
            router.set_model_list([{"model_name": "gpt", "litellm_params": {"modle": "x"}}])
        assert [each.id for each in router.health()] == ["u0", "u2"], "a refused list changes nothing"
        router.set_model_list(group(upstreams))
        assert {served(await router.aresponses("gpt", "hi")) for _ in range(30)} == {"u0", "u1", "u2"}
        await closed(router, upstreams)


async def test_the_default_cap_holds_for_every_way_in() -> None:
    async with serving(3) as upstreams:
        router = Router(group(upstreams[:1]), default_max_parallel_requests=2)
        router.add_deployment(entry(upstreams[1], max_parallel_requests=5))
        router.upsert_deployment(entry(upstreams[2]))
        caps = [each["litellm_params"]["max_parallel_requests"] for each in router.get_model_list()]  # type: ignore[index, call-overload]
        assert caps == [2, 5, 2]
        router.set_model_list(group(upstreams[:2]))
        caps = [each["litellm_params"]["max_parallel_requests"] for each in router.get_model_list()]  # type: ignore[index, call-overload]
        assert caps == [2, 2]
        await closed(router, upstreams)


async def test_changes_under_load_fail_nobody() -> None:
    """Calls, streams and follow-ups go on while the list is swapped, extended, shortened at every moment."""
    async with serving(4) as upstreams:
        everyone, rng = group(upstreams), random.Random(7)
        router = Router(everyone, optional_pre_call_checks=[*AFFINITY, "tags"])
        left = 240

        async def call(number: int) -> None:
            nonlocal left
            answer: Any = await router.aresponses("gpt", "hi", stream=number % 2 == 0)
            if number % 2 == 0:
                await read(answer)
            left -= 1

        async def change() -> None:
            while left:
                match rng.randrange(4):
                    case 0:
                        router.set_model_list(rng.sample(everyone, rng.randint(1, 4)))
                    case 1:
                        router.upsert_deployment(rng.choice(everyone))
                    case 2 if len(router.health()) > 1:
                        router.delete_deployment(rng.choice(router.health()).id)
                    case _:
                        router.upsert_deployment(everyone[0])
                await asyncio.sleep(0)

        changing = asyncio.create_task(change())
        for batch in range(8):
            await asyncio.gather(*(call(number) for number in range(batch * 30, batch * 30 + 30)))
        await changing
        router.set_model_list(everyone)
        assert in_flight(router) == {}
        await closed(router, upstreams)


async def test_a_stream_survives_that_its_deployment_and_group_are_gone() -> None:
    async with serving(2) as upstreams:
        router = Router(group(upstreams[:1]))
        stream = await router.aresponses("gpt", "hi", stream=True)
        router.set_model_list([entry(upstreams[1], "other")])
        assert (await read(stream))[-1]["type"] == "response.completed"
        with pytest.raises(UnknownModelError):
            await router.aresponses("gpt", "hi")
        await closed(router, upstreams)


class Pausing(PreCallCheck):
    """Stops each call before its pick, and narrows to whom it was shown."""

    def __init__(self) -> None:
        self.reached = asyncio.Event()
        self.go_on = asyncio.Event()

    async def eligible(self, call: Call, deployments: Any) -> list[Deployment]:
        self.reached.set()
        await self.go_on.wait()
        return list(deployments)


@pytest.mark.parametrize("model", ["gpt", "gpt-5"])
async def test_a_list_that_changes_between_check_and_pick(model: str) -> None:
    async with serving(2) as upstreams:
        check = Pausing()
        name = "gpt" if model == "gpt" else "gpt-*"
        router = Router([entry(upstreams[0], name)], optional_pre_call_checks=[check])
        call = asyncio.create_task(router.aresponses(model, "hi"))
        await check.reached.wait()
        router.set_model_list([entry(upstreams[1], name)])
        check.go_on.set()
        assert served(await call) == "u1"
        await closed(router, upstreams)


@pytest.mark.parametrize("after", [[], ["*"]])
async def test_a_group_that_is_gone_between_check_and_pick(after: list[str]) -> None:
    async with serving(2) as upstreams:
        check = Pausing()
        router = Router([entry(upstreams[0], "gpt")], optional_pre_call_checks=[check])
        call = asyncio.create_task(router.aresponses("gpt", "hi"))
        await check.reached.wait()
        router.set_model_list([entry(upstreams[1], name) for name in after])
        check.go_on.set()
        with pytest.raises(NoDeploymentError, match="no deployments"):
            await call
        await closed(router, upstreams)


async def test_a_deployment_asked_for_by_id_that_goes_away_meanwhile() -> None:
    async with serving(2) as upstreams:
        check = Pausing()
        router = Router(group(upstreams), optional_pre_call_checks=[check])
        call = asyncio.create_task(router.aresponses("u0", "hi"))
        await check.reached.wait()
        router.delete_deployment("u0")
        check.go_on.set()
        with pytest.raises(NoDeploymentError):
            await call
        await closed(router, upstreams)


async def test_what_an_owner_that_is_gone_held() -> None:
    async with serving(3) as upstreams:
        router = Router(
            [*group(upstreams[:2]), entry(upstreams[2], "other")], optional_pre_call_checks=["tags", *AFFINITY]
        )
        response = await router.aresponses("u0", "hi")
        router.delete_deployment("u0")
        for ask in (
            lambda: router.aresponses("gpt", "more", previous_response_id=response.id),
            lambda: router.aget_responses(response.id, model="gpt"),
            lambda: router.aget_responses(response.id),
        ):
            with pytest.raises(HomeLostError, match="u0"):
                await ask()  # type: ignore[no-untyped-call]
        router.add_deployment(entry(upstreams[0]))
        assert served(await router.aresponses("gpt", "more", previous_response_id=response.id)) == "u0"
        await closed(router, upstreams)


async def test_a_router_without_affinity_has_no_figures_of_it() -> None:
    for checks in ([], ["tags"]):
        assert Router(optional_pre_call_checks=checks).affinity_stats() == AffinityStats()
    async with serving(1) as upstreams:
        router = Router(group(upstreams), optional_pre_call_checks=["tags", *AFFINITY])
        response = await router.aresponses("gpt", "hi")
        await router.aresponses("gpt", "more", previous_response_id=response.id)
        assert router.affinity_stats() != AffinityStats()
        await closed(router, upstreams)


async def test_a_member_of_the_account_inherits(clock: Clock) -> None:
    from providers.simulated import SimulatedUpstream, State

    state = State()
    async with SimulatedUpstream("a", state=state) as a, SimulatedUpstream("b", state=state) as b, serving(1) as others:
        router = Router(
            [entry(a, account="acme"), entry(b, account="acme"), *group(others)],
            optional_pre_call_checks=AFFINITY,
            clock=clock,
        )
        response = await router.aresponses("a", "hi")
        misbehave(a, "500")
        for _ in range(4):
            follow_up = await router.aresponses("gpt", "more", previous_response_id=response.id)
            assert served(follow_up) == "b"
        await closed(router, [a, b, *others])


async def test_the_key_is_not_part_of_an_id() -> None:
    async with serving(1) as upstreams:
        plain = entry(upstreams[0])
        del plain["model_info"]
        router = Router([plain])
        before = router.health()[0].id
        plain["litellm_params"]["api_key"] = "another"
        router.set_model_list([plain])
        assert router.health()[0].id == before
        assert KEY not in before
        await router.aresponses("gpt", "hi")
        assert upstreams[0].requests[-1].headers["authorization"] == "Bearer another"
        await closed(router, upstreams)
