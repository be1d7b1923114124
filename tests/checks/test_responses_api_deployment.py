"""A follow-up comes home, whatever it follows up on and whoever else could serve."""

from __future__ import annotations

import gc
import pickle
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import pytest
from fakes import Clock
from homing import ALL, EAST, FAR, NORTH, WEST, Notebook, asked_for, follow_up
from hypothesis import given
from hypothesis import strategies as st

from checks import Appeared, Failed, Finished, Home, Leaning, ResponsesApiDeployment, Started
from checks.affinity import responses_api_deployment as module
from checks.affinity.discovery import Discovery
from checks.affinity.responses_api_deployment import DEFAULT_TTL
from checks.affinity.tie import TieKind, fingerprint
from checks.base import ManyStore
from providers.errors import (
    APIError,
    BadRequestError,
    HomeLostError,
    InternalServerError,
    PreviousResponseNotFoundError,
    RateLimitError,
    ResponseNotFoundError,
)
from providers.types import Affinity, Call, Deployment, HomePolicy, JsonObject, Verb
from providers.views import Conversation, Deleted, Event, ItemPage, Response
from router.stores.memory import MemoryStore

DOWN = InternalServerError("down")


@pytest.fixture
def store() -> Notebook:
    return Notebook()


@pytest.fixture
def check(store: Notebook, clock: Clock) -> ResponsesApiDeployment:
    return ResponsesApiDeployment(store, {each.id: each for each in (*ALL, FAR)}.get, ttl=60.0, wall=clock)


BY_ID = [verb for verb in Verb if verb.by_id]
REFERENCES = [follow_up(), *(Call("gpt", verb, response_id="resp_1") for verb in BY_ID)]
REFERENCES += [replace(follow_up(), verb=verb) for verb in (Verb.COMPACT, Verb.INPUT_TOKENS)]
every_reference = pytest.mark.parametrize("call", REFERENCES, ids=lambda call: call.verb)


def at_home(found: Sequence[Deployment]) -> Home:
    """What was found, which is a home."""
    assert isinstance(found, Home)
    return found


async def serve(
    check: ResponsesApiDeployment,
    call: Call,
    deployment: Deployment,
    json: JsonObject | None = None,
    id: str = "resp_2",
) -> None:
    """A call as the engine makes it: asked, started, finished."""
    await check.eligible(call, ALL)
    await check.observe(call, deployment, Started(call.response_id or id))
    await check.observe(call, deployment, Finished(Response({"id": id, "object": "response", **(json or {})})))


# where it goes


async def test_what_refers_to_nothing_may_go_anywhere(check: ResponsesApiDeployment, store: Notebook) -> None:
    for call in (Call("gpt"), follow_up(None), follow_up("")):
        assert await check.eligible(call, ALL) is ALL
        assert await check.preview(call, ALL) is ALL
    assert store.asked == []
    assert check.stats == type(check.stats)()


@every_reference
async def test_the_owner_s_domain_may_serve_and_nobody_else(
    check: ResponsesApiDeployment, store: Notebook, call: Call
) -> None:
    for owner, expected in ((EAST, (WEST, EAST)), (WEST, (WEST, EAST)), (NORTH, (NORTH,))):
        store.kept["resp_1"] = owner.id
        found = at_home(await check.eligible(call, ALL))
        assert tuple(found) == expected
        assert found.affinity == Affinity("home", owner.id)
        assert found.policy == HomePolicy()
        assert await check.preview(call, ALL) == expected
    assert (check.stats.hit, check.stats.miss) == (3, 0), "a preview isn't counted"


async def test_the_account_serves_when_the_owner_may_not(check: ResponsesApiDeployment, store: Notebook) -> None:
    store.kept["resp_1"] = "far"
    assert await check.eligible(follow_up(), ALL) == (WEST, EAST)
    store.kept["resp_1"] = "east"
    assert await check.eligible(follow_up(), (NORTH, WEST)) == (WEST,)


async def test_a_home_is_known_by_its_id_when_the_model_list_was_replaced(
    check: ResponsesApiDeployment, store: Notebook
) -> None:
    older = tuple(replace(each) for each in ALL)
    for _ in range(2):  # found, and remembered
        store.kept["resp_1"] = "east"
        assert await check.eligible(follow_up(), older) == (older[1], older[2])
        store.kept["resp_1"] = "north"
        assert await check.eligible(follow_up(), list(older)) == (older[0],)


@every_reference
@pytest.mark.parametrize(
    ("owner", "among", "said"),
    [
        ("gone", ALL, "response 'resp_1' is held by deployment 'gone': this Router no longer has it"),
        (
            "north",
            (EAST, WEST),
            "'resp_1' is held by deployment 'north': it is in group 'gpt', and none that may serve",
        ),
        ("far", (NORTH,), "deployment 'far': it is in group 'other', and none that may serve a call to 'gpt' shares"),
    ],
)
async def test_a_lost_home_is_an_error(
    check: ResponsesApiDeployment,
    store: Notebook,
    clock: Clock,
    call: Call,
    owner: str,
    among: Sequence[Deployment],
    said: str,
) -> None:
    store.kept["resp_1"] = owner
    errors = []
    for when in (1_000.0, 1_060.0):
        clock.now = when
        with pytest.raises(HomeLostError) as caught:
            await check.eligible(call, among)
        errors.append(caught.value)
    assert said in str(errors[0])
    other = pickle.loads(pickle.dumps(errors[1]))
    for error in (errors[1], other):
        assert (error.owner, error.deployment_id, error.since) == (owner, owner, 1_000.0), "since it was first missed"
        assert error.reason in error.message
        assert (error.code, error.status_code) == ("home_lost", 503)
    with pytest.raises(HomeLostError) as caught:
        await check.rescue(call, errors[0])
    assert caught.value is errors[0]
    assert check.stats.lost == 1


async def test_a_removed_deployment_s_conversations_go_on_at_its_place(store: Notebook) -> None:
    there = {each.id: each for each in ALL}
    check = ResponsesApiDeployment(store, there.get)
    check.accept(ALL)
    store.kept |= {"resp_1": "east", "resp_2": "north"}
    del there["east"], there["north"]
    check.accept((WEST,))
    found = await check.eligible(follow_up(), (WEST,))
    assert found == (WEST,)
    assert isinstance(found, Home)
    assert found.affinity == Affinity("home", "east")
    assert await check.home("resp_1") is EAST
    with pytest.raises(HomeLostError, match="'north': this Router no longer has it"):
        await check.eligible(follow_up("resp_2"), (WEST,))
    await serve(check, asked_for("resp_1"), WEST, id="resp_1")
    assert store.kept["resp_1"] == "west", "who has it now, so that a restart finds it"


def test_what_is_known_of_deployments_that_are_gone_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    check = ResponsesApiDeployment(Notebook(), lambda _: None)
    monkeypatch.setattr("checks.affinity.homes.MOST_KNOWN", 2)
    check.accept([EAST, WEST])
    check.accept([NORTH])
    assert check._homes.owner("east") is None
    assert check._homes.owner("north") is NORTH
    monkeypatch.setattr(module, "MOST_FAILING", 2)
    for name in "abc":
        check._fails(name)
    assert list(check._failing) == ["c"]


async def test_two_homes_at_once_are_refused(check: ResponsesApiDeployment, store: Notebook) -> None:
    store.kept |= {"resp_1": "east", "conversation:conv_1": "north"}
    call = follow_up(conversation="conv_1")
    with pytest.raises(BadRequestError, match=r"'north', but previous_response_id: .*'resp_1' by 'east'") as caught:
        await check.eligible(call, ALL)
    assert await check.rescue(call, caught.value) is None
    store.kept["conversation:conv_1"] = "west"
    assert await check.eligible(call, ALL) == (WEST, EAST)


async def test_what_one_tie_finds_is_not_lost_on_another(check: ResponsesApiDeployment, store: Notebook) -> None:
    """A call whose response is gone for good isn't sent where only its file lies."""
    store.kept |= {"resp_1": "gone", "conversation:conv_1": "north"}
    with pytest.raises(HomeLostError, match="response 'resp_1' is held by deployment 'gone'"):
        await check.eligible(follow_up(conversation="conv_1"), ALL)
    store.kept |= {"resp_1": "north", "conversation:conv_1": "gone"}
    with pytest.raises(HomeLostError, match="conversation 'conv_1' is held by deployment 'gone'"):
        await check.eligible(follow_up(conversation="conv_1"), ALL)
    store.kept["resp_1"] = "long gone"
    with pytest.raises(HomeLostError, match="response 'resp_1' is held by deployment 'long gone'"):
        await check.eligible(follow_up(conversation="conv_1"), ALL)


@given(st.lists(st.tuples(st.integers(0, 30), st.integers(0, 2), st.booleans()), max_size=30))
async def test_every_chain_stays_where_it_began(steps: list[tuple[int, int, bool]]) -> None:
    deployments = [Deployment(name, "gpt", "openai", "m", account=name) for name in "abc"]
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


# learning


async def test_a_new_response_is_remembered(check: ResponsesApiDeployment, store: Notebook) -> None:
    await check.observe(Call("gpt"), WEST, Started("resp_2"))
    assert store.asked == [("set", "resp_2", "west", 60.0)]
    assert await check.eligible(follow_up("resp_2"), ALL) == (WEST, EAST)


async def test_an_unknown_id_goes_anywhere_and_is_learnt_where_it_succeeds(
    check: ResponsesApiDeployment, store: Notebook
) -> None:
    call = follow_up("resp_0")
    assert await check.eligible(call, ALL) is ALL
    await check.observe(call, NORTH, Failed(RateLimitError("no")))
    assert store.kept == {}
    await check.observe(call, EAST, Started("resp_1"))
    assert store.kept == {"resp_0": "east", "resp_1": "east"}
    store.asked.clear()
    await check.observe(call, EAST, Finished(Response({"id": "resp_1", "output": []})))
    assert store.asked == [], "nothing is learnt twice"
    assert check.stats.learnt == 2


async def test_an_unknown_id_asked_for_by_itself_is_learnt_once(check: ResponsesApiDeployment, store: Notebook) -> None:
    for _ in range(2):
        await serve(check, asked_for("resp_0"), NORTH, id="resp_0")
        assert [entry for entry in store.asked if entry[0] == "set"] == [("set", "resp_0", "north", 60.0)]


async def test_reading_from_the_domain_moves_no_pin(check: ResponsesApiDeployment, store: Notebook) -> None:
    store.kept["resp_1"] = "east"
    await serve(check, asked_for("resp_1"), WEST, id="resp_1")
    assert store.kept == {"resp_1": "east"}


async def test_what_is_only_compared_with_is_not_learnt(check: ResponsesApiDeployment, store: Notebook) -> None:
    call = Call("gpt", body={"prompt_cache_options": {"comparison_response_id": "resp_0"}})
    await serve(check, call, EAST)
    assert store.kept == {"resp_2": "east"}, "whether it was found there, nobody knows"


async def test_a_known_previous_id_stays_its_owner_s(check: ResponsesApiDeployment, store: Notebook) -> None:
    store.kept["resp_1"] = "east"
    await serve(check, follow_up(), WEST)
    assert store.kept == {"resp_1": "east", "resp_2": "west"}


OUTPUT: list[Any] = [
    {"type": "reasoning", "id": "rs_1", "encrypted_content": "sealed"},
    {"type": "message", "id": "msg_1", "role": "assistant", "content": []},
]
KEYS = {"item:rs_1", f"encrypted:{fingerprint('sealed')}", "item:msg_1"}


@pytest.mark.parametrize("many", [True, False])
async def test_what_an_answer_brings_is_learnt_with_it(many: bool) -> None:
    store: Any = MemoryStore() if many else Notebook()
    assert isinstance(store, ManyStore) is many
    check = ResponsesApiDeployment(store, {each.id: each for each in ALL}.get)
    await serve(check, Call("gpt"), NORTH, {"output": OUTPUT, "conversation": {"id": "conv_1"}})
    assert check.stats.learnt == 5
    for body in (
        {"input": [{"type": "item_reference", "id": "msg_1"}]},
        {"input": [{"type": "reasoning", "id": "rs_9", "encrypted_content": "sealed"}]},
        {"conversation": "conv_1", "previous_response_id": "resp_2"},
    ):
        assert await check.eligible(Call("gpt", body=body), ALL) == (NORTH,)


async def test_items_are_learnt_as_they_appear(check: ResponsesApiDeployment, store: Notebook) -> None:
    call = Call("gpt")
    for item in OUTPUT:
        await check.observe(call, WEST, Appeared(Event({"type": "response.output_item.done", "item": item})))
    assert store.kept.keys() == KEYS
    before = len(store.asked)
    await check.observe(call, WEST, Appeared(Event({"type": "response.output_item.added", "item": {}})))
    assert len(store.asked) == before


async def test_listed_items_are_learnt(check: ResponsesApiDeployment, store: Notebook) -> None:
    store.kept["resp_1"] = "east"
    call = Call("gpt", Verb.INPUT_ITEMS, response_id="resp_1")
    await check.eligible(call, ALL)
    await check.observe(call, EAST, Finished(ItemPage({"object": "list", "data": OUTPUT})))
    assert store.kept.keys() == {"resp_1", *KEYS}


NAMED: dict[str, Any] = {
    "conversation": "conv_1",
    "tools": [{"type": "file_search", "vector_store_ids": ["vs_1"]}, {"type": "code", "container": "cntr_1"}],
    "input": [{"role": "user", "content": [{"type": "input_file", "file_id": "file_1"}]}, *OUTPUT[:1]],
}


async def test_what_a_successful_call_named_is_held_there(check: ResponsesApiDeployment, store: Notebook) -> None:
    call = Call("gpt", body=NAMED)
    assert await check.eligible(call, ALL) is ALL
    await check.observe(call, EAST, Failed(DOWN))
    await check.observe(call, EAST, Started("resp_2"))
    await check.observe(call, EAST, Finished(None))
    assert store.kept == {"resp_2": "east"}, "a stream that was left early may yet have failed"
    await serve(check, call, NORTH, id="resp_3")
    keys = {
        "conversation:conv_1",
        "vector_store:vs_1",
        "container:cntr_1",
        "file:file_1",
        f"encrypted:{fingerprint('sealed')}",
    }
    assert {key for key, owner in store.kept.items() if owner == "north"} == {"resp_3", *keys}
    assert await check.eligible(call, ALL) == (NORTH,)


async def test_what_is_deleted_is_forgotten(check: ResponsesApiDeployment, store: Notebook) -> None:
    store.kept["resp_1"] = "east"
    call = asked_for("resp_1", Verb.DELETE)
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


class Slow(Notebook):
    """A store in which what is written beside a call has not arrived yet."""

    async def get_many(self, keys: Sequence[str]) -> dict[str, str]:
        return {key: self.kept[key] for key in keys if key in self.kept}

    async def set_many(self, values: Mapping[str, str], *, ttl: float) -> None:
        """Some time later."""


async def test_everyone_knows_a_conversation_before_its_caller_has_its_id_and_until_it_is_deleted() -> None:
    store = Slow()
    check = ResponsesApiDeployment(store, {each.id: each for each in ALL}.get)
    made = Conversation({"id": "conv_1", "object": "conversation"})
    await check.observe(Call("gpt", Verb.CREATE_CONVERSATION), EAST, Finished(made))
    assert store.kept == {"conversation:conv_1": "east"}
    assert await check.home("conv_1", kind=TieKind.CONVERSATION) is EAST
    assert await check.home("conv_1") is None, "there is no response of this id"
    for verb in (Verb.GET_CONVERSATION, Verb.DELETE_CONVERSATION_ITEM):
        call = Call("gpt", verb, conversation_id="conv_1", item_id="msg_1")
        assert await check.eligible(call, ALL) == (WEST, EAST)
        await check.observe(call, WEST, Finished(made))
    assert store.kept, "it is still there"
    deleted = Deleted({"id": "conv_1", "object": "conversation.deleted", "deleted": True})
    await check.observe(replace(call, verb=Verb.DELETE_CONVERSATION), EAST, Finished(deleted))
    assert store.kept == {}


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


async def test_calls_are_not_kept(check: ResponsesApiDeployment) -> None:
    for number in range(5):
        await serve(check, follow_up(f"resp_{number}"), EAST)
    gc.collect()
    assert len(check._found) == 0


# leaning


SOFT = Call("gpt", body={"prompt_cache_key": "k"})


async def test_a_session_stays_with_who_began_it(check: ResponsesApiDeployment, store: Notebook) -> None:
    sessions = [SOFT, Call("gpt", headers={"Session-Id": "s"})]
    for call in sessions:
        assert await check.eligible(call, ALL) is ALL
        await serve(check, replace(call), NORTH)
        found = await check.eligible(call, ALL)
        assert isinstance(found, Leaning)
        assert found == (NORTH,)
        await serve(check, replace(call), WEST)
        assert await check.eligible(call, ALL) == (NORTH,), "one call elsewhere moves nothing"
    assert (check.stats.hit, check.stats.miss, check.stats.lost) == (0, 0, 0)


async def test_a_session_may_begin_anew_when_its_owner_is_gone(store: Notebook) -> None:
    there = {each.id: each for each in ALL}
    check = ResponsesApiDeployment(store, there.get)
    check.accept(ALL)
    await serve(check, replace(SOFT), NORTH)
    del there["north"]
    left = (WEST, EAST)
    assert await check.eligible(SOFT, left) is left
    await serve(check, replace(SOFT), EAST)
    assert await check.eligible(SOFT, (EAST, NORTH)) == (EAST,)


async def test_nobody_leans_on_everybody_or_on_another_group(check: ResponsesApiDeployment, store: Notebook) -> None:
    await serve(check, replace(SOFT), EAST)
    assert await check.eligible(SOFT, ALL) == (WEST, EAST), "those who share its state share its cache"
    for among in ((EAST,), (WEST, EAST), (NORTH,)):
        assert await check.eligible(SOFT, among) is among
    message = {"type": "message", "id": "msg_1", "role": "assistant", "content": "hi"}
    call = Call("gpt", body={"input": [message]})
    for owner in (None, "far", "gone"):
        store.kept |= {} if owner is None else {"item:msg_1": owner}
        assert await check.eligible(call, ALL) is ALL
        await check.observe(call, NORTH, Finished(Response({})))
    assert store.kept["item:msg_1"] == "gone", "items are learnt where they are made"
    store.kept["item:msg_1"] = "north"
    assert await check.eligible(call, ALL) == (NORTH,)


async def test_a_hard_tie_outranks_a_soft_one(check: ResponsesApiDeployment, store: Notebook) -> None:
    await serve(check, replace(SOFT), NORTH)
    store.kept["resp_1"] = "east"
    found = await check.eligible(follow_up(prompt_cache_key="k"), ALL)
    assert isinstance(found, Home)
    assert found == (WEST, EAST)
    assert isinstance(await check.eligible(follow_up("resp_0", prompt_cache_key="k"), ALL), Leaning)


# discovery


async def test_an_unknown_response_is_searched_for(store: Notebook) -> None:
    asked: list[str] = []

    async def ask(deployment: Deployment, response_id: str) -> bool:
        asked.append(deployment.id)
        return deployment is NORTH and response_id == "resp_1"

    check = ResponsesApiDeployment(store, {each.id: each for each in ALL}.get, discovery=Discovery(ask))
    call = follow_up()
    found = at_home(await check.eligible(call, ALL))
    assert list(found) == [NORTH]
    assert found.affinity == Affinity("discovered", "north")
    assert store.kept == {"resp_1": "north"}
    assert sorted(asked) == ["north", "west"], "one of each domain"
    assert (check.stats.hit, check.stats.miss, check.stats.discovered) == (0, 1, 1)
    with pytest.raises(HomeLostError) as lost:
        await check.rescue(call, DOWN)
    assert lost.value.owner == "north"
    store.asked.clear()
    await check.observe(call, NORTH, Started("resp_2"))
    assert store.asked == [("set", "resp_2", "north", DEFAULT_TTL)], "what was found is known"
    both = follow_up(conversation="conv_1")
    del store.kept["resp_1"]
    store.asked.clear()
    await serve(check, both, NORTH, id="resp_3")
    learnt = [key for what, key, *_ in store.asked if what == "set"]
    assert learnt == ["resp_1", "resp_3", "conversation:conv_1"], "what it was not asked for is learnt as ever"
    assert await check.eligible(follow_up("resp_0"), ALL) is ALL
    asked.clear()
    for known in (follow_up(), Call("gpt", body=NAMED), follow_up("resp_0"), SOFT):
        await check.eligible(known, ALL)
        await check.preview(follow_up("resp_9"), ALL)
    store.kept["resp_1"] = "gone"
    with pytest.raises(HomeLostError):
        await check.eligible(follow_up(), ALL)
    assert asked == []


# tenants


async def test_tenants_don_t_know_each_other_s_things(check: ResponsesApiDeployment, store: Notebook) -> None:
    body = {"input": "x", "prompt_cache_key": "k"}
    await serve(check, Call("gpt", body=body, scope="acme"), NORTH, {"output": OUTPUT, "conversation": "conv_1"})
    assert all("acme" not in f"{key}{value}" for key, value in store.kept.items()), "a scope may be a key"
    mine = [
        follow_up("resp_2"),
        *(asked_for("resp_2", verb) for verb in BY_ID),
        Call("gpt", body={"conversation": "conv_1"}),
        Call("gpt", body={"input": [{"type": "item_reference", "id": "msg_1"}]}),
        Call("gpt", body={"input": OUTPUT[:1]}),
        Call("gpt", body={"input": "x"}, extra_body={"previous_response_id": "resp_2"}),
        Call("gpt", body={"prompt_cache_options": {"comparison_response_id": "resp_2"}}),
    ]
    for call in mine:
        assert await check.eligible(replace(call, scope="acme"), ALL) == (NORTH,)
        for scope in ("other", None):
            with pytest.raises((PreviousResponseNotFoundError, ResponseNotFoundError, BadRequestError)) as caught:
                await check.eligible(replace(call, scope=scope), ALL)
            assert "north" not in str(caught.value.__dict__)
            assert await check.rescue(replace(call, scope=scope), caught.value) is None
    assert check.stats.foreign == 2 * len(mine)
    assert await check.eligible(Call("gpt", body=body, scope="other"), ALL) is ALL
    for scope in ("other", None):
        assert await check.home("resp_2", scope) is None
    assert await check.home("resp_2", "acme") is NORTH
    store.kept["resp_2"] = store.kept["resp_2"].replace("north", "gone")
    assert await check.home("resp_2", "other") is None, "not even that it is lost"


@pytest.mark.parametrize(
    ("call", "kind", "status", "code", "param"),
    [
        (
            follow_up("resp_9"),
            PreviousResponseNotFoundError,
            400,
            "previous_response_not_found",
            "previous_response_id",
        ),
        (asked_for("resp_9"), ResponseNotFoundError, 404, None, None),
        (
            Call("gpt", body={"prompt_cache_options": {"comparison_response_id": "resp_9"}}),
            PreviousResponseNotFoundError,
            400,
            "previous_response_not_found",
            "prompt_cache_options.comparison_response_id",
        ),
        (Call("gpt", body={"input": [{"id": "resp_9"}]}), ResponseNotFoundError, 404, None, "input"),
    ],
)
async def test_what_is_another_s_looks_as_if_it_did_not_exist(
    check: ResponsesApiDeployment, store: Notebook, call: Call, kind: type[APIError], status: int, code: Any, param: Any
) -> None:
    errors = []
    await check.observe(Call("gpt", scope="acme"), NORTH, Started("resp_9"))
    store.kept["item:resp_9"] = store.kept["resp_9"]
    for _ in range(2):
        with pytest.raises(kind) as caught:
            await check.eligible(replace(call, scope="other"), ALL)
        errors.append(caught.value)
        store.kept.clear()
    assert str(errors[0]) == str(errors[1])
    assert errors[0].__dict__ == errors[1].__dict__
    error = errors[0]
    assert (error.status_code, error.code, error.param) == (status, code, param)
    assert error.type == "invalid_request_error"
    assert error.body == {
        "error": {"message": error.message, "type": error.type, "param": error.param, "code": error.code}
    }


async def test_containers_and_files_made_elsewhere_may_be_named_by_any_tenant_first(
    check: ResponsesApiDeployment,
) -> None:
    call = Call("gpt", body={name: value for name, value in NAMED.items() if name != "conversation"}, scope="acme")
    assert await check.eligible(call, ALL) is ALL
    await serve(check, call, EAST)
    with pytest.raises(ResponseNotFoundError, match="Item with id 'cntr_1' not found"):
        await check.eligible(replace(call, scope="other"), ALL)


# when home fails


@pytest.mark.parametrize("on_lost", ["fail", "wait", "replay"])
async def test_what_follows_may_be_said_for_all_for_a_group_and_for_a_call(store: Notebook, on_lost: Any) -> None:
    usual, own, call_s = HomePolicy("fail"), HomePolicy(on_lost, 3.0), HomePolicy("wait", 1.0)
    check = ResponsesApiDeployment(store, {each.id: each for each in ALL}.get, policy=usual, policies={"special": own})
    store.kept["resp_1"] = "north"
    for call, expected in (
        (follow_up(), usual),
        (replace(follow_up(), group="special"), own),
        (replace(follow_up(), home=call_s), call_s),
    ):
        found = await check.eligible(call, ALL)
        assert isinstance(found, Home)
        assert found.policy is expected


async def test_a_failing_home_is_named_with_what_ails_it_and_since_when(
    check: ResponsesApiDeployment, store: Notebook, clock: Clock
) -> None:
    store.kept["resp_1"] = "north"
    call = follow_up()
    await check.eligible(call, ALL)
    await check.observe(call, NORTH, Failed(BadRequestError("not its fault")))
    await check.observe(call, NORTH, Failed(RateLimitError("nor is this")))
    clock.advance(5)
    await check.observe(call, NORTH, Failed(DOWN))
    clock.advance(5)
    await check.observe(call, NORTH, Failed(DOWN))
    error = InternalServerError("no capacity", retry_after=7.0, provider="openai", deployment_id="north")
    with pytest.raises(HomeLostError) as caught:
        await check.rescue(call, error)
    lost = caught.value
    assert str(lost) == "response 'resp_1' is held by deployment 'north': no capacity [deployment north]"
    assert (lost.owner, lost.reason, lost.since) == ("north", "no capacity", 1_005.0)
    assert (lost.retry_after, lost.provider, lost.__cause__) == (7.0, "openai", error)
    await check.observe(call, NORTH, Finished(None))
    clock.advance(5)
    with pytest.raises(HomeLostError) as caught:
        await check.rescue(call, error)
    assert caught.value.since == 1_015.0, "it served in between"
    assert check.stats.lost == 2


async def test_the_owner_is_named_though_another_of_its_domain_failed(
    check: ResponsesApiDeployment, store: Notebook
) -> None:
    store.kept |= {"resp_1": "east", "conversation:conv_1": "east"}
    for call in (follow_up(), Call("gpt", body={"conversation": "conv_1", "prompt_cache_key": "k"})):
        await check.eligible(call, ALL)
        with pytest.raises(HomeLostError) as caught:
            await check.rescue(call, InternalServerError("down", deployment_id="west"))
        assert (caught.value.owner, caught.value.deployment_id) == ("east", "east")


@pytest.mark.parametrize(
    "error",
    [
        BadRequestError("yours"),
        PreviousResponseNotFoundError("it has expired"),
        ResponseNotFoundError("it has expired"),
        RateLimitError("busy, not lost"),
    ],
)
async def test_what_is_no_loss_stays_as_it_is(check: ResponsesApiDeployment, store: Notebook, error: APIError) -> None:
    store.kept["resp_1"] = "north"
    for call in (follow_up(), asked_for("resp_1")):
        await check.eligible(call, ALL)
        assert await check.rescue(call, error) is None
    assert check.stats.lost == 0
    assert store.kept == {"resp_1": "north"}


async def test_a_home_that_another_check_found_is_not_this_one_s_to_lose(check: ResponsesApiDeployment) -> None:
    assert await check.rescue(Call("gpt"), DOWN) is None
