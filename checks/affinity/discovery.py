"""Finding the home of a response that nobody remembers: the deployments are asked."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence

from cachetools import TTLCache

from checks.affinity.domain import domain
from providers.types import Deployment

MOST_DOMAINS = 16
"""Groups with more places that keep state are not searched: each search asks them all."""
AT_ONCE = 4
"""Deployments asked at the same time."""
MISS_TTL = 60.0
"""Seconds for which an id that nobody had is not searched for again."""
MOST_MISSES = 10_000

Ask = Callable[[Deployment, str], Awaitable[bool]]
"""Whether a deployment has a response, by a read-only request of bounded time; never raises."""


class Discovery:
    """Asks one deployment of each state domain for an id, once per id however many calls want to know."""

    def __init__(self, ask: Ask, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._ask = ask
        self._missed: TTLCache[tuple[str, str], None] = TTLCache(MOST_MISSES, MISS_TTL, timer=clock)
        self._searches: dict[tuple[asyncio.AbstractEventLoop, str, str], asyncio.Task[Deployment | None]] = {}

    async def find(self, group: str, response_id: str, deployments: Sequence[Deployment]) -> Deployment | None:
        """The deployment of `group` that has the response; None if none has, or there are too many to ask."""
        if (group, response_id) in self._missed:
            return None
        places = {domain(each): each for each in reversed(deployments)}
        if len(places) > MOST_DOMAINS:
            return None
        key = (asyncio.get_running_loop(), group, response_id)
        search = self._searches.get(key)
        if search is None:
            search = asyncio.create_task(self._search(group, response_id, tuple(places.values())))
            self._searches[key] = search
            search.add_done_callback(lambda _: self._searches.pop(key, None))
        return await asyncio.shield(search)  # a caller that leaves must not end the search of the others

    async def _search(self, group: str, response_id: str, places: Sequence[Deployment]) -> Deployment | None:
        gate = asyncio.Semaphore(AT_ONCE)

        async def ask(deployment: Deployment) -> Deployment | None:
            async with gate:
                return deployment if await self._ask(deployment, response_id) else None

        asked = [asyncio.create_task(ask(each)) for each in places]
        try:
            for answer in asyncio.as_completed(asked):
                found = await answer
                if found is not None:
                    return found
        finally:
            for task in asked:
                task.cancel()
            await asyncio.gather(*asked, return_exceptions=True)
        self._missed[group, response_id] = None
        return None
