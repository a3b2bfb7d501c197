"""What the two sides tell each other: messages, what is delivered of them, what is shared; and the frames for it.

A text goes in pieces, each of them one packet, and is shown when all are there; what is shared is numbered apart, and
waits for no text. Frames go over the channel `messages`. While its path is in doubt they go over the `standby` as well,
if there is one, and while it is held over the standby alone; the numbers remove what comes twice.
"""

import math
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from typing import Any, Literal

from pyapp.core import commands
from pyapp.core.commands import Command, SendOnChannel
from pyapp.core.congestion import Window
from pyapp.core.delivery import Delivery, DeliveryFullError
from pyapp.core.events import ChannelLabel
from pyapp.core.failures import MessageRefusal, TooLong, TooMuchWaiting
from pyapp.core.peers import NO_PEER, PeerId
from pyapp.core.timers import ConversationTimer
from pyapp.protocol.channel import MAX_TEXT_BYTES, Body, Frame, MediaShared, Piece, decode_frame, encode_frame, split

TIMER = ConversationTimer.DELIVERY

PROBE_BYTES = 256
"""Of text, that go over a new path before anything has come back: well under one packet, which is what SCTP's window
has shrunk to after the first loss."""

ASIDE_FOR, ASIDE_AGAIN_AFTER = 0.5, 5.0
"""Seconds for which frames go over the standby as well once one has come over it, since the other side has its doubts;
and seconds without any until the next is taken for such a doubt, and not for the echo of ours."""

MOST_PARTNERS = 16
"""Page loads of the other side whose numbers are kept: it can reload as often as it likes."""

ACKNOWLEDGED_EVERY = 0.02
"""Seconds between two frames that only acknowledge: hundreds come at once after an outage, and to send is slow."""

NOTHING_SHARED = MediaShared(audio=False, video=False)


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
class _Thread:
    """What one partner and we have numbered. It is kept for when the partner comes back, who has kept its numbers."""

    pieces: Delivery[Piece] = field(default_factory=lambda: Delivery(window=Window()))
    media: Delivery[MediaShared] = field(default_factory=lambda: Delivery(window=Window()))
    begun: list[str] = field(default_factory=list)
    """What came so far of a message of theirs that has more."""
    place_of: dict[int, int] = field(default_factory=dict)
    """Pieces of ours that the partner has not confirmed: where in the conversation their message is, by number."""
    waiting: dict[int, int] = field(default_factory=dict)
    """How many those are of each message, by its place."""
    told: MediaShared = NOTHING_SHARED
    """What the partner was told last that we share."""
    tab: str = ""
    """The browser tab that the partner is a page load of."""

    def __post_init__(self) -> None:
        """Measure one path."""
        self.media.round_trip = self.pieces.round_trip

    @property
    def both(self) -> tuple[Delivery[Any], Delivery[Any]]:
        """What is shared comes first."""
        return self.media, self.pieces

    def keep(self, pieces: list[Piece], place: int) -> None:
        """Send the message at `place`, once more if it was sent to somebody else."""
        for piece in pieces:
            self.place_of[self.pieces.keep(piece, size=len(piece.text.encode()))] = place
        self.waiting[place] = len(pieces)

    def confirmed(self, number: int) -> int | None:
        """Take it that a piece has arrived: return the place of the message if it was the last that was missing."""
        place = self.place_of.pop(number)
        self.waiting[place] -= 1
        if self.waiting[place]:
            return None
        del self.waiting[place]
        return place

    def whole(self, piece: Piece) -> str | None:
        """Take the next piece of theirs: return the message if this ends it; what is too long is shown in parts."""
        self.begun.append(piece.text)
        if piece.more and sum(map(len, self.begun)) <= MAX_TEXT_BYTES:
            return None
        text = "".join(self.begun)
        self.begun.clear()
        return text


@dataclass(slots=True)
class Conversation:
    """Messages in the order in which this side sent and received them. Times are seconds."""

    messages: list[Message] = field(default_factory=list)
    """It only grows, and one of ours is replaced once, when it is delivered: who shows it need not read all of it."""
    delivered_count: int = 0
    """Of ours."""
    stranded: tuple[int, ...] = ()
    """Places of messages of ours that do not reach who is there now: they were for somebody who left."""
    shared: MediaShared = NOTHING_SHARED
    """What the other side shares."""
    aside_at: float = -math.inf
    """When a frame came over the standby last, if it is the one that is there now."""
    _path: Literal["closed", "well", "doubted", "held"] = field(init=False, default="closed")
    """That of the channel `messages`."""
    _is_full: bool = field(init=False, default=False)
    """Whether the browser has not sent yet what went over that channel: more would only wait there, and twice."""
    _peers: dict[ChannelLabel, PeerId] = field(init=False, default_factory=dict)
    """Whose channels they are. There is a standby if it is one of them."""
    _owed: dict[ChannelLabel, None] = field(init=False, default_factory=dict)
    """The channels over which an acknowledgement is due."""
    _acknowledged_at: float = field(init=False, default=-math.inf)
    _aside_until: float = field(init=False, default=-math.inf)
    _partner: str = field(init=False, default="")
    _threads: dict[str, _Thread] = field(init=False, default_factory=lambda: {"": _Thread()})
    """By participant; under no name what is said before anybody came."""
    _is_alone: bool = field(init=False, default=False)
    """Whether the partner left, and nobody came since."""
    _undelivered: dict[int, None] = field(init=False, default_factory=dict)
    """Places of ours that nobody has confirmed, the oldest first."""
    _counts: dict[bool, int] = field(init=False, default_factory=lambda: {True: 0, False: 0})

    @property
    def _thread(self) -> _Thread:
        return self._threads[self._partner]

    @property
    def received_count(self) -> int:
        """How many messages of theirs have come."""
        return self._counts[False]

    def submit(self, text: str, now: float) -> list[Command]:
        """Take a message of ours. Raises `MessageRefusedError`, and then keeps nothing of it."""
        # A field that cuts at a length may leave half of a surrogate pair, which is no character and has no UTF-8.
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
        """Tell the other side what is shared from now on."""
        self._thread.told = shared
        self._thread.media.keep(shared, size=0)
        return self.transmit(now)

    def opened(self, peer: PeerId, shared: MediaShared, now: float) -> list[Command]:
        """Go on over the new channel of `peer`, on which nothing is shared until it is told."""
        self.channel_is(peer)
        if shared == NOTHING_SHARED == self._thread.told:
            return self.transmit(now)
        return self.share(shared, now)

    def received(self, text: str, now: float, label: ChannelLabel = "messages") -> list[Command]:
        """Take a frame of the other side, which came over `label`. Raises `MessageError` for what is none."""
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
            # Over the one it came by as well, which is known to work in one direction.
            known = (label,) if self._has(label) else ()
            self._owed |= dict.fromkeys((*known, *self._channels(now)))
        return self._sent([*frames, *self._acknowledge(frames, now)]) + self._timer(now)

    def channel_is(self, peer: PeerId) -> None:
        """Hold everything while the channel is closed, and send what waits when it is open: that of `peer`."""
        self._path = "closed" if peer == NO_PEER else "well"
        self._peers["messages"] = peer
        self._is_full = False
        if peer == NO_PEER:
            self.shared = NOTHING_SHARED
            self._owed.clear()
        self._path_changed()

    def channel_filled(self) -> None:
        """Keep what is to be sent until the channel has drained."""
        self._is_full = True

    def channel_drained(self, now: float) -> list[Command]:
        """Go on."""
        self._is_full = False
        for delivery in self._thread.both:
            delivery.released(now)
        return self.transmit(now)

    def standby_is(self, peer: PeerId, now: float) -> list[Command]:
        """Use the standby from now on, which is `peer`, if it is needed; or no more."""
        before = self._channels(now)
        self._peers["standby"] = peer
        self._owed.pop("standby", None)
        self.aside_at = self._aside_until = -math.inf
        return self._sent(self._over_standby(before, now)) + self._timer(now) if self._path != "well" else []

    def doubt(self, now: float) -> list[Command]:
        """Send over the standby as well, until the path is held or the doubt has passed."""
        before = self._channels(now)
        if self._path == "well":
            self._path = "doubted"
        frames = self._over_standby(before, now)
        return self._sent(frames) + self._timer(now) if frames else []

    def reassured(self) -> None:
        """Take it that the doubt has passed."""
        if self._path == "doubted":
            self._path = "well"

    def hold(self, now: float) -> list[Command]:
        """Send nothing until the path has changed: what is sent into a dead path only fills the channel's window."""
        before = self._channels(now)
        if self._path != "closed":
            self._path = "held"
        return self._sent(self._over_standby(before, now)) + self._timer(now)

    def probe(self, now: float) -> list[Command]:
        """Send the oldest of what waits, and hold the rest still: the path is new, and may not work."""
        self._path_changed()
        if self._path == "closed" or self._is_full:
            return []
        for delivery in self._thread.both:
            if due := delivery.due(now, most=PROBE_BYTES):
                return self._sent([self._frame(number, body) for number, body in due])
        return []

    def path_changed(self, now: float) -> list[Command]:
        """Send all that waits at once: what was on its way on the old path may be lost."""
        if self._path == "held":
            self._path = "well"
        self._path_changed()
        return self.transmit(now)

    def transmit(self, now: float) -> list[Command]:
        """Send what is new, again what is late, and the acknowledgement that is due (timer `TIMER`)."""
        frames = self._due(now)
        return self._sent([*frames, *self._acknowledge(frames, now)]) + self._timer(now)

    def is_with(self, participant: str) -> bool:
        """Return whether the conversation goes on with `participant`, rather than begins."""
        return bool(participant) and participant == self._partner

    def with_partner(self, participant: str, tab: str = "") -> None:
        """Go on with `participant` on whatever connection, where the two left off; or begin with somebody new.

        What was never confirmed stays with whom it was for. It is for this one if that was an earlier page load of the
        same browser `tab`, whose page was reloaded; or if nobody had come before.
        """
        self.shared = NOTHING_SHARED
        self._is_alone = False
        tab = tab or participant
        if participant != self._partner:
            self._partner = participant
            thread = self._threads.setdefault(participant, _Thread(tab=tab))
            for known in list(self._threads)[:-MOST_PARTNERS]:
                if known not in ("", participant):
                    del self._threads[known]
            for name, other in self._threads.items():
                if other is not thread and (not name or other.tab == tab):
                    self._take_over(other, thread)
            self._threads.pop("", None)
        self._strand()

    def parted(self) -> None:
        """Take it that the partner left."""
        self._is_alone = True
        self._strand()

    def send_again(self, place: int, now: float) -> list[Command]:
        """Send what was for somebody who left to who is there now. Raises `MessageRefusedError`."""
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

    def _take_over(self, last: _Thread, thread: _Thread) -> None:
        for place in last.waiting:
            message = self.messages[place]
            if place not in thread.waiting and not message.delivered:
                thread.keep(split(message.text), place)

    def _strand(self) -> None:
        """Find out which messages reach nobody who is there."""
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
            return  # by another partner before this one: it is kept for both
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
        """Send all that waits over the standby if it is not one of the channels `before`; at least a sign of life."""
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
        """Acknowledge over the channels that `frames`, which do so too, do not go over; or do so a little later."""
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
