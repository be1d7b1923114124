"""A conversation that outlives its homes: Azure, Anthropic, Bedrock and Gemini in one group, failing one after another.

Each turn is served by whoever is left, is told all that was said before, and is streamed or not. Real sockets, the
vendors' fakes, one Router with `on_home_lost="replay"`.
"""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from typing import Any

import pytest
from provider_stages import HELLO, Bedrock, Claude, Gemini, Native, Stage
from responses_protocol import check_stream
from routers import tick

from router import DeploymentError, HomeLostError, Response, Router

GROUP = "group"
TOOL = {"type": "function", "name": "get_weather", "parameters": {"type": "object", "properties": {"city": {}}}}


@pytest.fixture
async def stages() -> AsyncIterator[dict[str, Stage]]:
    """One of each, by name."""
    made: list[Stage] = [Native("azure", ""), Claude(), Bedrock(), Gemini()]
    async with AsyncExitStack() as stack:
        for stage in made:
            await stack.enter_async_context(stage.play())
        yield {stage.title: stage for stage in made}


class Outage:
    """Who is up. All others answer that they are overloaded, as often as they are asked."""

    def __init__(self, stages: dict[str, Stage]) -> None:
        self.stages = stages
        self.up = set(stages)

    def script(self, says: str, *, stream: bool) -> None:
        """What each will answer to the next call."""
        for name, stage in self.stages.items():
            stage.forget()
            for _ in range(4):
                if name in self.up:
                    stage.says(says, stream=stream)
                else:
                    stage.fails("overload")


def router(stages: dict[str, Stage], order: list[str], **settings: Any) -> Router:
    """A Router that prefers them in this order."""
    entries = [stages[name].entry(order=place) for place, name in enumerate(order)]
    return Router(
        entries,
        optional_pre_call_checks=["responses_api_deployment_check"],
        sleep=tick,
        **{"on_home_lost": "replay", "num_retries": 4, **settings},
    )


async def turn(made: Router, stream: bool, **call: Any) -> tuple[Response, str]:
    """One turn, and who served it. However it was told, it goes on from the response that the caller named."""
    before = call.get("previous_response_id")
    if not stream:
        response = await made.aresponses(GROUP, **call)
        assert response.previous_response_id == before
        return response, response.routing.deployment_id
    events = await made.aresponses(GROUP, stream=True, **call)
    final = check_stream([event.to_dict() async for event in events])
    assert (final["status"], final["previous_response_id"]) == ("completed", before)
    assert events.response is not None
    return events.response, events.routing.deployment_id


def said(stage: Stage) -> str:
    """What it was told last."""
    return json.dumps(stage.bodies()[-1], ensure_ascii=False)


def assert_told(stage: Stage, *words: str) -> None:
    """It was told all of this, once each, in this order."""
    wire = said(stage)
    assert [wire.count(word) for word in words] == [1] * len(words), wire
    assert sorted(words, key=wire.index) == list(words), wire


ORDERS = (
    ["azure", "anthropic", "bedrock", "gemini"],
    ["azure", "gemini", "anthropic", "bedrock"],
    ["azure", "bedrock", "gemini", "anthropic"],
    ["anthropic", "azure", "gemini", "bedrock"],
    ["gemini", "bedrock", "azure", "anthropic"],
)


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "streamed"])
@pytest.mark.parametrize("order", ORDERS, ids=[" ".join(order) for order in ORDERS])
async def test_each_turn_is_served_by_whoever_is_left(order: list[str], stream: bool, stages: dict[str, Stage]) -> None:
    outage = Outage(stages)
    words: list[str] = []
    previous: dict[str, str] = {}
    async with router(stages, order) as made:
        for place, name in enumerate(order):
            words.append(f"Turn number {place}.")
            outage.script("text", stream=stream)
            response, by = await turn(made, stream, input=words[-1], **previous)
            assert by == name
            assert response.output_text == HELLO
            assert_told(stages[name], *words)
            assert said(stages[name]).count(HELLO) == place, "and all that was answered"
            assert not stages[name].complaints()
            previous = {"previous_response_id": response.id}
            outage.up.discard(name)  # and gone it is
        outage.script("text", stream=stream)
        with pytest.raises(DeploymentError):
            await turn(made, stream, input="Anybody?", **previous)


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "streamed"])
async def test_a_tool_that_was_called_elsewhere_is_answered_here(stream: bool, stages: dict[str, Stage]) -> None:
    outage = Outage(stages)
    order = ["azure", "anthropic", "gemini", "bedrock"]
    async with router(stages, order) as made:
        outage.script("call", stream=stream)
        response, by = await turn(made, stream, input="Weather?", tools=[TOOL])
        for number, name in enumerate(order[1:]):
            (call,) = [item for item in response.output if item.type == "function_call"]
            outage.up.discard(by)
            outage.script("call", stream=stream)
            answer = {"type": "function_call_output", "call_id": call.call_id, "output": f"Rain {number}."}
            response, by = await turn(made, stream, input=[answer], tools=[TOOL], previous_response_id=response.id)
            assert by == name
            assert_told(stages[name], "Weather?", *(f"Rain {n}." for n in range(number + 1)))
            assert not stages[name].complaints()


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "streamed"])
async def test_reasoning_that_a_vendor_signed_is_not_shown_to_others(stream: bool, stages: dict[str, Stage]) -> None:
    outage = Outage(stages)
    order = ["anthropic", "bedrock", "gemini", "azure"]
    previous: dict[str, str] = {}
    async with router(stages, order) as made:
        for place, name in enumerate(order):
            outage.script("thought", stream=stream)
            response, by = await turn(made, stream, input=f"Turn number {place}.", **previous)
            assert by == name
            assert [item.type for item in response.output][:2] == ["reasoning", "message"]
            assert_told(stages[name], *(f"Turn number {n}." for n in range(place + 1)))
            assert "hr1." not in said(stages[name])
            assert not stages[name].complaints()
            previous = {"previous_response_id": response.id}
            outage.up.discard(name)
    assert "c2lnbmVk" in said(stages["bedrock"]), "Claude knows Claude's, wherever it is hosted"
    assert "c2lnbmVk" not in said(stages["azure"])


async def test_a_home_that_is_back_is_told_what_it_missed(stages: dict[str, Stage]) -> None:
    outage = Outage(stages)
    async with router(stages, ["azure", "anthropic"]) as made:
        outage.script("text", stream=False)
        first, _ = await turn(made, False, input="One.")
        outage.up = {"anthropic"}
        outage.script("text", stream=False)
        second, by = await turn(made, False, input="Two.", previous_response_id=first.id)
        assert by == "anthropic"
        outage.up = {"azure"}
        outage.script("text", stream=False)
        _, by = await turn(made, False, input="Three.", previous_response_id=second.id)
        assert by == "azure"
        assert_told(stages["azure"], "One.", "Two.", "Three.")
        kept = await made.aget_responses(second.id)
        assert isinstance(kept, Response)
        assert kept.output_text == HELLO
        items = await made.alist_input_items(second.id)
        assert [item.content[0].text for item in items.data] == ["Two.", HELLO, "One."]


async def test_without_replay_a_home_that_remembers_is_waited_for(stages: dict[str, Stage]) -> None:
    outage = Outage(stages)
    async with router(stages, ["azure", "anthropic"], on_home_lost="fail", num_retries=0) as made:
        outage.script("text", stream=False)
        first, _ = await turn(made, False, input="One.")
        outage.up = {"anthropic"}
        outage.script("text", stream=False)
        with pytest.raises(HomeLostError):
            await turn(made, False, input="Two.", previous_response_id=first.id)
        assert stages["anthropic"].bodies() == []
