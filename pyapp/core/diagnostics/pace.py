"""How often a sample of `getStats()` goes into the journal: less and less while nothing changes."""

import math
from dataclasses import dataclass, field

FIRST_PAUSE, LAST_PAUSE = 2.0, 60.0
"""Seconds between two samples in the journal, doubling from the first to the last: an uneventful day leaves 1,440 of
43,200 samples, and an event has full detail around it."""

_EARLY = 0.5
"""Seconds by which a sample may be early: the samples themselves are taken at about the same pace."""


@dataclass(slots=True)
class Pace:
    """When the next one is due: the first a moment after the path is known. Times are seconds."""

    _pause: float = field(init=False, default=FIRST_PAUSE)
    _due: float = field(init=False, default=math.inf)

    def changed(self, now: float) -> None:
        """Start with short pauses again: the path has changed, is suspect, or works again."""
        self._pause = FIRST_PAUSE
        self._due = min(self._due, now + FIRST_PAUSE)

    def is_due(self, now: float) -> bool:
        """Return whether this sample is for the journal, and count it."""
        if now < self._due - _EARLY:
            return False
        self._due = now + self._pause
        self._pause = min(self._pause * 2, LAST_PAUSE)
        return True
