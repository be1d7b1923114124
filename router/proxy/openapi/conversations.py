"""The Conversations API, as it is served."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from providers.types import JsonObject
from router.proxy.openapi.shapes import INCLUDE, ITEM, METADATA, PAGE, TEXT, Operation, list_of, object_of, or_null

_GROUP: JsonObject = or_null({**TEXT, "minLength": 1, "description": "The group, if several keep conversations."})
_TALK = "/conversations/{conversation_id}"
_THING = f"{_TALK}/items/{{item_id}}"

SCHEMAS: Mapping[str, JsonObject] = {
    "CreateConversation": object_of({"items": or_null(list_of(ITEM)), "metadata": METADATA, "model": _GROUP}),
    "UpdateConversation": object_of({"metadata": METADATA}, "metadata"),
    "CreateItems": object_of({"items": list_of(ITEM)}, "items"),
    "Conversation": object_of({"id": TEXT, "object": {"const": "conversation"}}, "id", "object"),
    "Item": object_of({"id": TEXT, "type": TEXT}, "type"),
}

OPERATIONS: Sequence[Operation] = (
    Operation(
        *("POST", "/conversations", "createConversation", "Begin a conversation.", "Conversation"),
        body="CreateConversation",
        links=("getConversation", "updateConversation", "listItems", "createItems", "deleteConversation"),
        link="conversation_id",
    ),
    Operation("GET", _TALK, "getConversation", "Read what is noted of a conversation.", "Conversation"),
    Operation("POST", _TALK, "updateConversation", "Note something.", "Conversation", "UpdateConversation"),
    Operation("DELETE", _TALK, "deleteConversation", "Forget a conversation.", "Deleted"),
    Operation("GET", f"{_TALK}/items", "listItems", "Read what was said.", "Items", parameters=PAGE),
    Operation("POST", f"{_TALK}/items", "createItems", "Add to it.", "Items", "CreateItems", parameters=(INCLUDE,)),
    Operation("GET", _THING, "getItem", "Read one item.", "Item", parameters=(INCLUDE,)),
    Operation("DELETE", _THING, "deleteItem", "Take one item out.", "Conversation"),
)
