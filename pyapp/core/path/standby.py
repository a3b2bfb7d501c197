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

from dataclasses import dataclass, field
from typing import Literal, Protocol

from pyapp.core import commands, events
from pyapp.core.commands import Channel, Command, PeerCommand
from pyapp.core.diagnostics.journal import note
from pyapp.core.events import PeerEvent, SessionDescription
from pyapp.core.negotiation.negotiation import ToPeer
from pyapp.core.path.facts import Addressed, FrameReceived, StandbyIs
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


class Surroundings(Protocol):
    """What a side knows of the path in use, and of where another could be."""

    @property
    def is_wanted(self) -> bool:
        """Whether there is to be a standby at all."""

    @property
    def configuration(self) -> IceConfiguration:
        """With the servers that are to be tried first in front."""

    @property
    def relay(self) -> str:
        """The URL of our relay on the path in use, or empty."""

    @property
    def over_tcp(self) -> bool:
        """Whether we reach that relay over TCP or TLS."""

    @property
    def offers(self) -> bool:
        """Whether it is for us to offer one now."""


@dataclass(slots=True)
class Standby:
    """The standby of one connection. `polite` as in the negotiation. Times are seconds on the runner's clock.

    The name of each `RTCPeerConnection`, from `names`, is the number of our attempt to the other side, too.
    """

    names: PeerIds
    polite: bool = True
    state: Literal["closed", "describing", "offered", "connecting", "open"] = field(init=False, default="closed")
    peer: PeerId = field(init=False, default=NO_PEER)
    """None while it is closed."""
    host: str = field(init=False, default="")
    """Of its relay at this side."""
    _answers: int = field(init=False, default=0)
    """The other side's attempt that this one answers, 0 for none: it is ours."""
    _avoid: str = field(init=False, default="")
    """The URL of the relay that the offer names as the one in use."""
    _failures: int = field(init=False, default=0)
    _opened_at: float = field(init=False, default=0.0)

    def review(self, around: Surroundings) -> list[Addressed]:
        """Close it where it does not belong any more; begin to wait for the next one where one is missing."""
        outputs: list[Addressed] = []
        # Where its offer said to the side that answered it may be out of date, if it is for that side to offer now.
        if self.state != "closed" and self.host not in _hosts(around, "" if around.offers else self._avoid):
            outputs += self.close("its server carries the path in use, or is not configured any more")
        if self.state == "closed" and around.offers and _hosts(around, ""):
            pause = min(FIRST_PAUSE * 2 ** min(self._failures - 1, 10), LAST_PAUSE) if self._failures else OPEN_AFTER
            outputs.append(commands.StartTimer(TIMER, pause, spread=pause / 2, only_if_idle=True))
        return outputs

    def due(self, around: Surroundings, now: float) -> list[Addressed]:
        """Offer the next one, or give up the one under way (timer `TIMER`)."""
        if self.state != "closed":
            return self.failed("it took too long", now)
        hosts = _hosts(around, "")
        if not around.is_wanted or not around.offers or not hosts:
            return []
        self._answers, self._avoid = 0, around.relay
        create = self._create(around, hosts[self._failures % len(hosts)])
        return [create, self._do(commands.SetLocalDescription(FIRST)), commands.StartTimer(TIMER, ATTEMPT_FOR)]

    def said(self, message: StandbyDescription, around: Surroundings) -> list[Addressed]:
        """Take an offer or an answer of the other side.

        An offer takes the place of whatever is there, unless it crosses one of ours and we are the impolite side.
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
        outputs = self._close("the other side begins anew") if self.state == "open" else []
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
                return [FrameReceived(text, "standby")]
        return []

    def failed(self, why: str, now: float) -> list[Addressed]:
        """Give it up, and wait longer before the next."""
        if self.state == "closed":
            return []
        was_steady = self.state == "open" and now - self._opened_at > STEADY_AFTER
        self._failures = 0 if was_steady else self._failures + 1
        return self._close(why)

    def close(self, why: str) -> list[Addressed]:
        """Close it without blame: the next one, if it is still wanted, need not wait for long."""
        self._failures = 0
        return [] if self.state == "closed" else self._close(why)

    def _described(self, description: SessionDescription, now: float) -> list[Addressed]:
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

    def _opened(self, now: float) -> list[Addressed]:
        if self.state != "connecting":
            return []
        self.state = "open"
        self._opened_at = now
        ready = note("=", "standby", f"a standby path over {self.host} is ready", open=True, host=self.host)
        return [commands.CancelTimer(TIMER), ready, StandbyIs(self.peer)]

    def _create(self, around: Surroundings, host: str) -> Command:
        self.state = "describing"
        self.peer = self.names.next()
        self.host = host
        return self._do(commands.CreatePeer(around.configuration.relay_at(host, over_tcp=around.over_tcp), CHANNELS))

    def _close(self, why: str) -> list[Addressed]:
        text = f"no standby path over {self.host}: {why}"
        over = note("=", "standby", text, open=False, host=self.host, reason=why)
        close = self._do(commands.ClosePeer())
        self.state = "closed"
        self.peer = NO_PEER
        return [commands.CancelTimer(TIMER), close, over, StandbyIs(NO_PEER)]

    def _do(self, command: PeerCommand) -> Command:
        return commands.OfPeer(self.peer, command)


def _hosts(around: Surroundings, avoid: str) -> tuple[str, ...]:
    """Return where a standby may be: not on the host of `avoid` (a URL), nor on our relay's unless to answer."""
    hosts = tuple(host for host in around.configuration.relay_hosts if host != _host(avoid))
    others = tuple(host for host in hosts if host != _host(around.relay))
    return others or (hosts if avoid else ())


def _host(url: str) -> str:
    try:
        return parse_reported_url(url).host
    except IceError:  # the other side says anything; and a browser may not say which relay it uses
        return ""
