"""The provider that every dialect's translator is: what is the same, and what each says for itself."""

from __future__ import annotations

import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import ClassVar, Protocol

from providers import jsonio
from providers.conversations import refusal
from providers.errors import APIError, StreamInterruptedError, UnsupportedParamsError
from providers.faults import error_in_reply, malformed, request_id
from providers.headers import asked_wait
from providers.sse import SseDecoder
from providers.translation.asked import Asked, merged
from providers.translation.begun import begun
from providers.translation.narrator import Failure, Narrator, mint
from providers.translation.parameters import Table
from providers.translation.tools import Naming, functions, tools_of
from providers.types import Call, Deployment, HttpReply, HttpRequest, Json, JsonObject, Token, Verb
from providers.views import Event, Response, Routed

_BROKEN = (LookupError, TypeError, AttributeError, ValueError)
"""What reading JSON of another shape than promised ends with."""


class Framing(Protocol):
    """Cuts a streamed body into the JSON of its frames, whatever the chunking."""

    def feed(self, chunk: bytes) -> Sequence[JsonObject]:
        """Frames completed by `chunk`. Raises `MalformedReplyError`."""
        ...

    def end(self) -> Sequence[JsonObject]:
        """Frames left when the body has ended."""
        ...


class SseFraming:
    """Server-sent events. A frame that was called `error` has that as its `type`, if it has no other."""

    __slots__ = ("_events",)

    def __init__(self) -> None:
        self._events = SseDecoder()

    def feed(self, chunk: bytes) -> list[JsonObject]:
        """Frames completed by `chunk`."""
        return [event.to_dict() for event in self._events.feed(chunk)]

    def end(self) -> list[JsonObject]:
        """A last frame whose blank line is missing."""
        return [event.to_dict() for event in self._events.end()]


class Listener(Protocol):
    """Follows one stream and tells a narrator."""

    def hear(self, frame: JsonObject) -> None:
        """One frame. Raises the `APIError` that it reports; nothing else for any JSON, but what reading it does."""
        ...

    def end(self) -> None:
        """The body has ended. Finishes the response if the dialect has no frame that says so."""
        ...

    def usage(self) -> JsonObject | None:
        """The usage as far as the vendor has told it, as OpenAI counts."""
        ...


class Translator(ABC):
    """A provider whose deployments speak another dialect. Pure, but for the time it puts on a response."""

    table: Table
    """What becomes of each parameter."""
    naming: ClassVar[Naming]
    """What the dialect takes for the name of a function."""
    listed: ClassVar[frozenset[str]] = frozenset()
    """Headers whose values are lists: those of the dialect, of the deployment and of the call are joined."""

    def __init__(
        self,
        name: str,
        default_base: str | None = None,
        *,
        wall: Callable[[], float] = time.time,
        mint: Callable[[], str] = mint,
    ) -> None:
        """`wall`: Unix time. `mint`: 32 characters that no other response has in its id."""
        self.name = name
        self.default_base = default_base
        self._wall = wall
        self._mint = mint

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.name!r})"

    # what each dialect says for itself

    @abstractmethod
    def address(self, asked: Asked) -> str:
        """The URL to send to."""

    @abstractmethod
    def authorize(self, request: HttpRequest, deployment: Deployment, token: Token | None) -> HttpRequest:
        """The request with who calls: an API key, a bearer token, a signature."""

    @abstractmethod
    def write(self, asked: Asked) -> JsonObject:
        """The body to send. Raises `UnsupportedParamsError` for what can't be said."""

    @abstractmethod
    def read(self, json: JsonObject, narrator: Narrator, call: Call, deployment: Deployment) -> None:
        """Tell a whole reply, from `start` to the end. Raises the `APIError` that it reports."""

    @abstractmethod
    def listener(self, narrator: Narrator, call: Call, deployment: Deployment) -> Listener:
        """What follows a stream."""

    def framing(self) -> Framing:
        """What cuts a stream into frames; default: server-sent events."""
        return SseFraming()

    def blame(self, reply: HttpReply, call: Call) -> APIError:
        """The error that a reply other than a 2xx stands for; default: as OpenAI writes them."""
        return error_in_reply(reply, call)

    def headers(self, asked: Asked) -> Mapping[str, str]:
        """Headers of the dialect's own, by lower-case name; default: none."""
        return {}

    def models(self, asked: Asked) -> str | None:
        """The URL of the list of models; default: there is none."""
        return None

    def remote(self, call: Call, deployment: Deployment) -> Sequence[str]:
        """Addresses of files that must be downloaded first; default: none."""
        return ()

    # the translations

    def encode(self, call: Call, deployment: Deployment, token: Token | None = None) -> HttpRequest:
        """The request to send. Raises `UnsupportedParamsError` that names what the dialect has no word for."""
        if call.verb.of_conversations:
            raise refusal(self.name)
        if call.verb is not Verb.CREATE:
            raise UnsupportedParamsError(f"{self.name} has no operation {call.verb}", code="unsupported_operation")
        if call.native_query:
            call = replace(call, query={})
        asked = Asked.of(call, deployment, self.table, self.name)
        content = jsonio.dumps(joined(self.write(asked), asked.extra))
        request = HttpRequest("POST", self.address(asked), self._head(asked), content, tuple(asked.dropped))
        return self.authorize(request, deployment, token)

    def listing(self, deployment: Deployment, token: Token | None = None) -> HttpRequest | None:
        """The request for the list of models there, if it has one."""
        call = Call(deployment.group, drop_params=True)
        asked = Asked.of(call, deployment, self.table, self.name)
        url = self.models(asked)
        return None if url is None else self.authorize(HttpRequest("GET", url, self._head(asked)), deployment, token)

    def decode(self, reply: HttpReply, call: Call, deployment: Deployment) -> Routed:
        """The reply as a response. Raises the typed error that it stands for."""
        if not 200 <= reply.status < 300:
            raise self.blame(reply, call)
        try:
            json = jsonio.loads(reply.content)
        except ValueError:
            raise self._blamed(malformed("the reply is not JSON", reply.content), reply) from None
        narrator = self.narrator(call, deployment)
        try:
            if not isinstance(json, dict):
                raise malformed("the reply is not a JSON object", reply.content)
            self.read(json, narrator, call, deployment)
            if narrator.cause is not None:
                raise narrator.cause
            if not narrator.ended:
                raise malformed("the reply is not whole", reply.content)
        except APIError as error:
            raise self._blamed(error, reply) from None
        except _BROKEN:
            raise self._blamed(malformed("the reply has another shape", reply.content), reply) from None
        return Response(narrator.response)

    def events(self, call: Call, deployment: Deployment) -> Hearing:
        """A decoder for one streamed reply."""
        narrator = self.narrator(call, deployment)
        return Hearing(self.framing(), narrator, self.listener(narrator, call, deployment))

    def fault(self, event: Event) -> APIError | None:
        """What a `response.failed` of ours stands for."""
        return event.cause if isinstance(event, Failure) else None

    # parts

    def _head(self, asked: Asked) -> dict[str, str]:
        """The headers of a request: the dialect's, the deployment's, the call's."""
        call, deployment = asked.call, asked.deployment
        headers = {
            "accept": "text/event-stream" if call.stream else "application/json",
            "content-type": "application/json",
            "user-agent": "homing-router",
            **self.headers(asked),
        }
        for name, value in (*deployment.headers.items(), *call.headers.items()):
            name = name.lower()
            headers[name] = _both(headers[name], value) if name in self.listed and name in headers else value
        return headers

    def narrator(self, call: Call, deployment: Deployment) -> Narrator:
        """What tells the response to a call."""
        stem = self._mint()
        model = deployment.model.replace("*", call.wildcard, 1) if call.wildcard else deployment.model
        response = begun(call, deployment, f"resp_{stem}", model, int(self._wall()))
        return Narrator(response, stem, self._wall, _Known(self, call, deployment))

    def _blamed(self, error: APIError, reply: HttpReply) -> APIError:
        if error.request_id is None:
            error.request_id = request_id(reply.headers)
        if error.retry_after is None:
            error.retry_after = asked_wait(reply.headers, reply.received)
        return error


class Hearing:
    """Decodes one stream: its framing, the listener that follows it, the narrator that tells it."""

    __slots__ = ("_framing", "_listener", "_narrator")

    def __init__(self, framing: Framing, narrator: Narrator, listener: Listener) -> None:
        self._framing = framing
        self._narrator = narrator
        self._listener = listener

    def feed(self, chunk: bytes) -> list[Event]:
        """Events that `chunk` makes. Raises what the stream failed with before it began."""
        return self._hear(lambda: self._framing.feed(chunk))

    def end(self) -> list[Event]:
        """Events left at the end: a stream that lacks its last frame has failed."""
        events = self._hear(self._framing.end)
        narrator = self._narrator
        if not narrator.ended:
            events += self._ended()
        return events

    def usage(self) -> JsonObject | None:
        """What the vendor has told so far."""
        try:
            return self._listener.usage()
        except _BROKEN:
            return None

    def _ended(self) -> list[Event]:
        narrator = self._narrator
        try:
            try:
                self._listener.end()
            except _BROKEN:
                raise malformed("a stream that has another shape") from None
        except APIError as error:
            if not narrator.ended:
                narrator.fail(error, self.usage())
        if not narrator.ended:
            narrator.fail(StreamInterruptedError("the stream ended before its last event"), self.usage())
        return narrator.take()

    def _hear(self, frames: Callable[[], Sequence[JsonObject]]) -> list[Event]:
        narrator, hear = self._narrator, self._listener.hear
        try:
            for frame in frames():
                if narrator.ended:
                    break
                try:
                    hear(frame)
                except _BROKEN:
                    raise malformed("an event that has another shape", jsonio.dumps(frame)) from None
        except APIError as error:
            if not narrator.ended:
                narrator.fail(error, self.usage())  # what was read is paid for all the same
        return narrator.take()


class _Known:
    """Finds the caller's names of functions; reads its tools when the first is called."""

    __slots__ = ("_call", "_deployment", "_names", "_translator")

    def __init__(self, translator: Translator, call: Call, deployment: Deployment) -> None:
        self._translator = translator
        self._call = call
        self._deployment = deployment
        self._names: dict[str, tuple[str, bool]] | None = None

    def __call__(self, wire: str) -> tuple[str, bool]:
        if self._names is None:
            self._names = self._read()
        return self._names.get(wire, (wire, False))

    def _read(self) -> dict[str, tuple[str, bool]]:
        call, deployment = self._call, self._deployment
        given = {**merged(call, deployment), **deployment.extra_body, **call.extra_body}.get("tools")
        if not given:
            return {}
        body = {"tools": given}
        asked = Asked.of(
            Call(call.group, body=body, drop_params=True), Deployment("", "", "", ""), self._translator.table, ""
        )
        return {each.wire: (each.name, each.custom) for each in functions(tools_of(asked, self._translator.naming))}


def _both(first: str, second: str) -> str:
    """Two lists of names, with commas between, as one."""
    names = [name.strip() for name in f"{first},{second}".split(",")]
    return ",".join(dict.fromkeys(name for name in names if name))


def joined(body: JsonObject, extra: Mapping[str, Json]) -> JsonObject:
    """`body` with `extra`, which wins; objects in both are joined."""
    for name, value in extra.items():
        mine = body.get(name)
        if isinstance(mine, dict) and isinstance(value, dict):
            body[name] = joined({**mine}, value)
        else:
            body[name] = value
    return body
