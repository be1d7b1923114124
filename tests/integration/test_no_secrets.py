"""No secret is ever printed: keys, tokens, headers, passwords, in whatever way a call ends and whoever is asked."""

import gc
import json
import logging
import pickle
import traceback
from collections.abc import Callable, Iterator
from contextlib import suppress
from itertools import product
from typing import Any

import pytest
from fakes import Clock
from routers import AFFINITY, closed, create, entry, group, misbehave, serving, tick
from wire import Link, closed_port, serve

from providers.simulated import FAULTS, Fault, SimulatedUpstream
from providers.types import AwsKeys, Call, Connection, Deployment
from router import APIError, ConfigurationError, InternalServerError, JsonFormatter, Router
from router.hiding import hide

SECRETS = {
    "api_key": "sk-key-4f9a7c21d8",
    "extra_headers": "hdr-secret-91ab",
    "extra_query": "qry-secret-77cd",
    "token": "tok-secret-5e01f2",
    "redis": "redis-password-3c",
    "proxy": "proxy-password-8d",
}


def shown(*things: object) -> str:
    """All that a person could get to see of `things`."""
    texts: list[str] = []
    for thing in things:
        texts += [repr(thing), str(thing)]
        if isinstance(thing, BaseException):
            texts += traceback.format_exception(thing)
            texts.append(repr(vars(thing)))
        if isinstance(thing, APIError):
            texts += [shown(each, each.error) for each in thing.attempts if each.error is not thing]
    return "\n".join(texts)


def check(text: str) -> None:
    for name, secret in SECRETS.items():
        assert secret not in text, f"{name} is shown: …{text[max(0, text.index(secret) - 200) : text.index(secret)]}"


def secretive(upstream: SimulatedUpstream | str, **params: Any) -> dict[str, Any]:
    return entry(
        upstream,
        api_key=SECRETS["api_key"],
        extra_headers={"x-own": SECRETS["extra_headers"]},
        extra_query={"sig": SECRETS["extra_query"]},
        **params,
    )


def everything(router: Router) -> str:
    """What a Router and its parts say of themselves."""
    inner = [part for name, part in vars(router).items() if name != "_raw"]  # what the user passed, as it was passed
    parts = [router, router.health(), router.get_model_list(), *inner, router.json_schema()]
    texts = [shown(*parts), json.dumps(router.get_model_list())]
    for kind in (Deployment, Call, Connection):
        texts += [shown(each) for each in gc.get_objects() if type(each) is kind]
    return "\n".join(texts)


@pytest.mark.parametrize(("fault", "stream"), list(product([None, *FAULTS], (False, True))))
async def test_however_a_call_ends(fault: Fault, stream: bool, clock: Clock, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    async with serving(1) as upstreams:
        router = Router(
            [secretive(upstreams[0], timeout=0.2, idle_timeout=0.2)],  # more than a busy machine takes
            optional_pre_call_checks=[*AFFINITY, "rate_limit"],
            clock=clock,
            sleep=tick,
        )
        misbehave(upstreams[0], fault)
        seen: list[object] = []
        try:
            seen.append((await create(router, stream, deadline=0.2)).routing)
        except APIError as error:
            seen += [error, pickle.loads(pickle.dumps(error))]
        check(shown(*seen) + everything(router) + caplog.text)
        assert upstreams[0].calls or fault == "refuse"
        await closed(router, upstreams)


def echo(status: int, stream: bool) -> Callable[[Link], Any]:
    """A server that repeats what it was sent."""

    async def play(link: Link) -> None:
        while request := await link.request():
            said = request.decode().replace("\r\n", " ")
            body = json.dumps({"error": {"message": f"you sent {said}", "code": "x", "seen": [{said: said}]}})
            kind = "application/json"
            if stream:
                opening = {"type": "response.created", "response": {"id": "resp_1"}}
                delta = {"type": "response.output_text.delta", "delta": "Hello"}
                events = [opening, delta, {"type": "error", **json.loads(body)}]
                body = "".join(f"data: {json.dumps(event)}\n\n" for event in events)
                kind = "text/event-stream"
            head = f"HTTP/1.1 {status} X\r\nContent-Type: {kind}\r\nContent-Length: {len(body)}\r\n\r\n"
            await link.send((head + body).encode())

    return play


@pytest.mark.parametrize(("status", "stream"), [(401, False), (400, False), (500, False), (200, False), (200, True)])
@pytest.mark.parametrize("fetched", [False, True])
async def test_a_server_that_repeats_what_it_was_sent(
    status: int, stream: bool, fetched: bool, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    async with serve(echo(status, stream)) as server:
        made = entry(server.url, id="s", api_key=SECRETS["api_key"])
        if fetched:
            del made["litellm_params"]["api_key"]
            made["litellm_params"] |= {
                "model": "azure/gpt",
                "api_version": "preview",
                "azure_ad_token_provider": lambda: SECRETS["token"],
            }
        router = Router([made], sleep=tick)
        with pytest.raises(APIError, match=r"Bearer \*\*\*") as raised:
            await create(router, stream)
        error = raised.value
        assert "you sent" in error.message
        assert error.args == (error.message,)
        assert error.body is not None
        check(shown(error, pickle.loads(pickle.dumps(error))) + everything(router) + caplog.text)
        assert SECRETS["token" if fetched else "api_key"].encode() in server.requests[0]
        await router.aclose()


def test_short_keys_are_words_and_deep_bodies_are_dropped() -> None:
    from pydantic import SecretStr

    body: Any = "none"
    for _ in range(40):
        body = [body]
    error = InternalServerError("there is none", body=body)
    hide(error, Deployment("d", "g", "openai", "m", api_key=SecretStr("none")))
    assert (error.message, error.body) == ("there is none", body)
    secret = "none-such-key"
    error = InternalServerError("there is none", body=body)
    hide(error, Deployment("d", "g", "openai", "m", api_key=SecretStr(secret)))
    assert error.message == "there is none"
    assert error.body != body
    error = InternalServerError("x", body={"a": 1, "b": None, secret: True})
    hide(error, Deployment("d", "g", "openai", "m", api_key=SecretStr(secret)))
    assert error.body == {"a": 1, "b": None, "***": True}


async def test_settings_and_what_is_wrong_with_them(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    port = closed_port()
    settings: dict[str, Any] = {
        "redis_url": f"redis://user:{SECRETS['redis']}@127.0.0.1:{port}/0",
        "optional_pre_call_checks": AFFINITY,
    }
    async with serving(1) as upstreams:
        router = Router([secretive(upstreams[0])], **settings)
        await router.aresponses("gpt", "hi")
        router.upsert_deployment(secretive(upstreams[0], proxy=f"http://me:{SECRETS['proxy']}@127.0.0.1:{port}"))
        with pytest.raises(APIError) as raised:
            await router.aresponses("gpt", "hi", num_retries=0)
        assert "memory answers alone" in caplog.text
        check(shown(raised.value) + everything(router) + caplog.text)
        await closed(router, upstreams)
    wrong = secretive("http://127.0.0.1:9", tpm="many", apy_key=SECRETS["api_key"])
    with pytest.raises(ConfigurationError) as refused:
        Router([wrong], redis_url=f"reddis://:{SECRETS['redis']}@127.0.0.1", redis_pasword=SECRETS["redis"])  # type: ignore[call-arg] # fmt: skip
    assert "apy_key" in str(refused.value)
    check(shown(refused.value))
    with pytest.raises(ConfigurationError) as refused:
        Router([entry("http://127.0.0.1:9", api_key=SECRETS["api_key"] + "\n")])
    check(shown(refused.value))


async def test_ids_and_shares_of_memory_hold_no_key() -> None:
    async with serving(2) as upstreams:
        plain = [secretive(each) for each in upstreams]
        for each in plain:
            del each["model_info"]
        router = Router(plain, optional_pre_call_checks=AFFINITY)
        response = await router.aresponses("gpt", "hi")
        check(" ".join(each.id for each in router.health()) + repr(response.routing))
        assert "***" in json.dumps(router.get_model_list())
        await closed(router, upstreams)
    assert group([]) == []


@pytest.mark.parametrize("session", [None, "temporary-session-token"])
def test_amazon_s_keys_are_hidden_though_it_repeats_what_was_signed(session: str | None) -> None:
    from pydantic import SecretStr

    deployment = Deployment("d", "g", "bedrock", "m", token_source=lambda: "unused")
    keys = AwsKeys("AKIDEXAMPLE", SecretStr("wJalrXUtnFEMI"), SecretStr(session) if session else None)
    deployment.memo["token"] = (keys, 60.0)
    error = InternalServerError(f"x-amz-security-token:{session} wJalrXUtnFEMI", body={"string": session})
    hide(error, deployment)
    assert error.message == ("x-amz-security-token:*** ***" if session else "x-amz-security-token:None ***")
    assert error.body == {"string": "***" if session else None}


CANARIES = {
    "prompt": "canary-in-the-prompt",
    "instructions": "canary-in-the-instructions",
    "metadata": "canary-in-the-metadata",
    "answer": "canary-in-the-answer",
    "tenant": "canary-of-the-tenant",
}


class Log(logging.Handler):
    """All that is logged, at any level: as JSON, as plain text, and what other formatters could make of it."""

    def __init__(self) -> None:
        super().__init__()
        self.texts: list[str] = []
        self.names: set[str] = set()
        self._formatters = (JsonFormatter(environ={}), logging.Formatter("%(levelname)s %(message)s"))

    def emit(self, record: logging.LogRecord) -> None:
        self.names.add(record.name)
        self.texts += [each.format(record) for each in self._formatters]
        self.texts += [repr(value) for value in vars(record).values()]


@pytest.fixture
def log() -> Iterator[Log]:
    root, kept = logging.getLogger(), logging.getLogger().level
    log = Log()
    root.addHandler(log)
    root.setLevel(logging.NOTSET + 1)
    yield log
    root.removeHandler(log)
    root.setLevel(kept)


def check_log(log: Log) -> None:
    """The log has lines about calls, but no key and nothing of what was said."""
    text = "\n".join(log.texts)
    check(text)
    assert "router.calls" in log.names
    for name, canary in CANARIES.items():
        assert canary not in text, f"{name} is logged: …{text[max(0, text.index(canary) - 200) : text.index(canary)]}"


ASKED: dict[str, Any] = {
    "input": CANARIES["prompt"],
    "instructions": CANARIES["instructions"],
    "metadata": {"a": CANARIES["metadata"]},
    "litellm_metadata": {"a": CANARIES["metadata"], "headers": {"authorization": f"Bearer {SECRETS['token']}"}},
    "affinity_scope": CANARIES["tenant"],
    "truncation": "auto",
}


@pytest.mark.parametrize(("fault", "stream"), list(product([None, *FAULTS], (False, True))))
async def test_no_log_says_what_was_asked_or_answered(fault: Fault, stream: bool, clock: Clock, log: Log) -> None:
    async with serving(1) as upstreams:
        router = Router(
            [secretive(upstreams[0], timeout=0.2, idle_timeout=0.2)],  # more than a busy machine takes
            optional_pre_call_checks=[*AFFINITY, "rate_limit"],
            clock=clock,
            sleep=tick,
        )
        misbehave(upstreams[0], fault)
        with suppress(APIError):
            await create(router, stream, deadline=0.2, **ASKED)
        await router.aflush()
        await closed(router, upstreams)
    check_log(log)


def repeating(status: int, stream: bool) -> Callable[[Link], Any]:
    """A server whose answers, or whose errors in every field, are what it was sent and what it has to say."""

    async def play(link: Link) -> None:
        while request := await link.request():
            said = f"{request.decode()} {CANARIES['answer']}".replace("\r\n", " ")
            error = {"message": said, "code": said, "type": said, "param": said, "seen": [{said: said}]}
            part = {"type": "output_text", "text": said, "annotations": []}
            output = [{"type": "message", "id": "m", "role": "assistant", "status": "completed", "content": [part]}]
            response = {"id": "resp_1", "object": "response", "status": "completed", "model": "m", "output": output}
            events: list[dict[str, Any]] = [
                {"type": "response.created", "response": {**response, "status": "in_progress", "output": []}},
                {"type": "response.output_text.delta", "delta": said},
                {"type": "error", "error": error}
                if status == 500
                else {"type": "response.completed", "response": response},
            ]
            body, kind = json.dumps(response if status == 200 else {"error": error}), "application/json"
            if stream:
                body = "".join(f"data: {json.dumps(event)}\n\n" for event in events)
                kind = "text/event-stream"
            code = 200 if stream else status
            head = f"HTTP/1.1 {code} X\r\nContent-Type: {kind}\r\nContent-Length: {len(body.encode())}\r\n\r\n"
            await link.send((head + body).encode())

    return play


@pytest.mark.parametrize(
    ("status", "stream"),
    [(200, False), (200, True), (400, False), (401, False), (404, False), (500, False), (500, True)],
)
async def test_no_log_repeats_what_a_server_repeats(status: int, stream: bool, log: Log) -> None:
    async with serve(repeating(status, stream)) as server:
        made = entry(server.url, id="s", api_key=SECRETS["api_key"])
        router = Router([made], optional_pre_call_checks=AFFINITY, sleep=tick, num_retries=1)
        if status == 200:
            answer = await create(router, stream, **ASKED)
            assert CANARIES["answer"] in answer.output_text
        else:
            with pytest.raises(APIError) as raised:
                await create(router, stream, **ASKED)
            assert CANARIES["answer"] in raised.value.message
        await router.aclose()
    check_log(log)


async def test_contents_are_logged_on_request_and_then_without_keys(log: Log) -> None:
    async with serve(repeating(500, False)) as server:
        made = entry(server.url, id="s", api_key=SECRETS["api_key"])
        router = Router([made], sleep=tick, num_retries=0, record_contents=True)
        with pytest.raises(APIError):
            await create(router, False, **(ASKED | {"litellm_metadata": {}}))
        await router.aclose()
    text = "\n".join(log.texts)
    check(text)
    assert [name for name, canary in CANARIES.items() if canary not in text] == []
