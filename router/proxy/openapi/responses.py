"""The Responses API, and chat completions, as they are served."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from providers.types import JsonObject
from router.proxy.openapi.shapes import (
    FLAG,
    INCLUDE,
    ITEM,
    METADATA,
    NUMBER,
    PAGE,
    RETRIES,
    SECONDS,
    TEXT,
    Operation,
    list_of,
    object_of,
    or_null,
    parameter,
)

_INPUT: JsonObject = {"anyOf": [TEXT, list_of(ITEM)]}
_ASKED: JsonObject = {
    "model": {"type": "string", "minLength": 1, "description": "A group, an alias, or a deployment's id."},
    "input": {**_INPUT, "description": "What is said: a text, or a list of items."},
    "previous_response_id": or_null(TEXT),
}
_CREATED: JsonObject = {
    **_ASKED,
    "instructions": or_null(TEXT),
    "stream": or_null({**FLAG, "description": "Answer with events, as they come."}),
    "store": or_null(FLAG),
    "background": or_null(FLAG),
    "include": or_null(list_of(TEXT)),
    "metadata": METADATA,
    "tools": or_null(list_of({"type": "object"})),
    "tool_choice": {"anyOf": [TEXT, {"type": "object"}, {"type": "null"}]},
    "text": or_null({"type": "object"}),
    "reasoning": or_null({"type": "object"}),
    "max_output_tokens": or_null({**NUMBER, "minimum": 16}),
    "temperature": or_null({"type": "number", "minimum": 0, "maximum": 2}),
    "timeout": or_null({**SECONDS, "description": "Seconds that it may take."}),
    "num_retries": or_null(RETRIES),
    "tags": or_null(list_of(TEXT)),
}
_STATES = ["completed", "failed", "in_progress", "cancelled", "queued", "incomplete"]
_HEADERS = (
    parameter("x-litellm-timeout", SECONDS, "As `timeout` in the body.", "header"),
    parameter("x-litellm-num-retries", RETRIES, "As `num_retries`.", "header"),
    parameter("x-litellm-tags", TEXT, "As `tags`, with commas between.", "header"),
)

_AGAIN = (
    INCLUDE,
    parameter("stream", {"enum": ["true", "false"]}, "Tell a response in the background as events."),
    parameter("starting_after", {"type": "integer", "minimum": 0}, "The number of the last event that was seen."),
)
_ONE = "/responses/{response_id}"

SCHEMAS: Mapping[str, JsonObject] = {
    "CreateResponse": object_of(_CREATED, "model"),
    "CompactResponse": object_of(_ASKED, "model", "input"),
    "CountTokens": object_of(_ASKED, "model", "input"),
    "Response": object_of(
        {
            "id": TEXT,
            "object": {"const": "response"},
            "created_at": {"type": "number"},
            "status": {"enum": [*_STATES]},
            "model": TEXT,
            "output": list_of({"type": "object"}),
            "error": or_null({"type": "object"}),
            "usage": or_null({"type": "object"}),
        },
        *("id", "object", "output"),
    ),
    "CreateChatCompletion": object_of(
        {
            "model": {"type": "string", "minLength": 1},
            "messages": list_of(object_of({"role": TEXT}, "role")),
            "stream": or_null(FLAG),
            "tools": or_null(list_of({"type": "object"})),
        },
        "messages",
    ),
    "ChatCompletion": object_of(
        {"id": TEXT, "object": {"const": "chat.completion"}, "choices": list_of({"type": "object"})},
        *("id", "object", "choices"),
    ),
    "Event": object_of({"event": TEXT, "data": {**TEXT, "description": "JSON; `[DONE]` at the end."}}, "data"),
    "Deleted": object_of({"id": TEXT, "deleted": FLAG}, "id", "deleted"),
    "Compaction": object_of({"id": TEXT, "object": TEXT, "output": list_of({"type": "object"})}, "id", "output"),
    "InputTokens": object_of({"object": {"const": "response.input_tokens"}, "input_tokens": NUMBER}, "input_tokens"),
    "Items": object_of(
        {
            "object": {"const": "list"},
            "data": list_of({"type": "object"}),
            "has_more": FLAG,
            "first_id": or_null(TEXT),
            "last_id": or_null(TEXT),
        },
        *("object", "data", "has_more"),
    ),
}

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
    Operation("GET", f"{_ONE}/input_items", "listInputItems", "Read what it was given.", "Items", parameters=PAGE),
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
)
