"""A second path, kept ready while the first is relayed: over another TURN server, and idle until it is needed.

    closed      --a pause after it became wanted-->                describing  (an offer)
    closed      --the peer's offer-->                              describing  (an answer)
    describing  --all candidates are there: they go over-->        offered, or connecting
    offered     --the answer-->                                    connecting
    connecting  --the channel opens-->                             open
    any         --it fails, or takes too long-->                   closed, a longer pause each time
    any         --the path in use is direct, or over its host-->   closed

It is a separate `RTCPeerConnection`, since ICE keeps only one pair alive. The side whose own relay carries the path in
use makes the offer, since only that side knows which relay it is; if both sides' relays do, the impolite side offers. A
browser that does not name its relay (Firefox) can only answer. Only the journal mentions the standby; without one,
everything else works the same.
"""

from dataclasses import dataclass, field
from typing import Literal, Protocol

from pyapp.core import commands, events
from pyapp.core.commands import Channel, Command, PeerCommand
from pyapp.core.events import PeerEvent, SessionDescription
from pyapp.core.negotiation.negotiation import ToPeer
from pyapp.core.path.facts import Addressed, FrameReceived, StandbyIs
from pyapp.core.peers import NO_PEER, PeerId, PeerIds
from pyapp.core.timers import AsideTimer
from pyapp.protocol import entries
from pyapp.protocol.ice import IceConfiguration, IceError, parse_reported_url
from pyapp.protocol.peer import StandbyDescription

TIMER = AsideTimer.STANDBY

CHANNELS = (Channel("standby", 0),)

ATTEMPT_FOR = 15.0
"""Seconds until the channel must be open: an allocation over TLS and a handshake, with allowance for losses."""

OPEN_AFTER = 0.5
"""Seconds before the first offer: the connection itself should have the network to itself."""

FIRST_PAUSE, LAST_PAUSE = 5.0, 300.0
"""Seconds between a failure and the next try, doubling from the first to the last, plus up to half as much at
random."""

FIRST, SECOND = 1, 2
"""The two descriptions of each `RTCPeerConnection`, in the order in which they are set."""

STEADY_AFTER = 30.0
"""Seconds after which losing an open standby no longer counts as a failure."""


class Surroundings(Protocol):
    """What a standby needs to know of the path in use, and of other relays."""

    @property
    def is_wanted(self) -> bool:
        """Whether a standby is wanted at all."""

    @property
    def configuration(self) -> IceConfiguration:
        """The configuration, with the preferred servers first."""

    @property
    def relay(self) -> str:
        """The URL of our relay on the path in use, or empty."""

    @property
    def over_tcp(self) -> bool:
        """Whether we reach that relay over TCP or TLS."""

    @property
    def offers(self) -> bool:
        """Whether we are the side to offer one now."""


@dataclass(slots=True)
class Standby:
    """The standby of one connection. `polite` as in the negotiation. Times are seconds on the runner's clock.

    The identifier of each `RTCPeerConnection`, from `names`, is also the attempt number that the peer sees.
    """

    names: PeerIds
    polite: bool = True
    state: Literal["closed", "describing", "offered", "connecting", "open"] = field(init=False, default="closed")
    peer: PeerId = field(init=False, default=NO_PEER)
    """`NO_PEER` while it is closed."""
    host: str = field(init=False, default="")
    """The host of its relay on our side."""
    _answers: int = field(init=False, default=0)
    """The peer's attempt that this one answers; 0 if we made the offer."""
    _avoid: str = field(init=False, default="")
    """The URL of the relay that the offer names as the one in use."""
    _failures: int = field(init=False, default=0)
    _opened_at: float = field(init=False, default=0.0)

    def review(self, around: Surroundings) -> list[Addressed]:
        """Close it if it is no longer in the right place; start the timer for the next one if one is missing."""
        outputs: list[Addressed] = []
        # An answerer knows the relay to avoid from the offer, which may be out of date if it is the one to offer now.
        if self.state != "closed" and self.host not in _hosts(around, "" if around.offers else self._avoid):
            outputs += self.close("misplaced")
        if self.state == "closed" and around.offers and _hosts(around, ""):
            pause = min(FIRST_PAUSE * 2 ** min(self._failures - 1, 10), LAST_PAUSE) if self._failures else OPEN_AFTER
            outputs.append(commands.StartTimer(TIMER, pause, spread=pause / 2, only_if_idle=True))
        return outputs

    def due(self, around: Surroundings, now: float) -> list[Addressed]:
        """Offer the next one, or give up the current attempt (timer `TIMER`)."""
        if self.state != "closed":
            return self.failed("late", now)
        hosts = _hosts(around, "")
        if not around.is_wanted or not around.offers or not hosts:
            return []
        self._answers, self._avoid = 0, around.relay
        create = self._create(around, hosts[self._failures % len(hosts)])
        return [create, self._do(commands.SetLocalDescription(FIRST)), commands.StartTimer(TIMER, ATTEMPT_FOR)]

    def said(self, message: StandbyDescription, around: Surroundings) -> list[Addressed]:
        """Handle an offer or an answer of the peer's.

        An offer replaces whatever is there, unless it collides with one of ours and we are the impolite side.
        """
        if not around.is_wanted:
            return []
        description = SessionDescription(message.type, message.sdp)
        if message.type == "answer":
            if self.state != "offered" or message.attempt != self.peer:
                return []
            self.state = "connecting"
            return [self._do(commands.SetRemoteDescription(SECOND, description))]
        if self.state in ("describing", "offered") and not self._answers and not self.polite:
            return []
        outputs = self._close("anew") if self.state == "open" else []
        hosts = _hosts(around, message.avoid)
        if not hosts:
            return outputs
        self._answers, self._avoid = message.attempt, message.avoid
        if self.peer:
            outputs.append(self._do(commands.ClosePeer()))
        create = self._create(around, hosts[0])
        apply = self._do(commands.SetRemoteDescription(FIRST, description))
        return [*outputs, create, apply, commands.StartTimer(TIMER, ATTEMPT_FOR)]

    def receive(self, event: PeerEvent, now: float) -> list[Addressed]:
        """Handle an event of `peer`: if the browser rejects anything, the standby is given up."""
        match event:
            case events.RemoteDescriptionSet(_, SessionDescription("offer")):
                return [self._do(commands.SetLocalDescription(SECOND))]
            case events.LocalCandidatesEnded(SessionDescription() as description):
                return self._described(description, now)
            case events.StateChanged("connection", "failed"):
                return self.failed("failed", now)
            case events.PeerOperationFailed(_, error):
                return self.failed(error, now)
            case events.ChannelOpened():
                return self._opened(now)
            case events.ChannelClosed() if self.state == "open":
                return self.failed("channel-closed", now)  # the peer no longer wants it, or has started over
            case events.ChannelReceived(_, text) if self.state == "open":
                return [FrameReceived(text, "standby")]
        return []

    def failed(self, why: str, now: float) -> list[Addressed]:
        """Give it up, and double the pause before the next."""
        if self.state == "closed":
            return []
        was_steady = self.state == "open" and now - self._opened_at > STEADY_AFTER
        self._failures = 0 if was_steady else self._failures + 1
        return self._close(why)

    def close(self, why: str) -> list[Addressed]:
        """Close it without counting a failure: the next one, if it is still wanted, need not wait long."""
        self._failures = 0
        return [] if self.state == "closed" else self._close(why)

    def _described(self, description: SessionDescription, now: float) -> list[Addressed]:
        """Send our description, if it has a relay candidate."""
        if self.state != "describing":
            return []
        if "\na=candidate:" not in description.sdp:
            return self.failed("no-candidate", now)
        if self._answers:
            self.state = "connecting"
            return [ToPeer(StandbyDescription("answer", description.sdp, self._answers))]
        self.state = "offered"
        return [ToPeer(StandbyDescription("offer", description.sdp, self.peer, self._avoid))]

    def _opened(self, now: float) -> list[Addressed]:
        if self.state != "connecting":
            return []
        self.state = "open"
        self._opened_at = now
        ready = entries.Standby(open=True, host=self.host)
        return [commands.CancelTimer(TIMER), ready, StandbyIs(self.peer)]

    def _create(self, around: Surroundings, host: str) -> Command:
        self.state = "describing"
        self.peer = self.names.next()
        self.host = host
        return self._do(commands.CreatePeer(around.configuration.relay_at(host, over_tcp=around.over_tcp), CHANNELS))

    def _close(self, why: str) -> list[Addressed]:
        over = entries.Standby(open=False, host=self.host, reason=why)
        close = self._do(commands.ClosePeer())
        self.state = "closed"
        self.peer = NO_PEER
        return [commands.CancelTimer(TIMER), close, over, StandbyIs(NO_PEER)]

    def _do(self, command: PeerCommand) -> Command:
        return commands.OfPeer(self.peer, command)


def _hosts(around: Surroundings, avoid: str) -> tuple[str, ...]:
    """Return the hosts a standby may use: not that of `avoid` (a URL), nor our relay's unless we answer."""
    hosts = tuple(host for host in around.configuration.relay_hosts if host != _host(avoid))
    others = tuple(host for host in hosts if host != _host(around.relay))
    return others or (hosts if avoid else ())


def _host(url: str) -> str:
    try:
        return parse_reported_url(url).host
    except IceError:  # the peer can send anything, and a browser may not name its relay
        return ""
