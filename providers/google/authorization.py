"""How Google is told who calls: a bearer token, or an API key in a header, never in the URL."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Final

from providers.types import Deployment, HttpRequest, Token

_TOKEN: Final = "ya29."
"""What Google's access tokens begin with. Given for a key, one is still a token."""


def authorized(request: HttpRequest, deployment: Deployment, token: Token | None) -> HttpRequest:
    """The request with who calls, and who is billed if that is another project; unless its headers say it already."""
    own = {name: value for name, value in _headers(deployment, token).items() if name not in request.headers}
    return replace(request, headers={**request.headers, **own}) if own else request


def _headers(deployment: Deployment, token: Token | None) -> Mapping[str, str]:
    if isinstance(token, str):
        headers = {"authorization": f"Bearer {token}"}
        payer = getattr(deployment.token_source, "quota_project", None)
        if isinstance(payer, str):
            headers["x-goog-user-project"] = payer
        return headers
    if deployment.api_key is not None:
        key = deployment.api_key.get_secret_value()
        return {"authorization": f"Bearer {key}"} if key.startswith(_TOKEN) else {"x-goog-api-key": key}
    return {}
