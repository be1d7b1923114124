"""Names that LiteLLM's users know and we don't take, each with the reason or with what to use instead."""

from __future__ import annotations

from collections.abc import Iterable, Mapping


def _all(names: Iterable[str], text: str) -> dict[str, str]:
    return dict.fromkeys(names, text)


_PER_CALL = "it belongs to a single call; pass it to the call"
_ENTRA = (
    "signing in by password is at an end at Microsoft; give tenant_id, client_id and client_secret, or "
    "azure_ad_token_provider, e.g. azure.identity.get_bearer_token_provider(credential, scope)"
)
_UNPRICED = "calls are priced by tokens and by the request; use input_cost_per_token and its kin"
_BY_OTHER_UNITS = (
    *("input_cost_per_second", "output_cost_per_second", "input_cost_per_character", "output_cost_per_character"),
    *("input_cost_per_image", "output_cost_per_image", "input_cost_per_pixel", "output_cost_per_pixel"),
)

PARAMS: Mapping[str, str] = {
    **_all(("input", "previous_response_id", "conversation", "stream", "messages"), _PER_CALL),
    **_all(("azure_username", "azure_password"), _ENTRA),
    **_all(_BY_OTHER_UNITS, _UNPRICED),
    **_all(("itpm", "otpm"), "input and output tokens are limited together; use tpm"),
    **_all(("max_tokens", "max_completion_tokens"), "the Responses API calls it max_output_tokens"),
    "id": "put it in model_info",
    "model_info": "it stands beside litellm_params, not inside",
    "model_name": "it stands beside litellm_params, not inside",
    "base_model": "put it in model_info",
    "reasoning_effort": "write reasoning: {'effort': …}",
    "verbosity": "write text: {'verbosity': …}",
    "response_format": "write text: {'format': …}",
    "mock_response": "start a simulated deployment and give its address as api_base",
    "litellm_credential_name": "refer to environment variables with os.environ/NAME",
    "configurable_clientside_auth_params": "callers cannot replace a deployment's address or credentials",
    "timeout_by_service_tier": "use timeout",
    "stream_timeout_by_service_tier": "use stream_timeout",
    "tag_regex": "use tags",
    "seed": "the Responses API has no seed",
    "stop": "the Responses API has no stop sequences",
    "n": "the Responses API gives one answer",
}
"""In `litellm_params`."""

MODEL_INFO: Mapping[str, str] = {
    **_all(("input_cost_per_second", "output_cost_per_second"), _UNPRICED),
    **_all(("itpm", "otpm"), "input and output tokens are limited together; use tpm"),
    **_all(("allowed_fails", "allowed_fails_policy"), "the breaker is set for the whole Router, by allowed_fails"),
    "disable_background_health_check": "write health_check: 'off'",
    "health_check_timeout": "it is an argument of the Router",
    "health_check_max_tokens": "a health check asks for as few tokens as can be",
    "access_windows": "deployments serve at any time",
    "blocked": "leave the deployment out of model_list, or delete_deployment it",
    "enable_tag_filtering": "it is an argument of the Router",
}
"""In `model_info`, where other unknown names are kept."""

_CACHES = "responses are not cached"
_ROUTING = "what health checks find goes to the breaker, which every strategy respects; set health_checks"

SETTINGS: Mapping[str, str] = {
    **_all(("cache_responses", "cache_kwargs", "caching_groups"), _CACHES),
    **_all(("assistants_config", "search_tools", "guardrail_list", "plugins"), "only the Responses API is routed"),
    "enable_health_check_routing": _ROUTING,
    "health_check_staleness_threshold": "what a health check finds holds as long as what a call finds",
    "health_check_ignore_transient_errors": "one failure opens no breaker; see allowed_fails",
    "background_health_check_model_groups": "set health_check of the deployments: 'off', 'models' or 'call'",
    **_all(("polling_interval", "default_priority"), "there is no priority queue; calls wait on on_all_down='wait'"),
    **_all(("set_verbose", "debug_level"), "set the level of the logger 'router' with the logging module"),
    **_all(("success_callback", "failure_callback"), "put them into callbacks; LiteLLM's loggers are taken"),
    "turn_off_message_logging": "nothing of what is said is recorded unless record_contents is on",
    "json_logs": "add a router.JsonLog() to the handlers of logging",
    **_all(("fallback_access_check", "fallback_budget_check"), "write a pre-call check"),
    **_all(("tag_filtering_match_any", "tag_routing_prefix"), "use enable_tag_filtering and the tags of deployments"),
    "client_ttl": "connections are kept and closed by the transport",
    "alerting_config": "use the Router's callbacks, or logging",
    "router_general_settings": "every Router serves async and sync callers, with the models of its list",
    "allowed_fails_policy": "use allowed_fails; whose fault a failure is decides whether it counts",
    "fallback_on_unsupported_params": "a caller's fault is raised at once; see retry_policy",
    "deployment_affinity_ttl_seconds": "use affinity_ttl",
    "model_group_affinity_config": "name the checks in optional_pre_call_checks",
    "session_affinity_repin_on_failover": "name the checks in optional_pre_call_checks",
    "ignore_invalid_deployments": "every problem is reported, so that none is found in production",
    "enable_weighted_failover": "a retry always goes to an untried deployment while there is one",
    "enable_mid_stream_fallback_continuation": "after the first output an error is the caller's to see",
    "auto_router_capability_limit": "models are not chosen by content",
    "max_retries": "use num_retries",
    "startup_nodes": "give the cluster's address as redis_url",
    "request_timeout": "use timeout",
    "routing_group": "use routing_groups",
}
"""Among the Router's arguments."""

RETRY_POLICY: Mapping[str, str] = {
    "ServiceUnavailableErrorRetries": "use InternalServerErrorRetries, which counts every 5xx",
    "NotFoundErrorRetries": "a deployment that lacks the model is left for another; use num_retries",
    "DefaultRetries": "use num_retries",
}

ROUTING_GROUP: Mapping[str, str] = {"model_priorities": "give the deployments an order"}
