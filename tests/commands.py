"""`homing serve` for tests: a process of its own, over simulated deployments."""

from __future__ import annotations

import os
import queue
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

ROOT = Path(__file__).parents[1]
HOMING = ("-c", "from router.cli import main; raise SystemExit(main())")
PATIENCE = 60.0
"""Seconds after which waiting for a line, or for the end, is given up."""


class Serving:
    """A running `homing serve`."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self.process = process
        self.said: list[str] = []
        """The lines of stdout and stderr, as they came."""
        self._lines: queue.SimpleQueue[str | None] = queue.SimpleQueue()
        threading.Thread(target=self._read, daemon=True).start()
        self.url = ""

    def until(self, wanted: Callable[[str], bool] | str) -> str:
        """The next line that is wanted, or has the text."""
        while True:
            line = self._lines.get(timeout=PATIENCE)
            assert line is not None, f"it ended: {self.said}"
            if wanted in line if isinstance(wanted, str) else wanted(line):
                return line

    def end(self, number: int) -> int:
        """Send a signal, and wait for the exit code."""
        self.process.send_signal(number)
        return self.process.wait(PATIENCE)

    def _read(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self.said.append(line.rstrip("\n"))
            self._lines.put(line.rstrip("\n"))
        self._lines.put(None)


@contextmanager
def homing_serve(
    config: Path, *options: str, environ: dict[str, str] | None = None, program: Sequence[str] = HOMING
) -> Iterator[Serving]:
    """The command over a file, on a free port, once it serves. `program`: what is run in place of `homing`."""
    command = [sys.executable, *program, "serve", "--config", str(config), "--port", "0", *options]
    with subprocess.Popen(
        command,
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env={**os.environ, "PYTHONPATH": str(ROOT), **(environ or {})},
    ) as process:
        try:
            serving = Serving(process)
            serving.url = serving.until("serves at").split(" at ")[1].split(" ")[0]
            serving.until("Try: ")
            yield serving
        finally:
            if process.poll() is None:
                process.kill()
