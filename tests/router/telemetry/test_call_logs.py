"""The log of calls: a line for people, a line of JSON, for whom it is written, and what does not stand in it."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator
from datetime import datetime
from types import SimpleNamespace
from typing import Any, get_type_hints

import pytest
from call_records import CALL
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace
from routers import create, entry, group, misbehave, serving, tick

from checks.end_user import digest
from providers.usage import Cost, TokenUsage
from router import APIError, AttemptRecord, CallRecord, JsonFormatter, Router
from router.telemetry import json_lines, logs
from router.telemetry.logs import CallLog, line

CANARY = "canary-in-the-prompt"


def attempt(status: Any = "succeeded", **more: Any) -> AttemptRecord:
    return AttemptRecord("u0", "gpt", "openai", 0.0, 1.0, status, **more)


class Lines(logging.Handler):
    """Keeps what is logged, as JSON."""

    def __init__(self) -> None:
        super().__init__()
        self.setFormatter(JsonFormatter(environ={}))
        self.records: list[logging.LogRecord] = []
        self.texts: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.records.append(record)
        self.texts.append(self.format(record))

    @property
    def lines(self) -> list[Any]:
        return [json.loads(text) for text in self.texts]


@pytest.fixture
def written() -> Iterator[Lines]:
    """Listens to the log of calls, at every level."""
    lines, logger = Lines(), logging.getLogger("router.calls")
    logger.addHandler(lines)
    logger.setLevel(logging.DEBUG)
    yield lines
    logger.removeHandler(lines)
    logger.setLevel(logging.NOTSET)


USAGE = TokenUsage(120, 45)


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({}, "gpt -> u0: succeeded in 1.204 s"),
        ({"usage": USAGE, "cost": 0.00065}, "gpt -> u0: succeeded in 1.204 s, 120+45 tokens, $0.000650"),
        ({"usage": replace(USAGE, estimated=True)}, "gpt -> u0: succeeded in 1.204 s, about 120+45 tokens"),
        ({"attempts": (attempt("failed"), attempt())}, "gpt -> u0: succeeded in 1.204 s, 2 attempts"),
        ({"model": "alias", "verb": "compact"}, "compact alias (gpt) -> u0: succeeded in 1.204 s"),
        ({"model": "", "verb": "get", "status": "cancelled"}, "get gpt -> u0: cancelled in 1.204 s"),
        (
            {"status": "failed", "error_type": "RateLimitError", "error_status": 429},
            "gpt -> u0: failed in 1.204 s with RateLimitError 429",
        ),
        (
            {"status": "failed", "error_type": "TypeError", "deployment_id": None, "group": "", "model": "a\nb\x1b[1m"},
            "a?b?[1m -> nobody: failed in 1.204 s with TypeError",
        ),
        ({"model": "m" * 5_000}, f"{'m' * 100}... (gpt) -> u0: succeeded in 1.204 s"),
    ],
)
def test_a_call_is_one_line(changes: dict[str, Any], expected: str) -> None:
    assert line(replace(CALL, **changes)) == expected


async def test_each_call_is_written_once(written: Lines) -> None:
    async with serving(2) as upstreams:
        misbehave(upstreams[1], "context_window")
        async with Router([*group(upstreams[:1]), entry(upstreams[1], "bad")]) as router:
            await create(router, False, input=CANARY, user="ann", litellm_metadata={"tags": ["paid"], "x": CANARY})
            await create(router, True, input=CANARY, affinity_scope="acme", temperature=0.5, instructions=CANARY)
            with pytest.raises(APIError):
                await create(router, False, model="bad", input=CANARY)
            await router.aflush()
    assert [each.levelno for each in written.records] == [logging.INFO, logging.INFO, logging.WARNING]
    first, second, third = written.lines
    assert first["logger"] == "router.calls"
    assert (first["level"], first["message"][:24]) == ("INFO", "gpt -> u0: succeeded in ")
    assert datetime.fromisoformat(first["time"]).timestamp() == pytest.approx(written.records[0].created)
    assert first["time"].endswith("Z")
    call = first["call"]
    assert (call["deployment_id"], call["end_user"], call["tags"]) == ("u0", "ann", ["paid"])
    assert call["usage"]["output_tokens"] > 0
    assert [each["status"] for each in call["attempts"]] == ["succeeded"]
    assert (second["call"]["tenant"], second["call"]["parameters"]) == (digest("acme"), {"temperature": 0.5})
    assert third["call"]["error_type"] == "ContextWindowExceededError"
    assert third["message"].startswith("bad -> u1: failed in ")
    everything = "\n".join([*written.texts, *(str(vars(record)) for record in written.records)])
    assert CANARY not in everything
    assert "acme" not in everything
    for record in written.records:
        assert record.getMessage().isprintable()


async def test_contents_are_written_where_they_are_recorded(written: Lines) -> None:
    async with serving(2) as upstreams:
        misbehave(upstreams[0], "503")
        async with Router(group(upstreams), record_contents=True, sleep=tick, num_retries=0) as router:
            with pytest.raises(APIError):
                await create(router, False, model="u0", input="my password: hunter2", instructions="be kind")
            answer = await create(router, False, model="u1", input=CANARY, litellm_metadata={"x": [{1: object()}]})
            await create(router, False, model="u1", input=CANARY, affinity_scope="acme", temperature=0.25)
            await router.aflush()
    failed, answered, third = (each["call"] for each in written.lines)
    assert failed["input"] == "my password: ***"
    assert failed["parameters"] == {"instructions": "be kind"}
    assert failed["error_message"] == failed["attempts"][0]["error_message"]
    assert len(failed["error_message"]) > 5
    assert (answered["input"], answered["metadata"]) == (CANARY, {"x": [{"1": "<object>"}]})
    assert answered["output"] == answer.to_dict()["output"]
    assert (third["tenant"], third["parameters"]) == ("acme", {"temperature": 0.25})


def test_a_log_that_nobody_listens_to_is_not_written(
    written: Lines, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    logger = logging.getLogger("router.calls")
    made: list[object] = []

    def note(record: CallRecord) -> str:
        made.append(record)
        return ""

    monkeypatch.setattr(logs, "line", note)
    logger.setLevel(logging.WARNING)
    CallLog().take(CALL)
    assert not made
    CallLog().take(replace(CALL, status="failed"))
    assert len(made) == len(written.records) == 1
    logger.removeHandler(written)
    monkeypatch.setattr(logger, "propagate", False)
    CallLog().take(replace(CALL, status="failed"))  # where Python would print it itself
    assert len(made) == 1
    assert capsys.readouterr().err == ""


def test_a_filter_that_fails_loses_one_line_only(written: Lines, caplog: pytest.LogCaptureFixture) -> None:
    def first_fails(record: logging.LogRecord) -> bool:
        if record.call.id == "call_0":  # type: ignore[attr-defined]  # what a call's line has besides
            raise ZeroDivisionError
        return True

    logger = logging.getLogger("router.calls")
    logger.addFilter(first_fails)
    CallLog().take_all([replace(CALL, id=f"call_{n}") for n in range(3)])
    logger.removeFilter(first_fails)
    assert [line["call"]["id"] for line in written.lines] == ["call_1", "call_2"]
    assert "CallLog failed to take the record of a call" in caplog.text


# the formatter


def formatted(record: logging.LogRecord, **options: Any) -> Any:
    text = JsonFormatter(**{"environ": {}, **options}).format(record)
    assert "\n" not in text
    return json.loads(text)


def a_record(message: object, *args: object, **attributes: Any) -> logging.LogRecord:
    record = logging.LogRecord("other", logging.ERROR, "", 0, message, args, None)
    vars(record).update(attributes)
    return record


def test_any_record_is_a_line_of_json_without_keys() -> None:
    record = a_record("sent %s to\n%s", "Bearer abc.123456", "x", created=1.5)
    assert formatted(record) == {
        "time": "1970-01-01T00:00:01.500000Z",
        "level": "ERROR",
        "logger": "other",
        "message": "sent Bearer *** to\nx",
    }
    assert formatted(a_record(SimpleNamespace(a=1)))["message"] == "namespace(a=1)"
    assert formatted(a_record("lone \ud800"))["message"] == "lone \ud800"


def test_exceptions_are_told_without_keys() -> None:
    try:
        raise ValueError("api_key=hunter2 is wrong")
    except ValueError as error:
        record = a_record("failed", exc_info=(ValueError, error, error.__traceback__), call=CALL)
    found = formatted(record)
    assert found["exception"].startswith("Traceback")
    assert found["exception"].endswith("ValueError: api_key=*** is wrong")
    assert found["call"]["id"] == "call_1"
    assert formatted(a_record("x", exc_text="sk-0123456789"))["exception"] == "***"


def test_known_secrets_are_blotted_out() -> None:
    environ = {"MY_API_KEY": "from-the-environment", "PATH": "/usr/bin", "A_TOKEN": "short"}
    record = a_record("from-the-environment, given-secret, /usr/bin, short")
    found = formatted(record, environ=environ, secrets=["given-secret"])
    assert found["message"] == "***, ***, /usr/bin, short"
    call = a_record("x", call=replace(CALL, end_user="from-the-environment"))
    assert formatted(call, environ=environ)["call"]["end_user"] == "***"


def test_the_environment_is_read_by_default(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VENDOR_API_KEY", "in-the-environment")
    assert json.loads(JsonFormatter().format(a_record("x in-the-environment")))["message"] == "x ***"


NAMED = ["model", "group", "deployment_model", "response_id", "previous_response_id", "response_model", "end_user"]


@pytest.mark.parametrize(
    "field",
    [*NAMED, "conversation_id", "response_status", "incomplete_reason", "service_tier", "error_code", "tenant", "key"],
)
def test_a_key_in_a_name_is_blotted_out(field: str) -> None:
    found = formatted(a_record("x", call=replace(CALL, **{field: "sk-0123456789"})))
    assert found["call"][field] == "***"
    assert found["call"]["id"] == "call_1"


@pytest.mark.parametrize(
    "changes",
    [
        {"tags": ("a", "sk-0123456789")},
        {"tags": ("api_key=sk-",)},
        {"end_user": "password: sk-0123456789"},
        {"parameters": {"truncation": "sk-0123456789"}},
        {"parameters": {"reasoning": {"api_key": "sk-"}}},
        {"attempts": (attempt("failed", error_code="sk-0123456789"),), "status": "cancelled"},
        {"attempts": (attempt("failed", error_code="sk-0123456789"), attempt())},
        {"output": ["sk-0123456789"]},
        {"error_message": "sk-0123456789"},
    ],
)
def test_a_key_elsewhere_in_a_call_is_blotted_out(changes: dict[str, Any]) -> None:
    assert "sk-" not in json.dumps(formatted(a_record("x", call=replace(CALL, **changes))))


def test_every_text_of_a_record_is_looked_at_or_is_the_operator_s_own() -> None:
    """A new field must be put into one of these lists, or be looked at: what callers and vendors say may hold a key."""
    own = {"id", "verb", "status", "deployment_id", "provider", "error_type", "affinity"}
    careful = {"input", "output", "error_message", "metadata", "parameters", "tags", "attempts"}
    numbers = {"usage", "cost", "cost_breakdown", "decision"}
    texts = {
        name
        for name, hint in get_type_hints(CallRecord).items()
        if hint not in (int, float, bool, float | None, int | None)
    }
    seen = {name for name in texts - own - careful - numbers if CANARY in _looked_at(replace(CALL, **{name: CANARY}))}
    assert texts - own - careful - numbers == seen
    assert len(seen) > 10


def endless() -> list[object]:
    value: list[object] = []
    value.append(value)
    return value


class Broken:
    """Of an SDK, as it seems."""

    def to_dict(self) -> object:
        raise ZeroDivisionError


def test_objects_among_the_parameters_are_told_by_their_class() -> None:
    found = formatted(a_record("x", call=replace(CALL, parameters={"tools": [object()]})))
    assert found["call"]["parameters"] == {"tools": ["<object>"]}


@pytest.mark.parametrize(
    "asked",
    [endless(), {(1, 2): 3}, [10**5_000], {"a": {1.5: object()}}, Broken()],
    ids=["endless", "tuple", "number", "float", "broken"],
)
def test_what_is_no_json_is_left_out_and_the_line_is_written(asked: object) -> None:
    found = formatted(a_record("x", call=replace(CALL, input=asked, parameters={"instructions": asked})))
    assert found["call"]["id"] == "call_1"
    assert found["message"] == "x"


def test_a_name_of_lone_surrogates_is_written() -> None:
    assert formatted(a_record("x", call=replace(CALL, model="\ud800")))["call"]["model"] == "\ud800"


@given(st.text(max_size=40), st.none() | st.text(max_size=20), st.floats(allow_nan=False, min_value=0))
def test_every_call_has_a_line(model: str, user: str | None, duration: float) -> None:
    call = replace(CALL, model=model, end_user=user, duration=duration, cost_breakdown=Cost(None, "unknown"))
    assert line(call).isprintable()
    found = formatted(a_record(line(call), call=call))
    assert found["call"]["duration"] == (duration if duration < float("inf") else None)


def _looked_at(call: CallRecord) -> str:
    """What of a record is looked through for keys."""
    return f"{json_lines._usual(call)} {json_lines._unique(call)}"


def test_names_that_were_looked_at_are_not_remembered_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(json_lines, "_MOST_NAMES", 4)
    formatter = JsonFormatter()
    for number in range(20):
        for model in (f"model-{number}", f"sk-{number:020}"):
            made = logging.LogRecord("router.calls", logging.INFO, "", 0, "done", (), None)
            made.call = replace(CALL, model=model)
            assert ("sk-0" in formatter.format(made)) is False
            assert ("model-" in formatter.format(made)) is model.startswith("model")
        assert len(formatter._clean) < 20


@pytest.mark.parametrize(
    "changes", [{"model": "m" * 10_000}, {"model": "m" * 1_000_000}, {"tags": ("paid",) * 10_000}],
    ids=["long", "longer", "many"],
)  # fmt: skip
def test_more_than_usual_is_not_remembered(changes: dict[str, Any]) -> None:
    formatter = JsonFormatter(environ={})
    for _ in range(2):
        found = json.loads(formatter.format(a_record("x", call=replace(CALL, **changes))))["call"]
        assert found["model"][:10_000] == changes.get("model", "gpt")[:10_000]
        assert len(found.get("tags", ())) == len(changes.get("tags", ()))
    assert all(len(each) < 100 for each in formatter._clean if each)


def test_the_beginning_of_a_line_is_remembered_as_it_is_shown() -> None:
    long = "m" * 1_000_000
    logs._way.cache_clear()
    line(replace(CALL, model=long))
    logs._way(CALL.verb, f"{long[:100]}...", "gpt", "u0")  # what the other was remembered as
    assert logs._way.cache_info().hits == 1
