"""What a call names that says no group: it is found wherever it is, and what nobody has is a 404, as at OpenAI."""

from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any, TypeAlias

import pytest
from redis_servers import free_port
from routers import AFFINITY, closed, entry, misbehave, served, serving, tick
from talking import calls

from providers.simulated import SimulatedUpstream
from providers.views import Routed
from router import (
    APITimeoutError,
    BadRequestError,
    HomeLostError,
    NoDeploymentError,
    ResponseNotFoundError,
    Router,
    ServiceUnavailableError,
)

Act: TypeAlias = Callable[..., Awaitable[Routed]]
KINDS = ("response", "conversation")


@pytest.fixture
async def upstreams() -> AsyncIterator[dict[str, SimulatedUpstream]]:
    async with serving(2) as made:
        yield {upstream.name: upstream for upstream in made}


def over_two_groups(upstreams: dict[str, SimulatedUpstream], **more: Any) -> Router:
    settings: dict[str, Any] = {"optional_pre_call_checks": AFFINITY, "sleep": tick, **more}
    return Router([entry(upstreams["u0"], "one"), entry(upstreams["u1"], "two")], **settings)


async def make(kind: str, router: Router, model: str, **more: Any) -> str:
    """The id of a response, or of a conversation, made in a group."""
    made = await (
        router.aresponses(model, "hello", **more)
        if kind == "response"
        else router.acreate_conversation(model=model, **more)
    )
    return str(made.to_dict()["id"])


def reading(kind: str, router: Router) -> Act:
    """Reads what `make` makes."""
    act: Any = router.aget_responses if kind == "response" else router.aget_conversation
    return act  # type: ignore[no-any-return]  # `aget_responses` may stream, which nobody asks for here


def deleting(kind: str, router: Router) -> Act:
    return router.adelete_responses if kind == "response" else router.adelete_conversation


@pytest.mark.parametrize("kind", KINDS)
async def test_what_nobody_remembers_is_found_in_any_group(kind: str, upstreams: dict[str, SimulatedUpstream]) -> None:
    old, new = over_two_groups(upstreams), over_two_groups(upstreams)
    name = await make(kind, old, "two")
    for _ in range(2):
        answer = await reading(kind, new)(name)
        assert (answer.routing.deployment_id, answer.routing.model_group) == ("u1", "two")
    assert new.affinity_stats().discovered == 1, "and is known from then on"
    assert [upstream.calls for upstream in upstreams.values()] == [1, 1 + 1 + 2]
    await old.aclose()
    await closed(new, upstreams.values())


@pytest.mark.parametrize("kind", KINDS)
async def test_what_was_deleted_is_a_404(kind: str, upstreams: dict[str, SimulatedUpstream]) -> None:
    router = over_two_groups(upstreams)
    name = await make(kind, router, "two")
    await deleting(kind, router)(name)
    for act in (deleting(kind, router), reading(kind, router)):
        with pytest.raises(ResponseNotFoundError, match=rf"^{kind.title()} with id '{name}' not found\.$") as gone:
            await act(name)
        assert (gone.value.status_code, gone.value.type, gone.value.code) == (404, "invalid_request_error", None)
    before = calls(upstreams)
    with pytest.raises(ResponseNotFoundError):
        await reading(kind, router)(name)
    assert calls(upstreams) == before, "nobody is asked again so soon"
    await closed(router, upstreams.values())


@pytest.mark.parametrize("kind", KINDS)
async def test_while_one_that_may_have_it_gives_no_answer_nobody_says_that_it_is_gone(
    kind: str, upstreams: dict[str, SimulatedUpstream]
) -> None:
    old, new = over_two_groups(upstreams), over_two_groups(upstreams)
    name = await make(kind, old, "two")
    misbehave(upstreams["u1"], "503")
    for _ in range(2):
        with pytest.raises(ServiceUnavailableError, match=f"^{kind} '{name}': it can't be told now where it is") as now:
            await deleting(kind, new)(name)
        assert (now.value.status_code, now.value.code, now.value.retry_after) == (503, "home_unknown", 5.0)
    misbehave(upstreams["u1"])
    assert (await deleting(kind, new)(name, model="two")).to_dict()["deleted"] is True
    await old.aclose()
    await closed(new, upstreams.values())


@pytest.mark.parametrize("kind", KINDS)
async def test_where_nobody_searches_it_is_said_how_one_group_is_asked(
    kind: str, upstreams: dict[str, SimulatedUpstream]
) -> None:
    router = over_two_groups(upstreams, discover=False)
    before = calls(upstreams)
    with pytest.raises(ResponseNotFoundError, match=r"'x_0' not found. It is not .* model= \(one of one, two\) asks"):
        await reading(kind, router)("x_0")
    unbound = over_two_groups(upstreams, optional_pre_call_checks=[])
    with pytest.raises(BadRequestError, match=r"without responses_api_deployment_check .* 'x_0'; pass model= \(one of"):
        await reading(kind, unbound)("x_0")
    assert calls(upstreams) == before
    await unbound.aclose()
    await closed(router, upstreams.values())


async def test_a_search_ends_with_the_calls_deadline(upstreams: dict[str, SimulatedUpstream]) -> None:
    router, strict = over_two_groups(upstreams), over_two_groups(upstreams, deadline=0.03)
    for each in upstreams.values():
        misbehave(each, "hang")
    for act in (router.aget_responses("resp_0", deadline=0.02), strict.aget_responses("resp_0")):
        with pytest.raises(APITimeoutError, match=r"deadline of 0.0\d s passed while 'resp_0' was looked for"):
            await act
    await strict.aclose()
    await closed(router, upstreams.values())


async def test_groups_that_keep_their_state_in_the_same_places_are_one_to_ask(
    upstreams: dict[str, SimulatedUpstream],
) -> None:
    """As where two models are served by one account."""
    model_list = [entry(each, name, id=f"{each.name}-{name}") for each in upstreams.values() for name in ("one", "two")]
    router = Router(model_list, optional_pre_call_checks=AFFINITY, sleep=tick)
    made = await router.acreate_conversation()
    home = made.routing.deployment_id[:2]
    answer = await router.aresponses("two", "hello", conversation=made.id)
    assert served(answer) == f"{home}-two"
    with pytest.raises(ResponseNotFoundError):
        await router.aget_responses("resp_0")
    unbound = Router(model_list, sleep=tick)
    assert await unbound.aget_responses(answer.id) == answer
    assert (await unbound.aget_conversation(made.id)).routing.deployment_id[:2] == home
    await unbound.aclose()
    await closed(router, upstreams.values())


@pytest.mark.parametrize("kind", KINDS)
async def test_a_group_that_is_gone_with_the_home_is_no_answer(
    kind: str, upstreams: dict[str, SimulatedUpstream]
) -> None:
    router = over_two_groups(upstreams)
    name = await make(kind, router, "two")
    router.delete_deployment("u1")
    with pytest.raises(HomeLostError, match=f"{kind} '{name}' is held by deployment 'u1': this Router no longer has"):
        await reading(kind, router)(name)
    router.add_deployment(entry(upstreams["u1"], "three", id="again"))
    answer = await reading(kind, router)(name)
    assert answer.routing.deployment_id == "again", "it keeps its state where the one that is gone did"
    await closed(router, upstreams.values())


async def test_without_deployments_that_is_what_is_said() -> None:
    async with Router([], optional_pre_call_checks=AFFINITY) as router:
        for act in (router.aget_responses("resp_0"), router.aget_conversation("conv_0")):
            with pytest.raises(NoDeploymentError, match=r"^there are no deployments$"):
                await act


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("scope", [None, "mine"])
async def test_without_its_redis_no_router_says_that_something_is_gone(
    kind: str, scope: str | None, upstreams: dict[str, SimulatedUpstream]
) -> None:
    """Another one has made it, and only Redis could tell whose it is."""
    more: dict[str, Any] = {} if scope is None else {"affinity_scope": scope}
    old = over_two_groups(upstreams)
    name = await make(kind, old, "two", **more)
    router = over_two_groups(upstreams, redis_url=f"redis://127.0.0.1:{free_port()}")
    own = await make(kind, router, "two", **more)
    before = calls(upstreams)
    acts = [reading(kind, router)(name, **more)]
    if scope is not None:
        acts += [reading(kind, router)(name, model="two", **more), reading(kind, router)(own, affinity_scope="yours")]
        following: dict[str, Any] = {"previous_response_id" if kind == "response" else "conversation": name}
        acts.append(router.aresponses("two", "more", **following, **more))
    for act in acts:
        with pytest.raises(ServiceUnavailableError, match="it can't be told now where it is; try again"):
            await act
    assert calls(upstreams) == before
    assert (await reading(kind, router)(own, **more)).routing.deployment_id == "u1", "what it made itself, it knows"
    await old.aclose()
    await closed(router, upstreams.values())


@pytest.mark.parametrize("kind", KINDS)
async def test_too_many_places_are_not_searched(kind: str) -> None:
    model_list = [entry(f"http://127.0.0.1:9/{number}", f"g{number}", id=f"d{number}") for number in range(17)]
    async with Router(model_list, optional_pre_call_checks=AFFINITY) as router:
        with pytest.raises(ResponseNotFoundError, match=r"model= \(one of g0, g1, .*, g7, …\) asks one group\.$"):
            await reading(kind, router)("x_0")
