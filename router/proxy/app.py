"""The ASGI application: finds the endpoint, lets in who may, answers errors."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Mapping
from functools import lru_cache
from typing import TypeAlias
from urllib.parse import unquote

from providers import jsonio
from providers.errors import APIError, NotFoundError
from router.proxy.chat.endpoint import ChatCompletions
from router.proxy.conversations import Conversations
from router.proxy.errors import content_of, headers_of, status_of
from router.proxy.exchange import Disconnected, Exchange, Headers, Receive, Scope, Send
from router.proxy.fleet_view import FleetView
from router.proxy.keys.endpoint import KeyEndpoints
from router.proxy.keys.keys import Keys
from router.proxy.openapi.document import document
from router.proxy.page.endpoint import Page
from router.proxy.responses import Responses
from router.proxy.routing_headers import printable
from router.proxy.settings import ProxySettings
from router.proxy.websocket.channel import Channel
from router.proxy.websocket.endpoint import Sockets
from router.router import Router

_log = logging.getLogger("router.proxy")

Endpoint: TypeAlias = "Callable[..., Awaitable[None]]"
_PREFIXES = ("/openai/v1/", "/openai/", "/v1/", "/")
"""What clients put before a path: they are configured with and without `/v1`."""
_ANY = None
"""A part of a path that is a name: none that a client can send, whose names may hold anything."""
_PAGE = ("",)
_PUBLIC = frozenset(
    {_PAGE, ("health", "liveness"), ("health", "liveliness"), ("health", "readiness"), ("openapi.json",)},
)
"""What may be asked without a key. The page is public, what it shows is not."""


class Proxy:
    """Serves a Router over HTTP and WebSockets. An ASGI 3 application; its lifespan closes the Router."""

    def __init__(self, router: Router, settings: ProxySettings | None = None) -> None:
        settings = settings or ProxySettings()
        self._router = router
        self.settings = settings
        self.keys = keys = Keys(router, settings)
        """Who is let in."""
        answers, fleet = Responses(router, settings, keys), FleetView(router, keys)
        made = KeyEndpoints(router, settings, keys)
        self._sockets = Sockets(router, settings, keys)
        chat, conversations = ChatCompletions(router, answers), Conversations(router, answers, keys)
        self._page = page = Page(router, settings)
        self._routes: Mapping[tuple[str | None, ...], Mapping[str, Endpoint]] = {
            ("responses",): {"POST": answers.create},
            ("responses", "input_tokens"): {"POST": answers.input_tokens},
            ("responses", "compact"): {"POST": answers.compact},
            ("responses", _ANY): {"GET": answers.get, "DELETE": answers.delete},
            ("responses", _ANY, "cancel"): {"POST": answers.cancel},
            ("responses", _ANY, "input_items"): {"GET": answers.input_items},
            **conversations.routes(_ANY),
            ("chat", "completions"): {"POST": chat.create},
            ("deployments", _ANY, "chat", "completions"): {"POST": chat.create},  # Azure's form
            ("models",): {"GET": fleet.models},
            ("models", _ANY): {"GET": fleet.model},
            _PAGE: {"GET": page.page},
            ("fleet",): {"GET": page.fleet},
            ("fleet", "events"): {"GET": page.events},
            ("fleet", _ANY, "drain"): {"POST": page.drain},
            ("fleet", _ANY, "undrain"): {"POST": page.undrain},
            ("health",): {"GET": fleet.health},
            ("health", "liveness"): {"GET": fleet.liveness},
            ("health", "liveliness"): {"GET": fleet.liveness},
            ("health", "readiness"): {"GET": fleet.readiness},
            ("key", "generate"): {"POST": made.generate},
            ("key", "update"): {"POST": made.update},
            ("key", "delete"): {"POST": made.delete},
            ("key", "info"): {"GET": made.info},
            ("key", "list"): {"GET": made.listing},
            ("key", _ANY, "regenerate"): {"POST": made.regenerate},
            ("openapi.json",): {"GET": self._document},
            ("metrics",): {"GET": fleet.metrics},
        }

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One connection's request, or the server's own life."""
        if scope["type"] == "http":
            await self._serve(Exchange(scope, receive, send))
        elif scope["type"] == "lifespan":
            await self._live(receive, send)
        else:
            await self._talk(Channel(scope, receive, send))

    def stop(self) -> None:
        """End what would go on for as long as somebody looks or asks: the server is to stop."""
        self._page.close()
        self._sockets.close()

    async def _live(self, receive: Receive, send: Send) -> None:
        while True:
            message = await receive()
            if message["type"] == "lifespan.shutdown":
                await self._router.aclose()
                await send({"type": "lifespan.shutdown.complete"})
                return
            await send({"type": "lifespan.startup.complete"})

    async def _serve(self, exchange: Exchange) -> None:
        try:
            path = segments(exchange.path)
            if path not in _PUBLIC:
                exchange.holder = holder = await self.keys.admit(exchange.headers)
                self.keys.authorize(holder, path)
            endpoint, parts = self._find(exchange.method, path)
            await endpoint(exchange, *parts)
        except Disconnected:
            return
        except Exception as error:
            await self._refuse(exchange, error)

    async def _talk(self, channel: Channel) -> None:
        """Serve a WebSocket, or deny it as any other request."""
        try:
            channel.holder = await self.keys.admit(channel.headers)
            self._sockets.check(channel, segments(channel.path))
        except Exception as error:
            if not isinstance(error, APIError):
                _log.error("a WebSocket was refused", exc_info=error)
            await channel.deny(status_of(error), content_of(error), headers_of(error))
        else:
            await self._sockets.serve(channel)

    async def _document(self, exchange: Exchange) -> None:
        """GET /openapi.json: what is served here, for machines."""
        await exchange.answer(200, jsonio.dumps(document()))

    def _find(self, method: str, path: tuple[str, ...]) -> tuple[Endpoint, tuple[str, ...]]:
        """Who answers, and the parts of the path that are names. Raises `NotFoundError`, or a 405."""
        methods = self._routes.get(path)
        names: tuple[str, ...] = ()
        if methods is None and len(path) > 1:
            if path[0] == "models":  # names of models may hold slashes
                path = ("models", "/".join(path[1:]))
            methods = self._routes.get((path[0], _ANY, *path[2:]))
            names = (path[1],)
            if methods is None and len(path) == 4:
                methods = self._routes.get((path[0], _ANY, path[2], _ANY))
                names = (path[1], path[3])
        if methods is None:
            raise NotFoundError(f"there is nothing at /{'/'.join(path)[:200]}", code="not_found")
        endpoint = methods.get(method)
        if endpoint is None:
            raise _NotAllowedError(", ".join(methods), method)
        return endpoint, names

    async def _refuse(self, exchange: Exchange, error: Exception) -> None:
        if not isinstance(error, APIError):
            _log.error("a request failed", exc_info=error)
        if exchange.started:  # nothing can be said any more that would be understood
            raise error
        headers: Headers = headers_of(error)
        attempts = getattr(error, "attempts", ())
        headers.append((b"x-homing-attempts", printable(str(len(attempts)))))
        if isinstance(error, _NotAllowedError):
            headers.append((b"allow", error.allowed.encode()))
        await exchange.answer(status_of(error), content_of(error), headers)


class _NotAllowedError(APIError):
    """405, which must say what is allowed instead."""

    status = 405

    def __init__(self, allowed: str, method: str) -> None:
        super().__init__(f"{method} is not served here; {allowed} is", code="method_not_allowed")
        self.allowed = allowed


@lru_cache(256)
def segments(path: str) -> tuple[str, ...]:
    """The parts of a path, without what clients put before it."""
    for prefix in _PREFIXES:
        if path.startswith(prefix):
            path = path[len(prefix) :]
            break
    return tuple(unquote(part) for part in path.strip("/").split("/"))
