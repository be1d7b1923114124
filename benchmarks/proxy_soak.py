"""The proxy among failing parts: `python benchmarks/proxy_soak.py` (a minute; `--seconds 3600` for an hour).

Clients hold conversations of 2 to 5 turns through one proxy process, whole and streamed, over four simulated
deployments that share no state; some leave in the middle of a stream and ask again. Meanwhile the deployments fail one
after the other, in every way that passes, and the proxy's Redis is killed and started again, each time empty.

A client asks again when its call failed, as clients do. The exit status is 1 if

- a conversation was lost: a turn was not answered in the end, or not by the deployment that holds the conversation, or
  not with its first words and the right number;
- a call is still in flight at the proxy once all clients are gone;
- or the proxy's memory has grown by more than a tenth from the middle of the time to its end (if that was half a minute
  or more: what is kept of responses has reached its bounds by then).
"""

from __future__ import annotations

import argparse
import asyncio
import random
import sys
import tempfile
import time
from collections import Counter
from contextlib import AsyncExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "tests"))

from proxies import data  # of the tests, found by the line above, as the next two
from redis_servers import Server
from routers import AFFINITY, serving

from providers.simulated import Behaviour, SimulatedUpstream
from providers.simulated.behaviour import Fault
from router import Router
from router.proxy.app import Proxy
from router.proxy.server import listen, server

FAULTS: tuple[Fault | None, ...] = (
    *("reset", "500", "503", "429", "garbage", "refuse"),
    *("cut_before_output", "cut_after_output", "error_event", "failed_event", "error_event_after_output", None),
)
KEPT = 2_000
"""What the proxy remembers of responses at most, so that its memory is to stay as it is soon."""
PATIENCE = 60.0
"""Seconds in which a turn must be answered, however often it is asked for."""
GROWTH = 1.1


async def serve(urls: list[str], redis: int) -> None:
    """The proxy, in a process of its own, until it is killed. Prints its port."""
    entries = [
        {"model_name": "gpt", "litellm_params": {"model": "openai/gpt", "api_key": "k", "api_base": url}}
        for url in urls
    ]
    router = Router(
        entries,
        optional_pre_call_checks=AFFINITY,
        redis_url=f"redis://127.0.0.1:{redis}",
        affinity_max_entries=KEPT,
        cooldown_time=0.5,
    )
    listening = listen("127.0.0.1", 0)
    print(listening.getsockname()[1], flush=True)
    await server(Proxy(router)).serve(sockets=[listening])


class Soak:
    """The clients and what they have seen."""

    def __init__(self, client: httpx.AsyncClient, upstreams: list[SimulatedUpstream], seed: int) -> None:
        self._client = client
        self._upstreams = upstreams
        self._random = random.Random(seed)
        self.counts: Counter[str] = Counter()
        self.lost: list[str] = []

    async def talk(self, until: float) -> None:
        """One client: conversation after conversation."""
        while time.monotonic() < until:
            self.counts["conversations"] += 1
            opening = f"I am client {self.counts['conversations']}."
            before: dict[str, Any] = {}
            home = ""
            for number in range(1, self._random.randint(2, 5) + 1):
                response = await self._turn(opening if number == 1 else "And then?", before)
                text = _text(response)
                where = text.removeprefix(f"Turn {number} at ").partition(".")[0]
                if opening not in text or where not in (home or where) or f"Turn {number} at" not in text:
                    self.lost.append(f"turn {number} of {opening!r} at {home}: {text or response}")
                    break
                home, before = where, {"previous_response_id": response["id"]}
                self.counts["turns"] += 1

    async def _turn(self, words: str, before: dict[str, Any]) -> Any:
        """The answer, asked for again until it comes; what was said last, if it never does."""
        until = time.monotonic() + PATIENCE
        answer: Any = None
        while time.monotonic() < until:
            body = {"model": "gpt", "input": words, **before}
            leaves = self._random.random() < 0.1
            try:
                answer = await (self._stream(body, leaves) if self._random.random() < 0.5 else self._whole(body))
            except httpx.HTTPError as error:
                answer = f"{type(error).__name__}: {error}"
            if isinstance(answer, dict) and answer.get("status") == "completed":
                return answer
            self.counts["asked again"] += 1
            await asyncio.sleep(0.05)
        return answer

    async def _whole(self, body: dict[str, Any]) -> Any:
        answer = await self._client.post("/v1/responses", json=body)
        self.counts[f"status {answer.status_code}"] += 1
        return answer.json()

    async def _stream(self, body: dict[str, Any], leaves: bool) -> Any:
        """The last response of the stream. A client that `leaves` does so after its first piece."""
        content = ""
        async with self._client.stream("POST", "/v1/responses", json={**body, "stream": True}) as answer:
            self.counts[f"status {answer.status_code}"] += 1
            async for piece in answer.aiter_text():
                content += piece
                if leaves:
                    self.counts["left"] += 1
                    return None
        events = [event for event in data(content) if isinstance(event, dict) and "response" in event]
        return events[-1]["response"] if events else content

    async def spoil(self, redis: Server, until: float) -> None:
        """One part after the other fails for a while."""
        while time.monotonic() < until:
            upstream = self._random.choice(self._upstreams)
            upstream.behaviour = replace(upstream.behaviour, fault=self._random.choice(FAULTS))
            self.counts["faults"] += 1
            if self.counts["faults"] % 8 == 1:
                self.counts["Redis restarts"] += 1
                redis.kill()
                await asyncio.sleep(0.3)
                await asyncio.to_thread(redis.start)
            await asyncio.sleep(self._random.uniform(0.1, 0.6))
            upstream.behaviour = replace(upstream.behaviour, fault=None)

    async def in_flight(self) -> int:
        """Calls that the proxy still holds a lease for, waited for to end."""
        until = time.monotonic() + 10
        held = 1
        while held and time.monotonic() < until:
            await asyncio.sleep(0.1)
            answer = await self._client.get("/health")
            held = sum(each["in_flight"] for each in answer.json()["deployments"])
        return held


def _text(response: Any) -> str:
    if not isinstance(response, dict) or not response.get("output"):
        return ""
    return "".join(part["text"] for part in response["output"][-1].get("content", ()))


def _memory(pid: int) -> float:
    """MiB that a process holds; 0 where the system does not tell."""
    try:
        lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    except OSError:
        return 0.0
    return next(int(line.split()[1]) / 1024 for line in lines if line.startswith("VmRSS"))


async def soak(options: argparse.Namespace, redis: Server) -> list[str]:
    """What went wrong."""
    async with AsyncExitStack() as stack:
        upstreams = await stack.enter_async_context(serving(4, Behaviour(token_delay=0.002)))
        command = [sys.executable, __file__, "--redis", str(redis.port)]
        proxy = await asyncio.create_subprocess_exec(
            *command, *(each.url for each in upstreams), stdout=asyncio.subprocess.PIPE
        )
        stack.push_async_callback(proxy.wait)
        stack.callback(proxy.kill)
        assert proxy.stdout is not None, "asked for above"
        port = await asyncio.wait_for(proxy.stdout.readline(), PATIENCE)
        url = f"http://127.0.0.1:{port.decode().strip()}"
        client = await stack.enter_async_context(httpx.AsyncClient(base_url=url, timeout=PATIENCE))
        made = Soak(client, upstreams, options.seed)
        middle, until = (time.monotonic() + options.seconds * share for share in (0.5, 1.0))
        clients = asyncio.gather(*(made.talk(until) for _ in range(options.clients)), made.spoil(redis, until))
        await asyncio.sleep(middle - time.monotonic())
        before = _memory(proxy.pid)
        await clients
        held, after = await made.in_flight(), _memory(proxy.pid)
    print(*(f"{name}: {count}" for name, count in sorted(made.counts.items())), sep="\n")
    print(f"memory of the proxy: {before:.1f} MiB in the middle, {after:.1f} MiB at the end")
    wrong = [f"lost: {each}" for each in made.lost]
    wrong += [f"{held} calls are still in flight"] if held else []
    if options.seconds >= 30 and after > before * GROWTH:
        wrong.append("memory grows")
    return wrong


def main() -> int:
    """Run and print; the exit status."""
    parser = argparse.ArgumentParser(description="The proxy among failing parts.")
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--clients", type=int, default=16)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--redis", type=int, help=argparse.SUPPRESS)  # of the proxy's own process, as the next
    parser.add_argument("urls", nargs="*", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.redis:
        asyncio.run(serve(options.urls, options.redis))
        return 0
    with tempfile.TemporaryDirectory() as folder:
        redis = Server(Path(folder)).start()
        try:
            wrong = asyncio.run(soak(options, redis))
        finally:
            redis.kill()
    print("kept" if not wrong else "broken:\n" + "\n".join(wrong[:20]))
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
