"""A server, a cluster, or a master that sentinels watch: how redis-py is set up for each."""

from __future__ import annotations

from collections.abc import Iterator
from ssl import SSLContext
from typing import Any, Protocol, TypedDict
from weakref import WeakSet

from pydantic import SecretStr
from redis.asyncio import Redis, RedisCluster
from redis.asyncio.cluster import ClusterNode
from redis.asyncio.connection import AbstractConnection, Connection, SSLConnection, UnixDomainSocketConnection
from redis.asyncio.retry import Retry
from redis.asyncio.sentinel import Sentinel, SentinelManagedConnection, SentinelManagedSSLConnection
from redis.backoff import NoBackoff

from router.stores.redis_url import RedisSettings

_LOCAL = {"localhost": "127.0.0.1"}
"""As redis-py resolves it, but that it would do so in the constructor, and block."""

_PATIENCE = 1.5
"""A cluster client that times out by itself closes connections that others are using; so its caller is to be first."""


class Topology(Protocol):
    """What the stores need of redis-py."""

    client: Any
    """Redis or RedisCluster; their `execute_command` and `pipeline` agree in fact but not in their hints."""

    async def prepare(self) -> None:
        """Find out what must be known before the first command."""
        ...

    async def ping(self) -> None:
        """Ask every master, after `prepare`. Raises unless each answers."""
        ...

    def disown(self) -> None:
        """Someone else closes the connections: keep redis-py's finalisers from complaining."""
        ...


def open_topology(settings: RedisSettings, made: Connections, timeout: float, max_connections: int) -> Topology:
    """A client that has not connected yet, and will tell `made`. `timeout`: seconds, of each connect and reply."""
    match settings.topology:
        case "cluster":
            return _Cluster(settings, made, timeout, max_connections)
        case "sentinel":
            return _Watched(settings, made, timeout, max_connections)
        case _:
            return _Server(settings, made, timeout, max_connections)


class _Timeouts(TypedDict):
    socket_timeout: float
    socket_connect_timeout: float
    socket_keepalive: bool


class _Common(_Timeouts):
    username: str | None
    password: str | None
    max_connections: int
    decode_responses: bool
    encoding_errors: str
    protocol: int


def _timeouts(timeout: float) -> _Timeouts:
    return {"socket_timeout": timeout, "socket_connect_timeout": timeout, "socket_keepalive": True}


def _common(settings: RedisSettings, timeout: float, max_connections: int) -> _Common:
    return {
        **_timeouts(timeout),
        "username": settings.username,
        "password": _plain(settings.password),
        "max_connections": max_connections,
        "decode_responses": True,
        "encoding_errors": "surrogatepass",  # an id is what a caller sent, any JSON string
        "protocol": 2,  # nothing here needs more, and a new connection is ready a round trip sooner
    }


def _plain(secret: SecretStr | None) -> str | None:
    return None if secret is None else secret.get_secret_value()


def _retries(count: int) -> Retry:
    return Retry(NoBackoff(), count)


class Connections:
    """Those that one client has made, wherever it keeps them, sharing one TLS context.

    redis-py's own read the authorities anew for each connection, which takes 20 ms.
    """

    def __init__(self, tls: SSLContext | None) -> None:
        self._tls = tls
        self._all: WeakSet[AbstractConnection] = WeakSet()

    def __iter__(self) -> Iterator[AbstractConnection]:
        return iter(list(self._all))

    def kind(self, plain: type[Any], secure: type[Any]) -> type[Any]:
        """The class of connections to make."""
        keep, tls, base = self._all.add, self._tls, plain if self._tls is None else secure

        class Kept(base):  # type: ignore[misc, valid-type]  # mypy takes no class from a variable
            def __init__(self, **options: Any) -> None:
                super().__init__(**options)
                keep(self)
                if tls is not None:
                    self.ssl_context.context = tls

        return Kept


class _Server:
    """One server, by TCP, TLS or a Unix socket."""

    def __init__(self, settings: RedisSettings, made: Connections, timeout: float, max_connections: int) -> None:
        host, port = settings.nodes[0] if settings.nodes else ("", 0)
        self.client: Redis = Redis(
            host=host,
            port=port,
            unix_socket_path=settings.path,
            db=settings.db,
            ssl=settings.ssl,
            retry=_retries(0),
            **_common(settings, timeout, max_connections),
        )
        plain = Connection if settings.path is None else UnixDomainSocketConnection
        self.client.connection_pool.connection_class = made.kind(plain, SSLConnection)

    async def prepare(self) -> None:
        """Nothing."""

    async def ping(self) -> None:
        await self.client.execute_command("PING")  # type: ignore[no-untyped-call]  # redis-py

    def disown(self) -> None:
        """The pool has no finaliser."""


class _Watched:
    """The master that sentinels name. Each sentinel gets half the time, so that a deaf one leaves some to ask on."""

    def __init__(self, settings: RedisSettings, made: Connections, timeout: float, max_connections: int) -> None:
        assert settings.master is not None  # RedisSettings.parse sees to it
        self._sentinel = Sentinel(  # type: ignore[no-untyped-call]  # redis-py
            settings.nodes,
            sentinel_kwargs={
                **_timeouts(timeout / 2),
                "username": settings.sentinel_username,
                "password": _plain(settings.sentinel_password),
                "retry": _retries(0),
                "ssl": settings.ssl,
                "protocol": 2,
            },
        )
        self.client: Redis = self._sentinel.master_for(
            settings.master,
            db=settings.db,
            ssl=settings.ssl,
            retry=_retries(0),
            **_common(settings, timeout, max_connections),
        )
        kind = made.kind(SentinelManagedConnection, SentinelManagedSSLConnection)
        self.client.connection_pool.connection_class = kind
        for each in self._sentinel.sentinels:
            each.connection_pool.connection_class = made.kind(Connection, SSLConnection)

    async def prepare(self) -> None:
        """Nothing."""

    async def ping(self) -> None:
        await self.client.execute_command("PING")  # type: ignore[no-untyped-call]  # redis-py

    def disown(self) -> None:
        """The pools have no finaliser."""


class _Cluster:
    """A cluster. One retry, by which redis-py follows slots that have moved to another node."""

    def __init__(self, settings: RedisSettings, made: Connections, timeout: float, max_connections: int) -> None:
        self.client = RedisCluster(
            startup_nodes=[ClusterNode(_LOCAL.get(host, host), port) for host, port in settings.nodes],
            ssl=settings.ssl,
            retry=_retries(1),
            reinitialize_steps=0,  # moved slots are followed one by one; starting over closes connections in use
            **_common(settings, _PATIENCE * timeout, max_connections),
        )
        kind = made.kind(Connection, SSLConnection)
        self.client.connection_kwargs["connection_class"] = kind  # for nodes found later
        for node in self.client.nodes_manager.startup_nodes.values():
            node.connection_class = kind

    async def prepare(self) -> None:
        # Left to itself, redis-py sends what comes before it has read the topology to nodes at random.
        await self.client.initialize()

    async def ping(self) -> None:
        await self.client.ping(target_nodes=RedisCluster.PRIMARIES)

    def disown(self) -> None:
        self.client._initialize = True  # which means closed, to redis-py
