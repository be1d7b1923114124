"""Several processes that serve at one socket."""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import socket
from asyncio.subprocess import PIPE, Process
from collections.abc import Sequence
from contextlib import suppress
from typing import Final

_log = logging.getLogger("router.proxy")
WRONG: Final = 2
"""The exit code of a worker that can't serve as it was asked to: no other could."""
_REST: Final = 1.0
"""Seconds before another takes the place of a worker that has died."""
_BEYOND_GRACE: Final = 10.0
"""Seconds that a worker may take to end once its streams have."""


class Workers:
    """Keeps `count` processes of one `command` running, which inherit `listening`; passes signals on to them.

    The command's stdin ends when this process does, so that it can end too. `grace`: seconds that streams may take.
    """

    def __init__(self, command: Sequence[str], listening: socket.socket, count: int, grace: float) -> None:
        self._command = command
        self._listening = listening
        self._count = count
        self._grace = grace
        self._ending = False
        self._running: set[Process] = set()
        self._code = 0

    def run(self) -> int:
        """Serve until SIGINT or SIGTERM; 0, or the exit code of a worker that can't serve as asked."""
        asyncio.run(self._run())
        return self._code

    async def _run(self) -> None:
        loop = asyncio.get_running_loop()
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(number, self._end)
        loop.add_signal_handler(signal.SIGHUP, self._tell, signal.SIGHUP)
        async with asyncio.TaskGroup() as group:
            for _ in range(self._count):
                group.create_task(self._keep())

    async def _keep(self) -> None:
        while not self._ending:
            process = await asyncio.create_subprocess_exec(
                *self._command,
                pass_fds=(self._listening.fileno(),),
                stdin=PIPE,
                start_new_session=True,  # Ctrl-C at a terminal is for this process, which says so to each once
            )
            self._running.add(process)
            if self._ending:  # it was told to while this one started
                self._send(process, signal.SIGTERM)
            code = await process.wait()
            self._running.discard(process)
            if code == WRONG:
                self._code = code
                self._end()
            elif not self._ending:
                _log.error("the worker %d has ended with %d; another takes its place", process.pid, code)
                await asyncio.sleep(_REST)

    def _end(self) -> None:
        if not self._ending:
            self._ending = True
            self._tell(signal.SIGTERM)
            asyncio.get_running_loop().call_later(self._grace + _BEYOND_GRACE, self._tell, signal.SIGKILL)

    def _tell(self, number: signal.Signals) -> None:
        for process in self._running:
            self._send(process, number)

    def _send(self, process: Process, number: signal.Signals) -> None:
        with suppress(ProcessLookupError):  # it has just ended
            process.send_signal(number)


def end_with_parent() -> None:
    """In a worker: end this process as SIGTERM does once stdin ends. Needs a running event loop."""
    asyncio.get_running_loop().add_reader(0, _orphaned)


def _orphaned() -> None:
    asyncio.get_running_loop().remove_reader(0)
    os.kill(os.getpid(), signal.SIGTERM)
