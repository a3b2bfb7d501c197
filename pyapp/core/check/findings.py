"""What a check has found, as facts. None means not measured. Times are seconds."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal, TypeAlias

from pyapp.core.events import Obstacle
from pyapp.core.failures import Refusal
from pyapp.protocol.ice import IceUrl

Cause: TypeAlias = Literal[
    "credentials", "quota", "capacity", "dns", "closed", "no-answer", "refused-by-browser", "loopback"
]
"""Why a URL gave no candidate. `closed`: the TCP or TLS connection was refused or ended at once. `loopback`: it is on
this machine alone, where Firefox asks no server."""

Mapping_: TypeAlias = Literal["independent", "dependent"]
"""Of the NAT (RFC 4787, section 4.1): one port for all destinations, or another one for each ("symmetric")."""

OFFLINE = "offline"
"""The code of a refusal that is none: the browser has no network to ask the server over."""

NEVER_ASKED = ("refused-by-browser", "loopback")
"""Causes which say nothing of the network."""

_CREDENTIALS = frozenset({401, 403, 438, 441})


@dataclass(frozen=True, slots=True)
class GatheringError:
    """An `icecandidateerror`: one for each interface, and for each address family of the server."""

    code: int
    text: str
    address: str
    after: float


@dataclass(slots=True)
class UrlFinding:
    """What one URL gave, with nothing but it in the configuration."""

    text: str
    """As configured."""
    url: IceUrl
    name: str = ""
    """The operator's name for the server."""
    username: str = ""
    answered: float | None = None
    """Time to the first candidate."""
    cause: Cause | None = None
    errors: list[GatheringError] = field(default_factory=list)
    families: set[int] = field(default_factory=set)
    """4 and 6: the address families in which it told us our own address."""
    is_loop_open: bool | None = None
    """Whether two connections of this page met through the relay."""
    connected: float | None = None
    """Time to that, from the start of gathering."""
    loop_errors: list[GatheringError] = field(default_factory=list)
    """Those of the second connection."""
    trips: list[float] = field(default_factory=list)
    """RTTs to the relay and back, by messages that passed through it twice."""
    pings: int = 0
    sent: int = 0
    """Bytes sent to measure the throughput."""
    received: int = 0
    rate: float | None = None
    """Throughput, bits per second."""
    restarted: float | None = None
    """Time that an ICE restart took."""

    @property
    def has_failed(self) -> bool:
        """Whether it is certain that it gives no candidate."""
        return self.cause is not None

    @property
    def round_trip(self) -> float | None:
        """The median RTT."""
        return sorted(self.trips)[len(self.trips) // 2] if self.trips else None

    @property
    def jitter(self) -> float | None:
        """The mean difference of successive RTTs (RFC 3550, section 6.4.1, without its smoothing)."""
        pairs = list(zip(self.trips, self.trips[1:], strict=False))
        return sum(abs(later - earlier) for earlier, later in pairs) / len(pairs) if pairs else None

    @property
    def codes(self) -> frozenset[int]:
        """The codes of all errors at both ends."""
        return frozenset(error.code for error in (*self.errors, *self.loop_errors))


def cause_of(finding: UrlFinding, *, is_over: bool) -> Cause:
    """Say why `finding` has no candidate; `is_over` if gathering has ended, and was not given up.

    All errors count together, since a 701 comes from every interface that has no way to the server.
    """
    if is_over and finding.url.is_loopback and not any(error.text for error in finding.errors):
        return "loopback"  # Chromium always says why, and Firefox never
    if is_over and not finding.errors:
        return "refused-by-browser"  # as Firefox does with TLS to an address that is no name
    codes = {error.code for error in finding.errors}
    if codes & _CREDENTIALS:
        return "credentials"
    if 486 in codes:
        return "quota"
    if 508 in codes:
        return "capacity"
    if is_over and finding.errors and all("lookup" in error.text for error in finding.errors):
        # Chromium: "TURN host lookup received error.", for each address family. Of a host with IPv4 alone it says so
        # for IPv6, too: that is noise as long as the other family is still asked.
        return "dns"
    return "closed" if is_over and finding.url.transport != "udp" else "no-answer"


@dataclass(frozen=True, slots=True)
class TheirFacts:
    """What the candidates of the person at the other end say of their network, and the way to them."""

    has_udp: bool
    """Whether they named an address at which UDP may reach them from outside their network."""
    is_symmetric: bool
    path: Literal["direct", "relay", ""]
    """The path in use now."""
    is_relay_only: bool = False
    """Whether this page was told to use relays only."""


@dataclass(slots=True)
class Findings:
    """All that a check has found so far."""

    refusal: Refusal | None = None
    """Why the server gave no list of ICE servers."""
    server: float | None = None
    """Time to that list."""
    websocket: bool | None = None
    obstacle: Obstacle | None = None
    """Why no WebSocket opens, if the server was asked."""
    urls: list[UrlFinding] = field(default_factory=list)
    seen: Mapping[str, str] = field(default_factory=dict)
    """What the console's server itself found at each URL: a problem, or an empty text."""
    mapping: Mapping_ | None = None
    families: set[int] = field(default_factory=set)
    """4 and 6: those over which UDP got an answer."""
    them: TheirFacts | None = None
    unix: float = 0.0
    """When it began (Unix time)."""
    took: float = 0.0
    was_stopped: bool = False

    @property
    def is_offline(self) -> bool:
        """Whether the browser has lost its network since the server answered first."""
        return self.obstacle is not None and self.obstacle.kind == "offline"

    @property
    def is_server_gone(self) -> bool:
        """Whether the server has not answered again: that no WebSocket opens says nothing of the network then."""
        return self.obstacle is not None and self.obstacle.kind == "down"

    @property
    def udp(self) -> bool | None:
        """Whether UDP gets out; None if no server was to be asked over it."""
        asked = [one for one in self.urls if one.url.transport == "udp" and one.cause not in NEVER_ASKED]
        if not asked:
            return None
        # A refusal is an answer, too.
        return any(one.answered is not None or one.codes - {701} for one in asked)

    @property
    def relays(self) -> list[UrlFinding]:
        """The URLs that gave a relay."""
        return [one for one in self.urls if one.url.is_turn and one.answered is not None]
