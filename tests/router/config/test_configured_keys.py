"""Virtual keys in a configuration: what may be said of them, and what is said of what may not."""

import hashlib
from pathlib import Path
from typing import Any

import pytest
from markdown_blocks import blocks

from providers.errors import ConfigurationError
from router.config.file_schema import file_schema
from router.config.general import GeneralSettings
from router.config.proxy_file import read_proxy_config

README = Path(__file__).parents[3] / "README.md"
MASTER = "sk-master-0123456789"
ENVIRON = {"ANN": "sk-ann-0123456789", "SHORT": "sk-short", "BLANK": "sk-with-blank-0123 ", "MASTER": MASTER}


def read(tmp_path: Path, *keys: str) -> GeneralSettings:
    path = tmp_path / "config.yaml"
    listed = "".join(f"    - {{{key}}}\n" for key in keys)
    path.write_text(
        "model_list: [{model_name: gpt, litellm_params: {model: openai/gpt, api_key: k}}]\n"
        f"general_settings:\n  master_key: os.environ/MASTER\n  keys:\n{listed}"
    )
    return read_proxy_config(path, ENVIRON).general


def test_keys_are_read_with_all_that_is_said_of_them(tmp_path: Path) -> None:
    digest = hashlib.sha256(b"sk-bob-0123456789").hexdigest()
    ann, bob = read(
        tmp_path,
        "key_alias: ann, key: os.environ/ANN, models: [gpt], rpm_limit: 5, max_budget: 2, expires: 2030-01-01T00:00:00",
        f"key_alias: bob, key_hash: {digest.upper()}, expires: 1893456000, tenant: t, metadata: {{a: [1]}}",
    ).keys
    assert (ann.digest, ann.models, ann.rpm_limit) == (hashlib.sha256(b"sk-ann-0123456789").hexdigest(), ["gpt"], 5)
    assert ann.expires == bob.expires == 1893456000.0
    assert (bob.digest, bob.tenant, bob.metadata) == (digest, "t", {"a": [1]})
    assert "sk-ann" not in repr(ann)


def test_the_keys_of_the_readme_are_right(tmp_path: Path) -> None:
    block = next(each for each in blocks(README.read_text()) if each.language == "yaml" and each.section == "Keys")
    path = tmp_path / "config.yaml"
    path.write_text(
        f"model_list: [{{model_name: gpt-5, litellm_params: {{model: openai/x, api_key: k}}}}]\n{block.text}"
    )
    web, batch = read_proxy_config(path, {"MASTER_KEY": MASTER, "WEB_KEY": "sk-web-0123456789"}).general.keys
    assert (web.models, web.rpm_limit, batch.max_budget) == (["gpt-5", "claude-*"], 600, 20)


@pytest.mark.parametrize(
    ("keys", "said"),
    [
        (["key_alias: a, key: os.environ/SHORT"], "keys[0].key: must have at least 16 characters"),
        (["key_alias: a, key: os.environ/BLANK"], "keys[0].key: must be printable ASCII"),
        (["key_alias: a, key: os.environ/NONE"], "keys[0].key: the environment variable 'NONE' is not set"),
        (["key_alias: a, key: os.environ/MASTER"], "keys[0]: is the master key, which may do everything"),
        (["key_alias: a"], "keys[0]: key: give it as os.environ/NAME, or its key_hash, and not both"),
        (["key: os.environ/ANN"], "keys[0]: key_alias: is required"),
        (["key_alias: a, key_hash: 0a0a"], "keys[0].key_hash: must be the SHA-256 of the key"),
        (["key_alias: a, key: os.environ/ANN, expires: soon"], "keys[0].expires: must be a date"),
        (["key_alias: a, key: os.environ/ANN, duration: 1d"], "keys[0].duration: not supported: write expires"),
        (["key_alias: a, key: os.environ/ANN, budget_duration: 1d"], "keys[0]: budget_duration: says for how long"),
        (["key_alias: a, key: os.environ/ANN, rpm_limt: 1"], "keys[0].rpm_limt: unknown field; did you mean 'rpm_l"),
        (["key_alias: a, key: os.environ/ANN"] * 2, "keys: two have the key_alias 'a'"),
        (["key_alias: a, key: os.environ/ANN", "key_alias: b, key: os.environ/ANN"], "'a' and 'b' have the same key"),
    ],
)
def test_what_is_wrong_with_a_key_is_said_with_its_place(tmp_path: Path, keys: list[str], said: str) -> None:
    with pytest.raises(ConfigurationError) as error:
        read(tmp_path, *keys)
    assert said in str(error.value)
    assert "config.yaml, line " in str(error.value)
    assert not [secret for secret in ENVIRON.values() if secret in str(error.value)]


def test_the_schema_knows_keys() -> None:
    schema: Any = file_schema()
    assert {"key_alias", "key", "key_hash", "rpm_limit", "expires"} <= {*schema["$defs"]["ConfiguredKey"]["properties"]}
    assert schema["properties"]["general_settings"]["properties"]["keys"]["items"] == {"$ref": "#/$defs/ConfiguredKey"}
