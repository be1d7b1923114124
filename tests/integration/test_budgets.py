"""Budgets, as whoever has a Router meets them. Every simulated answer costs eight dollars."""

import asyncio
import gc
import logging
from functools import partial
from typing import Any

import pytest
from fakes import Clock
from prices import Broken, PerToken
from routers import closed, create, entry, group, misbehave, quiet, read, read_until_error, served, serving

from providers.simulated import Behaviour, SimulatedUpstream
from router import (
    APIError,
    BadRequestError,
    BudgetExceededError,
    InsufficientQuotaError,
    InternalServerError,
    Router,
)

eight = partial(serving, behaviour=Behaviour(tokens=16))
DAY = {"budget_duration": "1d"}
USER = {"end_user": "*", "max_budget": 20, **DAY}


def priced(model_list: Any, *budgets: Any, **settings: Any) -> Router:
    """A Router whose calls may cost eight dollars each."""
    settings.setdefault("price_source", PerToken())
    params = {"default_litellm_params": {"max_output_tokens": 16}, **settings}
    return Router(model_list, budgets=budgets or None, **params)


def money(router: Router) -> dict[str, tuple[float, float]]:
    """Spent and reserved, by whose budget it is."""
    return {f"{each.scope} {each.name}": (each.spent, each.reserved) for each in router.budgets()}


@pytest.mark.parametrize("stream", [False, True])
async def test_calls_are_served_until_the_budget_is_spent(stream: bool) -> None:
    async with eight(1) as upstreams:
        router = priced(group(upstreams), {"group": "gpt", "max_budget": 20, **DAY})
        for _ in range(2):
            await create(router, stream)
        with pytest.raises(BudgetExceededError) as refused:
            await create(router, stream)
        error = refused.value
        assert isinstance(error, InsufficientQuotaError)
        assert (error.status_code, error.code, error.attempts) == (429, "budget_exceeded", ())
        assert error.retry_after is not None
        assert 0 < error.retry_after <= 86_400
        assert "group 'gpt'" in str(error)
        assert "$16 of $20 per 1d spent, and this call may cost $8; it resets in" in str(error)
        assert upstreams[0].calls == 2
        assert money(router) == {"group gpt": (16, 0)}
        await closed(router, upstreams)


async def test_a_new_window_is_a_new_budget() -> None:
    clock = Clock()
    async with eight(1) as upstreams:
        router = priced(group(upstreams), {"group": "gpt", "max_budget": 8, "budget_duration": "1000d"}, clock=clock)
        await create(router, False)
        with pytest.raises(BudgetExceededError) as refused:
            await create(router, False)
        assert refused.value.retry_after is not None
        clock.advance(refused.value.retry_after)
        await create(router, False)
        assert money(router) == {"group gpt": (8, 0)}
        await closed(router, upstreams)


async def test_a_burst_can_not_overshoot() -> None:
    async with eight(2) as upstreams:
        router = priced(group(upstreams), {"group": "gpt", "max_budget": 80, **DAY})
        ends = await asyncio.gather(*(create(router, n % 2 == 0) for n in range(30)), return_exceptions=True)
        assert sum(not isinstance(end, BaseException) for end in ends) == 10
        assert all(isinstance(end, BudgetExceededError) for end in ends if isinstance(end, BaseException))
        assert money(router) == {"group gpt": (80, 0)}
        await closed(router, upstreams)


async def test_a_deployment_without_budget_is_passed_over_then_all_are_refused() -> None:
    async with eight(2) as upstreams:
        models = [entry(upstreams[0], max_budget=16, **DAY), entry(upstreams[1], max_budget=24, budget_duration="12h")]
        router = priced(models)
        homes = [served(await create(router, False)) for _ in range(5)]
        assert sorted(homes) == ["u0", "u0", "u1", "u1", "u1"]
        with pytest.raises(BudgetExceededError, match="deployment 'u1'"):  # the one that resets first
            await create(router, False)
        assert money(router) == {"deployment u0": (16, 0), "deployment u1": (24, 0)}
        await closed(router, upstreams)


async def test_a_burst_over_deployments_fills_each_to_its_limit() -> None:
    async with eight(3) as upstreams:
        router = priced(group(upstreams, max_budget=24, **DAY))
        ends = await asyncio.gather(*(create(router, False) for _ in range(20)), return_exceptions=True)
        assert sum(not isinstance(end, BaseException) for end in ends) == 9
        assert [each.calls for each in upstreams] == [3, 3, 3]
        await closed(router, upstreams)


async def test_a_provider_has_one_budget_over_all_its_deployments() -> None:
    async with eight(2) as upstreams:
        spending = {"openai": {"budget_limit": 16, "time_period": "1d"}}
        router = priced(group(upstreams), provider_budget_config=spending)
        for _ in range(2):
            await create(router, False)
        with pytest.raises(BudgetExceededError, match="provider 'openai'"):
            await create(router, False)
        await closed(router, upstreams)


async def test_each_end_user_has_a_budget_and_some_have_their_own() -> None:
    async with eight(1) as upstreams:
        router = priced(group(upstreams), USER, {"end_user": "vip", "max_budget": 30, **DAY})
        for name, served_calls in (("ann", 2), ("bob", 2), ("vip", 3)):
            for _ in range(served_calls):
                await router.aresponses("gpt", "hi", user=name)
            with pytest.raises(BudgetExceededError, match=f"end user '{name}'"):
                await router.aresponses("gpt", "hi", user=name)
        await create(router, False)  # nobody's
        assert money(router) == {"end_user vip": (24, 0), "end_user ann": (16, 0), "end_user bob": (16, 0)}
        await closed(router, upstreams)


@pytest.mark.parametrize(
    "params",
    [
        {"user": "ann"},
        {"litellm_metadata": {"user": "ann"}},
        {"litellm_metadata": {"user_id": "ann"}},
        {"metadata": {"user_id": "ann"}},
        {"safety_identifier": "ann"},
    ],
)
async def test_end_users_are_told_in_many_ways(params: Any) -> None:
    async with eight(1) as upstreams:
        router = priced(group(upstreams), USER)
        await router.aresponses("gpt", "hi", **params)
        assert money(router) == {"end_user ann": (8, 0)}
        await closed(router, upstreams)


async def test_a_call_counts_for_each_of_its_tags_and_takes_none_if_one_is_used_up() -> None:
    async with eight(1) as upstreams:
        tags = [{"tag": "free", "max_budget": 10, **DAY}, {"tag": "*", "max_budget": 100, **DAY}]
        router = priced(group(upstreams), *tags)
        await router.aresponses("gpt", "hi", litellm_metadata={"tags": ["free", "web"]})
        with pytest.raises(BudgetExceededError, match="tag 'free'"):
            await router.aresponses("gpt", "hi", litellm_metadata={"tags": ["app", "free"]})
        await router.aresponses("gpt", "hi", litellm_metadata={"tags": "web"})
        assert money(router) == {"tag free": (8, 0), "tag web": (16, 0)}
        with pytest.raises(BadRequestError, match="65 of them have a budget"):
            await router.aresponses("gpt", "hi", litellm_metadata={"tags": [f"t{n}" for n in range(65)]})
        await closed(router, upstreams)


async def test_a_name_of_any_length_and_kind_is_counted() -> None:
    async with eight(1) as upstreams:
        router = priced(group(upstreams), USER, {"tag": "*", "max_budget": 20, **DAY})
        for _ in range(2):
            await router.aresponses("gpt", "hi", user="x" * 10_000, litellm_metadata={"tags": ["\ud800" * 300]})
        assert [(len(each.name) <= 32, each.spent) for each in router.budgets()] == [(True, 16), (True, 16)]
        await closed(router, upstreams)


@pytest.mark.parametrize("stream", [False, True])
async def test_when_a_group_has_spent_all_its_fallback_serves(stream: bool) -> None:
    async with eight(2) as upstreams:
        models = [entry(upstreams[0]), entry(upstreams[1], "other")]
        router = priced(models, {"group": "gpt", "max_budget": 8, **DAY}, USER, fallbacks=[{"gpt": ["other"]}])
        homes = [served(await create(router, stream, user="ann")) for _ in range(2)]
        assert homes == ["u0", "u1"]
        with pytest.raises(BudgetExceededError):
            await create(router, stream, user="ann")
        assert money(router) == {"group gpt": (8, 0), "end_user ann": (16, 0)}
        await closed(router, upstreams)


@pytest.mark.parametrize("stream", [False, True])
async def test_what_a_failed_call_had_reserved_is_given_back(stream: bool) -> None:
    async with eight(2) as upstreams:
        models = [entry(upstreams[0], max_budget=50, **DAY), entry(upstreams[1], "other", max_budget=50, **DAY)]
        budgets = [{"group": "*", "max_budget": 50, **DAY}, USER]
        router = priced(models, *budgets, fallbacks=[{"gpt": ["other"]}], num_retries=0)
        misbehave(upstreams[0], "500")
        assert served(await create(router, stream, user="ann")) == "u1"
        misbehave(upstreams[1], "500")
        with pytest.raises(InternalServerError):
            await create(router, stream, user="ann")
        assert money(router) == {
            "deployment u0": (0, 0),
            "deployment u1": (8, 0),
            "group gpt": (0, 0),
            "group other": (8, 0),
            "end_user ann": (8, 0),
        }
        await closed(router, upstreams)


async def test_a_retry_takes_over_what_the_call_had_reserved() -> None:
    async with eight(2) as upstreams:
        strategy = {"routing_strategy": "round-robin"}
        router = priced(group(upstreams, max_budget=8, **DAY), {**USER, "max_budget": 8}, **strategy)
        misbehave(upstreams[0], "500")
        while not upstreams[0].calls:
            assert served(await create(router, False, user=f"ann {upstreams[1].calls}")) == "u1"
            router.upsert_deployment(entry(upstreams[1], max_budget=80, **DAY, max_output_tokens=16))
        assert money(router)["deployment u0"] == (0, 0)
        assert {spent for spent, _ in money(router).values()} <= {0, 8, 16}
        await closed(router, upstreams)


async def test_a_stream_that_fails_amid_its_output_costs_what_has_come() -> None:
    async with eight(1) as upstreams:
        router = priced(group(upstreams, max_budget=50, **DAY), USER)
        misbehave(upstreams[0], "cut_after_output", cut_after=4)
        events, _ = await read_until_error(await router.aresponses("gpt", "hi", stream=True, user="ann"))
        assert events
        (spent, reserved), ann = money(router)["deployment u0"], money(router)["end_user ann"]
        assert (spent, reserved) == ann
        assert 0 < spent < 50
        assert reserved == 0
        await closed(router, upstreams)


@pytest.mark.parametrize("how", ["closed", "dropped", "cancelled"])
async def test_a_stream_that_is_left_costs_its_input_and_what_has_come(how: str) -> None:
    async with eight(1, behaviour=Behaviour(tokens=400, token_delay=1.0)) as upstreams:
        router = priced(group(upstreams, max_budget=1_000, **DAY), price_source=PerToken(input=0.01))
        stream = await router.aresponses("gpt", "x" * 4_000, stream=True, max_output_tokens=800)
        assert money(router)["deployment u0"][1] > 400
        if how == "closed":
            await stream.aclose()
        elif how == "cancelled":
            task = asyncio.create_task(read(stream))
            await asyncio.sleep(0)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
        del stream
        gc.collect()
        await quiet(upstreams)
        spent, reserved = money(router)["deployment u0"]
        assert 10 < spent < 100
        assert reserved == 0
        await closed(router, upstreams)


@pytest.mark.parametrize("stream", [False, True])
async def test_a_cancelled_call_leaves_no_reservation(stream: bool) -> None:
    async with eight(1, behaviour=Behaviour(tokens=16, latency=60)) as upstreams:
        router = priced(group(upstreams, max_budget=50, **DAY), USER, {"group": "gpt", "max_budget": 50, **DAY})
        task = asyncio.create_task(create(router, stream, user="ann"))
        await upstreams[0].until(lambda: upstreams[0].active_requests == 1)
        assert set(money(router).values()) == {(0, 8)}
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert set(money(router).values()) == {(0, 0)}
        await closed(router, upstreams)


async def test_a_call_that_waits_for_a_place_and_is_cancelled_leaves_no_reservation() -> None:
    async with eight(1, behaviour=Behaviour(tokens=16, latency=60)) as upstreams:
        router = priced(group(upstreams, max_parallel_requests=1, max_budget=50, **DAY), USER)
        tasks = [asyncio.create_task(create(router, False, user="ann")) for _ in range(2)]
        await upstreams[0].until(lambda: upstreams[0].active_requests == 1)
        assert money(router) == {"deployment u0": (0, 8), "end_user ann": (0, 16)}
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        assert set(money(router).values()) == {(0, 0)}
        await closed(router, upstreams)


async def test_what_has_no_price_is_free_and_said_once(caplog: pytest.LogCaptureFixture) -> None:
    async with eight(2) as upstreams:
        prices = PerToken(unknown={"u0"})
        router = priced(group(upstreams, max_budget=8, **DAY), price_source=prices)
        for _ in range(3):
            await router.aresponses("u0", "hi")
        await router.aresponses("u1", "hi")
        with pytest.raises(BudgetExceededError):
            await router.aresponses("u1", "hi")
        assert money(router) == {"deployment u0": (0, 0), "deployment u1": (8, 0)}
        said = [record.message for record in caplog.records if "price" in record.message]
        assert said == ["the price of gpt-4o is not known: its calls count as nothing in budgets"]
        await closed(router, upstreams)


async def test_a_price_source_that_fails_fails_no_call(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.CRITICAL)
    async with eight(1) as upstreams:
        router = priced(group(upstreams, max_budget=8, **DAY), price_source=Broken())
        await create(router, False)
        assert money(router) == {"deployment u0": (0, 0)}
        await closed(router, upstreams)


async def test_a_background_call_whose_usage_never_came_counts_by_its_estimate() -> None:
    async with eight(1) as upstreams:
        router = priced(group(upstreams, max_budget=50, **DAY))
        response = await router.aresponses("gpt", "hi", background=True, max_output_tokens=40)
        await router.aget_responses(response.id, model="gpt")
        assert money(router) == {"deployment u0": (20, 0)}
        await closed(router, upstreams)


@pytest.mark.parametrize("stream", [False, True])
async def test_what_a_vendor_keeps_of_a_conversation_is_reserved_for_the_next_turn(stream: bool) -> None:
    async with eight(1) as upstreams:
        prices = PerToken(input=0.01, output=0)
        router = priced(group(upstreams), {"group": "gpt", "max_budget": 15, **DAY}, price_source=prices)
        first = await create(router, stream, input="x" * 4_000)
        used = first.usage
        assert used is not None
        assert used.total_tokens > 500
        with pytest.raises(BudgetExceededError, match=f"this call may cost \\${used.total_tokens / 100:g}") as refused:
            await create(router, stream, previous_response_id=first.id)
        assert refused.value.attempts == ()
        await create(router, stream)
        await closed(router, upstreams)


async def test_the_usual_length_of_answers_is_learnt() -> None:
    async with eight(1) as upstreams:
        limit = {"group": "gpt", "max_budget": 507, **DAY}
        router = priced(group(upstreams), limit, default_litellm_params=None)
        await create(router, False)  # may cost $500, and costs $8
        await create(router, False)  # so that this one may cost no more
        assert money(router) == {"group gpt": (16, 0)}
        await closed(router, upstreams)


@pytest.mark.parametrize("limit", [0, 4])
async def test_what_will_never_fit_is_refused_without_a_time(limit: float) -> None:
    async with eight(1) as upstreams:
        router = priced(group(upstreams, max_budget=limit, **DAY))
        with pytest.raises(BudgetExceededError) as refused:
            await create(router, False)
        assert refused.value.retry_after is None
        assert upstreams[0].calls == 0
        await closed(router, upstreams)


async def test_nothing_may_be_spent_where_the_budget_is_nothing_even_if_the_price_is_not_known() -> None:
    async with eight(1) as upstreams:
        model_list = group(upstreams, model="openai/nobody-knows-it")
        router = priced(model_list, {"group": "gpt", "max_budget": 0, **DAY}, price_source=None)
        with pytest.raises(BudgetExceededError, match=r"\$0 of \$0 per 1d spent; it resets"):
            await create(router, False)
        await closed(router, upstreams)


async def test_other_verbs_are_no_matter_of_money() -> None:
    async with eight(1) as upstreams:
        router = priced(group(upstreams), {"group": "gpt", "max_budget": 8, **DAY})
        response = await create(router, False)
        await router.aget_responses(response.id, model="gpt")
        await router.acount_input_tokens("gpt", "hi")
        with pytest.raises(BudgetExceededError):
            await router.acompact_responses("gpt", "hi")
        await closed(router, upstreams)


async def test_explain_says_who_is_refused_and_reserves_nothing() -> None:
    async with eight(2) as upstreams:
        models = [entry(upstreams[0], max_budget=8, **DAY), entry(upstreams[1])]
        router = priced(models, USER)
        await router.aresponses("u0", "hi", user="ann")
        explained = await router.aexplain("gpt", input="hi", user="ann")
        assert [option.reason for option in explained.options] == ["left out by Budget", "ready"]
        await router.aresponses("u1", "hi", user="ann")
        explained = await router.aexplain("gpt", input="hi", user="ann")
        assert isinstance(explained.error, BudgetExceededError)
        assert (await router.aexplain("gpt")).error is None
        router.delete_deployment("u0")
        assert (await router.aexplain("gpt")).error is None
        assert money(router) == {"end_user ann": (16, 0)}
        await closed(router, upstreams)


async def test_a_deployment_that_is_added_later_brings_its_budget() -> None:
    async with eight(2) as upstreams:
        router = priced(group(upstreams[:1]))
        assert router.budgets() == []
        router.add_deployment(entry(upstreams[1], "other", max_output_tokens=16, max_budget=8, **DAY))
        await create(router, False, "other")
        with pytest.raises(BudgetExceededError):
            await create(router, False, "other")
        router.upsert_deployment(entry(upstreams[1], "other", max_output_tokens=16, max_budget=16, **DAY))
        await create(router, False, "other")
        router.delete_deployment("u1")
        assert router.budgets() == []
        await closed(router, upstreams)


async def test_a_conversation_whose_home_has_spent_all_is_refused_there() -> None:
    async with eight(2) as upstreams:
        router = priced(
            group(upstreams, max_budget=8, **DAY), optional_pre_call_checks=["responses_api_deployment_check"]
        )
        first = await create(router, False)
        with pytest.raises(BudgetExceededError, match=served(first)):
            await create(router, False, previous_response_id=first.id)
        assert served(await create(router, False)) != served(first)
        await closed(router, upstreams)


@pytest.mark.parametrize("name", ["budget", "router_budget_limiting"])
async def test_the_check_can_be_put_in_its_place_by_name(name: str) -> None:
    async with eight(1) as upstreams:
        budget = {"group": "gpt", "max_budget": 8, **DAY}
        router = priced(group(upstreams), budget, optional_pre_call_checks=[name, "tags"])
        await create(router, False)
        with pytest.raises(BudgetExceededError):
            await create(router, False)
        await closed(router, upstreams)


def test_synchronous_callers_have_the_same_budgets() -> None:
    upstream = SimulatedUpstream.in_thread("u0", behaviour=Behaviour(tokens=16))
    with upstream as served_by, priced([entry(served_by, max_budget=8, **DAY)], USER) as router:
        router.responses("gpt", "hi", user="ann")
        assert money(router) == {"deployment u0": (8, 0), "end_user ann": (8, 0)}
        with pytest.raises(BudgetExceededError):
            router.responses("gpt", "hi", user="ann")


async def test_a_call_that_ends_without_a_loop_is_settled_when_somebody_asks() -> None:
    async with eight(1, behaviour=Behaviour(tokens=16, token_delay=1.0)) as upstreams:
        router = priced(group(upstreams, max_budget=50, **DAY))
        stream = await router.aresponses("gpt", "hi", stream=True)
        await asyncio.to_thread(stream.abandon)
        (spent, reserved) = money(router)["deployment u0"]
        assert spent > 0
        assert reserved == 0
        await closed(router, upstreams)


async def test_an_answer_given_without_a_deployment_costs_nothing() -> None:
    async with eight(1) as upstreams:
        router = priced(group(upstreams), USER)
        with pytest.raises(APIError):
            await router.aresponses("gpt", "hi", user="ann", timeout=-1)
        assert money(router) == {}
        await closed(router, upstreams)
