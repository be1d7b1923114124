"""The processes of a soak: `soak_child.py router` and `soak_child.py upstreams`. Started by `soak.py`, never by hand.

Each reads its configuration and then commands as lines of JSON, and answers with lines of JSON, until its input ends.
"""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, suppress
from dataclasses import replace
from typing import Any

from providers.errors import APIError, RouterError
from providers.simulated import Behaviour, SimulatedUpstream
from providers.types import Verb
from router import ResponseStream, Router

GROUP = "gpt"
LONGEST_LINE = 1 << 20


async def lines() -> AsyncIterator[Any]:
    """What the parent says."""
    reader = asyncio.StreamReader(LONGEST_LINE)
    await asyncio.get_running_loop().connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    while line := await reader.readline():
        yield json.loads(line)


def say(**answer: object) -> None:
    """Tell the parent."""
    sys.stdout.write(json.dumps(answer) + "\n")
    sys.stdout.flush()


# a router process


async def route() -> None:
    """Makes the calls it is told to, all at once."""
    heard = lines()
    config = await anext(heard)
    router = Router(**config)
    running: set[asyncio.Task[None]] = set()
    say(ready=True)
    async for job in heard:
        task = asyncio.create_task(_do(router, job))
        running.add(task)
        task.add_done_callback(running.discard)
    await asyncio.gather(*running)
    await router.aclose()


async def _do(router: Router, job: dict[str, Any]) -> None:
    try:
        say(job=job["job"], **await _call(router, job))
    except RouterError as error:
        attempts = error.attempts if isinstance(error, APIError) else ()
        tried = [type(each.error).__name__ for each in attempts if each.error is not None]
        say(job=job["job"], error=f"{type(error).__name__}: {error}"[:300], failed=tried)


async def _call(router: Router, job: dict[str, Any]) -> dict[str, object]:
    asked = {"input": job["input"], "previous_response_id": job["after"]}
    if job["stream"]:
        stream = await router.aresponses(GROUP, stream=True, **asked)
        assert isinstance(stream, ResponseStream)
        async for _ in stream:
            pass
        response, routing = stream.response, stream.routing
        assert response is not None
    else:
        response = await router.aresponses(GROUP, **asked)
        assert response is not None
        routing = response.routing
    return {
        "id": response.id,
        "text": response.output_text,
        "deployment": routing.deployment_id,
        "mode": routing.affinity.mode if routing.affinity is not None else "",
        "failed": [type(each.error).__name__ for each in routing.attempts if each.error is not None],
    }


# the process of the deployments


class Audit:
    """Counts, for one deployment, the requests that name a response it never issued."""

    def __init__(self, upstream: SimulatedUpstream) -> None:
        self.upstream = upstream
        self._issued: set[str] = set()
        self._seen = 0
        self.foreign = 0
        self.probes = 0

    def look(self) -> None:
        """At what has come since the last look, which must be less than an upstream remembers."""
        upstream = self.upstream
        new = upstream.calls - self._seen
        records = list(upstream.requests)
        if new > len(records):
            raise RuntimeError(f"{new} requests came between two looks; look more often")
        self._issued.update(upstream.ids)
        for record in records[len(records) - new :]:
            named = record.response_id
            if record.verb is Verb.CREATE and isinstance(record.body, dict):
                named = record.body.get("previous_response_id")  # type: ignore[assignment]  # the Router sends strings
            self.foreign += named is not None and named not in self._issued
            self.probes += record.verb is Verb.GET
        self._seen = upstream.calls


async def serve() -> None:
    """Serves as many deployments as it is told to; loses them, and counts, on command."""
    heard = lines()
    config = await anext(heard)
    async with AsyncExitStack() as stack:
        behaviour = Behaviour(tokens=4)
        audits = {}
        for name in config["names"]:
            upstream = SimulatedUpstream(name, seed=1, behaviour=behaviour)
            audits[name] = Audit(await stack.enter_async_context(upstream))
        say(urls={name: audit.upstream.url for name, audit in audits.items()})
        async for command in heard:
            for name in command.get("lose", ()):
                if name in audits:
                    audits[name].upstream.behaviour = replace(behaviour, fault="refuse")
            for audit in audits.values():
                audit.look()
            say(
                foreign=sum(audit.foreign for audit in audits.values()),
                probes=sum(audit.probes for audit in audits.values()),
                requests=sum(audit.upstream.calls for audit in audits.values()),
            )


if __name__ == "__main__":
    with suppress(KeyboardInterrupt):
        asyncio.run(route() if sys.argv[1] == "router" else serve())
