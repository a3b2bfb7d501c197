"""Diagnostics that a page sends to the server's journal of the session."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

from pyapp.protocol.wire import MessageError, Scalar, check_finite, check_length, check_not_negative

MAX_JOURNAL_ENTRIES = 100
"""Entries in one `Journal` frame."""

SAME_OCCASION = 60.0
"""Seconds within which whoever comes into an empty session continues it: both pages were reloaded."""

_EVENT = re.compile(r"[a-z][a-z0-9-]{0,63}")


@dataclass(frozen=True, slots=True)
class JournalEntry:
    """An `Entry` on its way to the record. `number` counts from 1 in a page load; `at` is Unix time in milliseconds."""

    kind: ClassVar[str] = "entry"
    number: int
    at: float
    event: str
    data: Mapping[str, Scalar]

    def __post_init__(self) -> None:
        """Keep an entry one short flat line."""
        check_not_negative("number", self.number)
        check_finite("at", self.at)
        if not _EVENT.fullmatch(self.event):
            raise MessageError("event", "lower-case words joined by '-', at most 64 characters")
        if len(self.data) > 48:
            raise MessageError("data", "at most 48 fields")
        for name, value in self.data.items():
            check_length("data", name, 64)
            if isinstance(value, str):
                check_length(f"data.{name}", value, 1024)
            elif isinstance(value, int | float):
                check_finite(f"data.{name}", value)
            elif value is not None:
                raise MessageError(f"data.{name}", "text, a finite number, true, false or null")


@dataclass(frozen=True, slots=True)
class Journal:
    """Diagnostics for the server's journal of the session; answered by `Journaled`."""

    kind: ClassVar[str] = "journal"
    entries: tuple[JournalEntry, ...]

    def __post_init__(self) -> None:
        """Keep a frame small."""
        if not 1 <= len(self.entries) <= MAX_JOURNAL_ENTRIES:
            raise MessageError("entries", f"1 to {MAX_JOURNAL_ENTRIES} entries")
        if not all(entry.number for entry in self.entries):  # 0 is the server's own
            raise MessageError("number", "a whole number from 1, below 2^53")


@dataclass(frozen=True, slots=True)
class Journaled:
    """Entries up to and including `number` are stored."""

    kind: ClassVar[str] = "journaled"
    number: int

    def __post_init__(self) -> None:
        """Refuse what could not be counted exactly in JavaScript."""
        check_not_negative("number", self.number)
