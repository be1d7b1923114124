"""Everything that can be done with a conversation, each by one act; and a judge of where the acts went."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Mapping
from typing import Any, TypeAlias

from routers import create

from providers.simulated import SimulatedUpstream
from providers.views import Routed
from router import Router

HELLO: dict[str, Any] = {"role": "user", "content": "hello"}
Act: TypeAlias = Callable[[Router, str, str, dict[str, Any]], Awaitable[Routed]]
"""Takes the Router, the ids of a conversation and of its first item, and more arguments."""


async def _get(router: Router, name: str, item: str, more: dict[str, Any]) -> Routed:
    return await router.aget_conversation(name, **more)


async def _update(router: Router, name: str, item: str, more: dict[str, Any]) -> Routed:
    return await router.aupdate_conversation(name, metadata={"topic": "tea"}, **more)


async def _add(router: Router, name: str, item: str, more: dict[str, Any]) -> Routed:
    return await router.acreate_conversation_items(name, [{"role": "user", "content": "and?"}], **more)


async def _list(router: Router, name: str, item: str, more: dict[str, Any]) -> Routed:
    return await router.alist_conversation_items(name, limit=1, **more)


async def _get_item(router: Router, name: str, item: str, more: dict[str, Any]) -> Routed:
    return await router.aget_conversation_item(name, item, **more)


async def _respond(router: Router, name: str, item: str, more: dict[str, Any]) -> Routed:
    return await create(router, False, conversation=name, **more)


async def _stream(router: Router, name: str, item: str, more: dict[str, Any]) -> Routed:
    return await create(router, True, conversation={"id": name}, **more)


async def _delete_item(router: Router, name: str, item: str, more: dict[str, Any]) -> Routed:
    return await router.adelete_conversation_item(name, item, **more)


async def _delete(router: Router, name: str, item: str, more: dict[str, Any]) -> Routed:
    return await router.adelete_conversation(name, **more)


ACTS: list[Act] = [_get, _update, _add, _list, _get_item, _respond, _stream, _delete_item, _delete]
"""In an order in which all of them succeed."""


async def begin(router: Router, **more: Any) -> tuple[str, str, str]:
    """A conversation, its first item, and who made it."""
    made = await router.acreate_conversation(items=[HELLO], **more)
    scope = {name: more[name] for name in ("affinity_scope", "model") if name in more}
    page = await router.alist_conversation_items(made.id, **scope)
    return made.id, page.data[0].id, place(made)


def place(answer: Routed) -> str:
    """The id of the deployment that served."""
    return answer.routing.deployment_id


def astray(upstreams: Iterable[SimulatedUpstream], homes: Mapping[str, str]) -> tuple[int, list[str]]:
    """How many requests named a conversation, and those that did not reach its home."""
    seen, wrong = 0, []
    for upstream in upstreams:
        for record in upstream.requests:
            said = record.body.get("conversation") if isinstance(record.body, dict) else None
            name = record.conversation_id or (said.get("id") if isinstance(said, dict) else said)
            if isinstance(name, str):
                seen += 1
                if homes.get(name) != upstream.name:
                    wrong.append(f"{record.method} {record.path} of {name} at {upstream.name}")
    return seen, wrong
