"""The page's endpoints: the page itself, what it shows, and the draining of deployments by hand."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import re
from contextlib import suppress
from pathlib import Path

from providers import jsonio
from providers.errors import NotFoundError, PermissionDeniedError, RateLimitError
from router.proxy.exchange import Exchange, Headers
from router.proxy.page.broadcast import Broadcast
from router.proxy.page.snapshot import Snapshots
from router.proxy.presence import Presence
from router.proxy.settings import ProxySettings
from router.router import Router

INTERVAL = 1.0
"""Seconds from one frame to the next."""
MOST_VIEWERS = 64
"""Streams at a time."""
STALLED = 30.0
"""Seconds that a viewer may take to receive one frame."""
_FILE = Path(__file__).with_name("fleet.html")
_INLINE = re.compile(rb"<(script|style)>(.*?)</\1>", re.DOTALL)


class Page:
    """Answers for the page."""

    def __init__(self, router: Router, settings: ProxySettings) -> None:
        self._router = router
        self._settings = settings
        self._content = _FILE.read_bytes()
        self._headers = _headers(self._content)
        self._snapshots = Snapshots(router)
        self._broadcast = Broadcast(self._frame, INTERVAL)
        self._viewers = 0

    async def page(self, exchange: Exchange) -> None:
        """GET /: the page, which holds nothing of the fleet."""
        await exchange.answer(200, self._content, self._headers, kind=b"text/html; charset=utf-8")

    async def fleet(self, exchange: Exchange) -> None:
        """GET /fleet: how all stands now."""
        await exchange.answer(200, jsonio.dumps(self._snapshots.take()), [(b"cache-control", b"no-store")])

    async def events(self, exchange: Exchange) -> None:
        """GET /fleet/events: the same, each second, as server-sent events."""
        if self._viewers >= MOST_VIEWERS:
            raise RateLimitError(f"{MOST_VIEWERS} watch the fleet already", code="too_many_viewers")
        self._viewers += 1
        try:
            with suppress(TimeoutError):  # whoever takes nothing in is let go
                async with Presence(exchange):
                    await exchange.begin()
                    await self._relay(exchange)
        finally:
            self._viewers -= 1

    async def drain(self, exchange: Exchange, deployment_id: str) -> None:
        """POST /fleet/{id}/drain: nothing new is sent there."""
        await self._set(exchange, deployment_id, drained=True)

    async def undrain(self, exchange: Exchange, deployment_id: str) -> None:
        """POST /fleet/{id}/undrain: it serves again."""
        await self._set(exchange, deployment_id, drained=False)

    def close(self) -> None:
        """Let all viewers go: the server is to stop."""
        self._broadcast.end()

    async def _set(self, exchange: Exchange, deployment_id: str, *, drained: bool) -> None:
        if exchange.headers.get("sec-fetch-site", "none") not in ("same-origin", "none"):
            # without a key, whatever site the operator has open could ask for it
            raise PermissionDeniedError("another site's page may not do this", code="cross_site")
        await exchange.body(self._settings.max_request_bytes, self._settings.body_timeout)
        act = self._router.drain_deployment if drained else self._router.undrain_deployment
        if not act(deployment_id):
            raise NotFoundError(f"there is no deployment {deployment_id[:200]!r}", code="deployment_not_found")
        await exchange.answer(200, jsonio.dumps({"id": deployment_id, "drained": drained}))

    async def _relay(self, exchange: Exchange) -> None:
        frame: bytes | None = self._frame()
        while frame is not None:
            async with asyncio.timeout(STALLED):
                await exchange.write(frame)
            frame = await self._broadcast.next()
        await exchange.end()

    def _frame(self) -> bytes:
        return b"event: fleet\ndata: %s\n\n" % jsonio.dumps(self._snapshots.take())


def _headers(content: bytes) -> Headers:
    """What lets the page run what is in it, and nothing else."""
    allowed = {b"script": b"", b"style": b""}
    for kind, code in _INLINE.findall(content):
        allowed[kind] += b" 'sha256-%s'" % base64.b64encode(hashlib.sha256(code).digest())
    policy = (
        b"default-src 'none'; script-src%s; style-src%s; connect-src 'self'; img-src data:; "
        b"base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    ) % (allowed[b"script"], allowed[b"style"])
    return [
        (b"content-security-policy", policy),
        (b"cache-control", b"no-cache"),
        (b"referrer-policy", b"no-referrer"),
        (b"x-content-type-options", b"nosniff"),
    ]
