"""The document as a whole."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from providers.types import Json, JsonObject
from router.proxy.openapi import conversations, fleet, keys, responses
from router.proxy.openapi.shapes import TEXT, Operation, object_of, or_null, reference

_PARTS = (responses, conversations, fleet, keys)

SCHEMAS: Mapping[str, JsonObject] = {
    **{name: schema for part in _PARTS for name, schema in part.SCHEMAS.items()},
    "Document": object_of({"openapi": TEXT, "paths": {"type": "object"}}, "openapi", "paths"),
    "Error": object_of(
        {
            "error": object_of(
                {"message": TEXT, "type": or_null(TEXT), "param": or_null(TEXT), "code": or_null(TEXT)},
                *("message", "type", "param", "code"),
            )
        },
        "error",
    ),
}

OPERATIONS: Sequence[Operation] = (
    *(each for part in _PARTS for each in part.OPERATIONS),
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
        told["requestBody"] = {"required": True, "content": _json(reference(each.body))}
    if each.public:
        told["security"] = []
    return told


def _responses(each: Operation) -> Iterator[tuple[str, JsonObject]]:
    good: JsonObject = {each.kind: {"schema": reference(each.answer)}}
    if each.streams:
        good["text/event-stream"] = {"schema": reference("Event")}  # of each: that is how tools read it
    done: JsonObject = {"description": "Done.", "content": good}
    if each.links:
        known: JsonObject = {each.link: "$response.body#/id"}
        done["links"] = {name: {"operationId": name, "parameters": known} for name in each.links}
    yield "200", done
    if each.unready:
        yield "503", {"description": "Nothing can be served now.", "content": good}
    refused: JsonObject = {"description": "Refused, or failed.", "content": _json(reference("Error"))}
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
