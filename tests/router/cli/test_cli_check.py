"""`homing check`: what is wrong with a configuration, or what it yields."""

import json
import os
from collections.abc import Mapping
from pathlib import Path

import pytest
from markdown_blocks import blocks

from router import Router
from router.cli import main
from router.config.proxy_file import ProxyConfig
from router.proxy.launch import make_router

RIGHT = """\
model_list:
  - model_name: gpt
    litellm_params: {model: openai/gpt-4o, api_key: os.environ/CHECKED_KEY}
    model_info: {id: east}
  - model_name: gpt
    litellm_params: {model: anthropic/claude, api_key: k}
    model_info: {id: west}
  - model_name: spare
    litellm_params: {model: openai/gpt-4o, api_key: k, tags: [eu]}
    model_info: {id: spare}
router_settings:
  routing_groups: [{group_name: fast, models: [spare], routing_strategy: least-busy}]
  model_group_alias: {default: gpt}
  optional_pre_call_checks: [responses_api_deployment_check]
  health_checks: models
  redis_host: nowhere.example.com
  fallbacks: [{gpt: [spare]}]
litellm_settings: {callbacks: otel, cache: true}
general_settings: {master_key: sk-secret-key}
environment_variables: {CHECKED_KEY: sk-k}
include: more.yaml
"""


@pytest.fixture(autouse=True)
def _files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "right.yaml").write_text(RIGHT)
    (tmp_path / "more.yaml").write_text("model_list:\n")
    monkeypatch.chdir(tmp_path)


def test_it_shows_what_the_configuration_yields(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["check", "right.yaml"]) == 0
    shown = capsys.readouterr().out
    rows = [line.split() for line in shown.splitlines()]
    assert ["gpt", "east", "openai/gpt-4o", "responses", "adaptive"] in rows
    assert ["west", "anthropic/claude", "messages"] in rows
    assert ["spare", "spare", "openai/gpt-4o", "responses", "least-busy"] in rows
    for said in (
        "alias: default → gpt",
        "fallbacks: gpt → spare",
        "default_fallbacks: none",
        "checks: ResponsesApiDeployment",
        "callbacks: otel",
        "master key: set",
        "Redis: shared with others that use it",
        "note: litellm_settings.cache: has no effect: responses are not cached; Redis is set in router_settings",
        "right.yaml is right.",
    ):
        assert said in shown.splitlines()
    assert "sk-" not in shown
    assert "CHECKED_KEY" not in os.environ


def test_as_json(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["check", "right.yaml", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["valid"] is True
    assert [group["name"] for group in found["groups"]] == ["gpt", "spare"]
    assert found["includes"] == ["more.yaml"]


def test_every_problem_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    Path("wrong.yaml").write_text("model_list: []\nrouter_settings:\n  num_retris: 1\n  timeout: -1\n")
    assert main(["check", "wrong.yaml"]) == 1
    assert capsys.readouterr().err == (
        "homing check: 2 problems in the configuration:\n"
        "  wrong.yaml, line 3: router_settings.num_retris: unknown field; did you mean 'num_retries'?\n"
        "  wrong.yaml, line 4: router_settings.timeout: must be greater than 0\n"
    )
    assert main(["check", "wrong.yaml", "--json"]) == 1
    found = json.loads(capsys.readouterr().out)
    assert found["valid"] is False
    assert len(found["problems"]) == 2


def test_what_only_a_router_finds_is_told_too(capsys: pytest.CaptureFixture[str]) -> None:
    Path("wrong.yaml").write_text("model_list: []\nrouter_settings:\n  optional_pre_call_checks: [tag]\n")
    assert main(["check", "wrong.yaml", "--json"]) == 1
    said = json.loads(capsys.readouterr().out)["problems"]
    assert len(said) == 1
    assert said[0].startswith("wrong.yaml, line 3: router_settings.optional_pre_call_checks[0]: unknown check 'tag'")


def test_the_schema_of_the_whole_file(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["check", "--schema"]) == 0
    assert "general_settings" in json.loads(capsys.readouterr().out)["properties"]


def test_no_file_is_a_wrong_question(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["check"]) == 2
    assert capsys.readouterr().err == "homing check: name a configuration, or say --schema\n"


def test_little_is_shown_of_little(capsys: pytest.CaptureFixture[str]) -> None:
    Path("bare.yaml").write_text("model_list: []\n")
    assert main(["check", "bare.yaml"]) == 0
    assert "master key: none: only this machine may use the proxy" in capsys.readouterr().out


def test_the_readmes_file_is_right(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    readme = (Path(__file__).parents[3] / "README.md").read_text()
    block = next(each for each in blocks(readme) if each.language == "yaml" and each.section == "Proxy")
    Path("config.yaml").write_text(block.text)
    for name in ("AZURE_API_KEY", "OPENAI_API_KEY", "MASTER_KEY"):
        monkeypatch.setenv(name, "k")
    monkeypatch.setenv("AZURE_API_BASE", "https://contoso.example.com")
    assert main(["check", "config.yaml"]) == 0
    shown = capsys.readouterr().out
    assert "note" not in shown
    assert "callbacks: prometheus" in shown


def test_its_router_asks_nobody_by_itself(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[Mapping[str, object]] = []

    def spied(config: ProxyConfig, settings: Mapping[str, object]) -> Router:
        made.append(settings)
        return make_router(config, settings)

    monkeypatch.setattr("router.proxy.launch.make_router", spied)
    entry = "{model_name: gpt, litellm_params: {model: openai/gpt, api_key: k}, model_info: {health_check: call}}"
    settings = "{timeout: 9, health_check_interval: 0.001, price_updates: true}"
    Path("asking.yaml").write_text(f"model_list: [{entry}]\nrouter_settings: {settings}\n")
    assert main(["check", "asking.yaml"]) == 0
    assert made == [{"timeout": 9, "health_check_interval": 1e9, "price_updates": False}]
