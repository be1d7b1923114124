"""When home is lost and the policy says so, the conversation is told to another; else the error says why not."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import Any

import pytest
from homing import ALL, EAST, NORTH, Notebook, asked_for, follow_up

from checks import Finished, ResponsesApiDeployment, Started
from checks.affinity.transcript import Turn
from providers.errors import (
    APIError,
    BadRequestError,
    HomeLostError,
    InternalServerError,
    PreviousResponseNotFoundError,
    RateLimitError,
)
from providers.types import Affinity, Call, Deployment, HomePolicy, Json, Verb
from providers.views import Deleted, Response
from router.stores.transcripts import MemoryTranscripts

DOWN = InternalServerError("down")


def message(role: str, text: str) -> dict[str, Json]:
    """Something that was said."""
    return {"type": "message", "role": role, "content": text}


class Talk:
    """Turns taken with deployments, through a check."""

    def __init__(self, policy: HomePolicy = HomePolicy("replay"), transcripts: Any = None) -> None:  # noqa: B008
        self.store = Notebook()
        self.transcripts = MemoryTranscripts() if transcripts is None else transcripts
        self.there = {each.id: each for each in ALL}
        self.check = ResponsesApiDeployment(
            self.store, lambda name: self.there.get(name), policy=policy, transcripts=self.transcripts
        )

    async def turn(self, call: Call, deployment: Deployment, id: str, **answer: Any) -> None:
        """One that succeeds."""
        await self.check.eligible(call, ALL)
        await self.check.observe(call, deployment, Started(id))
        json = {"object": "response", "id": id, "status": "completed", "output": [message("assistant", id)], **answer}
        await self.check.observe(call, deployment, Finished(Response(json)))

    async def lose(self, call: Call, error: APIError = DOWN) -> Call | None:
        """What follows when a call fails at home."""
        await self.check.eligible(call, ALL)
        return await self.check.rescue(call, error)


@pytest.fixture
def talk() -> Talk:
    return Talk()


async def test_the_conversation_goes_on_elsewhere_and_then_elsewhere_again(talk: Talk) -> None:
    await talk.turn(Call("gpt", body={"input": "one", "instructions": "be brief"}), NORTH, "resp_1")
    replayed = await talk.lose(follow_up(input="two"))
    assert replayed is not None
    heard = [message("user", "one"), message("assistant", "resp_1"), message("user", "two")]
    assert replayed.body == {"input": heard}
    assert replayed.affinity == Affinity("replayed", "north")
    assert await talk.check.eligible(replayed, ALL) is ALL
    await talk.turn(replayed, EAST, "resp_2")
    assert talk.store.kept["resp_2"] == "east"
    again = await talk.lose(follow_up("resp_2", input="three"))
    assert again is not None
    assert again.body == {"input": [*heard, message("assistant", "resp_2"), message("user", "three")]}
    assert again.affinity == Affinity("replayed", "east")
    assert (talk.check.stats.replayed, talk.check.stats.lost) == (2, 0)


async def test_a_home_that_the_router_never_had_is_replayed_too(talk: Talk) -> None:
    await talk.turn(Call("gpt", body={"input": "one"}), NORTH, "resp_1")
    del talk.there["north"]
    call = Call("gpt", body={"input": "two"}, extra_body={"previous_response_id": "resp_1"})
    with pytest.raises(HomeLostError) as lost:
        await talk.check.eligible(call, ALL)
    replayed = await talk.check.rescue(call, lost.value)
    assert replayed is not None
    assert replayed.affinity == Affinity("replayed", "north")
    assert len(replayed.body["input"]) == 3  # type: ignore[arg-type]  # of items
    assert replayed.extra_body == {}
    assert await talk.check.rescue(replace(call, affinity=replayed.affinity), lost.value) is None, "once is enough"


async def test_a_home_that_has_forgotten_or_is_busy_is_left_too(talk: Talk) -> None:
    await talk.turn(Call("gpt", body={"input": "one"}), NORTH, "resp_1")
    for error in (PreviousResponseNotFoundError("not found"), RateLimitError("slow down")):
        assert await talk.lose(follow_up(), error) is not None
    assert await talk.lose(follow_up(), BadRequestError("yours")) is None


async def test_without_transcripts_nothing_can_be_replayed() -> None:
    check = ResponsesApiDeployment(Notebook(), {each.id: each for each in ALL}.get, policy=HomePolicy("replay"))
    call = follow_up()
    await check.observe(Call("gpt"), NORTH, Started("resp_1"))
    await check.eligible(call, ALL)
    for error in (PreviousResponseNotFoundError("expired"), RateLimitError("busy")):
        assert await check.rescue(call, error) is None
    with pytest.raises(HomeLostError, match="'north': down; and no transcript is kept"):
        await check.rescue(call, DOWN)


@pytest.mark.parametrize("policy", ["fail", "wait"])
async def test_nothing_is_written_down_unless_it_may_be_replayed(policy: Any) -> None:
    talk = Talk(HomePolicy(policy))
    await talk.turn(Call("gpt", body={"input": "one"}), NORTH, "resp_1")
    assert len(talk.transcripts) == 0
    await talk.turn(Call("gpt", body={"input": "one"}, home=HomePolicy("replay")), NORTH, "resp_2")
    assert len(talk.transcripts) == 1, "what a single call asks for"


async def test_what_was_never_written_down_is_lost_and_says_so(talk: Talk) -> None:
    talk.store.kept["resp_1"] = "north"
    with pytest.raises(
        HomeLostError, match=r"'north': down; and there is no transcript of response 'resp_1'"
    ) as caught:
        await talk.lose(follow_up())
    assert caught.value.__cause__ is DOWN
    assert caught.value.owner == "north"
    assert await talk.lose(follow_up(), RateLimitError("busy, not lost")) is None
    gone = {**talk.there}
    talk.there.clear()
    call = follow_up()
    with pytest.raises(HomeLostError) as lost:
        await talk.check.eligible(call, ALL)
    with pytest.raises(HomeLostError) as caught:
        await talk.check.rescue(call, lost.value)
    talk.there.update(gone)
    said = "response 'resp_1' is held by deployment 'north': this Router no longer has it; and there is no transcript"
    assert str(caught.value).startswith(said), "said once"
    assert talk.check.stats.lost == 2


@pytest.mark.parametrize("verb", [Verb.GET, Verb.COMPACT, Verb.INPUT_TOKENS])
async def test_only_what_creates_a_response_is_replayed(talk: Talk, verb: Verb) -> None:
    await talk.turn(Call("gpt", body={"input": "one"}), NORTH, "resp_1")
    call = asked_for("resp_1") if verb.by_id else replace(follow_up(), verb=verb)
    with pytest.raises(HomeLostError, match=f"a call to {verb} can't be replayed"):
        await talk.lose(call)
    assert await talk.lose(call, RateLimitError("busy")) is None


async def test_what_cannot_move_is_named_or_left_out() -> None:
    for lossy in (False, True):
        talk = Talk(HomePolicy("replay", lossy=lossy))
        parts: list[Json] = [{"type": "input_file", "file_id": "file_1"}, {"type": "input_text", "text": "read this"}]
        await talk.turn(Call("gpt", body={"input": [{"role": "user", "content": parts}]}), NORTH, "resp_1")
        if not lossy:
            with pytest.raises(HomeLostError, match=r"file_id at resp_1\.input\[0\]\.content\[0\]"):
                await talk.lose(follow_up())
            continue
        replayed = await talk.lose(follow_up())
        assert replayed is not None
        assert replayed.affinity == Affinity("replayed", "north", ("file_id at resp_1.input[0].content[0]",))


async def test_what_is_tied_by_its_own_reasoning_goes_without(talk: Talk) -> None:
    sealed: dict[str, Json] = {"type": "reasoning", "id": "rs_1", "encrypted_content": "sealed", "summary": []}
    await talk.turn(Call("gpt", body={"input": "one"}), NORTH, "resp_1", output=[sealed])
    call = Call("gpt", body={"input": [sealed, message("user", "two")], "store": False})
    replayed = await talk.lose(call)
    assert replayed is not None
    assert replayed.body == {"input": [message("user", "two")], "store": False}


async def test_background_responses_are_completed_when_they_are_read(talk: Talk) -> None:
    start = Call("gpt", body={"input": "one", "background": True})
    await talk.turn(start, NORTH, "resp_1", status="queued", output=[])
    with pytest.raises(HomeLostError, match="unfinished at resp_1"):
        await talk.lose(follow_up())
    await talk.turn(asked_for("resp_1"), NORTH, "resp_1")
    kept = await talk.transcripts.get("resp_1")
    assert isinstance(kept, Turn)
    assert (kept.finished, len(kept.output)) == (True, 1)
    for status in ("in_progress", "completed"):
        await talk.turn(asked_for("resp_1"), NORTH, "resp_1", status=status, output=[])
    assert await talk.transcripts.get("resp_1") == kept, "what is finished stays"
    await talk.turn(asked_for("resp_0"), NORTH, "resp_0")
    assert await talk.transcripts.get("resp_0") is None
    assert await talk.lose(follow_up()) is not None


async def test_what_is_no_turn_is_not_written_down(talk: Talk) -> None:
    await talk.turn(Call("gpt", Verb.COMPACT, body={"input": "one"}), NORTH, "resp_1")
    await talk.turn(Call("gpt", body={"input": "one", "store": False}), NORTH, "resp_2")
    assert len(talk.transcripts) == 0


async def test_what_is_deleted_is_not_told_any_more(talk: Talk) -> None:
    await talk.turn(Call("gpt", body={"input": "one"}), NORTH, "resp_1")
    await talk.check.observe(asked_for("resp_1", Verb.DELETE), NORTH, Finished(Deleted({"deleted": True})))
    assert await talk.transcripts.get("resp_1") is None


async def test_a_transcript_that_cannot_be_read_in_time_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("checks.affinity.retelling.PATIENCE", 0.0)

    class Stuck(MemoryTranscripts):
        async def get(self, response_id: str, *, fresh: bool = False) -> Turn | None:
            await asyncio.Event().wait()
            return None

    talk = Talk(transcripts=Stuck())
    talk.store.kept["resp_1"] = "north"
    with pytest.raises(HomeLostError, match="its transcript could not be read within 0 s"):
        await talk.lose(follow_up())
