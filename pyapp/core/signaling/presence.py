"""Our presence in a session at the server: the place we hold from Connect until the end, and what it tells of the peer.

    none       --Connect: on the socket that was prepared, or on a new one-->   a place
    a place    --the end-->                                                     none; the next one has a higher epoch

While the peers are connected, the server may refuse us and the connection goes on: `refusal` then says why.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TypeAlias, assert_never

from pyapp.core import events
from pyapp.core.delivery import DeliveryFullError
from pyapp.core.events import SignalingEvent
from pyapp.core.failures import Refusal
from pyapp.core.preparation import Preparation
from pyapp.core.signaling import rendezvous
from pyapp.core.signaling.rendezvous import Joined, PeerArrived, PeerAway, PeerGone, Refused, Rendezvous
from pyapp.core.timers import OfThePlace
from pyapp.protocol import entries
from pyapp.protocol.entries import Entry
from pyapp.protocol.journal import Journal, Journaled
from pyapp.protocol.peer import PeerMessage
from pyapp.protocol.signaling import Cost, HeldPlace, ServerMessage, Welcome

Output: TypeAlias = rendezvous.Output | Entry | Journaled | Cost
"""`Journaled` and `Cost` are the server's: about entries of the journal, and about relays."""


@dataclass(slots=True)
class Presence:
    """The places of one participant, one after the other. Times are seconds on the runner's clock."""

    participant: str
    key: str = field(repr=False)
    invitation: str = field(repr=False)
    preparation: Preparation
    place: Rendezvous | None = None
    """The present one, or None."""
    refusal: Refusal | None = None
    """Why the server refuses us, while the connection goes on without it."""
    build: str = ""
    """That of our page, or empty."""
    is_outdated: bool = field(init=False, default=False)
    """Whether the server gives out another page than ours."""
    _epoch: int = field(init=False, default=1)
    """Of the next place."""

    @property
    def is_there(self) -> bool:
        """Whether we hold a place at the server, and it answers."""
        return self.place is not None and self.place.state == "present"

    @property
    def is_heard(self) -> bool:
        """Whether the server reads what is sent now, even before its welcome."""
        return self.place is not None and self.place.link.is_heard

    @property
    def peer_is_there(self) -> bool:
        """Whether the peer holds a place there, too."""
        return self.place is not None and bool(self.place.peer) and not self.place.peer_is_away

    @property
    def peer_is_away(self) -> bool:
        """Whether it held one, and the server has given it up."""
        return self.place is not None and self.place.peer_is_away

    @property
    def server_heard(self) -> float:
        """When the server was last heard; -1 if it is out of reach."""
        return self.place.link.heard_at if self.place and self.is_there else -1.0

    @property
    def peer_heard(self) -> float:
        """When the peer was last heard through the server, or -1."""
        return self.place.exchange.heard_at if self.place else -1.0

    @property
    def held(self) -> HeldPlace | None:
        """The place as a credential for other requests."""
        return self.place.held if self.place else None

    def begin(self, session: str, name: str, now: float) -> list[Output]:
        """Take a place in `session`; `name` is the person's display name, or empty."""
        own = (self.participant, self.key, self.invitation)
        place = Rendezvous(session, *own, self._epoch, self.preparation.sockets, name)
        self.place, self.refusal = place, None
        prepared = self.preparation.take()
        match prepared.signaling:
            case "open":
                return _noted(place.adopt(prepared.socket, now))
            case "opening":
                return [*place.link.begun(prepared.socket)]
            case "closed":
                return _noted(place.open())
            case _:
                assert_never(prepared.signaling)

    def invited(self, invitation: str) -> None:
        """Use another invitation from now on."""
        self.invitation = invitation
        if self.place is not None:
            self.place.invitation = invitation

    def end(self, rest: Journal | None = None) -> list[Output]:
        """Give the place up. `rest` is what the server has not confirmed of the journal."""
        if self.place is None:
            return []
        left = self.place.leave(rest)
        self._epoch, self.preparation.sockets = self.place.exchange.epoch + 1, self.place.link.sockets
        self.place = None
        return _noted(left)

    def receive(self, event: SignalingEvent, now: float) -> list[Output]:
        """Handle an event of a socket: of the place, or of the one that is prepared for the next."""
        match event:
            case events.SignalingOpened(socket):
                if self.place is not None:
                    return _noted(self.place.opened(socket, now))
                self.preparation.opened(socket)
            case events.SignalingClosed(socket, code, reason):
                if self.place is not None:
                    closed = entries.SignalingClosed(code, reason)
                    return [closed, *self.place.link.closed(socket, code, reason)]
                self.preparation.closed(socket)
            case events.SignalingReceived(socket, message):
                if self.place is not None and socket == self.place.link.socket:
                    return self._received(self.place, message, now)
            case events.SignalingGarbled(socket, reason):
                if self.place is not None and socket == self.place.link.socket:
                    return [entries.SignalingProblem(problem=reason)]
            case events.HealthTold(obstacle):
                if self.place is not None and not self.is_there:
                    self.place.link.obstacle = obstacle
                    return [entries.NoWebSocket(obstacle.kind, obstacle.cause)]
            case _:
                assert_never(event)
        return []

    def _received(self, place: Rendezvous, message: ServerMessage, now: float) -> list[Output]:
        if isinstance(message, Journaled | Cost):
            return [message]
        result = _noted(place.received(message, now))
        if isinstance(message, Welcome) and message.build and self.build:
            was_outdated, self.is_outdated = self.is_outdated, message.build != self.build
            if self.is_outdated and not was_outdated:
                result.append(entries.Outdated(message.build))
        return result

    def due(self, timer: OfThePlace, now: float) -> list[Output]:
        """Do what the timer was set for."""
        return _noted(self.place.due(timer, now)) if self.place else []

    def send(self, message: PeerMessage, now: float) -> list[Output]:
        """Send to the peer, or keep the message until that is possible."""
        if self.place is None:
            return []
        try:
            return _noted(self.place.send(message, now))
        except DeliveryFullError as error:
            return [entries.SignalingProblem(own=True, problem=str(error))]

    def reach(self, now: float, *, is_certain: bool) -> list[Output]:
        """Open a new socket before anything is sent to the server: the old one may have died silently with the network.

        Unless the change `is_certain`, a socket that has just answered, or is being opened, is good enough.
        """
        if self.place is None or (not is_certain and (self.place.link.opening or self.place.link.is_answering(now))):
            return []
        return [*self.place.link.reopen()]

    def doubt(self, now: float) -> list[Output]:
        """Ask the server for a sign of life: the path to the peer is in doubt."""
        return [*self.place.link.doubt(now)] if self.place else []

    def reassured(self) -> list[Output]:
        """End the doubt."""
        return [*self.place.link.reassured()] if self.place else []

    def renew(self) -> list[Output]:
        """Start over with the same peer for a new `RTCPeerConnection`."""
        return _noted(self.place.renew()) if self.place else []

    def forget(self) -> list[Output]:
        """Start over with whoever comes next, even the same peer."""
        return _noted(self.place.forget()) if self.place else []


def _noted(outputs: Sequence[rendezvous.Output]) -> list[Output]:
    """Put an entry for the journal before each occurrence that the person may want to know of."""
    result: list[Output] = []
    for output in outputs:
        match output:
            case Joined(polite, alone):
                result.append(entries.Joined(polite, alone))
            case PeerArrived():
                result.append(entries.Peer("here"))
            case PeerGone():
                result.append(entries.Peer("left"))
            case PeerAway():
                result.append(entries.Peer("away"))
            case Refused(code, text):
                result.append(entries.Refused(code, text))
        result.append(output)
    return result
