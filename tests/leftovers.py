"""Notices what is left running or open."""

from __future__ import annotations

import gc
import os
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

GRACE = 5.0
"""Seconds in which tasks, threads and sockets that a test has told to end may do so. Only a leak waits that long."""


def _sockets() -> set[str]:
    """The inodes of this process's open sockets, where the system tells."""
    found = set()
    for entry in Path("/proc/self/fd").glob("*"):
        try:
            target = os.readlink(entry)
        except OSError:  # closed since it was listed
            continue
        if target.startswith("socket:"):
            found.add(target)
    return found


@contextmanager
def nothing_left_open() -> Iterator[None]:
    """Fail if a thread or a socket is left behind."""
    threads, sockets = set(threading.enumerate()), _sockets()
    yield
    for thread in set(threading.enumerate()) - threads:
        thread.join(GRACE)
    alive = [thread.name for thread in set(threading.enumerate()) - threads]
    assert not alive, f"threads left running: {alive}"
    if _sockets() - sockets:
        gc.collect()  # what only a cycle of garbage holds open is reported as a ResourceWarning, an error here
    until = time.monotonic() + GRACE
    while _sockets() - sockets and time.monotonic() < until:  # a server that tests share may yet have to see us leave
        time.sleep(0.005)
    left = _sockets() - sockets
    assert not left, f"sockets left open: {sorted(left)}"


@pytest.fixture(autouse=True, scope="module")
def nothing_left_open_at_the_end() -> Iterator[None]:
    """As for every test, but once for all of a module that share a server, whose connections stay open.

    Put in place of the usual one there: `_nothing_left_open = leftovers.nothing_left_open_at_the_end`.
    """
    with nothing_left_open():
        yield
