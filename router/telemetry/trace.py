"""Writes a trace: one line for each call, by a thread of its own, so that no call waits for a disk."""

from __future__ import annotations

import asyncio
import logging
import os
import threading
import weakref
from collections import deque
from collections.abc import Callable, Sequence
from io import FileIO
from pathlib import Path
from types import TracebackType
from typing import Final, Self

import msgspec

from providers.errors import ConfigurationError
from router.pool import DeploymentHealth
from router.telemetry.record import CallRecord
from router.telemetry.traced import FORMAT, VERSION, Header, traced

_log = logging.getLogger("router.telemetry")

MOST_WAITING: Final = 10_000
"""Records that wait for the disk; beyond them they are dropped, and counted."""
_PERIOD: Final = 1.0
"""Seconds between two writes."""
_BATCH: Final = 1_000
"""Records that are written at once, before the period is over."""
_HEADER: Final = 4096
"""Bytes of a file that are looked at to see whose it is."""


class TraceRecording:
    """Writes each call of a Router to a file from now on, until `close`. Also a context manager.

    Written every second, when the Router is closed, and by `close`; what can't be written is counted and logged once.
    """

    def __init__(self, path: str | os.PathLike[str], detach: Callable[[TraceRecording], None] | None = None) -> None:
        """Begins the file, or goes on with a trace of this version. `detach` is called when it is closed.

        Raises `ConfigurationError` if the file can't be written, or is something else.
        """
        self.path = Path(path)
        self._writer = _Writer(_opened(self.path), str(path))
        self._detach = detach
        self._finalizer = weakref.finalize(self, self._writer.close)

    @property
    def written(self) -> int:
        """Calls in the file so far."""
        return self._writer.written

    @property
    def dropped(self) -> int:
        """Calls that are not in the file: too many waited, or they could not be written."""
        return self._writer.dropped

    def attach(self, health: Callable[[], Sequence[DeploymentHealth]]) -> None:
        """A trace tells of calls, not of deployments."""

    def take(self, record: CallRecord) -> None:
        """One call is over."""
        self._writer.put(record)

    async def flush(self, timeout: float) -> bool:
        """Write what waits, within `timeout` seconds; whether nothing waits any more."""
        if self._writer.waiting:
            try:
                async with asyncio.timeout(timeout):
                    await asyncio.to_thread(self._writer.drain)
            except TimeoutError:
                pass
        return not self._writer.waiting

    def close(self) -> None:
        """Write what waits, and end the file. Calls that are still on their way are not in it. Idempotent."""
        detach, self._detach = self._detach, None
        if detach is not None:
            detach(self)
        self._finalizer()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


class _Writer:
    """The file, and what waits for it. Holds no reference to the recording, which may be forgotten unclosed."""

    def __init__(self, file: FileIO, name: str) -> None:
        self.written = 0
        self.dropped = 0
        self.waiting: deque[CallRecord] = deque()
        self._file = file
        self._name = name
        self._encode = msgspec.json.Encoder().encode
        self._lock = threading.Lock()
        self._writing = threading.Lock()
        self._wake = threading.Event()
        self._running = False
        self._torn = False
        """Whether the last line may be a part of one."""
        self._warned = False

    def put(self, record: CallRecord) -> None:
        """Let `record` wait for the next write."""
        with self._lock:
            if len(self.waiting) >= MOST_WAITING:
                self.dropped += 1
                return
            self.waiting.append(record)
            begin, self._running = not self._running, True
        if begin:
            threading.Thread(target=self._serve, name="homing-router-trace", daemon=True).start()
        elif len(self.waiting) == _BATCH:
            self._wake.set()

    def _serve(self) -> None:
        """Write every now and then, as long as there is something to write."""
        while True:
            self._wake.wait(_PERIOD)
            self._wake.clear()
            with self._lock:
                if not self.waiting:
                    self._running = False
                    return
            self.drain()

    def drain(self) -> None:
        """Write what waits, now."""
        with self._writing:
            with self._lock:
                batch = list(self.waiting)
                self.waiting.clear()
            if batch:
                self._write(batch)

    def _write(self, batch: list[CallRecord]) -> None:
        lines = self._lines(batch)
        content = (b"\n" if self._torn else b"") + b"".join(lines)
        self._torn = True
        try:
            while content:
                content = content[self._file.write(content) or 0 :]
        except (OSError, ValueError) as error:
            self._lose(len(lines), error)
        else:
            self._torn = False
            self.written += len(lines)

    def _lines(self, batch: list[CallRecord]) -> list[bytes]:
        lines = []
        for record in batch:
            try:
                lines.append(self._encode(traced(record)) + b"\n")
            except Exception as error:  # a name that is no Unicode, from whoever called
                self._lose(1, error)
        return lines

    def _lose(self, number: int, error: Exception) -> None:
        self.dropped += number
        if not self._warned:
            self._warned = True
            _log.error("the trace %s can't be written: %s; what is lost is counted", self._name, error)

    def close(self) -> None:
        """Write what waits, and end the file."""
        self.drain()
        with self._writing:
            self._file.close()
        self._wake.set()


def _opened(path: Path) -> FileIO:
    """The file, with a header. Raises `ConfigurationError`."""
    try:
        file = FileIO(path, "a+")
    except OSError as error:
        raise ConfigurationError(f"path: {str(path)!r} can't be written: {error.strerror or error}") from None
    try:
        _begin(file, path)
    except BaseException:
        file.close()
        raise
    return file


def _begin(file: FileIO, path: Path) -> None:
    if not file.seekable() or not file.seek(0, os.SEEK_END):
        file.write(msgspec.json.encode(Header(FORMAT, VERSION)) + b"\n")
        return
    file.seek(0)
    first = file.readline(_HEADER)
    check_header(first, str(path))
    file.seek(-1, os.SEEK_END)
    if file.read(1) != b"\n":  # whoever wrote it was interrupted
        file.write(b"\n")


def check_header(line: bytes, name: str) -> None:
    """Refuse what is no trace of this version. Raises `ConfigurationError`."""
    try:
        header = msgspec.json.decode(line, type=Header)
    except msgspec.MsgspecError:
        header = Header("", 0)
    if header.format != FORMAT:
        raise ConfigurationError(f"path: {name!r} is no trace; give the path of one that Router.record wrote")
    if header.version != VERSION:
        raise ConfigurationError(
            f"path: {name!r} is a trace of version {header.version}, and this is about version {VERSION}; "
            "use the release that wrote it, or record anew"
        )
