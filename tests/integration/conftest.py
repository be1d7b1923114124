"""Servers that tests of whole conversations share."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from conversations import House, house
from redis_servers import Server


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where Redis servers write."""
    return tmp_path_factory.mktemp("redis")


@pytest.fixture
def frail(folder: Path) -> Iterator[Server]:
    """One for a test to mistreat."""
    server = Server(folder).start()
    yield server
    server.kill()


@pytest.fixture
def home() -> Iterator[House]:
    """A proxy that a client holds conversations through."""
    with house() as made:
        yield made
