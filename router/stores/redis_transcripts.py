"""Transcripts in Redis, which Routers share, behind the memory of this process."""

from __future__ import annotations

import threading
from base64 import b64decode, b64encode
from collections import OrderedDict
from collections.abc import Sequence
from typing import Final

from checks.affinity.transcript import Turn
from router.stores.redis_client import Command
from router.stores.redis_link import OutageError, RedisLink, Send
from router.stores.transcripts import Kept, MemoryTranscripts, TranscriptStats, unpacked

_RENEWALS: Final = 10  # per time to live, at most
_LONGEST: Final = 10.0**14  # milliseconds; more than Redis takes is no more than for ever


class RedisTranscripts:
    """A `TranscriptStore`: memory answers if it can, else Redis; what one Router writes, the others find.

    Memory holds what Redis has not been told in an outage; up to `max_waiting` writes wait for it to return. A turn
    in use is renewed in Redis, in the background, at most ten times per time to live. What is too large for memory
    is too large for Redis as well. Give it a link of its own: a turn is up to a megabyte, and on a slow network
    should not cost the pins, which are small, their connection.
    """

    def __init__(
        self, link: RedisLink, memory: MemoryTranscripts, *, prefix: str = "homing", max_waiting: int = 10_000
    ) -> None:
        """Keys are `{prefix}:turn:{response_id}`, values `<time to live in ms> <turn in base64>`."""
        self._link = link
        self._memory = memory
        self._prefix = prefix
        self._max_waiting = max_waiting
        self._waiting: OrderedDict[str, bool] = OrderedDict()  # whether it is to be deleted
        self._lock = threading.Lock()
        link.admit(self)

    @property
    def stats(self) -> TranscriptStats:
        """What has been counted, of memory too."""
        return self._memory.stats

    @property
    def down(self) -> bool:
        """Whether Redis is given up on for now, and memory answers alone."""
        return self._link.down

    @property
    def waiting(self) -> int:
        """Writes that wait to be sent."""
        return len(self._waiting)

    async def get(self, response_id: str, *, fresh: bool = False) -> Turn | None:
        """The turn that made a response, whose time to live starts anew; None if Redis alone would know, and can't.

        `fresh`: Redis is asked, though memory knows, whether another Router has deleted it.
        """
        kept = self._memory.lookup(response_id)
        known = None
        if kept is not None:
            if not fresh:  # else reading Redis renews it, if it is there
                self._renew(response_id, kept)
            known = await unpacked(kept.data)
            if known is not None and known.finished and not fresh:  # else another Router may have seen its end
                self.stats.hits += 1
                return known
        told = response_id not in self._waiting
        try:
            held = await self._link.run(("GET", self._name(response_id)))
        except OutageError:
            held, told = None, False
        if fresh and told and held is None:
            self._memory.forget(response_id)
            known = None
        shared = await self._learn(response_id, held) if isinstance(held, str) else None
        if shared is None:
            self.stats.hits += known is not None
            self.stats.misses += known is None
        return shared or known

    async def put(self, turn: Turn, *, ttl: float) -> None:
        """Remember `turn` for `ttl` seconds; not if it is too large. `ValueError` unless `ttl` > 0."""
        data = await self._memory.encode(turn)
        if data is None:
            await self.delete(turn.response_id)
            return
        self._memory.remember(turn.response_id, data, ttl)
        await self._write(turn.response_id, ("SET", self._name(turn.response_id), *_value(data, ttl)), gone=False)

    async def delete(self, response_id: str) -> None:
        """Forget the turn that made a response; other Routers that have used it may remember it on their own."""
        self._memory.forget(response_id)
        await self._write(response_id, ("DEL", self._name(response_id)), gone=True)

    async def aclose(self) -> None:
        """Close connections."""
        await self._link.aclose()

    def probes(self) -> Sequence[Command]:
        """Write, read and delete a key of our own."""
        key = f"{self._prefix}:probe:turn"
        return ("SET", key, "", "PX", 1000), ("GET", key), ("DEL", key)

    async def recover(self, send: Send) -> None:
        """Nothing that others should wait for: what has waited is sent in the background, or with the next write."""
        self._send_waiting()

    def _name(self, response_id: str) -> str:
        return f"{self._prefix}:turn:{response_id}"

    async def _learn(self, response_id: str, held: str) -> Turn | None:
        """The turn in a value of Redis, which memory keeps from now on."""
        lifetime, data = _read(held)
        turn = await unpacked(data)
        if turn is None:
            self.stats.unreadable += 1
            return None
        self.stats.shared_hits += 1
        self._memory.remember(response_id, data, lifetime / 1000)
        self._link.background(self._attempt(("PEXPIRE", self._name(response_id), lifetime)))
        return turn

    async def _attempt(self, command: Command) -> None:
        try:
            await self._link.run(command)
        except OutageError:
            return  # the next use renews

    def _renew(self, response_id: str, kept: Kept) -> None:
        now = self._memory.clock()
        if now - kept.written > kept.ttl / _RENEWALS and not self._link.down:
            kept.written = now
            self._wait(response_id, gone=False)
            self._send_waiting()

    async def _write(self, response_id: str, command: Command, *, gone: bool) -> None:
        with self._lock:
            self._waiting.pop(response_id, None)
        try:
            await self._link.run(command)
        except OutageError:
            self._wait(response_id, gone=gone)
        self._send_waiting()

    def _wait(self, response_id: str, *, gone: bool) -> None:
        with self._lock:
            self._waiting.setdefault(response_id, gone)
            if len(self._waiting) > self._max_waiting:
                self._waiting.popitem(last=False)
                self.stats.dropped += 1

    def _send_waiting(self) -> None:
        if self._waiting:
            self._link.background(self._drain())

    async def _drain(self) -> None:
        """Send what waits, one by one: as large as they are, several might not fit the link's bound."""
        while not self._link.down:
            with self._lock:
                if not self._waiting:
                    return
                response_id, gone = self._waiting.popitem(last=False)
            command = self._command(response_id, gone=gone)
            if command is None:
                self.stats.dropped += 1
                continue
            try:
                await self._link.run(command)
            except OutageError:
                self._wait(response_id, gone=gone)

    def _command(self, response_id: str, *, gone: bool) -> Command | None:
        """What Redis is to be told; None if nobody knows any more."""
        if gone:
            return "DEL", self._name(response_id)
        kept = self._memory.lookup(response_id)
        return None if kept is None else ("SET", self._name(response_id), *_value(kept.data, kept.ttl))


def _value(data: bytes, ttl: float) -> Command:
    lifetime = int(max(1, min(ttl * 1000, _LONGEST)))
    return f"{lifetime} {b64encode(data).decode()}", "PX", lifetime


def _read(value: str) -> tuple[int, bytes]:
    """Milliseconds to live, and the encoded turn; no bytes if it is anything else."""
    lifetime, _, text = value.partition(" ")
    try:
        milliseconds = int(lifetime)
        data = b64decode(text, validate=True)
    except ValueError:
        return 0, b""
    return (milliseconds, data) if 0 < milliseconds <= _LONGEST else (0, b"")
