"""Which callers are on this machine, and which pages may send requests. Pure."""

from functools import lru_cache
from ipaddress import IPv4Address, IPv6Address, ip_address
from urllib.parse import urlsplit

DEFAULT_PORTS = {"http": 80, "https": 443}
"""By scheme: the port of an address that names none."""


def is_loopback(host: str) -> bool:
    """Whether `host`, a name or an address without port and brackets, means this machine (RFC 6761, section 6.3)."""
    name = host.lower().removesuffix(".")
    if name == "localhost" or name.endswith(".localhost"):
        return True
    address = parse_address(name)
    return address is not None and address.is_loopback


@lru_cache(1024)
def site(address: str) -> str:
    """Return what is counted as one caller: an IPv4 address, or the /64 of an IPv6 one (RFC 4291, section 2.5.4).

    A host usually has its whole /64, and could send each request from another address of it.
    """
    parsed = parse_address(address)
    if isinstance(parsed, IPv6Address):
        return f"{IPv6Address(int(parsed) >> 64 << 64)}/64"
    return str(parsed) if parsed else address


def is_own_origin(origin: str | None, *, host: str) -> bool:
    """Whether a request with this `Origin` (RFC 6454) was made by a page of the server that `Host` names.

    The scheme may differ: behind a proxy that terminates TLS, the page is https and the request is not. No `Origin` at
    all is allowed: a browser leaves it out only for same-origin GET, and other programs can send what they like.
    """
    if origin is None:
        return True
    try:
        parts = urlsplit(origin)
        port = parts.port
    except ValueError:
        return False
    if parts.scheme not in DEFAULT_PORTS or not parts.hostname:
        return False
    default = DEFAULT_PORTS[parts.scheme]
    return (parts.hostname, port or default) == (host_name(host).lower(), host_port(host) or default)


def host_name(host: str) -> str:
    """Return the name or address in a `Host` header (RFC 9110, section 7.2), without port and brackets."""
    if host.startswith("["):
        return host[1:].partition("]")[0]
    return host.partition(":")[0]


def host_port(host: str) -> int | None:
    """Return the port in a `Host` header, or None."""
    digits = host.rpartition("]")[2].partition(":")[2]
    return int(digits) if digits.isascii() and digits.isdigit() else None


def parse_address(text: str) -> IPv4Address | IPv6Address | None:
    """Return the IP address in `text`, or None. An IPv4-mapped one (RFC 4291, section 2.5.5.2) is returned as IPv4."""
    try:
        address = ip_address(text.partition("%")[0])
    except ValueError:
        return None
    return (address.ipv4_mapped or address) if isinstance(address, IPv6Address) else address
