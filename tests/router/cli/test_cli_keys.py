"""`homing keys`: the keys of a running proxy, as its operator meets them."""

import asyncio
import hashlib
import io
import json
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from proxies import proxying
from redis_servers import Server, free_port
from routers import AFFINITY, entry
from virtual_keys import MASTER, configured, keyed
from wire import Link, serve

from router import Router
from router.cli import main


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with ExitStack() as stack:
        server = Server(tmp_path_factory.mktemp("redis")).start()
        stack.callback(server.kill)
        router = Router(
            [entry("http://127.0.0.1:9")],
            optional_pre_call_checks=AFFINITY,
            redis_url=f"redis://127.0.0.1:{server.port}",
            redis_timeout=5.0,
        )
        fixed = configured("fixed", models=["gpt", "other-*"], rpm_limit=1_000, max_budget=2.5, blocked=True)
        address = stack.enter_context(proxying(router, keyed(fixed)))
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("LITELLM_MASTER_KEY", MASTER)
            # so that connections are there before a test counts them
            assert main(["keys", "create", "--url", address]) == main(["keys", "list", "--url", address]) == 0
            yield address


@pytest.fixture(autouse=True)
def _key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LITELLM_MASTER_KEY", MASTER)
    monkeypatch.setenv("COLUMNS", "200")


def said(capsys: pytest.CaptureFixture[str], *arguments: str, code: int = 0) -> str:
    assert main(["keys", *arguments]) == code
    told = capsys.readouterr()
    assert MASTER not in told.out + told.err
    return told.err if code else told.out


def test_a_key_is_made_listed_shown_rotated_and_revoked(capsys: pytest.CaptureFixture[str], url: str) -> None:
    options = ["--model", "gpt", "--rpm", "60", "--max-budget", "10", "--budget-duration", "1d", "--duration", "30d"]
    options += ["--parallel", "3", "--metadata", '{"why": "test"}']
    made = said(capsys, "create", "--alias", "web", *options, "--url", url)
    *told, announcement, key = made.splitlines()
    assert announcement == "The key, which is shown this once:"
    assert key.startswith("sk-")
    assert {"key_alias: web", "models: gpt", "rpm_limit: 60", "max_budget: 10.0"} <= set(told)
    assert not [line for line in told if line.startswith(("tpm_limit", "blocked"))]
    shown = json.loads(said(capsys, "show", "web", "--url", f"{url}/", "--json"))
    assert (shown["max_parallel_requests"], shown["metadata"]) == (3, {"why": "test"})
    listed = [line.strip().split("  ") for line in said(capsys, "list", "--url", url).splitlines()]
    rows = {cells[0]: [cell.strip() for cell in cells if cell.strip()] for cells in listed if cells[0]}
    assert rows["fixed (blocked)"][2:] == [*("gpt, other-*", "1,000 rpm, $2.5 per lifetime", "never", "configuration")]
    assert rows["web"][1:4] == [shown["token"], "gpt", "60 rpm, 3 at a time, $10 per 1d"]
    assert key not in str(rows)
    rotated = said(capsys, "rotate", "web", "--url", url)
    assert rotated.splitlines()[:-1] == made.splitlines()[:-1]
    assert rotated.splitlines()[-1] != key
    assert "key_alias: web" in said(capsys, "show", shown["token"], "--url", url)
    assert said(capsys, "revoke", "web", "--url", url) == f"revoked: {shown['token']}\n"
    assert said(capsys, "show", "web", "--url", url, code=1) == "homing keys: there is no such key\n"


def test_what_the_proxy_refuses_is_said_as_it_says_it(
    capsys: pytest.CaptureFixture[str], url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    wrong = said(capsys, "create", "--rpm", "0", "--budget-duration", "soon", "--url", url, code=1)
    assert wrong.startswith("homing keys: 2 things are wrong with the key:\n  ")
    assert "rpm_limit: must be at least 1" in wrong
    assert "is one of the configuration" in said(capsys, "rotate", "fixed", "--url", url, code=1)
    monkeypatch.setenv("OTHER", "sk-of-nobody-0123456789")
    refused = said(capsys, "list", "--url", url, "--master-key-env", "OTHER", code=1)
    assert refused == "homing keys: the API key is not valid\n"
    assert said(capsys, "list", "--master-key-env", "NONE", code=2) == (
        "homing keys: put the proxy's master key into NONE\n"
    )


@pytest.mark.parametrize("where", ["http://127.0.0.1:{port}", "nowhere", "http://127.0.0.1:port"])
def test_a_proxy_that_is_not_there_is_told(capsys: pytest.CaptureFixture[str], where: str) -> None:
    refused = said(capsys, "list", "--url", where.format(port=free_port()), code=1)
    assert "does not answer" in refused
    assert "is --url right?" in refused


@pytest.mark.parametrize(
    ("status", "body", "expected"),
    [("200 OK", "hello", "is no Homing Router"), ("404 Not Found", '{"detail": 1}', "it answers 404")],
)
async def test_what_is_no_proxy_is_told(
    capsys: pytest.CaptureFixture[str], status: str, body: str, expected: str
) -> None:
    async def answer(link: Link) -> None:
        await link.request()
        await link.send(f"HTTP/1.1 {status}\r\ncontent-length: {len(body)}\r\nconnection: close\r\n\r\n{body}".encode())

    async with serve(answer) as server:
        where = f"http://127.0.0.1:{server.port}"
        assert expected in await asyncio.to_thread(said, capsys, "list", "--url", where, code=1)


def test_a_hash_is_told_without_asking_anybody(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("LITELLM_MASTER_KEY")
    monkeypatch.setattr(sys, "stdin", io.StringIO("sk-0123456789abcdef\n"))
    assert said(capsys, "hash") == f"key_hash: {hashlib.sha256(b'sk-0123456789abcdef').hexdigest()}\n"
    key, hashed = (line.split(": ")[1] for line in said(capsys, "hash", "--new").splitlines())
    assert hashed == hashlib.sha256(key.encode()).hexdigest()
    monkeypatch.setattr(sys, "stdin", io.StringIO("short\n"))
    assert "at least 16 characters" in said(capsys, "hash", code=2)


CONFIG = """\
model_list:
  - {model_name: gpt, litellm_params: {model: openai/gpt, api_key: k}}
general_settings:
  keys:
    - {key_alias: web, key: os.environ/WEB_KEY, models: [gpt], rpm_limit: 60, max_budget: 5, budget_duration: 1d}
    - {key_alias: batch, key_hash: HASH, blocked: true, expires: 2030-01-01}
"""


def test_check_shows_keys_and_nothing_secret(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("LITELLM_MASTER_KEY")
    monkeypatch.setenv("WEB_KEY", "sk-web-0123456789")
    path = tmp_path / "config.yaml"
    path.write_text(CONFIG.replace("HASH", "0a" * 32))
    assert main(["check", str(path)]) == 0
    shown = capsys.readouterr().out
    with path.open("a") as file:
        file.write("router_settings: {optional_pre_call_checks: [tags, responses_api_deployment]}\n")
    for line in (
        "master key: none: nobody is the operator",
        "key: web: gpt; 60 rpm, $5 per 1d",
        "key: batch: all models; no limits, blocked",
        "checks: ResponsesApiDeployment",
    ):
        assert line in shown
    assert main(["check", str(path), "--json"]) == 0
    told: Any = json.loads(shown_json := capsys.readouterr().out)
    assert told["checks"] == ["Tags", "ResponsesApiDeployment"]
    assert [key["key_alias"] for key in told["keys"]] == ["web", "batch"]
    assert told["keys"][1] == {"key_alias": "batch", "models": [], "blocked": True, "expires": 1893456000.0}
    for text in (shown, shown_json):
        assert "sk-web" not in text
        assert "0a0a" not in text


def test_help_teaches(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["keys", "--help"])
    assert "homing keys rotate web" in capsys.readouterr().out
    with pytest.raises(SystemExit) as ended:
        main(["keys"])
    assert ended.value.code == 2
