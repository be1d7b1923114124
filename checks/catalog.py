"""Checks by name: what `optional_pre_call_checks` may list."""

from __future__ import annotations

import inspect
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from difflib import get_close_matches
from typing import Any

from checks.affinity.discovery import Discovery
from checks.affinity.homes import Locate
from checks.affinity.remembered import Remembered
from checks.affinity.responses_api_deployment import DEFAULT_TTL, ResponsesApiDeployment
from checks.affinity.signed_affinity import SignedAffinity
from checks.affinity.signed_id import SignedIds
from checks.affinity.transcript import TranscriptStore
from checks.base import AffinityStore, PreCallCheck
from checks.budgets.check import Budget
from checks.context_window import ContextWindow
from checks.rate_limit import RateLimit
from checks.tags import Tags
from providers.errors import ConfigurationError
from providers.types import HomePolicy


@dataclass(frozen=True, slots=True)
class Services:
    """What the Router lends to the checks it builds by name."""

    store: AffinityStore
    locate: Locate
    affinity_ttl: float = DEFAULT_TTL
    clock: Callable[[], float] = time.monotonic
    home_policy: HomePolicy = field(default_factory=HomePolicy)
    home_policies: Mapping[str, HomePolicy] = field(default_factory=dict)
    """By group."""
    discovery: Discovery | None = None
    """Of responses."""
    conversations: Discovery | None = None
    """The same, of conversations."""
    transcripts: TranscriptStore | None = None
    remembered: Remembered | None = None
    """Asked before all of them, it knows what the Router keeps itself."""
    signed_ids: SignedIds | None = None
    """Given, the ids of responses say who holds them."""
    acknowledged: bool = True
    """Whether an id is handed out only when the store has its owner."""
    budget: Budget | None = None
    """The one check that knows the Router's budgets."""


def _affinity(services: Services) -> PreCallCheck:
    common: dict[str, Any] = {
        "ttl": services.affinity_ttl,
        "policy": services.home_policy,
        "policies": services.home_policies,
        "discovery": services.discovery,
        "conversations": services.conversations,
        "transcripts": services.transcripts,
        "remembered": services.remembered,
        "acknowledged": services.acknowledged,
    }
    if services.signed_ids is not None:
        return SignedAffinity(services.signed_ids, services.store, services.locate, **common)
    return ResponsesApiDeployment(services.store, services.locate, **common)


def _budget(services: Services) -> PreCallCheck:
    if services.budget is None:
        raise ConfigurationError("the check 'budget' needs the budgets of a Router")
    return services.budget


_BUILDERS: dict[str, Callable[[Services], PreCallCheck]] = {
    "responses_api_deployment_check": _affinity,
    "tags": lambda _: Tags(),
    "context_window": lambda _: ContextWindow(),
    "rate_limit": lambda s: RateLimit(clock=s.clock),
    "budget": _budget,
}
_ALIASES = {
    "responses_api_deployment": "responses_api_deployment_check",
    "enforce_model_rate_limits": "rate_limit",
    "router_budget_limiting": "budget",
    "tag_filtering": "tags",
}
"""Other names for the same, LiteLLM's among them."""
NAMES: tuple[str, ...] = (*_BUILDERS, *_ALIASES)


def build(specs: Sequence[str | PreCallCheck | type[PreCallCheck]], services: Services) -> tuple[PreCallCheck, ...]:
    """The checks in declared order; a name is built here, an instance is taken as it is, a class is instantiated.

    Raises `ConfigurationError` for an unknown name (with a did-you-mean), the same name twice, or anything else.
    """
    checks: list[PreCallCheck] = []
    named: set[str] = set()
    for index, spec in enumerate(specs):
        place = f"optional_pre_call_checks[{index}]"
        if isinstance(spec, PreCallCheck):
            checks.append(spec)
        elif inspect.isclass(spec) and issubclass(spec, PreCallCheck):
            checks.append(_instance(spec, place))
        elif isinstance(spec, str):
            name = _ALIASES.get(spec, spec)
            if name in named:
                raise ConfigurationError(f"{place}: {spec!r} is listed twice")
            named.add(name)
            checks.append(_builder(name, place)(services))
        else:
            raise ConfigurationError(
                f"{place}: expected a name, an instance or a subclass of PreCallCheck, not {type(spec).__name__}"
            )
    return tuple(checks)


def _builder(name: str, place: str) -> Callable[[Services], PreCallCheck]:
    if name not in _BUILDERS:
        close = get_close_matches(name, NAMES, n=1)
        hint = f"; did you mean {close[0]!r}?" if close else "."
        raise ConfigurationError(f"{place}: unknown check {name!r}{hint} Known: {', '.join(_BUILDERS)}")
    return _BUILDERS[name]


def _instance(cls: type[PreCallCheck], place: str) -> PreCallCheck:
    try:
        return cls()
    except TypeError as error:
        raise ConfigurationError(f"{place}: {cls.__name__} needs arguments; pass an instance ({error})") from None
