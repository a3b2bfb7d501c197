"""When a provider that failed is asked again. Pure."""

from dataclasses import dataclass

FIRST_PAUSE, LONGEST_PAUSE = 1.0, 60.0
"""Seconds that a provider is left alone after a failure, twice as long each time."""

LONGEST_WISH = 300.0
"""As above, if it asks for more time itself (`Retry-After`; RFC 9110, section 10.2.3)."""


@dataclass(slots=True)
class Breaker:
    """A circuit breaker: open after a failure until `until` (seconds, of any clock); then one request tries it."""

    failures: int = 0
    until: float = 0.0

    def is_open(self, now: float) -> bool:
        """Return whether the provider is to be left alone."""
        return now < self.until

    def failed(self, now: float, *, wish: float = 0.0) -> None:
        """Take it that a request failed, and that the provider wishes to be left alone for so many seconds."""
        self.failures += 1
        pause = min(FIRST_PAUSE * 2.0 ** min(self.failures - 1, 16), LONGEST_PAUSE)
        self.until = now + max(pause, min(wish, LONGEST_WISH))

    def succeeded(self) -> None:
        """Take it that a request was answered."""
        self.failures, self.until = 0, 0.0
