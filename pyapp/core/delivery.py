"""Delivery of our own above any channel: numbered, acknowledged, sent again; exactly once, in order.

`Delivery` is one end of a conversation. It does not know what carries it: the signaling socket uses one (sent again
when a new socket is there), the messages of the two people use another (sent again when they are lost, over an
unordered channel without retransmissions of its own, because SCTP's doubling timer can hold data back for seconds after
the path is whole again). It outlives both: a new socket, an ICE restart, a new `RTCPeerConnection`.

What is lost is known by what was sent later and has come (RFC 8985); when nothing comes, one or two are sent again as a
probe, and their acknowledgement tells of the others (RFC 9002, section 6.2). How much goes out at once is the window's
to say (`congestion.py`).
"""

import heapq
import itertools
import math
from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Generic, TypeVar

from pyapp.core.congestion import OVERHEAD, Window
from pyapp.protocol.channel import MAX_HELD

T = TypeVar("T")


MAX_EARLY, MAX_EARLY_BYTES = 1 << 16, 1 << 21
"""By how much a number may be ahead of what came, and what is early and kept may take: no honest sender has more on the
way. What is above is dropped, and sent again by who is honest."""

KEPT_COST = 64
"""Bytes that a message takes beside its own when it is kept."""


PROBED_EVERY = 1.0
"""Seconds to which the doubling time between two probes grows: that a path is dead is for the heartbeats to say, and on
one that lives two packets a second are nothing."""

TOLERATED = 2
"""Probes in a row without an answer: with more, the path carries next to nothing (RFC 9002, section 7.6)."""


class DeliveryFullError(Exception):
    """What is kept for the other side has reached its limit, which the message names."""


@dataclass(slots=True)
class _Outgoing(Generic[T]):
    body: T
    size: int
    sent_at: float = 0.0
    """When it was transmitted last on this path, as the next two."""
    order: int = 0
    """Of that among all transmissions, from 1; 0 for never."""
    transmissions: int = 0
    is_measurable: bool = True
    """Sent once at most, on whatever path: its acknowledgement can be of nothing else."""

    @property
    def cost(self) -> int:
        """Bytes on the wire."""
        return self.size + OVERHEAD

    def forget(self) -> None:
        """Take it as new to the path, which is another one."""
        self.is_measurable = self.is_measurable and self.transmissions == 0
        self.order = self.transmissions = 0


@dataclass(slots=True)
class RoundTrip:
    """Smoothed round trip in seconds, and the time after which an acknowledgement is late (RFC 6298, section 2)."""

    smoothed: float | None = None
    variation: float = 0.0
    least: float = math.inf
    """The shortest that was measured."""

    def measured(self, seconds: float) -> None:
        """Take one measurement into account."""
        self.least = min(self.least, seconds)
        if self.smoothed is None:
            self.smoothed, self.variation = seconds, seconds / 2
            return
        self.variation += (abs(seconds - self.smoothed) - self.variation) / 4
        self.smoothed += (seconds - self.smoothed) / 8

    @property
    def reordering(self) -> float:
        """Seconds by which a later message may overtake an earlier one (RFC 8985, section 6.2)."""
        return max((self.smoothed or 0.0) / 4, self.variation)

    def timeout(self, *, first: float = 0.5, least: float = 0.15, most: float = 2.0) -> float:
        """Return the seconds to wait for an acknowledgement; `first` before anything was measured."""
        if self.smoothed is None:
            return first
        return min(max(self.smoothed + 4 * self.variation, least), most)


@dataclass(slots=True)
class Delivery(Generic[T]):
    """One end of a numbered conversation. Times are seconds; sizes are bytes.

    `most` bounds what may wait for an acknowledgement, `window` what is on its way at once. Without a window the wire
    loses nothing, and takes everything, for as long as it is the same one.
    """

    most: int = 1 << 20
    window: Window | None = None
    round_trip: RoundTrip = field(default_factory=RoundTrip)
    waiting_bytes: int = field(default=0, init=False)
    """Size of what the other side has not acknowledged."""
    _next_number: int = field(init=False, default=1)
    # After an outage hundreds of messages wait, and each is one event and more: no event may cost what they all do.
    _outgoing: dict[int, _Outgoing[T]] = field(init=False, default_factory=dict)
    """By number, in order."""
    _new: deque[int] = field(init=False, default_factory=deque)
    """Those that were never transmitted on this path, in order."""
    _lost: list[int] = field(init=False, default_factory=list)
    """A heap of those that were, and did not come; with some that were acknowledged since."""
    _flying: dict[int, None] = field(init=False, default_factory=dict)
    """The others, in the order in which they were transmitted last."""
    _on_the_way: int = field(init=False, default=0)
    """What they cost on the wire."""
    _transmissions: int = field(init=False, default=0)
    _sent_at: float = field(init=False, default=0.0)
    """When the last one was transmitted."""
    _probes: int = field(init=False, default=0)
    """How often in a row nothing came until one had to be sent as a probe."""
    _newest: int = field(init=False, default=0)
    """The latest transmission that is known to have come (RFC 8985, section 6.2, step 2), and its round trip."""
    _newest_trip: float = field(init=False, default=0.0)
    _judged_at: float | None = field(init=False, default=None)
    """When the next one of those that were overtaken is taken for lost, if it does not come until then."""
    _accepted: int = field(init=False, default=0)
    _early: dict[int, tuple[T, int]] = field(init=False, default_factory=dict)
    """With what they take."""
    _early_bytes: int = field(init=False, default=0)

    @property
    def ack(self) -> int:
        """The number up to which everything came in."""
        return self._accepted

    @property
    def held(self) -> tuple[tuple[int, int], ...]:
        """First and last of each range of numbers above `ack` that came early, the lowest `MAX_HELD` of them."""
        ranges: list[tuple[int, int]] = []
        for number in sorted(self._early):
            if ranges and ranges[-1][1] == number - 1:
                ranges[-1] = (ranges[-1][0], number)
            elif len(ranges) < MAX_HELD:
                ranges.append((number, number))
            else:
                break
        return tuple(ranges)

    @property
    def waiting(self) -> tuple[T, ...]:
        """What the other side has not acknowledged, in order."""
        return tuple(item.body for item in self._outgoing.values())

    @property
    def next_due(self) -> float | None:
        """The time at which `due` has something again if nothing is acknowledged, or None."""
        if self.window is None or not self._flying:
            return None
        timeout = self.round_trip.timeout()
        probe_at = self._sent_at + max(timeout, min(timeout * (1 << min(self._probes, 3)), PROBED_EVERY))
        return probe_at if self._judged_at is None else min(probe_at, self._judged_at)

    def submit(self, body: T, *, size: int) -> int:
        """Take `body` for the other side and return its number. Raises `DeliveryFullError`, and then takes nothing."""
        self.check(size)
        return self.keep(body, size=size)

    def check(self, size: int) -> None:
        """Raise `DeliveryFullError` if so much more would be too much."""
        if self.waiting_bytes + size > self.most:
            raise DeliveryFullError(f"more than {self.most} bytes would wait for the other side")

    def keep(self, body: T, *, size: int) -> int:
        """Do as `submit` does, whatever waits: what was taken once is not lost when it has to go to somebody else."""
        number = self._next_number
        self._next_number += 1
        self._outgoing[number] = _Outgoing(body, size)
        self._new.append(number)
        self.waiting_bytes += size
        return number

    def due(self, now: float, *, most: int | None = None) -> list[tuple[int, T]]:
        """Return what is to be transmitted now, what was lost first, and count it as transmitted.

        No more than `most` bytes are on their way then, or one message.
        """
        numbers = self._probe(now) if self._is_late(now) else []
        while (number := self._next_in_line()) is not None:
            item = self._outgoing[number]
            room = math.inf if self.window is None else self.window.size
            if self._on_the_way + item.cost > (room if most is None else min(room, most)) and self._on_the_way:
                break
            if self._lost and self._lost[0] == number:
                heapq.heappop(self._lost)
            else:
                self._new.popleft()
            self._on_the_way += item.cost
            self._fly(number, item, now)
            numbers.append(number)
        return [(number, self._outgoing[number].body) for number in numbers]

    def released(self, now: float) -> None:
        """Take it that what was transmitted leaves only now: the browser had kept it."""
        self._sent_at = now

    def path_changed(self) -> None:
        """Forget what was transmitted: all that waits is due at once, whatever was tried on the old path."""
        for item in self._outgoing.values():
            item.forget()
        self._new = deque(self._outgoing)
        self._lost.clear()
        self._flying.clear()
        self._on_the_way = self._probes = self._newest = 0
        self._judged_at = None
        self.round_trip.least = math.inf
        if self.window is not None:
            self.window = Window(self.window.most)

    def acknowledged(self, ack: int, held: Iterable[tuple[int, int]] = (), *, now: float | None = None) -> list[int]:
        """Take the other side's acknowledgement: return the numbers that are delivered by it.

        With `now`, what was sent before one of these and has not come may be lost.
        """
        done = list(itertools.takewhile(lambda number: number <= ack, self._outgoing))
        for first, last in held:
            known = range(max(first, ack + 1), min(last + 1, self._next_number))
            done += [number for number in known if number in self._outgoing]
            ack = max(ack, last)
        is_full = bool(self._new or self._lost)
        newest: _Outgoing[T] | None = None
        for number in done:
            item = self._outgoing.pop(number)
            self.waiting_bytes -= item.size
            if number in self._flying:
                del self._flying[number]
                self._on_the_way -= item.cost
                if self.window is not None:
                    self.window.acknowledged(item.cost, item.sent_at, is_full=is_full)
            if newest is None or item.order > newest.order:
                newest = item
        if now is not None and newest is not None:
            self._probes = 0
            self._came(newest, now)
            self._judge(now)
        return done

    def accept(self, number: int, body: T, *, size: int = 0) -> list[T]:
        """Take a numbered message in: return what may be handed on now, in order; what came twice is dropped."""
        if number <= self._accepted or number in self._early or number > self._accepted + MAX_EARLY:
            return []
        cost = size + KEPT_COST
        if number > self._accepted + 1 and self._early_bytes + cost > MAX_EARLY_BYTES:
            return []
        self._early[number] = body, cost
        self._early_bytes += cost
        ready = []
        while self._accepted + 1 in self._early:
            self._accepted += 1
            body, cost = self._early.pop(self._accepted)
            self._early_bytes -= cost
            ready.append(body)
        return ready

    def _next_in_line(self) -> int | None:
        while self._lost and self._lost[0] not in self._outgoing:
            heapq.heappop(self._lost)
        if self._lost:
            return self._lost[0]
        while self._new and self._new[0] not in self._outgoing:
            self._new.popleft()
        return self._new[0] if self._new else None

    def _fly(self, number: int, item: _Outgoing[T], now: float) -> None:
        self._transmissions += 1
        item.order = self._transmissions
        item.is_measurable = item.is_measurable and item.transmissions == 0
        item.transmissions += 1
        item.sent_at = self._sent_at = now
        self._flying.pop(number, None)
        self._flying[number] = None

    def _is_late(self, now: float) -> bool:
        """Judge what was overtaken; or else return whether nothing comes, and a probe is due."""
        if self._judged_at is not None and self._judged_at <= now:
            self._judge(now)
            return False
        return (due := self.next_due) is not None and due <= now

    def _probe(self, now: float) -> list[int]:
        """Send the two again that were sent first, whatever the window says (RFC 9002, section 6.2.4)."""
        self._probes += 1
        if self.window is not None and self._probes > TOLERATED:
            self.window.silent(now)
        numbers = sorted(itertools.islice(self._flying, 2))
        for number in numbers:
            self._fly(number, self._outgoing[number], now)
        return numbers

    def _came(self, item: _Outgoing[T], now: float) -> None:
        """Learn from the latest of those that are known to have come now, if it was not an earlier transmission of it.

        The others may have come long ago, and been acknowledged in vain (RFC 9002, section 5.1).
        """
        trip = now - item.sent_at
        if not item.order:
            return
        if item.is_measurable:
            # Karn's rule (RFC 6298, section 3): what was sent twice measures nothing.
            self.round_trip.measured(trip)
        elif trip < self.round_trip.least:
            return
        if item.order > self._newest:
            self._newest, self._newest_trip = item.order, trip

    def _judge(self, now: float) -> None:
        """Take for lost what was sent before the newest that came, longer ago than a late one may come after it.

        In a conversation the next message tells sooner than any timer (RFC 8985, section 3).
        """
        self._judged_at = None
        patience = self._newest_trip + self.round_trip.reordering
        while (number := next(iter(self._flying), None)) is not None:
            item = self._outgoing[number]
            if item.order > self._newest:
                return
            if item.sent_at + patience > now:
                self._judged_at = item.sent_at + patience
                return
            del self._flying[number]
            self._on_the_way -= item.cost
            heapq.heappush(self._lost, number)
            if self.window is not None:
                self.window.lost(item.sent_at, now)
