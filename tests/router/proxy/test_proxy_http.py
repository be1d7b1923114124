"""The proxy over real sockets, asked by plain HTTP and by OpenAI's own client."""

import asyncio
import json
import socket
from collections.abc import Iterator
from typing import Any

import httpx
import openai
import pytest
from proxies import data, proxying
from pydantic import SecretStr
from routers import AFFINITY, KEY, bodies, entry, group, misbehave
from wire import CHUNKED, END, Link, piece
from wire import serve as serving_bytes

from providers.errors import ConfigurationError
from providers.simulated import SimulatedUpstream
from router import Router
from router.proxy.app import Proxy
from router.proxy.server import listen
from router.proxy.settings import ProxySettings


@pytest.fixture
def upstreams() -> Iterator[list[SimulatedUpstream]]:
    with SimulatedUpstream.in_thread("u0") as one, SimulatedUpstream.in_thread("u1") as two:
        yield [one, two]


@pytest.fixture
def url(upstreams: list[SimulatedUpstream]) -> Iterator[str]:
    router = Router(group(upstreams), optional_pre_call_checks=AFFINITY, model_group_alias={"default": "gpt"})
    with proxying(router) as url:
        yield url


def post(url: str, **body: Any) -> httpx.Response:
    return httpx.post(f"{url}/v1/responses", json={"model": "gpt", "input": "hi", **body}, timeout=20)


@pytest.mark.parametrize("prefix", ["", "/v1", "/openai/v1", "/openai"])
def test_openais_client_creates_continues_reads_and_deletes(
    upstreams: list[SimulatedUpstream], url: str, prefix: str
) -> None:
    with openai.OpenAI(base_url=url + prefix, api_key="any", max_retries=0) as client:
        first = client.responses.create(model="gpt", input="My name is Ada.")
        again = client.responses.create(model="default", input="Who am I?", previous_response_id=first.id)
        assert again.previous_response_id == first.id
        assert client.responses.retrieve(first.id).output_text == first.output_text
        items = list(client.responses.input_items.list(again.id, order="asc", limit=1))
        assert len(items) >= 1
        assert client.responses.input_tokens.count(model="gpt", input="How long?").input_tokens > 0
        client.responses.delete(first.id)
        with pytest.raises(openai.NotFoundError):
            client.responses.retrieve(first.id)


def test_streams_hold_every_event_by_its_name_and_end_with_done(url: str) -> None:
    answer = post(url, stream=True)
    assert answer.headers["content-type"] == "text/event-stream; charset=utf-8"
    events = data(answer.text)
    assert events[-1] == "[DONE]"
    assert (events[0]["type"], events[-2]["type"]) == ("response.created", "response.completed")
    assert [event["sequence_number"] for event in events[:-1]] == list(range(len(events) - 1))
    names = [line.removeprefix("event: ") for line in answer.text.splitlines() if line.startswith("event: ")]
    assert names == [event["type"] for event in events[:-1]]


def test_openais_stream_helper_is_content_with_our_streams(url: str) -> None:
    with (
        openai.OpenAI(base_url=url, api_key="any") as client,
        client.responses.stream(model="gpt", input="hi") as events,
    ):
        for _ in events:
            pass
        assert events.get_final_response().status == "completed"


def test_a_background_stream_is_resumed(url: str) -> None:
    events = data(post(url, stream=True, background=True).text)
    identity = events[0]["response"]["id"]
    answer = httpx.get(f"{url}/v1/responses/{identity}?stream=true&starting_after=2", timeout=20)
    assert [event["sequence_number"] for event in data(answer.text)[:-1]] == list(range(3, len(events) - 1))
    assert httpx.post(f"{url}/v1/responses/{identity}/cancel", json={}, timeout=20).json()["id"] == identity


def test_what_is_not_known_passes_both_ways(upstreams: list[SimulatedUpstream], url: str) -> None:
    post(url, brand_new={"a": None}, metadata=None)
    [body] = bodies(upstreams[0]) + bodies(upstreams[1])
    assert (body["brand_new"], body["metadata"], "metadata" in body) == ({"a": None}, None, True)


def test_the_query_and_some_headers_go_upstream(upstreams: list[SimulatedUpstream], url: str) -> None:
    headers = {"openai-beta": "responses_multi_agent=v1", "x-codex-turn": "7", "cookie": "secret", "session-id": "s"}
    httpx.post(
        f"{url}/v1/responses?beta=true&include[]=a&include[]=b&x=1&x=2&x=3",
        json={"model": "gpt", "input": "hi"},
        headers=headers,
    )
    [request] = upstreams[0].requests + upstreams[1].requests
    assert (request.query["beta"], request.query["include[]"]) == ("true", "a")
    assert (request.headers["openai-beta"], request.headers["x-codex-turn"]) == ("responses_multi_agent=v1", "7")
    assert "cookie" not in request.headers


def test_answers_say_who_served_them(url: str) -> None:
    answer = post(url)
    headers = answer.headers
    assert headers["x-request-id"] == headers["x-homing-call-id"] == headers["x-litellm-call-id"]
    assert headers["x-homing-deployment"] == headers["x-litellm-model-id"]
    assert (headers["x-homing-attempts"], headers["x-litellm-attempted-retries"]) == ("1", "0")
    again = post(url, previous_response_id=answer.json()["id"])
    assert again.headers["x-homing-affinity"] == "home"


class Priced:
    """A price source for which each call costs a fraction of a cent."""

    def cost(self, *_: Any, model: str, **__: Any) -> Any:
        from providers.usage import Cost

        return Cost(0.00125, model=model)


def test_what_an_answer_cost_stands_in_its_headers(upstreams: list[SimulatedUpstream]) -> None:
    with proxying(Router(group(upstreams), price_source=Priced())) as url:
        assert post(url).headers["x-litellm-response-cost"] == "0.00125"
        assert "x-homing-cost" not in post(url, stream=True).headers


def test_routing_headers_can_be_switched_off(upstreams: list[SimulatedUpstream]) -> None:
    with proxying(Router(group(upstreams)), ProxySettings(routing_headers=False)) as url:
        headers = post(url).headers
        assert "x-request-id" in headers
        assert not [name for name in headers if name.startswith(("x-homing", "x-litellm"))]


# errors


@pytest.mark.parametrize(
    ("path", "method", "content", "status", "code", "param"),
    [
        ("/v1/responses", "POST", b"{", 400, "invalid_json", None),
        ("/v1/responses", "POST", b"[]", 400, "invalid_json", None),
        ("/v1/responses", "POST", b"", 400, "missing_required_parameter", "model"),
        ("/v1/responses", "POST", b'{"model": 7}', 400, "missing_required_parameter", "model"),
        ("/v1/responses", "POST", b'{"model": "gpt", "stream": "yes"}', 400, "invalid_argument", "stream"),
        ("/v1/responses", "POST", b'{"model": "gtp"}', 400, "model_not_found", "model"),
        (
            "/v1/responses",
            "POST",
            b'{"model": "gpt", "affinity_scope": "x"}',
            400,
            "invalid_argument",
            "affinity_scope",
        ),
        (
            "/v1/responses",
            "POST",
            b'{"model": "gpt", "litellm_metadata": 7}',
            400,
            "invalid_argument",
            "litellm_metadata",
        ),
        ("/v1/responses", "POST", b'{"model": "gpt", "api_key": "x"}', 400, "invalid_argument", "api_key"),
        ("/v1/responses", "PUT", b"", 405, "method_not_allowed", None),
        ("/v1/response", "GET", b"", 404, "not_found", None),
        ("/v1/models/none", "GET", b"", 404, "model_not_found", "model"),
        ("/v1/responses/resp_nobody", "GET", b"", 404, None, None),
    ],
)
def test_errors_have_openais_form(
    url: str, path: str, method: str, content: bytes, status: int, code: str | None, param: str | None
) -> None:
    answer = httpx.request(method, url + path, content=content, timeout=20)
    error = answer.json()["error"]
    assert answer.status_code == status, error
    assert set(error) == {"message", "type", "param", "code"}
    assert (error["code"], error["param"]) == (code, param)
    assert error["type"] == "invalid_request_error"
    assert error["message"]


def test_headers_that_are_no_numbers_are_refused(url: str) -> None:
    for header in ("x-litellm-timeout", "x-litellm-num-retries"):
        answer = httpx.post(f"{url}/responses", json={"model": "gpt", "input": "hi"}, headers={header: "soon"})
        assert answer.status_code == 400
        assert header in answer.json()["error"]["message"]
    sent = {"x-litellm-timeout": "30", "x-litellm-num-retries": "1", "x-litellm-tags": "a, b"}
    answer = httpx.post(f"{url}/responses", json={"model": "gpt", "input": "hi"}, headers=sent)
    assert answer.status_code == 200


@pytest.mark.parametrize("stream", [False, True])
def test_an_error_before_the_first_byte_is_json_and_tells_clients_not_to_retry(
    upstreams: list[SimulatedUpstream], stream: bool
) -> None:
    for upstream in upstreams:
        misbehave(upstream, "429", retry_after=7)
    with proxying(Router(group(upstreams), num_retries=0)) as url:
        answer = post(url, stream=stream)
        assert answer.status_code == 429
        assert answer.headers["content-type"] == "application/json"
        assert answer.headers["x-should-retry"] == "false"
        assert int(answer.headers["retry-after"]) >= 1
        assert answer.json()["error"]["code"] == "rate_limit_exceeded"
        assert KEY not in answer.text


def test_a_stream_that_is_cut_tells_it_so_that_clients_notice(upstreams: list[SimulatedUpstream]) -> None:
    misbehave(upstreams[0], "cut_after_output")
    with proxying(Router(group(upstreams[:1]))) as url:
        events = data(post(url, stream=True).text)
        error, failed, done = events[-3:]
        assert (error["type"], failed["type"], done) == ("error", "response.failed", "[DONE]")
        assert error["error"]["message"]
        assert failed["response"]["id"] == events[0]["response"]["id"]
        assert failed["response"]["output"], "what came is not lost"
        assert [error["sequence_number"], failed["sequence_number"]] == [len(events) - 3, len(events) - 2]
        with openai.OpenAI(base_url=url, api_key="any", max_retries=0) as client, pytest.raises(openai.APIError):
            list(client.responses.create(model="gpt", input="hi", stream=True))


async def test_a_failure_that_upstream_tells_itself_is_told_once() -> None:
    events: list[dict[str, Any]] = [
        {"type": "response.created", "response": {"id": "resp_1", "object": "response", "status": "in_progress"}},
        {"type": "response.output_text.delta", "output_index": 0, "content_index": 0, "delta": "Half an"},
        {
            "type": "response.failed",
            "response": {"id": "resp_1", "status": "failed", "error": {"code": "server_error", "message": "Sorry."}},
        },
    ]
    body = b"".join(b"data: %s\n\n" % json.dumps(event).encode() for event in events)

    async def answer(link: Link) -> None:
        while await link.request():
            head = CHUNKED.replace(b"\r\n\r\n", b"\r\ncontent-type: text/event-stream\r\n\r\n")
            await link.send(head, piece(body), END)

    async with serving_bytes(answer) as server:
        with proxying(Router([entry(server.url, id="s0")])) as url:
            told = data((await asyncio.to_thread(post, url, stream=True)).text)
            assert told == [*events, "[DONE]"]


@pytest.mark.parametrize("fault", ["error_event_after_output", "error_event", "rate_limit_event"])
def test_an_error_that_upstream_tells_in_a_stream_is_told_in_openais_form(
    upstreams: list[SimulatedUpstream], fault: Any
) -> None:
    misbehave(upstreams[0], fault)
    with proxying(Router(group(upstreams[:1]), num_retries=0)) as url:
        answer = post(url, stream=True)
        if answer.status_code != 200:
            assert answer.json()["error"]["message"]
            return
        error, failed, _ = data(answer.text)[-3:]
        assert (error["type"], failed["type"]) == ("error", "response.failed")


def test_what_goes_wrong_in_the_proxy_itself_tells_nothing(
    url: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def broken(self: object) -> None:
        raise ZeroDivisionError("a secret")

    monkeypatch.setattr(Router, "health", broken)
    answer = httpx.get(f"{url}/health", timeout=20)
    assert (answer.status_code, answer.json()["error"]["type"]) == (500, "server_error")
    assert "secret" not in answer.text
    assert "ZeroDivisionError" in caplog.text

    def misconfigured(self: object) -> None:
        raise ConfigurationError("nothing is set")

    monkeypatch.setattr(Router, "health", misconfigured)
    assert httpx.get(f"{url}/health", timeout=20).json()["error"]["message"] == "nothing is set"


# bodies


def test_a_body_that_is_too_large_is_refused_before_it_is_read(upstreams: list[SimulatedUpstream]) -> None:
    with proxying(Router(group(upstreams)), ProxySettings(max_request_bytes=1000)) as url:
        assert post(url, input="x" * 2000).status_code == 413

        def chunks() -> Iterator[bytes]:
            yield b'{"model": "gpt", "input": "'
            yield b"x" * 2000

        assert httpx.post(f"{url}/responses", content=chunks(), timeout=20).status_code == 413
        answer = httpx.post(f"{url}/responses", content=iter([b'{"model": "gpt", ', b'"input": "hi"}']), timeout=20)
        assert answer.status_code == 200


def test_a_client_that_never_ends_its_body_is_not_waited_for(upstreams: list[SimulatedUpstream]) -> None:
    with proxying(Router(group(upstreams)), ProxySettings(body_timeout=0.05)) as url:
        host, _, port = url.removeprefix("http://").partition(":")
        with socket.create_connection((host, int(port)), timeout=20) as client:
            client.sendall(b"POST /responses HTTP/1.1\r\nhost: x\r\ncontent-length: 100\r\n\r\n{")
            head = client.recv(65536)
            assert b" 408 " in head.split(b"\r\n")[0]


def test_a_client_that_leaves_within_its_body_is_forgotten(upstreams: list[SimulatedUpstream], url: str) -> None:
    host, _, port = url.removeprefix("http://").partition(":")
    with socket.create_connection((host, int(port)), timeout=20) as client:
        client.sendall(b"POST /responses HTTP/1.1\r\nhost: x\r\ncontent-length: 100\r\n\r\n{")
    assert post(url).status_code == 200


# clients that leave, clients that are slow, streams that are slow


@pytest.mark.parametrize(("stream", "fault"), [(True, "stall_after_output"), (True, "hang"), (False, "hang")])
def test_when_a_client_leaves_the_deployment_is_told_at_once(
    upstreams: list[SimulatedUpstream], stream: bool, fault: Any
) -> None:
    upstream = upstreams[0]
    misbehave(upstream, fault)
    router = Router(group([upstream]))
    with proxying(router) as url, httpx.Client(timeout=20) as client:
        body = {"model": "gpt", "input": "hi", "stream": stream}
        with pytest.raises(httpx.ReadTimeout):
            client.post(f"{url}/responses", json=body, timeout=0.2)
        client.close()
        upstream.wait_until(lambda: upstream.active_requests == 0)
        upstream.wait_until(lambda: upstream.open_connections == 0)
        misbehave(upstream)
        assert post(url).status_code == 200


def test_a_stream_without_events_is_kept_alive_by_comments_and_its_headers_come_in_time(
    upstreams: list[SimulatedUpstream],
) -> None:
    upstream = upstreams[0]
    misbehave(upstream, "hang")
    settings = ProxySettings(keep_alive=0.02, headers_after=0.02)
    asked = {"model": "gpt", "input": "hi", "stream": True}
    with (
        proxying(Router(group([upstream])), settings) as url,
        httpx.stream("POST", f"{url}/responses", json=asked, timeout=20) as answer,
    ):
        chunks = answer.iter_raw()
        assert [next(chunks), next(chunks)] == [b": ping\n\n", b": ping\n\n"]
        assert answer.status_code == 200


def test_a_failure_after_the_headers_is_told_in_the_stream(upstreams: list[SimulatedUpstream]) -> None:
    upstream = upstreams[0]
    misbehave(upstream, "hang")
    settings = ProxySettings(keep_alive=0.02, headers_after=0.02)
    with proxying(Router(group([upstream]), num_retries=0), settings) as url:
        events = data(post(url, stream=True, timeout=0.3).text)
        assert [event["type"] for event in events[:-1]] == ["error", "response.failed"]
        assert events[0]["error"]["type"] == "timeout_error"
        assert events[-1] == "[DONE]"


def test_comments_come_between_events_only_while_there_are_none(upstreams: list[SimulatedUpstream]) -> None:
    misbehave(upstreams[0], token_delay=0.03)
    with proxying(Router(group(upstreams[:1])), ProxySettings(keep_alive=0.01, headers_after=5)) as url:
        text = post(url, stream=True).text
        assert ": ping\n\n" in text
        events = data(text)
        assert events[-2]["type"] == "response.completed"


# keys


def test_a_key_is_asked_for_wherever_clients_put_it(upstreams: list[SimulatedUpstream]) -> None:
    key = "sk-master-0123456789"
    with proxying(Router(group(upstreams)), ProxySettings(master_key=SecretStr(key))) as url:
        assert post(url).status_code == 401
        good = [{"authorization": f"Bearer {key}"}, {"x-api-key": key}, {"api-key": key}, {"x-litellm-api-key": key}]
        for headers in good:
            assert httpx.get(f"{url}/v1/models", headers=headers).status_code == 200
        for headers in ({"authorization": "Bearer wrong"}, {"authorization": f"Basic {key}"}, {"x-api-key": ""}):
            answer = httpx.get(f"{url}/v1/models", headers=headers)
            assert (answer.status_code, answer.json()["error"]["code"]) == (401, "invalid_api_key")
            assert key not in answer.text
        for path in ("liveness", "liveliness", "readiness"):
            assert httpx.get(f"{url}/health/{path}").status_code == 200
        assert httpx.get(f"{url}/health").status_code == 401


# the deployments


def test_models_are_listed_but_hidden_aliases(upstreams: list[SimulatedUpstream]) -> None:
    model_list = [*group(upstreams[:1]), *group(upstreams[1:], "openai/*", model="openai/*")]
    aliases = {"shown": "gpt", "secret": {"model": "gpt", "hidden": True}}
    with proxying(Router(model_list, model_group_alias=aliases)) as url:
        listed = httpx.get(f"{url}/v1/models").json()
        assert [each["id"] for each in listed["data"]] == ["gpt", "openai/*", "shown"]
        for name in ("openai/*", "openai%2F*"):
            one = httpx.get(f"{url}/v1/models/{name}").json()
            assert (one["id"], one["object"]) == ("openai/*", "model")


def test_health_tells_the_deployments_and_readiness_whether_any_can_serve(upstreams: list[SimulatedUpstream]) -> None:
    with proxying(Router(group(upstreams), num_retries=1, on_all_down="fail")) as url:
        health = httpx.get(f"{url}/health").json()
        assert (health["healthy_count"], health["unhealthy_count"]) == (2, 0)
        assert {each["id"] for each in health["deployments"]} == {"u0", "u1"}
        ready = httpx.get(f"{url}/health/readiness").json()
        assert ready == {"status": "ready", "deployments": {"usable": 2, "all": 2}, "redis": "not configured"}
        for upstream in upstreams:
            misbehave(upstream, "401")
        post(url)
        answer = httpx.get(f"{url}/health/readiness")
        assert (answer.status_code, answer.json()["status"]) == (503, "not ready")


# the server


def test_an_address_that_is_taken_is_said() -> None:
    taken = listen("127.0.0.1", 0)
    port = taken.getsockname()[1]
    with taken, pytest.raises(ConfigurationError, match=f"can't listen at 127.0.0.1:{port}"):
        listen("127.0.0.1", port)
    with listen("::1", 0) as six:
        assert six.family is socket.AF_INET6


async def test_a_failure_after_the_head_of_an_answer_is_the_servers_to_end() -> None:
    async def receive() -> Any:
        raise AssertionError("nothing is to be read")

    async def send(message: Any) -> None:
        if message["type"] == "http.response.body":
            raise ConnectionResetError

    scope = {"type": "http", "method": "GET", "path": "/models", "headers": []}
    with pytest.raises(ConnectionResetError):
        await Proxy(Router([]))(scope, receive, send)


def test_a_path_that_is_none_is_found_nowhere(url: str) -> None:
    host, _, port = url.removeprefix("http://").partition(":")
    with socket.create_connection((host, int(port)), timeout=20) as client:
        client.sendall(b"OPTIONS * HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n")
        assert b" 404 " in client.recv(65536).split(b"\r\n")[0]
