"""What Bedrock demands of a request to Converse: its service model, as botocore ships it, and what only words state.

Source of the rules: https://docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_Converse.html and the pages
on messages, tools, documents and prompt caching that it refers to.
"""

import base64
import re
from collections.abc import Iterator, Mapping
from functools import cache
from itertools import pairwise
from typing import Any

import botocore.session
from botocore.model import ListShape, MapShape, Shape, StructureShape
from botocore.validate import ParamValidator

_NAME = re.compile(r"[A-Za-z0-9()\[\]-]+(?: [A-Za-z0-9()\[\]-]+)*")
"""What the name of a document may be: no two spaces in a row."""


def complaint(parameters: Mapping[str, Any], verb: str = "converse") -> str:
    """What is wrong with the parameters of a request, as they are on the wire; empty if nothing is."""
    shape = input_shape("ConverseStream" if verb == "converse-stream" else "Converse")
    problems = list(_problems(shape, parameters, ""))
    if not problems:
        report = ParamValidator().validate(_raw(shape, parameters), shape)
        problems = [report.generate_report()] if report.has_errors() else list(_rules(parameters))
    return "; ".join(problems)


@cache
def input_shape(operation: str) -> Shape:
    """What an operation takes."""
    model = botocore.session.get_session().get_service_model("bedrock-runtime")
    shape = model.operation_model(operation).input_shape
    assert shape is not None
    return shape


def _problems(shape: Shape, value: Any, where: str) -> Iterator[str]:
    """What the service model says and botocore's validation leaves to the server."""
    meta = shape.metadata
    if isinstance(shape, StructureShape) and not shape.is_document_type:
        if not isinstance(value, dict):
            yield f"{where} is no structure"
            return
        if shape.is_tagged_union and len(value) != 1:
            yield f"{where} is a union and has {sorted(value)}"
        for name, member in value.items():
            if name not in shape.members:
                yield f"{where}.{name} is unknown"
            else:
                yield from _problems(shape.members[name], member, f"{where}.{name}")
    elif isinstance(shape, ListShape):
        for place, member in enumerate(value):
            yield from _problems(shape.member, member, f"{where}[{place}]")
        if len(value) > meta.get("max", len(value)):
            yield f"{where} is too long"
    elif isinstance(shape, MapShape):
        for name, member in value.items():
            yield from _problems(shape.key, name, f"{where} (key)")
            yield from _problems(shape.value, member, f"{where}.{name}")
        if len(value) > meta.get("max", len(value)):
            yield f"{where} has too many"
    elif shape.type_name == "string":
        yield from _string(shape, value, where)
    elif shape.type_name == "blob" and not _is_base64(value):
        yield f"{where} is not base64"
    elif shape.type_name in ("integer", "float") and not _in_range(value, meta):
        yield f"{where} is out of range"


def _string(shape: Shape, value: Any, where: str) -> Iterator[str]:
    meta = shape.metadata
    if not isinstance(value, str):
        yield f"{where} is no string"
    elif meta.get("enum") and value not in meta["enum"]:
        yield f"{where} is {value!r}, not one of {meta['enum']}"
    elif not meta.get("min", 0) <= len(value) <= meta.get("max", len(value)):
        yield f"{where} has {len(value)} characters"
    elif "pattern" in meta and not re.fullmatch(meta["pattern"], value):
        yield f"{where} does not match {meta['pattern']}"


def _in_range(value: Any, meta: Mapping[str, Any]) -> bool:
    return isinstance(value, int | float) and 0 <= value <= meta.get("max", value)


def _is_base64(value: Any) -> bool:
    try:
        return len(base64.b64decode(value, validate=True)) > 0
    except ValueError:
        return False


def _raw(shape: Shape, value: Any) -> Any:
    """The value with bytes instead of base64, as botocore's callers give it."""
    if isinstance(shape, StructureShape) and not shape.is_document_type:
        return {name: _raw(shape.members[name], member) for name, member in value.items()}
    if isinstance(shape, ListShape):
        return [_raw(shape.member, member) for member in value]
    return base64.b64decode(value) if shape.type_name == "blob" else value


def _rules(body: Mapping[str, Any]) -> Iterator[str]:
    messages = body.get("messages", [])
    if not messages or messages[0]["role"] != "user":
        yield "A conversation must start with a user message. Try again with a conversation that starts with one."
    for before, after in pairwise(messages):
        if before["role"] == after["role"]:
            yield f"roles must alternate between user and assistant; found {after['role']} twice"
    blocks = [block for message in messages for block in message["content"]]
    if any("text" in block and not block["text"].strip() for block in blocks):
        yield "The text field in the ContentBlock object is blank."
    if any("toolUse" in block or "toolResult" in block for block in blocks) and "toolConfig" not in body:
        yield "The toolConfig field must be defined when using toolUse and toolResult content blocks."
    yield from _tools(messages)
    yield from _documents(messages)
    tools = body.get("toolConfig", {}).get("tools", [])
    if str([messages, body.get("system", []), tools]).count("'cachePoint'") > 4:
        yield "at most four cache checkpoints"
    names = [tool["toolSpec"]["name"] for tool in tools if "toolSpec" in tool]
    if len(names) != len(set(names)):
        yield "tool names must be unique"


def _tools(messages: list[dict[str, Any]]) -> Iterator[str]:
    asked: list[str] = []
    for message in messages:
        got = [block["toolResult"]["toolUseId"] for block in message["content"] if "toolResult" in block]
        if sorted(got) != sorted(asked):
            yield f"Expected toolResult blocks for the following Ids: {asked}; found {got}"
        asked = [block["toolUse"]["toolUseId"] for block in message["content"] if "toolUse" in block]
        thoughts = ["reasoningContent" in block for block in message["content"]]
        if message["role"] == "user" and any(thoughts):
            yield "reasoningContent is the assistant's"
    if asked:
        yield f"no results for {asked}"


def _documents(messages: list[dict[str, Any]]) -> Iterator[str]:
    names: list[str] = []
    for message in messages:
        own = [block["document"]["name"] for block in message["content"] if "document" in block]
        if own and not any("text" in block for block in message["content"]):
            yield "a message with documents must have a text too"
        results = [block["toolResult"]["content"] for block in message["content"] if "toolResult" in block]
        names += own + [part["document"]["name"] for parts in results for part in parts if "document" in part]
    if any(not _NAME.fullmatch(name) for name in names) or len(names) != len(set(names)):
        yield f"document names must be plain and unique: {names}"
