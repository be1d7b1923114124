"""OpenAI's models at Amazon Bedrock, which speak the Responses API there too.

Source: https://docs.aws.amazon.com/bedrock/latest/userguide/bedrock-mantle.html and inference-openai; what differs from
OpenAI's own (no background, no addresses of images) as in LiteLLM's llms/bedrock/responses/transformation.py.
"""

from __future__ import annotations

import base64
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import cast

from providers.aws.address import model_name, responses_url
from providers.aws.authority import authorized
from providers.aws.faults import error_in_reply, is_own
from providers.errors import UnsupportedParamsError
from providers.openai import OpenAI
from providers.translation.asked import plain
from providers.types import Call, Deployment, Fetched, HttpReply, HttpRequest, Json, JsonObject, Token
from providers.views import Routed

_IMAGE = "image_url"


class BedrockResponses(OpenAI):
    """`bedrock/openai.gpt-…`: at `/openai/v1/responses` of a region's runtime, signed or with a bearer key."""

    def address(self, deployment: Deployment) -> tuple[str, str]:
        """The region's URL."""
        url, _, query = responses_url(deployment, deployment.model).partition("?")
        return url, query

    def model(self, call: Call, deployment: Deployment) -> str:
        """The model's id, without its region."""
        return model_name(super().model(call, deployment)).id

    def remote(self, call: Call, deployment: Deployment) -> Sequence[str]:
        """Images that are given by their address, which Bedrock does not fetch."""
        given = call.body.get("input")
        if given is None or isinstance(given, str):
            return ()
        return list(dict.fromkeys(_addresses(plain(given))))

    def encode(self, call: Call, deployment: Deployment, token: Token | None = None) -> HttpRequest:
        """The request to send, signed. Raises `UnsupportedParamsError` for a background call."""
        if {**deployment.defaults, **call.body, **deployment.extra_body, **call.extra_body}.get("background"):
            raise UnsupportedParamsError(
                f"background: not supported by {self.name}: there is no background mode",
                param="background",
                code="unsupported_parameter",
                type="invalid_request_error",
            )
        if call.fetched:
            told = _inlined(plain(call.body.get("input")), call.fetched)
            call = replace(call, body={**call.body, "input": told})
        request = super().encode(call, deployment, None if deployment.token_source is not None else token)
        return authorized(request, deployment, token)

    def listing(self, deployment: Deployment, token: Token | None = None) -> None:
        """None: the runtime has no list of models."""
        return

    def decode(self, reply: HttpReply, call: Call, deployment: Deployment) -> Routed:
        """As OpenAI's, with errors in Amazon's way too."""
        if not 200 <= reply.status < 300 and is_own(reply):
            raise error_in_reply(reply)
        return super().decode(reply, call, deployment)


def _addresses(json: Json) -> Iterator[str]:
    """The addresses of the images in `json`."""
    for value in json if isinstance(json, list) else ():
        yield from _addresses(value)
    if isinstance(json, dict):
        url = json.get(_IMAGE)
        if isinstance(url, str) and url.lower().startswith(("http://", "https://")):
            yield url
        for name in ("content", "output"):
            yield from _addresses(json.get(name))


def _inlined(json: Json, fetched: Mapping[str, Fetched]) -> Json:
    """`json` with the images themselves instead of their addresses."""
    if isinstance(json, list):
        return [_inlined(value, fetched) for value in json]
    if not isinstance(json, dict):
        return json
    said: JsonObject = {
        name: _inlined(value, fetched) if name in ("content", "output") else value for name, value in json.items()
    }
    image = fetched.get(cast("str", said.get(_IMAGE))) if isinstance(said.get(_IMAGE), str) else None
    if image is not None:
        said[_IMAGE] = f"data:{image.media_type};base64,{base64.b64encode(image.content).decode()}"
    return said
