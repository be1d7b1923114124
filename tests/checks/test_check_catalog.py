"""Checks by name, class and instance, for one Router each."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from fakes import Clock
from pydantic import SecretStr

from checks import ContextWindow, Finished, Home, PreCallCheck, RateLimit, ResponsesApiDeployment, Started, Tags
from checks.affinity.discovery import Discovery
from checks.affinity.signed_affinity import SignedAffinity
from checks.affinity.signed_id import SignedIds
from checks.catalog import NAMES, Services, build
from providers.errors import ConfigurationError
from providers.types import Call, Deployment, HomePolicy, JsonObject
from providers.views import Response
from router.stores.memory import MemoryStore
from router.stores.transcripts import MemoryTranscripts

EAST = Deployment("east", "gpt", "openai", "m", rpm=1)
WEST = Deployment("west", "gpt", "openai", "m", account="else")


@pytest.fixture
def services(clock: Clock) -> Services:
    return Services(MemoryStore(clock=clock), {"east": EAST}.get, affinity_ttl=60.0, clock=clock)


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("responses_api_deployment_check", ResponsesApiDeployment),
        ("responses_api_deployment", ResponsesApiDeployment),
        ("tags", Tags),
        ("tag_filtering", Tags),
        ("context_window", ContextWindow),
        ("rate_limit", RateLimit),
        ("enforce_model_rate_limits", RateLimit),
    ],
)
def test_by_name(name: str, kind: type[PreCallCheck], services: Services) -> None:
    (one,), (other,) = build([name], services), build([name], services)
    assert type(one) is kind
    assert one is not other
    assert name in NAMES


async def test_what_is_built_by_name_uses_what_the_router_lends(services: Services, clock: Clock) -> None:
    home, limit = build(["responses_api_deployment_check", "rate_limit"], services)
    assert isinstance(home, ResponsesApiDeployment)
    await home.observe(Call("gpt"), EAST, Started("resp_1"))
    assert await home.home("resp_1") is EAST
    assert limit.reserve(Call("gpt"), EAST, 0.0) == 0.0
    assert limit.reserve(Call("gpt"), EAST, 0.0) == 60.0
    clock.advance(60.0)
    assert await home.home("resp_1") is None
    assert limit.reserve(Call("gpt"), EAST, 0.0) == 0.0


async def test_affinity_uses_what_the_router_lends(services: Services) -> None:
    transcripts = MemoryTranscripts()

    async def ask(deployment: Deployment, response_id: str) -> bool:
        return response_id == "resp_0"

    lent = replace(
        services,
        home_policy=HomePolicy("replay"),
        home_policies={"careful": HomePolicy("fail")},
        discovery=Discovery(ask),
        transcripts=transcripts,
    )
    for ids, kind in ((None, ResponsesApiDeployment), (SignedIds(SecretStr("a key for tests only")), SignedAffinity)):
        (check,) = build(["responses_api_deployment_check"], replace(lent, signed_ids=ids))
        assert type(check) is kind
        for group, policy in (("gpt", "replay"), ("careful", "fail")):
            found = await check.eligible(Call(group, body={"previous_response_id": "resp_0"}), (EAST, WEST))
            assert isinstance(found, Home)
            assert found.policy.on_lost == policy
        json: JsonObject = {"id": "resp_1", "object": "response", "output": []}
        await check.observe(Call("gpt", body={"input": "x"}), EAST, Finished(Response(json)))
        assert await transcripts.get("resp_1") is not None
        await transcripts.delete("resp_1")
        shown = check.present(Call("gpt"), EAST, json)
        assert (shown is json) is (ids is None)


class Own(PreCallCheck):
    """A check of the user's."""


class Needy(PreCallCheck):
    def __init__(self, regions: list[str]) -> None:
        self.regions = regions


def test_in_declared_order(services: Services) -> None:
    own = Own()
    found = build(["rate_limit", own, Tags, Own, "tags"], services)
    assert found[1] is own
    assert [type(check) for check in found] == [RateLimit, Own, Tags, Own, Tags]
    assert build([], services) == ()


@pytest.mark.parametrize(
    ("specs", "said"),
    [
        (["tagz"], r"^optional_pre_call_checks\[0\]: unknown check 'tagz'; did you mean 'tags'\? Known: responses_api"),
        (
            ["tags", "xyz"],
            r"^optional_pre_call_checks\[1\]: unknown check 'xyz'\. Known: responses_api_deployment_check",
        ),
        (["tags", "tags"], r"^optional_pre_call_checks\[1\]: 'tags' is listed twice$"),
        (["tags", "tag_filtering"], r"\[1\]: 'tag_filtering' is listed twice$"),
        ([7], r"\[0\]: expected a name, an instance or a subclass of PreCallCheck, not int$"),
        ([None], r"not NoneType$"),
        ([Own(), int], r"\[1\]: expected a name, an instance or a subclass of PreCallCheck, not type$"),
        ([Needy], r"\[0\]: Needy needs arguments; pass an instance \(.*'regions'\)$"),
    ],
)
def test_what_is_wrong_is_named(specs: list[Any], said: str, services: Services) -> None:
    with pytest.raises(ConfigurationError, match=said):
        build(specs, services)
