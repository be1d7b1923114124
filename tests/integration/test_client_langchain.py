"""LangChain holds conversations through the proxy."""

from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import httpx2
import pytest
from conversations import CALL, KEY, City, House
from langchain_core.messages import HumanMessage, ToolMessage
from langchain_openai import ChatOpenAI
from pydantic import SecretStr

WEATHER = {
    "type": "function",
    "function": {
        "name": "weather",
        "description": "The weather of a city.",
        "parameters": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
    },
}


@pytest.fixture
def chat(home: House) -> Iterator[Callable[..., Any]]:
    # clients of its own, because LangChain keeps those that it makes for ever
    with httpx2.Client() as client:
        yield partial(
            ChatOpenAI,
            model="gpt",
            base_url=f"{home.url}/v1",
            api_key=SecretStr(KEY),
            use_responses_api=True,
            max_retries=0,
            http_client=client,
        )


def talk(model: Any, stream: bool) -> list[Any]:
    """What is said in two turns, the first with a tool."""
    asking = model.bind_tools([WEATHER])

    def ask(said: list[Any]) -> Any:
        if not stream:
            return asking.invoke(said)
        whole, *pieces = asking.stream(said)
        assert pieces
        for piece in pieces:
            whole += piece
        return whole

    said: list[Any] = [HumanMessage(CALL)]
    said.append(ask(said))
    [call] = said[-1].tool_calls
    assert (call["name"], call["args"]) == ("weather", {"city": "Paris"})
    said.append(ToolMessage("sunny", tool_call_id=call["id"]))
    said.append(ask(said))
    assert "The tool said: 'sunny'" in said[-1].text
    said.append(HumanMessage("Where?"))
    said.append(ask(said))
    return said


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "streamed"])
def test_turns_follow_one_another_by_id(home: House, chat: Callable[..., Any], stream: bool) -> None:
    for _ in range(2):
        assert talk(chat(use_previous_response_id=True), stream)[-1].text.startswith("Turn 3 at u")
    assert home.came_home() == 4
    assert home.all_served()


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "streamed"])
def test_encrypted_reasoning_in_the_history_is_taken_home(home: House, chat: Callable[..., Any], stream: bool) -> None:
    model = chat(
        store=False,
        reasoning={"effort": "low", "summary": "auto"},
        include=["reasoning.encrypted_content"],
        output_version="responses/v1",
    )
    assert talk(model, stream)[-1].text.startswith("Turn 2 at u")
    assert home.came_home() == 3


def test_an_answer_has_the_shape_it_is_asked_for(chat: Callable[..., Any]) -> None:
    for method in ("json_schema", "function_calling"):
        assert chat().with_structured_output(City, method=method).invoke("Which city?") == City(name="text", people=1)
