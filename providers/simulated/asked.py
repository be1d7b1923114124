"""One request to a simulated deployment, read and understood."""

from __future__ import annotations

from dataclasses import dataclass

from aiohttp.web_request import BaseRequest

from providers.simulated.behaviour import Behaviour
from providers.simulated.routes import Route
from providers.simulated.service import DEFAULT_MODEL
from providers.types import JsonObject, Verb


@dataclass(frozen=True, slots=True)
class Asked:
    """What is asked, and how the deployment behaves while it answers."""

    request: BaseRequest
    route: Route
    body: JsonObject
    size: int
    """Bytes of the body."""
    behaviour: Behaviour
    request_id: str

    @property
    def verb(self) -> Verb | None:
        """None: the list of models."""
        return self.route.verb

    @property
    def response_id(self) -> str:
        """The stored response that the path names; empty if it names none."""
        return self.route.response_id or ""

    @property
    def stream(self) -> bool:
        """Whether the body asks for events."""
        return self.body.get("stream") is True

    @property
    def model(self) -> str:
        """The model asked for."""
        return str(self.body.get("model") or DEFAULT_MODEL)
