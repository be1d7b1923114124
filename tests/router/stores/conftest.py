"""Servers that the store tests share, and what each kind of them is called."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterator
from itertools import count
from pathlib import Path

import pytest
from redis_servers import Cluster, Server, TlsFront, Watched

from router.stores.memory import MemoryStore
from router.stores.redis import RedisStore
from router.stores.redis_link import RedisLink
from router.stores.redis_url import RedisSettings

USER, PASSWORD = "router", "hunter2 @/?#"
PATIENCE = 20.0
"""Bound of operations that are to succeed: a slow machine is no outage."""
_numbers = count()


@pytest.fixture(scope="session")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("redis")


@pytest.fixture(scope="session")
def server(folder: Path) -> Iterator[Server]:
    """A server without a password; nobody stops it."""
    server = Server(folder, "--unixsocket", str(folder / "socket")).start()
    yield server
    server.kill()


@pytest.fixture(scope="session")
def guarded(folder: Path) -> Iterator[Server]:
    """A server that lets USER do what the README asks for, and nothing else."""
    server = Server(folder, "--requirepass", "other", password="other").start()
    rights = "~homing* +get +set +del +pexpire +eval +time +hset +hget +hgetall +hdel +pttl +ping +select"
    with server.client() as client:
        client.execute_command("ACL", "SETUSER", USER, "on", f">{PASSWORD}", *rights.split())
    yield server
    server.kill()


@pytest.fixture(scope="session")
def tls(folder: Path, server: Server) -> Iterator[TlsFront]:
    front = TlsFront(server)
    yield front
    front.kill()


@pytest.fixture(scope="session")
def cluster(folder: Path) -> Iterator[Cluster]:
    cluster = Cluster(folder / "cluster").start()
    yield cluster
    cluster.kill()


@pytest.fixture(scope="session")
def watched(folder: Path) -> Iterator[Watched]:
    watched = Watched(folder / "watched").start()
    yield watched
    watched.kill()


@pytest.fixture(scope="session")
def settings_of(folder: Path, request: pytest.FixtureRequest) -> Callable[[str], RedisSettings]:
    """How to reach a kind of server; starts it if it is the first to be asked for."""

    def find(kind: str) -> RedisSettings:
        parse = RedisSettings.parse
        match kind:
            case "unix":
                request.getfixturevalue("server")
                return parse(f"unix://{folder / 'socket'}?db=1")
            case "password":
                port = request.getfixturevalue("guarded").port
                return parse(host="127.0.0.1", port=port, username=USER, password=PASSWORD)
            case "tls":
                front = request.getfixturevalue("tls")
                return parse(f"rediss://127.0.0.1:{front.port}/2?ssl_ca_certs={front.ca}")
            case "cluster":
                return parse(request.getfixturevalue("cluster").url)
            case "sentinel":
                return parse(request.getfixturevalue("watched").url)
            case _:
                return parse(f"redis://127.0.0.1:{request.getfixturevalue('server').port}")

    return find


@pytest.fixture
def prefix() -> str:
    """A key prefix that no other test has; begins as the default does, which the password user may touch."""
    return f"homing{next(_numbers)}"


@pytest.fixture
async def open_store(prefix: str) -> AsyncIterator[Callable[..., RedisStore]]:
    """Makes stores, of one prefix unless told otherwise; closes them in the end."""
    stores: list[RedisStore] = []

    def make(
        settings: RedisSettings,
        *,
        memory: MemoryStore | None = None,
        prefix: str = prefix,
        max_waiting: int = 10_000,
        timeout: float = PATIENCE,
    ) -> RedisStore:
        link, memory = RedisLink(settings, timeout=timeout), MemoryStore() if memory is None else memory
        stores.append(RedisStore(link, memory, prefix=prefix, max_waiting=max_waiting))
        return stores[-1]

    yield make
    for store in stores:
        await store.aclose()
