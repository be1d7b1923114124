"""The HTTP side: reads requests, applies faults, writes replies and streams."""

from __future__ import annotations

import asyncio
import random
import socket
import struct
from collections.abc import Awaitable, Callable, Collection, Iterator
from dataclasses import dataclass
from typing import NoReturn

from aiohttp import web
from aiohttp.web_request import BaseRequest

from providers import jsonio
from providers.simulated import faults, refusals
from providers.simulated.asked import Asked
from providers.simulated.behaviour import Behaviour
from providers.simulated.faults import Break
from providers.simulated.ledger import Ledger, Record
from providers.simulated.limits import Limits
from providers.simulated.mint import Mint
from providers.simulated.refusals import WireError
from providers.simulated.routes import Route, route
from providers.simulated.service import Service
from providers.types import Json, JsonObject, Verb

_RST = struct.pack("ii", 1, 0)  # SO_LINGER with 0 seconds: close sends RST, not FIN
_GARBAGE = b"\x00\xff<html><body>This is not the reply you are looking for.</body></html>\n\n{\x80"
_HALF = frozenset({"cut_before_output", "cut_after_output", "stall_before_output", "stall_after_output"})


@dataclass(slots=True)
class Conduct:
    """What may change while it serves."""

    behaviour: Behaviour
    script: Callable[[], Behaviour | None]
    """The behaviour that a test has laid down for the next creation, if any."""


class Front:
    """Serves HTTP requests for one simulated deployment."""

    def __init__(
        self,
        service: Service,
        ledger: Ledger,
        limits: Limits,
        conduct: Conduct,
        rng: random.Random,
        api_keys: Collection[str] | None,
        sleep: Callable[[float], Awaitable[None]],
    ) -> None:
        self._service = service
        self._ledger = ledger
        self._limits = limits
        self._conduct = conduct
        self._rng = rng
        self._mint = Mint(rng)
        self._api_keys = api_keys
        self._sleep = sleep

    async def serve(self, request: BaseRequest) -> web.StreamResponse:
        """Answer one request. Cancelled as soon as the client is gone."""
        self._ledger.active += 1
        try:
            return await self._read(request)
        except ConnectionError:  # closing, and not yet known to be lost
            await _gone()
        finally:
            self._ledger.active -= 1
            self._ledger.changed()

    async def _read(self, request: BaseRequest) -> web.StreamResponse:
        raw = await request.read()
        request_id = self._mint.request_id()
        body, refusal = _parse(raw)
        found = Route(None)
        try:
            found = route(request.method, request.path)
        except WireError as error:
            refusal = error
        self._note(request, found, body)
        if refusal is not None:
            return self._error(refusal, request_id, found.azure, self._conduct.behaviour)
        behaviour = (self._conduct.script() if found.verb is Verb.CREATE else None) or self._conduct.behaviour
        asked = Asked(request, found, body if isinstance(body, dict) else {}, len(raw), behaviour, request_id)
        try:
            return await self._answer(asked)
        except WireError as error:
            return self._error(error, request_id, found.azure, behaviour)

    def _note(self, request: BaseRequest, found: Route, body: Json) -> None:
        headers = {name.lower(): value for name, value in request.headers.items()}
        query = dict(request.query) if request.query_string else {}
        named = found.response_id, found.verb, found.conversation_id
        self._ledger.note(Record(request.method, request.path, query, headers, body, *named))

    async def _answer(self, asked: Asked) -> web.StreamResponse:
        behaviour = asked.behaviour
        if behaviour.fault == "reset":
            await _reset(asked.request)
        if behaviour.fault == "hang":
            await _gone()
        if behaviour.latency or behaviour.jitter:
            spread = self._rng.uniform(-behaviour.jitter, behaviour.jitter)
            await self._sleep(max(0.0, behaviour.latency + spread))
        self._admit(asked)
        if behaviour.fault == "garbage":
            kind = "text/event-stream; charset=utf-8" if asked.stream else "application/json"
            return web.Response(body=_GARBAGE, headers={**self._headers(asked), "content-type": kind})
        if asked.verb is Verb.CREATE:
            return await self._create(asked)
        if asked.verb is Verb.GET and asked.request.query.get("stream") == "true":
            return await self._resume(asked)
        return self._json(self._look_up(asked), self._headers(asked))

    def _admit(self, asked: Asked) -> None:
        """Raise what stands between this request and an answer."""
        if self._api_keys is not None:
            scheme, _, token = asked.request.headers.get("authorization", "").partition(" ")
            key = token if scheme.lower() == "bearer" else asked.request.headers.get("api-key", "")
            if key not in self._api_keys:
                raise refusals.wrong_key(asked.route.azure)
        refusal = faults.refusal(asked, self._limits)
        if refusal is not None:
            raise refusal
        if self._rng.random() < asked.behaviour.failure_rate:
            raise WireError(500, refusals.server_error(asked.request_id))
        if asked.verb in (Verb.CREATE, Verb.COMPACT):
            self._limits.admit(asked.behaviour, asked.model, max(1, asked.size // 4))

    def _look_up(self, asked: Asked) -> JsonObject:
        service, behaviour, response_id = self._service, asked.behaviour, asked.response_id
        if asked.verb is not None and asked.verb.of_conversations:
            names = asked.route.conversation_id, asked.route.item_id
            return service.conversations.answer(asked.verb, *names, asked.body, asked.request.query)
        match asked.verb:
            case Verb.GET:
                return service.get(response_id, behaviour)
            case Verb.DELETE:
                return service.delete(response_id, behaviour)
            case Verb.CANCEL:
                return service.cancel(response_id, behaviour)
            case Verb.INPUT_ITEMS:
                return service.input_items(response_id, asked.request.query, behaviour)
            case Verb.INPUT_TOKENS:
                return service.input_tokens(asked.body, behaviour)
            case Verb.COMPACT:
                return service.compact(asked.body, behaviour)
            case _:
                return service.models()

    async def _create(self, asked: Asked) -> web.StreamResponse:
        behaviour = asked.behaviour
        generation = self._service.create(asked.body, behaviour, asked.route.azure)
        if asked.stream:
            events = faults.spoiled(generation.events(), generation.begun, behaviour, asked.request_id, self._limits)

            def ended() -> None:
                self._service.commit(generation)

            return await self._stream(asked, events, 0, ended)
        if behaviour.fault in _HALF:
            return await self._half(asked, jsonio.dumps(generation.final))
        headers = self._headers(asked)
        if behaviour.fault == "failed_event":
            return self._json(faults.failed_reply(generation.begun, asked.request_id), headers)
        if generation.begun["background"]:
            return self._json(generation.begun, headers)
        self._service.commit(generation)
        return self._json(generation.final, headers)

    async def _resume(self, asked: Asked) -> web.StreamResponse:
        after = asked.request.query.get("starting_after", "-1")
        if not after.lstrip("-").isdecimal():
            raise refusals.invalid("Invalid type for 'starting_after': expected an integer.", param="starting_after")
        events = self._service.resume(asked.response_id, asked.behaviour)
        return await self._stream(asked, events, int(after) + 1, None)

    async def _stream(
        self,
        asked: Asked,
        events: Iterator[JsonObject | Break] | Iterator[JsonObject],
        first: int,
        ended: Callable[[], None] | None,
    ) -> web.StreamResponse:
        """Send `events` from number `first` on, each in one write; `ended` is called before the terminal one."""
        behaviour, request = asked.behaviour, asked.request
        headers = {**self._headers(asked), "content-type": "text/event-stream; charset=utf-8"}
        reply = web.StreamResponse(headers=headers)
        await reply.prepare(request)
        padded = behaviour.obfuscation and _wants_padding(asked)
        for number, event in enumerate(events):
            if event is Break.CUT:
                await _cut(request)
            if isinstance(event, Break):
                await _gone()
            if number < first:
                continue
            if ended is not None and event["type"] in ("response.completed", "response.incomplete"):
                ended()
            await reply.write(self._frame(event, number, padded))
            if behaviour.token_delay and "delta" in event:
                await self._sleep(behaviour.token_delay)
        if behaviour.done_marker:
            await reply.write(b"data: [DONE]\n\n")
        await reply.write_eof()
        return reply

    def _frame(self, event: JsonObject, number: int, padded: bool) -> bytes:
        whole: JsonObject = {"type": event["type"], "sequence_number": number, **event}
        if padded and "delta" in event:
            whole["obfuscation"] = self._mint.padding()
        return b"event: %b\ndata: %b\n\n" % (str(event["type"]).encode(), jsonio.dumps(whole))

    async def _half(self, asked: Asked, body: bytes) -> web.StreamResponse:
        """A JSON body that is promised whole and breaks off."""
        fault = asked.behaviour.fault
        headers = {**self._headers(asked), "content-type": "application/json", "content-length": str(len(body))}
        reply = web.StreamResponse(headers=headers)
        await reply.prepare(asked.request)
        await reply.write(b"" if fault == "stall_before_output" else body[: len(body) // 2])
        if fault in ("cut_before_output", "cut_after_output"):
            await _cut(asked.request)
        await _gone()

    def _headers(self, asked: Asked) -> dict[str, str]:
        return self._head(asked.request_id, asked.route.azure, asked.behaviour)

    def _head(self, request_id: str, azure: bool, behaviour: Behaviour) -> dict[str, str]:
        headers = {"x-request-id": request_id}
        if azure:
            headers |= {"apim-request-id": request_id.removeprefix("req_"), "x-ms-region": "Simulated"}
        else:
            headers |= _OPENAI
        return headers | self._limits.headers(behaviour) if behaviour.rate_limit_headers else headers

    def _error(self, error: WireError, request_id: str, azure: bool, behaviour: Behaviour) -> web.Response:
        return self._json(error.body, {**self._head(request_id, azure, behaviour), **error.headers}, error.status)

    def _json(self, body: JsonObject, headers: dict[str, str], status: int = 200) -> web.Response:
        headers["content-type"] = "application/json"
        return web.Response(body=jsonio.dumps(body), status=status, headers=headers)


_OPENAI = {
    "openai-version": "2020-10-01",
    "openai-organization": "org-simulated",
    "openai-processing-ms": "1",
}


def _parse(raw: bytes) -> tuple[Json, WireError | None]:
    """The body of a request, and the refusal of one that is not a JSON object."""
    if not raw:
        return None, None
    try:
        body = jsonio.loads(raw)
    except ValueError:
        body = None
    if isinstance(body, dict):
        return body, None
    message = "We could not parse the JSON body of your request. The OpenAI API expects a JSON payload."
    return body, refusals.invalid(message)


def _wants_padding(asked: Asked) -> bool:
    options = asked.body.get("stream_options")
    declined = isinstance(options, dict) and options.get("include_obfuscation") is False
    return not declined and asked.request.query.get("include_obfuscation") != "false"


async def _reset(request: BaseRequest) -> NoReturn:
    """End the connection with a TCP RST."""
    transport = _transport(request)
    held: socket.socket = transport.get_extra_info("socket")
    held.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RST)
    transport.abort()
    await _gone()


async def _cut(request: BaseRequest) -> NoReturn:
    """Close the connection once what was written is sent, in the middle of the body."""
    _transport(request).close()
    await _gone()


def _transport(request: BaseRequest) -> asyncio.Transport:
    transport = request.transport
    assert transport is not None, "the loss of the connection cancels the request"
    return transport


async def _gone() -> NoReturn:
    """Do nothing more; the loss of the connection cancels this."""
    while True:
        await asyncio.Event().wait()
