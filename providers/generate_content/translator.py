"""The Gemini API and Vertex AI: where a call goes, what is sent, and what an answer means."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from providers.errors import APIError
from providers.generate_content import media
from providers.generate_content.errors import error_in_reply
from providers.generate_content.framing import GeminiFraming
from providers.generate_content.listener import GeminiListener
from providers.generate_content.request import write
from providers.generate_content.table import GEMINI, VERTEX
from providers.generate_content.tools import NAMING
from providers.google.address import gemini, models_of, vertex
from providers.google.authorization import authorized
from providers.queries import with_query
from providers.translation.asked import Asked
from providers.translation.narrator import Narrator
from providers.translation.parameters import Table
from providers.translation.tools import Naming
from providers.translation.translator import Translator
from providers.types import Call, Deployment, HttpReply, HttpRequest, JsonObject, Token


class GenerateContent(Translator):
    """The Gemini API, by an API key."""

    table: Table = GEMINI
    naming: ClassVar[Naming] = NAMING
    labels: bool = False
    """Whether metadata becomes labels."""

    def model_url(self, asked: Asked) -> tuple[str, str]:
        """The URL of the model, and the query string that `api_base` has."""
        return gemini(asked.deployment, asked.model, self.default_base)

    def address(self, asked: Asked) -> str:
        """The URL of the model's method: one for whole replies, one for streams."""
        url, query = self.model_url(asked)
        method = "streamGenerateContent" if asked.stream else "generateContent"
        sse = "alt=sse" if asked.stream else ""
        return with_query(f"{url}:{method}", query, asked.deployment.query, asked.call.query, sse)

    def models(self, asked: Asked) -> str | None:
        """The collection that the model is in."""
        url, query = self.model_url(asked)
        return with_query(models_of(url), query, asked.deployment.query)

    def authorize(self, request: HttpRequest, deployment: Deployment, token: Token | None) -> HttpRequest:
        """The request with an API key or a bearer token."""
        return authorized(request, deployment, token)

    def write(self, asked: Asked) -> JsonObject:
        """The body of a `GenerateContentRequest`."""
        return write(asked, labels=self.labels)

    def read(self, json: JsonObject, narrator: Narrator, call: Call, deployment: Deployment) -> None:
        """A `GenerateContentResponse`: a stream of one frame."""
        listener = GeminiListener(narrator)
        listener.hear(json)
        listener.end()

    def listener(self, narrator: Narrator, call: Call, deployment: Deployment) -> GeminiListener:
        """What follows a stream."""
        return GeminiListener(narrator)

    def framing(self) -> GeminiFraming:
        """Server-sent events, mostly."""
        return GeminiFraming()

    def blame(self, reply: HttpReply, call: Call) -> APIError:
        """The error that a reply stands for."""
        return error_in_reply(reply)

    def remote(self, call: Call, deployment: Deployment) -> Sequence[str]:
        """Addresses of files that Google does not fetch by itself."""
        return media.remote(call, deployment)


class VertexGenerateContent(GenerateContent):
    """Vertex AI, by a bearer token, or by an API key in its express mode."""

    table = VERTEX
    labels = True

    def model_url(self, asked: Asked) -> tuple[str, str]:
        """The URL of the model, or of an endpoint, and the query string that `api_base` has."""
        return vertex(asked.deployment, asked.model)

    def models(self, asked: Asked) -> None:
        """None: Vertex AI lists models elsewhere."""
        return
