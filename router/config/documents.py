"""The text of configuration files: read, merged with what they include, and where in it each thing stands."""

from __future__ import annotations

import json
import os
from collections.abc import Hashable, Iterable, Iterator, Mapping
from contextlib import suppress
from functools import cached_property
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Final, NamedTuple, NoReturn, cast

from providers.errors import ConfigurationError
from router.config.problems import at

if TYPE_CHECKING:
    import yaml

INCLUDE: Final = "include"
"""The section that names further files."""
_MOST_FILES: Final = 100
_MOST_PLACES: Final = 200_000
_DEEPEST: Final = 64


class _Document(NamedTuple):
    name: str
    text: str
    content: Mapping[str, object]
    offset: int
    """How many entries of `model_list` stand before its own."""


class Documents:
    """A file and the files that it includes, as one mapping: lists follow one another, of all else the first wins.

    `names`: the paths of the files, the including ones first. Raises `ConfigurationError` that names the file, and the
    line of what can't be read, is there twice, or leads in a circle.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self._documents: list[_Document] = []
        self.content: dict[str, object] = {}
        self._read(Path(path), str(path))

    @property
    def names(self) -> tuple[str, ...]:
        """The paths of the files, the including ones first."""
        return tuple(each.name for each in self._documents)

    @property
    def name(self) -> str:
        """The file that includes the others."""
        return self._documents[0].name

    def shown(self, place: str) -> str:
        """`place` with the file and the line where it stands, or where the nearest thing around it does."""
        around = place
        while around and around not in self._lines:
            around = around[: max(around.rfind("."), around.rfind("["), 0)]
        name, line = self._lines.get(around, (self.name, 0))
        where = f"{name}, line {line}" if line else name
        return f"{where}: {place}" if place else where

    def _read(self, path: Path, name: str) -> None:
        text = _text(path, name)
        content = _json(text, name) if name.lower().endswith(".json") else _yaml(text, name)
        if not isinstance(content, Mapping):
            raise ConfigurationError(f"{name}: must be a mapping with model_list and router_settings")
        document = _Document(name, text, cast("Mapping[str, object]", content), self._entries())
        self._documents.append(document)
        if len(self._documents) > _MOST_FILES:
            raise ConfigurationError(f"{name}: is one of more than {_MOST_FILES} files that are included")
        for key, value in document.content.items():
            if key != INCLUDE:
                self.content[key] = _merged(self.content[key], value) if key in self.content else value
        for included in self._included(document):
            below = path.parent / included
            if any(Path(each.name).resolve() == below.resolve() for each in self._documents):
                raise ConfigurationError(f"{name}: {INCLUDE}: {included!r} is read already; include each file once")
            self._read(below, str(below))

    def _entries(self) -> int:
        listed = self.content.get("model_list")
        return len(listed) if isinstance(listed, list) else 0

    def _included(self, document: _Document) -> list[str]:
        given = document.content.get(INCLUDE) or []
        listed = [given] if isinstance(given, str) else given
        if not isinstance(listed, list) or not all(isinstance(each, str) and each for each in listed):
            raise ConfigurationError(f"{document.name}: {INCLUDE}: must be a list of paths, relative to this file")
        return listed

    @cached_property
    def _lines(self) -> dict[str, tuple[str, int]]:
        """Place → file and line. Made when the first problem is told."""
        import yaml

        found: dict[str, tuple[str, int]] = {}
        for document in self._documents:  # they could be read, so they are YAML
            with suppress(yaml.YAMLError):  # but for rare escapes of JSON's, for which the file alone is named
                root = yaml.compose(document.text.replace("\t", " "), yaml.SafeLoader)
                self._locate(document, root, found)
        return found

    def _locate(self, document: _Document, root: yaml.Node | None, found: dict[str, tuple[str, int]]) -> None:
        for place, line in islice(_places(root, document.offset), _MOST_PLACES):
            found.setdefault(place, (document.name, line))


def _merged(first: object, second: object) -> object:
    if isinstance(first, list) and isinstance(second, list):
        return [*first, *second]
    if isinstance(first, Mapping) and isinstance(second, Mapping):
        return {**second, **first}
    return second if first is None else first


def _places(node: yaml.Node | None, offset: int, place: str = "", depth: int = 0) -> Iterator[tuple[str, int]]:
    """Each place below a node, and its line. `offset`: what to add to the places of `model_list`."""
    import yaml

    if depth > _DEEPEST:
        return
    if isinstance(node, yaml.MappingNode):
        for key, value in node.value:
            inside = place if key.value == "<<" else at(place, key.value)
            yield inside, key.start_mark.line + 1
            yield from _places(value, offset, inside, depth + 1)
    elif isinstance(node, yaml.SequenceNode):
        first = offset if place == "model_list" else 0
        for index, value in enumerate(node.value, first):
            yield at(place, index), value.start_mark.line + 1
            yield from _places(value, offset, at(place, index), depth + 1)


def _text(path: Path, name: str) -> str:
    try:
        return path.read_text(encoding="utf-8-sig")
    except OSError as error:
        raise ConfigurationError(f"{name}: can't be read: {error.strerror or error}") from None
    except UnicodeDecodeError as error:
        raise ConfigurationError(f"{name}: is no UTF-8, at byte {error.start}") from None


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
