"""The events of a streamed response, in the order OpenAI sends them. Numbers are given where they are sent."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import cast

from providers.simulated.state import Output
from providers.types import JsonObject


def events(begun: JsonObject, final: JsonObject, outputs: Sequence[Output]) -> Iterator[JsonObject]:
    """All events from `response.created` to the terminal one."""
    yield from opening(begun)
    for index, output in enumerate(outputs):
        yield {"type": "response.output_item.added", "output_index": index, "item": output.opening}
        yield from _WITHIN[cast("str", output.final["type"])](output, index)
        yield {"type": "response.output_item.done", "output_index": index, "item": output.final}
    yield {"type": f"response.{final['status']}", "response": final}


def opening(begun: JsonObject) -> Iterator[JsonObject]:
    """The lifecycle events before any output."""
    yield {"type": "response.created", "response": begun}
    if begun["background"]:
        yield {"type": "response.queued", "response": begun}
    yield {"type": "response.in_progress", "response": {**begun, "status": "in_progress"}}


def _message(output: Output, index: int) -> Iterator[JsonObject]:
    where: JsonObject = {"item_id": output.final["id"], "output_index": index, "content_index": 0}
    part = cast("list[JsonObject]", output.final["content"])[0]
    yield {"type": "response.content_part.added", **where, "part": {**part, "text": ""}}
    for delta in output.deltas:
        yield {"type": "response.output_text.delta", **where, "delta": delta, "logprobs": []}
    yield {"type": "response.output_text.done", **where, "text": part["text"], "logprobs": []}
    yield {"type": "response.content_part.done", **where, "part": part}


def _reasoning(output: Output, index: int) -> Iterator[JsonObject]:
    for number, part in enumerate(cast("list[JsonObject]", output.final["summary"])):
        where: JsonObject = {"item_id": output.final["id"], "output_index": index, "summary_index": number}
        yield {"type": "response.reasoning_summary_part.added", **where, "part": {**part, "text": ""}}
        for delta in output.deltas:
            yield {"type": "response.reasoning_summary_text.delta", **where, "delta": delta}
        yield {"type": "response.reasoning_summary_text.done", **where, "text": part["text"]}
        yield {"type": "response.reasoning_summary_part.done", **where, "part": part}


def _function_call(output: Output, index: int) -> Iterator[JsonObject]:
    where: JsonObject = {"item_id": output.final["id"], "output_index": index}
    for delta in output.deltas:
        yield {"type": "response.function_call_arguments.delta", **where, "delta": delta}
    yield {"type": "response.function_call_arguments.done", **where, "arguments": output.final["arguments"]}


_WITHIN = {"message": _message, "reasoning": _reasoning, "function_call": _function_call}
