"""Transcripts at work: what was said is written down, and told to another deployment when home is lost."""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Sequence
from dataclasses import replace

from checks.affinity.holdings import replay_where_most_moves
from checks.affinity.transcript import Broken, TranscriptStore, Turn, chain
from providers.errors import HomeLostError
from providers.types import Affinity, Call, JsonObject, Verb

PATIENCE = 10.0
"""Seconds that reading a conversation's transcript may take."""


class Retelling:
    """Writes turns down in a store, and makes calls that carry the conversation with them."""

    def __init__(self, store: TranscriptStore, ttl: float) -> None:
        """`ttl`: seconds that a turn lives after its last use."""
        self._store = store
        self._ttl = ttl

    async def record(self, call: Call, json: JsonObject) -> None:
        """Keep what was said; of a background response, what it says when it is read later."""
        turn: Turn | None = None
        if call.verb is Verb.CREATE:
            turn = Turn.of(call, json)
        elif call.verb in (Verb.GET, Verb.CANCEL) and call.response_id is not None:
            known = await self._store.get(call.response_id)
            turn = known.updated(json) if known is not None and not known.finished else None
        if turn is not None:
            await self._store.put(turn, ttl=self._ttl)

    async def forget(self, response_id: str) -> None:
        """Drop the turn that made a response."""
        await self._store.delete(response_id)

    async def retell(self, call: Call, owner: str, *, lossy: bool, places: Sequence[Collection[str]] = ()) -> Call:
        """`call` with its conversation as its input. `owner` is the deployment that held it; `places`, where it may
        move, each as what is held there.

        Raises `HomeLostError` that says why that can't be done, `BadRequestError` if the call's input is no input.
        """
        if call.verb is not Verb.CREATE:
            raise HomeLostError(f"a call to {call.verb} can't be replayed")
        previous = {**call.body, **call.extra_body}.get("previous_response_id")
        turns: list[Turn] | Broken = []
        if isinstance(previous, str) and previous:
            try:
                async with asyncio.timeout(PATIENCE):
                    turns = await chain(self._store, previous)
            except TimeoutError:
                raise HomeLostError(f"its transcript could not be read within {PATIENCE:g} s") from None
        if isinstance(turns, Broken):
            raise HomeLostError(str(turns))
        replayed = replay_where_most_moves(places, turns, call, lossy=lossy, same_vendor=True)
        dropped = tuple(f"{part.kind} at {part.where}" for part in replayed.dropped)
        return replace(replayed.call, affinity=Affinity("replayed", owner, dropped))
