"""One line in the log for each call. Says nothing of what was asked or answered."""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Final

from msgspec.structs import replace

from checks.end_user import digest
from router.pool import DeploymentHealth
from router.telemetry.json_lines import JsonLog
from router.telemetry.record import CallRecord

_calls = logging.getLogger("router.calls")
_TOGETHER: Final = 64
"""Calls that are written at once."""
_LONGEST_NAME: Final = 100
"""Characters of a name that a line shows: the model's may be anything a caller wrote."""


class CallLog:
    """Writes each call to the logger `router.calls`: failures as warnings, all others as information.

    The record of `logging` has the call's as its attribute `call`; unless `contents` are recorded, without the call's
    metadata, and with a digest for its tenant.
    """

    def __init__(self, *, contents: bool = False) -> None:
        self._contents = contents
        self._asked = False
        """Whether it was looked up for these calls who listens."""
        self._quick: list[JsonLog] | None = None
        """Those who listen, if all of them can be told of many calls at once."""
        self._waiting: deque[tuple[int, CallRecord]] = deque()
        """What they are to be told, with its level."""

    def attach(self, health: Callable[[], Sequence[DeploymentHealth]]) -> None:
        """It tells of calls, not of deployments."""

    def take(self, record: CallRecord) -> None:
        """Write it, if anybody listens."""
        level = logging.WARNING if record.status == "failed" else logging.INFO
        if not _calls.isEnabledFor(level):
            return
        if not self._asked:
            self._quick, self._asked = _quick(), True
        # without anybody to take it, Python would print a warning itself; the caller has the error already
        if not self._quick and not _calls.hasHandlers():
            return
        if not self._contents and (record.metadata or record.tenant is not None):
            tenant = None if record.tenant is None else digest(record.tenant)
            record = replace(record, metadata={}, tenant=tenant)
        if self._quick is None:
            made = _calls.makeRecord(_calls.name, level, __file__, 0, line(record), (), None, "take", {"call": record})
            _calls.handle(made)
            return
        self._waiting.append((level, record))
        if len(self._waiting) >= _TOGETHER:
            self.rest()

    def rest(self) -> None:
        """Write out what was taken: no more comes for now."""
        quick, self._quick, self._asked = self._quick, None, False
        if not quick:
            return
        calls = []
        with suppress(IndexError):  # they were all taken out, maybe by another thread
            while True:
                calls.append(self._waiting.popleft())
        for log in quick:
            log.tell(_calls.name, calls, line)


def line(record: CallRecord) -> str:
    """A call in one line, as `gpt -> u0: succeeded in 1.204 s, 120+45 tokens, $0.000650, 2 attempts`."""
    group, usage = record.group, record.usage
    asked = record.model or group
    if len(asked) > _LONGEST_NAME:
        asked = f"{asked[:_LONGEST_NAME]}..."
    if group and group != asked:
        asked = f"{asked} ({group})"
    if record.verb != "create":
        asked = f"{record.verb} {asked}"
    text = f"{asked} -> {record.deployment_id or 'nobody'}: {record.status} in {record.duration:.3f} s"
    if record.error_type is not None:
        text += f" with {record.error_type}"
        if record.error_status is not None:
            text += f" {record.error_status}"
    if usage is not None:
        text += f", {'about ' if usage.estimated else ''}{usage.input_tokens}+{usage.output_tokens} tokens"
    if record.cost is not None:
        text += f", ${record.cost:.6f}"
    if len(record.attempts) > 1:
        text += f", {len(record.attempts)} attempts"
    return text if text.isprintable() else "".join(each if each.isprintable() else "?" for each in text)


def _quick() -> list[JsonLog] | None:
    """The handlers that the log of calls comes to, if all of them take calls as they are; else None."""
    if _calls.filters or logging.getLogRecordFactory() is not logging.LogRecord:
        return None
    found: list[JsonLog] = []
    logger: logging.Logger | None = _calls
    while logger is not None:
        for handler in logger.handlers:
            if not isinstance(handler, JsonLog) or not handler.takes_calls():
                return None
            found.append(handler)
        logger = logger.parent if logger.propagate else None
    return found
