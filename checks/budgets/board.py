"""Where Routers tell one another what they have spent, so that they share a budget."""

from __future__ import annotations

from collections.abc import Sequence
from threading import RLock
from typing import NamedTuple, Protocol


class Page:
    """One budget's window: what this Router has of it, and what the others had when last heard of. Thread-safe.

    All amounts are in billionths of a dollar.
    """

    __slots__ = (
        "_lock",
        "_number",
        "_pending",
        "_reserved",
        "_spent",
        "duration",
        "index",
        "lifetime",
        "name",
        "others_reserved",
        "others_spent",
        "scope",
        "writer",
    )

    def __init__(self, scope: str, name: str, duration: str, index: int, writer: str, lifetime: float) -> None:
        """`writer`: whose part of it this is, unique to this page; `lifetime`: seconds until its window ends."""
        self.scope = scope
        self.name = name
        self.duration = duration
        self.index = index
        self.writer = writer
        self.lifetime = lifetime
        self.others_spent = self.others_reserved = 0
        self._spent = self._reserved = self._pending = self._number = 0
        self._lock = RLock()

    @property
    def spent(self) -> int:
        """By all."""
        return self._spent + self.others_spent

    @property
    def reserved(self) -> int:
        """By all, as far as it is granted."""
        return self._reserved + self.others_reserved

    @property
    def taken(self) -> int:
        """Spent or reserved, by all."""
        return self._spent + self.others_spent + self._reserved + self.others_reserved

    def change(self, *, spent: int = 0, reserved: int = 0, pending: int = 0) -> None:
        """Add to what this Router has. `pending` is what is claimed and not granted yet."""
        with self._lock:
            self._number += 1
            self._spent += spent
            self._reserved += reserved
            self._pending += pending

    def told(self) -> tuple[int, int, int]:
        """What to tell: a number that grows with each change, what is spent, and what is or may be reserved."""
        with self._lock:
            return self._number, self._spent, self._reserved + self._pending

    def heard(self, spent: int, reserved: int) -> None:
        """What the others have."""
        self.others_spent, self.others_reserved = spent, reserved


class Want(NamedTuple):
    """So much is to be reserved of a page."""

    page: Page
    amount: int
    limit: int
    """What all may have spent and reserved of it."""


class BudgetBoard(Protocol):
    """Shared pages."""

    async def claim(self, wanted: Sequence[Want], read: Sequence[Page]) -> int | None:
        """Reserve all of `wanted`, in one step for everyone, or nothing; hear of these pages, and of `read`.

        Which of `wanted` has no room; -1 if all is granted; None if the board is away: then nothing is reserved, and
        nobody knows more than before. Never raises for an outage. Cancelled, it leaves nothing reserved.
        """
        ...

    def tell(self, page: Page) -> None:
        """A page was changed: let the others know soon; in an outage, when it is over. May not wait or block."""
        ...
