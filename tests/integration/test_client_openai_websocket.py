"""OpenAI's own client holds conversations through the proxy over WebSockets (its extra `realtime`)."""

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import leftovers
import pytest
from conversations import KEY, House, house
from openai import AsyncOpenAI, OpenAI
from openai.lib.responses_websocket import (
    AsyncResponsesWebSocketSession,
    ResponsesWebSocketLimits,
    ResponsesWebSocketSession,
)
from websockets.exceptions import InvalidStatus

from providers.simulated import Behaviour, SimulatedUpstream

CALL = 'Please call weather with {"city": "Paris"}'
WEATHER: Any = {"type": "function", "name": "weather", "parameters": {"type": "object"}, "strict": False}
THINKING: Any = {"reasoning": {"effort": "low"}, "include": ["reasoning.encrypted_content"]}
LIMITS = ResponsesWebSocketLimits(
    max_lanes=8, max_events_per_lane=200, max_events=1000, max_bytes_per_lane=1 << 20, max_bytes=1 << 23
)


_nothing_left_open = leftovers.nothing_left_open_at_the_end


@pytest.fixture(scope="module")
def home() -> Iterator[House]:
    with house() as made:
        yield made


@pytest.fixture(autouse=True)
def _well(home: House) -> Iterator[None]:
    yield
    for upstream in home.upstreams:
        upstream.behaviour = Behaviour()
        upstream.wait_until(lambda upstream=upstream: upstream.active_requests == 0)  # type: ignore[misc]


@pytest.fixture
def client(home: House) -> Iterator[OpenAI]:
    with OpenAI(base_url=f"{home.url}/v1", api_key=KEY, max_retries=0) as client:
        yield client


def turn(connection: Any, **body: Any) -> list[Any]:
    """The events of one response."""
    connection.send({"type": "response.create", "model": "gpt", **body})
    events = [connection.recv()]
    while events[-1].type not in ("response.completed", "response.failed", "response.incomplete", "error"):
        events.append(connection.recv())
    return events


@pytest.mark.parametrize("store", [True, False], ids=["stored", "not stored"])
def test_turns_follow_one_another_with_tools_and_reasoning(home: House, client: OpenAI, store: bool) -> None:
    before = home.came_home()
    for _ in range(2):
        with client.responses.connect() as connection:
            asked = turn(connection, input=CALL, tools=[WEATHER], store=store, **THINKING)[-1].response
            [call] = [item for item in asked.output if item.type == "function_call"]
            assert (call.name, call.arguments) == ("weather", '{"city":"Paris"}')
            output = {"type": "function_call_output", "call_id": call.call_id, "output": "sunny"}
            more: Any = {"tools": [WEATHER], "store": store, **THINKING}
            told = turn(connection, input=[output], previous_response_id=asked.id, **more)[-1].response
            assert told.previous_response_id == asked.id
            assert "The tool said: 'sunny'" in told.output_text
            last = turn(connection, input="And then?", previous_response_id=told.id, **more)[-1].response
            assert "Turn 3" in last.output_text or "Turn 2" in last.output_text
    assert home.came_home() >= before + 4
    assert home.all_served()


def test_events_are_those_of_a_stream_over_http(home: House, client: OpenAI) -> None:
    asked: Any = {"input": CALL, "tools": [WEATHER], "store": False, **THINKING}
    streamed = [event.to_dict() for event in client.responses.create(model="gpt", stream=True, **asked)]
    with client.responses.connect() as connection:
        told = [event.to_dict() for event in turn(connection, **asked)]
    assert [_shape(event) for event in told] == [_shape(event) for event in streamed]


def _shape(value: Any, name: str = "") -> Any:
    """What stays the same from one answer to the next."""
    if isinstance(value, dict):
        return {key: _shape(each, key) for key, each in value.items()}
    if isinstance(value, list):
        return [_shape(each) for each in value]
    unlike = name == "id" or name.endswith("_id") or name in ("created_at", "completed_at", "encrypted_content")
    return type(value) if unlike or name in ("obfuscation", "text", "delta", "arguments") else value


def test_what_goes_wrong_is_an_event(home: House, client: OpenAI) -> None:
    with client.responses.connect() as connection:
        [unknown] = turn(connection, input="hi", previous_response_id="resp_" + "0" * 50)
        assert (unknown.status, unknown.error.code) == (400, "previous_response_not_found")
        for upstream in home.upstreams:
            upstream.behaviour = replace(upstream.behaviour, fault="cut_after_output")
        *_, cut = turn(connection, input="hi")
        assert (cut.type, cut.error.type) == ("error", "server_error")
        for upstream in home.upstreams:
            upstream.behaviour = Behaviour()
        assert turn(connection, input="hi")[-1].type == "response.completed"


def test_a_failing_deployment_is_replaced_before_its_first_word(home: House, client: OpenAI) -> None:
    home.upstreams[0].behaviour = replace(home.upstreams[0].behaviour, fault="rate_limit_event")
    with client.responses.connect() as connection:
        for _ in range(2):
            assert "at u1" in turn(connection, input="hi")[-1].response.output_text


def test_a_wrong_key_is_refused_at_the_handshake(home: House) -> None:
    with (
        OpenAI(base_url=home.url, api_key="wrong") as stranger,
        pytest.raises(InvalidStatus) as denied,
        stranger.responses.connect(),
    ):
        pass
    assert denied.value.response.status_code == 401
    assert b"invalid_api_key" in (denied.value.response.body or b"")


def test_a_warm_up_and_lanes_with_the_clients_sessions(client: OpenAI) -> None:
    with client.responses.connect() as connection, ResponsesWebSocketSession(connection, limits=LIMITS) as session:
        first, second = session.lane("first"), session.lane("second")
        said: Any = {"type": "response.create", "model": "gpt", "store": False}
        opening: Any = {**said, "input": "I am Ada.", "generate": False}
        first.send(opening)
        warm = first.get_final_response(timeout=20)
        question: Any = {**said, "input": "Who am I?", "previous_response_id": warm.id}
        for lane in (first, second):
            lane.send(question)
        for lane in (first, second):
            assert "I am Ada." in lane.get_final_response(timeout=20).output_text
        first.send({"type": "response.steer", "input": "left", "previous_response_id": warm.id})
        assert session.default.recv(timeout=20).type == "response.steer.failed"


async def test_the_asynchronous_client_holds_conversations_side_by_side(home: House) -> None:
    async with (
        AsyncOpenAI(base_url=f"{home.url}/openai/v1", api_key=KEY, max_retries=0) as client,
        client.responses.connect() as connection,
        AsyncResponsesWebSocketSession(connection, limits=LIMITS) as session,
    ):
        lanes = [session.lane(f"lane-{number}") for number in range(4)]
        last: list[Any] = [None] * 4
        for _ in range(2):
            for number, lane in enumerate(lanes):
                previous = {} if last[number] is None else {"previous_response_id": last[number].id}
                said: Any = {"type": "response.create", "model": "gpt", "input": f"I am number {number}.", **previous}
                await lane.send(said)
            last = [await lane.get_final_response() for lane in lanes]
        assert [f"I am number {number}." in each.output_text for number, each in enumerate(last)] == [True] * 4
        assert all(each.output_text.startswith("Turn 2") for each in last)


async def test_an_asynchronous_client_that_leaves_ends_what_is_in_flight(home: House) -> None:
    def busy() -> list[SimulatedUpstream]:
        return [upstream for upstream in home.upstreams if upstream.active_requests]

    for upstream in home.upstreams:
        upstream.behaviour = replace(upstream.behaviour, fault="stall_after_output")
    async with AsyncOpenAI(base_url=home.url, api_key=KEY) as client, client.responses.connect() as connection:
        await connection.send({"type": "response.create", "model": "gpt", "input": "hi"})
        while (await connection.recv()).type != "response.output_text.delta":
            pass
        [asked] = busy()
    asked.wait_until(lambda: asked.active_requests == 0)
