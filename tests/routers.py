"""Parts for tests of the Router: Routers over simulated deployments, streams read to their end, what must be left."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, Any, cast

from providers.simulated import Behaviour, SimulatedUpstream
from providers.views import Event, Response
from router import APIError, ResponseStream, Router

if TYPE_CHECKING:
    from redis_servers import Server

KEY = "sk-secret-0123456789"
"""The key of every deployment made here."""
AFFINITY = ("responses_api_deployment_check",)
STORES = ("memory", "redis", "signed-id")
"""Where it can be remembered who has what."""


def homing_settings(store: str, redis: Server) -> dict[str, Any]:
    """The settings of Routers that remember who has what in one of `STORES`, and wait for nothing."""
    found: dict[str, Any] = {"optional_pre_call_checks": AFFINITY, "sleep": tick}
    if store == "redis":
        found |= redis.settings()
    elif store == "signed-id":
        found |= {"affinity": "signed-id", "affinity_key": "0123456789abcdef"}
    return found


def entry(upstream: SimulatedUpstream | str, group: str = "gpt", **params: Any) -> dict[str, Any]:
    """One entry of a `model_list`, whose id is the upstream's name. `id=` gives another."""
    where = upstream if isinstance(upstream, str) else upstream.url
    name = params.pop("id", None) or (where if isinstance(upstream, str) else upstream.name)
    return {
        "model_name": group,
        "litellm_params": {"model": "openai/gpt-4o", "api_key": KEY, "api_base": where, **params},
        "model_info": {"id": name},
    }


def group(upstreams: Iterable[SimulatedUpstream], name: str = "gpt", **params: Any) -> list[dict[str, Any]]:
    """A `model_list` of one group."""
    return [entry(upstream, name, **params) for upstream in upstreams]


@asynccontextmanager
async def serving(
    count: int,
    behaviour: Behaviour = Behaviour(),  # noqa: B008 - a frozen value
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
) -> AsyncIterator[list[SimulatedUpstream]]:
    """Simulated deployments `u0`, `u1`, … in this loop."""
    async with AsyncExitStack() as stack:
        made = [SimulatedUpstream(f"u{index}", seed=index, behaviour=behaviour, sleep=sleep) for index in range(count)]
        for upstream in made:
            await stack.enter_async_context(upstream)
        yield made


async def tick(seconds: float) -> None:
    """A sleep that takes one turn of the event loop."""
    await asyncio.sleep(0)


def misbehave(upstream: SimulatedUpstream, fault: Any = None, **more: Any) -> None:
    """Change an upstream's fault, and whatever else of its behaviour."""
    upstream.behaviour = replace(upstream.behaviour, fault=fault, **more)


async def read(stream: ResponseStream) -> list[dict[str, Any]]:
    """The JSON of every event up to the end."""
    return [event.to_dict() async for event in stream]


async def read_until_error(stream: ResponseStream) -> tuple[list[dict[str, Any]], APIError]:
    """The JSON of every event of a stream that fails, and what it fails with."""
    events: list[dict[str, Any]] = []
    try:
        async for event in stream:
            events.append(event.to_dict())  # noqa: PERF401 - kept when it fails
    except APIError as error:
        return events, error
    raise AssertionError(f"the stream ended well, with {events[-1]}")


async def create(router: Router, stream: bool, model: str = "gpt", input: Any = "hi", **params: Any) -> Response:
    """A response, streamed and read to its end or not."""
    if not stream:
        return cast("Response", await router.aresponses(model, input, **params))
    events = await router.aresponses(model, input, stream=True, **params)
    async for _ in events:
        pass
    assert events.response is not None
    return events.response


def served(response: Response | ResponseStream) -> str:
    """The id of the deployment that served."""
    return response.routing.deployment_id


def in_flight(router: Router) -> dict[str, int]:
    """Leases held, by deployment; those without any left out."""
    return {each.id: each.in_flight for each in router.health() if each.in_flight}


async def quiet(upstreams: Iterable[SimulatedUpstream]) -> None:
    """Wait until no request is in service."""
    for upstream in upstreams:
        await upstream.until(lambda upstream=upstream: upstream.active_requests == 0)  # type: ignore[misc]


async def closed(router: Router, upstreams: Iterable[SimulatedUpstream]) -> None:
    """Nothing is in flight; close the Router, and wait until no connection is left."""
    upstreams = tuple(upstreams)
    assert in_flight(router) == {}
    await quiet(upstreams)
    await router.aclose()
    for upstream in upstreams:
        await upstream.until(lambda upstream=upstream: upstream.open_connections == 0)  # type: ignore[misc]


def bodies(upstream: SimulatedUpstream) -> list[Any]:
    """The bodies that have arrived, oldest first."""
    return [record.body for record in upstream.requests]


def text(events: Iterable[Event | Mapping[str, Any]]) -> str:
    """The output text of a stream's events."""
    return "".join(event["delta"] for event in events if event["type"] == "response.output_text.delta")
