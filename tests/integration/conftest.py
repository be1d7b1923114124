"""Servers that tests of whole conversations share."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from conversations import House, house


@pytest.fixture
def home() -> Iterator[House]:
    """A proxy that a client holds conversations through."""
    with house() as made:
        yield made
