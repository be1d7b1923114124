"""What can be set about the proxy, beyond its Router."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

from pydantic import SecretStr

from router.config.general import GeneralSettings
from router.config.keys import ConfiguredKey


@dataclass(frozen=True, slots=True)
class ProxySettings:
    """How the proxy treats its clients. Times in seconds."""

    master_key: SecretStr | None = None
    """What clients must show; None: nothing."""
    keys: Sequence[ConfiguredKey] = ()
    """What else they can show: virtual keys."""
    max_request_bytes: int = 100 * 1024 * 1024
    """The largest body that is read."""
    body_timeout: float = 60.0
    """How long a client may take from one part of its body to the next; all of it may take as long, and a second more
    for each KiB."""
    keep_alive: float = 15.0
    """After so long without an event, a stream is sent a comment, so that nobody on the way takes it for dead."""
    headers_after: float = 15.0
    """When a stream's headers are sent at the latest; until then, a failure has a status of its own."""
    routing_headers: bool = True
    """Whether answers say, in headers, who served them after how many attempts and at what cost."""
    head_timeout: float = 10.0
    """How long the head of a request may take to come."""
    max_header_bytes: int = 64 * 1024
    """The largest head of a request: its first line and its headers."""
    connection_idle: float = 75.0
    """How long a connection without a request is kept: longer than common load balancers keep theirs."""
    max_connections: int = 10_000
    """Connections of clients at a time."""
    write_timeout: float = 120.0
    """How long a client may take nothing of what is written to it. It is let go up to twice that later."""
    websocket_age: float = 3600.0
    """How long a WebSocket lasts at most; as long as OpenAI's."""
    websocket_idle: float = 3600.0
    """After how long without anything asked or in flight a WebSocket is closed."""

    @classmethod
    def of(cls, general: GeneralSettings) -> Self:
        """What `general_settings` of a file say."""
        return cls(
            master_key=general.master_key,
            keys=tuple(general.keys),
            max_request_bytes=max(1, round(general.max_request_size_mb * 1024 * 1024)),
            body_timeout=general.body_timeout,
            keep_alive=general.keep_alive,
            headers_after=general.headers_after,
            routing_headers=general.routing_headers,
            head_timeout=general.head_timeout,
            max_header_bytes=max(1, round(general.max_header_size_kb * 1024)),
            connection_idle=general.connection_idle,
            max_connections=general.max_connections,
            write_timeout=general.write_timeout,
            websocket_age=general.websocket_age,
            websocket_idle=general.websocket_idle,
        )
