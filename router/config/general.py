"""The section `general_settings`: what the proxy is, beyond its Router."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, ClassVar

from pydantic import Field, SecretStr

from router.config.foreign import GENERAL_REFUSED
from router.config.keys import ConfiguredKey, ConfiguredKeys
from router.config.strict import Number, Seconds, Strict


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
    """How long a client may take from one part of its body to the next."""
    keep_alive: Seconds = 15.0
    """After so long without an event, a stream is sent a comment, so that nobody on the way takes it for dead."""
    headers_after: Seconds = 15.0
    """When a stream's headers are sent at the latest; until then, a failure has a status of its own."""
    routing_headers: bool = True
    """Whether answers say, in headers, who served them after how many attempts and at what cost."""
