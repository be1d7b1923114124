"""What model strings mean: the tables of the documentation, and what holds for any string."""

from __future__ import annotations

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from providers.models import AWS_REGION, GOOGLE_LOCATION, Meaning, Rule, always, azure_ai, bedrock, resolve, vertex
from providers.types import Dialect

RESPONSES, CHAT, MESSAGES = Dialect.RESPONSES, Dialect.CHAT_COMPLETIONS, Dialect.MESSAGES
CONVERSE, GENERATE = Dialect.CONVERSE, Dialect.GENERATE_CONTENT
FOUNDRY = "https://res.services.ai.azure.com"
SONNET = "anthropic.claude-sonnet-4-5-20250929-v1:0"
ARN = f"arn:aws:bedrock:eu-west-1:123456789012:inference-profile/eu.{SONNET}"
IMPORTED = "arn:aws:bedrock:us-east-1:123456789012:imported-model/abc"


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        (SONNET, Meaning(SONNET, CONVERSE)),
        (f"us.{SONNET}", Meaning(f"us.{SONNET}", CONVERSE)),
        (f"converse/us.{SONNET}", Meaning(f"us.{SONNET}", CONVERSE)),
        (f"us-west-2/{SONNET}", Meaning(SONNET, CONVERSE, "us-west-2")),
        (f"us-gov-west-1/{SONNET}", Meaning(SONNET, CONVERSE, "us-gov-west-1")),
        (f"converse/ap-southeast-2/{SONNET}", Meaning(SONNET, CONVERSE, "ap-southeast-2")),
        (f"ap-southeast-2/converse/{SONNET}", Meaning(SONNET, CONVERSE, "ap-southeast-2")),
        (ARN, Meaning(ARN, CONVERSE, "eu-west-1")),
        (f"us-east-1/{ARN}", Meaning(ARN, CONVERSE, "us-east-1")),
        (f"llama/{IMPORTED}", Meaning(IMPORTED, CONVERSE, "us-east-1")),
        ("arn:odd", Meaning("arn:odd", CONVERSE)),
        ("arn:aws:bedrock::aws:foundation-model/x", Meaning("arn:aws:bedrock::aws:foundation-model/x", CONVERSE)),
        ("openai.gpt-5.6", Meaning("openai.gpt-5.6", RESPONSES)),
        ("us.openai.gpt-5.6-mini", Meaning("us.openai.gpt-5.6-mini", RESPONSES)),
        ("global.openai.gpt-6", Meaning("global.openai.gpt-6", RESPONSES)),
        ("eu-west-1/eu.openai.gpt-5.6", Meaning("eu.openai.gpt-5.6", RESPONSES, "eu-west-1")),
        ("converse/openai.gpt-5.6", Meaning("openai.gpt-5.6", CONVERSE)),
        ("openai.gpt-oss-120b-1:0", Meaning("openai.gpt-oss-120b-1:0", CONVERSE)),
        ("us.openai.gpt-oss-20b", Meaning("us.openai.gpt-oss-20b", CONVERSE)),
        ("a-model-of-2031", Meaning("a-model-of-2031", CONVERSE)),
        ("*", Meaning("*", CONVERSE)),
    ],
)
def test_bedrock(given: str, expected: Meaning) -> None:
    assert bedrock(given, None) == expected


@pytest.mark.parametrize(
    ("base", "region"),
    [
        ("https://bedrock-runtime.eu-central-1.amazonaws.com", "eu-central-1"),
        ("https://bedrock-runtime-fips.us-gov-west-1.amazonaws.com/x", "us-gov-west-1"),
        ("https://bedrock-runtime.cn-north-1.amazonaws.com.cn", "cn-north-1"),
        ("http://127.0.0.1:8000", None),
    ],
)
def test_bedrock_s_host_names_the_region(base: str, region: str | None) -> None:
    assert bedrock(SONNET, base).region == region
    assert bedrock(f"us-east-2/{SONNET}", base).region == "us-east-2"
    assert bedrock(ARN, base).region == "eu-west-1"


@pytest.mark.parametrize(
    ("route", "instead"),
    [
        ("invoke", "write 'bedrock/<model>'"),
        ("mantle", "bedrock-runtime"),
        ("agent", "no models"),
        ("agentcore", "no models"),
        ("claude_platform", "write 'anthropic/<model>'"),
        ("converse_like", "with api_base"),
        ("async_invoke", "Converse"),
    ],
)
def test_other_apis_of_bedrock_are_refused(route: str, instead: str) -> None:
    for model in (f"{route}/{SONNET}", f"us-east-1/{route}/{SONNET}", f"{route}/{ARN}"):
        with pytest.raises(ValueError, match=rf"'{route}/'.*{instead}"):
            bedrock(model, None)


def test_what_else_stands_before_a_model_of_bedrock_is_refused() -> None:
    with pytest.raises(ValueError, match="a region and 'converse/' before the model, and nothing else"):
        bedrock("anthropic/claude-opus-4-6", None)


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ("gemini-3-pro", Meaning("gemini-3-pro", GENERATE)),
        ("google/gemini-3-pro", Meaning("gemini-3-pro", GENERATE)),
        ("gemini/1234567890", Meaning("1234567890", GENERATE)),
        ("1234567890", Meaning("1234567890", GENERATE)),
        ("*", Meaning("*", GENERATE)),
        ("claude-opus-4-6", Meaning("claude-opus-4-6", MESSAGES)),
        ("claude-*", Meaning("claude-*", MESSAGES)),
        ("claude-3-5-sonnet@20240620", Meaning("claude-3-5-sonnet@20240620", MESSAGES)),
        ("anthropic/claude-opus-4-6", Meaning("claude-opus-4-6", MESSAGES)),
        ("openai/gpt-oss-120b-maas", Meaning("openai/gpt-oss-120b-maas", CHAT)),
        ("meta/llama-4-maverick-maas", Meaning("meta/llama-4-maverick-maas", CHAT)),
        ("google/gemma-4-maas", Meaning("google/gemma-4-maas", CHAT)),
        ("mistral-large-2411", Meaning("mistral-large-2411", CHAT)),
        ("endpoints/123", Meaning("endpoints/123", GENERATE)),
        ("projects/p/locations/l/endpoints/1", Meaning("projects/p/locations/l/endpoints/1", GENERATE)),
        ("publishers/google/models/gemini-3-pro", Meaning("publishers/google/models/gemini-3-pro", GENERATE)),
        ("publishers/anthropic/models/claude-x", Meaning("publishers/anthropic/models/claude-x", MESSAGES)),
        ("publishers/meta/models/llama-4", Meaning("publishers/meta/models/llama-4", CHAT)),
    ],
)
def test_vertex(given: str, expected: Meaning) -> None:
    assert vertex(given, None) == expected


@pytest.mark.parametrize(
    ("given", "base", "expected"),
    [
        ("gpt-5", FOUNDRY, Meaning("gpt-5", RESPONSES)),
        ("gpt-5", f"{FOUNDRY}/models", Meaning("gpt-5", RESPONSES)),
        ("gpt-5", f"{FOUNDRY}/api/projects/p", Meaning("gpt-5", RESPONSES)),
        ("gpt-5", "https://RES.OpenAI.Azure.com", Meaning("gpt-5", RESPONSES)),
        ("model_router/mine", FOUNDRY, Meaning("mine", RESPONSES)),
        ("claude-opus-4-6", FOUNDRY, Meaning("claude-opus-4-6", MESSAGES)),
        ("Claude-mine", FOUNDRY, Meaning("Claude-mine", MESSAGES)),
        ("mine", f"{FOUNDRY}/anthropic", Meaning("mine", MESSAGES)),
        ("mine", f"{FOUNDRY}/anthropic/v1/messages", Meaning("mine", MESSAGES)),
        ("Phi-4", "https://phi.eastus2.models.ai.azure.com", Meaning("Phi-4", CHAT)),
        ("gpt-5", "https://gate/v1", Meaning("gpt-5", CHAT)),
        ("gpt-5", "https://gate/v1/responses", Meaning("gpt-5", RESPONSES)),
        ("gpt-5", None, Meaning("gpt-5", CHAT)),
    ],
)
def test_azure_ai(given: str, base: str | None, expected: Meaning) -> None:
    assert azure_ai(given, base) == expected


def test_azure_ai_s_agents_are_refused() -> None:
    with pytest.raises(ValueError, match="agents are no models"):
        azure_ai("agents/asst_1", FOUNDRY)


def test_marks_that_say_nothing() -> None:
    rule = always(RESPONSES, "o_series/", "gpt5_series/")
    assert rule("o_series/mine", None) == Meaning("mine", RESPONSES)
    assert rule("gpt5_series/mine", None) == Meaning("mine", RESPONSES)
    assert rule("mine", None) == Meaning("mine", RESPONSES)


BOTH = (RESPONSES, CHAT)
NATIVE, BRIDGED = always(RESPONSES), always(CHAT)


@pytest.mark.parametrize(
    ("rule", "model", "wishes", "expected"),
    [
        (NATIVE, "m", {}, RESPONSES),
        (NATIVE, "responses/m", {}, RESPONSES),
        (NATIVE, "chat_completions/m", {}, CHAT),
        (NATIVE, "m", {"chat_completions": True}, CHAT),
        (NATIVE, "responses/m", {"chat_completions": True}, CHAT),
        (NATIVE, "m", {"chat_completions": True, "dialect": RESPONSES}, RESPONSES),
        (BRIDGED, "m", {}, CHAT),
        (BRIDGED, "responses/m", {}, RESPONSES),
        (BRIDGED, "m", {"endpoints": ["/v1/responses"]}, RESPONSES),
        (BRIDGED, "m", {"endpoints": ["/v1/chat/completions"]}, CHAT),
        (BRIDGED, "chat_completions/m", {"endpoints": ["/v1/responses"]}, CHAT),
        (BRIDGED, "m", {"dialect": MESSAGES}, MESSAGES),
    ],
)
def test_wishes(rule: Rule, model: str, wishes: dict[str, object], expected: Dialect) -> None:
    assert resolve(rule, BOTH, model, **wishes) == Meaning("m", expected)  # type: ignore[arg-type]  # of several types


def test_litellm_s_wishes_for_what_we_always_speak_do_no_harm() -> None:
    only = always(MESSAGES)
    assert resolve(only, [MESSAGES], "responses/m") == Meaning("m", MESSAGES)
    assert resolve(only, [MESSAGES], "m", endpoints=["/v1/responses"]) == Meaning("m", MESSAGES)


@pytest.mark.parametrize("model", ["", "responses/", "chat_completions/"])
def test_a_missing_name_is_empty(model: str) -> None:
    assert resolve(NATIVE, BOTH, model).model == ""


@pytest.mark.parametrize("region", ["us-east-1", "ap-southeast-2", "us-gov-west-1", "us-iso-east-1", "eusc-de-east-1"])
def test_regions_of_aws(region: str) -> None:
    assert AWS_REGION.fullmatch(region)


@pytest.mark.parametrize("location", ["us", "eu", "global", "us-central1", "northamerica-northeast2"])
def test_locations_of_google(location: str) -> None:
    assert GOOGLE_LOCATION.fullmatch(location)


@pytest.mark.parametrize("name", ["evil.example/", "eu", "us_east_1", "us-east-1.evil", "US-EAST-1", "", "a@b"])
def test_what_is_no_region(name: str) -> None:
    assert not AWS_REGION.fullmatch(name)
    assert name == "eu" or not GOOGLE_LOCATION.fullmatch(name)


pieces = st.sampled_from(
    [
        "converse",
        "us-east-1",
        "invoke",
        "claude-x",
        "gemini",
        "google",
        "*",
        "arn:aws:bedrock:eu-west-1:1:x",
        "123",
        "openai.gpt-7",
        "agents",
        "o_series",
        "responses",
        "chat_completions",
        "model_router",
        "llama",
        "",
    ]
) | st.text(max_size=6)
models = st.lists(pieces, max_size=5).map("/".join)
bases = st.none() | st.sampled_from([FOUNDRY, "https://gate/v1", "https://bedrock-runtime.eu-west-1.amazonaws.com"])
RULES = [always(RESPONSES, "o_series/"), azure_ai, bedrock, vertex]


@given(st.sampled_from(RULES), models, bases)
def test_a_model_is_an_end_of_what_was_written_and_stands_for_itself(rule: Rule, model: str, base: str | None) -> None:
    with suppress(ValueError):
        found = resolve(rule, BOTH, model, base)
        assert model.endswith(found.model)
        assert found.region is None or AWS_REGION.fullmatch(found.region)


@given(st.sampled_from(RULES), models, bases, st.sampled_from(list(Dialect)))
def test_an_asked_for_dialect_changes_nothing_else(rule: Rule, model: str, base: str | None, dialect: Dialect) -> None:
    with suppress(ValueError):
        found = resolve(rule, BOTH, model, base)
        asked = resolve(rule, BOTH, model, base, dialect=dialect)
        assert asked == Meaning(found.model, dialect, found.region)
