"""Calls without a Router."""

import asyncio
import gc
import importlib
from collections.abc import Iterator
from typing import Any

import pytest
from pydantic import SecretStr
from responses_protocol import check_stream
from routers import bodies, read, serving

import router
from providers.simulated import SimulatedUpstream
from router import ConfigurationError, ResponseStream, SyncResponseStream

functions = importlib.import_module("router.functions")


@pytest.fixture(autouse=True)
def _forgotten() -> Iterator[None]:
    """Start, and leave, without Routers of other calls."""
    functions._routers.clear()
    yield
    functions._routers.clear()
    gc.collect()


async def close_all() -> None:
    for made in functions._routers.values():
        await made.aclose()


async def test_async() -> None:
    async with serving(1) as (upstream,):
        where: dict[str, Any] = {"api_key": "sk-1", "api_base": upstream.url}
        response = await router.aresponses("openai/o1-pro", "hi", temperature=0.5, **where)
        assert response.output_text
        stream = await router.aresponses(model="openai/o1-pro", input="hi", stream=True, **where)
        assert isinstance(stream, ResponseStream)
        check_stream(await read(stream))
        await router.aresponses("openai/o1-pro", prompt={"id": "pmpt_1"}, **where)
        assert bodies(upstream) == [
            {"model": "o1-pro", "input": "hi", "temperature": 0.5},
            {"model": "o1-pro", "input": "hi", "stream": True},
            {"model": "o1-pro", "prompt": {"id": "pmpt_1"}},
        ]
        assert upstream.requests[0].headers["authorization"] == "Bearer sk-1"
        assert upstream.open_connections == 1, "it is kept"
        await close_all()


def test_sync() -> None:
    with SimulatedUpstream.in_thread("u0") as upstream:
        where: dict[str, Any] = {"api_key": "sk-1", "api_base": upstream.url}
        assert router.responses("openai/o1-pro", "hi", **where).output_text
        stream = router.responses("openai/o1-pro", input="hi", stream=True, **where)
        assert isinstance(stream, SyncResponseStream)
        assert [event.type for event in stream][-1] == "response.completed"
        assert router.responses("openai/o1-pro", prompt={"id": "pmpt_1"}, **where).output_text
        for made in functions._routers.values():
            made.close()


async def test_the_key_comes_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    async with serving(1) as (upstream,):
        monkeypatch.setenv("OPENAI_API_KEY", "sk-env")
        monkeypatch.setenv("OPENAI_BASE_URL", upstream.url)
        await router.aresponses(model="openai/o1-pro", input="hi")
        assert upstream.requests[0].headers["authorization"] == "Bearer sk-env"
        await close_all()


async def test_keys_are_told_apart() -> None:
    async with serving(1) as (upstream,):
        for key in ("sk-1", SecretStr("sk-2"), SecretStr("sk-3"), "sk-1"):
            await router.aresponses("openai/o1", "hi", api_key=key, api_base=upstream.url)
        used = [record.headers["authorization"].removeprefix("Bearer ") for record in upstream.requests]
        assert used == ["sk-1", "sk-2", "sk-3", "sk-1"]
        assert len(functions._routers) == 3
        await close_all()


async def test_a_token_provider_may_be_passed() -> None:
    async with serving(1) as (upstream,):

        async def token() -> str:
            return "fetched"

        for _ in range(2):
            await router.aresponses(
                "azure/gpt",
                "hi",
                api_base=upstream.url,
                azure_ad_token_provider=token,
                api_version="2025-03-01-preview",
            )
        assert [record.headers["authorization"] for record in upstream.requests] == ["Bearer fetched"] * 2
        assert bodies(upstream)[0] == {"model": "gpt", "input": "hi"}
        await close_all()


async def test_what_is_wrong_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    with pytest.raises(ConfigurationError, match="api_key"):
        await router.aresponses("openai/o1-pro", "hi")
    with pytest.raises(ConfigurationError, match="opnai"):
        await router.aresponses("opnai/o1-pro", "hi", api_key="k")
    with pytest.raises(ConfigurationError, match="api_base: must be a text, not dict"):
        await router.aresponses("openai/o1-pro", "hi", api_base={"url": "x"})
    with pytest.raises(ConfigurationError, match="vertex_credentials: object is not JSON"):
        await router.aresponses("openai/o1-pro", "hi", vertex_credentials={"type": object()})
    with pytest.raises(ConfigurationError, match="vertex_credentials: means nothing to openai"):
        await router.aresponses("openai/o1-pro", "hi", api_key="k", vertex_credentials={"type": "service_account"})
    assert not functions._routers


async def test_the_least_recently_used_makes_room(monkeypatch: pytest.MonkeyPatch) -> None:
    async with serving(1) as (upstream,):
        for number in range(functions.MOST + 6):
            await router.aresponses(f"openai/m{number}", "hi", api_key="k", api_base=upstream.url)
        assert len(functions._routers) == functions.MOST
        gc.collect()
        await upstream.until(lambda: upstream.open_connections <= functions.MOST)
        await asyncio.gather(
            *(router.aresponses("openai/m69", "hi", api_key="k", api_base=upstream.url) for _ in range(5))
        )
        await close_all()
