"""Says who calls Bedrock: a signature, or a bearer key.

Source: https://docs.aws.amazon.com/bedrock/latest/userguide/api-keys.html; signatures as in `signing`.
"""

from __future__ import annotations

from dataclasses import replace

from providers.aws.address import signing_region
from providers.aws.signing import signer
from providers.types import AwsKeys, Deployment, HttpRequest, Token


def authorized(request: HttpRequest, deployment: Deployment, token: Token | None) -> HttpRequest:
    """`request` with who calls, unless headers of the deployment's own say it."""
    headers = request.headers
    if "authorization" in headers:
        return request
    if isinstance(token, AwsKeys):
        made = signer(deployment, token, signing_region(request.url, deployment))
        added = made.sign(request.method, request.url, headers, request.content)
    elif token is not None:
        added = {"authorization": f"Bearer {token}"}
    elif deployment.api_key is not None and deployment.token_source is None:
        added = {"authorization": f"Bearer {deployment.api_key.get_secret_value()}"}
    else:
        return request
    return replace(request, headers={**headers, **added})
