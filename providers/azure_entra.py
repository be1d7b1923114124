"""Bearer tokens from Entra ID, by azure-identity: what a deployment at Azure has as its token source.

azure-identity caches a token and renews it before it expires. It is imported on first use:
`pip install 'homing-router[azure]'`. `AZURE_AUTHORITY_HOST` names the authority of another cloud than the public one.
Source: learn.microsoft.com, azure.identity package (ClientSecretCredential, DefaultAzureCredential).
"""

from __future__ import annotations

from collections.abc import Mapping
from importlib import import_module
from typing import Final, Protocol, cast
from urllib.parse import urlsplit

from pydantic import SecretStr

from providers.errors import ConfigurationError

COGNITIVE: Final = "https://cognitiveservices.azure.com/.default"
"""The scope of a resource's endpoint."""
FOUNDRY: Final = "https://ai.azure.com/.default"
"""The scope of a Foundry project's endpoint, `…/api/projects/<name>`."""

_LIMITS: Final[Mapping[str, object]] = {"connection_timeout": 3.0, "read_timeout": 5.0, "retry_total": 1}
"""Seconds, and attempts: azure-core's own defaults are 300 s; the Router waits no longer than 10 s for a token."""


def scope_of(api_base: str | None) -> str:
    """The scope that a token for this address must have."""
    return FOUNDRY if "/api/projects/" in urlsplit(api_base or "").path else COGNITIVE


class _AccessToken(Protocol):
    token: str


class _Credential(Protocol):
    def get_token(self, *scopes: str) -> _AccessToken: ...


class EntraCredential:
    """Called, it returns a bearer token for `scope`. May block on the network.

    With a `client_secret`, that of the application `client_id` of `tenant`; without, of whomever azure-identity's
    DefaultAzureCredential finds: environment, workload identity, managed identity (`client_id` says which), Azure CLI.
    `options` are further arguments of azure-identity's credential.

    Raises `ConfigurationError` if azure-identity is missing, and what azure-identity raises if there is no token.
    """

    def __init__(
        self,
        scope: str = COGNITIVE,
        *,
        tenant: str | None = None,
        client_id: str | None = None,
        client_secret: SecretStr | None = None,
        options: Mapping[str, object] | None = None,
    ) -> None:
        if client_secret is not None and not (tenant and client_id):
            raise ConfigurationError("client_secret says nothing without tenant_id and client_id")
        self.scope = scope
        self._tenant = tenant
        self._client_id = client_id
        self._client_secret = client_secret
        self._options = {**_LIMITS, **(options or {})}
        self._credential: _Credential | None = None

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.scope!r}, tenant={self._tenant!r}, client_id={self._client_id!r})"

    def __call__(self) -> str:
        """A token that is good for some minutes at least."""
        if self._credential is None:
            self._credential = self._make()
        return self._credential.get_token(self.scope).token

    def _make(self) -> _Credential:
        try:
            identity = import_module("azure.identity")
        except ImportError:
            raise ConfigurationError(
                "tokens of Entra ID need azure-identity: pip install 'homing-router[azure]'"
            ) from None
        if self._client_secret is None:
            chosen = {} if self._client_id is None else {"managed_identity_client_id": self._client_id}
            return cast("_Credential", identity.DefaultAzureCredential(**chosen, **self._options))
        secret = self._client_secret.get_secret_value()
        return cast(
            "_Credential", identity.ClientSecretCredential(self._tenant, self._client_id, secret, **self._options)
        )
