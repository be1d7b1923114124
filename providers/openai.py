"""OpenAI's Responses API, and every endpoint that speaks it: the body passes through, only the address differs.

URL rules follow what users of `api_base` expect: none means OpenAI; `…/v1` and `…/v1/responses` are the same place.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import cast
from urllib.parse import quote

from providers import conversations, jsonio
from providers.errors import APIError, BadRequestError
from providers.faults import error_in_event, error_in_reply, error_in_response, malformed, request_id
from providers.headers import asked_wait
from providers.queries import joined_query, with_query
from providers.sse import SseDecoder
from providers.types import Call, Deployment, HttpReply, HttpRequest, JsonObject, Token, Verb
from providers.views import (
    CompactedResponse,
    Conversation,
    ConversationItem,
    Deleted,
    Event,
    InputTokens,
    ItemPage,
    Response,
    Routed,
)

_METHODS = {Verb.GET: "GET", Verb.DELETE: "DELETE", Verb.INPUT_ITEMS: "GET", **conversations.METHODS}
_SUFFIXES = {Verb.CANCEL: "/cancel", Verb.INPUT_ITEMS: "/input_items", Verb.COMPACT: "/compact"}
_UNKNOWN = ("stop", "seed", "frequency_penalty", "presence_penalty")
"""Parameters of chat completions that OpenAI's own Responses API refuses; others that speak it may take them."""
_OPENAIS = frozenset({"openai", "azure", "azure_ai"})
_VIEWS: Mapping[Verb, type[Routed]] = {
    Verb.DELETE: Deleted,
    Verb.INPUT_ITEMS: ItemPage,
    Verb.COMPACT: CompactedResponse,
    Verb.INPUT_TOKENS: InputTokens,
    Verb.CREATE_CONVERSATION: Conversation,
    Verb.GET_CONVERSATION: Conversation,
    Verb.UPDATE_CONVERSATION: Conversation,
    Verb.DELETE_CONVERSATION: Deleted,
    Verb.CREATE_CONVERSATION_ITEMS: ItemPage,
    Verb.LIST_CONVERSATION_ITEMS: ItemPage,
    Verb.GET_CONVERSATION_ITEM: ConversationItem,
    Verb.DELETE_CONVERSATION_ITEM: Conversation,
}
_DELETIONS: Mapping[Verb, JsonObject] = {
    Verb.DELETE: {"object": "response", "deleted": True},
    Verb.DELETE_CONVERSATION: {"object": "conversation.deleted", "deleted": True},
}
"""What a deletion that is answered with nothing says, besides the id."""
_NOWHERE = frozenset({404, 405})
"""Statuses of an address where there is nothing."""


class OpenAI:
    """The native provider. A subclass says where an endpoint is and how it is told who calls."""

    def __init__(self, name: str = "openai", default_base: str | None = None) -> None:
        self.name = name
        self._default_base = default_base
        self._unknown = _UNKNOWN if name in _OPENAIS else ()

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.name!r})"

    # where and who: what subclasses change

    def address(self, deployment: Deployment) -> tuple[str, str]:
        """URL of the collection of responses, and the query string that goes with every request."""
        base, _, query = (deployment.api_base or self._default_base or "").partition("?")
        base = base.rstrip("/").removesuffix("/responses")
        return f"{base}/responses", query

    def authorization(self, deployment: Deployment, key: str, *, is_token: bool) -> tuple[str, str]:
        """The header that says who calls, with `key` an API key or a bearer token."""
        return "authorization", f"Bearer {key}"

    # the three translations

    def remote(self, call: Call, deployment: Deployment) -> Sequence[str]:
        """None: the deployment fetches what it is given the address of."""
        return ()

    def encode(self, call: Call, deployment: Deployment, token: Token | None = None) -> HttpRequest:
        """The request to send: the caller's body under the deployment's name for the model.

        Raises `UnsupportedParamsError` for an operation on conversations where there are none.
        """
        target = self._target(deployment)
        verb = call.verb
        if verb.of_conversations and self.name not in conversations.VENDORS:
            raise conversations.refusal(self.name)
        headers = self._headers(deployment, token)
        if call.headers:
            headers = {**headers, **{name.lower(): value for name, value in call.headers.items()}}
        if verb is Verb.CREATE and not call.query:
            url, method = target.create_url, "POST"
        else:
            url, method = self._url(target, call), _METHODS.get(verb, "POST")
        if not verb.has_body:
            return HttpRequest(method, url, headers)
        if verb.of_conversations:  # which no model reads: nothing of what a deployment says of responses
            return HttpRequest(method, url, headers, jsonio.dumps({**call.body, **call.extra_body}))
        dropped = self._dropped(call, deployment)
        content = self._content(call, deployment, dropped)
        if not dropped:
            return HttpRequest(method, url, headers, content)
        told = tuple(f"{name}: the Responses API has no word for it" for name in dropped)
        return HttpRequest(method, url, headers, content, told)

    def listing(self, deployment: Deployment, token: Token | None = None) -> HttpRequest | None:
        """Beside the collection of responses: `…/models`."""
        target = self._target(deployment)
        url = with_query(f"{target.url.removesuffix('/responses')}/models", target.query)
        return HttpRequest("GET", url, self._headers(deployment, token))

    def decode(self, reply: HttpReply, call: Call, deployment: Deployment) -> Routed:
        """The answer as a view over its JSON; anything else is raised as what it is."""
        if not 200 <= reply.status < 300:
            error = error_in_reply(reply, call)
            # with a parameter, it is what that names that is not there
            if call.verb is Verb.CREATE_CONVERSATION and reply.status in _NOWHERE and error.param is None:
                said = f"it answered with {reply.status}: {error.message}"
                raise conversations.refusal(f"deployment {deployment.id!r}", said)
            raise error
        if call.verb in _DELETIONS and not reply.content.strip():
            return Deleted({"id": call.conversation_id or call.response_id, **_DELETIONS[call.verb]})
        try:
            json, raw = jsonio.exact(reply.content)
        except ValueError:
            raise self._blame(malformed("the reply is not JSON", reply.content), reply) from None
        if not isinstance(json, dict):
            raise self._blame(malformed("the reply is not a JSON object", reply.content), reply)
        # an item may tell of an error of its own
        if _is_error(json) and not (call.verb is Verb.GET_CONVERSATION_ITEM and "id" in json):
            raise self._blame(error_in_event(json, call), reply)
        if call.verb is Verb.CREATE and json.get("status") == "failed":
            failure = error_in_response(json)
            if failure is not None:
                raise self._blame(failure, reply)
        return _VIEWS.get(call.verb, Response)(json, raw=raw)

    def events(self, call: Call, deployment: Deployment) -> SseDecoder:
        """A decoder for one streamed reply."""
        return SseDecoder()

    def fault(self, event: Event) -> APIError | None:
        """An error frame (nested, flat or without a type), or a response that the deployment failed."""
        json = event.to_dict()
        kind, response = json.get("type"), json.get("response")
        if kind == "response.failed" and isinstance(response, dict):
            return error_in_response(response)
        # as in the OpenAI SDK, an `error` makes any event an error
        return error_in_event(json) if kind in ("error", "response.failed") or json.get("error") else None

    # parts

    def _headers(self, deployment: Deployment, token: Token | None) -> dict[str, str]:
        """Those of every request to a deployment."""
        headers = self._target(deployment).headers
        if isinstance(token, str):
            headers = {**headers, **self._authorized(deployment, token, is_token=True)}
        return headers

    def _authorized(self, deployment: Deployment, key: str, *, is_token: bool) -> dict[str, str]:
        """The header that says who calls, unless the deployment's own headers say it."""
        name, value = self.authorization(deployment, key, is_token=is_token)
        return {} if any(own.lower() == name for own in deployment.headers) else {name: value}

    def _blame(self, error: APIError, reply: HttpReply) -> APIError:
        error.request_id = request_id(reply.headers)
        if error.retry_after is None:
            error.retry_after = asked_wait(reply.headers, reply.received)
        return error

    def _dropped(self, call: Call, deployment: Deployment) -> tuple[str, ...]:
        """What is known to be refused, and is left out if that is asked for."""
        if not (deployment.drop_params if call.drop_params is None else call.drop_params):
            return ()
        allowed = deployment.allowed_openai_params | call.allowed_openai_params
        given = {*deployment.defaults, *call.body} - allowed
        return tuple(name for name in self._unknown if name in given)

    def _content(self, call: Call, deployment: Deployment, dropped: tuple[str, ...] = ()) -> bytes:
        body: dict[str, object] = {**deployment.defaults, **call.body} if deployment.defaults else {**call.body}
        body["model"] = self.model(call, deployment)
        for name in dropped:
            body.pop(name, None)
        if call.stream:
            body["stream"] = True
        if deployment.extra_body:
            body.update(deployment.extra_body)
        if call.extra_body:
            body.update(call.extra_body)
        for name in deployment.additional_drop_params:
            body.pop(name, None)
        return jsonio.dumps(body)

    def model(self, call: Call, deployment: Deployment) -> str:
        """The model's name upstream for this call."""
        return deployment.model.replace("*", call.wildcard, 1) if call.wildcard else deployment.model

    def _target(self, deployment: Deployment) -> _Target:
        target = deployment.memo.get("target")
        if target is None:
            target = deployment.memo["target"] = self._resolve(deployment)
        return cast("_Target", target)

    def _resolve(self, deployment: Deployment) -> _Target:
        url, query = self.address(deployment)
        headers = {"accept": "application/json", "content-type": "application/json", "user-agent": "homing-router"}
        if deployment.api_key is not None and deployment.token_source is None:
            headers |= self._authorized(deployment, deployment.api_key.get_secret_value(), is_token=False)
        if deployment.organization:
            headers["openai-organization"] = deployment.organization
        if deployment.project:
            headers["openai-project"] = deployment.project
        headers.update((name.lower(), value) for name, value in deployment.headers.items())
        return _Target(url, joined_query(query, deployment.query), headers)

    def _url(self, target: _Target, call: Call) -> str:
        path = target.url
        if call.verb.of_conversations:
            path = f"{path.removesuffix('/responses')}/conversations"
            if call.verb.by_id:
                path += "/" + _segment(call.conversation_id, "conversation_id")
            if call.verb in conversations.OF_ITEMS:
                path += "/items"
            if call.verb in conversations.ONE_ITEM:
                path += "/" + _segment(call.item_id, "item_id")
        elif call.verb is Verb.INPUT_TOKENS:
            path += "/input_tokens"
        elif call.verb.by_id:
            path += "/" + _segment(call.response_id)
        path += _SUFFIXES.get(call.verb, "")
        query = joined_query(target.query, call.query)
        return f"{path}?{query}" if query else path


class _Target:
    """What is the same for every request to a deployment."""

    __slots__ = ("create_url", "headers", "query", "url")

    def __init__(self, url: str, query: str, headers: dict[str, str]) -> None:
        self.url = url
        self.query = query
        self.headers = headers
        self.create_url = f"{url}?{query}" if query else url


def _is_error(json: JsonObject) -> bool:
    """Whether the JSON of a 200 is an error: with an envelope, or flat as vLLM writes it."""
    if json.get("object") == "error":
        return True
    return bool(json.get("error")) and json.get("object") != "response" and "output" not in json


_KINDS = {"response_id": "a response", "conversation_id": "a conversation", "item_id": "an item"}


def _segment(name: str | None, param: str = "response_id") -> str:
    """An id as one segment of a path; those that would lead to another path are refused."""
    if name in (None, "", ".", ".."):
        raise BadRequestError(f"{param}: {name!r} can't be the id of {_KINDS[param]}", param=param)
    return quote(name, safe="")


class HostedVLLM(OpenAI):
    """vLLM and its kin, whose `api_base` may be given with or without `/v1`."""

    def address(self, deployment: Deployment) -> tuple[str, str]:
        """As OpenAI's, with `/v1` supplied."""
        url, query = super().address(deployment)
        base = url.removesuffix("/responses")
        return (url if base.endswith("/v1") else f"{base}/v1/responses"), query
