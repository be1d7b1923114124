"""A call's tags choose among deployments' tags."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from checks import Tags
from providers.errors import BadRequestError
from providers.types import Call, Deployment


def deployments(*tags: str) -> tuple[Deployment, ...]:
    """Deployments with these tags, each named after its own."""
    return tuple(Deployment(each, "gpt", "openai", "m", tags=frozenset(each.split())) for each in tags)


async def eligible(asked: object, *tags: str, match: str = "any") -> list[str]:
    call = Call("gpt", metadata={"tags": asked})
    return [each.id for each in await Tags(match=match).eligible(call, deployments(*tags))]


@pytest.mark.parametrize(
    ("asked", "tags", "expected"),
    [
        (None, ["paid", "free", ""], ["paid", "free", ""]),
        ([], ["paid", "free", ""], ["paid", "free", ""]),
        ([], ["paid", "default", "default eu"], ["default", "default eu"]),
        (["paid"], ["paid", "paid eu", "free", ""], ["paid", "paid eu"]),
        ("paid", ["paid", "free"], ["paid"]),
        (("paid", "eu"), ["paid", "eu", "free"], ["paid", "eu"]),
        ({"paid"}, ["paid", "free"], ["paid"]),
        (frozenset({"paid"}), ["paid", "free"], ["paid"]),
        (["gold"], ["paid", "default"], ["default"]),
        (["!paid"], ["paid", "free", ""], ["free", ""]),
        (["!paid"], ["paid", "default paid", "default", "free"], ["default"]),
        (["!paid"], ["paid"], []),
        (["eu", "!paid"], ["paid eu", "free eu", "free"], ["free eu"]),
        (["eu", "!paid"], ["paid eu", "default"], ["default"]),
    ],
)
async def test_who_may_serve(asked: object, tags: list[str], expected: list[str]) -> None:
    assert await eligible(asked, *tags) == expected


@pytest.mark.parametrize(
    ("asked", "tags", "expected"),
    [
        (["paid", "eu"], ["paid", "eu", "paid eu us"], ["paid eu us"]),
        (["paid", "eu"], ["paid", "default"], ["default"]),
        (["paid", "!eu"], ["paid eu", "paid"], ["paid"]),
    ],
)
async def test_all_tags_must_match_if_told_so(asked: object, tags: list[str], expected: list[str]) -> None:
    assert await eligible(asked, *tags, match="all") == expected


async def test_a_group_without_tags_costs_nothing() -> None:
    among = deployments("", "")
    assert await Tags().eligible(Call("gpt"), among) is among


@pytest.mark.parametrize(
    ("asked", "tags", "said"),
    [
        (
            ["gold", "blue"],
            ["paid eu", "free"],
            r"'gpt' has the tags \['blue', 'gold'\]; known there: \['eu', 'free', 'paid'\]",
        ),
        (["gold"], [""], r"known there: none$"),
        (["paid", "!eu"], ["paid eu"], r"has the tags \['paid'\]"),
    ],
)
async def test_tags_that_nobody_has_are_refused(asked: object, tags: list[str], said: str) -> None:
    with pytest.raises(BadRequestError, match=said) as caught:
        await eligible(asked, *tags)
    assert (caught.value.param, caught.value.code) == ("litellm_metadata.tags", "no_matching_tags")


@pytest.mark.parametrize("asked", [7, {"paid": True}, ["paid", 7], True, b"paid"])
async def test_what_is_no_list_of_texts_is_refused_not_ignored(asked: object) -> None:
    with pytest.raises(BadRequestError, match=r"^litellm_metadata\.tags must be a list of texts") as caught:
        await eligible(asked, "paid", "free")
    assert caught.value.param == "litellm_metadata.tags"


@pytest.mark.parametrize("match", ["some", "", None])
def test_there_are_two_ways_to_match(match: str) -> None:
    with pytest.raises(ValueError, match="match must be 'any' or 'all'"):
        Tags(match=match)


NAMES = st.lists(st.sampled_from(["a", "b", "c", "default", "!a", "!b"]), max_size=3)
HELD = st.lists(st.sampled_from(["", "a", "b", "a b", "default", "default a"]), min_size=1, max_size=4, unique=True)


@given(NAMES, HELD, st.sampled_from(["any", "all"]))
async def test_an_excluded_tag_never_serves_and_an_asked_one_goes_first(
    asked: list[str], held: list[str], match: str
) -> None:
    banned = {tag[1:] for tag in asked if tag.startswith("!")}
    wanted = {tag for tag in asked if not tag.startswith("!")}
    try:
        found = await eligible(asked, *held, match=match)
    except BadRequestError:
        assert wanted
        return
    test = wanted.issubset if match == "all" else lambda tags: bool(wanted & set(tags))
    matching = [each for each in held if wanted and test(each.split()) and not banned & set(each.split())]
    assert all(not banned & set(each.split()) for each in found)
    assert found == matching or not matching
