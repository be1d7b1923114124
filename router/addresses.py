"""Which addresses of the network anybody may be sent to on a caller's behalf."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Awaitable, Callable, Sequence
from ipaddress import IPv4Address, IPv6Address, IPv6Network, ip_address
from typing import TypeAlias

from aiohttp.abc import AbstractResolver, ResolveResult

Lookup: TypeAlias = Callable[[str, int], Awaitable[Sequence[str]]]
"""Finds the addresses of a host's name, for a port. Raises `OSError`."""

_TRANSLATED = IPv6Network("64:ff9b::/96")
"""Where networks without IPv4 show IPv4 addresses (RFC 6052)."""
_RELAYS = frozenset({IPv4Address(f"192.88.99.{last}") for last in range(256)})
"""Gateways from IPv4 to IPv6, withdrawn by RFC 7526; some lead into a private network."""


class PrivateAddressError(Exception):
    """A host has no public address."""


def is_public(address: str) -> bool:
    """Whether an IP address belongs to the public internet.

    Not loopback, private, link-local (where clouds keep credentials), multicast, reserved or documentation; also not
    when one of these is wrapped in an IPv6 address (mapped, 6to4, NAT64).
    """
    try:
        ip = ip_address(address)
    except ValueError:  # `127.1` and the like: addresses all the same, to those who connect
        return False
    if isinstance(ip, IPv6Address):
        inner = _inside(ip)
        if inner is not None:
            return is_public(str(inner))
        if ip.is_site_local:
            return False
    elif ip in _RELAYS:
        return False
    return ip.is_global and not ip.is_multicast and not ip.is_reserved


def _inside(ip: IPv6Address) -> IPv4Address | None:
    """The IPv4 address that packets to `ip` end up at, if any."""
    if ip in _TRANSLATED:
        return IPv4Address(int(ip) & 0xFFFFFFFF)
    return ip.ipv4_mapped or ip.sixtofour


async def look_up(host: str, port: int) -> Sequence[str]:
    """The addresses of a name, as the system knows them. Raises `OSError`."""
    found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(address[0]) for *_, address in found))


class CheckedResolver(AbstractResolver):
    """Gives aiohttp the public addresses of a name, and no others.

    What is connected to is what was checked: nobody asks again, so a name that changes its address in between gains
    nothing. aiohttp resolves only names; whoever uses this checks addresses in URLs with `is_public`.
    """

    def __init__(self, look_up: Lookup, *, public: bool) -> None:
        self._look_up = look_up
        self._public = public

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_UNSPEC
    ) -> list[ResolveResult]:
        """See `AbstractResolver.resolve`. Raises `PrivateAddressError`, `OSError`."""
        found = await self._look_up(host, port)
        allowed = [address for address in found if not self._public or is_public(address)]
        if found and not allowed:
            raise PrivateAddressError
        return [
            ResolveResult(
                hostname=host,
                host=address,
                port=port,
                family=socket.AF_INET6 if ":" in address else socket.AF_INET,
                proto=0,
                flags=socket.AI_NUMERICHOST | socket.AI_NUMERICSERV,
            )
            for address in allowed
        ]

    async def close(self) -> None:
        """Nothing is held."""
