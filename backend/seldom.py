"""How often a trouble that goes on is told. Pure: the time comes in as an argument."""

from dataclasses import dataclass

SHORTEST, LONGEST = 1.0, 60.0
"""Seconds between two times."""


@dataclass(slots=True)
class Seldom:
    """Told at once, and again after pauses that double. After a long quiet it is a new one."""

    pause: float = 0.0
    next_at: float = float("-inf")

    def is_due(self, now: float) -> bool:
        """Whether to tell it at `now` (seconds, of any clock that does not go back); True counts as told."""
        if now < self.next_at:
            return False
        is_new = not self.pause or now > self.next_at + LONGEST
        self.pause = SHORTEST if is_new else min(self.pause * 2, LONGEST)
        self.next_at = now + self.pause
        return True
