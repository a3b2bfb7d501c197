"""How much may be on its way at once: the window of RFC 9002, section 7, in bytes.

The browser's SCTP has a window of its own beneath (RFC 9260, section 7). What goes beyond that one waits in the
browser, where it is late without being lost: so this one must not be the larger of the two for long.
"""

import math
from dataclasses import dataclass, field

PACKET = 1200
"""Bytes of a packet, as RFC 9002 counts them."""

OVERHEAD = 110
"""Bytes of a packet beside what is said in it: IPv6, UDP, TURN, DTLS, SCTP."""

INITIAL, LEAST = 10 * PACKET, 2 * PACKET
"""The window at first, and what losses leave of it at least (RFC 9002, section 7.2). Twice that least, as SCTP has it
(RFC 9260, section 7.2.3), was no quicker at 10 and 20 % loss, and a line of 100 kbit/s dropped more."""


@dataclass(slots=True)
class Window:
    """The window of one path. Times are seconds; it never exceeds `most`."""

    most: int = 1 << 16
    size: float = INITIAL
    """Bytes that may be on their way."""
    _threshold: float = field(init=False, default=math.inf)
    """Below it the window doubles in a round trip, above it grows by a packet."""
    _reduced_at: float = field(init=False, default=-math.inf)

    def acknowledged(self, cost: int, sent_at: float, *, is_full: bool) -> None:
        """Grow by what came, if it went out since the last reduction, and only while the window `is_full`."""
        if not is_full or sent_at <= self._reduced_at:
            return
        self.size += cost if self.size < self._threshold else PACKET * cost / self.size
        self.size = min(self.size, self.most)

    def lost(self, sent_at: float, now: float) -> None:
        """Shrink to half, once for all that was on its way then."""
        if sent_at <= self._reduced_at:
            return
        self._reduced_at = now
        self.size = self._threshold = max(self.size / 2, LEAST)

    def silent(self, now: float) -> None:
        """Take it that nothing comes through: begin with the least, when something does (RFC 9002, section 7.6.2)."""
        if self.size > LEAST:
            self._reduced_at = now
            self._threshold = max(self.size / 2, LEAST)
            self.size = LEAST
