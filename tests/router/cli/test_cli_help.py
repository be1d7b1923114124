"""The command line as a whole: what every command's help teaches, how every command ends, what shells complete."""

import argparse
import os
import pty
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import cast

import pytest

import router.cli
from router.cli import exits, main
from router.cli.completion import SHELLS
from router.cli.parsing import Parser

ROOT = Path(__file__).parents[3]
COMMANDS = sorted(router.cli._parser()[1].choices)
RUN = [sys.executable, "-c", "from router.cli import main; raise SystemExit(main())"]


@pytest.fixture(autouse=True)
def _eighty_columns(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "80")


def ended(*arguments: str) -> int:
    """The exit code, however it comes about."""
    try:
        return main(arguments)
    except SystemExit as end:
        return cast("int", end.code)


def help_of(command: str, capsys: pytest.CaptureFixture[str]) -> str:
    assert ended(command, "--help") == exits.OK
    return capsys.readouterr().out


# Help


@pytest.mark.parametrize("command", COMMANDS)
def test_the_help_of_every_command_teaches_and_fits_a_terminal(
    command: str, capsys: pytest.CaptureFixture[str]
) -> None:
    shown = help_of(command, capsys)
    assert "\nexamples:\n" in shown
    assert f"\n  homing {command}" in shown
    assert max(map(len, shown.splitlines())) < 80


def examples(text: str) -> Iterator[list[str]]:
    """The arguments of the examples in a help text, as the shell hands them over."""
    for line in re.findall(r"(?m)^  homing (.+)$", text.partition("\nexamples:\n")[2]):
        lexer = shlex.shlex(line, posix=True, punctuation_chars=True)
        lexer.whitespace_split = True
        words: list[str] = []
        for word in lexer:
            if set(word) & set("|&;>"):
                break
            words.append(word)
        yield words


@pytest.mark.parametrize("command", COMMANDS)
def test_the_examples_of_every_command_can_be_typed(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    found = list(examples(help_of(command, capsys)))
    assert found
    parser, commands = router.cli._parser()
    for words in found:
        assert words[0] == command
        assert callable(parser.parse(words, commands).run)


def test_the_help_of_all_names_them_and_the_exit_codes(capsys: pytest.CaptureFixture[str]) -> None:
    assert ended("--help") == exits.OK
    shown = capsys.readouterr().out
    assert all(re.search(rf"(?m)^    {command} +\w", shown) for command in COMMANDS)
    assert all(re.search(rf"(?m)^  {code} +\w", shown) for code in exits.MEANINGS)
    assert max(map(len, shown.splitlines())) < 80


def test_nothing_asked_is_answered_with_the_help(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "argv", ["homing"])
    assert main() == exits.USAGE
    assert "start here:" in capsys.readouterr().err


@pytest.mark.parametrize("option", ["-V", "--version"])
def test_the_version(option: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert ended(option) == exits.OK
    version = re.search(r'(?m)^version = "(.+)"$', (ROOT / "pyproject.toml").read_text())
    assert version is not None
    assert capsys.readouterr().out.startswith(f"homing {version[1]} (Python 3.")


# Exit codes


@pytest.mark.parametrize(
    ("typed", "said"),
    [
        ("serv", "homing: there is no command 'serv'; did you mean 'serve'?"),
        ("xyzzy", "homing: there is no command 'xyzzy'"),
        ("--verison", "homing: there is no option '--verison'; did you mean '--version'?"),
        ("serve --config c.yaml --prot 80", "homing serve: there is no option '--prot'; did you mean '--port'?"),
        ("serve --cofnig=c.yaml -c d", "homing serve: there is no option '--cofnig=c.yaml'; did you mean '--config'?"),
        ("keys create --rmp 3", "homing keys: there is no option '--rmp'; did you mean '--rpm'?"),
        ("check a.yaml b.yaml", "homing check: 'b.yaml' is too much"),
        ("serve", "homing serve: the following arguments are required: --config/-c"),
        ("serve -c c.yaml --log-level loud", "homing serve: argument --log-level: invalid choice: 'loud'"),
        ("upstream --port 99999", "homing upstream: argument --port: must be a whole number from 0 to 65,535"),
        ("completion ksh", "homing completion: argument shell: invalid choice: 'ksh'"),
    ],
)
def test_what_cannot_be_read_is_explained(typed: str, said: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert ended(*typed.split()) == exits.USAGE
    usage, error, more = capsys.readouterr().err.rpartition("homing" + said.removeprefix("homing"))
    assert error == said
    assert usage.startswith("usage: homing")
    assert re.search(r"\nSee homing( \w+)? --help\.\n$", more)


@pytest.mark.parametrize(
    ("typed", "code"),
    [
        ("serve --config {none}", exits.USAGE),
        ("check {none}", exits.FOUND),
        ("check {right}", exits.OK),
        ("check", exits.USAGE),
        ("explain {right} --model gpt", exits.OK),
        ("explain {right} --model nobody", exits.USAGE),
        ("explain {none} --model gpt", exits.USAGE),
        ("simulate {none} {right}", exits.USAGE),
        ("providers openai", exits.OK),
        ("providers nobody", exits.USAGE),
        ("demo --seconds nan", exits.USAGE),
        ("demo --conversations 0", exits.USAGE),
        ("upstream --fault nothing", exits.USAGE),
        ("completion bash", exits.OK),
        ("keys hash --new", exits.OK),
        ("keys list --master-key-env HOMING_NO_SUCH_VARIABLE", exits.USAGE),
    ],
)
def test_exit_codes_are_as_the_help_says(
    typed: str, code: int, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    right = tmp_path / "right.yaml"
    right.write_text("model_list: [{model_name: gpt, litellm_params: {model: openai/gpt, api_key: k}}]\n")
    assert ended(*typed.format(none=tmp_path / "none.yaml", right=right).split()) == code
    printed = capsys.readouterr()
    if code == exits.OK:
        assert printed.out
        assert not printed.err
    else:
        assert printed.err.startswith(f"homing {typed.split()[0]}: ")
        assert "Traceback" not in printed.err


def stops(error: BaseException, monkeypatch: pytest.MonkeyPatch) -> int:
    def run(arguments: argparse.Namespace) -> int:
        raise error

    monkeypatch.setattr(router.cli.check, "run", run)
    return ended("check", "x")


def test_an_interrupt_ends_any_command(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    assert stops(KeyboardInterrupt(), monkeypatch) == exits.INTERRUPTED
    assert capsys.readouterr().err == ""


def test_a_reader_that_leaves_ends_it_without_a_word() -> None:
    with subprocess.Popen(
        [*RUN, "check", "--schema"],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": str(ROOT), "PYTHONUNBUFFERED": ""},
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.close()
        assert process.stderr.read() == b""
        assert process.wait(60) == exits.LEFT


# Tables


def test_nothing_is_cut_off_where_there_is_little_room(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    name = "z" * 35
    entry = f"{{model_name: gpt, litellm_params: {{model: openai/gpt, api_key: k}}, model_info: {{id: {name}}}}}"
    path = tmp_path / "config.yaml"
    path.write_text(f"model_list: [{entry}]\n")
    for command in (["check", str(path)], ["explain", str(path), "--model", "gpt"]):
        monkeypatch.setenv("COLUMNS", "50")
        assert ended(*command) == exits.OK
        shown = capsys.readouterr().out
        assert "…" not in shown
        table, _, picked = shown.partition("would pick from:")  # where there is room for it, it is in one piece
        assert name not in table
        assert table.count("z") == len(name)
        assert "responses" in table
        assert picked.strip() in ("", name)
        monkeypatch.delenv("COLUMNS")
        assert ended(*command) == exits.OK
        assert name in capsys.readouterr().out


def test_a_terminal_says_how_wide_it_is(tmp_path: Path) -> None:
    path = tmp_path / "config.yaml"
    path.write_text("model_list: [{model_name: gpt, litellm_params: {model: openai/gpt, api_key: k}}]\n")
    ours, theirs = pty.openpty()
    environ = {name: value for name, value in os.environ.items() if name != "COLUMNS"}
    code = f"from router.cli import main; raise SystemExit(main(['check', {str(path)!r}]))"
    with subprocess.Popen(
        [sys.executable, "-c", code],
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
        env={**environ, "PYTHONPATH": str(ROOT), "TERM": "xterm"},
    ) as process:
        os.close(theirs)
        shown = b""
        try:
            while part := os.read(ours, 65536):
                shown += part
        except OSError:  # how the end of a terminal shows
            pass
        os.close(ours)
        assert process.wait(60) == exits.OK
    assert b"\x1b[" in shown
    assert len(max(re.sub(rb"\x1b\[[\d;]*m", b"", shown).decode().splitlines(), key=len)) <= 80


# Completion


def completed(folder: Path, script: str, *words: str) -> list[str]:
    """What bash offers for the last of the words."""
    ask = 'source "$0"; COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); $(complete -p homing | sed "s/.*-F //; s/ .*//")'
    done = subprocess.run(
        ["bash", "-c", f'{ask}; printf "%s\\n" "${{COMPREPLY[@]}}"', "/dev/stdin", "homing", *words],
        input=script,
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    assert done.stderr == ""
    return done.stdout.split()


def script_of(shell: str, capsys: pytest.CaptureFixture[str]) -> str:
    assert ended("completion", shell) == exits.OK
    return capsys.readouterr().out


def test_bash_completes_commands_options_choices_and_files(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "config.yaml").touch()
    script = script_of("bash", capsys)
    assert completed(tmp_path, script, "") == list(router.cli._parser()[1].choices)
    assert completed(tmp_path, script, "se") == ["serve"]
    assert completed(tmp_path, script, "serve", "--log") == ["--log-level"]
    assert completed(tmp_path, script, "serve", "--log-level", "") == ["debug", "info", "warning", "error"]
    assert completed(tmp_path, script, "demo", "--strategy", "le") == ["least-busy"]
    assert completed(tmp_path, script, "upstream", "--fault", "ha") == ["hang"]
    assert completed(tmp_path, script, "providers", "openai", "azure_") == ["azure_ai"]
    assert completed(tmp_path, script, "completion", "f") == ["fish"]
    for typed in ("serve --config", "check", "explain", "simulate", "simulate config.yaml", "simulate --plot"):
        assert completed(tmp_path, script, *typed.split(), "con") == ["config.yaml"]


@pytest.mark.parametrize("shell", SHELLS)
def test_every_script_is_one_that_its_shell_can_read(
    shell: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    script = tmp_path / "homing"
    script.write_text(script_of(shell, capsys))
    for said in (*COMMANDS, "log-level", "least-busy", "cut_before_output", "vertex_ai"):
        assert said in script.read_text()
    if program := shutil.which(shell):
        subprocess.run([program, "-n", str(script)], check=True, timeout=60)


@pytest.mark.skipif(shutil.which("fish") is None, reason="no fish is installed (Debian's package fish)")
def test_fish_completes(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "config.yaml").touch()
    (tmp_path / "homing.fish").write_text(script_of("fish", capsys))
    for typed, offered in (("se", "serve"), ("check con", "config.yaml"), ("demo --strategy le", "least-busy")):
        done = subprocess.run(
            ["fish", "--no-config", "-c", f"source homing.fish; complete -C 'homing {typed}'"],
            cwd=tmp_path,
            env={**os.environ, "HOME": str(tmp_path)},
            capture_output=True,
            text=True,
            timeout=60,
            check=True,
        )
        assert [line.split("\t")[0] for line in done.stdout.splitlines()] == [offered]


def test_files_are_completed_as_shtab_would() -> None:
    import shtab

    parser = Parser(prog="x")
    action = parser.add_argument("file")
    router.cli.parsing.takes_file(action)
    assert {shell: shtab.FILE[shell] for shell in SHELLS} == action.complete  # type: ignore[attr-defined]  # shtab's


def test_no_command_waits_for_what_only_others_need() -> None:
    code = (
        "import sys, router.cli; router.cli._parser();"
        "print(*({'shtab', 'providers.simulated', 'aiohttp', 'uvicorn', 'router.proxy'} & set(sys.modules)))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, timeout=60, check=True
    )
    assert done.stdout == "\n"
