"""One response over a WebSocket: asked of the Router, told event by event."""

from __future__ import annotations

import logging
import secrets
import time
from typing import Any, cast

from checks.affinity.transcript import items_of
from providers.errors import APIError, BadRequestError
from providers.translation.begun import echoed
from providers.types import Json, JsonObject, Verb
from providers.views import Event
from router.proxy.asking import arguments
from router.proxy.exchange import Disconnected
from router.proxy.keys.keys import Keys
from router.proxy.websocket.channel import Channel
from router.proxy.websocket.memory import Kept, Memory, continuable
from router.proxy.websocket.said import Create, failure, within
from router.router import Router
from router.stream import ResponseStream

_log = logging.getLogger("router.proxy")
_CONTINUABLE = frozenset({"response.completed", "response.incomplete"})
_FAILED = "response.failed"
_NOTHING_USED: JsonObject = {
    "input_tokens": 0,
    "input_tokens_details": {"cached_tokens": 0},
    "output_tokens": 0,
    "output_tokens_details": {"reasoning_tokens": 0},
    "total_tokens": 0,
}


class Turns:
    """Answers one connection's `response.create`."""

    def __init__(self, router: Router, keys: Keys, channel: Channel, memory: Memory) -> None:
        self._router = router
        self._keys = keys
        self._channel = channel
        self._memory = memory

    async def serve(self, create: Create) -> None:
        """Answer, or tell why not. Raises `Disconnected`."""
        turn = _Turn(self._router, self._keys, self._channel, self._memory, create)
        try:
            # again for each: a key may have been taken back since the handshake
            self._channel.holder = await self._keys.admit(self._channel.headers)
            await turn.serve()
        except Disconnected:
            raise
        except Exception as error:
            if not isinstance(error, APIError):
                _log.error("a response over a WebSocket failed", exc_info=error)
            if turn.last != _FAILED:  # a second end would be taken for that of the next turn
                number = None if turn.number is None else turn.number + 1
                await self._channel.send(failure(error, create.lane, number))


class _Turn:
    """What is known of one response while it is made."""

    def __init__(self, router: Router, keys: Keys, channel: Channel, memory: Memory, create: Create) -> None:
        self._router = router
        self._keys = keys
        self._channel = channel
        self._memory = memory
        self._lane = create.lane
        self._warm_up = create.warm_up
        self._body = body = dict(create.body)
        self._input = body.get("input")
        """What this turn adds."""
        self._previous = body.get("previous_response_id")
        """As the client knows it."""
        self._before = memory.recall(self._previous)
        self.number: int | None = None
        """Of the last event that was told."""
        self.last = ""
        """Its type."""

    async def serve(self) -> None:
        body = self._body
        model = body.pop("model", None)
        if not isinstance(model, str) or not model:
            said = "model: is required" if model is None else "model: must be a text"
            raise BadRequestError(said, param="model", code="missing_required_parameter")
        self._check_input()
        if self._warm_up:
            await self._answer_nothing(model)
            return
        if self._before is not None:
            self._retell(self._before)
        params = self._arguments()
        async with self._keys.passage(self._channel.holder, Verb.CREATE, model, params) as passage:
            stream = await self._router._create(Verb.CREATE, model, params, stream=True)
            assert isinstance(stream, ResponseStream), "a stream was asked for"
            passage.served(stream)
            async with stream:
                async for event in stream:
                    if stream.ended:
                        passage.leave()  # before the end is told: whoever has the answer may ask again
                    await self._tell(event)

    def _arguments(self) -> dict[str, Any]:
        return arguments(self._channel, self._body)

    def _check_input(self) -> None:
        """Raises `BadRequestError` for what nobody would refuse if it were retold, or not told at all."""
        if not self._warm_up and self._before is None:
            return
        if items_of(self._input) is None:
            raise BadRequestError("input: must be a text or a list of items", param="input", code="invalid_argument")
        if self._before is not None and self._body.get("conversation"):
            said = "previous_response_id: can't be used together with conversation"
            raise BadRequestError(said, param="previous_response_id", code="mutually_exclusive_parameters")

    def _retell(self, before: Kept) -> None:
        """Ask for the turn with all that was said before: whoever serves it does not know."""
        self._body["input"] = cast("list[Json]", [*before.told(), *(items_of(self._input) or ())])
        del self._body["previous_response_id"]
        if before.base is not None:
            self._body["previous_response_id"] = before.base

    async def _tell(self, event: Event) -> None:
        json = told = event.to_dict()
        kind, number, response = json.get("type"), json.get("sequence_number"), json.get("response")
        if isinstance(response, dict) and self._before is not None and "previous_response_id" in response:
            told = {**json, "response": {**response, "previous_response_id": self._previous}}
        if kind in _CONTINUABLE and isinstance(response, dict):
            self._remember(response)  # before the client can go on from it
        told = within(told, self._lane)
        await self._channel.send(told, event.raw if told is json else None)
        self.last = str(kind)
        self.number = number if type(number) is int else self.number

    def _remember(self, response: JsonObject) -> None:
        """Keep the turn if nobody else does."""
        identity, output = response.get("id"), response.get("output")
        kept = response.get("store", self._body.get("store")) is not False
        if kept or not isinstance(identity, str) or not isinstance(output, list):
            return
        items = [item for item in output if isinstance(item, dict)]
        self._keep(identity, continuable(items))

    def _keep(self, identity: str, output: list[JsonObject]) -> None:
        base = self._previous if self._before is None else self._before.base
        turn = Kept([*(items_of(self._input) or ()), *output], self._before, base if isinstance(base, str) else None)
        self._memory.keep(identity, turn)

    async def _answer_nothing(self, model: str) -> None:
        """A response without output, made here, whose input is there for the turn that goes on from it."""
        self._arguments()  # a turn that can't be asked for can't be prepared either
        self._router._registry.resolve(model)
        self._keys.check_model(self._channel.holder, model)
        response = echoed(self._body.items(), f"resp_{secrets.token_hex(25)}", model, int(time.time()))
        self._keep(str(response["id"]), [])
        done: JsonObject = {**response, "status": "completed", "completed_at": int(time.time()), "usage": _NOTHING_USED}
        events = (("response.created", response), ("response.in_progress", response), ("response.completed", done))
        for number, (kind, snapshot) in enumerate(events):
            event: JsonObject = {"type": kind, "sequence_number": number, "response": snapshot}
            await self._channel.send(within(event, self._lane))
