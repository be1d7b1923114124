"""What one tenant makes does not exist for another, nor for a call without one: by any verb, over any store."""

from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import pytest
from redis_servers import Server
from routers import STORES, closed, create, entry, group, homing_settings, read, served, serving
from talking import SAID, calls

from providers.simulated import SimulatedUpstream
from providers.views import Response
from router import APIError, Router


@pytest.fixture(params=STORES)
def settings(request: pytest.FixtureRequest, redis: Server) -> dict[str, Any]:
    return homing_settings(request.param, redis)


@pytest.fixture
async def upstreams() -> AsyncIterator[dict[str, SimulatedUpstream]]:
    async with serving(2) as made:
        yield {upstream.name: upstream for upstream in made}


Act = Callable[[Router, Any, dict[str, Any]], Awaitable[object]]
"""Names what a tenant has made: takes the Router, its response (or one that does not exist) and more arguments."""
REASONING: dict[str, Any] = {"reasoning": {"effort": "low"}, "include": ["reasoning.encrypted_content"]}


class Nothing:
    """Looks like a response, and none of its ids exist."""

    id = "resp_00000000000000000000000000000000000000000000000000"
    item = "msg_00000000000000000000000000000000000000000000000000"
    encrypted = "gAAAAA" + "A" * 64


class Thing:
    """What a tenant made, and the ids in it."""

    def __init__(self, response: Response) -> None:
        self.id = response.id
        self.item = response.output[-1].id
        self.encrypted = response.output[0].encrypted_content


async def _follow_up(router: Router, thing: Any, more: dict[str, Any]) -> object:
    return await router.aresponses("gpt", "more", previous_response_id=thing.id, **more)


async def _stream(router: Router, thing: Any, more: dict[str, Any]) -> object:
    return await read(await router.aresponses("gpt", "more", stream=True, previous_response_id=thing.id, **more))


async def _in_extra_body(router: Router, thing: Any, more: dict[str, Any]) -> object:
    return await router.aresponses("gpt", "more", extra_body={"previous_response_id": thing.id}, **more)


async def _count(router: Router, thing: Any, more: dict[str, Any]) -> object:
    return await router.acount_input_tokens("gpt", "more", previous_response_id=thing.id, **more)


async def _compact(router: Router, thing: Any, more: dict[str, Any]) -> object:
    return await router.acompact_responses("gpt", "more", previous_response_id=thing.id, **more)


async def _get(router: Router, thing: Any, more: dict[str, Any]) -> object:
    return await router.aget_responses(thing.id, **more)


async def _delete(router: Router, thing: Any, more: dict[str, Any]) -> object:
    return await router.adelete_responses(thing.id, **more)


async def _cancel(router: Router, thing: Any, more: dict[str, Any]) -> object:
    return await router.acancel_responses(thing.id, **more)


async def _items(router: Router, thing: Any, more: dict[str, Any]) -> object:
    return await router.alist_input_items(thing.id, **more)


async def _item(router: Router, thing: Any, more: dict[str, Any]) -> object:
    return await router.aresponses("gpt", [{"type": "item_reference", "id": thing.item}], **more)


async def _encrypted(router: Router, thing: Any, more: dict[str, Any]) -> object:
    said = {"role": "assistant", "content": "well"}
    item = {"type": "reasoning", "id": "rs_1", "summary": [], "encrypted_content": thing.encrypted}
    return await router.aresponses("gpt", [{"role": "user", "content": "hi"}, item, said], **more)


ACTS: list[Act] = [
    _follow_up, _stream, _in_extra_body, _count, _compact, _get, _delete, _cancel, _items, _item, _encrypted
]  # fmt: skip


async def refused(act: Act, router: Router, thing: Any, scope: str | None) -> APIError:
    """The error that `act` ends with."""
    with pytest.raises(APIError) as raised:
        await act(router, thing, {} if scope is None else {"affinity_scope": scope})
    return raised.value


def said(error: APIError) -> tuple[object, ...]:
    """What a caller can tell errors apart by, ids left out."""
    return type(error), error.status_code, error.type, error.code, error.param


@pytest.mark.parametrize("act", ACTS, ids=lambda act: act.__name__)
async def test_a_strangers_id_is_one_that_does_not_exist(
    act: Act, settings: dict[str, Any], upstreams: dict[str, SimulatedUpstream]
) -> None:
    router = Router(group(upstreams.values()), **settings)
    mine = Thing(await router.aresponses("gpt", "a secret", affinity_scope="mine", **REASONING))
    nothing = await refused(act, router, Nothing, "yours")
    before = calls(upstreams)
    theirs = await refused(act, router, mine, "yours")
    assert said(theirs) == said(nothing)
    if act is not _encrypted:  # the content itself is quoted there, and of the same length
        name = mine.item if act is _item else mine.id
        unknown = Nothing.item if act is _item else Nothing.id
        assert theirs.message.split(".")[0].replace(name, unknown) == nothing.message.split(".")[0]
    assert calls(upstreams) == before, "nobody was asked"
    assert theirs.attempts == ()
    nobodys = await refused(act, router, mine, None)
    if settings.get("affinity") != "signed-id" or act in (_item, _encrypted):
        assert said(nobodys) == said(await refused(act, router, Nothing, None))
        assert router.affinity_stats().foreign == 2
    else:  # no one but this Router could have made it, and that much may be told
        assert nobodys.code == "invalid_response_id"
    assert not any("a secret" in str(record.body) for each in upstreams.values() for record in list(each.requests)[1:])
    await closed(router, upstreams.values())


async def test_each_tenant_comes_home_to_its_own(
    settings: dict[str, Any], upstreams: dict[str, SimulatedUpstream]
) -> None:
    router = Router(group(upstreams.values()), **settings)
    scopes: list[dict[str, Any]] = [{}, {"affinity_scope": "mine"}, {"affinity_scope": "yours"}]
    turns = [await router.aresponses("gpt", "hello", **scope) for scope in scopes]
    for number in range(2, 5):
        for place, scope in enumerate(scopes):
            before = turns[place]
            turns[place] = await create(router, number % 2 == 0, previous_response_id=before.id, **scope)
            assert turns[place].output_text.startswith(SAID.format(number, served(before)))
    for turn, scope in zip(turns, scopes, strict=True):
        assert await router.aget_responses(turn.id, **scope) == turn
        assert (await router.adelete_responses(turn.id, **scope)).id == turn.id
    await closed(router, upstreams.values())


async def test_what_nobody_remembers_is_nobodys(
    settings: dict[str, Any], upstreams: dict[str, SimulatedUpstream]
) -> None:
    """After a restart without a store a tenant's id can't be told from another's: it is neither searched nor sent."""
    if "redis_url" in settings:
        settings = {**settings, "redis_key_prefix": f"{settings['redis_key_prefix']}-other"}
    stored: dict[str, Any] = {name: value for name, value in settings.items() if not name.startswith("affinity")}
    other = Router(group(upstreams.values()), **stored)
    router = Router(group(upstreams.values()), **settings)
    unknown = await other.aresponses("gpt", "hello")
    before = calls(upstreams)
    for act in (_follow_up, _get, _delete):
        await refused(act, router, unknown, "mine")
    assert calls(upstreams) == before
    await other.aclose()
    await closed(router, upstreams.values())


async def test_a_read_that_names_no_group_tells_nothing(
    settings: dict[str, Any], upstreams: dict[str, SimulatedUpstream]
) -> None:
    """With several groups the owner says which is meant; another tenant's must not."""
    router = Router([entry(upstreams["u0"], "gpt"), entry(upstreams["u1"], "other")], **settings)
    mine = await router.aresponses("gpt", "hello", affinity_scope="mine")
    for act in (_get, _delete, _cancel, _items):
        theirs = await refused(act, router, mine, "yours")
        nothing = await refused(act, router, Nothing, "yours")
        assert said(theirs) == said(nothing)
        assert theirs.message.replace(mine.id, Nothing.id) == nothing.message
    router.delete_deployment("u0")
    theirs = await refused(_get, router, mine, "yours")
    assert "u0" not in theirs.message
    await closed(router, upstreams.values())


async def test_a_conversation_is_its_tenants(settings: dict[str, Any], upstreams: dict[str, SimulatedUpstream]) -> None:
    """The simulated deployments keep none; that a call which names one succeeded is put in their place."""
    router = Router(group(upstreams.values()), **settings)
    store = router._stores.affinity
    first = await router.aresponses("gpt", "hello", affinity_scope="mine")
    pin = await store.get(first.id)
    if pin is None:  # under signed ids it is upstream's that is remembered
        pin = await store.get(upstreams[served(first)].ids[-1])
    assert pin is not None
    await store.set("conversation:conv_1", pin, ttl=60)
    before = calls(upstreams)
    strangers: list[dict[str, Any]] = [{"affinity_scope": "yours"}, {}]
    for scope in strangers:
        with pytest.raises(APIError) as raised:
            await router.aresponses("gpt", "more", conversation="conv_1", **scope)
        assert said(raised.value)[1:] == (404, "invalid_request_error", None, "conversation")
    assert calls(upstreams) == before
    with pytest.raises(APIError) as own:
        await router.aresponses("gpt", "more", conversation={"id": "conv_1"}, affinity_scope="mine")
    assert [attempt.deployment_id for attempt in own.value.attempts][:1] == [served(first)]
    await closed(router, upstreams.values())


async def test_no_scope_is_stored_as_it_is(redis: Server, upstreams: dict[str, SimulatedUpstream]) -> None:
    settings = homing_settings("redis", redis)
    router = Router(group(upstreams.values()), **settings)
    await router.aresponses("gpt", "hello", affinity_scope="ada@example.org", prompt_cache_key="ada's key")
    await closed(router, upstreams.values())
    with redis.client() as client:
        keys = list(client.scan_iter(f"{settings['redis_key_prefix']}:*"))
        assert keys
        stored = "\n".join([*keys, *(str(client.get(key)) for key in keys)])
    assert "ada" not in stored
