"""What happens to sessions is of interest to the servers that pages are given, and to the figures."""

from collections.abc import Sequence
from dataclasses import dataclass

from backend.ice.chain import Chain
from backend.metrics.meters import Meters
from backend.signaling.listener import Listener
from pyapp.protocol.journal import JournalEntry


@dataclass(frozen=True, slots=True)
class Hearing(Listener):
    """Passes it on."""

    chain: Chain
    meters: Meters

    def joined(self) -> None:
        """Count it."""
        self.meters.joined()

    def refused(self, code: str, *, is_join: bool) -> None:
        """Count it."""
        self.meters.refused(code, is_join=is_join)

    def heard(self, participant: str, address: str, entries: Sequence[JournalEntry]) -> None:
        """Learn which servers answer, and count."""
        self.chain.watch.heard(participant, address, entries)
        self.meters.heard(participant, entries)

    def ended(self, session: str) -> None:
        """Have what was issued for it revoked."""
        self.chain.ended(session)
