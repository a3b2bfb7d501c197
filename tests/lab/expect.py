"""What a pair of networks allows, derived from their kinds. Nothing here is written per pair, nothing does I/O.

The rules are those of UDP hole punching (RFC 5128, 3.3) as ICE performs it (RFC 8445): both sides learn their outer
address from a STUN server, tell it to each other, and send checks to each other from the same sockets.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tests.lab.kinds import Filtering, Firewall, Kind, Mapping

if TYPE_CHECKING:
    from collections.abc import Collection


class Relation(enum.Enum):
    """How two sites stand to each other."""

    APART = "apart"
    SAME_LAN = "same LAN"
    SAME_CARRIER = "same carrier NAT"
    SAME_ADDRESSES = "same LAN addresses"


class Path(enum.IntEnum):
    """Where the packets go. Lower: better."""

    HOST = 0  # host candidates at both ends
    DIRECT = 1  # through the translators, or between public addresses: no relay
    RELAY = 2


class Leg(enum.IntEnum):
    """How a host talks to its relay. Lower: better; the words are those of `relayProtocol` in webrtc-stats."""

    UDP = 0
    TCP = 1
    TLS = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class Best:
    """The best path of a pair. A leg is None where that side needs no relay of its own.

    One relay between two sides that could each bring it has `either` set: then only the number is certain.
    """

    path: Path
    left: Leg | None = None
    right: Leg | None = None
    either: bool = False

    @property
    def relays(self) -> int:
        """How many relays the packets pass."""
        if self.path is not Path.RELAY:
            return 0
        return 1 if self.either else sum(leg is not None for leg in (self.left, self.right))

    def line(self) -> str:
        """One greppable line."""
        if self.path is not Path.RELAY:
            return self.path.name.lower()
        legs = ["-" if leg is None else leg.name.lower() for leg in (self.left, self.right)]
        return f"relay {self.relays} {'|'.join(legs) if self.either else '/'.join(legs)}"


def best(
    left: Kind,
    right: Kind,
    relation: Relation = Relation.APART,
    *,
    offered: Collection[Leg] = frozenset(Leg),
) -> Best:
    """Return the best path between two kinds, where the TURN servers are offered by these transports.

    `SAME_ADDRESSES` needs no rule: host candidates lead to a stranger or to oneself, and ICE's checks, which carry the
    other side's password (RFC 8445, 7.2.2), fail there. What is left is what is left for two sites apart.
    """
    if relation is Relation.SAME_LAN:
        # The bridge of a LAN is not its router: neither translator nor firewall sees these packets.
        return Best(path=Path.HOST)
    if _direct_v6(left, right) or _direct_v4(left, right, relation):
        return Best(path=Path.DIRECT)
    return _relayed(left, right, offered)


def _direct_v6(left: Kind, right: Kind) -> bool:
    """Both have public IPv6 addresses: what each says of itself is true, and its own checks open its firewall."""
    return left.ipv6 and right.ipv6


def _direct_v4(left: Kind, right: Kind, relation: Relation) -> bool:
    """Whether IPv4 packets pass without a relay.

    Browsers offer no passive TCP candidates (only `tcptype active`, RFC 6544), so without UDP nothing is direct.
    """
    if not (left.ipv4 and right.ipv4 and left.udp and right.udp):
        return False
    if relation is Relation.SAME_CARRIER and not (left.hairpinning and right.hairpinning):
        # Both outer addresses are the carrier's own: only a hairpin leads from one back in to the other.
        return False
    # One direction is enough: the answer travels back on the flow that the request opened, and the side that was
    # reached learns the other's true outer address from it (a peer-reflexive candidate, RFC 8445, 7.3.1.3).
    return _admits(left, right) or _admits(right, left)


def _admits(receiver: Kind, sender: Kind) -> bool:
    """Whether the sender's checks get in at the outer address that the receiver learned from the STUN server."""
    if receiver.filtering is Filtering.EIF:
        return True
    if receiver.mapping is not Mapping.EIM:
        # The receiver's own checks leave by another outer port than the one it told: they open that one instead.
        return False
    if receiver.filtering is Filtering.ADF:
        # Its check to the sender's address opened the door to every port of that address, and a symmetric sender
        # changes only its port (RFC 4787, REQ-2: one inner address keeps one outer address).
        return True
    # APDF: its check opened the door to the port that the sender told, so the sender has to come from that one.
    return sender.mapping is Mapping.EIM


def _relayed(left: Kind, right: Kind, offered: Collection[Leg]) -> Best:
    """Choose the fewest relays.

    A relay has a public IPv4 address (RFC 8656: IPv4 unless asked otherwise, and browsers do not ask), does not change
    its port, and is open to addresses that its client named (permissions, 9): EIM/ADF in the words above. So whoever
    can send UDP over IPv4 reaches the other side's relay, whatever its own translator does; who cannot brings a relay.
    """
    left_needs, right_needs = not _reaches_relay(left), not _reaches_relay(right)
    if left_needs or right_needs:
        return Best(
            path=Path.RELAY,
            left=_leg(left, offered) if left_needs else None,
            right=_leg(right, offered) if right_needs else None,
        )
    return Best(path=Path.RELAY, left=_leg(left, offered), right=_leg(right, offered), either=True)


def _reaches_relay(kind: Kind) -> bool:
    """Whether a host can send UDP to the other side's relayed IPv4 address by itself.

    A host behind NAT64 could, if it turned the relay's address into one of its prefix; browsers do not.
    """
    return kind.ipv4 and kind.udp


def _leg(kind: Kind, offered: Collection[Leg]) -> Leg:
    """Return the best way to a TURN server that listens on UDP and TCP 3478, and with TCP and TLS on 443."""
    match kind.firewall:
        case Firewall.OPEN:
            open_ways = set(Leg)
        case Firewall.NO_UDP | Firewall.TCP_443 | Firewall.PROXY:
            open_ways = {Leg.TCP, Leg.TLS}  # CONNECT makes a tunnel: tinyproxy does not look at what passes
        case Firewall.TLS_443:
            open_ways = {Leg.TLS}
    ways = open_ways.intersection(offered)
    if not ways:
        raise ValueError(f"{kind.name}: no TURN server is offered by a way that is open there")
    return min(ways)
