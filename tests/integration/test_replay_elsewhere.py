"""Conversations begun at one deployment and continued at another, which has never heard of them."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from typing import Any

import httpx
import pytest

from checks.affinity.replay import replay
from checks.affinity.transcript import Turn, chain
from providers.errors import APIError, BadRequestError, HomeLostError, NotFoundError, PreviousResponseNotFoundError
from providers.openai import OpenAI
from providers.simulated import SimulatedUpstream
from providers.types import Call, Deployment, HttpReply, JsonObject
from router.stores.transcripts import MemoryTranscripts

TOOLS: list[Any] = [{"type": "function", "name": "look", "parameters": {"type": "object", "properties": {}}}]
REASONING: dict[str, Any] = {
    "reasoning": {"effort": "low", "summary": "auto"},
    "include": ["reasoning.encrypted_content"],
}


class Conversation:
    """Sends calls to deployments over HTTP, and keeps the transcript."""

    def __init__(self, client: httpx.AsyncClient) -> None:
        self.store = MemoryTranscripts()
        self._client = client
        self.last: str | None = None
        """The response to continue."""

    async def send(self, upstream: SimulatedUpstream, call: Call) -> JsonObject:
        """The response to `call` as it is, or the error it is answered with."""
        there = Deployment(upstream.name, "gpt", "openai", "m", api_base=f"{upstream.url}/v1")
        request = OpenAI().encode(call, there)
        reply = await self._client.request(
            request.method, request.url, headers=dict(request.headers), content=request.content
        )
        headers = {name.lower(): value for name, value in reply.headers.items()}
        return OpenAI().decode(HttpReply(reply.status_code, headers, reply.content), call, there).to_dict()

    def call(self, input: object, **body: Any) -> Call:
        """What a caller asks to go on."""
        return Call("gpt", body={"input": input, "previous_response_id": self.last, **body})

    async def say(self, upstream: SimulatedUpstream, input: object, *, moving: bool = False, **body: Any) -> str:
        """The text of the answer; empty for a tool's call. `moving`: the deployment is told what was said before."""
        call = sent = self.call(input, **body)
        if moving:
            assert self.last is not None
            turns = await chain(self.store, self.last)
            assert isinstance(turns, list)
            sent = replay(turns, call, lossy=False, same_vendor=True).call
        response = await self.send(upstream, sent)
        turn = Turn.of(call, response)
        assert turn is not None
        await self.store.put(turn, ttl=60)
        self.last = turn.response_id
        parts: Any = turn.output[-1].get("content", [{"text": ""}])
        return str(parts[0]["text"])


@pytest.fixture
async def places() -> AsyncIterator[list[SimulatedUpstream]]:
    async with AsyncExitStack() as stack:
        yield [await stack.enter_async_context(SimulatedUpstream(name, seed=1)) for name in "ABC"]


@pytest.fixture
async def talk() -> AsyncIterator[Conversation]:
    async with httpx.AsyncClient(timeout=20) as client:
        yield Conversation(client)


async def test_what_was_said_at_one_is_remembered_at_another(
    talk: Conversation, places: list[SimulatedUpstream]
) -> None:
    here, there, _ = places
    for words in ("My name is Ada Lovelace today", "second", "third"):
        await talk.say(here, words)
    with pytest.raises(PreviousResponseNotFoundError):
        await talk.send(there, talk.call("fourth"))
    text = await talk.say(there, "fourth", moving=True)
    assert text.startswith("Turn 4 at B. You began: 'My name is Ada Lovelace today'.")
    text = await talk.say(there, "fifth")
    assert text.startswith("Turn 5 at B. You began: 'My name is Ada Lovelace today'.")


async def test_a_second_loss(talk: Conversation, places: list[SimulatedUpstream]) -> None:
    here, there, third = places
    await talk.say(here, "My name is Ada Lovelace today")
    await talk.say(there, "two", moving=True)
    await talk.say(there, "three")
    text = await talk.say(third, "four", moving=True)
    assert text.startswith("Turn 4 at C. You began: 'My name is Ada Lovelace today'.")
    text = await talk.say(here, "five", moving=True)
    assert text.startswith("Turn 5 at A. You began: 'My name is Ada Lovelace today'.")


async def test_reasoning_stays_behind(talk: Conversation, places: list[SimulatedUpstream]) -> None:
    here, there, _ = places
    await talk.say(here, "Think of a number between one", **REASONING)
    assert talk.last is not None
    turn = await talk.store.get(talk.last)
    assert turn is not None
    assert [item["type"] for item in turn.output] == ["reasoning", "message"]
    with pytest.raises(BadRequestError, match="could not be verified"):
        await talk.send(there, Call("gpt", body={"input": [*turn.input, *turn.output, *turn.input]}))
    text = await talk.say(there, "which?", moving=True, **REASONING)
    assert text.startswith("Turn 2 at B. You began: 'Think of a number between one'.")


async def test_a_tools_result_comes_to_a_deployment_that_never_asked(
    talk: Conversation, places: list[SimulatedUpstream]
) -> None:
    here, there, _ = places
    await talk.say(here, "Please call look", tools=TOOLS, **REASONING)
    assert talk.last is not None
    turn = await talk.store.get(talk.last)
    assert turn is not None
    result = {"type": "function_call_output", "call_id": turn.output[-1]["call_id"], "output": "a cat"}
    with pytest.raises(APIError, match="No tool call found"):
        await talk.send(there, Call("gpt", body={"input": [result]}))
    text = await talk.say(there, [result], moving=True, tools=TOOLS)
    assert "You began: 'Please call look'." in text
    assert "The tool said: 'a cat'." in text


async def test_references_are_told_in_full(talk: Conversation, places: list[SimulatedUpstream]) -> None:
    here, there, _ = places
    await talk.say(here, "My name is Ada Lovelace today")
    assert talk.last is not None
    turn = await talk.store.get(talk.last)
    assert turn is not None
    references = [{"type": "item_reference", "id": turn.output[0]["id"]}, {"role": "user", "content": "go on"}]
    call = Call("gpt", body={"input": references})
    with pytest.raises(NotFoundError):
        await talk.send(there, call)
    told = replay([], call, lossy=False, same_vendor=True, others=[turn])
    assert told.call.body["input"][0]["content"] == turn.output[0]["content"]  # type: ignore[index]  # a list
    assert (await talk.send(there, told.call))["status"] == "completed"


async def test_a_compacted_history_is_not_silently_lost(talk: Conversation, places: list[SimulatedUpstream]) -> None:
    here, there, _ = places
    sealed = here.state.seal(b"3 My name is Ada")
    call = talk.call([{"type": "compaction", "encrypted_content": sealed}, {"role": "user", "content": "go on"}])
    assert "Turn 4" in str((await talk.send(here, call))["output"])
    with pytest.raises(BadRequestError, match="could not be verified"):
        await talk.send(there, call)
    with pytest.raises(HomeLostError, match=r"compaction at input\[0\]"):
        replay([], call, lossy=False, same_vendor=True)
