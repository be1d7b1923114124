"""One entry, one deployment; and what is said of entries that are wrong."""

from __future__ import annotations

from copy import deepcopy
from datetime import date
from pathlib import Path
from typing import Any

import pytest

from providers.catalog import VENDORS
from providers.errors import ConfigurationError
from providers.types import Deployment
from router.config import build_deployment, build_deployments, load

AZURE: dict[str, Any] = {
    "model_name": "azure-gpt4-turbo",
    "litellm_params": {
        "model": "azure/gpt-4-turbo",
        "api_key": "secret",
        "api_version": "2024-06-01",
        "api_base": "https://endpoint1.openai.azure.com",
    },
}


def entry(model: str = "openai/gpt-4o", *, name: str = "gpt", info: object = None, **params: object) -> dict[str, Any]:
    params = {"api_key": "secret"} | params
    return {"model_name": name, "litellm_params": {"model": model, **params}} | ({"model_info": info} if info else {})


def build(raw: dict[str, Any], **environ: str) -> Deployment:
    return build_deployments([raw], environ=environ)[0]


def problems(*raw: object, defaults: dict[str, object] | None = None, **environ: str) -> list[str]:
    with pytest.raises(ConfigurationError) as caught:
        build_deployments(list(raw), defaults, environ=environ)  # type: ignore[arg-type]  # wrong on purpose
    assert caught.value.__context__ is None  # pydantic's error, which holds the values, must not hang on
    head, *lines = str(caught.value).split("\n  ")
    assert not lines or head == f"{len(lines)} problems in the configuration:"
    return lines or [head]


def test_the_entry_of_the_readme() -> None:
    found = build(AZURE)
    assert (found.group, found.provider, found.model) == ("azure-gpt4-turbo", "azure", "gpt-4-turbo")
    assert (found.api_base, found.api_version) == ("https://endpoint1.openai.azure.com", "2024-06-01")
    assert found.api_key is not None
    assert found.api_key.get_secret_value() == "secret"
    assert "secret" not in repr(found)


def test_the_plain_name_params_means_the_same() -> None:
    plain = {"model_name": AZURE["model_name"], "params": AZURE["litellm_params"]}
    assert build(plain).id == build(AZURE).id


def test_every_parameter_arrives(tmp_path: Path) -> None:
    pem = tmp_path / "client.pem"
    pem.touch()
    found = build(
        entry(
            base_url="http://localhost:8000/v1/",
            organization="org",
            project="proj",
            headers={"X-Team": 7, "X-On": True},
            extra_query={"a": 1.5},
            extra_body={"x": [1, None]},
            timeout=30,
            stream_timeout="5",
            idle_timeout=6.5,
            max_retries=4,
            weight=0,
            order=2,
            rpm="10",
            tpm=1000,
            max_parallel_requests=3,
            tags=("b", "a"),
            region_name="eu",
            account="acct",
            holds=["file-1", "vs_1", "file-1"],
            cooldown_time=0,
            max_input_tokens=8000,
            ssl_verify=str(pem),
            ssl_certificate=str(pem),
            proxy="http://user:word@proxy:3128",
            temperature=0.5,
            reasoning={"effort": "low"},
            store=False,
            user=None,
        )
    )
    assert found.api_base == "http://localhost:8000/v1"
    assert (found.organization, found.project, found.region, found.account) == ("org", "proj", "eu", "acct")
    assert (found.headers, found.query) == ({"X-Team": "7", "X-On": "true"}, {"a": "1.5"})
    assert found.extra_body == {"x": [1, None]}
    assert (found.timeout, found.stream_timeout, found.idle_timeout) == (30.0, 5.0, 6.5)
    assert (found.num_retries, found.weight, found.order, found.cooldown_time) == (4, 0.0, 2, 0.0)
    assert (found.rpm, found.tpm, found.max_parallel_requests, found.max_input_tokens) == (10, 1000, 3, 8000)
    assert found.tags == {"a", "b"}
    assert found.holds == {"file-1", "vs_1"}
    assert (found.connection.verify, found.connection.cert) == (str(pem), str(pem))
    assert found.connection.proxy == "http://user:word@proxy:3128"
    assert found.defaults == {"temperature": 0.5, "reasoning": {"effort": "low"}, "store": False}


@pytest.mark.parametrize(
    ("given", "verify"), [(None, True), (True, True), (False, False), ("false", False), ("True", True)]
)
def test_ssl_verify(given: object, verify: bool) -> None:
    assert build(entry(ssl_verify=given)).connection.verify is verify


@pytest.mark.parametrize(
    ("params", "provider", "model"),
    [
        ({"model": "gpt-4o"}, "openai", "gpt-4o"),
        ({"model": "openai/responses/gpt-5"}, "openai", "gpt-5"),
        ({"model": "openrouter/meta/llama"}, "openrouter", "meta/llama"),
        ({"model": "meta/llama", "custom_llm_provider": "openai"}, "openai", "meta/llama"),
        ({"model": "openai/o1", "custom_llm_provider": "openai"}, "openai", "o1"),
        ({"model": "azure/o1", "custom_llm_provider": "openai"}, "openai", "azure/o1"),
        ({"model": "o1", "custom_llm_provider": "xai"}, "xai", "o1"),
    ],
)
def test_who_serves_a_model(params: dict[str, str], provider: str, model: str) -> None:
    found = build({"model_name": "g", "params": params | {"api_key": "k"}})
    assert (found.provider, found.model) == (provider, model)


def test_model_info_may_hold_traits_and_metadata() -> None:
    found = build(entry(info={"id": 7, "rpm": 5, "region_name": "eu", "mode": "responses", "n": {"a": [1]}}))
    assert (found.id, found.rpm, found.region) == ("7", 5, "eu")
    assert found.info == {"mode": "responses", "n": {"a": [1]}}


def test_traits_may_be_said_twice_alike() -> None:
    assert build(entry(info={"rpm": 5}, rpm=5)).rpm == 5


def test_what_an_account_holds_may_be_told_in_either_place() -> None:
    assert build(entry(info={"holds": ["vs_1"]})).holds == {"vs_1"}
    assert build(entry()).holds == frozenset()


def test_defaults_lie_under_each_entry() -> None:
    raw = entry(info={"tpm": 2}, timeout=1)
    found = build_deployments([raw], {"timeout": 9, "tpm": 9, "rpm": 9, "temperature": 0.1}, environ={})[0]
    assert (found.timeout, found.tpm, found.rpm, found.defaults) == (1.0, 2, 9, {"temperature": 0.1})


def test_an_entry_s_credential_replaces_another_kind_by_default() -> None:
    raw = {"model_name": "g", "params": {"model": "azure/x", "api_base": "https://h", "azure_ad_token": "tok"}}
    found = build_deployments([raw], {"api_key": "key"}, environ={})[0]
    assert found.api_key is None
    assert found.token_source is not None
    assert found.token_source() == "tok"


def test_a_token_provider_is_kept_as_it_is() -> None:
    def tokens() -> str:
        return "tok"

    raw = {"model": "azure/x", "api_base": "https://h", "azure_ad_token_provider": tokens}
    found = build({"model_name": "g", "params": raw}, AZURE_API_KEY="ignored")
    assert found.token_source is tokens
    assert found.api_key is None


def test_the_caller_s_list_is_left_alone_and_not_kept() -> None:
    raw = entry(reasoning={"effort": "low"}, extra_body={"a": []}, api_key="os.environ/K")
    before = deepcopy(raw)
    found = build(raw, K="v")
    assert raw == before
    raw["litellm_params"]["reasoning"]["effort"] = "high"
    raw["litellm_params"]["extra_body"]["a"].append(1)
    assert found.defaults == {"reasoning": {"effort": "low"}}
    assert found.extra_body == {"a": []}


def test_references_to_the_environment_are_followed_everywhere() -> None:
    raw = entry(api_key="os.environ/K", rpm="os.environ/N", extra_body={"deep": [{"er": "os.environ/D"}]})
    found = build(raw, K="key", N="12", D="down")
    assert found.api_key is not None
    assert (found.api_key.get_secret_value(), found.rpm) == ("key", 12)
    assert found.extra_body == {"deep": [{"er": "down"}]}


def test_the_process_s_environment_is_the_default(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOMING_TEST_KEY", "from-env")
    key = build_deployments([entry(api_key="os.environ/HOMING_TEST_KEY")])[0].api_key
    assert key is not None
    assert key.get_secret_value() == "from-env"


@pytest.mark.parametrize("name", ["\ud800", "a\0b", "a=b", ""])
def test_names_that_no_variable_can_have(name: str) -> None:
    with pytest.raises(ConfigurationError, match=r"is not set$"):
        build_deployments([entry(api_key=f"os.environ/{name}")])


def test_the_vendor_s_environment_fills_gaps() -> None:
    found = build(
        {"model_name": "g", "params": {"model": "azure/x"}},
        AZURE_OPENAI_API_KEY="second",
        AZURE_API_BASE="https://res.openai.azure.com/",
        AZURE_API_VERSION="preview",
    )
    assert found.api_key is not None
    assert found.api_key.get_secret_value() == "second"
    assert (found.api_base, found.api_version) == ("https://res.openai.azure.com", "preview")


def test_azure_s_token_comes_from_the_environment_for_want_of_a_key() -> None:
    raw = {"model_name": "g", "params": {"model": "azure/x", "api_base": "https://h"}}
    found = build(raw, AZURE_AD_TOKEN="tok")
    assert found.token_source is not None
    assert found.token_source() == "tok"
    assert build(raw, AZURE_AD_TOKEN="tok", AZURE_API_KEY="key").token_source is None


def test_what_an_entry_says_wins_over_the_environment() -> None:
    found = build(AZURE, AZURE_API_KEY="other", AZURE_API_BASE="https://other", AZURE_API_VERSION="v1")
    assert found.api_base == "https://endpoint1.openai.azure.com"
    assert found.api_version == "2024-06-01"


def test_the_responses_version_wins() -> None:
    raw = entry("azure/x", api_base="https://h", api_version="2024-06-01", responses_api_version="preview")
    assert build(raw).api_version == "preview"


def test_yaml_s_dates_are_text() -> None:
    assert build(entry("azure/x", api_base="https://h", api_version=date(2024, 6, 1))).api_version == "2024-06-01"


@pytest.mark.parametrize(
    "params",
    [
        {"model": "openai/x", "api_base": "http://localhost:1"},
        {"model": "hosted_vllm/x", "api_base": "http://localhost:1"},
        {"model": "azure/x", "api_base": "https://h", "extra_headers": {"Authorization": "Bearer t"}},
    ],
)
def test_who_needs_no_key(params: dict[str, object]) -> None:
    assert build({"model_name": "g", "params": params}).api_key is None


def test_a_query_may_name_the_version() -> None:
    found = build(entry("azure/x", api_base="https://h/openai?api-version=preview"))
    assert found.api_base == "https://h/openai?api-version=preview"


LISTED = (
    f"supported: {', '.join(VENDORS)}; for an OpenAI-compatible server write 'openai_compatible/<model>', or "
    "'openai/<model>' if it has /responses"
)
P = "model_list[0].litellm_params"
PRINTABLE = "must be printable, without line breaks, and without blanks around it"
ABSOLUTE = "must be an absolute URL; write 'https://host[:port][/path]'"


@pytest.mark.parametrize(
    ("params", "said"),
    [
        ({"api_bse": "x"}, ".api_bse: unknown field; did you mean 'api_base'?"),
        ({"rmp": 1}, ".rmp: unknown field; did you mean 'rpm'?"),
        ({"qqqq": 1}, ".qqqq: unknown field"),
        ({"odd key": 1}, '["odd key"]: unknown field'),
        ({5: 1}, "[5]: the name must be a string, not int"),
        ({"max_tokens": 5}, ".max_tokens: not supported: the Responses API calls it max_output_tokens"),
        ({"input": "x"}, ".input: not supported: it belongs to a single call; pass it to the call"),
        ({"model": "azrue/x"}, f".model: unknown provider 'azrue'; did you mean 'azure'? ({LISTED})"),
        ({"model": "qq/x"}, f".model: unknown provider 'qq' ({LISTED})"),
        ({"custom_llm_provider": "qq"}, f".custom_llm_provider: unknown provider 'qq' ({LISTED})"),
        ({"model": "openai/"}, ".model: names no model; write 'openai/<model>'"),
        ({"model": ""}, ".model: must not be empty"),
        ({"model": 5}, ".model: must be a string"),
        ({"model": None}, ".model: is required"),
        (
            {"model": "openai/*"},
            ".model: has a '*' but model_name has none to fill it; write one there, e.g. 'openai/*'",
        ),
        ({"model": "openai/*-*"}, ".model: may hold only one '*'"),
        ({"rpm": 0}, ".rpm: must be at least 1"),
        ({"rpm": True}, ".rpm: must be a number"),
        ({"rpm": 1.5}, ".rpm: must be a whole number"),
        ({"rpm": "many"}, ".rpm: must be a whole number"),
        ({"rpm": 2**70}, ".rpm: is too large a number"),
        ({"weight": -1}, ".weight: must be at least 0"),
        ({"weight": float("nan")}, ".weight: must be a finite number"),
        ({"weight": "inf"}, ".weight: must be a finite number"),
        ({"timeout": 0}, ".timeout: must be greater than 0"),
        ({"timeout": "soon"}, ".timeout: must be a number"),
        ({"store": 5}, ".store: must be true or false"),
        ({"tools": object()}, ".tools: must be plain JSON data"),
        ({"reasoning": {"x": float("inf")}}, ".reasoning: must be plain JSON data"),
        ({"tags": "free"}, ".tags: must be a list"),
        ({"tags": ["a", ""]}, ".tags[1]: must not be empty"),
        ({"holds": "file-1"}, ".holds: must be a list"),
        ({"extra_body": 5}, ".extra_body: must be a mapping"),
        ({"extra_body": {"x": {"y"}, "z": object()}}, ".extra_body.z: must be plain JSON data"),
        ({"extra_headers": {"a": [1]}}, ".extra_headers.a: must be a string"),
        ({"extra_headers": {"a b": "x"}}, '.extra_headers["a b"]: is not a header\'s name'),
        ({"extra_headers": {"a": "x\r\nb: y"}}, f".extra_headers.a: {PRINTABLE}"),
        ({"api_key": ""}, ".api_key: must not be empty"),
        ({"api_key": "k\n"}, f".api_key: {PRINTABLE}"),
        ({"api_key": "k\ud800"}, f".api_key: {PRINTABLE}"),
        ({"api_key": 5}, ".api_key: must be a string"),
        ({"api_key": "os.environ/NOPE"}, ".api_key: the environment variable 'NOPE' is not set"),
        ({"api_key": "os.environ/\ud800"}, ".api_key: the environment variable '\\ud800' is not set"),
        ({"tags": ["os.environ/NOPE"]}, ".tags[0]: the environment variable 'NOPE' is not set"),
        ({"api_base": "localhost:8000"}, f".api_base: {ABSOLUTE}"),
        ({"api_base": "http://"}, f".api_base: {ABSOLUTE}"),
        ({"api_base": "http://a b"}, f".api_base: {ABSOLUTE}"),
        ({"api_base": "http://h:port"}, ".api_base: is not a URL; write 'https://host[:port][/path]'"),
        (
            {"api_base": "http://u:p@h"},
            ".api_base: must not hold a user name or password; use api_key or extra_headers",
        ),
        ({"api_base": "http://h?key=s"}, ".api_base: must have no query but 'api-version'; use extra_query"),
        ({"proxy": "proxy:3128"}, f".proxy: {ABSOLUTE}"),
        ({"ssl_verify": "/no/such/file"}, ".ssl_verify: names no file"),
        ({"ssl_verify": 5}, ".ssl_verify: must be true, false or the path of a CA bundle"),
        ({"client_cert": "a\0b"}, ".client_cert: names no file"),
        ({"azure_ad_token_provider": "x", "api_key": None}, ".azure_ad_token_provider: must be callable"),
        ({"azure_ad_token": "t"}, f".azure_ad_token: contradicts {P}.api_key; give one of them"),
        ({"max_retries": 1, "num_retries": 1}, f".num_retries: another name of {P}.max_retries; give one of them"),
        ({"base_url": "ftp://x"}, f".base_url: {ABSOLUTE}"),
    ],
)
def test_what_is_said_of_parameters(params: dict[str, object], said: str) -> None:
    raw = entry()
    raw["litellm_params"] |= params
    assert problems(raw) == [P + said]


@pytest.mark.parametrize(
    ("raw", "said"),
    [
        (5, "model_list[0]: must be a mapping, not int"),
        ({"model_name": "g"}, "model_list[0].litellm_params: is required"),
        ({"model_name": "g", "params": []}, "model_list[0].params: must be a mapping"),
        ({"model_name": "", "params": {"model": "x", "api_key": "k"}}, "model_list[0].model_name: must not be empty"),
        ({"model_name": 5, "params": {"model": "x", "api_key": "k"}}, "model_list[0].model_name: must be a string"),
        ({"params": {"model": "x", "api_key": "k"}}, "model_list[0].model_name: is required"),
        (entry() | {"rpm": 5}, "model_list[0].rpm: belongs in litellm_params"),
        (entry() | {"base_url": 5}, "model_list[0].base_url: belongs in litellm_params"),
        (entry() | {"modelname": 5}, "model_list[0].modelname: unknown field; did you mean 'model_name'?"),
        (
            entry() | {"params": {}},
            "model_list[0].params: another name of model_list[0].litellm_params; give one of them",
        ),
        (entry() | {"model_info": 5}, "model_list[0].model_info: must be a mapping"),
        (entry(name="*-*"), "model_list[0].model_name: may hold only one '*'"),
        (entry(info={"weigth": 1}), "model_list[0].model_info.weigth: unknown field; did you mean 'weight'?"),
        (entry(info={"api_key": "s"}), "model_list[0].model_info.api_key: belongs in litellm_params"),
        (
            entry(info={"blocked": True}),
            "model_list[0].model_info.blocked: not supported: leave the deployment out of model_list, or "
            "delete_deployment it",
        ),
        (entry(info={"x": object()}), "model_list[0].model_info.x: must be plain JSON data"),
        (entry(info={"id": ""}), "model_list[0].model_info.id: must not be empty"),
        (entry(info={"id": "x" * 257}), "model_list[0].model_info.id: must have at most 256 characters"),
        (entry(info={"rpm": -1}), "model_list[0].model_info.rpm: must be at least 1"),
        (entry(info={"rpm": 5}, rpm=6), f"model_list[0].model_info.rpm: contradicts {P}.rpm; give it once"),
    ],
)
def test_what_is_said_of_entries(raw: object, said: str) -> None:
    assert problems(raw) == [said]


def test_an_entry_without_a_group_is_read_on() -> None:
    raw = entry(rpm=0, name="")
    assert problems(raw) == ["model_list[0].model_name: must not be empty", f"{P}.rpm: must be at least 1"]
    assert problems({"model_name": "os.environ/NOPE", "params": {"model": "gpt-4o", "api_key": "k"}}) == [
        "model_list[0].model_name: the environment variable 'NOPE' is not set"
    ]


def test_what_is_missing_for_a_noted_reason_is_not_missed() -> None:
    said = "the environment variable 'NOPE' is not set"
    gone = "os.environ/NOPE"
    assert problems({"model_name": "g", "params": gone}) == [f"model_list[0].params: {said}"]
    raw = {"model_name": "g", "params": {"model": "azure/x", "base_url": gone, "azure_ad_token": gone}}
    assert problems(raw) == [f"model_list[0].params.base_url: {said}", f"model_list[0].params.azure_ad_token: {said}"]
    assert problems({"model_name": "g", "params": {"model": gone}}) == [f"model_list[0].params.model: {said}"]
    assert problems({"model_name": "g", "params": {"model": "gpt-4o"}}, defaults={"api_key": gone}) == [
        f"default_litellm_params.api_key: {said}"
    ]


def test_a_missing_address_names_where_it_was_looked_for() -> None:
    assert problems(entry("azure/x")) == [
        f"{P}.api_base: is required: azure has no address of its own "
        "(environment variables looked at: AZURE_API_BASE, AZURE_OPENAI_ENDPOINT)"
    ]


def test_a_missing_key_names_where_it_was_looked_for() -> None:
    assert problems(entry(api_key=None)) == [
        f"{P}.api_key: is required: openai takes no call without a key "
        "(environment variables looked at: OPENAI_API_KEY)"
    ]


def test_what_the_environment_holds_is_checked_as_well() -> None:
    said = problems(entry("azure/x", api_key=None), AZURE_API_BASE="no url", AZURE_API_KEY="line\nbreak")
    assert said == [
        f"{P}.api_base: the environment variable 'AZURE_API_BASE' {ABSOLUTE}",
        f"{P}.api_key: the environment variable 'AZURE_API_KEY' {PRINTABLE}",
    ]


def test_depth_is_bounded() -> None:
    deep: list[object] = []
    for _ in range(100_000):
        deep = [deep]
    (said,) = problems(entry(tools=deep))
    assert said.startswith(f"{P}.tools[0][0]")
    assert said.endswith(": is nested more than 64 levels deep")


def test_defaults_are_checked_once() -> None:
    said = problems(entry(), entry(), defaults={"rmp": 1, "timeout": -1, "model": "x"})
    assert said == [
        "default_litellm_params.rmp: unknown field; did you mean 'rpm'?",
        "default_litellm_params.model: belongs to each entry of model_list",
        "default_litellm_params.timeout: must be greater than 0",
    ]


def test_all_problems_are_said_at_once() -> None:
    said = problems(
        entry(rpm=0, weight=-1, api_bse="x"),
        entry(api_key="os.environ/A", timeout="os.environ/B"),
        entry("azrue/x", tpm=0),
    )
    assert [line.split(":")[0] for line in said] == [
        "model_list[0].litellm_params.api_bse",
        "model_list[0].litellm_params.weight",
        "model_list[0].litellm_params.rpm",
        "model_list[1].litellm_params.api_key",
        "model_list[1].litellm_params.timeout",
        "model_list[2].litellm_params.tpm",
        "model_list[2].litellm_params.model",
    ]


def test_a_flood_of_problems_is_cut() -> None:
    with pytest.raises(ConfigurationError) as caught:
        build_deployments([entry(rpm=0)] * 150)
    lines = str(caught.value).split("\n  ")
    assert len(lines) == 102
    assert (lines[0], lines[-1]) == ("150 problems in the configuration:", "… and 50 more")


def test_settings_and_entries_are_judged_together() -> None:
    with pytest.raises(ConfigurationError) as caught:
        load([entry(rpm=0)], {"num_retires": 1}, environ={})
    assert str(caught.value).split("\n  ")[1:] == [
        "num_retires: unknown argument; did you mean 'num_retries'?",
        f"{P}.rpm: must be at least 1",
    ]


@pytest.mark.parametrize("wrong", [5, "text", {"a": 1}, None])
def test_a_model_list_is_a_list(wrong: Any) -> None:
    with pytest.raises(ConfigurationError, match=r"^model_list: must be a list of mappings, not "):
        load(wrong, {}, environ={})


def test_one_deployment() -> None:
    found = build_deployment(entry(), {"timeout": 3}, environ={})
    assert found.timeout == 3.0
    assert build_deployment(entry(), taken={found.id}, environ={}).id == f"{found.id}-2"
    with pytest.raises(ConfigurationError, match=r"^deployment\.litellm_params\.rpm: must be at least 1$"):
        build_deployment(entry(rpm=0), environ={})
