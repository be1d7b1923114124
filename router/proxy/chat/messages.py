"""A conversation's messages as the items of an input, each in its place."""

from __future__ import annotations

from providers.types import Json, JsonObject
from router.proxy.chat.asking import ChatCall, list_at, object_at, text_at, wrong
from router.proxy.chat.parts import cited, content_of

_SAID = ("role", "content")
_ROLES = ("system", "developer", "user", "assistant", "tool", "function")


def items_of(call: ChatCall, messages: Json) -> list[Json]:
    """The items, in order; `call.places` learns which message each is of. Raises `BadRequestError`."""
    if messages is None:
        raise wrong("messages", "is required", "missing_required_parameter")
    writer = _Writer(call)
    for place, message in enumerate(list_at(messages, "messages")):
        where = f"messages[{place}]"
        before = len(writer.items)
        writer.add(object_at(message, where), where)
        call.places += [place] * (len(writer.items) - before)
    if not writer.items:
        raise wrong("messages", "must hold a message that says something", "empty_array")
    return writer.items


class _Writer:
    """Gathers items, and remembers the calls whose outputs are to come."""

    def __init__(self, call: ChatCall) -> None:
        self.items: list[Json] = []
        self._call = call
        self._custom: set[str] = set()
        """Ids of the calls of custom tools, whose outputs are items of another kind."""
        self._unnamed: list[tuple[str, str]] = []
        """Names, and ids of our making, of calls in the form that had no ids."""

    def add(self, message: JsonObject, where: str) -> None:
        """The next message."""
        role = message.get("role")
        if role == "assistant":
            self._assistant(message, where)
        elif role == "tool":
            call_id = text_at(message, "tool_call_id", where)
            self._output(call_id, message, where)
        elif role == "function":
            self._output(self._id_of(text_at(message, "name", where), where), message, where)
        elif role in _ROLES:
            self._name(message, where)
            rest = {name: value for name, value in message.items() if name not in (*_SAID, "name")}
            self.items.append({**rest, "role": role, "content": content_of(message.get("content"), f"{where}.content")})
        else:
            raise wrong(f"{where}.role", f"must be one of {', '.join(_ROLES)}")

    def _name(self, message: JsonObject, where: str) -> None:
        if message.get("name") is not None:
            self._call.refuse(f"{where}.name", "the Responses API knows no names of participants")

    # what the model said and did

    def _assistant(self, message: JsonObject, where: str) -> None:
        """Beyond what is read here, an assistant's message holds what its answer was adorned with: that stays."""
        self._name(message, where)
        if message.get("audio") is not None:
            raise wrong(f"{where}.audio", "answers in sound can't be referred to", "unsupported_parameter")
        start = len(self.items)
        self._thoughts(message.get("reasoning_details"))
        thoughts = len(self.items)
        said = _said(message, where)
        if said:
            self.items.append({"role": "assistant", "content": said})
        called = message.get("tool_calls")
        for number, each in enumerate([] if called is None else list_at(called, f"{where}.tool_calls")):
            spot = f"{where}.tool_calls[{number}]"
            self._called(object_at(each, spot), spot)
        if message.get("function_call") is not None:
            self._function_call(object_at(message["function_call"], f"{where}.function_call"), where)
        if len(self.items) == thoughts:
            del self.items[start:]  # thoughts that led to nothing are taken by nobody

    def _thoughts(self, details: Json) -> None:
        """Reasoning that this API has sealed goes back to who made it; without a seal nobody takes it."""
        for each in details if isinstance(details, list) else ():
            if isinstance(each, dict) and isinstance(each.get("data"), str):
                text = each.get("summary")
                summary: list[Json] = [{"type": "summary_text", "text": text}] if isinstance(text, str) else []
                item: JsonObject = {"type": "reasoning", "summary": summary, "encrypted_content": each["data"]}
                self.items.append({**item, "id": each["id"]} if isinstance(each.get("id"), str) else item)

    def _called(self, call: JsonObject, where: str) -> None:
        call_id = text_at(call, "id", where)
        kind = call.get("type", "function")
        if kind == "function":
            function = object_at(call.get("function"), f"{where}.function")
            self._function(call_id, function, f"{where}.function")
        elif kind == "custom":
            custom = object_at(call.get("custom"), f"{where}.custom")
            self._custom.add(call_id)
            name, given = (text_at(custom, each, f"{where}.custom") for each in ("name", "input"))
            self.items.append({"type": "custom_tool_call", "call_id": call_id, "name": name, "input": given})
        else:
            raise wrong(f"{where}.type", "must be function or custom")

    def _function(self, call_id: str, function: JsonObject, where: str) -> None:
        name, arguments = (text_at(function, each, where) for each in ("name", "arguments"))
        self.items.append({"type": "function_call", "call_id": call_id, "name": name, "arguments": arguments})

    def _function_call(self, function: JsonObject, where: str) -> None:
        call_id = f"call_{len(self.items)}"
        self._function(call_id, function, f"{where}.function_call")
        self._unnamed.append((str(function["name"]), call_id))

    # what its tools answered

    def _id_of(self, name: str, where: str) -> str:
        for number, (called, call_id) in enumerate(self._unnamed):
            if called == name:
                del self._unnamed[number]
                return call_id
        raise wrong(f"{where}.name", f"no function_call of {name!r} stands before it")

    def _output(self, call_id: str, message: JsonObject, where: str) -> None:
        content = message.get("content")
        output = content_of("" if content is None else content, f"{where}.content")
        kind = "custom_tool_call_output" if call_id in self._custom else "function_call_output"
        self.items.append({"type": kind, "call_id": call_id, "output": output})


def _said(message: JsonObject, where: str) -> str | list[Json]:
    """What the model said: a text alone as it is; refused, cited or in parts, as parts."""
    content, refusal, notes = message.get("content"), message.get("refusal"), message.get("annotations")
    said = "" if content is None else content_of(content, f"{where}.content", said_by_model=True)
    if isinstance(said, str) and said and notes:
        noted: list[Json] = [cited(said, notes, f"{where}.annotations")]
        said = noted
    if refusal is None:
        return said
    refused: JsonObject = {"type": "refusal", "refusal": text_at(message, "refusal", where)}
    whole: list[Json] = [{"type": "output_text", "text": said}] if isinstance(said, str) and said else [*said]
    return [*whole, refused]
