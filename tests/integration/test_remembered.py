"""Conversations over deployments that keep no state: this Router keeps it, whatever becomes of them."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from forgetful import forgetful as forgetful
from forgetful import plain
from redis_servers import Server, eventually
from routers import AFFINITY, closed, create, misbehave, served, serving, tick
from talking import SAID, WAYS, talk

from providers.simulated import SimulatedUpstream
from router import (
    BadRequestError,
    InternalServerError,
    PreviousResponseNotFoundError,
    ResponseNotFoundError,
    Router,
    ServiceUnavailableError,
)

pytestmark = pytest.mark.usefixtures("forgetful")
CHECKS: tuple[tuple[str, ...], ...] = ((), AFFINITY)


@pytest.fixture
def shared(redis: Server) -> dict[str, Any]:
    return redis.settings()


@pytest.fixture
async def upstreams() -> AsyncIterator[dict[str, SimulatedUpstream]]:
    async with serving(3) as made:
        yield {upstream.name: upstream for upstream in made}


def plain_as(upstreams: dict[str, SimulatedUpstream], name: str) -> list[dict[str, Any]]:
    """Another group over the same, under other ids."""
    return [
        {**each, "model_info": {"id": f"{name}-{each['model_info']['id']}"}} for each in plain(upstreams.values(), name)
    ]


@pytest.mark.parametrize("checks", CHECKS)
@pytest.mark.parametrize("way", WAYS)
async def test_a_conversation_goes_on_where_it_was_and_elsewhere_when_that_is_gone(
    way: str, checks: Any, upstreams: dict[str, SimulatedUpstream]
) -> None:
    router = Router(plain(upstreams.values()), optional_pre_call_checks=checks, on_home_lost="fail", sleep=tick)
    speak = talk(router, way)
    turn = await speak("hello")
    homes = [served(turn)]
    for number in (2, 3):
        turn = await speak(f"turn {number}", previous_response_id=turn.id)
        assert turn.output_text.startswith(SAID.format(number, homes[0])), "who has it in its cache is preferred"
    for number in (4, 5):
        misbehave(upstreams[homes[-1]], "500")
        before = turn
        turn = await speak(f"turn {number}", previous_response_id=before.id)
        assert turn.previous_response_id == before.id
        assert served(turn) not in homes
        assert turn.output_text.startswith(SAID.format(number, served(turn)))
        homes.append(served(turn))
    assert all(len(upstream.state) == 0 for upstream in upstreams.values())
    await closed(router, upstreams.values())


@pytest.mark.parametrize("checks", CHECKS)
async def test_an_older_response_can_be_continued_anew(checks: Any, upstreams: dict[str, SimulatedUpstream]) -> None:
    router = Router(plain(upstreams.values()), optional_pre_call_checks=checks)
    one = await router.aresponses("gpt", "hello")
    two = await router.aresponses("gpt", "this way", previous_response_id=one.id)
    other = await router.aresponses("gpt", "or that way", previous_response_id=one.id)
    assert [served(each) for each in (two, other)] == [served(one)] * 2
    for each in (two, other):
        assert each.output_text.startswith(SAID.format(2, served(one)))
        three = await router.aresponses("gpt", "on", extra_body={"previous_response_id": each.id})
        assert three.output_text.startswith(SAID.format(3, served(one)))
    await closed(router, upstreams.values())


@pytest.mark.parametrize("checks", CHECKS)
@pytest.mark.parametrize("stream", [False, True])
async def test_verbs_by_id_are_answered_here(
    stream: bool, checks: Any, upstreams: dict[str, SimulatedUpstream]
) -> None:
    router = Router(
        [*plain(upstreams.values()), *plain_as(upstreams, "more")],
        optional_pre_call_checks=checks,
    )
    items: list[Any] = [
        {"role": "user", "content": "hello"},
        {"role": "assistant", "content": "yes?"},
        {"type": "message", "role": "user", "content": [{"type": "input_text", "text": "go on"}], "id": "msg_mine"},
    ]
    one = await create(router, stream, input=items, metadata={"order": "17"})
    before = sum(upstream.calls for upstream in upstreams.values())
    assert await router.aget_responses(one.id) == one.to_dict()
    got = await router.aget_responses(one.id, model="more")
    assert list(got.to_dict()) == list(one.to_dict()), "in the order it came"  # type: ignore[union-attr]
    assert got.routing.deployment_id == served(one)
    page = await router.alist_input_items(one.id, order="asc")
    assert [item.content[0].text for item in page.data] == ["hello", "yes?", "go on"]
    assert [item.content[0].type for item in page.data] == ["input_text", "output_text", "input_text"]
    assert page.data[2].id == "msg_mine"
    names = [item.id for item in page.data]
    seen: list[str] = []
    more: dict[str, Any] = {}
    while more.get("after", "") is not None:
        page = await router.alist_input_items(one.id, limit=1, **more)
        seen += [item.id for item in page.data]
        more["after"] = page.last_id if page.has_more else None
    assert seen == names[::-1]
    with pytest.raises(BadRequestError, match="integer above maximum"):
        await router.alist_input_items(one.id, limit=101)
    with pytest.raises(BadRequestError, match="Cannot cancel a synchronous response"):
        await router.acancel_responses(one.id)
    with pytest.raises(BadRequestError, match="cannot be streamed"):
        await router.aget_responses(one.id, stream=True)
    deleted = await router.adelete_responses(one.id)
    assert deleted == {"id": one.id, "object": "response", "deleted": True}
    for verb in (router.aget_responses, router.adelete_responses, router.alist_input_items, router.acancel_responses):
        with pytest.raises(ResponseNotFoundError, match=f"Response with id '{one.id}' not found"):
            await verb(one.id)
    with pytest.raises(PreviousResponseNotFoundError) as raised:
        await router.aresponses("gpt", "more", previous_response_id=one.id)
    assert raised.value.status_code == 400
    assert (raised.value.code, raised.value.param) == ("previous_response_not_found", "previous_response_id")
    assert str(raised.value) == f"Previous response with id '{one.id}' not found."
    assert sum(upstream.calls for upstream in upstreams.values()) == before, "nobody was asked"
    await closed(router, upstreams.values())


async def test_the_end_of_a_stream_is_handed_out_once_it_is_written(
    shared: dict[str, Any], upstreams: dict[str, SimulatedUpstream]
) -> None:
    here, there = (Router(plain(upstreams.values()), **shared) for _ in range(2))
    stream = await here.aresponses("gpt", "hello", stream=True)
    async for event in stream:
        if event.type == "response.completed":
            assert await there.aget_responses(event.response.id) == event.response.to_dict()
            break
    else:
        pytest.fail("no end")
    await stream.aclose()
    for upstream in upstreams.values():
        misbehave(upstream, "stall_after_output")
    left = await here.aresponses("gpt", "hello", stream=True)
    async for _ in left:
        break
    assert left.response is not None
    await left.aclose()
    with pytest.raises(ResponseNotFoundError):  # as at OpenAI: what nobody waited for isn't kept
        await here.aget_responses(left.response.id)
    await there.aclose()
    await closed(here, upstreams.values())


@pytest.mark.parametrize("checks", CHECKS)
async def test_routers_that_share_a_redis_continue_each_other(
    checks: Any, shared: dict[str, Any], upstreams: dict[str, SimulatedUpstream]
) -> None:
    settings = {**shared, "optional_pre_call_checks": checks}
    routers = [Router(plain(upstreams.values()), **settings) for _ in range(2)]
    turn = await routers[0].aresponses("gpt", "hello")
    home = served(turn)
    for number in range(2, 6):
        turn = await create(routers[number % 2], number % 3 == 0, input="more", previous_response_id=turn.id)
        assert turn.output_text.startswith(SAID.format(number, home))
    for router in routers:
        await router.aclose()
    again = Router(plain(upstreams.values()), **settings)
    six = await again.aresponses("gpt", "more", previous_response_id=turn.id)
    assert six.output_text.startswith(SAID.format(6, home)), "a restart loses nothing"
    assert await again.aget_responses(turn.id) == turn.to_dict()
    other = Router(plain(upstreams.values()), **settings)
    assert (await other.aget_responses(six.id)).id == six.id  # type: ignore[union-attr]
    await again.adelete_responses(six.id)
    with pytest.raises(ResponseNotFoundError):
        await other.aget_responses(six.id)
    await other.aclose()
    await closed(again, upstreams.values())


@pytest.mark.parametrize("checks", CHECKS)
async def test_tenants_do_not_exist_for_each_other(checks: Any, upstreams: dict[str, SimulatedUpstream]) -> None:
    router = Router(plain(upstreams.values()), optional_pre_call_checks=checks)
    one = await router.aresponses("gpt", "hello", affinity_scope="ada")
    two = await router.aresponses("gpt", "more", previous_response_id=one.id, affinity_scope="ada")
    assert two.output_text.startswith(SAID.format(2, served(one)))
    others: list[dict[str, Any]] = [{"affinity_scope": "eve"}, {}]
    for scope in others:
        unknown = one.id[:-1] + ("0" if one.id[-1] != "0" else "1")
        for name in (one.id, unknown):
            with pytest.raises(PreviousResponseNotFoundError, match=f"Previous response with id '{name}' not found"):
                await router.aresponses("gpt", "more", previous_response_id=name, **scope)
            for verb in (router.aget_responses, router.adelete_responses, router.alist_input_items):
                with pytest.raises(ResponseNotFoundError, match=f"Response with id '{name}' not found"):
                    await verb(name, **scope)
    assert await router.aget_responses(one.id, affinity_scope="ada") == one.to_dict()
    await closed(router, upstreams.values())


async def test_what_is_not_to_be_stored_is_not(upstreams: dict[str, SimulatedUpstream]) -> None:
    stateless = [*plain([upstreams["u0"]]), {**plain([upstreams["u1"]], "never")[0]}]
    stateless[1]["litellm_params"]["store"] = False
    router = Router(stateless)
    for model, more in (("gpt", {"store": False}), ("never", {})):
        one = await create(router, False, model, "hello", **more)
        with pytest.raises(ResponseNotFoundError):
            await router.aget_responses(one.id)
        with pytest.raises(PreviousResponseNotFoundError):
            await router.aresponses(model, "more", previous_response_id=one.id)
    await closed(router, upstreams.values())


@pytest.mark.parametrize("stream", [False, True])
async def test_what_ended_early_can_be_read_and_continued(
    stream: bool, upstreams: dict[str, SimulatedUpstream]
) -> None:
    router = Router(plain(upstreams.values()))
    one = await create(router, stream, input="hello", max_output_tokens=16)
    two = await create(router, stream, input="more " * 50, previous_response_id=one.id)
    assert two.output_text.startswith(SAID.format(2, served(one)))
    assert (await router.aget_responses(one.id)).status == one.status  # type: ignore[union-attr]
    await closed(router, upstreams.values())


async def test_a_failed_response_can_be_read_but_not_continued(upstreams: dict[str, SimulatedUpstream]) -> None:
    misbehave(upstreams["u0"], "error_event_after_output")
    router = Router(plain([upstreams["u0"]]), num_retries=0)
    stream = await router.aresponses("gpt", "hello", stream=True)
    with pytest.raises(InternalServerError):
        async for _ in stream:
            pass
    assert stream.response is not None
    got = await router.aget_responses(stream.response.id)
    assert (got.id, got.status) == (stream.response.id, "failed")  # type: ignore[union-attr]
    misbehave(upstreams["u0"])
    with pytest.raises(PreviousResponseNotFoundError):
        await router.aresponses("gpt", "more", previous_response_id=stream.response.id)
    await closed(router, upstreams.values())


async def test_memory_is_bounded_and_the_oldest_are_forgotten(upstreams: dict[str, SimulatedUpstream]) -> None:
    router = Router(plain(upstreams.values()), affinity_max_entries=3)
    turns = [await router.aresponses("gpt", "hello")]
    for _ in range(3):
        turns.append(await router.aresponses("gpt", "hello"))  # noqa: PERF401 - one after the other
    with pytest.raises(PreviousResponseNotFoundError):
        await router.aresponses("gpt", "more", previous_response_id=turns[0].id)
    with pytest.raises(ResponseNotFoundError):
        await router.aget_responses(turns[0].id)
    two = await router.aresponses("gpt", "more", previous_response_id=turns[-1].id)
    assert two.output_text.startswith(SAID.format(2, served(turns[-1])))
    await closed(router, upstreams.values())


async def test_an_outage_of_redis_costs_nothing_that_memory_has(
    tmp_path: Path, upstreams: dict[str, SimulatedUpstream]
) -> None:
    frail = Server(tmp_path).start()
    try:
        settings: dict[str, Any] = {"redis_url": f"redis://127.0.0.1:{frail.port}", "redis_timeout": 5.0}
        router = Router(plain(upstreams.values()), **settings)
        before = await router.aresponses("gpt", "hello")
        frail.kill()
        after = await router.aresponses("gpt", "more", previous_response_id=before.id)
        assert after.output_text.startswith(SAID.format(2, served(before)))
        one = await router.aresponses("gpt", "hello")
        two = await router.aresponses("gpt", "more", previous_response_id=one.id)
        assert two.output_text.startswith(SAID.format(2, served(one)))
        for turn in (before, one, two):
            assert await router.aget_responses(turn.id) == turn.to_dict()
        stranger = Router(plain(upstreams.values()), **settings)
        for act in (stranger.aget_responses(two.id), stranger.aresponses("gpt", "x", previous_response_id=two.id)):
            with pytest.raises(ServiceUnavailableError, match=f"^response '{two.id}': it can't be told now where it"):
                await act
        with pytest.raises(ResponseNotFoundError):
            await stranger.aget_responses("resp_of_nobody_s_making")
        await stranger.aclose()
        frail.start()
        link = router._stores.transcript_link
        assert link is not None
        await eventually(lambda: link.stats.recoveries and not link.down, "recovery")
        await eventually(lambda: not link._background._tasks, "what was sent later")
        other = Router(plain(upstreams.values()), **settings)
        three = await other.aresponses("gpt", "and more", previous_response_id=two.id)
        assert three.output_text.startswith(SAID.format(3, served(one)))
        await other.aclose()
        await closed(router, upstreams.values())
    finally:
        frail.kill()
