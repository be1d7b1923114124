"""The part of `litellm_params` that says who calls, and the rules of what goes together."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import ClassVar

from pydantic.json_schema import SkipJsonSchema

from providers.catalog import Login, Vendor
from router.config.problems import Problems
from router.config.strict import Fields, Strict
from router.config.values import Address, GoogleJson, Printable, Secret


class Credentials(Strict):
    """Keys, tokens, and where they come from."""

    synonyms: ClassVar[Mapping[str, str]] = {
        "vertex_ai_credentials": "vertex_credentials",
        "enable_azure_ad_token_refresh": "use_default_azure_credential",
    }

    api_key: Secret | None = None
    """Unset: from the vendor's environment variable."""
    azure_ad_token: Secret | None = None
    """A bearer token instead of a key."""
    azure_ad_token_provider: SkipJsonSchema[Callable[..., object] | None] = None
    """Returns a bearer token, or an awaitable of one; called for each request."""
    tenant_id: Printable | None = None
    """Entra ID's tenant of the application `client_id`; unset: from AZURE_TENANT_ID."""
    client_id: Printable | None = None
    """The application that calls; unset: from AZURE_CLIENT_ID. By default credentials, a managed identity."""
    client_secret: Secret | None = None
    """The application's secret; unset: from AZURE_CLIENT_SECRET."""
    azure_scope: Printable | None = None
    """What a token of Entra ID must be good for; unset: from AZURE_SCOPE, or what the address asks for."""
    use_default_azure_credential: bool | None = None
    """Whether azure-identity looks for credentials: environment, workload and managed identity, Azure's tools."""
    aws_access_key_id: Secret | None = None
    """AWS's access key; unset: what botocore finds, in the environment, shared files, or of the machine."""
    aws_secret_access_key: Secret | None = None
    """Belongs to the access key."""
    aws_session_token: Secret | None = None
    """Belongs to a temporary access key."""
    aws_profile_name: Printable | None = None
    """A profile of AWS's shared files."""
    aws_role_name: Printable | None = None
    """ARN of a role to assume."""
    aws_session_name: Printable | None = None
    """What AWS's logs call what is done in the role."""
    aws_external_id: Printable | None = None
    """What the role's owner asks for."""
    aws_web_identity_token: Secret | None = None
    """Assumes the role in place of keys: a token, or the path of a file that holds the current one."""
    aws_sts_endpoint: Address | None = None
    """Address of AWS's token service."""
    vertex_credentials: GoogleJson | None = None
    """Google's JSON of credentials, or its path; unset: from VERTEXAI_CREDENTIALS, or Google's default ones."""
    vertex_impersonate_service_account: Printable | None = None
    """E-mail address of the service account to act as."""


_WAYS: tuple[tuple[str, ...], ...] = (
    ("api_key",),
    ("azure_ad_token",),
    ("azure_ad_token_provider",),
    ("tenant_id", "client_id", "client_secret", "azure_scope", "use_default_azure_credential"),
    tuple(name for name in Credentials.model_fields if name.startswith("aws_")),
    tuple(name for name in Credentials.model_fields if name.startswith("vertex_")),
)
"""Ways to say who calls, of which an entry takes one: the parameters of each."""

ANYWHERE = tuple(name for way in _WAYS[:3] for name in way)
"""Those of every vendor."""

_FOREIGN: Mapping[Login, str] = {Login.ENTRA: "azure and azure_ai", Login.AWS: "bedrock", Login.GOOGLE: "vertex_ai"}


def check_ways(fields: Fields, problems: Problems) -> None:
    """Note parameters of a second way."""
    used = [way for way in _WAYS if fields.only(way).values]
    for way in used[1:]:
        first = next(iter(fields.only(used[0]).places.values()))
        for place in fields.only(way).places.values():
            problems.add(place, f"contradicts {first}; give one of them")


def under(defaults: Fields, given: Fields) -> Fields:
    """`given` over `defaults`, without the defaults of other ways than an entry takes."""
    chosen = [way for way in _WAYS if given.only(way).values]
    if chosen:
        defaults = defaults.without([name for way in _WAYS if way not in chosen for name in way])
    return defaults.under(given)


def check_vendor(vendor: Vendor, given: Fields, problems: Problems) -> None:
    """Note the parameters of an entry that are for another vendor."""
    for name, place in given.places.items():
        owner = _owner(name)
        if owner is not None and owner is not vendor.login:
            problems.add(place, f"means nothing to {vendor.name}; it is for {_FOREIGN[owner]}")


def _owner(name: str) -> Login | None:
    """Whose parameter it is; None: everybody's."""
    if name.startswith("aws_"):
        return Login.AWS
    if name.startswith("vertex_"):
        return Login.GOOGLE
    return Login.ENTRA if name in _WAYS[3] else None
