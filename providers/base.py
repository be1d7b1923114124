"""What a provider is: three pure translations. It never sends, waits or keeps time."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from providers.errors import APIError
from providers.types import Call, Deployment, HttpReply, HttpRequest, JsonObject, Token
from providers.views import Event, Routed


class EventDecoder(Protocol):
    """Turns the bytes of one streamed reply into events, whatever the chunking."""

    def feed(self, chunk: bytes) -> list[Event]:
        """Events completed by `chunk`. Raises `MalformedReplyError` for what cannot be an event."""
        ...

    def end(self) -> list[Event]:
        """Events left when the body has ended."""
        ...

    def usage(self) -> JsonObject | None:
        """What was told of the usage so far, as a response's `usage`, where no event has shown it yet."""
        ...


class Provider(Protocol):
    """Translates between a `Call` and one vendor's wire."""

    def remote(self, call: Call, deployment: Deployment) -> Sequence[str]:
        """Addresses of the files that must be in `call.fetched` before it can be encoded; mostly none."""
        ...

    def encode(self, call: Call, deployment: Deployment, token: Token | None) -> HttpRequest:
        """The request to send. `token` is what the deployment's `token_source` returned, if it has one."""
        ...

    def listing(self, deployment: Deployment, token: Token | None) -> HttpRequest | None:
        """The request for the list of models there, which costs nothing; None if where the deployment is has none."""
        ...

    def decode(self, reply: HttpReply, call: Call, deployment: Deployment) -> Routed:
        """The answer in a complete reply, or the typed error it stands for, raised."""
        ...

    def events(self, call: Call, deployment: Deployment) -> EventDecoder:
        """A decoder for one streamed reply."""
        ...

    def fault(self, event: Event) -> APIError | None:
        """The failure an event reports (an error frame, a failed response), or None. Never raises."""
        ...
