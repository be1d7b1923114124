"""The parts of a message, as those of an item of input."""

from __future__ import annotations

from providers.types import Json, JsonObject
from router.proxy.chat.asking import list_at, object_at, text_at, wrong


def content_of(content: Json, where: str, *, said_by_model: bool = False) -> str | list[Json]:
    """A text as it is, parts as they are called in items. Raises `BadRequestError`; nothing ever vanishes."""
    if isinstance(content, str):
        return content
    if content is None:
        raise wrong(where, "is required", "missing_required_parameter")
    if not isinstance(content, list):
        raise wrong(where, "must be a text or a list of parts", "invalid_type")
    text = "output_text" if said_by_model else "input_text"
    return [_part(object_at(part, f"{where}[{n}]"), f"{where}[{n}]", text) for n, part in enumerate(content)]


def _part(part: JsonObject, where: str, text: str) -> JsonObject:
    """One part; what else stands in it (marks for caches) is kept, and what is not known goes on as it is."""
    kind = part.get("type")
    if kind == "text":
        return {**part, "type": text, "text": text_at(part, "text", where)}
    if kind == "image_url":
        image = part.get("image_url")
        inner: JsonObject = {"url": image} if isinstance(image, str) else object_at(image, f"{where}.image_url")
        address = text_at(inner, "url", f"{where}.image_url")
        rest = {name: value for name, value in inner.items() if name != "url"}
        return {"detail": "auto", **part, "type": "input_image", **rest, "image_url": address}
    if kind == "file":
        rest = {name: value for name, value in part.items() if name != "file"}
        return {**rest, "type": "input_file", **object_at(part.get("file"), f"{where}.file")}
    return part


def cited(text: str, annotations: Json, where: str) -> JsonObject:
    """A text of the model's with its annotations, in one part."""
    notes: list[Json] = [flat(object_at(each, where)) for each in list_at(annotations, where)]
    return {"type": "output_text", "text": text, "annotations": notes}


def flat(annotation: JsonObject) -> JsonObject:
    """An annotation as items have it: what chat completions nest under its type stands beside it."""
    inner = annotation.get(str(annotation.get("type")))
    return {"type": annotation["type"], **inner} if isinstance(inner, dict) else annotation
