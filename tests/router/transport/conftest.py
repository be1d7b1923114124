"""Every transport there is, ready to send, and closed afterwards."""

import ssl
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest
from httpx_aiohttp import AiohttpTransport as AiohttpUnderHttpx
from wire import Sender

from router.transport.aiohttp_transport import AiohttpTransport
from router.transport.base import Transport
from router.transport.httpx_transport import HttpxTransport
from router.transport.lean_transport import LeanTransport

TLS = Path(__file__).parent / "tls"
KINDS = ("aiohttp", "lean", "httpx-client", "httpx-transport", "httpx-aiohttp")
LIMIT = 100_000
"""Bytes that a body may have here."""


@pytest.fixture(params=KINDS)
async def sender(request: pytest.FixtureRequest) -> AsyncIterator[Sender]:
    """Each transport in turn."""
    inner: httpx.AsyncClient | httpx.AsyncBaseTransport | None = None
    transport: Transport
    match request.param:
        case "aiohttp":
            transport = AiohttpTransport(max_body=LIMIT, trust_env=False)
        case "lean":
            transport = LeanTransport(max_body=LIMIT, trust_env=False)
        case "httpx-client":
            transport = HttpxTransport(inner := httpx.AsyncClient(trust_env=False), max_body=LIMIT)
        case "httpx-transport":
            transport = HttpxTransport(inner := httpx.AsyncHTTPTransport(), max_body=LIMIT)
        case _:
            transport = HttpxTransport(inner := AiohttpUnderHttpx(), max_body=LIMIT)
    yield Sender(request.param, transport)
    await transport.aclose()
    if inner is not None:
        await inner.aclose()


@pytest.fixture(params=("aiohttp", "lean"))
async def direct(request: pytest.FixtureRequest) -> AsyncIterator[Sender]:
    """Our own transports."""
    kind = AiohttpTransport if request.param == "aiohttp" else LeanTransport
    transport = kind(max_body=LIMIT, trust_env=False)
    yield Sender(request.param, transport)
    await transport.aclose()


@pytest.fixture(scope="session")
def server_tls() -> ssl.SSLContext:
    """TLS of a server whose certificate nobody trusts by default; it asks its clients for none."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(TLS / "loopback-with-key.pem")
    return context
