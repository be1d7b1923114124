"""From settings to parts: what a Router is put together from. No state of its own."""

from __future__ import annotations

import random
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import replace

from checks.affinity.signed_id import SignedIds
from checks.base import PreCallCheck
from checks.end_user import EndUsers
from providers.errors import ConfigurationError
from providers.types import Deployment, HomePolicy
from router.budgeting import Budgeting
from router.config import RouterSettings
from router.plan import Policy
from router.pool import HealthSettings
from router.request import retries, targets
from router.run import Limits
from strategies.base import Strategy
from strategies.catalog import build as build_strategy

CheckSpec = str | PreCallCheck | type[PreCallCheck]
StrategySpec = str | Strategy | type[Strategy]


def randomness(seed: int | None, given: random.Random | None) -> tuple[random.Random, int | None]:
    """What a Router draws from, and what that began with: None of one that was given to it."""
    if given is None:
        seed = secrets.randbits(63) if seed is None else seed
        return random.Random(seed), seed
    if seed is not None:
        raise ConfigurationError("seed: the generator given as rng has its own; leave out one of the two")
    return given, None


def limits(settings: RouterSettings) -> Limits:
    """The Router's own time limits."""
    return Limits(settings.timeout, settings.stream_timeout, settings.idle_timeout, settings.deadline)


def health(settings: RouterSettings) -> HealthSettings:
    """How the pool judges deployments; LiteLLM's names map onto the breaker's."""
    fails = settings.allowed_fails
    return HealthSettings(
        enabled=not settings.disable_cooldowns,
        consecutive=2 if fails is None else fails + 1,
        cooldown_time=settings.cooldown_time,
        on_all_down=settings.on_all_down,
    )


def policy(settings: RouterSettings) -> Policy:
    """What may be tried for a call of any group."""
    return Policy(
        num_retries=settings.num_retries,
        retry_policy=retries(settings.retry_policy),
        retry_after=settings.retry_after,
        fallbacks={group: targets(models) for group, models in settings.fallbacks.items()},
        default_fallbacks=targets(settings.default_fallbacks),
        context_window_fallbacks={g: targets(models) for g, models in settings.context_window_fallbacks.items()},
        content_policy_fallbacks={g: targets(models) for g, models in settings.content_policy_fallbacks.items()},
        max_fallbacks=settings.max_fallbacks,
        wait_when_down=settings.on_all_down != "fail",
    )


def policies(settings: RouterSettings) -> dict[str, Policy]:
    """The same for groups with a retry policy of their own."""
    usual, aliases = policy(settings), settings.model_group_alias
    return {
        aliases[group].model if group in aliases else group: replace(
            usual, retry_policy={**usual.retry_policy, **retries(own)}
        )
        for group, own in settings.model_group_retry_policy.items()
    }


def home_policy(settings: RouterSettings) -> HomePolicy:
    """What follows when a conversation's home is lost."""
    return HomePolicy(settings.on_home_lost, settings.home_wait, settings.replay == "lossy")


def home_policies(settings: RouterSettings) -> dict[str, HomePolicy]:
    """The same by group, for those that differ."""
    usual, aliases = home_policy(settings), settings.model_group_alias
    return {
        aliases[group].model if group in aliases else group: HomePolicy(
            own.on_home_lost or usual.on_lost,
            usual.wait if own.home_wait is None else own.home_wait,
            usual.lossy if own.replay is None else own.replay == "lossy",
        )
        for group, own in settings.model_group_affinity.items()
    }


def signed_ids(settings: RouterSettings) -> SignedIds | None:
    """What signs ids, if they are to be signed."""
    key = settings.affinity_key
    if settings.affinity != "signed-id" or key is None:
        return None
    return SignedIds(key, previous_key=settings.affinity_previous_key)


def end_users(settings: RouterSettings) -> EndUsers:
    """Who calls are for."""
    names = [each.header_name for each in settings.user_header_mappings]
    if settings.user_header_name is not None:
        names.append(settings.user_header_name)
    return EndUsers(names, hashed=settings.hash_end_users)


def replays(settings: RouterSettings) -> bool:
    """Whether what was said is kept for replays. A call alone can't ask for it: nothing was kept for it."""
    policies = (settings.on_home_lost, *(own.on_home_lost for own in settings.model_group_affinity.values()))
    return "replay" in policies


def completed(deployments: Sequence[Deployment], settings: RouterSettings) -> tuple[Deployment, ...]:
    """`deployments` with the limit that those without one of their own get."""
    cap = settings.default_max_parallel_requests
    if cap is None:
        return tuple(deployments)
    return tuple(
        replace(each, max_parallel_requests=cap) if each.max_parallel_requests is None else each for each in deployments
    )


def check_specs(settings: RouterSettings, given: Sequence[CheckSpec] | None) -> tuple[CheckSpec, ...]:
    """The checks asked for, in order; LiteLLM's switches, and budgets, add theirs at the end."""
    specs = tuple(given) if given is not None else tuple(settings.optional_pre_call_checks)
    if settings.enable_tag_filtering and "tags" not in specs:
        specs += ("tags",)
    if settings.enable_pre_call_checks and "context_window" not in specs:
        specs += ("context_window",)
    if (settings.budgets or settings.provider_budget_config) and not {"budget", "router_budget_limiting"} & {*specs}:
        specs += ("budget",)
    return specs


def with_budgets(
    checks: tuple[PreCallCheck, ...], budgeting: Budgeting, deployments: Sequence[Deployment]
) -> tuple[PreCallCheck, ...]:
    """`checks`, with that of budgets if one of `deployments` brings its own, or keys of a proxy do."""
    budget = budgeting.check
    if budget in checks or not (budgeting.needed or any(each.max_budget is not None for each in deployments)):
        return checks
    return (*checks, budget)


class StrategyFactory:
    """Makes each group its own strategy, and refuses what can't be one before any call is made."""

    def __init__(self, settings: RouterSettings, spec: StrategySpec | None, rng: random.Random) -> None:
        self._rng = rng
        self._spec: StrategySpec = settings.routing_strategy if spec is None else spec
        self._args: Mapping[str, object] = settings.routing_strategy_args
        self._own: dict[str, tuple[str, Mapping[str, object]]] = {
            model: (group.routing_strategy, group.routing_strategy_args)
            for group in settings.routing_groups
            for model in group.models
        }
        self._made: dict[str, Strategy] = {}
        build_strategy(self._spec, self._args, rng)
        for name, args in self._own.values():
            build_strategy(name, args, rng)

    def strategy(self, group: str) -> Strategy:
        """The strategy of `group`: the one it has had, if it has had one."""
        if group not in self._made:
            spec, args = self._own.get(group, (self._spec, self._args))
            self._made[group] = build_strategy(spec, args, self._rng)
        return self._made[group]

    def keep(self, groups: Mapping[str, object]) -> None:
        """Forget the strategies of groups that are gone."""
        self._made = {name: made for name, made in self._made.items() if name in groups}
