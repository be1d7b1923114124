"""The command `homing`, where hosts that it sends to are stood in for: run by tests, as a process of its own.

The variable `DIVERTED` tells, as JSON, the address of each host's stand-in. Only the transport learns of it.
"""

from __future__ import annotations

import json
import os
from dataclasses import replace
from urllib.parse import urlsplit

from providers.types import Connection, HttpRequest
from router.cli import main
from router.transport.base import OpenReply
from router.transport.lean_transport import LeanTransport

VARIABLE = "DIVERTED"


def divert(addresses: dict[str, str]) -> None:
    """Send to these addresses, by host; other hosts are not reached."""
    real = LeanTransport.send

    async def send(self: LeanTransport, request: HttpRequest, connection: Connection, *, timeout: float) -> OpenReply:
        parts = urlsplit(request.url)
        below = parts._replace(scheme="", netloc="").geturl()
        return await real(self, replace(request, url=addresses[parts.netloc] + below), connection, timeout=timeout)

    LeanTransport.send = send  # type: ignore[method-assign]  # in this process alone


if __name__ == "__main__":
    divert(json.loads(os.environ[VARIABLE]))
    raise SystemExit(main())
