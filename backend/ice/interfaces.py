"""The addresses of this machine, and what a relay on it may listen on, relay from and relay to."""

import contextlib
import json
import os
import shutil
import socket
import subprocess
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from ipaddress import IPv4Interface, IPv6Interface, ip_interface
from typing import TypeAlias

from backend.settings import StartError

InterfaceAddress: TypeAlias = IPv4Interface | IPv6Interface
"""An address with the length of its subnet's prefix."""


ANY = {"0.0.0.0": 4, "::": 6}  # noqa: S104 - compared, not bound
"""The wildcard addresses, and the version of IP of each."""


@dataclass(frozen=True, slots=True)
class RelayNetwork:
    """Addresses, as text, for a local relay. `allowed` are addresses or ranges `first-last`: all else is refused."""

    listening: tuple[str, ...]
    relaying: tuple[str, ...]
    allowed: tuple[str, ...]
    is_loopback: bool


def relay_network(
    hosts: Sequence[str], *, addresses: Sequence[InterfaceAddress], primary: Iterable[str] = ()
) -> RelayNetwork:
    """Return what two browsers on this machine or LAN need from a relay next to a server that listens on `hosts`.

    `hosts` are addresses of this machine, or `0.0.0.0` or `::` for all of them; `addresses` are those of this machine;
    `primary` those with a route to the internet, which the relay hands out when there are several.

    Allowed peers: this machine's own addresses (a browser's, and the relay's, when both browsers relay), and, unless
    only loopback is served, the private subnets that it is connected to directly. A public subnet may be anybody's.
    """
    usable = [address for address in addresses if not address.ip.is_link_local]  # needs a zone, and TURN has none
    own = {str(address.ip): address for address in usable}
    listening: list[str] = []
    for host in hosts:
        if host in ANY:
            listening += [text for text, address in own.items() if address.version == ANY[host]]
        else:
            listening.append(host)
    listening = list(dict.fromkeys(listening))
    is_loopback = all(ip_interface(text).ip.is_loopback for text in listening)
    if is_loopback:
        return RelayNetwork(tuple(listening), tuple(listening), tuple(own), is_loopback=True)
    outside = [text for text in listening if not ip_interface(text).ip.is_loopback]
    # coturn picks a relay address at random: one that leads nowhere must not be among them.
    relaying = [text for text in outside if text in set(primary)] or outside
    allowed = [text for text, address in own.items() if not address.ip.is_loopback]
    allowed += [
        f"{address.network[0]}-{address.network[-1]}"
        for address in usable
        if address.ip.is_private and not address.ip.is_loopback and address.network.num_addresses > 1
    ]
    return RelayNetwork(tuple(listening), tuple(relaying), tuple(dict.fromkeys(allowed)), is_loopback=False)


def resolve_all(host: str) -> list[str]:
    """Return the addresses that a server on `host` listens on: `::` means both families. Raises `StartError`."""
    if host == "::":
        return list(ANY)
    try:
        found = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    except (OSError, UnicodeError):
        raise StartError(f"--host {host}: no such name or address") from None
    return list(dict.fromkeys(str(address[0]) for *_, address in found))


def own_addresses() -> list[InterfaceAddress]:
    """Return the addresses of this machine's interfaces that are up, as `ip` (iproute2) reports them.

    Without an `ip` that can tell them, only the loopback and the primary addresses are known: that of busybox has no
    JSON, and a sandbox may have no rtnetlink.
    """
    if program := find_program("ip"):
        command = [program, "-json", "address", "show", "up"]
        with contextlib.suppress(OSError, subprocess.SubprocessError, ValueError):
            return parse_addresses(subprocess.run(command, check=True, capture_output=True, timeout=5).stdout)  # noqa: S603
    return [ip_interface(text) for text in ("127.0.0.1/8", *primary_addresses())]


def find_program(name: str) -> str | None:
    """Return the path of a system program, or None. Debian has some where not every user's PATH leads, if it is set."""
    search = os.pathsep.join([os.environ.get("PATH", ""), "/usr/bin", "/usr/sbin", "/usr/local/bin"])
    return shutil.which(name, path=search)


def parse_addresses(text: bytes) -> list[InterfaceAddress]:
    """Return the addresses in the output of `ip -json address` that can be relied on.

    Addresses still being checked for duplicates cannot be used yet (RFC 4862), and temporary ones change (RFC 8981).
    """
    return [
        ip_interface(f"{info['local']}/{info['prefixlen']}")
        for interface in json.loads(text)
        for info in interface.get("addr_info", [])
        if "local" in info and not _PASSING & {name for name, value in info.items() if value is True}
    ]


_PASSING = {"tentative", "dadfailed", "temporary"}


def primary_addresses() -> list[str]:
    """Return the addresses that packets to the internet would leave from. None is sent."""
    addresses = []
    # Documentation addresses (RFC 5737, RFC 3849): connecting a UDP socket only asks the routing table.
    for family, target in ((socket.AF_INET, "203.0.113.1"), (socket.AF_INET6, "2001:db8::1")):
        try:
            with socket.socket(family, socket.SOCK_DGRAM) as probe:
                probe.connect((target, 9))
                addresses.append(str(probe.getsockname()[0]))
        except OSError:
            continue  # no route in this family
    return addresses
