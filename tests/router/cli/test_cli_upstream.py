"""`homing upstream`: a simulated deployment from the command line."""

import signal
import socket
import subprocess
import sys
from pathlib import Path

import httpx
import pytest

from router.cli import main

ROOT = Path(__file__).parents[3]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_it_serves_until_it_is_told_to_stop(number: signal.Signals) -> None:
    command = [sys.executable, "-c", "from router.cli import main; raise SystemExit(main())", "upstream"]
    options = ["--name", "east", "--tokens", "3", "--rpm", "2", "--model", "gpt", "--api-key", "k"]
    with subprocess.Popen([*command, *options], cwd=ROOT, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            first, second = process.stdout.readline(), process.stdout.readline()
            url = first.split(" at ")[1].split(";")[0]
            assert f'"api_base": "{url.removesuffix("/responses")}"' in second
            headers = {"authorization": "Bearer k"}
            sent = [httpx.post(url, json={"model": "gpt", "input": "x"}, headers=headers) for _ in range(3)]
            assert [reply.status_code for reply in sent] == [200, 200, 429]
            assert "at east" in sent[0].text
            assert sent[0].json()["usage"]["output_tokens"] == 3
        finally:
            process.send_signal(number)
        assert process.wait(20) == 0


def test_what_cannot_be_is_one_clear_error(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["upstream", "--fault", "hangs"]) == 2
    assert capsys.readouterr().err == "homing upstream: there is no fault 'hangs'; did you mean 'hang'?\n"
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        assert main(["upstream", "--port", str(taken.getsockname()[1])]) == 2
    assert "in use" in capsys.readouterr().err


def test_help_explains_the_faults(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["upstream", "--help"])
    assert ended.value.code == 0
    assert "cut_after_output" in capsys.readouterr().out
