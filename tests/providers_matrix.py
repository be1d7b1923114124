"""What is tried at every provider, and what may come of it: the cells of the table that the README shows.

`fixtures/provider_matrix.json` holds what came of it. `WRITE_MATRIX=1 pytest tests/integration/test_provider_matrix.py`
writes it anew; then the README wants what `markdown` makes of it.
"""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeAlias

from provider_stages import CITY, HELLO, THOUGHT, TOOL, Json, Stage
from responses_protocol import check_stream
from routers import read

from providers.catalog import VENDORS
from providers.errors import (
    APIError,
    AuthenticationError,
    BadRequestError,
    ContextWindowExceededError,
    ModelNotFoundError,
    PermissionDeniedError,
    PreviousResponseNotFoundError,
    RateLimitError,
    ResponseNotFoundError,
    ServiceUnavailableError,
)
from providers.translation.parameters import Outcome, Table
from providers.translation.translator import Translator
from providers.views import Response
from router import Router

RECORDED = Path(__file__).parent / "fixtures" / "provider_matrix.json"
YES, DROP, NEVER, IGNORED = "yes", "drop", "400", "–"
LEGEND = {
    YES: "it works",
    DROP: "refused with a 400 that names the parameter; left out, and told, if `drop_params` is set",
    NEVER: "refused with a 400 in any case: without it the question would be another",
    IGNORED: "left out, and the answer is as good without",
}

PIXEL = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
PDF = "JVBERi0xLjQKJSVFT0YK"
SOUND = "UklGRiQAAABXQVZFZm10IBAAAAA="
SCHEMA = {
    "type": "object",
    "properties": {"city": {"type": "string"}},
    "required": ["city"],
    "additionalProperties": False,
}
WEATHER = {"type": "function", "name": TOOL, "description": "Mark weather.", "parameters": SCHEMA}
CALL = {"type": "function_call", "call_id": "call_1", "name": TOOL, "arguments": '{"city":"Mark call"}'}
OUTPUT = {"type": "function_call_output", "call_id": "call_1", "output": "Mark output"}

Check = Callable[[Json], object]
Fragments: TypeAlias = "tuple[str | tuple[str, ...], ...]"


@dataclass(frozen=True)
class Feature:
    """A call, what must be on the wire, and what must come back."""

    title: str
    call: Json
    wire: Fragments = ()
    """Fragments of the body's compact JSON; of a tuple any; with a `!`, what may not be there."""
    says: str = "text"
    check: Check | None = None
    """Looks at the response; None: it says `HELLO`."""
    thinks: bool = False
    each: Mapping[str, Fragments] = field(default_factory=dict)
    """Fragments at some providers, in place of `wire`."""


def user(*parts: Json) -> list[Json]:
    """A message of the user's."""
    return [{"role": "user", "content": list(parts)}]


def _says_hello(response: Json) -> None:
    texts = [part["text"] for item in response["output"] if item["type"] == "message" for part in item["content"]]
    assert "".join(texts) == HELLO


def _calls(count: int) -> Check:
    def check(response: Json) -> None:
        calls = [item for item in response["output"] if item["type"] == "function_call"]
        assert [call["name"] for call in calls] == [TOOL] * count
        assert all(json.loads(call["arguments"]) == CITY for call in calls)
        assert len({call["call_id"] for call in calls}) == count

    return check


def _thinks(response: Json) -> None:
    reasoning = [item for item in response["output"] if item["type"] == "reasoning"]
    assert [part["text"] for item in reasoning for part in item["summary"]] == [THOUGHT]
    _says_hello(response)


def _counts(response: Json) -> None:
    usage = response["usage"]
    assert (usage["input_tokens"], usage["output_tokens"], usage["total_tokens"]) == (9, 4, 13)


def _stops(reason: str) -> Check:
    def check(response: Json) -> None:
        assert response["status"] == "incomplete"
        assert response["incomplete_details"] == {"reason": reason}

    return check


def _declines(response: Json) -> None:
    refused = [part for item in response["output"] for part in item.get("content", ()) if part["type"] == "refusal"]
    assert refused or response["incomplete_details"] == {"reason": "content_filter"}


HI = user({"type": "input_text", "text": "Hi"})
IMAGE = {"type": "input_image", "image_url": f"data:image/png;base64,{PIXEL}"}
FEATURES = (
    Feature("text", {"input": "Mark text"}, ("Mark text",)),
    Feature(
        "instructions",
        {"input": "Hi", "instructions": "Mark rule"},
        (
            (
                '"instructions":"Mark rule"',
                '{"role":"system","content":"Mark rule"}',
                '"system":[{"type":"text","text":"Mark rule"}]',
                '"system":[{"text":"Mark rule"}]',
                '"systemInstruction":{"parts":[{"text":"Mark rule"}]}',
            ),
        ),
    ),
    Feature(
        "developer messages",
        {"input": [{"role": "developer", "content": "Mark rule"}, *user({"type": "input_text", "text": "Hi"})]},
        ("Mark rule",),
    ),
    Feature("image, inline", {"input": user(IMAGE)}, (PIXEL,)),
    Feature(
        "image, by address",
        {"input": user({"type": "input_image", "image_url": "{files}/a.png"})},
        (("/a.png", PIXEL),),
    ),
    Feature(
        "file, inline",
        {"input": user({"type": "input_file", "filename": "a.pdf", "file_data": f"data:application/pdf;base64,{PDF}"})},
        (PDF,),
    ),
    Feature(
        "file, by address", {"input": user({"type": "input_file", "file_url": "{files}/a.pdf"})}, (("/a.pdf", PDF),)
    ),
    Feature(
        "image or file, by id",
        {
            "input": user(
                {"type": "input_image", "file_id": "file-image"}, {"type": "input_file", "file_id": "file-document"}
            )
        },
        ("file-image", "file-document"),
    ),
    Feature(
        "audio",
        {"input": user({"type": "input_audio", "input_audio": {"data": SOUND, "format": "wav"}})},
        (SOUND,),
    ),
    Feature("function tools", {"input": "Hi", "tools": [WEATHER]}, ("Mark weather",), "call", _calls(1)),
    Feature("calls at once", {"input": "Hi", "tools": [WEATHER]}, (TOOL,), "calls", _calls(2)),
    Feature(
        "one call at a time",
        {"input": "Hi", "tools": [WEATHER], "parallel_tool_calls": False},
        (('"parallel_tool_calls":false', '"disable_parallel_tool_use":true'),),
    ),
    Feature("tool outputs", {"input": [*HI, CALL, OUTPUT], "tools": [WEATHER]}, ("Mark call", "Mark output")),
    Feature(
        "tool outputs, images",
        {"input": [*HI, CALL, {**OUTPUT, "output": [IMAGE]}], "tools": [WEATHER]},
        (PIXEL,),
    ),
    Feature(
        "tool_choice, a function",
        {"input": "Hi", "tools": [WEATHER], "tool_choice": {"type": "function", "name": TOOL}},
        (
            (
                f'"tool_choice":{{"type":"function","name":"{TOOL}"}}',
                f'"tool_choice":{{"type":"function","function":{{"name":"{TOOL}"}}}}',
                f'"tool_choice":{{"type":"tool","name":"{TOOL}"}}',
                f'"toolChoice":{{"tool":{{"name":"{TOOL}"}}}}',
                f'{{"mode":"ANY","allowedFunctionNames":["{TOOL}"]}}',
            ),
        ),
        "call",
        _calls(1),
        each={"perplexity": ('"tool_choice":"required"',)},  # there is no other function
    ),
    Feature(
        "tool_choice, required",
        {"input": "Hi", "tools": [WEATHER], "tool_choice": "required"},
        (('"tool_choice":"required"', '"tool_choice":{"type":"any"}', '"toolChoice":{"any":{}}', '{"mode":"ANY"}'),),
        "call",
        _calls(1),
    ),
    Feature(
        "tool_choice, none",
        {"input": "Hi", "tools": [WEATHER], "tool_choice": "none"},
        (('"tool_choice":"none"', '"tool_choice":{"type":"none"}', '{"mode":"NONE"}'),),
        each=dict.fromkeys(("bedrock", "ollama"), (f"!{TOOL}",)),  # they have no word for it: the tools are left out
    ),
    Feature(
        "custom tools",
        {"input": "Hi", "tools": [{"type": "custom", "name": "shell", "description": "Mark shell."}]},
        ("Mark shell.",),
    ),
    Feature(
        "web_search",
        {"input": "Hi", "tools": [{"type": "web_search"}]},
        (('"web_search', '"googleSearch":{}'),),
        each={"perplexity": ("!tools",)},  # it searches in any case
    ),
    Feature(
        "structured output",
        {"input": "Hi", "text": {"format": {"type": "json_schema", "name": "place", "schema": SCHEMA, "strict": True}}},
        (("json_schema", "responseJsonSchema"), "city"),
    ),
    Feature(
        "reasoning effort",
        {"input": "Hi", "reasoning": {"effort": "high"}},
        (('"effort":"high"', '"reasoning_effort":"high"', '"thinkingLevel":"HIGH"', '"budget_tokens":'),),
        "thought",
        _thinks,
        thinks=True,
    ),
    Feature("verbosity", {"input": "Hi", "text": {"verbosity": "low"}}, ('"verbosity":"low"',)),
    Feature(
        "max_output_tokens",
        {"input": "Hi", "max_output_tokens": 1234},
        (
            (
                '"max_output_tokens":1234',
                '"max_tokens":1234',
                '"max_completion_tokens":1234',
                '"maxTokens":1234',
                '"maxOutputTokens":1234',
            ),
        ),
    ),
    Feature("temperature", {"input": "Hi", "temperature": 0.25}, ('"temperature":0.25',)),
    Feature("top_p", {"input": "Hi", "top_p": 0.75}, (('"top_p":0.75', '"topP":0.75'),)),
    Feature("top_logprobs", {"input": "Hi", "top_logprobs": 3}, (('"top_logprobs":3', '"logprobs":3'),)),
    Feature("metadata", {"input": "Hi", "metadata": {"mark": "mark-metadata"}}, ("mark-metadata",)),
    Feature("user", {"input": "Hi", "user": "mark-user"}, ("mark-user",)),
    Feature("safety_identifier", {"input": "Hi", "safety_identifier": "mark-user"}, ("mark-user",)),
    Feature("service_tier", {"input": "Hi", "service_tier": "priority"}, (("service_tier", "serviceTier"),)),
    Feature("prompt_cache_key", {"input": "Hi", "prompt_cache_key": "mark-cache"}, ("mark-cache",)),
    Feature("truncation", {"input": "Hi", "truncation": "auto"}, ("truncation",)),
    Feature(
        "max_tool_calls",
        {"input": "Hi", "tools": [{"type": "web_search"}], "max_tool_calls": 2},
        (("max_tool_calls", "max_uses"),),
    ),
    Feature("background", {"input": "Hi", "background": True}, ("background",)),
    Feature("conversation", {"input": "Hi", "conversation": "conv_1"}, ("conv_1",)),
    Feature("prompt", {"input": "Hi", "prompt": {"id": "pmpt_1"}}, ("pmpt_1",)),
    Feature("usage", {"input": "Hi"}, (), "text", _counts),
    Feature("refusals", {"input": "Hi"}, (), "refusal", _declines),
    Feature("cut at the limit", {"input": "Hi"}, (), "length", _stops("max_output_tokens")),
    Feature("cut by a filter", {"input": "Hi"}, (), "filter", _stops("content_filter")),
)
"""Each with a reply and, where it is taken, with a stream that must agree with it."""

ERRORS: Mapping[str, tuple[str, tuple[type[APIError], ...]]] = {
    "error: bad key": ("key", (AuthenticationError, PermissionDeniedError)),
    "error: rate limit": ("rate", (RateLimitError,)),
    "error: overloaded": ("overload", (ServiceUnavailableError,)),
    "error: input too long": ("context", (ContextWindowExceededError,)),
    "error: unknown model": ("model", (ModelNotFoundError,)),
}


@dataclass(frozen=True)
class Trial:
    """One provider with a Router to it."""

    stage: Stage
    files: str
    """Where files may be fetched from."""

    def router(self, *, thinks: bool = False, **params: Any) -> Router:
        """A Router to the provider."""
        return Router([self.stage.entry(thinks=thinks, **params)], num_retries=0, remote_files="any")

    async def cell(self, feature: Feature) -> str:
        """What comes of a feature. Raises `AssertionError` if it is dropped in silence."""
        call = json.loads(json.dumps(feature.call).replace("{files}", self.files))
        async with self.router(thinks=feature.thinks) as router:
            try:
                found = await self._ask(router, feature, call, stream=False)
            except BadRequestError as error:
                return await self._dropped(feature, call, error)
            streamed = await self._ask(router, feature, call, stream=True)
            assert streamed == found
            return found

    async def _ask(self, router: Router, feature: Feature, call: Json, *, stream: bool) -> str:
        before = len(self.stage.bodies())
        self.stage.says(feature.says, stream=stream)
        if stream:
            events = await read(await router.aresponses("group", stream=True, **call))
            response = check_stream(events)
        else:
            response = (await router.aresponses("group", **call)).to_dict()
        assert not self.stage.complaints(), self.stage.complaints()
        (feature.check or _says_hello)(response)
        (body,) = self.stage.bodies()[before:]
        wire = json.dumps(body, separators=(",", ":"), ensure_ascii=False)
        missing = [each for each in feature.each.get(self.stage.title, feature.wire) if not _there(each, wire)]
        if not missing:
            return YES
        asked = set(call) - {"input", "tools"}
        table = _table(self.stage)
        assert asked, f"{missing} is not in {wire}"
        assert table is not None
        assert all(table[name].outcome is Outcome.IGNORED for name in asked), f"{feature.title} was dropped: {wire}"
        return IGNORED

    async def _dropped(self, feature: Feature, call: Json, error: BadRequestError) -> str:
        assert error.status_code == 400
        assert not self.stage.complaints(), f"{feature.title}: {self.stage.complaints()}"
        assert error.param is not None, f"{feature.title}: {error}"
        assert error.param.partition("[")[0].partition(".")[0] in call, f"{feature.title}: {error.param}"
        async with self.router(thinks=feature.thinks, drop_params=True) as router:
            try:
                response = await router.aresponses("group", **call)
            except BadRequestError as again:
                if again.param != error.param:
                    raise
                self.stage.forget()
                return NEVER
        told = [note for note in response.routing.dropped if note.startswith(f"{error.param}:")]
        assert told, f"{feature.title}: {response.routing.dropped} says nothing of {error.param}"
        return DROP


def _there(fragment: str | tuple[str, ...], wire: str) -> bool:
    if isinstance(fragment, tuple):
        return any(one in wire for one in fragment)
    return fragment[1:] not in wire if fragment.startswith("!") else fragment in wire


def _table(stage: Stage) -> Table | None:
    provider = VENDORS[stage.name].dialects[stage.dialect]
    return provider.table if isinstance(provider, Translator) else None


# what is more than one call


async def errors(trial: Trial, what: str, classes: tuple[type[APIError], ...]) -> str:
    """An error of the vendor's is one of ours, streamed or not."""
    async with trial.router() as router:
        for stream in (False, True):
            trial.stage.fails(what)
            try:
                await router.aresponses("group", "Hi", stream=stream)
            except classes:
                continue
            raise AssertionError(f"{what}: no error")
    return YES


async def broken_stream(trial: Trial) -> str:
    """A stream that ends before its end does not end well."""
    async with trial.router() as router:
        trial.stage.says("cut", stream=True)
        try:
            events = await read(await router.aresponses("group", "Hi", stream=True))
        except APIError:
            return YES
        assert check_stream(events)["status"] == "failed"
    return YES


async def replayed_thought(trial: Trial) -> str:
    """Reasoning is sent back as the vendor wants it, signature and all."""
    async with trial.router(thinks=True) as router:
        trial.stage.says("thought", stream=False)
        first = await router.aresponses("group", "Hi", reasoning={"effort": "high"}, store=False, stream=False)
        trial.stage.says("text", stream=False)
        items = [{"role": "user", "content": "Hi"}, *first.output, {"role": "user", "content": "More"}]
        await router.aresponses("group", items, reasoning={"effort": "high"})
        wire = json.dumps(trial.stage.bodies()[-1])
        assert not trial.stage.complaints(), trial.stage.complaints()
        signed = any(mark in wire for mark in ("c2lnbmVk", "gAAAAsigned"))
        return YES if signed else (YES if THOUGHT in wire else IGNORED)


async def continued(trial: Trial) -> str:
    """`previous_response_id`: the turns before are said again where nobody remembers them."""
    async with trial.router() as router:
        trial.stage.says("text", stream=True)
        events = await router.aresponses("group", "Mark first", stream=True)
        await read(events)
        assert events.response is not None
        trial.stage.says("text", stream=False)
        second = await router.aresponses("group", "Mark second", previous_response_id=events.response.id)
        wire = json.dumps(trial.stage.bodies()[-1])
        assert "Mark second" in wire
        assert second.previous_response_id == events.response.id or isinstance(
            trial.stage.bodies()[-1].get("input"), str
        )
        if "previous_response_id" not in wire:
            assert wire.index("Mark first") < wire.index(HELLO) < wire.index("Mark second")
            try:
                await router.aresponses("group", "Hi", previous_response_id="resp_unknown")
            except PreviousResponseNotFoundError:
                return YES
            raise AssertionError("an unknown response was continued")
    return YES


async def stored(trial: Trial) -> str:
    """GET, DELETE and `input_items`."""
    async with trial.router() as router:
        trial.stage.says("text", stream=False)
        made = await router.aresponses("group", "Mark stored")
        kept = await router.aget_responses(made.id)
        assert isinstance(kept, Response)
        assert kept.output == made.output
        page = await router.alist_input_items(made.id)
        assert [item.role for item in page.data] == ["user"]
        assert (await router.adelete_responses(made.id)).deleted
        try:
            await router.aget_responses(made.id)
        except ResponseNotFoundError:
            return YES
    raise AssertionError("it is still there")


STORIES: Mapping[str, Callable[[Trial], Awaitable[str]]] = {
    "reasoning, sent back": replayed_thought,
    "previous_response_id": continued,
    "GET, DELETE, input_items": stored,
    "streams that break off": broken_stream,
}


async def column(trial: Trial) -> dict[str, str]:
    """All cells of one provider."""
    cells = {}
    for feature in FEATURES:
        try:
            cells[feature.title] = await trial.cell(feature)
        except Exception as error:
            error.add_note(f"{trial.stage.title}: {feature.title}")
            raise
    for title, story in STORIES.items():
        cells[title] = await story(trial)
    for title, (what, classes) in ERRORS.items():
        cells[title] = await errors(trial, what, classes)
    return cells


def recorded() -> dict[str, dict[str, str]]:
    """All cells, by provider and feature."""
    found: dict[str, dict[str, str]] = json.loads(RECORDED.read_text()) if RECORDED.exists() else {}
    return found


def markdown(columns: Mapping[str, Mapping[str, str]]) -> str:
    """As the README shows it: what works everywhere in a sentence, providers that are alike in one column."""
    alike: dict[tuple[str, ...], list[str]] = {}
    for title, cells in columns.items():
        alike.setdefault(tuple(cells.values()), []).append(f"`{title}`")
    titles = list(next(iter(columns.values())))
    rows = dict(zip(titles, zip(*alike, strict=True), strict=True))
    everywhere = [title for title, cells in rows.items() if set(cells) == {YES}]
    lines = [f"At {', '.join(f'`{title}`' for title in columns)} all of this works: {'; '.join(everywhere)}. And:", ""]
    lines += [f"| | {' | '.join(', '.join(names) for names in alike.values())} |", "|---" * (len(alike) + 1) + "|"]
    lines += [f"| {title} | {' | '.join(cells)} |" for title, cells in rows.items() if title not in everywhere]
    return "\n".join([*lines, "", *(f"- {mark}: {meaning}." for mark, meaning in LEGEND.items())])
