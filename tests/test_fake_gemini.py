"""The fake of Google's API is proven by Google's own client, and refuses what it should."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest
from fake_gemini import KEY, TOKEN, FakeGemini, Refused, check, frame, hello
from google import genai
from google.genai import errors, types
from google.oauth2.credentials import Credentials
from wire import Server, serve

pytestmark = pytest.mark.filterwarnings("ignore:Inheritance class AiohttpClientSession")  # google-genai's own doing


@pytest.fixture
def fake() -> FakeGemini:
    return FakeGemini()


@pytest.fixture
async def server(fake: FakeGemini) -> AsyncIterator[Server]:
    async with serve(fake) as server:
        yield server


def studio(server: Server, key: str = KEY) -> Any:
    return genai.Client(api_key=key, http_options=types.HttpOptions(base_url=server.url, api_version="v1beta"))


def cloud(server: Server) -> Any:
    return genai.Client(
        vertexai=True,
        project="acme",
        location="us-central1",
        credentials=Credentials(TOKEN),  # type: ignore[no-untyped-call]  # google-auth declares no types
        http_options=types.HttpOptions(base_url=server.url),
    )


WEATHER = types.Tool(
    function_declarations=[
        types.FunctionDeclaration(name="weather", parameters_json_schema={"type": "object", "properties": {}})
    ]
)


@pytest.mark.parametrize("client", [studio, cloud])
async def test_the_official_client_talks_to_it(fake: FakeGemini, server: Server, client: Any) -> None:
    said = (frame({"text": "Hel"}), hello("lo"))
    fake.says(*said)
    fake.says(*said)
    async with client(server).aio as aio:
        config = types.GenerateContentConfig(system_instruction="Be brief.", temperature=0.5, tools=[WEATHER])
        whole = await aio.models.generate_content(model="gemini-3-pro", contents="Hi", config=config)
        stream = await aio.models.generate_content_stream(model="gemini-3-pro", contents="Hi", config=config)
        pieces = [piece.text async for piece in stream]
    assert fake.complaints == []
    assert (whole.text, pieces) == ("Hello", ["Hel", "lo"])
    assert whole.usage_metadata.total_token_count == 5
    assert [sent.stream for sent in fake.sent] == [False, True]
    assert fake.sent[0].body["generationConfig"] == {"temperature": 0.5}


async def test_the_official_client_keeps_signatures(fake: FakeGemini, server: Server) -> None:
    fake.says(frame({"functionCall": {"name": "weather", "args": {}}, "thoughtSignature": "c2ln"}, stop="STOP"))
    manual = types.AutomaticFunctionCallingConfig(disable=True)
    async with studio(server).aio as aio:
        chat = aio.chats.create(
            model="gemini-3-pro",
            config=types.GenerateContentConfig(tools=[WEATHER], automatic_function_calling=manual),
        )
        await chat.send_message("Hi")
        await chat.send_message(types.Part.from_function_response(name="weather", response={"output": "sun"}))
    assert fake.complaints == []
    assert fake.sent[1].body["contents"][1]["parts"][0]["thoughtSignature"] == "c2ln"


async def test_the_official_client_reads_its_errors(fake: FakeGemini, server: Server) -> None:
    async with studio(server, "wrong").aio as aio:
        with pytest.raises(errors.ClientError) as refused:
            await aio.models.generate_content(model="gemini-3-pro", contents="Hi")
    assert (refused.value.code, refused.value.status) == (400, "INVALID_ARGUMENT")
    assert fake.complaints == ["API key not valid. Please pass a valid API key."]


USER = {"role": "user", "parts": [{"text": "Hi"}]}
CALL = {"role": "model", "parts": [{"functionCall": {"name": "f", "id": "1"}, "thoughtSignature": "c2ln"}]}
ANSWER = {"role": "user", "parts": [{"functionResponse": {"name": "f", "id": "1", "response": {}}}]}
DECLARED = {"functionDeclarations": [{"name": "f"}]}


def changed(turn: dict[str, Any], **part: Any) -> dict[str, Any]:
    return {**turn, "parts": [part]}


@pytest.mark.parametrize(
    ("body", "model", "said"),
    [
        ({"contents": [USER], "max_tokens": 1}, "m", "Unknown name"),
        ({"contents": [USER], "generationConfig": {"topp": 1}}, "m", "Invalid value at generationConfig"),
        ({"contents": [changed(USER, image={})]}, "m", "Invalid value at contents"),
        ({"contents": [USER], "cachedContent": 1}, "m", "Invalid value at cachedContent"),
        ({}, "m", "contents is not specified"),
        ({"contents": [{**USER, "role": "system"}]}, "m", "valid role"),
        ({"contents": [{"role": "user"}]}, "m", "must not be empty"),
        ({"contents": [changed(USER, text="x", fileData={})]}, "m", "one other data field"),
        ({"contents": [USER, CALL]}, "m", "followed by a function response"),
        ({"contents": [USER, CALL, USER]}, "m", "number of function response parts"),
        ({"contents": [USER, ANSWER]}, "m", "number of function response parts"),
        ({"contents": [CALL, changed(ANSWER, functionResponse={"name": "f", "response": {}})]}, "m", "ids"),
        ({"contents": [CALL, changed(ANSWER, functionResponse={"name": "f", "id": "1"})]}, "m", "response: Invalid"),
        ({"contents": [changed(CALL, functionCall={"name": "f", "id": "1"}), ANSWER]}, "gemini-3-pro", "signature"),
        (
            {
                "contents": [
                    CALL,
                    changed(ANSWER, functionResponse={"name": "f", "id": "1", "response": {}, "parts": []}),
                ]
            },
            "gemini-2.5-pro",
            "Multimodal",
        ),
        ({"contents": [USER], "tools": [{"functionDeclarations": [{"name": "1"}]}]}, "m", "function name '1'"),
        ({"contents": [USER], "tools": [DECLARED, DECLARED]}, "m", "Duplicate"),
        ({"contents": [USER], "tools": [DECLARED, {"googleSearch": {}}]}, "gemini-2.5-pro", "cannot be combined"),
        ({"contents": [USER], "tools": [DECLARED, {"googleSearch": {}}]}, "gemini-3-pro", "server_side"),
        ({"contents": [USER], "toolConfig": {"functionCallingConfig": {"mode": "ANY"}}}, "m", "without"),
        (
            {
                "contents": [USER],
                "tools": [DECLARED],
                "toolConfig": {"functionCallingConfig": {"mode": "AUTO", "allowedFunctionNames": ["f"]}},
            },
            "m",
            "only for ANY",
        ),
        ({"contents": [USER], "generationConfig": {"thinkingConfig": {"thinkingLevel": "LOW"}}}, "m", "not supported"),
        (
            {"contents": [USER], "generationConfig": {"thinkingConfig": {"thinkingLevel": "LOW", "thinkingBudget": 1}}},
            "gemini-3-pro",
            "only one",
        ),
        ({"contents": [USER], "generationConfig": {"responseJsonSchema": {}}}, "m", "response_mime_type"),
        ({"contents": [USER], "generationConfig": {"logprobs": 2}}, "m", "response_logprobs"),
    ],
)
def test_it_refuses_what_the_services_refuse(body: dict[str, Any], model: str, said: str) -> None:
    with pytest.raises(Refused, match=said):
        check(body, model)
