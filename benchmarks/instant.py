"""A transport in memory that answers at once: what is measured over it is a Router's own work, and no network."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from typing import Any

from providers.types import Connection, HttpRequest

ANSWER: Mapping[str, Any] = {
    "id": "resp_1",
    "object": "response",
    "created_at": 1,
    "status": "completed",
    "model": "gpt-4.1-mini",
    "service_tier": "default",
    "output": [
        {
            "id": "msg_1",
            "type": "message",
            "role": "assistant",
            "status": "completed",
            "content": [{"type": "output_text", "text": "Hello there. " * 20, "annotations": []}],
        }
    ],
    "usage": {
        "input_tokens": 120,
        "input_tokens_details": {"cached_tokens": 64},
        "output_tokens": 40,
        "output_tokens_details": {"reasoning_tokens": 16},
        "total_tokens": 160,
    },
}


class Reply:
    """A whole answer that is here already."""

    def __init__(self, status: int = 200, content: Mapping[str, Any] = ANSWER) -> None:
        self.status = status
        self.headers: Mapping[str, str] = {"content-type": "application/json"}
        self._content = json.dumps(content).encode()

    async def read(self) -> bytes:
        """All of it."""
        return self._content

    async def chunk(self) -> bytes:
        """Nothing is streamed."""
        return b""

    async def aclose(self) -> None:
        """Nothing is held."""

    def abort(self) -> None:
        """Nothing is held."""


class Instant:
    """A transport to servers in this process, all of which give the same answer."""

    def __init__(self) -> None:
        self.reply = Reply()

    async def send(self, request: HttpRequest, connection: Connection, *, timeout: float) -> Reply:
        """The one answer, in the event loop's next turn, as from a network."""
        await asyncio.sleep(0)
        return self.reply

    async def aclose(self) -> None:
        """Nothing is open."""
