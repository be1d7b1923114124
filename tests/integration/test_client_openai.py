"""OpenAI's own client holds conversations through the proxy."""

from collections.abc import Iterator
from typing import Any

import pytest
from conversations import CALL, KEY, City, House
from openai import AsyncOpenAI, OpenAI

WEATHER: Any = {
    "type": "function",
    "name": "weather",
    "description": "The weather of a city.",
    "strict": True,
    "parameters": {
        "type": "object",
        "properties": {"city": {"type": "string"}},
        "required": ["city"],
        "additionalProperties": False,
    },
}
THINKING: Any = {"reasoning": {"effort": "low", "summary": "auto"}, "include": ["reasoning.encrypted_content"]}


@pytest.fixture
def client(home: House) -> Iterator[OpenAI]:
    with OpenAI(base_url=f"{home.url}/v1", api_key=KEY, max_retries=0, _strict_response_validation=True) as client:
        yield client


def test_turns_follow_one_another_by_id(home: House, client: OpenAI) -> None:
    last = [client.responses.create(model="gpt", input=f"I am number {n}.") for n in range(3)]
    for turn in (2, 3):
        last = [
            client.responses.create(model="gpt", input="Who am I?", previous_response_id=response.id)
            for response in last
        ]
        for number, response in enumerate(last):
            assert response.output_text.startswith(f"Turn {turn} at u")
            assert f"I am number {number}." in response.output_text
    assert home.came_home() == 6
    assert home.all_served()


def test_tools_are_called_and_their_output_is_taken_home(home: House, client: OpenAI) -> None:
    for _ in range(2):
        asked = client.responses.create(model="gpt", input=CALL, tools=[WEATHER])
        [call] = [item for item in asked.output if item.type == "function_call"]
        assert (call.name, call.arguments) == ("weather", '{"city":"Paris"}')
        answered = client.responses.create(
            model="gpt",
            tools=[WEATHER],
            previous_response_id=asked.id,
            input=[{"type": "function_call_output", "call_id": call.call_id, "output": "sunny"}],
        )
        assert "The tool said: 'sunny'" in answered.output_text
    assert home.came_home() == 2
    assert home.all_served()


def test_encrypted_reasoning_that_the_client_keeps_is_taken_home(home: House, client: OpenAI) -> None:
    said: list[Any] = [{"role": "user", "content": CALL}]
    asked = client.responses.create(model="gpt", input=said, tools=[WEATHER], store=False, **THINKING)
    assert [item.type for item in asked.output] == ["reasoning", "function_call"]
    call: Any = asked.output[1]
    said += [*asked.output, {"type": "function_call_output", "call_id": call.call_id, "output": "rain"}]
    answered = client.responses.create(model="gpt", input=said, tools=[WEATHER], store=False, **THINKING)
    assert "The tool said: 'rain'" in answered.output_text
    said += [*answered.output, {"role": "user", "content": "And tomorrow?"}]
    last = client.responses.create(model="gpt", input=said, tools=[WEATHER], store=False, **THINKING)
    assert last.output_text.startswith("Turn 2")
    assert home.came_home() == 3


def test_the_stream_helper_holds_a_conversation_with_reasoning_and_tools(home: House, client: OpenAI) -> None:
    kinds = set()
    with client.responses.stream(model="gpt", input=CALL, tools=[WEATHER], **THINKING) as events:
        for event in events:
            kinds.add(event.type)
        asked = events.get_final_response()
    assert {"response.reasoning_summary_text.delta", "response.function_call_arguments.delta"} <= kinds
    call: Any = asked.output[1]
    output: Any = [{"type": "function_call_output", "call_id": call.call_id, "output": "snow"}]
    with client.responses.stream(model="gpt", input=output, previous_response_id=asked.id, tools=[WEATHER]) as events:
        text = "".join(event.delta for event in events if event.type == "response.output_text.delta")
        answered = events.get_final_response()
    assert text == answered.output_text
    assert "The tool said: 'snow'" in text
    assert home.came_home() == 1


def test_structured_answers_are_parsed_streamed_or_not(home: House, client: OpenAI) -> None:
    first = client.responses.parse(model="gpt", input="Which city?", text_format=City)
    assert first.output_parsed == City(name="text", people=1)
    with client.responses.stream(
        model="gpt", input="Another?", text_format=City, previous_response_id=first.id
    ) as events:
        for _ in events:
            pass
        assert events.get_final_response().output_parsed == City(name="text", people=1)
    assert home.came_home() == 1


def test_pages_of_input_end(client: OpenAI) -> None:
    said: Any = [{"role": "user", "content": f"part {n}"} for n in range(5)]
    asked = client.responses.create(model="gpt", input=said)
    pages = client.responses.input_items.list(asked.id, limit=2, order="asc")
    texts = [item.content[0].text for item in pages if item.type == "message"]  # type: ignore[union-attr] # all are ours
    assert texts == [f"part {n}" for n in range(5)]


def test_a_response_in_the_background_is_awaited_and_streamed_again(home: House, client: OpenAI) -> None:
    asked = client.responses.create(model="gpt", input="Take your time.", background=True)
    reads = 0
    while asked.status in ("queued", "in_progress"):
        asked, reads = client.responses.retrieve(asked.id), reads + 1
        assert reads < 10, "it never ends"
    assert asked.status == "completed"
    with client.responses.retrieve(asked.id, stream=True, starting_after=3) as events:
        numbers = [event.sequence_number for event in events]
    assert numbers[0] == 4
    assert numbers == list(range(4, 4 + len(numbers)))


async def test_the_asynchronous_client_holds_conversations_side_by_side(home: House) -> None:
    async with AsyncOpenAI(base_url=f"{home.url}/v1", api_key=KEY, max_retries=0) as client:
        first = await client.responses.create(model="gpt", input="I am Ada.")
        other = await client.responses.create(model="gpt", input="I am Bob.")
        stream = await client.responses.create(
            model="gpt", input="Who am I?", previous_response_id=first.id, stream=True
        )
        text = "".join([event.delta async for event in stream if event.type == "response.output_text.delta"])
        assert "I am Ada." in text
        async with client.responses.stream(model="gpt", input="And I?", previous_response_id=other.id) as events:
            assert "I am Bob." in (await events.get_final_response()).output_text
        parsed = await client.responses.parse(model="gpt", input="Which?", text_format=City)
        assert parsed.output_parsed == City(name="text", people=1)
        items = [item async for item in client.responses.input_items.list(first.id, limit=1)]
        assert len(items) == 1
    assert home.came_home() == 2
    assert home.all_served()
