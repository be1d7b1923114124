"""What holds for every test: nothing is left running, and property tests are reproducible."""

import asyncio
import gc
import inspect
import os
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import genai_prices.data  # noqa: F401 - loaded now, so that records come when they are due; tests of loading run apart
import pytest
from fakes import Clock
from hypothesis import settings
from leftovers import GRACE, nothing_left_open
from redis_servers import Server

settings.register_profile("ci", derandomize=True, deadline=None, max_examples=50, print_blob=True)
settings.register_profile("search", deadline=None, max_examples=2_000, print_blob=True)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "ci"))


_LONG = frozenset({"integration", "cli", "proxy", "test_deploy.py"})
"""Folders and files whose tests run programs, clients and servers."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """What takes longest goes first, so that no processor is left with it at the end, when the others have no more."""
    items.sort(key=lambda item: _LONG.isdisjoint(item.path.parts))


def pytest_collection_finish() -> None:
    """Spare the collector what lives as long as the process: tests call it often, and there are thousands of them."""
    gc.collect()
    gc.freeze()


@pytest.fixture
def clock() -> Clock:
    """A clock that only the test advances."""
    return Clock()


@pytest.fixture(scope="session")
def redis(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A Redis that stays up, for all tests of a process: `Server.settings` keeps them apart."""
    server = Server(tmp_path_factory.mktemp("redis")).start()
    yield server
    server.kill()


@pytest.fixture
def frail(tmp_path: Path) -> Iterator[Server]:
    """A Redis for one test to mistreat."""
    server = Server(tmp_path).start()
    yield server
    server.kill()


@pytest.fixture(autouse=True)
def _nothing_left_open() -> Iterator[None]:
    """Fail a test that leaves a thread or a socket behind. Looks last, when a test's event loop has been closed."""
    with nothing_left_open():
        yield


@pytest.fixture(autouse=True)
def _no_task_left(request: pytest.FixtureRequest, _nothing_left_open: None) -> None:
    """Fail a coroutine test that leaves a task behind; the event loop would cancel it in silence."""
    if inspect.iscoroutinefunction(getattr(request.node, "obj", None)):
        request.getfixturevalue("_tasks_end")


@pytest.fixture
async def _tasks_end() -> AsyncIterator[None]:
    before = asyncio.all_tasks()
    yield
    left = asyncio.all_tasks() - before - {asyncio.current_task()}
    if left:
        _, left = await asyncio.wait(left, timeout=GRACE)
    assert not left, f"tasks left running: {[task.get_coro() for task in left]}"
