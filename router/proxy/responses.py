"""The endpoints of the Responses API."""

from __future__ import annotations

from typing import Any

from providers.errors import BadRequestError
from providers.types import Json, Verb
from providers.views import Routed
from router.proxy.asking import arguments
from router.proxy.exchange import Exchange, Headers
from router.proxy.keys.keys import Keys
from router.proxy.keys.passage import Passage
from router.proxy.presence import Presence
from router.proxy.routing_headers import printable, routing_headers
from router.proxy.settings import ProxySettings
from router.proxy.streaming import Pulse
from router.proxy.wording import AS_IT_IS, Wording
from router.router import Router
from router.stream import ResponseStream

_NO_LIMITS: Headers = []


def _nothing() -> None:
    """What follows the end of a call that has no limits."""


class Responses:
    """Answers for the Router."""

    def __init__(self, router: Router, settings: ProxySettings, keys: Keys) -> None:
        self._router = router
        self._settings = settings
        self._keys = keys

    async def create(self, exchange: Exchange) -> None:
        """POST /responses, streamed or not."""
        await self._post(exchange, Verb.CREATE)

    async def compact(self, exchange: Exchange) -> None:
        """POST /responses/compact."""
        await self._post(exchange, Verb.COMPACT)

    async def input_tokens(self, exchange: Exchange) -> None:
        """POST /responses/input_tokens."""
        await self._post(exchange, Verb.INPUT_TOKENS)

    async def get(self, exchange: Exchange, response_id: str) -> None:
        """GET /responses/{id}; with `stream=true` from the event after `starting_after`."""
        await self._by_id(exchange, Verb.GET, response_id)

    async def delete(self, exchange: Exchange, response_id: str) -> None:
        """DELETE /responses/{id}."""
        await self._by_id(exchange, Verb.DELETE, response_id)

    async def cancel(self, exchange: Exchange, response_id: str) -> None:
        """POST /responses/{id}/cancel."""
        await self._by_id(exchange, Verb.CANCEL, response_id)

    async def input_items(self, exchange: Exchange, response_id: str) -> None:
        """GET /responses/{id}/input_items."""
        await self._by_id(exchange, Verb.INPUT_ITEMS, response_id)

    async def _post(self, exchange: Exchange, verb: Verb) -> None:
        await self.serve(exchange, verb, await self.body(exchange))

    async def body(self, exchange: Exchange) -> dict[str, Json]:
        """The JSON of a request. Raises `BadRequestError` and what else there is to say against a body."""
        return await exchange.json(self._settings.max_request_bytes, self._settings.body_timeout)

    async def serve(self, exchange: Exchange, verb: Verb, body: dict[str, Json], wording: Wording = AS_IT_IS) -> None:
        """Serve what `body` asks of `verb`; `wording` puts the answer into words."""
        model, stream = body.pop("model", None), body.pop("stream", None)
        if not isinstance(model, str) or not model:
            said = "model: is required" if model is None else "model: must be a text"
            raise BadRequestError(said, param="model", code="missing_required_parameter")
        if stream not in (None, True, False):
            raise BadRequestError("stream: must be true or false", param="stream", code="invalid_argument")
        params = arguments(exchange, body)
        async with Presence(exchange), self._keys.passage(exchange.holder, verb, model, params) as passage:
            if stream and verb is Verb.CREATE:
                await self._streamed(exchange, verb, model, params, wording=wording, passage=passage)
            else:
                answer = await self._router._create(verb, model, params)
                passage.served(answer)
                passage.leave()  # before it is told: whoever has the answer may ask again
                await self.tell(exchange, answer, wording, passage.headers)

    async def _by_id(self, exchange: Exchange, verb: Verb, response_id: str) -> None:
        if exchange.method == "POST":  # its body, if it has one, says nothing
            await exchange.body(self._settings.max_request_bytes, self._settings.body_timeout)
        params = arguments(exchange, {})
        query: dict[str, Any] = params.setdefault("extra_query", {})
        stream = query.pop("stream", "false") == "true" and verb is Verb.GET
        model = query.pop("model", None)
        if model is not None:
            if not isinstance(model, str):
                raise BadRequestError("model: must be given once", param="model", code="invalid_argument")
            self._keys.check_model(exchange.holder, model)
        async with Presence(exchange):
            if stream:
                await self._streamed(exchange, verb, model, params, response_id)
            else:
                await self.tell(exchange, await self._router._by_id(verb, response_id, model, params))

    async def tell(
        self,
        exchange: Exchange,
        answer: Routed | ResponseStream,
        wording: Wording = AS_IT_IS,
        limits: Headers = _NO_LIMITS,
    ) -> None:
        """Hand out an answer that is whole: in `wording`, and with what the headers say of `limits`."""
        assert isinstance(answer, Routed), "no stream was asked for"
        await exchange.answer(200, wording.whole(answer), [*self._headers(answer), *wording.headers, *limits])

    async def _streamed(
        self,
        exchange: Exchange,
        verb: Verb,
        model: str | None,
        params: dict[str, Any],
        response_id: str | None = None,
        wording: Wording = AS_IT_IS,
        passage: Passage | None = None,
    ) -> None:
        pulse = Pulse(exchange, self._settings.headers_after, self._settings.keep_alive)
        try:
            try:
                if response_id is None:
                    stream = await self._router._create(verb, model or "", params, stream=True)
                else:
                    stream = await self._router._by_id(verb, response_id, model, params, stream=True)
            except Exception as error:
                if not exchange.started:
                    raise
                await wording.fail(exchange, error)
            else:
                assert isinstance(stream, ResponseStream), "a stream was asked for"
                limits, over = _NO_LIMITS, _nothing
                if passage is not None:
                    passage.served(stream)
                    limits, over = passage.headers, passage.leave
                async with stream:
                    await exchange.begin([*self._headers(stream), *wording.headers, *limits])
                    pulse.began()
                    await wording.relay(exchange, stream, pulse, over)
        finally:
            await pulse.stop()
        await exchange.end()

    def _headers(self, answer: Routed | ResponseStream) -> Headers:
        routing = answer.routing
        headers: Headers = [(b"x-request-id", printable(routing.call_id))]
        if self._settings.routing_headers:
            headers += routing_headers(routing, streamed=isinstance(answer, ResponseStream))
        return headers
