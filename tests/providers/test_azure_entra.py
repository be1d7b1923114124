"""Tokens of Entra ID, fetched by azure-identity from a directory on this machine."""

from __future__ import annotations

import sys
from collections.abc import Iterator

import pytest
from fake_entra import CERTIFICATE, CLIENT, SECRET, TENANT, FakeEntra, fake_entra
from pydantic import SecretStr

from providers.azure_entra import COGNITIVE, FOUNDRY, EntraCredential, scope_of
from providers.errors import AuthenticationError, ConfigurationError
from providers.types import Deployment
from router.tokens import Tokens


@pytest.fixture
def entra(monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeEntra]:
    for name in ("AZURE_TENANT_ID", "AZURE_CLIENT_ID", "AZURE_CLIENT_SECRET", "IDENTITY_ENDPOINT"):
        monkeypatch.delenv(name, raising=False)
    with fake_entra() as directory:
        yield directory


def options(entra: FakeEntra) -> dict[str, object]:
    return {"authority": entra.url, "connection_verify": CERTIFICATE, "disable_instance_discovery": True}


def credential(entra: FakeEntra, secret: str = SECRET, scope: str = COGNITIVE) -> EntraCredential:
    return EntraCredential(
        scope, tenant=TENANT, client_id=CLIENT, client_secret=SecretStr(secret), options=options(entra)
    )


@pytest.mark.parametrize("scope", [COGNITIVE, FOUNDRY, "api://mine/.default"])
def test_an_application_s_token_is_fetched_once(entra: FakeEntra, scope: str) -> None:
    source = credential(entra, scope=scope)
    assert not entra.asked, "nothing happens before the first use"
    assert [source(), source()] == ["token-1", "token-1"]
    (asked,) = entra.asked
    assert (asked["grant_type"], asked["scope"]) == ("client_credentials", scope)
    assert (asked["client_id"], asked["client_secret"]) == (CLIENT, SECRET)


def test_a_token_is_renewed_before_it_expires(entra: FakeEntra) -> None:
    entra.lifetime = 200  # azure-identity renews within 300 s of the end
    source = credential(entra)
    assert [source(), source()] == ["token-1", "token-2"]


async def test_a_wrong_secret_is_a_fault_of_the_credential_and_not_told(entra: FakeEntra) -> None:
    source = credential(entra, "battery staple")
    deployment = Deployment("east", "gpt", "azure", "m", token_source=source)
    with pytest.raises(AuthenticationError) as caught:
        await Tokens(lambda: 0.0).fresh(deployment, 10.0)
    assert "AADSTS7000215" in caught.value.message
    assert "battery staple" not in f"{caught.value!r} {caught.value} {source!r}"


def test_without_a_secret_the_environment_is_asked(entra: FakeEntra, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AZURE_TENANT_ID", TENANT)
    monkeypatch.setenv("AZURE_CLIENT_ID", CLIENT)
    monkeypatch.setenv("AZURE_CLIENT_SECRET", SECRET)
    assert EntraCredential(options=options(entra))() == "token-1"
    assert (entra.asked[0]["client_id"], entra.asked[0]["scope"]) == (CLIENT, COGNITIVE)


def test_a_managed_identity_is_known_by_its_client_id(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("AZURE_TENANT_ID", "AZURE_CLIENT_ID", "AZURE_CLIENT_SECRET"):
        monkeypatch.delenv(name, raising=False)
    client = "99999999-8888-7777-6666-555555555555"
    with fake_entra(tls=False) as host:
        monkeypatch.setenv("IDENTITY_ENDPOINT", f"{host.url}/msi/token")
        monkeypatch.setenv("IDENTITY_HEADER", "this host")
        assert EntraCredential(client_id=client)() == "token-1"
        assert host.asked[0]["client_id"] == client
        assert host.asked[0]["resource"] == COGNITIVE.removesuffix("/.default")


def test_what_to_install_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "azure.identity", None)
    with pytest.raises(ConfigurationError, match=r"pip install 'homing-router\[azure\]'"):
        EntraCredential()()


@pytest.mark.parametrize(("tenant", "client"), [(TENANT, None), (None, CLIENT), (None, None)])
def test_a_secret_belongs_to_someone(tenant: str | None, client: str | None) -> None:
    with pytest.raises(ConfigurationError, match=r"says nothing without tenant_id and client_id"):
        EntraCredential(tenant=tenant, client_id=client, client_secret=SecretStr(SECRET))


@pytest.mark.parametrize(
    ("base", "scope"),
    [
        (None, COGNITIVE),
        ("https://res.openai.azure.com", COGNITIVE),
        ("https://res.services.ai.azure.com/models", COGNITIVE),
        ("https://res.services.ai.azure.com/api/projects/p", FOUNDRY),
    ],
)
def test_the_scope_is_the_address_s(base: str | None, scope: str) -> None:
    assert scope_of(base) == scope
