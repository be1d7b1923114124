"""Tokens from Google's credentials: every form of them, when they are fetched, and what is said when they can't be."""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import google.auth.exceptions
import google.auth.iam
import pytest
from fake_google_tokens import EMAIL, FakeTokens, authorized_user, service_account
from wire import Server, serve

from providers.errors import ConfigurationError
from providers.google.credentials import CLOUD_PLATFORM, GoogleCredentials


@pytest.fixture
def tokens() -> FakeTokens:
    return FakeTokens()


@pytest.fixture
async def server(tokens: FakeTokens) -> AsyncIterator[Server]:
    async with serve(tokens) as server:
        yield server


async def fetch(credentials: GoogleCredentials) -> str:
    """As the Router asks: in a thread."""
    return await asyncio.to_thread(credentials)


async def test_a_service_account_signs_for_its_token_and_asks_once(tokens: FakeTokens, server: Server) -> None:
    credentials = GoogleCredentials(service_account(server.url))
    assert credentials.project is None
    assert [await fetch(credentials), await fetch(credentials)] == ["t1", "t1"]
    assert [(asked["iss"], asked["scope"]) for asked in tokens.asked] == [(EMAIL, CLOUD_PLATFORM)]
    assert credentials.project == "acme"
    assert credentials.quota_project is None


async def test_a_token_about_to_expire_is_replaced(tokens: FakeTokens, server: Server) -> None:
    tokens.expires_in = 100
    credentials = GoogleCredentials(service_account(server.url))
    assert [await fetch(credentials), await fetch(credentials)] == ["t1", "t2"]


async def test_one_that_could_not_be_replaced_is_used_while_it_is_valid(
    tokens: FakeTokens, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("google.auth._exponential_backoff.time.sleep", lambda _: None)
    tokens.expires_in = 100
    credentials = GoogleCredentials(service_account(server.url))
    await fetch(credentials)
    tokens.broken = True
    assert await fetch(credentials) == "t1"
    with pytest.raises(google.auth.exceptions.RefreshError):
        await fetch(GoogleCredentials(service_account(server.url)))


async def test_threads_that_want_one_at_the_same_time_share_it(tokens: FakeTokens, server: Server) -> None:
    credentials = GoogleCredentials(service_account(server.url))
    assert await asyncio.gather(*(fetch(credentials) for _ in range(4))) == ["t1"] * 4
    assert len(tokens.asked) == 1


async def test_credentials_come_as_text_as_a_file_and_from_the_environment(
    tokens: FakeTokens, server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = json.dumps(service_account(server.url))
    file = tmp_path / "key.json"
    file.write_text(text)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", str(file))
    monkeypatch.delenv("GOOGLE_CLOUD_PROJECT", raising=False)
    for given in (text, str(file), "~/key.json", None):
        credentials = GoogleCredentials(given)
        await fetch(credentials)
        assert credentials.project == "acme"
        assert tokens.asked[-1]["iss"] == EMAIL


async def test_an_authorised_user_refreshes_and_names_who_is_billed(
    tokens: FakeTokens, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("google.oauth2.credentials._GOOGLE_OAUTH2_TOKEN_ENDPOINT", f"{server.url}/token")
    credentials = GoogleCredentials(authorized_user(quota_project_id="payer"))
    assert await fetch(credentials) == "t1"
    assert tokens.asked[0]["grant_type"] == "refresh_token"
    assert (credentials.project, credentials.quota_project) == ("payer", "payer")
    assert GoogleCredentials(quota_project="other").quota_project == "other"


async def test_it_acts_as_another_service_account(
    tokens: FakeTokens, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    endpoint = f"{server.url}/v1/projects/-/serviceAccounts/{{}}:generateAccessToken"
    monkeypatch.setattr(google.auth.iam, "_IAM_ENDPOINT", endpoint)
    credentials = GoogleCredentials(service_account(server.url), impersonate="boss@acme.iam.gserviceaccount.com")
    assert await fetch(credentials) == "impersonated"
    own, other = tokens.asked
    assert own["scope"] == "https://www.googleapis.com/auth/iam"
    assert other["path"].endswith("/boss@acme.iam.gserviceaccount.com:generateAccessToken")
    assert (other["bearer"], other["scope"]) == ("Bearer t1", [CLOUD_PLATFORM])
    assert credentials.project == "acme"
    monkeypatch.setattr("google.oauth2.credentials._GOOGLE_OAUTH2_TOKEN_ENDPOINT", f"{server.url}/token")
    in_file = {
        "type": "impersonated_service_account",
        "source_credentials": authorized_user(),
        "service_account_impersonation_url": endpoint.format("x@acme.iam.gserviceaccount.com"),
    }
    assert await fetch(GoogleCredentials(in_file)) == "impersonated"


async def test_workload_identity_exchanges_a_token_of_another_cloud(tokens: FakeTokens, server: Server) -> None:
    info = {
        "type": "external_account",
        "audience": "//iam.googleapis.com/projects/1/locations/global/workloadIdentityPools/p/providers/q",
        "subject_token_type": "urn:ietf:params:oauth:token-type:jwt",
        "token_url": f"{server.url}/token",
        "credential_source": {
            "url": f"{server.url}/subject",
            "format": {"type": "json", "subject_token_field_name": "access_token"},
        },
        "quota_project_id": "acme",
    }
    credentials = GoogleCredentials(info)
    assert await fetch(credentials) == "t1"
    assert tokens.asked[0]["subject_token"] == "subject"
    assert credentials.project == "acme"


AMAZON = {
    "type": "external_account",
    "audience": "//iam.googleapis.com/locations/global/workforcePools/p/providers/q",
    "subject_token_type": "urn:ietf:params:aws:token-type:aws4_request",
    "token_url": "http://127.0.0.1:9/token",
    "credential_source": {
        "environment_id": "aws1",
        "regional_cred_verification_url": "http://127.0.0.1:9/{region}",
    },
}
COMMAND = {
    **AMAZON,
    "subject_token_type": "urn:ietf:params:oauth:token-type:jwt",
    "credential_source": {"executable": {"command": "false"}},
}


@pytest.mark.parametrize(("info", "word"), [(AMAZON, "AWS"), (COMMAND, "xecutable")])
async def test_other_workload_identities_are_recognised(info: dict[str, object], word: str) -> None:
    """They go wrong, for there is no such machine here, in the words of the class that reads them."""
    with pytest.raises(Exception, match=word):
        await fetch(GoogleCredentials(info))


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ("/nowhere/key.json", "can't read /nowhere/key.json"),
        ("{secret", "the text is not JSON"),
        ({"type": "secret_kind"}, "type is 'secret_kind'; there are service_account, authorized_user"),
        ({}, "type is None"),
        ({"type": "service_account", "project_id": "p"}, "not a valid service_account"),
        ({"type": "authorized_user"}, "not a valid authorized_user"),
    ],
)
def test_the_wrong_form_is_named(given: str | dict[str, object], said: str) -> None:
    with pytest.raises(ConfigurationError, match=said):
        GoogleCredentials(given)()


def test_a_file_without_an_object_is_named(tmp_path: Path) -> None:
    file = tmp_path / "list.json"
    file.write_text("[]")
    with pytest.raises(ConfigurationError, match=r"list\.json is not a JSON object"):
        GoogleCredentials(str(file))()


def test_credentials_without_a_token_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    from google.auth.credentials import AnonymousCredentials

    monkeypatch.setattr("google.auth.default", lambda **_: (AnonymousCredentials(), None))  # type: ignore[no-untyped-call]  # google-auth declares no types
    with pytest.raises(ConfigurationError, match="yield no access token"):
        GoogleCredentials()()


def test_what_is_missing_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "google.auth.transport.requests", None)
    with pytest.raises(ConfigurationError, match=r"pip install 'homing-router\[vertex\]'"):
        GoogleCredentials()()


def test_nothing_secret_shows() -> None:
    shown = repr(GoogleCredentials(service_account("http://x"), impersonate="boss"))
    assert shown == "GoogleCredentials(dict, impersonate='boss')"
    assert repr(GoogleCredentials()) == "GoogleCredentials(default, impersonate=None)"
