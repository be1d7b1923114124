"""Pydantic AI holds conversations through the proxy."""

from collections.abc import AsyncIterator
from typing import Any

import pytest
from conversations import CALL, KEY, City, House, weather
from openai import AsyncOpenAI
from pydantic_ai import Agent, NativeOutput
from pydantic_ai.models.openai import OpenAIResponsesModel
from pydantic_ai.providers.openai import OpenAIProvider


@pytest.fixture
async def model(home: House) -> AsyncIterator[Any]:
    async with AsyncOpenAI(base_url=f"{home.url}/v1", api_key=KEY, max_retries=0) as client:
        yield OpenAIResponsesModel("gpt-5", provider=OpenAIProvider(openai_client=client))


@pytest.mark.parametrize("chained", [False, True], ids=["history", "previous_response_id"])
async def test_an_agent_calls_tools_and_goes_on(home: House, model: Any, chained: bool) -> None:
    settings = {"openai_previous_response_id": "auto"} if chained else {}
    agent: Any = Agent(model, tools=[weather], model_settings=settings)
    for _ in range(2):
        first = await agent.run(CALL)
        assert "The tool said: 'sunny in Paris'" in first.output
        second = await agent.run("Where?", message_history=first.all_messages())
        assert second.output.startswith(f"Turn {3 if chained else 2} at u")  # each answer to an id is a turn
    assert home.came_home() == (4 if chained else 0)
    assert home.all_served()


async def test_a_stream_tells_the_text_as_it_comes(home: House, model: Any) -> None:
    agent: Any = Agent(model, tools=[weather], model_settings={"openai_previous_response_id": "auto"})
    async with agent.run_stream(CALL) as run:
        pieces = [piece async for piece in run.stream_text(delta=True, debounce_by=None)]
    assert len(pieces) > 1
    assert "The tool said: 'sunny in Paris'" in "".join(pieces)
    async with agent.run_stream("Where?", message_history=run.all_messages()) as run:
        assert (await run.get_output()).startswith("Turn 3")
    assert home.came_home() == 2


@pytest.mark.parametrize("kind", [City, NativeOutput(City)], ids=["tool", "native"])
async def test_an_answer_has_the_shape_it_is_asked_for(model: Any, kind: Any) -> None:
    agent: Any = Agent(model, output_type=kind)
    assert (await agent.run("Which city?")).output == City(name="text", people=1)


async def test_encrypted_reasoning_in_the_history_is_taken_home(home: House, model: Any) -> None:
    settings = {"openai_store": False, "openai_reasoning_effort": "low", "openai_reasoning_summary": "auto"}
    agent: Any = Agent(model, tools=[weather], model_settings=settings)
    first = await agent.run(CALL)
    second = await agent.run("Where?", message_history=first.all_messages())
    assert second.output.startswith("Turn 2 at u")
    assert home.came_home() == 3  # the tool's output, and two in the second turn
