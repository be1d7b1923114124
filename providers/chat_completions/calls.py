"""Follows the calls of tools in a stream, which may come in turns, without numbers, or all under the same one.

The first that is open is told as it comes. What comes of others meanwhile is kept, cut as it was, until it closes:
responses have one item open at a time.
"""

from __future__ import annotations

from typing import Final

from providers import jsonio
from providers.faults import malformed
from providers.translation.narrator import Narrator
from providers.types import Json, JsonObject

MAX_KEPT: Final = 16 * 1024 * 1024
"""Characters of calls that are kept waiting at most."""


class _Call:
    """One call, as far as it has come."""

    __slots__ = ("cuts", "id", "name", "opened", "text")

    def __init__(self, call_id: str, name: str) -> None:
        self.id = call_id
        self.name = name
        self.opened = False
        self.text: list[str] = []
        """Arguments so far."""
        self.cuts: list[str] = []
        """Those of them that were not told yet."""

    @property
    def whole(self) -> bool:
        """Whether its arguments are an object to its end, so that nothing more can come."""
        if not any(cut.endswith("}") for cut in self.text[-1:]):
            return False  # most often so, and cheaper to see
        try:
            return isinstance(jsonio.loads("".join(self.text)), dict)
        except ValueError:
            return False


class Calls:
    """The calls of one answer, in the order in which they were first heard of."""

    __slots__ = ("_by_id", "_by_index", "_kept", "_last", "_narrator", "_waiting")

    def __init__(self, narrator: Narrator) -> None:
        self._narrator = narrator
        self._waiting: list[_Call] = []
        """Those that are not closed; the first is the one that is told."""
        self._by_index: dict[int, _Call] = {}
        self._by_id: dict[str, _Call] = {}
        self._last: _Call | None = None
        self._kept = 0

    @property
    def open(self) -> bool:
        """Whether there are calls that are not closed."""
        return bool(self._waiting)

    @property
    def whole(self) -> bool:
        """Whether nothing more can come of any that is open."""
        return all(call.whole for call in self._waiting)

    def hear(self, delta: JsonObject, *, alone: bool = False) -> None:
        """A piece of a call; `alone`: all of one. Raises `MalformedReplyError` for what belongs to no call."""
        inner = delta.get("function")
        function = inner if isinstance(inner, dict) else {}
        name = function.get("name")
        call_id, name = delta.get("id"), name if isinstance(name, str) else ""
        call_id = call_id if isinstance(call_id, str) else ""
        index = delta.get("index")
        call = None if alone else self._known(index if type(index) is int else None, call_id, name)
        if call is None:
            call = self._new(index if type(index) is int else None, call_id, name)
        call.id, call.name = call.id or call_id, call.name or name
        self._last = call
        self._add(call, _text(function.get("arguments")))

    def close(self, *, but_last: bool = False) -> None:
        """Tell what was kept of all calls, and close them; `but_last` leaves the last open, for it was cut off."""
        while self._waiting:
            call = self._waiting[0]
            self._tell(call)
            if not call.opened:
                raise malformed("a call of a tool without a name")
            del self._waiting[0]
            if self._waiting or not but_last:
                self._narrator.close()

    def _known(self, index: int | None, call_id: str, name: str) -> _Call | None:
        """The call that a piece belongs to, or None if it begins one."""
        if index is not None:
            call = self._by_index.get(index)
            # a piece with a name and another id begins a call, even under a number that is taken
            other = call is not None and name and call_id and call.id and call_id != call.id
            again = call is not None and name and not call_id and call.whole
            return None if other or again else call
        if call_id:
            call = self._by_id.get(call_id)
            return call if call is not None or name else self._last
        last = self._last
        if name and last is not None and (last.name != name or last.whole):
            return None
        return last

    def _new(self, index: int | None, call_id: str, name: str) -> _Call:
        call = _Call(call_id, name)
        if index is not None:
            self._by_index[index] = call
        if call_id:
            self._by_id[call_id] = call
        self._waiting.append(call)
        return call

    def _add(self, call: _Call, cut: str) -> None:
        if call not in self._waiting:
            if cut.strip():
                raise malformed("arguments for a call that was whole")
            return
        if cut:
            call.text.append(cut)
            call.cuts.append(cut)
        while self._waiting[0] is not call and self._waiting[0].opened and self._waiting[0].whole:
            del self._waiting[0]
            self._narrator.close()
            self._tell(self._waiting[0])
        if self._waiting[0] is call:
            self._tell(call)
        else:
            self._kept += len(cut)
            if self._kept > MAX_KEPT:
                raise malformed(f"more than {MAX_KEPT} characters of calls that come in turns")

    def _tell(self, call: _Call) -> None:
        if not call.opened:
            if not call.name:
                return
            self._narrator.call(call.id, call.name)
            call.opened = True
        for cut in call.cuts:
            self._narrator.arguments(cut)
        call.cuts.clear()


def _text(arguments: Json) -> str:
    """A piece of arguments. Some servers give an object, whole."""
    if arguments is None:
        return ""
    return arguments if isinstance(arguments, str) else jsonio.dumps(arguments).decode()
