"""The proxy among failing parts: `python benchmarks/proxy_soak.py` (a minute; `--seconds 3600` for an hour).

Clients hold conversations of 2 to 5 turns with one `homing serve`, whole and streamed, some with tools, some in chat
completions; then some read what is stored, list it, delete it and look whether it is gone. Some leave in the middle of
a stream and ask again. There are five simulated deployments, of which two are one account's, the others share no state.
Meanwhile they fail one after the other, in every way that passes; the proxy's Redis is killed and started again, each
time empty; and the configuration changes, told by SIGHUP or found by the proxy: the account's second deployment, and a
group beside, are taken out and put back.

A client asks again when its call failed, as clients do. The exit status is 1 if

- a conversation was lost: a turn was not answered in the end, or not by who holds the conversation, or not with its
  first words and the right number; or what is stored was not found, or found after it was deleted;
- a configuration was not taken;
- a call is still in flight at the proxy once all clients are gone;
- or the proxy's memory has grown by more than a tenth from the middle of the time to its end (if that was half a minute
  or more: what is kept of responses has reached its bounds by then).
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import random
import signal
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

from processes import memory
from proxies import data  # of the tests, found by the line above, as the next two
from redis_servers import Server
from routers import AFFINITY, serving

from providers.simulated import Behaviour, SimulatedUpstream, State
from providers.simulated.behaviour import Fault

FAULTS: tuple[Fault | None, ...] = (
    *("reset", "500", "503", "429", "garbage", "refuse"),
    *("cut_before_output", "cut_after_output", "error_event", "failed_event", "error_event_after_output", None),
)
KEY = "sk-soak-of-the-proxy"
KEPT = 2_000
"""What the proxy remembers of responses at most, so that its memory is to stay as it is soon."""
PATIENCE = 60.0
"""Seconds in which a turn must be answered, however often it is asked for."""
GROWTH = 1.1
TOOL: dict[str, Any] = {
    "type": "function",
    "name": "look",
    "parameters": {"type": "object", "properties": {"where": {"type": "string"}}, "required": ["where"]},
}


class Configuration:
    """The proxy's file, which changes."""

    def __init__(self, path: Path, upstreams: list[SimulatedUpstream], redis: int) -> None:
        self.path = path
        self._upstreams = upstreams
        self._redis = redis
        self.guests = True

    def write(self) -> None:
        """With the guests, or without."""
        entries = [self._entry("gpt", each, each.name) for each in self._upstreams[: None if self.guests else -1]]
        if self.guests:
            entries.append(self._entry("guest", self._upstreams[0], "guest"))
        settings = {
            "optional_pre_call_checks": AFFINITY,
            "redis_url": f"redis://127.0.0.1:{self._redis}",
            "affinity_max_entries": KEPT,
            "cooldown_time": 0.5,
        }
        content = {"model_list": entries, "router_settings": settings, "general_settings": {"master_key": KEY}}
        made = self.path.with_suffix(".new")
        made.write_text(json.dumps(content))  # which is YAML too
        made.replace(self.path)

    def _entry(self, group: str, upstream: SimulatedUpstream, identity: str) -> dict[str, Any]:
        account = upstream.name.partition("-")[0]
        params = {"model": "openai/gpt", "api_key": "k", "api_base": upstream.url, "account": account}
        return {"model_name": group, "litellm_params": params, "model_info": {"id": identity}}


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
            kind = self._random.random()
            if kind < 0.2:
                await self._chat(opening)
            elif kind < 0.25:
                await self._visit(opening)
            else:
                await self._converse(opening)

    async def _converse(self, opening: str) -> None:
        """A conversation by ids; at times with a tool, at times taken back in the end."""
        before: dict[str, Any] = {}
        home, response = "", None
        for number in range(1, self._random.randint(2, 5) + 1):
            if number > 1 and self._random.random() < 0.2:
                response = await self._use_tool(before)
                break
            response = await self._turn({"input": opening if number == 1 else "And then?", **before})
            text = _text(response)
            where = text.removeprefix(f"Turn {number} at ").partition(".")[0].partition("-")[0]
            if opening not in text or where != (home or where) or f"Turn {number} at" not in text:
                self._lose(f"turn {number} of {opening!r} at {home}: {text or response}")
                return
            home, before = where, {"previous_response_id": response["id"]}
            self.counts["turns"] += 1
        if response is not None and self._random.random() < 0.3:
            await self._take_back(response["id"], _text(response))

    async def _use_tool(self, before: dict[str, Any]) -> Any:
        """A turn in which a tool is called, and the answer to what it said; None if either is missing."""
        called = await self._turn({"input": 'Please call look with {"where": "here"}', "tools": [TOOL], **before})
        calls = [item for item in called["output"] if item["type"] == "function_call"] if _whole(called) else []
        if not calls:
            self._lose(f"no call of a tool in {called}")
            return None
        said = {"type": "function_call_output", "call_id": calls[0]["call_id"], "output": "nothing"}
        response = await self._turn({"input": [said], "previous_response_id": called["id"]})
        if "The tool said: 'nothing'" not in _text(response):
            self._lose(f"a tool's answer is missing in {_text(response) or response}")
            return None
        self.counts["tools"] += 1
        return response

    async def _take_back(self, identity: str, text: str) -> None:
        """Read what is stored, list what it was told, delete it, and look whether it is gone."""
        path = f"/v1/responses/{identity}"
        read = await self._until("GET", path, {200})
        listed = await self._until("GET", f"{path}/input_items", {200})
        deleted = await self._until("DELETE", path, {200, 404})  # 404: it was done, and only the answer was lost
        gone = await self._until("GET", f"{path}?model=gpt", {404})  # of what is gone nobody knows the group
        if None in (read, listed, deleted, gone) or _text(read) != text or not listed["data"]:
            self._lose(f"{identity}: {read}, {listed}, {deleted}, {gone}")
        self.counts["taken back"] += 1

    async def _chat(self, opening: str) -> None:
        """A conversation in chat completions."""
        messages: list[dict[str, Any]] = []
        for number in range(self._random.randint(1, 3)):
            messages.append({"role": "user", "content": "And then?" if number else opening})
            body, until = {"model": "gpt", "messages": messages}, time.monotonic() + PATIENCE
            text = ""
            while f"{opening!r}." not in text and time.monotonic() < until:
                text = await self._completion(body, streamed=self._random.random() < 0.5)
            if f"{opening!r}." not in text:
                self._lose(f"chat {opening!r}: {text}")
                return
            messages.append({"role": "assistant", "content": text})
            self.counts["turns of chats"] += 1

    async def _completion(self, body: dict[str, Any], *, streamed: bool) -> str:
        """What is said in the end; empty if it failed."""
        try:
            answer = await self._client.post("/v1/chat/completions", json={**body, "stream": streamed})
        except httpx.HTTPError:
            answer = httpx.Response(599)
        self.counts[f"status {answer.status_code}"] += 1
        if answer.status_code == 200 and streamed:
            chunks = [chunk for chunk in data(answer.text) if isinstance(chunk, dict)]
            if all(chunk.get("choices") for chunk in chunks):
                return "".join(chunk["choices"][0]["delta"].get("content") or "" for chunk in chunks)
        elif answer.status_code == 200:
            return str(answer.json()["choices"][0]["message"]["content"])
        self.counts["asked again"] += 1
        await asyncio.sleep(0.05)
        return ""

    async def _visit(self, opening: str) -> None:
        """The group that comes and goes."""
        answer = await self._until("POST", "/v1/responses", {200, 400}, {"model": "guest", "input": opening})
        if answer is None:
            self._lose(f"{opening!r} had no answer as a guest")
        self.counts["guests"] += 1

    async def _until(self, method: str, path: str, wanted: set[int], body: object = None) -> Any:
        """The JSON of the first answer with one of the statuses that are wanted; None if there is none in time."""
        until = time.monotonic() + PATIENCE
        while time.monotonic() < until:
            try:
                answer = await self._client.request(method, path, json=body)
                self.counts[f"status {answer.status_code}"] += 1
                if answer.status_code in wanted:
                    return answer.json()
            except httpx.HTTPError as error:
                self.counts[type(error).__name__] += 1
            self.counts["asked again"] += 1
            await asyncio.sleep(0.05)
        return None

    async def _turn(self, asked: dict[str, Any]) -> Any:
        """The answer, asked for again until it comes; what was said last, if it never does."""
        until = time.monotonic() + PATIENCE
        answer: Any = None
        while time.monotonic() < until:
            body = {"model": "gpt", **asked}
            leaves = self._random.random() < 0.1
            try:
                answer = await (self._stream(body, leaves) if self._random.random() < 0.5 else self._at_once(body))
            except httpx.HTTPError as error:
                answer = f"{type(error).__name__}: {error}"
            if _whole(answer):
                return answer
            self.counts["asked again"] += 1
            await asyncio.sleep(0.05)
        return answer

    async def _at_once(self, body: dict[str, Any]) -> Any:
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

    def _lose(self, what: str) -> None:
        self.lost.append(what[:500])

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

    async def reload(self, configuration: Configuration, pid: int, until: float) -> None:
        """Change the configuration, and wait until the proxy has taken it."""
        while time.monotonic() < until:
            await asyncio.sleep(self._random.uniform(0.3, 1.5))
            configuration.guests = not configuration.guests
            configuration.write()
            if self._random.random() < 0.5:  # else it finds out by itself
                os.kill(pid, signal.SIGHUP)
            patience = time.monotonic() + PATIENCE
            while ("guest" in await self._groups()) is not configuration.guests:
                if time.monotonic() > patience:
                    self._lose("a configuration was not taken")
                    return
                await asyncio.sleep(0.05)
            self.counts["reloads"] += 1

    async def _groups(self) -> set[str]:
        answer = await self._client.get("/v1/models")
        return {each["id"] for each in answer.json()["data"]}

    async def in_flight(self) -> int:
        """Calls that the proxy still holds a lease for, waited for to end."""
        until = time.monotonic() + 10
        held = 1
        while held and time.monotonic() < until:
            await asyncio.sleep(0.1)
            answer = await self._client.get("/health")
            held = sum(each["in_flight"] for each in answer.json()["deployments"])
        return held


def _whole(answer: Any) -> bool:
    return isinstance(answer, dict) and answer.get("status") == "completed"


def _text(response: Any) -> str:
    if not isinstance(response, dict) or not response.get("output"):
        return ""
    return "".join(part["text"] for part in response["output"][-1].get("content", ()))


async def soak(options: argparse.Namespace, redis: Server, folder: Path) -> list[str]:
    """What went wrong."""
    async with AsyncExitStack() as stack:
        usual, account = Behaviour(token_delay=0.002), State()
        upstreams = await stack.enter_async_context(serving(3, usual))
        for name in ("acme-1", "acme-2"):
            upstreams.append(await stack.enter_async_context(SimulatedUpstream(name, behaviour=usual, state=account)))
        configuration = Configuration(folder / "config.json", upstreams, redis.port)
        configuration.write()
        code = "from router.cli import main; raise SystemExit(main())"
        command = [sys.executable, "-c", code, "serve", "--config", str(configuration.path), "--port", "0", "--reload"]
        proxy = await asyncio.create_subprocess_exec(
            *command, "--log-level", "error", stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.DEVNULL
        )
        stack.push_async_callback(proxy.wait)
        stack.callback(proxy.kill)
        assert proxy.stdout is not None, "asked for above"
        greeting = (await asyncio.wait_for(proxy.stdout.readline(), PATIENCE)).decode()
        url = greeting.partition(" at ")[2].partition(" ")[0]
        headers, limits = {"authorization": f"Bearer {KEY}"}, httpx.Limits(max_connections=None)
        client = await stack.enter_async_context(
            httpx.AsyncClient(base_url=url, timeout=PATIENCE, headers=headers, limits=limits)
        )
        made = Soak(client, upstreams, options.seed)
        early, middle, until = (time.monotonic() + options.seconds * share for share in (0.1, 0.5, 1.0))
        clients = asyncio.gather(
            *(made.talk(until) for _ in range(options.clients)),
            made.spoil(redis, until),
            made.reload(configuration, proxy.pid, until),
        )
        await asyncio.sleep(early - time.monotonic())
        first = memory(proxy.pid)
        await asyncio.sleep(middle - time.monotonic())
        before = memory(proxy.pid)
        await clients
        held, after = await made.in_flight(), memory(proxy.pid)
    calls = sum(count for name, count in made.counts.items() if name.startswith("status "))
    print(f"calls: {calls}", *(f"{name}: {count}" for name, count in sorted(made.counts.items())), sep="\n")
    print(f"in flight at the end: {held}")
    print(f"memory of the proxy: {first:.1f} MiB at first, {before:.1f} MiB in the middle, {after:.1f} MiB at the end")
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
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        redis = Server(Path(folder)).start()
        try:
            wrong = asyncio.run(soak(options, redis, Path(folder)))
        finally:
            redis.kill()
    print("kept" if not wrong else "broken:\n" + "\n".join(wrong[:20]))
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
