"""What becomes of each parameter of a call where another dialect is spoken: data, one table a dialect."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType
from typing import Final, TypeAlias

from providers.types import Json


class Outcome(StrEnum):
    """What a dialect makes of a parameter."""

    MAPPED = "mapped"
    """It is said in the dialect's own words."""
    IGNORED = "ignored"
    """It is left out, and the answer is as good without."""
    REFUSED = "refused"
    """The dialect has no word for it: the call is refused, unless `drop_params` is set."""


@dataclass(frozen=True, slots=True)
class Parameter:
    """One line of a table."""

    name: str
    outcome: Outcome
    note: str = ""
    """What it becomes; why it does no harm to leave it out; or why it can't be had."""
    harmless: tuple[Json, ...] = ()
    """Values of a refused parameter, or elements of its list, that ask for nothing, such as False."""

    def asks_nothing(self, value: Json) -> bool:
        """Whether a refused parameter does no harm with this value."""
        return value in self.harmless or (isinstance(value, list) and all(each in self.harmless for each in value))


Table: TypeAlias = Mapping[str, Parameter]

RESPONSES: Final = (
    "access_programs",
    "background",
    "background_options",
    "context_management",
    "conversation",
    "image",
    "include",
    "input",
    "instructions",
    "max_output_tokens",
    "max_tool_calls",
    "metadata",
    "moderation",
    "parallel_tool_calls",
    "previous_response_id",
    "prompt",
    "prompt_cache_key",
    "prompt_cache_options",
    "prompt_cache_retention",
    "reasoning",
    "safety_identifier",
    "service_tier",
    "store",
    "stream_options",
    "temperature",
    "text",
    "tool_choice",
    "tools",
    "top_logprobs",
    "top_p",
    "truncation",
    "user",
)
"""The parameters of `POST /responses`, besides `model` and `stream`. Source: openai-python 3.54."""

_NEVER_IGNORED: Final = frozenset({"conversation", "prompt", "background"})
"""Without them the answer would be another."""

_INCLUDED: Final = (
    "code_interpreter_call.outputs",
    "computer_call_output.output.image_url",
    "file_search_call.results",
    "message.input_image.image_url",
    "reasoning.encrypted_content",
    "web_search_call.action.sources",
    "web_search_call.results",
)
"""What `include` can ask for that is included anyway, if there is any."""

_EVERYWHERE: Final = (
    Parameter("input", Outcome.MAPPED, "the conversation"),
    Parameter("previous_response_id", Outcome.MAPPED, "the turns before, from the Router's own memory"),
    Parameter("store", Outcome.MAPPED, "whether the Router remembers the turn"),
    Parameter("include", Outcome.REFUSED, "log probabilities can't be had; all else is always included", _INCLUDED),
    Parameter("stream_options", Outcome.IGNORED, "concerns padding, which there is none of"),
    Parameter("moderation", Outcome.REFUSED, "is OpenAI's own service"),
    Parameter("access_programs", Outcome.IGNORED, "is OpenAI's own business"),
    Parameter("background_options", Outcome.REFUSED, "there is no background mode"),
    Parameter("background", Outcome.REFUSED, "there is no background mode", (False,)),
    Parameter("conversation", Outcome.REFUSED, "there are no hosted conversations; use previous_response_id"),
    Parameter("prompt", Outcome.REFUSED, "prompt templates are stored at OpenAI"),
    Parameter("context_management", Outcome.REFUSED, "there is no compaction on the server"),
    Parameter("image", Outcome.IGNORED, "is a hint on the compression of images"),
    Parameter("max_tool_calls", Outcome.REFUSED, "calls of hosted tools can't be limited"),
    Parameter("truncation", Outcome.IGNORED, "an input that fits is never cut, one that does not is an error"),
)
"""What is the same wherever nobody but us remembers what was said. A table may say otherwise."""


def table(*parameters: Parameter) -> Table:
    """A dialect's table: these lines, and those that are the same everywhere.

    Raises `ValueError` if a parameter of the API is missing, or one that changes the answer is ignored.
    """
    lines = {each.name: each for each in (*_EVERYWHERE, *parameters)}
    missing = [name for name in RESPONSES if name not in lines]
    if missing:
        raise ValueError(f"the table says nothing of {', '.join(missing)}")
    ignored = [name for name in sorted(_NEVER_IGNORED) if lines[name].outcome is Outcome.IGNORED]
    if ignored:
        raise ValueError(f"{', '.join(ignored)} may not be ignored")
    return MappingProxyType(lines)
