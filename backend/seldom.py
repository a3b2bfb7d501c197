"""How often a lasting problem is logged. Pure: the time is an argument."""

from dataclasses import dataclass

SHORTEST, LONGEST = 1.0, 60.0
"""Seconds between two times."""


@dataclass(slots=True)
class Seldom:
    """Log at once, and again after doubling pauses. After a long silence the problem counts as new."""

    pause: float = 0.0
    next_at: float = float("-inf")

    def is_due(self, now: float) -> bool:
        """Whether to log it at `now` (seconds of any monotonic clock); True counts as logged."""
        if now < self.next_at:
            return False
        is_new = not self.pause or now > self.next_at + LONGEST
        self.pause = SHORTEST if is_new else min(self.pause * 2, LONGEST)
        self.next_at = now + self.pause
        return True
