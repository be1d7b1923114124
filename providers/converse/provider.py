"""The provider that speaks Converse: every model of Amazon Bedrock, but for OpenAI's newer ones."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from providers.aws.address import converse_url
from providers.aws.authority import authorized
from providers.aws.faults import error_in_reply
from providers.converse.families import Family, family, seal
from providers.converse.listening import Frames, Listening
from providers.converse.request import write
from providers.converse.table import TABLE
from providers.converse.tools import NAMING
from providers.errors import APIError
from providers.queries import with_query
from providers.translation.asked import Asked, merged
from providers.translation.conversation import conversation
from providers.translation.entries import Address, File, FunctionOutput, Image, Said
from providers.translation.narrator import Narrator
from providers.translation.translator import Translator
from providers.types import Call, Deployment, HttpReply, HttpRequest, JsonObject, Token

_STREAM: Final = "application/vnd.amazon.eventstream"


class Converse(Translator):
    """Models of Amazon Bedrock: `bedrock/<model id, inference profile or ARN>`."""

    table = TABLE
    naming = NAMING

    def address(self, asked: Asked) -> str:
        """The model's URL, which depends on whether the answer is streamed."""
        url, _, query = converse_url(asked.deployment, asked.model, stream=asked.stream).partition("?")
        return with_query(url, query, asked.deployment.query, asked.call.query)

    def headers(self, asked: Asked) -> dict[str, str]:
        """Streams are of Amazon's own framing."""
        return {"accept": _STREAM} if asked.stream else {}

    def authorize(self, request: HttpRequest, deployment: Deployment, token: Token | None) -> HttpRequest:
        """Signed, or with a bearer key."""
        return authorized(request, deployment, token)

    def write(self, asked: Asked) -> JsonObject:
        """The body."""
        return write(asked)

    def read(self, json: JsonObject, narrator: Narrator, call: Call, deployment: Deployment) -> None:
        """Tell a whole reply."""
        self.listener(narrator, call, deployment).read(json)

    def framing(self) -> Frames:
        """Amazon's event streams."""
        return Frames()

    def listener(self, narrator: Narrator, call: Call, deployment: Deployment) -> Listening:
        """What follows a stream."""
        model = deployment.model.replace("*", call.wildcard, 1) if call.wildcard else deployment.model
        return Listening(narrator, seal(deployment, model), claude=family(deployment, model) is Family.CLAUDE)

    def blame(self, reply: HttpReply, call: Call) -> APIError:
        """By the names of Amazon's exceptions."""
        return error_in_reply(reply)

    def remote(self, call: Call, deployment: Deployment) -> Sequence[str]:
        """Images and documents that are given by their address: Bedrock fetches none but from S3."""
        if not call.history and isinstance(merged(call, deployment).get("input"), str):
            return ()
        asked = Asked.of(call, deployment, self.table, self.name)
        told = (entry for entry in conversation(asked) if isinstance(entry, (Said, FunctionOutput)))
        parts = (part for entry in told for part in entry.parts if isinstance(part, (Image, File)))
        urls = [part.source.url for part in parts if isinstance(part.source, Address)]
        return list(dict.fromkeys(url for url in urls if url.lower().startswith(("http://", "https://"))))
