"""The section `general_settings`: what the proxy is, beyond its Router."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, ClassVar

from pydantic import Field, SecretStr

from router.config.foreign import GENERAL_REFUSED
from router.config.keys import ConfiguredKey, ConfiguredKeys
from router.config.strict import Number, PositiveCount, Seconds, Strict


class GeneralSettings(Strict):
    """How the proxy treats its clients. Times are in seconds."""

    refused: ClassVar[Mapping[str, str]] = GENERAL_REFUSED
    nested: ClassVar[Mapping[str, type[Strict]]] = {"keys": ConfiguredKey}

    master_key: Annotated[SecretStr, Field(min_length=1)] | None = None
    """What clients must show; unset: the environment variable LITELLM_MASTER_KEY, or nothing."""
    keys: ConfiguredKeys = Field(default_factory=list)
    """Virtual keys: for some models, with limits, with responses of their own."""
    max_request_size_mb: Annotated[float, Field(gt=0, allow_inf_nan=False), Number] = 100.0
    """The largest body that is read, in megabytes."""
    body_timeout: Seconds = 60.0
    """How long a client may take from one part of its body to the next; all of it may take as long, and a second more
    for each KiB."""
    keep_alive: Seconds = 15.0
    """After so long without an event, a stream is sent a comment, so that nobody on the way takes it for dead."""
    headers_after: Seconds = 15.0
    """When a stream's headers are sent at the latest; until then, a failure has a status of its own."""
    routing_headers: bool = True
    """Whether answers say, in headers, who served them after how many attempts and at what cost."""
    head_timeout: Seconds = 10.0
    """How long the head of a request may take to come."""
    max_header_size_kb: Annotated[float, Field(gt=0, allow_inf_nan=False), Number] = 64.0
    """The largest head of a request, its first line and its headers, in kilobytes."""
    connection_idle: Seconds = 75.0
    """How long a connection without a request is kept."""
    max_connections: PositiveCount = 10_000
    """Connections of clients at a time, in each process; no more than half of the files that it may have open."""
    write_timeout: Seconds = 120.0
    """How long a client may take nothing of what is written to it."""
    websocket_age: Seconds = 3600.0
    """How long a WebSocket lasts at most; as long as OpenAI's."""
    websocket_idle: Seconds = 3600.0
    """After how long without anything asked or in flight a WebSocket is closed."""
