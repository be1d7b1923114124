"""The proxy's examples of LiteLLM's page on `/responses` run here: its files, the calls of its clients, its addresses.

The files hold what the page's do, to the letter where YAML would read it otherwise (`api_version` is no date). Clients
find the proxy at `localhost`, without `/v1` as OpenAI's client has it there, at a port that is free instead of 4000.
Source: docs.litellm.ai/docs/response_api.
"""

import base64
import json
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import diverted
import pytest
from commands import PATIENCE, ROOT, homing_serve
from openai import NotFoundError, OpenAI
from proxies import proxying
from responses_protocol import check_stream
from vendor_hosts import Hosts, in_thread, vendor_hosts
from wire import says, serve

from providers.simulated import SimulatedUpstream
from router.config.proxy_file import read_proxy_config
from router.proxy.launch import make_router
from router.proxy.settings import ProxySettings

STORY = "Tell me a bedtime story about a unicorn, in three sentences."

OPENAI = """\
model_list:
  - model_name: openai/o1-pro
    litellm_params:
      model: openai/o1-pro
      api_key: os.environ/OPENAI_API_KEY
"""
SESSION_CONTINUITY = """\
model_list:
  - model_name: azure-gpt4-turbo
    litellm_params:
      model: azure/gpt-4-turbo
      api_key: your-api-key-1
      api_version: 2024-06-01
      api_base: https://endpoint1.openai.azure.com
  - model_name: azure-gpt4-turbo
    litellm_params:
      model: azure/gpt-4-turbo
      api_key: your-api-key-2
      api_version: 2024-06-01
      api_base: https://endpoint2.openai.azure.com

router_settings:
  optional_pre_call_checks: ["responses_api_deployment_check"]
"""
BRIDGE = """\
model_list:
- model_name: anthropic-model
  litellm_params:
    model: anthropic/claude-3-5-sonnet-20240620
    api_key: os.environ/ANTHROPIC_API_KEY
"""
SESSIONS = """\
model_list:
  - model_name: anthropic/claude-3-5-sonnet-latest
    litellm_params:
      model: anthropic/claude-3-5-sonnet-latest
      api_key: os.environ/ANTHROPIC_API_KEY

litellm_settings:
  callbacks: ["s3_v2"]
  cold_storage_custom_logger: s3_v2
  s3_callback_params: # where LiteLLM keeps conversations
    s3_bucket_name: litellm-logs
    s3_region_name: us-west-2

general_settings:
  store_prompts_in_cold_storage: true
  store_prompts_in_spend_logs: true
  disable_responses_id_security: true
"""
"""The page's sections on sessions and on the security of ids, which have no models, and one that they speak of."""


@dataclass(frozen=True)
class Example:
    """A provider, as the page's file has it."""

    model: str
    params: str
    environment: dict[str, str]
    host: str

    @property
    def config(self) -> str:
        """The file."""
        return (
            f"model_list:\n  - model_name: {self.model}\n    litellm_params:\n      model: {self.model}\n{self.params}"
        )


EXAMPLES = (
    Example(
        "anthropic/claude-3-5-sonnet-20240620",
        "      api_key: os.environ/ANTHROPIC_API_KEY\n",
        {"ANTHROPIC_API_KEY": "your-anthropic-api-key"},
        "api.anthropic.com",
    ),
    Example(
        "vertex_ai/gemini-1.5-pro",
        "      vertex_project: your-gcp-project-id\n      vertex_location: us-central1\n",
        {},
        "us-central1-aiplatform.googleapis.com",
    ),
    Example(
        "bedrock/anthropic.claude-3-sonnet-20240229-v1:0",
        "      aws_access_key_id: os.environ/AWS_ACCESS_KEY_ID\n"
        "      aws_secret_access_key: os.environ/AWS_SECRET_ACCESS_KEY\n"
        "      aws_region_name: us-west-2\n",
        {"AWS_ACCESS_KEY_ID": "your-access-key-id", "AWS_SECRET_ACCESS_KEY": "your-secret-access-key"},
        "bedrock-runtime.us-west-2.amazonaws.com",
    ),
    Example(
        "gemini/gemini-1.5-flash",
        "      api_key: os.environ/GEMINI_API_KEY\n",
        {"GEMINI_API_KEY": "your-gemini-api-key"},
        "generativelanguage.googleapis.com",
    ),
)


def local(url: str) -> str:
    """A proxy's address, as the page names it."""
    return url.replace("127.0.0.1", "localhost")


@contextmanager
def openai(url: str, api_key: str = "your-api-key") -> Iterator[OpenAI]:
    """OpenAI's client, as the page makes it: any key will do where the file has none."""
    with OpenAI(base_url=local(url), api_key=api_key) as client:
        yield client


def curl(*arguments: str) -> dict[str, Any]:
    """What curl prints, with the page's key."""
    key = ("-H", "Authorization: Bearer sk-1234")
    done = subprocess.run(["curl", "-sS", *arguments, *key], capture_output=True, timeout=PATIENCE, check=True)
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def curl_response(url: str, **body: str) -> dict[str, Any]:
    """A response, asked for by curl as on the page."""
    header = ("-H", "Content-Type: application/json")
    return curl(f"{local(url)}/v1/responses", *header, "-d", json.dumps(body))


def said(response: dict[str, Any]) -> str:
    """A response's text, where the page looks for it."""
    text: str = response["output"][0]["content"][0]["text"]
    return text


# The proxy with OpenAI's client


def test_openais_file_serves_all_that_its_clients_do(tmp_path: Path) -> None:
    path = tmp_path / "config.yaml"
    path.write_text(OPENAI)
    with SimulatedUpstream.in_thread("openai", api_keys=["sk-openai"], models=["o1-pro"]) as upstream:
        environ = {"OPENAI_API_KEY": "sk-openai", "OPENAI_BASE_URL": f"{upstream.url}/v1"}
        with homing_serve(path, environ=environ) as serving, openai(serving.url) as client:
            a_response_and_a_stream(client, "openai/o1-pro")
            a_response_is_had_again_and_deleted(client)
            a_response_is_cancelled_by_curl(client, serving.url)
            assert serving.end(signal.SIGTERM) == 0


def a_response_and_a_stream(client: OpenAI, model: str) -> None:
    response = client.responses.create(model=model, input=STORY)
    assert response.status == "completed"
    assert response.output_text
    assert response.id in repr(response)
    stream = client.responses.create(model=model, input=STORY, stream=True)
    assert check_stream([event.to_dict() for event in stream])["status"] == "completed"


def a_response_is_had_again_and_deleted(client: OpenAI) -> None:
    response = client.responses.create(model="openai/o1-pro", input=STORY)
    retrieved = client.responses.retrieve(response.id)
    assert (retrieved.id, retrieved.output_text) == (response.id, response.output_text)
    client.responses.delete(response.id)
    with pytest.raises(NotFoundError):
        client.responses.retrieve(response.id)


def a_response_is_cancelled_by_curl(client: OpenAI, url: str) -> None:
    response = client.responses.create(model="openai/o1-pro", input=STORY, background=True)
    cancelled = curl("-X", "POST", f"{local(url)}/v1/responses/{response.id}/cancel")
    assert (cancelled["id"], cancelled["status"]) == (response.id, "cancelled")


def test_images_are_streamed_as_they_are_made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-openai")
    pictures = [b"a first idea of a river", b"a river made of white owl feathers"]
    events = [
        {
            "type": "response.image_generation_call.partial_image",
            "item_id": "ig_1",
            "output_index": 0,
            "sequence_number": number,
            "partial_image_index": number,
            "partial_image_b64": base64.b64encode(picture).decode(),
        }
        for number, picture in enumerate(pictures)
    ]
    answer = {"id": "resp_1", "object": "response", "status": "completed", "model": "gpt-4.1", "output": []}
    events += [{"type": "response.completed", "sequence_number": 2, "response": answer}]
    body = "".join(f"event: {each['type']}\ndata: {json.dumps(each)}\n\n" for each in events).encode()
    head = f"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ncontent-length: {len(body)}\r\n\r\n".encode()
    with in_thread(serve(says(head, body))) as upstream:
        monkeypatch.setenv("OPENAI_BASE_URL", f"{upstream.url}/v1")
        file = OPENAI.replace("o1-pro", "gpt-4.1").replace("model_name: openai/", "model_name: ")
        with served(tmp_path, file) as url, openai(url, "sk-1234") as client:
            stream = client.responses.create(
                model="gpt-4.1",
                input="Draw a river made of white owl feathers in a winter landscape",
                stream=True,
                tools=[{"type": "image_generation", "partial_images": 2}],
            )
            found = {
                event.partial_image_index: base64.b64decode(event.partial_image_b64)
                for event in stream
                if event.type == "response.image_generation_call.partial_image"
            }
    assert found == dict(enumerate(pictures))


# A conversation stays where it began


def test_session_continuity(tmp_path: Path) -> None:
    path = tmp_path / "config.yaml"
    path.write_text(SESSION_CONTINUITY)
    hosts = [f"endpoint{number}.openai.azure.com" for number in (1, 2)]
    with (
        SimulatedUpstream.in_thread("endpoint1", api_keys=["your-api-key-1"]) as one,
        SimulatedUpstream.in_thread("endpoint2", api_keys=["your-api-key-2"]) as two,
        homing_serve(
            path,
            environ={diverted.VARIABLE: json.dumps({hosts[0]: one.url, hosts[1]: two.url})},
            program=[str(ROOT / "tests" / "diverted.py")],
        ) as serving,
        openai(serving.url) as client,
    ):
        homes: list[str] = []
        while len(set(homes)) < 2:
            assert len(homes) < 60, f"all conversations began at {homes[0]}"
            homes.append(a_conversation_stays(client))
        assert one.calls + two.calls == 2 * len(homes)
        assert serving.end(signal.SIGTERM) == 0


def a_conversation_stays(client: OpenAI) -> str:
    """Where it is held."""
    response = client.responses.create(model="azure-gpt4-turbo", input="Hello, who are you?")
    follow_up = client.responses.create(
        model="azure-gpt4-turbo", input="Tell me more about yourself", previous_response_id=response.id
    )
    assert follow_up.previous_response_id == response.id
    place = response.output_text.split(" at ")[1].split()[0].strip(".:,")
    assert follow_up.output_text.startswith(f"Turn 2 at {place}")
    return place


# Other providers, in this process: their stand-ins are too


@pytest.fixture
def hosts(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Hosts]:
    """Stand-ins for the vendors."""
    monkeypatch.setenv("ANTHROPIC_API_KEY", "your-anthropic-api-key")
    with vendor_hosts(monkeypatch, tmp_path) as found:
        yield found


@contextmanager
def served(folder: Path, text: str) -> Iterator[str]:
    """The address of the proxy of a file, as `homing serve` makes it."""
    path = folder / "config.yaml"
    path.write_text(text)
    config = read_proxy_config(path)
    with proxying(make_router(config), ProxySettings.of(config.general)) as url:
        yield url


@pytest.mark.parametrize("example", EXAMPLES, ids=[example.model for example in EXAMPLES])
def test_a_response_and_a_stream_of(
    example: Example, hosts: Hosts, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    for name, value in example.environment.items():
        monkeypatch.setenv(name, value)
    with served(tmp_path, example.config) as url, openai(url) as client:
        a_response_and_a_stream(client, example.model)
    assert hosts.asked == [example.host, example.host]


@pytest.mark.usefixtures("hosts")
def test_a_model_that_speaks_no_responses(tmp_path: Path) -> None:
    with served(tmp_path, BRIDGE) as url:
        assert said(curl_response(url, model="anthropic-model", input="who is Michael Jordan"))


@pytest.mark.usefixtures("hosts")
def test_sessions(tmp_path: Path) -> None:
    model = "anthropic/claude-3-5-sonnet-latest"
    with served(tmp_path, SESSIONS) as url:
        first = curl_response(url, model=model, input="who is Michael Jordan")
        more = "can you tell me more about him"
        second = curl_response(url, model=model, input=more, previous_response_id=first["id"])
        third = curl_response(url, model=model, input=more)
        assert all(said(each) for each in (first, second, third))
        assert [each["previous_response_id"] for each in (first, second, third)] == [None, first["id"], None]
        with openai(url, "sk-1234") as client:
            response = client.responses.create(model=model, input=more, previous_response_id=second["id"])
            assert response.previous_response_id == second["id"]
