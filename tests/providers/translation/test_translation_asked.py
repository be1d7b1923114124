"""What becomes of each parameter: by the table, by drop_params, by what is allowed and what is always dropped."""

from collections import UserDict, namedtuple
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest
from pydantic import BaseModel
from toy_dialect import DEPLOYMENT, TOY, toy_call

from providers import jsonio
from providers.errors import BadRequestError
from providers.translation.asked import Asked, plain, wrong
from providers.translation.parameters import RESPONSES, Outcome, Parameter, table
from providers.types import Call, Deployment, Json, Verb

ALWAYS = ("conversation", "prompt", "background")


def settle(deployment: Deployment = DEPLOYMENT, *, drop: bool | None = None, allow: str = "", **body: object) -> Asked:
    call = Call("toys", body=body, drop_params=drop, allowed_openai_params=frozenset(allow.split()))
    return Asked.of(call, deployment, TOY, "toys")


def test_parameters_go_by_the_table() -> None:
    asked = settle(input="Hello", temperature=0.5, user="u", model="x", stream=True, max_output_tokens=None)
    assert asked.body == {"input": "Hello", "temperature": 0.5}
    assert (asked.extra, asked.dropped) == ({}, [])
    assert asked.get("max_output_tokens") is None


@pytest.mark.parametrize(
    ("name", "value"),
    [("top_p", 0.5), ("background", True), ("conversation", "conv_1"), ("prompt", {"id": "p"})],
)
def test_what_can_not_be_said_is_refused_or_dropped_and_told(name: str, value: Json) -> None:
    for drop, deployment in ((None, DEPLOYMENT), (False, DEPLOYMENT), (False, replace_drop(True))):
        with pytest.raises(BadRequestError) as failed:
            settle(deployment, drop=drop, **{name: value})  # type: ignore[arg-type]  # no name of settle's own
        assert (failed.value.param, failed.value.code) == (name, "unsupported_parameter")
        assert "drop_params" in failed.value.message
    for drop, deployment in ((True, DEPLOYMENT), (None, replace_drop(True))):
        asked = settle(deployment, drop=drop, **{name: value})  # type: ignore[arg-type]  # no name of settle's own
        assert name not in asked.body | asked.extra
        assert asked.dropped == [f"{name}: {TOY[name].note}"]


def replace_drop(drop: bool, **rest: Any) -> Deployment:
    return replace(DEPLOYMENT, drop_params=drop, **rest)


@pytest.mark.parametrize("drop", [False, True])
@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("background", False),
        ("truncation", "disabled"),
        ("context_management", []),
        ("include", ["reasoning.encrypted_content", "web_search_call.results"]),
        ("top_p", None),
    ],
)
def test_what_asks_for_nothing_is_nothing(name: str, value: Json, drop: bool) -> None:
    asked = settle(drop=drop, **{name: value})  # type: ignore[arg-type]  # no name of settle's own
    assert (asked.body, asked.extra, asked.dropped) == ({}, {}, [])


def test_what_include_can_not_get_is_refused() -> None:
    with pytest.raises(BadRequestError, match="include: not supported by toys: log probabilities"):
        settle(include=["reasoning.encrypted_content", "message.output_text.logprobs"])


@pytest.mark.parametrize("drop", [False, True])
def test_what_is_allowed_is_passed_on_as_it_is(drop: bool) -> None:
    both = replace_drop(drop, allowed_openai_params=frozenset({"brand_new"}))
    asked = settle(both, drop=None, allow="top_p user", top_p=0.5, user="u", brand_new=[1], temperature=1)
    assert asked.extra == {"top_p": 0.5, "user": "u", "brand_new": [1]}
    assert (asked.body, asked.dropped) == ({"temperature": 1}, [])


@pytest.mark.parametrize("drop", [False, True])
def test_what_is_always_dropped_is_dropped_in_silence(drop: bool) -> None:
    deployment = replace_drop(drop, additional_drop_params=frozenset({"temperature", "top_p", "odd", "top_k"}))
    rest = Call("toys", body={"temperature": 1, "top_p": 1, "odd": 1}, extra_body={"top_k": 4, "mine": 1})
    asked = Asked.of(rest, deployment, TOY, "toys")
    assert (asked.body, asked.extra, asked.dropped) == ({}, {"mine": 1}, [])


def test_an_unknown_parameter_is_refused_with_what_was_meant() -> None:
    with pytest.raises(BadRequestError) as failed:
        settle(temprature=0.5)
    assert failed.value.param == "temprature"
    assert "did you mean 'temperature'?" in failed.value.message
    assert "extra_body" in failed.value.message
    with pytest.raises(BadRequestError) as failed:
        settle(zzz=0.5)
    assert "did you mean" not in failed.value.message
    assert settle(drop=True, zzz=0.5).dropped[0].startswith("zzz: ")


def test_bodies_win_over_defaults_and_extra_bodies_over_both() -> None:
    deployment = replace_drop(
        False, defaults={"temperature": 0.1, "max_output_tokens": 5}, extra_body={"metadata": {"a": "1"}, "top_k": 1}
    )
    call = Call(
        "toys", body={"temperature": 0.2}, extra_body={"top_k": 2, "metadata": {"b": "2"}, "odd": BodyPart(x=1)}
    )
    asked = Asked.of(call, deployment, TOY, "toys")
    assert asked.body == {"temperature": 0.2, "max_output_tokens": 5, "metadata": {"b": "2"}}
    assert asked.extra == {"top_k": 2, "odd": {"x": 1}}


class BodyPart(BaseModel):
    x: int


def test_an_extra_body_is_settled_too() -> None:
    with pytest.raises(BadRequestError, match="top_p"):
        Asked.of(Call("toys", extra_body={"top_p": 1}), DEPLOYMENT, TOY, "toys")


def test_the_models_name() -> None:
    call = toy_call(True)
    assert Asked.of(call, DEPLOYMENT, TOY, "toys").model == "toy-1"
    wild = Asked.of(replace(call, wildcard="b*"), replace(DEPLOYMENT, model="a-*-*"), TOY, "toys")
    assert (wild.model, wild.stream) == ("a-b*-*", True)


def test_parameters_that_are_objects() -> None:
    assert settle(metadata={"a": "1"}).mapping("metadata") == {"a": "1"}
    assert settle().mapping("metadata") == {}
    with pytest.raises(BadRequestError, match="metadata: must be an object") as failed:
        settle(metadata=[1]).mapping("metadata")
    assert (failed.value.param, failed.value.status_code) == ("metadata", 400)


def test_notes_are_kept_in_order() -> None:
    asked = settle(drop=True, top_p=1)
    asked.note("tools[0]", "changed")
    asked.refuse("tools[1]", "unknown")
    assert asked.dropped == ["top_p: toys have none", "tools[0]: changed", "tools[1]: unknown"]
    assert wrong("a", "b").message == "a: b"


# plain


@pytest.mark.parametrize("value", ["a", 1, 1.5, True, None, 10**30, ["\ud800", 2**70], {"a": {"b": []}}])
def test_plain_data_is_plain(value: Json) -> None:
    assert plain(value) == value


def test_whatever_has_a_json_form_is_plain() -> None:
    def generate() -> Iterator[int]:
        yield 1

    pair = namedtuple("pair", "x y")
    found = plain({"a": (BodyPart(x=1), {"b": BodyPart(x=2)}), 3: "c", "p": pair(1, Verb.GET), "d": UserDict(x=(1,))})
    assert found == {"a": [{"x": 1}, {"b": {"x": 2}}], "3": "c", "p": [1, "get"], "d": {"x": [1]}}
    for unusable in (object(), generate(), [BodyPart], {object(): 1}):
        with pytest.raises(TypeError):
            plain(unusable)


def test_what_contains_itself_has_no_json_form() -> None:
    loop: list[object] = []
    loop.append(loop)
    with pytest.raises(TypeError, match="contains itself"):
        plain(loop)


def test_plain_data_is_a_copy() -> None:
    given = {"a": [{"b": 1}]}
    found = plain(given)
    found["a"][0]["b"] = 2  # type: ignore[index,call-overload]  # it is as it was
    assert given == {"a": [{"b": 1}]}


def test_a_long_conversation_is_asked_without_being_copied_character_by_character() -> None:
    long = "x" * 1_000_000
    asked = settle(input=[{"role": "user", "content": long}])
    assert asked.body["input"][0]["content"] is long  # type: ignore[index,call-overload]  # it is as it was
    assert len(jsonio.dumps(asked.body)) > 1_000_000


# tables


def rest(**outcomes: Outcome) -> list[Parameter]:
    return [Parameter(name, outcomes.get(name, Outcome.IGNORED)) for name in RESPONSES if name not in ALWAYS]


def test_a_table_tells_of_every_parameter() -> None:
    assert set(TOY) == set(RESPONSES)
    with pytest.raises(ValueError, match="says nothing of temperature, top_p"):
        table(*[each for each in rest() if each.name not in ("temperature", "top_p")])


@pytest.mark.parametrize("name", ALWAYS)
def test_what_changes_the_answer_is_never_ignored(name: str) -> None:
    with pytest.raises(ValueError, match=f"{name} may not be ignored"):
        table(*rest(), Parameter(name, Outcome.IGNORED))


def test_a_table_can_say_otherwise_than_others() -> None:
    assert table(*rest(), Parameter("background", Outcome.MAPPED))["background"].outcome is Outcome.MAPPED
    assert table(*rest(store=Outcome.REFUSED))["store"].outcome is Outcome.REFUSED


def test_a_table_can_not_be_changed() -> None:
    with pytest.raises(TypeError):
        TOY["store"] = Parameter("store", Outcome.IGNORED)  # type: ignore[index]  # that is the point
