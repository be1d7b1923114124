"""Changes ids of responses and conversations wherever the protocol has them: in what comes back, and in what is sent.

Nothing is changed in place, and only what differs is copied: JSON without such ids comes back as it is, itself.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial
from typing import NamedTuple, TypeAlias, cast

from checks.affinity.learnt import is_response
from checks.affinity.signed_id import SignedIdError, SignedIds
from checks.affinity.tie import TieKind, store_key
from checks.affinity.ties import field
from providers import jsonio
from providers.types import Call, Json, JsonObject

Wrap: TypeAlias = Callable[[str], str]
"""The id that the caller shall see for an upstream one."""
_ITEMS = ("input", "items")
"""Where bodies list items: of responses, of conversations."""
_CONVERSATIONS = frozenset({"conversation", "conversation.deleted"})


def rewrite(json: JsonObject, wrap: Wrap, wrap_conversation: Wrap = str) -> JsonObject:
    """`json` with the ids of responses wrapped, and those of conversations.

    In a response, a compacted one and a deleted one: `id`, `previous_response_id`,
    `prompt_cache_options.comparison_response_id`. In events: those of `response`, `response_id` and
    `previous_response_id`. In items, wherever they are listed: `response_id`, `created_by.response_id`. In lists: all
    that is listed. Ids of items, and texts, stay as they are. Of conversations: their own, deleted or not, and the
    `conversation` of a response.
    """
    if is_response(json) or _is_deleted(json):
        return _response(json, wrap, wrap_conversation)
    kind = json.get("object")
    if isinstance(kind, str) and kind in _CONVERSATIONS:
        return _changed(json, _wrapped(json, "id", wrap_conversation))
    changes = _own(json, wrap)
    response, item = json.get("response"), json.get("item")
    if isinstance(response, dict):
        _note(changes, "response", response, _response(response, wrap, wrap_conversation))
    if isinstance(item, dict):
        _note(changes, "item", item, _item(item, wrap))
    if json.get("object") == "list":
        _note(
            changes,
            "data",
            json.get("data"),
            _listed(json.get("data"), partial(rewrite, wrap=wrap, wrap_conversation=wrap_conversation)),
        )
    return _changed(json, changes)


def _is_deleted(json: JsonObject) -> bool:
    return json.get("deleted") is True and json.get("object") in (None, "response", "response.deleted")


def _response(response: JsonObject, wrap: Wrap, wrap_conversation: Wrap) -> JsonObject:
    changes = _own(response, wrap) | _wrapped(response, "id", wrap)
    changes |= _wrapped(response, "conversation", wrap_conversation)
    conversation = response.get("conversation")
    if isinstance(conversation, dict):
        shown = _changed(conversation, _wrapped(conversation, "id", wrap_conversation))
        _note(changes, "conversation", conversation, shown)
    output = response.get("output")
    _note(changes, "output", output, _listed(output, partial(_item, wrap=wrap)))
    return _changed(response, changes)


def _item(item: JsonObject, wrap: Wrap) -> JsonObject:
    return _changed(item, _own(item, wrap))


def _own(json: JsonObject, wrap: Wrap) -> JsonObject:
    """Changes to the fields that refer to responses."""
    changes = _wrapped(json, "previous_response_id", wrap) | _wrapped(json, "response_id", wrap)
    for name, within in (("prompt_cache_options", "comparison_response_id"), ("created_by", "response_id")):
        holder = json.get(name)
        if isinstance(holder, dict):
            _note(changes, name, holder, _changed(holder, _wrapped(holder, within, wrap)))
    return changes


def _wrapped(json: JsonObject, name: str, wrap: Wrap) -> JsonObject:
    known = json.get(name)
    if not isinstance(known, str):
        return {}
    shown = wrap(known)
    return {} if shown == known else {name: shown}


def _listed(values: Json, change: Callable[[JsonObject], JsonObject]) -> Json:
    if not isinstance(values, list):
        return values
    changed = [change(each) if isinstance(each, dict) else each for each in values]
    return values if all(new is old for new, old in zip(changed, values, strict=True)) else changed


def _note(changes: JsonObject, name: str, old: Json, new: Json) -> None:
    if new is not old:
        changes[name] = new


def _changed(json: JsonObject, changes: JsonObject) -> JsonObject:
    return {**json, **changes} if changes else json


class Unwrapped(NamedTuple):
    """A call as upstream shall see it, and what the signed ids in it said."""

    call: Call
    tags: Mapping[str, str]
    """The owner's tag, by what a store knows the thing by: of a response its upstream id."""
    written: Mapping[str, str]
    """The id as the caller wrote it, by upstream id: what echoes shall show, whoever serves the call."""


def unwrap_request(call: Call, ids: SignedIds, *, scope: str = "") -> Unwrapped:
    """`call` with the signed ids in it unwrapped; the call itself if there are none.

    In the path, `previous_response_id` and `prompt_cache_options.comparison_response_id`, of the body and of
    `extra_body`; and where `rewrite` puts them in items, so that output can be sent back as input. Raises
    `SignedIdError` naming the parameter for an id that isn't genuine; in an item, where it only informs, such an id is
    left as it is. `background_options.continuation_id` is the caller's own text, and stays. Those of
    conversations, too: in the path, and `conversation`.
    """
    opened = _Opened(ids, scope)
    response_id = call.response_id if call.response_id is None else opened.id(call.response_id, "response_id")
    conversation_id = call.conversation_id
    if conversation_id is not None:
        conversation_id = opened.conversation(conversation_id, "conversation_id")
    body, extra = opened.body(call.body), opened.body(call.extra_body)
    if not opened.tags and body is call.body and extra is call.extra_body:
        return Unwrapped(call, {}, {})
    changed = replace(call, response_id=response_id, conversation_id=conversation_id, body=body, extra_body=extra)
    return Unwrapped(changed, opened.tags, opened.written)


class _Opened:
    """What signed ids said, as they are found."""

    __slots__ = ("_ids", "_scope", "tags", "written")

    def __init__(self, ids: SignedIds, scope: str) -> None:
        self._ids = ids
        self._scope = scope
        self.tags: dict[str, str] = {}
        self.written: dict[str, str] = {}

    def id(self, id: str, param: str) -> str:
        """The upstream id of a response. Raises `SignedIdError` with `param`."""
        return self._opened(self._ids, TieKind.RESPONSE, id, param)

    def conversation(self, id: str, param: str) -> str:
        """The upstream id of a conversation. Raises `SignedIdError` with `param`."""
        return self._opened(self._ids.of_conversations(), TieKind.CONVERSATION, id, param)

    def _opened(self, ids: SignedIds, kind: TieKind, id: str, param: str) -> str:
        try:
            signed = ids.unwrap(id, scope=self._scope)
        except SignedIdError as error:
            raise SignedIdError(f"{param}: {error.message}", param=param, code=error.code) from None
        if signed is None:
            return id
        self.tags.setdefault(store_key(kind, signed.upstream_id), signed.owner_tag)
        self.written.setdefault(signed.upstream_id, id)
        return signed.upstream_id

    def body(self, body: Mapping[str, object]) -> Mapping[str, object]:
        """The body with upstream ids; itself if it has no others."""
        changes: dict[str, object] = {}
        previous = body.get("previous_response_id")
        if isinstance(previous, str):
            upstream = self.id(previous, "previous_response_id")
            if upstream != previous:
                changes["previous_response_id"] = upstream
        caching = body.get("prompt_cache_options")
        compared = None if caching is None else field(caching, "comparison_response_id")
        if isinstance(compared, str):
            upstream = self.id(compared, "prompt_cache_options.comparison_response_id")
            if upstream != compared:
                changes["prompt_cache_options"] = {**_plain(caching), "comparison_response_id": upstream}
        self._note_conversation(body.get("conversation"), changes)
        for name in _ITEMS:
            given = body.get(name)
            if isinstance(given, (list, tuple)):
                items = [self._item(item) for item in given]
                if any(new is not old for new, old in zip(items, given, strict=True)):
                    changes[name] = items
        return {**body, **changes} if changes else body

    def _note_conversation(self, given: object, changes: dict[str, object]) -> None:
        name = given if given is None or isinstance(given, str) else field(given, "id")
        if not isinstance(name, str):
            return
        param = "conversation" if name is given else "conversation.id"
        upstream = self.conversation(name, param)
        if upstream != name:
            changes["conversation"] = upstream if name is given else {**_plain(given), "id": upstream}

    def _item(self, item: object) -> object:
        """The item with upstream ids. Ids in items inform, and direct nothing."""
        if field(item, "response_id") is None and field(item, "created_by") is None:
            return item
        try:
            json = _plain(item)
        except TypeError:  # encoding it will say what is wrong
            return item
        changed = _item(json, self._quietly)
        return item if changed is json else changed

    def _quietly(self, id: str) -> str:
        try:
            signed = self._ids.unwrap(id, scope=self._scope)
        except SignedIdError:
            return id
        return id if signed is None else signed.upstream_id


def _plain(value: object) -> JsonObject:
    return cast("JsonObject", value if type(value) is dict else jsonio.plain(value))
