"""A proxy over two deployments that know only what they have issued, and a judge of where conversations went."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any, cast

from proxies import proxying
from pydantic import BaseModel, SecretStr
from routers import AFFINITY, group

from providers.simulated import Behaviour, SimulatedUpstream
from providers.types import Verb
from router import Router
from router.proxy.settings import ProxySettings

KEY = "sk-proxy-0123456789abcdef"
"""What clients show the proxy."""
CALL = 'Please call weather with {"city": "Paris"}'
"""Has a simulated deployment call the tool."""


class City(BaseModel):
    """What a structured answer holds."""

    name: str
    people: int


def weather(city: str) -> str:
    """The weather of a city."""
    return f"sunny in {city}"


@dataclass(frozen=True)
class House:
    """A running proxy. Its strategy takes turns, so that a follow-up that nobody sends home goes astray."""

    url: str
    upstreams: tuple[SimulatedUpstream, ...]

    def came_home(self) -> int:
        """How many requests went on with something that only one deployment knows. All must have reached that one."""
        count = 0
        for upstream in self.upstreams:
            own = {_stem(each) for each in upstream.ids}
            for body in self.bodies(upstream):
                for known in _ties(body):
                    assert _stem(known) in own, (
                        f"{upstream.name} was asked to go on from {known}, which it never issued"
                    )
                    count += 1
        return count

    def bodies(self, upstream: SimulatedUpstream | None = None) -> list[Mapping[str, Any]]:
        """The bodies of creations that arrived at one deployment, or at all."""
        return [
            cast("Mapping[str, Any]", record.body)
            for each in ((upstream,) if upstream else self.upstreams)
            for record in each.requests
            if record.verb is Verb.CREATE
        ]

    def all_served(self) -> bool:
        """Whether every deployment was asked for at least one answer."""
        return all(self.bodies(each) for each in self.upstreams)


@contextmanager
def house(behaviour: Behaviour = Behaviour()) -> Iterator[House]:  # noqa: B008 - a frozen value
    """The proxy, with `gpt` at `u0` and `u1`; as `gpt-5` too, since clients tell by names which models can think."""
    with ExitStack() as stack:
        made = [stack.enter_context(SimulatedUpstream.in_thread(f"u{n}", behaviour=behaviour)) for n in range(2)]
        router = Router(
            group(made),
            optional_pre_call_checks=AFFINITY,
            routing_strategy="round-robin",
            model_group_alias={"gpt-5": "gpt"},
        )
        settings = ProxySettings(master_key=SecretStr(KEY))
        yield House(stack.enter_context(proxying(router, settings)), tuple(made))


def _ties(body: Mapping[str, Any]) -> Iterator[str]:
    """The ids of a request that lead to one deployment."""
    if body.get("previous_response_id"):
        yield body["previous_response_id"]
    items = body.get("input")
    for item in items if isinstance(items, list) else ():
        if item.get("type") == "item_reference" or item.get("encrypted_content"):
            yield item["id"]


def _stem(identity: str) -> str:
    """What a response shares with its items."""
    return identity.partition("_")[2][:16]
