"""What becomes of each parameter of `POST /responses` at Bedrock's Converse API."""

from __future__ import annotations

from typing import Final

from providers.translation.parameters import Outcome, Parameter, Table, table

_MAPPED, _IGNORED, _REFUSED = Outcome.MAPPED, Outcome.IGNORED, Outcome.REFUSED

TABLE: Final[Table] = table(
    Parameter("instructions", _MAPPED, "system"),
    Parameter("max_output_tokens", _MAPPED, "inferenceConfig.maxTokens; the model's own limit where nothing is said"),
    Parameter("metadata", _MAPPED, "requestMetadata, as far as its characters and lengths allow"),
    Parameter("parallel_tool_calls", _MAPPED, "Claude only: tool_choice.disable_parallel_tool_use"),
    Parameter("prompt_cache_key", _IGNORED, "caches are found by what they hold"),
    Parameter("prompt_cache_options", _MAPPED, "Claude and Nova: a cachePoint at the end, for 5 minutes or an hour"),
    Parameter("prompt_cache_retention", _MAPPED, "Claude and Nova: a cachePoint at the end, for 5 minutes or an hour"),
    Parameter(
        "reasoning", _MAPPED, "Claude: thinking; Nova 2: reasoningConfig; gpt-oss: reasoning_effort; else effort"
    ),
    Parameter("safety_identifier", _MAPPED, "requestMetadata; hashed if it has other characters than that takes"),
    Parameter("service_tier", _MAPPED, "serviceTier"),
    Parameter("stop", _MAPPED, "inferenceConfig.stopSequences; not OpenAI's, but asked for"),
    Parameter("temperature", _MAPPED, "inferenceConfig.temperature, up to 1; not with all models that think"),
    Parameter("text", _MAPPED, "outputConfig.textFormat; json_object in words. No verbosity"),
    Parameter("tool_choice", _MAPPED, "toolConfig.toolChoice; none leaves the tools out; auto where Claude thinks"),
    Parameter("tools", _MAPPED, "toolConfig.tools; of those the vendor runs, web_search at Nova only"),
    Parameter("top_logprobs", _REFUSED, "there are no log probabilities", (0,)),
    Parameter("top_p", _MAPPED, "inferenceConfig.topP; not with all models that think"),
    Parameter("user", _MAPPED, "requestMetadata, as safety_identifier"),
)
"""The one place that says it; `write` in `request` does it."""

MEMBERS: Final = frozenset(
    {
        "additionalModelRequestFields",
        "additionalModelResponseFieldPaths",
        "guardrailConfig",
        "inferenceConfig",
        "messages",
        "outputConfig",
        "performanceConfig",
        "promptVariables",
        "requestMetadata",
        "serviceTier",
        "system",
        "toolConfig",
    }
)
"""What a request to Converse can hold. What else `extra_body` has is the model's own: additionalModelRequestFields.
Source: botocore 1.44.5, bedrock-runtime/2023-09-30, ConverseRequest."""
