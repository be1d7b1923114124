"""`homing simulate` and `homing explain` from the command line."""

import json
import os
import pty
import subprocess
import sys
from pathlib import Path
from typing import Any

import msgspec
import pytest
import yaml
from traces import AFFINITY, attempt, call, entries, failed

from router.cli import main
from router.telemetry.traced import FORMAT, VERSION, Header

ROOT = Path(__file__).parents[3]


@pytest.fixture
def files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A trace and two configurations."""
    calls = [
        call(
            index / 5, "ab"[index % 2], 0.5 + index % 7 / 10, first=0.2 if index % 3 else None, response_id=f"r{index}"
        )
        for index in range(60)
    ]
    calls += [call(20 + index, "ab"[index % 2], previous_response_id=f"r{index}") for index in range(20)]
    calls += [failed(5, attempt("a", 0.1, "InternalServerError"))]
    lines = [msgspec.json.encode(each) for each in (Header(FORMAT, VERSION), *calls)]
    (tmp_path / "monday.trace").write_bytes(b"\n".join([*lines, b""]))
    for name, served_by in (("now", "ab"), ("then", "abc")):
        content = {"model_list": entries(*served_by), "router_settings": AFFINITY}
        (tmp_path / f"{name}.yaml").write_text(yaml.safe_dump(content))
    monkeypatch.chdir(tmp_path)
    return tmp_path


def homing(*arguments: str, env: dict[str, str] | None = None) -> subprocess.CompletedProcess[str]:
    """The command, in a process of its own."""
    command = [sys.executable, "-c", "import sys; from router.cli import main; sys.exit(main())", *arguments]
    return subprocess.run(
        command,
        capture_output=True,
        text=True,
        timeout=110,
        check=False,
        env={**os.environ, "PYTHONPATH": str(ROOT), **(env or {})},
    )


# simulate


@pytest.mark.usefixtures("files")
def test_the_same_trace_and_seed_make_the_same_bytes_in_every_process() -> None:
    for seed in ("1", "2", "3"):
        arguments = ("simulate", "monday.trace", "now.yaml", "then.yaml", "--seed", "7", "--decisions", f"{seed}.jsonl")
        done = homing(*arguments, env={"PYTHONHASHSEED": seed})
        assert (done.returncode, done.stderr) == (0, "")
    first, second, third = (Path(f"{seed}.jsonl").read_bytes() for seed in "123")
    assert first == second == third
    lines = [json.loads(line) for line in first.splitlines()]
    assert {line["config"] for line in lines} == {"now", "then"}
    assert lines[0]["decision"] is None or lines[0]["decision"]["chosen"] == lines[0]["deployment"]
    assert {line["call"] for line in lines} == set(range(81))
    assert homing("simulate", "monday.trace", "now.yaml", "--seed", "8", "--decisions", "8.jsonl").returncode == 0
    assert Path("8.jsonl").read_bytes() not in first


@pytest.mark.usefixtures("files")
def test_the_table_and_the_picture(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["simulate", "monday.trace", "now.yaml", "then.yaml", "--plot", "p.png"]) == 0
    shown = capsys.readouterr()
    assert shown.out.splitlines()[0].split() == ["recorded", "now", "then"]
    assert "note: then: c is not in the trace, and simulated like others of openai/gpt-4o" in shown.out
    assert shown.err == ""
    assert max(map(len, shown.out.splitlines())) <= 100
    assert Path("p.png").stat().st_size > 10_000


@pytest.mark.usefixtures("files")
def test_the_figures_as_json(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["simulate", "monday.trace", "now.yaml", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["recorded"]["calls"] == found["simulated"][0]["calls"] == 81
    assert found["simulated"][0]["breaks"] == 0


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["none.trace", "now.yaml"], "trace: 'none.trace' can't be read"),
        (["now.yaml", "now.yaml"], "path: 'now.yaml' is no trace"),
        (["monday.trace", "none.yaml"], "none.yaml: can't be read"),
        (["monday.trace", "now.yaml", "--plot", "p.gif"], "path: 'p.gif' must end with .png or .svg"),
        (
            ["monday.trace", "now.yaml", "--decisions", "no/where"],
            "no/where: can't be written: No such file or directory",
        ),
    ],
)
@pytest.mark.usefixtures("files")
def test_what_cannot_be_simulated_is_one_line(
    arguments: list[str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["simulate", *arguments]) == 2
    shown = capsys.readouterr()
    assert shown.err.startswith(f"homing simulate: {said}")
    assert shown.err.count("\n") == 1
    assert ("came home" in shown.out) == ("--" in str(arguments)), "what was simulated is not lost for a file"


@pytest.mark.usefixtures("files")
def test_an_interrupt_ends_it(monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("router.simulation.simulate", interrupted)
    assert main(["simulate", "monday.trace", "now.yaml"]) == 130


@pytest.mark.usefixtures("files")
@pytest.mark.parametrize("command", ["simulate monday.trace then.yaml", "explain now.yaml --model gpt"])
def test_on_a_terminal_there_is_colour(command: str) -> None:
    ours, theirs = pty.openpty()
    code = f"import sys; from router.cli import main; sys.exit(main({command.split()!r}))"
    environ = {**os.environ, "PYTHONPATH": str(ROOT), "TERM": "xterm", "COLUMNS": "120"}
    child = subprocess.Popen([sys.executable, "-c", code], stdout=theirs, stderr=theirs, stdin=theirs, env=environ)
    os.close(theirs)
    shown = b""
    try:
        while part := os.read(ours, 65536):
            shown += part
    except OSError:  # how the end of a terminal shows
        pass
    os.close(ours)
    assert child.wait(60) == 0
    assert b"\x1b[" in shown
    if "simulate" in command:
        assert "━".encode() in shown, "progress"
        assert b"note: c is not in the trace" in shown


# explain


def explained(capsys: pytest.CaptureFixture[str], *arguments: str, code: int = 0) -> str:
    assert main(["explain", *arguments]) == code
    return capsys.readouterr().out


@pytest.fixture
def tagged(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A configuration with tags, small windows and LiteLLM's own sections."""
    model_list = entries("a", "b", a={"tags": ["eu"]}, b={"tags": ["us"]}, max_input_tokens=50)
    content: dict[str, Any] = {
        "model_list": model_list,
        "router_settings": {"enable_tag_filtering": True, "enable_pre_call_checks": True, **AFFINITY},
        "general_settings": {"master_key": "os.environ/NONE"},
    }
    (tmp_path / "c.yaml").write_text(yaml.safe_dump(content))
    monkeypatch.chdir(tmp_path)


@pytest.mark.usefixtures("tagged")
def test_it_says_who_may_serve_and_why_not(capsys: pytest.CaptureFixture[str]) -> None:
    shown = explained(capsys, "c.yaml", "--model", "gpt", "--tag", "eu", "--input", "hello")
    rows = [line.split() for line in shown.splitlines()]
    assert shown.startswith("gpt: no home")
    assert ["a", "yes", "ready", "responses"] in rows
    assert ["b", "no", "left", "out", "by", "Tags", "responses"] in rows
    assert "note: general_settings: is the proxy's" in shown


@pytest.mark.usefixtures("tagged")
def test_a_call_that_nobody_may_serve(capsys: pytest.CaptureFixture[str]) -> None:
    shown = explained(capsys, "c.yaml", "--model", "gpt", "--tag", "eu", "--input", "word " * 60, code=1)
    assert "refused: the request has about 60 tokens" in shown
    text = explained(capsys, "c.yaml", "--model", "gpt", "--input", "word " * 60, "--json", code=1)
    assert json.loads(text)["error"]["type"] == "ContextWindowExceededError"


@pytest.mark.usefixtures("tagged")
def test_what_it_is_tied_to(capsys: pytest.CaptureFixture[str]) -> None:
    shown = explained(capsys, "c.yaml", "--model", "gpt", "--tag", "eu", "--previous-response-id", "resp_1")
    assert "tied by previous_response_id (response resp_1, hard)" in shown


@pytest.mark.usefixtures("tagged")
def test_as_json(capsys: pytest.CaptureFixture[str]) -> None:
    found = json.loads(explained(capsys, "c.yaml", "--model", "gpt", "--tag", "us", "--json"))
    assert [option["usable"] for option in found["options"]] == [False, True]
    assert found["error"] is None


@pytest.mark.usefixtures("tagged")
@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["c.yaml", "--model", "gtp"], "no deployment serves the model 'gtp'; did you mean 'gpt'?"),
        (["none.yaml", "--model", "gpt"], "none.yaml: can't be read: No such file or directory"),
    ],
)
def test_a_wrong_question_is_one_line(arguments: list[str], said: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["explain", *arguments]) == 2
    assert capsys.readouterr().err == f"homing explain: {said}\n"


def test_who_would_be_picked_and_what_follows(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    content = {
        "model_list": [*entries("a", "b", "c", c={"order": 1}), {**entries("d")[0], "model_name": "spare"}],
        "router_settings": {"fallbacks": [{"gpt": ["spare"]}]},
    }
    Path("c.yaml").write_text(yaml.safe_dump(content))
    shown = explained(capsys, "c.yaml", "--model", "gpt")
    assert shown.splitlines()[-2:] == ["Adaptive would pick from: a, b", "then: spare"]
    found = json.loads(explained(capsys, "c.yaml", "--model", "gpt", "--json"))
    assert (found["candidates"], found["strategy"], found["fallbacks"]) == (["a", "b"], "Adaptive", ["spare"])


@pytest.mark.parametrize("command", ["simulate", "explain"])
def test_help_teaches_by_examples(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main([command, "--help"])
    assert ended.value.code == 0
    shown = capsys.readouterr().out
    assert "examples:" in shown
    assert f"  homing {command} " in shown
    assert max(map(len, shown.splitlines())) <= 120
