"""The Router's settings: what its arguments, and `router_settings` of a configuration file, mean."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, ClassVar, Literal

from pydantic import Field, SecretStr
from pydantic.json_schema import WithJsonSchema

from router.config.budgets import Budget, Spending
from router.config.refusals import SETTINGS
from router.config.strict import Amount, Count, JsonMapping, Name, Number, PositiveCount, Seconds, Strict
from router.config.targets import (
    Alias,
    FallbackMap,
    HomeSettings,
    OnHomeLost,
    RetryPolicy,
    RoutingGroup,
    Targets,
    UserHeader,
)
from router.config.values import HealthChecks
from router.stores.redis_url import RedisSettings

_ALIASES_SCHEMA = {
    "type": "object",
    "additionalProperties": {
        "anyOf": [
            {"type": "string", "minLength": 1},
            {
                "type": "object",
                "properties": {"model": {"type": "string", "minLength": 1}, "hidden": {"type": "boolean"}},
                "required": ["model"],
                "additionalProperties": False,
            },
        ]
    },
}

EVERY_GROUP = "*"
"""As a key of `fallbacks`, LiteLLM's way to write `default_fallbacks`."""


class RouterSettings(Strict):
    """Everything about a Router that is not a deployment. Times are in seconds."""

    synonyms: ClassVar[Mapping[str, str]] = {
        "background_health_checks": "health_checks",
        "default_params": "default_litellm_params",
    }
    refused: ClassVar[Mapping[str, str]] = SETTINGS
    nested: ClassVar[Mapping[str, type[Strict]]] = {
        "model_group_alias": Alias,
        "routing_groups": RoutingGroup,
        "retry_policy": RetryPolicy,
        "model_group_retry_policy": RetryPolicy,
        "model_group_affinity": HomeSettings,
        "user_header_mappings": UserHeader,
        "budgets": Budget,
        "provider_budget_config": Spending,
    }

    routing_strategy: Name = "adaptive"
    """Who of those that may serve a call should."""
    routing_strategy_args: JsonMapping = Field(default_factory=dict)
    """Arguments of the strategy."""
    routing_groups: list[RoutingGroup] = Field(default_factory=list)
    """Model groups with a strategy of their own."""
    model_group_alias: Annotated[dict[Name, Alias], WithJsonSchema(_ALIASES_SCHEMA)] = Field(default_factory=dict)
    """Other names of groups: `{"alias": "group"}` or `{"alias": {"model": "group", "hidden": true}}`."""

    optional_pre_call_checks: list[Name] = Field(default_factory=list)
    """Checks that decide who may serve a call, by name, in the order they are asked."""
    enable_pre_call_checks: bool = False
    """LiteLLM's way to add the check `context_window`."""
    enable_tag_filtering: bool = False
    """LiteLLM's way to add the check `tags`."""

    num_retries: Count = 2
    """Retries of a failed call within its group."""
    retry_policy: RetryPolicy = RetryPolicy()
    """Retries by class of failure."""
    model_group_retry_policy: dict[Name, RetryPolicy] = Field(default_factory=dict)
    """Retries by class of failure, by group; wins over `retry_policy`."""
    retry_after: Amount = 0.0
    """The least time to wait before a retry that has to wait."""
    timeout: Seconds = 600.0
    """For one attempt; a deployment's own wins."""
    stream_timeout: Seconds | None = None
    """To the first event of a stream; unset: `timeout`."""
    idle_timeout: Seconds | None = None
    """Between two chunks of a stream; unset: `timeout`."""
    deadline: Seconds | None = None
    """For a whole call: attempts, waits and fallbacks together."""

    fallbacks: FallbackMap = Field(default_factory=dict)
    """Group → groups to turn to when it fails: `[{"a": ["b", "c"]}]`."""
    default_fallbacks: Targets = Field(default_factory=list)
    """Groups to turn to when one without `fallbacks` fails."""
    context_window_fallbacks: FallbackMap = Field(default_factory=dict)
    """Group → groups to turn to when the input is too long for it."""
    content_policy_fallbacks: FallbackMap = Field(default_factory=dict)
    """Group → groups to turn to when its content filter refuses."""
    max_fallbacks: Count = 5
    """Groups that one call may turn to."""

    allowed_fails: Count | None = None
    """Failures within `cooldown_time` that a deployment may have before it rests; unset: by failure rate."""
    cooldown_time: Amount | None = None
    """How long a deployment rests; unset: by how often it failed."""
    disable_cooldowns: bool = False
    """Let failed deployments go on."""
    on_all_down: Literal["try", "wait", "fail"] = "try"
    """What to do when every deployment of a group rests: try one all the same, wait for one, or fail."""
    default_max_parallel_requests: PositiveCount | None = None
    """`max_parallel_requests` of deployments that give none."""
    default_litellm_params: dict[str, object] = Field(default_factory=dict, repr=False)
    """Parameters of deployments that don't give their own."""
    drop_params: bool | None = None
    """LiteLLM's way to write `drop_params` of `default_litellm_params`."""

    remote_files: Literal["public", "any", "refuse"] = "public"
    """From where files that a call names are downloaded, for deployments that take no addresses: from public
    addresses; also from the Router's own network; from nowhere."""

    redis_url: Annotated[SecretStr, Field(min_length=1)] | None = None
    """Where the Redis is that shares pins and cooldowns between Routers; unset, like `redis_host`: none."""
    redis_host: Name | None = None
    """Host of Redis, in place of `redis_url`."""
    redis_port: Annotated[int, Field(ge=1, le=65535), Number] | None = None
    """Port at `redis_host`; default 6379."""
    redis_username: Name | None = None
    """Who to log in to Redis as."""
    redis_password: SecretStr | None = None
    """Password for Redis; may stand beside a `redis_url` without one."""
    redis_ssl: bool | None = None
    """Use TLS to `redis_host`; default false."""
    redis_db: Count | None = None
    """Number of the database in Redis; default 0."""
    redis_key_prefix: Name = "homing"
    """What every key in Redis begins with."""
    redis_timeout: Seconds = 0.25
    """Bound of each operation on Redis."""
    affinity_ttl: Seconds = 2_592_000.0
    """How long a response's owner is remembered after its last use; default 30 days."""
    affinity: Literal["store", "signed-id"] = "store"
    """Where owners are found: in memory or Redis, or in the ids themselves, which are then signed."""
    affinity_write: Literal["acknowledged", "beside"] = "acknowledged"
    """Whether a reply waits until Redis has its owner, or that is written beside it."""
    affinity_key: Annotated[SecretStr, Field(min_length=16)] | None = None
    """Signs ids, for `signed-id`; the same in every process."""
    affinity_previous_key: Annotated[SecretStr, Field(min_length=16)] | None = None
    """The key before, or the next one: ids that it signed are taken too."""
    on_home_lost: OnHomeLost = "wait"
    """What follows when a conversation's deployment, and all that share its state, can't serve."""
    home_wait: Amount = 10.0
    """For how long it is waited for."""
    replay: Literal["strict", "lossy"] = "strict"
    """Whether a replay fails if something can't move, or leaves it out."""
    model_group_affinity: dict[Name, HomeSettings] = Field(default_factory=dict)
    """`on_home_lost`, `home_wait` and `replay` of single groups."""
    discover: bool | None = None
    """Whether the owner of an unknown id is asked for; unset: if owners are remembered in memory alone."""
    transcript_max_bytes: PositiveCount = 67_108_864
    """Memory for transcripts, which are kept where something may be replayed."""
    affinity_max_entries: PositiveCount = 100_000
    """Owners remembered in memory; the least recently used is forgotten first."""

    health_checks: HealthChecks = "off"
    """Whether deployments are asked how they are before a call finds out: for their `models`, or by a `call`."""
    health_check_interval: Seconds = 300.0
    """In which each deployment is asked once, unless a call was served there."""
    health_check_timeout: Seconds = 10.0
    """For one health check."""
    budgets: list[Budget] = Field(default_factory=list)
    """What may be spent, by group, deployment, provider, end user or tag: `{"end_user": "*", "max_budget": 5,
    "budget_duration": "1d"}`."""
    provider_budget_config: dict[Name, Spending] = Field(default_factory=dict)
    """LiteLLM's way to write budgets of providers: `{"openai": {"budget_limit": 10, "time_period": "1d"}}`."""

    callback_queue: PositiveCount = 10_000
    """Records that may wait for each callback; what comes when so many do is dropped, and counted."""
    price_updates: bool = False
    """Whether newer prices are fetched from GitHub each hour, by genai-prices; else those that came with it hold."""
    record_contents: bool = False
    """Whether records hold what was asked and answered, and what errors say."""
    record_decisions: bool = False
    """Whether each attempt says why it went where it went."""
    seed: Annotated[int, Field(ge=0), Number] | None = None
    """What the Router's randomness begins with, so that the same calls are routed the same; unset: drawn."""

    user_header_name: Name | None = None
    """A header that says who a call is for, beside `x-litellm-customer-id` and `x-litellm-end-user-id`."""
    user_header_mappings: list[UserHeader] = Field(default_factory=list)
    """Several of them, asked before it: `[{"header_name": "X-User", "litellm_user_role": "customer"}]`."""
    hash_end_users: bool = False
    """Whether end users that look like an e-mail address or a telephone number are known by a digest only."""

    def redis(self) -> RedisSettings | None:
        """Where Redis is; None if there is none. Raises `ConfigurationError`."""
        if self.redis_url is None and self.redis_host is None:
            return None
        return RedisSettings.parse(
            self.redis_url,
            host=self.redis_host,
            port=self.redis_port,
            username=self.redis_username,
            password=self.redis_password,
            ssl=self.redis_ssl,
            db=self.redis_db,
        )
