"""Groups in which some deployments keep state and others don't: what each is asked, and what it is told."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any, Literal

import pytest
from forgetful import forgetful as forgetful
from forgetful import plain
from routers import AFFINITY, bodies, closed, create, entry, misbehave, served, serving, tick
from talking import SAID

from checks.affinity.remembered import Remembered
from providers.simulated import SimulatedUpstream
from providers.translation.sealed import seal
from router import (
    APIError,
    BadRequestError,
    HomeLostError,
    PreviousResponseNotFoundError,
    ResponseNotFoundError,
    Router,
)

pytestmark = pytest.mark.usefixtures("forgetful")
CHECKS: tuple[tuple[str, ...], ...] = ((), AFFINITY)
REASONING: dict[str, Any] = {"reasoning": {"effort": "low"}, "include": ["reasoning.encrypted_content"]}


@pytest.fixture
async def upstreams() -> AsyncIterator[list[SimulatedUpstream]]:
    async with serving(3) as made:
        yield made


def mixed(upstreams: list[SimulatedUpstream]) -> list[dict[str, Any]]:
    """`u0` keeps state, the others don't; it serves only if they can't."""
    return [entry(upstreams[0], order=1), *plain(upstreams[1:])]


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("checks", CHECKS)
async def test_who_keeps_state_takes_over_and_is_home_from_then_on(
    checks: Any, stream: bool, upstreams: list[SimulatedUpstream]
) -> None:
    router = Router(mixed(upstreams), optional_pre_call_checks=checks, sleep=tick)
    one = await create(router, stream, input="hello", **REASONING)
    two = await create(router, stream, input="more", previous_response_id=one.id)
    assert [served(each) for each in (one, two)] == [served(one)] * 2
    assert served(one) != "u0"
    for upstream in upstreams[1:]:
        misbehave(upstream, "500")
    three = await create(router, stream, input="and more", previous_response_id=two.id)
    assert three.output_text.startswith(SAID.format(3, "u0"))
    told = bodies(upstreams[0])[-1]
    assert "previous_response_id" not in told
    assert [item.get("type") for item in told["input"]] == ["message"] * 5, "no reasoning of another vendor's"
    assert all("id" not in item for item in told["input"])
    for upstream in upstreams[1:]:
        misbehave(upstream)
    if checks:
        four = await create(router, stream, input="on", previous_response_id=three.id)
        assert four.output_text.startswith(SAID.format(4, "u0"))
        assert bodies(upstreams[0])[-1]["previous_response_id"] == three.id
    await closed(router, upstreams)


@pytest.mark.parametrize("checks", CHECKS)
async def test_what_is_not_known_here_is_asked_of_those_who_keep_state(
    checks: Any, upstreams: list[SimulatedUpstream]
) -> None:
    elsewhere = Router([entry(upstreams[0])])
    one = await elsewhere.aresponses("gpt", "hello")
    router = Router(mixed(upstreams), optional_pre_call_checks=checks, sleep=tick)
    two = await router.aresponses("gpt", "more", previous_response_id=one.id)
    assert two.output_text.startswith(SAID.format(2, "u0"))
    assert (await router.aget_responses(two.id)).id == two.id  # type: ignore[union-attr]
    assert (await router.alist_input_items(two.id)).data
    assert (await router.adelete_responses(two.id)).deleted
    for unknown in ("resp_nobody", "resp_" + "0" * 32):
        with pytest.raises(PreviousResponseNotFoundError):
            await router.aresponses("gpt", "more", previous_response_id=unknown)
        with pytest.raises(ResponseNotFoundError):
            await router.aget_responses(unknown)
    assert all(upstream.calls == 0 for upstream in upstreams[1:])
    with pytest.raises(HomeLostError if checks else ResponseNotFoundError):
        await router.aget_responses(one.id, model="u1")
    await elsewhere.aclose()
    await closed(router, upstreams)


@pytest.mark.parametrize("checks", CHECKS)
async def test_what_needs_state_goes_to_who_keeps_it(checks: Any, upstreams: list[SimulatedUpstream]) -> None:
    router = Router(mixed(upstreams), optional_pre_call_checks=checks)
    one = await router.aresponses("gpt", "hello")
    two = await router.aresponses("gpt", "more", previous_response_id=one.id, background=True)
    assert (served(one), served(two)) == ("u1" if served(one) == "u1" else "u2", "u0")
    assert len(bodies(upstreams[0])[-1]["input"]) == 3
    counted = await router.acount_input_tokens("gpt", "more", previous_response_id=one.id)
    assert counted.routing.deployment_id == "u0"
    assert (await router.acompact_responses("gpt", "more")).routing.deployment_id == "u0"
    with pytest.raises(BadRequestError, match="no operation compact"):
        await router.acompact_responses("u1", "more")
    await closed(router, upstreams)


async def test_home_lost_is_replayed_where_no_state_is_kept(upstreams: list[SimulatedUpstream]) -> None:
    router = Router(
        [entry(upstreams[0]), *(each for each in mixed(upstreams)[1:])],
        optional_pre_call_checks=AFFINITY,
        on_home_lost="replay",
        sleep=tick,
    )
    one = await router.aresponses("u0", "hello")
    misbehave(upstreams[0], "500")
    two = await router.aresponses("gpt", "more", previous_response_id=one.id)
    assert two.output_text.startswith(SAID.format(2, served(two)))
    assert two.routing.affinity is not None
    assert (two.routing.affinity.mode, two.routing.affinity.home) == ("replayed", "u0")
    three = await router.aresponses("gpt", "and more", previous_response_id=two.id)
    assert three.output_text.startswith(SAID.format(3, served(two)))
    router.delete_deployment("u0")
    again = await router.aresponses("gpt", "or so", previous_response_id=one.id)
    assert again.output_text.startswith(SAID.format(2, served(again)))
    for upstream in upstreams[1:]:
        misbehave(upstream, "500")
    misbehave(upstreams[0])
    router.add_deployment(entry(upstreams[0]))
    four = await router.aresponses("gpt", "on", previous_response_id=three.id)
    assert four.output_text.startswith(SAID.format(4, "u0")), "and back"
    misbehave(upstreams[0], "500")
    for upstream in upstreams[1:]:
        misbehave(upstream)
    five = await router.aresponses("gpt", "and on", previous_response_id=four.id)
    assert five.output_text.startswith(SAID.format(5, served(five)))
    assert served(five) != "u0"
    await closed(router, upstreams)


@pytest.mark.parametrize("checks", CHECKS)
@pytest.mark.parametrize("where", ["u0", "u1"])
async def test_items_are_found_by_their_ids(where: str, checks: Any, upstreams: list[SimulatedUpstream]) -> None:
    router = Router(mixed(upstreams), optional_pre_call_checks=checks)
    one = await router.aresponses("u1", "hello", affinity_scope="ada")
    reference = {"type": "item_reference", "id": one.output[0].id}
    asked: dict[str, Any] = {"affinity_scope": "ada"}
    two = await router.aresponses(where, [reference, {"role": "user", "content": "more"}], **asked)
    assert served(two) == where
    told = bodies(upstreams[int(where[1])])[-1]["input"]
    assert told[0]["content"][0]["text"] == one.output_text
    assert ("id" in told[0]) == (where == "u1"), "ids of ours are nothing to others"
    near = await router.aresponses(
        where, [reference, {"role": "user", "content": "more"}], previous_response_id=one.id, **asked
    )
    told = bodies(upstreams[int(where[1])])[-1]["input"]
    assert len(told) == 3, "what is told in its place isn't told twice"
    page = await router.alist_input_items(near.id, model=where, **asked)
    assert page.data[0].content[0].text == "more"
    if where == "u1":
        page = await router.alist_input_items(two.id, order="asc", **asked)
        assert page.data[0].content[0].text == one.output_text
    with pytest.raises(ResponseNotFoundError):
        await router.aresponses("u1", [reference, {"role": "user", "content": "more"}], affinity_scope="eve")
    await closed(router, upstreams)


async def test_reasoning_that_another_vendor_signed_is_no_tie(upstreams: list[SimulatedUpstream]) -> None:
    router = Router(mixed(upstreams), optional_pre_call_checks=AFFINITY)
    thought = {"type": "reasoning", "summary": [], "encrypted_content": seal("toys", [{"thought": "deep"}])}
    said = {"role": "user", "content": "hello"}
    for name in ("u0", "u1"):
        answer = await router.aresponses(name, [thought, said], store=False)
        assert served(answer) == name
    assert [item.get("role") for item in bodies(upstreams[0])[-1]["input"]] == ["user"]
    explanation = await router.aexplain("gpt", input=[thought, said])
    assert explanation.ties == ()
    await closed(router, upstreams)


@pytest.mark.parametrize("checks", CHECKS)
async def test_what_cannot_be_told_keeps_the_conversation_where_it_can_be(
    checks: Any, upstreams: list[SimulatedUpstream]
) -> None:
    router = Router(mixed(upstreams), optional_pre_call_checks=checks, num_retries=0)
    file: list[Any] = [{"role": "user", "content": [{"type": "input_file", "file_id": "f1"}]}]
    one = await router.aresponses("u1", file)
    misbehave(upstreams[1], "refuse")
    misbehave(upstreams[2], "refuse")
    with pytest.raises(APIError) as raised:
        await router.aresponses("gpt", "more", previous_response_id=one.id)
    assert raised.value.deployment_id != "u0"
    assert upstreams[0].calls == 0
    with pytest.raises(HomeLostError, match=rf"file_id at {one.id}.input\[0\].content\[0\]"):
        await router.aresponses("u0", "more", previous_response_id=one.id)
    await closed(router, upstreams)


async def test_another_group_can_go_on(upstreams: list[SimulatedUpstream]) -> None:
    router = Router(
        [*plain(upstreams[:1], "small"), *plain(upstreams[1:2], "large"), entry(upstreams[2], "native")],
        fallbacks=[{"small": ["large"]}, {"large": ["native"]}],
        num_retries=0,
    )
    one = await router.aresponses("small", "hello")
    two = await router.aresponses("large", "more", previous_response_id=one.id)
    three = await router.aresponses("native", "more", previous_response_id=two.id)
    assert three.output_text.startswith(SAID.format(3, "u2"))
    misbehave(upstreams[0], "500")
    misbehave(upstreams[1], "500")
    other = await router.aresponses("small", "more", previous_response_id=two.id)
    assert other.output_text.startswith(SAID.format(3, "u2"))
    assert (await router.aget_responses(one.id)).id == one.id  # type: ignore[union-attr]
    for name in ("u0", "u1"):
        router.delete_deployment(name)
    assert (await router.aget_responses(one.id)).id == one.id, "its group is gone"  # type: ignore[union-attr]
    await closed(router, upstreams)


async def test_it_costs_nothing_until_it_is_needed(upstreams: list[SimulatedUpstream]) -> None:
    router = Router([entry(upstreams[0])])
    await router.aresponses("gpt", "hello")

    def remembers() -> bool:
        return any(isinstance(check, Remembered) for check in router._checks)

    assert not remembers()
    router.add_deployment(plain(upstreams[1:2], "new")[0])
    assert remembers()
    one = await router.aresponses("new", "hello")
    router.set_model_list([entry(upstreams[0]), entry(upstreams[0], "more", id="again")])
    assert remembers(), "what was said is still known"
    assert await router.aget_responses(one.id) == one.to_dict()
    two = await router.aresponses("gpt", "more", previous_response_id=one.id)
    assert two.output_text.startswith(SAID.format(2, "u0"))
    await closed(router, upstreams)


@pytest.mark.parametrize("checks", CHECKS)
async def test_explain_shows_who_is_preferred_and_changes_nothing(
    checks: Any, upstreams: list[SimulatedUpstream]
) -> None:
    router = Router(plain(upstreams), optional_pre_call_checks=checks)
    one = await router.aresponses("gpt", "hello")
    told = await router.aexplain("gpt", input="more", previous_response_id=one.id)
    assert told.preferred == (served(one),)
    assert told.home is None
    assert [option.usable for option in told.options] == [True] * 3
    assert f"  {served(one)}: ready, preferred" in str(told)
    told = await router.aexplain("gpt", input="more", previous_response_id="resp_x")
    assert isinstance(told.error, PreviousResponseNotFoundError)
    assert sum(upstream.calls for upstream in upstreams) == 1
    await closed(router, upstreams)


@pytest.mark.parametrize("stream", [False, True])
async def test_signed_ids_are_for_those_who_keep_state(stream: bool, upstreams: list[SimulatedUpstream]) -> None:
    signed: dict[str, Any] = {
        "optional_pre_call_checks": AFFINITY,
        "affinity": "signed-id",
        "affinity_key": "a key for tests only",
        "on_home_lost": "replay",
        "sleep": tick,
    }
    router = Router(mixed(upstreams), **signed)
    scope: dict[str, Any] = {"affinity_scope": "ada"}
    one = await create(router, stream, input="hello", **scope)
    two = await create(router, stream, input="more", previous_response_id=one.id, **scope)
    assert two.output_text.startswith(SAID.format(2, served(one)))
    assert two.previous_response_id == one.id
    assert await router.aget_responses(two.id, **scope) == two.to_dict()
    three = await create(router, stream, "u0", "and more", previous_response_id=two.id, **scope)
    assert three.output_text.startswith(SAID.format(3, "u0"))
    four = await create(router, stream, input="on", previous_response_id=three.id, **scope)
    assert four.output_text.startswith(SAID.format(4, "u0"))
    assert four.previous_response_id == three.id
    misbehave(upstreams[0], "500")
    five = await create(router, stream, input="and on", previous_response_id=four.id, **scope)
    assert five.output_text.startswith(SAID.format(5, served(five)))
    six = await create(router, stream, input="and on", previous_response_id=five.id, **scope)
    assert six.output_text.startswith(SAID.format(6, served(five)))
    assert await router.aget_responses(six.id, **scope) == six.to_dict()
    misbehave(upstreams[0])
    with pytest.raises(ResponseNotFoundError):
        await router.aget_responses(six.id)
    native = await create(router, stream, "u0", "hello", **scope)
    compared = {"comparison_response_id": native.id}
    both = await create(router, stream, input="on", previous_response_id=six.id, prompt_cache_options=compared, **scope)
    assert both.output_text.startswith(SAID.format(7, "u0"))
    router.delete_deployment("u0")
    after = await create(router, stream, input="on", previous_response_id=native.id, **scope)
    assert after.output_text.startswith(SAID.format(2, served(after)))
    await closed(router, upstreams)


@pytest.mark.parametrize("policy", ["fail", "wait"])
async def test_who_held_a_conversation_is_named_when_it_is_gone(
    policy: Literal["fail", "wait"], upstreams: list[SimulatedUpstream]
) -> None:
    router = Router(mixed(upstreams), optional_pre_call_checks=AFFINITY, on_home_lost=policy)
    one = await router.aresponses("u0", "hello")
    router.delete_deployment("u0")
    with pytest.raises(HomeLostError) as raised:
        await router.aresponses("gpt", "more", previous_response_id=one.id)
    assert raised.value.owner == "u0"
    for verb in (router.aget_responses, router.adelete_responses, router.alist_input_items):
        with pytest.raises(HomeLostError):
            await verb(one.id)
    with pytest.raises(PreviousResponseNotFoundError):
        await router.aresponses("gpt", "more", previous_response_id="resp_nobody")
    await closed(router, upstreams)
