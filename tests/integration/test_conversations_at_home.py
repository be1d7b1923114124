"""A conversation lives at the deployment that made it: every verb finds it there, over any store, in any process."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from typing import Any

import pytest
from conversing import ACTS, HELLO, Act, astray, begin, place
from redis_servers import Server
from routers import AFFINITY, KEY, STORES, closed, entry, group, homing_settings, misbehave, serving, tick
from talking import calls

from providers.simulated import SimulatedUpstream
from providers.simulated.state import State
from router import (
    APIError,
    BadRequestError,
    CallRecord,
    HomeLostError,
    ResponseNotFoundError,
    Router,
    UnknownModelError,
    UnsupportedParamsError,
)

STRANGERS: tuple[dict[str, Any], ...] = ({"affinity_scope": "yours"}, {})
every_act = pytest.mark.parametrize("act", ACTS, ids=lambda act: act.__name__)


@pytest.fixture(params=STORES)
def settings(request: pytest.FixtureRequest, redis: Server) -> dict[str, Any]:
    return {**homing_settings(request.param, redis), "routing_strategy": "round-robin"}


@pytest.fixture
async def upstreams() -> AsyncIterator[dict[str, SimulatedUpstream]]:
    async with serving(3) as made:
        yield {upstream.name: upstream for upstream in made}


def homing(upstreams: dict[str, SimulatedUpstream], **more: Any) -> Router:
    return Router(group(upstreams.values()), optional_pre_call_checks=AFFINITY, sleep=tick, **more)


async def test_every_verb_finds_every_conversation_at_its_home(
    settings: dict[str, Any], upstreams: dict[str, SimulatedUpstream]
) -> None:
    """Round robin sends astray whatever nobody sends home. But for memory, it is another Router that goes on."""
    mine = Router(group(upstreams.values()), **settings)
    shared = "redis_url" in settings or "affinity_key" in settings
    other = Router(group(upstreams.values()), **settings) if shared else mine
    begun = [await begin(mine) for _ in range(9)]
    assert sorted(home for _, _, home in begun) == sorted([*upstreams] * 3)
    assert all(name.startswith("conv_hr1-") is ("affinity_key" in settings) for name, _, _ in begun)
    homes = {name: each.name for each in upstreams.values() for name in each.state.conversations}
    for act in ACTS:
        for name, item, home in begun:
            answer = await act(other, name, item, {})
            assert place(answer) == home
            told = answer.to_dict().get("conversation", {"id": answer.get("id")})
            assert told == {"id": name} or act in (ACTS[2], ACTS[3], ACTS[4]), "it is always called the same"
    seen, wrong = astray(upstreams.values(), homes)
    assert (seen, wrong) == (9 * (len(ACTS) + 1), [])
    for name, _, _ in begun:
        with pytest.raises(ResponseNotFoundError):
            await mine.aget_conversation(name)
    if other is not mine:
        await other.aclose()
    await closed(mine, upstreams.values())


async def test_what_is_said_in_it_is_in_it(upstreams: dict[str, SimulatedUpstream]) -> None:
    router = homing(upstreams)
    made = await router.acreate_conversation(metadata={"topic": "tea"}, items=[HELLO])
    assert made.object == "conversation"
    assert made.metadata == {"topic": "tea"}
    added = await router.acreate_conversation_items(
        made.id, [{"role": "user", "content": "two"}], include=["message.output_text.logprobs"]
    )
    assert [item.content[0].text for item in added.data] == ["two"]
    answer = await router.aresponses("gpt", "three", conversation=made.id)
    assert answer.output_text.startswith(f"Turn 3 at {place(answer)}. You began: 'hello'.")
    assert answer.conversation == {"id": made.id}
    texts: list[str] = []
    after: str | None = None
    for _ in range(10):
        page = await router.alist_conversation_items(made.id, limit=1, order="asc", after=after)
        texts += [item.content[0].text for item in page.data]
        after = page.last_id
        if not page.has_more:
            break
    assert texts == ["hello", "two", "three", answer.output_text]
    newest = await router.alist_conversation_items(made.id, limit=1)
    assert newest.data[0].id == answer.output[0].id
    assert (await router.aget_conversation_item(made.id, after or "")).content[0].text == answer.output_text
    left = await router.adelete_conversation_item(made.id, after or "")
    assert left.to_dict() == made.to_dict()
    with pytest.raises(ResponseNotFoundError):
        await router.aget_conversation_item(made.id, after or "")
    changed = await router.aupdate_conversation(made.id, metadata={"topic": "cake"})
    assert await router.aget_conversation(made.id) == changed != made
    gone = await router.adelete_conversation(made.id)
    assert gone.to_dict() == {"id": made.id, "object": "conversation.deleted", "deleted": True}
    [asked] = [each for each in upstreams[place(answer)].requests if each.verb == "create_conversation_items"]
    assert asked.query == {"include[]": "message.output_text.logprobs"}
    assert asked.body == {"items": [{"role": "user", "content": "two"}]}
    await closed(router, upstreams.values())


def test_synchronous_callers_have_the_same_verbs() -> None:
    with SimulatedUpstream.in_thread("u0") as upstream, Router(group([upstream])) as router:
        made = router.create_conversation(items=[HELLO])
        assert router.get_conversation(made.id) == made
        assert router.update_conversation(made.id, metadata={"a": "b"}).metadata == {"a": "b"}
        [item] = router.create_conversation_items(made.id, [{"role": "user", "content": "two"}]).data
        assert [each.id for each in router.list_conversation_items(made.id, limit=1).data] == [item.id]
        assert router.get_conversation_item(made.id, item.id).id == item.id
        assert router.delete_conversation_item(made.id, item.id).id == made.id
        assert router.delete_conversation(made.id).deleted
    assert router.get_conversation.__doc__ == "As `aget_conversation`, for synchronous callers."


# tenants


@every_act
async def test_a_strangers_conversation_does_not_exist(
    act: Act, settings: dict[str, Any], upstreams: dict[str, SimulatedUpstream]
) -> None:
    router = Router(group(upstreams.values()), **settings)
    name, item, home = await begin(router, affinity_scope="mine")
    before = calls(upstreams)
    for scope in STRANGERS:
        if not scope and settings.get("affinity") == "signed-id":
            with pytest.raises(BadRequestError) as forged:
                await act(router, name, item, scope)
            assert forged.value.code == "invalid_conversation_id", "no one but this Router could have made it"
            continue
        with pytest.raises(ResponseNotFoundError, match=f"Conversation with id '{name}' not found") as theirs:
            await act(router, name, item, scope)
        assert (theirs.value.status_code, theirs.value.type) == (404, "invalid_request_error")
        assert theirs.value.param == ("conversation" if act.__name__ in ("_respond", "_stream") else None)
    with pytest.raises(ResponseNotFoundError, match="Conversation with id 'conv_0' not found"):
        await act(router, "conv_0", item, {"affinity_scope": "yours"})
    assert calls(upstreams) == before, "nobody was asked"
    assert place(await act(router, name, item, {"affinity_scope": "mine"})) == home
    await closed(router, upstreams.values())


async def test_a_strangers_conversation_is_unknown_also_where_there_are_several_groups(
    upstreams: dict[str, SimulatedUpstream],
) -> None:
    model_list = [entry(upstreams["u0"], "gpt"), entry(upstreams["u1"], "other")]
    router = Router(model_list, optional_pre_call_checks=AFFINITY, sleep=tick)
    name, _, home = await begin(router, model="other", affinity_scope="mine")
    assert home == "u1"
    assert place(await router.aget_conversation(name, affinity_scope="mine")) == "u1"
    for unknown in (name, "conv_0"):
        with pytest.raises(ResponseNotFoundError, match=f"Conversation with id '{unknown}' not found"):
            await router.aget_conversation(unknown, affinity_scope="yours")
        with pytest.raises(ResponseNotFoundError, match="Response with id 'resp_0' not found"):
            await router.aget_responses("resp_0", affinity_scope="yours")
    await closed(router, upstreams.values())


# when home is gone


@every_act
async def test_a_home_that_is_gone_is_named(act: Act, upstreams: dict[str, SimulatedUpstream]) -> None:
    router = homing(upstreams, on_home_lost="fail", disable_cooldowns=True)
    name, item, home = await begin(router)
    misbehave(upstreams[home], "refuse")
    before = calls(upstreams)
    with pytest.raises(HomeLostError, match=f"conversation '{name}' is held by deployment '{home}'") as lost:
        await act(router, name, item, {})
    assert lost.value.owner == home
    misbehave(upstreams[home])
    router.delete_deployment(home)
    with pytest.raises(HomeLostError, match="this Router no longer has it"):
        await act(router, name, item, {})
    assert calls(upstreams) == before, "nobody else was asked"
    await closed(router, upstreams.values())


async def test_nothing_but_a_response_is_replayed_and_that_only_without_the_conversation(
    upstreams: dict[str, SimulatedUpstream],
) -> None:
    router = homing(upstreams, on_home_lost="replay", disable_cooldowns=True)
    name, item, home = await begin(router)
    misbehave(upstreams[home], "refuse")
    for act in ACTS:
        with pytest.raises(HomeLostError, match=r"can't be (replayed|sent to another deployment: conversation)"):
            await act(router, name, item, {})
    answer = await router.aresponses("gpt", "hello", conversation=name, replay="lossy")
    assert place(answer) != home
    assert answer.routing.affinity is not None
    assert answer.routing.affinity.dropped == ("conversation at conversation",)
    await closed(router, upstreams.values())


async def test_those_that_share_its_home_can_serve_it_too() -> None:
    state = State()
    async with AsyncExitStack() as stack:
        shared = [SimulatedUpstream(name, state=state) for name in ("a0", "a1")]
        alone = SimulatedUpstream("b0")
        for each in (*shared, alone):
            await stack.enter_async_context(each)
        router = Router(
            [*group(shared, account="acme"), entry(alone)],
            optional_pre_call_checks=AFFINITY,
            sleep=tick,
            disable_cooldowns=True,
        )
        name, item, home = await begin(router)
        while home == "b0":
            name, item, home = await begin(router)
        gone, left = shared if home == "a0" else shared[::-1]
        misbehave(gone, "refuse")
        for act in ACTS:
            answer = await act(router, name, item, {})
            assert place(answer) == left.name
        await closed(router, (*shared, alone))


# what nobody remembers


@every_act
async def test_after_a_restart_it_is_searched_for(act: Act, upstreams: dict[str, SimulatedUpstream]) -> None:
    old, new = homing(upstreams), homing(upstreams)
    name, item, home = await begin(old)
    assert place(await act(new, name, item, {})) == home
    asked = [each for upstream in upstreams.values() for each in upstream.requests if each.verb == "get_conversation"]
    assert len(asked) - (act.__name__ == "_get") <= len(upstreams), "each once at most"
    assert new.affinity_stats().discovered == 1
    await old.aclose()
    await closed(new, upstreams.values())


async def test_where_nobody_searches_verbs_ask_one_after_the_other(upstreams: dict[str, SimulatedUpstream]) -> None:
    old = homing(upstreams)
    begun = [await begin(old) for _ in range(6)]
    for new in (homing(upstreams, discover=False), Router(group(upstreams.values()), sleep=tick)):
        for name, item, home in begun:
            for act in ACTS[:5]:
                assert place(await act(new, name, item, {})) == home
        await new.aclose()
    await closed(old, upstreams.values())


# where it is made


async def test_the_group_need_be_named_only_where_several_could_be_meant(
    upstreams: dict[str, SimulatedUpstream],
) -> None:
    claude = {"model_name": "claude", "litellm_params": {"model": "anthropic/claude-x", "api_key": KEY}}
    router = Router([entry(upstreams["u0"]), claude], optional_pre_call_checks=AFFINITY, sleep=tick)
    assert place(await router.acreate_conversation()) == "u0"
    with pytest.raises(UnsupportedParamsError, match=r"anthropic keeps no conversations; deployments of azure, .* do"):
        await router.acreate_conversation(model="claude")
    router.add_deployment(entry(upstreams["u1"], "other"))
    with pytest.raises(BadRequestError, match=r"several groups keep conversations; pass model= \(one of gpt, other\)"):
        await router.acreate_conversation()
    assert place(await router.acreate_conversation(model="other")) == "u1"
    with pytest.raises(UnknownModelError):
        await router.acreate_conversation(model="others")
    assert [record.body for each in upstreams.values() for record in each.requests] == [{}, {}]
    await closed(router, upstreams.values())


async def test_where_nobody_keeps_conversations_it_is_said_who_would(upstreams: dict[str, SimulatedUpstream]) -> None:
    claude = {"model_name": "claude", "litellm_params": {"model": "anthropic/claude-x", "api_key": KEY}}
    vllm = entry(upstreams["u0"], "open", model="hosted_vllm/gpt-oss")
    for model_list in ([claude], [vllm], [claude, vllm]):
        router = Router(model_list, optional_pre_call_checks=AFFINITY, sleep=tick)
        with pytest.raises(
            UnsupportedParamsError,
            match=r"^no deployment that may be asked keeps conversations; those of azure, .* would$",
        ) as no:
            await router.acreate_conversation()
        assert (no.value.status_code, no.value.code) == (400, "unsupported_operation")
        for act in ACTS[:5]:
            with pytest.raises(UnsupportedParamsError, match="keeps no conversations"):
                await act(router, "conv_1", "msg_1", {})
        await router.aclose()
    assert calls(upstreams) == {"u0": 0, "u1": 0, "u2": 0}


async def test_those_without_conversations_are_passed_over(upstreams: dict[str, SimulatedUpstream]) -> None:
    """By what their vendor is known for; or, with an address of one's own, by what is there."""
    model_list = [
        {"model_name": "gpt", "litellm_params": {"model": "anthropic/claude-x", "api_key": KEY, "order": 0}},
        entry(upstreams["u0"], model="hosted_vllm/gpt-oss", order=1),
        entry(f"{upstreams['u1'].url}/elsewhere", id="none", order=2),
        entry(upstreams["u2"], order=3),
    ]
    router = Router(model_list, optional_pre_call_checks=AFFINITY, sleep=tick, num_retries=0)
    begun = [await begin(router) for _ in range(3)]
    assert [home for _, _, home in begun] == ["u2"] * 3
    name, item, _ = begun[0]
    for act in ACTS:
        assert place(await act(router, name, item, {})) == "u2"
    assert calls(upstreams)["u0"] == 0
    assert {each.id: each.state for each in router.health()}["none"] == "closed", "that is no failure"
    router.delete_deployment("u2")
    with pytest.raises(UnsupportedParamsError, match="'none' keeps no conversations; it answered with 404"):
        await router.acreate_conversation()
    await closed(router, upstreams.values())


async def test_what_is_missing_from_its_first_items_is_not_the_whole_api(
    upstreams: dict[str, SimulatedUpstream],
) -> None:
    """Both are a 404 to the creation of a conversation."""
    router = homing(upstreams)
    with pytest.raises(ResponseNotFoundError, match="Item with id 'msg_0' not found") as missing:
        await router.acreate_conversation(items=[{"type": "item_reference", "id": "msg_0"}])
    assert (missing.value.status_code, len(missing.value.attempts)) == (404, 1)
    await closed(router, upstreams.values())


async def test_a_file_that_its_first_items_name_is_known_to_be_there(upstreams: dict[str, SimulatedUpstream]) -> None:
    router = homing(upstreams)
    content = [{"type": "input_file", "file_id": "file-1"}]
    for _ in range(3):
        made = await router.acreate_conversation(items=[{"role": "user", "content": content}])
        for _ in range(3):
            answer = await router.aresponses("gpt", [{"role": "user", "content": content}])
            assert place(answer) == place(made)
    await closed(router, upstreams.values())


async def test_a_query_that_is_none_is_refused_beside_include_as_well() -> None:
    async with Router([entry("http://127.0.0.1:9")]) as router:
        with pytest.raises(BadRequestError, match=r"^extra_query: must be a mapping, not str$"):
            await router.acreate_conversation_items("conv_1", [HELLO], include=["x"], extra_query="y")


async def test_a_wildcard_deployment_needs_no_model_for_it(upstreams: dict[str, SimulatedUpstream]) -> None:
    router = Router([entry(upstreams["u0"], "openai/*", model="openai/*")], sleep=tick)
    for model in (None, "u0", "openai/gpt-5"):
        made = await router.acreate_conversation(model=model)
        assert await router.aget_conversation(made.id, model=model) == made
    await closed(router, upstreams.values())


async def test_one_that_fails_is_followed_by_another(upstreams: dict[str, SimulatedUpstream]) -> None:
    router = homing(upstreams, disable_cooldowns=True)
    misbehave(upstreams["u0"], "500")
    misbehave(upstreams["u1"], "500")
    begun = [await begin(router) for _ in range(4)]
    assert [home for _, _, home in begun] == ["u2"] * 4
    misbehave(upstreams["u2"], "500")
    with pytest.raises(APIError) as failed:
        await router.acreate_conversation()
    assert failed.value.status_code == 500
    assert len(failed.value.attempts) == 3
    misbehave(upstreams["u2"])
    assert place(await router.aget_conversation(begun[0][0])) == "u2"
    await closed(router, upstreams.values())


@pytest.mark.parametrize(
    ("names", "param"),
    [((7,), "conversation_id"), (("",), "conversation_id"), (("conv_1", None), "item_id"), (("conv_1", ""), "item_id")],
    ids=["number", "empty", "none", "empty item"],
)
async def test_ids_that_can_t_be_any_are_refused(names: tuple[Any, ...], param: str) -> None:
    async with Router([entry("http://127.0.0.1:9")]) as router:
        verb: Any = router.aget_conversation if len(names) == 1 else router.aget_conversation_item
        with pytest.raises(BadRequestError, match=f"^{param}: must be the id of an? (conversation|item), not") as no:
            await verb(*names)
        assert no.value.param == param
        for model in (7, ""):
            with pytest.raises(BadRequestError, match=r"^model: must be the name of a group, not"):
                await router.acreate_conversation(model=model)  # type: ignore[arg-type] # that is what is refused


# what is told of it


async def test_records_say_what_it_was(upstreams: dict[str, SimulatedUpstream]) -> None:
    records: list[CallRecord] = []
    router = homing(upstreams, callbacks=[records.append])
    name, item, home = await begin(router)
    for act in ACTS:
        answer = await act(router, name, item, {})
        if act.__name__ not in ("_respond", "_stream"):
            assert answer.routing.cost is None
            assert answer.routing.cost_breakdown is None
    with pytest.raises(ResponseNotFoundError):
        await router.aget_conversation("conv_1")
    await asyncio.gather(router.aflush())
    *good, bad = records
    assert [record.verb for record in good] == [
        *("create_conversation", "list_conversation_items", "get_conversation", "update_conversation"),
        *("create_conversation_items", "list_conversation_items", "get_conversation_item", "create", "create"),
        *("delete_conversation_item", "delete_conversation"),
    ]
    assert {(record.conversation_id, record.deployment_id, record.status) for record in good} == {
        (name, home, "succeeded")
    }
    of_it = [record for record in good if record.verb != "create"]
    assert all((record.cost, record.usage, record.response_id) == (None, None, None) for record in of_it)
    assert (bad.verb, bad.conversation_id, bad.status) == ("get_conversation", "conv_1", "failed")
    await closed(router, upstreams.values())
