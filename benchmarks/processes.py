"""What the system tells of a process and its children: CPU time, memory. Servers that are started and awaited."""

from __future__ import annotations

import os
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from contest import pin

_TICKS = os.sysconf("SC_CLK_TCK")
_READY = 120.0
"""Seconds that a server may take to start."""


def tree(pid: int) -> list[int]:
    """The process and all below it."""
    found = [pid]
    for each in found:
        for task in Path(f"/proc/{each}/task").glob("*/children"):
            with suppress(OSError):
                found += [int(child) for child in task.read_text().split()]
    return found


def cpu(pid: int) -> float:
    """CPU seconds used so far, in user code and in the kernel, of the process and its children."""
    used = 0
    for each in tree(pid):
        with suppress(OSError):
            fields = Path(f"/proc/{each}/stat").read_text().rpartition(") ")[2].split()
            used += int(fields[11]) + int(fields[12])
    return used / _TICKS


def memory(pid: int) -> float:
    """MiB that the process and its children hold."""
    held = 0
    for each in tree(pid):
        with suppress(OSError):
            lines = Path(f"/proc/{each}/status").read_text().splitlines()
            held += next((int(line.split()[1]) for line in lines if line.startswith("VmRSS")), 0)
    return held / 1024


@contextmanager
def serving(
    command: Sequence[str | Path],
    ready: str,
    *,
    environ: Mapping[str, str] | None = None,
    log: Path | None = None,
    last: bool = False,
) -> Iterator[subprocess.Popen[bytes]]:
    """A server, from when it answers at `ready` until the block ends. Raises `SystemExit` if it never does.

    `last`: keep it, and its children, on the last core.
    """
    env = {**os.environ, **(environ or {})}
    with (
        open(log or os.devnull, "wb") as said,
        subprocess.Popen(command, stdout=said, stderr=subprocess.STDOUT, env=env) as process,
    ):
        if last:
            pin(process.pid, last=True)  # before it has children
        try:
            _await(process, ready)
            yield process
        finally:
            process.terminate()
            try:
                process.wait(15)
            except subprocess.TimeoutExpired:
                process.kill()


def _await(process: subprocess.Popen[bytes], ready: str) -> None:
    until = time.monotonic() + _READY
    while time.monotonic() < until:
        if process.poll() is not None:
            raise SystemExit(f"{process.args!r} ended with {process.returncode}")
        try:
            with urllib.request.urlopen(ready, timeout=5):
                return
        except urllib.error.HTTPError:
            return  # it answers
        except OSError:
            time.sleep(0.1)
    print(f"{process.args!r} did not answer at {ready}", file=sys.stderr)
    raise SystemExit(1)
