"""What clients say and deployments answer passes through the proxy as it is, known or not: queries, fields, events."""

import json
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import httpx
import leftovers
import openai
import pytest
from proxies import data, proxying
from pydantic import SecretStr
from routers import AFFINITY, entry
from wire import Link, says
from wire import serve as serving_bytes

from providers.simulated import SimulatedUpstream
from router import Router
from router.proxy.app import Proxy
from router.proxy.settings import ProxySettings

KEY = "sk-proxy-0123456789abcdef"
BETA = "responses_multi_agent=v1"
QUERY = (
    "beta=true&twice=a&twice=b&list%5B%5D=x&list%5B%5D=y&one%5B%5D=z&list=w&empty=&plus=a+b%2Bc%20d&%C3%BC=%E2%98%83"
    "&deep%5Ba%5D%5Bb%5D=1"
)
ODD: dict[str, Any] = {
    "never_heard_of": {"null": None, "numbers": [0, -1.5, 1e-7, 1.7e300, 12345678901234567, True], "☃": "é\u200b"},
    "empty": [],
    "nothing": None,
}
ITEM: dict[str, Any] = {"type": "brand_new_item", "id": "bn_1", **ODD}
ANSWER: dict[str, Any] = {"id": "resp_1", "object": "response", "status": "completed", "output": [ITEM], **ODD}
EVENTS: list[dict[str, Any]] = [
    {"type": "response.created", "sequence_number": 0, "response": {**ANSWER, "status": "in_progress"}, **ODD},
    {"type": "response.brand_new.delta", "sequence_number": 1, "delta": {"a": None}, **ODD},
    {"type": "response.output_item.done", "sequence_number": 2, "output_index": 0, "item": ITEM, "obfuscation": "x"},
    {"type": "response.completed", "sequence_number": 3, "response": ANSWER, **ODD},
]
SAID = {"input": [{"type": "brand_new_item", **ODD}], **ODD}
ENDPOINTS: list[tuple[str, str, Any]] = [
    ("POST", "/responses", {"model": "gpt", **SAID}),
    ("POST", "/responses/compact", {"model": "gpt", **SAID}),
    ("POST", "/responses/input_tokens", {"model": "gpt", **SAID}),
    ("GET", "/responses/resp_1", None),
    ("DELETE", "/responses/resp_1", None),
    ("POST", "/responses/resp_1/cancel", None),
    ("GET", "/responses/resp_1/input_items", None),
    ("POST", "/conversations", {"items": [ITEM], **ODD}),
    ("GET", "/conversations/conv_1", None),
    ("POST", "/conversations/conv_1", {"metadata": {"a": "b"}, **ODD}),
    ("DELETE", "/conversations/conv_1", None),
    ("GET", "/conversations/conv_1/items", None),
    ("POST", "/conversations/conv_1/items", {"items": [ITEM], **ODD}),
    ("GET", "/conversations/conv_1/items/bn_1", None),
    ("DELETE", "/conversations/conv_1/items/bn_1", None),
]
every_endpoint = pytest.mark.parametrize(
    ("method", "path", "body"), ENDPOINTS, ids=[f"{method} {path}" for method, path, _ in ENDPOINTS]
)


async def answering(link: Link) -> None:
    """Answer every request with what nobody has heard of; a stream if one is asked for."""
    while request := await link.request():
        content, kind = json.dumps(ANSWER).encode(), b"application/json"
        if b'"stream":true' in request:
            frames = (f"event: {each['type']}\ndata: {json.dumps(each)}\n\n" for each in EVENTS)
            content, kind = "".join(frames).encode(), b"text/event-stream"
        await link.send(b"HTTP/1.1 200 OK\r\ncontent-type: %s\r\ncontent-length: %d\r\n\r\n" % (kind, len(content)))
        await link.send(content)


class Heard:
    """A client of the proxy, and what arrives behind it."""

    def __init__(self, client: httpx.AsyncClient, requests: list[bytes]) -> None:
        self.client = client
        self._requests = requests

    def last(self) -> tuple[str, str, str, Any, dict[str, str]]:
        """Method, path, query, body and headers of the last request."""
        head, _, body = self._requests[-1].partition(b"\r\n\r\n")
        line, *lines = head.decode("latin-1").split("\r\n")
        method, target, _ = line.split(" ")
        headers = {name.lower(): value for name, _, value in (each.partition(": ") for each in lines)}
        parts = urlsplit(target)
        return method, parts.path, parts.query, json.loads(body) if body else None, headers


@asynccontextmanager
async def hearing() -> AsyncIterator[Heard]:
    """In the loop of one test; the proxy is called in it, without a server of its own."""
    async with serving_bytes(answering) as upstream:
        router = Router([entry(f"{upstream.url}/v1", id="u0")], optional_pre_call_checks=AFFINITY, discover=False)
        transport = httpx.ASGITransport(Proxy(router))
        async with router, httpx.AsyncClient(transport=transport, base_url="http://proxy") as client:
            yield Heard(client, upstream.requests)


@every_endpoint
async def test_nothing_is_lost_on_the_way(method: str, path: str, body: Any) -> None:
    async with hearing() as heard:
        answer = await heard.client.request(
            method, f"/v1{path}?{QUERY}&api-version=2024-10-21", json=body, headers={"openai-beta": BETA}
        )
        assert answer.status_code == 200, answer.text
        assert answer.json() == ANSWER
        asked, where, query, said, headers = heard.last()
    assert (asked, where) == (method, f"/v1{path}")
    got, expected = parse_qsl(query, keep_blank_values=True), parse_qsl(QUERY, keep_blank_values=True)
    assert got == expected
    assert headers["openai-beta"] == BETA
    if body is not None and "model" in body:
        body = {**body, "model": "gpt-4o"}
    assert said == body


async def test_deployments_that_speak_otherwise_are_spared_what_is_openais() -> None:
    """Google, say, refuses a query that it doesn't know."""
    said = {"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": "hello"}}
    content = json.dumps({"id": "x", "object": "chat.completion", "choices": [said]}).encode()
    head = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n" % len(content)
    async with serving_bytes(says(head + content)) as upstream:
        there = {
            "model": "openai_compatible/m",
            "api_base": f"{upstream.url}/v1",
            "api_key": "k",
            "extra_query": {"gate": "1"},
        }
        router = Router([{"model_name": "gpt", "litellm_params": there}])
        transport = httpx.ASGITransport(Proxy(router))
        async with router, httpx.AsyncClient(transport=transport, base_url="http://proxy") as client:
            answer = await client.post("/responses?beta=true&key=theirs", json={"model": "gpt", "input": "hi"})
            await router.aresponses("gpt", "hi", extra_query={"beta": True})
    assert answer.json()["output"][0]["content"][0]["text"] == "hello"
    lines = [request.split(b"\r\n")[0] for request in upstream.requests]
    assert lines == [
        b"POST /v1/chat/completions?gate=1 HTTP/1.1",
        b"POST /v1/chat/completions?gate=1&beta=true HTTP/1.1",
    ]


async def test_no_event_is_lost_on_the_way() -> None:
    async with hearing() as heard:
        body = {"model": "gpt", "stream": True, **SAID}
        answer = await heard.client.post(f"/responses?{QUERY}", json=body)
        assert data(answer.text) == [*EVENTS, "[DONE]"]
        assert heard.last()[3] == {**body, "model": "gpt-4o"}


_nothing_left_open = leftovers.nothing_left_open_at_the_end


@pytest.fixture(scope="module")
def upstreams() -> Iterator[list[SimulatedUpstream]]:
    with SimulatedUpstream.in_thread("u0") as one, SimulatedUpstream.in_thread("u1") as two:
        yield [one, two]


@pytest.fixture(scope="module")
def url(upstreams: list[SimulatedUpstream]) -> Iterator[str]:
    """One group at addresses as OpenAI's are, one at Azure's."""
    one, two = upstreams
    router = Router(
        [entry(one), entry(two, "west", model="azure/gpt-west", api_version="2025-03-01-preview")],
        optional_pre_call_checks=AFFINITY,
    )
    with proxying(router, ProxySettings(master_key=SecretStr(KEY))) as url:
        yield url


def test_openais_client_for_what_is_new_reaches_all_of_it(url: str, upstreams: list[SimulatedUpstream]) -> None:
    upstream = upstreams[0]
    before = upstream.calls
    betas: Any = [BETA]
    with openai.OpenAI(base_url=f"{url}/v1", api_key=KEY, max_retries=0) as client:
        beta = client.beta.responses
        first = beta.create(model="gpt", input="My name is Ada.", betas=betas)
        stream = beta.create(model="gpt", input="And?", previous_response_id=first.id, stream=True, betas=betas)
        kinds = [event.type for event in stream]
        assert (kinds[0], kinds[-1]) == ("response.created", "response.completed")
        assert beta.retrieve(first.id, betas=betas).id == first.id
        assert len(list(beta.input_items.list(first.id, limit=1, betas=betas))) == 1
        assert beta.input_tokens.count(model="gpt", input="How long?", betas=betas).input_tokens > 0
        assert beta.compact(model="gpt-5", extra_body={"model": "gpt"}, input="A long story", betas=betas).output
        later = beta.create(model="gpt", input="Later", background=True, betas=betas)
        again = beta.retrieve(later.id, stream=True, starting_after=0, betas=betas)
        assert next(event.sequence_number for event in list(again)) == 1
        assert beta.cancel(later.id, betas=betas).id == later.id
        beta.delete(first.id, betas=betas)
    asked = [*upstream.requests][before:]
    assert [record.verb for record in asked] == [
        *("create", "create", "get", "input_items", "input_tokens", "compact", "create", "get", "cancel", "delete")
    ]
    assert all(record.query["beta"] == "true" for record in asked)
    assert all(record.headers["openai-beta"] == BETA for record in asked)


@pytest.mark.parametrize("name", ["gpt", "west"])
def test_the_version_that_azures_clients_ask_the_proxy_for_is_not_asked_of_others(
    url: str, upstreams: list[SimulatedUpstream], name: str
) -> None:
    upstream = upstreams[name == "west"]
    own = {"api-version": "2025-03-01-preview"} if name == "west" else {}
    before = upstream.calls
    with openai.AzureOpenAI(
        azure_endpoint=url, api_version="2024-10-21", api_key=KEY, azure_deployment="any", max_retries=0
    ) as client:
        first = client.responses.create(model=name, input="hello")
        assert client.responses.retrieve(first.id).id == first.id
        client.responses.delete(first.id)
        talk = client.conversations.create(extra_body={"model": name})
        assert client.conversations.retrieve(talk.id) == talk
    asked = [*upstream.requests][before:]
    assert [record.verb for record in asked] == [
        *("create", "get", "delete", "create_conversation", "get_conversation")
    ]
    assert [record.query for record in asked] == [own] * 5
