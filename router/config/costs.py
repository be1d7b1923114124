"""A deployment's own prices, as LiteLLM's users write them."""

from __future__ import annotations

from router.config.strict import Amount, Strict


class Costs(Strict):
    """Prices in US dollars, which win over those that are published; 0 is a price too. See `router.pricing.own`."""

    input_cost_per_token: Amount | None = None
    """One token of input."""
    input_cost_per_token_above_128k_tokens: Amount | None = None
    """One token of input, in calls with more than 128,000 of them in all."""
    input_cost_per_token_above_200k_tokens: Amount | None = None
    """One token of input, in calls with more than 200,000 of them in all."""
    input_cost_per_token_above_272k_tokens: Amount | None = None
    """One token of input, in calls with more than 272,000 of them in all."""
    input_cost_per_token_flex: Amount | None = None
    """One token of input, served in the tier `flex`."""
    input_cost_per_token_priority: Amount | None = None
    """One token of input, served in the tier `priority`."""
    input_cost_per_token_above_200k_tokens_priority: Amount | None = None
    """One token of input, in calls with more than 200,000 of them in all, served in the tier `priority`."""
    input_cost_per_token_above_272k_tokens_priority: Amount | None = None
    """One token of input, in calls with more than 272,000 of them in all, served in the tier `priority`."""
    output_cost_per_token: Amount | None = None
    """One token of output."""
    output_cost_per_token_above_128k_tokens: Amount | None = None
    """One token of output, in calls with more than 128,000 tokens of input."""
    output_cost_per_token_above_200k_tokens: Amount | None = None
    """One token of output, in calls with more than 200,000 tokens of input."""
    output_cost_per_token_above_272k_tokens: Amount | None = None
    """One token of output, in calls with more than 272,000 tokens of input."""
    output_cost_per_token_flex: Amount | None = None
    """One token of output, served in the tier `flex`."""
    output_cost_per_token_priority: Amount | None = None
    """One token of output, served in the tier `priority`."""
    output_cost_per_token_above_200k_tokens_priority: Amount | None = None
    """One token of output, in calls with more than 200,000 tokens of input, served in the tier `priority`."""
    output_cost_per_token_above_272k_tokens_priority: Amount | None = None
    """One token of output, in calls with more than 272,000 tokens of input, served in the tier `priority`."""
    cache_read_input_token_cost: Amount | None = None
    """One token of input that a cache had; unset: as other input, if that has a price here."""
    cache_read_input_token_cost_above_128k_tokens: Amount | None = None
    """One token of input that a cache had, in calls with more than 128,000 tokens of input."""
    cache_read_input_token_cost_above_200k_tokens: Amount | None = None
    """One token of input that a cache had, in calls with more than 200,000 tokens of input."""
    cache_read_input_token_cost_above_272k_tokens: Amount | None = None
    """One token of input that a cache had, in calls with more than 272,000 tokens of input."""
    cache_read_input_token_cost_flex: Amount | None = None
    """One token of input that a cache had, served in the tier `flex`."""
    cache_read_input_token_cost_priority: Amount | None = None
    """One token of input that a cache had, served in the tier `priority`."""
    cache_read_input_token_cost_above_200k_tokens_priority: Amount | None = None
    """One cached token of input, in calls with more than 200,000 tokens of input, served in the tier `priority`."""
    cache_read_input_token_cost_above_272k_tokens_priority: Amount | None = None
    """One cached token of input, in calls with more than 272,000 tokens of input, served in the tier `priority`."""
    cache_creation_input_token_cost: Amount | None = None
    """One token of input that was written to a cache; unset: as other input, if that has a price here."""
    cache_creation_input_token_cost_above_200k_tokens: Amount | None = None
    """One token of input that was written to a cache, in calls with more than 200,000 tokens of input."""
    cache_creation_input_token_cost_above_272k_tokens: Amount | None = None
    """One token of input that was written to a cache, in calls with more than 272,000 tokens of input."""
    cache_creation_input_token_cost_above_1hr: Amount | None = None
    """One token of input that was written to a cache for an hour; unset: as for minutes."""
    cache_creation_input_token_cost_above_1hr_above_200k_tokens: Amount | None = None
    """One token of input that was written to a cache for an hour, in calls with more than 200,000 tokens of input."""
    output_cost_per_reasoning_token: Amount | None = None
    """One token of reasoning; unset: as other output, if that has a price here."""
    input_cost_per_audio_token: Amount | None = None
    """One token of input that is sound; unset: as other input, if that has a price here."""
    output_cost_per_audio_token: Amount | None = None
    """One token of output that is sound; unset: as other output, if that has a price here."""
    input_cost_per_request: Amount | None = None
    """One call, beside its tokens."""
