"""A conversation told to who has not heard it: the history that goes before a call's own input."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Final, cast

from checks.affinity.portability import Destination, Dropped, kind_of
from checks.affinity.replay import replay
from checks.affinity.tie import TieKind, store_key
from checks.affinity.ties import field as read
from checks.affinity.transcript import Turn, items_of
from providers.translation.sealed import MARK
from providers.types import Call, JsonObject

_NAMED: Final = 5
"""Parts that an error names."""
_SAME: Final = Destination(same_vendor=True)


@dataclass(frozen=True)
class Recalled:
    """What is known here of what a call refers to."""

    turns: tuple[Turn, ...] = ()
    """The conversation that it continues, the oldest turn first; empty if that isn't known."""
    references: Collection[str] = ()
    """Ids of the items that the call refers to instead of giving them."""
    elsewhere: Mapping[str, JsonObject] = field(default_factory=dict)
    """Those of them that are known, but are no part of the conversation."""

    @property
    def ours(self) -> bool:
        """Whether nobody but us can continue it."""
        return bool(self.turns) and self.turns[-1].response is not None

    @cached_property
    def items(self) -> tuple[JsonObject, ...]:
        """Everything that was said."""
        return items_in(self.turns)

    @cached_property
    def repeated(self) -> frozenset[str]:
        """Those of `references` that are to items of the conversation: what is told in its own place anyway."""
        return frozenset(self.references) & {str(item.get("id")) for item in self.items}

    @cached_property
    def ties(self) -> frozenset[str]:
        """The store keys of what the call refers to and needs no home for."""
        items = frozenset(store_key(TieKind.ITEM, name) for name in (*self.repeated, *self.elsewhere))
        return items | {self.turns[-1].response_id} if self.ours else items

    @cached_property
    def hindrance(self) -> str | None:
        """What of it a deployment that keeps state, and has not heard it, could not be told; None: it can be."""
        parts = [each for each in self._portable[1] if not each.safe]
        return ", ".join(f"{each.kind} at {each.where}" for each in parts[:_NAMED]) or None

    @cached_property
    def _portable(self) -> tuple[tuple[JsonObject, ...], tuple[Dropped, ...]]:
        told = replay(self.turns, Call(""), lossy=True, same_vendor=True)
        return tuple(cast("list[JsonObject]", told.call.body.get("input", []))), told.dropped

    def before(self, call: Call) -> Call:
        """`call` with the conversation as its history, for a deployment that keeps no state."""
        if self.repeated or self.elsewhere:
            call = _with_input(call, self.resolved(items_of(_input(call)) or ()))
        return replace(call, history=self.items) if self.turns else call

    def within(self, call: Call) -> Call:
        """`call` with the conversation in its input, for a deployment that keeps state, but has not heard it."""
        if not self.ours and not self.elsewhere:
            return unsealed(call)
        new = [item for item in self.resolved(items_of(_input(call)) or (), portable=True) if not _sealed(item)]
        if not self.ours:
            return _with_input(call, new)
        return _without(_with_input(call, [*self._portable[0], *new]), "previous_response_id")

    def resolved(self, items: Sequence[JsonObject], *, portable: bool = False) -> tuple[JsonObject, ...]:
        """`items`, new ones, without references: those to the conversation go, for others stands what they refer to.

        `portable`: that as another deployment can be told it, if it can.
        """
        told: list[JsonObject] = []
        for item in items:
            name = str(item.get("id")) if kind_of(item) == "item_reference" else ""
            if name in self.repeated:
                continue
            known = self.elsewhere.get(name, item)
            taken = _SAME.take(known, name, made=True)[0] if portable and known is not item else known
            if taken is not None:
                told.append(taken)
        return tuple(told)


def items_in(turns: Sequence[Turn]) -> tuple[JsonObject, ...]:
    """Everything that was said in `turns`, in order."""
    return tuple(item for turn in turns for item in (*turn.input, *turn.output))


def referred(call: Call) -> frozenset[str]:
    """Ids of the items that a call refers to instead of giving them."""
    given = _input(call)
    if not isinstance(given, (list, tuple)):
        return frozenset()
    names = (read(item, "id") for item in given if _refers(item))
    return frozenset(name for name in names if isinstance(name, str))


def _refers(item: object) -> bool:
    kind = item.get("type") if type(item) is dict else read(item, "type")
    return kind == "item_reference" or (kind is None and read(item, "role") is None)


def unsealed(call: Call) -> Call:
    """`call` without the reasoning that other vendors signed, which a deployment that keeps state can't read."""
    given = _input(call)
    if not isinstance(given, (list, tuple)):
        return call
    kept = [item for item in given if not _sealed(item)]
    return call if len(kept) == len(given) else _with_input(call, kept)


def _sealed(item: object) -> bool:
    content = read(item, "encrypted_content")
    return isinstance(content, str) and content.startswith(MARK)


def _input(call: Call) -> object:
    return call.extra_body["input"] if "input" in call.extra_body else call.body.get("input")


def _with_input(call: Call, items: Sequence[object]) -> Call:
    return replace(_without(call, "input"), body={**call.body, "input": list(items)})


def _without(call: Call, name: str) -> Call:
    return replace(call, body=_less(call.body, name), extra_body=_less(call.extra_body, name))


def _less(body: Mapping[str, object], name: str) -> Mapping[str, object]:
    return {key: value for key, value in body.items() if key != name} if name in body else body
