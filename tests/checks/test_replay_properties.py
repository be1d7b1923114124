"""What holds for every conversation that is told to another deployment."""

from __future__ import annotations

import copy
import re
from collections.abc import Iterator
from itertools import count
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from checks.affinity.replay import Replayed, replay
from checks.affinity.transcript import Turn
from providers.errors import HomeLostError
from providers.types import Call

Item = dict[str, Any]
BLOCKS = (
    "message",
    "thought",
    "searched",
    "called",
    "custom",
    "squeezed",
    "coded",
    "shell",
    "reference",
    "cited",
    "file",
    "mixed",
    "unknown",
)
"""What an answer may consist of; what is a call is answered in the next turn's input."""


class Writer:
    """Writes conversations. Each item, part and note has a `mark` of its own, by which it is found again."""

    def __init__(self) -> None:
        self._numbers = count()
        self.ids: set[str] = set()

    def marked(self, **fields: Any) -> Item:
        return {**fields, "mark": f"mark {next(self._numbers)}"}

    def item(self, kind: str, **fields: Any) -> Item:
        name = f"foreign_{next(self._numbers)}"
        self.ids.add(name)
        return self.marked(type=kind, id=name, **fields)

    def text(self, **fields: Any) -> Item:
        return self.marked(type="text", text=f"text {next(self._numbers)}", **fields)

    def message(self, role: str, *parts: Item) -> Item:
        item = self.item("message", role=role, status="completed", content=list(parts) or [self.text()])
        del item["mark"]  # it is missing when all its parts are, and these are what is reported
        return item

    def output(self, block: str) -> tuple[list[Item], list[Item]]:
        """Items of an answer, and what the next input says to them."""
        call_id = f"call_{next(self._numbers)}"
        file = self.marked(type="input_file", file_id="file_1")
        match block:
            case "thought":
                return [self.item("reasoning", encrypted_content="x"), self.message("assistant")], []
            case "searched":
                return [self.item("web_search_call"), self.message("assistant")], []
            case "called":
                result = self.marked(type="function_call_output", call_id=call_id, output="42")
                return [self.item("function_call", call_id=call_id, name="f", arguments="{}", status=None)], [result]
            case "custom":
                result = self.marked(type="custom_tool_call_output", call_id=call_id, output="42")
                return [self.item("custom_tool_call", call_id=call_id, name="f", input="i")], [result]
            case "squeezed":
                return [self.item("compaction", encrypted_content="x")], []
            case "coded":
                return [self.item("code_interpreter_call", container_id="c"), self.message("assistant")], []
            case "shell":
                result = self.marked(type="shell_call_output", call_id=call_id, output=[{"stdout": "x"}])
                return [self.item("shell_call", call_id=call_id, environment={"container_id": "c"})], [result]
            case "reference":
                return [self.message("assistant")], [self.marked(type="item_reference", id="elsewhere_1")]
            case "cited":
                notes = [self.marked(type="url_citation"), self.marked(type="file_citation", file_id="file_1")]
                return [self.message("assistant", self.text(annotations=notes))], []
            case "file":
                return [self.message("assistant")], [self.message("user", file)]
            case "mixed":
                return [self.message("assistant")], [self.message("user", self.text(), file)]
            case "unknown":
                return [self.item("hologram", beam=1)], []
            case _:
                return [self.message("assistant")], []

    def conversation(self, answers: list[list[str]]) -> tuple[list[Turn], Call]:
        """One turn for each list of blocks, then a call that continues."""
        turns: list[Turn] = []
        replies: list[Item] = []
        for number, blocks in enumerate(answers):
            given = [*replies, self.message("user")]
            written = [self.output(block) for block in blocks]
            output = [item for items, _ in written for item in items]
            replies = [item for _, items in written for item in items]
            before = turns[-1].response_id if turns else None
            turns.append(Turn(f"resp_{number}", before, tuple(given), tuple(output)))
            self.ids.add(f"resp_{number}")
        body = {"input": [*replies, self.message("user")], "previous_response_id": f"resp_{len(turns) - 1}"}
        return turns, Call("gpt", body=body)


@st.composite
def conversations(draw: st.DrawFn) -> tuple[list[Turn], Call, set[str]]:
    answers = draw(st.lists(st.lists(st.sampled_from(BLOCKS), max_size=4), min_size=1, max_size=4))
    writer = Writer()
    turns, call = writer.conversation(answers)
    return turns, call, writer.ids


def lossy(turns: list[Turn], call: Call, same_vendor: bool) -> Replayed:
    return replay(turns, call, lossy=True, same_vendor=same_vendor)


def objects(value: Any) -> Iterator[Item]:
    """All objects in some JSON, the outer ones first."""
    if isinstance(value, dict):
        yield value
        value = list(value.values())
    if isinstance(value, list):
        for each in value:
            yield from objects(each)


def strings(value: Any) -> set[str]:
    if isinstance(value, dict):
        value = list(value.values())
    if isinstance(value, list):
        return set().union(*(strings(each) for each in value))
    return {value} if isinstance(value, str) else set()


def marks(value: Any) -> list[str]:
    return [each["mark"] for each in objects(value) if "mark" in each]


def said(items: Any) -> list[str]:
    """Every text, in order."""
    return [each["text"] for each in objects(items) if "text" in each]


def told_items(turns: list[Turn], call: Call) -> list[Item]:
    items = [item for turn in turns for item in (*turn.input, *turn.output)]
    return [*items, *call.body["input"]]  # type: ignore[misc]  # a list, as written above


def at(where: str, turns: list[Turn], call: Call) -> Any:
    """What stands at a place that a report names."""
    first, *rest = re.findall(r"\w+", where)
    found: Any = call.body
    if first.startswith("resp_"):
        found = next(turn for turn in turns if turn.response_id == first)
        found = {"input": found.input, "output": found.output}
    else:
        rest = [first, *rest]
    for name in rest:
        found = found[int(name) if name.isdigit() else name]
    return found


@given(conversations(), st.booleans())
def test_nothing_that_is_given_is_changed(given: tuple[list[Turn], Call, set[str]], same_vendor: bool) -> None:
    turns, call, _ = given
    before = copy.deepcopy((turns, call.body))
    done = lossy(turns, call, same_vendor)
    assert (turns, call.body) == before
    assert done.call is not call


@given(conversations(), st.booleans())
def test_every_text_is_told_in_order(given: tuple[list[Turn], Call, set[str]], same_vendor: bool) -> None:
    turns, call, _ = given
    texts = said(lossy(turns, call, same_vendor).call.body["input"])
    assert texts == said(told_items(turns, call))
    assert texts


@given(conversations(), st.booleans())
def test_every_result_has_its_call_before_it(given: tuple[list[Turn], Call, set[str]], same_vendor: bool) -> None:
    turns, call, _ = given
    asked: set[str] = set()
    answered: set[str] = set()
    for item in objects(lossy(turns, call, same_vendor).call.body["input"]):
        kind = str(item.get("type"))
        if kind.endswith("_call_output"):
            assert item["call_id"] in asked
            answered.add(item["call_id"])
        elif kind.endswith("_call"):
            asked.add(item["call_id"])
    assert asked == answered


@given(conversations(), st.booleans())
def test_no_foreign_id_is_left_anywhere(given: tuple[list[Turn], Call, set[str]], same_vendor: bool) -> None:
    turns, call, ids = given
    left = strings(lossy(turns, call, same_vendor).call.body)
    assert not left & (ids | {"elsewhere_1", "file_1", "c", "x"})


@given(conversations(), st.booleans())
def test_what_is_reported_is_exactly_what_is_missing(
    given: tuple[list[Turn], Call, set[str]], same_vendor: bool
) -> None:
    turns, call, _ = given
    done = lossy(turns, call, same_vendor)
    everything, left = marks(told_items(turns, call)), marks(done.call.body)
    reported = [mark for each in done.dropped for mark in marks(at(each.where, turns, call))]
    assert sorted([*left, *reported]) == sorted(everything)
    assert [mark for mark in everything if mark in left] == left


@given(conversations(), st.booleans())
def test_it_is_refused_exactly_if_something_unsafe_is_missing(
    given: tuple[list[Turn], Call, set[str]], same_vendor: bool
) -> None:
    turns, call, _ = given
    done = lossy(turns, call, same_vendor)
    if not all(each.safe for each in done.dropped):
        with pytest.raises(HomeLostError):
            replay(turns, call, lossy=False, same_vendor=same_vendor)
        return
    strict = replay(turns, call, lossy=False, same_vendor=same_vendor)
    assert (strict.call.body, strict.dropped) == (done.call.body, done.dropped)


@given(conversations(), st.booleans(), st.booleans())
def test_a_second_loss_tells_the_same(
    given: tuple[list[Turn], Call, set[str]], same_vendor: bool, as_sent: bool
) -> None:
    """Whether the turn in between was kept as its caller made it, or as it was sent."""
    turns, call, _ = given
    first = lossy(turns, call, same_vendor)
    answer = {"id": "resp_new", "output": [{"type": "message", "id": "new_1", "role": "assistant", "content": "ok"}]}
    between = Turn.of(first.call if as_sent else call, answer)  # type: ignore[arg-type]  # plain JSON
    assert between is not None
    history = [between] if as_sent else [*turns, between]
    second = lossy(history, Call("gpt", body={"input": "and?", "previous_response_id": "resp_new"}), same_vendor)
    more = [
        {"type": "message", "role": "assistant", "content": "ok"},
        {"type": "message", "role": "user", "content": "and?"},
    ]
    assert second.call.body["input"] == [*first.call.body["input"], *more]  # type: ignore[misc]  # a list
    if as_sent:
        assert second.dropped == ()
