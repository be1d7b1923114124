"""Where a request goes and how: the URL, the TLS context and the proxy, worked out once per URL."""

from __future__ import annotations

import os
import ssl
from functools import lru_cache, partial
from typing import NamedTuple, Protocol
from urllib.request import getproxies, proxy_bypass

from yarl import URL

from providers.errors import ConfigurationError
from providers.types import Connection
from router.transport.faults import no_address, place

_URLS = 4096
_CONTEXTS = 1024


class Target(NamedTuple):
    """What aiohttp needs to know of a destination."""

    url: URL
    ssl: ssl.SSLContext | bool
    """True: aiohttp's own verifying context; False: unverified."""
    proxy: URL | None


class Resolve(Protocol):
    """Finds the target of a URL."""

    def __call__(self, url: str, connection: Connection, /) -> Target: ...


def resolver(*, trust_env: bool) -> Resolve:
    """A resolver with bounded caches of its own: the same few URLs are used over and over, and equal settings must
    share one TLS context, for connections are pooled by it.

    With `trust_env`, a connection without a proxy takes the one that HTTP_PROXY, HTTPS_PROXY, ALL_PROXY and NO_PROXY
    name when its URL is first seen. (aiohttp's own `trust_env` would read them, and netrc, in a thread per request.)
    """
    contexts = lru_cache(_CONTEXTS)(_context)
    return lru_cache(_URLS)(partial(_resolve, contexts, trust_env))


def _resolve(contexts: _Contexts, trust_env: bool, url: str, connection: Connection) -> Target:
    parsed = _address(url)
    if parsed is None:
        raise no_address(url)
    proxy = connection.proxy or (_environment_proxy(parsed) if trust_env else None)
    return Target(
        parsed,
        contexts(connection.verify, connection.cert),
        None if proxy is None else _proxy(proxy),
    )


class _Contexts(Protocol):
    def __call__(self, verify: bool | str, cert: str | None, /) -> ssl.SSLContext | bool: ...


def _context(verify: bool | str, cert: str | None) -> ssl.SSLContext | bool:
    if isinstance(verify, bool) and cert is None:
        return verify
    try:
        return _build(verify, cert)
    except (OSError, ValueError) as error:  # ssl.SSLError is an OSError
        what = f"verify={verify!r}" if cert is None else f"verify={verify!r}, cert={cert!r}"
        raise ConfigurationError(f"the TLS files of a deployment cannot be loaded ({what}): {error}") from error


def _build(verify: bool | str, cert: str | None) -> ssl.SSLContext:
    if isinstance(verify, str):
        folder = os.path.isdir(verify)
        context = ssl.create_default_context(capath=verify if folder else None, cafile=None if folder else verify)
    else:
        context = ssl.create_default_context()
        if not verify:
            context.check_hostname = False
            context.verify_mode = ssl.CERT_NONE
    if cert is not None:
        context.load_cert_chain(cert)
    return context


def _environment_proxy(url: URL) -> str | None:
    proxies = getproxies()
    proxy = proxies.get(url.scheme) or proxies.get("all")
    if not proxy or proxy_bypass(f"{url.host}:{url.port}"):
        return None
    return proxy if "://" in proxy else f"http://{proxy}"


def _address(url: str, *, encoded: bool = True) -> URL | None:
    try:
        parsed = URL(url, encoded=encoded)
        usable = parsed.scheme in ("http", "https") and parsed.host and parsed.port
    except ValueError:
        return None
    return parsed if usable else None


def _proxy(proxy: str) -> URL:
    parsed = _address(proxy, encoded=False)
    if parsed is None:
        raise ConfigurationError(
            f"proxy {place(proxy)!r} is not an http:// or https:// address; for another kind (SOCKS) give the Router"
            " `http_client=httpx.AsyncClient(proxy=…)`"
        )
    return parsed
