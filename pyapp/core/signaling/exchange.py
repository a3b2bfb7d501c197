"""The messages between us and the peer through the server: numbered, acknowledged, retransmitted; in epochs.

The numbering is end to end, from page to page: a dropped socket, a restarted server and a duplicate are one case, and
the server needs to remember nothing. A side that was forgotten, or sees a newer epoch, starts over, so that the two
never wait for each other's old numbers.
"""

from dataclasses import dataclass, field

from pyapp.core.delivery import Delivery
from pyapp.protocol.peer import PeerMessage
from pyapp.protocol.signaling import MOST_TOGETHER, Relay, Relayed
from pyapp.protocol.wire import encode

TOGETHER_BYTES = 32 * 1024
"""Bytes of messages in one frame, which the server reads up to `MAX_FRAME_BYTES`."""


@dataclass(frozen=True, slots=True)
class Heard:
    """What a frame of the peer's meant."""

    messages: tuple[PeerMessage, ...] = ()
    """The messages, in order, each once."""
    has_begun_anew: bool = False
    """Whether the peer has started over: nothing agreed before them holds."""
    is_stale: bool = False
    """Whether it was of an old epoch of ours: our answer tells the peer of the new one."""
    owes_acknowledgement: bool = False


@dataclass(slots=True)
class Exchange:
    """One end of the exchange. Times are seconds."""

    epoch: int = 1
    """Counts how often this side started over; higher than in any earlier place of the same participant."""
    heard_at: float = -1.0
    """When the peer was last heard."""
    _peer_epoch: int = field(init=False, default=0)
    _is_known: bool = field(init=False, default=False)
    """Whether the peer has acknowledged our epoch: if it later does not know it, it has forgotten us."""
    # TCP needs no window of ours: messages are retransmitted only on another connection.
    _delivery: Delivery[PeerMessage] = field(init=False, default_factory=Delivery)

    @property
    def is_waiting(self) -> bool:
        """Whether anything is unacknowledged."""
        return bool(self._delivery.waiting)

    def begin_anew(self) -> None:
        """Start over with a new epoch, and forget everything."""
        self._delivery = Delivery()
        self.epoch += 1
        self._peer_epoch = 0
        self._is_known = False

    def submit(self, message: PeerMessage) -> None:
        """Keep a message until it is acknowledged. Raises `DeliveryFullError`."""
        self._delivery.submit(message, size=len(encode(message)))

    def path_changed(self) -> None:
        """Record that unacknowledged messages may be lost."""
        self._delivery.path_changed()

    def due(self, to: str, now: float) -> list[Relay]:
        """Return the frames to send now, to the participant `to`, or if it is empty to whoever comes."""
        frames = _together(self._delivery.due(now))
        return [self._relay(to, number, body, more) for number, body, more in frames]

    def acknowledgement(self, to: str) -> Relay:
        """Return a pure acknowledgement."""
        return self._relay(to, 0, None, ())

    def received(self, frame: Relayed, now: float) -> Heard:
        """Handle a frame of the peer's."""
        self.heard_at = now
        if frame.peer_epoch not in (0, self.epoch) or frame.epoch < self._peer_epoch:
            return Heard(is_stale=True)
        has_begun_anew = frame.epoch > self._peer_epoch > 0 or (frame.peer_epoch == 0 and self._is_known)
        if has_begun_anew:
            self.begin_anew()
        self._peer_epoch = frame.epoch
        self._is_known = frame.peer_epoch == self.epoch
        self._delivery.acknowledged(frame.ack)
        if frame.body is None:
            return Heard(has_begun_anew=has_begun_anew)
        bodies = enumerate((frame.body, *frame.more), frame.number)
        ready = tuple(body for number, one in bodies for body in self._accept(number, one))
        return Heard(ready, has_begun_anew, owes_acknowledgement=True)

    def _accept(self, number: int, message: PeerMessage) -> list[PeerMessage]:
        # Measuring its size takes a while, and a message in order is not kept.
        size = len(encode(message)) if number > self._delivery.ack + 1 else 0
        return self._delivery.accept(number, message, size=size)

    def _relay(self, to: str, number: int, message: PeerMessage | None, more: tuple[PeerMessage, ...]) -> Relay:
        return Relay(to, number, self._delivery.ack, message, self.epoch, self._peer_epoch, more)


def _together(due: list[tuple[int, PeerMessage]]) -> list[tuple[int, PeerMessage, tuple[PeerMessage, ...]]]:
    """Return the frames for what is due: consecutive numbers share a frame, up to its limit."""
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
