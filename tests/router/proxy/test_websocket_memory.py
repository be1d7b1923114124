"""What one connection remembers: all that was said in each chain, within its bounds."""

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from router.proxy.websocket import memory as module
from router.proxy.websocket.memory import Kept, Memory, continuable


def item(number: int) -> Any:
    return {"type": "message", "role": "user", "content": f"{number:08}"}


SIZE = Kept([item(0)], None, None).size


@given(st.lists(st.integers(-1, 30), max_size=60), st.integers(1, 40))
def test_what_is_recalled_is_the_whole_chain_and_no_more_is_held_than_allowed(parents: list[int], most: int) -> None:
    memory = Memory(most * SIZE)
    told: list[list[Any]] = []
    for number, parent in enumerate(parents):
        before = memory.recall(f"resp_{parent}") if parent < number else None
        memory.keep(f"resp_{number}", Kept([item(number)], before, None))
        told.append([*(told[parent] if before is not None else []), item(number)])
        assert memory.size <= most * SIZE
        kept = memory.recall(f"resp_{number}")
        assert (kept is not None) == (len(told[number]) <= most)
        if kept is not None:
            assert kept.told() == told[number]


def test_the_least_recently_used_is_forgotten_first() -> None:
    memory = Memory()
    for number in range(module.MOST_RESPONSES):
        memory.keep(f"resp_{number}", Kept([item(number)], None, None))
    assert memory.recall("resp_0") is not None
    memory.keep("resp_new", Kept([item(0)], None, None))
    assert memory.recall("resp_0") is not None
    assert memory.recall("resp_1") is None
    assert memory.recall(None) is None


def test_reasoning_goes_on_only_if_it_is_there() -> None:
    sealed: Any = {"type": "reasoning", "id": "rs_1", "encrypted_content": "e"}
    bare: Any = {"type": "reasoning", "id": "rs_2"}
    call: Any = {"type": "function_call", "id": "fc_1", "call_id": "call_1"}
    assert continuable([sealed, call]) == [sealed, call]
    assert continuable([bare, call]) == [{"type": "function_call", "call_id": "call_1"}]
    assert continuable([sealed, bare, call]) == [sealed, {"type": "function_call", "call_id": "call_1"}]
