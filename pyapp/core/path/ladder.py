"""The attempts of one outage: what each of them tries, and its deadline."""

from dataclasses import dataclass
from typing import Literal, TypeAlias

FIRST_DEADLINE, LAST_DEADLINE = 0.6, 8.0
"""The deadline of an attempt in seconds, growing from the first to the last."""

POLITE_EXTRA = 0.3
"""Extra seconds for the polite side, so that the two do not start their second attempts together."""

Rung: TypeAlias = Literal["restart", "relay-only", "tcp-only", "new-connection"]

LADDER: tuple[Rung, ...] = ("restart", "restart", "restart", "relay-only", "tcp-only", "new-connection")
"""What each attempt tries; after the last one it starts again, with growing deadlines."""

CLOSED_LADDER: tuple[Rung, ...] = ("restart", "new-connection")
"""The same when the channel itself is closed: the first attempt only gives a goodbye the time to arrive."""

DEAD_LADDER: tuple[Rung, ...] = ("new-connection",)
"""The same when DTLS has failed, which no ICE restart mends (RFC 8842, section 4)."""


@dataclass(slots=True)
class Ladder:
    """The position on the ladder. `restarted_from` is the ICE generation that the current attempt replaces."""

    restarted_from: int
    attempts: int = 0
    rung: Rung | None = None
    """The rung being tried."""
    begun_at: float | None = None
    """When the current attempt began, in seconds on the runner's clock."""

    def from_the_first_rung(self) -> None:
        """Start over: the attempts so far were made on another network."""
        self.attempts, self.begun_at, self.rung = 0, None, None

    def joined(self, generation: int, at: float) -> None:
        """Count a restart to `generation`, negotiated at `at`, as the first attempt."""
        self.attempts, self.begun_at, self.restarted_from = 1, at, generation - 1

    def climb(self, generation: int, now: float, *, rungs: tuple[Rung, ...], polite: bool, peer_is_there: bool) -> Rung:
        """Begin the next attempt of `rungs`, on a path of `generation`."""
        rung = rungs[self.attempts % len(rungs)]
        # A new connection needs the peer, and only one of the two begins it: the polite side lets a turn pass. Of
        # a closed channel often only one of them knows; there the polite side's longer deadline is enough.
        is_others_turn = polite and rungs is LADDER and self.attempts < len(LADDER)
        if rung == "new-connection" and (not peer_is_there or is_others_turn):
            rung = "restart"
        self.attempts += 1
        self.rung, self.begun_at, self.restarted_from = rung, now, generation
        return rung

    def deadline(self, trip: float, *, polite: bool) -> float:
        """Return the deadline of the current attempt in seconds, for an RTT of `trip` seconds."""
        first = FIRST_DEADLINE + 2 * trip + (POLITE_EXTRA if polite else 0.0)
        # The second attempt is early, since the first checks are often lost before the peer's NAT opens; then they slow
        # down.
        return min(first * 1.6 ** min(max(self.attempts - 1, 0), 10), LAST_DEADLINE)
