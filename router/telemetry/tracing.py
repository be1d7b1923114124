"""Follows a call with every tracer at once, and keeps from the call whatever they raise."""

from __future__ import annotations

import logging
import re
from collections.abc import Mapping, Sequence
from typing import Final

from providers.types import Call, Deployment
from router.run import AttemptTrace
from router.telemetry.base import CallTrace, Tracer
from router.telemetry.record import CallRecord

_log = logging.getLogger("router.telemetry")
_NAME: Final = re.compile(r"[\w-]+", re.ASCII)
_FAILED: Final = "a tracer failed to follow a call"


def follow(tracers: Sequence[Tracer], model: str, verb: str) -> CallTrace | None:
    """Begin to follow a call; None if nobody does. Never raises, and neither does what it returns."""
    begun: list[CallTrace] = []
    for tracer in tracers:
        try:
            begun.append(tracer.begin(model, verb))
        except Exception:
            _log.exception(_FAILED)
    return _Followed(begun) if begun else None


def _sendable(name: object, value: object) -> bool:
    """Whether a header can't fail a call: what a propagator of the user's own puts there may be anything."""
    if not (isinstance(name, str) and isinstance(value, str)):
        return False
    return _NAME.fullmatch(name) is not None and value.isprintable() and value == value.strip()


class _Followed:
    __slots__ = ("_traces",)

    def __init__(self, traces: Sequence[CallTrace]) -> None:
        self._traces = traces

    def attempt(self, call: Call, deployment: Deployment, url: str) -> AttemptTrace:
        attempts: list[AttemptTrace] = []
        headers: dict[str, str] = {}
        for trace in self._traces:
            try:
                attempt = trace.attempt(call, deployment, url)
                headers.update({name: each for name, each in attempt.headers.items() if _sendable(name, each)})
            except Exception:
                _log.exception(_FAILED)
            else:
                attempts.append(attempt)
        return _FollowedAttempt(attempts, headers)

    def end(self, record: CallRecord) -> None:
        for trace in self._traces:
            try:
                trace.end(record)
            except Exception:
                _log.exception(_FAILED)


class _FollowedAttempt:
    __slots__ = ("_attempts", "headers")

    def __init__(self, attempts: Sequence[AttemptTrace], headers: Mapping[str, str]) -> None:
        self._attempts = attempts
        self.headers = headers

    def failed(self, error: BaseException) -> None:
        for attempt in self._attempts:
            try:
                attempt.failed(error)
            except Exception:
                _log.exception(_FAILED)
