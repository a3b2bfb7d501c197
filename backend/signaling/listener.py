"""The interface of those who follow what happens to sessions; its methods must not block."""

from collections.abc import Sequence

from pyapp.protocol.journal import JournalEntry


class Listener:
    """Ignores everything; subclasses override what they need."""

    def joined(self) -> None:
        """Handle that a page has joined."""

    def refused(self, code: str, *, is_join: bool) -> None:
        """Handle an error sent to a page: on its `join`, or later."""

    def heard(self, participant: str, address: str, entries: Sequence[JournalEntry]) -> None:
        """Handle journal entries of `participant`, whose page is at `address`."""

    def lost(self, session: str, invitation: str) -> None:
        """Handle that a page, which came into `session` with `invitation` (its id), has not come back to the server."""

    def ended(self, session: str) -> None:
        """Handle that everybody has left `session`. Lost participants may still be connected to each other."""
