"""A second path that is kept ready while the first is relayed: over another TURN server, idle until it is needed.

    closed      --a pause after it became wanted-->                describing  (an offer)
    closed      --the other side's offer-->                        describing  (an answer)
    describing  --all candidates are there: they go over-->        offered, or connecting
    offered     --the answer-->                                    connecting
    connecting  --the channel opens-->                             open
    any         --it fails, or takes too long-->                   closed, a longer pause each time
    any         --the path in use is direct, or over its host-->   closed

It is an `RTCPeerConnection` of its own, since ICE keeps one pair alive. The side whose own relay carries the path in
use offers, for it alone knows which one that is; if both relays do, the impolite side. A browser that does not say it
(Firefox) can only answer. Nobody is told of it but the journal: without it, everything is as it would be.
"""

from dataclasses import dataclass
from typing import Literal, TypeAlias

from pyapp.core import commands, events
from pyapp.core.commands import Channel, Command, PeerCommand
from pyapp.core.events import PeerEvent, SessionDescription
from pyapp.core.peers import NO_PEER, PeerId, PeerIds
from pyapp.core.timers import ConnectionTimer
from pyapp.protocol.ice import IceConfiguration, IceError, parse_reported_url
from pyapp.protocol.peer import StandbyDescription

TIMER = ConnectionTimer.STANDBY

CHANNELS = (Channel("standby", 0),)

ATTEMPT_FOR = 15.0
"""Seconds until the channel must be open: an allocation over TLS and a handshake, with room for what is lost."""

OPEN_AFTER = 0.5
"""Seconds before it is offered at first: what connects should have the network for itself."""

FIRST_PAUSE, LAST_PAUSE = 5.0, 300.0
"""Seconds after one that failed, doubling from the first to the last, and up to half as much at random."""

FIRST, SECOND = 1, 2
"""The two descriptions that each `RTCPeerConnection` is given, in the order in which they are set."""

STEADY_AFTER = 30.0
"""Seconds for which it must have been open to count as no failure when it is lost."""


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What a side knows of the path in use, and of where another could be."""

    configuration: IceConfiguration
    """With the servers that are to be tried first in front."""
    relay: str = ""
    """The URL of our relay on the path in use, or empty."""
    over_tcp: bool = False
    """Whether we reach that relay over TCP or TLS."""
    offers: bool = False
    """Whether it is for us to offer."""

    def hosts(self, avoid: str) -> tuple[str, ...]:
        """Return where a standby may be: not on the host of `avoid` (a URL), nor on our relay's unless to answer."""
        hosts = tuple(host for host in self.configuration.relay_hosts if host != _host(avoid))
        others = tuple(host for host in hosts if host != _host(self.relay))
        return others or (hosts if avoid else ())


@dataclass(frozen=True, slots=True)
class ToPeer:
    """A message for the other side."""

    message: StandbyDescription


@dataclass(frozen=True, slots=True)
class Ready:
    """Frames can be sent over it: `host` relays it here."""

    host: str


@dataclass(frozen=True, slots=True)
class Over:
    """It is closed, or was never open, and why: for the journal, and for who sends over it."""

    host: str
    why: str


@dataclass(frozen=True, slots=True)
class Received:
    """A frame came over it."""

    text: str


Output: TypeAlias = Command | ToPeer | Ready | Received | Over


@dataclass(slots=True)
class Standby:
    """The standby of one connection. `polite` as in the negotiation. Times are seconds on the runner's clock.

    The name of each `RTCPeerConnection`, from `names`, is the number of our attempt to the other side, too.
    """

    names: PeerIds
    polite: bool = True
    state: Literal["closed", "describing", "offered", "connecting", "open"] = "closed"
    peer: PeerId = NO_PEER
    """None while it is closed."""
    host: str = ""
    """Of its relay at this side."""
    _answers: int = 0
    """The other side's attempt that this one answers, 0 for none: it is ours."""
    _avoid: str = ""
    """The URL of the relay that the offer names as the one in use."""
    _failures: int = 0
    _opened_at: float = 0.0

    def review(self, around: Surroundings) -> list[Output]:
        """Close it where it does not belong any more; begin to wait for the next one where one is missing."""
        outputs: list[Output] = []
        # Where its offer said to the side that answered it may be out of date, if it is for that side to offer now.
        if self.state != "closed" and self.host not in around.hosts("" if around.offers else self._avoid):
            outputs += self.close("its server carries the path in use, or is not configured any more")
        if self.state == "closed" and around.offers and around.hosts(""):
            pause = min(FIRST_PAUSE * 2 ** min(self._failures - 1, 10), LAST_PAUSE) if self._failures else OPEN_AFTER
            outputs.append(commands.StartTimer(TIMER, pause, spread=pause / 2, only_if_idle=True))
        return outputs

    def due(self, around: Surroundings | None, now: float) -> list[Output]:
        """Offer the next one, or give up the one under way (timer `TIMER`)."""
        if self.state != "closed":
            return self.failed("it took too long", now)
        hosts = around.hosts("") if around else ()
        if around is None or not around.offers or not hosts:
            return []
        self._answers, self._avoid = 0, around.relay
        create = self._create(around, hosts[self._failures % len(hosts)])
        return [create, self._do(commands.SetLocalDescription(FIRST)), commands.StartTimer(TIMER, ATTEMPT_FOR)]

    def said(self, message: StandbyDescription, around: Surroundings) -> list[Output]:
        """Take an offer or an answer of the other side.

        An offer takes the place of whatever is there, unless it crosses one of ours and we are the impolite side.
        """
        description = SessionDescription(message.type, message.sdp)
        if message.type == "answer":
            if self.state != "offered" or message.attempt != self.peer:
                return []
            self.state = "connecting"
            return [self._do(commands.SetRemoteDescription(SECOND, description))]
        if self.state in ("describing", "offered") and not self._answers and not self.polite:
            return []
        outputs = self._close("the other side begins anew") if self.state == "open" else []
        hosts = around.hosts(message.avoid)
        if not hosts:
            return outputs
        self._answers, self._avoid = message.attempt, message.avoid
        if self.peer:
            outputs.append(self._do(commands.ClosePeer()))
        create = self._create(around, hosts[0])
        apply = self._do(commands.SetRemoteDescription(FIRST, description))
        return [*outputs, create, apply, commands.StartTimer(TIMER, ATTEMPT_FOR)]

    def receive(self, event: PeerEvent, now: float) -> list[Output]:
        """Take an event of `peer`: whatever the browser refuses is the end of it."""
        match event:
            case events.RemoteDescriptionSet(_, SessionDescription("offer")):
                return [self._do(commands.SetLocalDescription(SECOND))]
            case events.LocalCandidatesEnded(SessionDescription() as description):
                return self._described(description, now)
            case events.StateChanged("connection", "failed"):
                return self.failed("the connection failed", now)
            case events.PeerOperationFailed(_, error):
                return self.failed(error, now)
            case events.ChannelOpened():
                return self._opened(now)
            case events.ChannelClosed() if self.state == "open":
                return self.failed("the channel closed", now)  # the other side has no more use for it, or began anew
            case events.ChannelReceived(_, text) if self.state == "open":
                return [Received(text)]
        return []

    def failed(self, why: str, now: float) -> list[Output]:
        """Give it up, and wait longer before the next."""
        if self.state == "closed":
            return []
        was_steady = self.state == "open" and now - self._opened_at > STEADY_AFTER
        self._failures = 0 if was_steady else self._failures + 1
        return self._close(why)

    def close(self, why: str) -> list[Output]:
        """Close it without blame: the next one, if it is still wanted, need not wait for long."""
        self._failures = 0
        return [] if self.state == "closed" else self._close(why)

    def _described(self, description: SessionDescription, now: float) -> list[Output]:
        """Send our description, if a relay gave us a candidate for it."""
        if self.state != "describing":
            return []
        if "\na=candidate:" not in description.sdp:
            return self.failed(f"the relay {self.host} gave no candidate", now)
        if self._answers:
            self.state = "connecting"
            return [ToPeer(StandbyDescription("answer", description.sdp, self._answers))]
        self.state = "offered"
        return [ToPeer(StandbyDescription("offer", description.sdp, self.peer, self._avoid))]

    def _opened(self, now: float) -> list[Output]:
        if self.state != "connecting":
            return []
        self.state = "open"
        self._opened_at = now
        return [commands.CancelTimer(TIMER), Ready(self.host)]

    def _create(self, around: Surroundings, host: str) -> Command:
        self.state = "describing"
        self.peer = self.names.next()
        self.host = host
        return self._do(commands.CreatePeer(around.configuration.relay_at(host, over_tcp=around.over_tcp), CHANNELS))

    def _close(self, why: str) -> list[Output]:
        outputs: list[Output] = [commands.CancelTimer(TIMER), self._do(commands.ClosePeer()), Over(self.host, why)]
        self.state = "closed"
        self.peer = NO_PEER
        return outputs

    def _do(self, command: PeerCommand) -> Command:
        return commands.OfPeer(self.peer, command)


def _host(url: str) -> str:
    try:
        return parse_reported_url(url).host
    except IceError:  # the other side says anything; and a browser may not say which relay it uses
        return ""
