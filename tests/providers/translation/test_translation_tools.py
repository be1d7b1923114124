"""Tools and the choice among them; names that the wire takes, each the name of one tool only."""

import hashlib
import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from toy_dialect import DEPLOYMENT, NAMING, TOY

from providers.errors import BadRequestError
from providers.translation.asked import Asked
from providers.translation.tools import Choice, Function, Hosted, Tool, choice_of, functions, tools_of, wire_name
from providers.types import Call, Json

SCHEMA: dict[str, Json] = {"type": "object", "properties": {"a": {"type": "string"}}}


def asked(**body: object) -> Asked:
    return Asked.of(Call("toys", body=body), DEPLOYMENT, TOY, "toys")


def tools(*given: Json) -> list[Tool]:
    return tools_of(asked(tools=list(given)), NAMING)


def choose(choice: object, *names: str) -> Choice | None:
    given = [{"type": "function", "name": name} for name in names or ("a", "b c")]
    settled = asked(tools=given, tool_choice=choice)
    return choice_of(settled, tools_of(settled, NAMING))


def test_functions() -> None:
    first, second = tools(
        {"type": "function", "name": "a", "description": "A.", "parameters": SCHEMA, "strict": True},
        {"type": "function", "function": {"name": "b", "parameters": SCHEMA}, "cache_control": {"type": "ephemeral"}},
    )
    assert first == Function("a", "a", "A.", SCHEMA, "tools[0]", strict=True)
    assert second == Function("b", "b", "", SCHEMA, "tools[1]", cache={"type": "ephemeral"})


@pytest.mark.parametrize("schema", [None, {}, "what"])
def test_a_function_of_nothing_takes_an_empty_object(schema: Json) -> None:
    (tool,) = functions(tools({"type": "function", "name": "a", "parameters": schema}))
    assert tool.parameters == {"type": "object", "properties": {}}


def test_a_schema_without_a_type_is_an_objects() -> None:
    (tool,) = functions(tools({"type": "function", "name": "a", "parameters": {"properties": {}}}))
    assert tool.parameters == {"type": "object", "properties": {}}


@pytest.mark.parametrize(
    ("custom", "description"),
    [
        ({"description": "Runs."}, "Runs."),
        ({"format": {"type": "text"}}, ""),
        (
            {"format": {"type": "grammar", "syntax": "lark", "definition": "start: A"}},
            "The input must follow this lark grammar:\nstart: A",
        ),
        (
            {"description": "Runs.", "format": {"type": "grammar", "syntax": "regex", "definition": "a+"}},
            "Runs.\n\nThe input must follow this regex grammar:\na+",
        ),
    ],
)
def test_custom_tools_are_functions_of_one_text(custom: dict[str, Json], description: str) -> None:
    (tool,) = functions(tools({"type": "custom", "name": "shell", "strict": True, **custom}))
    assert (tool.custom, tool.description, tool.strict) == (True, description, None)
    assert tool.parameters["required"] == ["input"]


def test_what_the_vendor_would_run_is_left_to_the_dialect() -> None:
    found = tools({"type": "web_search", "filters": {}}, {"name": "x"})
    assert found == [
        Hosted("web_search", {"type": "web_search", "filters": {}}, "tools[0]"),
        Hosted("None", {"name": "x"}, "tools[1]"),
    ]
    assert functions(found) == []


@pytest.mark.parametrize(
    ("given", "param"),
    [
        ("web_search", "tools"),
        (["a"], "tools[0]"),
        ([{"type": "function"}], "tools[0].name"),
        ([{"type": "function", "name": ""}], "tools[0].name"),
        ([{"type": "function", "function": {"name": 3}}], "tools[0].name"),
    ],
)
def test_what_is_no_tool_is_refused_where_it_stands(given: object, param: str) -> None:
    with pytest.raises(BadRequestError) as failed:
        tools_of(asked(tools=given), NAMING)
    assert failed.value.param == param


def test_no_tools() -> None:
    assert tools_of(asked(), NAMING) == []
    assert choice_of(asked(), []) is None


# names


def names(*given: str) -> list[str]:
    taken: dict[str, str] = {}
    return [wire_name(name, NAMING, taken) for name in given]


def test_names_that_the_wire_takes_stay() -> None:
    assert names("get_weather", "a" * 24) == ["get_weather", "a" * 24]


def test_other_names_are_changed_and_marked() -> None:
    digest = hashlib.sha256(b"get weather").hexdigest()[:8]
    assert names("get weather") == [f"get_weather_{digest}"]
    (long,) = names("a" * 25)
    assert len(long) == 24


def test_a_name_that_looks_like_anothers_is_told_apart_in_either_order() -> None:
    (other,) = names("get weather")
    for order in (("get weather", other), (other, "get weather")):
        first, second = names(*order)
        assert first != second


@given(st.lists(st.text(st.sampled_from("ab _-é\ud800")) | st.text(min_size=20, max_size=60), min_size=1))
def test_no_two_names_become_one_and_each_stays_the_same(given: list[str]) -> None:
    found = names(*given)
    assert len(set(found)) == len(set(given))
    assert all(len(name) <= NAMING.longest and not NAMING.foreign.search(name) for name in found)
    taken: dict[str, str] = {}
    again = [wire_name(name, NAMING, taken) for name in (*given, *given)]
    assert again == [*found, *found]
    assert {taken[wire]: wire for wire in found} == dict(zip(given, found, strict=True))
    assert all(re.fullmatch(r"[\w-]*", wire) for wire in taken)


# choices


@pytest.mark.parametrize(
    ("given", "found"),
    [
        (None, None),
        ("auto", Choice("auto")),
        ("none", Choice("none")),
        ("required", Choice("required")),
        ("any", Choice("required")),
        ({"type": "auto"}, Choice("auto")),
        ({"type": "none"}, Choice("none")),
        ({"type": "required"}, Choice("required")),
        ({"type": "any"}, Choice("required")),
        ({"type": "tool"}, Choice("required")),
        ({"type": "tool", "name": "a"}, Choice("required", ("a",))),
        ({"type": "function", "name": "b c"}, Choice("required", ("b c",))),
        ({"type": "custom", "name": "a"}, Choice("required", ("a",))),
        ({"type": "function", "function": {"name": "a"}}, Choice("required", ("a",))),
        ({"type": "web_search"}, Choice("required", (), ("web_search",))),
        (
            {"type": "allowed_tools", "mode": "auto", "tools": [{"type": "function", "name": "a"}]},
            Choice("auto", ("a",)),
        ),
        (
            {
                "type": "allowed_tools",
                "mode": "required",
                "tools": [{"type": "function", "name": "b c"}, {"type": "mcp", "server_label": "x"}],
            },
            Choice("required", ("b c",), ("mcp",)),
        ),
    ],
)
def test_choices_in_every_form(given: object, found: Choice | None) -> None:
    assert choose(given) == found


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ("sometimes", "must be auto, none, required or an object"),
        (3, "must be auto, none, required or an object"),
        (["a"], "must be auto, none, required or an object"),
        ({"type": "function", "name": "c"}, "there is no function 'c' in tools"),
        ({"type": "function"}, "there is no function None in tools"),
        ({"type": "allowed_tools", "mode": "auto"}, "allowed_tools needs mode"),
        ({"type": "allowed_tools", "mode": "auto", "tools": []}, "allowed_tools needs mode"),
        ({"type": "allowed_tools", "mode": "never", "tools": [{"type": "function", "name": "a"}]}, "needs mode"),
        ({"type": "allowed_tools", "mode": "auto", "tools": ["a"]}, "must name tools by objects"),
        ({"type": "allowed_tools", "mode": "auto", "tools": [{"type": "function", "name": "c"}]}, "no function 'c'"),
    ],
)
def test_what_is_no_choice_is_refused(given: Any, message: str) -> None:
    with pytest.raises(BadRequestError, match=message) as failed:
        choose(given)
    assert str(failed.value.param).startswith("tool_choice")
