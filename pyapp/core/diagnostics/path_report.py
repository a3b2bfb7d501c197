"""The path in use, from `getStats()`."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Literal

from pyapp.protocol.entries import Pair
from pyapp.protocol.ice import PathKind

CHANNEL_DATA = 4
"""Bytes of the header of ChannelData (RFC 8656, section 12.4), in which browsers send and receive over a relay."""

INDICATION = 57
"""The same of a Send and of a Data indication (RFC 8656, section 11), in which Firefox sends and receives: 46 bytes on
the way to the relay, 69 on the way back, in which coturn names itself; their mean."""

PADDING = 1.5
"""Bytes that a relay adds on average to each ChannelData message that it sends over TCP or TLS, whose length is a
multiple of 4 there (RFC 8656, section 12.5). A relay counts what it receives without them (coturn)."""

CHECK = 164
"""Bytes of a check and its answer (RFC 8445, section 7), as Chromium 156 sends them."""

ALLOCATION = 2000
"""Bytes of the requests that allocate a relay and bind a pair's channel, and of their answers (RFC 8656, sections 7 to
12): two Allocate, a CreatePermission, a ChannelBind, a Refresh, and what is sent in indications until the channel is
bound; Chromium 156 with coturn, over UDP and TCP alike."""


@dataclass(frozen=True, slots=True)
class CandidateFacts:
    """One end of a candidate pair, from `RTCIceCandidateStats` (webrtc-stats, section 8.19)."""

    type: str
    protocol: str
    address: str = ""
    port: int = 0
    relay_protocol: str = ""
    url: str = ""
    username_fragment: str = ""


@dataclass(frozen=True, slots=True)
class PathReport:
    """The selected pair and its transport. None means not measured."""

    pair: str
    local: CandidateFacts
    remote: CandidateFacts
    round_trip: float | None = None
    """Seconds."""
    bytes_sent: int = 0
    bytes_received: int = 0
    packets_received: int = 0
    dtls_state: str = ""
    tls_version: str = ""
    pair_changes: int = 0
    priority: int = 0
    """Priority of the pair (RFC 8445, section 6.1.2.3)."""
    pair_sent: int = 0
    """Bytes sent over this pair alone; `bytes_sent` counts on when another one is selected."""
    pair_received: int = 0
    pair_packets: int = 0
    """Packets sent and received over this pair; estimated where the browser does not count them (Firefox ESR 153)."""
    pair_padded: int = 0
    """Those of them that a relay pads if it is reached over TCP or TLS."""
    header: int = CHANNEL_DATA
    """Bytes that a relay adds to each of them."""
    pair_checks: int = 0
    """Connectivity and consent checks over this pair that were answered, of either side."""
    likely_relay: str = ""
    """The URL of our relay, where the browser does not say it, and only one can be it."""
    available: float | None = None
    """`availableOutgoingBitrate`, bits per second."""

    @property
    def path(self) -> Literal["direct", "relay"]:
        """Whether there is a relay at either end (RFC 8445, section 4)."""
        return "relay" if "relay" in (self.local.type, self.remote.type) else "direct"

    @property
    def server(self) -> str:
        """The URL of the server that our candidate is from, as far as it is known."""
        return self.local.url or self.likely_relay

    @property
    def relayed(self) -> int:
        """Bytes between this page and its relay for this pair, both ways, as a TURN server counts them; 0 without one.

        `getStats()` counts what ICE carries: neither what TURN adds nor the checks.
        """
        if self.local.type != "relay":
            return 0
        payload = self.pair_sent + self.pair_received
        padding = 0 if self.local.relay_protocol in ("", "udp") else round(PADDING * self.pair_padded)
        checks = (CHECK + 2 * self.header) * self.pair_checks
        return ALLOCATION + payload + self.header * self.pair_packets + padding + checks

    @property
    def kind(self) -> PathKind:
        """The kind of the path, by its cost. Of a relay of the peer's we know only that it is reached over UDP."""
        if self.path == "direct":
            return "direct"
        is_udp = self.local.type != "relay" or self.local.relay_protocol in ("", "udp")
        return "relay over UDP" if is_udp else "relay over TCP"

    def is_near(self, *, share_address: bool | None) -> bool:
        """Return whether both ends are on the same network.

        `share_address` says whether they share a public address; None: neither side knows one, for want of a server to
        ask, say. If an mDNS name is not resolved (RFC 6762), the peer's host candidate appears as peer-reflexive.
        """
        kinds = {self.local.type, self.remote.type}
        if self.path == "direct" and is_private(self.remote.address):  # as a STUN server on the same network sees it
            return True
        if kinds == {"host"}:
            sites = {site_of(self.local.address), site_of(self.remote.address)}
            return "" in sites or len(sites) == 1 or share_address is True
        # A NAT, which makes peer-reflexive candidates as well, would seldom be passed without any server to ask.
        return kinds == {"host", "prflx"} and share_address is not False

    @property
    def family(self) -> Literal["", "IPv4", "IPv6"]:
        """The address family, or empty if the browser hides both addresses behind names."""
        for end in (self.remote, self.local):
            if ":" in end.address:
                return "IPv6"
            if end.address.replace(".", "").isdigit():
                return "IPv4"
        return ""

    def entry(self) -> Pair:
        """Return the report as an entry of the journal."""
        return Pair(
            path=self.path,
            pair=self.pair,
            local_type=self.local.type,
            local_protocol=self.local.protocol,
            local_address=self.local.address,
            local_port=self.local.port,
            relay_protocol=self.local.relay_protocol,
            server=self.server,
            remote_type=self.remote.type,
            remote_protocol=self.remote.protocol,
            remote_address=self.remote.address,
            remote_port=self.remote.port,
            round_trip_ms=None if self.round_trip is None else round(self.round_trip * 1000, 1),
            bytes_sent=self.bytes_sent,
            bytes_received=self.bytes_received,
            pair_sent=self.pair_sent,
            pair_received=self.pair_received,
            relayed=self.relayed,
            dtls_state=self.dtls_state,
            tls_version=self.tls_version,
            pair_changes=self.pair_changes,
            ufrag=self.local.username_fragment,
        )


def site_of(address: str) -> str:
    """Return what all machines on one network have in common of a public IPv6 address: the /64 (RFC 4291, 2.5.4).

    Of any other address it is empty: behind one public IPv4 address there may be a network, and private ones say
    nothing of where they are.
    """
    if ":" not in address or address[0] not in "23":  # 2000::/3 is what there is of the internet
        return ""
    head, _, tail = address.partition("::")
    groups = head.split(":")
    zeros = ["0"] * (8 - len(groups) - len(tail.split(":") if tail else ()))
    return ":".join(group.lstrip("0").lower() or "0" for group in (groups + zeros if "::" in address else groups)[:4])


_PRIVATE = re.compile(r"(10|127|169\.254|172\.(1[6-9]|2\d|3[01])|192\.168)\.|f[cd]..:|fe[89ab].:|::1$", re.IGNORECASE)


def is_private(address: str) -> bool:
    """Return whether an address leads nowhere on the internet (RFC 1918, RFC 4193, and those of the link and host)."""
    return bool(_PRIVATE.match(address))


def path_report(stats: Mapping[str, Mapping[str, Any]], pair: str = "") -> PathReport | None:
    """Return the path in use from `getStats()` entries by id, or that over `pair`, or None while there is none.

    `RTCTransportStats.selectedCandidatePairId` is the only way to it that every browser has but Firefox, which says
    `selected` on the pair instead.
    """
    transport = next((entry for entry in stats.values() if entry.get("type") == "transport"), {})
    pair_id = (
        pair
        or transport.get("selectedCandidatePairId")
        or next(
            (key for key, entry in stats.items() if entry.get("type") == "candidate-pair" and entry.get("selected")),
            None,
        )
    )
    entry = stats.get(pair_id) if pair_id else None
    if not entry:
        return None
    local, remote = stats.get(entry.get("localCandidateId", "")), stats.get(entry.get("remoteCandidateId", ""))
    if not local or not remote:
        return None
    sent, received = int(entry.get("bytesSent") or 0), int(entry.get("bytesReceived") or 0)
    is_counted = "packetsSent" in entry
    packets_received = int(entry.get("packetsReceived") or 0)
    packets = int(entry.get("packetsSent") or 0) + packets_received
    return PathReport(
        pair=str(pair_id),
        local=candidate_facts(local),
        remote=candidate_facts(remote),
        round_trip=entry.get("currentRoundTripTime"),
        bytes_sent=int(transport.get("bytesSent") or entry.get("bytesSent") or 0),
        bytes_received=int(transport.get("bytesReceived") or entry.get("bytesReceived") or 0),
        packets_received=int(transport.get("packetsReceived") or 0),
        dtls_state=str(transport.get("dtlsState") or ""),
        tls_version=str(transport.get("tlsVersion") or ""),
        pair_changes=int(transport.get("selectedCandidatePairChanges") or 0),
        priority=int(entry.get("priority") or 0),
        pair_sent=sent,
        pair_received=received,
        pair_packets=packets if is_counted else round((sent + received) / _mean_packet(stats)),
        pair_padded=packets_received if is_counted else 0,  # an indication is padded anyway
        header=CHANNEL_DATA if is_counted else INDICATION,
        pair_checks=int(entry.get("responsesReceived") or 0) + int(entry.get("requestsReceived") or 0),
        available=entry.get("availableOutgoingBitrate"),
    )


_MESSAGE = 65
"""Bytes of a data channel's packet beside its message: DTLS 1.2 (RFC 6347, section 4.1) with AES-GCM 37, SCTP 28."""
_PACKETS_A_MESSAGE = 1.5
"""With the acknowledgements that do not travel with a message of the other direction."""
_FEEDBACK, _FEEDBACK_BYTES = 0.25, 60
"""RTCP packets for each RTP packet, which `getStats()` does not count, and their bytes."""
_SRTP = 10
"""Bytes that SRTP adds to a packet (RFC 3711, section 4.2)."""


def _mean_packet(stats: Mapping[str, Mapping[str, Any]]) -> float:
    """Return the mean bytes of a packet of this connection: an estimate from what streams and channels have counted."""
    packets, carried = 0.0, 0.0
    for entry in stats.values():
        match entry.get("type"):
            case "inbound-rtp" | "outbound-rtp":
                count = int(entry.get("packetsReceived") or entry.get("packetsSent") or 0)
                names = ("bytesReceived", "bytesSent", "headerBytesReceived", "headerBytesSent")
                payload = sum(int(entry.get(name) or 0) for name in names)
                packets += count * (1 + _FEEDBACK)
                carried += payload + count * (_SRTP + _FEEDBACK * _FEEDBACK_BYTES)
            case "data-channel":
                count = int(entry.get("messagesReceived") or 0) + int(entry.get("messagesSent") or 0)
                payload = int(entry.get("bytesReceived") or 0) + int(entry.get("bytesSent") or 0)
                packets += count * _PACKETS_A_MESSAGE
                carried += payload + count * _PACKETS_A_MESSAGE * _MESSAGE
    return carried / packets if packets else float(_MESSAGE)


def candidate_facts(entry: Mapping[str, Any]) -> CandidateFacts:
    """Return a `local-candidate` or `remote-candidate` entry."""
    return _facts(
        entry.get("candidateType"),
        entry.get("protocol"),
        entry.get("address"),
        entry.get("port"),
        entry.get("relayProtocol"),
        entry.get("url"),
        entry.get("usernameFragment"),
    )


@lru_cache(maxsize=256)  # candidates stay as they are, and each sample asks for all of them
def _facts(*values: str | int | None) -> CandidateFacts:
    kind, protocol, address, port, relay_protocol, url, fragment = values
    texts = (str(value or "") for value in (relay_protocol, url, fragment))
    return CandidateFacts(str(kind or ""), str(protocol or ""), str(address or ""), int(port or 0), *texts)
