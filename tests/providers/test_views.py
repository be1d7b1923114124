"""Views: nothing of the JSON is lost or changed, and reading it is as in the OpenAI SDK."""

from __future__ import annotations

import copy
import inspect
import json
import pickle
from typing import Any

import pytest
from hypothesis import given
from jsons import OBJECTS, VALUES

from providers import views
from providers.views import (
    CompactedResponse,
    Content,
    Deleted,
    Event,
    IncompleteDetails,
    InputTokens,
    ItemPage,
    OutputItem,
    Response,
    ResponseError,
    Routed,
    Routing,
    Summary,
    Usage,
    View,
)

VIEWS = [value for value in vars(views).values() if inspect.isclass(value) and issubclass(value, View)]
every_kind = pytest.mark.parametrize("cls", [View, Response, Event], ids=lambda cls: cls.__name__)
ROUTING = Routing("east", "gpt", "openai", (), 0, 1.0, None, 0.5)
OWN = set(dir(Response({})))


def unwrapped(value: Any) -> Any:
    """Plain JSON again, read through the views, key by key."""
    if isinstance(value, View):
        return {key: unwrapped(value[key]) for key in value}
    return [unwrapped(item) for item in value] if isinstance(value, list) else value


@every_kind
@given(json=OBJECTS)
def test_nothing_is_lost_or_changed(cls: type[View], json: dict[str, Any]) -> None:
    before = copy.deepcopy(json)
    view = cls(json)
    assert unwrapped(view) == before
    for key in json:
        if key.isidentifier() and key not in OWN:
            assert unwrapped(getattr(view, key)) == before[key]
    repr(view)
    assert view.to_dict() is json
    assert view.model_dump() is json
    assert json == before


@given(OBJECTS)
def test_the_text_is_the_json(json_object: dict[str, Any]) -> None:
    view = View(json_object)
    assert json.loads(view.to_json()) == json.loads(view.model_dump_json()) == json_object


@every_kind
@given(json=OBJECTS)
def test_views_survive_any_journey(cls: type[View], json: dict[str, Any]) -> None:
    view = cls(json)
    for other in (pickle.loads(pickle.dumps(view)), copy.deepcopy(view), copy.copy(view)):
        assert type(other) is cls
        assert other == view
        assert other is not view
    assert copy.deepcopy(view).to_dict() is not json


@given(OBJECTS, OBJECTS)
def test_equal_by_content(one: dict[str, Any], other: dict[str, Any]) -> None:
    assert (View(one) == View(other)) == (one == other)
    assert (View(one) == other) == (one == other)
    assert Response(one) == View(one)
    assert View(one) != list(one)
    with pytest.raises(TypeError, match="unhashable"):
        hash(View(one))


@given(OBJECTS)
def test_it_reads_like_a_mapping(json: dict[str, Any]) -> None:
    view = View(json)
    assert list(view) == list(view.keys()) == list(json)
    assert len(view) == len(json)
    assert {key: unwrapped(value) for key, value in dict(view).items()} == json
    assert {key: unwrapped(value) for key, value in {**view}.items()} == json
    assert all(key in view for key in json)
    assert "no such key" not in view
    assert view.get("no such key") is None
    assert view.get("no such key", 3) == 3
    with pytest.raises(KeyError, match="no such key"):
        view["no such key"]


def test_children_are_views_of_their_kind() -> None:
    response = Response(
        {
            "output": [
                {
                    "type": "message",
                    "content": [{"type": "output_text", "text": "hi", "annotations": [{"url": "u"}]}],
                },
                {"type": "reasoning", "summary": [{"text": "why"}]},
            ],
            "usage": {"input_tokens": 3, "input_tokens_details": {"cached_tokens": 1}},
            "error": {"code": "server_error"},
            "incomplete_details": {"reason": "max_output_tokens"},
            "strange": [[{"deep": 1}], 2],
        }
    )
    message, reasoning = response.output
    assert (type(message), type(message.content[0]), type(reasoning.summary[0])) == (OutputItem, Content, Summary)
    assert message.content[0].annotations[0].url == "u"
    assert response.usage is not None
    assert type(response.usage) is Usage
    assert response.usage.input_tokens_details.cached_tokens == 1
    assert type(response.error) is ResponseError
    assert type(response.incomplete_details) is IncompleteDetails
    assert response.strange[0][0].deep == response["strange"][0][0].deep == 1
    assert response.strange[1] == 2
    assert type(response["output"][0]) is OutputItem
    assert type(response.get("usage")) is Usage
    event = Event({"response": {"id": "r"}, "item": {"id": "i"}, "part": {"text": "p"}})
    assert (type(event.response), type(event.item), type(event.part)) == (Response, OutputItem, Content)


@pytest.mark.parametrize("cls", [Response, CompactedResponse, ItemPage, Deleted, InputTokens, Event, OutputItem])
def test_known_fields_that_did_not_arrive_are_none(cls: type[View]) -> None:
    own = [name for name in cls.__annotations__ if not name.startswith("_")]
    assert own
    for name in own:
        assert getattr(cls({}), name) is None
        assert getattr(cls({name: None}), name) is None


def test_a_subclass_knows_what_its_bases_know() -> None:
    class Better(Response):
        __slots__ = ()
        score: float | None

    assert Better({}).score is None
    assert Better({}).status is None


def test_unknown_fields_that_did_not_arrive_are_an_error_with_a_hint() -> None:
    with pytest.raises(AttributeError, match=r"^Response has no field 'ouput'; did you mean 'output'\?$"):
        Response({}).ouput  # noqa: B018 - reading it is the test
    with pytest.raises(AttributeError, match=r"^View has no field 'colour'; did you mean 'color'\?$"):
        View({"color": 1}).colour  # noqa: B018 - as above
    with pytest.raises(AttributeError, match=r"^Response has no field 'zzzzzz'$"):
        Response({}).zzzzzz  # noqa: B018 - as above
    assert not hasattr(View({}), "id")


def test_a_view_can_not_be_written() -> None:
    response = Response({"id": "a"})
    with pytest.raises(AttributeError, match="change a copy: to_dict"):
        response.id = "b"
    assert response.to_dict() == {"id": "a"}


def test_fields_named_like_methods_are_read_by_key() -> None:
    json: dict[str, Any] = {
        "keys": 1,
        "get": 2,
        "to_dict": 3,
        "routing": 4,
        "output_text": "own",
        "_json": 5,
        "model_dump": 6,
    }
    response = Response(dict(json)).served_by(ROUTING)
    assert response.to_dict() == json
    assert {key: response[key] for key in response.keys()} == json  # noqa: SIM118 - `keys` is what is tested
    assert response.get("get") == 2
    assert response.routing is ROUTING
    assert response.output_text == ""


def test_long_values_are_cut_in_the_text() -> None:
    assert repr(Content({"type": "t", "n": None})) == "Content(type='t', n=None)"
    long = repr(Content({"text": "x" * 10_000}))
    assert len(long) < 520
    assert long.endswith("…)")


@given(VALUES)
def test_output_text_never_fails(output: Any) -> None:
    values: list[Any] = [output, [output], [{"type": "message", "content": output}]]
    for value in values:
        assert isinstance(Response({"output": value}).output_text, str)


@pytest.mark.parametrize(
    ("output", "expected"),
    [
        (None, ""),
        ([], ""),
        ("text", ""),
        ([None, "x", 3, {"type": "reasoning", "content": [{"type": "output_text", "text": "no"}]}], ""),
        ([{"type": "message"}, {"type": "message", "content": None}, {"type": "message", "content": "hi"}], ""),
        ([{"type": "message", "content": [None, "x", {"type": "output_text"}]}], ""),
        ([{"type": "message", "content": [{"type": "output_text", "text": None}]}], ""),
        (
            [
                {
                    "type": "message",
                    "content": [{"type": "output_text", "text": 7}, {"type": "output_text", "text": ["x"]}],
                }
            ],
            "",
        ),
        ([{"type": "message", "content": [{"type": "refusal", "refusal": "no", "text": "no"}]}], ""),
        (
            [
                {"type": "message", "content": [{"type": "output_text", "text": t} for t in "ab"]},
                {"type": "function_call", "arguments": "{}"},
                {"type": "message", "content": [{"type": "output_text", "text": "c"}]},
            ],
            "abc",
        ),
    ],
)
def test_output_text(output: Any, expected: str) -> None:
    assert Response({"output": output}).output_text == expected
    assert Response({}).output_text == ""


def test_who_served_it() -> None:
    response = Response({"id": "a"})
    assert response.served_by(ROUTING) is response
    assert response.routing is ROUTING
    assert response.to_dict() == {"id": "a"}
    assert pickle.loads(pickle.dumps(response)).routing == ROUTING
    assert Response({}, ROUTING).routing is ROUTING


@pytest.mark.parametrize("cls", [cls for cls in VIEWS if issubclass(cls, Routed)], ids=lambda cls: cls.__name__)
def test_a_view_that_no_router_returned_has_no_routing(cls: type[Routed]) -> None:
    with pytest.raises(AttributeError, match="not returned by a Router"):
        cls({}).routing  # noqa: B018 - reading it is the test
    with pytest.raises(AttributeError, match="has no field 'rooting'"):
        cls({}).rooting  # noqa: B018 - as above
    assert not hasattr(cls({}), "routing")
