"""Keeps calls to addresses that customers enter away from our own network: look up once, check, pin."""

import asyncio
import ipaddress
import re
import socket
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from aiohttp.abc import AbstractResolver, ResolveResult

PORTS = frozenset({443, 8443})
Lookup = Callable[[str, int], Awaitable[list[str]]]
_NAME = re.compile(r"(?=.{1,253}$)([a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?\.)+[a-z][a-z0-9-]{0,61}[a-z0-9]")
_NAT64 = ipaddress.ip_network("64:ff9b::/96")
_NAT64_LOCAL = ipaddress.ip_network("64:ff9b:1::/48")


class RefusedAddress(ValueError):
    """The address leads, or may lead, into our own network. The message names the rule, not what was found."""


@dataclass(frozen=True, kw_only=True)
class Pinned:
    """A checked destination: connections go to these addresses whatever the name says later."""

    url: str
    host: str
    port: int
    addresses: tuple[str, ...]


async def check(url: str, *, lookup: Lookup | None = None, loopback: bool = False) -> Pinned:
    """Raises `RefusedAddress`. With `loopback` (tests, demos) http to 127.0.0.1 is allowed as well."""
    scheme, host, given_port = _parts(url)
    if loopback and scheme == "http" and host == "127.0.0.1" and given_port:
        return Pinned(url=url, host=host, port=given_port, addresses=(host,))
    if scheme != "https":
        raise RefusedAddress("not https")
    port = given_port or 443
    if port not in PORTS:
        raise RefusedAddress("port")
    literal = _literal(host)
    if literal is None and not _NAME.fullmatch(host):
        raise RefusedAddress("host name")
    found = [literal] if literal is not None else await (lookup or _system_lookup)(host, port)
    if not found or not all(is_public(address) for address in found):
        raise RefusedAddress("not a public address")
    return Pinned(url=url, host=host, port=port, addresses=tuple(found))


def _parts(url: str) -> tuple[str, str, int | None]:
    if any(ord(c) <= 32 or ord(c) == 127 for c in url) or "\\" in url:
        raise RefusedAddress("control characters or backslash")
    try:
        parts = urlsplit(url)
        host, port = (parts.hostname or "").lower(), parts.port
    except ValueError:
        raise RefusedAddress("unreadable address") from None
    if "@" in parts.netloc:
        raise RefusedAddress("user name in the address")
    return parts.scheme, host, port


def is_public(address: str) -> bool:
    """Also looks into IPv4 addresses that are wrapped in IPv6 ones."""
    try:
        ip = ipaddress.ip_address(address.split("%", maxsplit=1)[0])
    except ValueError:
        return False
    if isinstance(ip, ipaddress.IPv6Address):
        inner = ip.ipv4_mapped or ip.sixtofour or (ip.teredo[1] if ip.teredo else None)
        if ip in _NAT64:
            inner = ipaddress.IPv4Address(int(ip) & 0xFFFFFFFF)
        if ip in _NAT64_LOCAL or ip.is_site_local or int(ip) < 2**32:
            return False
        if inner is not None and not _public(inner):
            return False
    return _public(ip)


def _public(ip: ipaddress.IPv4Address | ipaddress.IPv6Address) -> bool:
    return ip.is_global and not (ip.is_multicast or ip.is_reserved or ip.is_unspecified)


def _literal(host: str) -> str | None:
    """A canonical IP address; other spellings of numbers (decimal, octal, hex, short) are no names either."""
    try:
        return str(ipaddress.ip_address(host))
    except ValueError:
        return None


async def _system_lookup(host: str, port: int) -> list[str]:
    loop = asyncio.get_running_loop()
    try:
        found = await loop.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except OSError:
        return []
    return list(dict.fromkeys(str(entry[4][0]) for entry in found))


class PinnedResolver(AbstractResolver):
    """Answers with the checked addresses, for the checked name only."""

    def __init__(self, pinned: Pinned) -> None:
        self._pinned = pinned

    async def resolve(self, host: str, port: int = 0, family: Any = socket.AF_INET) -> list[ResolveResult]:
        if host != self._pinned.host:
            raise OSError("another name than the one that was checked")
        return [
            ResolveResult(
                hostname=host, host=address, port=port, proto=0, flags=socket.AI_NUMERICHOST,
                family=socket.AF_INET6 if ":" in address else socket.AF_INET,
            )
            for address in self._pinned.addresses
        ]  # fmt: skip

    async def close(self) -> None:
        return
