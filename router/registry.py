"""Names → groups: what a caller's `model` stands for. An immutable snapshot, swapped whole on change."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from types import MappingProxyType

from providers.errors import BadRequestError, ConfigurationError, UnknownModelError
from providers.types import Deployment
from router.hints import did_you_mean

_REMEMBERED = 1024
_NAME_LIMIT = 256


@dataclass(frozen=True, slots=True)
class Resolution:
    """What a name stands for."""

    group: str
    """The group that serves it."""
    wildcard: str = ""
    """What the `*` of the group's name stood for."""
    deployment: Deployment | None = None
    """The one deployment asked for by id; None: any of the group."""


@dataclass(frozen=True, slots=True)
class _Pattern:
    """A group's name with a `*`."""

    group: str
    prefix: str
    suffix: str

    @classmethod
    def of(cls, group: str) -> _Pattern:
        prefix, _, suffix = group.partition("*")
        return cls(group, prefix, suffix)

    def capture(self, name: str) -> str:
        """What the `*` stands for in `name`; empty if it does not match."""
        if name.startswith(self.prefix) and name.endswith(self.suffix):
            return name[len(self.prefix) : len(name) - len(self.suffix)]
        return ""


class Registry:
    """Which deployments there are, by group and by id, and what every name means.

    Never changes: `adding`, `putting` and `dropping` make another one, so calls in flight keep theirs.
    """

    __slots__ = ("_aliases", "_exact", "_patterns", "_remembered", "by_id", "groups", "version")

    groups: Mapping[str, tuple[Deployment, ...]]
    """Deployments by `model_name`, in the order of the list."""
    by_id: Mapping[str, Deployment]
    version: int
    """Its number among those that its Router has used, from 1; 0 until it is used."""

    def __init__(self, deployments: Iterable[Deployment] = (), aliases: Mapping[str, str] | None = None) -> None:
        """`aliases` maps a name to a group, another alias, a name that a wildcard matches, or a deployment's id.

        An alias that leads nowhere is unknown. Raises `ConfigurationError` if two deployments have one id.
        """
        by_id: dict[str, Deployment] = {}
        groups: dict[str, list[Deployment]] = {}
        for deployment in deployments:
            if deployment.id in by_id:
                raise ConfigurationError(f"two deployments have the id {deployment.id!r}; give each its own")
            by_id[deployment.id] = deployment
            groups.setdefault(deployment.group, []).append(deployment)
        self.version = 0
        self.by_id = MappingProxyType(by_id)
        self.groups = MappingProxyType({name: tuple(members) for name, members in groups.items()})
        self._aliases = dict(aliases or {})
        self._patterns = _ranked(groups)
        self._remembered: dict[str, Resolution] = {}
        self._exact = {name: Resolution(deployment.group, deployment=deployment) for name, deployment in by_id.items()}
        plain = {name: Resolution(name) for name in groups if "*" not in name}
        self._exact = self._exact | self._followed(self._exact | plain) | plain

    def _followed(self, known: Mapping[str, Resolution]) -> dict[str, Resolution]:
        """What each alias leads to."""
        found: dict[str, Resolution] = {}
        for alias in self._aliases:
            target, seen = self._aliases[alias], {alias}
            while target in self._aliases and target not in self.groups and target not in seen:
                seen.add(target)
                target = self._aliases[target]
            resolution = known.get(target) or (None if target in seen else self._match(target))
            if resolution is not None:
                found[alias] = resolution
        return found

    def resolve(self, name: str) -> Resolution:
        """What `name` stands for: a group, an alias, a deployment's id, or what the most specific wildcard matches.

        Raises `UnknownModelError`, and `BadRequestError` for what is no name.
        """
        if not isinstance(name, str):
            said = f"model: must be the name of a group, not {name!r}"
            raise BadRequestError(said, param="model", code="invalid_argument")
        found = self._exact.get(name) or self._match(name)
        if found is None:
            raise UnknownModelError(
                f"no deployment serves the model {name[:_NAME_LIMIT]!r}{did_you_mean(name, self.names())}",
                code="model_not_found",
                param="model",
                type="invalid_request_error",
            )
        return found

    def knows(self, name: str) -> bool:
        """Whether `resolve` would find `name`."""
        return name in self._exact or self._match(name) is not None

    def names(self) -> tuple[str, ...]:
        """Every group and alias."""
        return (*self.groups, *self._aliases)

    def _match(self, name: str) -> Resolution | None:
        found = self._remembered.get(name)
        if found is not None:
            return found
        for pattern in self._patterns:
            wildcard = pattern.capture(name)
            if wildcard:
                found = Resolution(pattern.group, wildcard)
                self._remember(name, found)
                return found
        return None

    def _remember(self, name: str, found: Resolution) -> None:
        """Any thread may do this at any time, so it is one dict operation each; a full memory starts anew."""
        if len(name) > _NAME_LIMIT:
            return
        if len(self._remembered) >= _REMEMBERED:
            self._remembered.clear()
        self._remembered[name] = found

    def adding(self, deployment: Deployment) -> Registry:
        """With one more. Raises `ConfigurationError` if its id is taken."""
        return Registry((*self.by_id.values(), deployment), self._aliases)

    def putting(self, deployment: Deployment) -> Registry:
        """With this one in the place of the one that has its id, or else added."""
        if deployment.id not in self.by_id:
            return self.adding(deployment)
        return Registry({**self.by_id, deployment.id: deployment}.values(), self._aliases)

    def dropping(self, deployment_id: str) -> Registry:
        """Without the one with this id. Raises `KeyError` if there is none."""
        if deployment_id not in self.by_id:
            raise KeyError(deployment_id)
        return Registry((one for one in self.by_id.values() if one.id != deployment_id), self._aliases)


def _ranked(groups: Iterable[str]) -> tuple[_Pattern, ...]:
    """Wildcard groups, the one with the longest literal part first; among equals the longer prefix, then the name."""
    patterns = [_Pattern.of(name) for name in groups if "*" in name]
    return tuple(sorted(patterns, key=lambda one: (-len(one.group), -len(one.prefix), one.group)))
