"""Reads traces."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

import msgspec

from providers.errors import ConfigurationError
from router.telemetry.trace import check_header
from router.telemetry.traced import TracedCall

TraceSource: TypeAlias = "str | os.PathLike[str] | Iterable[TracedCall | Mapping[str, object]]"
"""The path of a trace, or its lines, parsed."""


@dataclass(frozen=True, slots=True)
class Trace:
    """The calls of a trace, the earliest first."""

    calls: tuple[TracedCall, ...]
    damaged: int = 0
    """Lines that could not be read."""

    @property
    def began(self) -> float:
        """Unix time of the first call; 0 if there is none."""
        return self.calls[0].arrival if self.calls else 0.0


def read_trace(source: TraceSource) -> Trace:
    """The calls of a trace. A damaged line is passed over, and counted.

    Raises `ConfigurationError` for what can't be read, is no trace, or is one of another version.
    """
    calls: list[TracedCall] = []
    damaged = 0
    if isinstance(source, (str, os.PathLike)):
        calls, damaged = _read_file(Path(source))
    else:
        for index, line in enumerate(source):
            try:
                calls.append(line if isinstance(line, TracedCall) else msgspec.convert(line, TracedCall))
            except msgspec.ValidationError as error:
                if not (index == 0 and isinstance(line, Mapping) and "format" in line):  # the header
                    raise ConfigurationError(f"trace[{index}]: is no line of a trace: {error}") from None
    return Trace(tuple(sorted(calls, key=lambda call: call.arrival)), damaged)


def _read_file(path: Path) -> tuple[list[TracedCall], int]:
    calls: list[TracedCall] = []
    damaged = 0
    decode = msgspec.json.Decoder(TracedCall).decode
    try:
        with path.open("rb") as file:
            check_header(file.readline(4096), str(path))
            for line in file:
                if not line.strip():
                    continue
                try:
                    calls.append(decode(line))
                except (msgspec.MsgspecError, UnicodeDecodeError):
                    damaged += 1
    except OSError as error:
        raise ConfigurationError(f"trace: {str(path)!r} can't be read: {error.strerror or error}") from None
    return calls, damaged
