"""What Open Responses says of responses and events, as `openresponses-types` has it in models."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import openresponses_types
from pydantic import BaseModel, ValidationError

Json = Mapping[str, Any]

_OPENAIS = {
    "response.reasoning_text.delta": "response.reasoning.delta",
    "response.reasoning_text.done": "response.reasoning.done",
}
"""Events that Open Responses calls otherwise than OpenAI, whose names are ours."""


def _events() -> Iterator[tuple[str, type[BaseModel]]]:
    for name, model in vars(openresponses_types).items():
        if name.endswith("StreamingEvent"):
            (kind,) = model.model_fields["type"].annotation
            yield kind.value, model


EVENTS: Mapping[str, type[BaseModel]] = dict(_events())
"""The model of each type of event."""


def check_response(response: Json) -> None:
    """Raises `AssertionError` if it is not as a response must be."""
    _check(openresponses_types.ResponseResource, response)


def check_event(event: Json) -> None:
    """Raises `AssertionError` if it is not as an event of its type must be, or if there is no such type."""
    kind: str = event["type"]
    kind = _OPENAIS.get(kind, kind)
    assert kind in EVENTS, f"there is no event {kind}"
    _check(EVENTS[kind], {**event, "type": kind})


def _check(model: type[BaseModel], value: Json) -> None:
    try:
        model.model_validate(value)
    except ValidationError as error:
        wrong = [f"{'.'.join(map(str, each['loc']))}: {each['msg']}, not {each['input']!r}" for each in error.errors()]
        raise AssertionError(f"{value.get('type', value.get('object'))}: {wrong}") from None
