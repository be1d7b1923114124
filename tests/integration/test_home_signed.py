"""Ids that are signed say where home is: to every process that has the key, wherever the protocol shows an id."""

import asyncio
import gc
import json
import random
import re
import subprocess
import sys
from collections.abc import AsyncIterator
from typing import Any, cast

import pytest
from responses_protocol import check_stream
from routers import AFFINITY, KEY, closed, create, entry, group, read, served, serving, tick
from talking import SAID, calls

from providers.simulated import SimulatedUpstream
from providers.types import Call
from providers.views import Response
from router import (
    APIError,
    BadRequestError,
    ConfigurationError,
    HomeLostError,
    PreviousResponseNotFoundError,
    ResponseStream,
    Router,
)

OLD, NEW, FOREIGN = "the old key 0123456789", "the new key 0123456789", "a foreign key 01234567"
SHAPE = re.compile(r"resp_hr1-[A-Za-z0-9_-]+")


def signing(upstreams: dict[str, SimulatedUpstream], key: str = NEW, **more: Any) -> Router:
    """A Router that signs ids."""
    return Router(
        group(upstreams.values()),
        optional_pre_call_checks=AFFINITY,
        routing_strategy="round-robin",
        affinity="signed-id",
        affinity_key=key,
        sleep=tick,
        **more,
    )


@pytest.fixture
async def upstreams() -> AsyncIterator[dict[str, SimulatedUpstream]]:
    async with serving(4) as made:
        yield {upstream.name: upstream for upstream in made}


async def test_every_id_is_signed_fits_and_stays_the_same(upstreams: dict[str, SimulatedUpstream]) -> None:
    router = signing(upstreams)
    for stream in (False, True):
        first = await create(router, stream, input="hello", background=True)
        assert SHAPE.fullmatch(first.id)
        assert len(first.id) <= 64
        home = upstreams[served(first)]
        assert home.ids[-1] not in str(first.to_dict())
        for _ in range(3):
            assert (await router.aget_responses(first.id)).id == first.id  # type: ignore[union-attr]
        resumed = await read(cast("ResponseStream", await router.aget_responses(first.id, stream=True)))
        assert check_stream(resumed)["id"] == first.id
        second = await router.aresponses("gpt", "more", previous_response_id=first.id)
        assert second.previous_response_id == first.id, "an echo shows what was written"
        events = await read(await router.aresponses("gpt", "and more", stream=True, previous_response_id=second.id))
        final = check_stream(events)
        assert final["previous_response_id"] == second.id
        assert {event["response"]["id"] for event in events if "response" in event} == {final["id"]}
        again = cast("Response", await router.aget_responses(final["id"]))
        assert (again.id, again.previous_response_id) == (final["id"], second.id)
        for response_id in (first.id, second.id, final["id"]):
            assert (await router.adelete_responses(response_id)).id == response_id
    raw = [identity for upstream in upstreams.values() for identity in upstream.ids]
    told = [str(record) for upstream in upstreams.values() for record in upstream.requests]
    assert not any("hr1-" in each for each in told), "upstream never sees a signed one"
    assert len(set(raw)) == len(raw) == 6
    await closed(router, upstreams.values())


async def test_a_stream_tells_the_same_id_from_its_first_event_on(upstreams: dict[str, SimulatedUpstream]) -> None:
    router = signing(upstreams)
    stream = await router.aresponses("gpt", "hello", stream=True)
    first = await anext(stream)
    early = first.response.id
    await stream.aclose()
    assert stream.response is not None
    assert stream.response.id == early
    stream = await router.aresponses("gpt", "hello", stream=True)
    seen = {event["response"]["id"] for event in await read(stream) if "response" in event}
    assert stream.response is not None
    assert seen == {stream.response.id}
    await closed(router, upstreams.values())


async def test_every_process_with_the_key_finds_home(upstreams: dict[str, SimulatedUpstream]) -> None:
    routers = [signing(upstreams) for _ in range(4)]
    turn = await routers[0].aresponses("gpt", "hello")
    home = served(turn)
    for number in range(2, 20):
        turn = await create(routers[number % 4], number % 2 == 0, previous_response_id=turn.id)
        assert turn.output_text.startswith(SAID.format(number, home))
    assert {router.affinity_stats().miss for router in routers} == {0}
    for router in routers:
        await router.aclose()


async def test_another_process_finds_home(upstreams: dict[str, SimulatedUpstream]) -> None:
    router = signing(upstreams)
    first = await router.aresponses("gpt", "hello")
    program = (
        "import json, sys\n"
        "from router import Router\n"
        "model_list, key, response_id = json.load(sys.stdin)\n"
        "with Router(model_list, optional_pre_call_checks=['responses_api_deployment_check'],\n"
        "            affinity='signed-id', affinity_key=key) as router:\n"
        "    turn = router.responses('gpt', 'more', previous_response_id=response_id)\n"
        "    print(json.dumps([turn.routing.deployment_id, turn.output_text, turn.id]))\n"
    )
    process = await _run(program, json.dumps([group(upstreams.values()), NEW, first.id]))
    home, text, response_id = json.loads(process)
    assert home == served(first)
    assert text.startswith(SAID.format(2, home))
    third = await router.aresponses("gpt", "and more", previous_response_id=response_id)
    assert third.output_text.startswith(SAID.format(3, home))
    await closed(router, upstreams.values())


async def _run(program: str, given: str) -> str:
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", program, stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    told, _ = await process.communicate(given.encode())
    assert process.returncode == 0
    return told.decode()


async def test_a_key_is_rotated_without_losing_a_conversation(upstreams: dict[str, SimulatedUpstream]) -> None:
    """First everybody takes the new key too, then everybody signs with it, then the old one is dropped."""
    old = signing(upstreams, OLD)
    turn = await old.aresponses("gpt", "hello")
    home = served(turn)
    ready = signing(upstreams, OLD, affinity_previous_key=NEW)
    swapped = signing(upstreams, NEW, affinity_previous_key=OLD)
    dropped = signing(upstreams, NEW)
    for number, router in enumerate((ready, swapped, ready, swapped, dropped), 2):
        turn = await router.aresponses("gpt", "more", previous_response_id=turn.id)
        assert turn.output_text.startswith(SAID.format(number, home))
    first = await old.aresponses("gpt", "hello")
    with pytest.raises(BadRequestError) as raised:
        await dropped.aresponses("gpt", "more", previous_response_id=first.id)
    assert raised.value.code == "invalid_response_id"
    read_now = cast("Response", await swapped.aget_responses(first.id))
    assert read_now.id == first.id, "as it was written, whichever key it was signed with"
    for each in (old, ready, swapped, dropped):
        await each.aclose()


async def test_a_changed_id_is_refused_before_anything_is_sent(upstreams: dict[str, SimulatedUpstream]) -> None:
    rng = random.Random(7)
    router, foreign = signing(upstreams), signing(upstreams, FOREIGN)
    first = await router.aresponses("gpt", "hello")
    before = calls(upstreams)
    changed = [first.id[:-1], first.id + "A", first.id + "=", first.id.replace("hr1-", "hr2-", 1)]
    for place in range(len("resp_hr1-"), len(first.id)):
        other = rng.choice([each for each in "AZaz09-_" if each != first.id[place]])
        changed.append(first.id[:place] + other + first.id[place + 1 :])
    for name in changed:
        with pytest.raises(BadRequestError) as raised:
            await router.aresponses("gpt", "more", previous_response_id=name)
        assert (raised.value.code, raised.value.param) == ("invalid_response_id", "previous_response_id")
    for verb in (foreign.aget_responses, foreign.adelete_responses, foreign.alist_input_items):
        with pytest.raises(BadRequestError) as raised:
            await verb(first.id)
        assert raised.value.code == "invalid_response_id"
        assert raised.value.param == "response_id"
        assert NEW not in str(raised.value)
    assert calls(upstreams) == before
    await foreign.aclose()
    await closed(router, upstreams.values())


async def test_an_owner_that_is_gone_is_lost(upstreams: dict[str, SimulatedUpstream]) -> None:
    router = signing(upstreams)
    first = await router.aresponses("gpt", "hello")
    home = served(first)
    before = calls(upstreams)
    router.delete_deployment(home)
    stranger = signing({name: each for name, each in upstreams.items() if name != home})
    for each in (router, stranger):
        with pytest.raises(HomeLostError) as raised:
            await each.aresponses("gpt", "more", previous_response_id=first.id)
        assert raised.value.owner is not None
        assert calls(upstreams) == before
    await stranger.aclose()
    await closed(router, upstreams.values())


@pytest.mark.parametrize("stream", [False, True])
async def test_an_error_names_what_is_gone_as_its_caller_does(
    stream: bool, upstreams: dict[str, SimulatedUpstream]
) -> None:
    router = signing(upstreams)
    first, talk = await router.aresponses("gpt", "hello"), await router.acreate_conversation()
    await router.adelete_responses(first.id)
    await router.adelete_conversation(talk.id)
    for name, act in (
        (first.id, router.aget_responses(first.id)),
        (first.id, router.adelete_responses(first.id)),
        (first.id, create(router, stream, previous_response_id=first.id)),
        (talk.id, router.aget_conversation(talk.id)),
        (talk.id, create(router, stream, conversation=talk.id)),
    ):
        with pytest.raises(APIError, match=f"(onversation|esponse) with id '{name}' not found") as gone:
            await act
        assert f"'{name}'" in json.dumps(gone.value.body)
        assert len(re.findall("(?:resp|conv)_", f"{gone.value.message} {gone.value.body}")) == 2, "and nothing else"
    await closed(router, upstreams.values())


async def test_replay_goes_on_under_signed_ids(upstreams: dict[str, SimulatedUpstream]) -> None:
    router = signing(upstreams, on_home_lost="replay")
    turn = await router.aresponses("gpt", "hello")
    for number in (2, 3):
        home = served(turn)
        router.delete_deployment(home)
        turn = await create(router, number == 2, previous_response_id=turn.id)
        assert turn.output_text.startswith(SAID.format(number, served(turn)))
        assert SHAPE.fullmatch(turn.id)
        assert turn.routing.affinity is not None
        assert (turn.routing.affinity.mode, turn.routing.affinity.home) == ("replayed", home)
    await closed(router, upstreams.values())


async def test_upstreams_own_ids_are_taken_too(upstreams: dict[str, SimulatedUpstream]) -> None:
    """Those of before ids were signed, say."""
    plain = Router(group(upstreams.values()), optional_pre_call_checks=AFFINITY)
    first = await plain.aresponses("gpt", "hello")
    router = signing(upstreams, discover=True)
    second = await router.aresponses("gpt", "more", previous_response_id=first.id)
    assert second.output_text.startswith(SAID.format(2, served(first)))
    assert second.previous_response_id in (first.id, _signed(router, first))
    with pytest.raises(PreviousResponseNotFoundError):
        await router.aresponses("gpt", "more", previous_response_id="resp_unknown")
    await plain.aclose()
    await closed(router, upstreams.values())


def _signed(router: Router, response: Response) -> str:
    check: Any = router._checks[0]
    return str(check._ids.wrap(response.id, served(response)))


async def test_nothing_of_a_call_is_kept_when_it_has_ended(upstreams: dict[str, SimulatedUpstream]) -> None:
    router = signing(upstreams)
    gc.collect()
    before = sum(type(thing) is Call for thing in gc.get_objects())
    for number in range(10):
        first = await create(router, number % 2 == 0)
        await create(router, number % 2 == 0, previous_response_id=first.id)
        await router.aget_responses(first.id)
    assert await router.aflush()
    gc.collect()
    assert sum(type(thing) is Call for thing in gc.get_objects()) <= before
    await closed(router, upstreams.values())


def test_what_signs_must_be_a_key() -> None:
    for settings in ({}, {"affinity_key": "short"}):
        with pytest.raises(ConfigurationError, match="affinity_key"):
            Router([entry("http://localhost", id="a")], affinity="signed-id", **settings)  # type: ignore[arg-type]
    assert KEY not in NEW
