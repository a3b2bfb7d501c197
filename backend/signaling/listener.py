"""Who wants to know what happens to sessions: told as it happens, and must not wait."""

from collections.abc import Sequence

from pyapp.protocol.journal import JournalEntry


class Listener:
    """Wants to know nothing; a subclass says otherwise."""

    def joined(self) -> None:
        """Take it that a page has a place."""

    def refused(self, code: str, *, is_join: bool) -> None:
        """Take it that a page was told an error: to its `join`, or later."""

    def heard(self, participant: str, address: str, entries: Sequence[JournalEntry]) -> None:
        """Take what the page of `participant`, which calls from `address`, tells of itself."""

    def ended(self, session: str) -> None:
        """Take it that all have left `session`. Who is merely lost may still be connected to the other side."""
