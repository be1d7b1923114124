"""Signature Version 4 by botocore's signer, over exactly the URL that is sent.

The path is encoded once more for the signature, as every service but S3 demands: what is sent as `%3A` is signed as
`%253A`. Signed are the content type, the host, and all headers of Amazon's own; whatever else a transport adds is not.
Source: https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv-create-signed-request.html.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Final, cast

from providers.aws.sdk import botocore
from providers.types import AwsKeys, Deployment

if TYPE_CHECKING:
    from botocore.auth import SigV4Auth
    from botocore.awsrequest import AWSRequest

SERVICE: Final = "bedrock"
"""The name under which Bedrock's endpoints check signatures, `bedrock-runtime` included."""


class Signer:
    """Signs requests to one region with one set of keys. `clock` gives Unix time, seconds."""

    __slots__ = ("_auth", "_clock", "_request", "_token", "keys", "region")

    def __init__(
        self, keys: AwsKeys, region: str, service: str = SERVICE, *, clock: Callable[[], float] = time.time
    ) -> None:
        self.keys = keys
        self.region = region
        self._clock = clock
        token = self._token = None if keys.session_token is None else keys.session_token.get_secret_value()
        credentials = botocore("credentials").Credentials(
            keys.access_key, keys.secret_key.get_secret_value(), token, method="explicit"
        )
        self._auth: SigV4Auth = botocore("auth").SigV4Auth(credentials, service, region)
        self._request: type[AWSRequest] = botocore("awsrequest").AWSRequest

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.region!r})"

    def sign(self, method: str, url: str, headers: Mapping[str, str], content: bytes) -> dict[str, str]:
        """The headers to add. Names in `headers` are in lower case."""
        stamp = time.strftime("%Y%m%dT%H%M%SZ", time.gmtime(self._clock()))
        added = {"x-amz-date": stamp}
        if self._token is not None:
            added["x-amz-security-token"] = self._token
        signed = {name: value for name, value in headers.items() if _signed(name)} | added
        auth = self._auth
        request = self._request(method, url, signed, content)
        request.context["timestamp"] = stamp
        # the steps of its add_auth, which would also write the session token to the log
        signature = auth.signature(auth.string_to_sign(request, auth.canonical_request(request)), request)
        names = auth.signed_headers(auth.headers_to_sign(request))
        added["authorization"] = (
            f"AWS4-HMAC-SHA256 Credential={auth.scope(request)}, SignedHeaders={names}, Signature={signature}"
        )
        return added


def signer(deployment: Deployment, keys: AwsKeys, region: str) -> Signer:
    """The signer of a deployment, kept until its keys are others."""
    held = cast("Signer | None", deployment.memo.get("signer"))
    if held is None or held.keys != keys or held.region != region:
        held = deployment.memo["signer"] = Signer(keys, region)
    return held


def _signed(name: str) -> bool:
    return name in ("content-type", "host") or name.startswith("x-amz")
