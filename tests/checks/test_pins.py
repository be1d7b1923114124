"""Owners in a store, tenants apart; several at a time where the store can."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import pytest

from checks.affinity import pins as module
from checks.affinity.pins import Pin, Pins, tenant_of


class Plain:
    """A store of a user's own, which does one thing at a time."""

    def __init__(self) -> None:
        self.kept: dict[str, str] = {}
        self.asked: list[str] = []

    async def get(self, key: str) -> str | None:
        self.asked.append("get")
        return self.kept.get(key)

    async def set(self, key: str, value: str, *, ttl: float) -> None:
        self.asked.append(f"set for {ttl:g}")
        self.kept[key] = value

    async def delete(self, key: str) -> None:
        self.asked.append("delete")
        self.kept.pop(key, None)

    async def aclose(self) -> None:
        """Nothing to close."""


class Several(Plain):
    """One that does several things at a time."""

    async def get_many(self, keys: Sequence[str]) -> Mapping[str, str]:
        self.asked.append("get_many")
        return {key: self.kept[key] for key in keys if key in self.kept}

    async def set_many(self, values: Mapping[str, str], *, ttl: float) -> None:
        self.asked.append(f"set_many for {ttl:g}")
        self.kept.update(values)


@pytest.fixture(params=[Plain, Several])
def store(request: pytest.FixtureRequest) -> Plain:
    made: Plain = request.param()
    return made


async def test_what_was_learnt_and_noted_is_found(store: Plain) -> None:
    pins = Pins(store, 60)
    await pins.learn("resp_1", "east", "")
    await pins.note(("item:1", "item:2"), "west", "tenant")
    assert await pins.owner("resp_1") == Pin("east", "")
    assert await pins.owner("resp_2") is None
    found = {"resp_1": Pin("east", ""), "item:1": Pin("west", "tenant"), "item:2": Pin("west", "tenant")}
    assert await pins.find(["resp_1", "item:1", "item:2", "item:3"]) == found
    assert await pins.find(["item:1"]) == {"item:1": Pin("west", "tenant")}
    assert await pins.find(["item:3"]) == {}
    assert pins.stats.learnt == 3
    await pins.forget("resp_1")
    assert await pins.owner("resp_1") is None


async def test_nothing_is_asked_for_nothing(store: Plain) -> None:
    pins = Pins(store, 60)
    assert await pins.find([]) == {}
    await pins.note((), "east", "")
    assert (store.asked, pins.stats.learnt) == ([], 0)


async def test_a_store_that_does_several_is_asked_once() -> None:
    store = Several()
    pins = Pins(store, 60)
    await pins.note(("item:1", "item:2"), "east", "")
    await pins.find(["item:1", "item:2"])
    assert store.asked == ["set_many for 60", "get_many"]


async def test_an_id_is_learnt_by_a_write_that_is_waited_for() -> None:
    store = Several()
    await Pins(store, 60).learn("resp_1", "east", "")
    assert store.asked == ["set for 60"]


async def test_a_write_that_nobody_waits_for_is_one_the_store_makes_beside() -> None:
    store, plain = Several(), Plain()
    for each in (store, plain):
        pins = Pins(each, 60, acknowledged=False)
        await pins.learn("resp_1", "east", "tenant")
        assert await pins.owner("resp_1") == Pin("east", "tenant")
        assert pins.stats.learnt == 1
    assert store.asked == ["set_many for 60", "get"]
    assert plain.asked == ["set for 60", "get"], "it can do no other"


async def test_one_item_is_noted_as_several_are() -> None:
    store = Several()
    await Pins(store, 60).note(("item:1",), "east", "")
    assert store.asked == ["set_many for 60"]


async def test_a_plain_store_is_asked_one_by_one() -> None:
    store = Plain()
    pins = Pins(store, 60)
    await pins.note(("item:1", "item:2"), "east", "")
    await pins.find(["item:1", "item:2"])
    assert store.asked == ["set for 60", "set for 60", "get", "get"]


async def test_values_taken_apart_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_MOST_READ", 2)
    pins = Pins(Plain(), 60)
    for number in range(5):
        await pins.learn(f"resp_{number}", f"d{number}", "")
    assert [await pins.owner(f"resp_{number}") for number in range(5)] == [Pin(f"d{number}", "") for number in range(5)]
    assert len(pins._read) <= 2


def test_a_tenant_is_a_digest() -> None:
    assert tenant_of(None) == tenant_of("") == ""
    assert tenant_of("key") not in ("", "key")
    assert tenant_of("key") == tenant_of("key") != tenant_of("other")
    assert tenant_of("\ud800")
