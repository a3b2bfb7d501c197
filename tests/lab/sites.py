"""The lab's small values: sites, hosts and their links, places as they stand, and the servers that all can reach."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Mapping

    from tests.lab.delay import Delay
    from tests.lab.kinds import Kind, Nat

SERVER = "server"
STUN = "stun"
TURN1 = "turn1"
TURN2 = "turn2"


class Addresses(NamedTuple):
    """A server's addresses."""

    ipv4: tuple[str, ...]
    ipv6: tuple[str, ...]

    @property
    def all(self) -> tuple[str, ...]:
        """Both families."""
        return self.ipv4 + self.ipv6


PUBLIC_ADDRESSES: Mapping[str, Addresses] = {
    SERVER: Addresses(("192.0.2.10",), ("2001:db8:ffff::10",)),
    STUN: Addresses(("192.0.2.20", "192.0.2.21"), ("2001:db8:ffff::20", "2001:db8:ffff::21")),
    TURN1: Addresses(("198.51.100.10",), ("2001:db8:ffff:1::10",)),
    TURN2: Addresses(("203.0.113.250",), ("2001:db8:ffff:2::10",)),
}
NAMES: Mapping[str, str] = {node: f"{node}.lab" for node in PUBLIC_ADDRESSES}
"""What programs inside call the servers: one name for both families, as an operator's configuration has it."""

# Each program gets a table of names of its own, and where it runs a resolver (`names.py`) it asks that one. `ip netns


class LabError(Exception):
    """The lab cannot do what was asked."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Site:
    """A network at the edge: what kind it is, how many hosts it has, and how far away it is."""

    name: str
    kind: Kind
    hosts: int = 1
    lan: IPv4Network | None = None  # None: one of its own
    delay: Delay | None = None  # None: a plain link, none of it can be changed at run time
    same_carrier_as: str | None = None  # the name of a site that came before

    def __post_init__(self) -> None:
        """Refuse what cannot be built."""
        if not re.fullmatch(r"[a-z0-9-]{1,24}", self.name):
            raise ValueError(f"a site's name is short and plain: {self.name!r}")
        if self.name in PUBLIC_ADDRESSES or self.name == "core":
            raise ValueError(f"{self.name} is the name of a server")
        if not 1 <= self.hosts <= 4:
            raise ValueError("a site has one to four hosts")
        if self.same_carrier_as and not self.kind.carrier:
            raise ValueError(f"{self.kind.name} has no carrier to share")


@dataclass(frozen=True, slots=True, kw_only=True)
class Internet:
    """Sites around one core."""

    sites: tuple[Site, ...] = ()


@dataclass(kw_only=True)
class Link:
    """What joins a host to a place, by a cable to its LAN or by a tunnel to its router."""

    place: Place
    interface: str
    port: str = ""  # the other end, in the router
    tunnel: subprocess.Popen[str] | None = None
    ipv4: IPv4Address | None = None
    ipv6: IPv6Address | None = None
    lost_ipv6: IPv6Address | None = None  # the one that it had before IPv6 went away


@dataclass(kw_only=True)
class Host:
    """A host as it stands: its addresses change when it is given new ones, or moved."""

    node: str
    index: int
    links: list[Link] = field(default_factory=list)  # the first one has the default route

    @property
    def link(self) -> Link:
        """The one that it goes out by."""
        return self.links[0]

    @property
    def place(self) -> Place:
        """Where it is: where it goes out."""
        return self.link.place

    @property
    def ipv4(self) -> IPv4Address | None:
        """Its address there."""
        return self.link.ipv4

    @property
    def ipv6(self) -> IPv6Address | None:
        """Its address there."""
        return self.link.ipv6


@dataclass(kw_only=True)
class Place:
    """A site as it stands."""

    site: Site
    number: int
    lan: IPv4Network | None
    lan6: IPv6Network | None
    outside: IPv4Address | None  # the router's own
    carrier: Carrier | None
    hosts: list[Host] = field(default_factory=list)  # those that go out here
    links: list[Link] = field(default_factory=list)  # of all that are joined to it
    line: subprocess.Popen[str] | None = None

    @property
    def router(self) -> str:
        """The node of its router."""
        return f"{self.site.name}-router"

    @property
    def uplink(self) -> tuple[str, str]:
        """The node above its router, and the interface there."""
        return (self.carrier.node if self.carrier else "core"), f"down{self.number}"

    @property
    def gateway(self) -> IPv4Address | None:
        """The router's address on its LAN; the HTTP proxy of a site that has one listens there."""
        return self.lan[1] if self.lan else None

    @property
    def public(self) -> IPv4Address | None:
        """The address under which the internet knows the site."""
        return self.carrier.outside if self.carrier else self.outside

    @property
    def nat64_prefix(self) -> IPv6Network | None:
        """Where IPv4 addresses are found in IPv6 (RFC 6052, 2.2: a /96 of one's own)."""
        return (
            IPv6Network((int(IPv6Address("2001:db8:64::")) + (self.number << 64), 96)) if self.site.kind.nat64 else None
        )


@dataclass(kw_only=True)
class Carrier:
    """A carrier's translator as it stands, with the sites behind it."""

    node: str
    number: int
    nat: Nat
    outside: IPv4Address
    places: list[Place] = field(default_factory=list)

    @property
    def down(self) -> str:
        """The core's interface towards it."""
        return f"cgn{self.number}"

    @property
    def inside(self) -> IPv4Network:
        """Shared address space (RFC 6598)."""
        return IPv4Network((int(IPv4Address("100.64.0.0")) + (self.number << 8), 24))


def free_addresses(place: Place) -> tuple[IPv4Address | None, IPv6Address | None]:
    """Return the first addresses that no host of the LAN has, or had last: from .10 where the LAN is large enough."""
    ipv4 = ipv6 = None
    if place.lan:
        first = 10 if place.lan.num_addresses > 16 else 2
        taken = {link.ipv4 for link in place.links}
        ipv4 = next(place.lan[i] for i in range(first, place.lan.num_addresses - 1) if place.lan[i] not in taken)
    if place.lan6:
        taken6 = {link.ipv6 for link in place.links} | {link.lost_ipv6 for link in place.links}
        ipv6 = next(place.lan6[i] for i in range(16, 64) if place.lan6[i] not in taken6)
    return ipv4, ipv6


def own_lan(kind: Kind, number: int) -> IPv4Network:
    if kind.nat:
        return IPv4Network(f"192.168.{number}.0/24")
    if number < 24:
        return IPv4Network(f"198.51.100.{64 + 8 * number}/29")
    return IPv4Network(f"203.0.113.{128 + 8 * (number - 24)}/29")
