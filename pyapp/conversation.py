"""What the two sides tell each other: messages, what is delivered of them, what is shared; and the frames for it."""

from dataclasses import dataclass, field, replace

from pyapp import commands
from pyapp.commands import Command
from pyapp.delivery import (
    MAX_TEXT_BYTES,
    Body,
    Delivery,
    DeliveryFullError,
    Frame,
    MediaShared,
    decode_frame,
    encode_frame,
)

TIMER = "delivery"

PROBE_BYTES = 256
"""Of text, that go over a new path before anything has come back: well under one packet, which is what SCTP's window
has shrunk to after the first loss."""

NOTHING_SHARED = MediaShared(audio=False, video=False)


class MessageRefusedError(Exception):
    """A message cannot be taken, for a reason that the person can act on."""


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

    messages: tuple[Message, ...] = ()
    """Another tuple whenever one is new or changed, so that who shows them sees at once whether there is anything."""
    shared: MediaShared = NOTHING_SHARED
    """What the other side shares."""
    _open: bool = False
    _held: bool = False
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
            raise MessageRefusedError(
                f"This message is too long: it has {size:,} bytes, and {MAX_TEXT_BYTES:,} are the most."
            )
        try:
            number = self._delivery.submit(text, size=size)
        except DeliveryFullError:
            raise MessageRefusedError(
                "Too much is waiting for the other side. Send it again when the connection is back."
            ) from None
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

    def received(self, text: str, now: float) -> list[Command]:
        """Take a frame of the other side. Raises `MessageError` for what is none."""
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
        frames = self._due(now)
        if frame.number and self._open and not frames:
            frames.append(self._frame(0, None))
        return frames + self._timer(now)

    def channel_is(self, *, is_open: bool) -> None:
        """Hold everything while the channel is closed, and send what waits when it is open."""
        self._open = is_open
        self._held = False
        if not is_open:
            self.shared = NOTHING_SHARED
        self._delivery.path_changed()

    def hold(self) -> list[Command]:
        """Send nothing until the path has changed: what is sent into a dead path only fills the channel's window."""
        self._held = True
        return [commands.CancelTimer(TIMER)]

    def probe(self, now: float) -> list[Command]:
        """Send the oldest of what waits, and hold the rest still: the path is new, and may not work."""
        self._delivery.path_changed()
        if not self._open:
            return []
        due = self._delivery.due(now, resend_after=self._delivery.round_trip.timeout(), window=PROBE_BYTES)
        return [self._frame(number, body) for number, body in due]

    def path_changed(self, now: float) -> list[Command]:
        """Send all that waits at once: what was on its way on the old path may be lost."""
        self._held = False
        self._delivery.path_changed()
        return self.transmit(now)

    def transmit(self, now: float) -> list[Command]:
        """Send what is new, and again what is late."""
        return self._due(now) + self._timer(now)

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
                thread.waiting[thread.delivery.submit(message.text, size=len(message.text.encode()))] = place
        self._threads.pop("", None)

    def _add(self, text: str, *, mine: bool) -> int:
        self._counts[mine] += 1
        self.messages = (*self.messages, Message(self._counts[mine], mine, text))
        return len(self.messages) - 1

    def _delivered(self, place: int) -> None:
        message = replace(self.messages[place], delivered=True)
        self.messages = (*self.messages[:place], message, *self.messages[place + 1 :])

    def _due(self, now: float) -> list[Command]:
        if not self._open or self._held:
            return []
        due = self._delivery.due(now, resend_after=self._delivery.round_trip.timeout())
        return [self._frame(number, body) for number, body in due]

    def _timer(self, now: float) -> list[Command]:
        is_sending = self._open and not self._held
        due = self._delivery.next_due(resend_after=self._delivery.round_trip.timeout()) if is_sending else None
        return [commands.CancelTimer(TIMER) if due is None else commands.StartTimer(TIMER, max(due - now, 0.02))]

    def _frame(self, number: int, body: Body | None) -> Command:
        frame = Frame(number, body, self._delivery.ack, self._delivery.held)
        return commands.SendOnChannel("messages", encode_frame(frame))
