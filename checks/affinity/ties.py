"""What ties a call to a deployment: everything in it that only the deployment which made or stored it can read."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping, Sequence

from checks.affinity.tie import Tie, TieKind, fingerprint, store_key
from providers.translation.sealed import MARK
from providers.types import Call

MOST_SOFT_ITEMS = 4
"""How many items that carry their content become ties, the newest first: one conversation has one home, so looking up
the hundreds that an agent resends each turn would say nothing more."""
_CARRIERS = frozenset(
    {
        "background_options",
        "conversation",
        "prompt",
        "prompt_cache_key",
        "prompt_cache_options",
        "tools",
    }
)
_RESPONSE = TieKind.RESPONSE  # looked up once: most follow-ups are this and no more
MADE_UP = frozenset({TieKind.CACHE_KEY, TieKind.SESSION})
"""Kinds whose names no deployment has given."""
_SESSIONS = ("session-id", "x-session-id")
_SUBSTANCE = {
    "item_reference": None,
    "reasoning": "encrypted_content",
    "compaction": "encrypted_content",
    "image_generation_call": "result",
}
"""Items that may stand for one that is stored, and the field that would make them complete in themselves."""


def ties(call: Call) -> tuple[Tie, ...]:
    """Everything that ties `call` to a deployment, each once: the hard ties in order, then the soft ones.

    Hard: the response that a by-id verb names, and `previous_response_id` (unknown elsewhere); `conversation`, and the
    conversation that a verb names (kept by the provider); items that are nothing but their id (`item_reference`,
    reasoning without `encrypted_content`, an image without its result: not found elsewhere); `encrypted_content` of
    reasoning, compaction and parts (can't be decrypted elsewhere, unless a translator sealed it, for any account to
    read); `prompt_cache_options.comparison_response_id` (there is nothing to compare with elsewhere); `file_id`s,
    vector stores and containers named by tools (uploaded or made in one place).

    Soft: the newest items that have an id and their content; containers that past items ran in (they expire within
    minutes, so the history has to be usable without them); `prompt_cache_key`; a `session-id` or `x-session-id`
    header; `background_options.continuation_id` (the caller's own name for related work, not an id of anything).

    What `extra_body` says wins over the body, as when it is sent. What is not what the protocol says is passed over:
    the deployment is to judge it.
    """
    body = call.body
    if call.extra_body:
        body = {**body, **call.extra_body}
    said = "items" if call.verb.of_conversations else "input"
    given = body.get(said)
    plain = isinstance(given, str) or given is None
    previous = body.get("previous_response_id")
    named = call.response_id or call.conversation_id
    if plain and named is None and not call.headers and _CARRIERS.isdisjoint(body):
        if not isinstance(previous, str) or not previous:
            return ()
        return (Tie(_RESPONSE, previous, previous, True, "previous_response_id"),)
    found = _Found(call)
    found.hard(TieKind.RESPONSE, call.response_id, "response_id")
    found.hard(TieKind.CONVERSATION, call.conversation_id, "conversation_id")
    found.hard(TieKind.RESPONSE, previous, "previous_response_id")
    if not _CARRIERS.isdisjoint(body):
        _read_parameters(body, found)
    if not plain:
        for index, item in enumerate(_listed(given)):
            _read_item(item, f"{said}[{index}]", found)
    for name, value in call.headers.items():
        if name.lower() in _SESSIONS:
            found.soft(TieKind.SESSION, value, f"extra_headers[{name!r}]")
    return found.all()


class _Found:
    """Ties as they are found."""

    __slots__ = ("_call", "_hard", "_items", "_soft")

    def __init__(self, call: Call) -> None:
        self._call = call
        self._hard: dict[str, Tie] = {}
        self._soft: dict[str, Tie] = {}
        self._items: deque[tuple[str, str]] = deque(maxlen=MOST_SOFT_ITEMS)

    def hard(self, kind: TieKind, name: object, param: str) -> None:
        """Note a hard tie, if `name` can be the name of something."""
        if isinstance(name, str) and name:
            key = store_key(kind, name)
            if key not in self._hard:
                shown = name
                if kind is TieKind.ENCRYPTED:
                    if name.startswith(MARK):
                        return
                    shown = fingerprint(name)
                self._hard[key] = Tie(kind, shown, key, True, param)

    def soft(self, kind: TieKind, name: object, param: str) -> None:
        """Note a soft tie, if `name` can be the name of something."""
        if isinstance(name, str) and name:
            # what callers make up, two tenants may make up alike; and each group is a model, with caches of its own
            key = store_key(kind, f"{self._call.scope or ''}\n{self._call.group}\n{name}" if kind in MADE_UP else name)
            if key not in self._soft:
                self._soft[key] = Tie(kind, name, key, False, param)

    def item(self, name: object, param: str) -> None:
        """Note an item that carries its content."""
        if isinstance(name, str) and name:
            self._items.append((name, param))

    def all(self) -> tuple[Tie, ...]:
        """The hard ties, then the soft ones that aren't among them, items first."""
        if not self._items and not self._soft:
            return tuple(self._hard.values())
        others, self._soft = self._soft, {}
        for name, param in reversed(self._items):
            self.soft(TieKind.ITEM, name, param)
        self._soft |= others
        return (*self._hard.values(), *(tie for key, tie in self._soft.items() if key not in self._hard))


def _read_parameters(body: Mapping[str, object], found: _Found) -> None:
    conversation = body.get("conversation")
    if isinstance(conversation, str):
        found.hard(TieKind.CONVERSATION, conversation, "conversation")
    elif conversation is not None:
        found.hard(TieKind.CONVERSATION, field(conversation, "id"), "conversation.id")
    caching = body.get("prompt_cache_options")
    if caching is not None:
        at = "prompt_cache_options.comparison_response_id"
        found.hard(TieKind.RESPONSE, field(caching, "comparison_response_id"), at)
    _read_tools(body.get("tools"), "tools", found)
    variables = field(body.get("prompt"), "variables")
    if isinstance(variables, Mapping):
        for name, value in variables.items():
            found.hard(TieKind.FILE, field(value, "file_id"), f"prompt.variables.{name}.file_id")
    found.soft(TieKind.CACHE_KEY, body.get("prompt_cache_key"), "prompt_cache_key")
    background = body.get("background_options")
    if background is not None:
        at = "background_options.continuation_id"
        found.soft(TieKind.SESSION, field(background, "continuation_id"), at)


def _read_item(item: object, at: str, found: _Found) -> None:
    if type(item) is dict:
        for name, value in item.items():
            reader = _READERS.get(name)
            if reader is not None:
                reader(item, value, f"{at}.{name}", found)
    else:
        for name, reader in _READERS.items():
            reader(item, field(item, name), f"{at}.{name}", found)


def _read_id(item: object, name: object, at: str, found: _Found) -> None:
    if _is_reference(item):
        found.hard(TieKind.ITEM, name, at)
    else:
        found.item(name, at)


def _is_reference(item: object) -> bool:
    """Whether an item stands for one that is stored, and says nothing itself."""
    kind = field(item, "type")
    if kind is None:  # `item_reference` may be left out; so may `message`, which has a role
        return field(item, "role") is None
    if not isinstance(kind, str) or kind not in _SUBSTANCE:
        return False
    substance = _SUBSTANCE[kind]
    return substance is None or not field(item, substance)


def _read_parts(item: object, held: object, at: str, found: _Found) -> None:
    if isinstance(held, (list, tuple)):
        for index, part in enumerate(held):
            if type(part) is not dict or not _PART_CARRIERS.isdisjoint(part):
                _read_part(part, f"{at}[{index}]", found)
    elif held is not None and not isinstance(held, str):
        _read_part(held, at, found)


def _read_part(part: object, at: str, found: _Found) -> None:
    found.hard(TieKind.FILE, field(part, "file_id"), f"{at}.file_id")
    found.hard(TieKind.ENCRYPTED, field(part, "encrypted_content"), f"{at}.encrypted_content")


def _read_environment(item: object, environment: object, at: str, found: _Found) -> None:
    found.soft(TieKind.CONTAINER, field(environment, "container_id"), f"{at}.container_id")


_READERS: Mapping[str, Callable[[object, object, str, _Found], None]] = {
    "id": _read_id,
    "encrypted_content": lambda item, value, at, found: found.hard(TieKind.ENCRYPTED, value, at),
    "approval_request_id": lambda item, value, at, found: found.item(value, at),
    "content": _read_parts,
    "output": _read_parts,
    "container_id": lambda item, value, at, found: found.soft(TieKind.CONTAINER, value, at),
    "environment": _read_environment,
    "tools": lambda item, value, at, found: _read_tools(value, at, found),
}
"""What each field of an item says: called with the item, the field's value and where it stands."""
_PART_CARRIERS = frozenset({"file_id", "encrypted_content"})


def _read_tools(tools: object, at: str, found: _Found) -> None:
    for index, tool in enumerate(_listed(tools)):
        here = f"{at}[{index}]"
        for number, name in enumerate(_listed(field(tool, "vector_store_ids"))):
            found.hard(TieKind.VECTOR_STORE, name, f"{here}.vector_store_ids[{number}]")
        for place in ("container", "environment"):
            home = field(tool, place)
            if isinstance(home, str):
                found.hard(TieKind.CONTAINER, home, f"{here}.{place}")
            elif home is not None:
                found.hard(TieKind.CONTAINER, field(home, "container_id"), f"{here}.{place}.container_id")
                for number, name in enumerate(_listed(field(home, "file_ids"))):
                    found.hard(TieKind.FILE, name, f"{here}.{place}.file_ids[{number}]")
        mask = field(tool, "input_image_mask")
        if mask is not None:
            found.hard(TieKind.FILE, field(mask, "file_id"), f"{here}.input_image_mask.file_id")


def _listed(value: object) -> Sequence[object]:
    return value if isinstance(value, (list, tuple)) else ()


def field(thing: object, name: str) -> object:
    """A field of plain data or of an object; None if there is none, or it can't be read."""
    if type(thing) is dict:
        return thing.get(name)
    try:
        return thing.get(name) if isinstance(thing, Mapping) else getattr(thing, name, None)
    except Exception:  # what an unknown object's attributes run is not ours to know; encoding it will say what is wrong
        return None
