"""Turns of a conversation, in each of the ways to call, and the places where a policy may be set."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, TypeAlias

from routers import create

from providers.simulated import SimulatedUpstream
from providers.views import Response
from router import Router

Talk: TypeAlias = Callable[..., Awaitable[Response]]
"""Makes a call in one of the ways there are."""
WAYS = ("whole", "stream", "sync", "sync stream")
SAID = "Turn {} at {}. You began: 'hello'."


def talk(router: Router, way: str) -> Talk:
    """How to call `router` in this way."""

    def synchronous(input: str, **params: Any) -> Response:
        if way == "sync":
            whole: Response = router.responses("gpt", input, **params)
            return whole
        stream = router.responses("gpt", input, stream=True, **params)
        for _ in stream:
            pass
        assert stream.response is not None
        return stream.response

    async def speak(input: str = "more", **params: Any) -> Response:
        if way.startswith("sync"):
            return await asyncio.to_thread(synchronous, input, **params)
        return await create(router, way == "stream", input=input, **params)

    return speak


def calls(upstreams: Mapping[str, SimulatedUpstream]) -> dict[str, int]:
    """Requests so far, by name."""
    return {name: upstream.calls for name, upstream in upstreams.items()}


def placed(policy: str, where: str, **more: Any) -> tuple[dict[str, Any], dict[str, Any]]:
    """Arguments of a Router and of a call that set the policy in one of the three places; it is otherwise elsewhere."""
    other = "fail" if policy == "wait" else "wait"
    chosen = {"on_home_lost": policy, **more}
    if where == "router":
        return chosen, {}
    if where == "group":
        return {"on_home_lost": other, "model_group_affinity": {"gpt": chosen}}, {}
    return {"on_home_lost": other}, chosen


PLACES = ("router", "group", "call")
