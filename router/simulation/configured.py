"""Configurations to simulate: without their credentials, which nothing is sent with, and without what is outside."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, TypeAlias, cast

from providers.catalog import ALIASES, VENDORS
from providers.errors import ConfigurationError
from router.config.credentials import Credentials
from router.config.file import read_config
from router.config.plain import REFERENCE

ConfigSource: TypeAlias = "str | os.PathLike[str] | Mapping[str, Any]"
"""The path of a YAML or JSON file, or a mapping with `model_list` and `router_settings`."""

_SECRET: Final = Credentials.model_fields.keys() | Credentials.synonyms.keys()
_WAY: Final = ("ssl_verify", "client_cert", "proxy")
"""How a deployment is reached."""
_BASES: Final = ("api_base", "base_url")
_TEXTS: Final = frozenset({"api_version", "organization", "project", "account", "vertex_project"})
"""Parameters whose value can be any text."""
_OUTSIDE: Final = (
    "callbacks",
    "http_client",
    "affinity_store",
    "price_source",
    "price_updates",
    "health_checks",
    "background_health_checks",
    "clock",
    "rng",
    "seed",
    "sleep",
)
"""Arguments of a Router that lead out of a simulation, or are its own."""
_CHECKED: Final = "health_check"
"""What an entry says of health checks, which have nobody to ask here."""


@dataclass(frozen=True, slots=True)
class Prepared:
    """A configuration to make a Router of that reaches nothing."""

    name: str
    model_list: list[Mapping[str, object]]
    """As it was given, where it is no list of mappings: that is the Router's to refuse."""
    settings: dict[str, Any]
    notes: tuple[str, ...] = ()
    """What of it is not as it will be."""


def prepare(source: ConfigSource, name: str = "", environ: Mapping[str, str] | None = None) -> Prepared:
    """The configuration, with stand-ins for credentials and addresses, and without Redis.

    Deployments that have one credential have one stand-in, so that they share their state as they do in truth. Raises
    `ConfigurationError` for what can't be read.
    """
    if isinstance(source, (str, os.PathLike)):
        read = read_config(source)
        name, notes = name or Path(source).stem, list(read.notes)
        model_list: object = read.model_list
        settings: dict[str, Any] = dict(read.router_settings)
    else:
        unknown = sorted(map(str, source.keys() - {"model_list", "router_settings"}))
        if unknown:
            said = f"config: unknown key {unknown[0]!r}; give model_list and router_settings, or the path of a file"
            raise ConfigurationError(said)
        notes, given = [], source.get("router_settings") or {}
        if not isinstance(given, Mapping):
            raise ConfigurationError(f"config: router_settings: must be a mapping, not {type(given).__name__}")
        model_list, settings = source.get("model_list") or [], dict(given)
    odd = next((key for key in settings if not isinstance(key, str) or key == "model_list"), None)
    if odd is not None:
        raise ConfigurationError(f"config: router_settings: {odd!r} is no setting")
    inside = Inside(os.environ if environ is None else environ)
    kept = {key: value for key, value in settings.items() if key not in _OUTSIDE and not key.startswith("redis_")}
    if any(key.startswith("redis_") for key in settings):
        notes.append("Redis is left out: what Routers would share there is kept in memory")
    notes += [f"{key} is left out" for key in _OUTSIDE if key in settings]
    for key in ("affinity_key", "affinity_previous_key"):
        if key in kept:
            kept[key] = inside.resolved(kept[key], f"simulated-{key}")
    for key in ("default_litellm_params", "default_params"):
        if isinstance(kept.get(key), Mapping):
            kept[key] = inside.defaults(kept[key])
    entries = [inside.entry(each) for each in model_list] if isinstance(model_list, Sequence) else model_list
    return Prepared(name, cast("list[Mapping[str, object]]", entries), kept, tuple(notes))


class Inside:
    """Makes entries of a `model_list` that need nothing from outside."""

    def __init__(self, environ: Mapping[str, str]) -> None:
        self._environ = environ
        self._defaults: Mapping[str, object] = {}

    def defaults(self, params: Mapping[str, object]) -> dict[str, object]:
        """`default_litellm_params`, whose credentials are those of every entry without its own."""
        self._defaults = params
        return {key: self._value(key, value) for key, value in params.items() if key not in _SECRET | {*_WAY}}

    def entry(self, entry: object) -> object:
        """One entry; what is no entry is left for the Router to refuse."""
        name = next((key for key in ("litellm_params", "params") if isinstance(entry, Mapping) and key in entry), None)
        params = entry[name] if isinstance(entry, Mapping) and name is not None else None
        if not isinstance(params, Mapping):
            return entry
        inside = {**cast("Mapping[str, object]", entry), cast("str", name): self._params(params)}
        info = inside.get("model_info")
        if isinstance(info, Mapping) and _CHECKED in info:
            inside["model_info"] = {key: value for key, value in info.items() if key != _CHECKED}
        return inside

    def resolved(self, value: object, stand_in: str) -> object:
        """`value`, or if it refers to an environment variable what that holds, or `stand_in`."""
        if not isinstance(value, str) or not value.startswith(REFERENCE):
            return value
        return self._environ.get(value.removeprefix(REFERENCE), stand_in)

    def _params(self, params: Mapping[str, object]) -> dict[str, object]:
        left_out = _SECRET | {*_WAY, _CHECKED}
        kept = {key: self._value(key, value) for key, value in params.items() if key not in left_out}
        written = {key: str(params[key]) for key in sorted(_SECRET & params.keys())}
        if not written:
            written = {key: str(self._defaults[key]) for key in sorted(_SECRET & self._defaults.keys())}
        kept["api_key"] = f"simulated-{hashlib.sha256(repr(written).encode(errors='replace')).hexdigest()[:16]}"
        base = self._base(params)
        return kept if base is None else {**kept, "api_base": base}

    def _value(self, key: str, value: object) -> object:
        if key in _BASES:
            return self.resolved(value, f"https://{_host(value)}.simulated.invalid")
        if key in ("extra_headers", "extra_query", "headers") and isinstance(value, Mapping):
            return {name: self.resolved(each, "simulated") for name, each in value.items()}
        return self.resolved(value, "simulated") if key in _TEXTS else value

    def _base(self, params: Mapping[str, object]) -> str | None:
        """An address for a deployment that needs one and has none here."""
        if any(key in each for key in _BASES for each in (params, self._defaults)):
            return None
        prefix = str(params.get("custom_llm_provider") or str(params.get("model", "")).partition("/")[0])
        vendor = VENDORS.get(ALIASES.get(prefix, prefix))
        if vendor is None or not vendor.base_required or self._any_set(vendor.base_env):
            return None
        return f"https://{vendor.name.replace('_', '-')}.simulated.invalid"

    def _any_set(self, names: Iterable[str]) -> bool:
        return any(self._environ.get(name) for name in names)


def _host(reference: object) -> str:
    return str(reference).removeprefix(REFERENCE).lower().replace("_", "-").replace("/", "-")
