"""What a client can say wrongly to the proxy is refused in words, not by a failure of the proxy."""

import socket
from collections.abc import Iterator

import httpx
import pytest
from proxies import proxying
from routers import entry

from providers.simulated import SimulatedUpstream
from router import Router
from router.proxy.server import listen


@pytest.fixture
def client() -> Iterator[httpx.Client]:
    with (
        SimulatedUpstream.in_thread("u0") as upstream,
        proxying(Router([entry(upstream)])) as url,
        httpx.Client(base_url=url, timeout=20) as client,
    ):
        yield client


def test_ids_and_models_may_be_called_as_our_placeholders_are(client: httpx.Client) -> None:
    for path in ("/responses/*", "/responses/*/input_items", "/models/*", "/models/None", "/responses/%00"):
        assert client.get(path).status_code == 404, path


def test_a_method_that_is_not_served_is_told_which_are(client: httpx.Client) -> None:
    answer = client.put("/v1/responses/resp_1")
    assert (answer.status_code, answer.headers["allow"]) == (405, "GET, DELETE")
    assert answer.json()["error"]["message"] == "PUT is not served here; GET, DELETE is"


@pytest.mark.parametrize("value", ["inf", "nan", "-inf", "soon", ""])
@pytest.mark.parametrize("header", ["x-litellm-num-retries", "x-litellm-timeout"])
def test_a_number_in_a_header_is_one(client: httpx.Client, header: str, value: str) -> None:
    answer = client.post("/v1/responses", json={"model": "gpt", "input": "hi"}, headers={header: value})
    assert (answer.status_code, answer.json()["error"]["code"]) == (400, "invalid_argument")
    assert header in answer.json()["error"]["message"]


@pytest.mark.parametrize("place", ["body", "header"])
def test_a_client_cannot_have_a_call_tried_for_ever(client: httpx.Client, place: str) -> None:
    body = {"model": "gpt", "input": "hi", **({"num_retries": 101} if place == "body" else {})}
    headers = {"x-litellm-num-retries": "101"} if place == "header" else {}
    answer = client.post("/v1/responses", json=body, headers=headers)
    assert (answer.status_code, answer.json()["error"]["param"]) == (400, "num_retries")
    assert client.post("/v1/responses", json={"model": "gpt", "input": "hi", "num_retries": 100}).status_code == 200


def test_what_is_listened_on_sends_every_write_at_once() -> None:
    with listen("127.0.0.1", 0) as listening:
        # asyncio turns off the collecting of small writes for sockets of this protocol only
        assert listening.proto == socket.IPPROTO_TCP
