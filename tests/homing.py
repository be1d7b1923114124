"""Parts for tests of affinity: deployments, calls that follow up, a store to look into."""

from __future__ import annotations

from typing import Any

from providers.types import Call, Deployment, Verb

EAST = Deployment("east", "gpt", "openai", "m", account="acme")
WEST = Deployment("west", "gpt", "openai", "m", account="acme")
NORTH = Deployment("north", "gpt", "openai", "m")
FAR = Deployment("far", "other", "openai", "m", account="acme")
ALL = (NORTH, WEST, EAST)
"""The group `gpt`; two of them share an account, with one of another group."""


class Notebook:
    """A store that writes down what it is asked, and can do no more than it must."""

    def __init__(self) -> None:
        self.kept: dict[str, str] = {}
        self.asked: list[tuple[object, ...]] = []

    async def get(self, key: str) -> str | None:
        """The value of `key`."""
        self.asked.append(("get", key))
        return self.kept.get(key)

    async def set(self, key: str, value: str, *, ttl: float) -> None:
        """Remember `value`, for ever."""
        self.asked.append(("set", key, value, ttl))
        self.kept[key] = value

    async def delete(self, key: str) -> None:
        """Forget `key`."""
        self.asked.append(("delete", key))
        self.kept.pop(key, None)

    async def aclose(self) -> None:
        """Nothing to close."""


def follow_up(identity: object = "resp_1", **body: Any) -> Call:
    """A call that continues a response."""
    return Call("gpt", body={"input": "x", "previous_response_id": identity, **body})


def asked_for(identity: str, verb: Verb = Verb.GET) -> Call:
    """A call about a stored response."""
    return Call("gpt", verb, response_id=identity)
