"""Configuration files: what they may hold, and one clear error for what they may not."""

import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from providers.errors import ConfigurationError
from router import Router
from router.config.file import FileConfig, read_config

ENTRY: dict[str, object] = {
    "model_name": "gpt",
    "litellm_params": {"model": "openai/gpt-4o", "api_key": "k"},
    "model_info": {"id": "a"},
}


def written(tmp_path: Path, text: str, name: str = "config.yaml") -> Path:
    path = tmp_path / name
    path.write_text(text)
    return path


@pytest.mark.parametrize("name", ["config.yaml", "config.yml", "config", "config.json", "CONFIG.JSON"])
def test_a_router_can_be_made_of_a_file(tmp_path: Path, name: str) -> None:
    content = {"model_list": [ENTRY], "router_settings": {"num_retries": 1}}
    path = written(tmp_path, json.dumps(content, indent="\t" if name.lower().endswith("json") else None), name)
    found = read_config(path)
    assert found == FileConfig([ENTRY], {"num_retries": 1}, ())
    settings: dict[str, Any] = found.router_settings
    assert [each["model_name"] for each in Router(found.model_list, **settings).get_model_list()] == ["gpt"]


def test_what_litellm_says_of_routing_is_heeded(tmp_path: Path) -> None:
    path = written(
        tmp_path,
        """\
        model_list: []
        router_settings: {num_retries: 1, timeout: 5}
        litellm_settings:
          num_retries: 9
          request_timeout: 30
          fallbacks: [{a: [b]}]
          context_window_fallbacks: [{a: [c]}]
          content_policy_fallbacks: [{a: [d]}]
          default_fallbacks: [e]
          drop_params: true
          set_verbose: true
        general_settings: {master_key: sk-1}
        environment_variables: {A: b}
        """,
    )
    assert read_config(path) == FileConfig(
        [],
        {
            "num_retries": 1,
            "timeout": 5,
            "fallbacks": [{"a": ["b"]}],
            "context_window_fallbacks": [{"a": ["c"]}],
            "content_policy_fallbacks": [{"a": ["d"]}],
            "default_fallbacks": ["e"],
            "drop_params": True,
        },
        (
            "general_settings: is the proxy's",
            "environment_variables: is the proxy's",
            "litellm_settings.num_retries: router_settings.num_retries wins",
            "litellm_settings.request_timeout: router_settings.timeout wins",
            "litellm_settings.set_verbose: has no part in routing",
        ),
    )


def test_a_file_needs_no_settings(tmp_path: Path) -> None:
    assert read_config(str(written(tmp_path, "model_list: []\nlitellm_settings:\n"))) == FileConfig([], {}, ())


def test_what_is_merged_is_not_there_twice(tmp_path: Path) -> None:
    text = "model_list:\n  - &one {model_name: a, x: 1}\n  - {<<: *one, model_name: b}\n"
    assert read_config(written(tmp_path, text)).model_list[1] == {"model_name": "b", "x": 1}


@pytest.mark.parametrize(
    ("text", "name", "said"),
    [
        ("model_list: []\nmodel_list: []\n", "a.yaml", ", line 2: 'model_list' is there twice"),
        ("model_list:\n- a: 1\n  b: 2\n  a: 3\n", "a.yaml", ", line 4: 'a' is there twice"),
        ('{"model_list": [],\n\t"x": {"y": 1,\n\t"y": 2}}', "a.json", ", line 3: 'y' is there twice"),
        ("model_list: [\n", "a.yaml", ", line 2: is no YAML: expected the node content"),
        ("a: b: c\n", "a.yaml", ", line 1: is no YAML: mapping values are not allowed here"),
        ("a: !!python/object:os.system {}\n", "a.yaml", ", line 1: is no YAML: could not determine a constructor"),
        ("a: \x07\n", "a.yaml", ": is no YAML: unacceptable character"),
        ('{"model_list": [,]}', "a.json", ", line 1: is no JSON: Expecting value"),
        ("[" * 100_000, "a.json", ": is nested too deeply"),
        ("[" * 10_000, "a.yaml", ": is nested too deeply"),
        ("", "a.yaml", ": must be a mapping with model_list and router_settings"),
        ("model_lst: []\n", "a.yaml", ": unknown section 'model_lst'; did you mean 'model_list'?"),
        ("router_settings: {}\n", "a.yaml", ": model_list: is required"),
        ("model_list: {}\n", "a.yaml", ": model_list: must be a list, not dict"),
        ("model_list: []\nrouter_settings: 3\n", "a.yaml", ": router_settings: must be a mapping, not int"),
    ],
)
def test_one_clear_error_with_its_place(tmp_path: Path, text: str, name: str, said: str) -> None:
    path = written(tmp_path, text, name)
    with pytest.raises(ConfigurationError) as error:
        read_config(path)
    assert str(error.value).startswith(f"{path}{said}")
    assert "\n" not in str(error.value)


def test_files_that_cannot_be_read(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"none.yaml: can't be read: No such file"):
        read_config(tmp_path / "none.yaml")
    (tmp_path / "a.yaml").write_bytes(b"model_list: \xff")
    with pytest.raises(ConfigurationError, match=r"a.yaml: is no UTF-8, at byte 12"):
        read_config(tmp_path / "a.yaml")


def test_an_error_without_a_place_names_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> None:
        raise yaml.MarkedYAMLError("somehow")

    monkeypatch.setattr(yaml, "load", fail)
    with pytest.raises(ConfigurationError, match=r"a.yaml: is no YAML: somehow"):
        read_config(written(tmp_path, "a: 1", "a.yaml"))
