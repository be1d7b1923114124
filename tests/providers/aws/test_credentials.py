"""Where the keys of AWS come from, with what hands them out played over real sockets."""

import os
import sys
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest
from fake_sts import FakeSts
from pydantic import SecretStr

from providers.aws.credentials import AwsCredentials
from providers.errors import AuthenticationError, ConfigurationError
from providers.types import AwsKeys

ROLE = "arn:aws:iam::123456789012:role/r"


@pytest.fixture(autouse=True)
def _bare(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """None of what the machine has."""
    for name in list(os.environ):
        if name.startswith("AWS_"):
            monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "config"))
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "credentials"))


@pytest.fixture
def sts() -> Iterator[FakeSts]:
    with FakeSts() as fake:
        yield fake


def _keys(access_key: str, secret_key: str, token: str | None = None) -> AwsKeys:
    return AwsKeys(access_key, SecretStr(secret_key), None if token is None else SecretStr(token))


def test_keys_that_are_given() -> None:
    given = AwsCredentials(access_key="AK", secret_key=SecretStr("sk"))
    assert given() == _keys("AK", "sk")
    token = AwsCredentials(access_key=SecretStr("AK"), secret_key="sk", session_token="st")
    assert token() == _keys("AK", "sk", "st")


@pytest.mark.parametrize("keys", [{}, {"access_key": "AK", "secret_key": "sk"}])
def test_without_botocore_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch, keys: dict[str, str]) -> None:
    """Before the first signature, and off the event loop: that imports nothing any more."""
    monkeypatch.setitem(sys.modules, "botocore.auth", None)
    with pytest.raises(ConfigurationError, match=r"pip install 'homing-router\[bedrock\]'"):
        AwsCredentials(**keys)()


def test_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    source = AwsCredentials()
    with pytest.raises(AuthenticationError, match="no AWS credentials: give aws_access_key_id"):
        source()
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "ENV")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "env-secret")
    assert AwsCredentials()() == _keys("ENV", "env-secret")


def test_keys_that_come_later_are_found(tmp_path: Path) -> None:
    source = AwsCredentials()
    with pytest.raises(AuthenticationError):
        source()
    (tmp_path / "credentials").write_text("[default]\naws_access_key_id = LATER\naws_secret_access_key = s\n")
    assert source() == _keys("LATER", "s")


def test_a_profile(tmp_path: Path) -> None:
    (tmp_path / "credentials").write_text("[work]\naws_access_key_id = P\naws_secret_access_key = s\n")
    assert AwsCredentials(profile="work")() == _keys("P", "s")
    with pytest.raises(AuthenticationError, match=r"other.* could not be found"):
        AwsCredentials(profile="other")()


def test_a_role_is_assumed_with_the_keys_given(sts: FakeSts) -> None:
    source = AwsCredentials(
        access_key="AK", secret_key="sk", session_token="st", role=ROLE, external_id="xy", sts_endpoint=sts.url
    )
    assert source() == _keys("ASSUMED1", "assumed-secret", "assumed-token")
    assert source().access_key == "ASSUMED1"
    assert sts.asked == [
        {
            "Action": "AssumeRole",
            "Version": "2011-06-15",
            "RoleArn": ROLE,
            "RoleSessionName": "homing-router",
            "ExternalId": "xy",
        }
    ]
    assert "Credential=AK/" in sts.authorized[0]
    assert "/us-east-1/sts/" in sts.authorized[0]


def test_a_role_is_assumed_with_the_keys_found(monkeypatch: pytest.MonkeyPatch, sts: FakeSts) -> None:
    source = AwsCredentials(role=ROLE, session_name="me", sts_endpoint=sts.url, region="eu-west-1")
    with pytest.raises(AuthenticationError, match="no AWS credentials"):
        source()
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "ENV")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "env-secret")
    source = AwsCredentials(role=ROLE, session_name="me", sts_endpoint=sts.url, region="eu-west-1")
    assert source().access_key == "ASSUMED1"
    assert sts.asked[0]["RoleSessionName"] == "me"
    assert "Credential=ENV/" in sts.authorized[0]
    assert "/eu-west-1/sts/" in sts.authorized[0]


def test_they_are_renewed_before_they_expire(sts: FakeSts) -> None:
    """In their last ten minutes, whether they are still good or not."""
    sts.lifetime = timedelta(minutes=5)
    source = AwsCredentials(access_key="AK", secret_key="sk", role=ROLE, sts_endpoint=sts.url)
    assert source().access_key == "ASSUMED1"
    sts.lifetime = timedelta(hours=1)
    assert source().access_key == "ASSUMED2"
    assert source().access_key == "ASSUMED2"


def test_a_refusal_is_said(sts: FakeSts) -> None:
    sts.denies = True
    source = AwsCredentials(access_key="AK", secret_key="sk", role=ROLE, sts_endpoint=sts.url)
    with pytest.raises(AuthenticationError, match=r"AccessDenied.*not authorized to perform sts:AssumeRole") as raised:
        source()
    assert "sk" not in str(raised.value).split()


def test_a_web_identity(tmp_path: Path, sts: FakeSts) -> None:
    source = AwsCredentials(role=ROLE, web_identity_token=SecretStr("eyJ.a.b"), sts_endpoint=sts.url)
    assert source() == _keys("ASSUMED1", "assumed-secret", "assumed-token")
    assert sts.asked[0]["WebIdentityToken"] == "eyJ.a.b"
    assert sts.asked[0]["Action"] == "AssumeRoleWithWebIdentity"
    assert sts.authorized == [""]
    (tmp_path / "token").write_text("eyJ.file\n")
    filed = AwsCredentials(role=ROLE, web_identity_token=str(tmp_path / "token"), sts_endpoint=sts.url)
    assert filed().access_key == "ASSUMED2"
    assert sts.asked[1]["WebIdentityToken"] == "eyJ.file"
    missing = AwsCredentials(role=ROLE, web_identity_token="/nowhere/token", sts_endpoint=sts.url)
    with pytest.raises(AuthenticationError, match=r"web_identity_token: .*/nowhere/token"):
        missing()


def test_instance_metadata(monkeypatch: pytest.MonkeyPatch, sts: FakeSts) -> None:
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "false")
    monkeypatch.setenv("AWS_EC2_METADATA_SERVICE_ENDPOINT", sts.url)
    source = AwsCredentials()
    assert source() == _keys("METADATA1", "s", "t")
    assert source() == _keys("METADATA1", "s", "t")
    assert sts.fetched == 1


def test_a_container(monkeypatch: pytest.MonkeyPatch, sts: FakeSts) -> None:
    monkeypatch.setenv("AWS_CONTAINER_CREDENTIALS_FULL_URI", f"{sts.url}/v1/credentials")
    assert AwsCredentials()() == _keys("METADATA1", "s", "t")


@pytest.mark.parametrize(
    ("given", "why"),
    [
        ({"access_key": "AK"}, "access_key says nothing without secret_key"),
        ({"secret_key": "sk"}, "secret_key says nothing without access_key"),
        ({"session_token": "st"}, "session_token says nothing without access_key"),
        ({"session_name": "s"}, "session_name says nothing without role"),
        ({"external_id": "s"}, "external_id says nothing without role"),
        ({"web_identity_token": "s"}, "web_identity_token says nothing without role"),
        ({"sts_endpoint": "s"}, "sts_endpoint says nothing without role"),
        ({"profile": ""}, "profile is empty"),
        ({"access_key": "AK", "secret_key": ""}, "secret_key is empty"),
        ({"access_key": "AK", "secret_key": "sk", "profile": "p"}, "access_key and profile exclude each other"),
        ({"role": "r", "web_identity_token": "t", "profile": "p"}, "web_identity_token and profile exclude"),
    ],
)
def test_what_does_not_go_together(given: dict[str, str], why: str) -> None:
    with pytest.raises(ConfigurationError, match=why):
        AwsCredentials(**given)


def test_no_secret_is_shown() -> None:
    source = AwsCredentials(access_key="AK", secret_key="secret", session_token="token", role=ROLE, external_id="ex")
    assert repr(source) == f"AwsCredentials(role={ROLE!r})"
    assert repr(AwsCredentials(profile="p", region="us-east-1")) == "AwsCredentials(profile='p', region='us-east-1')"
