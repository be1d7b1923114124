"""What simulated deployments speak, whatever their vendor's dialect: just enough for the Router to be itself."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, cast

import msgspec

from providers.errors import APIError
from providers.types import Call, Deployment, HttpReply, HttpRequest, JsonObject, Token, Verb
from providers.views import Event, Response, Routed

INDEX: Final = "homing_simulated_call"
"""Key of a call's metadata that holds its place in the trace."""
_HEADERS: Final = {"content-type": "application/json"}


class Asked(msgspec.Struct, frozen=True):
    """What a simulated deployment is told of a call."""

    deployment: str
    verb: str
    call: int | None = None
    stream: bool = False
    previous_response_id: str | None = None
    response_id: str | None = None


class StandIn:
    """Speaks to simulated deployments; in place of the translator of each."""

    def remote(self, call: Call, deployment: Deployment) -> Sequence[str]:
        """None: there are no contents."""
        return ()

    def encode(self, call: Call, deployment: Deployment, token: Token | None) -> HttpRequest:
        """The call's place in the trace, and what it goes on from."""
        index = call.metadata.get(INDEX)
        asked = Asked(
            deployment.id,
            call.verb.value,
            index if isinstance(index, int) else None,
            call.stream,
            call.previous_response_id,
            call.response_id,
        )
        return HttpRequest("POST", "simulated:", _HEADERS, msgspec.json.encode(asked))

    def decode(self, reply: HttpReply, call: Call, deployment: Deployment) -> Routed:
        """The answer; errors are raised by the simulated deployment itself."""
        return Response(cast("JsonObject", msgspec.json.decode(reply.content)))

    def events(self, call: Call, deployment: Deployment) -> Lines:
        """A decoder of one event in each line."""
        return Lines()

    def fault(self, event: Event) -> APIError | None:
        """None: a stream that fails is cut off."""
        return None


class Lines:
    """Whole lines in, an event for each out."""

    def feed(self, chunk: bytes) -> list[Event]:
        """The events of these lines."""
        return [Event(cast("JsonObject", msgspec.json.decode(line))) for line in chunk.splitlines()]

    def end(self) -> list[Event]:
        """Nothing is ever left."""
        return []

    def usage(self) -> JsonObject | None:
        """Nothing: usage comes with the last event."""
        return None


def is_create(asked: Asked) -> bool:
    """Whether the call makes a response; all others ask for one that is there."""
    return asked.verb == Verb.CREATE.value
