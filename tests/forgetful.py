"""A vendor of the tests' own that keeps no state: simulated deployments, told everything with each call."""

from __future__ import annotations

import secrets
from collections.abc import Iterable
from dataclasses import replace
from typing import Any, cast

import pytest
from routers import entry

from checks.affinity.transcript import items_of
from providers.catalog import VENDORS, Vendor
from providers.errors import BadRequestError
from providers.models import always
from providers.openai import OpenAI
from providers.simulated import SimulatedUpstream
from providers.sse import SseDecoder
from providers.translation.sealed import seal
from providers.types import Call, Deployment, Dialect, HttpReply, HttpRequest, JsonObject, Token, Verb
from providers.views import Event, Response

NAME = "forgetful"


class Forgetful(OpenAI):
    """Sends history and input as one, asks the deployment to keep nothing, and mints ids of its own."""

    def encode(self, call: Call, deployment: Deployment, token: Token | None = None) -> HttpRequest:
        """A request that refers to nothing."""
        if call.verb is not Verb.CREATE:
            raise BadRequestError(f"no operation {call.verb}", code="unsupported_operation")
        body = {**call.body, **call.extra_body}
        items = [*call.history, *(items_of(body.pop("input", None)) or ())]
        body["input"] = [item for item in items if item.get("type") != "reasoning"]
        body.pop("previous_response_id", None)
        return super().encode(
            replace(call, body={**body, "store": False}, extra_body={}, history=()), deployment, token
        )

    def decode(self, reply: HttpReply, call: Call, deployment: Deployment) -> Response:
        """The response under ids of its own."""
        return Response(_Renamed(call, deployment).response(super().decode(reply, call, deployment).to_dict()))

    def events(self, call: Call, deployment: Deployment) -> _Decoder:  # type: ignore[override]  # as good a decoder
        """The same of a stream."""
        return _Decoder(_Renamed(call, deployment))


class _Renamed:
    def __init__(self, call: Call, deployment: Deployment) -> None:
        self._stem = secrets.token_hex(16)
        self._body = {**deployment.defaults, **call.body, **call.extra_body}

    def response(self, json: JsonObject) -> JsonObject:
        output = cast("list[JsonObject]", json["output"])
        return {
            **json,
            "id": f"resp_{self._stem}",
            "store": self._body.get("store", True) is not False,
            "previous_response_id": cast("str | None", self._body.get("previous_response_id")),
            "output": [self.item(item, place) for place, item in enumerate(output)],
        }

    def item(self, item: JsonObject, place: int) -> JsonObject:
        sealed: JsonObject = {}
        if item["type"] == "reasoning":
            sealed["encrypted_content"] = seal("toys", [{"thought": "deep"}])
        return {**item, "id": f"{str(item['id']).partition('_')[0]}_{self._stem}{place:04x}", **sealed}

    def event(self, event: Event) -> Event:
        json = event.to_dict()
        place = cast("int", json.get("output_index"))
        if isinstance(response := json.get("response"), dict):
            json["response"] = self.response(response)
        if isinstance(item := json.get("item"), dict):
            json["item"] = self.item(item, place)
        if isinstance(name := json.get("item_id"), str):
            json["item_id"] = f"{name.partition('_')[0]}_{self._stem}{place:04x}"
        return event


class _Decoder:
    def __init__(self, renamed: _Renamed) -> None:
        self._frames = SseDecoder()
        self._renamed = renamed

    def feed(self, chunk: bytes) -> list[Event]:
        return self._told(self._frames.feed(chunk))

    def end(self) -> list[Event]:
        return self._told(self._frames.end())

    def usage(self) -> JsonObject | None:
        return self._frames.usage()

    def _told(self, events: list[Event]) -> list[Event]:
        """As translators tell it: what fails, fails with `response.failed`."""
        return [self._renamed.event(event) for event in events if event.type != "error"]


@pytest.fixture
def forgetful(monkeypatch: pytest.MonkeyPatch) -> None:
    """Make the vendor known while a test runs."""
    vendor = Vendor(NAME, {Dialect.MESSAGES: Forgetful(NAME)}, always(Dialect.MESSAGES))
    monkeypatch.setitem(cast("dict[str, Vendor]", VENDORS), NAME, vendor)


def plain(upstreams: Iterable[SimulatedUpstream], group: str = "gpt") -> list[dict[str, Any]]:
    """A `model_list` of one group whose deployments keep no state."""
    return [entry(upstream, group, model=f"{NAME}/m") for upstream in upstreams]
