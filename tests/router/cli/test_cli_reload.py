"""`homing serve` takes a changed configuration while it serves."""

import signal
from pathlib import Path
from typing import Any

import httpx
import yaml
from commands import PATIENCE, homing_serve
from proxies import data

from providers.simulated import Behaviour, SimulatedUpstream


def write(path: Path, *urls: str, key: str = "k", **more: Any) -> None:
    """A file whose deployments are at `urls`, put in the place of what is there."""
    entries = [
        {"model_name": "gpt", "litellm_params": {"model": "openai/gpt", "api_base": f"{url}/v1", "api_key": key}}
        for url in urls
    ]
    new = path.with_suffix(".new")
    new.write_text(yaml.safe_dump({"model_list": entries, **more}))
    new.replace(path)


def ask(url: str) -> str:
    return httpx.post(f"{url}/v1/responses", json={"model": "gpt", "input": "x"}, timeout=PATIENCE).text


def test_sighup_swaps_the_deployments_and_what_is_in_flight_ends(tmp_path: Path) -> None:
    path = tmp_path / "config.yaml"
    slow = Behaviour(tokens=4, token_delay=0.3)
    with (
        SimulatedUpstream.in_thread("old", behaviour=slow) as old,
        SimulatedUpstream.in_thread("new", api_keys=["of-the-file"]) as new,
    ):
        write(path, old.url, environment_variables={"HOMING_UNUSED": "1"})
        with homing_serve(path) as serving:
            body = {"model": "gpt", "input": "x", "stream": True}
            with httpx.stream("POST", f"{serving.url}/responses", json=body, timeout=PATIENCE) as reply:
                lines = reply.iter_text()
                begun = next(lines)
                write(
                    path,
                    new.url,
                    key="os.environ/NEW_KEY",
                    environment_variables={"NEW_KEY": "of-the-file"},
                    router_settings={"timeout": 7},
                    general_settings={"keep_alive": 3},
                    litellm_settings={"callbacks": ["prometheus"]},
                )
                serving.process.send_signal(signal.SIGHUP)
                serving.until(f"{path} was read again: 1 deployments in 1 groups")
                assert "at new" in ask(serving.url)
                assert data(begun + "".join(lines))[-2]["type"] == "response.completed"
            assert serving.until("leaves as they were").endswith(
                "leaves as they were: router_settings.timeout, general_settings.keep_alive, callbacks"
            )
            path.write_text("model_list:\n- model_name: gpt\n  litelm_params: {}\n")
            serving.process.send_signal(signal.SIGHUP)
            serving.until("nothing is changed")
            assert any(f"{path}, line 3: model_list[0].litelm_params: unknown" in line for line in serving.said)
            assert "at new" in ask(serving.url)
            assert serving.end(signal.SIGTERM) == 0


def test_what_contradicts_the_settings_it_was_started_with_changes_nothing(tmp_path: Path) -> None:
    path = tmp_path / "config.yaml"
    with SimulatedUpstream.in_thread("one", api_keys=["first"]) as one:
        settings = {"fallbacks": [{"gpt": ["gpt"]}]}
        write(path, one.url, key="os.environ/KEY", environment_variables={"KEY": "first"}, router_settings=settings)
        with homing_serve(path) as serving:
            path.write_text(
                "model_list: [{model_name: other, litellm_params: {model: openai/gpt, api_key: os.environ/KEY}}]\n"
                "environment_variables: {KEY: second}\n"
            )
            serving.process.send_signal(signal.SIGHUP)
            assert "no model group 'gpt'" in serving.until("nothing is changed") + serving.until("no model group")
            assert "at one" in ask(serving.url)
            assert serving.end(signal.SIGTERM) == 0


def test_a_file_that_is_watched_is_read_when_it_or_what_it_includes_has_changed(tmp_path: Path) -> None:
    path, more = tmp_path / "config.yaml", tmp_path / "more.yaml"
    with SimulatedUpstream.in_thread("one") as one, SimulatedUpstream.in_thread("two") as two:
        write(path, one.url)
        with homing_serve(path, "--reload") as serving:
            assert "at one" in ask(serving.url)
            write(more, one.url)
            write(path, one.url, include=["more.yaml"])
            serving.until("2 deployments in 1 groups")
            path.rename(tmp_path / "away.yaml")
            write(path, include="more.yaml")
            serving.until("1 deployments in 1 groups")
            write(more, two.url)
            serving.until("was read again: 1 deployments")
            assert "at two" in ask(serving.url)
            more.unlink()
            serving.process.send_signal(signal.SIGHUP)
            serving.until("more.yaml: can't be read")
            assert "at two" in ask(serving.url)
            write(more, one.url)
            serving.until("was read again: 1 deployments")
            assert "at one" in ask(serving.url)
            assert serving.end(signal.SIGTERM) == 0


def test_keys_of_the_file_come_and_go(tmp_path: Path) -> None:
    path = tmp_path / "config.yaml"

    def listed(*names: str) -> dict[str, Any]:
        return {"keys": [{"key_alias": name, "key": f"os.environ/{name.upper()}"} for name in names]}

    secrets = {"ANN": "sk-ann-0123456789", "BOB": "sk-bob-0123456789"}

    def status(url: str, name: str) -> int:
        shown = {"x-api-key": secrets[name]}
        return httpx.get(f"{url}/v1/models", headers=shown, timeout=PATIENCE).status_code

    write(path, "http://127.0.0.1:9", general_settings=listed("ann"))
    # keys are enough for others to be let in
    with homing_serve(path, "--host", "0.0.0.0", environ=secrets) as serving:
        url = f"http://127.0.0.1:{serving.url.rpartition(':')[2]}"
        assert (status(url, "ANN"), status(url, "BOB")) == (200, 401)
        write(path, "http://127.0.0.1:9", general_settings=listed("ann", "bob"))
        serving.process.send_signal(signal.SIGHUP)
        serving.until("1 deployments in 1 groups, 2 keys")
        assert (status(url, "ANN"), status(url, "BOB")) == (200, 200)
        write(path, "http://127.0.0.1:9", general_settings={"keys": [{"key_alias": "ann"}]})
        serving.process.send_signal(signal.SIGHUP)
        serving.until("nothing is changed")
        assert "general_settings.keys[0]: key: give it as os.environ/NAME" in "".join(serving.said)
        assert (status(url, "ANN"), status(url, "BOB")) == (200, 200)
        write(path, "http://127.0.0.1:9")
        serving.process.send_signal(signal.SIGHUP)
        serving.until("1 deployments in 1 groups, 0 keys")
        assert (status(url, "ANN"), status(url, "BOB")) == (401, 401)  # and not everybody
        assert not [line for line in serving.said if "sk-" in line]
        assert serving.end(signal.SIGTERM) == 0


def test_keys_are_not_taken_into_a_proxy_that_was_started_without_what_they_need(tmp_path: Path) -> None:
    path = tmp_path / "config.yaml"
    with SimulatedUpstream.in_thread("one") as one, SimulatedUpstream.in_thread("two") as two:
        write(path, one.url)
        with homing_serve(path) as serving:
            keys = [{"key_alias": "ann", "key": "sk-ann-0123456789"}]
            write(path, two.url, general_settings={"keys": keys})
            serving.process.send_signal(signal.SIGHUP)
            assert "responses_api_deployment_check" in serving.until("nothing is changed")
            assert "at one" in ask(serving.url)
            assert serving.end(signal.SIGTERM) == 0
