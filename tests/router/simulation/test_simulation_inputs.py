"""What can be simulated: traces and configurations, whole or not."""

from pathlib import Path
from typing import Any

import msgspec
import pytest
import yaml
from traces import AFFINITY, call, config, entries, simulated

from providers.errors import ConfigurationError
from router import Router, simulate
from router.simulation.configured import prepare
from router.simulation.reading import read_trace
from router.telemetry.traced import FORMAT, VERSION, Header


def trace(tmp_path: Path, *lines: bytes) -> Path:
    path = tmp_path / "calls.trace"
    path.write_bytes(b"\n".join([msgspec.json.encode(Header(FORMAT, VERSION)), *lines, b""]))
    return path


# traces


def test_a_trace_is_read_in_the_order_of_time_and_damage_is_told(tmp_path: Path) -> None:
    calls = [msgspec.json.encode(call(at)) for at in (5, 1, 3)]
    path = trace(tmp_path, calls[0], b'{"arri', b"\xff", b"", *calls[1:], b"3")
    found = read_trace(path)
    assert [each.arrival - found.began for each in found.calls] == [0, 2, 4]
    assert found.damaged == 3
    result = simulate(str(path), config(entries("a")))
    assert result.notes == ("lines of the trace that could not be read: 3",)
    assert str(result).endswith("note: lines of the trace that could not be read: 3")


def test_lines_may_be_parsed_already(tmp_path: Path) -> None:
    lines = [{"format": "homing-trace", "version": 1}, msgspec.to_builtins(call(0)), call(1)]
    assert len(read_trace(lines).calls) == 2
    assert read_trace([]).began == 0
    with pytest.raises(ConfigurationError, match=r"trace\[1\]: is no line of a trace: Object missing required field"):
        read_trace([call(0), {"format": "x"}])


def test_fields_of_later_releases_are_passed_over(tmp_path: Path) -> None:
    line = {**msgspec.to_builtins(call(0)), "colour": "blue"}
    assert len(read_trace(trace(tmp_path, msgspec.json.encode(line))).calls) == 1


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ("none.trace", r"trace: '.*none.trace' can't be read: No such file"),
        ("other", r"path: '.*other' is no trace"),
        ("log.jsonl", r"path: '.*log.jsonl' is no trace"),
        ("empty.trace", "trace: there is no call in it"),
    ],
)
def test_what_is_no_trace_is_one_clear_error(tmp_path: Path, given: str, said: str) -> None:
    (tmp_path / "other").write_text("hello")
    (tmp_path / "log.jsonl").write_text('{"level": "INFO"}\n{"level": "INFO"}\n')
    (tmp_path / "empty.trace").write_bytes(msgspec.json.encode(Header(FORMAT, VERSION)))
    with pytest.raises(ConfigurationError, match=said):
        simulate(tmp_path / given, config(entries("a")))


# configurations


def test_configurations_come_from_files_and_are_named_by_them(tmp_path: Path) -> None:
    content = {"model_list": entries("a"), "router_settings": AFFINITY, "general_settings": {"x": 1}}
    (tmp_path / "now.yaml").write_text(yaml.safe_dump(content))
    (tmp_path / "recorded.yaml").write_text(yaml.safe_dump(content))
    found = simulate([call(0)], [str(tmp_path / "now.yaml"), tmp_path / "recorded.yaml", config(entries("a"))])
    assert [each.name for each in found.simulated] == ["now", "recorded 2", "config 3"]
    assert found.notes == ("now: general_settings: is the proxy's", "recorded 2: general_settings: is the proxy's")
    twice = simulate([call(0)], [tmp_path / "now.yaml"] * 2)
    assert [each.name for each in twice.simulated] == ["now 1", "now 2"]


def test_no_credentials_are_needed_for_any_vendor(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("OPENAI_API_KEY", "AZURE_API_BASE", "AZURE_OPENAI_ENDPOINT", "HOSTED_VLLM_API_BASE"):
        monkeypatch.delenv(name, raising=False)
    params: list[dict[str, Any]] = [
        {"model": "openai/gpt-4o"},
        {"model": "gpt-4o", "extra_headers": {"x-team": "os.environ/NO_TEAM", "x-plain": "y"}},
        {"model": "azure/gpt", "api_base": "os.environ/NO_BASE", "api_version": "os.environ/NO_VERSION"},
        {"model": "azure/gpt", "tenant_id": "os.environ/NO_TENANT", "client_id": "x", "client_secret": "y"},
        {"model": "gpt", "custom_llm_provider": "hosted_vllm", "ssl_verify": "/there/is/none.pem"},
        {"model": "anthropic/claude-sonnet-4-5", "api_key": "os.environ/NO_KEY"},
        {"model": "bedrock/anthropic.claude-sonnet-4-5-v1:0", "aws_role_name": "r", "aws_region_name": "us-east-1"},
        {"model": "vertex_ai/gemini-2.5-pro", "vertex_credentials": "/there/is/none", "vertex_project": "p"},
        {"model": "gemini/gemini-2.5-pro", "client_cert": "/there/is/none.pem", "proxy": "http://nowhere"},
        {"model": "groq/llama", "api_key": "os.environ/NO_KEY", "base_url": "https://groq.example.com"},
    ]
    model_list = [
        {"model_name": "gpt", "litellm_params": each, "model_info": {"id": f"d{index}"}}
        for index, each in enumerate(params)
    ]
    calls = [
        call(index, response_id=f"r{index}", previous_response_id=f"r{index - 10}" if index > 9 else None)
        for index in range(60)
    ]
    found = simulated(calls, config(model_list, routing_strategy="round_robin"))
    assert found.simulated[0].failures == 0
    assert len(found.simulated[0].shares) == len(params)


def test_redis_and_what_leads_outside_is_left_out() -> None:
    given = config(entries("a"), redis_host="nowhere", redis_port=1, callbacks=["log"])
    found = simulated([call(0)], given)
    assert found.notes == (
        "Redis is left out: what Routers would share there is kept in memory",
        "callbacks is left out",
    )


def test_deployments_of_one_credential_share_a_stand_in_and_others_do_not() -> None:
    def keys(params: list[dict[str, Any]], **settings: Any) -> list[object]:
        model_list = [{"model_name": "g", "params": {"model": "openai/x", **each}} for each in params]
        prepared = prepare({"model_list": model_list, "router_settings": settings}, environ={"SET": "secret"})
        entries: list[Any] = prepared.model_list
        assert "secret" not in repr(prepared)
        return [each["params"]["api_key"] for each in entries]

    one, two, three, four, five = keys(
        [{"api_key": "os.environ/SET"}, {"api_key": "os.environ/SET"}, {"api_key": "os.environ/OTHER"}, {}, {}]
    )
    assert one == two
    assert len({one, three, four}) == 3
    assert four == five
    by_default = keys([{}, {"api_key": "k"}], default_litellm_params={"api_key": "k", "timeout": 3})
    assert by_default[0] == by_default[1]


def test_variables_that_are_set_are_used() -> None:
    params = {"model": "azure/gpt", "api_version": "os.environ/VERSION"}
    given = {"model_list": [{"model_name": "g", "litellm_params": params}]}
    environ = {"VERSION": "2026-01-01", "AZURE_API_BASE": "https://mine.openai.azure.com"}
    for each, base in ((environ, None), ({}, "https://azure.simulated.invalid")):
        entry: Any = prepare(given, environ=each).model_list[0]
        assert entry["litellm_params"].get("api_base") == base
        assert entry["litellm_params"]["api_version"] == each.get("VERSION", "simulated")
    settled: Any = prepare(
        {**given, "router_settings": {"default_litellm_params": {"api_base": "os.environ/MY_BASE"}}}, environ={}
    )
    assert settled.settings["default_litellm_params"] == {"api_base": "https://my-base.simulated.invalid"}
    assert "api_base" not in settled.model_list[0]["litellm_params"]


def test_a_configuration_is_not_changed() -> None:
    given = config(entries("a"), affinity="signed-id", affinity_key="os.environ/NO_AFFINITY_KEY", redis_url="redis://x")
    before = msgspec.json.encode(given)
    simulated([call(0)], given)
    assert msgspec.json.encode(given) == before


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"models": []}, "config: unknown key 'models'; give model_list and router_settings"),
        ({"model_list": [], "router_settings": [1]}, "config: router_settings: must be a mapping, not list"),
        ({"model_list": [], "router_settings": {1: 2}}, "config: router_settings: 1 is no setting"),
        ({"router_settings": {"model_list": []}}, "config: router_settings: 'model_list' is no setting"),
        ({"model_list": 3}, "model_list: must be a list of mappings, not int"),
        ({"model_list": ["x"]}, r"model_list\[0\]: must be a mapping, not str"),
        ({"model_list": [{"model_name": "g", "litellm_params": 3}]}, r"model_list\[0\].litellm_params: must be"),
        ({"model_list": entries("a"), "router_settings": {"num_retrys": 1}}, "num_retries"),
        ([], "config: is empty"),
    ],
)
def test_one_clear_error_for_what_cannot_be_simulated(given: Any, said: str) -> None:
    with pytest.raises(ConfigurationError, match=said):
        simulate([call(0)], given)


def test_the_routers_own_errors_are_those_of_a_router() -> None:
    with pytest.raises(ConfigurationError) as simulated_error:
        simulate([call(0)], config(entries("a"), routing_strategy="fastest"))
    with pytest.raises(ConfigurationError) as error:
        Router([], routing_strategy="fastest")
    assert str(simulated_error.value) == str(error.value)
    with pytest.raises(ConfigurationError) as one_of_two:
        simulate([call(0)], [config(entries("a")), config(entries("a"), routing_strategy="fastest")])
    assert str(one_of_two.value) == f"config 2: {error.value}"


def test_health_checks_have_nobody_to_ask() -> None:
    model_list = entries("a", "b")
    model_list[0]["litellm_params"]["health_check"] = "call"
    model_list[1]["model_info"] = {**model_list[1].get("model_info", {}), "health_check": "models"}
    prepared = prepare({"model_list": model_list, "router_settings": {"health_checks": "call"}})
    assert prepared.notes == ("health_checks is left out",)
    assert "health_check" not in repr(prepared.model_list)
