"""Configuration files: YAML or JSON, in the shape that LiteLLM's users know."""

from __future__ import annotations

import json
import os
from collections.abc import Hashable, Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Final, NamedTuple, NoReturn, cast

from providers.errors import ConfigurationError
from router.hints import did_you_mean

if TYPE_CHECKING:
    import yaml

_SECTIONS: Final = ("model_list", "router_settings")
_LITELLM: Final = ("litellm_settings", "general_settings", "environment_variables")
"""Sections of LiteLLM's, which may stand there."""
_ROUTING: Final = {
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

    Of LiteLLM's own sections only what `litellm_settings` say of routing is heeded, unless `router_settings` say
    otherwise. What stands in the two sections is not looked at; making a Router of it does that. Raises
    `ConfigurationError` that names the file, and the line of what can't be read or is there twice.
    """
    name = str(path)
    try:
        text = Path(path).read_text(encoding="utf-8-sig")
    except OSError as error:
        raise ConfigurationError(f"{name}: can't be read: {error.strerror or error}") from None
    except UnicodeDecodeError as error:
        raise ConfigurationError(f"{name}: is no UTF-8, at byte {error.start}") from None
    content = _json(text, name) if name.lower().endswith(".json") else _yaml(text, name)
    if not isinstance(content, Mapping):
        raise ConfigurationError(f"{name}: must be a mapping with model_list and router_settings")
    return _sections(cast("Mapping[object, object]", content), name)


def _sections(content: Mapping[object, object], name: str) -> FileConfig:
    known = (*_SECTIONS, *_LITELLM)
    for section in content:
        if section not in known:
            raise ConfigurationError(f"{name}: unknown section {section!r}{did_you_mean(str(section), known)}")
    model_list = content.get("model_list")
    if not isinstance(model_list, list):
        wrong = "is required" if model_list is None else f"must be a list, not {type(model_list).__name__}"
        raise ConfigurationError(f"{name}: model_list: {wrong}")
    settings = dict(_mapping(content, "router_settings", name))
    notes = [f"{section}: is the proxy's" for section in _LITELLM[1:] if content.get(section)]
    for written, value in _mapping(content, "litellm_settings", name).items():
        setting = _ROUTING.get(written)
        if setting is None:
            notes.append(f"litellm_settings.{written}: has no part in routing")
        elif setting in settings:
            notes.append(f"litellm_settings.{written}: router_settings.{setting} wins")
        else:
            settings[setting] = value
    return FileConfig(model_list, settings, tuple(notes))


def _mapping(content: Mapping[object, object], section: str, name: str) -> Mapping[str, object]:
    found = content.get(section)
    if found is None:
        return {}
    if not isinstance(found, Mapping):
        raise ConfigurationError(f"{name}: {section}: must be a mapping, not {type(found).__name__}")
    return cast("Mapping[str, object]", found)


def _json(text: str, name: str) -> object:
    twice: list[str] = []

    def unique(pairs: Iterable[tuple[str, object]]) -> dict[str, object]:
        found: dict[str, object] = {}
        for key, value in pairs:
            if key in found:
                twice.append(key)
            found[key] = value
        return found

    try:
        content: object = json.loads(text, object_pairs_hook=unique)
    except json.JSONDecodeError as error:
        raise ConfigurationError(f"{name}, line {error.lineno}: is no JSON: {error.msg}") from None
    except RecursionError:
        _too_deep(name)
    if twice:  # JSON is YAML, whose reader knows lines; only its idea of tabs is another
        _yaml(text.replace("\t", " "), name)
    return content


def _yaml(text: str, name: str) -> object:
    import yaml

    class Loader(yaml.SafeLoader):
        """Refuses a key that is there twice, where YAML would let the last one win."""

        def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Hashable, object]:
            seen: set[str] = set()
            for key, _ in node.value:
                if isinstance(key, yaml.ScalarNode) and key.value != "<<":
                    if key.value in seen:
                        place = f"{name}, line {key.start_mark.line + 1}"
                        raise ConfigurationError(f"{place}: {key.value!r} is there twice")
                    seen.add(key.value)
            return cast("dict[Hashable, object]", super().construct_mapping(node, deep=deep))

    # the usual constructor merges what stands under `<<` before anybody can look at the keys
    Loader.add_constructor("tag:yaml.org,2002:map", _constructed)
    try:
        return yaml.load(text, Loader)  # it is a safe one
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        where = name if mark is None else f"{name}, line {mark.line + 1}"
        raise ConfigurationError(f"{where}: is no YAML: {error.problem or error.context}") from None
    except yaml.YAMLError as error:  # characters that YAML does not allow
        raise ConfigurationError(f"{name}: is no YAML: {' '.join(str(error).split())}") from None
    except RecursionError:
        _too_deep(name)


def _constructed(loader: yaml.SafeLoader, node: yaml.MappingNode) -> object:
    return loader.construct_mapping(node, deep=True)


def _too_deep(name: str) -> NoReturn:
    raise ConfigurationError(f"{name}: is nested too deeply") from None
