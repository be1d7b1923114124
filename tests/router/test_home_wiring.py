"""The Router and its affinity: what is refused when the model list changes, who is asked first after a loss."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

import pytest
from routers import AFFINITY, closed, create, entry, group, misbehave, served, serving

from checks import PreCallCheck
from providers.errors import BadRequestError, ConfigurationError
from providers.types import Affinity, Call
from router import Router
from router.stores.memory import MemoryStore
from strategies import Candidate

ALIKE = ("d949462", "d1151906")
"""Ids with one tag."""
SIGNED: dict[str, Any] = {
    "optional_pre_call_checks": AFFINITY,
    "affinity": "signed-id",
    "affinity_key": "a key for tests only",
}


async def test_deployments_that_signed_ids_cannot_tell_apart_are_refused_at_every_change() -> None:
    one, other, third = (entry("http://127.0.0.1:9", id=name) for name in (*ALIKE, "third"))
    with pytest.raises(ConfigurationError, match=f"{ALIKE[0]!r} and {ALIKE[1]!r}"):
        Router([one, other], **SIGNED)
    async with Router([one, third], **SIGNED) as router:
        for change in (
            lambda: router.add_deployment(other),
            lambda: router.upsert_deployment(other),
            lambda: router.set_model_list([other, one]),
        ):
            with pytest.raises(ConfigurationError, match="signed ids can't tell them apart"):
                change()
            assert [each.id for each in router.health()] == [ALIKE[0], "third"], "nothing has changed"
        router.delete_deployment(ALIKE[0])
        assert router.add_deployment(other) == ALIKE[1]
    async with Router([one, other], optional_pre_call_checks=AFFINITY):
        pass  # without signed ids there is nothing to confuse


async def test_a_check_hears_of_every_change_before_it_is_made() -> None:
    class Picky(PreCallCheck):
        heard: list[list[str]] = []

        def accept(self, deployments: Any) -> None:
            names = [each.id for each in deployments]
            self.heard.append(names)
            if "bad" in names:
                raise ConfigurationError("not this one")

    good, bad, more = (entry("http://127.0.0.1:9", id=name) for name in ("good", "bad", "more"))
    async with Router([good], optional_pre_call_checks=[Picky]) as router:
        with pytest.raises(ConfigurationError, match="not this one"):
            router.add_deployment(bad)
        router.add_deployment(more)
        router.delete_deployment("good")
        assert [each.id for each in router.health()] == ["more"]
    assert Picky.heard == [["good"], ["good", "bad"], ["good", "more"], ["more"]]


class Slow(MemoryStore):
    """A store whose writes are acknowledged when the test says so."""

    def __init__(self) -> None:
        super().__init__()
        self.asked = asyncio.Event()
        self.acknowledged = asyncio.Event()

    async def set(self, key: str, value: str, *, ttl: float) -> None:
        self.asked.set()
        await self.acknowledged.wait()
        await super().set(key, value, ttl=ttl)


@pytest.mark.parametrize("stream", [False, True])
async def test_an_answer_waits_until_its_owner_is_known_or_is_written_beside(stream: bool) -> None:
    store = Slow()
    async with serving(2) as upstreams:
        common: dict[str, Any] = {"optional_pre_call_checks": AFFINITY, "affinity_store": store}
        beside = Router(group(upstreams), affinity_write="beside", **common)
        first = await create(beside, stream)
        again = await create(beside, stream, previous_response_id=first.id)
        assert (served(again), store.asked.is_set()) == (served(first), False)
        await beside.aclose()
        router = Router(group(upstreams), **common)
        call = asyncio.create_task(create(router, stream, previous_response_id=first.id))
        await store.asked.wait()
        for upstream in upstreams:
            await upstream.until(lambda upstream=upstream: upstream.active_requests == 0)  # type: ignore[misc]
        assert not call.done()
        store.acknowledged.set()
        assert served(await call) == served(first)
        await closed(router, upstreams)


class Stubborn:
    """Picks the first by name, whatever happened."""

    def pick(self, call: Call, candidates: Sequence[Candidate], now: float) -> Candidate:
        return min(candidates, key=lambda each: each.id)


@pytest.mark.parametrize("stream", [False, True])
async def test_a_replay_goes_to_those_that_did_not_fail_first(stream: bool) -> None:
    async with serving(3) as upstreams:
        router = Router(
            group(upstreams),
            optional_pre_call_checks=AFFINITY,
            routing_strategy=Stubborn(),
            on_home_lost="replay",
            num_retries=0,
        )
        first = await create(router, stream)
        assert served(first) == "u0"
        misbehave(upstreams[0], "500")
        second = await create(router, stream, previous_response_id=first.id)
        assert served(second) == "u1"
        assert second.routing.affinity == Affinity("replayed", "u0")
        assert [each.calls for each in upstreams] == [2, 1, 0], "home was asked once more, as home"
        await closed(router, upstreams)


async def test_a_replay_goes_back_to_what_failed_if_there_is_nobody_else() -> None:
    async with serving(1) as upstreams:
        waits: list[float] = []

        async def mend(seconds: float) -> None:
            waits.append(seconds)
            misbehave(upstreams[0])

        router = Router(group(upstreams), optional_pre_call_checks=AFFINITY, on_home_lost="replay", sleep=mend)
        first = await create(router, False)
        misbehave(upstreams[0], "500")
        second = await create(router, False, previous_response_id=first.id)
        assert served(second) == "u0"
        assert second.routing.affinity is not None
        assert second.routing.affinity.mode == "replayed"
        assert len(waits) == 1
        await closed(router, upstreams)


async def test_a_tenant_must_be_a_text_before_anything_is_looked_up() -> None:
    async with serving(1) as upstreams:
        router = Router([*group(upstreams), *group(upstreams, "other", id="o")], optional_pre_call_checks=AFFINITY)
        for scope in (7, ""):
            with pytest.raises(BadRequestError, match="affinity_scope: must be a text"):
                await router.aget_responses("resp_1", affinity_scope=scope)
        assert upstreams[0].calls == 0
        await closed(router, upstreams)


async def test_a_conversation_outlives_its_deployment_at_the_same_place() -> None:
    async with serving(1) as upstreams:
        one, two = (entry(upstreams[0], id=name) for name in ("one", "two"))
        router = Router([one], optional_pre_call_checks=AFFINITY)
        first = await create(router, False)
        router.set_model_list([two])
        second = await create(router, False, previous_response_id=first.id)
        assert second.routing.affinity is not None
        assert (served(second), second.routing.affinity.mode, second.routing.affinity.home) == ("two", "domain", "one")
        assert served(await router.aget_responses(first.id)) == "two"
        assert (await router.adelete_responses(first.id)).deleted
        await closed(router, upstreams)
