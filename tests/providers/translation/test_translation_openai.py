"""OpenAI's own client reads every event that the narrator can make, and misses nothing in it."""

import typing
from typing import Any

import pytest
from openai.types import responses
from openai.types.responses import Response
from pydantic import BaseModel
from toy_dialect import NOTE, SEARCH, Act, act, tell

from providers.translation.narrator import usage_of

PROBS = [{"token": "a", "logprob": -0.5, "bytes": [97], "top_logprobs": []}]
PICTURE = {"type": "image_generation_call", "status": "completed", "result": "AA=="}
ALL: list[Act] = [
    act("start"),
    act("think", "Hm."),
    act("seal", "hr1.x"),
    act("text", "a", PROBS),
    act("annotate", NOTE),
    act("refusal", "No."),
    act("call", "c1", "what"),
    act("arguments", "{}"),
    act("call", "c2", "shell"),
    act("arguments", '{"input":"ls"}'),
    act("item", SEARCH, "ws", "in_progress", "searching", "completed"),
    act("item", PICTURE, "ig", "in_progress", "generating", "completed"),
    act("text", "b"),
]
ENDS: list[Act] = [
    act("finish", None, usage_of(1, 2)),
    act("finish", "max_output_tokens", usage_of(1, 2)),
    {"error": "it broke"},
]


def _classes() -> dict[str, type[BaseModel]]:
    """What the client reads each type of event with."""
    found: dict[str, type[BaseModel]] = {}
    for kind in vars(responses).values():
        if isinstance(kind, type) and issubclass(kind, BaseModel) and "sequence_number" in kind.model_fields:
            for name in typing.get_args(kind.model_fields["type"].annotation):
                found[name] = kind
    return found


CLASSES = _classes()


def _check(model: BaseModel, json: dict[str, Any]) -> None:
    """Every field that the client requires is there, and it knows every field there is."""
    kind = type(model)
    required = {field.alias or name for name, field in kind.model_fields.items() if field.is_required()}
    assert required <= set(json), f"{kind.__name__} lacks {required - set(json)}"
    assert not model.model_extra, f"{kind.__name__} does not know {model.model_extra}"


@pytest.mark.parametrize("end", ENDS, ids=["completed", "incomplete", "failed"])
def test_every_event_is_one_of_openais(end: Act) -> None:
    seen = set()
    for event in tell([*ALL, end]):
        kind = CLASSES[event["type"]]
        model: Any = kind.model_validate(event, strict=False)
        _check(model, event)
        seen.add(event["type"])
        if "item" in event and event["type"].endswith(".done"):
            status = {"status"} if event["item"]["type"] == "custom_tool_call" else set()  # as OpenAI's own have
            assert set(model.item.model_extra or ()) <= status
        if "part" in event and not event["type"].startswith("response.reasoning"):
            _check(model.part, event["part"])
    assert len(seen) >= 24


@pytest.mark.parametrize("end", ENDS, ids=["completed", "incomplete", "failed"])
def test_the_response_is_one_of_openais(end: Act) -> None:
    json = tell([*ALL, end])[-1]["response"]
    response = Response.model_validate(json)
    assert set(response.model_extra or ()) == {"frequency_penalty", "presence_penalty", "store"}, "as OpenAI's own have"
    assert response.output_text == "ab"
    assert [item.type for item in response.output] == [item["type"] for item in json["output"]]
