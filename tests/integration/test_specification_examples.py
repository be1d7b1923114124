"""The ways in which LiteLLM's page on `/responses` calls each provider work here, the name of the import aside.

With the page's model strings and environment variables, without a Router and with one, streamed and not. Each vendor's
host is stood in for by its fake; only the transport learns where that is. Source: docs.litellm.ai/docs/response_api.
"""

import gc
import importlib
import random
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from responses_protocol import check_stream
from vendor_hosts import Hosts, vendor_hosts

import router as litellm

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


@pytest.fixture
def hosts(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Hosts]:
    """Stand-ins for the vendors."""
    functions._routers.clear()
    with vendor_hosts(monkeypatch, tmp_path) as found:
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
