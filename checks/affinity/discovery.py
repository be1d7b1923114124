"""Finding the home of a response that nobody remembers: the deployments are asked."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Sequence
from threading import Lock
from typing import TypeAlias

from cachetools import TLRUCache

from checks.affinity.domain import domain
from providers.types import Deployment

MOST_DOMAINS = 16
"""Groups with more places that keep state are not searched: each search asks them all."""
AT_ONCE = 4
"""Deployments that one search asks at the same time."""
MOST_SEARCHES = 64
"""Searches at the same time; an id that is one too many counts as unknown."""
LONGEST = 10.0
"""Seconds that a search may take; a call's own deadline ends its wait for it sooner."""
MISS_TTL = 60.0
"""Seconds for which an id that nobody had is not searched for again."""
DOUBT_TTL = 5.0
"""The same, where not everybody gave an answer."""
MOST_MISSES = 10_000

_log = logging.getLogger("router")

Ask: TypeAlias = Callable[[Deployment, str], Awaitable[bool | None]]
"""Whether a deployment has a response, by a read-only request; None if it can't be said."""
Learn: TypeAlias = Callable[[Deployment], Awaitable[None]]
"""Told who has it, before anybody who waits."""
_Key: TypeAlias = tuple[str, str, frozenset[str]]


class Discovery:
    """Asks one deployment of each state domain for an id, once per id however many calls want to know.

    Where one can't say, another of its domain is asked. For any number of threads and event loops.
    """

    def __init__(self, ask: Ask, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._ask = ask
        self._missed: TLRUCache[_Key, float] = TLRUCache(MOST_MISSES, lambda _, ttl, now: now + ttl, timer=clock)
        self._lock = Lock()
        self._searches: dict[tuple[asyncio.AbstractEventLoop, _Key], _Search] = {}

    async def find(
        self, group: str, response_id: str, deployments: Sequence[Deployment], learn: Learn
    ) -> Deployment | None:
        """The one of `deployments` that has the response; None if none has, or there are too many to ask."""
        places: dict[object, list[Deployment]] = {}
        for each in deployments:
            places.setdefault(domain(each), []).append(each)
            if len(places) > MOST_DOMAINS:
                return None
        key = _key(group, response_id, deployments)
        with self._lock:
            if key in self._missed:
                return None
        return await self._join(key, response_id, tuple(places.values()), learn)

    def certain(self, group: str, response_id: str, deployments: Sequence[Deployment]) -> bool | None:
        """Whether a search that has just found nobody had everybody's answer; None if nobody was asked."""
        with self._lock:
            ttl = self._missed.get(_key(group, response_id, deployments))
        return None if ttl is None else ttl == MISS_TTL

    async def _join(
        self, key: _Key, response_id: str, places: Sequence[Sequence[Deployment]], learn: Learn
    ) -> Deployment | None:
        """What the search for `key` finds. It ends early when nobody waits for it any more."""
        here = asyncio.get_running_loop(), key
        search = self._searches.get(here)
        if search is None:
            self._searches = {one: each for one, each in self._searches.items() if not one[0].is_closed()}
            if len(self._searches) >= MOST_SEARCHES:
                return None
            search = self._searches[here] = _Search(self._search(key, response_id, places, learn))
        search.waiting += 1
        try:
            return await asyncio.shield(search.task)
        finally:
            search.waiting -= 1
            if not search.waiting:
                search.task.cancel()
                if self._searches.get(here) is search:
                    del self._searches[here]

    async def _search(
        self, key: _Key, response_id: str, places: Sequence[Sequence[Deployment]], learn: Learn
    ) -> Deployment | None:
        gate = asyncio.Semaphore(AT_ONCE)

        async def ask(place: Sequence[Deployment]) -> tuple[Deployment, bool | None]:
            async with gate:
                for deployment in place:
                    answer = await self._answer(deployment, response_id)
                    if answer is not None:
                        return deployment, answer
            return place[0], None

        asked = [asyncio.create_task(ask(place)) for place in places]
        certain = True
        try:
            async with asyncio.timeout(LONGEST):
                for reply in asyncio.as_completed(asked):
                    deployment, answer = await reply
                    if answer:
                        await learn(deployment)
                        return deployment
                    certain = certain and answer is False
        except TimeoutError:
            certain = False
        finally:
            for task in asked:
                task.cancel()
            await asyncio.gather(*asked, return_exceptions=True)
        with self._lock:
            self._missed[key] = MISS_TTL if certain else DOUBT_TTL
        return None

    async def _answer(self, deployment: Deployment, response_id: str) -> bool | None:
        try:
            return await self._ask(deployment, response_id)
        except Exception:
            _log.exception("the deployment %s could not be asked for a response", deployment.id)
            return None


def _key(group: str, response_id: str, deployments: Sequence[Deployment]) -> _Key:
    # who else may serve is another question, so another's answer says nothing
    return group, response_id, frozenset(each.id for each in deployments)


class _Search:
    """A search that somebody waits for."""

    __slots__ = ("task", "waiting")

    def __init__(self, search: Awaitable[Deployment | None]) -> None:
        self.task = asyncio.ensure_future(search)
        self.waiting = 0
