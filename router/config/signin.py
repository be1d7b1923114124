"""Who calls a deployment: a key, or what fetches tokens, by what an entry says and the environment adds."""

from __future__ import annotations

import re
from collections.abc import Callable, Hashable, Mapping
from dataclasses import dataclass
from typing import TypeAlias, cast

from pydantic import SecretStr

from providers import jsonio
from providers.aws.credentials import AwsCredentials
from providers.azure_entra import EntraCredential, scope_of
from providers.catalog import Login, Vendor
from providers.errors import ConfigurationError
from providers.google.credentials import GoogleCredentials
from providers.types import TokenSource
from router.config.entry import Params
from router.config.environment import first_set, looked_at
from router.config.problems import Problems
from router.config.strict import Fields
from router.config.values import google_json, secret

Credential: TypeAlias = "tuple[SecretStr | None, TokenSource | None]"
"""A key or a source of tokens, of which there is at most one."""

_NOBODY: Credential = (None, None)

_AUTHORITY = frozenset({"authorization", "api-key", "x-api-key", "x-goog-api-key"})
"""Headers that say who calls."""

_ENTRA = {"tenant_id": "AZURE_TENANT_ID", "client_id": "AZURE_CLIENT_ID", "client_secret": "AZURE_CLIENT_SECRET"}
"""Parameters that name an application, and the environment variables in their place."""

_AWS = {
    "access_key": "aws_access_key_id",
    "secret_key": "aws_secret_access_key",
    "session_token": "aws_session_token",
    "profile": "aws_profile_name",
    "role": "aws_role_name",
    "session_name": "aws_session_name",
    "external_id": "aws_external_id",
    "web_identity_token": "aws_web_identity_token",
    "sts_endpoint": "aws_sts_endpoint",
}
"""Arguments of `AwsCredentials` → our parameters."""
_AWS_NAMES = re.compile(rf"\b({'|'.join(_AWS)})\b")
_GOOGLE = ("vertex_credentials", "vertex_impersonate_service_account")


class StaticToken:
    """A bearer token that does not change."""

    __slots__ = ("_token",)

    def __init__(self, token: SecretStr) -> None:
        self._token = token

    def __call__(self) -> str:
        return self._token.get_secret_value()


Sources: TypeAlias = "dict[Hashable, TokenSource]"
"""Sources of tokens, by what they are made of: deployments of one caller share one, and with it a place's state."""


@dataclass(frozen=True, slots=True, repr=False)
class SignIn:
    """Finds who calls a deployment of `vendor` at `base`, in `region`."""

    vendor: Vendor
    base: str | None
    region: str | None
    params: Params
    fields: Fields
    environ: Mapping[str, str]
    problems: Problems
    sources: Sources

    def credential(self) -> Credential:
        """What the entry says, else the environment, else where the vendor's own tools look."""
        params = self.params
        if params.azure_ad_token_provider is not None:
            return None, cast("TokenSource", params.azure_ad_token_provider)
        if params.azure_ad_token is not None:
            return None, self._shared(StaticToken, token=params.azure_ad_token)
        if params.api_key is not None:
            return params.api_key, None
        ways = {Login.ENTRA: self._entra, Login.AWS: self._aws, Login.GOOGLE: self._google}
        way = ways.get(self.vendor.login)
        return (way(given=True) if way else None) or self._variable() or (way(given=False) if way else None) or _NOBODY

    @property
    def needed(self) -> bool:
        """Whether no call can do without: a server of the user's own may, and a header may do as well."""
        vendor = self.vendor
        return vendor.key_required and not self._by_header and (self.base is None or vendor.base_required)

    @property
    def _by_header(self) -> bool:
        return any(name.lower() in _AUTHORITY for name in self.params.extra_headers or ())

    def _variable(self) -> Credential | None:
        """From the environment: a key, or a bearer token."""
        tokens = self.vendor.token_env
        name, value = first_set((*self.vendor.key_env, *tokens), self.environ)
        if value is None:
            return None
        try:
            found = secret(SecretStr(value))
        except ValueError as error:
            self.problems.add(self.fields.place("api_key"), f"the environment variable {name!r} {error}")
            return _NOBODY
        return (None, self._shared(StaticToken, token=found)) if name in tokens else (found, None)

    # each way takes what the entry says (`given`), or does without

    def _entra(self, *, given: bool) -> Credential | None:
        params, said = self.params, self.fields.only((*_ENTRA, "azure_scope", "use_default_azure_credential"))
        if given and not said.values:
            return None
        scope = params.azure_scope or self.environ.get("AZURE_SCOPE") or scope_of(self.base)
        if not params.use_default_azure_credential:
            return self._application(scope, given=given)
        for name in ("tenant_id", "client_secret"):
            if name in said.values:
                switch = self.fields.place("use_default_azure_credential")
                self.problems.add(self.fields.place(name), f"contradicts {switch}; give one of them")
        return None, self._shared(EntraCredential, scope=scope, client_id=params.client_id)

    def _application(self, scope: str, *, given: bool) -> Credential | None:
        params, environ = self.params, self.environ
        tenant = params.tenant_id or environ.get("AZURE_TENANT_ID")
        client = params.client_id or environ.get("AZURE_CLIENT_ID")
        secret = params.client_secret or SecretStr(environ.get("AZURE_CLIENT_SECRET", ""))
        missing = [name for name, value in zip(_ENTRA, (tenant, client, secret), strict=True) if not value]
        if not missing:
            known = {"tenant": tenant, "client_id": client, "client_secret": secret}
            return None, self._shared(EntraCredential, scope=scope, **known)
        if not given:
            return None
        why = "a token of Entra ID is for an application, or for whom use_default_azure_credential finds"
        for name in missing:
            self._require(name, f"{why} ({looked_at([_ENTRA[name]])})")
        return _NOBODY

    def _aws(self, *, given: bool) -> Credential | None:
        values = {argument: getattr(self.params, name) for argument, name in _AWS.items()}
        if (given and not any(values.values())) or (not given and self._by_header):
            return None
        try:
            return None, self._shared(AwsCredentials, **values, region=self.region)
        except ConfigurationError as error:
            named = _AWS_NAMES.search(str(error))
            name = _AWS[named[1]] if named else "aws_access_key_id"
            self.problems.add(self.fields.place(name), _AWS_NAMES.sub(lambda found: _AWS[found[1]], str(error)))
            return _NOBODY

    def _google(self, *, given: bool) -> Credential | None:
        if (given and not self.fields.only(_GOOGLE).values) or (not given and self._by_header):
            return None
        found = self.params.vertex_credentials
        value = self.environ.get("VERTEXAI_CREDENTIALS")
        if found is None and value:
            try:
                found = google_json(value)
            except ValueError as error:
                said = f"the environment variable 'VERTEXAI_CREDENTIALS' {error}"
                self.problems.add(self.fields.place("vertex_credentials"), said)
                return _NOBODY
        plain = found.get_secret_value() if isinstance(found, SecretStr) else found
        impersonate = self.params.vertex_impersonate_service_account
        return None, self._shared(GoogleCredentials, credentials=plain, impersonate=impersonate)

    def _shared(self, kind: Callable[..., TokenSource], **values: object) -> TokenSource:
        """The source of this kind that is made of `values`."""
        told = (jsonio.dumps(value) if isinstance(value, dict) else value for value in values.values())
        key = (kind, *values, *told)
        if key not in self.sources:
            self.sources[key] = kind(**values)
        return self.sources[key]

    def _require(self, name: str, why: str) -> None:
        if not self.fields.excused((name,), self.problems):
            self.problems.add(self.fields.place(name), f"is required: {why}")
