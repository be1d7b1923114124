"""How each vendor speaks chat completions, and what becomes of each parameter there: data.

Sources: the vendors' API references and their Python clients (openai 3.54, groq 1.7, mistralai 3.7,
cerebras-cloud-sdk 1.91, together 3.1, perplexityai 0.46), docs.ollama.com/api/openai-compatibility,
api-docs.deepseek.com/guides/thinking_mode, docs.fireworks.ai/guides/reasoning.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from providers.chat_completions.idioms import Idiom
from providers.translation.parameters import Outcome, Parameter, Table, table

_MAPPED, _IGNORED, _REFUSED = Outcome.MAPPED, Outcome.IGNORED, Outcome.REFUSED

_NOBODY: Final = "only says who the end user is, and there is no field for that"
_HINT: Final = "is a hint that only speeds things up"
_ONE_TIER: Final = Parameter("service_tier", _REFUSED, "there is one service tier", ("auto", "default"))
_ANONYMOUS: Final = (
    Parameter("user", _IGNORED, _NOBODY),
    Parameter("safety_identifier", _IGNORED, _NOBODY),
)
_CACHES: Final = Parameter("prompt_cache_key", _MAPPED, "prompt_cache_key")

_COMMON: Final = (
    Parameter("instructions", _MAPPED, "a system message, before all others"),
    Parameter("max_output_tokens", _MAPPED, "max_tokens or max_completion_tokens"),
    Parameter("metadata", _IGNORED, "is the caller's own; the response repeats it"),
    Parameter("parallel_tool_calls", _MAPPED, "parallel_tool_calls, if there are tools"),
    Parameter("prompt_cache_key", _IGNORED, _HINT),
    Parameter("prompt_cache_options", _IGNORED, _HINT),
    Parameter("prompt_cache_retention", _IGNORED, _HINT),
    Parameter("reasoning", _MAPPED, "reasoning_effort; what is shown of the reasoning is the summary"),
    Parameter("frequency_penalty", _MAPPED, "frequency_penalty; not the Responses API's, but asked for"),
    Parameter("presence_penalty", _MAPPED, "presence_penalty; not the Responses API's, but asked for"),
    Parameter("safety_identifier", _MAPPED, "user, if that is not given"),
    Parameter("seed", _MAPPED, "seed; not the Responses API's, but asked for"),
    Parameter("service_tier", _MAPPED, "service_tier"),
    Parameter("stop", _MAPPED, "stop; not the Responses API's, but asked for"),
    Parameter("temperature", _MAPPED, "temperature"),
    Parameter("text", _MAPPED, "response_format"),
    Parameter("tool_choice", _MAPPED, "tool_choice"),
    Parameter("tools", _MAPPED, "tools; custom tools as functions of one string"),
    Parameter("top_logprobs", _REFUSED, "it gives no log probabilities in this form", (0,)),
    Parameter("top_p", _MAPPED, "top_p"),
    Parameter("user", _MAPPED, "user"),
)
_LOGPROBS: Final = (
    Parameter("include", _MAPPED, "logprobs, if they are asked for; all else is always included"),
    Parameter("top_logprobs", _MAPPED, "logprobs and top_logprobs"),
)

_OPENAI: Final = Idiom(
    limit="max_completion_tokens",
    lines=(
        Parameter("prompt_cache_key", _MAPPED, "prompt_cache_key"),
        Parameter("prompt_cache_retention", _MAPPED, "prompt_cache_retention"),
        Parameter("safety_identifier", _MAPPED, "safety_identifier"),
        Parameter("text", _MAPPED, "response_format and verbosity"),
    ),
    echo=None,
    safety=True,
    verbosity=True,
    allows_tools=True,
)

GENERIC: Final = Idiom(think_tags=True)
"""How a server is spoken to of which nothing is known."""

MISTRAL: Final = Idiom(
    lines=(
        *_ANONYMOUS,
        _CACHES,
        Parameter("seed", _REFUSED, "is called random_seed, and goes in extra_body"),
        Parameter("service_tier", _REFUSED, "its tiers are others", ("auto", "default")),
    ),
    usage=False,
    echo="content",
    files="document_url",
    rich_outputs=True,
    bridge="Ok.",
    short_ids=True,
)

IDIOMS: Final[Mapping[str, Idiom]] = {
    "openai": _OPENAI,
    "azure": _OPENAI,
    "azure_ai": Idiom(lines=(_ONE_TIER,), think_tags=True),
    "groq": Idiom(
        limit="max_completion_tokens",
        efforts={"minimal": "low", "xhigh": "high", "max": "high"},
        echo="reasoning",
        think_tags=True,
        tiers={"default": "on_demand"},
    ),
    "mistral": MISTRAL,
    "deepseek": Idiom(
        lines=(*_ANONYMOUS, _ONE_TIER),
        thinks={"thinking": {"type": "enabled"}},
        thinks_not={"thinking": {"type": "disabled"}},
        echo="reasoning_content",
        owes_echo=True,
        schemas=False,
        flat=True,
    ),
    "ollama": Idiom(
        lines=(
            *_ANONYMOUS,
            _ONE_TIER,
            Parameter("parallel_tool_calls", _REFUSED, "calls can't be limited to one", (True,)),
        ),
        version="/v1",
        efforts={"minimal": "low", "xhigh": "high", "max": "high"},
        echo="reasoning",
        chooses=False,
        images_by_address=False,
        flat=True,
        think_tags=True,
    ),
    "together_ai": Idiom(
        lines=(*_ANONYMOUS, _ONE_TIER),
        logprobs=False,
        efforts={"minimal": "low", "xhigh": "high", "max": "high"},
        thinks_not={"reasoning": {"enabled": False}},
        echo="reasoning",
        think_tags=True,
    ),
    "fireworks_ai": Idiom(lines=(_CACHES,), echo="reasoning_content", think_tags=True),
    "cerebras": Idiom(
        limit="max_completion_tokens",
        lines=(_CACHES,),
        efforts={"minimal": "low", "xhigh": "high", "max": "high"},
        echo="reasoning",
    ),
    "perplexity": Idiom(
        lines=(*_ANONYMOUS, _ONE_TIER),
        usage=False,
        efforts={"none": "minimal", "xhigh": "high", "max": "high"},
        echo=None,
        names_tools=False,
        files="file_url",
        alternates=True,
        think_tags=True,
        searches=True,
    ),
    "nvidia_nim": Idiom(lines=(*_ANONYMOUS, _ONE_TIER), flat=True, echo="reasoning_content", think_tags=True),
    "hosted_vllm": Idiom(lines=(_ONE_TIER,), version="/v1", think_tags=True),
    "openrouter": Idiom(marks=True),
    "litellm_proxy": Idiom(marks=True),
    "xai": Idiom(limit="max_completion_tokens", lines=(_ONE_TIER,), echo=None),
    "vertex_ai": Idiom(lines=(*_ANONYMOUS, _ONE_TIER), think_tags=True),
}
"""By the vendor's name; others are spoken to as `GENERIC` has it."""


def idiom_of(vendor: str) -> Idiom:
    """How a vendor is spoken to."""
    return IDIOMS.get(vendor, GENERIC)


def table_of(idiom: Idiom) -> Table:
    """What becomes of each parameter."""
    return table(*_COMMON, *(_LOGPROBS if idiom.logprobs else ()), *idiom.lines)
