"""The providers that speak to Claude: at Anthropic, on Vertex AI, on Microsoft Foundry."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Final, cast

from providers.errors import APIError
from providers.google import address as google
from providers.messages import address
from providers.messages.blame import error_of_reply
from providers.messages.generations import generation
from providers.messages.reply import Reply
from providers.messages.request import write
from providers.messages.table import TABLE
from providers.messages.tools import NAMING
from providers.queries import with_query
from providers.translation.asked import Asked, wrong
from providers.translation.conversation import conversation
from providers.translation.entries import Address, File, FunctionOutput, Image, Said, Stored
from providers.translation.narrator import Narrator
from providers.translation.translator import Translator
from providers.types import Call, Deployment, HttpReply, HttpRequest, JsonObject, Token

_OAUTH: Final = "sk-ant-oat"
"""What tokens of OAuth begin with, which are no API keys."""
_BETA: Final = "anthropic-beta"
_BINDING: Final = "thinking-binding-controls-2026-08-01"
_VERTEX_VERSION: Final = "vertex-2023-10-16"
_ELSEWHERE: Final = "global"
"""Where Claude is on Vertex AI, if the deployment does not say: not every region has it."""


class Messages(Translator):
    """Claude at Anthropic, or behind a gateway that speaks as Anthropic does."""

    table = TABLE
    naming = NAMING
    listed = frozenset({_BETA})
    binding = True
    """Whether it can be told to leave out thinking that is bound to another conversation."""

    # where and who: what subclasses change

    def endpoint(self, deployment: Deployment) -> tuple[str, str]:
        """The URL, and the query string of `api_base`."""
        return address.messages(deployment.api_base or self.default_base or address.ANTHROPIC_BASE)

    def version(self, deployment: Deployment) -> str:
        """The version of the API that is spoken."""
        given = deployment.api_version
        return given if given is not None and address.is_version(given) else address.VERSION

    def credentials(self, key: str, *, is_token: bool) -> Mapping[str, str]:
        """The headers that say who calls."""
        bearer = is_token or key.startswith(_OAUTH)
        return {"authorization": f"Bearer {key}"} if bearer else {"x-api-key": key}

    # the translation

    def address(self, asked: Asked) -> str:
        """The URL, with the query strings of base, deployment and call."""
        deployment, call = asked.deployment, asked.call
        found = deployment.memo.get("messages_url")
        if found is None:
            found = deployment.memo["messages_url"] = with_query(*self.endpoint(deployment), deployment.query)
        url = cast("str", found)
        return with_query(*url.partition("?")[::2], call.query) if call.query else url

    def models(self, asked: Asked) -> str | None:
        """`/v1/models`."""
        url, query = self.endpoint(asked.deployment)
        return with_query(f"{url.removesuffix('/messages')}/models", query, asked.deployment.query)

    def headers(self, asked: Asked) -> Mapping[str, str]:
        """The version of the API, and what is asked for of what it does not have yet."""
        headers = {"anthropic-version": self.version(asked.deployment)}
        if self.binding and _thought_before(asked) and generation(asked.deployment, asked.model).bound:
            headers[_BETA] = _BINDING
        return headers

    def authorize(self, request: HttpRequest, deployment: Deployment, token: Token | None) -> HttpRequest:
        """With who calls, unless headers of one's own say it."""
        if any(name in request.headers for name in ("authorization", "x-api-key", "api-key")):
            return request
        if isinstance(token, str):
            said = self.credentials(token, is_token=True)
        elif deployment.api_key is not None and deployment.token_source is None:
            said = self.credentials(deployment.api_key.get_secret_value(), is_token=False)
        else:
            return request
        return replace(request, headers={**request.headers, **said})

    def write(self, asked: Asked) -> JsonObject:
        """The body."""
        return write(asked, self.version(asked.deployment), binding=self.binding)

    def read(self, json: JsonObject, narrator: Narrator, call: Call, deployment: Deployment) -> None:
        """Tell a whole message."""
        Reply(narrator, call, deployment).whole(json)

    def listener(self, narrator: Narrator, call: Call, deployment: Deployment) -> Reply:
        """What follows a stream."""
        return Reply(narrator, call, deployment)

    def blame(self, reply: HttpReply, call: Call) -> APIError:
        """By Anthropic's types and codes."""
        return error_of_reply(reply, call)


class FoundryMessages(Messages):
    """Claude on Microsoft Foundry: `azure_ai/claude-…`."""

    binding = False

    def endpoint(self, deployment: Deployment) -> tuple[str, str]:
        """`/anthropic/v1/messages`."""
        return address.foundry(deployment.api_base or "")

    def models(self, asked: Asked) -> None:
        """None: there is no Models API."""
        return

    def credentials(self, key: str, *, is_token: bool) -> Mapping[str, str]:
        """Both names that a key has had there, or a token of Entra ID."""
        return {"authorization": f"Bearer {key}"} if is_token else {"x-api-key": key, "api-key": key}


class VertexMessages(Messages):
    """Claude on Vertex AI: `vertex_ai/claude-…`. It fetches no files, so they are downloaded for it."""

    binding = False

    def address(self, asked: Asked) -> str:
        """The model's URL, which depends on whether the answer is streamed."""
        deployment = asked.deployment
        own = deployment.api_version
        if own is not None and address.is_version(own):  # of Anthropic's API, not of Google's
            deployment = replace(deployment, api_version=None)
        if deployment.region is None and not deployment.api_base:
            deployment = replace(deployment, region=_ELSEWHERE)
        url, query = google.vertex(deployment, asked.model, "anthropic")
        method = "streamRawPredict" if asked.stream else "rawPredict"
        return with_query(f"{url}:{method}", query, deployment.query, asked.call.query)

    def models(self, asked: Asked) -> None:
        """None: Vertex AI lists models elsewhere."""
        return

    def headers(self, asked: Asked) -> Mapping[str, str]:
        """None: the version stands in the body."""
        return {}

    def credentials(self, key: str, *, is_token: bool) -> Mapping[str, str]:
        """A bearer token."""
        return {"authorization": f"Bearer {key}"}

    def write(self, asked: Asked) -> JsonObject:
        """The body, with the version and without the model."""
        body = super().write(asked)
        del body["model"]
        own = asked.deployment.api_version
        body["anthropic_version"] = own if own is not None and address.is_version(own) else _VERTEX_VERSION
        return body

    def version(self, deployment: Deployment) -> str:
        """What Vertex AI's first version is called at Anthropic, unless another is asked for."""
        version = super().version(deployment)
        return address.VERSION if version == _VERTEX_VERSION else version

    def remote(self, call: Call, deployment: Deployment) -> Sequence[str]:
        """Images and documents that are given by their address; there is no Files API, so none has an id there.

        Source: Anthropic's documentation, Files API, platform support.
        """
        asked = Asked.of(call, deployment, self.table, self.name)
        parts = [
            part
            for entry in conversation(asked)
            if isinstance(entry, (Said, FunctionOutput))
            for part in entry.parts
            if isinstance(part, (Image, File))
        ]
        stored = next((part.where for part in parts if isinstance(part.source, Stored)), None)
        if stored is not None:
            raise wrong(f"{stored}.file_id", "Vertex AI keeps no files for Claude; send the content")
        return [part.source.url for part in parts if isinstance(part.source, Address)]


def _thought_before(asked: Asked) -> bool:
    """Whether the turns before may have reasoning."""
    given = asked.get("input")
    items = (*asked.call.history, *(given if isinstance(given, list) else ()))
    return any(isinstance(item, dict) and item.get("type") == "reasoning" for item in items)
