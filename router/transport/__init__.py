"""The network seam: how requests leave and replies come back.

Everything above speaks plain data (`HttpRequest` in, `OpenReply` out), so what does the sending can be exchanged:
`AiohttpTransport`, the default, or `HttpxTransport` around an httpx client or transport of the user's own, or any
object with the two methods of `Transport`. `choose` tells them apart.
"""

from __future__ import annotations

import inspect
from typing import TYPE_CHECKING, TypeAlias

from providers.errors import ConfigurationError
from router.transport.base import OpenReply, Transport

if TYPE_CHECKING:
    import httpx

    HttpClient: TypeAlias = httpx.AsyncClient | httpx.AsyncBaseTransport | Transport

__all__ = ["OpenReply", "Transport", "choose"]


def choose(http_client: HttpClient | None = None) -> Transport:
    """The transport for what a user passed as `http_client`; nothing means the default.

    Raises `ConfigurationError` for anything that is not an asynchronous httpx client or transport, nor a `Transport`.
    """
    # Imported when needed: aiohttp takes a third of a second to import, httpx an eighth; few need both.
    if http_client is None:
        from router.transport.aiohttp_transport import AiohttpTransport

        return AiohttpTransport()
    import httpx

    if isinstance(http_client, (httpx.AsyncClient, httpx.AsyncBaseTransport)):
        from router.transport.httpx_transport import HttpxTransport

        return HttpxTransport(http_client)
    if _sends(http_client):
        return http_client
    raise ConfigurationError(
        "http_client: expected an httpx.AsyncClient, an httpx.AsyncBaseTransport or a Transport, got "
        + _name(http_client)
        + _advice(http_client)
    )


def _sends(candidate: object) -> bool:
    """Whether it has the methods of `Transport`; a client of another library has a `send` of its own."""
    send = getattr(candidate, "send", None)
    if isinstance(candidate, type) or not callable(send) or not callable(getattr(candidate, "aclose", None)):
        return False
    return {"connection", "timeout"} <= inspect.signature(send).parameters.keys()


def _name(value: object) -> str:
    kind = value if isinstance(value, type) else type(value)
    name = f"{kind.__module__}.{kind.__qualname__}"
    return f"the class {name}" if isinstance(value, type) else name


def _advice(value: object) -> str:
    import httpx

    if isinstance(value, type):
        return "; pass an instance of it"
    if isinstance(value, (httpx.Client, httpx.BaseTransport)):
        return "; the synchronous verbs, too, send asynchronously: pass an httpx.AsyncClient"
    return ""
