"""Identifiers shaped like OpenAI's: a prefix and 50 hex characters, the first 16 shared by a response and its items."""

from __future__ import annotations

import random
import string

_ALPHANUMERIC = string.ascii_letters + string.digits


class Mint:
    """Makes identifiers from `rng`."""

    def __init__(self, rng: random.Random) -> None:
        self._rng = rng

    def stem(self) -> str:
        """The 16 characters that a response and its items share."""
        return f"{self._rng.getrandbits(64):016x}"

    def id(self, prefix: str, stem: str) -> str:
        """`resp_…`, `msg_…`, `rs_…`, `fc_…`."""
        return f"{prefix}_{stem}{self._rng.getrandbits(136):034x}"

    def call_id(self) -> str:
        """`call_` and 24 letters or digits."""
        return "call_" + "".join(self._rng.choices(_ALPHANUMERIC, k=24))

    def request_id(self) -> str:
        """`req_` and 32 hex characters."""
        return f"req_{self._rng.getrandbits(128):032x}"

    def padding(self) -> str:
        """An `obfuscation` value: hides the length of a delta."""
        return "".join(self._rng.choices(_ALPHANUMERIC, k=self._rng.randint(1, 16)))
