"""A follow-up comes home, whatever it follows up on and whoever else could serve."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from checks import Failed, Finished, Home, ResponsesApiDeployment, Started
from checks.affinity.responses_api_deployment import DEFAULT_TTL
from providers.errors import HomeLostError, RateLimitError
from providers.types import Call, Deployment, Verb
from providers.views import Deleted, Response
from router.stores.memory import MemoryStore

EAST = Deployment("east", "gpt", "openai", "m", account="acme")
WEST = Deployment("west", "gpt", "openai", "m", account="acme")
NORTH = Deployment("north", "gpt", "openai", "m")
FAR = Deployment("far", "other", "openai", "m", account="acme")
ALL = (NORTH, WEST, EAST)


class Notebook:
    """A store that writes down what it is asked."""

    def __init__(self) -> None:
        self.kept: dict[str, str] = {}
        self.asked: list[tuple[object, ...]] = []

    async def get(self, key: str) -> str | None:
        self.asked.append(("get", key))
        return self.kept.get(key)

    async def set(self, key: str, value: str, *, ttl: float) -> None:
        self.asked.append(("set", key, value, ttl))
        self.kept[key] = value

    async def delete(self, key: str) -> None:
        self.asked.append(("delete", key))
        self.kept.pop(key, None)

    async def aclose(self) -> None:
        """Nothing to close."""


@pytest.fixture
def store() -> Notebook:
    return Notebook()


@pytest.fixture
def check(store: Notebook) -> ResponsesApiDeployment:
    return ResponsesApiDeployment(store, {each.id: each for each in (*ALL, FAR)}.get, ttl=60.0)


def follow_up(identity: object = "resp_1") -> Call:
    return Call("gpt", body={"input": "x", "previous_response_id": identity})


BY_ID = [verb for verb in Verb if verb.by_id]
REFERENCES = [follow_up(), *(Call("gpt", verb, response_id="resp_1") for verb in BY_ID)]
REFERENCES += [replace(follow_up(), verb=verb) for verb in (Verb.COMPACT, Verb.INPUT_TOKENS)]
every_reference = pytest.mark.parametrize("call", REFERENCES, ids=lambda call: call.verb)


async def test_what_refers_to_nothing_may_go_anywhere(check: ResponsesApiDeployment, store: Notebook) -> None:
    for call in (Call("gpt"), follow_up(None), follow_up("")):
        assert await check.eligible(call, ALL) is ALL
    assert store.asked == []


@every_reference
async def test_the_owner_comes_first_then_its_account(
    check: ResponsesApiDeployment, store: Notebook, call: Call
) -> None:
    for owner, expected in ((EAST, (EAST, WEST)), (WEST, (WEST, EAST)), (NORTH, (NORTH,))):
        store.kept["resp_1"] = owner.id
        found = await check.eligible(call, ALL)
        assert isinstance(found, Home)
        assert found == expected


async def test_the_account_serves_when_the_owner_may_not(check: ResponsesApiDeployment, store: Notebook) -> None:
    store.kept["resp_1"] = "far"
    assert await check.eligible(follow_up(), ALL) == (WEST, EAST)
    store.kept["resp_1"] = "east"
    assert await check.eligible(follow_up(), (NORTH, WEST)) == (WEST,)


async def test_a_home_is_known_by_its_id_when_the_model_list_was_replaced(
    check: ResponsesApiDeployment, store: Notebook
) -> None:
    older = tuple(replace(each) for each in ALL)
    store.kept["resp_1"] = "east"
    assert await check.eligible(follow_up(), older) == (older[2], older[1])
    store.kept["resp_1"] = "north"
    assert await check.eligible(follow_up(), older) == (older[0],)


@every_reference
@pytest.mark.parametrize(
    ("owner", "among", "said"),
    [
        ("gone", ALL, "'resp_1' is held by deployment 'gone', which this Router no longer has"),
        ("north", (EAST, WEST), "'resp_1' is held by deployment 'north' of group 'gpt'; no deployment that may serve"),
        ("far", (NORTH,), "deployment 'far' of group 'other'"),
    ],
)
async def test_a_lost_home_is_an_error(
    check: ResponsesApiDeployment, store: Notebook, call: Call, owner: str, among: Sequence[Deployment], said: str
) -> None:
    store.kept["resp_1"] = owner
    with pytest.raises(HomeLostError) as caught:
        await check.eligible(call, among)
    assert said in str(caught.value)


async def test_a_new_response_is_remembered(check: ResponsesApiDeployment, store: Notebook) -> None:
    await check.observe(Call("gpt"), WEST, Started("resp_2"))
    assert store.asked == [("set", "resp_2", "west", 60.0)]
    assert await check.eligible(follow_up("resp_2"), ALL) == (WEST, EAST)


async def test_an_unknown_id_goes_anywhere_and_is_learnt(check: ResponsesApiDeployment, store: Notebook) -> None:
    call = follow_up("resp_0")
    assert await check.eligible(call, ALL) is ALL
    await check.observe(call, NORTH, Failed(RateLimitError("no")))
    await check.observe(call, EAST, Started("resp_1"))
    await check.observe(call, EAST, Finished(Response({})))
    assert store.kept == {"resp_0": "east", "resp_1": "east"}
    store.asked.clear()
    await check.observe(call, EAST, Started("resp_1"))
    assert store.asked == [("set", "resp_1", "east", 60.0)], "learnt twice"


async def test_an_unknown_id_asked_for_by_itself_is_learnt(check: ResponsesApiDeployment, store: Notebook) -> None:
    call = Call("gpt", Verb.GET, response_id="resp_0")
    assert await check.eligible(call, ALL) is ALL
    await check.observe(call, NORTH, Started("resp_0"))
    assert store.kept == {"resp_0": "north"}


async def test_a_known_previous_id_stays_its_owner_s(check: ResponsesApiDeployment, store: Notebook) -> None:
    store.kept["resp_1"] = "east"
    call = follow_up()
    await check.eligible(call, ALL)
    await check.observe(call, WEST, Started("resp_2"))
    assert store.kept == {"resp_1": "east", "resp_2": "west"}


async def test_two_follow_ups_of_one_response_go_to_one_home(check: ResponsesApiDeployment) -> None:
    await check.observe(Call("gpt"), WEST, Started("resp_1"))
    for branch in ("resp_2", "resp_3"):
        (home, *_) = await check.eligible(follow_up(), ALL)
        await check.observe(follow_up(), home, Started(branch))
        assert (await check.eligible(follow_up(branch), ALL))[0] is WEST


async def test_what_is_deleted_is_forgotten(check: ResponsesApiDeployment, store: Notebook) -> None:
    store.kept["resp_1"] = "east"
    call = Call("gpt", Verb.DELETE, response_id="resp_1")
    await check.observe(call, EAST, Failed(RateLimitError("no")))
    assert store.kept
    await check.observe(call, EAST, Finished(Deleted({"deleted": True})))
    assert store.kept == {}
    assert await check.eligible(call, ALL) is ALL


@pytest.mark.parametrize("verb", [verb for verb in Verb if verb is not Verb.DELETE])
async def test_nothing_else_is_forgotten(check: ResponsesApiDeployment, store: Notebook, verb: Verb) -> None:
    store.kept["resp_1"] = "east"
    await check.observe(Call("gpt", verb, response_id="resp_1"), EAST, Finished(Response({})))
    assert store.asked == []


async def test_where_a_response_lives(check: ResponsesApiDeployment, store: Notebook) -> None:
    store.kept |= {"resp_1": "east", "resp_2": "gone"}
    assert await check.home("resp_1") is EAST
    with pytest.raises(HomeLostError, match="'gone'"):
        await check.home("resp_2")
    assert await check.home("resp_3") is None


async def test_a_pin_lives_as_long_as_its_response_by_default(store: Notebook) -> None:
    check = ResponsesApiDeployment(store, lambda _: None)
    await check.observe(Call("gpt"), EAST, Started("resp_1"))
    assert store.asked == [("set", "resp_1", "east", DEFAULT_TTL)]
    assert DEFAULT_TTL == 2_592_000.0


@given(st.lists(st.tuples(st.integers(0, 30), st.integers(0, 2), st.booleans()), max_size=30))
async def test_every_chain_stays_where_it_began(steps: list[tuple[int, int, bool]]) -> None:
    deployments = [Deployment(name, "gpt", "openai", "m") for name in "abc"]
    check = ResponsesApiDeployment(MemoryStore(), {each.id: each for each in deployments}.get)
    owners: list[Deployment] = []
    for parent, choice, follows in steps:
        call = follow_up(f"resp_{parent % len(owners)}") if follows and owners else Call("gpt")
        found = await check.eligible(call, deployments)
        chosen = found[0] if isinstance(found, Home) else deployments[choice]
        if call.previous_response_id:
            assert list(found) == [owners[parent % len(owners)]]
        await check.observe(call, chosen, Started(f"resp_{len(owners)}"))
        owners.append(chosen)
