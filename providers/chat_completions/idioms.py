"""What one vendor's chat completions can differ in from another's. `vendors` has the data."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final, Literal

from providers.translation.parameters import Parameter
from providers.types import JsonObject

AS_IT_CAME: Final = "as it came"
"""Reasoning goes back under the name under which it arrived."""


@dataclass(frozen=True, slots=True)
class Idiom:
    """What is peculiar to one vendor. The defaults are what any compatible server can be expected to take."""

    lines: tuple[Parameter, ...] = ()
    """What becomes of parameters, where it differs from what is common."""
    logprobs: bool = True
    """Whether it gives log probabilities, in OpenAI's form."""
    limit: Literal["max_tokens", "max_completion_tokens"] = "max_tokens"
    """What `max_output_tokens` is called."""
    version: str = ""
    """What a base without a version is completed by."""
    usage: bool = True
    """Whether a stream must be asked for its usage; else it is told unasked, and asking is an error."""
    efforts: Mapping[str, str] = field(default_factory=dict)
    """Efforts it does not know, and what is said instead."""
    thinks: JsonObject = field(default_factory=dict)
    """What is said beside an effort."""
    thinks_not: JsonObject | None = None
    """What is said for the effort `none`; None: that."""
    echo: str | None = AS_IT_CAME
    """The field in which reasoning is sent back; `content`: as chunks of it; None: it isn't."""
    owes_echo: bool = False
    """Whether calls of tools are refused without their reasoning."""
    safety: bool = False
    """Whether it has a field `safety_identifier`."""
    verbosity: bool = False
    """Whether it can be told how much to say."""
    schemas: bool = True
    """Whether it binds answers to a JSON schema, and not only to JSON."""
    chooses: bool = True
    """Whether it heeds `tool_choice`."""
    names_tools: bool = True
    """Whether `tool_choice` can name one."""
    allows_tools: bool = False
    """Whether `tool_choice` can name several; else only those are sent."""
    files: Literal["file", "document_url", "file_url"] = "file"
    """What a part with a document is called."""
    images_by_address: bool = True
    """Whether it downloads images; else they are downloaded for it."""
    rich_outputs: bool = False
    """Whether outputs of tools may have images in them; else these follow as the user's."""
    flat: bool = False
    """Whether text is a string always, never a list of parts."""
    alternates: bool = False
    """Whether user and assistant must take turns, after the system."""
    bridge: str = ""
    """What the assistant must be made to say between a tool's output and a user's message; nothing: they may meet."""
    marks: bool = False
    """Whether texts may bear Anthropic's `cache_control` marks, for the models that heed them."""
    short_ids: bool = False
    """Whether ids of calls have exactly nine letters and digits."""
    think_tags: bool = False
    """Whether some of its models put their reasoning into the text, between `<think>` and `</think>`."""
    searches: bool = False
    """Whether it searches the web of itself, and lists its sources."""
    tiers: Mapping[str, str] = field(default_factory=dict)
    """Its names for service tiers."""
