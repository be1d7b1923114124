"""Who translates, in a process of its own: `translators.py NAME`. Started by `translation.py`, never by hand.

The same bytes in, a response object or its events out; nothing is sent. Ours: a provider's `decode` and `events`.
LiteLLM: what its `responses()` does with a reply of a vendor that it bridges to, that is, the vendor's own
`transform_response` and then the bridge's to a response; and for a stream the vendor's iterator, its
`CustomStreamWrapper`, and the bridge's iterator over that. What its logging does is left out, not that each chunk is
handed over to it. `json` parses and does no more: the floor.
"""

from __future__ import annotations

import gc
import json
import os
import sys
import time
from collections.abc import Callable, Iterator
from importlib.metadata import version
from typing import Any

from recordings import REPLIES, STREAMS

_VENDORS = {
    "chat_completions": ("groq", "gpt-4.1-mini"),
    "messages": ("anthropic", "claude-sonnet-4-5"),
    "generate_content": ("gemini", "gemini-2.5-flash"),
    "converse": ("bedrock", "anthropic.claude-sonnet-4-5-20250929-v1:0"),
}
_BATCH = 20

Once = Callable[[], int]
"""Translates one reply or one stream; returns how many replies or frames that was."""


def floor(dialect: str, what: str) -> Once:
    """JSON, and no more."""
    reply, frames = REPLIES[dialect](), STREAMS[dialect]()
    texts = [_json_of(frame) for frame in frames]

    def whole() -> int:
        json.loads(reply)
        return 1

    def stream() -> int:
        for text in texts:
            json.loads(text)
        return len(texts)

    return whole if what == "reply" else stream


def _json_of(frame: bytes) -> bytes:
    begin, end = frame.find(b"{"), frame.rfind(b"}")
    return frame[begin : end + 1] or b"{}"


def ours(dialect: str, what: str) -> Once:
    """The provider that the catalog has for the dialect."""
    from providers.catalog import VENDORS
    from providers.types import Call, Deployment, Dialect, HttpReply

    vendor, model = _VENDORS[dialect]
    provider = VENDORS[vendor].dialects[Dialect(dialect)]
    call = Call("group", body={"input": "Hello, who are you?"}, stream=what == "stream")
    deployment = Deployment("one", "group", vendor, model, Dialect(dialect))
    reply, frames = HttpReply(200, {}, REPLIES[dialect]()), STREAMS[dialect]()

    def whole() -> int:
        assert provider.decode(reply, call, deployment)["status"] == "completed"
        return 1

    def stream() -> int:
        decoder = provider.events(call, deployment)
        kind = ""
        for frame in frames:
            for event in decoder.feed(frame):
                kind = event.type
        for event in decoder.end():
            kind = event.type
        assert kind == "response.completed", kind
        return len(frames)

    return whole if what == "reply" else stream


class _Silent:
    """Stands in for LiteLLM's logging, which is not translation."""

    def __init__(self) -> None:
        self.model_call_details: dict[str, Any] = {"litellm_params": {}}
        self.optional_params: dict[str, Any] = {}
        self.completion_start_time = self.start_time = time.time()
        self.stream_options = self.llm_caching_handler = None
        self.messages: list[Any] = []

    def __getattr__(self, name: str) -> Callable[..., None]:
        return lambda *args, **rest: None


def litellm(dialect: str, what: str) -> Once:
    """LiteLLM's bridge from chat completions to responses, and the vendor's translation to chat completions before."""
    os.environ.setdefault("LITELLM_LOCAL_MODEL_COST_MAP", "True")  # it would fetch prices as it is imported
    import httpx
    import litellm as library
    from litellm.responses.litellm_completion_transformation.streaming_iterator import (
        LiteLLMCompletionStreamingIterator,
    )
    from litellm.responses.litellm_completion_transformation.transformation import LiteLLMCompletionResponsesConfig

    vendor, model = _VENDORS[dialect]
    asked = "Hello, who are you?"
    reply, frames = REPLIES[dialect](), STREAMS[dialect]()
    lines = [line for frame in frames for line in frame.decode("latin-1").split("\n") if line]
    translate, listen = _litellm_parts(dialect, model)

    def whole() -> int:
        raw = httpx.Response(200, content=reply, request=httpx.Request("POST", "https://vendor.example.com"))
        chat = translate(raw, library.ModelResponse())
        found = LiteLLMCompletionResponsesConfig.transform_chat_completion_response_to_responses_api_response(
            request_input=asked, responses_api_request={}, chat_completion_response=chat
        )
        assert found.status == "completed"
        return 1

    def stream() -> int:
        heard = listen(iter(frames) if dialect == "converse" else iter(lines))
        wrapper = library.CustomStreamWrapper(
            completion_stream=heard, model=model, custom_llm_provider=vendor, logging_obj=_Silent()
        )
        events = LiteLLMCompletionStreamingIterator(
            model=model,
            litellm_custom_stream_wrapper=wrapper,
            request_input=asked,
            responses_api_request={},
            custom_llm_provider=vendor,
        )
        kind = ""
        for event in events:
            kind = str(event.type)
        assert "completed" in kind.lower(), kind
        return len(frames)

    return whole if what == "reply" else stream


def _litellm_parts(dialect: str, model: str) -> tuple[Callable[[Any, Any], Any], Callable[[Iterator[Any]], Any]]:
    """What translates a vendor's reply to a chat completion, and its stream to chunks of one."""
    import litellm as library

    rest: dict[str, Any] = {
        "model": model,
        "logging_obj": _Silent(),
        "messages": [{"role": "user", "content": "Hello, who are you?"}],
        "optional_params": {},
        "encoding": None,
    }
    more: dict[str, Any] = {"request_data": {}, "litellm_params": {}}
    if dialect == "converse":
        from litellm.llms.bedrock.chat.invoke_handler import AWSEventStreamDecoder

        converse = library.AmazonConverseConfig()
        return (
            lambda raw, chat: converse._transform_response(
                response=raw, model_response=chat, stream=False, data={}, api_key=None, **rest
            ),
            lambda chunks: AWSEventStreamDecoder(model=model).iter_bytes(chunks),
        )
    if dialect == "generate_content":
        from litellm.llms.vertex_ai.gemini.vertex_and_google_ai_studio_gemini import ModelResponseIterator

        gemini = library.VertexGeminiConfig()
        return (
            lambda raw, chat: gemini.transform_response(raw_response=raw, model_response=chat, **rest, **more),
            lambda lines: iter(ModelResponseIterator(lines, sync_stream=True, logging_obj=_Silent())),
        )
    if dialect == "messages":
        from litellm.llms.anthropic.chat.handler import ModelResponseIterator as Messages

        anthropic = library.AnthropicConfig()
        return (
            lambda raw, chat: anthropic.transform_response(
                raw_response=raw, model_response=chat, api_key="", **rest, **more
            ),
            lambda lines: Messages(lines, sync_stream=True),
        )
    config = library.OpenAIGPTConfig()
    return (
        lambda raw, chat: config.transform_response(raw_response=raw, model_response=chat, **rest, **more),
        lambda lines: config.get_model_response_iterator(lines, sync_stream=True),
    )


_CONTENDERS: dict[str, Callable[[str, str], Once]] = {"json": floor, "ours": ours, "litellm": litellm}


def main(name: str) -> None:
    """Answer commands, lines of JSON, until the input ends."""
    make, made = _CONTENDERS[name], dict[tuple[str, str], Once]()
    try:
        make("chat_completions", "reply")()
    except Exception as error:
        print(json.dumps({"error": f"{type(error).__name__}: {error}"}), flush=True)
        return
    print(json.dumps({"version": version(name) if name == "litellm" else ""}), flush=True)
    for line in sys.stdin:
        order = json.loads(line)
        key = order["dialect"], order["what"]
        if key not in made:
            made[key] = make(*key)
        print(json.dumps(measure(made[key], order["most"], order["seconds"])), flush=True)


def measure(once: Once, most: int, seconds: float) -> dict[str, float]:
    """CPU seconds and units of `most` runs, or of what `seconds` of them allow; warm."""
    for _ in range(3):
        once()
    gc.collect()
    units = runs = 0
    began = time.process_time()
    while runs < most and time.process_time() - began < seconds:
        for _ in range(min(_BATCH, most - runs)):
            units += once()
            runs += 1
    return {"cpu": time.process_time() - began, "units": units}


if __name__ == "__main__":
    main(sys.argv[1])
