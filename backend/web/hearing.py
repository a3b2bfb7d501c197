"""Passes on what happens to sessions, to the choice of ICE servers and to the metrics."""

from collections.abc import Sequence
from dataclasses import dataclass

from backend.cost.accounts import Accounts
from backend.ice.chain import Chain
from backend.metrics.meters import Meters
from backend.signaling.listener import Listener
from pyapp.protocol.journal import JournalEntry


@dataclass(frozen=True, slots=True)
class Hearing(Listener):
    """The listener of the signaling endpoint."""

    chain: Chain
    meters: Meters
    accounts: Accounts

    def joined(self) -> None:
        """Count it."""
        self.meters.joined()

    def refused(self, code: str, *, is_join: bool) -> None:
        """Count it."""
        self.meters.refused(code, is_join=is_join)

    def heard(self, participant: str, address: str, entries: Sequence[JournalEntry]) -> None:
        """Learn which ICE servers answer, and count the entries."""
        self.chain.watch.heard(participant, address, entries)
        self.meters.heard(participant, entries)

    def lost(self, session: str, invitation: str) -> None:
        """Leave it what it was issued: it may still be connected to the other one."""
        self.chain.lost(session, invitation)

    def ended(self, session: str) -> None:
        """Have the session's credentials revoked, and its account closed."""
        try:
            self.chain.ended(session)
        finally:
            self.accounts.ended(session)
