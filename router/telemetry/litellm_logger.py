"""Loggers written for LiteLLM: objects with its methods, functions with its four arguments.

Each call makes one event. A success: the call was answered, or its caller left the stream, whose usage so far counts.
A failure: it failed, or was cancelled.
"""

from __future__ import annotations

import inspect
from collections.abc import Awaitable, Callable, Iterator
from datetime import datetime
from typing import Final, TypeAlias, cast

from providers.views import Response
from router.telemetry.callbacks import CallbackSink, is_async
from router.telemetry.litellm_payload import Payload, failed, payload_of, response_of
from router.telemetry.record import CallRecord

Log: TypeAlias = "Callable[[Payload, Response | None, datetime, datetime], object]"
"""What LiteLLM calls: `(kwargs, response_obj, start_time, end_time)`; the times are local, without a zone, as there."""

_SUCCESS: Final = ("async_log_success_event", "log_success_event")
_FAILURE: Final = ("async_log_failure_event", "log_failure_event")
"""The methods, the one to be preferred first."""
_ARGUMENTS: Final = 4
METHODS: Final = (*_SUCCESS, *_FAILURE)


class LiteLLMSink(CallbackSink):
    """Gives one kind of event, successes or failures, to one function or method."""

    def __init__(self, log: Log, failures: bool, name: str, most: int, *, contents: bool = True) -> None:
        """`most`: records that may wait. `contents`: whether it gets them, if they are recorded."""
        self._failures = failures
        super().__init__(_adapted(log, contents), name=name, most=most)

    def take(self, record: CallRecord) -> None:
        """Let it have the event soon, if it is one of its kind."""
        if failed(record) is self._failures:
            super().take(record)


def sinks_of(spec: object, most: int) -> list[LiteLLMSink]:
    """What gives events to `spec`; none if it isn't written for LiteLLM. `most`: records that may wait for each.

    Of an object, its methods: an async one rather than the other of its name, and not those that do nothing, which it
    has from LiteLLM's `CustomLogger`. A function of four arguments gets successes, like LiteLLM's `success_callback`.
    """
    if inspect.isclass(spec):
        return []
    contents = getattr(spec, "message_logging", True) is not False
    owner = type(spec).__name__
    sinks: list[LiteLLMSink] = []
    for names, failures in ((_SUCCESS, False), (_FAILURE, True)):
        name = next((name for name in names if _is_written(spec, name)), None)
        if name is not None:
            sinks.append(LiteLLMSink(getattr(spec, name), failures, f"{owner}.{name}", most, contents=contents))
    if not sinks and callable(spec) and _arguments(spec) == _ARGUMENTS:
        sinks.append(LiteLLMSink(cast("Log", spec), False, getattr(spec, "__qualname__", owner), most))
    return sinks


def is_idle(spec: object) -> bool:
    """Whether it is one of LiteLLM's loggers that logs nothing: it has only other hooks, or none."""
    return not inspect.isclass(spec) and any(_is_custom_logger(kind) for kind in type(spec).__mro__)


def _is_written(spec: object, name: str) -> bool:
    if not callable(getattr(spec, name, None)):
        return False
    owner = next((kind for kind in type(spec).__mro__ if name in vars(kind)), None)
    return name in getattr(spec, "__dict__", {}) or owner is None or not _is_custom_logger(owner)


def _is_custom_logger(kind: type) -> bool:
    return kind.__name__ == "CustomLogger" and kind.__module__.partition(".")[0] == "litellm"


def _arguments(function: Callable[..., object]) -> int:
    """How many arguments it must be given by position; 0 if that can't be said."""
    try:
        parameters = inspect.signature(function).parameters.values()
    except (TypeError, ValueError):  # some that are written in C don't say
        return 0
    by_position = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
    return sum(each.kind in by_position and each.default is each.empty for each in parameters)


def _adapted(log: Log, contents: bool) -> Callable[[CallRecord], object]:
    """A callback that calls `log`, and is asynchronous if that is."""

    def arguments(record: CallRecord) -> Iterator[object]:
        response = response_of(record, contents=contents)
        start = datetime.fromtimestamp(record.started)
        end = datetime.fromtimestamp(record.started + record.duration)
        yield from (payload_of(record, response, start, end, contents=contents), response, start, end)

    if not is_async(log):
        return lambda record: log(*arguments(record))  # type: ignore[arg-type]  # they are these four
    wait = cast("Callable[..., Awaitable[object]]", log)

    async def call(record: CallRecord) -> None:
        await wait(*arguments(record))

    return call
