"""Ends the work for a client that has left: what is generated for nobody is still paid for."""

from __future__ import annotations

import asyncio
from types import TracebackType
from typing import Self

from router.proxy.exchange import Exchange


class Presence:
    """While it lasts, the task that entered it is cancelled if the client leaves; that ends the block in silence."""

    __slots__ = ("_exchange", "_left", "_task", "_watch")

    def __init__(self, exchange: Exchange) -> None:
        self._exchange = exchange
        self._left = False

    async def __aenter__(self) -> Self:
        task = asyncio.current_task()
        assert task is not None, "servers run requests in tasks"
        self._task = task
        self._watch = asyncio.get_running_loop().create_task(self._look())
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> bool:
        self._watch.cancel()
        return self._left and self._task.uncancel() == 0 and kind is asyncio.CancelledError

    async def _look(self) -> None:
        await self._exchange.gone()
        self._left = True
        self._task.cancel()
