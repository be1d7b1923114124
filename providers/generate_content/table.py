"""What becomes of each parameter of a call in Google's dialect: data."""

from __future__ import annotations

from typing import Final

from providers.translation.parameters import Outcome, Parameter, Table, table

_CONFIG: Final = "generationConfig"

_COMMON: Final = (
    Parameter("instructions", Outcome.MAPPED, "systemInstruction"),
    Parameter("max_output_tokens", Outcome.MAPPED, f"{_CONFIG}.maxOutputTokens"),
    Parameter("temperature", Outcome.MAPPED, f"{_CONFIG}.temperature"),
    Parameter("top_p", Outcome.MAPPED, f"{_CONFIG}.topP"),
    Parameter("top_logprobs", Outcome.MAPPED, f"{_CONFIG}.responseLogprobs and logprobs"),
    Parameter("include", Outcome.MAPPED, f"{_CONFIG}.responseLogprobs; what else there is, is always included"),
    Parameter("reasoning", Outcome.MAPPED, f"{_CONFIG}.thinkingConfig"),
    Parameter("text", Outcome.MAPPED, f"{_CONFIG}.responseMimeType and responseJsonSchema; no verbosity"),
    Parameter("tools", Outcome.MAPPED, "tools: functions, web_search as googleSearch, code_interpreter"),
    Parameter("tool_choice", Outcome.MAPPED, "toolConfig.functionCallingConfig"),
    Parameter("parallel_tool_calls", Outcome.REFUSED, "the model can't be kept from calling several tools", (True,)),
    Parameter("service_tier", Outcome.MAPPED, "serviceTier"),
    Parameter("safety_identifier", Outcome.IGNORED, "Google has no field for who asks"),
    Parameter("user", Outcome.IGNORED, "Google has no field for who asks"),
    Parameter("prompt_cache_key", Outcome.IGNORED, "Google caches by the beginning of the prompt alone"),
    Parameter("prompt_cache_options", Outcome.IGNORED, "Google caches by the beginning of the prompt alone"),
    Parameter("prompt_cache_retention", Outcome.IGNORED, "Google decides how long it caches"),
    Parameter("stop", Outcome.MAPPED, f"{_CONFIG}.stopSequences"),
    Parameter("seed", Outcome.MAPPED, f"{_CONFIG}.seed"),
    Parameter("top_k", Outcome.MAPPED, f"{_CONFIG}.topK"),
    Parameter("presence_penalty", Outcome.MAPPED, f"{_CONFIG}.presencePenalty"),
    Parameter("frequency_penalty", Outcome.MAPPED, f"{_CONFIG}.frequencyPenalty"),
    Parameter("safety_settings", Outcome.MAPPED, "safetySettings"),
    Parameter("cached_content", Outcome.MAPPED, "cachedContent"),
)

GEMINI: Final[Table] = table(
    *_COMMON,
    Parameter("metadata", Outcome.IGNORED, "the Gemini API keeps nothing; the response echoes it"),
)
"""Of the Gemini API."""
VERTEX: Final[Table] = table(
    *_COMMON,
    Parameter("metadata", Outcome.MAPPED, "labels, for what may be one"),
)
"""Of Vertex AI."""
