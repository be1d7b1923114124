"""The fake against AWS's own client: what that sends is let in, what is wrong is not, what is answered can be read."""

import asyncio
import base64
import json
from collections.abc import AsyncIterator
from contextlib import closing
from typing import Any

import aiohttp
import boto3
import botocore.session
import pytest
from amazon_frames import exception
from bedrock_rules import complaint
from botocore.config import Config
from botocore.exceptions import ClientError, EventStreamError
from fake_bedrock import ACCESS_KEY, BEARER, REGION, SECRET_KEY, FakeBedrock, refused, stream, told, whole

HELLO = [{"role": "user", "content": [{"text": "Hi"}]}]


@pytest.fixture
async def bedrock() -> AsyncIterator[FakeBedrock]:
    async with FakeBedrock() as fake:
        yield fake


@pytest.fixture
def session(monkeypatch: pytest.MonkeyPatch) -> botocore.session.Session:
    monkeypatch.setenv("AWS_CONFIG_FILE", "/dev/null")
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", "/dev/null")
    made = botocore.session.Session()
    made.set_credentials(ACCESS_KEY, SECRET_KEY)
    return made


def _client(session: botocore.session.Session, bedrock: FakeBedrock, **rest: Any) -> Any:
    config = Config(retries={"total_max_attempts": 1}, **rest)
    client = boto3.Session(botocore_session=session).client
    return client("bedrock-runtime", region_name=REGION, endpoint_url=bedrock.url, config=config)


async def _converse(client: Any, **parameters: Any) -> Any:
    parameters = {"modelId": "us.anthropic.claude-sonnet-4-5-20250929-v1:0", "messages": HELLO, **parameters}
    return await asyncio.to_thread(client.converse, **parameters)


async def test_the_official_client_is_let_in_and_understands(
    bedrock: FakeBedrock, session: botocore.session.Session
) -> None:
    client = _client(session, bedrock)
    reply = await _converse(client)
    assert reply["output"]["message"]["content"] == [{"text": "Hello."}]
    assert reply["ResponseMetadata"]["RequestId"] == "6bb5f5f9-1f8d-4f53-8d9c-1f0000000001"
    (received,) = bedrock.received
    assert received.path == "/model/us.anthropic.claude-sonnet-4-5-20250929-v1%3A0/converse"
    assert received.model == "us.anthropic.claude-sonnet-4-5-20250929-v1:0"
    assert received.body == {"messages": HELLO}


async def test_an_arn_is_one_segment(bedrock: FakeBedrock, session: botocore.session.Session) -> None:
    arn = "arn:aws:bedrock:us-east-1:123456789012:application-inference-profile/abc123"
    await _converse(_client(session, bedrock), modelId=arn)
    assert bedrock.received[0].model == arn
    assert "%2Fabc123/converse" in bedrock.received[0].path


async def test_it_streams_to_the_official_client(bedrock: FakeBedrock, session: botocore.session.Session) -> None:
    bedrock.answer(told("Hel", "lo."), stream(tail=[exception("throttlingException", "slow down")]))
    client = _client(session, bedrock)

    def converse() -> list[Any]:
        reply = client.converse_stream(modelId="meta.llama3-1-8b-instruct-v1:0", messages=HELLO)
        with closing(reply["stream"]) as events:
            return list(events)

    events = await asyncio.to_thread(converse)
    texts = [event["contentBlockDelta"]["delta"]["text"] for event in events if "contentBlockDelta" in event]
    assert texts == ["Hel", "lo."]
    assert events[-1]["metadata"]["usage"]["totalTokens"] == 15
    with pytest.raises(EventStreamError, match=r"\(throttlingException\).*slow down"):
        await asyncio.to_thread(converse)


async def test_its_errors_are_those_of_aws(bedrock: FakeBedrock, session: botocore.session.Session) -> None:
    bedrock.answer(refused(429, "ThrottlingException", "Too many requests, please wait before trying again."))
    client = _client(session, bedrock)
    with pytest.raises(client.exceptions.ThrottlingException, match="Too many requests"):
        await _converse(client)


@pytest.mark.parametrize("change", [("wrong", SECRET_KEY), (ACCESS_KEY, "wrong")])
async def test_wrong_keys_are_turned_away(
    bedrock: FakeBedrock, session: botocore.session.Session, change: tuple[str, str]
) -> None:
    session.set_credentials(*change)
    with pytest.raises(ClientError, match=r"UnrecognizedClient|InvalidSignature"):
        await _converse(_client(session, bedrock))
    assert not bedrock.received


async def test_a_wrong_region_is_turned_away(bedrock: FakeBedrock, session: botocore.session.Session) -> None:
    bedrock.region = "eu-west-1"
    with pytest.raises(ClientError, match="InvalidSignature"):
        await _converse(_client(session, bedrock))


async def test_bearer_keys(bedrock: FakeBedrock) -> None:
    """Not by the official client, which sends them by TLS only."""
    async with aiohttp.ClientSession() as client:
        for key, status in ((BEARER, 200), ("another", 403)):
            headers = {"authorization": f"Bearer {key}", "content-type": "application/json"}
            async with client.post(
                f"{bedrock.url}/model/a.b/converse", data=json.dumps({"messages": HELLO}), headers=headers
            ) as reply:
                assert reply.status == status
    assert len(bedrock.received) == 1


async def test_what_is_no_request_of_bedrock(bedrock: FakeBedrock) -> None:
    bearer = {"authorization": f"Bearer {BEARER}", "content-type": "application/json"}
    async with aiohttp.ClientSession() as client:
        for path, headers, status in (
            ("/model/a.b/converse", {}, 403),
            ("/model/a.b/invoke", bearer, 400),
            ("/models/a.b/converse", bearer, 400),
            ("/model/a:b/converse", bearer, 400),
            ("/model/a.b/converse", {**bearer, "content-type": "text/plain"}, 400),
            ("/model/a.b/converse", bearer, 400),  # without messages
        ):
            async with client.post(f"{bedrock.url}{path}", data=json.dumps({}), headers=headers) as reply:
                assert reply.status == status, path
    assert not bedrock.received


def _said(*content: Any, role: str = "user") -> dict[str, Any]:
    return {"role": role, "content": list(content)}


_IMAGE = {"image": {"format": "png", "source": {"bytes": base64.b64encode(b"png").decode()}}}
_PDF = {"document": {"format": "pdf", "name": "a b", "source": {"bytes": "cGRm"}}}
_USE = {"toolUse": {"toolUseId": "t1", "name": "f", "input": {}}}
_RESULT = {"toolResult": {"toolUseId": "t1", "content": [{"text": "x"}]}}
_TOOLS = {"tools": [{"toolSpec": {"name": "f", "inputSchema": {"json": {"type": "object"}}}}]}


def _talk(*messages: dict[str, Any], **rest: Any) -> dict[str, Any]:
    return {"modelId": "amazon.nova-pro-v1:0", "messages": list(messages), **rest}


@pytest.mark.parametrize(
    "parameters",
    [
        _talk(_said(_IMAGE, {"text": "?"}), system=[{"text": "Be brief."}, {"cachePoint": {"type": "default"}}]),
        _talk(_said(_PDF, {"text": "?"}), requestMetadata={"a": "b"}, serviceTier={"type": "flex"}),
        _talk(_said({"text": "?"}), _said(_USE, role="assistant"), _said(_RESULT), toolConfig=_TOOLS),
        _talk(_said({"text": "?"}), inferenceConfig={"maxTokens": 1, "temperature": 0.0, "stopSequences": ["x"]}),
    ],
)
def test_what_bedrock_takes(parameters: dict[str, Any]) -> None:
    assert complaint(parameters) == ""


@pytest.mark.parametrize(
    ("parameters", "why"),
    [
        (_talk(_said({"text": "?", **_IMAGE})), "union"),
        (_talk(_said({"text": "?"}), guardrails={}), "unknown"),
        (_talk(_said({"text": 5})), "no string"),
        (_talk(_said("?")), "no structure"),
        (_talk(_said({"text": " "})), "blank"),
        (_talk(), "start with a user"),
        (_talk(_said({"text": "?"}, role="assistant")), "start with a user"),
        (_talk(_said({"text": "?"}), _said({"text": "?"})), "alternate"),
        (_talk(_said({"text": "?"}, role="tool")), "not one of"),
        (_talk(_said({"image": {"format": "png", "source": {"bytes": "§"}}})), "base64"),
        (_talk(_said({"image": {"format": "tiff", "source": {"bytes": "cGRm"}}})), "not one of"),
        (_talk(_said({"image": {"source": {"bytes": "cGRm"}}})), "format"),
        (_talk(_said({"text": "?"}), inferenceConfig={"temperature": 1.5}), "out of range"),
        (_talk(_said({"text": "?"}), inferenceConfig={"maxTokens": "5"}), "maxTokens|range|type"),
        (_talk(_said({"text": "?"}), inferenceConfig={"maxTokens": 0}), "maxTokens"),
        (_talk(_said({"text": "?"}), requestMetadata={"a": "é"}), "match"),
        (_talk(_said({"text": "?"}), requestMetadata={str(n): "" for n in range(17)}), "too many"),
        (_talk(_said({"text": "?"}), additionalModelResponseFieldPaths=["/a"] * 11), "too long"),
        (_talk(_said({"text": "?"}), system=[{"text": ""}]), "0 characters"),
        (_talk(_said({"text": "?"}), _said(_USE, role="assistant"), _said(_RESULT)), "toolConfig"),
        (_talk(_said({"text": "?"}), _said(_USE, role="assistant"), toolConfig=_TOOLS), "no results"),
        (_talk(_said(_RESULT), toolConfig=_TOOLS), "Expected toolResult"),
        (_talk(_said({"text": "?"}), toolConfig={"tools": _TOOLS["tools"] * 2}), "unique"),
        (_talk(_said(_PDF)), "text too"),
        (_talk(_said(_PDF, _PDF, {"text": "?"})), "plain and unique"),
        (_talk(_said({"text": "?"}, *[{"cachePoint": {"type": "default"}}] * 5)), "four"),
        (_talk(_said({"reasoningContent": {"reasoningText": {"text": "x"}}}, {"text": "?"})), "assistant's"),
    ],
)
def test_what_bedrock_does_not_take(parameters: dict[str, Any], why: str) -> None:
    with pytest.raises(AssertionError, match=why):
        assert complaint(parameters) == "", complaint(parameters)


async def test_replies_are_given_in_order(bedrock: FakeBedrock, session: botocore.session.Session) -> None:
    bedrock.answer(whole({"text": "one"}), whole({"text": "two"}))
    client = _client(session, bedrock)
    said = [(await _converse(client))["output"]["message"]["content"][0]["text"] for _ in range(3)]
    assert said == ["one", "two", "Hello."]
