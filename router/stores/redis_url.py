"""Where Redis is and how to get in: URLs and single fields, read into one frozen value."""

from __future__ import annotations

import difflib
import re
from dataclasses import dataclass, replace
from ssl import CERT_NONE, CERT_OPTIONAL, CERT_REQUIRED, SSLContext, VerifyMode, create_default_context
from typing import Literal, TypeAlias
from urllib.parse import parse_qsl, unquote

from pydantic import SecretStr

from providers.errors import ConfigurationError

Topology: TypeAlias = Literal["standalone", "cluster", "sentinel"]
Verify: TypeAlias = Literal["required", "optional", "none"]

SCHEMES: dict[str, tuple[Topology, bool]] = {
    "redis": ("standalone", False),
    "rediss": ("standalone", True),
    "unix": ("standalone", False),
    "redis+cluster": ("cluster", False),
    "rediss+cluster": ("cluster", True),
    "redis+sentinel": ("sentinel", False),
    "rediss+sentinel": ("sentinel", True),
}
_VERIFY_MODES: dict[Verify, VerifyMode] = {
    "required": CERT_REQUIRED,
    "optional": CERT_OPTIONAL,
    "none": CERT_NONE,
}
_TLS_OPTIONS = ("ssl_ca_certs", "ssl_certfile", "ssl_keyfile", "ssl_cert_reqs", "ssl_check_hostname")
_SENTINEL_OPTIONS = ("sentinel_username", "sentinel_password")
_PORTS = {"standalone": 6379, "cluster": 6379, "sentinel": 26379}
_ENCODE = "; percent-encode '@', '/', '?' and '#' in a user name or password (%40 %2F %3F %23)"


@dataclass(frozen=True, slots=True)
class RedisSettings:
    """How to reach Redis. Never prints a password."""

    topology: Topology = "standalone"
    nodes: tuple[tuple[str, int], ...] = (("localhost", 6379),)
    """Host and port: of the server, of cluster nodes to start from, or of the sentinels. Empty for a Unix socket."""
    path: str | None = None
    """The Unix socket, if that is the way."""
    master: str | None = None
    """The name the sentinels know the master by."""
    db: int = 0
    username: str | None = None
    password: SecretStr | None = None
    sentinel_username: str | None = None
    sentinel_password: SecretStr | None = None
    """What the sentinels themselves ask for, if they do."""
    ssl: bool = False
    ssl_ca_certs: str | None = None
    """File of the authorities to trust; default: the system's."""
    ssl_certfile: str | None = None
    ssl_keyfile: str | None = None
    ssl_cert_reqs: Verify = "required"
    ssl_check_hostname: bool = True

    @classmethod
    def parse(
        cls,
        url: str | SecretStr | None = None,
        *,
        host: str | None = None,
        port: int | None = None,
        username: str | None = None,
        password: str | SecretStr | None = None,
        ssl: bool | None = None,
        db: int | None = None,
    ) -> RedisSettings:
        """Read a URL, or single fields; user name, password and db may come beside a URL that lacks them.

        `redis://[user:password@]host[:6379][/db]`, `rediss://…` (TLS), `unix://[user:password@]/path[?db=0]`,
        `redis+cluster://host[:port],host[:port]`, `redis+sentinel://host[:26379],host[:port]/master[/db]`, and
        `rediss+…` for both. Options after `?`: `db`, `ssl_ca_certs`, `ssl_certfile`, `ssl_keyfile`,
        `ssl_cert_reqs` (required, optional, none), `ssl_check_hostname` (true, false), `sentinel_username`,
        `sentinel_password`. Raises `ConfigurationError`.
        """
        if url is None:
            found = cls(nodes=((_checked_host(host), _checked_port(port, 6379)),), ssl=bool(ssl))
        else:
            _refuse_twice(host=host, port=port, ssl=ssl)
            found = _read(url.get_secret_value() if isinstance(url, SecretStr) else url)
        return _with_access(found, username, password, db)

    @property
    def where(self) -> str:
        """The address, for messages."""
        return self.path or ",".join(f"{host}:{port}" for host, port in self.nodes)

    def redact(self, text: str) -> str:
        """`text` without the passwords, should a server have repeated one."""
        for secret in (self.password, self.sentinel_password):
            if secret is not None and secret.get_secret_value():
                text = text.replace(secret.get_secret_value(), "***")
        return text

    def tls(self) -> SSLContext | None:
        """The context its connections share, read from the files named; None without TLS. `ConfigurationError`."""
        if not self.ssl:
            return None
        try:
            context = create_default_context(cafile=self.ssl_ca_certs)
            if self.ssl_certfile is not None:
                context.load_cert_chain(self.ssl_certfile, self.ssl_keyfile)
        except OSError as error:  # an SSLError is one
            files = (self.ssl_ca_certs, self.ssl_certfile, self.ssl_keyfile)
            named = ", ".join(repr(file) for file in files if file is not None)
            raise _wrong(f"the TLS files {named} cannot be used: {error}") from error
        context.check_hostname = self.ssl_check_hostname and self.ssl_cert_reqs != "none"
        context.verify_mode = _VERIFY_MODES[self.ssl_cert_reqs]
        return context


def _wrong(what: str, field: str = "redis_url") -> ConfigurationError:
    return ConfigurationError(f"{field}: {what}")


def _refuse_twice(**fields: object) -> None:
    for name, value in fields.items():
        if value is not None:
            fix = "write rediss:// for TLS" if name == "ssl" else "say it there"
            raise _wrong(f"redis_url is given as well; drop one of the two, and {fix}", f"redis_{name}")


def _with_access(
    found: RedisSettings, username: str | None, password: str | SecretStr | None, db: int | None
) -> RedisSettings:
    if username is not None:
        if found.username is not None:
            raise _wrong("redis_url names a user as well; drop one of the two", "redis_username")
        found = replace(found, username=username)
    if password is not None:
        if found.password is not None:
            raise _wrong("redis_url holds a password as well; drop one of the two", "redis_password")
        found = replace(found, password=password if isinstance(password, SecretStr) else SecretStr(password))
    if db is not None:
        if found.db not in (0, db):
            raise _wrong("redis_url names another db; drop one of the two", "redis_db")
        found = replace(found, db=db)
    if found.db < 0 or (found.db and found.topology == "cluster"):
        raise _wrong("a cluster has db 0 only" if found.db > 0 else "a db is a number from 0 on", "redis_db")
    if found.username is not None and found.password is None:
        raise _wrong("a user name needs a password; give redis_password", "redis_username")
    return found


def _read(url: str) -> RedisSettings:
    scheme, separator, rest = url.partition("://")
    if not separator or scheme not in SCHEMES:
        near = difflib.get_close_matches(scheme, SCHEMES, 1) if separator else []
        hint = f"; did you mean {near[0]}://?" if near else ""
        raise _wrong(f"starts with none of {', '.join(f'{known}://' for known in SCHEMES)}{hint}")
    authority, path, query = _split(rest)
    access, _, hosts = authority.rpartition("@")
    topology, ssl = SCHEMES[scheme]
    user, _, password = access.partition(":")
    base = RedisSettings(
        topology=topology,
        ssl=ssl,
        username=unquote(user) or None,
        password=SecretStr(unquote(password)) if password else None,
    )
    if scheme == "unix":
        return _with_options(_on_socket(base, hosts, path), query)
    nodes = tuple(_node(node, _PORTS[topology]) for node in hosts.split(","))
    if topology == "standalone" and len(nodes) > 1:
        raise _wrong(f"{scheme}:// takes one host; several make {scheme}+cluster:// or {scheme}+sentinel://")
    return _with_options(_with_path(replace(base, nodes=nodes), path), query)


def _split(rest: str) -> tuple[str, str, str]:
    """Authority, path without its slash, query. What follows the authority may not hold what ends a user's part:
    then a password was cut in two, and nothing of the URL may be repeated in an error."""
    match = re.fullmatch(r"([^/?#]*)(?:/([^?#]*))?(?:\?([^#]*))?(#.*)?", rest, re.DOTALL)
    assert match is not None  # every part may be empty, so everything matches
    authority, path, query, fragment = match.groups(default="")
    if fragment or "@" in path or ("@" in query and not authority.rpartition("@")[0]):
        raise _wrong(f"cannot be taken apart{_ENCODE}")
    return authority, path, query


def _on_socket(base: RedisSettings, hosts: str, path: str) -> RedisSettings:
    if hosts or not path:
        raise _wrong("a socket is written unix:///path/to/redis.sock, with three slashes")
    return replace(base, nodes=(), path="/" + unquote(path))


def _with_path(found: RedisSettings, path: str) -> RedisSettings:
    if found.topology != "sentinel":
        return replace(found, db=_number(path, "db")) if path else found
    master, _, db = path.partition("/")
    if not master:
        raise _wrong("lacks the name of the master: redis+sentinel://host:26379/master-name")
    return replace(found, master=unquote(master), db=_number(db, "db") if db else 0)


def _with_options(found: RedisSettings, query: str) -> RedisSettings:
    allowed = ("db", *(_TLS_OPTIONS if found.ssl else ()), *(_SENTINEL_OPTIONS if found.master else ()))
    for name, value in parse_qsl(query, keep_blank_values=True):
        if name not in allowed:
            near = difflib.get_close_matches(name, allowed, 1)
            hint = f"; did you mean {near[0]}?" if near else ""
            raise _wrong(f"{name!r} is no option of this kind of URL ({', '.join(allowed)}){hint}")
        found = _with_option(found, name, value)
    return found


def _with_option(found: RedisSettings, name: str, value: str) -> RedisSettings:
    match name:
        case "db":
            return replace(found, db=_number(value, "db"))
        case "ssl_cert_reqs":
            return replace(found, ssl_cert_reqs=_verify(value))
        case "ssl_check_hostname":
            if value.lower() not in ("true", "false"):
                raise _wrong("ssl_check_hostname is true or false")
            return replace(found, ssl_check_hostname=value.lower() == "true")
        case "sentinel_password":
            return replace(found, sentinel_password=SecretStr(value))
        case "sentinel_username":
            return replace(found, sentinel_username=value)
        case "ssl_ca_certs":
            return replace(found, ssl_ca_certs=value)
        case "ssl_certfile":
            return replace(found, ssl_certfile=value)
        case _:
            return replace(found, ssl_keyfile=value)


def _verify(value: str) -> Verify:
    match value:
        case "required" | "optional" | "none":
            return value
        case _:
            raise _wrong("ssl_cert_reqs is one of required, optional, none")


def _node(text: str, default: int) -> tuple[str, int]:
    match = re.fullmatch(r"(\[[0-9A-Fa-f:.]+\]|[^:\[\]]*)(?::(\d*))?", text)
    if match is None:
        raise _wrong(f"a host is written name:port, 1.2.3.4:port or [::1]:port{_ENCODE}")
    return _checked_host(match[1].strip("[]") or None), _checked_port(int(match[2]) if match[2] else None, default)


def _checked_host(host: str | None) -> str:
    if not host:
        raise _wrong("lacks a host", "redis_host or redis_url")
    return host


def _checked_port(port: int | None, default: int) -> int:
    if port is None:
        return default
    if not 0 < port < 65536:
        raise _wrong("a port is a number from 1 to 65535", "redis_port or redis_url")
    return port


def _number(text: str, name: str) -> int:
    if not text.isascii() or not text.isdigit():
        raise _wrong(f"the {name} is not a number from 0 on")
    return int(text)
