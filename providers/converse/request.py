"""The body of a request to Converse. Source: botocore 1.44.5, bedrock-runtime/2023-09-30, ConverseRequest."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from typing import Final, cast

from providers import jsonio
from providers.converse.caching import caching, whole
from providers.converse.families import Family, family
from providers.converse.messages import Messages
from providers.converse.reasoning import Reasoning, reasoning, tokens
from providers.converse.table import MEMBERS
from providers.converse.tools import NAMING, declared, words
from providers.messages.generations import Generation, generation
from providers.messages.schemas import closed
from providers.translation.asked import Asked, wrong
from providers.translation.tools import choice_of, functions, tools_of
from providers.types import Json, JsonObject

_TIERS: Final = frozenset({"default", "flex", "priority", "reserved"})
_LABEL: Final = re.compile(r"[a-zA-Z0-9\s:_@$#=/+,-.]{0,256}")
"""What a key or a value of requestMetadata may be, in the words of the service model."""
_MOST_LABELS: Final = 16
_JSON_ONLY: Final = "Answer with one JSON object and nothing else."
_SPENT: Final = "/usage/output_tokens_details"
"""Where Claude says how many tokens it thought, and Converse only if it is asked."""


def write(asked: Asked) -> JsonObject:
    """The body to send. Raises `BadRequestError` for what can't be said."""
    kind = family(asked.deployment, asked.model)
    claude = generation(asked.deployment, asked.model)
    tools = tools_of(asked, NAMING)
    choice = choice_of(asked, tools)
    wires = {each.name: each.wire for each in functions(tools)}
    thought = reasoning(asked, kind, claude)
    own = _own_fields(asked)
    told = Messages(asked, kind, caching(kind, claude), wires)
    told.read()
    if thought.budgeted and told.interrupted:
        asked.note("reasoning", "left out: the turn that the tools answer was made without it")
        thought = Reasoning(max_tokens=tokens(asked))
    said = declared(asked, tools, kind, claude, choice)
    about = words(asked, said, told.called, kind, choice, wires, unforced=thought.unforced)
    told.cache(whole(asked))
    fields: JsonObject = {**thought.fields, **({"tool_choice": about.choice} if about.choice else {}), **own}
    body: JsonObject = {
        "messages": told.messages,
        "system": told.system,
        "inferenceConfig": _inference(asked, kind, claude, thought),
        "toolConfig": about.config,
        "outputConfig": _output(asked, kind, claude, thought, told.system),
        "additionalModelRequestFields": fields,
        "additionalModelResponseFieldPaths": [_SPENT] if kind is Family.CLAUDE and thought.on else [],
        "requestMetadata": _labels(asked),
        "serviceTier": _tier(asked),
    }
    return {name: value for name, value in body.items() if value}


def _own_fields(asked: Asked) -> JsonObject:
    """What the caller's `extra_body` has of the model's own parameters, taken out of it."""
    return {name: asked.extra.pop(name) for name in list(asked.extra) if name not in MEMBERS}


def _inference(asked: Asked, kind: Family, claude: Generation, thought: Reasoning) -> JsonObject:
    said: JsonObject = {}
    if thought.max_tokens is not None:
        said["maxTokens"] = thought.max_tokens
    for name, word in (("temperature", "temperature"), ("top_p", "topP")):
        value = asked.get(name)
        if value is None:
            continue
        if type(value) not in (int, float) or not 0 <= cast("float", value) <= 2:
            raise wrong(name, "must be a number from 0 to 2" if name == "temperature" else "must be a number up to 1")
        problem = _sampling(name, cast("float", value), said, kind, claude, thought)
        if problem is None:
            said[word] = value
        else:
            asked.refuse(name, problem)
    stop = asked.get("stop")
    if stop is not None:
        said["stopSequences"] = stop if isinstance(stop, list) else [stop]
    return said


def _sampling(
    name: str, value: float, said: Mapping[str, Json], kind: Family, claude: Generation, thought: Reasoning
) -> str | None:
    """Why it can't be said; None if it can."""
    if value > 1:
        return "it is at most 1"
    if kind is Family.NOVA_2 and "high" in str(thought.fields):
        return "at high effort, Nova sets it itself"
    if kind is not Family.CLAUDE:
        return None
    if not claude.sampling:
        return "newer Claude models take none"
    if thought.on and value < (1 if name == "temperature" else 0.95):
        return "while it thinks, Claude takes no other than 1"
    if name == "top_p" and "temperature" in said and not claude.both:
        return "Claude takes it or temperature"
    return None


def _output(asked: Asked, kind: Family, claude: Generation, thought: Reasoning, system: list[Json]) -> JsonObject:
    """outputConfig; a wish for any JSON object goes into the system prompt."""
    said: JsonObject = {"effort": thought.effort} if thought.effort is not None else {}
    text = asked.mapping("text")
    if text.get("verbosity") not in (None, "medium"):
        asked.refuse("text.verbosity", "there is no such setting")
    form = text.get("format")
    if form is None:
        return said
    if not isinstance(form, dict) or form.get("type") not in ("text", "json_object", "json_schema"):
        raise wrong("text.format", "must be an object of type text, json_object or json_schema")
    if form["type"] == "json_object":
        system.append({"text": _JSON_ONLY})
        asked.note("text.format", "json_object is asked for in words, not enforced")
    elif form["type"] == "json_schema":
        schema = form.get("schema")
        if not isinstance(schema, dict):
            raise wrong("text.format.schema", "must be a JSON Schema")
        if kind is Family.CLAUDE and not claude.structured:
            asked.refuse("text.format", f"{asked.model} keeps to no schema")
            return said
        said["textFormat"] = _schema(form, closed(schema) if kind is Family.CLAUDE else schema)
    return said


def _schema(form: JsonObject, schema: JsonObject) -> JsonObject:
    """A schema is sent as a string of JSON."""
    said: JsonObject = {"schema": jsonio.dumps(schema).decode()}
    for name in ("name", "description"):
        if isinstance(form.get(name), str) and form[name]:
            said[name] = form[name]
    return {"type": "json_schema", "structure": {"jsonSchema": said}}


def _labels(asked: Asked) -> JsonObject:
    """requestMetadata: by what invocation logs can be searched."""
    said: JsonObject = {}
    for name in ("safety_identifier", "user"):
        value = asked.get(name)
        if value is None:
            continue
        if not isinstance(value, str):
            raise wrong(name, "must be a string")
        said[name] = (
            value if _LABEL.fullmatch(value) else hashlib.sha256(value.encode("utf-8", "surrogatepass")).hexdigest()
        )
    for name, value in asked.mapping("metadata").items():
        if not isinstance(value, str):
            raise wrong(f"metadata.{name}", "must be a string")
        if len(said) < _MOST_LABELS and name and _LABEL.fullmatch(name) and _LABEL.fullmatch(value):
            said.setdefault(name, value)
        else:
            asked.note(f"metadata.{name[:64]}", "stays here: requestMetadata takes 16 short plain texts")
    return said


def _tier(asked: Asked) -> JsonObject | None:
    tier = asked.get("service_tier")
    if tier in (None, "auto"):
        return None
    if not isinstance(tier, str) or tier not in _TIERS:
        asked.refuse("service_tier", f"Bedrock's are {', '.join(sorted(_TIERS))}")
        return None
    return {"type": tier}
