"""Who a call is for: what says it, in which order, and what stands in for ids that are personal or no ids."""

from __future__ import annotations

import hashlib
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from checks.end_user import LONGEST, EndUsers, digest, is_personal
from providers.types import Call

PASSED = {"headers": {"X-LiteLLM-End-User-Id": "passed-end-user", "X-USER": "passed-x-user"}}
SAID: list[tuple[dict[str, Any], str]] = [
    ({"unsent": {"X-LiteLLM-Customer-ID": "customer"}}, "customer"),
    ({"metadata": PASSED}, "passed-end-user"),
    ({"headers": {"x-user": "x-user"}}, "x-user"),
    ({"headers": {"x-other": "x-other"}}, "x-other"),
    ({"extra_body": {"user": "extra"}}, "extra"),
    ({"body": {"user": "user"}}, "user"),
    ({"metadata": {"user": "litellm"}}, "litellm"),
    ({"metadata": {"user_id": "litellm-id"}}, "litellm-id"),
    ({"extra_body": {"metadata": {"user_id": "extra-metadata"}}}, "extra-metadata"),
    ({"body": {"metadata": {"user_id": "metadata"}}}, "metadata"),
    ({"extra_body": {"safety_identifier": "extra-safety"}}, "extra-safety"),
    ({"body": {"safety_identifier": "safety"}}, "safety"),
]
"""What a call may say, and whom it names; each wins over those after it."""


def merged(*parts: dict[str, Any]) -> Call:
    """A call that says all of `parts`."""
    fields: dict[str, dict[str, Any]] = {}
    for part in parts:
        for field, values in part.items():
            fields[field] = {**values, **fields.get(field, {})}
    return Call("gpt", **fields)  # type: ignore[arg-type]  # the names are Call's own


@pytest.mark.parametrize("index", range(len(SAID)))
def test_each_source_wins_over_those_after_it(index: int) -> None:
    users = EndUsers(["X-User", "x-other"])
    fields, expected = SAID[index]
    assert users(merged(fields)) == expected
    assert users(merged(*(fields for fields, _ in SAID[index:]))) == expected


def test_a_call_that_does_not_say_is_for_nobody() -> None:
    assert EndUsers()(Call("gpt", body={"input": "hi"})) is None
    assert EndUsers()(Call("gpt", headers={"x-user": "a"})) is None


@pytest.mark.parametrize("empty", ["", "  ", None, True, False, 1.5, ["a"], {"id": "a"}])
def test_what_is_no_id_is_passed_over(empty: object) -> None:
    call = Call("gpt", body={"user": empty, "metadata": "text", "safety_identifier": "b"}, metadata={"headers": "text"})
    assert EndUsers()(call) == "b"


def test_a_number_is_an_id_and_blanks_around_it_are_none_of_it() -> None:
    assert EndUsers()(Call("gpt", body={"user": 17})) == "17"
    assert EndUsers()(Call("gpt", body={"user": " ann "})) == "ann"


def test_what_the_router_is_told_to_keep_to_itself_is_known_by_lower_case_names() -> None:
    assert EndUsers(["X-User", "x-user"]).headers == ("x-litellm-customer-id", "x-litellm-end-user-id", "x-user")


@given(st.text(max_size=2 * LONGEST))
def test_whatever_is_given_is_bounded_and_can_be_printed(given: str) -> None:
    found = EndUsers()(Call("gpt", body={"user": given}))
    if found is None:
        assert not given.strip()
        return
    assert 0 < len(found) <= LONGEST
    assert found.isprintable()
    whole = given.strip()
    assert found == (whole if len(whole) <= LONGEST and whole.isprintable() else digest(whole))


PERSONAL = [
    *("ann@example.com", "Ann.B+c@mail.example.co.uk", "user:ann@example.com|org", "<ann@example.com>"),
    *("+4915112345678", "4915112345678", "+1 (555) 123-4567", "555-123-4567", "(0551) 123456", "030/1234567"),
]
PLAIN = [
    *("ann", "user_1234567", "1234567", "123456789", "12345678901234567890", "a@b", "@ann", "ann@", "1-2-3", "+"),
    *("0b1c6f0e-5f0b-4f0e-9b0e-5f0b4f0e9b0e", "acme/17", "sha256:0123456789abcdef01234567"),
]


@pytest.mark.parametrize("name", PERSONAL)
def test_what_is_personal_is_known_by_its_digest_on_request(name: str) -> None:
    call = Call("gpt", body={"user": name})
    assert is_personal(name)
    assert EndUsers()(call) == name
    found = EndUsers(hashed=True)(call)
    assert found == f"sha256:{hashlib.sha256(name.lower().encode()).hexdigest()[:24]}"
    assert found == EndUsers(hashed=True)(Call("gpt", body={"user": name.upper()}))
    assert EndUsers(hashed=True)(Call("gpt", body={"user": found})) == found


@pytest.mark.parametrize("name", PLAIN)
def test_other_ids_stay_what_they_are(name: str) -> None:
    assert not is_personal(name)
    assert EndUsers(hashed=True)(Call("gpt", body={"user": name})) == name


def test_an_id_of_lone_surrogates_has_a_digest() -> None:
    assert digest("\ud800").startswith("sha256:")
