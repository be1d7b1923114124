"""Responses made without a Router are read, deleted and continued without one."""

import gc
import importlib
from collections.abc import Iterator
from typing import Any

import pytest
from routers import read, serving
from wire import Link, serve

import router
from providers.simulated import SimulatedUpstream
from router import BadRequestError, ConfigurationError, Response, ResponseNotFoundError

functions = importlib.import_module("router.functions")


@pytest.fixture(autouse=True)
def _forgotten() -> Iterator[None]:
    """Start, and leave, without Routers of other calls."""
    functions._routers.clear()
    functions._makers.clear()
    yield
    functions._routers.clear()
    functions._makers.clear()
    gc.collect()


async def close_all() -> None:
    for made in functions._routers.values():
        await made.aclose()


async def test_each_response_is_found_where_it_was_made() -> None:
    async with serving(2) as upstreams:
        places: list[dict[str, Any]] = [{"api_key": "sk-1", "api_base": upstream.url} for upstream in upstreams]
        for upstream, place in zip(upstreams, places, strict=True):
            made = await router.aresponses("openai/o1-pro", "hi", **place)
            stream = await router.aresponses("openai/o1-pro", "hello", stream=True, **place)
            await read(stream)
            assert stream.response is not None
            for response in (made, stream.response):
                found = await router.aget_responses(response.id)
                assert isinstance(found, Response)
                assert found.output == response.output
                page = await router.alist_input_items(response.id, limit=1)
                assert len(page.data) == 1
                assert (await router.adelete_responses(response_id=response.id)).deleted
                with pytest.raises(ResponseNotFoundError):
                    await router.aget_responses(response.id)
            assert upstream.calls == 10
        background = await router.aresponses("openai/o1-pro", "hi", background=True, **places[0])
        assert (await router.acancel_responses(background.id)).status == "cancelled"
        await close_all()


def test_sync() -> None:
    with SimulatedUpstream.in_thread("u0") as upstream:
        where: dict[str, Any] = {"api_key": "sk-1", "api_base": upstream.url}
        made = router.responses("openai/o1-pro", "hi", **where)
        found = router.get_responses(made.id)
        assert isinstance(found, Response)
        assert found.output_text == made.output_text
        stream = router.responses("openai/o1-pro", "hi", stream=True, **where)
        assert [event.type for event in stream][-1] == "response.completed"
        assert stream.response is not None
        assert router.list_input_items(stream.response.id).data
        with pytest.raises(BadRequestError):
            router.cancel_responses(made.id)
        assert router.delete_responses(made.id).deleted
        for each in functions._routers.values():
            each.close()


async def test_one_that_was_made_elsewhere_needs_a_model() -> None:
    async with serving(1) as (upstream,):
        where: dict[str, Any] = {"api_key": "sk-1", "api_base": upstream.url}
        made = await router.aresponses("openai/o1-pro", "hi", **where)
        functions._makers.clear()
        with pytest.raises(ConfigurationError, match=r"aget_responses: nobody here made 'resp_.*; pass model="):
            await router.aget_responses(made.id)
        found = await router.aget_responses(made.id, model="openai/o1-pro", **where)
        assert isinstance(found, Response)
        assert found.id == made.id
        await close_all()


async def test_what_has_no_id_is_not_kept_in_mind() -> None:
    async def nameless(link: Link) -> None:
        while await link.request():
            await link.send(
                b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 13\r\n\r\n", b'{"output":[]}'
            )

    async with serve(nameless) as server:
        assert (await router.aresponses("openai/o1-pro", "hi", api_key="k", api_base=server.url)).output == []
        assert not functions._makers
        await close_all()
