"""What vendors of chat completions demand of a request, as a strict judge: raises `Refused` with their own errors.

OpenAI's fields are those of openai-python 3.54, other vendors' those of their own clients; the rules are those of
their API references and of what their servers are known to answer. Stricter than the services where that catches
mistakes: it knows no field that is not written down here.
"""

from __future__ import annotations

import base64
import binascii
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

Json = Mapping[str, Any]


def _names(text: str) -> frozenset[str]:
    return frozenset(text.split())


class Refused(Exception):  # noqa: N818 - it is the answer, not a fault of the test
    """The answer to a request that is not taken."""

    def __init__(self, message: str, param: str | None = None, status: int = 400) -> None:
        super().__init__(message)
        self.message = message
        self.param = param
        self.status = status


_COMMON = _names(
    "model messages stream temperature top_p stop tools tool_choice response_format frequency_penalty n"
    " presence_penalty"
)
_EFFORTS = _names("none minimal low medium high xhigh max")


@dataclass(frozen=True)
class Variant:
    """What one vendor takes."""

    fields: frozenset[str]
    """Top-level fields besides the common ones."""
    efforts: frozenset[str] = _EFFORTS
    echo: str | None = None
    """The field of an assistant's message that has its reasoning."""
    owes_echo: bool = False
    chunks: bool = False
    """Whether contents may be chunks of Mistral's kinds, and tools may show images."""
    flat: bool = False
    """Whether only a user's content may be a list."""
    alternates: bool = False
    short_ids: bool = False
    named_choice: bool = True
    images_by_address: bool = True
    files: str = "file"
    status: int = 400
    """Of what it says to a field that it does not know."""


VARIANTS: dict[str, Variant] = {
    "openai": Variant(
        _names(
            "audio functions function_call logit_bias logprobs max_completion_tokens max_tokens metadata modalities"
            " parallel_tool_calls prediction prompt_cache_key prompt_cache_retention reasoning_effort safety_identifier"
            " seed service_tier store stream_options top_logprobs user verbosity web_search_options"
        )
    ),
    "openai_compatible": Variant(
        _names(
            "logprobs max_tokens parallel_tool_calls reasoning_effort seed service_tier stream_options top_logprobs"
            " user"
        ),
        echo="reasoning",
    ),
    "groq": Variant(
        _names(
            "include_reasoning logprobs max_completion_tokens max_tokens metadata parallel_tool_calls reasoning_effort"
            " reasoning_format seed service_tier stream_options top_logprobs user"
        ),
        efforts=_names("none default low medium high"),
        echo="reasoning",
    ),
    "mistral": Variant(
        _names(
            "guardrails logprobs max_tokens metadata parallel_tool_calls prediction prompt_cache_key prompt_mode"
            " random_seed reasoning_effort safe_prompt service_tier top_logprobs"
        ),
        chunks=True,
        short_ids=True,
        files="document_url",
        status=422,
    ),
    "deepseek": Variant(
        _names("logprobs max_tokens parallel_tool_calls reasoning_effort stream_options thinking top_logprobs"),
        echo="reasoning_content",
        owes_echo=True,
        flat=True,
    ),
    "ollama": Variant(
        _names("logprobs max_tokens reasoning_effort seed stream_options top_logprobs"),
        efforts=_names("none low medium high"),
        echo="reasoning",
        flat=True,
        images_by_address=False,
    ),
    "together_ai": Variant(
        _names("max_tokens parallel_tool_calls reasoning reasoning_effort seed stream_options"),
        efforts=_names("low medium high"),
        echo="reasoning",
    ),
    "cerebras": Variant(
        _names(
            "logprobs max_completion_tokens parallel_tool_calls prompt_cache_key reasoning_effort seed service_tier"
            " stream_options top_logprobs user"
        ),
        efforts=_names("none low medium high"),
        echo="reasoning",
    ),
    "perplexity": Variant(
        _names(
            "logprobs max_tokens parallel_tool_calls reasoning_effort search_domain_filter top_logprobs"
            " web_search_options"
        ),
        efforts=_names("minimal low medium high"),
        alternates=True,
        named_choice=False,
        files="file_url",
    ),
    "nvidia_nim": Variant(
        _names("logprobs max_tokens parallel_tool_calls reasoning_effort seed stream_options top_logprobs"),
        echo="reasoning_content",
        flat=True,
    ),
}
VARIANTS["azure"] = VARIANTS["openai"]

_NAME = re.compile(r"[a-zA-Z0-9_-]{1,64}")
_MESSAGE = {
    "system": _names("role content name"),
    "developer": _names("role content name"),
    "user": _names("role content name"),
    "assistant": _names("role content name refusal tool_calls"),
    "tool": _names("role content tool_call_id"),
}


def need(good: object, message: str, param: str | None = None, status: int = 400) -> None:
    """Refuse a request that is not good."""
    if not good:
        raise Refused(message, param, status)


class Judge:
    """Looks at one body."""

    def __init__(self, body: Json, variant: Variant) -> None:
        self.body = body
        self.variant = variant

    def check(self) -> None:
        """Raises `Refused`."""
        body, variant = self.body, self.variant
        for name in body:
            known = name in _COMMON or name in variant.fields
            need(known, f"Unrecognized request argument supplied: {name}", name, variant.status)
        for name, value in body.items():
            need(value is not None, f"{name} must not be null", name)
        need(isinstance(body.get("model"), str) and body["model"], "you must provide a model parameter", "model")
        self.messages()
        self.tools()
        self.options()

    # messages

    def messages(self) -> None:
        messages = self.body.get("messages")
        need(isinstance(messages, list) and messages, "messages must not be empty", "messages")
        owed: list[str] = []
        before = ""
        for place, message in enumerate(messages or ()):
            where = f"messages.[{place}]"
            need(isinstance(message, dict), f"{where} must be an object", where)
            role = message.get("role")
            need(role in _MESSAGE, f"{where}.role: {role!r} is not one of {sorted(_MESSAGE)}", where)
            extra = {self.variant.echo, "reasoning_details"} if role == "assistant" and self.variant.echo else set()
            unknown = set(message) - _MESSAGE[role] - extra
            need(not unknown, f"Additional properties are not allowed ({sorted(unknown)} was unexpected)", where)
            if role == "tool":
                need(
                    owed and message.get("tool_call_id") in owed,
                    "messages with role 'tool' must be a response to a preceding message with 'tool_calls'",
                    where,
                )
                owed.remove(message["tool_call_id"])
            else:
                need(not owed, f"tool_call_ids did not have response messages: {', '.join(owed)}", where)
                meets = before == "tool" and role != "assistant" and self.variant.chunks
                need(not meets, f"Unexpected role '{role}' after role 'tool'", where)
            if self.variant.alternates:
                self.turn(role, before, where)
            self.content(message, role, where)
            if role == "assistant":
                owed = self.calls(message, where)
            before = role
        need(not owed, f"tool_call_ids did not have response messages: {', '.join(owed)}", "messages")

    def turn(self, role: str, before: str, where: str) -> None:
        good = role != before or role == "tool"
        if role == "system":
            good = before in ("", "system")
        need(good, "user or tool message(s) should alternate with assistant message(s)", where)

    def calls(self, message: Json, where: str) -> list[str]:
        if "tool_calls" not in message:
            need(message.get("content") is not None, f"{where}.content must not be null", where)
            return []
        calls = message["tool_calls"]
        need(isinstance(calls, list) and calls, f"{where}.tool_calls: [] is too short", where)
        if self.variant.owes_echo:
            need(
                isinstance(message.get(self.variant.echo or ""), str),
                "The `reasoning_content` in the thinking mode must be passed back to the API.",
                where,
            )
        for call in calls:
            need(set(call) == {"id", "type", "function"} and call["type"] == "function", f"{where}: no call", where)
            function = call["function"]
            need(set(function) == {"name", "arguments"}, f"{where}: no function", where)
            need(_NAME.fullmatch(function["name"]), f"{where}.function.name: does not match pattern", where)
            need(isinstance(_parsed(function["arguments"]), dict), f"{where}.function.arguments: invalid JSON", where)
            if self.variant.short_ids:
                need(
                    re.fullmatch("[a-zA-Z0-9]{9}", call["id"]),
                    f"Tool call id was {call['id']} but must be a-z, A-Z, 0-9, with a length of 9.",
                    where,
                )
        ids = [call["id"] for call in calls]
        need(len(set(ids)) == len(ids), f"{where}: ids are not unique", where)
        return ids

    def content(self, message: Json, role: str, where: str) -> None:
        content = message.get("content")
        if isinstance(content, str) or (content is None and role == "assistant"):
            return
        need(isinstance(content, list) and content, f"{where}.content must be a string or a list", where)
        need(role == "user" or not self.variant.flat, f"{where}.content must be a string", where)
        for part in content or ():
            self.part(part, role, where)

    def part(self, part: Json, role: str, where: str) -> None:
        kind = part.get("type")
        if kind == "text":
            need(isinstance(part.get("text"), str) and set(part) == {"type", "text"}, f"{where}: no text", where)
            return
        if kind == "thinking":
            need(self.variant.chunks and role == "assistant", f"{where}: unexpected thinking", where)
            return
        need(role == "user" or (self.variant.chunks and role == "tool"), f"{where}: {kind} in a {role} message", where)
        if kind == "image_url":
            image = part["image_url"]
            need(set(image) <= {"url", "detail"}, f"{where}: no image", where)
            self.address(image["url"], where, by_address=self.variant.images_by_address)
        elif kind == "input_audio":
            sound = part["input_audio"]
            data = sound if self.variant.chunks else sound["data"]
            need(_base64(data) and (self.variant.chunks or sound["format"]), f"{where}: no sound", where)
        else:
            need(
                kind == self.variant.files or (kind == "file" and self.variant.chunks),
                f"Invalid content type: {kind}",
                where,
            )
            self.file(part, where)

    def file(self, part: Json, where: str) -> None:
        if self.variant.files == "file_url":
            need(set(part) <= {"type", "file_url", "file_name"}, f"{where}: no file", where)
            url = part["file_url"]["url"]
            need(url.startswith(("http://", "https://")) or _base64(url), f"{where}: no file", where)
        elif part["type"] == "document_url":
            need(set(part) <= {"type", "document_url", "document_name"}, f"{where}: no document", where)
            self.address(part["document_url"], where, by_address=True)
        elif self.variant.chunks:
            need(isinstance(part["file_id"], str), f"{where}: no file", where)
        else:
            file = part["file"]
            if "file_id" not in file:
                need(isinstance(file.get("filename"), str), f"{where}: a file needs a name", where)
                self.address(file["file_data"], where, by_address=False)

    def address(self, url: str, where: str, *, by_address: bool) -> None:
        if by_address and url.startswith(("http://", "https://")):
            return
        head, _, data = url.partition(";base64,")
        need(head.startswith("data:") and _base64(data), f"{where}: {url[:40]!r} is not a data URL", where)

    # the rest

    def tools(self) -> None:
        tools, choice = self.body.get("tools"), self.body.get("tool_choice")
        if tools is None:
            need(choice is None, "'tool_choice' is only allowed when 'tools' are specified", "tool_choice")
            need("parallel_tool_calls" not in self.body, "'parallel_tool_calls' needs 'tools'", "parallel_tool_calls")
            return
        need(isinstance(tools, list) and tools, "[] is too short - 'tools'", "tools")
        names: list[str] = []
        for tool in tools:
            need(tool.get("type") == "function" and set(tool) == {"type", "function"}, "no function", "tools")
            function = tool["function"]
            need(set(function) <= _names("name description parameters strict"), "no function", "tools")
            need(_NAME.fullmatch(function["name"]), "Invalid 'tools[0].function.name'", "tools")
            need(function["parameters"].get("type") == "object", "parameters must be an object's schema", "tools")
            names.append(function["name"])
        need(len(set(names)) == len(names), "names of tools must be unique", "tools")
        if isinstance(choice, dict):
            self.choice(choice, names)
        else:
            need(choice in (None, "auto", "none", "required"), f"Invalid tool_choice: {choice!r}", "tool_choice")

    def choice(self, choice: Json, names: list[str]) -> None:
        need(self.variant.named_choice, "tool_choice must be a string", "tool_choice")
        if choice.get("type") == "allowed_tools":
            need("verbosity" in self.variant.fields, "allowed_tools is not known", "tool_choice")
            inner = choice["allowed_tools"]
            need(inner["mode"] in ("auto", "required") and inner["tools"], "no allowed_tools", "tool_choice")
            chosen = [tool["function"]["name"] for tool in inner["tools"]]
        else:
            need(choice.get("type") == "function", "no tool_choice", "tool_choice")
            chosen = [choice["function"]["name"]]
        need(set(chosen) <= set(names), "tool_choice names a tool that is not in tools", "tool_choice")

    def options(self) -> None:
        body = self.body
        need("stream_options" not in body or body.get("stream"), "'stream_options' needs 'stream'", "stream_options")
        need("top_logprobs" not in body or body.get("logprobs"), "'top_logprobs' needs 'logprobs'", "top_logprobs")
        need(not {"max_tokens", "max_completion_tokens"} <= set(body), "both limits are set", "max_tokens")
        for name in ("max_tokens", "max_completion_tokens"):
            need(name not in body or body[name] > 0, f"{name} is too small", name)
        effort = body.get("reasoning_effort")
        need(
            effort is None or effort in self.variant.efforts,
            f"reasoning_effort: {effort!r} is not one of {sorted(self.variant.efforts)}",
            "reasoning_effort",
        )
        form = body.get("response_format")
        if form is None:
            return
        if form["type"] == "json_schema":
            need(not self.variant.owes_echo, "This response_format type is unavailable now", "response_format")
            schema = form["json_schema"]
            need(set(schema) <= _names("name description schema strict"), "no schema", "response_format")
            need(
                _NAME.fullmatch(schema.get("name", "")), "Missing 'response_format.json_schema.name'", "response_format"
            )
            need(isinstance(schema.get("schema"), dict), "no schema", "response_format")
        else:
            need(form in ({"type": "json_object"}, {"type": "text"}), "no response_format", "response_format")


def _parsed(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        return None


def _base64(text: str) -> bool:
    try:
        return bool(base64.b64decode(text, validate=True))
    except (binascii.Error, ValueError):
        return False
