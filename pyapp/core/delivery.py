"""Delivery of our own above any channel: numbered, acknowledged, sent again; exactly once, in order.

`Delivery` is one end of a conversation. It does not know what carries it: the signaling socket uses one (sent again
when a new socket is there), the messages of the two people use another (sent again when an acknowledgement is late,
over an unordered channel without retransmissions of its own, because SCTP's doubling timer can hold data back for
seconds after the path is whole again). It outlives both: a new socket, an ICE restart, a new `RTCPeerConnection`.
"""

import heapq
import itertools
import math
from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Generic, TypeVar

from pyapp.protocol.channel import MAX_HELD

T = TypeVar("T")


MAX_EARLY = 1 << 16
"""By how much a number may be ahead of what came: no honest sender has more on the way, and what is early is kept."""


class DeliveryFullError(Exception):
    """What is kept for the other side has reached its limit, which the message names."""


@dataclass(slots=True)
class _Outgoing(Generic[T]):
    body: T
    size: int
    transmitted_at: float | None = None
    late_at: float | None = None
    transmissions: int = 0
    """On this path, as the two before."""
    is_measurable: bool = True
    """Sent once at most, on whatever path: its acknowledgement can be of nothing else."""

    def transmitted(self, now: float, resend_after: float) -> float:
        """Count it as transmitted; return when it is late: after `resend_after`, twice that the next time, up to 8."""
        self.is_measurable = self.is_measurable and self.transmissions == 0
        self.transmitted_at = now
        self.late_at = now + resend_after * (1 << min(self.transmissions, 3))
        self.transmissions += 1
        return self.late_at

    def forget(self) -> None:
        """Take it as new to the path, which is another one."""
        self.is_measurable = self.is_measurable and self.transmissions == 0
        self.transmitted_at = self.late_at = None
        self.transmissions = 0


@dataclass(slots=True)
class RoundTrip:
    """Smoothed round trip in seconds, and the time after which an acknowledgement is late (RFC 6298, section 2)."""

    smoothed: float | None = None
    variation: float = 0.0

    def measured(self, seconds: float) -> None:
        """Take one measurement into account."""
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

    `most` bounds what may wait for an acknowledgement; `window` bounds what is on its way at once.
    """

    most: int = 1 << 20
    window: int = 1 << 16
    round_trip: RoundTrip = field(default_factory=RoundTrip)
    waiting_bytes: int = field(default=0, init=False)
    """Size of what the other side has not acknowledged."""
    _next_number: int = 1
    # After an outage hundreds of messages wait, and each is one event and more: no event may cost what they all do.
    _outgoing: dict[int, _Outgoing[T]] = field(default_factory=dict)
    """By number, in order."""
    _new: deque[int] = field(default_factory=deque)
    """Those that were never transmitted on this path, in order."""
    _late: list[tuple[float, int]] = field(default_factory=list)
    """A heap of the times at which the others are late; of what is acknowledged, too."""
    _on_the_way: int = 0
    """Size of the others."""
    _accepted: int = 0
    _early: dict[int, T] = field(default_factory=dict)

    @property
    def ack(self) -> int:
        """The number up to which everything came in."""
        return self._accepted

    @property
    def held(self) -> tuple[int, ...]:
        """Numbers above `ack` that came early."""
        return tuple(sorted(self._early)[:MAX_HELD])

    @property
    def waiting(self) -> tuple[T, ...]:
        """What the other side has not acknowledged, in order."""
        return tuple(item.body for item in self._outgoing.values())

    @property
    def next_due(self) -> float | None:
        """The time at which `due` has something again if nothing is acknowledged, or None."""
        while self._late and not self._is_valid(*self._late[0]):
            heapq.heappop(self._late)
        return self._late[0][0] if self._late else None

    def submit(self, body: T, *, size: int) -> int:
        """Take `body` for the other side and return its number. Raises `DeliveryFullError`, and then takes nothing."""
        if self.waiting_bytes + size > self.most:
            raise DeliveryFullError(f"more than {self.most} bytes would wait for the other side")
        return self.keep(body, size=size)

    def keep(self, body: T, *, size: int) -> int:
        """Do as `submit` does, whatever waits: what was taken once is not lost when it has to go to somebody else."""
        number = self._next_number
        self._next_number += 1
        self._outgoing[number] = _Outgoing(body, size)
        self._new.append(number)
        self.waiting_bytes += size
        return number

    def due(self, now: float, *, resend_after: float, window: int | None = None) -> list[tuple[int, T]]:
        """Return what is to be transmitted now, in order: what is late, and the new; and count it as transmitted.

        It is late `resend_after` from now, and each time that it was sent again twice as long after that, up to eight
        times. `window` is a smaller one.
        """
        numbers = []
        while (late_at := self.next_due) is not None and late_at <= now:
            numbers.append(heapq.heappop(self._late)[1])
        numbers.sort()
        while self._new:
            if item := self._outgoing.get(self._new[0]):
                on_the_way = self._on_the_way + item.size
                if on_the_way > (self.window if window is None else window) and self._on_the_way:
                    break
                self._on_the_way = on_the_way
                numbers.append(self._new[0])
            self._new.popleft()
        result = []
        for number in numbers:
            item = self._outgoing[number]
            heapq.heappush(self._late, (item.transmitted(now, resend_after), number))
            result.append((number, item.body))
        return result

    def path_changed(self) -> None:
        """Forget what was transmitted: all that waits is due at once, whatever was tried on the old path."""
        for item in self._outgoing.values():
            item.forget()
        self._new = deque(self._outgoing)
        self._late.clear()
        self._on_the_way = 0

    def acknowledged(self, ack: int, held: Iterable[int] = (), *, now: float | None = None) -> list[int]:
        """Take the other side's acknowledgement: return the numbers that are delivered by it.

        With `now`, the path may lose messages: what should have come before one of these is late at once.
        """
        done = list(itertools.takewhile(lambda number: number <= ack, self._outgoing))
        done += [number for number in dict.fromkeys(held) if number in self._outgoing and number > ack]
        newest = -math.inf
        for number in done:
            item = self._outgoing.pop(number)
            self.waiting_bytes -= item.size
            if item.transmitted_at is None:
                continue
            self._on_the_way -= item.size
            # Karn's rule (RFC 6298, section 3): what was sent twice measures nothing.
            if now is not None and item.is_measurable:
                self.round_trip.measured(now - item.transmitted_at)
                newest = max(newest, item.transmitted_at)
        if now is not None and done:
            self._overtaken(max(done), newest - self.round_trip.reordering, now)
        return done

    def accept(self, number: int, body: T) -> list[T]:
        """Take a numbered message in: return what may be handed on now, in order; what came twice is dropped."""
        if number <= self._accepted or number in self._early or number > self._accepted + MAX_EARLY:
            return []
        self._early[number] = body
        ready = []
        while self._accepted + 1 in self._early:
            self._accepted += 1
            ready.append(self._early.pop(self._accepted))
        return ready

    def _overtaken(self, number: int, sent_before: float, now: float) -> None:
        """Take messages below `number` that were `sent_before` for lost: what was sent later has come.

        In a conversation the next message tells sooner than the timer, which doubles each time (RFC 8985, section 3).
        """
        for earlier in itertools.takewhile(lambda each: each < number, self._outgoing):
            item = self._outgoing[earlier]
            if item.transmitted_at is not None and item.transmitted_at < sent_before:
                item.late_at = now
                heapq.heappush(self._late, (now, earlier))

    def _is_valid(self, late_at: float, number: int) -> bool:
        item = self._outgoing.get(number)
        return item is not None and item.late_at == late_at
