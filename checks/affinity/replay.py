"""Replay: a call that continues a conversation, made into one that needs no state where it is sent.

What moves, what may be missing and what may not is said in `checks.affinity.portability`.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final, cast

from checks.affinity.portability import Destination, Dropped, kind_of
from checks.affinity.transcript import Turn, items_of
from providers import jsonio
from providers.errors import BadRequestError, HomeLostError
from providers.types import Call, Json, JsonObject

_NAMED: Final = 10  # parts that an error names; a long conversation may have hundreds


@dataclass(frozen=True, slots=True)
class Replayed:
    """A call that carries its conversation with it."""

    call: Call
    dropped: tuple[Dropped, ...]
    """What it does not carry."""


@dataclass(frozen=True, slots=True)
class _Placed:
    """An item, and where it stands."""

    item: JsonObject
    where: str
    made: bool = False
    """Whether it is of an output."""
    new: bool = False
    """Whether it is of the call itself."""


@dataclass(frozen=True, slots=True)
class _Told:
    """An item as it can be told (None: not at all), and what of it is missing."""

    source: _Placed
    item: JsonObject | None
    missing: tuple[Dropped, ...]


def replay(
    turns: Sequence[Turn],
    call: Call,
    *,
    lossy: bool,
    same_vendor: bool,
    others: Sequence[Turn] = (),
    held: Collection[str] = (),
) -> Replayed:
    """`call` with everything that was said in `turns`, the oldest first, as its `input`.

    Its `previous_response_id` goes, `store` stays as it is; instructions of earlier turns are not inherited, as the
    API has it. Ids under which items were stored are left out; `call_id`s stay. References to items are replaced by
    the items, if these are in `others`: turns that are no part of the conversation, but that the call may refer to.

    `same_vendor`: whether the call goes to a deployment that knows the item types of the one that it was meant for.
    `held`: ids of files, vector stores and the like which that deployment has too.

    Raises `HomeLostError` that names what can't move, unless `lossy`: then all that can move does, and what can't is in
    `Replayed.dropped`, as is what may be missing safely. It is raised nevertheless if nothing of the call's own
    input would be left, as the answer would be to what was said before. Raises `BadRequestError` if the call's input
    is neither a string nor a list of items.
    """
    there = Destination(same_vendor, held)
    body = {**call.body, **call.extra_body}
    given = items_of(body.get("input"))
    if given is None:
        raise BadRequestError("input: expected a string or a list of items", param="input")
    placed = [*_history(turns), *(_Placed(item, f"input[{place}]", new=True) for place, item in enumerate(given))]
    told = _with_their_partners([_tell(each, there) for each in _resolved(placed, others)])
    changes, lost = _parameters(body, there)
    dropped = (*_unfinished(turns), *(missing for each in told for missing in each.missing), *lost)
    unsafe = [each for each in dropped if not each.safe]
    if unsafe and not lossy:
        raise HomeLostError(_refusal(unsafe) + '; replay="lossy" would go without')
    new = [each for each in told if each.source.new]
    if new and all(each.item is None for each in new):
        raise HomeLostError("nothing of the call's own input can be sent to another deployment: " + _refusal(dropped))
    if told or given:
        changes["input"] = [each.item for each in told if each.item is not None]
    return Replayed(_changed(call, changes), dropped)


def _history(turns: Sequence[Turn]) -> Iterator[_Placed]:
    for turn in turns:
        for place, item in enumerate(turn.input):
            yield _Placed(item, f"{turn.response_id}.input[{place}]")
        for place, item in enumerate(turn.output):
            yield _Placed(item, f"{turn.response_id}.output[{place}]", made=True)


def _unfinished(turns: Sequence[Turn]) -> Iterator[Dropped]:
    """What turns say of themselves that their items don't: that there is more where they came from."""
    for turn in turns:
        if turn.conversation is not None:
            yield Dropped("conversation", turn.response_id, safe=False)
        if not turn.finished:
            yield Dropped("unfinished", turn.response_id, safe=False)


def _resolved(placed: Sequence[_Placed], others: Sequence[Turn]) -> Iterator[_Placed]:
    """Each item, and in place of a reference what it refers to, unless that is told in its own place anyway."""
    elsewhere, here = _by_id(_history(others)), _by_id(placed)
    inserted: set[Json] = set()
    for each in placed:
        name = _id(each.item)
        if kind_of(each.item) != "item_reference" or (name not in here and name not in elsewhere):
            yield _shell_output(each, here)
        elif name not in here and name not in inserted:
            inserted.add(name)
            yield replace(each, item=elsewhere[name].item, made=elsewhere[name].made)


def _by_id(placed: Iterable[_Placed]) -> dict[str, _Placed]:
    return {_id(each.item): each for each in placed if kind_of(each.item) not in _NAMING_OTHERS}


_NAMING_OTHERS: Final = frozenset({"item_reference", "local_shell_call_output"})
"""Items whose `id` is not their own."""


def _shell_output(each: _Placed, here: Mapping[str, _Placed]) -> _Placed:
    """A local shell's output names its call by an `id`; if that is one which won't move, by the call's `call_id`."""
    if kind_of(each.item) != "local_shell_call_output":
        return each
    call = here.get(_id(each.item))
    if call is None or "call_id" not in call.item:
        return each
    return replace(each, item={**each.item, "id": call.item["call_id"]})


def _id(item: JsonObject) -> str:
    return str(item.get("id"))


def _tell(each: _Placed, there: Destination) -> _Told:
    item, missing = there.take(each.item, each.where, made=each.made)
    return _Told(each, item, tuple(missing))


def _with_their_partners(told: Sequence[_Told]) -> list[_Told]:
    """A tool's call goes with its output, and the output with its call: alone, either would be refused."""
    lost = {call_id for each in told if each.item is None and (call_id := _call_id(each.source.item))}
    return [_without_partner(each) if _call_id(each.source.item) in lost else each for each in told]


def _without_partner(each: _Told) -> _Told:
    if each.item is None:
        return each
    return replace(each, item=None, missing=(Dropped(kind_of(each.item), each.source.where, safe=False),))


def _call_id(item: JsonObject) -> str | None:
    value = item.get("id" if kind_of(item) == "local_shell_call_output" else "call_id")
    return value if isinstance(value, str) and value else None


def _parameters(body: Mapping[str, object], there: Destination) -> tuple[dict[str, object], list[Dropped]]:
    """What becomes of the parameters that name something of the old home (None: they go), and what is missing."""
    changes: dict[str, object] = {"previous_response_id": None}
    dropped: list[Dropped] = []
    for name in ("conversation", "prompt"):
        value = _plain(body.get(name))
        if value is not None and (value.get("id") if isinstance(value, dict) else value) not in list(there.held):
            changes[name] = None
            dropped.append(Dropped(name, name, safe=False))
    if body.get("background") and not there.same_vendor:
        changes["background"] = None
        dropped.append(Dropped("background", "background", safe=False))
    for name, inner, safe in _NESTED:
        value = _plain(body.get(name))
        if isinstance(value, dict) and value.get(inner) is not None:
            changes[name] = {each: value[each] for each in value if each != inner} or None
            dropped.append(Dropped(inner, f"{name}.{inner}", safe=safe))
    tools, lost = _tools(body, there)
    return {**changes, **tools}, [*dropped, *lost]


_NESTED: Final = (
    ("prompt_cache_options", "comparison_response_id", True),  # for statistics
    ("background_options", "continuation_id", False),
)


def _tools(body: Mapping[str, object], there: Destination) -> tuple[dict[str, object], list[Dropped]]:
    """The same for `tools` and `tool_choice`."""
    tools = _plain(body.get("tools"))
    ties = [there.tie(tool) for tool in tools] if isinstance(tools, list) else []
    dropped = [Dropped(tie, f"tools[{place}]", safe=False) for place, tie in enumerate(ties) if tie]
    if not isinstance(tools, list) or not dropped:
        return {}, []
    left = [tool for tool, tie in zip(tools, ties, strict=True) if tie is None]
    changes: dict[str, object] = {"tools": left or None}
    choice = _plain(body.get("tool_choice"))
    possible = _choice(choice, left)
    if possible != choice:
        changes["tool_choice"] = possible
        dropped.append(Dropped("tool_choice", "tool_choice", safe=False))
    return changes, dropped


def _choice(choice: Json, tools: Sequence[Json]) -> Json:
    """A `tool_choice` that allows no more than `choice` does, and demands no tool that is not among `tools`."""
    if not tools:
        return choice if choice in ("auto", "none") else None
    if not isinstance(choice, dict):
        return choice
    names = [_name_of(tool) for tool in tools]
    allowed = choice.get("tools")
    if not isinstance(allowed, list):
        return choice if _name_of(choice) in names else None
    left = [tool for tool in allowed if _name_of(tool) in names]
    return {**choice, "tools": left} if left else "none"


def _name_of(tool: Json) -> tuple[Json, ...]:
    return tuple(tool.get(name) for name in ("type", "name", "server_label")) if isinstance(tool, dict) else (tool,)


def _plain(value: object) -> Json:
    """Plain JSON of a parameter, which may be an object of an SDK."""
    return cast("Json", value) if value is None or isinstance(value, str) else jsonio.loads(jsonio.dumps(value))


def _changed(call: Call, changes: Mapping[str, object]) -> Call:
    kept = {name: value for name, value in call.body.items() if name not in changes}
    news = {name: value for name, value in changes.items() if value is not None}
    extra = {name: value for name, value in call.extra_body.items() if name not in changes}
    return replace(call, body={**kept, **news}, extra_body=extra)


def _refusal(parts: Sequence[Dropped]) -> str:
    named = ", ".join(f"{each.kind} at {each.where}" for each in parts[:_NAMED])
    more = f", and {len(parts) - _NAMED} more" if len(parts) > _NAMED else ""
    return f"what can't be sent to another deployment: {named}{more}"
