"""A dialect of the tests' own: its frames name the acts of the narrator that they stand for, one each."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from providers import jsonio
from providers.errors import InternalServerError
from providers.translation.asked import Asked
from providers.translation.conversation import conversation, instructions
from providers.translation.entries import FunctionCall, FunctionOutput, Said, Text
from providers.translation.narrator import Narrator
from providers.translation.parameters import Outcome, Parameter, Table, table
from providers.translation.tools import Naming, choice_of, functions, tools_of
from providers.translation.translator import Translator
from providers.types import Call, Deployment, HttpRequest, Json, JsonObject, Token

_MAPPED = {"instructions", "max_output_tokens", "metadata", "temperature", "tools", "tool_choice"}
_IGNORED = {"user", "safety_identifier"}
_REFUSED = {
    "parallel_tool_calls",
    "prompt_cache_key",
    "prompt_cache_options",
    "prompt_cache_retention",
    "reasoning",
    "service_tier",
    "text",
    "top_logprobs",
    "top_p",
}
TOY: Table = table(
    *(Parameter(name, Outcome.MAPPED, "said") for name in sorted(_MAPPED)),
    *(Parameter(name, Outcome.IGNORED, "who cares") for name in sorted(_IGNORED)),
    *(Parameter(name, Outcome.REFUSED, "toys have none") for name in sorted(_REFUSED)),
)
NAMING = Naming(re.compile(r"[^a-zA-Z0-9_-]"), 24)
NOTE: JsonObject = {"type": "url_citation", "url": "https://a.example", "title": "A", "start_index": 0, "end_index": 1}
SEARCH: JsonObject = {"type": "web_search_call", "status": "completed", "action": {"type": "search", "query": "x"}}
TOOLS = [
    {"type": "function", "name": "get weather!", "parameters": {}},
    {"type": "custom", "name": "shell", "description": "Runs it."},
]
"""What a model may call; the wire has `shell` for the second."""

Act = dict[str, Any]
"""A frame."""

STEM = "0123456789abcdef0123456789abcdef"


class ToyListener:
    """Does what each frame says; `{"error": …}` fails, and the end of the body may finish what has no end."""

    def __init__(self, narrator: Narrator, *, ends_itself: bool = False) -> None:
        self._narrator = narrator
        self._ends_itself = ends_itself

    def hear(self, frame: JsonObject) -> None:
        """One act."""
        if "error" in frame:
            raise InternalServerError(str(frame["error"]), code="toy")
        rest: dict[str, Any] = dict(frame)
        getattr(self._narrator, rest.pop("act"))(*rest.pop("of", ()), **rest)

    def usage(self) -> JsonObject | None:
        """Toys use nothing."""
        return None

    def end(self) -> None:
        """Finish, if so asked."""
        if self._ends_itself:
            self._narrator.finish()


class Toy(Translator):
    """Translates for toys."""

    table = TOY
    naming = NAMING
    ends_itself = False

    def address(self, asked: Asked) -> str:
        """One for all."""
        return f"{asked.deployment.api_base}/{asked.model}"

    def authorize(self, request: HttpRequest, deployment: Deployment, token: Token | None) -> HttpRequest:
        """Toys trust everybody."""
        return request

    def headers(self, asked: Asked) -> Mapping[str, str]:
        """One of its own."""
        return {**super().headers(asked), "x-toy": "yes"}

    def write(self, asked: Asked) -> JsonObject:
        """What is asked, entry by entry."""
        tools = tools_of(asked, self.naming)
        choice = choice_of(asked, tools)
        body: JsonObject = {"said": [_line(entry) for entry in conversation(asked)]}
        body["options"] = {name: asked.get(name) for name in sorted(_MAPPED - {"tools", "tool_choice"})}
        body["system"] = instructions(asked)
        body["tools"] = [tool.wire for tool in functions(tools)]
        body["choice"] = choice.mode if choice else None
        return body

    def read(self, json: JsonObject, narrator: Narrator, call: Call, deployment: Deployment) -> None:
        """The same acts as a stream's."""
        acts = json["acts"]
        assert isinstance(acts, list)
        listener = self.listener(narrator, call, deployment)
        for act in acts:
            if not isinstance(act, dict):
                raise TypeError
            listener.hear(act)

    def listener(self, narrator: Narrator, call: Call, deployment: Deployment) -> ToyListener:
        """What does as frames say."""
        return ToyListener(narrator, ends_itself=self.ends_itself)


def _line(entry: object) -> Json:
    if isinstance(entry, Said):
        return f"{entry.role}: {''.join(part.text for part in entry.parts if isinstance(part, Text))}"
    if isinstance(entry, FunctionCall):
        return f"{entry.call_id} {entry.name}({entry.arguments})"
    return f"{entry.call_id} = {entry.text}" if isinstance(entry, FunctionOutput) else "…"


def toy() -> Toy:
    """A translator whose time and ids are always the same."""
    return Toy("toys", wall=lambda: 1_700_000_000.5, mint=lambda: STEM)


def toy_call(stream: bool = False, **body: object) -> Call:
    """A call for a toy."""
    return Call("toys", body={"input": "Hello", **body}, stream=stream)


DEPLOYMENT = Deployment("one", "toys", "toys", "toy-1", api_base="https://toys.example.com")


def frames(acts: Sequence[JsonObject]) -> bytes:
    """The body of a stream."""
    return b"".join(b"data: %s\n\n" % jsonio.dumps(act) for act in acts)


def act(name: str, *of: Any, **rest: Any) -> Act:
    """The frame that has the narrator do this."""
    return {"act": name, "of": list(of), **rest}


def tell(told: Sequence[Act]) -> list[dict[str, Any]]:
    """The events of a stream of these acts; each as it was when it was told."""
    decoder = toy().events(toy_call(True, tools=TOOLS), DEPLOYMENT)
    events = []
    for each in told:
        events += [jsonio.loads(jsonio.dumps(event)) for event in decoder.feed(frames([each]))]
    events += [jsonio.loads(jsonio.dumps(event)) for event in decoder.end()]
    return events  # type: ignore[return-value]  # they are objects
