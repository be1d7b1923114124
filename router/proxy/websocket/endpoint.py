"""The endpoint of WebSocket mode: lets connections begin, and ends them when the proxy stops."""

from __future__ import annotations

from providers.errors import NotFoundError, PermissionDeniedError, ServiceUnavailableError
from router.proxy.keys.keys import Keys
from router.proxy.keys.shown import shown
from router.proxy.settings import ProxySettings
from router.proxy.websocket.channel import Channel
from router.proxy.websocket.session import Limits, Session
from router.router import Router

PATH = ("responses",)


class Sockets:
    """Answers for WebSockets."""

    def __init__(self, router: Router, settings: ProxySettings, keys: Keys) -> None:
        self._router = router
        self._keys = keys
        self._limits = Limits(settings.websocket_age, settings.websocket_idle, settings.max_request_bytes)
        self._sessions: set[Session] = set()
        self._stopped = False

    def check(self, channel: Channel, path: tuple[str, ...]) -> None:
        """Raises what speaks against a connection whose key is good, or that needs none."""
        if path != PATH:
            raise NotFoundError(f"there is no WebSocket at /{'/'.join(path)[:200]}", code="not_found")
        if (
            channel.foreign and shown(channel.headers) is None
        ):  # whatever site its user looks at could use the deployments
            raise PermissionDeniedError("another site's page may not do this", code="cross_site")
        if self._stopped:
            raise ServiceUnavailableError("the proxy stops; connect anew", code="shutting_down")

    async def serve(self, channel: Channel) -> None:
        """Serve a connection to its end."""
        await channel.accept()
        session = Session(self._router, self._keys, channel, self._limits)
        self._sessions.add(session)
        try:
            await session.run()
        finally:
            self._sessions.discard(session)

    def close(self) -> None:
        """Let each connection end as soon as nothing is in flight on it: the server is to stop."""
        self._stopped = True
        for session in self._sessions:
            session.stop()
