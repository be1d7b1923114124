"""Where the keys of AWS come from: given, a profile, a role, a web identity, or botocore's own chain.

botocore looks them up and renews them before they expire (15 minutes before if it can, 10 at the latest); what it
does not have is kept by nobody. Asking may block on the network, so the Router asks in a thread, one at a time.
Source: https://docs.aws.amazon.com/sdkref/latest/guide/standardized-credentials.html.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property, partial
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

from pydantic import SecretStr

from providers.aws.sdk import SIGNS, botocore
from providers.errors import AuthenticationError, ConfigurationError
from providers.types import AwsKeys

if TYPE_CHECKING:
    from botocore.credentials import Credentials
    from botocore.session import Session

SESSION_NAME = "homing-router"
"""The name that AWS's logs give to what is done with an assumed role, unless one is given."""
CONNECT_TIMEOUT = 3.0
READ_TIMEOUT = 5.0
"""Seconds AWS's token service may take; the Router waits no longer than 10 for a token."""

Secret: TypeAlias = SecretStr | str


class AwsCredentials:
    """A source of tokens that asks botocore.

    With an `access_key` and a `secret_key`, these; with a `profile`, what the shared files say of it; with neither,
    what botocore finds: environment, shared files, web identity, container, instance metadata. A `role` is assumed
    with the keys so found, or with the `web_identity_token`, which is the token or the path of a file that holds the
    current one. `sts_endpoint` is the address of the token service; `region` says which of them otherwise.

    Raises `ConfigurationError` if the arguments don't go together. Calling it raises `AuthenticationError` if there
    are no keys to be had, `ConfigurationError` if botocore is not installed.
    """

    def __init__(
        self,
        *,
        access_key: Secret | None = None,
        secret_key: Secret | None = None,
        session_token: Secret | None = None,
        profile: str | None = None,
        role: str | None = None,
        session_name: str | None = None,
        external_id: str | None = None,
        web_identity_token: Secret | None = None,
        sts_endpoint: str | None = None,
        region: str | None = None,
    ) -> None:
        _check(
            {
                "access_key": access_key,
                "secret_key": secret_key,
                "session_token": session_token,
                "profile": profile,
                "role": role,
                "session_name": session_name,
                "external_id": external_id,
                "web_identity_token": web_identity_token,
                "sts_endpoint": sts_endpoint,
            }
        )
        self._given: AwsKeys | None = None
        if access_key is not None and secret_key is not None:
            token = None if session_token is None else SecretStr(_text(session_token))
            self._given = AwsKeys(_text(access_key), SecretStr(_text(secret_key)), token)
        self._profile = profile
        self._role = role
        self._assumed_as = {"RoleSessionName": session_name or SESSION_NAME}
        if external_id is not None:
            self._assumed_as["ExternalId"] = external_id
        self._identity = web_identity_token
        self._sts_endpoint = sts_endpoint
        self._region = region
        self._held: Credentials | None = None

    def __repr__(self) -> str:
        known = {"profile": self._profile, "role": self._role, "region": self._region}
        shown = ", ".join(f"{name}={value!r}" for name, value in known.items() if value is not None)
        return f"{type(self).__name__}({shown})"

    def __call__(self) -> AwsKeys:
        """The keys to sign with now. May block on the network."""
        for module in SIGNS:  # here and not at the first signature, for importing them would hold up the event loop
            botocore(module)
        if self._given is not None and self._role is None:
            return self._given
        failures = botocore("exceptions")
        try:
            held = self._credentials
            keys = None if held is None else held.get_frozen_credentials()
        except (failures.BotoCoreError, failures.ClientError) as error:
            raise AuthenticationError(f"AWS gave no credentials: {error}") from error
        if keys is None or not keys.access_key or not keys.secret_key:
            raise AuthenticationError(
                "no AWS credentials: give aws_access_key_id and aws_secret_access_key, aws_profile_name or "
                "AWS_BEARER_TOKEN_BEDROCK, or let botocore find some (https://docs.aws.amazon.com/sdkref/latest/"
                "guide/standardized-credentials.html)"
            )
        token = SecretStr(keys.token) if keys.token else None
        return AwsKeys(keys.access_key, SecretStr(keys.secret_key), token)

    @property
    def _credentials(self) -> Credentials | None:
        """What botocore renews by itself. Finding none is not remembered: there may be some later."""
        if self._held is None:
            self._held = self._own() if self._role is None else self._assumed(self._role)
        return self._held

    @cached_property
    def _session(self) -> Session:
        session: Session = botocore("session").Session(profile=self._profile)
        config = botocore("config").Config(
            connect_timeout=CONNECT_TIMEOUT, read_timeout=READ_TIMEOUT, retries={"total_max_attempts": 2}
        )
        session.set_default_client_config(config)
        return session

    def _own(self) -> Credentials | None:
        """Not yet those of the role."""
        if self._given is None:
            return self._session.get_credentials()
        token = self._given.session_token
        found: Credentials = botocore("credentials").Credentials(
            self._given.access_key,
            self._given.secret_key.get_secret_value(),
            None if token is None else token.get_secret_value(),
        )
        return found

    def _assumed(self, role: str) -> Credentials | None:
        """Those of the role, fetched when they are first asked for."""
        module = botocore("credentials")
        region = self._region or self._session.get_config_variable("region") or "us-east-1"
        client = partial(self._session.create_client, region_name=region, endpoint_url=self._sts_endpoint)
        refresh: Callable[[], object]
        if self._identity is not None:
            method = "assume-role-with-web-identity"
            refresh = module.AssumeRoleWithWebIdentityCredentialFetcher(
                client, partial(_identity, _text(self._identity)), role, extra_args=self._assumed_as
            ).fetch_credentials
        else:
            source = self._own()
            if source is None:
                return None
            method = "assume-role"
            refresh = module.AssumeRoleCredentialFetcher(
                client, source, role, extra_args=self._assumed_as
            ).fetch_credentials
        assumed: Credentials = module.DeferredRefreshableCredentials(method=method, refresh_using=refresh)
        return assumed


def _identity(token: str) -> str:
    """The current token, from its file if it is the path of one."""
    if not token.startswith(("/", "~", "./", "../")):
        return token
    try:
        return Path(token).expanduser().read_text(encoding="utf-8").strip()
    except OSError as error:
        raise AuthenticationError(f"web_identity_token: {error}") from error


def _text(secret: Secret) -> str:
    return secret if isinstance(secret, str) else secret.get_secret_value()


_NEEDS = {
    "access_key": "secret_key",
    "secret_key": "access_key",
    "session_token": "access_key",
    "session_name": "role",
    "external_id": "role",
    "web_identity_token": "role",
    "sts_endpoint": "role",
}
"""What says nothing without the other."""
_EXCLUDES = (("access_key", "profile"), ("web_identity_token", "access_key"), ("web_identity_token", "profile"))


def _check(given: dict[str, Secret | None]) -> None:
    for name, value in given.items():
        if value is not None and not _text(value):
            raise ConfigurationError(f"{name} is empty; leave it out instead")
    for name, other in _NEEDS.items():
        if given[name] is not None and given[other] is None:
            raise ConfigurationError(f"{name} says nothing without {other}")
    for name, other in _EXCLUDES:
        if given[name] is not None and given[other] is not None:
            raise ConfigurationError(f"{name} and {other} exclude each other: give one of them")
