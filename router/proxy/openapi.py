"""The proxy's own OpenAPI document: what may be asked, how it is answered. Its bodies may hold more than it names."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias

from providers.types import Json, JsonObject

Parameters: TypeAlias = "Sequence[JsonObject]"

_TEXT: JsonObject = {"type": "string"}
_FLAG: JsonObject = {"type": "boolean"}
_NUMBER: JsonObject = {"type": "integer"}
_SECONDS: JsonObject = {"type": "number", "exclusiveMinimum": 0}
_RETRIES: JsonObject = {"type": "integer", "minimum": 0, "maximum": 100}


def _or_null(schema: JsonObject) -> JsonObject:
    return {"anyOf": [schema, {"type": "null"}]}


def _object(properties: JsonObject, *required: str) -> JsonObject:
    """An object that may hold more than is named here: so do OpenAI's."""
    return {"type": "object", "properties": properties, "required": list(required), "additionalProperties": True}


def _list(item: JsonObject) -> JsonObject:
    return {"type": "array", "items": item}


def _reference(name: str) -> JsonObject:
    return {"$ref": f"#/components/schemas/{name}"}


_ROLES: JsonObject = {"enum": ["user", "assistant", "system", "developer"]}
_TYPED = _object({"type": _TEXT}, "type")
_MESSAGE = _object({"role": _ROLES, "content": {"anyOf": [_TEXT, _list(_TYPED)]}}, "role", "content")
_ITEM: JsonObject = {"anyOf": [_MESSAGE, _TYPED]}
_INPUT: JsonObject = {"anyOf": [_TEXT, _list(_ITEM)]}
_ASKED: JsonObject = {
    "model": {"type": "string", "minLength": 1, "description": "A group, an alias, or a deployment's id."},
    "input": {**_INPUT, "description": "What is said: a text, or a list of items."},
    "previous_response_id": _or_null(_TEXT),
}
_CREATED: JsonObject = {
    **_ASKED,
    "instructions": _or_null(_TEXT),
    "stream": _or_null({**_FLAG, "description": "Answer with events, as they come."}),
    "store": _or_null(_FLAG),
    "background": _or_null(_FLAG),
    "include": _or_null(_list(_TEXT)),
    "metadata": _or_null({"type": "object", "additionalProperties": _TEXT}),
    "tools": _or_null(_list({"type": "object"})),
    "tool_choice": {"anyOf": [_TEXT, {"type": "object"}, {"type": "null"}]},
    "text": _or_null({"type": "object"}),
    "reasoning": _or_null({"type": "object"}),
    "max_output_tokens": _or_null({**_NUMBER, "minimum": 16}),
    "temperature": _or_null({"type": "number", "minimum": 0, "maximum": 2}),
    "timeout": _or_null({**_SECONDS, "description": "Seconds that it may take."}),
    "num_retries": _or_null(_RETRIES),
    "tags": _or_null(_list(_TEXT)),
}
_METADATA: JsonObject = _or_null({"type": "object", "additionalProperties": _TEXT})
_GROUP: JsonObject = _or_null({**_TEXT, "minLength": 1, "description": "The group, if several keep conversations."})
_STATES = ["completed", "failed", "in_progress", "cancelled", "queued", "incomplete"]
_MODEL: JsonObject = _object(
    {"id": _TEXT, "object": {"const": "model"}, "created": _NUMBER, "owned_by": _TEXT}, "id", "object"
)
_DEPLOYMENT: JsonObject = _object({"id": _TEXT, "state": _TEXT}, "id", "state")
_PERIOD: JsonObject = {"type": "string", "pattern": "^[1-9][0-9]{0,8}(s|m|h|d|w|mo)$"}
_LIMIT: JsonObject = {"type": "integer", "minimum": 1}
_TERMS: JsonObject = {
    "key_alias": _or_null({"type": "string", "minLength": 1, "maxLength": 200}),
    "models": _or_null(_list({"type": "string", "minLength": 1})),
    "max_budget": _or_null({"type": "number", "minimum": 0, "description": "US dollars."}),
    "budget_duration": _or_null(_PERIOD),
    "rpm_limit": _or_null(_LIMIT),
    "tpm_limit": _or_null(_LIMIT),
    "max_parallel_requests": _or_null(_LIMIT),
    "blocked": _or_null(_FLAG),
    "tenant": _or_null({**_TEXT, "description": "Whose responses its are."}),
    "team_id": _or_null(_TEXT),
    "user_id": _or_null(_TEXT),
    "metadata": _or_null({"type": "object"}),
}
_KEY: JsonObject = _object({"key": {**_TEXT, "description": "Told once."}, "token": _TEXT, **_TERMS}, "token")

SCHEMAS: Mapping[str, JsonObject] = {
    "CreateResponse": _object(_CREATED, "model"),
    "CompactResponse": _object(_ASKED, "model", "input"),
    "CountTokens": _object(_ASKED, "model", "input"),
    "Response": _object(
        {
            "id": _TEXT,
            "object": {"const": "response"},
            "created_at": {"type": "number"},
            "status": {"enum": [*_STATES]},
            "model": _TEXT,
            "output": _list({"type": "object"}),
            "error": _or_null({"type": "object"}),
            "usage": _or_null({"type": "object"}),
        },
        *("id", "object", "output"),
    ),
    "CreateChatCompletion": _object(
        {
            "model": {"type": "string", "minLength": 1},
            "messages": _list(_object({"role": _TEXT}, "role")),
            "stream": _or_null(_FLAG),
            "tools": _or_null(_list({"type": "object"})),
        },
        "messages",
    ),
    "ChatCompletion": _object(
        {"id": _TEXT, "object": {"const": "chat.completion"}, "choices": _list({"type": "object"})},
        *("id", "object", "choices"),
    ),
    "CreateConversation": _object({"items": _or_null(_list(_ITEM)), "metadata": _METADATA, "model": _GROUP}),
    "UpdateConversation": _object({"metadata": _METADATA}, "metadata"),
    "CreateItems": _object({"items": _list(_ITEM)}, "items"),
    "Conversation": _object({"id": _TEXT, "object": {"const": "conversation"}}, "id", "object"),
    "Item": _object({"id": _TEXT, "type": _TEXT}, "type"),
    "Event": _object({"event": _TEXT, "data": {**_TEXT, "description": "JSON; `[DONE]` at the end."}}, "data"),
    "Deleted": _object({"id": _TEXT, "deleted": _FLAG}, "id", "deleted"),
    "Compaction": _object({"id": _TEXT, "object": _TEXT, "output": _list({"type": "object"})}, "id", "output"),
    "InputTokens": _object({"object": {"const": "response.input_tokens"}, "input_tokens": _NUMBER}, "input_tokens"),
    "Items": _object(
        {
            "object": {"const": "list"},
            "data": _list({"type": "object"}),
            "has_more": _FLAG,
            "first_id": _or_null(_TEXT),
            "last_id": _or_null(_TEXT),
        },
        *("object", "data", "has_more"),
    ),
    "Model": _MODEL,
    "Models": _object({"object": {"const": "list"}, "data": _list(_reference("Model"))}, "object", "data"),
    "Health": _object(
        {"healthy_count": _NUMBER, "unhealthy_count": _NUMBER, "deployments": _list(_DEPLOYMENT)},
        *("healthy_count", "unhealthy_count", "deployments"),
    ),
    "Readiness": _object({"status": _TEXT, "deployments": {"type": "object"}, "redis": _TEXT}, "status"),
    "Liveness": _object({"status": {"const": "alive"}}, "status"),
    "Document": _object({"openapi": _TEXT, "paths": {"type": "object"}}, "openapi", "paths"),
    "Page": _TEXT,
    "Fleet": {"type": "object"},
    "Drained": _object({"id": _TEXT, "drained": _FLAG}, "id", "drained"),
    "Key": _KEY,
    "NewKey": _object({**_TERMS, "duration": _or_null({**_PERIOD, "description": "How long it is good."})}),
    "ChangedKey": _object({"key": {**_TEXT, "minLength": 1}, **_TERMS}, "key"),
    "KeyTerms": _object(_TERMS),
    "KeyNames": _object({"keys": _list(_TEXT), "key_aliases": _list(_TEXT)}),
    "KeyInfo": _object({"key": _TEXT, "info": _reference("Key")}, "key", "info"),
    "Keys": _object(
        {"keys": _list({"anyOf": [_TEXT, _reference("Key")]}), "total_count": _NUMBER, "total_pages": _NUMBER},
        *("keys", "total_count"),
    ),
    "Revoked": _object({"deleted_keys": _list(_TEXT)}, "deleted_keys"),
    "Metrics": {**_TEXT, "description": "Prometheus's text format."},
    "Error": _object(
        {
            "error": _object(
                {"message": _TEXT, "type": _or_null(_TEXT), "param": _or_null(_TEXT), "code": _or_null(_TEXT)},
                *("message", "type", "param", "code"),
            )
        },
        "error",
    ),
}


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
    parameters: Parameters = ()
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


def _parameter(name: str, schema: JsonObject, told: str, place: str = "query") -> JsonObject:
    return {"name": name, "in": place, "required": False, "schema": schema, "description": told}


_HEADERS = (
    _parameter("x-litellm-timeout", _SECONDS, "As `timeout` in the body.", "header"),
    _parameter("x-litellm-num-retries", _RETRIES, "As `num_retries`.", "header"),
    _parameter("x-litellm-tags", _TEXT, "As `tags`, with commas between.", "header"),
)

_INCLUDE = _parameter("include[]", _list(_TEXT), "Further parts to be told.")
_AGAIN = (
    _INCLUDE,
    _parameter("stream", {"enum": ["true", "false"]}, "Tell a response in the background as events."),
    _parameter("starting_after", {"type": "integer", "minimum": 0}, "The number of the last event that was seen."),
)
_PAGE = (
    _INCLUDE,
    _parameter("after", _TEXT, "The last item of the page before."),
    _parameter("limit", {"type": "integer", "minimum": 1, "maximum": 100}, "How many items; 20 if not given."),
    _parameter("order", {"enum": ["asc", "desc"]}, "Newest first unless `asc`."),
)
_ONE = "/responses/{response_id}"
_TALK = "/conversations/{conversation_id}"
_THING = f"{_TALK}/items/{{item_id}}"

OPERATIONS: Sequence[Operation] = (
    Operation(
        *("POST", "/responses", "createResponse", "Answer; asked to upgrade, by GET, over a WebSocket.", "Response"),
        "CreateResponse",
        streams=True,
        parameters=_HEADERS,
        links=("getResponse", "listInputItems", "cancelResponse", "deleteResponse"),
    ),
    Operation("POST", "/responses/input_tokens", "countInputTokens", "Count.", "InputTokens", body="CountTokens"),
    Operation("POST", "/responses/compact", "compactResponse", "Compact.", "Compaction", body="CompactResponse"),
    Operation("GET", _ONE, "getResponse", "Read a response.", "Response", streams=True, parameters=_AGAIN),
    Operation("DELETE", _ONE, "deleteResponse", "Forget a response.", "Deleted"),
    Operation("POST", f"{_ONE}/cancel", "cancelResponse", "Stop one in the background.", "Response"),
    Operation("GET", f"{_ONE}/input_items", "listInputItems", "Read what it was given.", "Items", parameters=_PAGE),
    Operation(
        *("POST", "/conversations", "createConversation", "Begin a conversation.", "Conversation"),
        body="CreateConversation",
        links=("getConversation", "updateConversation", "listItems", "createItems", "deleteConversation"),
        link="conversation_id",
    ),
    Operation("GET", _TALK, "getConversation", "Read what is noted of a conversation.", "Conversation"),
    Operation("POST", _TALK, "updateConversation", "Note something.", "Conversation", "UpdateConversation"),
    Operation("DELETE", _TALK, "deleteConversation", "Forget a conversation.", "Deleted"),
    Operation("GET", f"{_TALK}/items", "listItems", "Read what was said.", "Items", parameters=_PAGE),
    Operation("POST", f"{_TALK}/items", "createItems", "Add to it.", "Items", "CreateItems", parameters=(_INCLUDE,)),
    Operation("GET", _THING, "getItem", "Read one item.", "Item", parameters=(_INCLUDE,)),
    Operation("DELETE", _THING, "deleteItem", "Take one item out.", "Conversation"),
    Operation(
        *("POST", "/chat/completions", "createChatCompletion", "Answer, in the words of chat completions."),
        *("ChatCompletion", "CreateChatCompletion"),
        streams=True,
        parameters=_HEADERS,
    ),
    Operation(
        *("POST", "/deployments/{model}/chat/completions", "createChatCompletionOf", "The same, in Azure's form."),
        *("ChatCompletion", "CreateChatCompletion"),
        streams=True,
        parameters=_HEADERS,
    ),
    Operation("GET", "/models", "listModels", "Every name that may be asked for.", "Models", upstream=False),
    Operation("GET", "/models/{model}", "getModel", "One of them.", "Model", upstream=False),
    Operation("GET", "/health", "getHealth", "How each deployment is.", "Health", upstream=False, master=True),
    *(
        Operation(
            "GET", f"/health/{name}", f"get{name.title()}", told, answer, public=True, upstream=False, unready=ends
        )
        for name, told, answer, ends in (
            ("liveness", "The process answers.", "Liveness", False),
            ("liveliness", "The same.", "Liveness", False),
            ("readiness", "Whether calls can be served.", "Readiness", True),
        )
    ),
    Operation(
        *("GET", "/metrics", "getMetrics", "What is counted, for Prometheus.", "Metrics"),
        kind="text/plain",
        absent=True,
        upstream=False,
        master=True,
    ),
    Operation(
        *("GET", "/", "getPage", "A page that shows the fleet.", "Page"),
        kind="text/html",
        public=True,
        upstream=False,
    ),
    Operation("GET", "/fleet", "getFleet", "How all stands now.", "Fleet", upstream=False, master=True),
    Operation(
        *("GET", "/fleet/events", "watchFleet", "The same, each second, without an end.", "Event"),
        kind="text/event-stream",
        upstream=False,
        master=True,
    ),
    *(
        Operation(
            *("POST", f"/fleet/{{deployment_id}}/{name}", f"{name}Deployment", told, "Drained"),
            upstream=False,
            master=True,
        )
        for name, told in (("drain", "Send nothing new there."), ("undrain", "Let it serve again."))
    ),
    Operation("POST", "/key/generate", "generateKey", "Make a key.", "Key", "NewKey", master=True),
    Operation("POST", "/key/update", "updateKey", "Change what a key is good for.", "Key", "ChangedKey", master=True),
    Operation("POST", "/key/delete", "deleteKeys", "Revoke keys.", "Revoked", "KeyNames", master=True),
    Operation(
        *("POST", "/key/{key}/regenerate", "regenerateKey", "Put another in a key's place.", "Key", "KeyTerms"),
        master=True,
    ),
    Operation(
        *("GET", "/key/info", "getKey", "What a key is good for.", "KeyInfo"),
        parameters=(_parameter("key", _TEXT, "Its token, its alias, or itself."),),
        master=True,
    ),
    Operation(
        *("GET", "/key/list", "listKeys", "All keys.", "Keys"),
        parameters=(
            _parameter("page", _LIMIT, "From 1."),
            _parameter("size", _LIMIT, "Keys of a page; 100 if not given."),
            _parameter("return_full_object", {"enum": ["true", "false"]}, "Tell what each is good for."),
        ),
        master=True,
    ),
    Operation("GET", "/openapi.json", "getDocument", "This document.", "Document", public=True, upstream=False),
)
"""All that is served. A test compares it with the application's routes."""


def document() -> JsonObject:
    """The whole, for OpenAPI 3.1. Its version is the interface's, which changes when what is said here does."""
    paths: JsonObject = {}
    for each in OPERATIONS:
        methods = paths.setdefault(each.path, {})
        assert isinstance(methods, dict), "made here"
        methods[each.method.lower()] = _operation(each)
    return {
        "openapi": "3.1.0",
        "info": {"title": "Homing Router", "version": "1", "license": {"name": "MIT", "identifier": "MIT"}},
        "servers": [{"url": prefix} for prefix in ("/", "/v1", "/openai/v1", "/openai")],
        "security": [{"bearer": []}],
        "paths": paths,
        "components": {
            "schemas": dict(SCHEMAS),
            "securitySchemes": {"bearer": {"type": "http", "scheme": "bearer"}},
        },
    }


def _operation(each: Operation) -> JsonObject:
    told: JsonObject = {"operationId": each.name, "summary": each.told, "responses": dict(_responses(each))}
    names = [part[1:-1] for part in each.path.split("/") if part.startswith("{")]
    parameters: list[Json] = [
        {"name": name, "in": "path", "required": True, "schema": {"type": "string", "minLength": 1}} for name in names
    ]
    if parameters or each.parameters:
        told["parameters"] = [*parameters, *each.parameters]
    if each.body is not None:
        told["requestBody"] = {"required": True, "content": _json(_reference(each.body))}
    if each.public:
        told["security"] = []
    return told


def _responses(each: Operation) -> Iterator[tuple[str, JsonObject]]:
    good: JsonObject = {each.kind: {"schema": _reference(each.answer)}}
    if each.streams:
        good["text/event-stream"] = {"schema": _reference("Event")}  # of each: that is how tools read it
    done: JsonObject = {"description": "Done.", "content": good}
    if each.links:
        known: JsonObject = {each.link: "$response.body#/id"}
        done["links"] = {name: {"operationId": name, "parameters": known} for name in each.links}
    yield "200", done
    if each.unready:
        yield "503", {"description": "Nothing can be served now.", "content": good}
    refused: JsonObject = {"description": "Refused, or failed.", "content": _json(_reference("Error"))}
    if not each.public:
        yield "401", refused
    if each.master:
        yield "403", refused
    if "{" in each.path or each.absent:
        yield "404", refused
    if each.upstream:
        yield "4XX", refused
        yield "5XX", refused


def _json(schema: JsonObject) -> JsonObject:
    return {"application/json": {"schema": schema}}
