"""OpenAI's Agents SDK holds conversations through the proxy."""

from collections.abc import AsyncIterator
from typing import Any

import pytest
from agents import (
    Agent,
    ModelSettings,
    OpenAIProvider,
    RunConfig,
    Runner,
    SQLiteSession,
    function_tool,
)
from conversations import CALL, KEY, City, House, weather
from openai import AsyncOpenAI
from openai.types.shared import Reasoning


@pytest.fixture
async def config(home: House) -> AsyncIterator[RunConfig]:
    async with AsyncOpenAI(base_url=home.url, api_key=KEY, max_retries=0) as client:
        # without tracing: that would be sent to OpenAI
        yield RunConfig(model_provider=OpenAIProvider(openai_client=client), tracing_disabled=True)


def agent(**more: Any) -> Agent[Any]:
    """One that has a tool."""
    return Agent(name="Guide", instructions="Be brief.", model="gpt", tools=[function_tool(weather)], **more)


@pytest.mark.parametrize("chained", [False, True], ids=["history", "previous_response_id"])
async def test_an_agent_calls_tools_and_goes_on(home: House, config: RunConfig, chained: bool) -> None:
    for _ in range(2):
        first = await Runner.run(agent(), CALL, run_config=config, auto_previous_response_id=chained)
        assert "The tool said: 'sunny in Paris'" in first.final_output
        more: dict[str, Any] = {"previous_response_id": first.last_response_id} if chained else {}
        asked: Any = "Where?" if chained else [*first.to_input_list(), {"role": "user", "content": "Where?"}]
        second = await Runner.run(agent(), asked, run_config=config, **more)
        assert second.final_output.startswith(f"Turn {3 if chained else 2} at u")  # each answer to an id is a turn
    assert home.came_home() == (4 if chained else 0)
    assert home.all_served()


async def test_an_agents_stream_tells_every_step(home: House, config: RunConfig) -> None:
    run = Runner.run_streamed(agent(), CALL, run_config=config, auto_previous_response_id=True)
    seen = [event.name async for event in run.stream_events() if event.type == "run_item_stream_event"]
    assert seen == ["tool_called", "tool_output", "message_output_created"]
    assert "The tool said: 'sunny in Paris'" in run.final_output
    assert home.came_home() == 1


async def test_an_agents_answer_has_the_shape_it_asks_for(config: RunConfig) -> None:
    done = await Runner.run(agent(output_type=City), "Which city?", run_config=config)
    assert done.final_output == City(name="text", people=1)


async def test_an_agents_session_takes_its_encrypted_reasoning_home(home: House, config: RunConfig) -> None:
    thinking = ModelSettings(
        store=False,
        reasoning=Reasoning(effort="low", summary="auto"),
        response_include=["reasoning.encrypted_content"],
    )
    session = SQLiteSession("ada")
    try:
        for asked, answer in ((CALL, "The tool said: 'sunny in Paris'"), ("Who am I?", "Turn 2")):
            done = await Runner.run(agent(model_settings=thinking), asked, run_config=config, session=session)
            assert answer in done.final_output
    finally:
        session.close()
    assert home.came_home() == 3  # the tool's output, and two in the second turn
