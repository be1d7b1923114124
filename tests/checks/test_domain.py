"""Which deployments share their state."""

import re
from collections.abc import Callable
from typing import Any

import pytest
from pydantic import SecretStr

from checks.affinity.domain import domain, peers, same_domain
from providers.types import Deployment

SECRET = "sk-very-secret"


def _deployment(id: str = "a", provider: str = "openai", **fields: Any) -> Deployment:
    key = fields.pop("api_key", SECRET)
    return Deployment(id, "g", provider, "m", api_key=None if key is None else SecretStr(key), **fields)


def _alike(one: dict[str, Any], other: dict[str, Any]) -> bool:
    first, second = _deployment("a", **one), _deployment("b", **other)
    assert same_domain(first, second) == same_domain(second, first)
    assert same_domain(first, second) == (domain(first) == domain(second))
    if same_domain(first, second):
        assert hash(domain(first)) == hash(domain(second))
    return same_domain(first, second)


AZURE = {"provider": "azure", "api_base": "https://res.openai.azure.com"}
FOUNDRY = {"provider": "azure_ai", "api_base": "https://res.services.ai.azure.com"}
REGIONAL = {"provider": "azure", "api_base": "https://eastus.api.cognitive.microsoft.com"}
OTHER = {"provider": "some_other", "api_base": "https://host/v1"}


def spelt(fields: object) -> str:
    """A name for a case, the same in every process: without addresses of functions."""
    return re.sub(r" at 0x[0-9a-f]+", "", str(fields))


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ({}, {}),
        ({}, {"api_base": "https://api.openai.com/v1"}),
        ({"api_base": "https://api.openai.com/v1/responses/"}, {"api_base": "HTTPS://API.openai.com:443/v1"}),
        ({"account": "x"}, {"account": "x", "provider": "azure", "api_base": "https://elsewhere", "api_key": "k"}),
        ({"organization": "o", "project": "p"}, {"organization": "o", "project": "p"}),
        ({"headers": {"X-Team": "a"}}, {"headers": {"x-team": "a"}}),
        ({"api_base": "http://vllm:8000", "api_key": None}, {"api_base": "http://vllm:8000/", "api_key": None}),
        (
            {"provider": "hosted_vllm", "api_base": "http://vllm:8000"},
            {"provider": "hosted_vllm", "api_base": "http://vllm:8000/v1"},
        ),
        (AZURE, {**AZURE, "api_key": "the second key of the resource"}),
        (AZURE, {**AZURE, "api_key": None, "token_source": lambda: "token"}),
        ({**AZURE, "api_version": "2025-04-01-preview"}, {**AZURE, "api_base": f"{AZURE['api_base']}/openai/v1"}),
        ({**AZURE, "api_base": "https://gw/team"}, {**AZURE, "api_base": "https://gw:443/team/", "api_key": "k"}),
        (FOUNDRY, {**FOUNDRY, "api_base": f"{FOUNDRY['api_base']}/models", "api_key": "k"}),
        (REGIONAL, REGIONAL),
        (OTHER, {**OTHER, "api_base": "https://HOST/v1/"}),
    ],
    ids=spelt,
)
def test_one_place(one: dict[str, Any], other: dict[str, Any]) -> None:
    assert _alike(one, other)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ({}, {"api_key": "another project's"}),
        ({}, {"api_key": None}),
        ({}, {"api_key": None, "token_source": lambda: SECRET}),
        ({}, {"api_base": "https://api.openai.com:8443/v1"}),
        ({}, {"api_base": "https://api.openai.com/v2"}),
        ({}, {"api_base": "http://api.openai.com/v1"}),
        ({}, {"organization": "o"}),
        ({"organization": "o", "project": "p"}, {"organization": "o", "project": "q"}),
        ({"headers": {"authorization": "Bearer a"}}, {"headers": {"authorization": "Bearer b"}}),
        ({"query": {"tenant": "a"}}, {"query": {"tenant": "b"}}),
        ({"account": "x"}, {"account": "y"}),
        ({"account": "x"}, {}),
        (AZURE, {**AZURE, "api_base": "https://res2.openai.azure.com"}),
        ({**AZURE, "api_base": "https://gw/team"}, {**AZURE, "api_base": "https://gw/other"}),
        (FOUNDRY, {**FOUNDRY, "api_base": f"{FOUNDRY['api_base']}/api/projects/p"}),
        ({**FOUNDRY, "api_base": "https://gw/v1"}, {**FOUNDRY, "api_base": "https://gw/v1", "api_key": "k"}),
        (REGIONAL, {**REGIONAL, "api_key": "another resource's"}),
        ({"provider": "azure"}, {"provider": "azure", "api_key": "k"}),
        (OTHER, {**OTHER, "api_base": "https://host/v1?tenant=b"}),
    ],
    ids=spelt,
)
def test_two_places(one: dict[str, Any], other: dict[str, Any]) -> None:
    assert not _alike(one, other)


class _Credential:
    """Says it equals everything, and can't be hashed."""

    def token(self) -> str:
        return "token"

    __call__ = token

    def __eq__(self, other: object) -> bool:
        return True

    __hash__ = None  # type: ignore[assignment]  # as mutable dataclasses are


SOURCE, TWIN = _Credential(), _Credential()


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        (SOURCE, SOURCE, True),
        (SOURCE, TWIN, False),
        (SOURCE.token, SOURCE.token, True),
        (SOURCE.token, TWIN.token, False),
        (SOURCE, SOURCE.token, False),
    ],
)
def test_sources_of_tokens_are_compared_by_identity(
    one: Callable[[], str], other: Callable[[], str], same: bool
) -> None:
    assert _alike({"token_source": one}, {"token_source": other}) is same


def test_a_domain_is_like_nothing_else() -> None:
    assert domain(_deployment(token_source=lambda: "t")) != "t"
    assert domain(_deployment(api_key=None, token_source=SOURCE)) != domain(_deployment(api_key=SECRET))


def test_a_domain_is_computed_once_and_freed_with_its_deployment() -> None:
    deployment = _deployment()
    assert domain(deployment) is domain(deployment)
    assert domain(deployment) in deployment.memo.values()


@pytest.mark.parametrize("fields", [{}, {"account": "x"}, AZURE], ids=str)
def test_a_domain_is_never_told(fields: dict[str, Any]) -> None:
    deployment = _deployment(headers={"authorization": SECRET}, query={"key": SECRET}, **fields)
    assert repr(domain(deployment)) == str(domain(deployment)) == "Domain()"


def test_rotating_a_key_orphans_nothing() -> None:
    """A pin names the deployment: after the change, its new self holds what the old one held."""
    before, after = _deployment("a"), _deployment("a", api_key="rotated")
    assert same_domain(before, after)
    assert peers(before, [after]) == (after,)
    follower = _deployment("b", api_key="rotated")
    assert peers(after, [after, follower]) == (after, follower)


def test_peers_keep_their_order() -> None:
    first, owner, other, last = (
        _deployment("1"),
        _deployment("2"),
        _deployment("3", api_key="k"),
        _deployment("4"),
    )
    assert peers(owner, [first, owner, other, last]) == (first, owner, last)
    assert peers(owner, [other]) == ()
