"""What is kept for deployments that keep no state: of which calls, what a broken memory leads to, what it costs."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import Any

import pytest
from homing import NORTH, Notebook, follow_up

from checks.affinity import remembered
from checks.affinity.discovery import Discovery
from checks.affinity.recalled import Recalled, referred
from checks.affinity.remembered import Remembered
from checks.affinity.responses_api_deployment import ResponsesApiDeployment
from checks.affinity.transcript import Turn
from checks.base import Failed, Finished, Home, Leaning, Started
from providers.errors import (
    BadRequestError,
    InternalServerError,
    PreviousResponseNotFoundError,
    ServiceUnavailableError,
)
from providers.translation.sealed import seal
from providers.types import Call, Deployment, Dialect, Verb
from providers.views import Response
from router.stores.transcripts import MemoryTranscripts

CLAUDE = Deployment("claude", "gpt", "anthropic", "m", dialect=Dialect.MESSAGES, account="a")
TWIN = Deployment("twin", "gpt", "anthropic", "m", dialect=Dialect.MESSAGES, account="a")
GEMINI = Deployment("gemini", "gpt", "gemini", "m", dialect=Dialect.GENERATE_CONTENT, account="g")
ALL = (CLAUDE, TWIN, GEMINI, NORTH)
SAID: dict[str, Any] = {"type": "message", "role": "assistant", "content": [{"type": "output_text", "text": "hi"}]}


def name(number: int) -> str:
    return f"resp_{number:032x}"


def answer(number: int, **more: Any) -> Response:
    item = f"msg_{number:032x}0000"
    return Response(
        {"id": name(number), "status": "completed", "output": [{"id": item, **SAID}], "store": True, **more}
    )


class Talk:
    """A check, and calls that it observes."""

    def __init__(self, *deployments: Deployment) -> None:
        self.store = MemoryTranscripts()
        self.check = Remembered(self.store, ttl=60)
        self.there = deployments or ALL
        self.check.accept(self.there)

    async def say(self, number: int, previous: int | None = None, by: Deployment = CLAUDE, **body: Any) -> Call:
        """A call that was answered."""
        call = self.call(previous, **body)
        await self.check.eligible(call, self.there)
        await self.check.observe(call, by, Finished(answer(number, previous_response_id=body.get("previous"))))
        return call

    def call(self, previous: int | None = None, **body: Any) -> Call:
        """A call that goes on."""
        after = {} if previous is None else {"previous_response_id": name(previous)}
        return Call("gpt", body={"input": "hello", **after, **body})


async def test_only_what_was_created_and_has_ended_is_kept() -> None:
    talk = Talk()
    call = talk.call()
    for outcome in (
        Started(name(1)),
        Finished(None),
        Failed(InternalServerError("no")),
        Failed(InternalServerError("no", received={"id": name(1), "status": "in_progress", "output": []})),
        Finished(answer(1, store=False)),
        Finished(answer(1, output=None)),
    ):
        await talk.check.observe(call, CLAUDE, outcome)
    await talk.check.observe(call, NORTH, Finished(answer(1)))
    await talk.check.observe(replace(call, verb=Verb.COMPACT), CLAUDE, Finished(answer(1)))
    await talk.check.observe(replace(call, body={"input": "hello", "store": False}), CLAUDE, Finished(answer(1)))
    assert len(talk.store) == 0
    await talk.check.observe(call, CLAUDE, Finished(answer(1)))
    assert len(talk.store) == 1


async def test_who_shares_the_cache_of_the_last_turn_is_preferred() -> None:
    talk = Talk()
    await talk.say(1)
    call = talk.call(1)
    chosen = await talk.check.preview(call, ALL)
    assert isinstance(chosen, Leaning)
    assert chosen == (CLAUDE, TWIN)
    assert await talk.check.eligible(call, (CLAUDE, TWIN)) == (CLAUDE, TWIN)
    assert await talk.check.eligible(call, (GEMINI, NORTH)) == (GEMINI, NORTH)
    talk.check.accept((GEMINI, NORTH))
    assert await talk.check.eligible(call, (GEMINI, NORTH)) == (GEMINI, NORTH), "the last one is gone"
    prepared = talk.check.prepare(call, GEMINI)
    assert [item["role"] for item in prepared.history] == ["user", "assistant"]
    assert prepared.body == call.body


async def test_a_conversation_with_a_gap_is_not_known() -> None:
    talk = Talk(CLAUDE)
    await talk.say(1)
    await talk.say(2, 1)
    await talk.say(3, 2)
    await talk.store.delete(name(1))
    for last in (3, 2):
        with pytest.raises(PreviousResponseNotFoundError, match=f"'{name(last)}' not found"):
            await talk.check.eligible(talk.call(last), (CLAUDE,))


async def test_a_conversation_without_end_is_refused_with_the_bound(monkeypatch: pytest.MonkeyPatch) -> None:
    talk = Talk(CLAUDE)
    await talk.say(1)
    await talk.say(2, 1)
    await talk.say(3, 2)
    monkeypatch.setattr(remembered, "MOST_TURNS", 1)
    with pytest.raises(BadRequestError, match="more than 1 turns") as raised:
        await talk.check.eligible(talk.call(3), (CLAUDE,))
    assert (raised.value.code, raised.value.param) == ("conversation_too_long", "previous_response_id")
    kept = await talk.store.get(name(1))
    assert kept is not None
    await talk.store.put(replace(kept, previous_response_id=name(2)), ttl=60)
    monkeypatch.undo()
    with pytest.raises(PreviousResponseNotFoundError):
        await talk.check.eligible(talk.call(3), (CLAUDE,))


async def test_a_memory_that_does_not_answer_is_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    class Stuck(MemoryTranscripts):
        async def get(self, response_id: str, *, fresh: bool = False) -> Turn | None:
            await asyncio.Event().wait()
            raise AssertionError

    monkeypatch.setattr(remembered, "PATIENCE", 0.01)
    check = Remembered(Stuck(), ttl=60)
    check.accept((CLAUDE,))
    with pytest.raises(ServiceUnavailableError, match="could not be read within"):
        await check.eligible(Call("gpt", body={"input": "x", "previous_response_id": name(1)}), (CLAUDE,))


async def test_references_are_read_once_each_and_within_bounds(monkeypatch: pytest.MonkeyPatch) -> None:
    talk = Talk()
    await talk.say(1)
    await talk.say(2)
    ours = [{"type": "item_reference", "id": f"msg_{number:032x}0000"} for number in (1, 2)]
    other = {"id": "msg_elsewhere"}
    call = talk.call(input=[*ours, other, {"type": "item_reference", "id": 5}, {"role": "user", "content": "so?"}])
    assert referred(call) == {ours[0]["id"], ours[1]["id"], "msg_elsewhere"}
    assert referred(talk.call()) == frozenset()
    assert await talk.check.eligible(call, ALL) is ALL
    assert talk.check.ties(call) == {f"item:{each['id']}" for each in ours}
    told = talk.check.prepare(call, CLAUDE).body["input"]
    assert isinstance(told, list)
    assert [each.get("id") for each in told[:3]] == [ours[0]["id"], ours[1]["id"], "msg_elsewhere"]
    assert told[0]["content"] == SAID["content"]
    monkeypatch.setattr(remembered, "MOST_REFERRED", 1)
    again = replace(call)
    await talk.check.eligible(again, ALL)
    assert len(talk.check.ties(again)) == 1
    copy = replace(call)
    talk.check.follow(call, copy)
    assert talk.check.ties(copy) == talk.check.ties(call)
    talk.check.follow(replace(call), copy)
    assert talk.check.ties(copy) == talk.check.ties(call), "nothing is known of the other"


def test_reasoning_does_not_leave_its_vendor_by_reference() -> None:
    thought: Any = {"type": "reasoning", "id": "rs_1", "summary": [], "encrypted_content": seal("toys", [])}
    known = Recalled(elsewhere={"rs_1": thought})
    call = Call("gpt", body={"input": [{"type": "item_reference", "id": "rs_1"}, {"role": "user", "content": "so?"}]})
    assert known.before(call).body["input"] == [thought, {"role": "user", "content": "so?"}]
    assert known.within(call).body["input"] == [{"role": "user", "content": "so?"}]
    assert Recalled().within(call) is call


async def test_a_copy_of_what_others_held_is_told_if_they_are_gone() -> None:
    talk = Talk(CLAUDE)
    await talk.store.put(Turn("resp_native", None, ({"role": "user", "content": "hello"},), ()), ttl=60)
    call = Call("gpt", body={"input": "more", "previous_response_id": "resp_native"})
    assert await talk.check.eligible(call, (CLAUDE,)) == (CLAUDE,)
    assert talk.check.ties(call) == frozenset(), "but who held it may have a say"
    assert talk.check.prepare(call, CLAUDE).history == ({"role": "user", "content": "hello"},)
    await talk.check.observe(call, CLAUDE, Finished(answer(1)))
    kept = await talk.store.get(name(1))
    assert kept is not None
    assert kept.previous_response_id == "resp_native"


async def test_who_keeps_no_state_is_not_asked_for_an_id() -> None:
    asked: list[str] = []

    async def ask(deployment: Deployment, response_id: str) -> bool:
        asked.append(deployment.id)
        return False

    check = ResponsesApiDeployment(Notebook(), {each.id: each for each in ALL}.get, discovery=Discovery(ask))
    check.accept(ALL)
    assert await check.eligible(follow_up(), ALL) is ALL
    assert asked == ["north"]


async def test_what_extra_body_says_is_what_counts() -> None:
    talk = Talk()
    await talk.say(1)
    thought = {"type": "reasoning", "summary": [], "encrypted_content": seal("toys", [])}
    extra = {"previous_response_id": name(1), "input": [thought, {"role": "user", "content": "so?"}]}
    call = Call("gpt", body={"input": "no", "previous_response_id": "resp_no"}, extra_body={**extra, "top_k": 1})
    assert isinstance(await talk.check.eligible(call, ALL), Leaning)
    sent = talk.check.prepare(call, NORTH)
    assert dict(sent.extra_body) == {"top_k": 1}
    assert [each["role"] for each in sent.body["input"]] == ["user", "assistant", "user"]  # type: ignore[attr-defined]
    assert "previous_response_id" not in sent.body


async def test_a_call_to_who_keeps_state_is_left_as_it_is() -> None:
    talk = Talk()
    for call in (talk.call(), talk.call(input=[{"role": "user", "content": "x"}]), talk.call(input=5)):
        assert await talk.check.eligible(call, ALL) is ALL
        for deployment in (CLAUDE, NORTH):
            assert talk.check.prepare(call, deployment) is call
        assert talk.check.ties(call) == ()
    get = Call("gpt", Verb.GET, response_id="resp_elsewhere")
    assert await talk.check.answer(get) is None
    natives = await talk.check.eligible(get, ALL)
    assert natives == (NORTH,)
    assert await talk.check.eligible(get, ALL) is natives, "the same each time, for others remember by it"
    assert await talk.check.eligible(get, (NORTH,)) == (NORTH,)


async def test_a_pin_to_who_keeps_no_state_is_a_preference() -> None:
    store = Notebook()
    there = {each.id: each for each in ALL}
    check = ResponsesApiDeployment(store, there.get)
    check.accept(ALL)
    store.kept = {"resp_1": "claude", "item:msg_1": "claude", "item:msg_2": "north", "resp_2": "gone"}
    for body in (
        {"previous_response_id": "resp_1"},
        {"input": [{"type": "item_reference", "id": "msg_1"}, {"role": "user"}]},
    ):
        chosen = await check.eligible(Call("gpt", body=body), ALL)
        assert isinstance(chosen, Leaning)
        assert chosen == (CLAUDE, TWIN)
    both = [{"type": "item_reference", "id": each} for each in ("msg_1", "msg_2")]
    home = await check.eligible(Call("gpt", body={"input": both}), ALL)
    assert isinstance(home, Home)
    assert home == (NORTH,), "no two homes to choose between"
    del there["claude"]
    assert await check.eligible(Call("gpt", body={"previous_response_id": "resp_1"}), ALL) is ALL
    items = [{"type": "item_reference", "id": "msg_1"}, {"id": "msg_3", "role": "user", "content": "x"}]
    assert await check.eligible(Call("gpt", body={"input": items}), ALL) is ALL
    await check.observe(Call("gpt"), CLAUDE, Started(name(1)))
    assert name(1) not in store.kept, "nobody need come back for it"
