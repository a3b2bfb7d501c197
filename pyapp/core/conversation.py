"""What the two sides tell each other: messages, what is delivered of them, what is shared; and the frames for it.

Frames go over the channel `messages`. While its path is in doubt they go over the `standby` as well, if there is one,
and while it is held over the standby alone; the numbers remove what comes twice.
"""

import math
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from typing import Literal

from pyapp.core import commands
from pyapp.core.commands import Command
from pyapp.core.delivery import Delivery, DeliveryFullError
from pyapp.core.events import ChannelLabel
from pyapp.core.failures import MessageRefusal, TooLong, TooMuchWaiting
from pyapp.protocol.channel import MAX_TEXT_BYTES, Body, Frame, MediaShared, decode_frame, encode_frame

TIMER = "delivery"

PROBE_BYTES = 256
"""Of text, that go over a new path before anything has come back: well under one packet, which is what SCTP's window
has shrunk to after the first loss."""

ASIDE_FOR, ASIDE_AGAIN_AFTER = 0.5, 5.0
"""Seconds for which frames go over the standby as well once one has come over it, since the other side has its doubts;
and seconds without any until the next is taken for such a doubt, and not for the echo of ours."""

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

    delivery: Delivery[Body] = field(default_factory=Delivery)
    waiting: dict[int, int] = field(default_factory=dict)
    """Messages of ours that the partner has not confirmed: where in the conversation, by the number in `delivery`."""
    told: MediaShared = NOTHING_SHARED
    """What the partner was told last that we share."""


@dataclass(slots=True)
class Conversation:
    """Messages in the order in which this side sent and received them. Times are seconds."""

    messages: list[Message] = field(default_factory=list)
    """It only grows, and one of ours is replaced once, when it is delivered: who shows it need not read all of it."""
    delivered_count: int = 0
    """Of ours."""
    shared: MediaShared = NOTHING_SHARED
    """What the other side shares."""
    aside_at: float = -math.inf
    """When a frame came over the standby last, if it is the one that is there now."""
    _path: Literal["closed", "well", "doubted", "held"] = "closed"
    """That of the channel `messages`."""
    _is_full: bool = False
    """Whether the browser has not sent yet what went over that channel: more would only wait there, and twice."""
    _has_standby: bool = False
    _owed: dict[ChannelLabel, None] = field(default_factory=dict)
    """The channels over which an acknowledgement is due."""
    _acknowledged_at: float = -math.inf
    _aside_until: float = -math.inf
    _partner: str = ""
    _threads: dict[str, _Thread] = field(default_factory=lambda: {"": _Thread()})
    """By participant; under no name what is said before anybody came."""
    _counts: dict[bool, int] = field(default_factory=lambda: {True: 0, False: 0})

    @property
    def _thread(self) -> _Thread:
        return self._threads[self._partner]

    @property
    def _delivery(self) -> Delivery[Body]:
        return self._thread.delivery

    def submit(self, text: str, now: float) -> list[Command]:
        """Take a message of ours. Raises `MessageRefusedError`, and then keeps nothing of it."""
        # A field that cuts at a length may leave half of a surrogate pair, which is no character and has no UTF-8.
        text = text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
        size = len(text.encode())
        if size > MAX_TEXT_BYTES:
            raise MessageRefusedError(TooLong(size))
        try:
            number = self._delivery.submit(text, size=size)
        except DeliveryFullError:
            raise MessageRefusedError(TooMuchWaiting()) from None
        self._thread.waiting[number] = self._add(text, mine=True)
        return self.transmit(now)

    def share(self, shared: MediaShared, now: float) -> list[Command]:
        """Tell the other side what is shared from now on."""
        self._thread.told = shared
        self._delivery.submit(shared, size=0)
        return self.transmit(now)

    def opened(self, shared: MediaShared, now: float) -> list[Command]:
        """Go on over a new channel, on which nothing is shared until it is told."""
        self.channel_is(is_open=True)
        if shared == NOTHING_SHARED == self._thread.told:
            return self.transmit(now)
        return self.share(shared, now)

    def received(self, text: str, now: float, label: ChannelLabel = "messages") -> list[Command]:
        """Take a frame of the other side, which came over `label`. Raises `MessageError` for what is none."""
        frame = decode_frame(text)
        for number in self._delivery.acknowledged(frame.ack, frame.held, now=now):
            if (place := self._thread.waiting.pop(number, None)) is not None:
                self._delivered(place)
        if frame.body is not None:
            for body in self._delivery.accept(frame.number, frame.body):
                if isinstance(body, MediaShared):
                    self.shared = body
                else:
                    self._add(body, mine=False)
        before = self._channels(now)
        if label == "standby":
            if now - self.aside_at > ASIDE_AGAIN_AFTER:
                self._aside_until = now + ASIDE_FOR
            self.aside_at = now
        frames = self._due(now) + self._over_standby(before, now)
        if frame.number and self._path != "closed":
            # Over the one it came by as well, which is known to work in one direction.
            self._owed |= dict.fromkeys((label, *self._channels(now)))
        return [*frames, *self._acknowledge(frames, now), *self._timer(now)]

    def channel_is(self, *, is_open: bool) -> None:
        """Hold everything while the channel is closed, and send what waits when it is open."""
        self._path = "well" if is_open else "closed"
        self._is_full = False
        if not is_open:
            self.shared = NOTHING_SHARED
            self._owed.clear()
        self._delivery.path_changed()

    def channel_filled(self) -> None:
        """Keep what is to be sent until the channel has drained."""
        self._is_full = True

    def channel_drained(self, now: float) -> list[Command]:
        """Go on."""
        self._is_full = False
        return self.transmit(now)

    def standby_is(self, now: float, *, is_open: bool) -> list[Command]:
        """Use the standby from now on, if it is needed, or no more."""
        before = self._channels(now)
        self._has_standby = is_open
        self._owed.pop("standby", None)
        self.aside_at = self._aside_until = -math.inf
        return [*self._over_standby(before, now), *self._timer(now)] if self._path != "well" else []

    def doubt(self, now: float) -> list[Command]:
        """Send over the standby as well, until the path is held or the doubt has passed."""
        before = self._channels(now)
        if self._path == "well":
            self._path = "doubted"
        frames = self._over_standby(before, now)
        return [*frames, *self._timer(now)] if frames else []

    def reassured(self) -> None:
        """Take it that the doubt has passed."""
        if self._path == "doubted":
            self._path = "well"

    def hold(self, now: float) -> list[Command]:
        """Send nothing until the path has changed: what is sent into a dead path only fills the channel's window."""
        before = self._channels(now)
        if self._path != "closed":
            self._path = "held"
        return [*self._over_standby(before, now), *self._timer(now)]

    def probe(self, now: float) -> list[Command]:
        """Send the oldest of what waits, and hold the rest still: the path is new, and may not work."""
        self._delivery.path_changed()
        if self._path == "closed" or self._is_full:
            return []
        due = self._delivery.due(now, resend_after=self._delivery.round_trip.timeout(), window=PROBE_BYTES)
        return [self._frame(number, body) for number, body in due]

    def path_changed(self, now: float) -> list[Command]:
        """Send all that waits at once: what was on its way on the old path may be lost."""
        if self._path == "held":
            self._path = "well"
        self._delivery.path_changed()
        return self.transmit(now)

    def transmit(self, now: float) -> list[Command]:
        """Send what is new, again what is late, and the acknowledgement that is due (timer `TIMER`)."""
        frames = self._due(now)
        return [*frames, *self._acknowledge(frames, now), *self._timer(now)]

    def is_with(self, participant: str) -> bool:
        """Return whether the conversation goes on with `participant`, rather than begins."""
        return bool(participant) and participant == self._partner

    def with_partner(self, participant: str) -> None:
        """Go on with `participant` on whatever connection, where the two left off; or begin with somebody new.

        What the last partner never confirmed is for this one too: it is usually the same person, who reloaded the page.
        """
        self.shared = NOTHING_SHARED
        if participant == self._partner:
            return
        last, self._partner = self._thread, participant
        thread = self._threads.setdefault(participant, _Thread())
        known = set(thread.waiting.values())
        for place in last.waiting.values():
            message = self.messages[place]
            if place not in known and not message.delivered:
                thread.waiting[thread.delivery.keep(message.text, size=len(message.text.encode()))] = place
        self._threads.pop("", None)

    def _add(self, text: str, *, mine: bool) -> int:
        self._counts[mine] += 1
        self.messages.append(Message(self._counts[mine], mine, text))
        return len(self.messages) - 1

    def _delivered(self, place: int) -> None:
        message = self.messages[place]
        if message.delivered:
            return  # by another partner before this one: it is kept for both
        self.messages[place] = replace(message, delivered=True)
        self.delivered_count += 1

    def _channels(self, now: float) -> tuple[ChannelLabel, ...]:
        """Return the channels that carry frames now."""
        if self._path == "closed":
            return ()
        is_aside = self._has_standby and (self._path != "well" or now < self._aside_until)
        is_held = self._path == "held" or self._is_full
        return (*(() if is_held else ("messages",)), *(("standby",) if is_aside else ()))

    def _due(self, now: float) -> list[commands.SendOnChannel]:
        if not (channels := self._channels(now)):
            return []
        due = self._delivery.due(now, resend_after=self._delivery.round_trip.timeout())
        return [self._frame(number, body, label) for number, body in due for label in channels]

    def _over_standby(self, before: tuple[ChannelLabel, ...], now: float) -> list[commands.SendOnChannel]:
        """Send all that waits over the standby if it is not one of the channels `before`; at least a sign of life."""
        if "standby" in before or "standby" not in self._channels(now):
            return []
        self._delivery.path_changed()
        due = self._delivery.due(now, resend_after=self._delivery.round_trip.timeout())
        return [self._frame(number, body, "standby") for number, body in due] or [self._frame(0, None, "standby")]

    def _acknowledge(self, frames: Iterable[commands.SendOnChannel], now: float) -> list[commands.SendOnChannel]:
        """Acknowledge over the channels that `frames`, which do so too, do not go over; or do so a little later."""
        for frame in frames:
            self._owed.pop(frame.label, None)
        if not self._owed or now - self._acknowledged_at < ACKNOWLEDGED_EVERY:
            return []
        self._acknowledged_at = now
        owed, self._owed = self._owed, {}
        return [self._frame(0, None, label) for label in owed]

    def _timer(self, now: float) -> list[Command]:
        times = [self._acknowledged_at + ACKNOWLEDGED_EVERY] if self._owed else []
        if self._channels(now) and (due := self._delivery.next_due) is not None:
            times.append(due)
        return [commands.StartTimer(TIMER, max(min(times) - now, 0.02)) if times else commands.CancelTimer(TIMER)]

    def _frame(self, number: int, body: Body | None, label: ChannelLabel = "messages") -> commands.SendOnChannel:
        frame = Frame(number, body, self._delivery.ack, self._delivery.held)
        return commands.SendOnChannel(label, encode_frame(frame))
