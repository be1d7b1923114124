"""Homes without a store: ids that carry their owner, the same wherever and whenever a caller sees them."""

from __future__ import annotations

import gc
from dataclasses import replace
from typing import Any

import pytest
from homing import ALL, EAST, NORTH, WEST, Notebook, asked_for, follow_up
from pydantic import SecretStr

from checks import Failed, Finished, Home, Started
from checks.affinity.owners import signs_as
from checks.affinity.signed_affinity import SignedAffinity
from checks.affinity.signed_id import SignedIdError, SignedIds, owner_tag
from checks.affinity.transcript import Turn
from checks.base import PreCallCheck
from providers.errors import (
    ConfigurationError,
    HomeLostError,
    InternalServerError,
    PreviousResponseNotFoundError,
    ResponseNotFoundError,
)
from providers.types import Affinity, Call, Deployment, HomePolicy, Verb
from providers.views import Deleted, Response
from router.stores.transcripts import MemoryTranscripts

IDS = SignedIds(SecretStr("a key for tests only"))
FOREIGN = SignedIds(SecretStr("the key of another"))
FIRST, SECOND = "resp_" + "0a" * 25, "resp_" + "0b" * 25


def signed(id: str, deployment: Deployment = NORTH, scope: str = "", ids: SignedIds = IDS) -> str:
    """The id that a caller sees."""
    return ids.wrap(id, signs_as(deployment), scope=scope)


class Fleet:
    """Deployments that come and go, and a check over them."""

    def __init__(self, *deployments: Deployment, **options: Any) -> None:
        self.there: dict[str, Deployment] = {}
        self.store = Notebook()
        self.check = SignedAffinity(IDS, self.store, lambda name: self.there.get(name), **options)
        self.be(*deployments)

    def be(self, *deployments: Deployment) -> None:
        """Have these, and no others."""
        self.check.accept(deployments)
        self.there = {each.id: each for each in deployments}

    async def eligible(self, call: Call) -> tuple[Deployment, ...]:
        """Where a call may go."""
        return tuple(await self.check.eligible(call, tuple(self.there.values())))


@pytest.fixture
def fleet() -> Fleet:
    return Fleet(*ALL)


async def test_an_id_says_where_it_is_at_home(fleet: Fleet) -> None:
    call = follow_up(signed(FIRST))
    found = await fleet.check.eligible(call, ALL)
    assert isinstance(found, Home)
    assert list(found) == [NORTH]
    assert found.affinity == Affinity("home", "north")
    assert list(await fleet.check.preview(follow_up(signed(FIRST)), ALL)) == [NORTH]
    assert fleet.store.asked == [], "no store is needed"
    sent = fleet.check.prepare(call, NORTH)
    assert sent.body == {"input": "x", "previous_response_id": FIRST}
    assert fleet.check.prepare(call, NORTH) is sent, "opened once"
    assert fleet.check.stats.hit == 1


async def test_what_bears_no_signed_id_is_let_alone(fleet: Fleet) -> None:
    call = Call("gpt", body={"input": "x"})
    assert await fleet.check.eligible(call, ALL) is ALL
    assert fleet.check.prepare(call, EAST) is call
    assert fleet.check.prepare(call, EAST) is call
    json: Any = {"type": "response.output_text.delta", "delta": FIRST}
    assert fleet.check.present(call, EAST, json) is json
    plain = follow_up(FIRST)
    assert await fleet.check.eligible(plain, ALL) is ALL, "an upstream's own id, from elsewhere"
    fleet.store.kept[FIRST] = "north"
    assert await fleet.eligible(follow_up(FIRST)) == (NORTH,)
    assert await fleet.check.home(FIRST) is NORTH


async def test_any_other_of_the_place_serves_when_the_owner_is_gone_even_after_a_restart(fleet: Fleet) -> None:
    by_east, by_north = follow_up(signed(FIRST, EAST)), follow_up(signed(FIRST, NORTH))
    fleet.be(WEST)
    assert await fleet.eligible(by_east) == (WEST,)
    restarted = Fleet(WEST)
    assert await restarted.eligible(replace(by_east)) == (WEST,)
    assert await restarted.check.home(signed(FIRST, EAST)) is WEST
    for some in (fleet, restarted):
        with pytest.raises(HomeLostError, match="this Router no longer has it") as caught:
            await some.eligible(replace(by_north))
        assert caught.value.owner == ("north" if some is fleet else owner_tag("north"))
        assert f"response '{signed(FIRST, NORTH)}' is held by" in str(caught.value), "as the caller wrote it"
        assert FIRST not in str(caught.value)
    assert await fleet.check.home(signed(FIRST, NORTH)) is NORTH
    with pytest.raises(HomeLostError, match=owner_tag("north")):
        await restarted.check.home(signed(FIRST, NORTH))


def test_deployments_that_cannot_be_told_apart_are_refused(fleet: Fleet) -> None:
    alike = [Deployment(name, "gpt", "openai", "m") for name in ("d949462", "d1151906")]
    with pytest.raises(ConfigurationError, match="model_info"):
        fleet.be(*alike)
    assert PreCallCheck().accept(alike) is None  # type: ignore[func-returns-value]


async def test_ids_are_the_same_whoever_of_the_domain_reads_them() -> None:
    """Two deployments with one credential at one address: their place has no name but theirs."""
    one, two = (Deployment(name, "gpt", "openai", "m", api_key=SecretStr("sk-1")) for name in ("one", "two"))
    fleet = Fleet(one, two, NORTH)
    start = Call("gpt", body={"input": "x"})
    first = str(fleet.check.present(start, one, {"object": "response", "id": FIRST})["id"])
    assert first == signed(FIRST, one)
    follow = follow_up(first)
    assert await fleet.eligible(follow) == (one, two)
    shown = fleet.check.present(follow, two, {"object": "response", "id": SECOND, "previous_response_id": FIRST})
    assert shown["previous_response_id"] == first
    second = str(shown["id"])
    for server in (one, two):
        for call in (asked_for(second), asked_for(second)):
            assert await fleet.eligible(call) == (one, two)
            again = fleet.check.present(
                call, server, {"object": "response", "id": SECOND, "previous_response_id": FIRST}
            )
            assert (again["id"], again["previous_response_id"]) == (second, first)
    moved = fleet.check.present(follow_up(first), NORTH, {"object": "response", "id": SECOND})
    assert moved["id"] == signed(SECOND, NORTH), "replayed elsewhere, it is that one's"
    fleet.be(two)
    last = fleet.check.present(follow_up(first), two, {"object": "response", "id": SECOND})
    assert last["id"] == signed(SECOND, two), "an owner that is gone signs no more"


async def test_an_id_comes_back_as_it_was_written_when_the_key_was_changed() -> None:
    old = SignedIds(SecretStr("the key before this"))
    fleet = Fleet(*ALL)
    fleet.check._ids = SignedIds(SecretStr("a key for tests only"), previous_key=SecretStr("the key before this"))
    call = follow_up(signed(FIRST, ids=old))
    assert await fleet.eligible(call) == (NORTH,)
    event: Any = {
        "type": "response.created",
        "response": {"object": "response", "id": SECOND, "previous_response_id": FIRST},
    }
    shown: Any = fleet.check.present(call, NORTH, event)
    assert shown["response"]["previous_response_id"] == signed(FIRST, ids=old)
    assert shown["response"]["id"] == signed(SECOND)


async def test_what_is_learnt_is_learnt_under_upstream_s_ids(fleet: Fleet) -> None:
    call = follow_up(signed(FIRST))
    await fleet.eligible(call)
    await fleet.check.observe(call, NORTH, Started(SECOND))
    message: Any = {"type": "message", "id": "msg_1", "content": []}
    await fleet.check.observe(
        call, NORTH, Finished(Response({"id": SECOND, "object": "response", "output": [message]}))
    )
    read = asked_for(signed(SECOND))
    await fleet.eligible(read)
    await fleet.check.observe(read, NORTH, Started(signed(SECOND)))
    assert fleet.store.kept == {SECOND: "north", "item:msg_1": "north"}
    fleet.store.kept.clear()
    plain = asked_for(SECOND)
    await fleet.eligible(plain)
    await fleet.check.observe(plain, NORTH, Started(SECOND))
    assert fleet.store.kept == {SECOND: "north"}
    delete = asked_for(signed(SECOND), Verb.DELETE)
    await fleet.eligible(delete)
    deleted = Deleted({"id": SECOND, "object": "response", "deleted": True})
    await fleet.check.observe(delete, NORTH, Finished(deleted))
    assert fleet.store.kept == {}
    assert fleet.check.present(delete, NORTH, deleted.to_dict())["id"] == signed(SECOND)


@pytest.mark.parametrize("forged", [signed(FIRST, ids=FOREIGN), signed(FIRST)[:-1] + "!", "resp_hr1-"])
async def test_what_this_router_did_not_give_out_is_refused(fleet: Fleet, forged: str) -> None:
    for call in (follow_up(forged), asked_for(forged)):
        with pytest.raises(SignedIdError) as caught:
            await fleet.eligible(call)
        assert caught.value.param in ("previous_response_id", "response_id")
        kind = ResponseNotFoundError if call.verb.by_id else PreviousResponseNotFoundError
        with pytest.raises(kind, match="not found"):
            await fleet.eligible(replace(call, scope="acme"))
    with pytest.raises(SignedIdError):
        await fleet.check.home(forged)
    assert await fleet.check.home(forged, "acme") is None


async def test_another_tenant_s_id_does_not_exist(fleet: Fleet) -> None:
    theirs = signed(FIRST, scope="acme")
    assert await fleet.eligible(replace(follow_up(theirs), scope="acme")) == (NORTH,)
    assert await fleet.check.home(theirs, "acme") is NORTH
    compared = {"comparison_response_id": theirs}
    errors = []
    for body in ({"previous_response_id": theirs}, {"previous_response_id": "resp_never"}):
        with pytest.raises(PreviousResponseNotFoundError) as caught:
            await fleet.eligible(Call("gpt", body=body, scope="other"))
        errors.append(str(caught.value).replace(theirs, "ID").replace("resp_never", "ID"))
    assert errors[0] == errors[1]
    mine = signed(SECOND, scope="other")
    with pytest.raises(PreviousResponseNotFoundError) as caught:
        await fleet.eligible(replace(follow_up(mine, prompt_cache_options=compared), scope="other"))
    assert caught.value.param == "prompt_cache_options.comparison_response_id"
    assert await fleet.check.home(theirs, "other") is None
    with pytest.raises(SignedIdError):
        await fleet.eligible(follow_up(theirs))


async def test_a_conversation_is_replayed_under_upstream_s_ids() -> None:
    transcripts = MemoryTranscripts()
    fleet = Fleet(*ALL, policy=HomePolicy("replay"), transcripts=transcripts)
    said: Any = {"type": "message", "role": "assistant", "content": [{"type": "output_text", "text": "hello"}]}
    start = Call("gpt", body={"input": "hi"})
    await fleet.eligible(start)
    answer: Any = {"object": "response", "id": FIRST, "output": [said], "status": "completed"}
    await fleet.check.observe(start, NORTH, Finished(Response(answer)))
    assert isinstance(await transcripts.get(FIRST), Turn)
    call = follow_up(signed(FIRST))
    await fleet.eligible(call)
    await fleet.check.observe(call, NORTH, Failed(InternalServerError("down")))
    replayed = await fleet.check.rescue(call, InternalServerError("down"))
    assert replayed is not None
    assert replayed.affinity == Affinity("replayed", "north")
    assert "previous_response_id" not in replayed.body
    assert await fleet.eligible(replayed) == ALL
    assert fleet.check.prepare(replayed, EAST) is replayed
    assert fleet.check.present(replayed, EAST, {"object": "response", "id": SECOND})["id"] == signed(SECOND, EAST)


async def test_calls_are_not_kept(fleet: Fleet) -> None:
    for call in (Call("gpt"), follow_up(signed(FIRST)), follow_up(FIRST), asked_for(signed(FIRST))):
        await fleet.eligible(call)
        fleet.check.present(call, NORTH, {"object": "response", "id": SECOND})
    del call
    gc.collect()
    kept = (fleet.check._plain, fleet.check._opened, fleet.check._said, fleet.check._found)
    assert [len(each) for each in kept] == [0, 0, 0, 0]
