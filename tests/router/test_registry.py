"""Names → groups."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from providers.errors import CallerError, ConfigurationError, NotFoundError, UnknownModelError
from providers.types import Deployment
from router.registry import Registry, Resolution


def deployment(id: str, group: str) -> Deployment:
    return Deployment(id, group, "openai", "m")


def registry(*groups: str, **aliases: str) -> Registry:
    return Registry([deployment(f"{group}#{index}", group) for index, group in enumerate(groups)], aliases)


def test_groups_and_ids() -> None:
    one, two, three = deployment("1", "a"), deployment("2", "b"), deployment("3", "a")
    found = Registry([one, two, three])
    assert dict(found.groups) == {"a": (one, three), "b": (two,)}
    assert dict(found.by_id) == {"1": one, "2": two, "3": three}
    assert found.names() == ("a", "b")


def test_neither_can_be_changed() -> None:
    found = registry("a")
    for mapping in (found.groups, found.by_id):
        with pytest.raises(TypeError):
            mapping["x"] = ()  # type: ignore[index]  # that is the point


def test_one_id_twice() -> None:
    with pytest.raises(ConfigurationError, match="two deployments have the id 'x'; give each its own"):
        Registry([deployment("x", "a"), deployment("x", "b")])


def test_a_group_a_deployment_and_an_alias() -> None:
    found = registry("a", "b", c="a", d="c", e="b#1", f="openai/x")
    assert found.resolve("a") == Resolution("a")
    assert found.resolve("c") == found.resolve("d") == Resolution("a")
    assert found.resolve("b#1") == found.resolve("e") == Resolution("b", deployment=found.by_id["b#1"])
    assert not found.knows("f")
    assert registry("openai/*", f="openai/x").resolve("f") == Resolution("openai/*", "x")


def test_a_group_wins_over_an_alias_over_an_id_over_a_wildcard() -> None:
    members = [
        deployment("a", "b"),
        deployment("b", "c"),
        deployment("x", "c"),
        deployment("y", "x*"),
        deployment("z", "a"),
    ]
    found = Registry(members, {"x": "b", "b": "c"})
    assert found.resolve("a") == Resolution("a")
    assert found.resolve("b") == Resolution("b")
    assert found.resolve("x") == Resolution("b")
    assert found.resolve("y") == Resolution("x*", deployment=members[3])
    assert found.resolve("xx") == Resolution("x*", "x")


def test_an_alias_of_a_group_that_is_gone_leads_nowhere() -> None:
    found = registry("a", "b", c="a").dropping("a#0")
    assert not found.knows("c")
    assert found.adding(deployment("new", "a")).resolve("c") == Resolution("a")


def test_aliases_in_a_circle_lead_nowhere() -> None:
    found = registry("*", one="two", two="one", three="one", four="four")
    assert found.resolve("one") == Resolution("*", "one")  # as any name would
    assert registry("a", one="two", two="one", three="one").knows("three") is False


@pytest.mark.parametrize(
    ("name", "group", "wildcard"),
    [
        ("openai/o1", "openai/*", "o1"),
        ("openai/gpt-4o", "openai/gpt-*", "4o"),
        ("openai/gpt-5-mini", "openai/gpt-*", "5-mini"),
        ("openai/gpt-5-pro", "openai/gpt-*-pro", "5"),
        ("claude", "*", "claude"),
        ("openai/", "*", "openai/"),
        ("openai/gpt-", "openai/*", "gpt-"),
        ("openai/*", "openai/*", "*"),
        ("my-mini", "*-mini", "my"),
        ("gpt-4o-mini", "*-mini", "gpt-4o"),
        ("gpt4--mini", "gpt4-*", "-mini"),
    ],
)
def test_the_most_specific_wildcard_wins(name: str, group: str, wildcard: str) -> None:
    groups = ["*", "openai/*", "*-mini", "gpt-*", "gpt4-*", "openai/gpt-*", "openai/gpt-*-pro"]
    for ordered in (groups, groups[::-1]):
        found = registry(*ordered)
        assert found.resolve(name) == Resolution(group, wildcard)
        assert found.resolve(name) == Resolution(group, wildcard)  # from memory


def test_prefix_and_suffix_must_not_overlap() -> None:
    assert not registry("aba*aba").knows("ababa")
    assert registry("aba*aba").resolve("abaXaba") == Resolution("aba*aba", "X")


def test_an_unknown_name() -> None:
    with pytest.raises(UnknownModelError) as caught:
        registry("gpt-4o", smart="gpt-4o").resolve("smrt")
    error = caught.value
    assert str(error) == "no deployment serves the model 'smrt'; did you mean 'smart'?"
    assert (error.status_code, error.code, error.param) == (404, "model_not_found", "model")
    assert isinstance(error, CallerError)
    assert isinstance(error, NotFoundError)


def test_a_long_unknown_name_is_cut() -> None:
    with pytest.raises(UnknownModelError) as caught:
        registry("gpt").resolve("x" * 1_000_000)
    assert len(str(caught.value)) < 400


def test_what_is_remembered_is_bounded() -> None:
    found = registry("*")
    for number in range(3_000):
        assert found.resolve(f"m{number}").wildcard == f"m{number}"
        assert len(found._remembered) <= 1024
    found.resolve("y" * 257)
    assert "y" * 257 not in found._remembered


def test_changes_make_another_registry() -> None:
    before = registry("a", "b", alias="a")
    added = before.adding(deployment("new", "c"))
    replaced = added.putting(deployment("new", "d"))
    put = replaced.putting(deployment("newer", "d"))
    dropped = put.dropping("a#0")
    assert list(before.groups) == ["a", "b"]
    assert list(added.groups) == ["a", "b", "c"]
    assert list(replaced.groups) == ["a", "b", "d"]
    assert [each.id for each in put.groups["d"]] == ["new", "newer"]
    assert list(dropped.groups) == ["b", "d"]
    assert put.knows("alias")
    with pytest.raises(ConfigurationError):
        added.adding(deployment("new", "c"))
    with pytest.raises(KeyError):
        before.dropping("nope")


NAMES = st.text("ab/*", min_size=1, max_size=4)


@given(st.lists(NAMES.filter(lambda name: name.count("*") < 2), max_size=5, unique=True), NAMES)
def test_resolution_agrees_with_its_rule(groups: Sequence[str], name: str) -> None:
    found = registry(*groups)
    if name in groups and "*" not in name:
        assert found.resolve(name) == Resolution(name)
        return
    matching = []
    for group in groups:
        prefix, star, suffix = group.partition("*")
        if star and name.startswith(prefix) and name.endswith(suffix) and len(name) > len(prefix + suffix):
            matching.append((group, name[len(prefix) : len(name) - len(suffix)]))
    assert found.knows(name) is bool(matching)
    if matching:
        best = found.resolve(name)
        assert (best.group, best.wildcard) in matching
        assert len(best.group) == max(len(group) for group, _ in matching)
