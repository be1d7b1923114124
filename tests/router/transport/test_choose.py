"""Which transport a user's `http_client` means."""

import subprocess
import sys

import httpx
import pytest

from providers.errors import ConfigurationError
from router.transport import choose
from router.transport.aiohttp_transport import AiohttpTransport
from router.transport.httpx_transport import HttpxTransport


async def test_nothing_means_the_default() -> None:
    assert isinstance(choose(), AiohttpTransport)
    assert isinstance(choose(None), AiohttpTransport)


async def test_httpx_is_adapted() -> None:
    async with httpx.AsyncClient() as client, httpx.AsyncHTTPTransport() as transport:
        assert isinstance(choose(client), HttpxTransport)
        assert isinstance(choose(transport), HttpxTransport)


def test_a_transport_is_taken_as_it_is() -> None:
    transport = AiohttpTransport()
    assert choose(transport) is transport


class Foreign:
    """A client of another library."""

    async def send(self, request: object, *, stream: bool = False) -> None: ...
    async def aclose(self) -> None: ...


class Unclosable:
    """Half a transport."""

    async def send(self, request: object, connection: object, *, timeout: float) -> None: ...


@pytest.mark.parametrize(
    ("value", "match"),
    [
        (Foreign(), r"got .*\.Foreign$"),
        (Unclosable(), r"got .*\.Unclosable$"),
        ("http://proxy", r"http_client: expected an httpx\.AsyncClient.*got builtins\.str$"),
        (httpx.AsyncClient, "got the class httpx.AsyncClient; pass an instance"),
        (AiohttpTransport, "pass an instance"),
    ],
)
def test_anything_else_is_refused(value: object, match: str) -> None:
    with pytest.raises(ConfigurationError, match=match):
        choose(value)  # type: ignore[arg-type] # what a user might do


def test_a_synchronous_client_is_refused_with_advice() -> None:
    with httpx.Client() as client, pytest.raises(ConfigurationError, match=r"pass an httpx\.AsyncClient"):
        choose(client)  # type: ignore[arg-type] # what a user might do
    with pytest.raises(ConfigurationError, match=r"got httpx\.HTTPTransport; .*pass an httpx\.AsyncClient"):
        choose(httpx.HTTPTransport())  # type: ignore[arg-type] # the same


def test_httpx_is_imported_only_for_those_who_use_it() -> None:
    code = "import sys; from router.transport import choose; choose(); print('httpx' in sys.modules)"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True)
    assert run.stdout == "False\n"
