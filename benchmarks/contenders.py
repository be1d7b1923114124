"""What is compared: each opens a client, then makes one call or reads one stream.

Imported by `worker.py` in the interpreter of the contender, so only the standard library is imported at the top: each
contender's own library when it is opened, and ours only for ours. All but the floor decode JSON, none keeps what it
read.
"""

from __future__ import annotations

import asyncio
import json
import os
from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Any
from urllib.parse import urlsplit

import upstream

KEY = "sk-benchmark"
MODEL = "gpt-4.1-mini"
GROUP = "gpt"
DEPLOYMENTS = 10
ASKED: dict[str, Any] = {"input": "Hello, who are you?", "truncation": "auto"}
_TAIL = 4096
"""Bytes kept of what was received before: more than a whole reply, and than the end of a stream."""
_LIMITS = {"max_connections": 4096, "max_keepalive_connections": 4096, "keepalive_expiry": 60}
_HEADERS = {"authorization": f"Bearer {KEY}", "content-type": "application/json"}


def model_list(url: str, count: int = DEPLOYMENTS) -> list[dict[str, Any]]:
    """`count` deployments of one group, all served by the same server."""
    params = {"model": f"openai/{MODEL}", "api_key": KEY, "api_base": url}
    return [{"model_name": GROUP, "litellm_params": dict(params), "model_info": {"id": f"d{n}"}} for n in range(count)]


class Contender(ABC):
    """One client of one server, used from one event loop."""

    package = ""
    """What is measured, as it is named on the package index; empty for ours."""

    def __init__(self, url: str) -> None:
        """`url` ends in `/v1`."""
        self.url = url

    @abstractmethod
    async def open(self) -> None:
        """Make the client; nothing of this is measured."""

    @abstractmethod
    async def close(self) -> None:
        """Close its connections."""

    @abstractmethod
    async def call(self) -> None:
        """One response, not streamed, its JSON decoded."""

    @abstractmethod
    async def stream(self) -> int:
        """One streamed response, every event decoded and its type read; how many events there were."""


class Socket(Contender):
    """The floor: asyncio's own streams on kept connections. Bytes are awaited, nothing is decoded."""

    async def open(self) -> None:
        where = urlsplit(self.url)
        self._host, self._port, self._path = where.hostname, where.port, where.path
        self._idle: list[tuple[asyncio.StreamReader, asyncio.StreamWriter]] = []

    async def close(self) -> None:
        for _, writer in self._idle:
            writer.close()

    async def call(self) -> None:
        await self._ask({}, lambda received: len(received.partition(b"\r\n\r\n")[2]) >= self._size(received))

    async def stream(self) -> int:
        await self._ask({"stream": True}, lambda received: received.endswith(b"\r\n0\r\n\r\n"))
        return upstream.EVENTS

    async def _ask(self, more: dict[str, Any], whole: Callable[[bytes], bool]) -> None:
        reader, writer = self._idle.pop() if self._idle else await asyncio.open_connection(self._host, self._port)
        body = json.dumps({"model": MODEL, **ASKED, **more}).encode()
        writer.write(
            b"POST %b/responses HTTP/1.1\r\ncontent-length: %d\r\n\r\n" % (self._path.encode(), len(body)) + body
        )
        received = b""
        while not whole(received):
            received = received[-_TAIL:] + await reader.read(65536)
        self._idle.append((reader, writer))

    def _size(self, received: bytes) -> int:
        return int(received.partition(b"Content-Length: ")[2].partition(b"\r\n")[0] or 1)


class Httpx(Contender):
    """Bare `httpx.AsyncClient.post`, its limits raised so that it may keep its connections; JSON by msgspec."""

    package = "httpx"

    async def open(self) -> None:
        import httpx
        import msgspec

        self._client = httpx.AsyncClient(limits=httpx.Limits(**_LIMITS), timeout=60)
        self._encode, self._decode = msgspec.json.encode, msgspec.json.decode

    def _content(self, **more: Any) -> bytes:
        return self._encode({"model": MODEL, **ASKED, **more})

    async def close(self) -> None:
        await self._client.aclose()

    async def call(self) -> None:
        reply = await self._client.post(f"{self.url}/responses", content=self._content(), headers=_HEADERS)
        self._decode(reply.content)

    async def stream(self) -> int:
        events = 0
        content = self._content(stream=True)
        async with self._client.stream("POST", f"{self.url}/responses", content=content, headers=_HEADERS) as reply:
            async for line in reply.aiter_lines():
                if line.startswith("data: "):
                    self._decode(line[6:])["type"]
                    events += 1
        return events


class Aiohttp(Contender):
    """A raw `aiohttp.ClientSession.post`; JSON by msgspec."""

    package = "aiohttp"

    async def open(self) -> None:
        import aiohttp
        import msgspec

        self._client = aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0, keepalive_timeout=60))
        self._encode, self._decode = msgspec.json.encode, msgspec.json.decode

    def _post(self, **more: Any) -> Any:
        content = self._encode({"model": MODEL, **ASKED, **more})
        return self._client.post(f"{self.url}/responses", data=content, headers=_HEADERS)

    async def close(self) -> None:
        await self._client.close()

    async def call(self) -> None:
        async with self._post() as reply:
            self._decode(await reply.read())

    async def stream(self) -> int:
        events = 0
        async with self._post(stream=True) as reply:
            async for line in reply.content:
                if line.startswith(b"data: "):
                    self._decode(line[6:])["type"]
                    events += 1
        return events


class OpenAI(Contender):
    """`openai.AsyncOpenAI.responses.create`, without retries."""

    package = "openai"

    async def open(self) -> None:
        import openai

        self._client = openai.AsyncOpenAI(api_key=KEY, base_url=self.url, max_retries=0)

    async def close(self) -> None:
        await self._client.close()

    async def call(self) -> None:
        await self._client.responses.create(model=MODEL, **ASKED)

    async def stream(self) -> int:
        return await _events(await self._client.responses.create(model=MODEL, stream=True, **ASKED))


class LiteLLM(Contender):
    """`litellm.Router.aresponses` over 10 deployments, without retries, callbacks or the price list's download."""

    package = "litellm"

    async def open(self) -> None:
        os.environ["LITELLM_LOCAL_MODEL_COST_MAP"] = "True"
        import litellm

        self._router = litellm.Router(model_list=model_list(self.url), num_retries=0)

    async def close(self) -> None:
        self._router.discard()

    async def call(self) -> None:
        await self._router.aresponses(model=GROUP, **ASKED)

    async def stream(self) -> int:
        return await _events(await self._router.aresponses(model=GROUP, stream=True, **ASKED))


class Ours(Contender):
    """`Router.aresponses` over 10 deployments: default strategy, default transport."""

    count = DEPLOYMENTS

    async def open(self) -> None:
        from router import Router

        self._router = Router(model_list(self.url, self.count), **self._settings())
        self._asked: dict[str, Any] = dict(ASKED)

    def _settings(self) -> dict[str, Any]:
        return {}

    async def close(self) -> None:
        await self._router.aclose()

    async def call(self) -> None:
        await self._router.aresponses(GROUP, **self._asked)

    async def stream(self) -> int:
        return await _events(await self._router.aresponses(GROUP, stream=True, **self._asked))


class OursMany(Ours):
    """Ours over 1,000 deployments."""

    count = 1000


class OursHoming(Ours):
    """Ours with `responses_api_deployment_check`, every call a follow-up of a known response."""

    def _settings(self) -> dict[str, Any]:
        return {"optional_pre_call_checks": ["responses_api_deployment_check"]}

    async def open(self) -> None:
        await super().open()
        first = await self._router.aresponses(GROUP, **ASKED)
        self._asked["previous_response_id"] = first.id


class OursHttpx(Ours):
    """Ours sending through a user's own `httpx.AsyncClient`, its limits raised as for bare httpx."""

    def _settings(self) -> dict[str, Any]:
        import httpx

        return {"http_client": httpx.AsyncClient(limits=httpx.Limits(**_LIMITS))}


async def _events(stream: Any) -> int:
    events = 0
    async for event in stream:
        event.type  # noqa: B018 - reading it is what a caller does first, and what lazy views must not be spared
        events += 1
    return events


CONTENDERS: dict[str, type[Contender]] = {
    "socket": Socket,
    "httpx": Httpx,
    "aiohttp": Aiohttp,
    "openai": OpenAI,
    "litellm": LiteLLM,
    "ours": Ours,
    "ours-1000": OursMany,
    "ours-homing": OursHoming,
    "ours-httpx": OursHttpx,
}
