"""A server, a cluster, or a master that sentinels watch: how redis-py is set up for each."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import chain
from ssl import SSLContext
from typing import Any, Protocol, TypedDict

from pydantic import SecretStr
from redis.asyncio import Redis, RedisCluster
from redis.asyncio.cluster import ClusterNode
from redis.asyncio.connection import SSLConnection
from redis.asyncio.retry import Retry
from redis.asyncio.sentinel import Sentinel, SentinelManagedSSLConnection
from redis.backoff import NoBackoff

from router.stores.redis_url import RedisSettings


class Topology(Protocol):
    """What the stores need of redis-py."""

    client: Any
    """Redis or RedisCluster; their `execute_command` and `pipeline` agree in fact but not in their hints."""

    async def ping(self) -> None:
        """Ask every master. Raises unless each answers."""
        ...

    def connections(self) -> Iterable[Any]:
        """Every connection there is, in use or not."""
        ...

    async def aclose(self) -> None:
        """Close them. May raise."""
        ...

    def disown(self) -> None:
        """Their loop is gone and someone else closes them: keep redis-py's finalisers from complaining."""
        ...


def open_topology(settings: RedisSettings, tls: SSLContext | None, timeout: float, max_connections: int) -> Topology:
    """A client that has not connected yet. `timeout`: seconds, of each connect and each reply."""
    match settings.topology:
        case "cluster":
            return _Cluster(settings, tls, timeout, max_connections)
        case "sentinel":
            return _Watched(settings, tls, timeout, max_connections)
        case _:
            return _Server(settings, tls, timeout, max_connections)


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


def _sharing(tls: SSLContext, base: type[SSLConnection]) -> type[SSLConnection]:
    """Connections that share `tls`; redis-py's own read the authorities anew, 20 ms for each."""

    class Sharing(base):  # type: ignore[misc, valid-type]  # mypy takes no class from a parameter
        def __init__(self, **options: Any) -> None:
            super().__init__(**options)
            self.ssl_context.context = tls

    return Sharing


def _pooled(client: Redis) -> Iterator[Any]:
    pool = client.connection_pool
    return chain(getattr(pool, "_available_connections", ()), getattr(pool, "_in_use_connections", ()))


def _disown(connections: Iterable[Any]) -> None:
    for connection in connections:
        connection._writer = connection._reader = None


class _Server:
    """One server, by TCP, TLS or a Unix socket."""

    def __init__(self, settings: RedisSettings, tls: SSLContext | None, timeout: float, max_connections: int) -> None:
        common = _common(settings, timeout, max_connections)
        host, port = settings.nodes[0] if settings.nodes else ("", 0)
        self.client: Redis = Redis(
            host=host,
            port=port,
            unix_socket_path=settings.path,
            db=settings.db,
            ssl=tls is not None,
            retry=_retries(0),
            **common,
        )
        if tls is not None:
            self.client.connection_pool.connection_class = _sharing(tls, SSLConnection)

    async def ping(self) -> None:
        await self.client.execute_command("PING")  # type: ignore[no-untyped-call]  # redis-py

    def connections(self) -> Iterable[Any]:
        return list(_pooled(self.client))

    async def aclose(self) -> None:
        await self.client.aclose()

    def disown(self) -> None:
        _disown(self.connections())


class _Watched:
    """The master that sentinels name. Sentinels get half the time each, so that a deaf one leaves time to ask on."""

    def __init__(self, settings: RedisSettings, tls: SSLContext | None, timeout: float, max_connections: int) -> None:
        assert settings.master is not None  # RedisSettings.parse sees to it
        self._sentinel = Sentinel(  # type: ignore[no-untyped-call]  # redis-py
            settings.nodes,
            sentinel_kwargs={
                **_timeouts(timeout / 2),
                "username": settings.sentinel_username,
                "password": _plain(settings.sentinel_password),
                "retry": _retries(0),
                "ssl": tls is not None,
                "protocol": 2,
            },
        )
        self.client: Redis = self._sentinel.master_for(
            settings.master,
            db=settings.db,
            ssl=tls is not None,
            retry=_retries(0),
            **_common(settings, timeout, max_connections),
        )
        if tls is not None:
            self.client.connection_pool.connection_class = _sharing(tls, SentinelManagedSSLConnection)
            for each in self._sentinel.sentinels:
                each.connection_pool.connection_class = _sharing(tls, SSLConnection)

    async def ping(self) -> None:
        await self.client.execute_command("PING")  # type: ignore[no-untyped-call]  # redis-py

    def connections(self) -> Iterable[Any]:
        return list(chain.from_iterable(_pooled(each) for each in (self.client, *self._sentinel.sentinels)))

    async def aclose(self) -> None:
        await self.client.aclose()
        await self._sentinel.aclose()

    def disown(self) -> None:
        _disown(self.connections())


class _Cluster:
    """A cluster. One retry, by which redis-py follows slots that have moved to another node."""

    def __init__(self, settings: RedisSettings, tls: SSLContext | None, timeout: float, max_connections: int) -> None:
        self.client = RedisCluster(
            startup_nodes=[ClusterNode(host, port) for host, port in settings.nodes],
            ssl=tls is not None,
            retry=_retries(1),
            **_common(settings, timeout, max_connections),
        )
        if tls is not None:
            sharing = _sharing(tls, SSLConnection)
            self.client.connection_kwargs["connection_class"] = sharing  # of nodes found later
            for node in self.client.nodes_manager.startup_nodes.values():
                node.connection_class = sharing

    async def ping(self) -> None:
        await self.client.ping(target_nodes=RedisCluster.PRIMARIES)

    def connections(self) -> Iterable[Any]:
        manager = self.client.nodes_manager
        nodes = {id(node): node for node in chain(manager.startup_nodes.values(), manager.nodes_cache.values())}
        return [connection for node in nodes.values() for connection in getattr(node, "_connections", ())]

    async def aclose(self) -> None:
        await self.client.aclose()

    def disown(self) -> None:
        _disown(self.connections())
        self.client._initialize = True
