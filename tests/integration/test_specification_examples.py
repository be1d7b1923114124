"""The ways in which LiteLLM's page on `/responses` calls each provider work here, the name of the import aside.

With the page's model strings and environment variables, without a Router and with one, streamed and not. Each vendor's
host is stood in for by its fake; only the transport learns where that is. Source: docs.litellm.ai/docs/response_api.
"""

import asyncio
import gc
import importlib
import json
import random
import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractAsyncContextManager, ExitStack, asynccontextmanager, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import urlsplit

import anthropic_rules
import fake_anthropic
import fake_bedrock
import fake_gemini
import pytest
from fake_google_tokens import FakeTokens, service_account
from responses_protocol import check_stream
from wire import serve

import router as litellm
from providers.simulated import SimulatedUpstream
from providers.types import Connection, HttpRequest
from router.transport.aiohttp_transport import AiohttpTransport
from router.transport.base import OpenReply

T = TypeVar("T")
functions = importlib.import_module("router.functions")

STORY = "Tell me a bedtime story about a unicorn, in three sentences."
CLAUDE = "anthropic/claude-3-5-sonnet-20240620"
GPT = "openai/o1-pro"


@dataclass(frozen=True)
class Example:
    """A provider as the page calls it."""

    model: str
    environment: dict[str, str]
    params: dict[str, str]
    """What the page's model_list says of it besides."""

    def entry(self, name: str) -> dict[str, Any]:
        """An entry of a `model_list`."""
        return {"model_name": name, "litellm_params": {"model": self.model, **self.params}}


EXAMPLES = (
    Example(GPT, {"OPENAI_API_KEY": "your-openai-api-key"}, {"api_key": "os.environ/OPENAI_API_KEY"}),
    Example(CLAUDE, {"ANTHROPIC_API_KEY": "your-anthropic-api-key"}, {"api_key": "os.environ/ANTHROPIC_API_KEY"}),
    Example(
        "vertex_ai/gemini-1.5-pro",
        {"VERTEXAI_PROJECT": "your-gcp-project-id", "VERTEXAI_LOCATION": "us-central1"},
        {"vertex_project": "your-gcp-project-id", "vertex_location": "us-central1"},
    ),
    Example(
        "bedrock/anthropic.claude-3-sonnet-20240229-v1:0",
        {
            "AWS_ACCESS_KEY_ID": "your-access-key-id",
            "AWS_SECRET_ACCESS_KEY": "your-secret-access-key",
            "AWS_REGION_NAME": "us-west-2",
        },
        {
            "aws_access_key_id": "os.environ/AWS_ACCESS_KEY_ID",
            "aws_secret_access_key": "os.environ/AWS_SECRET_ACCESS_KEY",
            "aws_region_name": "us-west-2",
        },
    ),
    Example(
        "gemini/gemini-1.5-flash", {"GEMINI_API_KEY": "your-gemini-api-key"}, {"api_key": "os.environ/GEMINI_API_KEY"}
    ),
    Example(
        "azure/gpt-4-turbo",
        {
            "AZURE_API_KEY": "your-api-key-1",
            "AZURE_API_BASE": "https://endpoint1.openai.azure.com",
            "AZURE_API_VERSION": "2024-06-01",
        },
        {"api_key": "your-api-key-1", "api_version": "2024-06-01", "api_base": "https://endpoint1.openai.azure.com"},
    ),
    Example(
        "azure_ai/gpt-4.1",
        {"AZURE_AI_API_KEY": "your-api-key", "AZURE_AI_API_BASE": "https://acme.services.ai.azure.com"},
        {"api_key": "os.environ/AZURE_AI_API_KEY", "api_base": "os.environ/AZURE_AI_API_BASE"},
    ),
)

every = pytest.mark.parametrize("example", EXAMPLES, ids=[example.model for example in EXAMPLES])


@contextmanager
def in_thread(play: AbstractAsyncContextManager[T]) -> Iterator[T]:
    """An asynchronous context in a loop of its own, so that callers may block."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever)
    thread.start()

    def wait(work: Any) -> Any:
        return asyncio.run_coroutine_threadsafe(work, loop).result(30)

    try:
        yield wait(play.__aenter__())
    finally:
        wait(play.__aexit__(None, None, None))
        wait(loop.shutdown_default_executor())
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()


@asynccontextmanager
async def _claude() -> Any:
    def prepare(fake: fake_anthropic.FakeAnthropic) -> None:
        for _ in range(8):
            fake.play("text")

    async with fake_anthropic.fake_anthropic(prepare) as fake:
        yield fake.url


@asynccontextmanager
async def _bedrock() -> Any:
    async with fake_bedrock.FakeBedrock("us-west-2") as fake:
        yield fake.url


@asynccontextmanager
async def _gemini() -> Any:
    async with serve(fake_gemini.FakeGemini()) as server:
        yield server.url


class _Tokens(FakeTokens):
    """Issues the token that the fake of Google's API takes."""

    def answer(self, request: bytes) -> tuple[int, dict[str, Any]]:
        return 200, {"access_token": fake_gemini.TOKEN, "expires_in": 3600, "token_type": "Bearer"}


@asynccontextmanager
async def _tokens() -> Any:
    async with serve(_Tokens()) as server:
        yield server.url


FAKES: dict[str, Callable[[], AbstractAsyncContextManager[str]]] = {
    "api.anthropic.com": _claude,
    "bedrock-runtime.us-west-2.amazonaws.com": _bedrock,
    "generativelanguage.googleapis.com": _gemini,
    "us-central1-aiplatform.googleapis.com": _gemini,
}
"""By host; any other is a deployment that speaks `/responses`."""


class Hosts:
    """What stands in for each host that is asked for."""

    def __init__(self, stack: ExitStack) -> None:
        self._stack = stack
        self.asked: list[str] = []
        self.urls: dict[str, str] = {}

    def locate(self, request: HttpRequest) -> HttpRequest:
        """`request`, addressed to the stand-in of its host, which is told the name: signatures cover it."""
        parts = urlsplit(request.url)
        host = parts.netloc
        self.asked.append(host)
        if host not in self.urls:
            if host in FAKES:
                self.urls[host] = self._stack.enter_context(in_thread(FAKES[host]()))
            else:
                self.urls[host] = self._stack.enter_context(SimulatedUpstream.in_thread(host)).url
        below = parts._replace(scheme="", netloc="").geturl()
        return replace(request, url=self.urls[host] + below, headers={**request.headers, "host": host})


@pytest.fixture
def hosts(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Hosts]:
    """Stand-ins, which take the keys that the page writes."""
    monkeypatch.setattr(fake_anthropic, "KEY", "your-anthropic-api-key")
    monkeypatch.setattr(fake_bedrock, "ACCESS_KEY", "your-access-key-id")
    monkeypatch.setattr(fake_bedrock, "SECRET_KEY", "your-secret-access-key")
    monkeypatch.setattr(fake_gemini, "KEY", "your-gemini-api-key")
    models = anthropic_rules.MODELS
    monkeypatch.setitem(models, "claude-3-5-sonnet-20240620", models["claude-3-5-sonnet-20241022"])
    real = AiohttpTransport.send

    async def send(
        self: AiohttpTransport, request: HttpRequest, connection: Connection, *, timeout: float
    ) -> OpenReply:
        return await real(self, found.locate(request), connection, timeout=timeout)

    monkeypatch.setattr(AiohttpTransport, "send", send)
    functions._routers.clear()
    with ExitStack() as stack:
        found = Hosts(stack)
        account = service_account(stack.enter_context(in_thread(_tokens())))
        (tmp_path / "adc.json").write_text(json.dumps(account))
        monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", str(tmp_path / "adc.json"))
        yield found
        for made in functions._routers.values():
            made.close()
        functions._routers.clear()
        gc.collect()


def _set(environment: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in environment.items():
        monkeypatch.setenv(name, value)


def _host(example: Example) -> str:
    return {
        "openai": "api.openai.com",
        "anthropic": "api.anthropic.com",
        "vertex_ai": "us-central1-aiplatform.googleapis.com",
        "bedrock": "bedrock-runtime.us-west-2.amazonaws.com",
        "gemini": "generativelanguage.googleapis.com",
        "azure": "endpoint1.openai.azure.com",
        "azure_ai": "acme.services.ai.azure.com",
    }[example.model.partition("/")[0]]


@every
def test_a_response(example: Example, hosts: Hosts, monkeypatch: pytest.MonkeyPatch) -> None:
    _set(example.environment, monkeypatch)
    response = litellm.responses(model=example.model, input=STORY, max_output_tokens=100)
    assert response.status == "completed"
    assert response.output_text
    assert hosts.asked == [_host(example)]


@every
def test_a_stream(example: Example, hosts: Hosts, monkeypatch: pytest.MonkeyPatch) -> None:
    _set(example.environment, monkeypatch)
    response = litellm.responses(model=example.model, input=STORY, stream=True)
    events = [event.to_dict() for event in response]
    assert check_stream(events)["status"] == "completed"
    assert hosts.asked == [_host(example)]


@every
async def test_without_blocking(example: Example, hosts: Hosts, monkeypatch: pytest.MonkeyPatch) -> None:
    _set(example.environment, monkeypatch)
    response = await litellm.aresponses(model=example.model, input=STORY, max_output_tokens=100)
    stream = await litellm.aresponses(
        model=example.model, input="And then?", stream=True, previous_response_id=response.id
    )
    final = check_stream([event.to_dict() async for event in stream])
    assert (final["status"], final["previous_response_id"]) == ("completed", response.id)
    for made in functions._routers.values():
        await made.aclose()


@every
def test_by_id(example: Example, hosts: Hosts, monkeypatch: pytest.MonkeyPatch) -> None:
    _set(example.environment, monkeypatch)
    response = litellm.responses(model=example.model, input=STORY, max_output_tokens=100)
    retrieved = litellm.get_responses(response_id=response.id)
    assert isinstance(retrieved, litellm.Response)
    assert (retrieved.id, retrieved.output_text) == (response.id, response.output_text)
    assert litellm.delete_responses(response_id=response.id).deleted
    with pytest.raises(litellm.ResponseNotFoundError):
        litellm.get_responses(response_id=response.id)


async def test_by_id_without_blocking(hosts: Hosts, monkeypatch: pytest.MonkeyPatch) -> None:
    _set(EXAMPLES[0].environment, monkeypatch)
    response = await litellm.aresponses(model=GPT, input=STORY, background=True)
    cancelled = await litellm.acancel_responses(response_id=response.id)
    assert cancelled.id == response.id
    retrieved = await litellm.aget_responses(response_id=response.id)
    assert isinstance(retrieved, litellm.Response)
    assert retrieved.status == "cancelled"
    assert (await litellm.adelete_responses(response_id=response.id)).deleted
    for made in functions._routers.values():
        await made.aclose()


@every
async def test_a_router(example: Example, hosts: Hosts, monkeypatch: pytest.MonkeyPatch) -> None:
    _set(example.environment, monkeypatch)
    async with litellm.Router(model_list=[example.entry(example.model)]) as router:
        response = await router.aresponses(model=example.model, input=STORY)
        assert response.output_text
        stream = await router.aresponses(model=example.model, input=STORY, stream=True)
        assert check_stream([event.to_dict() async for event in stream])["status"] == "completed"
    assert set(hosts.asked) == {_host(example)}


def test_a_router_that_blocks(hosts: Hosts, monkeypatch: pytest.MonkeyPatch) -> None:
    _set(EXAMPLES[1].environment, monkeypatch)
    with litellm.Router(model_list=[EXAMPLES[1].entry("anthropic-model")]) as router:
        first = router.responses(model="anthropic-model", input="Who wrote the Ethics?")
        follow_up = router.responses(
            model="anthropic-model", input="Tell me more about him", previous_response_id=first.id
        )
        assert follow_up.output_text
        kept = router.get_responses(follow_up.id)
        assert isinstance(kept, litellm.Response)
        assert kept.previous_response_id == first.id


async def test_a_conversation_stays_where_it_began(hosts: Hosts) -> None:
    entries = [
        {
            "model_name": "azure-gpt4-turbo",
            "litellm_params": {
                "model": "azure/gpt-4-turbo",
                "api_key": f"your-api-key-{number}",
                "api_version": "2024-06-01",
                "api_base": f"https://endpoint{number}.openai.azure.com",
            },
        }
        for number in (1, 2)
    ]
    checks = ["responses_api_deployment_check"]
    settings: dict[str, Any] = {"routing_strategy": "simple-shuffle", "rng": random.Random(1)}
    async with litellm.Router(model_list=entries, optional_pre_call_checks=checks, **settings) as router:
        for _ in range(8):
            response = await router.aresponses(model="azure-gpt4-turbo", input="Hello, who are you?", truncation="auto")
            follow_up = await router.aresponses(
                model="azure-gpt4-turbo",
                input="Tell me more about yourself",
                truncation="auto",
                previous_response_id=response.id,
            )
            assert follow_up.routing.deployment_id == response.routing.deployment_id
            assert hosts.asked[-1] == hosts.asked[-2]
    assert set(hosts.asked) == {"endpoint1.openai.azure.com", "endpoint2.openai.azure.com"}
