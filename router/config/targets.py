"""The parts of the settings that name groups: aliases, fallbacks, routing groups, retries by group."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, ClassVar, Literal

from pydantic import BeforeValidator, Field, model_validator
from pydantic.json_schema import WithJsonSchema

from router.config.refusals import RETRY_POLICY, ROUTING_GROUP
from router.config.strict import Amount, Count, JsonMapping, Name, Strict

_TARGET_SCHEMA = {
    "anyOf": [
        {"type": "string", "minLength": 1},
        {"type": "object", "properties": {"model": {"type": "string", "minLength": 1}}, "required": ["model"]},
    ]
}
_TARGETS_SCHEMA = {"type": "array", "items": _TARGET_SCHEMA}
_MAP_SCHEMA = {"type": "object", "additionalProperties": _TARGETS_SCHEMA}


class Alias(Strict):
    """Another name of a group."""

    model: Name
    """The group, alias, name or deployment id it stands for."""
    hidden: bool = False
    """Leave it out of listings."""

    @model_validator(mode="before")
    @classmethod
    def _from_name(cls, value: Any) -> Any:  # pydantic's signature
        return {"model": value} if isinstance(value, str) else value


class Target(Strict):
    """Where to fall back to, and what to change in the body of the call on the way."""

    model: Name
    """A group, an alias, a name that a wildcard matches, or a deployment's id."""
    overrides: JsonMapping = Field(default_factory=dict)
    """Body parameters that replace the caller's."""

    @model_validator(mode="before")
    @classmethod
    def _from_name(cls, value: Any) -> Any:  # pydantic's signature
        if isinstance(value, str):
            return {"model": value}
        if isinstance(value, dict):
            overrides = {name: item for name, item in value.items() if name != "model"}
            return {"model": value["model"], "overrides": overrides} if "model" in value else {}
        return value


class RetryPolicy(Strict):
    """How often to retry after each class of failure; unset: `num_retries`."""

    refused: ClassVar[Mapping[str, str]] = RETRY_POLICY

    BadRequestErrorRetries: Count | None = None
    AuthenticationErrorRetries: Count | None = None
    TimeoutErrorRetries: Count | None = None
    RateLimitErrorRetries: Count | None = None
    ContentPolicyViolationErrorRetries: Count | None = None
    InternalServerErrorRetries: Count | None = None


OnHomeLost = Literal["fail", "wait", "replay"]


class HomeSettings(Strict):
    """What follows in one group when a conversation's home is lost; unset: as in the others."""

    on_home_lost: OnHomeLost | None = None
    home_wait: Amount | None = None
    replay: Literal["strict", "lossy"] | None = None


class UserHeader(Strict):
    """A header of a call that says who it is for."""

    header_name: Name
    """Its name, in any case."""
    litellm_user_role: Literal["customer"] = "customer"
    """Whom it names, in LiteLLM's words: only end users are known here."""


class RoutingGroup(Strict):
    """Groups that share a strategy of their own."""

    refused: ClassVar[Mapping[str, str]] = ROUTING_GROUP

    group_name: Name | None = None
    """What it is called in listings."""
    models: Annotated[list[Name], Field(min_length=1)]
    """The model groups in it; each may be in one routing group."""
    routing_strategy: Name
    """As the Router's argument."""
    routing_strategy_args: JsonMapping = Field(default_factory=dict)


def _merged(value: object) -> object:
    """LiteLLM's list of one-key mappings, as one mapping."""
    if not isinstance(value, list):
        return value
    merged: dict[str, object] = {}
    for index, item in enumerate(value):
        if not isinstance(item, dict):
            raise ValueError(f"item {index} must be a mapping of a group to a list of groups")
        for name, targets in item.items():
            if name in merged:
                raise ValueError(f"has two items for {name!r}; put their groups in one list")
            merged[name] = targets
    return merged


Targets = Annotated[list[Target], WithJsonSchema(_TARGETS_SCHEMA)]

FallbackMap = Annotated[
    dict[str, list[Target]],
    BeforeValidator(_merged),
    WithJsonSchema({"anyOf": [{"type": "array", "items": _MAP_SCHEMA}, _MAP_SCHEMA]}),
]
"""Group → where to fall back to, in order. Written as `[{"a": ["b", "c"]}]` or `{"a": ["b", "c"]}`."""
