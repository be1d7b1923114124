"""Short names for tests of chat completions through the proxy: fakes in threads, answers judged by OpenAI's models."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterable, Iterator, Mapping
from contextlib import AbstractAsyncContextManager, contextmanager
from typing import Any, TypeVar

from openai.lib.streaming.chat import ChatCompletionStreamState
from openai.types.chat import ChatCompletion, ChatCompletionChunk
from proxies import PATIENCE

T = TypeVar("T")


@contextmanager
def apart(manager: AbstractAsyncContextManager[T]) -> Iterator[T]:
    """Hold a fake server open in a loop and a thread of its own."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, daemon=True)
    thread.start()
    try:
        made = asyncio.run_coroutine_threadsafe(manager.__aenter__(), loop).result(PATIENCE)
        try:
            yield made
        finally:
            asyncio.run_coroutine_threadsafe(manager.__aexit__(None, None, None), loop).result(PATIENCE)
    finally:
        loop.call_soon_threadsafe(loop.stop)
        thread.join(PATIENCE)
        loop.close()


def completion(json: Mapping[str, Any]) -> ChatCompletion:
    """`json`, once it is a chat completion to the letter."""
    assert json["object"] == "chat.completion"
    assert str(json["id"]).startswith("chatcmpl-")
    return ChatCompletion.model_validate(json, strict=True)


def joined(events: Iterable[Any], *, usage: bool = False) -> dict[str, Any]:
    """What the chunks of a stream say together, as the SDK joins them, once each is one to the letter.

    `usage`: whether it was asked for.
    """
    *chunks, last = events
    assert last == "[DONE]", last
    assert len({(each["id"], each["created"], each["model"], each["object"]) for each in chunks}) == 1
    assert chunks[0]["choices"][0]["delta"]["role"] == "assistant"
    told = [*chunks]
    if usage:
        *told, end = chunks
        assert end["choices"] == []
        assert set(end["usage"]) >= {"prompt_tokens", "completion_tokens", "total_tokens"}
        assert all(each["usage"] is None for each in told)
    assert [each["choices"][0]["finish_reason"] is not None for each in told] == [False] * (len(told) - 1) + [True]
    state = ChatCompletionStreamState()
    for each in chunks:
        ChatCompletionChunk.model_validate(_without_custom_calls(each), strict=True)
        state.handle_chunk(ChatCompletionChunk.construct(**each))
    whole: dict[str, Any] = state.current_completion_snapshot.to_dict()
    return whole


def _without_custom_calls(chunk: Any) -> Any:
    """OpenAI sends calls of custom tools in pieces, but its models of chunks know only those of functions."""
    for choice in chunk["choices"]:
        if any("custom" in each for each in choice["delta"].get("tool_calls") or ()):
            return {**chunk, "choices": [{**choice, "delta": {}}]}
    return chunk


def message(whole: Mapping[str, Any]) -> dict[str, Any]:
    """The message of a completion, streamed or not, without what is empty and without the numbers of list entries."""
    told: dict[str, Any] = whole["choices"][0]["message"]
    return {name: _bare(value) for name, value in told.items() if value not in (None, [])}


def _bare(value: Any) -> Any:
    if isinstance(value, list):
        return [_bare(each) for each in value]
    if isinstance(value, dict):
        return {
            name: _bare(each)
            for name, each in value.items()
            if name not in ("index", "parsed_arguments") and each is not None
        }
    return value
