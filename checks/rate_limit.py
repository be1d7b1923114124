"""Hold every deployment to its own `rpm` and `tpm`, by reservation."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable
from threading import Lock
from weakref import WeakKeyDictionary

from cachetools import LRUCache

from checks import tokens
from checks.base import Failed, Finished, Outcome, PreCallCheck
from providers.types import Call, Deployment

WINDOW = 60.0
"""Seconds over which `rpm` and `tpm` count: any minute, not the clock's."""

MOST_DEPLOYMENTS = 10_000
"""Deployments whose minute is remembered; the least recently used is forgotten first."""


class _Claim:
    """What one call holds of a deployment's minute."""

    __slots__ = ("at", "tokens", "window")

    def __init__(self, window: _Window, at: float, tokens: int) -> None:
        self.window = window
        self.at = at
        self.tokens = tokens


class _Window:
    """The calls of the last minute on one deployment; at most `rpm` of them, or as many as `tpm` lets through."""

    __slots__ = ("claims", "spent")

    def __init__(self) -> None:
        self.claims: deque[_Claim] = deque()
        self.spent = 0

    def wait(self, deployment: Deployment, size: int, now: float) -> float:
        """Seconds until a call of `size` tokens fits; 0 if it does now."""
        claims = self.claims
        while claims and claims[0].at + WINDOW - now <= 0:
            self.spent -= claims.popleft().tokens
        wait = 0.0
        if deployment.rpm is not None and len(claims) >= deployment.rpm:
            wait = claims[len(claims) - deployment.rpm].at + WINDOW - now
        if deployment.tpm is not None:
            # a call larger than a whole minute's tokens is let through alone rather than never
            over = self.spent + min(size, deployment.tpm) - deployment.tpm
            for claim in claims:
                if over <= 0:
                    break
                over -= claim.tokens
                wait = max(wait, claim.at + WINDOW - now)
        return wait

    def claim(self, size: int, now: float) -> _Claim:
        """Take room for a call of `size` tokens."""
        claim = _Claim(self, now, size)
        self.claims.append(claim)
        self.spent += size
        return claim

    def settle(self, claim: _Claim, used: int) -> None:
        """Put what was used in place of what was claimed, unless its minute is over."""
        if self.claims and claim.at >= self.claims[0].at:
            self.spent += used - claim.tokens
            claim.tokens = used

    def withdraw(self, claim: _Claim) -> None:
        """Forget a claim, unless its minute is over."""
        if not self.claims or claim.at < self.claims[0].at:
            return
        self.spent -= claim.tokens
        if self.claims[-1] is claim:  # most often: it is withdrawn in the step that made it
            self.claims.pop()
        else:
            self.claims.remove(claim)


class RateLimit(PreCallCheck):
    """Admits at most `rpm` calls and `tpm` tokens a minute on each deployment, in any minute.

    Room is claimed in the step that picks the deployment (a token for every four bytes of input, plus
    `max_output_tokens`) and corrected by the usage that comes back, so a burst can't overshoot. A deployment without
    room is passed over; when none has any, the call waits if it may, and fails with `RateLimitError` (`retry_after`
    says when) if not. Counts what this Router sends, not what others do.
    """

    def __init__(self, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        # by id: what a deployment was sent counts on when the model list is replaced
        self._windows: LRUCache[str, _Window] = LRUCache(MOST_DEPLOYMENTS)
        self._claims: WeakKeyDictionary[Call, _Claim] = WeakKeyDictionary()
        self._sizes: WeakKeyDictionary[Call, int] = WeakKeyDictionary()
        self._lock = Lock()  # calls are picked for on one thread while others end on another

    def reserve(self, call: Call, deployment: Deployment, now: float) -> float:
        """Claim the call's place and tokens."""
        if deployment.rpm is None and deployment.tpm is None:
            return 0.0
        size = 0 if deployment.tpm is None else self._size(call)
        with self._lock:
            now = self._clock()
            window = self._window(deployment.id)
            wait = window.wait(deployment, size, now)
            if wait <= 0:
                self._claims[call] = window.claim(size, now)
            return wait

    def release(self, call: Call, deployment: Deployment) -> None:
        """Give a claim back whose call was never sent."""
        with self._lock:
            claim = self._claims.pop(call, None)
            if claim is not None:
                claim.window.withdraw(claim)

    async def observe(self, call: Call, deployment: Deployment, outcome: Outcome) -> None:
        """Correct the claim by what was used: the usage reported, or nothing for a call that failed."""
        if isinstance(outcome, Failed):
            used: object = 0
        elif isinstance(outcome, Finished) and outcome.response is not None:
            usage = outcome.response.to_dict().get("usage")
            used = usage.get("total_tokens") if isinstance(usage, dict) else None
        else:
            return
        with self._lock:
            claim = self._claims.pop(call, None)
            if claim is not None and isinstance(used, int):
                claim.window.settle(claim, used)

    def _window(self, deployment_id: str) -> _Window:
        window = self._windows.get(deployment_id)
        if window is None:
            window = self._windows[deployment_id] = _Window()
        return window

    def _size(self, call: Call) -> int:
        """Tokens to claim; looked at once for each call, however many deployments it is tried on."""
        size = self._sizes.get(call)
        if size is None:
            most = call.body.get("max_output_tokens")
            size = tokens.guess(call) + (most if isinstance(most, int) else 0) if call.verb.asks_model else 0
            self._sizes[call] = size
        return size
