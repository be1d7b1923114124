"""Where models of Bedrock are."""

import sys
from pathlib import Path

import pytest

from providers.aws.address import ModelName, converse_url, endpoint, find_region, model_name, region_of, responses_url
from providers.errors import ConfigurationError
from providers.types import Deployment, Dialect

CLAUDE = "anthropic.claude-sonnet-4-5-20250929-v1:0"
PROFILE = "arn:aws:bedrock:eu-central-1:123456789012:inference-profile/eu.anthropic.claude-sonnet-4-5-20250929-v1:0"


def _deployment(model: str, api_base: str | None = None, region: str | None = None) -> Deployment:
    return Deployment("a", "g", "bedrock", model, api_base=api_base, region=region)


@pytest.mark.parametrize(
    ("text", "id", "region", "routes"),
    [
        (CLAUDE, CLAUDE, None, ()),
        (f"us.{CLAUDE}", f"us.{CLAUDE}", None, ()),
        (f"eu-west-1/{CLAUDE}", CLAUDE, "eu-west-1", ()),
        (f"converse/us-gov-west-1/{CLAUDE}", CLAUDE, "us-gov-west-1", ("converse",)),
        (f"invoke/{CLAUDE}", CLAUDE, None, ("invoke",)),
        (PROFILE, PROFILE, "eu-central-1", ()),
        (f"converse/{PROFILE}", PROFILE, "eu-central-1", ("converse",)),
        (f"us-west-2/{PROFILE}", PROFILE, "us-west-2", ()),
        (
            "nova/arn:aws:bedrock:us-east-1:1:imported-model/x",
            "arn:aws:bedrock:us-east-1:1:imported-model/x",
            "us-east-1",
            ("nova",),
        ),
        ("arn:odd", "arn:odd", None, ()),
        ("arn:aws:bedrock::1:x/y", "arn:aws:bedrock::1:x/y", None, ()),
        ("not-an-arn:0", "not-an-arn:0", None, ()),
    ],
)
def test_what_a_name_says(text: str, id: str, region: str | None, routes: tuple[str, ...]) -> None:
    assert model_name(text) == ModelName(id, region, routes)


@pytest.mark.parametrize(
    ("text", "dialect"),
    [
        (CLAUDE, Dialect.CONVERSE),
        ("openai.gpt-oss-120b-1:0", Dialect.CONVERSE),
        ("us.openai.gpt-5.6-luna", Dialect.RESPONSES),
        ("openai.gpt-5.6-luna", Dialect.RESPONSES),
        ("us-west-2/openai.gpt-5.6-luna", Dialect.RESPONSES),
        ("converse/openai.gpt-5.6-luna", Dialect.CONVERSE),
        ("responses/openai.gpt-oss-120b-1:0", Dialect.RESPONSES),
        (PROFILE, Dialect.CONVERSE),
        ("arn:aws:bedrock:us-east-1:1:inference-profile/us.openai.gpt-5.6-luna", Dialect.RESPONSES),
        ("notopenai.gpt-5", Dialect.CONVERSE),
    ],
)
def test_what_a_model_is_asked_in(text: str, dialect: Dialect) -> None:
    assert model_name(text).dialect is dialect


@pytest.mark.parametrize(
    ("region", "url"),
    [
        ("us-east-1", "https://bedrock-runtime.us-east-1.amazonaws.com"),
        ("us-gov-west-1", "https://bedrock-runtime.us-gov-west-1.amazonaws.com"),
        ("cn-north-1", "https://bedrock-runtime.cn-north-1.amazonaws.com.cn"),
        ("eusc-de-east-1", "https://bedrock-runtime.eusc-de-east-1.amazonaws.eu"),
        ("us-iso-east-1", "https://bedrock-runtime.us-iso-east-1.c2s.ic.gov"),
        ("us-isob-east-1", "https://bedrock-runtime.us-isob-east-1.sc2s.sgov.gov"),
    ],
)
def test_the_endpoint_of_a_region(region: str, url: str) -> None:
    assert endpoint(region) == url


OWN = "https://bedrock-runtime.us-west-2.amazonaws.com"
SENT = "anthropic.claude-sonnet-4-5-20250929-v1%3A0"


@pytest.mark.parametrize(
    ("model", "base", "region", "url"),
    [
        (CLAUDE, None, None, f"{OWN}/model/{SENT}/converse"),
        (f"us.{CLAUDE}", None, None, f"{OWN}/model/us.{SENT}/converse"),
        (CLAUDE, None, "eu-west-3", f"https://bedrock-runtime.eu-west-3.amazonaws.com/model/{SENT}/converse"),
        (
            f"ap-south-1/{CLAUDE}",
            None,
            None,
            f"https://bedrock-runtime.ap-south-1.amazonaws.com/model/{SENT}/converse",
        ),
        (
            PROFILE,
            None,
            None,
            "https://bedrock-runtime.eu-central-1.amazonaws.com/model/arn%3Aaws%3Abedrock%3Aeu-central-1%3A123456789012"
            f"%3Ainference-profile%2Feu.{SENT}/converse",
        ),
        (CLAUDE, "http://127.0.0.1:8000", None, f"http://127.0.0.1:8000/model/{SENT}/converse"),
        (CLAUDE, "http://gw/bedrock/", None, f"http://gw/bedrock/model/{SENT}/converse"),
        (CLAUDE, "http://gw/bedrock/model", None, f"http://gw/bedrock/model/{SENT}/converse"),
        (CLAUDE, f"http://gw/b/model/{SENT}/converse-stream", None, f"http://gw/b/model/{SENT}/converse"),
        (CLAUDE, "http://gw/b?key=1", None, f"http://gw/b/model/{SENT}/converse?key=1"),
    ],
)
def test_converse_urls(model: str, base: str | None, region: str | None, url: str) -> None:
    deployment = _deployment(model, base, region)
    assert converse_url(deployment, model, stream=False) == url
    assert converse_url(deployment, model, stream=True) == url.replace("/converse", "/converse-stream")


@pytest.mark.parametrize(
    ("base", "url"),
    [
        (None, f"{OWN}/openai/v1/responses"),
        ("http://gw", "http://gw/openai/v1/responses"),
        ("http://gw/x/openai/v1/", "http://gw/x/openai/v1/responses"),
        ("http://gw/openai/v1/responses?a=b", "http://gw/openai/v1/responses?a=b"),
    ],
)
def test_responses_urls(base: str | None, url: str) -> None:
    assert responses_url(_deployment("openai.gpt-5.6-luna", base), "openai.gpt-5.6-luna") == url


@pytest.mark.parametrize(
    ("deployment", "region"),
    [
        (_deployment(f"eu-west-1/{CLAUDE}", region="us-east-2"), "us-east-2"),
        (_deployment(f"eu-west-1/{CLAUDE}", "https://bedrock-runtime.us-east-1.amazonaws.com"), "eu-west-1"),
        (_deployment(CLAUDE, "https://bedrock-runtime.us-east-1.amazonaws.com"), "us-east-1"),
        (_deployment(CLAUDE, "https://bedrock-runtime-fips.us-gov-west-1.amazonaws.com"), "us-gov-west-1"),
        (_deployment(CLAUDE, "https://vpce-1-a.bedrock-runtime.ca-central-1.vpce.amazonaws.com"), "ca-central-1"),
        (_deployment(CLAUDE, "https://gateway.example.com"), "us-west-2"),
        (_deployment(CLAUDE), "us-west-2"),
    ],
)
def test_where_a_deployment_is(deployment: Deployment, region: str) -> None:
    assert region_of(deployment, deployment.model) == region


@pytest.fixture
def shared_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two profiles, and nothing of what the machine has."""
    config = tmp_path / "config"
    config.write_text("[default]\nregion = eu-north-1\n[profile two]\nregion = sa-east-1\n[profile bare]\n")
    monkeypatch.setenv("AWS_CONFIG_FILE", str(config))
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "none"))
    for name in ("AWS_REGION", "AWS_DEFAULT_REGION", "AWS_PROFILE", "AWS_DEFAULT_PROFILE"):
        monkeypatch.delenv(name, raising=False)


@pytest.mark.usefixtures("shared_files")
def test_which_region_is_meant() -> None:
    environ = {"AWS_REGION_NAME": "", "AWS_REGION": "us-east-2", "AWS_DEFAULT_REGION": "us-west-1"}
    assert find_region("af-south-1", f"eu-west-1/{CLAUDE}", environ) == "af-south-1"
    assert find_region(None, f"eu-west-1/{CLAUDE}", environ) == "eu-west-1"
    assert find_region(None, CLAUDE, environ) == "us-east-2"
    assert find_region(None, CLAUDE, {**environ, "AWS_REGION_NAME": "me-south-1"}) == "me-south-1"
    assert find_region(None, CLAUDE, {}) == "eu-north-1"
    assert find_region(None, CLAUDE, {}, "two") == "sa-east-1"
    assert find_region(None, CLAUDE, {}, "bare") is None
    with pytest.raises(ConfigurationError, match=r"aws_profile_name: .*missing"):
        find_region(None, CLAUDE, {}, "missing")


def test_the_shared_files_need_botocore(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "botocore.session", None)
    assert find_region(None, CLAUDE, {}) is None
