"""The conversation: messages and their delivery, what each side shares, and the frames that carry both.

A text is sent in pieces, each of them one packet, and is shown once all have arrived. What is shared is numbered
separately, so that it never waits for a text. Frames go over the channel `messages`. While its path is in doubt they
also go over the `standby`, if there is one; while it is held they go over the standby alone. The numbers remove
duplicates.
"""

import math
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from typing import Literal

from pyapp.core import commands
from pyapp.core.commands import Command, SendOnChannel
from pyapp.core.delivery import DeliveryFullError
from pyapp.core.events import ChannelLabel
from pyapp.core.failures import MessageRefusal, TooLong, TooMuchWaiting
from pyapp.core.partners import Partners, Thread
from pyapp.core.peers import NO_PEER, PeerId
from pyapp.core.timers import ConversationTimer
from pyapp.protocol.channel import (
    MAX_TEXT_BYTES,
    NOTHING_SHARED,
    Body,
    Frame,
    MediaShared,
    Piece,
    decode_frame,
    encode_frame,
    split,
)

TIMER = ConversationTimer.DELIVERY

PROBE_BYTES = 256
"""Bytes of text sent over a new path before anything has come back: well under one packet, to which SCTP's congestion
window has shrunk after the first timeout."""

ASIDE_FOR, ASIDE_AGAIN_AFTER = 0.5, 5.0
"""Seconds for which frames also go over the standby after one has arrived over it, since the peer is in doubt; and
seconds without any before the next one counts as such a doubt rather than as the echo of ours."""

ACKNOWLEDGED_EVERY = 0.02
"""Seconds between two pure acknowledgements: hundreds of frames arrive at once after an outage, and sending is slow."""


class MessageRefusedError(Exception):
    """A message cannot be taken, for a reason that the person can act on."""

    def __init__(self, why: MessageRefusal) -> None:
        """Take the reason."""
        super().__init__(repr(why))
        self.why = why


@dataclass(frozen=True, slots=True)
class Message:
    """A message of the conversation; `number` counts ours and theirs apart, from 1."""

    number: int
    mine: bool
    text: str
    delivered: bool = False


@dataclass(slots=True)
class Conversation:
    """Messages in the order in which this side sent and received them. Times are seconds."""

    messages: list[Message] = field(default_factory=list)
    """It only grows, and each of ours is replaced once, when it is delivered, so that a view need not read all of
    it."""
    delivered_count: int = 0
    """Of ours."""
    stranded: tuple[int, ...] = ()
    """Places of our messages that will not reach the present partner: they were for somebody who left."""
    shared: MediaShared = NOTHING_SHARED
    """What the peer shares."""
    aside_at: float = -math.inf
    """When a frame last arrived over the present standby."""
    _path: Literal["closed", "well", "doubted", "held"] = field(init=False, default="closed")
    """The path of the channel `messages`."""
    _is_full: bool = field(init=False, default=False)
    """Whether the browser still buffers data of that channel: more would only wait there, and be retransmitted."""
    _peers: dict[ChannelLabel, PeerId] = field(init=False, default_factory=dict)
    """The `RTCPeerConnection` of each channel. There is a standby if its label is among them."""
    _owed: dict[ChannelLabel, None] = field(init=False, default_factory=dict)
    """The channels over which an acknowledgement is due."""
    _acknowledged_at: float = field(init=False, default=-math.inf)
    _aside_until: float = field(init=False, default=-math.inf)
    _partners: Partners = field(init=False, default_factory=Partners)
    _is_alone: bool = field(init=False, default=False)
    """Whether the partner has left, and nobody has come since."""
    _undelivered: dict[int, None] = field(init=False, default_factory=dict)
    """Places of our messages that nobody has acknowledged, oldest first."""
    _counts: dict[bool, int] = field(init=False, default_factory=lambda: {True: 0, False: 0})

    @property
    def _thread(self) -> Thread:
        return self._partners.thread

    @property
    def received_count(self) -> int:
        """How many of their messages have arrived."""
        return self._counts[False]

    def submit(self, text: str, now: float) -> list[Command]:
        """Queue a message of ours. If it raises `MessageRefusedError`, nothing of it is kept."""
        # An input field with a length limit may leave half of a surrogate pair, which has no UTF-8 form.
        text = text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
        size = len(text.encode())
        if size > MAX_TEXT_BYTES:
            raise MessageRefusedError(TooLong(size))
        try:
            self._thread.pieces.check(size)
        except DeliveryFullError:
            raise MessageRefusedError(TooMuchWaiting()) from None
        self._thread.keep(split(text), self._add(text, mine=True))
        return self.transmit(now)

    def share(self, shared: MediaShared, now: float) -> list[Command]:
        """Tell the peer what we share from now on."""
        self._thread.told = shared
        self._thread.media.keep(shared, size=0)
        return self.transmit(now)

    def opened(self, peer: PeerId, shared: MediaShared, now: float) -> list[Command]:
        """Continue over the new channel of `peer`, on which nothing is shared until we say so."""
        self.channel_is(peer)
        if shared == NOTHING_SHARED == self._thread.told:
            return self.transmit(now)
        return self.share(shared, now)

    def received(self, text: str, now: float, label: ChannelLabel = "messages") -> list[Command]:
        """Process a frame of the peer's that arrived over `label`. Raises `MessageError` if it is malformed."""
        frame, thread = decode_frame(text), self._thread
        thread.media.acknowledged(frame.media_ack, now=now)
        for number in thread.pieces.acknowledged(frame.ack, frame.held, now=now):
            if (place := thread.confirmed(number)) is not None:
                self._delivered(place)
        match frame.body:
            case MediaShared() as shared:
                for newer in thread.media.accept(frame.number, shared):
                    self.shared = newer
            case Piece() as each:
                for piece in thread.pieces.accept(frame.number, each, size=len(text)):
                    if (message := thread.whole(piece)) is not None:
                        self._add(message, mine=False)
        before = self._channels(now)
        if label == "standby":
            if now - self.aside_at > ASIDE_AGAIN_AFTER:
                self._aside_until = now + ASIDE_FOR
            self.aside_at = now
        frames = self._due(now) + self._over_standby(before, now)
        if frame.number and self._path != "closed":
            # Also over the channel it arrived on, which is known to work in one direction.
            known = (label,) if self._has(label) else ()
            self._owed |= dict.fromkeys((*known, *self._channels(now)))
        return self._sent([*frames, *self._acknowledge(frames, now)]) + self._timer(now)

    def channel_is(self, peer: PeerId) -> None:
        """Use the channel of `peer` from now on; with `NO_PEER` the channel is closed, and everything is held."""
        self._path = "closed" if peer == NO_PEER else "well"
        self._peers["messages"] = peer
        self._is_full = False
        if peer == NO_PEER:
            self.shared = NOTHING_SHARED
            self._owed.clear()
        self._path_changed()

    def channel_filled(self) -> None:
        """Hold everything until the channel has drained."""
        self._is_full = True

    def channel_drained(self, now: float) -> list[Command]:
        """Go on."""
        self._is_full = False
        for delivery in self._thread.both:
            delivery.released(now)
        return self.transmit(now)

    def standby_is(self, peer: PeerId, now: float) -> list[Command]:
        """Use `peer` as the standby when one is needed; with `NO_PEER` there is none."""
        before = self._channels(now)
        self._peers["standby"] = peer
        self._owed.pop("standby", None)
        self.aside_at = self._aside_until = -math.inf
        return self._sent(self._over_standby(before, now)) + self._timer(now) if self._path != "well" else []

    def doubt(self, now: float) -> list[Command]:
        """Also send over the standby, until the path is held or the doubt has passed."""
        before = self._channels(now)
        if self._path == "well":
            self._path = "doubted"
        frames = self._over_standby(before, now)
        return self._sent(frames) + self._timer(now) if frames else []

    def reassured(self) -> None:
        """End the doubt."""
        if self._path == "doubted":
            self._path = "well"

    def hold(self, now: float) -> list[Command]:
        """Send nothing until the path has changed: data sent into a dead path only fills the channel's window."""
        before = self._channels(now)
        if self._path != "closed":
            self._path = "held"
        return self._sent(self._over_standby(before, now)) + self._timer(now)

    def probe(self, now: float) -> list[Command]:
        """Send the oldest unacknowledged data and keep holding the rest: the path is new, and may not work."""
        self._path_changed()
        if self._path == "closed" or self._is_full:
            return []
        for delivery in self._thread.both:
            if due := delivery.due(now, most=PROBE_BYTES):
                return self._sent([self._frame(number, body) for number, body in due])
        return []

    def path_changed(self, now: float) -> list[Command]:
        """Send everything unacknowledged at once: what was in flight on the old path may be lost."""
        if self._path == "held":
            self._path = "well"
        self._path_changed()
        return self.transmit(now)

    def transmit(self, now: float) -> list[Command]:
        """Send what is new, retransmit what is late, and send the acknowledgement that is due (timer `TIMER`)."""
        frames = self._due(now)
        return self._sent([*frames, *self._acknowledge(frames, now)]) + self._timer(now)

    def is_with(self, participant: str) -> bool:
        """Return whether the conversation is already with `participant`."""
        return bool(participant) and participant == self._partners.present

    def with_partner(self, participant: str, tab: str = "") -> None:
        """Continue with `participant`, on whatever connection, where the two left off; or begin with somebody new.

        Unacknowledged messages stay with the participant they were for. They go to this one if that was an earlier page
        load of the same browser `tab`, or if nobody had come before.
        """
        self.shared = NOTHING_SHARED
        self._is_alone = False
        if participant != self._partners.present:
            for earlier in self._partners.meet(participant, tab or participant):
                self._take_over(earlier, self._thread)
        self._strand()

    def parted(self) -> None:
        """Record that the partner has left."""
        self._is_alone = True
        self._strand()

    def send_again(self, place: int, now: float) -> list[Command]:
        """Send the present partner a message that was for somebody who left. Raises `MessageRefusedError`."""
        if self._is_alone or place not in self.stranded:
            return []
        text = self.messages[place].text
        try:
            self._thread.pieces.check(len(text.encode()))
        except DeliveryFullError:
            raise MessageRefusedError(TooMuchWaiting()) from None
        self._thread.keep(split(text), place)
        self._strand()
        return self.transmit(now)

    def _take_over(self, last: Thread, thread: Thread) -> None:
        for place in last.waiting:
            message = self.messages[place]
            if place not in thread.waiting and not message.delivered:
                thread.keep(split(message.text), place)

    def _strand(self) -> None:
        """Find the messages that will not reach the present partner."""
        reached = {} if self._is_alone else self._thread.waiting
        self.stranded = tuple(place for place in self._undelivered if place not in reached)

    def _add(self, text: str, *, mine: bool) -> int:
        self._counts[mine] += 1
        self.messages.append(Message(self._counts[mine], mine, text))
        place = len(self.messages) - 1
        if mine:
            self._undelivered[place] = None
        return place

    def _delivered(self, place: int) -> None:
        message = self.messages[place]
        if message.delivered:
            return  # an earlier partner acknowledged it: it is kept for both
        self.messages[place] = replace(message, delivered=True)
        self.delivered_count += 1
        del self._undelivered[place]
        if place in self.stranded:
            self._strand()

    def _has(self, label: ChannelLabel) -> bool:
        return self._peers.get(label, NO_PEER) != NO_PEER

    def _channels(self, now: float) -> tuple[ChannelLabel, ...]:
        """Return the channels that carry frames now."""
        if self._path == "closed":
            return ()
        is_aside = self._has("standby") and (self._path != "well" or now < self._aside_until)
        is_held = self._path == "held" or self._is_full
        return (*(() if is_held else ("messages",)), *(("standby",) if is_aside else ()))

    def _due(self, now: float) -> list[SendOnChannel]:
        if not (channels := self._channels(now)):
            return []
        return [self._frame(number, body, label) for number, body in self._all_due(now) for label in channels]

    def _over_standby(self, before: tuple[ChannelLabel, ...], now: float) -> list[SendOnChannel]:
        """Send everything unacknowledged over the standby if it was not in use `before`; at least a sign of life."""
        if "standby" in before or "standby" not in self._channels(now):
            return []
        self._path_changed()
        due = self._all_due(now)
        return [self._frame(number, body, "standby") for number, body in due] or [self._frame(0, None, "standby")]

    def _all_due(self, now: float) -> list[tuple[int, Body]]:
        return [due for delivery in self._thread.both for due in delivery.due(now)]

    def _path_changed(self) -> None:
        for delivery in self._thread.both:
            delivery.path_changed()

    def _acknowledge(self, frames: Iterable[SendOnChannel], now: float) -> list[SendOnChannel]:
        """Acknowledge, now or a little later, over the channels that `frames` do not use; every frame acknowledges."""
        for frame in frames:
            self._owed.pop(frame.label, None)
        if not self._owed or now - self._acknowledged_at < ACKNOWLEDGED_EVERY:
            return []
        self._acknowledged_at = now
        owed, self._owed = self._owed, {}
        return [self._frame(0, None, label) for label in owed]

    def _sent(self, frames: Iterable[SendOnChannel]) -> list[Command]:
        return [commands.OfPeer(self._peers[frame.label], frame) for frame in frames]

    def _timer(self, now: float) -> list[Command]:
        times = [self._acknowledged_at + ACKNOWLEDGED_EVERY] if self._owed else []
        if self._channels(now):
            times += [due for delivery in self._thread.both if (due := delivery.next_due) is not None]
        return [commands.StartTimer(TIMER, max(min(times) - now, 0.02)) if times else commands.CancelTimer(TIMER)]

    def _frame(self, number: int, body: Body | None, label: ChannelLabel = "messages") -> SendOnChannel:
        pieces, media = self._thread.pieces, self._thread.media
        frame = Frame(number, body, pieces.ack, pieces.held, media.ack)
        return SendOnChannel(label, encode_frame(frame))
