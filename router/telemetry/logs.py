"""One line in the log for each call, for people and as JSON. Says nothing of what was asked or answered."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Final

import msgspec
from msgspec.structs import replace

from checks.end_user import digest
from providers import jsonio
from router.pool import DeploymentHealth
from router.telemetry.record import CallRecord

_calls = logging.getLogger("router.calls")
_MOST_NAMES: Final = 10_000
_LONGEST_NAME: Final = 100
"""Characters of a name that a line shows: the model's may be anything a caller wrote."""


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
        level = logging.WARNING if record.status == "failed" else logging.INFO
        # without anybody to take it, Python would print a warning itself; the caller has the error already
        if not _calls.isEnabledFor(level) or not _calls.hasHandlers():
            return
        if not self._contents and (record.metadata or record.tenant is not None):
            tenant = None if record.tenant is None else digest(record.tenant)
            record = replace(record, metadata={}, tenant=tenant)
        made = _calls.makeRecord(_calls.name, level, __file__, 0, line(record), (), None, "take", {"call": record})
        _calls.handle(made)


def line(record: CallRecord) -> str:
    """A call in one line, as `gpt → u0: succeeded in 1.204 s, 120+45 tokens, $0.000650, 2 attempts`."""
    where = record.deployment_id or "nobody"
    asked = record.model or record.group
    if len(asked) > _LONGEST_NAME:
        asked = f"{asked[:_LONGEST_NAME]}…"
    if record.group and record.group != asked:
        asked = f"{asked} ({record.group})"
    verb = "" if record.verb == "create" else f"{record.verb} "
    parts = [f"{verb}{asked} → {where}: {record.status} in {record.duration:.3f} s"]
    if record.error_type is not None:
        parts[0] += f" with {record.error_type}"
        if record.error_status is not None:
            parts[0] += f" {record.error_status}"
    if record.usage is not None:
        about = "about " if record.usage.estimated else ""
        parts.append(f"{about}{record.usage.input_tokens}+{record.usage.output_tokens} tokens")
    if record.cost is not None:
        parts.append(f"${record.cost:.6f}")
    if len(record.attempts) > 1:
        parts.append(f"{len(record.attempts)} attempts")
    text = ", ".join(parts)
    return text if text.isprintable() else "".join(each if each.isprintable() else "?" for each in text)


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
        self._encode = msgspec.json.Encoder().encode
        self._clean: set[str | None] = {None}
        """Names that hold no key: most come again."""

    def format(self, record: logging.LogRecord) -> str:
        """The line."""
        call = getattr(record, "call", None)
        if not isinstance(call, CallRecord):
            return self._careful(record, None)
        if record.exc_info is None and not _tells(call) and self._is_clean(call):
            made = datetime.fromtimestamp(record.created, UTC)
            try:
                return self._encode(_Line(made, record.levelname, record.name, record.getMessage(), call)).decode()
            except UnicodeError:  # a lone surrogate in a name
                pass
        return self._careful(record, call)

    def _is_clean(self, call: CallRecord) -> bool:
        """Whether nothing in it can hold a key."""
        known = self._clean
        if not known.issuperset(_usual(call)):
            if len(known) > _MOST_NAMES:
                known.clear()
                known.add(None)
            for name in _usual(call):
                if name is not None and name not in known:
                    if not self._redactor.clean(name):
                        return False
                    known.add(name)
        return self._redactor.clean(_unique(call))

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
        except (TypeError, ValueError, RecursionError):  # what was asked is no JSON
            bare = replace(call, input=None, output=None, metadata={}, parameters={})
            said["call"] = redact.value(msgspec.to_builtins(bare))
            return jsonio.dumps(said).decode()


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
    """The rest of that, which is another in each record."""
    names = f"{call.response_id} {call.previous_response_id} {call.id}"
    if call.conversation_id is not None:
        names = f"{names} {call.conversation_id}"
    if call.tags or call.parameters:
        names = f"{names} {call.tags} {call.parameters}"
    if len(call.attempts) > 1:
        names = " ".join([names, *(each.error_code for each in call.attempts if each.error_code)])
    return names


def _tells(call: CallRecord) -> bool:
    """Whether it holds texts of which nothing is known."""
    return bool(call.input is not None or call.output is not None or call.error_message is not None or call.metadata)


def _plain(value: object) -> object:
    """What stands for an object that JSON has no word for: its own JSON, if it has any, or its class."""
    try:
        return jsonio.plain(value)
    except TypeError:
        return f"<{type(value).__name__}>"
