"""The handler that writes calls as lines of JSON: many at once where it may, one by one where somebody wants to see."""

from __future__ import annotations

import io
import json
import logging
from collections.abc import Callable, Iterator, Sequence
from datetime import datetime
from typing import Any

import pytest
from call_records import CALL
from msgspec.structs import replace
from routers import create, group, serving

from providers.types import Verb
from router import CallRecord, JsonFormatter, JsonLog, Router
from router.pool import DeploymentHealth
from router.pricing.prices import Prices
from router.telemetry import logs
from router.telemetry.account import Policy
from router.telemetry.logs import CallLog
from router.telemetry.recorder import Recorder


class Paper(io.StringIO):
    """Counts what is written at once."""

    def __init__(self) -> None:
        super().__init__()
        self.writes = 0

    def write(self, text: str) -> int:
        self.writes += 1
        return super().write(text)

    @property
    def lines(self) -> list[Any]:
        return [json.loads(line) for line in self.getvalue().splitlines()]


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> logging.Logger:
    """The log of calls, to which nobody else listens: pytest does to any that is known by name."""
    logger = logging.Logger("router.calls", logging.INFO)
    monkeypatch.setattr(logs, "_calls", logger)
    return logger


def listening(logger: logging.Logger, *, level: int = logging.NOTSET) -> tuple[JsonLog, Paper]:
    paper = Paper()
    log = JsonLog(paper, environ={})
    log.setLevel(level)
    logger.addHandler(log)
    return log, paper


def tell(*calls: CallRecord) -> None:
    """What a Router does when these are over."""
    CallLog().take_all(calls)


async def test_calls_that_end_together_are_written_together(calls: logging.Logger) -> None:
    _, paper = listening(calls)
    async with serving(1) as upstreams, Router(group(upstreams)) as router:
        for _ in range(3):
            await create(router, False, user="ann", litellm_metadata={"tags": ["paid"]})
        await router.aflush()
        before = paper.writes
        settled = [f"{n}" for n in range(5)]
        for user in settled:
            await create(router, False, user=user)
        await router.aflush()
    assert len(paper.lines) == 8
    assert before <= 3
    assert paper.writes - before < 5
    first = paper.lines[0]
    assert (first["level"], first["logger"], first["call"]["end_user"]) == ("INFO", "router.calls", "ann")
    assert first["message"].startswith("gpt -> u0: succeeded in ")
    ended = datetime.fromisoformat(first["time"]).timestamp()
    assert ended == pytest.approx(first["call"]["started"] + first["call"]["duration"], abs=1e-5)
    assert [line["call"]["end_user"] for line in paper.lines[3:]] == settled


def test_a_line_is_what_the_formatter_makes_of_a_record(calls: logging.Logger) -> None:
    odd = [
        replace(CALL, end_user="sk-0123456789", tags=("paid",)),
        replace(CALL, model="\ud800"),
        replace(CALL, input="api_key=hunter2", error_message="Bearer abc.123456"),
        replace(CALL, response_id="resp_0123", previous_response_id="resp_ab", parameters={"store": True}),
        replace(CALL, response_id="sk-0123456789"),
    ]
    _, straight = listening(calls)
    tell(CALL, *odd)
    listening(calls)
    slow = Paper()
    plain = logging.StreamHandler(slow)
    plain.setFormatter(JsonFormatter(environ={}))
    calls.addHandler(plain)
    tell(CALL, *odd)
    made, expected = straight.lines[:6], slow.lines
    assert len(expected) == 6
    for one, other in zip(made, expected, strict=True):
        assert {**one, "time": ""} == {**other, "time": ""}
    assert "sk-0" not in straight.getvalue() + slow.getvalue()


@pytest.mark.parametrize(
    "odd",
    [
        {"parameters": {"temperature": 10**5_000}},
        {"max_output_tokens": 10**5_000},
        {"duration": float("inf")},
        {"tags": ("\udcff",)},
    ],
    ids=["parameter", "limit", "time", "surrogate"],
)
def test_a_call_that_can_not_be_told_as_others_costs_no_line(calls: logging.Logger, odd: dict[str, Any]) -> None:
    _, paper = listening(calls)
    tell(CALL, replace(CALL, id="call_odd", **odd), replace(CALL, id="call_3"))
    assert [line["call"]["id"] for line in paper.lines] == ["call_1", "call_odd", "call_3"]


def test_levels_are_kept(calls: logging.Logger) -> None:
    _, warned = listening(calls, level=logging.WARNING)
    _, told = listening(calls)
    tell(CALL, replace(CALL, status="failed"))
    assert [line["level"] for line in warned.lines] == ["WARNING"]
    assert [line["level"] for line in told.lines] == ["INFO", "WARNING"]
    tell(CALL)
    assert warned.writes == 1


def test_other_records_are_lines_as_well(calls: logging.Logger) -> None:
    _, paper = listening(calls)
    calls.warning("sent %s", "sk-0123456789")
    assert [line["message"] for line in paper.lines] == ["sent ***"]


class Own(JsonLog):
    """Does something else with each record."""

    def emit(self, record: logging.LogRecord) -> None:
        record.msg = f"mine: {record.getMessage()}"
        super().emit(record)


def filtered(logger: logging.Logger, log: JsonLog) -> None:
    log.addFilter(lambda record: True)


def other_formatter(logger: logging.Logger, log: JsonLog) -> None:
    log.setFormatter(logging.Formatter('{"message": "%(message)s"}'))


def filtered_logger(logger: logging.Logger, log: JsonLog) -> None:
    logger.addFilter(lambda record: True)


def another_handler(logger: logging.Logger, log: JsonLog) -> None:
    logger.addHandler(logging.NullHandler())


def own_records(logger: logging.Logger, log: JsonLog) -> None:
    logging.setLogRecordFactory(lambda *args, **kwargs: logging.LogRecord(*args, **kwargs))


def own_class(logger: logging.Logger, log: JsonLog) -> None:
    logger.removeHandler(log)
    logger.addHandler(Own(log.stream))


@pytest.fixture
def as_before() -> Iterator[None]:
    yield
    logging.setLogRecordFactory(logging.LogRecord)


@pytest.mark.usefixtures("as_before")
@pytest.mark.parametrize(
    "change", [filtered, other_formatter, filtered_logger, another_handler, own_records, own_class]
)
def test_who_wants_to_see_each_record_does(
    calls: logging.Logger, change: Callable[[logging.Logger, JsonLog], None]
) -> None:
    log, paper = listening(calls)
    change(calls, log)
    tell(CALL, CALL)
    assert [line["message"].removeprefix("mine: ") for line in paper.lines] == ["gpt -> u0: succeeded in 1.204 s"] * 2
    assert paper.writes == 2


def test_a_parent_s_handlers_get_calls_too(calls: logging.Logger) -> None:
    calls.parent = parent = logging.Logger("router")
    _, own = listening(calls)
    _, paper = listening(parent)
    tell(CALL, CALL)
    assert [(len(each.lines), each.writes) for each in (own, paper)] == [(2, 1), (2, 1)]


def test_nobody_listens(calls: logging.Logger, capsys: pytest.CaptureFixture[str]) -> None:
    tell(replace(CALL, status="failed"))
    assert capsys.readouterr().err == ""


def test_a_stream_that_takes_nothing_harms_nobody(calls: logging.Logger, capsys: pytest.CaptureFixture[str]) -> None:
    _, paper = listening(calls)
    _, other = listening(calls)
    paper.close()
    tell(CALL)
    assert len(other.lines) == 1
    assert "--- Logging error ---" in capsys.readouterr().err


class Refusing:
    """Takes nothing."""

    def attach(self, health: Callable[[], Sequence[DeploymentHealth]]) -> None:
        """Nothing is needed of it."""

    def take(self, record: CallRecord) -> None:
        """It would rather have many."""

    def take_all(self, records: Sequence[CallRecord]) -> None:
        raise ZeroDivisionError


async def test_a_sink_of_many_records_that_fails_keeps_nobody_from_the_others(caplog: pytest.LogCaptureFixture) -> None:
    taken: list[str] = []

    class Taking(Refusing):
        def take_all(self, records: Sequence[CallRecord]) -> None:
            taken.extend(each.model for each in records)

    book = Recorder(Prices(), Policy(), [Refusing(), Taking()])
    for model in ("gpt", "claude"):
        book.open(Verb.CREATE, model, False).failed(ValueError())
    assert await book.flush(1.0)
    assert taken == ["gpt", "claude"]
    assert "Refusing failed to take the records of calls" in caplog.text


def test_a_log_with_a_filter_that_nobody_listens_to_says_nothing(
    calls: logging.Logger, capsys: pytest.CaptureFixture[str]
) -> None:
    asked: list[logging.LogRecord] = []
    calls.addFilter(lambda record: asked.append(record) or True)  # type: ignore[func-returns-value]  # it keeps them
    tell(replace(CALL, status="failed"))
    assert not asked
    assert capsys.readouterr().err == ""
