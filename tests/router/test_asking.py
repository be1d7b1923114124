"""Homes through the Router: a deployment is asked with a token, tenants share stores, aliases carry settings."""

import pytest
from routers import AFFINITY, serving

from providers.simulated import Behaviour
from router import HomeLostError, Router


async def test_asked_with_a_fresh_token() -> None:
    async with serving(2) as upstreams:
        model_list = [
            {
                "model_name": "gpt",
                "litellm_params": {
                    "model": "azure/gpt-4o",
                    "api_base": upstream.url,
                    "azure_ad_token_provider": lambda: "a-token",
                },
                "model_info": {"id": upstream.name},
            }
            for upstream in upstreams
        ]
        async with Router(model_list, optional_pre_call_checks=AFFINITY) as router:
            hello = await router.aresponses("gpt", "hi")
        async with Router(model_list, optional_pre_call_checks=AFFINITY) as restarted:
            answer = await restarted.aresponses("gpt", "more", previous_response_id=hello.id)
        assert answer.routing.affinity is not None
        assert (answer.routing.affinity.mode, answer.routing.deployment_id) == (
            "discovered",
            hello.routing.deployment_id,
        )
        asked = [record for upstream in upstreams for record in upstream.requests if record.method == "GET"]
        assert asked
        assert {record.headers["authorization"] for record in asked} == {"Bearer a-token"}


async def test_a_vector_store_is_no_tenants_secret() -> None:
    async with serving(2) as upstreams:
        model_list = [
            {
                "model_name": "gpt",
                "litellm_params": {"model": "openai/gpt-4o", "api_key": "k", "api_base": upstream.url},
                "model_info": {"id": upstream.name},
            }
            for upstream in upstreams
        ]
        search = [{"type": "file_search", "vector_store_ids": ["vs_common"]}]
        async with Router(model_list, optional_pre_call_checks=AFFINITY) as router:
            one = await router.aresponses("gpt", "hi", tools=search, affinity_scope="one")
            for scope in ("two", None):
                other = await router.aresponses("gpt", "hi", tools=search, affinity_scope=scope)
                assert other.routing.deployment_id == one.routing.deployment_id


async def test_a_groups_settings_may_stand_under_its_alias() -> None:
    async with serving(1) as (upstream,):
        entry = {
            "model_name": "gpt",
            "litellm_params": {"model": "openai/gpt-4o", "api_key": "k", "api_base": upstream.url},
            "model_info": {"id": "home"},
        }
        async with Router(
            [entry],
            optional_pre_call_checks=AFFINITY,
            model_group_alias={"chat": "gpt"},
            model_group_affinity={"chat": {"on_home_lost": "fail"}},
            model_group_retry_policy={"chat": {"InternalServerErrorRetries": 0}},
        ) as router:
            hello = await router.aresponses("chat", "hi")
            upstream.behaviour = Behaviour(fault="500")
            with pytest.raises(HomeLostError) as lost:
                await router.aresponses("gpt", "more", previous_response_id=hello.id)
            assert len(lost.value.attempts) == 1
