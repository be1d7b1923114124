"""The shared cooldown board: which deployments other Routers have found wanting, and for how long yet."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final, Protocol

from router.stores.redis_client import Command
from router.stores.redis_link import OutageError, RedisLink, Send

# One hash: deployment id -> "<deadline in ms> <kind>", by the clock of Redis, so that of the machines doesn't matter.
# HSET before PEXPIRE: a new hash has no time to live (-1), and lasts as long as its longest entry.
_PUBLISH: Final = """
local t = redis.call('TIME')
local deadline = t[1] * 1000 + math.floor(t[2] / 1000) + ARGV[3]
local held = redis.call('HGET', KEYS[1], ARGV[1])
if held and tonumber(string.match(held, '^%d+')) >= deadline then return 0 end
redis.call('HSET', KEYS[1], ARGV[1], string.format('%.0f %s', deadline, ARGV[2]))
if redis.call('PTTL', KEYS[1]) < tonumber(ARGV[3]) then redis.call('PEXPIRE', KEYS[1], ARGV[3]) end
return 1
"""
_READ: Final = """
local t = redis.call('TIME')
local now = t[1] * 1000 + math.floor(t[2] / 1000)
local all = redis.call('HGETALL', KEYS[1])
local found = {}
for i = 1, #all, 2 do
  local deadline, kind = string.match(all[i + 1], '^(%d+) (.*)$')
  local left = tonumber(deadline) - now
  if left > 0 then
    found[#found + 1] = all[i]
    found[#found + 1] = kind
    found[#found + 1] = left
  else
    redis.call('HDEL', KEYS[1], all[i])
  end
end
return found
"""
_LONGEST: Final = 10.0**12  # milliseconds


class CooldownBoard(Protocol):
    """Cooldowns that Routers tell one another."""

    async def publish(self, deployment_id: str, kind: str, seconds: float) -> None:
        """Block `deployment_id` for `seconds` from now; of several deadlines the latest holds. Never raises for an
        outage: what is not published then is lost, as it would be stale later."""
        ...

    async def read(self) -> Mapping[str, tuple[str, float]] | None:
        """Deployment id → (kind, seconds left) of all that are blocked; None if the board cannot be read now."""
        ...

    async def clear(self, deployment_id: str) -> None:
        """Block `deployment_id` no longer. Never raises for an outage."""
        ...


class RedisCooldownBoard:
    """A `CooldownBoard` in one hash, `{prefix}:cooldowns`: so it works in a cluster too."""

    def __init__(self, link: RedisLink, *, prefix: str = "homing") -> None:
        self._link = link
        self._key = f"{prefix}:cooldowns"
        link.admit(self)

    async def publish(self, deployment_id: str, kind: str, seconds: float) -> None:
        """Block `deployment_id` for `seconds` from now; the latest deadline holds. Lost in an outage."""
        if seconds > 0:
            left = int(max(1, min(seconds * 1000, _LONGEST)))
            await self._tell(("EVAL", _PUBLISH, 1, self._key, deployment_id, kind, left))

    async def read(self) -> Mapping[str, tuple[str, float]] | None:
        """Deployment id → (kind, seconds left); None in an outage."""
        try:
            found = await self._link.run(("EVAL", _READ, 1, self._key))
        except OutageError:
            return None
        flat = found if isinstance(found, list) else []
        entries = zip(flat[::3], flat[1::3], flat[2::3], strict=True)
        return {str(deployment): (str(kind), int(left) / 1000) for deployment, kind, left in entries}

    async def clear(self, deployment_id: str) -> None:
        """Block `deployment_id` no longer."""
        await self._tell(("HDEL", self._key, deployment_id))

    async def aclose(self) -> None:
        """Close connections."""
        await self._link.aclose()

    def probes(self) -> Sequence[Command]:
        """Publish what ends at once, read, clear."""
        return (
            ("EVAL", _PUBLISH, 1, self._key, "", "probe", 0),
            ("EVAL", _READ, 1, self._key),
            ("HDEL", self._key, ""),
        )

    async def recover(self, send: Send) -> None:
        """Nothing waits: a cooldown of the outage would be stale."""

    async def _tell(self, command: Command) -> None:
        try:
            await self._link.run(command)
        except OutageError:
            return  # logged and counted by the link
