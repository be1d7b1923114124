"""What the document is made of: an operation, and the schemas that many share."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from providers.types import JsonObject

TEXT: JsonObject = {"type": "string"}
FLAG: JsonObject = {"type": "boolean"}
NUMBER: JsonObject = {"type": "integer"}
SECONDS: JsonObject = {"type": "number", "exclusiveMinimum": 0}
LIMIT: JsonObject = {"type": "integer", "minimum": 1}
RETRIES: JsonObject = {"type": "integer", "minimum": 0, "maximum": 100}


def or_null(schema: JsonObject) -> JsonObject:
    """What `schema` says, or nothing."""
    return {"anyOf": [schema, {"type": "null"}]}


def object_of(properties: JsonObject, *required: str) -> JsonObject:
    """An object that may hold more than is named here: so do OpenAI's."""
    return {"type": "object", "properties": properties, "required": list(required), "additionalProperties": True}


def list_of(item: JsonObject) -> JsonObject:
    """A list of what `item` says."""
    return {"type": "array", "items": item}


def reference(name: str) -> JsonObject:
    """One of the document's schemas."""
    return {"$ref": f"#/components/schemas/{name}"}


_ROLES: JsonObject = {"enum": ["user", "assistant", "system", "developer"]}
_TYPED = object_of({"type": TEXT}, "type")
_MESSAGE = object_of({"role": _ROLES, "content": {"anyOf": [TEXT, list_of(_TYPED)]}}, "role", "content")
ITEM: JsonObject = {"anyOf": [_MESSAGE, _TYPED]}
METADATA: JsonObject = or_null({"type": "object", "additionalProperties": TEXT})


@dataclass(frozen=True, slots=True)
class Operation:
    """One method of one path."""

    method: str
    path: str
    name: str
    told: str
    """What it does."""
    answer: str
    """The schema of a good answer."""
    body: str | None = None
    streams: bool = False
    """Whether the answer may be a stream of events."""
    parameters: Sequence[JsonObject] = ()
    """Of the query and the headers."""
    public: bool = False
    """Whether it may be asked without a key."""
    master: bool = False
    """Whether only the master key may."""
    upstream: bool = True
    """Whether a deployment is asked, which may refuse or fail."""
    links: Sequence[str] = ()
    """What can be asked next with the id of the answer."""
    link: str = "response_id"
    """What it is called there."""
    kind: str = "application/json"
    """The type of its content."""
    absent: bool = False
    """Whether it may be switched off, which is a 404."""
    unready: bool = False
    """Whether it answers 503, in the same shape, where nothing can be served."""


def parameter(name: str, schema: JsonObject, told: str, place: str = "query") -> JsonObject:
    """What may be said beside the body: in the query, or in a header."""
    return {"name": name, "in": place, "required": False, "schema": schema, "description": told}


INCLUDE = parameter("include[]", list_of(TEXT), "Further parts to be told.")
PAGE = (
    INCLUDE,
    parameter("after", TEXT, "The last item of the page before."),
    parameter("limit", {"type": "integer", "minimum": 1, "maximum": 100}, "How many items; 20 if not given."),
    parameter("order", {"enum": ["asc", "desc"]}, "Newest first unless `asc`."),
)
