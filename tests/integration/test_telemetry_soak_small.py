"""Thousands of calls with every observer on leave nothing behind. benchmarks/telemetry.py does it with 100,000."""

import asyncio
import gc
import io
import json
import logging
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from routers import create, entry

from providers.types import Connection, HttpRequest
from router import APIError, CallRecord, JsonFormatter, Router, budgeting

CALLS = 300
"""Calls in a round: each of another end user, a third of them streams, some of which fail."""
FLAT = 0.5
"""Blocks of memory that a call may leave behind, on the average: a record alone has dozens. Caches fill up in the
first rounds."""


class Reply:
    """An answer that is here already."""

    def __init__(self, status: int, kind: str, body: bytes) -> None:
        self.status = status
        self.headers: Mapping[str, str] = {"content-type": kind}
        self._parts = [body]

    async def read(self) -> bytes:
        return self._parts.pop()

    async def chunk(self) -> bytes:
        return self._parts.pop() if self._parts else b""

    async def aclose(self) -> None:
        """Nothing is held."""

    def abort(self) -> None:
        """Nothing is held."""


class Memory:
    """A transport to nowhere: simulated deployments would remember every call, which is what is looked for here."""

    def __init__(self) -> None:
        self.made = 0

    async def send(self, request: HttpRequest, connection: Connection, *, timeout: float) -> Reply:
        await asyncio.sleep(0)
        self.made += 1
        if self.made % 50 == 0:
            return Reply(500, "application/json", b'{"error": {"message": "no", "type": "server_error"}}')
        response: dict[str, Any] = {"id": f"resp_{self.made}", "object": "response", "status": "completed"}
        response |= {"model": "gpt-4o", "output": [], "usage": {"input_tokens": 4, "output_tokens": 8}}
        if b'"stream":true' not in request.content:
            return Reply(200, "application/json", json.dumps(response).encode())
        event = {"type": "response.completed", "response": response, "sequence_number": 0}
        return Reply(200, "text/event-stream", b"data: %s\n\n" % json.dumps(event).encode())

    async def aclose(self) -> None:
        """Nothing is open."""


@pytest.fixture
def log() -> Any:
    """The log of calls, as JSON."""
    logger, handler = logging.getLogger("router.calls"), logging.StreamHandler(io.StringIO())
    handler.setFormatter(JsonFormatter())
    logger.addHandler(handler)
    logger.setLevel(logging.INFO)
    yield handler
    logger.removeHandler(handler)
    logger.setLevel(logging.NOTSET)


async def test_thousands_of_calls_with_every_observer_leave_memory_flat(
    tmp_path: Path, log: "logging.StreamHandler[io.StringIO]", monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(logging.getLogger(), "handlers", [])  # pytest's would keep every line
    monkeypatch.setattr(budgeting, "_MOST", CALLS)  # conversations whose length is kept are that many at once
    last: list[str] = [""]

    async def callback(record: CallRecord) -> None:
        last[0] = record.id

    router = Router(
        [entry("http://127.0.0.1:9", id=f"d{number}") for number in range(3)],
        http_client=Memory(),
        callbacks=[callback, "prometheus", "otel"],
        record_decisions=True,
        budgets=[{"end_user": "*", "max_budget": 100, "budget_duration": "1d"}],
        num_retries=0,
        disable_cooldowns=True,
    )
    held, failed = [], 0
    with router.record(tmp_path / "calls.trace") as recording:
        for turn in range(8):
            for number in range(CALLS):
                try:
                    await create(router, number % 3 == 0, user=f"user-{number}")
                except APIError:
                    failed += 1
            assert await router.aflush()
            assert recording.written == (turn + 1) * CALLS
            log.setStream(io.StringIO())
            gc.collect()
            held.append(sys.getallocatedblocks())
    assert router.spend().total.calls == 8 * CALLS
    assert router.spend().total.failures == failed > 0
    assert held[-1] - held[2] <= 5 * CALLS * FLAT, held
    await router.aclose()
