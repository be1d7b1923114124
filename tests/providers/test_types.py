"""The nouns: what they derive, and that no secret stands in their text."""

from __future__ import annotations

import dataclasses
import weakref

import pytest
from pydantic import SecretStr

from providers.types import Call, Connection, Deployment, HttpReply, HttpRequest, Verb

SECRET = "sk-very-secret"


BY_ID = {Verb.GET, Verb.DELETE, Verb.CANCEL, Verb.INPUT_ITEMS}
ASKING = {Verb.CREATE, Verb.COMPACT, Verb.INPUT_TOKENS}
CONVERSATIONS = {verb for verb in Verb if "conversation" in verb}
WITH_BODY = {Verb.CREATE_CONVERSATION, Verb.UPDATE_CONVERSATION, Verb.CREATE_CONVERSATION_ITEMS}


def test_what_verbs_are_like() -> None:
    assert len(CONVERSATIONS) == 8
    assert {verb for verb in Verb if verb.of_conversations} == CONVERSATIONS
    assert {verb for verb in Verb if verb.by_id} == BY_ID | CONVERSATIONS - {Verb.CREATE_CONVERSATION}
    assert {verb for verb in Verb if verb.asks_model} == ASKING
    assert {verb for verb in Verb if verb.has_body} == ASKING | WITH_BODY


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ({}, None),
        ({"previous_response_id": None}, None),
        ({"previous_response_id": ""}, None),
        ({"previous_response_id": 7}, None),
        ({"previous_response_id": "resp_1"}, "resp_1"),
    ],
)
def test_what_a_call_continues(body: dict[str, object], expected: str | None) -> None:
    assert Call("gpt", body=body).previous_response_id == expected


def test_deployments_and_calls_are_compared_by_identity() -> None:
    for one, other in (
        (Deployment("a", "g", "openai", "m"), Deployment("a", "g", "openai", "m")),
        (Call("g"), Call("g")),
    ):
        assert one != other
        assert len({one, other}) == 2
        assert weakref.ref(one)() is one


def test_another_call_by_replacement() -> None:
    call = Call("gpt", body={"input": "x"}, stream=True)
    other = dataclasses.replace(call, group="other")
    assert (other.group, other.body, other.stream) == ("other", {"input": "x"}, True)


def test_a_memo_is_a_deployment_s_own() -> None:
    one, other = Deployment("a", "g", "openai", "m"), Deployment("b", "g", "openai", "m")
    one.memo["target"] = 1
    assert not other.memo
    assert not dataclasses.replace(one).memo


def test_no_secret_is_printed() -> None:
    deployment = Deployment(
        "a",
        "g",
        "openai",
        "m",
        api_key=SecretStr(SECRET),
        token_source=lambda: SECRET,
        headers={"authorization": SECRET},
        query={"key": SECRET},
        defaults={"metadata": {"key": SECRET}},
        extra_body={"key": SECRET},
        connection=Connection(proxy=f"http://user:{SECRET}@proxy"),
        info={"key": SECRET},
    )
    deployment.memo["target"] = SECRET
    call = Call("g", headers={"authorization": SECRET}, query={"key": SECRET}, extra_body={"key": SECRET})
    request = HttpRequest("POST", "https://host/", {"authorization": SECRET})
    for value in (deployment, deployment.connection, call, request):
        assert SECRET not in repr(value)
        assert SECRET not in str(value)


def test_a_reply_is_plain_data() -> None:
    assert HttpReply(200, {}, b"") == HttpReply(200, {}, b"", 0.0)
