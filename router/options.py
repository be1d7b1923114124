"""The settings as keyword arguments, for editors and type checkers; `router.config.RouterSettings` explains each."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal, TypedDict

Fallbacks = Sequence[Mapping[str, Sequence[Any]]] | Mapping[str, Sequence[Any]]


class RouterOptions(TypedDict, total=False):
    """Every setting that a file can hold too. Times in seconds."""

    routing_strategy_args: Mapping[str, Any] | None
    routing_groups: Sequence[Mapping[str, Any]] | None
    model_group_alias: Mapping[str, Any] | None
    enable_pre_call_checks: bool
    enable_tag_filtering: bool
    num_retries: int
    retry_policy: Mapping[str, int] | None
    model_group_retry_policy: Mapping[str, Mapping[str, int]] | None
    retry_after: float
    timeout: float
    stream_timeout: float | None
    idle_timeout: float | None
    deadline: float | None
    fallbacks: Fallbacks | None
    default_fallbacks: Sequence[Any] | None
    context_window_fallbacks: Fallbacks | None
    content_policy_fallbacks: Fallbacks | None
    max_fallbacks: int
    allowed_fails: int | None
    cooldown_time: float | None
    disable_cooldowns: bool
    on_all_down: Literal["try", "wait", "fail"]
    default_max_parallel_requests: int | None
    default_litellm_params: Mapping[str, Any] | None
    drop_params: bool | None
    remote_files: Literal["public", "any", "refuse"]
    redis_url: str | None
    redis_host: str | None
    redis_port: int | None
    redis_username: str | None
    redis_password: str | None
    redis_ssl: bool | None
    redis_db: int | None
    redis_key_prefix: str
    redis_timeout: float
    affinity_ttl: float
    affinity: Literal["store", "signed-id"]
    affinity_write: Literal["acknowledged", "beside"]
    affinity_key: str | None
    affinity_previous_key: str | None
    on_home_lost: Literal["fail", "wait", "replay"]
    home_wait: float
    replay: Literal["strict", "lossy"]
    model_group_affinity: Mapping[str, Mapping[str, Any]] | None
    discover: bool | None
    transcript_max_bytes: int
    affinity_max_entries: int
    health_checks: Literal["off", "models", "call"] | bool
    health_check_interval: float
    health_check_timeout: float
    budgets: Sequence[Mapping[str, Any]] | None
    provider_budget_config: Mapping[str, Mapping[str, Any]] | None
    callback_queue: int
    price_updates: bool
    record_contents: bool
    record_decisions: bool
    user_header_name: str | None
    user_header_mappings: Sequence[Mapping[str, str]] | None
    hash_end_users: bool
    seed: int | None
