"""The errors: their family as the module draws it, and that they survive any journey."""

from __future__ import annotations

import copy
import inspect
import pickle
import re
from collections.abc import Iterator

import pytest

from providers import errors
from providers.errors import APIError, Attempt, CallerError, ConfigurationError, NotFoundError, RouterError

_ENTRY = re.compile(r"^(?P<branch>[│├└─ ]*)(?P<name>[A-Z]\w+)(?: \((?P<also>\w+)\))?(?P<text>.*)$")
CLASSES = {
    name: value
    for name, value in vars(errors).items()
    if inspect.isclass(value) and issubclass(value, RouterError) and value.__name__ == name
}
API_ERRORS = [cls for cls in CLASSES.values() if issubclass(cls, APIError)]
every_error = pytest.mark.parametrize("cls", API_ERRORS, ids=lambda cls: cls.__name__)


def _drawn() -> Iterator[tuple[str, str | None, str | None, str]]:
    """Name, parent, other parent and text of every entry of the tree in the module's docstring."""
    above: list[str] = []
    assert errors.__doc__ is not None
    tree = errors.__doc__.split("\n\n", 1)[1]
    for line in tree.strip().splitlines():
        entry = _ENTRY.match(line)
        assert entry, f"not an entry of the tree: {line!r}"
        depth = len(entry["branch"]) // 4
        also = entry["also"]
        mixed = re.search(r"\(also an? (\w+)\)", entry["text"])
        yield entry["name"], above[depth - 1] if depth else None, also or (mixed[1] if mixed else None), entry["text"]
        above[depth:] = [entry["name"]]


def test_the_family_is_as_drawn() -> None:
    drawn = {name: (parent, also) for name, parent, also, _ in _drawn()}
    assert drawn.keys() == CLASSES.keys()
    for name, (parent, also) in drawn.items():
        bases = {base.__name__ for base in CLASSES[name].__bases__}
        expected = {each for each in (parent, also) if each} or {"Exception"}
        assert bases == expected, name


def test_the_status_is_as_drawn() -> None:
    for name, _, _, text in _drawn():
        status = re.match(r"\s+(\d{3})\b", text)
        cls = CLASSES[name]
        if status and issubclass(cls, APIError):
            assert cls.status == int(status[1]), name


def test_a_missing_id_and_a_missing_model_are_the_callers_fault_and_not_found() -> None:
    for cls in (errors.ResponseNotFoundError, errors.UnknownModelError):
        assert issubclass(cls, CallerError)
        assert issubclass(cls, NotFoundError)
        assert cls("x").status_code == 404
    assert not issubclass(errors.ModelNotFoundError, CallerError)


def test_names_that_users_of_others_know() -> None:
    assert errors.Timeout is errors.APITimeoutError
    assert issubclass(ConfigurationError, ValueError)


def full(cls: type[APIError]) -> APIError:
    return cls(
        "no",
        status_code=418,
        code="teapot",
        param="input",
        type="odd",
        request_id="req_1",
        retry_after=1.5,
        body={"error": {"code": "teapot"}},
        deployment_id="east",
        provider="openai",
        attempts=(Attempt("west", "gpt", 0.0, 0.5, errors.APITimeoutError("slow")), Attempt("east", "gpt", 0.5, 0.1)),
        received={"id": "resp_1", "output": []},
    )


def fields(error: APIError) -> dict[str, object]:
    return {name: value for name, value in vars(error).items() if name != "attempts"}


@every_error
def test_every_error_can_be_pickled_and_copied_whole(cls: type[APIError]) -> None:
    error = full(cls)
    for other in (pickle.loads(pickle.dumps(error)), copy.deepcopy(error), copy.copy(error)):
        assert type(other) is cls
        assert other is not error
        assert str(other) == str(error)
        assert other.args == ("no",)
        assert fields(other) == fields(error)
        first, second = other.attempts
        assert (type(first.error), str(first.error), first.deployment_id) == (errors.APITimeoutError, "slow", "west")
        assert second == error.attempts[1]


@every_error
def test_an_error_among_its_own_attempts_survives_too(cls: type[APIError]) -> None:
    error = cls("no")
    error.attempts = (Attempt("east", "gpt", 0.0, 0.5, error),)
    for other in (pickle.loads(pickle.dumps(error)), copy.deepcopy(error)):
        assert other.attempts[0].error is other


@every_error
def test_what_is_not_said_is_none_and_the_status_the_class_s(cls: type[APIError]) -> None:
    error = cls("no")
    assert error.status_code == cls.status
    assert {name for name, value in vars(error).items() if value is not None} == {"message", "status_code", "attempts"}
    assert error.attempts == ()


def test_a_subclass_of_a_user_survives() -> None:
    error = pickle.loads(pickle.dumps(OutOfTea("no tea", code="tea")))
    assert (type(error), error.code, error.status_code) == (OutOfTea, "tea", 418)


class OutOfTea(errors.DeploymentError):
    status = 418


@pytest.mark.parametrize(
    ("deployment", "attempts", "expected"),
    [
        (None, 0, "no"),
        (None, 1, "no"),
        ("east", 1, "no [deployment east]"),
        ("east", 3, "no [deployment east] (after 3 attempts)"),
    ],
)
def test_the_text_says_where_and_how_often(deployment: str | None, attempts: int, expected: str) -> None:
    tried = (Attempt("east", "gpt", 0.0, 0.1),) * attempts
    error = APIError("no", deployment_id=deployment, attempts=tried)
    assert str(error) == expected
    assert error.message == "no"


def test_plain_errors_can_be_pickled() -> None:
    for cls in (RouterError, ConfigurationError):
        error = pickle.loads(pickle.dumps(cls("model_list[0]: no model")))
        assert (type(error), str(error)) == (cls, "model_list[0]: no model")
