"""The names of OpenTelemetry's conventions for generative AI, as of semantic conventions 1.45, and our own.

Written down here since their package is no part of OpenTelemetry's API; a test compares them with it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

OPERATION: Final = "gen_ai.operation.name"
PROVIDER: Final = "gen_ai.provider.name"
REQUEST_MODEL: Final = "gen_ai.request.model"
REQUEST_STREAM: Final = "gen_ai.request.stream"
OUTPUT_TYPE: Final = "gen_ai.output.type"
CONVERSATION: Final = "gen_ai.conversation.id"
RESPONSE_ID: Final = "gen_ai.response.id"
RESPONSE_MODEL: Final = "gen_ai.response.model"
FINISH_REASONS: Final = "gen_ai.response.finish_reasons"
FIRST_CHUNK: Final = "gen_ai.response.time_to_first_chunk"
INPUT_TOKENS: Final = "gen_ai.usage.input_tokens"
OUTPUT_TOKENS: Final = "gen_ai.usage.output_tokens"
CACHE_READ: Final = "gen_ai.usage.cache_read.input_tokens"
CACHE_WRITE: Final = "gen_ai.usage.cache_creation.input_tokens"
REASONING: Final = "gen_ai.usage.reasoning.output_tokens"
INPUT_MESSAGES: Final = "gen_ai.input.messages"
OUTPUT_MESSAGES: Final = "gen_ai.output.messages"
TOKEN_TYPE: Final = "gen_ai.token.type"
API_TYPE: Final = "openai.api.type"
REQUEST_TIER: Final = "openai.request.service_tier"
RESPONSE_TIER: Final = "openai.response.service_tier"
ADDRESS: Final = "server.address"
PORT: Final = "server.port"
ERROR: Final = "error.type"

PARAMETERS: Final[Mapping[str, str]] = {
    "max_output_tokens": "gen_ai.request.max_tokens",
    "temperature": "gen_ai.request.temperature",
    "top_p": "gen_ai.request.top_p",
    "top_k": "gen_ai.request.top_k",
    "frequency_penalty": "gen_ai.request.frequency_penalty",
    "presence_penalty": "gen_ai.request.presence_penalty",
    "seed": "gen_ai.request.seed",
}
"""Numbers that a call may give, and the attribute for each."""

PROVIDERS: Final[Mapping[str, str]] = {
    "azure": "azure.ai.openai",
    "azure_ai": "azure.ai.inference",
    "bedrock": "aws.bedrock",
    "gemini": "gcp.gemini",
    "vertex_ai": "gcp.vertex_ai",
    "mistral": "mistral_ai",
    "xai": "x_ai",
}
"""Providers that the conventions call by another name than we do."""

OPERATIONS: Final[Mapping[str, str]] = {"create": "chat"}
"""Verbs that the conventions have a name for; the others go by their own."""

USAGE_METRIC: Final = "gen_ai.client.token.usage"
DURATION_METRIC: Final = "gen_ai.client.operation.duration"
FIRST_CHUNK_METRIC: Final = "gen_ai.client.operation.time_to_first_chunk"

TOKEN_BOUNDS: Final = tuple(float(4**power) for power in range(14))
SECOND_BOUNDS: Final = tuple(0.01 * 2**power for power in range(14))

COST_METRIC: Final = "homing.client.cost"
CALL_METRIC: Final = "homing.router.call.duration"

VERB: Final = "homing.verb"
MODEL: Final = "homing.model"
CALL_ID: Final = "homing.call_id"
STATUS: Final = "homing.status"
STREAM: Final = "homing.stream"
GROUP: Final = "homing.group"
DEPLOYMENT: Final = "homing.deployment"
ATTEMPT: Final = "homing.attempt"
ATTEMPTS: Final = "homing.attempts"
FALLBACKS: Final = "homing.fallbacks"
AFFINITY: Final = "homing.affinity"
QUEUE: Final = "homing.queue"
COST: Final = "homing.cost"
COST_UNKNOWN: Final = "homing.cost.unknown"
USAGE_PARTIAL: Final = "homing.usage.partial"
USAGE_ESTIMATED: Final = "homing.usage.estimated"
ERROR_STATUS: Final = "homing.error.status"
ERROR_CODE: Final = "homing.error.code"
DECISION: Final = "homing.route_decision"
