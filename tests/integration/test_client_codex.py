"""Codex CLI, OpenAI's coding agent, works through the proxy: it thinks, runs a command and is resumed."""

import json
from pathlib import Path
from typing import Any

from conversations import KEY, House, house
from npm_clients import installed, node, run

CONFIG = """\
model = "gpt"
model_provider = "homing"
check_for_update_on_startup = false

[analytics]
enabled = false

[model_providers.homing]
name = "Homing Router"
base_url = "{url}/v1"
wire_api = "responses"
env_key = "PROXY_KEY"
request_max_retries = 0
stream_max_retries = 0
"""


def codex(home: House, folder: Path, *words: str) -> list[Any]:
    """What one run of it reports."""
    config, work = folder / "home", folder / "work"
    config.mkdir(exist_ok=True)
    work.mkdir(exist_ok=True)
    (config / "config.toml").write_text(CONFIG.format(url=home.url))
    command = str(installed() / "@openai" / "codex" / "bin" / "codex.js")
    options = ("--json", "--skip-git-repo-check", "--dangerously-bypass-approvals-and-sandbox")
    environment = {"CODEX_HOME": str(config), "PROXY_KEY": KEY}
    told = run([node(), command, "exec", *words[:-1], *options, words[-1]], environment, work, 60.0)
    return [json.loads(line) for line in told.splitlines() if line.startswith("{")]


def items(told: list[Any], kind: str) -> list[Any]:
    """The items of one type that were completed."""
    return [each["item"] for each in told if each["type"] == "item.completed" and each["item"]["type"] == kind]


def test_codex_thinks_runs_a_command_and_goes_on_where_it_was(tmp_path: Path) -> None:
    with house() as home:
        first = codex(home, tmp_path, 'Please call exec_command with {"cmd": "echo homing-$((6 * 7))"}')
        [ran] = items(first, "command_execution")
        assert (ran["aggregated_output"], ran["exit_code"]) == ("homing-42\n", 0)
        assert items(first, "reasoning")
        assert "The tool said" in items(first, "agent_message")[-1]["text"]
        second = codex(home, tmp_path, "resume", "--last", "Where were we?")
        assert items(second, "agent_message")[-1]["text"].startswith("Turn 3 at u")  # its surroundings are a turn too
        assert home.came_home() == 3  # the command's output, and the reasoning of two answers in the second run
        [one] = {upstream.name for upstream in home.upstreams if home.bodies(upstream)}
        assert one in ("u0", "u1")
        assert all(body["store"] is False and body["client_metadata"] for body in home.bodies())
