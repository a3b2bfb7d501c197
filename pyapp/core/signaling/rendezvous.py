"""Our place in a session at the server: joining and rejoining, who else is there, and the messages between us.

`link` is the way to the server, `exchange` the numbered messages through it to the peer; this part uses both.
"""

from dataclasses import InitVar, dataclass, field
from typing import Literal, TypeAlias, assert_never

from pyapp.core import commands
from pyapp.core.commands import Command
from pyapp.core.signaling import link
from pyapp.core.signaling.exchange import Exchange
from pyapp.core.signaling.link import FIRST_PATIENCE, Link
from pyapp.core.timers import LinkTimer, PlaceTimer
from pyapp.protocol.journal import Journal
from pyapp.protocol.peer import Candidate, PeerMessage
from pyapp.protocol.signaling import (
    FATAL_CODES,
    Error,
    HeldPlace,
    Join,
    Leave,
    PeerJoined,
    PeerLeft,
    Pong,
    Relayed,
    ServerMessage,
    Welcome,
)

ACKNOWLEDGE, SEND_AGAIN = PlaceTimer.ACKNOWLEDGE, PlaceTimer.SEND_AGAIN
AWAITED, LATE, TOGETHER = PlaceTimer.AWAITED, PlaceTimer.LATE, PlaceTimer.TOGETHER
TIMERS = (*PlaceTimer, *link.TIMERS)

ACKNOWLEDGE_AFTER = 0.2
"""Seconds: long enough that an answer or the next candidate usually carries the acknowledgement."""

SEND_AGAIN_AFTER = 1.0
"""Seconds after which messages that a limit of the server's dropped are retransmitted."""

TOGETHER_AFTER = 0.1
"""Seconds for which candidates wait for more of them while nobody is there: each comes in a task of its own."""


@dataclass(frozen=True, slots=True)
class Joined:
    """We have a place. `alone` means that the other one is free, and we make the first offer."""

    polite: bool
    alone: bool


@dataclass(frozen=True, slots=True)
class PeerArrived:
    """Somebody took the other place."""


@dataclass(frozen=True, slots=True)
class PeerGone:
    """The other place is free, or somebody else's: nothing agreed with the old peer holds."""


@dataclass(frozen=True, slots=True)
class PeerAway:
    """The other place is free, without a goodbye. The peer may still be there, and may come back."""


@dataclass(frozen=True, slots=True)
class PeerSaid:
    """A message of the peer's, once, in order but for the candidates that came with it in a frame: they are first."""

    message: PeerMessage


@dataclass(frozen=True, slots=True)
class Refused:
    """The server refused; `fatal` means that asking again would not help."""

    code: str
    message: str
    fatal: bool


Occurrence: TypeAlias = Joined | PeerArrived | PeerAway | PeerGone | PeerSaid | Refused
Output: TypeAlias = Command | Occurrence


@dataclass(slots=True)
class Rendezvous:
    """A place in `session`, held for as long as this object is used. Times are seconds."""

    session: str
    participant: str
    key: str = field(repr=False)
    invitation: str = field(repr=False)
    epoch: InitVar[int] = 1
    """Higher than in any earlier place of the same participant."""
    sockets: InitVar[int] = 0
    """The number of the last socket that the participant has opened."""
    name: str = ""
    """The person's display name, or empty."""
    link: Link = field(init=False)
    exchange: Exchange = field(init=False)
    polite: bool | None = None
    """Our role, once the server has assigned it."""
    peer: str = ""
    """The other participant, since it first came; kept while it or the server is away."""
    peer_tab: str = ""
    """The peer's browser tab, the same for all its page loads; empty if the server does not say."""
    peer_name: str = ""
    """The peer's display name, or empty."""
    peer_is_away: bool = False
    """Whether the server has given up the peer's place since."""
    was_first: bool = False
    """Whether nobody was there when we came, so that we make the first offer."""
    refusal: Error | None = None
    """The server's last refusal."""
    _server: str = field(init=False, default="")
    """The run of the server that last welcomed us."""
    _is_awaiting: bool = field(init=False, default=False)
    """Whether that run of the server has not seen the peer yet."""
    _is_early: bool = field(init=False, default=False)
    """Whether we have sent to the peer on this socket before the server's welcome."""

    def __post_init__(self, epoch: int, sockets: int) -> None:
        """Create the two parts."""
        self.link = Link(sockets)
        self.exchange = Exchange(epoch)

    @property
    def held(self) -> HeldPlace:
        """The place as a credential for other requests."""
        return HeldPlace(self.session, self.participant, self.key)

    @property
    def state(self) -> Literal["opening", "away", "joining", "present", "refused"]:
        """The state of the link; `refused` is final: somebody else has the place, or we are not let in."""
        return "opening" if self.link.state == "away" and self.link.opening else self.link.state

    def due(self, timer: PlaceTimer | LinkTimer, now: float) -> list[Output]:
        """Do what the timer was set for."""
        match timer:
            case LinkTimer():
                return [*self.link.due(timer)]
            case PlaceTimer.ACKNOWLEDGE:
                return self.acknowledge()
            case PlaceTimer.SEND_AGAIN:
                return self.send_again(now)
            case PlaceTimer.AWAITED:
                return self.awaited()
            case PlaceTimer.LATE:
                return self.late()
            case PlaceTimer.TOGETHER:
                return self._transmit(now)
            case _:
                assert_never(timer)

    def open(self) -> list[Output]:
        """Open a socket and join on it."""
        return [*self.link.open()]

    def adopt(self, socket: int, now: float) -> list[Output]:
        """Join on a socket that was opened some time ago."""
        self.link.adopt()
        return self.opened(socket, now)

    def late(self) -> list[Output]:
        """Check whether our socket is the reason that the peer acknowledges nothing (timer `LATE`)."""
        return [*self.link.suspect()] if self.exchange.is_waiting else []

    def opened(self, socket: int, now: float) -> list[Output]:
        """Join on `socket`, which is open."""
        deadline = self.link.opened(socket, now)
        if deadline is None:
            return []
        self._is_early = bool(self.peer)
        join = Join(self.session, self.participant, self.key, self.invitation, self.polite, socket, self.name)
        # Frames in flight on the old socket may be lost. The offer of an ICE restart does not wait for the welcome: the
        # server handles the join first.
        self.exchange.path_changed()
        return [*deadline, commands.SendSignaling(join), *self._transmit(now)]

    def received(self, message: ServerMessage, now: float) -> list[Output]:
        """Handle a message of the server's on the socket in use."""
        if self.link.state == "refused":
            return []
        self.link.heard(now)
        match message:
            case Welcome():
                return self._welcomed(message, now)
            case PeerJoined():
                if message.peer == self.peer:
                    # It has a new socket: frames in flight on the old one may be lost.
                    self.exchange.path_changed()
                self.peer_tab, self.peer_name = message.tab, message.name
                return self._peer_is(message.peer, now)
            case PeerLeft(peer, lost) if peer == self.peer:
                return self.awaited() if lost else self.forget()
            case Relayed() if message.sender == self.peer:
                return self._relayed(message, now)
            case Pong():
                return [*self.link.answered()]
            case Error():
                return self._refused(message)
        return []

    def send(self, message: PeerMessage, now: float) -> list[Output]:
        """Send to the peer, or keep the message until that is possible. Raises `DeliveryFullError`."""
        self.exchange.submit(message)
        is_alone = not self.peer and self.link.state == "present"
        if is_alone and isinstance(message, Candidate) and message.candidate:
            # Nobody waits for it; and whatever is sent next takes it along: the end of candidates, or what the peer's
            # arrival sends.
            return [commands.StartTimer(TOGETHER, TOGETHER_AFTER, only_if_idle=True)]
        return self._transmit(now)

    def acknowledge(self) -> list[Output]:
        """Send an acknowledgement, if no other frame carried it."""
        if self.link.state != "present" or not self.peer:
            return []
        return [commands.SendSignaling(self.exchange.acknowledgement(self.peer))]

    def send_again(self, now: float) -> list[Output]:
        """Retransmit what the server may have dropped."""
        self.exchange.path_changed()
        return self._transmit(now)

    def renew(self) -> list[Output]:
        """Start over with the same peer for a new `RTCPeerConnection`; the new epoch tells the peer."""
        self.exchange.begin_anew()
        return self._begun_anew()

    def awaited(self) -> list[Output]:
        """Handle that the peer has not come back (timer `AWAITED`)."""
        self.peer_is_away = True
        self._is_awaiting = False
        return [PeerAway()]

    def forget(self) -> list[Output]:
        """Start over with whoever comes next, even the same peer."""
        self.peer = ""
        self.exchange.begin_anew()
        return self._begun_anew()

    def leave(self, rest: Journal | None = None) -> list[Output]:
        """Give up the place; over HTTP as well if the socket may be dead, or the server would hold it for nobody.

        `rest` is what the server has not confirmed of the journal: it is lost with such a socket.
        """
        goodbye: list[Output] = []
        if self.link.is_heard:
            goodbye.append(commands.SendSignaling(Leave()))
        if self.link.was_welcome and self.link.is_doubtful:
            goodbye.append(commands.GiveUpPlace(self.held, rest))
        return [*goodbye, *self._end(refused=False)]

    def _begun_anew(self) -> list[Output]:
        self.peer_is_away = self._is_awaiting = False
        self.was_first = True
        ended = [commands.CancelTimer(name) for name in (ACKNOWLEDGE, AWAITED, LATE)]
        return [*ended, PeerGone(), *([PeerArrived()] if self.peer else [])]

    def _end(self, *, refused: bool) -> list[Output]:
        own = [commands.CancelTimer(name) for name in PlaceTimer]
        return [*own, *self.link.end(refused=refused)]

    def _welcomed(self, message: Welcome, now: float) -> list[Output]:
        self.refusal = None
        self.polite = message.polite
        alone = not message.peer and not self.peer
        self.was_first = self.was_first or alone
        is_same_server, self._server = bool(message.server) and message.server == self._server, message.server
        outputs: list[Output] = [*self.link.welcomed(now), Joined(message.polite, alone)]
        if not self._is_early or message.peer != self.peer:
            # A restarted server has relayed nothing to a peer that has not rejoined yet.
            self.exchange.path_changed()
        self._is_early = False
        if message.peer:
            self.peer_tab, self.peer_name = message.peer_tab, message.peer_name
            return outputs + self._peer_is(message.peer, now)
        if self.peer and message.left == self.peer:  # its goodbye was lost with our last socket
            return outputs + self.forget()
        outputs += self._transmit(now)
        if not self.peer:
            return outputs
        if is_same_server and not self._is_awaiting:  # it left while we were away, or its hold expired
            return outputs + self.awaited()
        self._is_awaiting = True
        # It has as long to come back to a restarted server as it would have had without the restart.
        return [*outputs, commands.StartTimer(AWAITED, message.hold, only_if_idle=True)]

    def _relayed(self, frame: Relayed, now: float) -> list[Output]:
        heard = self.exchange.received(frame, now)
        if heard.is_stale:
            return self.acknowledge()
        outputs: list[Output] = self._begun_anew() if heard.has_begun_anew else []
        self.peer_is_away = False
        if not self.exchange.is_waiting:
            outputs.append(commands.CancelTimer(LATE))
        if heard.owes_acknowledgement:
            outputs.append(commands.StartTimer(ACKNOWLEDGE, ACKNOWLEDGE_AFTER))
        return [*outputs, *(PeerSaid(message) for message in _candidates_first(heard.messages))]

    def _refused(self, error: Error) -> list[Output]:
        self.refusal = error
        if error.code in FATAL_CODES:
            # Another join would take the place away from its present holder, such as a duplicate of this tab.
            return [*self._end(refused=True), Refused(error.code, error.message, fatal=True)]
        # A frame above a limit was dropped, and all later ones wait for it.
        again = commands.StartTimer(SEND_AGAIN, SEND_AGAIN_AFTER)
        return [again, Refused(error.code, error.message, fatal=False)]

    def _peer_is(self, peer: str, now: float) -> list[Output]:
        self.peer_is_away = self._is_awaiting = False
        if peer == self.peer:
            return [commands.CancelTimer(AWAITED), *self._transmit(now)]
        outputs = self.forget() if self.peer else []
        self.peer = peer
        return [*outputs, PeerArrived(), *self._transmit(now)]

    def _transmit(self, now: float) -> list[Output]:
        if self.link.state != "present" and not (self.link.state == "joining" and self._is_early):
            return []
        due = self.exchange.due(self.peer, now)
        outputs: list[Output] = [commands.SendSignaling(frame) for frame in due]
        if due and self.peer:
            patience = ACKNOWLEDGE_AFTER + FIRST_PATIENCE + 4 * self.link.round_trip
            outputs.append(commands.StartTimer(LATE, patience, only_if_idle=True))
        return outputs


def _candidates_first(messages: tuple[PeerMessage, ...]) -> list[PeerMessage]:
    """Return what came together with the candidates first, so that a description finds its own there.

    They name their ICE generation, and wait for it.
    """
    return sorted(messages, key=lambda message: not (isinstance(message, Candidate) and message.username_fragment))
