"""How the operations of the Conversations API are put to those who have it, and how their answers are read."""

import json
from dataclasses import replace
from typing import Any

import pytest
from pydantic import SecretStr

from providers.azure import Azure
from providers.azure_ai import AzureAI
from providers.conversations import VENDORS, keeps_conversations
from providers.errors import (
    BadRequestError,
    InternalServerError,
    MalformedReplyError,
    ResponseNotFoundError,
    UnsupportedParamsError,
)
from providers.openai import HostedVLLM, OpenAI
from providers.types import Call, Deployment, Dialect, HttpReply, Verb
from providers.views import Conversation, ConversationItem, Deleted, ItemPage

OPENAI = OpenAI("openai", "https://api.openai.com/v1")
BASE = Deployment("d", "gpt", "openai", "gpt-5", api_key=SecretStr("sk-1"))
CONVERSATIONS = [verb for verb in Verb if verb.of_conversations]


def call(verb: Verb, **more: Any) -> Call:
    """A call that names what its verb must, and no more."""
    names: dict[str, str] = {"conversation_id": "conv_1"} if verb.by_id else {}
    if verb.value.endswith("_item"):
        names["item_id"] = "msg_1"
    return Call("gpt", verb, **{**names, **more})


def reply(body: object, status: int = 200, **headers: str) -> HttpReply:
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    return HttpReply(status, {name.replace("_", "-"): value for name, value in headers.items()}, content)


@pytest.mark.parametrize(
    ("verb", "method", "path"),
    [
        (Verb.CREATE_CONVERSATION, "POST", ""),
        (Verb.GET_CONVERSATION, "GET", "/conv_1"),
        (Verb.UPDATE_CONVERSATION, "POST", "/conv_1"),
        (Verb.DELETE_CONVERSATION, "DELETE", "/conv_1"),
        (Verb.CREATE_CONVERSATION_ITEMS, "POST", "/conv_1/items"),
        (Verb.LIST_CONVERSATION_ITEMS, "GET", "/conv_1/items"),
        (Verb.GET_CONVERSATION_ITEM, "GET", "/conv_1/items/msg_1"),
        (Verb.DELETE_CONVERSATION_ITEM, "DELETE", "/conv_1/items/msg_1"),
    ],
)
def test_where_each_verb_goes(verb: Verb, method: str, path: str) -> None:
    deployment = replace(BASE, api_base="https://x/v1/responses?gate=1", defaults={"store": True}, extra_body={"a": 1})
    asked = call(verb, body={"metadata": {}}, extra_body={"new": 2}, query={"include": ["x"]})
    request = OPENAI.encode(asked, deployment)
    assert (request.method, request.url) == (
        method,
        f"https://x/v1/conversations{path}?gate=1&include%5B%5D=x",
    )
    assert json.loads(request.content or b"null") == ({"metadata": {}, "new": 2} if verb.has_body else None)
    assert request.headers["authorization"] == "Bearer sk-1"


@pytest.mark.parametrize(
    ("provider", "base", "version", "url"),
    [
        (Azure("azure"), "https://west.openai.azure.com", None, "/openai/v1/conversations?api-version=preview"),
        (Azure("azure"), "https://west.openai.azure.com", "v1", "/openai/v1/conversations?api-version=v1"),
        (AzureAI("azure_ai"), "https://west.services.ai.azure.com", None, "/openai/v1/conversations"),
        (AzureAI("azure_ai"), "https://gate/v1", None, "/v1/conversations"),
        (OpenAI("litellm_proxy"), "https://gate/v1", None, "/v1/conversations"),
    ],
    ids=["azure", "azure v1", "azure_ai", "a gateway", "litellm_proxy"],
)
def test_where_others_have_them(provider: OpenAI, base: str, version: str | None, url: str) -> None:
    deployment = replace(BASE, provider=provider.name, api_base=base, api_version=version)
    host = base.removesuffix("/v1")
    assert provider.encode(call(Verb.CREATE_CONVERSATION), deployment).url == host + url


def test_names_are_one_segment_of_the_path() -> None:
    asked = call(Verb.GET_CONVERSATION_ITEM, conversation_id="a/b", item_id="../c?d")
    assert OPENAI.encode(asked, BASE).url == "https://api.openai.com/v1/conversations/a%2Fb/items/..%2Fc%3Fd"


@pytest.mark.parametrize(
    ("names", "said"),
    [
        ({"conversation_id": None}, "conversation_id: None can't be the id of a conversation"),
        ({"conversation_id": ".."}, "conversation_id: '..' can't be the id of a conversation"),
        ({"item_id": ""}, "item_id: '' can't be the id of an item"),
        ({"item_id": "."}, "item_id: '.' can't be the id of an item"),
    ],
    ids=["none", "up", "empty", "here"],
)
def test_names_that_lead_elsewhere_are_refused(names: dict[str, Any], said: str) -> None:
    with pytest.raises(BadRequestError) as caught:
        OPENAI.encode(call(Verb.DELETE_CONVERSATION_ITEM, **names), BASE)
    assert caught.value.message == said
    assert caught.value.param == next(iter(names))


@pytest.mark.parametrize("verb", CONVERSATIONS)
def test_vendors_that_are_known_to_have_none_are_not_asked(verb: Verb) -> None:
    vllm = replace(BASE, provider="hosted_vllm", api_base="https://x/v1")
    with pytest.raises(UnsupportedParamsError, match=r"^hosted_vllm keeps no conversations; deployments of azure, "):
        HostedVLLM("hosted_vllm").encode(call(verb), vllm)


def test_who_keeps_conversations() -> None:
    assert sorted(VENDORS) == ["azure", "azure_ai", "litellm_proxy", "openai"]
    assert keeps_conversations(BASE)
    assert not keeps_conversations(replace(BASE, dialect=Dialect.CHAT_COMPLETIONS))
    assert not keeps_conversations(replace(BASE, provider="xai"))


@pytest.mark.parametrize(
    ("verb", "kind"),
    [
        (Verb.CREATE_CONVERSATION, Conversation),
        (Verb.GET_CONVERSATION, Conversation),
        (Verb.UPDATE_CONVERSATION, Conversation),
        (Verb.DELETE_CONVERSATION, Deleted),
        (Verb.CREATE_CONVERSATION_ITEMS, ItemPage),
        (Verb.LIST_CONVERSATION_ITEMS, ItemPage),
        (Verb.GET_CONVERSATION_ITEM, ConversationItem),
        (Verb.DELETE_CONVERSATION_ITEM, Conversation),
    ],
)
def test_each_answer_is_a_view_of_what_came(verb: Verb, kind: type) -> None:
    came = {"id": "x", "object": None, "unknown": {"a": [1, None]}}
    view = OPENAI.decode(reply(came), call(verb), BASE)
    assert type(view) is kind
    assert view.to_dict() == came


def test_an_item_may_tell_of_an_error() -> None:
    item = {"id": "mcpl_1", "type": "mcp_list_tools", "error": "no such server", "tools": []}
    view = OPENAI.decode(reply(item), call(Verb.GET_CONVERSATION_ITEM), BASE)
    assert view.error == "no such server"
    with pytest.raises(InternalServerError):
        OPENAI.decode(reply({"error": {"message": "no"}}), call(Verb.GET_CONVERSATION_ITEM), BASE)


def test_an_empty_answer_to_a_delete_is_a_yes() -> None:
    view = OPENAI.decode(reply(b"", 204), call(Verb.DELETE_CONVERSATION), BASE)
    assert view.to_dict() == {"id": "conv_1", "object": "conversation.deleted", "deleted": True}
    with pytest.raises(MalformedReplyError):
        OPENAI.decode(reply(b""), call(Verb.DELETE_CONVERSATION_ITEM), BASE)


@pytest.mark.parametrize("status", [404, 405])
def test_nothing_at_the_address_means_that_there_are_none(status: int) -> None:
    missing = reply({"detail": "Not Found"}, status)
    with pytest.raises(
        UnsupportedParamsError, match=f"^deployment 'd' keeps no conversations; it answered with {status}"
    ):
        OPENAI.decode(missing, call(Verb.CREATE_CONVERSATION), BASE)
    if status == 404:
        with pytest.raises(ResponseNotFoundError):
            OPENAI.decode(missing, call(Verb.GET_CONVERSATION), BASE)
