"""A reply's body in one piece, no larger than it may be."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

from router.transport import faults


class _Arriving(Protocol):
    """A reply whose body arrives."""

    @property
    def headers(self) -> Mapping[str, str]: ...

    async def chunk(self) -> bytes: ...


async def whole(reply: _Arriving, url: str, limit: int) -> bytes:
    """All of the body. Raises `MalformedReplyError` as soon as it is known to exceed `limit` bytes, and what the reply
    raises."""
    announced = reply.headers.get("content-length", "")
    if announced.isdecimal() and int(announced) > limit:
        raise faults.too_large(url, limit)
    parts: list[bytes] = []
    size = 0
    while part := await reply.chunk():
        parts.append(part)
        size += len(part)
        if size > limit:
            raise faults.too_large(url, limit)
    return parts[0] if len(parts) == 1 else b"".join(parts)
