"""What becomes of each parameter of `POST /responses` at Anthropic's Messages API."""

from __future__ import annotations

from typing import Final

from providers.translation.parameters import Outcome, Parameter, Table, table

_MAPPED, _IGNORED, _REFUSED = Outcome.MAPPED, Outcome.IGNORED, Outcome.REFUSED

TABLE: Final[Table] = table(
    Parameter("instructions", _MAPPED, "system"),
    Parameter("max_output_tokens", _MAPPED, "max_tokens; 8192 where nothing is said, more for models that think"),
    Parameter("max_tool_calls", _MAPPED, "max_uses of web_search, the one tool that Anthropic runs"),
    Parameter("metadata", _IGNORED, "is echoed; Anthropic stores no responses"),
    Parameter("parallel_tool_calls", _MAPPED, "tool_choice.disable_parallel_tool_use"),
    Parameter("prompt_cache_key", _IGNORED, "caches are found by what they hold"),
    Parameter("prompt_cache_options", _MAPPED, "cache_control, for 5 minutes or an hour"),
    Parameter("prompt_cache_retention", _MAPPED, "cache_control, for 5 minutes or an hour"),
    Parameter("reasoning", _MAPPED, "thinking and output_config.effort; a budget before Claude 4.6"),
    Parameter("safety_identifier", _MAPPED, "metadata.user_id; hashed if it looks like an e-mail address or a number"),
    Parameter("service_tier", _MAPPED, "service_tier: default is standard_only, auto and priority are auto"),
    Parameter("stop", _MAPPED, "stop_sequences; not OpenAI's, but asked for"),
    Parameter("temperature", _MAPPED, "up to 1; only 1 with thinking, from Claude 4.7 and in version 2026-10-21"),
    Parameter("text", _MAPPED, "output_config.format; a forced tool before Claude 4.5. No verbosity"),
    Parameter("tool_choice", _MAPPED, "tool_choice; auto where thinking rules out that a tool is forced"),
    Parameter("tools", _MAPPED, "tools; of those the vendor runs, web_search only"),
    Parameter("top_logprobs", _REFUSED, "there are no log probabilities", (0,)),
    Parameter("top_p", _MAPPED, "as temperature, and not together with it from Claude 4.1"),
    Parameter("user", _MAPPED, "metadata.user_id, unless safety_identifier is given"),
)
"""The one place that says it; `write` in `request` does it."""
