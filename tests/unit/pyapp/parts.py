"""The parts of one connection joined as it joins them, for tests of each of them alone."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from pyapp.core import events
from pyapp.core.diagnostics.path_report import CandidateFacts, PathReport
from pyapp.core.events import TrackKind
from pyapp.core.failures import Failure
from pyapp.core.negotiation.candidates import Candidates
from pyapp.core.negotiation.negotiation import Negotiation
from pyapp.core.negotiation.restarts import Restarts
from pyapp.core.path.in_use import PathInUse
from pyapp.core.path.observation import Observation
from pyapp.core.path.recovery import Recovery
from pyapp.core.path.relaying import Relaying
from pyapp.core.path.relays import Relays
from pyapp.protocol.ice import IceConfiguration, IceServer
from pyapp.protocol.peer import Description
from tests.unit.pyapp.fakes import sdp

STUN, ONE, TWO = "stun:s.example", "turn:one.example:3478", "turn:two.example:3478"
TLS = "turns:one.example:443?transport=tcp"
CONFIGURATION = IceConfiguration(
    (IceServer((STUN,)), IceServer((ONE,), "u", "c"), IceServer((TWO,), "u", "c")), lifetime=600.0, standby=True
)


def report(
    local: str = "host",
    remote: str = "host",
    *,
    url: str = ONE,
    over: str = "udp",
    fragment: str = "l1",
    pair: str = "P",
    priority: int = 0,
) -> PathReport:
    """Return one of a pair with these types of candidates; `url` and `over` count if ours is a relay's."""
    facts = CandidateFacts(local, "udp", username_fragment=fragment)
    if local == "relay":
        facts = CandidateFacts(local, "udp", relay_protocol=over, url=url, username_fragment=fragment)
    return PathReport(pair, facts, CandidateFacts(remote, "udp", username_fragment="r1"), priority=priority)


@dataclass
class Around:
    """The `Outside` of a connection; as it is made, the server and the other side are there."""

    signaling_is_there: bool = True
    peer_is_there: bool = True
    peer_is_away: bool = False
    server_heard: float = 0.0
    peer_heard: float = 0.0
    standby_heard: float = -1.0
    refusal: Failure | None = None
    shows_picture: bool = False
    sent: Mapping[TrackKind, int] = field(default_factory=dict)


@dataclass
class Parts:
    """Of the impolite side, which is connected at 0.0 s, and whose path is the one of `path`."""

    path: PathReport | None = None
    polite: bool = False
    every_interface: bool = False
    capture_permitted: bool = True
    outside: Around = field(default_factory=Around)
    relays: Relays = field(default_factory=Relays)
    agreed: Negotiation = field(init=False)
    health: Recovery = field(init=False)
    restarts: Restarts = field(init=False)
    observation: Observation = field(init=False)
    relaying: Relaying = field(init=False)
    in_use: PathInUse = field(init=False)

    def __post_init__(self) -> None:
        self.relays.configured(CONFIGURATION, 0.0)
        self.agreed = Negotiation(self.polite, initiator=True)
        self.agree(1)
        self.health = Recovery(self.polite)
        self.health.channel_opened(0.0)
        self.restarts = Restarts(self.agreed, self.health)
        self.observation = Observation(self.agreed, self.health, self.restarts)
        self.observation.report, self.observation.established = self.path, True
        self.relaying = Relaying(
            self.relays,
            self.agreed,
            Candidates(self.agreed),
            self.health,
            self.restarts,
            self.observation,
            self.outside,
            every_interface=self.every_interface,
            capture_permitted=self.capture_permitted,
        )
        self.in_use = PathInUse(self.relays, self.agreed, self.health, self.observation, self.outside)

    def agree(self, exchange: int) -> None:
        """Offer, and have it answered: the `exchange`-th time, each time with another ICE generation."""
        self.offer(exchange)
        self.agreed.remote_description(Description("answer", sdp(f"r{exchange}"), exchange, exchange - 1))
        answer = events.SessionDescription("answer", sdp(f"r{exchange}"))
        self.agreed.remote_description_set(2 * exchange, answer)

    def offer(self, exchange: int) -> None:
        """Offer, and have no answer yet."""
        self.agreed.needed()
        offer = events.SessionDescription("offer", sdp(f"l{exchange}"))
        self.agreed.local_description_set(2 * exchange - 1, offer)
