"""The addresses at which other machines reach this server, which an operator's page offers for links."""

from collections.abc import Iterable

from backend.access.callers import is_loopback, parse_address
from backend.ice.interfaces import ANY, InterfaceAddress, own_addresses, primary_addresses

MOST = 8
"""The most addresses offered: more are too many to choose from."""


def other_addresses(hosts: Iterable[str], port: int, *, is_secure: bool) -> tuple[str, ...]:
    """Return the addresses of the page for other machines, of a server that listens on `hosts` and `port`.

    `::` means both address families. Addresses with a default route come first.
    """
    every = [each for host in hosts for each in (ANY if host == "::" else (host,))]
    found = [url for host in every for url in _addresses(host, port, is_secure=is_secure)]
    return tuple(dict.fromkeys(found))[:MOST]


def _addresses(host: str, port: int, *, is_secure: bool) -> tuple[str, ...]:
    if host in ANY:
        return reached_at(host, own_addresses(), primary_addresses(), port=port, is_secure=is_secure)
    return () if is_loopback(host) else (_url(host, port, is_secure=is_secure),)


def reached_at(
    host: str, own: Iterable[InterfaceAddress], primary: Iterable[str], *, port: int, is_secure: bool
) -> tuple[str, ...]:
    """Return the addresses of the page for a server that listens on all addresses of the family of `host`.

    `own` are the addresses of this machine, `primary` those with a default route. Link-local ones need a zone, which
    URLs in browsers do not support.
    """
    usable = [
        str(address.ip)
        for address in own
        if address.version == ANY[host] and not address.ip.is_loopback and not address.ip.is_link_local
    ]
    first = [address for address in primary if address in usable]
    return tuple(_url(address, port, is_secure=is_secure) for address in dict.fromkeys((*first, *usable)))[:MOST]


def _url(host: str, port: int, *, is_secure: bool) -> str:
    address = parse_address(host)
    name = f"[{host}]" if address is not None and address.version == 6 else host
    scheme, default = ("https", 443) if is_secure else ("http", 80)
    return f"{scheme}://{name}/" if port == default else f"{scheme}://{name}:{port}/"
