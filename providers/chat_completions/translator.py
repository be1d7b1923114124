"""The provider for vendors that speak chat completions."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import ClassVar, Final

from providers.azure_ai import AzureAI
from providers.chat_completions.address import azure_ai_url, azure_url, chat_url, models_url
from providers.chat_completions.answer import Answer
from providers.chat_completions.idioms import Idiom
from providers.chat_completions.parts import to_download
from providers.chat_completions.request import written
from providers.chat_completions.vendors import MISTRAL, idiom_of, table_of
from providers.errors import APIError, ServiceUnavailableError
from providers.faults import error_in_reply
from providers.google.address import vertex, vertex_openapi
from providers.queries import with_query
from providers.translation.asked import Asked, merged
from providers.translation.narrator import Narrator, mint
from providers.translation.tools import Naming
from providers.translation.translator import Listener, Translator
from providers.types import Call, Deployment, HttpReply, HttpRequest, JsonObject, Token

_NO_CAPACITY: Final = 498
"""Groq: the flex tier has no room."""


class ChatCompletions(Translator):
    """A vendor, by its name in `vendors`; a server of any other name is spoken to with nothing special."""

    naming: ClassVar[Naming] = Naming(re.compile(r"[^a-zA-Z0-9_-]"), 64)

    def __init__(
        self,
        name: str = "openai_compatible",
        default_base: str | None = None,
        *,
        wall: Callable[[], float] = time.time,
        mint: Callable[[], str] = mint,
    ) -> None:
        super().__init__(name, default_base, wall=wall, mint=mint)
        self._idiom = idiom_of(name)
        self.table = table_of(self._idiom)

    def idiom(self, deployment: Deployment) -> Idiom:
        """How a deployment is spoken to."""
        return self._idiom

    # see Translator

    def address(self, asked: Asked) -> str:
        """See `Translator.address`."""
        url, query = self.location(asked)
        return with_query(url, query, asked.deployment.query, asked.call.query)

    def location(self, asked: Asked) -> tuple[str, str]:
        """The URL, and the query string of `api_base`."""
        return chat_url(asked.deployment.api_base or self.default_base or "", self._idiom.version)

    def models(self, asked: Asked) -> str | None:
        """Beside the chat completions: see `models_url`."""
        url, query = self.location(asked)
        return with_query(models_url(url), query, asked.deployment.query)

    def credential(self, deployment: Deployment, key: str, *, is_token: bool) -> tuple[str, str]:
        """The header that says who calls, with `key` an API key or a bearer token."""
        return "authorization", f"Bearer {key}"

    def authorize(self, request: HttpRequest, deployment: Deployment, token: Token | None) -> HttpRequest:
        """See `Translator.authorize`. A header that the deployment sets itself is left alone."""
        if isinstance(token, str):
            name, value = self.credential(deployment, token, is_token=True)
        elif deployment.api_key is not None and deployment.token_source is None:
            name, value = self.credential(deployment, deployment.api_key.get_secret_value(), is_token=False)
        else:
            return request
        if name in request.headers:
            return request
        return replace(request, headers={**request.headers, name: value})

    def headers(self, asked: Asked) -> Mapping[str, str]:
        """OpenAI's, for the organisation and the project that are billed."""
        found = {
            "openai-organization": asked.deployment.organization,
            "openai-project": asked.deployment.project,
        }
        return {name: value for name, value in found.items() if value}

    def write(self, asked: Asked) -> JsonObject:
        """See `Translator.write`."""
        return written(asked, self.idiom(asked.deployment), self.naming)

    def read(self, json: JsonObject, narrator: Narrator, call: Call, deployment: Deployment) -> None:
        """See `Translator.read`."""
        Answer(narrator, self.idiom(deployment), call).read(json)

    def listener(self, narrator: Narrator, call: Call, deployment: Deployment) -> Listener:
        """See `Translator.listener`."""
        return Answer(narrator, self.idiom(deployment), call)

    def blame(self, reply: HttpReply, call: Call) -> APIError:
        """As OpenAI's, which nearly all imitate."""
        error = error_in_reply(reply, call)
        if reply.status != _NO_CAPACITY:
            return error
        return ServiceUnavailableError(
            error.message,
            status_code=error.status_code,
            code=error.code,
            type=error.type,
            request_id=error.request_id,
            retry_after=error.retry_after,
            body=error.body,
        )

    def remote(self, call: Call, deployment: Deployment) -> Sequence[str]:
        """Documents, and for some vendors images, that are named by their addresses."""
        if not call.history and isinstance(merged(call, deployment).get("input"), str):
            return ()
        asked = Asked.of(replace(call, drop_params=True), deployment, self.table, self.name)
        return tuple(dict.fromkeys(to_download(asked, self.idiom(deployment))))


class AzureChat(ChatCompletions):
    """A deployment of Azure OpenAI."""

    def location(self, asked: Asked) -> tuple[str, str]:
        """Below the deployment, or the v1 API: see `azure_url`."""
        return azure_url(asked.deployment, asked.model)

    def credential(self, deployment: Deployment, key: str, *, is_token: bool) -> tuple[str, str]:
        """`api-key`, or a bearer token."""
        return ("authorization", f"Bearer {key}") if is_token else ("api-key", key)


class AzureAIChat(ChatCompletions):
    """A model of Azure AI Foundry, or a serverless endpoint."""

    def location(self, asked: Asked) -> tuple[str, str]:
        """See `azure_ai_url`."""
        return azure_ai_url(asked.deployment)

    def credential(self, deployment: Deployment, key: str, *, is_token: bool) -> tuple[str, str]:
        """As for its Responses API: `api-key` at Azure's hosts outside a project, a bearer token elsewhere."""
        return AzureAI(self.name).authorization(deployment, key, is_token=is_token)

    def headers(self, asked: Asked) -> Mapping[str, str]:
        """The model inference API refuses what it does not know, unless it is told to pass it to the model."""
        return {**super().headers(asked), "extra-parameters": "pass-through"}


class VertexChat(ChatCompletions):
    """An open model that Vertex AI serves (`meta/llama-…-maas`), or one of Mistral's there."""

    def idiom(self, deployment: Deployment) -> Idiom:
        """Mistral's models have their own."""
        return MISTRAL if _is_mistral(deployment.model) else self._idiom

    def location(self, asked: Asked) -> tuple[str, str]:
        """Google's OpenAI-compatible endpoint; Mistral's models are called by name."""
        deployment = asked.deployment
        if not _is_mistral(deployment.model):
            url, query = vertex_openapi(deployment)
            return f"{url}/chat/completions", query
        url, query = vertex(deployment, asked.model.rpartition("/")[2], "mistralai")
        return f"{url}:{'streamRawPredict' if asked.stream else 'rawPredict'}", query

    def models(self, asked: Asked) -> None:
        """None: Vertex AI lists models elsewhere."""
        return

    def headers(self, asked: Asked) -> Mapping[str, str]:
        """None: its project is a part of the address."""
        return {}


def _is_mistral(model: str) -> bool:
    return model.rpartition("/")[2].startswith(("mistral", "codestral", "ministral"))
