"""Conversations: several turns each, streamed and not, every turn a follow-up of the one before."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable
from typing import Any

from providers.errors import APIError
from providers.views import Response, Routing
from router.cli.demo.score import Score
from router.router import Router

GROUP = "gpt"

_DEADLINE = 20.0
"""Seconds for one call, failovers included."""
_TURNS = (3, 6)
_PAUSE = 0.08
"""Mean seconds between two turns."""
_TOPICS = ("plums", "pigeons", "lighthouses", "tides", "bread", "comets", "harbours", "snow")


async def converse(router: Router, score: Score, rng: random.Random, going_on: Callable[[], bool]) -> None:
    """Hold one conversation after the other while `going_on`."""
    while going_on():
        await _conversation(router, score, rng)


async def _conversation(router: Router, score: Score, rng: random.Random) -> None:
    opening = f"Tell me about {rng.choice(_TOPICS)} no. {rng.randrange(10_000)}"
    previous: Response | None = None
    home: str | None = None
    for turn in range(1, rng.randint(*_TURNS) + 1):
        said = opening if previous is None else "Go on."
        try:
            response, routing = await _ask(router, said, previous, stream=rng.random() < 0.5)
        except APIError as error:
            score.lost(error)
            return
        text = response.output_text
        score.answered(routing, home, text.startswith(f"Turn {turn} at ") and opening in text)
        previous, home = response, routing.deployment_id
        await asyncio.sleep(rng.expovariate(1 / _PAUSE))


async def _ask(router: Router, said: str, previous: Response | None, *, stream: bool) -> tuple[Response, Routing]:
    follows: dict[str, Any] = {} if previous is None else {"previous_response_id": previous.id}
    if not stream:
        response = await router.aresponses(GROUP, said, deadline=_DEADLINE, **follows)
        return response, response.routing
    async with await router.aresponses(GROUP, said, stream=True, deadline=_DEADLINE, **follows) as events:
        async for _ in events:
            pass
        final = events.response
        assert final is not None, "a stream that ends well has shown its response"
        return final, events.routing
