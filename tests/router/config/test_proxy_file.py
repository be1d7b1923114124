"""The proxy's file: what LiteLLM's users write runs, and what is wrong is named with its line."""

import json
import os
from pathlib import Path
from typing import Any

import pytest

from providers.errors import ConfigurationError
from router import Router
from router.config.file import read_config
from router.config.file_schema import file_schema
from router.config.proxy_file import placed, read_proxy_config

LITELLM = """\
model_list:
  - model_name: gpt-4o
    litellm_params:
      model: azure/gpt-4o-eu
      api_base: https://eu.example.com
      api_key: os.environ/AZURE_KEY
      rpm: 6
  - model_name: gpt-4o
    litellm_params: {model: openai/gpt-4o, api_key: os.environ/OPENAI_KEY}
litellm_settings:
  drop_params: true
  num_retries: 4
  request_timeout: 30
  callbacks: [prometheus]
  success_callback: ["langfuse", opentelemetry, otel]
  failure_callback: prometheus
  set_verbose: true
router_settings:
  num_retries: 3
  optional_pre_call_checks: [responses_api_deployment_check]
general_settings:
  master_key: os.environ/PROXY_KEY
  max_request_size_mb: 2
  database_url: postgresql://x
  user_header_name: X-User
environment_variables:
  OPENAI_KEY: sk-of-the-file
  AZURE_KEY: os.environ/AZURE_FROM_OUTSIDE
"""
ENVIRON = {"PROXY_KEY": "sk-1234", "AZURE_FROM_OUTSIDE": "secret"}


def written(tmp_path: Path, text: str, name: str = "config.yaml") -> Path:
    path = tmp_path / name
    path.write_text(text)
    return path


def test_a_file_of_litellms_runs(tmp_path: Path) -> None:
    found = read_proxy_config(written(tmp_path, LITELLM), ENVIRON)
    assert [each["model_name"] for each in found.model_list] == ["gpt-4o", "gpt-4o"]
    assert found.router_settings == {
        "num_retries": 3,
        "optional_pre_call_checks": ["responses_api_deployment_check"],
        "drop_params": True,
        "timeout": 30,
        "user_header_name": "X-User",
    }
    assert found.general.master_key is not None
    assert found.general.master_key.get_secret_value() == "sk-1234"
    assert found.general.max_request_size_mb == 2
    assert found.callbacks == ("prometheus", "otel")
    assert found.environment == {"OPENAI_KEY": "sk-of-the-file", "AZURE_KEY": "secret"}
    assert found.notes == (
        "litellm_settings.num_retries: router_settings.num_retries wins",
        "litellm_settings.success_callback[0]: 'langfuse' has no effect: only otel and prometheus are built in",
        "litellm_settings.set_verbose: has no effect: start the proxy with --log-level or --json-logs",
        "general_settings.database_url: has no effect: there is no database; what is shared is kept in Redis",
    )
    assert "sk-" not in repr(found)


def test_every_problem_is_told_with_its_line(tmp_path: Path) -> None:
    path = written(
        tmp_path,
        """\
model_list:
  - model_name: gpt
    litellm_params:
      model: openai/gpt
      api_kee: k
litellm_settings:
  request_timeout: soon
  num_retry: 3
  callbacks: [prometeus, 3]
  success_callback: [prometeus]
  guardrails: []
  fallbacks: [{gpt: [gtp]}]
general_settings:
  master_key: os.environ/NOWHERE
  master_kye: x
  allowed_ips: []
  max_request_size_mb: 0
environment_variables:
  A: [1]
  B: true
  "C=": "1"
""",
    )
    with pytest.raises(ConfigurationError) as error:
        read_proxy_config(path, {"OPENAI_API_KEY": "k"})
    lines = str(error.value).splitlines()
    assert lines[0] == "14 problems in the configuration:"
    for line, said in {
        5: "model_list[0].litellm_params.api_kee: unknown field; did you mean 'api_key'?",
        7: "litellm_settings.request_timeout: must be a number",
        8: "litellm_settings.num_retry: unknown field; did you mean 'num_retries'?",
        9: "litellm_settings.callbacks: must be a list of names",
        10: "litellm_settings.success_callback[0]: unknown callback 'prometeus'; did you mean 'prometheus'?",
        11: "litellm_settings.guardrails: not supported: put them before the proxy, or into a pre-call check",
        12: "litellm_settings.fallbacks.gpt[0]: no model group 'gtp'; did you mean 'gpt'?",
        14: "general_settings.master_key: the environment variable 'NOWHERE' is not set",
        15: "general_settings.master_kye: unknown field; did you mean 'master_key'?",
        16: "general_settings.allowed_ips: not supported: put a firewall or a reverse proxy before the proxy",
        17: "general_settings.max_request_size_mb: must be greater than 0",
        19: "environment_variables.A: must be a string, not list",
        20: "environment_variables.B: must be a string, not bool",
        21: 'environment_variables["C="]: is nothing that the environment can hold',
    }.items():
        assert f"  {path}, line {line}: {said}" in lines


def test_groups_that_litellm_settings_name_are_looked_up(tmp_path: Path) -> None:
    text = "model_list: [{model_name: gpt, litellm_params: {model: openai/gpt, api_key: k}}]\n"
    path = written(tmp_path, text + "litellm_settings:\n  fallbacks:\n  - gpt: [gtp]\n")
    with pytest.raises(ConfigurationError, match=r"line 3: litellm_settings.fallbacks.gpt\[0\]: no model group 'gtp'"):
        read_proxy_config(path, {})


@pytest.mark.parametrize("value", ["3", "[1]", "''", "[[]]"])
def test_an_include_that_is_none(tmp_path: Path, value: str) -> None:
    path = written(tmp_path, f"include: {value}\nmodel_list: []\n")
    if value == "''":
        assert read_config(path).model_list == []
        return
    with pytest.raises(ConfigurationError, match=r"include: must be a list of paths"):
        read_config(path)


def test_included_files_are_merged_and_their_lines_known(tmp_path: Path) -> None:
    (tmp_path / "more").mkdir()
    entry = "model_name: gpt, litellm_params: {model: openai/gpt, api_key: k}"
    written(tmp_path / "more", f"model_list:\n- {{{entry}}}\n- {{{entry}, odd: 1}}\ninclude: x.json\n", "a.yaml")
    written(tmp_path / "more", json.dumps({"router_settings": {"timeout": 5, "num_retries": 9}}), "x.json")
    path = written(
        tmp_path, f"include: [more/a.yaml]\nmodel_list:\n- {{{entry}}}\nrouter_settings: {{num_retries: 1}}\n"
    )
    found = read_config(path)
    assert len(found.model_list) == 3
    assert found.router_settings == {"num_retries": 1, "timeout": 5}
    with pytest.raises(ConfigurationError) as error:
        read_proxy_config(path, {})
    assert str(error.value).startswith(f"{tmp_path}/more/a.yaml, line 3: model_list[2].odd: unknown field")


def test_no_file_is_included_twice(tmp_path: Path) -> None:
    path = written(tmp_path, "include: [b.yaml]\nmodel_list: []\n")
    other = written(tmp_path, "include: [./config.yaml]\n", "b.yaml")
    with pytest.raises(ConfigurationError) as error:
        read_config(path)
    assert str(error.value) == f"{other}: include: './config.yaml' is read already; include each file once"


def test_not_any_number_of_files_is_included(tmp_path: Path) -> None:
    for number in range(101):
        written(tmp_path, f"include: [{number + 1}.yaml]\nmodel_list:\n", f"{number}.yaml")
    with pytest.raises(ConfigurationError, match="one of more than 100 files"):
        read_config(tmp_path / "0.yaml")


def test_lines_of_what_is_merged_and_deep_are_told_as_well_as_can_be(tmp_path: Path) -> None:
    deep = "[" * 70 + "]" * 70
    text = f"model_list:\n- &a\n  model_name: gpt\n  odd: 1\n- <<: *a\n  deep: {deep}\n"
    with pytest.raises(ConfigurationError) as error:
        read_proxy_config(written(tmp_path, text), {})
    assert "line 4: model_list[1].odd: unknown field" in str(error.value)


def test_a_problem_in_json_has_its_line_too(tmp_path: Path) -> None:
    path = written(tmp_path, '{"model_list": [],\n\t"general_settings":\n\t{"master": 1}}', "a.json")
    with pytest.raises(ConfigurationError, match=r"a.json, line 3: general_settings.master: unknown field"):
        read_proxy_config(path, {})
    path = written(tmp_path, '{"model_list": [],\n"general_settings": {"master\\/": 1, "x": "\x7f"}}', "a.json")
    with pytest.raises(ConfigurationError, match=r"a.json: general_settings\[\"master/\"\]: unknown field"):
        read_proxy_config(path, {})


def test_the_master_key_may_be_in_the_environment_alone(tmp_path: Path) -> None:
    path = written(tmp_path, "model_list: []\n")
    assert read_proxy_config(path, {}).general.master_key is None
    found = read_proxy_config(path, {"LITELLM_MASTER_KEY": "sk-x"}).general.master_key
    assert found is not None
    assert found.get_secret_value() == "sk-x"


def test_what_is_exported_is_taken_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOMING_A", "before")
    monkeypatch.delenv("HOMING_B", raising=False)
    path = written(tmp_path, "model_list: []\nenvironment_variables: {HOMING_A: 1, HOMING_B: two}\n")
    with read_proxy_config(path).exported():
        assert (os.environ["HOMING_A"], os.environ["HOMING_B"]) == ("1", "two")
    assert os.environ["HOMING_A"] == "before"
    assert "HOMING_B" not in os.environ


def test_what_a_router_refuses_is_placed_too(tmp_path: Path) -> None:
    path = written(tmp_path, "model_list: []\nrouter_settings:\n  routing_strategy: adaptif\n")
    found = read_proxy_config(path, {})
    settings: dict[str, Any] = found.router_settings
    with pytest.raises(ConfigurationError) as error:
        Router(found.model_list, **settings)
    assert f"{path}, line 3: router_settings.routing_strategy: unknown" in str(placed(found, error.value))
    assert str(placed(found, ConfigurationError("callbacks[0]: no"))) == f"{path}: callbacks[0]: no"


def test_the_schema_knows_every_section() -> None:
    schema: dict[str, Any] = file_schema()
    assert set(schema["properties"]) == {
        *("model_list", "router_settings", "general_settings", "litellm_settings"),
        *("environment_variables", "include"),
    }
    general = schema["properties"]["general_settings"]
    assert {"master_key", "keep_alive", "user_header_name", "database_url"} <= general["properties"].keys()
    assert general["additionalProperties"] is False
    assert schema["properties"]["litellm_settings"]["properties"]["request_timeout"]["description"]
