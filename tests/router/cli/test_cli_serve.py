"""`homing serve`: the proxy from the command line, as its operators know it."""

import json
import os
import signal
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml
from commands import PATIENCE, Serving, homing_serve
from openai import OpenAI
from proxies import data

from providers.simulated import Behaviour, SimulatedUpstream
from router.cli import main, serve

CONFIG = """\
model_list:
  - model_name: gpt-4o
    litellm_params: {model: azure/gpt-4o-eu, api_base: os.environ/AZURE_API_BASE, api_key: os.environ/AZURE_API_KEY}
  - model_name: gpt-4o
    litellm_params: {model: openai/gpt-4o, api_base: os.environ/OPENAI_BASE, api_key: os.environ/OPENAI_KEY}
router_settings:
  optional_pre_call_checks: [responses_api_deployment_check]
litellm_settings:
  num_retries: 3
  callbacks: [prometheus]
  set_verbose: true
general_settings:
  master_key: os.environ/MASTER_KEY
environment_variables:
  OPENAI_KEY: k
"""
"""As the specification has it."""
KEY = {"authorization": "Bearer sk-1234"}


def simple(tmp_path: Path, upstream: SimulatedUpstream | None = None, **more: Any) -> Path:
    """A file with one deployment and no key."""
    base = "http://127.0.0.1:9" if upstream is None else f"{upstream.url}/v1"
    params = {"model": "openai/gpt", "api_base": base, "api_key": "k"}
    path = tmp_path / "config.yaml"
    path.write_text(yaml.safe_dump({"model_list": [{"model_name": "gpt", "litellm_params": params}], **more}))
    return path


def test_the_specifications_file_is_served(tmp_path: Path) -> None:
    path = tmp_path / "config.yaml"
    path.write_text(CONFIG)
    with SimulatedUpstream.in_thread("u0", seed=1) as upstream:
        environ = {
            "AZURE_API_BASE": upstream.url,
            "AZURE_API_KEY": "k",
            "OPENAI_BASE": f"{upstream.url}/v1",
            "MASTER_KEY": "sk-1234",
        }
        with homing_serve(path, "--json-logs", environ=environ) as serving:
            it_says_where_it_serves_what(serving)
            the_curl_line_works_as_printed(serving)
            openais_client_holds_a_conversation(serving)
            what_is_counted_can_be_had_with_the_key(serving)
            assert serving.end(signal.SIGINT) == 0


def it_says_where_it_serves_what(serving: Serving) -> None:
    said = "\n".join(serving.said)
    assert f"Homing Router serves at {serving.url} (with and without /v1)" in said
    assert "  gpt-4o: 2 deployments" in said
    assert "note: litellm_settings.set_verbose: has no effect" in said
    assert "sk-1234" not in said


def the_curl_line_works_as_printed(serving: Serving) -> None:
    command = next(line for line in serving.said if line.startswith("Try: ")).removeprefix("Try: ")
    done = subprocess.run(
        ["/bin/sh", "-c", command],
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        env={**os.environ, "KEY": "sk-1234"},
        check=True,
    )
    assert json.loads(done.stdout)["output"]


def openais_client_holds_a_conversation(serving: Serving) -> None:
    with OpenAI(base_url=serving.url, api_key="sk-1234") as client:
        first = client.responses.create(model="gpt-4o", input="Hello")
        second = client.responses.create(model="gpt-4o", input="And?", previous_response_id=first.id)
        assert "Turn 2" in second.output_text
    line = serving.until(lambda line: '"router.calls"' in line)
    assert json.loads(line)["call"]["group"] == "gpt-4o"


def what_is_counted_can_be_had_with_the_key(serving: Serving) -> None:
    assert httpx.get(f"{serving.url}/metrics").status_code == 401
    reply = httpx.get(f"{serving.url}/metrics", headers=KEY)
    assert reply.headers["content-type"] == "text/plain; version=0.0.4; charset=utf-8"
    assert "# TYPE" in reply.text


def test_streams_end_before_the_process_does(tmp_path: Path) -> None:
    behaviour = Behaviour(tokens=4, token_delay=0.3)
    with (
        SimulatedUpstream.in_thread("u0", behaviour=behaviour) as upstream,
        homing_serve(simple(tmp_path, upstream)) as serving,
        httpx.stream(
            "POST", f"{serving.url}/responses", json={"model": "gpt", "input": "x", "stream": True}, timeout=PATIENCE
        ) as reply,
    ):
        lines = reply.iter_text()
        start = next(lines)
        serving.process.send_signal(signal.SIGTERM)
        events = data(start + "".join(lines))
        assert events[-2]["type"] == "response.completed"
        assert serving.process.wait(PATIENCE) == 0


def test_streams_that_do_not_end_are_cut_off(tmp_path: Path) -> None:
    with (
        SimulatedUpstream.in_thread("u0", behaviour=Behaviour(tokens=9, token_delay=100)) as upstream,
        homing_serve(simple(tmp_path, upstream), "--grace", "1", "--log-level", "debug") as serving,
        httpx.stream(
            "POST", f"{serving.url}/responses", json={"model": "gpt", "input": "x", "stream": True}, timeout=PATIENCE
        ) as reply,
    ):
        next(reply.iter_text())
        assert serving.end(signal.SIGTERM) == 0
        assert any("Finished server process" in line for line in serving.said)


def test_metrics_that_nobody_counts_are_a_hint(tmp_path: Path) -> None:
    with homing_serve(simple(tmp_path)) as serving:
        reply = httpx.get(f"{serving.url}/metrics")
        assert reply.status_code == 404
        assert "callbacks: [prometheus]" in reply.json()["error"]["message"]
        assert serving.end(signal.SIGTERM) == 0


def refused(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    assert main(["serve", *arguments]) == 2
    return capsys.readouterr().err


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "10.1.2.3", "example.com"])
def test_others_are_let_in_with_a_key_only(tmp_path: Path, capsys: pytest.CaptureFixture[str], host: str) -> None:
    said = refused(capsys, "--config", str(simple(tmp_path)), "--host", host, "--port", "0")
    assert said == (
        f"homing serve: whoever reaches {host} could use the proxy; set general_settings.master_key in "
        f"{tmp_path}/config.yaml, or say --allow-unauthenticated\n"
    )


def test_without_a_key_it_listens_to_all_if_told_to(tmp_path: Path) -> None:
    with homing_serve(simple(tmp_path), "--host", "0.0.0.0", "--allow-unauthenticated") as serving:
        assert httpx.get(f"http://127.0.0.1:{serving.url.rpartition(':')[2]}/v1/models").status_code == 200
        assert serving.end(signal.SIGTERM) == 0


def test_what_cannot_be_served_is_one_clear_error(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert "none.yaml: can't be read" in refused(capsys, "-c", "none.yaml")
    path = simple(tmp_path)
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        said = refused(capsys, "-c", str(path), "--host", "localhost", "--port", str(taken.getsockname()[1]))
    assert "homing serve: can't listen at localhost:" in said
    path = simple(tmp_path, router_settings={"routing_strategy": "adaptif"})
    monkeypatch.setattr(serve, "_log", lambda *_, **__: None)
    assert f"{path}, line 8: router_settings.routing_strategy: " in refused(capsys, "-c", str(path), "--port", "0")


def test_where_it_serves_is_told_of_ipv6_too(tmp_path: Path) -> None:
    with homing_serve(simple(tmp_path), "--host", "::1") as serving:
        assert serving.url.startswith("http://[::1]:")
        assert httpx.get(f"{serving.url}/health/liveness").status_code == 200
        assert serving.end(signal.SIGTERM) == 0


def test_without_its_server_it_says_what_to_install(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "uvicorn", None)
    monkeypatch.setitem(sys.modules, "uvloop", None)
    monkeypatch.setattr(serve, "_log", lambda *_, **__: None)
    said = refused(capsys, "-c", str(simple(tmp_path)), "--port", "0")
    assert said == "homing serve: the proxy needs `pip install 'homing-router[proxy]'`\n"


@pytest.mark.parametrize(
    ("option", "value"), [("--port", "65536"), ("--workers", "0"), ("--workers", "two"), ("--grace", "-1")]
)
def test_numbers_have_bounds(capsys: pytest.CaptureFixture[str], option: str, value: str) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["serve", "-c", "c.yaml", f"{option}={value}"])
    assert ended.value.code == 2
    assert f"{option}: must be a whole number from " in capsys.readouterr().err.replace("argument ", "")


def test_help_teaches_signals(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["serve", "--help"])
    assert "SIGTERM" in capsys.readouterr().out
