"""Bearer tokens that are fetched: asked for before the first call and again when they may be stale."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Callable
from typing import cast

from providers.errors import APITimeoutError, AuthenticationError
from providers.types import Deployment, TokenSource

FRESH = 60.0
"""Seconds a token is used before its source is asked again. Sources cache and refresh tokens themselves (azure-identity
does), so this only saves the thread hop of asking."""
PATIENCE = 10.0
"""Seconds a source may take."""


class Tokens:
    """The current token of each deployment that has a source of them."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock

    async def fresh(self, deployment: Deployment) -> str:
        """A token no older than `FRESH`. Raises `AuthenticationError` if the source fails."""
        held = cast("tuple[str, float] | None", deployment.memo.get("token"))
        now = self._clock()
        if held is not None and now < held[1]:
            return held[0]
        source = deployment.token_source
        assert source is not None, "asked only for deployments with a source"
        try:
            async with asyncio.timeout(PATIENCE):
                token = await _ask(source)
        except TimeoutError:
            raise APITimeoutError(f"the token source gave no token within {PATIENCE:g} s") from None
        except Exception as error:
            raise AuthenticationError(f"the token source failed: {type(error).__name__}: {error}") from error
        deployment.memo["token"] = (token, now + FRESH)
        return token

    def forget(self, deployment: Deployment) -> None:
        """Ask the source before the next call: the token was refused."""
        deployment.memo.pop("token", None)


async def _ask(source: TokenSource) -> str:
    """A token from a coroutine function, or from a function that may block on the network."""
    answer = source() if inspect.iscoroutinefunction(source) else await asyncio.to_thread(source)
    return cast("str", await answer if inspect.isawaitable(answer) else answer)
