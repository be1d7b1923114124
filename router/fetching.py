"""Downloads the files that a call refers to, for deployments that take no addresses.

Callers name these addresses, so a Router that serves others must not be talked into asking its own network for them:
unless it is allowed to, it connects to public addresses only.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal, TypeAlias

import aiohttp
from aiohttp.helpers import is_ip_address
from yarl import URL

from providers.errors import APIConnectionError, APIError, BadRequestError
from providers.types import Connection, Fetched
from router.addresses import CheckedResolver, Lookup, PrivateAddressError, is_public, look_up
from router.media import media_type
from router.transport.targets import resolver

RemoteFiles: TypeAlias = Literal["public", "any", "refuse"]
"""From where files are downloaded: public addresses; also the own network; nowhere."""

MAX_FILE = 20 * 1024 * 1024
"""Bytes one file may have."""
MAX_TOTAL = 50 * 1024 * 1024
"""Bytes the files of one call may have together."""
MAX_FILES = 100
"""Files one call may refer to."""

_AT_ONCE = 8
"""Connections of one call."""
_REDIRECTS = 3
_MOVED = frozenset({301, 302, 303, 307, 308})
_HEADERS = {"Accept": "*/*", "Accept-Encoding": "identity", "User-Agent": "homing-router"}
_QUOTED = re.compile(r"[!-~]+")


class Fetcher:
    """Downloads files. Each call has connections of its own, gone when it ends: nothing is bound to an event loop.

    Args:
        rule: from where. "public" connects directly; "any" also uses the proxies that the environment names.
        max_file: bytes one file may have.
        max_total: bytes the files of one call may have together.
        look_up: finds the addresses of a name; default: the system's resolver.
    """

    def __init__(
        self,
        rule: RemoteFiles = "public",
        *,
        max_file: int = MAX_FILE,
        max_total: int = MAX_TOTAL,
        look_up: Lookup = look_up,
    ) -> None:
        self._rule = rule
        self._max_file = max_file
        self._max_total = max_total
        self._look_up = look_up
        self._target = resolver(trust_env=rule == "any")
        self._running: dict[asyncio.Timeout, asyncio.AbstractEventLoop] = {}

    async def fetch(self, urls: Sequence[str], timeout: float) -> Mapping[str, Fetched]:
        """The files at `urls`, by URL, within `timeout` seconds in all.

        Raises `BadRequestError` that names the file and the reason if one can't be had: whoever gave its address is
        to give another. Raises `APIConnectionError` if the Router is closed meanwhile.
        """
        wanted = list(dict.fromkeys(urls))
        self._permit(wanted)
        batch = _Batch(self._max_file, self._max_total)
        limit = asyncio.timeout(timeout)
        try:
            async with limit, self._session() as session:
                self._running[limit] = asyncio.get_running_loop()
                async with asyncio.TaskGroup() as tasks:
                    for url in wanted:
                        tasks.create_task(self._one(session, url, batch))
        except TimeoutError:
            if limit not in self._running:
                raise APIConnectionError("the Router was closed while it downloaded a file") from None
            missing = next((url for url in wanted if url not in batch.files), wanted[0])
            raise _refusal(missing, f"it did not arrive within {timeout:g} s") from None
        except BaseExceptionGroup as failures:
            raise failures.exceptions[0] from None
        finally:
            self._running.pop(limit, None)
        return batch.files

    async def aclose(self) -> None:
        """End the downloads of the running loop."""
        loop = asyncio.get_running_loop()
        for limit in [limit for limit, owner in tuple(self._running.items()) if owner is loop]:
            del self._running[limit]
            limit.reschedule(loop.time())

    def _permit(self, urls: Sequence[str]) -> None:
        if self._rule == "refuse":
            raise _refusal(urls[0], "this Router downloads nothing (`remote_files` is 'refuse'); send its content")
        if len(urls) > MAX_FILES:
            raise BadRequestError(
                f"input: refers to {len(urls)} files by address; at most {MAX_FILES} are downloaded for one call",
                param="input",
                code="invalid_file_url",
            )

    def _session(self) -> aiohttp.ClientSession:
        connector = aiohttp.TCPConnector(
            resolver=CheckedResolver(self._look_up, public=self._rule == "public"),
            use_dns_cache=False,
            force_close=True,
            limit=_AT_ONCE,
        )
        return aiohttp.ClientSession(
            connector=connector,
            headers=_HEADERS,
            cookie_jar=aiohttp.DummyCookieJar(),
            auto_decompress=False,  # what is small on the wire may be huge when it is unpacked
            timeout=aiohttp.ClientTimeout(total=None, sock_connect=None),
        )

    async def _one(self, session: aiohttp.ClientSession, url: str, batch: _Batch) -> None:
        try:
            batch.files[url] = await self._download(session, url, batch)
        except _UnusableError as unusable:
            raise _refusal(url, str(unusable)) from None
        except PrivateAddressError:
            raise _refusal(url, _PRIVATE) from None
        except (aiohttp.ClientError, OSError, ValueError) as error:  # their texts may quote the whole URL
            raise _refusal(url, _reason(error)) from None

    async def _download(self, session: aiohttp.ClientSession, url: str, batch: _Batch) -> Fetched:
        place = _address(url)
        for _ in range(_REDIRECTS + 1):
            self._check(place)
            proxy = self._target(str(place.origin()), Connection()).proxy
            async with session.get(place, allow_redirects=False, proxy=proxy) as response:
                if response.status not in _MOVED:
                    return await batch.take(response)
                place = _address(response.headers.get("location", ""), place)
        raise _UnusableError(f"its address leads on more than {_REDIRECTS} times")

    def _check(self, place: URL) -> None:
        """aiohttp looks only names up, so addresses that stand in a URL are checked here."""
        host = place.host or ""
        if self._rule == "public" and is_ip_address(host) and not is_public(host):
            raise PrivateAddressError


class _UnusableError(Exception):
    """Why a file can't be had."""


_PRIVATE = (
    "its address is not a public one, and this Router connects to no others for callers (`remote_files` is 'public');"
    " send its content"
)


@dataclass(slots=True, eq=False)
class _Batch:
    """The files of one call as they come in."""

    max_file: int
    left: int
    """Bytes that the files may still have together."""
    files: dict[str, Fetched] = field(default_factory=dict)

    async def take(self, response: aiohttp.ClientResponse) -> Fetched:
        """The file in a reply."""
        if response.status != 200:
            raise _UnusableError(f"its server answered {response.status}")
        if response.headers.get("content-encoding", "identity") != "identity":
            raise _UnusableError("its server sends it compressed, though asked not to")
        if (response.content_length or 0) > self.max_file:
            raise _UnusableError(self._too_large())
        content = bytearray()
        while part := await response.content.readany():
            content += part
            self.left -= len(part)
            if len(content) > self.max_file:
                raise _UnusableError(self._too_large())
            if self.left < 0:
                raise _UnusableError("the files of this call are too large together")
        whole = bytes(content)
        return Fetched(media_type(response.headers.get("content-type"), whole, response.url.path), whole)

    def _too_large(self) -> str:
        return f"it is larger than {self.max_file} bytes"


def _address(url: str, base: URL | None = None) -> URL:
    """The address to ask. What is quoted already is left alone: it may be signed."""
    try:
        place = URL(url, encoded=_QUOTED.fullmatch(url) is not None)
        place = place if base is None else base.join(place)
        if place.scheme in ("http", "https") and place.host and place.port:
            return place
    except ValueError:
        pass
    where = "its address" if base is None else "the address it leads on to"
    raise _UnusableError(f"{where} is not an http:// or https:// URL")


def _reason(error: Exception) -> str:
    if isinstance(error, aiohttp.ClientConnectorDNSError):
        return "its host is not known"
    if isinstance(error, (aiohttp.ClientConnectionError, OSError)):
        return f"the connection to its host failed ({type(error).__name__})"
    return f"its host did not answer in HTTP ({type(error).__name__})"


def _shown(url: str) -> str:
    """A URL fit to be shown: without credentials and without its query, which may hold a signature."""
    try:
        parsed = URL(url)
    except ValueError:
        return "(not a URL)"
    bare = parsed.with_user(None) if parsed.absolute else parsed
    text = str(bare.with_query(None).with_fragment(None))
    return text if len(text) <= 200 else text[:200] + "…"


def _refusal(url: str, why: str) -> APIError:
    return BadRequestError(f"input: {_shown(url)}: {why}", param="input", code="invalid_file_url")
