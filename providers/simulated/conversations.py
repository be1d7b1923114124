"""The Conversations API over what is stored. Plain JSON in and out; nothing here waits."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from providers.simulated import refusals
from providers.simulated.mint import Mint
from providers.simulated.paging import page
from providers.simulated.prompt import read_items, resolve
from providers.simulated.state import State, Talk
from providers.types import Json, JsonObject, Verb

_MOST_ITEMS = 20
"""Items that one request may add."""


class Conversations:
    """One simulated deployment's answers. Raises `WireError` for what it refuses."""

    def __init__(self, state: State, mint: Mint, wall: Callable[[], float]) -> None:
        self._state = state
        self._mint = mint
        self._wall = wall

    def answer(
        self, verb: Verb, conversation_id: str | None, item_id: str | None, body: JsonObject, query: Mapping[str, str]
    ) -> JsonObject:
        """What an operation is answered with."""
        if verb is Verb.CREATE_CONVERSATION:
            return self._create(body)
        talk = self._find(conversation_id)
        if item_id is not None:
            return self._of_item(verb, talk, item_id)
        match verb:
            case Verb.GET_CONVERSATION:
                return shown(talk)
            case Verb.UPDATE_CONVERSATION:
                talk.metadata = _required(body, "metadata")
                return shown(talk)
            case Verb.DELETE_CONVERSATION:
                self._state.end(talk)
                return {"id": talk.id, "object": "conversation.deleted", "deleted": True}
            case Verb.CREATE_CONVERSATION_ITEMS:
                items = self._items(_required(body, "items"), talk.id)
                self._add(talk, items)
                return page(items, {"limit": "100", "order": "asc"})
            case _:
                return page(talk.items, query)

    def _create(self, body: JsonObject) -> JsonObject:
        name = self._mint.id("conv", self._mint.stem())
        metadata = body.get("metadata")
        talk = Talk(name, int(self._wall()), {} if metadata is None else metadata)
        items = self._items(body.get("items"), name)
        self._state.begin(talk)
        self._add(talk, items)
        return shown(talk)

    def _of_item(self, verb: Verb, talk: Talk, item_id: str) -> JsonObject:
        item = next((each for each in talk.items if each["id"] == item_id), None)
        if item is None:
            raise refusals.invalid(f"Conversation item with id '{item_id}' not found.", status=404)
        if verb is Verb.GET_CONVERSATION_ITEM:
            return item
        talk.items.remove(item)
        return shown(talk)

    def _items(self, value: Json, conversation_id: str) -> list[JsonObject]:
        stem = conversation_id.removeprefix("conv_")[:16]
        items = [resolve(item, self._state) for item in read_items(value, self._mint, stem, "items")]
        if len(items) > _MOST_ITEMS:
            message = f"Invalid 'items': array too long. Expected an array with maximum length {_MOST_ITEMS}, but got "
            message += f"an array with length {len(items)} instead."
            raise refusals.invalid(message, param="items", code="array_above_max_length")
        return items

    def _add(self, talk: Talk, items: Sequence[JsonObject]) -> None:
        self._state.extend(talk, items, sum(item.get("role") == "user" for item in items))

    def _find(self, conversation_id: str | None) -> Talk:
        talk = self._state.talk(conversation_id or "")
        if talk is None:
            raise refusals.conversation_not_found(conversation_id)
        return talk


def named(body: JsonObject) -> str | None:
    """The id of the conversation that a request for a response is a part of."""
    value = body.get("conversation")
    if value is None:
        return None
    name = value.get("id") if isinstance(value, dict) else value
    if not isinstance(name, str):
        message = "Invalid type for 'conversation': expected a string or an object with an 'id'."
        raise refusals.invalid(message, param="conversation", code="invalid_type")
    return name


def shown(talk: Talk) -> JsonObject:
    """A conversation as it is told."""
    return {"id": talk.id, "object": "conversation", "created_at": talk.created_at, "metadata": talk.metadata}


def _required(body: JsonObject, name: str) -> Json:
    value = body.get(name)
    if value is None:
        message = f"Missing required parameter: '{name}'."
        raise refusals.invalid(message, param=name, code="missing_required_parameter")
    return value
