"""Signatures, checked by botocore on the other side."""

import json
import logging
import time
from collections.abc import AsyncIterator, Mapping

import aiohttp
import pytest
from fake_bedrock import ACCESS_KEY, REGION, SECRET_KEY, FakeBedrock
from pydantic import SecretStr
from yarl import URL

from providers.aws.signing import Signer, signer
from providers.types import AwsKeys, Deployment

KEYS = AwsKeys(ACCESS_KEY, SecretStr(SECRET_KEY))
TEMPORARY = AwsKeys(ACCESS_KEY, SecretStr(SECRET_KEY), SecretStr("the-session-token"))
BODY = json.dumps({"messages": [{"role": "user", "content": [{"text": "Grüße"}]}]}).encode()
JSON = {"content-type": "application/json"}


@pytest.fixture
async def client() -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession() as session:
        yield session


async def _status(
    client: aiohttp.ClientSession, url: str, made: Signer, headers: Mapping[str, str] = JSON, body: bytes = BODY
) -> int:
    """What the other side says to a signed request."""
    every = {**headers, **made.sign("POST", url, headers, BODY)}
    async with client.post(URL(url, encoded=True), data=body, headers=every) as reply:
        return reply.status


@pytest.mark.parametrize(
    "path",
    [
        "/model/us.anthropic.claude-sonnet-4-5-20250929-v1%3A0/converse",
        "/model/arn%3Aaws%3Abedrock%3Aus-east-1%3A123456789012%3Ainference-profile%2Fus.a.b/converse",
        "/model/a.b/converse?x=1&a=%2F&a=b",
        "/gateway//bedrock/model/a.b/converse",
    ],
)
@pytest.mark.parametrize("keys", [KEYS, TEMPORARY])
async def test_it_is_the_signature_of_exactly_what_is_sent(
    client: aiohttp.ClientSession, path: str, keys: AwsKeys
) -> None:
    token = None if keys.session_token is None else keys.session_token.get_secret_value()
    async with FakeBedrock(session_token=token) as bedrock:
        assert await _status(client, bedrock.url + path, Signer(keys, REGION)) == 200
        assert await _status(client, bedrock.url + path, Signer(keys, "eu-west-1")) == 403
        assert await _status(client, bedrock.url + path, Signer(keys, REGION), body=BODY + b" ") == 403


async def test_amazons_own_headers_are_signed_and_no_others(client: aiohttp.ClientSession) -> None:
    headers = {**JSON, "x-amzn-bedrock-trace": "ENABLED", "x-amz-extra": "1", "user-agent": "homing-router"}
    made = Signer(KEYS, REGION)
    async with FakeBedrock() as bedrock:
        url = f"{bedrock.url}/model/a.b/converse"
        added = made.sign("POST", url, headers, BODY)
        names = added["authorization"].split("SignedHeaders=")[1].split(",")[0]
        assert names == "content-type;host;x-amz-date;x-amz-extra;x-amzn-bedrock-trace"
        assert await _status(client, url, made, headers) == 200


def test_a_known_signature() -> None:
    """Made once by botocore 1.44.5's `SigV4Auth.add_auth` at this time of this request."""
    made = Signer(TEMPORARY, "us-east-1", clock=lambda: 1_700_000_000.9)
    url = "https://bedrock-runtime.us-east-1.amazonaws.com/model/anthropic.claude-3-haiku-20240307-v1%3A0/converse"
    assert made.sign("POST", url, JSON, b"{}") == {
        "x-amz-date": "20231114T221320Z",
        "x-amz-security-token": "the-session-token",
        "authorization": "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20231114/us-east-1/bedrock/aws4_request, "
        "SignedHeaders=content-type;host;x-amz-date;x-amz-security-token, "
        "Signature=61df625852346ad4f586cecdd168d53de6e191987981d2aef6db712ef507ce82",
    }


async def test_an_old_signature_is_refused(client: aiohttp.ClientSession) -> None:
    async with FakeBedrock() as bedrock:
        made = Signer(KEYS, REGION, clock=lambda: time.time() - 3600)
        assert await _status(client, f"{bedrock.url}/model/a.b/converse", made) == 403


def test_nothing_is_logged_or_shown(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    made = Signer(TEMPORARY, REGION)
    made.sign("POST", "https://example.com/", JSON, BODY)
    assert repr(made) == "Signer('us-east-1')"
    assert "the-session-token" not in caplog.text
    assert "Signature" not in caplog.text


def test_a_signer_is_kept_until_the_keys_are_others() -> None:
    deployment = Deployment("a", "g", "bedrock", "m")
    first = signer(deployment, KEYS, REGION)
    assert signer(deployment, AwsKeys(ACCESS_KEY, SecretStr(SECRET_KEY)), REGION) is first
    assert signer(deployment, TEMPORARY, REGION).keys is TEMPORARY
    assert signer(deployment, TEMPORARY, "eu-west-1").region == "eu-west-1"
