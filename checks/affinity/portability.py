"""What of a conversation another deployment can be told: item by item, and what a call asks for besides.

Three kinds of parts:

- *Portable*: what was said, and the calls and results of tools that the caller runs. They say all they mean, so they
  move; the ids under which the old home stored them do not, as elsewhere these are refused.
- *Safe to drop*: what the model needs no more once the turn is over. Reasoning, which only its own account can
  decrypt or look up, and which the API itself leaves out of the turns before; the records of searches, of which the
  old home never showed the model's caller more than the answer that follows; lists of an MCP server's tools, which are
  fetched anew; citations of files, which are notes in the margin of a text that moves; a compaction that the home
  made on the way, as what it stands for is told in full.
- *Unsafe*: everything else that lives at the old home: what was said would be missing, or a tool would act on
  something that is not there. A compaction in an input is one of these: the history is inside, encrypted.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Final

from providers.types import Json, JsonObject

_SAFE: Final = frozenset({"reasoning", "web_search_call", "file_search_call", "mcp_list_tools"})
_BOUND: Final = frozenset(
    {
        "code_interpreter_call",
        "image_generation_call",
        "computer_call",
        "computer_call_output",
        "mcp_call",
        "mcp_approval_request",
        "mcp_approval_response",
        "item_reference",
    }
)
_UNIVERSAL: Final = frozenset(
    {"message", "function_call", "function_call_output", "custom_tool_call", "custom_tool_call_output"}
)
"""What every vendor's API has a word for."""
_STATUS_REFUSED: Final = frozenset({"message"})  # by Azure; other items keep theirs unless it is null
_TIES: Final = frozenset(
    {
        "file_id",
        "file_ids",
        "container",
        "container_id",
        "vector_store_id",
        "vector_store_ids",
        "skill_id",
        "encrypted_content",
    }
)
"""Fields that name what one account holds, or that one account can read."""
_SCHEMAS: Final = frozenset({"parameters", "schema", "input_schema", "output_schema"})
"""The caller's own definitions, in which any word may stand."""
_FOREIGN_NAMES: Final = frozenset({"id", "response_id", "created_by"})


@dataclass(frozen=True, slots=True)
class Dropped:
    """A part that another deployment was not told."""

    kind: str
    """The type of the item or part, or the field that ties it: `reasoning`, `file_id`, `conversation`, …"""
    where: str
    """`resp_1.output[0]`: of an earlier turn. `input[2].content[1]`, `tools[0]`: of the call itself."""
    safe: bool
    """Whether the conversation is none the poorer for it."""


@dataclass(frozen=True, slots=True)
class Destination:
    """What is known of where a conversation moves to."""

    same_vendor: bool
    """Whether it speaks the old home's dialect, so that items beyond messages and the caller's tools mean something."""
    held: Collection[str] = ()
    """Ids of files, vector stores, containers and the like that it holds too."""

    def tie(self, value: Json) -> str | None:
        """The field in `value` that ties it to the old home; None if none does."""
        if isinstance(value, list):
            return next((found for each in value if (found := self.tie(each))), None)
        if not isinstance(value, dict):
            return None
        for name, inner in value.items():
            if name in _TIES and self._elsewhere(inner):
                return name
            if name not in _SCHEMAS and (found := self.tie(inner)):
                return found
        return None

    def _elsewhere(self, value: Json) -> bool:
        named = value if isinstance(value, list) else [value]
        return any(isinstance(name, str) and name not in self.held for name in named)

    def take(self, item: JsonObject, where: str, *, made: bool) -> tuple[JsonObject | None, list[Dropped]]:
        """`item` as it can be told, None if not at all, and what of it is missing. `made`: it is of an output."""
        kind = kind_of(item)
        if kind in _SAFE or (kind == "compaction" and made):
            return None, [Dropped(kind, where, safe=True)]
        if kind in _BOUND or kind == "compaction" or not (self.same_vendor or kind in _UNIVERSAL):
            return None, [Dropped(kind, where, safe=False)]
        told = {name: value for name, value in item.items() if name not in _FOREIGN_NAMES}
        if kind == "local_shell_call_output" and "id" in item:
            told["id"] = item["id"]  # which is the call's
        if kind in _STATUS_REFUSED or told.get("status", ...) is None:
            told.pop("status", None)
        field = "content" if "content" in told else "output"
        parts = told.get(field)
        rest = {name: value for name, value in told.items() if name != field} if isinstance(parts, list) else told
        tie = self.tie(rest)
        if tie is not None:
            return None, [Dropped(tie, where, safe=False)]
        if not isinstance(parts, list):
            return told, []
        kept, dropped = self._take_parts(parts, f"{where}.{field}")
        if dropped:
            if not kept and field == "content":
                return None, dropped
            told[field] = kept or ""  # a tool's call must not be left without a result
        return told, dropped

    def _take_parts(self, parts: list[Json], where: str) -> tuple[list[Json], list[Dropped]]:
        kept: list[Json] = []
        dropped: list[Dropped] = []
        for place, part in enumerate(parts):
            notes = part.get("annotations") if isinstance(part, dict) else None
            if isinstance(part, dict) and isinstance(notes, list):
                noted, missing = self._take_notes(notes, f"{where}[{place}].annotations")
                part = {**part, "annotations": noted} if missing else part
                tie = self.tie({name: value for name, value in part.items() if name != "annotations"})
            else:
                missing, tie = [], self.tie(part)
            if tie is None:
                kept.append(part)
                dropped += missing
            else:
                dropped.append(Dropped(tie, f"{where}[{place}]", safe=False))
        return kept, dropped

    def _take_notes(self, notes: list[Json], where: str) -> tuple[list[Json], list[Dropped]]:
        ties = [self.tie(note) for note in notes]
        kept = [note for note, tie in zip(notes, ties, strict=True) if tie is None]
        return kept, [Dropped(tie, f"{where}[{place}]", safe=True) for place, tie in enumerate(ties) if tie]


def kind_of(item: Mapping[str, Json]) -> str:
    """The type of an item; the API lets messages and references go without."""
    kind = item.get("type")
    if isinstance(kind, str):
        return kind
    if "role" in item:
        return "message"
    return "item_reference" if item.keys() == {"id"} or item.keys() == {"id", "type"} else ""
