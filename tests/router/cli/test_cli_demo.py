"""`homing demo`: real traffic, a death, a return, a verdict."""

import io
import random
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from fakes import Clock
from rich.console import Console

from providers.errors import Attempt, InternalServerError
from providers.simulated import Behaviour, SimulatedUpstream
from providers.views import Routing
from router import Router
from router.cli import main
from router.cli.demo.score import Score
from router.cli.demo.screen import summary
from router.cli.demo.stage import play
from router.cli.demo.traffic import GROUP, converse

ROOT = Path(__file__).parents[3]
INTERRUPTIBLE = """
import signal
signal.signal(signal.SIGINT, signal.default_int_handler)  # who started the tests may have them ignore it
from router.cli import main
raise SystemExit(main())
"""
COMMAND = [sys.executable, "-W", "error", "-c", INTERRUPTIBLE, "demo"]
ACCOUNTS = {"a": "one", "b": "one", "c": "two"}


def routing(name: str, *failed: str) -> Routing:
    attempts = [Attempt(each, "gpt", 0.0, 0.1, InternalServerError("no")) for each in failed]
    return Routing(name, "gpt", "openai", (*attempts, Attempt(name, "gpt", 0.1, 0.1)), 0, 0.0, None, 0.2)


def test_it_plays_to_the_end_without_a_terminal() -> None:
    options = ["--seconds", "3", "--conversations", "8"]
    done = subprocess.run([*COMMAND, *options], cwd=ROOT, capture_output=True, text=True, timeout=100, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stderr == ""
    assert "\x1b" not in done.stdout
    home = re.search(r"came home: ([\d,]+)/([\d,]+) ", done.stdout)
    assert home is not None
    assert home[1] == home[2] != "0"
    for words in ("east is dead", "east is back", "east serves again", "Errors: 0.", "All went well."):
        assert words in done.stdout


@pytest.mark.parametrize("width", [60, 80])
async def test_on_a_terminal_it_shows_a_table_that_fits(width: int) -> None:
    written = io.StringIO()
    console = Console(file=written, force_terminal=True, width=width, highlight=False)
    score = await play(console, 2.0, 6, "least-busy", live=True)
    console.print(summary(score))
    shown = re.sub(r"\x1b\[[\d;?]*[A-Za-z]", "", written.getvalue())
    for words in ("north", "breaker", "closed", "follow-ups home", "All went well."):
        assert words in shown
    assert ("account" in shown.partition("calls ")[0]) == ("tailspin" in shown) == (width == 80)
    assert "…" not in shown
    assert score.well


def test_it_can_be_interrupted() -> None:
    with subprocess.Popen(COMMAND, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        assert "Four deployments" in process.stdout.readline()
        process.send_signal(signal.SIGINT)
        assert process.wait(30) == 130
        assert process.stderr.read() == ""


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--seconds", "0"], "--seconds is 0; it must be above 0"),
        (["--conversations", "-1"], "--conversations is -1; it must be above 0"),
        (["--strategy", "least-bussy"], "did you mean 'least-busy'?"),
    ],
)
def test_what_cannot_be_played_is_one_clear_error(
    options: list[str], words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["demo", *options]) == 2
    printed = capsys.readouterr()
    assert words in printed.err
    assert printed.out == ""


async def test_the_score_counts_what_came_home(clock: Clock) -> None:
    score = Score(ACCOUNTS, clock)
    score.answered(routing("a"), None, remembered=True)
    score.answered(routing("a"), "a", remembered=True)
    score.answered(routing("b", "a", "a"), "a", remembered=True)
    assert (score.calls, score.conversations, score.follow_ups, score.came_home, score.by_twin) == (3, 1, 2, 2, 1)
    assert (score.moved, dict(score.failed), dict(score.pins)) == (2, {"a": 2}, {"a": 1, "b": 1})
    assert score.shares() == {"a": 2 / 3, "b": 1 / 3, "c": 0.0}
    clock.advance(1.5)
    score.answered(routing("c"), None, remembered=True)
    clock.advance(1.0)
    assert score.shares() == {"a": 0.0, "b": 0.0, "c": 1.0}
    clock.advance(5.0)
    assert score.shares() == {"a": 0.0, "b": 0.0, "c": 0.0}


async def test_all_is_well_only_if_everything_is(clock: Clock) -> None:
    def played() -> Score:
        score = Score(ACCOUNTS, clock)
        score.answered(routing("b"), "a", remembered=True)
        score.awaited = "a"
        score.answered(routing("a"), "a", remembered=True)
        return score

    assert played().well
    strayed, forgot, failed, absent = played(), played(), played(), Score(ACCOUNTS, clock)
    strayed.answered(routing("c"), "a", remembered=True)
    forgot.answered(routing("a"), "a", remembered=False)
    failed.lost(InternalServerError("no luck"))
    absent.answered(routing("b"), "a", remembered=True)
    assert not any(score.well for score in (strayed, forgot, failed, absent, Score(ACCOUNTS, clock)))
    assert "1/2" not in summary(played()).plain
    assert "InternalServerError: no luck" in summary(failed).plain
    assert "has not served again" in summary(absent).plain
    assert summary(failed).plain.endswith("Not all went well.")


async def test_a_call_that_fails_is_counted(clock: Clock) -> None:
    score = Score(ACCOUNTS, clock)
    async with SimulatedUpstream("a", behaviour=Behaviour(fault="context_window")) as upstream:
        entry = {
            "model_name": GROUP,
            "litellm_params": {"model": "openai/gpt", "api_base": upstream.url, "api_key": "any"},
            "model_info": {"id": "a"},
        }
        async with Router([entry]) as router:
            await converse(router, score, random.Random(1), lambda: score.calls < 2)
    assert (score.calls, score.follow_ups, len(score.errors)) == (2, 0, 2)
    assert score.errors[0].startswith("ContextWindowExceededError: ")
