"""NAT and firewall kinds as small frozen values, in the words of RFC 4787 (and RFC 6092 for IPv6, RFC 6146 for NAT64).

A kind says what a network does, not how: `rules.py` turns it into nftables, `expect.py` derives from it what a pair of
networks allows, `probe.py` measures whether a network that claims a kind keeps its word.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass, replace


class Mapping(enum.IntEnum):
    """Which packets of one inner address and port leave by the same outer port (RFC 4787, 4.1). Higher: harder."""

    EIM = 1  # endpoint independent: all of them
    ADM = 2  # address dependent: those to one address
    APDM = 3  # address and port dependent: those to one address and port ("symmetric")


class Filtering(enum.IntEnum):
    """From whom a mapping lets packets in (RFC 4787, section 5). Higher: stricter."""

    EIF = 1  # endpoint independent: from anybody
    ADF = 2  # address dependent: from an address that was sent to
    APDF = 3  # address and port dependent: from an address and port that was sent to


class Firewall(enum.Enum):
    """What a network lets its hosts send out at all."""

    OPEN = "everything"
    NO_UDP = "TCP, no UDP"
    TCP_443 = "only TCP to port 443"
    TLS_443 = "only TLS to port 443, the first bytes are checked"
    PROXY = "nothing but an HTTP proxy, which connects to port 443"


@dataclass(frozen=True, slots=True, kw_only=True)
class Nat:
    """One translator of IPv4 addresses. Its lifetime is that of an idle UDP mapping, in seconds (RFC 4787, 4.3)."""

    mapping: Mapping
    filtering: Filtering
    preserves_ports: bool = True
    hairpinning: bool = False
    lifetime: int = 300

    def __post_init__(self) -> None:
        """Refuse what `rules.py` could not build honestly."""
        if self.mapping is Mapping.ADM:
            raise ValueError("an address dependent mapping cannot be made with conntrack: it tracks ports as well")
        if self.mapping is Mapping.EIM and not self.preserves_ports:
            raise ValueError("conntrack keeps a mapping endpoint independent only while it keeps its port")
        if self.mapping is Mapping.APDM and (self.filtering is not Filtering.APDF or self.hairpinning):
            raise ValueError("a symmetric mapping of conntrack has filtering APDF, and does not hairpin")
        if self.lifetime < 1:
            raise ValueError("a mapping lives for a second at least")


@dataclass(frozen=True, slots=True, kw_only=True)
class Kind:
    """A site's network: at most two translators in a row, a firewall, and the IP families that it speaks."""

    name: str
    means: str
    nat: Nat | None = None  # None: its hosts have public addresses
    carrier: Nat | None = None  # a second translator, at the provider: "carrier-grade NAT" (RFC 6888)
    firewall: Firewall = Firewall.OPEN
    ipv4: bool = True
    ipv6: bool = False  # public addresses behind a stateful firewall (RFC 6092, REC-11 and following)
    nat64: Nat | None = None  # IPv4 is reached under an IPv6 prefix (RFC 6052), by this translator (RFC 6146)

    def __post_init__(self) -> None:
        """Refuse combinations that mean nothing."""
        if not (self.ipv4 or self.ipv6):
            raise ValueError("a network speaks IPv4, IPv6 or both")
        if not self.ipv4 and (self.nat or self.carrier):
            raise ValueError("only IPv4 is translated; NAT64 says so itself")
        if self.carrier and not self.nat:
            raise ValueError("a carrier's translator stands behind the one at home")
        if self.nat64 and self.ipv4:
            raise ValueError("NAT64 is for networks without IPv4")
        if self.firewall is not Firewall.OPEN and self.ipv6:
            raise ValueError("firewall policies are built for IPv4 only")

    @property
    def mapping(self) -> Mapping:
        """The mapping of IPv4 that the outside sees: of two translators in a row, the harder one (RFC 6888)."""
        return max((nat.mapping for nat in self.translators), default=Mapping.EIM)

    @property
    def filtering(self) -> Filtering:
        """The filtering of IPv4 that the outside meets: of two translators in a row, the stricter one."""
        return max((nat.filtering for nat in self.translators), default=Filtering.EIF)

    @property
    def preserves_ports(self) -> bool:
        """Whether an inner port is kept, where it is free, by every translator on the way."""
        return all(nat.preserves_ports for nat in self.translators)

    @property
    def hairpinning(self) -> bool:
        """Whether an inner host reaches another by its outer address (RFC 4787, REQ-9): public ones need no hairpin."""
        return all(nat.hairpinning for nat in self.translators[-1:])

    @property
    def translators(self) -> tuple[Nat, ...]:
        """Those on the way out, the nearest first."""
        return tuple(nat for nat in (self.nat, self.carrier) if nat)

    @property
    def udp(self) -> bool:
        """Whether UDP gets out."""
        return self.firewall is Firewall.OPEN


_CONE = Nat(mapping=Mapping.EIM, filtering=Filtering.EIF)
_RESTRICTED = Nat(mapping=Mapping.EIM, filtering=Filtering.ADF)
_PORT_RESTRICTED = Nat(mapping=Mapping.EIM, filtering=Filtering.APDF)
_SYMMETRIC = Nat(mapping=Mapping.APDM, filtering=Filtering.APDF, preserves_ports=False)

PUBLIC = Kind(name="public", means="Public addresses, nothing in the way.")
FULL_CONE = Kind(
    name="full-cone",
    means="EIM/EIF: one outer port for all destinations, open to everybody.",
    nat=_CONE,
)
RESTRICTED = Kind(
    name="restricted",
    means="EIM/ADF: one outer port, open to addresses that were sent to.",
    nat=_RESTRICTED,
)
PORT_RESTRICTED = Kind(
    name="port-restricted",
    means="EIM/APDF: one outer port, open to addresses and ports that were sent to. What most homes have.",
    nat=_PORT_RESTRICTED,
)
SYMMETRIC = Kind(
    name="symmetric",
    means="APDM/APDF: another, random outer port for each destination.",
    nat=_SYMMETRIC,
)
SYMMETRIC_PRESERVING = Kind(
    name="symmetric-preserving",
    means="APDM/APDF: the first destination sees the inner port, each other one a random port.",
    nat=replace(_SYMMETRIC, preserves_ports=True),
)
CGN_CONE = Kind(
    name="cgn-cone",
    means="Port-restricted at home, behind a carrier's full cone that hairpins (RFC 6888, REQ-1 and REQ-7).",
    nat=_PORT_RESTRICTED,
    carrier=replace(_CONE, hairpinning=True),
)
CGN_SYMMETRIC = Kind(
    name="cgn-symmetric",
    means="Port-restricted at home, behind a carrier's symmetric NAT that does not hairpin.",
    nat=_PORT_RESTRICTED,
    carrier=_SYMMETRIC,
)
HAIRPIN = Kind(
    name="hairpin",
    means="Port-restricted, and inner hosts reach each other by their outer addresses. (All kinds above it do not.)",
    nat=replace(_PORT_RESTRICTED, hairpinning=True),
)
SHORT_LIFETIME = Kind(
    name="short-lifetime",
    means="Port-restricted, and a UDP mapping is forgotten after 30 s of silence.",
    nat=replace(_PORT_RESTRICTED, lifetime=30),
)
UDP_BLOCKED = Kind(
    name="udp-blocked",
    means="TCP gets out, UDP does not.",
    nat=_PORT_RESTRICTED,
    firewall=Firewall.NO_UDP,
)
TCP_443_ONLY = Kind(
    name="tcp-443-only",
    means="Only TCP to port 443 gets out.",
    nat=_PORT_RESTRICTED,
    firewall=Firewall.TCP_443,
)
TLS_443_ONLY = Kind(
    name="tls-443-only",
    means="Only TLS to port 443 gets out: a connection that begins with anything else is reset.",
    nat=_PORT_RESTRICTED,
    firewall=Firewall.TLS_443,
)
HTTP_PROXY = Kind(
    name="http-proxy",
    means="Nothing gets out but by an HTTP proxy, which allows CONNECT to port 443.",
    nat=_PORT_RESTRICTED,
    firewall=Firewall.PROXY,
)
DUAL_STACK = Kind(
    name="dual-stack",
    means="Port-restricted for IPv4; public IPv6 addresses behind a stateful firewall.",
    nat=_PORT_RESTRICTED,
    ipv6=True,
)
V6_ONLY = Kind(
    name="v6-only",
    means="No IPv4; public IPv6 addresses behind a stateful firewall.",
    ipv4=False,
    ipv6=True,
)
NAT64 = Kind(
    name="nat64",
    means="As v6-only, and IPv4 servers are reached through a NAT64.",
    ipv4=False,
    ipv6=True,
    nat64=_PORT_RESTRICTED,
)

ALL = (
    PUBLIC,
    FULL_CONE,
    RESTRICTED,
    PORT_RESTRICTED,
    SYMMETRIC,
    SYMMETRIC_PRESERVING,
    CGN_CONE,
    CGN_SYMMETRIC,
    HAIRPIN,
    SHORT_LIFETIME,
    UDP_BLOCKED,
    TCP_443_ONLY,
    TLS_443_ONLY,
    HTTP_PROXY,
    DUAL_STACK,
    V6_ONLY,
    NAT64,
)
