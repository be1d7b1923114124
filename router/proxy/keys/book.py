"""The keys that were made while the proxy runs: kept in Redis, for all workers and machines."""

from __future__ import annotations

from typing import Final, cast

import msgspec

from providers.errors import ServiceUnavailableError
from router.proxy.holder import Grant
from router.stores.redis_client import Command
from router.stores.redis_link import OutageError, RedisLink

MOST_KEYS: Final = 10_000
"""Keys that can be kept."""

# Three hashes in one slot: id -> grant, digest -> id, alias -> id; and how many there are.
_FIND: Final = """
local id = redis.call('HGET', KEYS[2], ARGV[1])
return id and redis.call('HGET', KEYS[1], id)
"""
_SAVE: Final = """
local id, digest, alias, grant, before, most = ARGV[1], ARGV[2], ARGV[3], ARGV[4], ARGV[5], tonumber(ARGV[6])
local now = redis.call('HGET', KEYS[1], id)
if before ~= (now or '') then return 'changed' end
local holder = redis.call('HGET', KEYS[2], digest)
if holder and holder ~= id then return 'key' end
local namesake = alias ~= '' and redis.call('HGET', KEYS[3], alias)
if namesake and namesake ~= id then return 'alias' end
if now then
  redis.call('HDEL', KEYS[2], ARGV[7])
  redis.call('HDEL', KEYS[3], ARGV[8])
else
  local count = tonumber(redis.call('GET', KEYS[4]) or 0)
  if count >= most then return 'full' end
  redis.call('SET', KEYS[4], count + 1)
end
redis.call('HSET', KEYS[1], id, grant)
redis.call('HSET', KEYS[2], digest, id)
if alias ~= '' then redis.call('HSET', KEYS[3], alias, id) end
return 'saved'
"""
_DROP: Final = """
if redis.call('HDEL', KEYS[1], ARGV[1]) == 0 then return 0 end
redis.call('HDEL', KEYS[2], ARGV[2])
if ARGV[3] ~= '' then redis.call('HDEL', KEYS[3], ARGV[3]) end
redis.call('SET', KEYS[4], redis.call('GET', KEYS[4]) - 1)
return 1
"""
_ONE: Final = """
local id = redis.call('HGET', KEYS[2], ARGV[1]) or redis.call('HGET', KEYS[3], ARGV[1]) or ARGV[1]
return redis.call('HGET', KEYS[1], id)
"""


class KeyBook:
    """Keeps grants under `{prefix}:{{keys}}:…`. Whatever asks it raises `ServiceUnavailableError` in an outage.

    `link` is that of the calls; `long` may take longer, for lists.
    """

    def __init__(self, link: RedisLink, long: RedisLink, *, prefix: str = "homing") -> None:
        self._link = link
        self._long = long
        self._names = tuple(f"{prefix}:{{keys}}:{name}" for name in ("grants", "digests", "aliases", "count"))

    async def find(self, digest: str) -> Grant | None:
        """What the key with this digest grants; None: there is none. Raises `OutageError`."""
        return _read(await self._link.run(self._command(_FIND, digest)))

    async def one(self, name: str) -> Grant | None:
        """The grant with this id, alias, or digest of its key."""
        return _read(await self._ask(_ONE, name))

    async def all(self) -> list[Grant]:
        """Every grant, oldest first."""
        command: Command = ("HGETALL", self._names[0])
        try:
            reply = await self._long.run(command)
        except OutageError:
            raise _away() from None
        grants = [msgspec.json.decode(text, type=Grant) for text in cast("dict[str, str]", reply).values()]
        return sorted(grants, key=lambda grant: (grant.created or 0.0, grant.id))

    async def save(self, grant: Grant, before: Grant | None = None) -> str:
        """Keep a grant, in place of `before`; `saved`, or what hinders it.

        `changed`: `before` is not what is kept; `key`, `alias`: another's; `full`: there are as many as can be.
        """
        digest, alias = ("", "") if before is None else (before.digest, before.key_alias or "")
        told = [grant.id, grant.digest, grant.key_alias or "", _text(grant), "" if before is None else _text(before)]
        return str(await self._ask(_SAVE, *told, MOST_KEYS, digest, alias))

    async def drop(self, grant: Grant) -> bool:
        """Keep a grant no longer; False if it was not kept."""
        return bool(await self._ask(_DROP, grant.id, grant.digest, grant.key_alias or ""))

    async def _ask(self, script: str, *arguments: str | int) -> object:
        try:
            return await self._link.run(self._command(script, *arguments))
        except OutageError:
            raise _away() from None

    def _command(self, script: str, *arguments: str | int) -> Command:
        return ("EVAL", script, len(self._names), *self._names, *arguments)


def _away() -> ServiceUnavailableError:
    return ServiceUnavailableError("keys are kept in Redis, which is away for now", code="key_store_unavailable")


def _text(grant: Grant) -> str:
    return msgspec.json.encode(grant).decode()


def _read(reply: object) -> Grant | None:
    return msgspec.json.decode(reply, type=Grant) if isinstance(reply, str) else None
