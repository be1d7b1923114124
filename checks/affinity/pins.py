"""What is remembered of who holds what: a store's keys and values, tenants apart, counted."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import sha256
from typing import NamedTuple

from checks.base import AffinityStore, ManyStore, Remote

_MARK = "\n"
"""Between a deployment's id and the tenant; in neither."""
_DIGITS = 32
_MOST_READ = 1_000


@dataclass(slots=True)
class AffinityStats:
    """How often a call's home was asked for, and with what result. Grows for as long as its Router lives."""

    hit: int = 0
    """The owner was remembered, or said so itself."""
    miss: int = 0
    """It was not."""
    learnt: int = 0
    """Owners remembered, of responses and of what came with them."""
    discovered: int = 0
    """Owners found by asking the deployments."""
    replayed: int = 0
    """Conversations that went on at another home."""
    lost: int = 0
    """Calls that failed because their home was gone."""
    foreign: int = 0
    """Calls that named what belongs to another tenant."""
    store_error: int = 0
    """Operations on Redis that failed or took longer than their bound; the Router fills this in."""


class Pin(NamedTuple):
    """One remembered owner."""

    deployment_id: str
    tenant: str
    """Digest of the scope it was learnt in; empty without one."""


def tenant_of(scope: str | None) -> str:
    """What a store knows a tenant by: a digest, for a scope may be a key or a person's name."""
    return sha256(scope.encode("utf-8", "surrogatepass")).hexdigest()[:_DIGITS] if scope else ""


class Pins:
    """Reads and writes owners in an `AffinityStore`, several at a time where the store can.

    What a call reads costs it one round trip at most; what it learns, none, but for the id of its response. Whoever
    has that id may go on in another process at once, and that process must find the owner; so the answer, or the event
    that tells the id, is handed out when the write is acknowledged, or has failed within the store's bound. That can't
    be had sooner: the id is known when the answer has arrived, and then there is nothing left to do meanwhile.
    (`benchmarks/affinity.py` measures it: one round trip, 0.1 ms with a Redis on the same host.) Not `acknowledged`,
    the write takes place beside the call: then a follow-up that is faster than it, in another process, finds nobody.
    """

    def __init__(self, store: AffinityStore, ttl: float, *, acknowledged: bool = True) -> None:
        self._store = store
        self._acknowledged = acknowledged
        self._ttl = ttl
        self.stats = AffinityStats()
        self._many = store if isinstance(store, ManyStore) else None
        self._remote = store if isinstance(store, Remote) else None
        self._read: dict[str, Pin] = {}  # the few values that there are, taken apart once

    @property
    def blind(self) -> bool:
        """Whether what is not found may be remembered all the same, as the store is away."""
        return self._remote is not None and self._remote.down

    async def owner(self, key: str) -> Pin | None:
        """The owner of `key`."""
        value = await self._store.get(key)
        return None if value is None else self._pin(value)

    async def find(self, keys: Sequence[str]) -> dict[str, Pin]:
        """The owners of those `keys` that have one: one round trip at most, if the store can."""
        if not keys:
            return {}
        if len(keys) == 1:
            pin = await self.owner(keys[0])
            return {} if pin is None else {keys[0]: pin}
        if self._many is not None:
            return {key: self._pin(value) for key, value in (await self._many.get_many(keys)).items()}
        found = {key: await self._store.get(key) for key in keys}
        return {key: self._pin(value) for key, value in found.items() if value is not None}

    async def learn(self, key: str, deployment_id: str, tenant: str) -> None:
        """Remember `deployment_id` as the owner of `key`. Whoever shares the store knows it when this returns, if
        writes are acknowledged."""
        if not self._acknowledged:
            await self.note((key,), deployment_id, tenant)
            return
        self.stats.learnt += 1
        await self._store.set(key, _value(deployment_id, tenant), ttl=self._ttl)

    async def note(self, keys: Sequence[str], deployment_id: str, tenant: str) -> None:
        """Remember `deployment_id` as the owner of `keys`. If the store can, others come to know it beside the call."""
        if not keys:
            return
        self.stats.learnt += len(keys)
        value = _value(deployment_id, tenant)
        if self._many is not None:
            await self._many.set_many(dict.fromkeys(keys, value), ttl=self._ttl)
            return
        for key in keys:
            await self._store.set(key, value, ttl=self._ttl)

    async def forget(self, key: str) -> None:
        """Forget who owns `key`."""
        await self._store.delete(key)

    def _pin(self, value: str) -> Pin:
        pin = self._read.get(value)
        if pin is None:
            if len(self._read) >= _MOST_READ:
                self._read.clear()
            deployment_id, _, tenant = value.partition(_MARK)
            pin = self._read[value] = Pin(deployment_id, tenant)
        return pin


def _value(deployment_id: str, tenant: str) -> str:
    return f"{deployment_id}{_MARK}{tenant}" if tenant else deployment_id
