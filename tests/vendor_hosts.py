"""The hosts of the vendors, as LiteLLM's page on `/responses` addresses them: each has a stand-in that takes its keys.

Only the transport learns where the stand-ins are. Source: docs.litellm.ai/docs/response_api.
"""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractAsyncContextManager, ExitStack, asynccontextmanager, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import urlsplit

import anthropic_rules
import fake_anthropic
import fake_bedrock
import fake_gemini
import pytest
from fake_google_tokens import FakeTokens, service_account
from wire import serve

from providers.simulated import SimulatedUpstream
from providers.types import Connection, HttpRequest
from router.transport.aiohttp_transport import AiohttpTransport
from router.transport.base import OpenReply
from router.transport.lean_transport import LeanTransport

T = TypeVar("T")


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


@contextmanager
def vendor_hosts(monkeypatch: pytest.MonkeyPatch, folder: Path) -> Iterator[Hosts]:
    """Stand-ins, which take the keys that the page writes. `folder` holds the key file of Google's account."""
    monkeypatch.setattr(fake_anthropic, "KEY", "your-anthropic-api-key")
    monkeypatch.setattr(fake_bedrock, "ACCESS_KEY", "your-access-key-id")
    monkeypatch.setattr(fake_bedrock, "SECRET_KEY", "your-secret-access-key")
    monkeypatch.setattr(fake_gemini, "KEY", "your-gemini-api-key")
    models = anthropic_rules.MODELS
    for name in ("claude-3-5-sonnet-20240620", "claude-3-5-sonnet-latest"):
        monkeypatch.setitem(models, name, models["claude-3-5-sonnet-20241022"])
    for kind in (AiohttpTransport, LeanTransport):  # of the Router, and of the proxy

        async def send(
            self: Any, request: HttpRequest, connection: Connection, *, timeout: float, real: Any = kind.send
        ) -> OpenReply:
            reply: OpenReply = await real(self, found.locate(request), connection, timeout=timeout)
            return reply

        monkeypatch.setattr(kind, "send", send)
    with ExitStack() as stack:
        found = Hosts(stack)
        account = service_account(stack.enter_context(in_thread(_tokens())))
        (folder / "adc.json").write_text(json.dumps(account))
        monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", str(folder / "adc.json"))
        yield found
