"""When a failed provider is asked again. Pure."""

from dataclasses import dataclass

FIRST_PAUSE, LONGEST_PAUSE = 1.0, 60.0
"""Seconds before the next request after a failure, doubling each time."""

LONGEST_WISH = 300.0
"""The most, if the provider itself asks for more time (`Retry-After`; RFC 9110, section 10.2.3)."""


@dataclass(slots=True)
class Breaker:
    """A circuit breaker: open after a failure until `until` (seconds, of any clock); then one request tries it."""

    failures: int = 0
    until: float = 0.0

    def is_open(self, now: float) -> bool:
        """Return whether the provider must not be asked."""
        return now < self.until

    def failed(self, now: float, *, wish: float = 0.0) -> None:
        """Record a failed request; `wish` is the pause that the provider asks for, in seconds."""
        self.failures += 1
        pause = min(FIRST_PAUSE * 2.0 ** min(self.failures - 1, 16), LONGEST_PAUSE)
        self.until = now + max(pause, min(wish, LONGEST_WISH))

    def succeeded(self) -> None:
        """Record an answered request."""
        self.failures, self.until = 0, 0.0
