"""The attempts of one outage: what each one tries, and how long it has."""

from dataclasses import dataclass
from typing import Literal, TypeAlias

FIRST_DEADLINE, LAST_DEADLINE = 0.6, 8.0
"""Seconds that an attempt has, growing from the first to the last."""

POLITE_EXTRA = 0.3
"""Seconds that the polite side waits longer, so that two sides do not start their second attempts together."""

Rung: TypeAlias = Literal["restart", "relay-only", "tcp-only", "new-connection"]

LADDER: tuple[Rung, ...] = ("restart", "restart", "restart", "relay-only", "tcp-only", "new-connection")
"""What each attempt tries; after the last one, from the beginning, with longer and longer deadlines."""

CLOSED_LADDER: tuple[Rung, ...] = ("restart", "new-connection")
"""The same when the channel itself is gone: the first attempt only gives a goodbye the time to arrive."""


@dataclass(slots=True)
class Ladder:
    """How far up it is. `restarted_from` is the ICE generation that the attempt under way replaces."""

    restarted_from: int
    attempts: int = 0
    rung: Rung | None = None
    """What is being tried."""
    begun_at: float | None = None
    """When the attempt under way began, in seconds on the runner's clock."""

    def from_the_first_rung(self) -> None:
        """Begin anew: what was tried so far was tried on another network."""
        self.attempts, self.begun_at = 0, None

    def joined(self, generation: int, at: float) -> None:
        """Take a restart to `generation`, negotiated at `at`, for the first attempt."""
        self.attempts, self.begun_at, self.restarted_from = 1, at, generation - 1

    def climb(self, generation: int, now: float, *, is_closed: bool, polite: bool, peer_is_there: bool) -> Rung:
        """Begin the next attempt while the path is of `generation`; `is_closed` if the channel itself is gone."""
        rungs = CLOSED_LADDER if is_closed else LADDER
        rung = rungs[self.attempts % len(rungs)]
        # A new connection needs the other side, and one of the two to begin it.
        if rung == "new-connection" and (not peer_is_there or (polite and self.attempts < len(LADDER))):
            rung = "restart"
        self.attempts += 1
        self.rung, self.begun_at, self.restarted_from = rung, now, generation
        return rung

    def deadline(self, trip: float, *, polite: bool) -> float:
        """Return the seconds that the attempt under way has, with a round trip of `trip` seconds."""
        first = FIRST_DEADLINE + 2 * trip + (POLITE_EXTRA if polite else 0.0)
        # The second soon, since the first checks are often lost before the other side's NAT opens; then slower.
        return min(first * 1.6 ** min(max(self.attempts - 1, 0), 10), LAST_DEADLINE)
