"""A conversation whose home is gone goes on elsewhere, as it was: twice in a row, however it is called."""

from collections.abc import AsyncIterator, Sequence
from typing import Any

import pytest
from routers import AFFINITY, closed, create, entry, group, misbehave, served, serving, tick
from talking import SAID, WAYS, calls, placed, talk

from providers.simulated import SimulatedUpstream
from providers.types import Call
from router import HomeLostError, PreviousResponseNotFoundError, Router
from strategies.base import Candidate


@pytest.fixture
async def upstreams() -> AsyncIterator[dict[str, SimulatedUpstream]]:
    async with serving(3) as made:
        yield {upstream.name: upstream for upstream in made}


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("where", ["router", "group"])
async def test_replay_goes_on_elsewhere_twice_in_a_row(
    where: str, way: str, upstreams: dict[str, SimulatedUpstream]
) -> None:
    settings, _ = placed("replay", where)
    router = Router(
        group(upstreams.values()), optional_pre_call_checks=AFFINITY, routing_strategy="round-robin", **settings
    )
    speak = talk(router, way)
    turn = await speak("hello")
    homes, number = [served(turn)], 1
    for loss in (1, 2):
        before = upstreams[homes[-1]].calls
        misbehave(upstreams[homes[-1]], "500")
        number += 1
        turn = await speak(f"turn {number}", previous_response_id=turn.id)
        assert served(turn) not in homes
        assert turn.routing.affinity is not None
        assert (turn.routing.affinity.mode, turn.routing.affinity.home) == ("replayed", homes[-1])
        assert turn.routing.affinity.dropped == ()
        assert turn.output_text.startswith(SAID.format(number, served(turn)))
        assert [attempt.deployment_id for attempt in turn.routing.attempts] == [homes[-1], served(turn)]
        assert upstreams[homes[-1]].calls == before + 1, "who failed is not asked again"
        homes.append(served(turn))
        for _ in range(2):  # the new home is one as any other
            number += 1
            turn = await speak(f"turn {number}", previous_response_id=turn.id)
            assert turn.output_text.startswith(SAID.format(number, homes[-1]))
            assert turn.routing.affinity is not None
            assert turn.routing.affinity.mode == "home"
        assert router.affinity_stats().replayed == loss
    assert sorted(homes) == sorted(upstreams)
    await closed(router, upstreams.values())


class First:
    """Always picks the first by name."""

    def pick(self, call: Call, candidates: Sequence[Candidate], now: float) -> Candidate:
        return min(candidates, key=lambda candidate: candidate.id)


async def test_who_failed_is_asked_last(upstreams: dict[str, SimulatedUpstream]) -> None:
    router = Router(
        group(upstreams.values()),
        optional_pre_call_checks=AFFINITY,
        routing_strategy=First(),
        on_home_lost="replay",
        sleep=tick,
    )
    one = await router.aresponses("gpt", "hello")
    for name in ("u0", "u1"):
        misbehave(upstreams[name], "500")
    two = await router.aresponses("gpt", "more", previous_response_id=one.id)
    assert [attempt.deployment_id for attempt in two.routing.attempts] == ["u0", "u1", "u2"]
    await closed(router, upstreams.values())


async def test_a_reference_in_extra_body_is_replayed_too(upstreams: dict[str, SimulatedUpstream]) -> None:
    router = Router(group(upstreams.values()), optional_pre_call_checks=AFFINITY, on_home_lost="replay")
    one = await router.aresponses("gpt", "hello")
    misbehave(upstreams[served(one)], "500")
    two = await router.aresponses("gpt", "more", extra_body={"previous_response_id": one.id})
    assert two.output_text.startswith(SAID.format(2, served(two)))
    assert served(two) != served(one)
    await closed(router, upstreams.values())


async def test_a_replay_is_told_everything_that_was_said(upstreams: dict[str, SimulatedUpstream]) -> None:
    router = Router(group(upstreams.values()), optional_pre_call_checks=AFFINITY, on_home_lost="replay")
    tools = [{"type": "function", "name": "look", "parameters": {"type": "object", "properties": {}}}]
    one = await router.aresponses("gpt", "hello", instructions="Be brief.")
    two = await router.aresponses("gpt", "call look", previous_response_id=one.id, tools=tools)
    call = two.output[0]
    home = served(one)
    misbehave(upstreams[home], "reset")
    result = {"type": "function_call_output", "call_id": call.call_id, "output": "a lamp"}
    three = await router.aresponses("gpt", [result], previous_response_id=two.id, tools=tools)
    assert "The tool said: 'a lamp'" in three.output_text
    body = upstreams[served(three)].requests[-1].body
    assert isinstance(body, dict)
    assert body.keys().isdisjoint({"previous_response_id", "instructions"}), "instructions are not inherited"
    items = body["input"]
    assert isinstance(items, list)
    kinds = [item["type"] for item in items if isinstance(item, dict)]
    assert kinds == ["message", "message", "message", "function_call", "function_call_output"]
    assert not any("id" in item for item in items if isinstance(item, dict)), "ids are of the old home"
    await closed(router, upstreams.values())


FILE = [{"role": "user", "content": [{"type": "input_text", "text": "hello"}, {"type": "input_file", "file_id": "f1"}]}]


@pytest.mark.parametrize("stream", [False, True])
async def test_what_cannot_move_is_named_or_dropped(stream: bool, upstreams: dict[str, SimulatedUpstream]) -> None:
    router = Router(group(upstreams.values()), optional_pre_call_checks=AFFINITY, on_home_lost="replay")
    one = await create(router, stream, input=FILE)
    misbehave(upstreams[served(one)], "refuse")
    place = f"file_id at {one.id}.input[0].content[1]"
    for _ in range(2):
        with pytest.raises(HomeLostError) as raised:
            await create(router, stream, input="more", previous_response_id=one.id)
        assert place in str(raised.value.reason)
        assert raised.value.owner == served(one)
    two = await create(router, stream, input="more", previous_response_id=one.id, replay="lossy")
    assert two.output_text.startswith(SAID.format(2, served(two)))
    assert two.routing.affinity is not None
    assert two.routing.affinity.dropped == (place,)
    misbehave(upstreams[served(two)], "refuse")
    three = await create(router, stream, input="and more", previous_response_id=two.id)
    assert three.routing.affinity is not None
    assert three.routing.affinity.dropped == (), "what is gone is gone"
    assert three.output_text.startswith(SAID.format(3, served(three)))
    stats = router.affinity_stats()
    assert (stats.replayed, stats.lost) == (2, 2)
    await closed(router, upstreams.values())


async def test_reasoning_is_left_behind(upstreams: dict[str, SimulatedUpstream]) -> None:
    router = Router(group(upstreams.values()), optional_pre_call_checks=AFFINITY, on_home_lost="replay")
    include: dict[str, Any] = {"reasoning": {"effort": "low"}, "include": ["reasoning.encrypted_content"]}
    one = await router.aresponses("gpt", "hello", **include)
    misbehave(upstreams[served(one)], "503")
    two = await router.aresponses("gpt", "more", previous_response_id=one.id, **include)
    assert two.routing.affinity is not None
    assert two.routing.affinity.dropped == (f"reasoning at {one.id}.output[0]",)
    assert two.output_text.startswith(SAID.format(2, served(two)))
    await closed(router, upstreams.values())


@pytest.mark.parametrize("way", ["whole", "stream"])
async def test_a_background_response_is_replayed_as_it_was_last_read(
    way: str, upstreams: dict[str, SimulatedUpstream]
) -> None:
    router = Router(group(upstreams.values()), optional_pre_call_checks=AFFINITY, on_home_lost="replay")
    one = await router.aresponses("gpt", "hello", background=True)
    home = upstreams[served(one)]
    misbehave(home, "500")
    with pytest.raises(HomeLostError, match="unfinished"):
        await router.aresponses("gpt", "more", previous_response_id=one.id)
    router.delete_deployment(home.name)
    misbehave(home)
    router.add_deployment(entry(home))
    if way == "stream":
        async for _ in await router.aget_responses(one.id, stream=True):  # type: ignore[union-attr]
            pass
    else:
        while (await router.aget_responses(one.id)).status != "completed":  # type: ignore[union-attr]
            pass
    misbehave(home, "500")
    two = await router.aresponses("gpt", "more", previous_response_id=one.id)
    assert two.output_text.startswith(SAID.format(2, served(two)))
    assert served(two) != home.name
    await closed(router, upstreams.values())


async def test_what_is_no_turn_cannot_be_replayed(upstreams: dict[str, SimulatedUpstream]) -> None:
    router = Router(group(upstreams.values()), optional_pre_call_checks=AFFINITY, on_home_lost="replay")
    one = await router.aresponses("gpt", "hello")
    misbehave(upstreams[served(one)], "500")
    for verb in (router.aget_responses, router.adelete_responses, router.alist_input_items, router.acancel_responses):
        with pytest.raises(HomeLostError, match="can't be replayed"):
            await verb(one.id)
    two = await router.aresponses("gpt", "hello", on_home_lost="fail")  # so nothing is kept
    misbehave(upstreams[served(two)], "500")
    with pytest.raises(HomeLostError, match="no transcript"):
        await router.aresponses("gpt", "more", previous_response_id=two.id)
    await closed(router, upstreams.values())


async def test_a_response_that_expired_at_home_is_told_apart(upstreams: dict[str, SimulatedUpstream]) -> None:
    router = Router(group(upstreams.values()), optional_pre_call_checks=AFFINITY, on_home_lost="replay", sleep=tick)
    one = await router.aresponses("gpt", "hello")
    home = upstreams[served(one)]
    home.state.clear()
    for policy in ("fail", "wait"):
        with pytest.raises(PreviousResponseNotFoundError) as raised:
            await router.aresponses("gpt", "more", previous_response_id=one.id, on_home_lost=policy)
        assert raised.value.deployment_id == home.name
        assert len(raised.value.attempts) == 3, "it might only lag"
    two = await router.aresponses("gpt", "more", previous_response_id=one.id)
    assert two.output_text.startswith(SAID.format(2, served(two)))
    assert two.routing.affinity is not None
    assert two.routing.affinity.mode == "replayed"
    await closed(router, upstreams.values())


async def test_a_deployment_that_was_removed_is_lost_at_once(upstreams: dict[str, SimulatedUpstream]) -> None:
    router = Router(group(upstreams.values()), optional_pre_call_checks=AFFINITY, on_home_lost="replay")
    one = await router.aresponses("gpt", "hello")
    home = served(one)
    before = calls(upstreams)
    router.delete_deployment(home)
    for policy in ("fail", "wait"):
        with pytest.raises(HomeLostError) as raised:
            await router.aresponses("gpt", "more", previous_response_id=one.id, on_home_lost=policy)
        assert (raised.value.owner, raised.value.reason) == (home, "this Router no longer has it")
        assert raised.value.attempts == ()
    assert calls(upstreams) == before
    two = await router.aresponses("gpt", "more", previous_response_id=one.id)
    assert two.output_text.startswith(SAID.format(2, served(two)))
    router.add_deployment(entry(upstreams[home]))
    again = await router.aresponses("gpt", "more", previous_response_id=one.id)
    assert served(again) == home, "it is remembered still"
    await closed(router, upstreams.values())


async def test_fallback_groups_are_no_home(upstreams: dict[str, SimulatedUpstream]) -> None:
    spare = entry(upstreams["u2"], "spare")
    router = Router(
        [entry(upstreams["u0"]), entry(upstreams["u1"]), spare],
        optional_pre_call_checks=AFFINITY,
        on_home_lost="fail",
        fallbacks=[{"gpt": ["spare"]}],
        default_fallbacks=["spare"],
    )
    one = await router.aresponses("gpt", "hello")
    misbehave(upstreams[served(one)], "500")
    with pytest.raises(HomeLostError):
        await router.aresponses("gpt", "more", previous_response_id=one.id)
    assert upstreams["u2"].calls == 0
    await closed(router, upstreams.values())
