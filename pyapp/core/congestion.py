"""Congestion control: how many bytes may be in flight, by the window of RFC 9002, section 7.

The browser's SCTP has its own congestion window beneath (RFC 9260, section 7). Data beyond that one waits in the
browser, where it is late without being lost, so this window must not be the larger of the two for long.
"""

import math
from dataclasses import dataclass, field

PACKET = 1200
"""Bytes of a packet, as RFC 9002 counts them."""

OVERHEAD = 110
"""Overhead of a packet in bytes: IPv6, UDP, TURN, DTLS, SCTP."""

INITIAL, LEAST = 10 * PACKET, 2 * PACKET
"""The initial and the minimum window (RFC 9002, section 7.2). Twice that minimum, as in SCTP (RFC 9260, section 7.2.3),
was no faster at 10 and 20 % loss, and a line of 100 kbit/s dropped more."""


@dataclass(slots=True)
class Window:
    """The congestion window of one path; it never exceeds `most`. Times are seconds."""

    most: int = 1 << 16
    size: float = INITIAL
    """Bytes that may be in flight."""
    _threshold: float = field(init=False, default=math.inf)
    """Slow start threshold: below it the window doubles every RTT, above it grows by one packet."""
    _reduced_at: float = field(init=False, default=-math.inf)

    def acknowledged(self, cost: int, sent_at: float, *, is_full: bool) -> None:
        """Grow for acknowledged bytes sent after the last reduction, and only while the window `is_full`."""
        if not is_full or sent_at <= self._reduced_at:
            return
        self.size += cost if self.size < self._threshold else PACKET * cost / self.size
        self.size = min(self.size, self.most)

    def lost(self, sent_at: float, now: float) -> None:
        """Halve the window, once for everything that was in flight at the time."""
        if sent_at <= self._reduced_at:
            return
        self._reduced_at = now
        self.size = self._threshold = max(self.size / 2, LEAST)

    def silent(self, now: float) -> None:
        """Fall back to the minimum window: congestion is persistent (RFC 9002, section 7.6.2)."""
        if self.size > LEAST:
            self._reduced_at = now
            self._threshold = max(self.size / 2, LEAST)
            self.size = LEAST
