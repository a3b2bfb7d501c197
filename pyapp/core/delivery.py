"""Our own delivery layer above any channel: numbered, acknowledged, retransmitted; exactly once, in order.

`Delivery` is one end of a conversation. It does not know what carries it. The signaling socket uses one, which
retransmits when there is a new socket. The messages of the two people use another, which retransmits what is lost: its
channel is unordered and has no retransmissions of its own, because SCTP's exponential backoff can hold data back for
seconds after the path works again. A delivery outlives a socket, an ICE restart and an `RTCPeerConnection`.

Loss is detected by the acknowledgement of a later transmission (RFC 8985). When no acknowledgement arrives, one or two
messages are retransmitted as a probe, and its acknowledgement tells which of the others are lost (RFC 9002, section
6.2). The congestion window limits how much is in flight (`congestion.py`).
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
"""How far ahead of the last number in order a message may be, and how many bytes of out-of-order messages are kept: no
honest sender has more in flight. What is above is dropped; an honest sender retransmits it."""

KEPT_COST = 64
"""Overhead of a kept message, in bytes."""


PROBED_EVERY = 1.0
"""The longest time between two probes, in seconds; it doubles up to this. The heartbeats detect a dead path, and on a
working one two packets a second cost nothing."""

TOLERATED = 2
"""Unacknowledged probes in a row that are tolerated: after more, the congestion is persistent (RFC 9002, section
7.6)."""


class DeliveryFullError(Exception):
    """The unacknowledged data has reached its limit, which the message names."""


@dataclass(slots=True)
class _Outgoing(Generic[T]):
    body: T
    size: int
    sent_at: float = 0.0
    """Time of the last transmission. This and the next two are of the current path."""
    order: int = 0
    """Number of that transmission among all, from 1; 0 if it was never transmitted."""
    transmissions: int = 0
    is_measurable: bool = True
    """Transmitted at most once, on any path, so that its acknowledgement is unambiguous (Karn's algorithm)."""

    @property
    def cost(self) -> int:
        """Bytes on the wire."""
        return self.size + OVERHEAD

    def forget(self) -> None:
        """Count it as not transmitted: the path is a new one."""
        self.is_measurable = self.is_measurable and self.transmissions == 0
        self.order = self.transmissions = 0


@dataclass(slots=True)
class RoundTrip:
    """Smoothed RTT in seconds, and the RTO (RFC 6298, section 2)."""

    smoothed: float | None = None
    variation: float = 0.0
    least: float = math.inf
    """The shortest RTT measured."""

    def measured(self, seconds: float) -> None:
        """Take one measurement of the RTT."""
        self.least = min(self.least, seconds)
        if self.smoothed is None:
            self.smoothed, self.variation = seconds, seconds / 2
            return
        self.variation += (abs(seconds - self.smoothed) - self.variation) / 4
        self.smoothed += (seconds - self.smoothed) / 8

    @property
    def reordering(self) -> float:
        """The reordering window in seconds (RFC 8985, section 6.2)."""
        return max((self.smoothed or 0.0) / 4, self.variation)

    def timeout(self, *, first: float = 0.5, least: float = 0.15, most: float = 2.0) -> float:
        """Return the RTO in seconds; `first` before the RTT was measured."""
        if self.smoothed is None:
            return first
        return min(max(self.smoothed + 4 * self.variation, least), most)


@dataclass(slots=True)
class Delivery(Generic[T]):
    """One end of a numbered conversation. Times are seconds; sizes are bytes.

    `most` limits the unacknowledged bytes, `window` the bytes in flight. Without a window the transport is taken to be
    reliable, and to accept everything, until it is replaced.
    """

    most: int = 1 << 20
    window: Window | None = None
    round_trip: RoundTrip = field(default_factory=RoundTrip)
    waiting_bytes: int = field(default=0, init=False)
    """Unacknowledged bytes."""
    _next_number: int = field(init=False, default=1)
    # After an outage hundreds of messages wait, and each causes several events: the cost of one event must not grow
    # with the number of messages.
    _outgoing: dict[int, _Outgoing[T]] = field(init=False, default_factory=dict)
    """By number, in order."""
    _new: deque[int] = field(init=False, default_factory=deque)
    """Numbers never transmitted on this path, in order."""
    _lost: list[int] = field(init=False, default_factory=list)
    """A heap of the numbers taken for lost; some may have been acknowledged since."""
    _flying: dict[int, None] = field(init=False, default_factory=dict)
    """Numbers in flight, in the order of their last transmission."""
    _on_the_way: int = field(init=False, default=0)
    """Bytes in flight, on the wire."""
    _transmissions: int = field(init=False, default=0)
    _sent_at: float = field(init=False, default=0.0)
    """Time of the last transmission."""
    _probes: int = field(init=False, default=0)
    """Probes in a row without an acknowledgement."""
    _newest: int = field(init=False, default=0)
    """The latest transmission known to be delivered (RFC 8985, section 6.2, step 2). Its RTT follows."""
    _newest_trip: float = field(init=False, default=0.0)
    _judged_at: float | None = field(init=False, default=None)
    """When the next overtaken message is taken for lost, unless it is acknowledged by then."""
    _accepted: int = field(init=False, default=0)
    _early: dict[int, tuple[T, int]] = field(init=False, default_factory=dict)
    """Out-of-order messages by number, each with its cost in bytes."""
    _early_bytes: int = field(init=False, default=0)

    @property
    def ack(self) -> int:
        """The cumulative acknowledgement: everything up to this number has arrived."""
        return self._accepted

    @property
    def held(self) -> tuple[tuple[int, int], ...]:
        """First and last of each range above `ack` that arrived out of order, the lowest `MAX_HELD` ranges."""
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
        """The unacknowledged messages, in order."""
        return tuple(item.body for item in self._outgoing.values())

    @property
    def next_due(self) -> float | None:
        """When `due` has something to retransmit if no acknowledgement arrives, or None."""
        if self.window is None or not self._flying:
            return None
        timeout = self.round_trip.timeout()
        probe_at = self._sent_at + max(timeout, min(timeout * (1 << min(self._probes, 3)), PROBED_EVERY))
        return probe_at if self._judged_at is None else min(probe_at, self._judged_at)

    def submit(self, body: T, *, size: int) -> int:
        """Queue `body` for the peer and return its number. If it raises `DeliveryFullError`, nothing is queued."""
        self.check(size)
        return self.keep(body, size=size)

    def check(self, size: int) -> None:
        """Raise `DeliveryFullError` if `size` more bytes would exceed the limit."""
        if self.waiting_bytes + size > self.most:
            raise DeliveryFullError(f"more than {self.most} bytes would wait for the other side")

    def keep(self, body: T, *, size: int) -> int:
        """Do as `submit` does, without the limit: an accepted message is not lost when it has to go to another peer."""
        number = self._next_number
        self._next_number += 1
        self._outgoing[number] = _Outgoing(body, size)
        self._new.append(number)
        self.waiting_bytes += size
        return number

    def due(self, now: float, *, most: int | None = None) -> list[tuple[int, T]]:
        """Return what is to be transmitted now, retransmissions first, and count it as transmitted.

        At most `most` bytes, or one message, are in flight then.
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
        """Restart the probe timer: the browser has only now sent what it had buffered."""
        self._sent_at = now

    def path_changed(self) -> None:
        """Forget all transmissions: everything unacknowledged is due at once on the new path."""
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
        """Process an acknowledgement of the peer's: return the numbers that it newly acknowledges.

        With `now`, what was sent before one of these and is still unacknowledged may be taken for lost.
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
        """Accept a numbered message: return what can be delivered now, in order. Duplicates are dropped."""
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
        """Detect losses by reordering; if there is nothing to judge, return whether a probe is due."""
        if self._judged_at is not None and self._judged_at <= now:
            self._judge(now)
            return False
        return (due := self.next_due) is not None and due <= now

    def _probe(self, now: float) -> list[int]:
        """Retransmit the two that were sent first, whatever the window (RFC 9002, section 6.2.4)."""
        self._probes += 1
        if self.window is not None and self._probes > TOLERATED:
            self.window.silent(now)
        numbers = sorted(itertools.islice(self._flying, 2))
        for number in numbers:
            self._fly(number, self._outgoing[number], now)
        return numbers

    def _came(self, item: _Outgoing[T], now: float) -> None:
        """Take the RTT from the newest acknowledged transmission, if it is unambiguous.

        The others may have arrived long ago, with acknowledgements that were lost (RFC 9002, section 5.1).
        """
        trip = now - item.sent_at
        if not item.order:
            return
        if item.is_measurable:
            # Karn's algorithm (RFC 6298, section 3): a retransmitted message gives no RTT sample.
            self.round_trip.measured(trip)
        elif trip < self.round_trip.least:
            return
        if item.order > self._newest:
            self._newest, self._newest_trip = item.order, trip

    def _judge(self, now: float) -> None:
        """Take for lost what was sent before the newest acknowledged one, by more than the reordering window.

        In a conversation the next acknowledgement detects a loss sooner than any timer (RFC 8985, section 3).
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
