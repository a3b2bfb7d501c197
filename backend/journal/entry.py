"""What is handed to the record."""

from collections.abc import Callable
from dataclasses import dataclass, field

from pyapp.protocol.entries import Entry
from pyapp.protocol.journal import JournalEntry

_LATEST = 253402300799.0
"""The last second that is a date, Unix time."""


@dataclass(frozen=True, slots=True)
class Record:
    """Entries of one participant in `session`. `at` is the server's Unix time, seconds.

    `done` is called on the event loop with the highest number stored, once it is.
    """

    session: str
    participant: str
    at: float
    entries: tuple[JournalEntry, ...]
    done: Callable[[int], None]
    invitation: str = field(default="", repr=False)

    @property
    def size(self) -> int:
        """What it takes in memory, about, in bytes."""
        return 512 + sum(256 + 128 * len(entry.data) for entry in self.entries)


def server_entry(entry: Entry, *, at: float) -> JournalEntry:
    """Return an entry that the server itself writes, at `at` (Unix time, seconds)."""
    return JournalEntry(0, at * 1000, entry.event, entry.data())


def dated(at: float) -> float:
    """Return `at` (Unix time, seconds) as the nearest time that is a date: a page may say that it is any time."""
    return min(max(at, 0.0), _LATEST)
