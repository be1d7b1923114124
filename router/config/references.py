"""What the settings say about groups, held against the groups there are."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence

from providers.types import Deployment
from router.config.allowances import check_budgets
from router.config.problems import Problems, at
from router.config.settings import RouterSettings
from router.config.targets import Target
from router.hints import did_you_mean
from router.registry import Registry

_LONGEST = 256
_FALLBACKS = ("fallbacks", "context_window_fallbacks", "content_policy_fallbacks")


def check_references(
    settings: RouterSettings, deployments: Sequence[Deployment], place: str, problems: Problems
) -> None:
    """Note every name in `settings` that stands for nothing. Without deployments no name can be judged."""
    _check_routing_groups(settings, place, problems)
    registry = Registry(deployments, {name: alias.model for name, alias in settings.model_group_alias.items()})
    check_budgets(settings, registry, place, problems)
    if not deployments:
        return
    for name in settings.model_group_alias:
        spot = at(at(place, "model_group_alias"), name)
        if name in registry.groups:
            problems.add(spot, "is also a model_name, which would always win; rename one")
    for spot, name in _names(settings, place):
        if not registry.knows(name):
            problems.add(spot, _missing(name, registry))


def _missing(name: str, registry: Registry) -> str:
    names = registry.names()
    if name in names:  # an alias
        return f"the alias {name!r} leads to no model group"
    return f"no model group {name[:_LONGEST]!r}{did_you_mean(name, names)}"


def _names(settings: RouterSettings, place: str) -> Iterator[tuple[str, str]]:
    """Every name of a group in the settings, with its place."""
    for name, alias in settings.model_group_alias.items():
        yield at(at(place, "model_group_alias"), name), alias.model
    for name in settings.model_group_retry_policy:
        yield at(at(place, "model_group_retry_policy"), name), name
    for name in settings.model_group_affinity:
        yield at(at(place, "model_group_affinity"), name), name
    for index, group in enumerate(settings.routing_groups):
        models = at(at(at(place, "routing_groups"), index), "models")
        yield from ((at(models, number), name) for number, name in enumerate(group.models))
    yield from _targets(settings.default_fallbacks, at(place, "default_fallbacks"))
    for field in _FALLBACKS:
        fallbacks: Mapping[str, list[Target]] = getattr(settings, field)
        for name, targets in fallbacks.items():
            spot = at(at(place, field), name)
            yield spot, name
            yield from _targets(targets, spot)


def _targets(targets: Iterable[Target], place: str) -> Iterator[tuple[str, str]]:
    return ((at(place, index), target.model) for index, target in enumerate(targets))


def _check_routing_groups(settings: RouterSettings, place: str, problems: Problems) -> None:
    homes: dict[str, str] = {}
    for index, group in enumerate(settings.routing_groups):
        spot = at(at(place, "routing_groups"), index)
        for number, name in enumerate(group.models):
            if name in homes:
                problems.add(at(at(spot, "models"), number), f"{name!r} is already in {homes[name]}")
            homes.setdefault(name, spot)
