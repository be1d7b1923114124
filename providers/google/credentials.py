"""Bearer tokens from Google's credentials, by google-auth: what a deployment on Vertex AI has as its token source.

google-auth finds, signs, exchanges and impersonates; this decides when it is asked, and bounds how long that takes. It
is imported on first use: `pip install 'homing-router[vertex]'`.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Protocol

from providers import jsonio
from providers.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Iterator

CLOUD_PLATFORM: Final = "https://www.googleapis.com/auth/cloud-platform"
"""The scope of Vertex AI."""
PATIENCE: Final = 8.0
"""Seconds one request to a token server may take: less than the Router waits for a token."""

_AWS: Final = "urn:ietf:params:aws:token-type:aws4_request"
_CLASSES: Final[Mapping[str, tuple[str, str, str]]] = {
    "service_account": ("google.oauth2.service_account", "Credentials", "from_service_account_info"),
    "authorized_user": ("google.oauth2.credentials", "Credentials", "from_authorized_user_info"),
    "impersonated_service_account": (
        "google.auth.impersonated_credentials",
        "Credentials",
        "from_impersonated_service_account_info",
    ),
    "external_account": ("google.auth.identity_pool", "Credentials", "from_info"),
    "external_account_authorized_user": (
        "google.auth.external_account_authorized_user",
        "Credentials",
        "from_info",
    ),
}
"""What reads each `type` of credentials that Google's files have: module, class, constructor."""


class _Google(Protocol):
    """What google-auth's credentials have: it declares no types."""

    token: str | None
    valid: bool
    quota_project_id: str | None

    def refresh(self, request: Callable[..., object]) -> None: ...


class GoogleCredentials:
    """Called, it returns a bearer token: fetched on first use, and again some minutes before it expires.

    `credentials`: the JSON of a service account, an authorised user, workload identity (`external_account`) or an
    impersonation, as a mapping, as text or as a file's path; None for Application Default Credentials.
    `impersonate`: e-mail address of the service account to act as. `quota_project`: the project that is billed, if not
    the one called. May be called by several threads: one refreshes, the others wait.

    Raises `ConfigurationError` for credentials of the wrong form and when google-auth is missing; what google-auth
    raises if no token can be had.
    """

    def __init__(
        self,
        credentials: str | Mapping[str, object] | None = None,
        *,
        impersonate: str | None = None,
        quota_project: str | None = None,
        scopes: Sequence[str] = (CLOUD_PLATFORM,),
    ) -> None:
        self._given = credentials
        self._impersonate = impersonate
        self._quota_project = quota_project
        self._scopes = list(scopes)
        self._lock = threading.Lock()
        self._loaded: _Google | None = None
        self._project: str | None = None

    def __repr__(self) -> str:
        given = "default" if self._given is None else type(self._given).__name__
        return f"{type(self).__name__}({given}, impersonate={self._impersonate!r})"

    def __call__(self) -> str:
        """A token that is good for some minutes at least."""
        with self._lock, _requests() as request:
            loaded = self._loaded
            if loaded is None:
                loaded = self._loaded = self._load(request)
            if not loaded.valid:
                _refresh(loaded, request)
            token = loaded.token
        if not token:
            raise ConfigurationError("vertex_credentials: they yield no access token")
        return token

    @property
    def project(self) -> str | None:
        """The Google Cloud project they belong to; known once a token was fetched, if they tell."""
        return self._project

    @property
    def quota_project(self) -> str | None:
        """The project that is billed, if it isn't the one called; from a file once a token was fetched."""
        return self._quota_project or (self._loaded.quota_project_id if self._loaded is not None else None)

    def _load(self, request: Callable[..., object]) -> _Google:
        if self._given is None:
            loaded, self._project = _import("google.auth").default(scopes=self._scopes, request=request)
        else:
            info = _information(self._given)
            loaded, self._project = self._read(info), _project(info)
            if self._project is None and hasattr(loaded, "get_project_id"):
                self._project = loaded.get_project_id(request)
        if self._impersonate is not None:
            module = _import("google.auth.impersonated_credentials")
            loaded = module.Credentials(loaded, self._impersonate, self._scopes)
        found: _Google = loaded
        return found

    def _read(self, info: Mapping[str, object]) -> Any:
        """google-auth's object for the JSON of some credentials."""
        module, name, constructor = _reader(info)
        make = getattr(getattr(_import(module), name), constructor)
        try:
            # an authorised user has the scopes that were consented to, and can't ask for others
            if info["type"] in ("authorized_user", "external_account_authorized_user"):
                return make(info)
            return make(info, scopes=self._scopes)
        except (ValueError, KeyError, TypeError) as error:  # its readers fail in all these ways
            raise ConfigurationError(f"vertex_credentials: not a valid {info['type']}: {error}") from None


def _refresh(credentials: _Google, request: Callable[..., object]) -> None:
    """Fetch a token. One that could not be replaced in time is used for as long as it is valid."""
    try:
        credentials.refresh(request)
    except _import("google.auth.exceptions").GoogleAuthError:
        state = _import("google.auth.credentials").TokenState
        if getattr(credentials, "token_state", state.INVALID) is not state.STALE:
            raise


@contextmanager
def _requests() -> Iterator[Callable[..., object]]:
    """What google-auth sends requests with: nothing stays open until the next refresh, an hour later."""
    request = _import("google.auth.transport.requests").Request()
    try:
        yield partial(request, timeout=PATIENCE)
    finally:
        request.session.close()


def _import(name: str) -> Any:
    try:
        return import_module(name)
    except ImportError:
        raise ConfigurationError(
            "credentials of Google Cloud need google-auth: pip install 'homing-router[vertex]'"
        ) from None


def _information(given: str | Mapping[str, object]) -> Mapping[str, object]:
    """The JSON of credentials given as such, as text, or as the path of a file."""
    if isinstance(given, Mapping):
        return given
    text, where = given, "the text"
    if not given.lstrip().startswith("{"):
        where = given
        try:
            text = Path(os.path.expanduser(given)).read_text("utf-8")
        except (OSError, ValueError) as error:
            raise ConfigurationError(f"vertex_credentials: can't read {given}: {error}") from None
    try:
        info = jsonio.loads(text)
    except ValueError:
        raise ConfigurationError(f"vertex_credentials: {where} is not JSON") from None
    if not isinstance(info, dict):
        raise ConfigurationError(f"vertex_credentials: {where} is not a JSON object")
    return dict(info)


def _reader(info: Mapping[str, object]) -> tuple[str, str, str]:
    kind = info.get("type")
    found = _CLASSES.get(kind) if isinstance(kind, str) else None
    if found is None:
        raise ConfigurationError(f"vertex_credentials: type is {kind!r}; there are {', '.join(_CLASSES)}")
    if kind == "external_account":
        source = info.get("credential_source")
        if info.get("subject_token_type") == _AWS:
            return "google.auth.aws", "Credentials", "from_info"
        if isinstance(source, Mapping) and source.get("executable") is not None:
            return "google.auth.pluggable", "Credentials", "from_info"
    return found


def _project(info: Mapping[str, object]) -> str | None:
    """The project named by a file of credentials."""
    for name in ("project_id", "quota_project_id"):
        value = info.get(name)
        if isinstance(value, str) and value:
            return value
    return None
