"""The configuration of the proxy: one file for the Router and for what is around it, as LiteLLM's users have it."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Final, cast

from providers.errors import ConfigurationError
from router.config.documents import Documents
from router.config.file import ROUTING, check_sections, section
from router.config.foreign import GENERAL_IGNORED, LITELLM_IGNORED, LITELLM_REFUSED
from router.config.general import GeneralSettings
from router.config.keys import digest
from router.config.load import load
from router.config.plain import REFERENCE, Copier
from router.config.problems import Problems, at
from router.config.strict import check, read_fields
from router.hints import did_you_mean

MASTER_KEY: Final = "LITELLM_MASTER_KEY"
"""The environment variable that holds the master key where the file has none."""
GENERAL_ROUTING: Final = {
    "background_health_checks": "health_checks",
    "health_check_interval": "health_check_interval",
    "user_header_name": "user_header_name",
    "user_header_mappings": "user_header_mappings",
}
"""What `general_settings` say of routing → the Router's name for it."""
CALLBACKS: Final = ("callbacks", "success_callback", "failure_callback")
BUILT_IN: Final = {"prometheus": "prometheus", "otel": "otel", "opentelemetry": "otel"}
"""Callbacks that a file can name → their name here. All get every call, whether it failed or not."""


@dataclass(frozen=True, slots=True)
class ProxyConfig:
    """What a file says of a proxy. `Router(model_list, callbacks=callbacks, **router_settings)` is its Router."""

    model_list: list[dict[str, object]]
    router_settings: dict[str, object]
    general: GeneralSettings
    callbacks: tuple[str, ...] = ()
    environment: Mapping[str, str] = field(default_factory=dict, repr=False)
    """Environment variables that the file gives; they win over the process's."""
    notes: tuple[str, ...] = ()
    """What of it has no effect, and why."""
    files: tuple[str, ...] = ()
    """The file and those that it includes."""

    @contextmanager
    def exported(self) -> Iterator[Mapping[str, str]]:
        """While it lasts, the process's environment has what the file gives: libraries look there for credentials.

        It is for commands, whose process is theirs alone. Yields the environment as it was.
        """
        before = dict(os.environ)
        set_environment(self.environment, self.environment, before)
        try:
            yield before
        finally:
            set_environment(self.environment, {}, before)


def set_environment(names: Iterable[str], given: Mapping[str, str], before: Mapping[str, str]) -> None:
    """Give the process's variables of these `names` what is `given`, or what they were `before`, or take them away."""
    for name in names:
        value = given.get(name, before.get(name))
        if value is None:
            os.environ.pop(name, None)
        else:
            os.environ[name] = value


def read_proxy_config(path: str | os.PathLike[str], environ: Mapping[str, str] | None = None) -> ProxyConfig:
    """Read and check a proxy's file. `environ` replaces the process's environment.

    Raises `ConfigurationError` with every problem, each with its file and line. Names of strategies and checks are
    looked up when a Router is made of it.
    """
    documents = Documents(path)
    check_sections(documents)
    return _Reading(documents, os.environ if environ is None else environ).config()


class _Reading:
    """One reading of a file: collects settings, notes and problems."""

    def __init__(self, documents: Documents, environ: Mapping[str, str]) -> None:
        self._documents = documents
        self._moved: dict[str, str] = {}
        self._problems = Problems(self._shown)
        self._notes: list[str] = []
        self._settings = dict(self._section("router_settings"))
        self._environment = self._variables(environ)
        self._environ = {**environ, **self._environment}

    def config(self) -> ProxyConfig:
        """All of it. Raises `ConfigurationError`."""
        callbacks = self._litellm()
        general = self._general()
        model_list = cast("list[dict[str, object]]", self._documents.content["model_list"])
        load(model_list, self._settings, place="router_settings", environ=self._environ, problems=self._problems)
        return ProxyConfig(
            model_list,
            self._settings,
            general,
            callbacks,
            self._environment,
            tuple(self._notes),
            self._documents.names,
        )

    def _section(self, name: str) -> Mapping[str, object]:
        return section(self._documents.content, name, self._documents.name)

    def _shown(self, place: str) -> str:
        """`place` as it is written in the file, with its line."""
        for moved, written in self._moved.items():
            if place == moved or place.startswith((f"{moved}.", f"{moved}[")):
                return self._documents.shown(written + place[len(moved) :])
        return self._documents.shown(place)

    def _variables(self, environ: Mapping[str, str]) -> dict[str, str]:
        """`environment_variables`, which may refer to the environment themselves."""
        found: dict[str, str] = {}
        place = "environment_variables"
        for name, value in (Copier(environ, self._problems).mapping(self._section(place), place) or {}).items():
            if isinstance(value, bool) or not isinstance(value, str | int | float):
                self._problems.add(at(place, name), f"must be a string, not {type(value).__name__}")
            elif not name or "=" in name or "\0" in f"{name}{value}":
                self._problems.add(at(place, name), "is nothing that the environment can hold")
            else:
                found[name] = str(value)
        return found

    def _route(self, place: str, written: str, setting: str, value: object) -> None:
        """A setting of the Router's that stands in another section."""
        if setting in self._settings:
            self._notes.append(f"{place}.{written}: router_settings.{setting} wins")
        else:
            self._settings[setting] = value
            self._moved[at("router_settings", setting)] = at(place, written)

    def _litellm(self) -> tuple[str, ...]:
        place = "litellm_settings"
        callbacks: dict[str, None] = {}
        for written, value in self._section(place).items():
            if written in ROUTING:
                self._route(place, written, ROUTING[written], value)
            elif written in CALLBACKS:
                callbacks |= dict.fromkeys(self._callbacks(at(place, written), value))
            elif written in LITELLM_IGNORED:
                self._notes.append(f"{place}.{written}: has no effect: {LITELLM_IGNORED[written]}")
            elif written in LITELLM_REFUSED:
                self._problems.add(at(place, written), f"not supported: {LITELLM_REFUSED[written]}")
            else:
                known = (*ROUTING, *CALLBACKS, *LITELLM_IGNORED, *LITELLM_REFUSED)
                self._problems.add(at(place, written), f"unknown field{did_you_mean(str(written), known)}")
        return tuple(callbacks)

    def _callbacks(self, place: str, value: object) -> Iterator[str]:
        listed = [value] if isinstance(value, str) else [] if value is None else value
        if not isinstance(listed, list) or not all(isinstance(name, str) for name in listed):
            self._problems.add(place, "must be a list of names")
            return
        for index, name in enumerate(listed):
            hint = did_you_mean(name, BUILT_IN)
            if name in BUILT_IN:
                yield BUILT_IN[name]
            elif hint:
                self._problems.add(at(place, index), f"unknown callback {name!r}{hint}")
            else:
                said = f"has no effect: only {' and '.join(sorted(set(BUILT_IN.values())))} are built in"
                self._notes.append(f"{at(place, index)}: {name!r} {said}")

    def _general(self) -> GeneralSettings:
        place = "general_settings"
        own: dict[str, object] = {}
        for written, value in self._section(place).items():
            if written in GENERAL_ROUTING:
                self._route(place, written, GENERAL_ROUTING[written], value)
            elif written in GENERAL_IGNORED:
                self._notes.append(f"{place}.{written}: has no effect: {GENERAL_IGNORED[written]}")
            else:
                own[written] = value
        if own.get("master_key") is None and self._environ.get(MASTER_KEY):
            own["master_key"] = REFERENCE + MASTER_KEY
        plain = Copier(self._environ, self._problems).mapping(own, place) or {}
        fields = read_fields(GeneralSettings, plain, place, self._problems)
        general = check(GeneralSettings, fields, self._problems) or GeneralSettings()
        if general.master_key is not None:
            master = digest(general.master_key.get_secret_value())
            for index, key in enumerate(general.keys):
                if key.digest == master:
                    self._problems.add(at(at(place, "keys"), index), "is the master key, which may do everything")
        return general


def placed(config: ProxyConfig, error: ConfigurationError) -> ConfigurationError:
    """An error that a Router made of `config` raised, with the file and the line that it speaks of."""
    documents = Documents(config.files[0])
    place, _, text = str(error).partition(": ")
    setting = re.split(r"[.\[]", place)[0]
    if setting in config.router_settings:
        return ConfigurationError(f"{documents.shown(f'router_settings.{place}')}: {text}")
    return ConfigurationError(f"{documents.name}: {error}")
