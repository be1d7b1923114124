"""From the settings' budgets to rules, and whether what they name is there."""

from __future__ import annotations

from collections.abc import Iterator

from checks.budgets.period import parse_period
from checks.budgets.rules import EACH, Rule, Scope, nano
from providers.catalog import ALIASES, VENDORS
from router.config.budgets import Spending
from router.config.problems import Problems, at
from router.config.settings import RouterSettings
from router.hints import did_you_mean
from router.registry import Registry


def rules(settings: RouterSettings) -> Iterator[Rule]:
    """The budgets that `settings` ask for."""
    for owner, spending in _given(settings):
        yield Rule(*_meant(*owner, settings), nano(spending.max_budget), parse_period(spending.budget_duration))


def check_budgets(settings: RouterSettings, registry: Registry, place: str, problems: Problems) -> None:
    """Note budgets of what there is not, and those that are given twice."""
    deployments = registry.by_id
    known = {"group": registry.groups.keys(), "deployment": deployments.keys(), "provider": VENDORS.keys()}
    own = {("deployment", each.id, each.budget_duration) for each in deployments.values() if each.budget_duration}
    seen: set[tuple[str, str, str]] = set()
    for spot, ((scope, name), spending) in zip(_places(settings, place), _given(settings), strict=True):
        whose = (*_meant(scope, name, settings), spending.budget_duration)
        names = known.get(scope)
        if names is not None and whose[1] not in (EACH, *names) and (deployments or scope == "provider"):
            noun = "model group" if scope == "group" else scope
            problems.add(spot, f"no {noun} {name[:256]!r}{did_you_mean(name, names)}")
        if whose in seen or whose in own:
            problems.add(
                spot, f"the {scope} {name[:256]!r} has another budget per {spending.budget_duration}; give one"
            )
        seen.add(whose)


def _given(settings: RouterSettings) -> Iterator[tuple[tuple[Scope, str], Spending]]:
    for budget in settings.budgets:
        yield budget.owner, budget
    for provider, spending in settings.provider_budget_config.items():
        yield ("provider", provider), spending


def _places(settings: RouterSettings, place: str) -> Iterator[str]:
    for index, budget in enumerate(settings.budgets):
        yield at(at(at(place, "budgets"), index), budget.owner[0])
    for provider in settings.provider_budget_config:
        yield at(at(place, "provider_budget_config"), provider)


def _meant(scope: Scope, name: str, settings: RouterSettings) -> tuple[Scope, str]:
    """Whose it is, by the name that calls go by: that of the group or the vendor that an alias stands for."""
    if scope == "provider":
        return scope, ALIASES.get(name, name)
    if scope == "group":
        for _ in settings.model_group_alias:  # an alias may stand for another
            alias = settings.model_group_alias.get(name)
            name = name if alias is None else alias.model
    return scope, name
