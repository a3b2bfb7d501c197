"""Our place in a session at the server: joining, joining again, and the numbered way to the other side.

The numbers go from page to page, not from page to server: so a dropped socket, a restarted server and a message that
came twice are one case, and neither side needs the server to remember anything.
"""

import math
from dataclasses import dataclass, field
from typing import Literal, TypeAlias

from pyapp.core import commands
from pyapp.core.commands import Command
from pyapp.core.delivery import Delivery
from pyapp.protocol.peer import PeerMessage
from pyapp.protocol.signaling import (
    FATAL_CODES,
    MOST_TOGETHER,
    Error,
    Join,
    Leave,
    PeerJoined,
    PeerLeft,
    Ping,
    Pong,
    Relay,
    Relayed,
    ServerMessage,
    Welcome,
)
from pyapp.protocol.wire import encode

RETRY = "signaling-retry"
ACKNOWLEDGE = "signaling-acknowledge"
SEND_AGAIN = "signaling-send-again"

ACKNOWLEDGE_AFTER = 0.2
"""Seconds: long enough that an answer or the next candidate usually carries the acknowledgement."""

OPENING = "signaling-opening"
PING = "signaling-ping"
AWAITED = "signaling-peer-awaited"
LATE = "signaling-late"
TIMERS = (RETRY, ACKNOWLEDGE, SEND_AGAIN, OPENING, PING, AWAITED, LATE)

PING_EVERY = 5.0
"""Seconds between two signs of life of the server: a dead socket is replaced after two of them at most."""

FIRST_PATIENCE, LAST_PATIENCE = 0.25, 4.0
"""Seconds that a new socket may take beside some round trips: what is lost on its way is not waited for."""

ADOPTED_PATIENCE = 1.0
"""Seconds that a socket has which was opened in advance."""

DOUBT_FOR = 0.05
"""Seconds that the server has for an answer while the path is in doubt, beside the round trip of the join, which is a
long one."""

DISPELLED_FOR = 2.0
"""Seconds for which the server's answer means that the socket works."""

SEND_AGAIN_AFTER = 1.0
"""Seconds after which what was dropped at a limit of the server is sent again."""

TOGETHER_BYTES = 32 * 1024
"""Of messages in one frame, which the server reads up to `MAX_FRAME_BYTES`."""

NETWORK_CLOSED = 1006
"""The close code when nobody said why (RFC 6455, section 7.1.5): more often our network's doing than the server's."""

AT_ONCE = 0.02
"""Seconds before a new socket in the place of one that the network closed."""

FIRST_RETRY, LAST_RETRY = 0.15, 8.0
"""Seconds before a new socket is tried, doubling from the first to the last."""


@dataclass(frozen=True, slots=True)
class Joined:
    """We have a place. `alone` means that the other one is free, and the first offer ours to make."""

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
    """The other place is free, and nobody heard a goodbye. The peer may still be there, and may come back."""


@dataclass(frozen=True, slots=True)
class PeerSaid:
    """A message of the other side, in order, once."""

    message: PeerMessage


@dataclass(frozen=True, slots=True)
class Refused:
    """The server did not do what was asked; `fatal` means that asking again would not help."""

    code: str
    message: str
    fatal: bool


Occurrence: TypeAlias = Joined | PeerArrived | PeerAway | PeerGone | PeerSaid | Refused
Output: TypeAlias = Command | Occurrence


def _numbered() -> Delivery[PeerMessage]:
    # What a TCP connection carries needs no window of ours, and is sent again only on another connection.
    return Delivery()


def _together(due: list[tuple[int, PeerMessage]]) -> list[tuple[int, PeerMessage, tuple[PeerMessage, ...]]]:
    """Return the frames for what is due: numbers in a row travel together, as far as a frame is long enough."""
    frames: list[tuple[int, list[PeerMessage]]] = []
    room = 0
    for number, message in due:
        size = len(encode(message)) if len(due) > 1 else 0
        first, bodies = frames[-1] if frames else (0, [])
        if bodies and number == first + len(bodies) and size <= room and len(bodies) <= MOST_TOGETHER:
            bodies.append(message)
        else:
            frames.append((number, [message]))
            room = TOGETHER_BYTES
        room -= size
    return [(number, body, tuple(more)) for number, (body, *more) in frames]


@dataclass(slots=True)
class Rendezvous:
    """A place in `session`, held for as long as this object is used. Times are seconds."""

    session: str
    participant: str
    key: str = field(repr=False)
    invitation: str = field(repr=False)
    epoch: int = 1
    """Higher than that of any place which the same participant had before."""
    sockets: int = 0
    """How many the participant has joined with so far."""
    state: Literal["away", "opening", "joining", "present", "refused"] = "away"
    """`refused` is for good: the place is somebody else's, or nobody lets us in."""
    polite: bool | None = None
    """Our role, once the server has said."""
    peer: str = ""
    """The other participant, known since it first came; kept while it or the server is away."""
    peer_is_away: bool = False
    """Whether the server has given the other place up since."""
    was_first: bool = False
    """Whether nobody was there when we came, so that the first offer is ours."""
    heard_at: float = -1.0
    """When the server was heard last."""
    peer_heard_at: float = -1.0
    """When the other side was heard last, through the server."""
    problem: str = ""
    """Why the last socket closed, or empty."""
    refusal: str = ""
    """What the server would not do last, in its words, or empty."""
    _server: str = ""
    """The run of the server that welcomed us last."""
    _is_awaiting: bool = False
    """Whether that run of it has not seen the other side yet."""
    _peer_epoch: int = 0
    _patience: float = LAST_PATIENCE
    _joined_at: float = 0.0
    _is_unanswered: bool = False
    _is_early: bool = False
    """Whether the other side is spoken to on this socket before the server's welcome."""
    is_opening: bool = False
    """Whether a socket is being opened."""
    _asked_at: float = -math.inf
    """When the server was asked for a sign of life that was in doubt."""
    _round_trip: float = 0.0
    """Seconds from our `Join` to the server's welcome, the last time."""
    _is_known: bool = False
    """Whether the peer has said that it knows our epoch: if it then does not, it has forgotten us."""
    _delivery: Delivery[PeerMessage] = field(default_factory=_numbered)
    _retry_after: float = FIRST_RETRY

    def open(self) -> list[Output]:
        """Open a socket, beside one that is there, which may be dead without anybody having been told."""
        if self.state == "refused":
            return []
        return [commands.CancelTimer(RETRY), commands.OpenSignaling(), *self.opening()]

    def opening(self) -> list[Output]:
        """Give the socket that is being opened its time."""
        self.is_opening = True
        if self.state != "present":
            self.state = "opening"
        patience, self._patience = self._patience, min(self._patience * 1.5, LAST_PATIENCE)
        return [commands.StartTimer(OPENING, patience)]

    def adopt(self, now: float) -> list[Output]:
        """Join on a socket that was opened some time ago, and may have died since."""
        self._patience = ADOPTED_PATIENCE
        return self.opened(now)

    def reopen(self) -> list[Output]:
        """Open a socket because something changed: pauses that grew before it are over."""
        self._retry_after = FIRST_RETRY
        return self.open()

    def check(self) -> list[Output]:
        """Ask the server for a sign of life (timer `PING`), or replace the socket that gave none."""
        if self.state != "present":
            return []
        again = commands.StartTimer(PING, PING_EVERY)
        if self._is_unanswered and not self.is_opening:  # the one that is being opened has a deadline of its own
            self._is_unanswered = False
            return [*self.reopen(), again]
        self._is_unanswered = True
        return [commands.SendSignaling(Ping(0)), again]

    def doubt(self, now: float) -> list[Output]:
        """Find out whether our socket still works, before it is needed."""
        if self.state != "present" or self.is_opening:
            return []
        self._asked_at = now
        self._is_unanswered = True
        return [commands.SendSignaling(Ping(0)), commands.StartTimer(PING, DOUBT_FOR + self._round_trip)]

    def reassured(self) -> list[Output]:
        """Give the server its usual time to answer: what led to the doubt is over."""
        if self.state != "present" or self.is_opening or not self._is_unanswered:
            return []
        return [commands.StartTimer(PING, PING_EVERY)]

    def is_answering(self, now: float) -> bool:
        """Return whether the server has dispelled a doubt of a moment ago."""
        is_recent = now - self._asked_at < DISPELLED_FOR
        return self.state == "present" and not self._is_unanswered and is_recent and self.heard_at > self._asked_at

    def late(self) -> list[Output]:
        """Find out whether our socket is to blame that the other side acknowledges nothing (timer `LATE`).

        After a change of the route an old socket may still receive, and no longer send.
        """
        if self.state != "present" or self.is_opening or not self._delivery.waiting:
            return []
        self._is_unanswered = True
        return [commands.SendSignaling(Ping(0)), commands.StartTimer(PING, FIRST_PATIENCE + 4 * self._round_trip)]

    def opened(self, now: float) -> list[Output]:
        """Join: the socket is open."""
        if self.state == "refused":
            return []
        self.state = "joining"
        self.is_opening = False
        self._joined_at = now
        self._is_early = bool(self.peer)
        self.sockets += 1
        join = Join(self.session, self.participant, self.key, self.invitation, self.polite, self.sockets)
        # That of the opening goes on. What was opened in advance has none yet.
        deadline = commands.StartTimer(OPENING, self._patience, only_if_idle=True)
        # What was on its way on the old socket may be lost. A restart offer does not wait for the welcome: the server
        # takes the join first.
        self._delivery.path_changed()
        return [deadline, commands.SendSignaling(join), *self._transmit(now)]

    def closed(self, code: int, reason: str) -> list[Output]:
        """Try again after a pause: the socket closed, or never opened."""
        if self.state == "refused":
            return []
        was_present, self.state = self.state == "present", "away"
        self.is_opening = False
        self._is_unanswered = False
        self.problem = f"WebSocket closed with {code}{f': {reason}' if reason else ''}"
        pause = self._retry_after
        if was_present and code == NETWORK_CLOSED:
            pause = AT_ONCE
        else:
            self._retry_after = min(self._retry_after * 2, LAST_RETRY)
        return [
            commands.CancelTimer(OPENING),
            commands.CancelTimer(PING),
            commands.StartTimer(RETRY, pause, spread=pause / 2),
        ]

    def received(self, message: ServerMessage, now: float) -> list[Output]:
        """Take a message of the server."""
        if self.state == "refused":
            return []
        self.heard_at = now
        match message:
            case Welcome():
                return self._welcomed(message, now)
            case PeerJoined():
                if message.peer == self.peer:
                    # It has a new socket: what was on its way on the old one may be lost.
                    self._delivery.path_changed()
                return self._peer_is(message.peer, now)
            case PeerLeft(peer, lost) if peer == self.peer:
                return self.awaited() if lost else self.forget()
            case Relayed() if message.sender == self.peer:
                self.peer_heard_at = now
                return self._relayed(message)
            case Pong() if self._is_unanswered:
                self._is_unanswered = False
                return [commands.StartTimer(PING, PING_EVERY)]
            case Error():
                return self._refused(message)
        return []

    def send(self, message: PeerMessage, now: float) -> list[Output]:
        """Send to the other side, or keep it until there is a way. Raises `DeliveryFullError`."""
        self._delivery.submit(message, size=len(encode(message)))
        return self._transmit(now)

    def acknowledge(self) -> list[Output]:
        """Acknowledge what came, when nothing else did."""
        if self.state != "present" or not self.peer:
            return []
        return [commands.SendSignaling(self._relay(0, None))]

    def send_again(self, now: float) -> list[Output]:
        """Send again what the server may have dropped."""
        self._delivery.path_changed()
        return self._transmit(now)

    def renew(self) -> list[Output]:
        """Begin anew with the same peer, which will hear of it by the epoch: for a new `RTCPeerConnection`."""
        peer = self.peer
        outputs = self.forget()
        self.peer = peer
        return [*outputs, PeerArrived()] if peer else outputs

    def awaited(self) -> list[Output]:
        """Take it that the other side does not come back (timer `AWAITED`)."""
        self.peer_is_away = True
        self._is_awaiting = False
        return [PeerAway()]

    def forget(self) -> list[Output]:
        """Begin anew with whoever comes next, be it the same peer."""
        self.peer = ""
        self.peer_is_away = self._is_awaiting = False
        self.was_first = True
        self._delivery = _numbered()
        self.epoch += 1
        self._peer_epoch = 0
        self._is_known = False
        return [*(commands.CancelTimer(name) for name in (ACKNOWLEDGE, AWAITED, LATE)), PeerGone()]

    def leave(self) -> list[Output]:
        """Give up the place."""
        outputs: list[Output] = [commands.CancelTimer(name) for name in TIMERS]
        if self.state == "present":
            outputs.append(commands.SendSignaling(Leave()))
        self.state = "away"
        return [*outputs, commands.CloseSignaling()]

    def _welcomed(self, message: Welcome, now: float) -> list[Output]:
        self.state = "present"
        self._is_unanswered = False
        self._round_trip = now - self._joined_at
        self._patience = FIRST_PATIENCE + 4 * self._round_trip
        self.problem = self.refusal = ""
        self._retry_after = FIRST_RETRY
        self.polite = message.polite
        alone = not message.peer and not self.peer
        self.was_first = self.was_first or alone
        is_same_server, self._server = bool(message.server) and message.server == self._server, message.server
        outputs: list[Output] = [commands.StartTimer(PING, PING_EVERY), Joined(message.polite, alone)]
        if not self.is_opening:  # a newer socket keeps its deadline
            outputs.insert(0, commands.CancelTimer(OPENING))
        if not self._is_early or message.peer != self.peer:
            # A restarted server has passed nothing on to who has not joined it yet.
            self._delivery.path_changed()
        self._is_early = False
        if message.peer:
            return outputs + self._peer_is(message.peer, now)
        outputs += self._transmit(now)
        if not self.peer:
            return outputs
        if is_same_server and not self._is_awaiting:  # it said goodbye while we were away, or its time was up
            return outputs + self.awaited()
        self._is_awaiting = True
        # It has as long to come back to a server that was restarted as it would have had to one that was not.
        return [*outputs, commands.StartTimer(AWAITED, message.hold, only_if_idle=True)]

    def _relayed(self, message: Relayed) -> list[Output]:
        if message.peer_epoch not in (0, self.epoch) or message.epoch < self._peer_epoch:
            # Said to a side of the conversation that is over; the answer tells of the new one.
            return self.acknowledge()
        outputs: list[Output] = []
        if message.epoch > self._peer_epoch > 0 or (message.peer_epoch == 0 and self._is_known):
            outputs = self.renew()
        self._peer_epoch = message.epoch
        self._is_known = message.peer_epoch == self.epoch
        self.peer_is_away = False
        self._delivery.acknowledged(message.ack)
        if not self._delivery.waiting:
            outputs.append(commands.CancelTimer(LATE))
        if message.body is None:
            return outputs
        bodies = enumerate((message.body, *message.more), message.number)
        ready = [body for number, one in bodies for body in self._accept(number, one)]
        outputs.append(commands.StartTimer(ACKNOWLEDGE, ACKNOWLEDGE_AFTER))
        return [*outputs, *(PeerSaid(body) for body in ready)]

    def _accept(self, number: int, message: PeerMessage) -> list[PeerMessage]:
        # To measure one takes a while; what is in order is not kept.
        size = len(encode(message)) if number > self._delivery.ack + 1 else 0
        return self._delivery.accept(number, message, size=size)

    def _refused(self, error: Error) -> list[Output]:
        self.refusal = error.message
        if error.code in FATAL_CODES:
            return [*self._give_up(), Refused(error.code, error.message, fatal=True)]
        # A frame above a limit was dropped, and every later one waits for it.
        again = commands.StartTimer(SEND_AGAIN, SEND_AGAIN_AFTER)
        return [again, Refused(error.code, error.message, fatal=False)]

    def _give_up(self) -> list[Output]:
        """Leave the place alone: whoever has it now, such as a duplicate of this tab, would lose it to another join."""
        self.state = "refused"
        self.is_opening = False
        return [*(commands.CancelTimer(name) for name in TIMERS), commands.CloseSignaling()]

    def _peer_is(self, peer: str, now: float) -> list[Output]:
        self.peer_is_away = self._is_awaiting = False
        if peer == self.peer:
            return [commands.CancelTimer(AWAITED), *self._transmit(now)]
        outputs = self.forget() if self.peer else []
        self.peer = peer
        return [*outputs, PeerArrived(), *self._transmit(now)]

    def _relay(self, number: int, message: PeerMessage | None, more: tuple[PeerMessage, ...] = ()) -> Relay:
        return Relay(self.peer, number, self._delivery.ack, message, self.epoch, self._peer_epoch, more)

    def _transmit(self, now: float) -> list[Output]:
        if self.state != "present" and not (self.state == "joining" and self._is_early):
            return []
        due = self._delivery.due(now)
        outputs: list[Output] = [
            commands.SendSignaling(self._relay(number, body, more)) for number, body, more in _together(due)
        ]
        if due and self.peer:
            patience = ACKNOWLEDGE_AFTER + FIRST_PATIENCE + 4 * self._round_trip
            outputs.append(commands.StartTimer(LATE, patience, only_if_idle=True))
        return outputs
