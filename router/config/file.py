"""Configuration files: YAML or JSON, in the shape that LiteLLM's users know."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Final, NamedTuple, cast

from providers.errors import ConfigurationError
from router.config.documents import INCLUDE, Documents
from router.hints import did_you_mean

_SECTIONS: Final = ("model_list", "router_settings")
_LITELLM: Final = ("litellm_settings", "general_settings", "environment_variables")
"""Sections of LiteLLM's, which may stand there."""
ROUTING: Final = {
    "request_timeout": "timeout",
    **{
        name: name
        for name in (
            "num_retries",
            "fallbacks",
            "context_window_fallbacks",
            "content_policy_fallbacks",
            "default_fallbacks",
            "drop_params",
        )
    },
}
"""What `litellm_settings` say of routing → the Router's name for it."""


class FileConfig(NamedTuple):
    """What a file says of a Router. `Router(config.model_list, **config.router_settings)` is that Router."""

    model_list: list[dict[str, object]]
    router_settings: dict[str, object]
    notes: tuple[str, ...] = ()
    """What of it has no effect, and why."""


def read_config(path: str | os.PathLike[str]) -> FileConfig:
    """Read a file with `model_list` and `router_settings`: JSON if its name ends so, else YAML.

    Files named by `include` are read as if they stood in it. Of LiteLLM's own sections only what `litellm_settings`
    say of routing is heeded, unless `router_settings` say otherwise. What stands in the two sections is not looked at;
    making a Router of it does that. Raises `ConfigurationError` that names the file, and the line of what can't be
    read or is there twice.
    """
    documents = Documents(path)
    check_sections(documents)
    return _sections(documents.content, documents.name)


def check_sections(documents: Documents) -> None:
    """Raise `ConfigurationError` for a section that is none, and for a `model_list` that is none."""
    known = (*_SECTIONS, *_LITELLM, INCLUDE)
    for section in documents.content:
        if section not in known:
            name = documents.name
            raise ConfigurationError(f"{name}: unknown section {section!r}{did_you_mean(str(section), known)}")
    model_list = documents.content.get("model_list")
    if not isinstance(model_list, list):
        wrong = "is required" if model_list is None else f"must be a list, not {type(model_list).__name__}"
        raise ConfigurationError(f"{documents.name}: model_list: {wrong}")


def _sections(content: Mapping[str, object], name: str) -> FileConfig:
    settings = dict(section(content, "router_settings", name))
    notes = [f"{each}: is the proxy's" for each in _LITELLM[1:] if content.get(each)]
    for written, value in section(content, "litellm_settings", name).items():
        setting = ROUTING.get(written)
        if setting is None:
            notes.append(f"litellm_settings.{written}: has no part in routing")
        elif setting in settings:
            notes.append(f"litellm_settings.{written}: router_settings.{setting} wins")
        else:
            settings[setting] = value
    return FileConfig(cast("list[dict[str, object]]", content["model_list"]), settings, tuple(notes))


def section(content: Mapping[str, object], name: str, file: str) -> Mapping[str, object]:
    """One section of a file; empty if it is not there. Raises `ConfigurationError` if it is no mapping."""
    found = content.get(name)
    if found is None:
        return {}
    if not isinstance(found, Mapping):
        raise ConfigurationError(f"{file}: {name}: must be a mapping, not {type(found).__name__}")
    return cast("Mapping[str, object]", found)
