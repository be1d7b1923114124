"""Bearer tokens that are fetched: asked for before the first call and again when they may be stale."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Callable
from typing import TypeAlias, cast

from providers.errors import APITimeoutError, AuthenticationError
from providers.types import AwsKeys, Deployment, Token, TokenSource

FRESH = 60.0
"""Seconds a token is used before its source is asked again. Sources cache and refresh tokens themselves (azure-identity
does), so this only saves the thread hop of asking."""
PATIENCE = 10.0
"""Seconds a source may take."""

_Asked: TypeAlias = tuple[asyncio.AbstractEventLoop, Deployment]


class _Question:
    """One question to a source, for all who want the answer."""

    __slots__ = ("answer", "waiting")

    def __init__(self, source: TokenSource) -> None:
        self.answer = asyncio.ensure_future(_ask(source))
        self.waiting = 0


class Tokens:
    """The current token of each deployment that has a source of them."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._asking: dict[_Asked, _Question] = {}

    async def fresh(self, deployment: Deployment, patience: float) -> Token:
        """A token no older than `FRESH`, within `patience` seconds, and `PATIENCE`.

        Calls that need one at the same time ask once. Raises `AuthenticationError` if the source fails,
        `APITimeoutError` if it takes too long.
        """
        held = cast("tuple[Token, float] | None", deployment.memo.get("token"))
        now = self._clock()
        if held is not None and now < held[1]:
            return held[0]
        source = deployment.token_source
        assert source is not None, "asked only for deployments with a source"
        patience = min(patience, PATIENCE)
        try:
            async with asyncio.timeout(patience):
                token = await self._answer(deployment, source)
        except TimeoutError:
            raise APITimeoutError(f"the token source gave no token within {patience:g} s") from None
        except Exception as error:
            raise AuthenticationError(f"the token source failed: {type(error).__name__}: {error}") from error
        deployment.memo["token"] = (token, now + FRESH)
        return token

    def forget(self, deployment: Deployment) -> None:
        """Ask the source before the next call: the token was refused."""
        deployment.memo.pop("token", None)

    async def _answer(self, deployment: Deployment, source: TokenSource) -> Token:
        """What the source says; one question at a time, given up once nobody waits for the answer."""
        key = (asyncio.get_running_loop(), deployment)
        question = self._asking.get(key)
        if question is None:
            question = self._asking[key] = _Question(source)
        question.waiting += 1
        try:
            return await asyncio.shield(question.answer)
        finally:
            question.waiting -= 1
            if not question.waiting:
                question.answer.cancel()
            if (question.answer.done() or not question.waiting) and self._asking.get(key) is question:
                del self._asking[key]


async def _ask(source: TokenSource) -> Token:
    """A token from a coroutine function, or from a function that may block on the network."""
    answer = source() if inspect.iscoroutinefunction(source) else await asyncio.to_thread(source)
    token = await answer if inspect.isawaitable(answer) else answer
    if not isinstance(token, (str, AwsKeys)) or not token:
        raise TypeError(f"it returned {type(token).__name__ if token else 'nothing'}, not a token")
    return token
