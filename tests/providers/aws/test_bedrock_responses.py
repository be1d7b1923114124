"""OpenAI's models at Bedrock: the Responses API at another address, signed, without what Bedrock lacks."""

from __future__ import annotations

import json
from typing import Any

import pytest
from fake_bedrock import ACCESS_KEY, SECRET_KEY
from pydantic import SecretStr

from providers.aws.responses import BedrockResponses
from providers.errors import BadRequestError, RateLimitError
from providers.types import AwsKeys, Call, Deployment, Fetched, HttpReply, HttpRequest, Token, Verb

KEYS = AwsKeys(ACCESS_KEY, SecretStr(SECRET_KEY))
BEDROCK = BedrockResponses("bedrock")
PICTURE = "https://example.com/a.png"
URL = "https://bedrock-runtime.us-west-2.amazonaws.com/openai/v1/responses"
LOOK: list[Any] = [
    {"role": "user", "content": [{"type": "input_text", "text": "?"}, {"type": "input_image", "image_url": PICTURE}]},
    {"type": "function_call_output", "call_id": "c", "output": [{"type": "input_image", "image_url": PICTURE}]},
    {"type": "function_call_output", "call_id": "c", "output": "https://example.com/not-an-image"},
    {"role": "user", "content": [{"type": "input_image", "image_url": "data:image/png;base64,AAAA"}]},
]


def _deployment(model: str = "openai.gpt-5.6-luna", **settings: Any) -> Deployment:
    return Deployment("d1", "g", "bedrock", model, **settings)


def _sent(
    body: dict[str, Any], deployment: Deployment | None = None, token: Token | None = KEYS, **call: Any
) -> HttpRequest:
    return BEDROCK.encode(Call("g", body=body, **call), deployment or _deployment(token_source=lambda: KEYS), token)


def test_where_it_is_sent_and_what() -> None:
    request = _sent({"input": "Hi"}, _deployment("us-east-2/openai.gpt-5.6-luna", token_source=lambda: KEYS))
    assert request.url == "https://bedrock-runtime.us-east-2.amazonaws.com/openai/v1/responses"
    assert json.loads(request.content) == {"input": "Hi", "model": "openai.gpt-5.6-luna"}
    assert "/us-east-2/bedrock/aws4_request" in request.headers["authorization"]


def test_calls_by_id_are_signed_too() -> None:
    request = _sent({}, verb=Verb.GET, response_id="resp_1")
    assert (request.method, request.url) == ("GET", f"{URL}/resp_1")
    assert request.headers["authorization"].startswith("AWS4-HMAC-SHA256 ")


def test_who_calls() -> None:
    key = _deployment(api_key=SecretStr("bearer-key"))
    assert _sent({"input": "Hi"}, key, None).headers["authorization"] == "Bearer bearer-key"
    source = _deployment(token_source=lambda: "fetched", api_key=SecretStr("unused"))
    assert _sent({"input": "Hi"}, source, "fetched").headers["authorization"] == "Bearer fetched"
    own = _deployment(headers={"Authorization": "Custom x"}, token_source=lambda: KEYS)
    assert _sent({"input": "Hi"}, own).headers["authorization"] == "Custom x"
    assert "authorization" not in _sent({"input": "Hi"}, _deployment(), None).headers


def test_images_are_sent_whole() -> None:
    call = Call("g", body={"input": LOOK})
    deployment = _deployment(token_source=lambda: KEYS)
    assert BEDROCK.remote(call, deployment) == [PICTURE]
    request = _sent({"input": LOOK}, fetched={PICTURE: Fetched("image/png", b"\x89PNG")})
    sent = json.loads(request.content)["input"]
    assert sent[0]["content"][1]["image_url"] == "data:image/png;base64,iVBORw=="
    assert sent[1]["output"][0]["image_url"] == "data:image/png;base64,iVBORw=="
    assert sent[2:] == LOOK[2:]
    assert LOOK[0]["content"][1]["image_url"] == PICTURE


@pytest.mark.parametrize("body", [{}, {"input": "see https://example.com/a.png"}])
def test_what_holds_no_images(body: dict[str, Any]) -> None:
    assert BEDROCK.remote(Call("g", body=body), _deployment()) == ()


def test_there_is_no_background() -> None:
    with pytest.raises(BadRequestError, match="background: not supported by bedrock") as raised:
        _sent({"input": "Hi", "background": True})
    assert raised.value.param == "background"
    assert "background" in json.loads(_sent({"input": "Hi", "background": False}).content)


def test_errors_come_in_both_ways() -> None:
    call, deployment = Call("g", body={}), _deployment()
    aws = HttpReply(429, {"x-amzn-errortype": "ThrottlingException", "x-amzn-requestid": "r1"}, b'{"message":"slow"}')
    with pytest.raises(RateLimitError, match="slow") as raised:
        BEDROCK.decode(aws, call, deployment)
    assert (raised.value.code, raised.value.request_id) == ("ThrottlingException", "r1")
    openai = HttpReply(400, {}, b'{"error":{"message":"no","code":"invalid_value","param":"input"}}')
    with pytest.raises(BadRequestError, match="no") as refused:
        BEDROCK.decode(openai, call, deployment)
    assert refused.value.param == "input"
    assert BEDROCK.decode(HttpReply(200, {}, b'{"id":"resp_1","output":[]}'), call, deployment)["id"] == "resp_1"
