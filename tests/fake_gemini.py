"""The Gemini API and Vertex AI on loopback: answers what a test scripts, and is strict about what it is sent.

Requests are read by google-genai's own types, which take no unknown fields, and checked for what the real
services refuse: turns without parts, calls without answers, missing signatures, wrong names, settings of another
generation. A play for `wire.serve`.
"""

import json
import re
from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qs, unquote

from google.genai import types
from wire import CHUNKED, END, Link, piece

KEY = "AIza-fake"
TOKEN = "ya29.fake"

_GEMINI = re.compile(r"/(?P<version>v1|v1beta|v1alpha)/(?:models|tunedModels)/(?P<model>[^/:]+):(?P<method>\w+)")
_VERTEX = re.compile(
    r"/(?P<version>v1|v1beta1)/(?:projects/(?P<project>[^/]+)/locations/(?P<location>[^/]+)/)?"
    r"(?:publishers/google/models|endpoints)/(?P<model>[^/:]+):(?P<method>\w+)"
)
_NAME = re.compile(r"[a-zA-Z_][a-zA-Z0-9_.:-]{0,63}")
_FIELDS: dict[str, Any] = {
    "systemInstruction": types.Content,
    "generationConfig": types.GenerationConfig,
    "toolConfig": types.ToolConfig,
}
_LISTS: dict[str, Any] = {"contents": types.Content, "tools": types.Tool, "safetySettings": types.SafetySetting}
_SCALARS: dict[str, type] = {"cachedContent": str, "labels": dict, "serviceTier": str}
_DATA = {
    "text",
    "inlineData",
    "fileData",
    "functionCall",
    "functionResponse",
    "executableCode",
    "codeExecutionResult",
    "toolCall",
    "toolResponse",
}


class Refused(Exception):  # noqa: N818 - a refusal, not a fault
    """What the service says no with."""

    def __init__(self, message: str, code: int = 400, status: str = "INVALID_ARGUMENT", reason: str = "") -> None:
        super().__init__(message)
        self.code = code
        info = {"@type": "type.googleapis.com/google.rpc.ErrorInfo", "reason": reason, "domain": "googleapis.com"}
        self.json = {"error": {"code": code, "message": message, "status": status, "details": [info] if reason else []}}


@dataclass(frozen=True)
class Sent:
    """A request that was answered."""

    path: str
    headers: dict[str, str]
    body: dict[str, Any]
    model: str
    stream: bool


@dataclass(frozen=True)
class Said:
    """An answer: its frames, or bytes as they are."""

    frames: tuple[dict[str, Any], ...] = ()
    status: int = 200
    raw: bytes | None = None
    headers: str = ""


@dataclass
class FakeGemini:
    """What it was sent, and what it will say. Without a script it says `Hello`."""

    sent: list[Sent] = field(default_factory=list)
    listed: int = 0
    """How often it was asked for its models."""
    complaints: list[str] = field(default_factory=list)
    """Why requests were refused."""
    script: deque[Said] = field(default_factory=deque)

    def says(self, *frames: dict[str, Any]) -> None:
        """Answer the next request with these frames; as one, if it wants no stream."""
        self.script.append(Said(frames))

    def fails(self, status: int, body: Any, headers: str = "") -> None:
        """Answer the next request with an error."""
        self.script.append(Said(status=status, raw=json.dumps(body).encode(), headers=headers))

    def writes(self, raw: bytes) -> None:
        """Answer the next request with these bytes as the body of a 200."""
        self.script.append(Said(raw=raw))

    async def __call__(self, link: Link) -> None:
        while request := await link.request():
            try:
                if request.startswith(b"GET "):
                    self.listed += 1
                    await link.send(*_whole(200, _list(request)))
                    continue
                sent = self._read(request)
            except Refused as refusal:
                self.complaints.append(str(refusal))
                await link.send(*_whole(refusal.code, json.dumps(refusal.json).encode()))
                continue
            self.sent.append(sent)
            said = self.script.popleft() if self.script else Said((hello(),))
            if said.raw is not None:
                await link.send(*_whole(said.status, said.raw, said.headers))
            elif sent.stream:
                frames = (b"data: %s\r\n\r\n" % json.dumps(frame).encode() for frame in said.frames)
                head = CHUNKED.replace(b"\r\n\r\n", b"\r\nContent-Type: text/event-stream\r\n\r\n")
                await link.send(head, *map(piece, frames), END)
            else:
                await link.send(*_whole(200, json.dumps(merged(said.frames)).encode()))

    def _read(self, request: bytes) -> Sent:
        head, _, content = request.partition(b"\r\n\r\n")
        line, *rest = head.decode().split("\r\n")
        headers = {name.lower(): value.strip() for name, _, value in (each.partition(":") for each in rest)}
        verb, target, _ = line.split(" ")
        path, _, query = target.partition("?")
        match = _GEMINI.fullmatch(unquote(path)) or _VERTEX.fullmatch(unquote(path))
        if verb != "POST" or match is None or match["method"] not in ("generateContent", "streamGenerateContent"):
            raise Refused(f"{verb} {path} was not found", 404, "NOT_FOUND")
        place = match.groupdict()
        _check_caller(headers, query, place)
        stream = place["method"] == "streamGenerateContent"
        if stream != (parse_qs(query).get("alt") == ["sse"]):
            raise Refused("alt=sse goes with streams, and with nothing else")
        if not headers.get("content-type", "").startswith("application/json"):
            raise Refused("Unsupported content type")
        body = json.loads(content)
        check(body, place["model"])
        return Sent(target, headers, body, place["model"], stream)


def _list(request: bytes) -> bytes:
    """The models, if the request for them is good."""
    line, *rest = request.partition(b"\r\n\r\n")[0].decode().split("\r\n")
    headers = {name.lower(): value.strip() for name, _, value in (each.partition(":") for each in rest)}
    path, _, query = line.split(" ")[1].partition("?")
    if path != "/v1beta/models":
        raise Refused(f"GET {path} was not found", 404, "NOT_FOUND")
    _check_caller(headers, query, {})
    return json.dumps({"models": [{"name": "models/gemini-3-pro"}]}).encode()


def _check_caller(headers: dict[str, str], query: str, place: dict[str, Any]) -> None:
    bearer = headers.get("authorization")
    if "key" in parse_qs(query):
        raise Refused("a key in the URL")
    if bearer is not None:
        if bearer != f"Bearer {TOKEN}":
            raise Refused("Request had invalid authentication credentials.", 401, "UNAUTHENTICATED")
        if "project" in place and place["project"] is None:
            raise Refused("a token needs a project")
    elif "x-goog-api-key" not in headers:
        raise Refused("Method doesn't allow unregistered callers.", 403, "PERMISSION_DENIED")
    elif headers["x-goog-api-key"] != KEY:
        raise Refused("API key not valid. Please pass a valid API key.", reason="API_KEY_INVALID")


def check(body: dict[str, Any], model: str) -> None:
    """Refuse a body that the services would."""
    if unknown := body.keys() - {*_FIELDS, *_LISTS, *_SCALARS}:
        raise Refused(f'Unknown name "{min(unknown)}": Cannot find field.')
    for name, value in body.items():
        try:
            if name in _LISTS:
                for each in value:
                    _LISTS[name].model_validate(each)
            elif name in _FIELDS:
                _FIELDS[name].model_validate(value)
        except ValueError as error:
            raise Refused(f"Invalid value at {name}: {error}") from None
        if name in _SCALARS and not isinstance(value, _SCALARS[name]):
            raise Refused(f"Invalid value at {name}")
    found = re.match(r"(?:models/)?gemini-(?:(\d+)|[a-z-]*latest)", model)
    modern = found is not None and int(found[1] or 3) >= 3
    _check_contents(body.get("contents", []), modern)
    _check_tools(body, modern)
    _check_config(body.get("generationConfig", {}), modern)


def _check_contents(contents: list[dict[str, Any]], modern: bool) -> None:
    if not contents:
        raise Refused("* GenerateContentRequest.contents: contents is not specified")
    for turn in contents:
        if turn.get("role") not in ("user", "model"):
            raise Refused("Please use a valid role: user, model.")
        if not turn.get("parts"):
            raise Refused("* GenerateContentRequest.contents.parts: contents.parts must not be empty.")
        for part in turn["parts"]:
            if len(_DATA & part.keys()) != 1:
                raise Refused("Unable to submit request because it must have a text parameter, or one other data field")
    previous: dict[str, Any] = {"role": "user", "parts": []}
    for turn in contents:
        calls, answers = _inner(previous, "functionCall"), _inner(turn, "functionResponse")
        if [call["name"] for call in calls] != [answer["name"] for answer in answers]:
            raise Refused(
                "Please ensure that the number of function response parts is equal to the number of function call parts"
            )
        if [call.get("id") for call in calls] != [answer.get("id") for answer in answers]:
            raise Refused("function responses do not match the ids of their calls")
        if not all(isinstance(answer.get("response"), dict) for answer in answers):
            raise Refused("function_response.response: Invalid value")
        if answers and not modern and any("parts" in answer for answer in answers):
            raise Refused("Multimodal function response is not supported by this model")
        own = [part for part in turn["parts"] if "functionCall" in part]
        if own and modern and not own[0].get("thoughtSignature"):
            raise Refused("Function call is missing a thought_signature in functionCall parts.")
        previous = turn
    if _inner(previous, "functionCall"):
        raise Refused("Please ensure that function call turn is followed by a function response turn")


def _inner(turn: dict[str, Any], kind: str) -> list[dict[str, Any]]:
    parts: list[dict[str, Any]] = turn["parts"]
    found: list[dict[str, Any]] = [part[kind] for part in parts if kind in part]
    return found


def _check_tools(body: dict[str, Any], modern: bool) -> None:
    tools = body.get("tools", [])
    names = [each["name"] for tool in tools for each in tool.get("functionDeclarations", [])]
    if bad := [name for name in names if not _NAME.fullmatch(name)]:
        raise Refused(f"Invalid function name {bad[0]!r}")
    if len(set(names)) < len(names):
        raise Refused("Duplicate function declaration found")
    own = [tool for tool in tools if "functionDeclarations" not in tool]
    config = body.get("toolConfig", {})
    if own and names:
        if not modern:
            raise Refused("Built-in tools and Function Calling cannot be combined in the same request.")
        if not config.get("includeServerSideToolInvocations"):
            raise Refused("Please enable tool_config.include_server_side_tool_invocations")
    calling = config.get("functionCallingConfig")
    if calling is None:
        return
    if not names:
        raise Refused("Function calling config is set without function_declarations.")
    allowed = calling.get("allowedFunctionNames")
    if allowed is not None and (calling["mode"] not in ("ANY", "VALIDATED") or not set(allowed) <= set(names)):
        raise Refused("allowed_function_names should be set only for ANY or VALIDATED, to declared names")


def _check_config(config: dict[str, Any], modern: bool) -> None:
    thinking = config.get("thinkingConfig", {})
    if "thinkingLevel" in thinking and not modern:
        raise Refused("Thinking level is not supported for this model.")
    if {"thinkingLevel", "thinkingBudget"} <= thinking.keys():
        raise Refused("You can only set only one of thinking budget and thinking level.")
    if "responseJsonSchema" in config and config.get("responseMimeType") != "application/json":
        raise Refused("response_json_schema needs response_mime_type application/json")
    if "logprobs" in config and not config.get("responseLogprobs"):
        raise Refused("logprobs needs response_logprobs")


def _whole(status: int, content: bytes, headers: str = "") -> tuple[bytes, bytes]:
    head = f"HTTP/1.1 {status} X\r\nContent-Type: application/json; charset=UTF-8\r\n{headers}"
    return f"{head}Content-Length: {len(content)}\r\n\r\n".encode(), content


def hello(text: str = "Hello") -> dict[str, Any]:
    """A frame that says a text and ends well."""
    said: dict[str, Any] = frame({"text": text}, stop="STOP", usage={"promptTokenCount": 3, "candidatesTokenCount": 2})
    return said


def frame(*parts: dict[str, Any], stop: str | None = None, usage: dict[str, int] | None = None, **rest: Any) -> Any:
    """A `GenerateContentResponse`; `rest` are more fields of the candidate. The total of `usage` is added up."""
    candidate: dict[str, Any] = {"index": 0, **rest}
    if parts:
        candidate["content"] = {"role": "model", "parts": list(parts)}
    if stop is not None:
        candidate["finishReason"] = stop
    json: dict[str, Any] = {"candidates": [candidate], "modelVersion": "gemini-fake-001", "responseId": "r1"}
    if usage is not None:
        counts = {name: count for name, count in usage.items() if name != "cachedContentTokenCount"}
        json["usageMetadata"] = {"totalTokenCount": sum(counts.values()), **usage}
    return json


def merged(frames: Iterable[dict[str, Any]]) -> dict[str, Any]:
    """A stream's frames as the one reply that they would be: neighbouring texts of one kind are joined."""
    whole: dict[str, Any] = {}
    parts: list[dict[str, Any]] = []
    candidate: dict[str, Any] = {}
    for each in frames:
        whole.update({name: value for name, value in each.items() if name != "candidates"})
        for found in each.get("candidates", [])[:1]:
            parts += found.get("content", {}).get("parts", [])
            candidate.update({name: value for name, value in found.items() if name != "content"})
    joined: list[dict[str, Any]] = []
    for part in parts:
        last = joined[-1] if joined else {}
        same = "text" in part and "text" in last and part.get("thought") == last.get("thought")
        if same and "thoughtSignature" not in last:
            joined[-1] = {**last, **part, "text": last["text"] + part["text"]}
        else:
            joined.append(dict(part))
    if joined:
        candidate["content"] = {"role": "model", "parts": joined}
    if candidate:
        whole["candidates"] = [candidate]
    return whole
