"""`text`: the form that an answer is to have."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from providers.messages.schemas import closed
from providers.translation.asked import Asked, merged, plain, wrong
from providers.types import Call, Deployment, JsonObject

TOOL: Final = "respond_in_json"
"""The tool whose arguments are the answer, where nothing else keeps to a schema."""


@dataclass(frozen=True, slots=True)
class Form:
    """JSON."""

    schema: JsonObject | None
    """That it keeps to; None: any."""
    description: str


def form(asked: Asked) -> Form | None:
    """The form asked for; None: text. Raises `BadRequestError` for what is none."""
    text = asked.mapping("text")
    if text.get("verbosity") not in (None, "medium"):
        asked.refuse("text.verbosity", "Claude has no such setting")
    asked_for = text.get("format")
    if asked_for is None:
        return None
    if not isinstance(asked_for, dict):
        raise wrong("text.format", "must be an object")
    kind, description = asked_for.get("type"), asked_for.get("description")
    if kind == "text":
        return None
    if kind == "json_object":
        return Form(None, "")
    inner = asked_for.get("json_schema")
    schema = (inner if isinstance(inner, dict) else asked_for).get("schema")
    if kind != "json_schema" or not isinstance(schema, dict):
        raise wrong("text.format", "must be of type text, json_object, or json_schema with a schema")
    return Form(closed(schema), description if isinstance(description, str) else "")


def form_tool(wanted: Form) -> JsonObject:
    """The tool that stands for the form."""
    description = wanted.description or "Give the final answer, in this form. Call it once, when the answer is known."
    return {"name": TOOL, "description": description, "input_schema": wanted.schema}


def asks_for_json(call: Call, deployment: Deployment) -> bool:
    """Whether the arguments of `TOOL` are the answer: the caller asked for a form."""
    given = {**merged(call, deployment), **deployment.extra_body, **call.extra_body}.get("text")
    text = plain(given)
    asked_for = text.get("format") if isinstance(text, dict) else None
    return isinstance(asked_for, dict) and asked_for.get("type") == "json_schema"
