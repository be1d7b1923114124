"""Settings of LiteLLM's proxy that we don't take, each with the reason or with what to use instead.

What can be left out unharmed is told as a note, so that files that were written for LiteLLM run; what somebody relies
on to keep others out, or money in, is an error.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping


def _all(names: Iterable[str], text: str) -> dict[str, str]:
    return dict.fromkeys(names, text)


_NO_DATABASE = "there is no database; what is shared is kept in Redis"
_NO_SIGN_IN = "there is no sign-in; clients show a key"
_NO_PAGES = "there is no such page"
_NOT_ALERTED = "alert on what /metrics shows"
_NO_CACHE = "responses are not cached; Redis is set in router_settings"
_LOGGED = "start the proxy with --log-level or --json-logs"
_KEPT = "conversations are kept by the deployments, and in Redis or memory for those that keep none"
_RESPONSES = "only responses and chat completions are served"

GENERAL_REFUSED: Mapping[str, str] = {
    **_all(("enable_jwt_auth", "litellm_jwtauth", "enable_oauth2_auth", "enable_oauth2_proxy_auth"), _NO_SIGN_IN),
    **_all(("custom_auth", "custom_auth_settings", "custom_auth_run_common_checks"), _NO_SIGN_IN),
    **_all(("allowed_ips", "use_x_forwarded_for"), "put a firewall or a reverse proxy before the proxy"),
    **_all(
        ("allowed_routes", "public_routes", "admin_only_routes", "enforced_params"),
        "the master key may use every path, virtual keys those of models and responses",
    ),
    **_all(
        ("max_budget", "budget_duration", "litellm_key_header_name"), "not taken here; see budgets of router_settings"
    ),
    **_all(("key_management_system", "key_management_settings"), "refer to environment variables with os.environ/NAME"),
    "global_max_parallel_requests": "use max_parallel_requests of the deployments",
    "max_parallel_requests": "use max_parallel_requests of the deployments",
    "custom_key_generate": _NO_SIGN_IN,
    "pass_through_endpoints": _RESPONSES,
    "max_response_size_mb": "what deployments answer is passed on whatever its size",
}
"""Of `general_settings`: who relies on these must know that they don't hold."""

GENERAL_IGNORED: Mapping[str, str] = {
    **_all(("database_url", "database_type", "database_args", "database_connection_pool_limit"), _NO_DATABASE),
    **_all(
        ("database_connection_timeout", "allow_requests_on_db_unavailable", "disable_prisma_schema_update"),
        _NO_DATABASE,
    ),
    **_all(("store_model_in_db", "supported_db_objects", "use_redis_transaction_buffer"), _NO_DATABASE),
    **_all(("proxy_batch_write_at", "proxy_batch_polling_interval", "proxy_budget_rescheduler_min_time"), _NO_DATABASE),
    **_all(("proxy_budget_rescheduler_max_time", "disable_spend_logs", "disable_spend_updates"), _NO_DATABASE),
    **_all(
        ("disable_error_logs", "maximum_spend_logs_retention_period", "disable_adding_master_key_hash_to_db"),
        _NO_DATABASE,
    ),
    **_all(("maximum_spend_logs_retention_interval", "disable_reset_budget"), _NO_DATABASE),
    **_all(("ui_access_mode", "ui_username", "ui_password", "disable_master_key_return", "proxy_base_url"), _NO_PAGES),
    **_all(("alerting", "alerting_threshold", "alerting_args", "alert_types", "alert_to_webhook_url"), _NOT_ALERTED),
    **_all(("spend_report_frequency", "slack_webhook_url"), _NOT_ALERTED),
    **_all(("use_azure_key_vault", "use_google_kms"), "refer to environment variables with os.environ/NAME"),
    **_all(("infer_model_from_keys", "completion_model"), "calls name their model"),
    **_all(("disable_responses_id_security", "allow_unmanaged_response_ids"), "ids are those of the deployments"),
    "store_prompts_in_spend_logs": "write record_contents in router_settings",
    "store_prompts_in_cold_storage": _KEPT,
    "health_check_details": "GET /health tells all but secrets",
    "use_shared_health_check": "each process asks for itself, in turn",
    "forward_client_headers_to_llm_api": "headers of clients are not sent on",
    "forward_openai_org_id": "headers of clients are not sent on; set organization of a deployment",
    "coordinate_cooldowns": "cooldowns are shared where Redis is configured",
    "always_include_stream_usage": "streams tell their usage if they are asked to",
    "user_api_key_cache_ttl": "a key is looked up again after 2 seconds",
}
"""Of `general_settings`: left out, with a note."""

LITELLM_REFUSED: Mapping[str, str] = {
    **_all(("guardrails", "guardrail_list"), "put them before the proxy, or into a pre-call check"),
    **_all(
        ("max_budget", "budget_duration", "max_user_budget", "max_end_user_budget"), "use budgets of router_settings"
    ),
    **_all(("default_key_generate_params", "upperbound_key_generate_params", "key_generation_settings"), _NO_SIGN_IN),
    "ssl_verify": "set it in litellm_params, or in default_litellm_params of router_settings",
    "ssl_certificate": "set client_cert in litellm_params",
    "custom_provider_map": "use a provider that speaks a known dialect, by api_base",
}
"""Of `litellm_settings`: who relies on these must know that they don't hold."""

LITELLM_IGNORED: Mapping[str, str] = {
    **_all(
        (
            "cache",
            "cache_params",
            "disable_hf_tokenizer_download",
            "enable_caching_on_provider_specific_optional_params",
        ),
        _NO_CACHE,
    ),
    **_all(("set_verbose", "json_logs", "verbose", "suppress_debug_info", "log_level"), _LOGGED),
    **_all(
        ("turn_off_message_logging", "redact_messages_in_exceptions"),
        "what is said is not recorded, unless record_contents is on",
    ),
    **_all(("redact_user_api_key_info", "langfuse_default_tags", "langsmith_batch_size"), "there is no such logger"),
    **_all(
        ("service_callback", "audit_log_callbacks", "callback_settings", "s3_callback_params"),
        "there is no such logger",
    ),
    "cold_storage_custom_logger": _KEPT,
    **_all(("default_internal_user_params", "default_team_settings", "default_team_params"), _NO_SIGN_IN),
    **_all(("internal_user_budget_duration", "max_internal_user_budget"), _NO_SIGN_IN),
    **_all(("files_settings", "finetune_settings", "mcp_servers", "mcp_aliases"), _RESPONSES),
    **_all(("image_generation_model", "public_model_groups", "public_model_groups_links"), _RESPONSES),
    **_all(
        ("allowed_fails", "cooldown_time", "retry_policy", "num_retries_per_request"), "write it in router_settings"
    ),
    **_all(("enable_preview_features", "telemetry", "modify_params"), "there is no such thing here"),
    **_all(("add_function_to_prompt", "enable_json_schema_validation"), "what can't be said is refused"),
    **_all(
        ("prometheus_metrics_config", "custom_prometheus_metadata_labels", "custom_prometheus_tags"),
        "the labels are fixed",
    ),
    **_all(
        ("prometheus_initialize_budget_metrics", "enable_end_user_cost_tracking_prometheus_only"),
        "the labels are fixed",
    ),
    "require_auth_for_metrics_endpoint": "/metrics needs the key in any case",
    "include_cost_in_streaming_usage": "costs are in records and metrics",
    "disable_end_user_cost_tracking": "set hash_end_users in router_settings to hide who calls were for",
    "cost_discount_config": "set prices of deployments",
    "cost_margin_config": "set prices of deployments",
    "force_ipv4": "addresses are those that the system resolves",
    "enable_azure_ad_token_refresh": "tokens of Entra ID are fetched anew in time",
    "default_redis_ttl": "set affinity_ttl in router_settings",
    "request_timeout_by_model": "set timeout of deployments",
    "return_response_headers": "routing headers are sent unless routing_headers is off",
    "priority_reservation": "there are no priorities",
    "drop_params_by_model": "set drop_params of deployments",
}
"""Of `litellm_settings`: left out, with a note."""
