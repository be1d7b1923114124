"""Recorded answers of every vendor, played to a Router over a real socket."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from aiohttp import web
from amazon_frames import event
from fake_google_tokens import service_account

from router import Router

FIXTURES = Path(__file__).parent / "fixtures"
DIALECTS = ("messages", "converse", "generate_content", "chat_completions")
_AWS = "application/vnd.amazon.eventstream"
_ACCOUNTS: Mapping[str, Any] = {
    "bedrock": {"aws_access_key_id": "a", "aws_secret_access_key": "s", "aws_region_name": "us-east-1"},
    "vertex_ai": {"vertex_project": "acme", "vertex_location": "us-east5"},
}


def recorded(dialect: str) -> dict[str, tuple[bool, bool]]:
    """The fixtures of a dialect: whether there is a whole reply, whether there is a stream."""
    files = sorted((FIXTURES / dialect).glob("*.*"))
    names = dict.fromkeys(file.stem for file in files if not file.stem.endswith(".events"))
    return {name: (_reads(dialect, name, stream=False), _reads(dialect, name, stream=True)) for name in names}


def _reads(dialect: str, name: str, *, stream: bool) -> bool:
    try:
        return bool(fixture(dialect, name, stream=stream))
    except (FileNotFoundError, KeyError):
        return False


def fixture(dialect: str, name: str, *, stream: bool) -> bytes:
    """The body of a recorded answer, whole or streamed."""
    if dialect != "converse":
        return (FIXTURES / dialect / f"{name}.{'sse' if stream else 'json'}").read_bytes()
    both = json.loads((FIXTURES / dialect / f"{name}.json").read_text())
    if not stream:
        return json.dumps(both["whole"]).encode()
    return b"".join(event(kind, payload) for each in both["stream"] for kind, payload in each.items())


class Replay:
    """A server that answers whatever it is asked with what it was told, in order. `url` is where it listens."""

    def __init__(self) -> None:
        self.url = ""
        self._answers: list[tuple[bytes, str, int, bool]] = []

    def play(self, dialect: str, name: str, *, stream: bool) -> None:
        """Answer the next request with a fixture."""
        usual = _AWS if dialect == "converse" else "text/event-stream"
        self.say(fixture(dialect, name, stream=stream), usual if stream else "application/json")

    def say(self, content: bytes, kind: str = "application/json", status: int = 200, *, cut: bool = False) -> None:
        """Answer the next request with this body; `cut`: with the beginning of a body, then reset the connection."""
        self._answers.append((content, kind, status, cut))

    def respond(self, response: Mapping[str, Any], *, stream: bool = False) -> None:
        """Answer the next request as the Responses API does: with this response, or a stream that ends with it."""
        if not stream:
            self.say(json.dumps(response).encode())
            return
        begun = {**response, "status": "in_progress", "output": [], "usage": None}
        delta = {"item_id": "m", "output_index": 0, "content_index": 0, "delta": "Hi", "logprobs": []}
        events: list[dict[str, Any]] = [
            {"type": "response.created", "response": begun},
            {"type": "response.output_text.delta", **delta},
            {"type": f"response.{response['status']}", "response": response},
        ]
        frames = [{**each, "sequence_number": number} for number, each in enumerate(events)]
        self.say(b"".join(b"data: %s\n\n" % json.dumps(each).encode() for each in frames), "text/event-stream")

    def entry(self, model: str, group: str = "g", info: Mapping[str, Any] | None = None, **params: Any) -> Any:
        """A deployment of this model at this server."""
        provider = model.partition("/")[0]
        account = dict(_ACCOUNTS.get(provider, {"api_key": "sk-replayed"}))
        if provider == "vertex_ai":
            account["vertex_credentials"] = service_account(f"{self.url}/token")
        where = f"{self.url}/v1beta" if provider == "gemini" else self.url
        return {
            "model_name": group,
            "litellm_params": {"model": model, "api_base": where, **account, **params},
            "model_info": dict(info or {}),
        }

    async def _serve(self, request: web.Request) -> web.StreamResponse:
        await request.read()
        if request.path == "/token":
            return web.json_response({"access_token": "t", "expires_in": 3600, "token_type": "Bearer"})
        content, kind, status, cut = self._answers.pop(0)
        if cut:
            begun = web.StreamResponse(status=status, headers={"content-type": kind})
            await begun.prepare(request)
            await begun.write(content)
            assert request.transport is not None
            request.transport.close()
            return begun
        return web.Response(body=content, content_type=kind, status=status)


@asynccontextmanager
async def replaying() -> AsyncIterator[Replay]:
    """A server on a free port of loopback."""
    replay = Replay()
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", replay._serve)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=1.0)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        replay.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
        yield replay
    finally:
        await runner.cleanup()


@asynccontextmanager
async def priced(*models: str, **settings: Any) -> AsyncIterator[tuple[Replay, Router, list[Any]]]:
    """A server, a Router with a deployment of each model there (groups `g0`, `g1`, …), and the records of its calls."""
    records: list[Any] = []

    async def keep(record: Any) -> None:
        records.append(record)

    async with replaying() as replay:
        entries = [replay.entry(model, f"g{place}") for place, model in enumerate(models)]
        router = Router(entries, num_retries=0, callbacks=[keep], **settings)
        async with router:
            yield replay, router, records
