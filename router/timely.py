"""The call's own deadline, for what the Router waits for besides deployments: its checks."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeVar

from providers.errors import APITimeoutError
from router.run import Run

T = TypeVar("T")


def timely(run: Run, clock: Callable[[], float], work: Awaitable[T], what: str) -> Awaitable[T]:
    """`work`, which may last until the call's deadline; as it is, if there is none.

    At the deadline it is cancelled, the call is over, and `APITimeoutError` says that the deadline passed `what`.
    """
    return work if run.limits.deadline is None else _ended(run, run.left(clock()), work, what)


async def _ended(run: Run, left: float, work: Awaitable[T], what: str) -> T:
    limit = asyncio.timeout(left)
    try:
        async with limit:
            return await work
    except TimeoutError:
        if not limit.expired():  # the work's own
            raise
        run.late = True
        raise APITimeoutError(f"the call's deadline of {run.limits.deadline:g} s passed {what}") from None
