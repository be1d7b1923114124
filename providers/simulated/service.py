"""The verbs of the Responses API over what is stored. Plain JSON in and out; nothing here waits."""

from __future__ import annotations

import random
from collections import deque
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass
from typing import cast

from providers.simulated import refusals, snapshot
from providers.simulated.behaviour import Behaviour
from providers.simulated.conversations import Conversations, named
from providers.simulated.events import events
from providers.simulated.mint import Mint
from providers.simulated.paging import page
from providers.simulated.prompt import Prompt, check_previous, read_prompt, turn_of
from providers.simulated.reply import compose, shorten
from providers.simulated.state import State, Stored, Talk, Turn
from providers.types import Json, JsonObject

DEFAULT_MODEL = "simulated-model"


@dataclass(frozen=True, slots=True)
class Generation:
    """A response on its way: how it begins, how it ends, what is stored once it has."""

    response_id: str
    stored: Stored
    talk: Talk | None = None
    """The conversation that it is a part of."""

    @property
    def begun(self) -> JsonObject:
        """The response as it begins."""
        return self.stored.started

    @property
    def final(self) -> JsonObject:
        """The response as it ends."""
        return self.stored.final

    def events(self) -> Iterator[JsonObject]:
        """Everything a stream of it says."""
        return events(self.begun, self.final, self.stored.outputs)


class Service:
    """One simulated deployment's answers. Raises `WireError` for what it refuses."""

    def __init__(
        self,
        name: str,
        state: State,
        rng: random.Random,
        wall: Callable[[], float],
        models: Collection[str] | None,
        issued: deque[str],
    ) -> None:
        self._name = name
        self._state = state
        self._mint = Mint(rng)
        self.conversations = Conversations(state, self._mint, wall)
        self._wall = wall
        self._models = models
        self._issued = issued

    def create(self, body: JsonObject, behaviour: Behaviour, azure: bool) -> Generation:
        """Answer a request; nothing is stored before `commit`, unless it runs in the background."""
        model = self._model(body)
        _check(body)
        stem = self._mint.stem()
        talk = self._talk(body)
        prompt = self._prompt(body, behaviour, stem)
        response_id = self._mint.id("resp", stem)
        self._issued.append(response_id)
        begun = snapshot.started(body, response_id, model, int(self._wall()), azure)
        if talk is not None:
            begun["conversation"] = {"id": talk.id}
        outputs = compose(body, prompt, self._name, behaviour.tokens, stem, self._mint, self._state)
        limit = body.get("max_output_tokens")
        if isinstance(limit, int) and len(outputs[-1].deltas) > limit:
            outputs[-1] = shorten(outputs[-1], limit)
        usage = snapshot.usage_of(prompt.tokens, prompt.cached_tokens, outputs)
        final = snapshot.completed(begun, outputs, usage, int(self._wall()))
        turn = _turn(prompt, tuple(output.final for output in outputs), cast("int", usage["output_tokens"]))
        status = str(begun["status"] if begun["background"] else final["status"])
        generation = Generation(response_id, Stored(begun, final, tuple(outputs), turn, status), talk)
        if begun["background"]:
            self._state.keep(response_id, generation.stored)
            self._extend(generation)
        return generation

    def commit(self, generation: Generation) -> None:
        """The response is complete: from now on it can be read and continued, unless `store` is false."""
        generation.stored.status = str(generation.final["status"])
        if generation.begun["store"] is not False:
            self._state.keep(generation.response_id, generation.stored)
        if not generation.begun["background"]:
            self._extend(generation)

    def _extend(self, generation: Generation) -> None:
        """Add what was asked and answered to the conversation."""
        if generation.talk is not None:
            turn = generation.stored.turn
            self._state.extend(generation.talk, (*turn.input, *turn.output), 1)

    def get(self, response_id: str, behaviour: Behaviour) -> JsonObject:
        """The response now. Each read brings one that runs in the background closer to its end."""
        stored = self._find(response_id, behaviour)
        if stored.status in ("queued", "in_progress"):
            stored.reads += 1
            ended = stored.reads >= behaviour.background_reads
            stored.status = str(stored.final["status"]) if ended else "in_progress"
        return _view(stored)

    def resume(self, response_id: str, behaviour: Behaviour) -> Iterator[JsonObject]:
        """All events of a background response, from the first."""
        stored = self._find(response_id, behaviour)
        if not stored.started["background"]:
            message = "This response cannot be streamed because it was not created with background=true."
            raise refusals.invalid(message, param="stream")
        stored.status = str(stored.final["status"])
        return events(stored.started, stored.final, stored.outputs)

    def delete(self, response_id: str, behaviour: Behaviour) -> JsonObject:
        """Forget a response."""
        self._find(response_id, behaviour)
        self._state.forget(response_id)
        return {"id": response_id, "object": "response", "deleted": True}

    def cancel(self, response_id: str, behaviour: Behaviour) -> JsonObject:
        """Stop a background response; one that has ended is returned as it is."""
        stored = self._find(response_id, behaviour)
        if not stored.started["background"]:
            raise refusals.invalid("Cannot cancel a synchronous response.")
        if stored.status in ("queued", "in_progress"):
            stored.status = "cancelled"
        return _view(stored)

    def input_items(self, response_id: str, query: Mapping[str, str], behaviour: Behaviour) -> JsonObject:
        """A page of the items that a response was given."""
        return page(self._find(response_id, behaviour).turn.input, query)

    def input_tokens(self, body: JsonObject, behaviour: Behaviour) -> JsonObject:
        """How many tokens a request would read."""
        self._model(body)
        prompt = self._prompt(body, behaviour, self._mint.stem())
        return {"object": "response.input_tokens", "input_tokens": prompt.tokens}

    def compact(self, body: JsonObject, behaviour: Behaviour) -> JsonObject:
        """The user's messages and one compaction item that stands for the rest."""
        if body.get("model") is None:
            raise refusals.invalid(
                "Missing required parameter: 'model'.", param="model", code="missing_required_parameter"
            )
        self._model(body)
        stem = self._mint.stem()
        prompt = self._prompt(body, behaviour, stem)
        said = _user_messages(prompt)
        turns = prompt.number if prompt.items else prompt.number - 1
        sealed = self._state.seal(f"{max(0, turns - len(said))} {prompt.opening}".encode())
        item: JsonObject = {"id": self._mint.id("cmp", stem), "type": "compaction", "encrypted_content": sealed}
        return {
            "id": self._mint.id("resp", stem),
            "object": "response.compaction",
            "created_at": int(self._wall()),
            "output": [*said, item],
            "usage": snapshot.usage_of(prompt.tokens, prompt.cached_tokens, []),
        }

    def models(self) -> JsonObject:
        """The models served here."""
        names = sorted(self._models) if self._models is not None else [DEFAULT_MODEL]
        data: list[Json] = [{"id": name, "object": "model", "created": 0, "owned_by": self._name} for name in names]
        return {"object": "list", "data": data}

    def _model(self, body: JsonObject) -> str:
        model = body.get("model")
        if self._models is not None and model is not None and model not in self._models:
            raise refusals.unknown_model(str(model))
        return str(model or DEFAULT_MODEL)

    def _prompt(self, body: JsonObject, behaviour: Behaviour, stem: str) -> Prompt:
        previous, talk = check_previous(body), self._talk(body)
        before = None if talk is None else turn_of(talk)
        if previous is not None:
            parent = self._state.find(previous)
            if parent is None or _lags(parent, behaviour):
                raise refusals.previous_not_found(previous)
            before = parent.turn
        return read_prompt(body, before, self._state, self._mint, stem)

    def _talk(self, body: JsonObject) -> Talk | None:
        """The conversation that a request is a part of."""
        name = named(body)
        if name is None:
            return None
        talk = self._state.talk(name)
        if talk is None:
            raise refusals.conversation_not_found(name, param="conversation")
        return talk

    def _find(self, response_id: str, behaviour: Behaviour) -> Stored:
        stored = self._state.find(response_id)
        if stored is None or _lags(stored, behaviour):
            raise refusals.response_not_found(response_id)
        return stored


def _lags(stored: Stored, behaviour: Behaviour) -> bool:
    """Whether a reference comes too early for a store that lags."""
    if behaviour.fault != "not_found_lag" or stored.lagged >= behaviour.lag_reads:
        return False
    stored.lagged += 1
    return True


def _view(stored: Stored) -> JsonObject:
    return stored.final if stored.status == stored.final["status"] else {**stored.started, "status": stored.status}


def _turn(prompt: Prompt, output: tuple[JsonObject, ...], output_tokens: int) -> Turn:
    calls = frozenset(str(item["call_id"]) for item in output if item["type"] == "function_call")
    return Turn(
        prompt.parent, prompt.items, output, prompt.number, prompt.opening, prompt.tokens + output_tokens, calls
    )


def _user_messages(prompt: Prompt) -> list[JsonObject]:
    """What the user said, oldest first, over the whole conversation."""
    found = [prompt.items]
    turn = prompt.parent
    while turn is not None:
        found.append(turn.input)
        turn = turn.parent
    return [item for items in reversed(found) for item in items if item.get("role") == "user"]


def _check(body: JsonObject) -> None:
    """Refuse what OpenAI refuses before it looks at any content."""
    if all(body.get(name) is None for name in ("input", "previous_response_id", "prompt", "conversation")):
        message = "Missing required parameter: 'input'."
        raise refusals.invalid(message, param="input", code="missing_required_parameter")
    if body.get("conversation") is not None and body.get("previous_response_id") is not None:
        message = "Mutually exclusive parameters: 'previous_response_id' and 'conversation'."
        raise refusals.invalid(message, code="mutually_exclusive_parameters")
    if body.get("background") and body.get("store") is False:
        raise refusals.invalid("Background mode requires 'store' to be true.", param="store")
    for name, low, high in _BOUNDS:
        refusal = refusals.number_out_of_range(name, body.get(name), low, high)
        if refusal is not None:
            raise refusal


_BOUNDS: tuple[tuple[str, float, float | None], ...] = (
    ("temperature", 0.0, 2.0),
    ("top_p", 0.0, 1.0),
    ("max_output_tokens", 16, None),
    ("top_logprobs", 0, 20),
)
