"""What Anthropic's Messages API demands of a request, as a strict judge: raises `Refused` with its own error.

Fields are those of the request types of anthropic-python 2.12; rules are those of platform.claude.com/docs:
api/errors (common validation errors), api/versioning, build-with-claude/{extended-thinking,adaptive-thinking,
structured-outputs,prompt-caching,pdf-support,vision}, agents-and-tools/tool-use. Stricter than the service where that
catches mistakes: it knows no field that is not written down here.
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

Json = Mapping[str, Any]

VERSIONS = frozenset({"2023-06-01", "2026-10-21"})
_EVERYTHING = frozenset({"low", "medium", "high", "xhigh", "max"})


def _names(text: str) -> frozenset[str]:
    return frozenset(text.split())


class Refused(Exception):  # noqa: N818 - it is the answer, not a fault of the test
    """The API's answer to a request that it does not take."""

    def __init__(self, message: str, kind: str = "invalid_request_error", status: int = 400) -> None:
        super().__init__(message)
        self.message = message
        self.kind = kind
        self.status = status


@dataclass(frozen=True)
class Model:
    """What one model takes."""

    adaptive: bool = True
    budgets: bool = False
    disabled: bool = True
    between: bool = False
    """Whether it takes `between_tools`."""
    forced: str = "always"
    """When a tool can be forced: always (but not on a budget), unless it thinks (unthinking), never."""
    bound: bool = False
    """Whether thinking is bound to its conversation."""
    sampling: bool = False
    both: bool = False
    """Whether temperature and top_p may be given together."""
    formats: bool = True
    prefill: bool = False
    efforts: frozenset[str] = _EVERYTHING


_OLD = {"adaptive": False, "sampling": True, "prefill": True, "efforts": frozenset[str](), "forced": "unthinking"}
_NEWEST = {"disabled": False, "forced": "never", "bound": True}
MODELS: dict[str, Model] = {
    "claude-3-5-sonnet-20241022": Model(**{**_OLD, "both": True, "formats": False}),  # type: ignore[arg-type]
    "claude-3-7-sonnet-20250219": Model(**{**_OLD, "budgets": True, "both": True, "formats": False}),  # type: ignore[arg-type]
    "claude-sonnet-4-5": Model(**{**_OLD, "budgets": True}),  # type: ignore[arg-type]
    "claude-haiku-4-5@20251001": Model(**{**_OLD, "budgets": True}),  # type: ignore[arg-type]
    "claude-sonnet-4-6": Model(
        budgets=True, sampling=True, efforts=frozenset({"low", "medium", "high"}), forced="unthinking"
    ),
    "claude-opus-4-7": Model(forced="unthinking"),
    "claude-opus-4-8": Model(),
    "claude-opus-5": Model(),
    "claude-fable-5": Model(disabled=False),
    "claude-fable-5-1": Model(**_NEWEST),  # type: ignore[arg-type]
    "claude-opus-5-5": Model(**_NEWEST),  # type: ignore[arg-type]
    "claude-sonnet-5-5": Model(**{**_NEWEST, "between": True}),  # type: ignore[arg-type]
    "claude-haiku-5-5": Model(bound=True),
}

_BODY = _names(
    "cache_control container diagnostics inference_geo max_tokens messages metadata model output_config service_tier "
    "speed stop_sequences stream system temperature thinking tool_choice tools top_k top_p user_profile_id"
)
_BLOCKS = {
    "text": "text cache_control citations",
    "image": "source cache_control transformations",
    "document": "source cache_control citations context title",
    "search_result": "source title content cache_control citations",
    "thinking": "thinking signature",
    "redacted_thinking": "data",
    "tool_use": "id input name cache_control caller toolset_name",
    "tool_result": "tool_use_id cache_control content is_error toolset_name",
    "server_tool_use": "id input name cache_control caller",
    "web_search_tool_result": "content tool_use_id cache_control caller",
}
_BY_ROLE = {
    "user": {"text", "image", "document", "search_result", "tool_result"},
    "assistant": {"text", "thinking", "redacted_thinking", "tool_use", "server_tool_use", "web_search_tool_result"},
    "tool_result": {"text", "image", "document", "search_result"},
    "system": {"text"},
}
_SOURCES = {
    ("image", "base64"): "data media_type",
    ("image", "url"): "url",
    ("image", "file"): "file_id",
    ("document", "base64"): "data media_type",
    ("document", "text"): "data media_type",
    ("document", "url"): "url",
    ("document", "file"): "file_id",
    ("document", "content"): "content",
}
_IMAGES = frozenset({"image/jpeg", "image/png", "image/gif", "image/webp"})
_SEARCH = _names(
    "name type allowed_callers allowed_domains blocked_domains cache_control defer_loading max_uses response_inclusion "
    "strict user_location"
)
_TOOL = _names(
    "name description input_schema strict cache_control type allowed_callers defer_loading eager_input_streaming "
    "input_examples"
)
_CHOICES = {"auto": "disable_parallel_tool_use", "any": "disable_parallel_tool_use", "none": ""}
_CHOICES["tool"] = "name disable_parallel_tool_use"
_THINKING = {"enabled": "budget_tokens display", "adaptive": "display", "disabled": "", "between_tools": ""}
BINDING = "thinking-binding-controls-2026-08-01"
_NAME = re.compile(r"[a-zA-Z0-9_-]{1,128}")
_PERSONAL = re.compile(r"[^@\s]+@[^@\s]+\.[^@\s]+|\+?[\d\s().-]{7,20}")


def need(fact: object, otherwise: str) -> None:
    """Refuse with `otherwise` unless `fact`."""
    if not fact:
        raise Refused(otherwise)


def known(value: object, names: str | frozenset[str], where: str) -> Json:
    """`value` as an object that has none but these fields."""
    need(isinstance(value, dict), f"{where}: Input should be a valid dictionary")
    assert isinstance(value, dict)
    allowed = frozenset(names.split()) if isinstance(names, str) else names
    for name in value:
        need(name in allowed, f"{where}.{name}: Extra inputs are not permitted")
    return value


class Judge:
    """Reads one request body. `signed` tells whether a thinking block is one that the service signed."""

    def __init__(self, body: Json, model: Model, version: str, signed: Callable[[Json], bool], betas: str = "") -> None:
        self.betas = betas.split(",")
        self.body = body
        self.model = model
        self.version = version
        self.signed = signed
        self.marks = 0
        self.tools: set[str] = set()

    @property
    def thinks(self) -> bool:
        """Whether the request turns thinking on."""
        return self.body.get("thinking", {}).get("type") in ("enabled", "adaptive")

    def check(self) -> None:
        """Raise `Refused` for what the service would refuse."""
        body = known(self.body, _BODY, "body")
        for name in ("model", "max_tokens", "messages"):
            need(body.get(name) is not None, f"{name}: Field required")
        need(type(body["max_tokens"]) is int and body["max_tokens"] >= 1, "max_tokens: must be a positive integer")
        need(body.get("stream") in (None, True, False), "stream: Input should be a valid boolean")
        self.check_thinking()
        self.check_sampling()
        self.check_tools()
        self.check_output()
        if "system" in body:
            self.check_content(body["system"], "system", "system")
        self.check_messages()
        self.check_rest()
        need(self.marks <= 4, f"A maximum of 4 blocks with cache_control may be provided. Found {self.marks}.")

    def check_thinking(self) -> None:
        """The modes, each where the model has it."""
        thinking = self.body.get("thinking")
        if thinking is None:
            need("thinking" not in self.body, "thinking: Input should be a valid dictionary")
            return
        kind = str(known(thinking, "type budget_tokens display block_binding", "thinking").get("type"))
        need(
            kind in _THINKING,
            f"thinking: Input tag {kind!r} found using 'type' does not match any of the expected tags",
        )
        binding = " block_binding" if BINDING in self.betas and kind in ("enabled", "adaptive") else ""
        known(thinking, f"type {_THINKING[kind]}{binding}", f"thinking.{kind}")
        behaviour = known(thinking.get("block_binding", {}), "prefix_mismatch_behavior", "thinking.block_binding")
        need(set(behaviour.values()) <= {"error", "drop_block"}, "thinking.block_binding: unexpected value")
        need(thinking.get("display") in (None, "summarized", "omitted"), "thinking.display: unexpected value")
        takes = {"enabled": self.model.budgets, "adaptive": self.model.adaptive, "disabled": self.model.disabled}
        takes["between_tools"] = self.model.between
        need(takes[kind], f'"thinking.type.{kind}" is not supported for this model.')
        if kind == "enabled":
            budget = thinking.get("budget_tokens")
            need(type(budget) is int, "thinking.enabled.budget_tokens: Field required")
            need(budget >= 1024, "thinking.enabled.budget_tokens: Input should be greater than or equal to 1024")
            need(self.body["max_tokens"] > budget, "`max_tokens` must be greater than `thinking.budget_tokens`.")

    def check_sampling(self) -> None:
        """Temperature and its kin."""
        given = [name for name in ("temperature", "top_p", "top_k") if name in self.body]
        need(not given or self.version == "2023-06-01", f"{given}: Extra inputs are not permitted")
        need(not given or self.model.sampling, f"`{', '.join(given)}` is deprecated for this model.")
        temperature, top_p = self.body.get("temperature"), self.body.get("top_p")
        for name, value in (("temperature", temperature), ("top_p", top_p)):
            need(value is None or 0 <= value <= 1, f"{name}: range: 0..1")
        if self.thinks:
            need(temperature in (None, 1), "`temperature` may only be set to 1 when thinking is enabled.")
            need(top_p is None or top_p >= 0.95, "`top_p` must be greater than or equal to 0.95 or unset.")
        both = temperature is not None and top_p is not None
        need(not both or self.model.both, "`temperature` and `top_p` cannot both be specified for this model.")

    def check_tools(self) -> None:
        """Tools and the choice among them."""
        for number, tool in enumerate(self.body.get("tools", ())):
            where = f"tools.{number}"
            self.mark(tool, where)
            kind = tool.get("type")
            if isinstance(kind, str) and kind.startswith("web_search_"):
                known(tool, _SEARCH, where)
                need(
                    kind in ("web_search_20250305", "web_search_20260209", "web_search_20260318"),
                    f"{where}: no such tool",
                )
                need(tool.get("name") == "web_search", f"{where}.name: Input should be 'web_search'")
                both = tool.get("allowed_domains") and tool.get("blocked_domains")
                need(not both, f"{where}: only one of allowed_domains and blocked_domains")
                if tool.get("user_location") is not None:
                    place = known(tool["user_location"], "type city country region timezone", f"{where}.user_location")
                    need(place.get("type") == "approximate", f"{where}.user_location.type: Field required")
            else:
                self.check_tool(tool, where)
            need(tool["name"] not in self.tools, "tools: Tool names must be unique.")
            self.tools.add(tool["name"])
        self.check_choice()

    def check_tool(self, tool: Json, where: str) -> None:
        """A client's tool."""
        known(tool, _TOOL, where)
        need(tool.get("type") in (None, "custom"), f"{where}: Input tag does not match any of the expected tags")
        need(isinstance(tool.get("name"), str), f"{where}.custom.name: Field required")
        need(
            _NAME.fullmatch(tool["name"]),
            f"{where}.custom.name: String should match pattern '^[a-zA-Z0-9_-]{{1,128}}$'",
        )
        schema = tool.get("input_schema")
        need(isinstance(schema, dict), f"{where}.custom.input_schema: Field required")
        need(
            isinstance(schema, dict) and schema.get("type") == "object",
            f"{where}.custom.input_schema.type: Field required",
        )
        if tool.get("strict"):
            need(self.model.formats, f"{where}.custom.strict: this model does not support strict tools.")
            _closed(schema, f"{where}.custom.input_schema")

    def check_choice(self) -> None:
        """`tool_choice`."""
        choice = self.body.get("tool_choice")
        if choice is None:
            need("tool_choice" not in self.body, "tool_choice: Input should be a valid dictionary")
            return
        need(self.tools, "tool_choice may only be specified while providing tools.")
        kind = choice.get("type")
        need(kind in _CHOICES, "tool_choice: Input tag does not match any of the expected tags")
        known(choice, f"type {_CHOICES[kind]}", "tool_choice")
        need(
            kind != "tool" or choice.get("name") in self.tools,
            f"Tool '{choice.get('name')}' not found in provided tools",
        )
        forced = kind in ("any", "tool")
        need(not forced or self.model.forced != "never", f"tool_choice.{kind} is not supported for this model.")
        budget = self.body.get("thinking", {}).get("type") == "enabled"
        thinks = budget or (self.thinks and self.model.forced == "unthinking")
        need(not (forced and thinks), "Thinking may not be enabled when tool_choice forces tool use.")

    def check_output(self) -> None:
        """`output_config`."""
        config = known(self.body.get("output_config", {}), "effort format", "output_config")
        effort = config.get("effort")
        need(effort is None or effort in _EVERYTHING, "output_config.effort: unexpected value")
        need(effort is None or effort in self.model.efforts, f"This model does not support effort level {effort!r}.")
        form = config.get("format")
        if form is not None:
            need(self.model.formats, "output_config.format: this model does not support structured outputs.")
            known(form, "type schema", "output_config.format")
            need(form.get("type") == "json_schema", "output_config.format.type: Input should be 'json_schema'")
            _closed(form.get("schema"), "output_config.format.schema")

    def check_messages(self) -> None:
        """Roles, and calls directly followed by their results."""
        messages = self.body["messages"]
        need(isinstance(messages, list) and messages, "messages: at least one message is required")
        need(messages[0].get("role") == "user", "messages: first message must use the user role")
        waiting: set[str] = set()
        last = ""
        for number, message in enumerate(messages):
            known(message, "role content", f"messages.{number}")
            role = message.get("role")
            need(role != "system", "role 'system' is not supported on this model")
            need(role in ("user", "assistant"), f"messages.{number}.role: Input should be 'user' or 'assistant'")
            need(role != last, f"messages.{number}: roles must alternate")  # the service would merge them
            last = role
            blocks = self.check_content(message.get("content"), role, f"messages.{number}")
            if role == "user":
                self.check_results(blocks, waiting, number)
            waiting = {block["id"] for block in blocks if block["type"] == "tool_use"}
            if role == "assistant":
                self.check_turn(blocks, number)
        called = any(
            block.get("type") == "tool_use" for turn in messages for block in turn["content"] if "type" in block
        )
        need(self.tools or not called, "Requests which include `tool_use` or `tool_result` blocks must define tools")
        ids = ", ".join(sorted(waiting))
        need(not waiting, f"`tool_use` ids were found without `tool_result` blocks immediately after: {ids}")
        paused = last == "assistant" and blocks[-1]["type"].endswith("_tool_result")
        if last == "assistant" and not paused:
            need(self.model.prefill, "This model does not support assistant message prefill.")
            need(not self.thinks, "prefill is not supported when thinking is enabled")
            text = blocks[-1].get("text", "")
            need(text == text.rstrip(), "messages: final assistant content cannot end with trailing whitespace")

    def check_results(self, blocks: list[Json], waiting: set[str], number: int) -> None:
        """The results in a user message are those of the calls before it, and stand first."""
        found = [block["tool_use_id"] for block in blocks if block["type"] == "tool_result"]
        for each in found:
            need(each in waiting, f"messages.{number}: unexpected `tool_use_id` found in `tool_result` blocks: {each}")
        need(len(set(found)) == len(found), f"messages.{number}: each tool_use must have a single result")
        missing = ", ".join(sorted(waiting - set(found)))
        need(not missing, f"`tool_use` ids were found without `tool_result` blocks immediately after: {missing}")
        first = [block["type"] for block in blocks[: len(found)]]
        need(set(first) <= {"tool_result"}, f"messages.{number}: `tool_result` blocks must come first")

    def check_turn(self, blocks: list[Json], number: int) -> None:
        """The thinking in an assistant message is what the service signed; a turn of tools begins with it."""
        for place, block in enumerate(blocks):
            if block["type"] in ("thinking", "redacted_thinking"):
                need(self.signed(block), f"messages.{number}.content.{place}: Invalid `signature` in `thinking` block")
        enabled = self.body.get("thinking", {}).get("type") == "enabled"
        open_turn = number == len(self.body["messages"]) - 2 and any(block["type"] == "tool_use" for block in blocks)
        if enabled and open_turn:
            begins = blocks[0]["type"] in ("thinking", "redacted_thinking")
            need(
                begins, f"messages.{number}.content.0: Expected `thinking` or `redacted_thinking`, but found `tool_use`"
            )

    def check_content(self, content: object, role: str, where: str) -> list[Json]:
        """The blocks of a message, a result or the system prompt."""
        if isinstance(content, str):
            content = [{"type": "text", "text": content}]
        need(isinstance(content, list) and content, f"{where}: content must be non-empty")
        assert isinstance(content, list)
        for number, block in enumerate(content):
            self.check_block(block, role, f"{where}.content.{number}")
        return content

    def check_block(self, block: Json, role: str, where: str) -> None:
        """One block of content."""
        kind = block.get("type")
        need(kind in _BLOCKS, f"{where}: Input tag {kind!r} does not match any of the expected tags")
        need(kind in _BY_ROLE[role], f"{where}: {kind} blocks are not permitted in {role} messages")
        assert isinstance(kind, str)
        known(block, f"type {_BLOCKS[kind]}", where)
        self.mark(block, where)
        if kind == "text":
            need(isinstance(block.get("text"), str), f"{where}.text: Field required")
            need(block["text"].strip(), "messages: text content blocks must contain non-whitespace text")
            ours = role == "user" and self.version != "2023-06-01"
            need(not (ours and block.get("citations")), f"{where}.citations: not permitted in user messages")
        elif kind in ("image", "document"):
            self.check_source(block, kind, where)
        elif kind == "tool_result":
            need(isinstance(block.get("tool_use_id"), str), f"{where}.tool_use_id: Field required")
            need(block.get("is_error") in (None, True, False), f"{where}.is_error: Input should be a valid boolean")
            if block.get("content"):
                self.check_content(block["content"], "tool_result", where)
        elif kind in ("tool_use", "server_tool_use"):
            need(isinstance(block.get("input"), dict), f"{where}.input: Input should be a valid dictionary")
            need(_NAME.fullmatch(block.get("name", "")), f"{where}.name: String should match pattern")
            need(re.fullmatch(r"[a-zA-Z0-9_-]+", block.get("id", "")), f"{where}.id: String should match pattern")

    def check_source(self, block: Json, kind: str, where: str) -> None:
        """Where an image or a document comes from."""
        source = block.get("source")
        need(isinstance(source, dict), f"{where}.source: Field required")
        assert isinstance(source, dict)
        fields = _SOURCES.get((kind, source.get("type", "")))
        need(fields is not None, f"{where}.source: Input tag does not match any of the expected tags")
        assert fields is not None
        known(source, f"type {fields}", f"{where}.source")
        for name in fields.split():
            need(source.get(name), f"{where}.source.{name}: Field required")
        if source["type"] == "base64":
            media = _IMAGES if kind == "image" else frozenset({"application/pdf"})
            need(source["media_type"] in media, f"{where}.source.media_type: Input should be one of {sorted(media)}")
            try:
                base64.b64decode(source["data"], validate=True)
            except binascii.Error:
                raise Refused(f"{where}.source.data: Invalid base64 data") from None
        elif source["type"] == "text":
            need(source["media_type"] == "text/plain", f"{where}.source.media_type: Input should be 'text/plain'")
        elif source["type"] == "url":
            need(re.match("https?://", source["url"]), f"{where}.source.url: Only HTTP(S) URLs are supported")
        need(block.get("title") is None or len(block["title"]) <= 500, f"{where}.title: too long")

    def check_rest(self) -> None:
        """Stop sequences, metadata, tier."""
        for number, text in enumerate(self.body.get("stop_sequences", ())):
            need(text.strip(), f"stop_sequences.{number}: each stop sequence must contain non-whitespace")
        tier = self.body.get("service_tier")
        need(tier in (None, "auto", "standard_only"), "service_tier: Input should be 'auto' or 'standard_only'")
        user = known(self.body.get("metadata", {}), "user_id", "metadata").get("user_id")
        if user is not None:
            need(len(user) <= 256, "metadata.user_id: String should have at most 256 characters")
            need(
                not _PERSONAL.fullmatch(user), "metadata.user_id: user_id appears to contain an email or a phone number"
            )
        if "cache_control" in self.body:
            self.mark(self.body, "body")

    def mark(self, block: Json, where: str) -> None:
        """Count a cache breakpoint."""
        control = block.get("cache_control")
        if control is not None:
            known(control, "type ttl", f"{where}.cache_control")
            need(control.get("type") == "ephemeral", f"{where}.cache_control.type: Input should be 'ephemeral'")
            need(control.get("ttl") in (None, "5m", "1h"), f"{where}.cache_control.ttl: Input should be '5m' or '1h'")
            self.marks += 1


def _closed(schema: object, where: str) -> None:
    """Objects of a strict schema say that nothing may be added; limits on values are not understood."""
    if isinstance(schema, list):
        for item in schema:
            _closed(item, where)
        return
    if not isinstance(schema, dict):
        return
    if schema.get("type") == "object":
        said = schema.get("additionalProperties")
        need(said is False, f"{where}: For 'object' type, 'additionalProperties' must be explicitly set to false")
    for name in ("minimum", "maximum", "minLength", "maxLength", "maxItems", "multipleOf"):
        need(name not in schema, f"{where}: For '{schema.get('type')}' type, property '{name}' is not supported")
    for name, value in schema.items():
        if name in ("properties", "$defs"):
            for inner in value.values():
                _closed(inner, where)
        else:
            _closed(value, where)
