"""Responses that run in the background: what they used is known when they have ended, and billed when that is shown."""

from __future__ import annotations

from collections import OrderedDict
from contextlib import suppress
from typing import Final, NamedTuple

MOST_DEBTS: Final = 10_000
"""Responses that are remembered; beyond them, the oldest is never billed."""


class Payer(NamedTuple):
    """Whom a response is for, as the call said that began it."""

    end_user: str | None
    tags: tuple[str, ...]


class Debts:
    """Who pays for which response, until it is billed. Without locks: it is asked in destructors, too."""

    def __init__(self, most: int = MOST_DEBTS) -> None:
        self._most = most
        self._payers: OrderedDict[str, Payer] = OrderedDict()

    def __len__(self) -> int:
        return len(self._payers)

    def owe(self, response_id: str, payer: Payer) -> None:
        """It has begun."""
        self._payers[response_id] = payer
        while len(self._payers) > self._most:
            with suppress(KeyError):  # another thread was faster
                self._payers.popitem(last=False)

    def collect(self, response_id: str) -> Payer | None:
        """It has ended, and is to be billed: once. None: it was, or was not begun here."""
        return self._payers.pop(response_id, None)
