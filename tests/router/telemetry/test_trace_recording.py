"""`Router.record`: what a trace holds, and that nothing about it can harm a call."""

import asyncio
import errno
import gc
import json
import logging
import os
from io import FileIO
from pathlib import Path
from typing import Any

import msgspec
import pytest
from routers import AFFINITY, KEY, create, group, misbehave, serving

from providers.errors import ConfigurationError, InternalServerError
from providers.simulated import SimulatedUpstream
from router import Router
from router.simulation.reading import read_trace
from router.telemetry import trace as module
from router.telemetry.record import CallRecord
from router.telemetry.trace import TraceRecording


def lines(path: Path) -> list[dict[str, Any]]:
    """The calls of a trace, without its header."""
    header, *rest = path.read_text().splitlines()
    assert json.loads(header) == {"format": "homing-trace", "version": 1}
    return [json.loads(line) for line in rest]


def record(**values: Any) -> CallRecord:
    """The record of some call."""
    usual: dict[str, Any] = {
        "id": "call_1",
        "verb": "create",
        "status": "succeeded",
        "model": "gpt",
        "group": "gpt",
        "deployment_id": "a",
        "provider": "openai",
        "deployment_model": "gpt-4o",
        "stream": False,
        "started": 1.0,
        "queued": 0.0,
        "first_event": None,
        "duration": 1.0,
    }
    return CallRecord(**{**usual, **values})


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "calls.trace"


async def test_a_trace_has_a_line_for_each_call_and_no_contents(path: Path) -> None:
    async with serving(2) as upstreams, Router(group(upstreams), optional_pre_call_checks=list(AFFINITY)) as router:
        with router.record(path) as recording:
            first = await create(router, True, input="tell me a SECRET", instructions="in WHISPERS")
            await create(
                router,
                False,
                previous_response_id=first.id,
                max_output_tokens=64,
                litellm_metadata={"tags": ["eu"], "purpose": "HIDDEN"},
                affinity_scope=None,
            )
            misbehave(upstreams[0], "500")
            misbehave(upstreams[1], "500")
            with pytest.raises(InternalServerError):
                await create(router, False, num_retries=1)
        assert recording.written == 3
        assert recording.dropped == 0
    assert not [word for word in ("SECRET", "WHISPERS", "HIDDEN", KEY) if word in json.dumps(lines(path))]
    one, two, three = lines(path)
    assert one["stream"] is True
    assert one["response_id"] == two["previous_response_id"] == first.id
    assert one["deployment"] == two["deployment"] == first.routing.deployment_id
    assert one["first_event"] <= one["duration"]
    assert one["usage"]["output_tokens"] == 8
    assert one["attempts"][0]["status"] == "succeeded"
    assert two["affinity"] == "home"
    assert two["tags"] == ["eu"]
    assert two["max_output_tokens"] == 64
    assert three["status"] == "failed"
    assert three["error_type"] == "InternalServerError"
    assert [each["error_status"] for each in three["attempts"]] == [500, 500]
    assert sum(one["arrival"] <= each["arrival"] for each in (one, two, three)) == 3


async def test_calls_that_ended_before_are_not_in_it(path: Path) -> None:
    async with serving(1) as upstreams, Router(group(upstreams)) as router:
        for _ in range(3):
            await create(router, False)  # of which the records still wait
        with router.record(path):
            await create(router, False)
    assert len(lines(path)) == 1


async def test_two_at_once_write_the_same_and_one_may_end_first(path: Path, tmp_path: Path) -> None:
    other = tmp_path / "other.trace"
    async with serving(1) as upstreams, Router(group(upstreams)) as router:
        with router.record(path):
            long = router.record(str(other))
            await create(router, False)
        await create(router, False)
        long.close()
        long.close()
        await create(router, False)
    assert len(lines(path)) == 1
    assert len(lines(other)) == 2
    assert lines(other)[0] == lines(path)[0]


async def test_closing_the_router_writes_what_waits_and_recording_goes_on(path: Path) -> None:
    async with serving(1) as upstreams:
        router = Router(group(upstreams))
        recording = router.record(path)
        await create(router, False)
        await router.aclose()
        assert len(lines(path)) == 1
        await create(router, False)
        await router.aclose()
        assert len(lines(path)) == 2
        await router.aclose()
        recording.close()


def test_synchronous_callers_can_record_too(path: Path) -> None:
    with SimulatedUpstream.in_thread("u0") as upstream, Router(group([upstream])) as router:
        with router.record(path):
            router.responses("gpt", "hi")
        with router.record(path):
            router.responses("gpt", "hi")
    assert len(lines(path)) == 2


def test_a_router_without_calls_leaves_a_header(path: Path) -> None:
    with Router().record(path):
        pass
    assert lines(path) == []


def test_people_and_tenants_are_digests(path: Path) -> None:
    with TraceRecording(path) as recording:
        recording.attach(list)
        for user in ("ann@example.com", "bob@example.com", "ann@example.com"):
            recording.take(record(end_user=user, tenant="acme"))
    found = [line["end_user"] for line in lines(path)]
    assert found[0] == found[2] != found[1]
    assert not [word for word in ("example", "acme") if word in path.read_text()]


def test_a_recording_that_is_forgotten_is_written(path: Path) -> None:
    recording = TraceRecording(path)
    recording.take(record())
    del recording
    gc.collect()
    assert len(lines(path)) == 1


def test_what_waits_is_written_soon_by_itself(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_PERIOD", 0.01)
    with TraceRecording(path) as recording:
        for number in (1, 2):  # the thread ends when there is nothing to write, and another begins
            recording.take(record())
            while recording.written < number or _threads():
                pass
    assert len(lines(path)) == 2


def _threads() -> list[str]:
    import threading

    return [each.name for each in threading.enumerate() if each.name == "homing-router-trace"]


def test_many_are_written_before_the_period_is_over(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_PERIOD", 60.0)
    monkeypatch.setattr(module, "_BATCH", 3)
    with TraceRecording(path) as recording:
        for _ in range(3):
            recording.take(record())
        while recording.written < 3:
            pass


def test_more_than_can_wait_is_dropped_and_counted(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_PERIOD", 60.0)
    monkeypatch.setattr(module, "MOST_WAITING", 2)
    with TraceRecording(path) as recording:
        for _ in range(5):
            recording.take(record())
        assert recording.dropped == 3
    assert len(lines(path)) == 2


class _Disk:
    """A file on a disk that is full at times, in the middle of a line too."""

    def __init__(self, file: FileIO) -> None:
        self.file = file
        self.full = False

    def write(self, content: bytes) -> int:
        if not self.full:
            return self.file.write(content[:40])
        self.file.write(content[:10])
        raise OSError(errno.ENOSPC, "No space left on device")

    def close(self) -> None:
        self.file.close()


def test_a_full_disk_is_logged_once_counted_and_survived(path: Path, caplog: pytest.LogCaptureFixture) -> None:
    with TraceRecording(path) as recording:
        disk = _Disk(recording._writer._file)
        recording._writer._file = disk  # type: ignore[assignment]  # as far as it is used
        for full in (False, True, True, False):
            disk.full = full
            recording.take(record(id=f"call_{full}"))
            recording._writer.drain()
        assert (recording.written, recording.dropped) == (2, 2)
    assert [each.getMessage() for each in caplog.records] == [
        f"the trace {path} can't be written: [Errno 28] No space left on device; what is lost is counted"
    ]
    found = read_trace(path)
    assert len(found.calls) == 2, "a line that was torn spoils no other"
    assert found.damaged == 2


def test_a_name_that_is_no_text_costs_its_own_line_alone(path: Path, caplog: pytest.LogCaptureFixture) -> None:
    with TraceRecording(path) as recording:
        for model in ("gpt", "\ud800", "gpt"):
            recording.take(record(model=model))
    assert (recording.written, recording.dropped) == (2, 1)
    assert len(lines(path)) == 2
    assert len(caplog.records) == 1


def test_what_comes_after_the_end_is_counted(
    path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_PERIOD", 0.01)  # for which its thread lives on
    recording = TraceRecording(path)
    recording.close()
    recording.take(record())
    recording._writer.drain()
    assert recording.dropped == 1
    assert caplog.records[0].levelno == logging.ERROR


async def test_flushing_waits_no_longer_than_it_may(path: Path) -> None:
    with TraceRecording(path) as recording:
        assert await recording.flush(5)
        recording.take(record())
        with recording._writer._writing:  # the disk hangs
            flushed = asyncio.create_task(recording.flush(0.01))
            assert not await flushed
        assert await recording.flush(5)
        assert recording.written == 1


def test_a_trace_is_gone_on_with(path: Path) -> None:
    for _ in range(2):
        with TraceRecording(path) as recording:
            recording.take(record())
    with path.open("ab") as file:
        file.write(b'{"torn')
    with TraceRecording(path) as recording:
        recording.take(record())
    assert path.read_bytes().count(b"homing-trace") == 1
    assert path.read_bytes().splitlines()[3] == b'{"torn'
    assert len(path.read_bytes().splitlines()) == 5


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("hello\n", "is no trace; give the path of one that Router.record wrote"),
        ('{"level": "INFO", "message": "a log"}\n', "is no trace; give the path of one that Router.record wrote"),
        ('{"version": 1}\n', "is no trace; give the path of one that Router.record wrote"),
        ('{"format": "other"}\n', "is no trace; give the path of one that Router.record wrote"),
        ('{"format": "homing-trace", "version": 9}\n', "is a trace of version 9, and this is about version 1"),
    ],
)
def test_another_file_is_left_alone(path: Path, content: str, said: str) -> None:
    path.write_text(content)
    with pytest.raises(ConfigurationError) as error:
        Router().record(path)
    assert said in str(error.value)
    assert path.read_text() == content


def test_what_cannot_be_written_is_one_clear_error(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"can't be written: Is a directory"):
        Router().record(tmp_path)
    with pytest.raises(ConfigurationError, match=r"can't be written: No such file or directory"):
        Router().record(tmp_path / "there" / "is" / "none")


def test_a_device_gets_a_header_too() -> None:
    with TraceRecording(os.devnull) as recording:
        recording.take(record())
    assert recording.written == 1


def test_lines_can_be_read_by_anybody(path: Path) -> None:
    with TraceRecording(path) as recording:
        recording.take(record(tags=("a",), metadata={"secret": "x"}))
    assert msgspec.json.decode(path.read_bytes().splitlines()[1])["tags"] == ["a"]
