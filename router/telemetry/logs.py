"""One line in the log for each call. Says nothing of what was asked or answered."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import Final

from msgspec.structs import replace

from checks.end_user import digest
from router.pool import DeploymentHealth
from router.telemetry.base import one_by_one
from router.telemetry.json_lines import JsonLog
from router.telemetry.record import CallRecord

_calls = logging.getLogger("router.calls")
_LONGEST_NAME: Final = 100
"""Characters of a name that a line shows: the model's may be anything a caller wrote."""
_MOST_WAYS: Final = 1_000
"""Models, groups and deployments of whose lines the beginning is kept."""


class CallLog:
    """Writes each call to the logger `router.calls`: failures as warnings, all others as information.

    The record of `logging` has the call's as its attribute `call`; unless `contents` are recorded, without the call's
    metadata, and with a digest for its tenant.
    """

    def __init__(self, *, contents: bool = False) -> None:
        self._contents = contents

    def attach(self, health: Callable[[], Sequence[DeploymentHealth]]) -> None:
        """It tells of calls, not of deployments."""

    def take(self, record: CallRecord) -> None:
        """Write it, if anybody listens."""
        self.take_all((record,))

    def take_all(self, records: Sequence[CallRecord]) -> None:
        """Write them, as far as anybody listens."""
        if not _calls.isEnabledFor(logging.INFO):
            records = [each for each in records if _level(each) != logging.INFO]
        if not records or not _calls.isEnabledFor(logging.WARNING):
            return
        quick = _quick()
        if quick is None:
            # without anybody to take it, Python would print a warning itself; the caller has the error already
            if _calls.hasHandlers():
                one_by_one(self._write, "CallLog", records)
            return
        if quick:
            calls = [(_level(each), self._shown(each)) for each in records]
            for log in quick:
                log.tell(_calls.name, calls, line)

    def _write(self, record: CallRecord) -> None:
        level, said, extra = _level(record), line(record), {"call": self._shown(record)}
        _calls.handle(_calls.makeRecord(_calls.name, level, __file__, 0, said, (), None, "take", extra))

    def _shown(self, record: CallRecord) -> CallRecord:
        if self._contents or not (record.metadata or record.tenant is not None):
            return record
        tenant = None if record.tenant is None else digest(record.tenant)
        return replace(record, metadata={}, tenant=tenant)


def _level(record: CallRecord) -> int:
    return logging.WARNING if record.status == "failed" else logging.INFO


def line(record: CallRecord) -> str:
    """A call in one line, as `gpt -> u0: succeeded in 1.204 s, 120+45 tokens, $0.000650, 2 attempts`."""
    usage = record.usage
    asked = record.model or record.group
    if len(asked) > _LONGEST_NAME:
        asked = f"{asked[:_LONGEST_NAME]}..."
    way = _way(record.verb, asked, record.group, record.deployment_id)
    text = f"{way}: {record.status} in {record.duration:.3f} s"
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
    return text


@lru_cache(_MOST_WAYS)
def _way(verb: str, asked: str, group: str, deployment: str | None) -> str:
    """What was asked of whom, in characters that can be printed."""
    if group and group != asked:
        asked = f"{asked} ({group})"
    if verb != "create":
        asked = f"{verb} {asked}"
    text = f"{asked} -> {deployment or 'nobody'}"
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
