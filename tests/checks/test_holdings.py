"""What deployments say they hold: a call that names it goes to one of them, and a conversation may move to another."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest
from homing import Notebook, follow_up

from checks import Finished, Home, ResponsesApiDeployment, Started
from checks.affinity.discovery import Discovery
from checks.affinity.holdings import Holdings, replay_where_most_moves
from providers.errors import BadRequestError, HomeLostError, InternalServerError
from providers.types import Affinity, Call, Deployment, HomePolicy, JsonObject
from providers.views import Response
from router.stores.transcripts import MemoryTranscripts

ONE = Deployment("one", "gpt", "openai", "m", account="1", holds=frozenset({"file-1", "vs_1"}))
PEER = Deployment("peer", "gpt", "openai", "m", account="1")
TWO = Deployment("two", "gpt", "openai", "m", account="2", holds=frozenset({"file-1", "file-2"}))
BARE = Deployment("bare", "gpt", "openai", "m", account="3")
FAR = Deployment("far", "other", "openai", "m", account="3", holds=frozenset({"file-3"}))
ALL = (ONE, PEER, TWO, BARE)


class House:
    """A check, its store, and the deployments there are."""

    def __init__(self, **options: Any) -> None:
        self.store = Notebook()
        self.there = {each.id: each for each in (*ALL, FAR)}
        self.check = ResponsesApiDeployment(self.store, lambda name: self.there.get(name), **options)
        self.check.accept(tuple(self.there.values()))

    async def home(self, call: Call, among: Sequence[Deployment] = ALL) -> Home:
        """Where `call` may go."""
        found = await self.check.eligible(call, among)
        assert isinstance(found, Home)
        return found


@pytest.fixture
def house() -> House:
    return House()


def reading(*files: str, **body: Any) -> Call:
    """A call whose message holds files."""
    parts = [{"type": "input_file", "file_id": name} for name in files]
    return Call("gpt", body={"input": [{"type": "message", "role": "user", "content": parts}], **body})


def searching(*stores: str, **body: Any) -> Call:
    """A call that searches vector stores."""
    return Call("gpt", body={"tools": [{"type": "file_search", "vector_store_ids": [*stores]}], **body})


@pytest.mark.parametrize(
    ("call", "names"),
    [
        (reading("file-1"), "one peer two"),
        (reading("file-2"), "two"),
        (reading("file-1", "file-2"), "two"),
        (reading("file-2", "file-1"), "two"),
        (searching("vs_1"), "one peer"),
        (reading("file-1", **searching("vs_1").body), "one peer"),
        (reading("file-3"), "bare"),
    ],
    ids=str,
)
async def test_a_call_goes_to_those_that_hold_what_it_names(house: House, call: Call, names: str) -> None:
    for found in (await house.home(call), await house.check.preview(call, ALL)):
        assert " ".join(each.id for each in found) == names
    assert house.store.asked == [], "nobody need be asked"
    await house.check.observe(call, ONE, Started("resp_1"))
    await house.check.observe(call, ONE, Finished(Response({"id": "resp_1", "output": []})))
    assert house.store.kept == {"resp_1": "one"}, "what is said is not learnt"


async def test_who_serves_says_whose_it_was(house: House) -> None:
    home = await house.home(reading("file-1"))
    assert home.served_by("one") == Affinity("home", "one")
    assert home.served_by("peer") == Affinity("domain", "one")
    assert home.served_by("two") == Affinity("home", "two")
    other = replace(TWO, id="other", holds=frozenset())
    assert (await house.home(reading("file-1"), (*ALL, other))).served_by("other") == Affinity("domain", "two")


async def test_what_is_said_outranks_what_was_learnt(house: House) -> None:
    house.store.kept |= {"file:file-2": "bare", "file:file-9": "bare"}
    assert await house.home(reading("file-2")) == (TWO,)
    assert await house.home(reading("file-9")) == (BARE,)
    house.there["two"] = replace(TWO, holds=frozenset())
    assert await house.home(reading("file-2")) == (BARE,), "nobody says so any more"


async def test_tenants_share_what_was_uploaded_for_all(house: House) -> None:
    for scope in (None, "a", "b"):
        assert await house.home(replace(reading("file-2"), scope=scope)) == (TWO,)


async def test_the_conversation_decides_among_those_that_hold_a_file(house: House) -> None:
    house.store.kept |= {"resp_1": "peer", "resp_2": "two", "resp_3": "bare"}
    file = reading("file-1").body
    assert await house.home(follow_up("resp_1", **file)) == (ONE, PEER)
    assert await house.home(follow_up("resp_2", **file)) == (TWO,)
    with pytest.raises(BadRequestError, match=r"'file-1' is held by deployment 'one' or 'two', but .*'resp_3' by 'bar"):
        await house.home(follow_up("resp_3", **file))


async def test_no_place_that_holds_it_is_left(house: House) -> None:
    with pytest.raises(HomeLostError, match="file 'file-2' is held by deployment 'two': it is in group 'gpt', and"):
        await house.home(reading("file-2"), (ONE, PEER, BARE))
    with pytest.raises(BadRequestError, match=r"'file-2' is held by deployment 'two', but .* store 'vs_1' by 'one'"):
        await house.home(reading("file-2", **searching("vs_1").body))


async def test_an_unknown_response_is_looked_for_where_its_file_is() -> None:
    asked: list[str] = []

    async def ask(deployment: Deployment, response_id: str) -> bool:
        asked.append(deployment.id)
        return deployment is TWO

    house = House(discovery=Discovery(ask))
    home = await house.home(follow_up("resp_1", **reading("file-1").body))
    assert (tuple(home), home.affinity) == ((TWO,), Affinity("discovered", "two"))
    assert sorted(asked) == ["one", "two"]
    asked.clear()
    assert await house.home(follow_up("resp_2", **reading("file-2").body)) == (TWO,)
    assert asked == [], "there is one place where it can be"


def test_a_name_that_is_no_upload_is_no_holding() -> None:
    holdings = Holdings({each.id: each for each in ALL}.get)
    holdings.accept(ALL)
    assert holdings.holders("file-1") == (ONE, TWO)
    assert holdings.holders("file-9") == ()


def test_a_change_that_is_refused_changes_nothing() -> None:
    there = {each.id: each for each in ALL}
    holdings = Holdings(there.get)
    holdings.accept(ALL)
    new = replace(BARE, id="new", holds=frozenset({"file-1"}))
    holdings.accept((new,))
    assert holdings.holders("file-1") == (ONE, TWO)
    there.clear()
    there["new"] = new
    assert holdings.holders("file-1") == (new,)
    holdings.accept((new,))
    assert holdings.known == {"file-1": ("new",)}, "what is gone is forgotten at the next change"


# moving


def test_where_a_conversation_could_move() -> None:
    there = {each.id: each for each in (*ALL, FAR)}
    more = replace(TWO, id="more", holds=frozenset({"vs_2"}))
    holdings = Holdings(there.get)
    holdings.accept((*ALL, FAR, more))
    assert holdings.elsewhere("gpt", ()) == [ONE.holds, TWO.holds], "one is not there yet"
    there["more"] = more
    assert holdings.elsewhere("gpt", (PEER,)) == [TWO.holds | {"vs_2"}]
    assert holdings.elsewhere("gpt", (ONE, TWO)) == []
    assert holdings.elsewhere("other", ()) == [FAR.holds]


def kinds(places: list[frozenset[str]], call: Call, *, lossy: bool) -> list[str]:
    """What of `call` is dropped."""
    told = replay_where_most_moves(places, [], call, lossy=lossy, same_vendor=True)
    return [part.where for part in told.dropped]


def test_it_moves_where_most_of_it_is() -> None:
    call = reading("file-1", "file-2", "file-3")
    for places in ([ONE.holds, TWO.holds, FAR.holds], [TWO.holds, ONE.holds]):
        assert kinds(places, call, lossy=True) == ["input[0].content[2]"]
    call = reading("file-1", "file-2")
    assert kinds([ONE.holds, TWO.holds], call, lossy=False) == []
    with pytest.raises(HomeLostError, match=r"deployment: file_id at input\[0\].content\[1\];"):
        kinds([ONE.holds], call, lossy=False)
    with pytest.raises(HomeLostError, match=r"content\[0\], file_id at input\[0\].content\[1\];"):
        kinds([], call, lossy=False)


async def test_a_conversation_takes_along_the_files_that_its_new_home_has_too() -> None:
    house = House(policy=HomePolicy("replay"), transcripts=MemoryTranscripts())
    call = reading("file-1")
    answer: JsonObject = {"id": "resp_1", "object": "response", "status": "completed", "output": []}
    await house.home(call)
    await house.check.observe(call, PEER, Started("resp_1"))
    await house.check.observe(call, PEER, Finished(Response(answer)))
    down = InternalServerError("down")
    moved = await house.check.rescue(follow_up("resp_1"), down)
    assert moved is not None
    assert await house.home(moved) == (ONE, PEER, TWO)
    house.there["two"] = replace(TWO, holds=frozenset({"file-2"}))
    with pytest.raises(HomeLostError, match=r"file_id at resp_1\.input"):
        await house.check.rescue(follow_up("resp_1"), down)
