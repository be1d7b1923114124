"""Logs as lines of JSON: any record of `logging`, and calls, without what looks like a key."""

from __future__ import annotations

import logging
import os
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Final, TextIO

import msgspec
from msgspec.structs import replace

from providers import jsonio
from router.telemetry.record import CallRecord

_MOST_NAMES: Final = 10_000
_LONGEST: Final = 1_000
"""Characters that are remembered of one call, if it has no more: whoever calls may write a megabyte."""
_ID: Final = re.compile("resp_[0-9a-f]+")
"""The usual id of a response, of digits that no key begins with."""


class _Line(msgspec.Struct):
    """What a line of JSON says of a call."""

    time: datetime
    level: str
    logger: str
    message: str
    call: CallRecord


class JsonFormatter(logging.Formatter):
    """Formats any record of `logging` as one line of JSON: `time` (ISO 8601, UTC), `level`, `logger`, `message`;
    `exception` if there is one; and `call`, what is known of a call, if it is a Router's.

    What looks like a key is blotted out, in other libraries' messages too. So are `secrets`, and by default the values
    of environment variables that are named like keys (`…_API_KEY`, `…TOKEN…`, `…SECRET…`, `…PASSWORD…`), as they are
    when the formatter is made.
    """

    def __init__(self, secrets: Iterable[str] = (), *, environ: Mapping[str, str] | None = None) -> None:
        super().__init__()
        # Imported when needed: most programs format their logs otherwise, and its patterns take a while to compile.
        from router.telemetry.redaction import Redactor, environment_secrets

        self._redactor = Redactor((*secrets, *environment_secrets(os.environ if environ is None else environ)))
        encoder = msgspec.json.Encoder()
        self._encode, self._lines = encoder.encode, encoder.encode_lines
        self._clean: set[str | tuple[str | None, ...] | None] = {None}
        """Names, and groups of names, that hold no key: most come again."""

    def format(self, record: logging.LogRecord) -> str:
        """The line."""
        call = getattr(record, "call", None)
        if not isinstance(call, CallRecord):
            return self._careful(record, None)
        try:
            if record.exc_info is None and not _tells(call) and self._is_clean(call):
                made = datetime.fromtimestamp(record.created, UTC)
                return self._encode(_Line(made, record.levelname, record.name, record.getMessage(), call)).decode()
        except Exception:  # a lone surrogate in a name, an object among the parameters
            pass
        return self._careful(record, call)

    def of_calls(self, logger: str, calls: Sequence[tuple[int, CallRecord]], line: Callable[[CallRecord], str]) -> str:
        """The lines of calls that have just ended, each with its level, of which `logging` need not know; `line` is
        ours, and says of each what the message is. Raises if one of them can't be told so."""
        return self._lines([self._line(logger, level, line(call), call) for level, call in calls]).decode()

    def _line(self, logger: str, level: int, message: str, call: CallRecord) -> _Line | msgspec.Raw:
        if _tells(call) or not self._is_clean(call):
            return msgspec.Raw(self._careful(_logged(logger, level, message, call), call).encode())
        ended = datetime.fromtimestamp(call.started + call.duration, UTC)
        return _Line(ended, logging.getLevelName(level), logger, message, call)

    def _is_clean(self, call: CallRecord) -> bool:
        """Whether no name in it can hold a key."""
        if not self._knows(_usual(call)) or (call.tags and not self._knows(call.tags)):
            return False
        if call.parameters and not self._knows((str(call.parameters),)):
            return False
        rest = _unique(call)
        return not rest or self._redactor.clean(rest)

    def _knows(self, names: tuple[str | None, ...]) -> bool:
        """Whether none of `names` can hold a key; those are remembered that can't."""
        known = self._clean
        if names in known:
            return True
        if len(known) > _MOST_NAMES:
            known.clear()
            known.add(None)
        fresh = [str(name) for name in names if name not in known]
        if not all(map(self._redactor.clean, fresh)):
            return False
        if len(names) + sum(map(len, fresh)) <= _LONGEST:
            known.update(fresh)
            known.add(names)
        return True

    def _careful(self, record: logging.LogRecord, call: CallRecord | None) -> str:
        """The line, each text in it looked at."""
        redact = self._redactor
        said: dict[str, object] = {
            "time": datetime.fromtimestamp(record.created, UTC),
            "level": record.levelname,
            "logger": record.name,
            "message": redact.text(record.getMessage()),
        }
        thrown = self.formatException(record.exc_info) if record.exc_info else record.exc_text
        if thrown:
            said["exception"] = redact.text(thrown)
        if call is None:
            return jsonio.dumps(said).decode()
        try:
            said["call"] = redact.value(msgspec.to_builtins(call, enc_hook=_plain, str_keys=True))
            return jsonio.dumps(said).decode()
        except Exception:  # what was asked is no JSON, which an object may say in its own way
            bare = replace(call, input=None, output=None, metadata={}, parameters={}, max_output_tokens=None)
            said["call"] = redact.value(msgspec.to_builtins(bare))
            return jsonio.dumps(said).decode()


class JsonLog(logging.StreamHandler[TextIO]):
    """A handler of `logging` that writes lines of JSON, as `JsonFormatter` makes them, to `stream` (default: stderr).

    Lines of calls that end together are written together, at less than half of what each costs alone. `secrets` and
    `environ` are the formatter's.
    """

    def __init__(
        self, stream: TextIO | None = None, secrets: Iterable[str] = (), *, environ: Mapping[str, str] | None = None
    ) -> None:
        super().__init__(stream)
        self._lines = JsonFormatter(secrets, environ=environ)
        self.setFormatter(self._lines)

    def takes_calls(self) -> bool:
        """Whether `tell` does all that would be done with records of `logging`: nobody has changed that."""
        return type(self) is JsonLog and self.formatter is self._lines and not self.filters

    def tell(self, logger: str, calls: Sequence[tuple[int, CallRecord]], line: Callable[[CallRecord], str]) -> None:
        """Write calls, each with its level, that `logger` is to log; `line` says what the message is."""
        least = self.level
        told = [each for each in calls if each[0] >= least]
        if not told:
            return
        self.acquire()
        try:
            try:
                text = self._lines.of_calls(logger, told, line)
            except Exception:  # for one of them, as a lone surrogate in a name: the others' lines are not to be lost
                for level, call in told:
                    self.emit(_logged(logger, level, line(call), call))
                return
            self.stream.write(text)
            self.flush()
        except Exception:  # what can't be logged harms nobody, and `logging` says so
            self.handleError(logging.LogRecord(logger, logging.ERROR, __file__, 0, "lines of calls", (), None))
        finally:
            self.release()


def _logged(logger: str, level: int, message: str, call: CallRecord) -> logging.LogRecord:
    """What `logging` would have made of a call."""
    record = logging.LogRecord(logger, level, __file__, 0, message, (), None)
    record.call = call
    return record


def _usual(call: CallRecord) -> tuple[str | None, ...]:
    """What callers and vendors can put words into, and mostly is the same again."""
    return (
        call.model,
        call.group,
        call.deployment_model,
        call.response_model,
        call.response_status,
        call.incomplete_reason,
        call.service_tier,
        call.error_code,
        call.end_user,
        call.tenant,
        call.key,
    )


def _unique(call: CallRecord) -> str:
    """The rest of that, which is another in each record; without ids of which it can be seen at once."""
    own, former = call.response_id, call.previous_response_id
    names = []
    if own is not None and not _ID.fullmatch(own):
        names.append(own)
    if former is not None and not _ID.fullmatch(former):
        names.append(former)
    if call.conversation_id is not None:
        names.append(call.conversation_id)
    if len(call.attempts) > 1 or call.status != "succeeded":
        names += (each.error_code for each in call.attempts if each.error_code)
    return " ".join(names)


def _tells(call: CallRecord) -> bool:
    """Whether it holds texts of which nothing is known."""
    return bool(call.input is not None or call.output is not None or call.error_message is not None or call.metadata)


def _plain(value: object) -> object:
    """What stands for an object that JSON has no word for: its own JSON, if it has any, or its class."""
    try:
        return jsonio.plain(value)
    except TypeError:
        return f"<{type(value).__name__}>"
