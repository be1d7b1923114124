"""What an answer makes known: the store keys of all that the deployment which sent it now holds."""

from __future__ import annotations

from checks.affinity.tie import TieKind, store_key
from providers.translation.sealed import MARK
from providers.types import Json, JsonObject

_RESPONSES = frozenset({"response", "response.compaction"})
_CONVERSATION = "conversation"


def learnt(json: Json) -> tuple[str, ...]:
    """The store keys that an answer or an event of a stream makes known, each once.

    It may be a response, a conversation, an item or a page of items: the ids of the response, its conversation, its
    items and the containers they ran in, and a fingerprint of each encrypted content. The `encrypted_content` of one
    item differs between `output_item.added`, `output_item.done` and the final response, and a caller may send any of
    them back: learn from each. Empty for everything else: deltas, errors, the answer to a delete, and what is no JSON
    object.
    """
    if not isinstance(json, dict):
        return ()
    response, item, kind = json.get("response"), json.get("item"), json.get("type")
    if response is None and item is None and isinstance(kind, str) and kind.startswith("response."):
        return ()
    keys: dict[str, None] = {}
    if isinstance(response, dict):
        _read_response(response, keys)
    elif isinstance(item, dict):
        _read_item(item, keys)
    elif json.get("object") == "list":
        _read_items(json.get("data"), keys)
    elif json.get("object") == _CONVERSATION:
        _note(TieKind.CONVERSATION, json.get("id"), keys)
    elif is_response(json):
        _read_response(json, keys)
    elif "object" not in json:
        _read_item(json, keys)
    return tuple(keys)


def is_response(json: JsonObject) -> bool:
    """Whether this is a response, or a compacted one; without `object`, its list of output tells. Not a deleted one."""
    kind = json.get("object")
    if kind is None:
        return isinstance(json.get("output"), list) and "type" not in json
    return isinstance(kind, str) and kind in _RESPONSES and not json.get("deleted")


def _read_response(response: JsonObject, keys: dict[str, None]) -> None:
    _note(TieKind.RESPONSE, response.get("id"), keys)
    conversation = response.get("conversation")
    if isinstance(conversation, dict):
        conversation = conversation.get("id")
    _note(TieKind.CONVERSATION, conversation, keys)
    _read_items(response.get("output"), keys)


def _read_items(items: Json, keys: dict[str, None]) -> None:
    for item in items if isinstance(items, list) else ():
        if isinstance(item, dict):
            _read_item(item, keys)


def _read_item(item: JsonObject, keys: dict[str, None]) -> None:
    if not isinstance(item.get("type"), str):
        return
    _note(TieKind.ITEM, item.get("id"), keys)
    _note(TieKind.ENCRYPTED, item.get("encrypted_content"), keys)
    _note(TieKind.CONTAINER, item.get("container_id"), keys)
    environment = item.get("environment")
    if isinstance(environment, dict):
        _note(TieKind.CONTAINER, environment.get("container_id"), keys)
    content = item.get("content")
    for part in content if isinstance(content, list) else ():
        if isinstance(part, dict):
            _note(TieKind.ENCRYPTED, part.get("encrypted_content"), keys)


def _note(kind: TieKind, name: Json, keys: dict[str, None]) -> None:
    if isinstance(name, str) and name and not (kind is TieKind.ENCRYPTED and name.startswith(MARK)):
        keys[store_key(kind, name)] = None
