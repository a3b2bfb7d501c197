"""The journal of a page load: what happened, for the person and for later analysis."""

from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import TypeVar

from pyapp.core import commands
from pyapp.core.commands import Command
from pyapp.core.diagnostics.live import Live
from pyapp.core.timers import SessionTimer
from pyapp.protocol.entries import Entry, Mark
from pyapp.protocol.journal import MAX_JOURNAL_ENTRIES, SAME_OCCASION, JournalEntry
from pyapp.protocol.journal import Journal as JournalMessage
from pyapp.protocol.wire import encode

T = TypeVar("T")

TIMER = SessionTimer.JOURNAL

STREAMED_AFTER = 1.0
"""Seconds for which entries are collected before they are streamed."""

LAST_BATCHES = 4
"""The most frames with entries before we leave: with many more, the server's limit would drop the goodbye."""

SHOWN = 500
"""Lines kept for the page."""

BATCH_BYTES = 48 * 1024
"""Well under `MAX_FRAME_BYTES`, which the server enforces on the whole frame."""

KEPT = 2000
"""Entries kept for the server while signaling is away; the oldest are dropped first, and counted."""


@dataclass(frozen=True, slots=True)
class LogLine:
    """A line for the page. `at` is Unix time in ms."""

    number: int
    at: float
    mark: Mark
    text: str
    detail: str


@dataclass(slots=True)
class Journal:
    """The diagnostics of one page load: shown newest first, streamed to the server until it confirms them.

    `time_origin` is Unix time in milliseconds at the runner's time 0.
    """

    time_origin: float
    lines: tuple[LogLine, ...] = ()
    """The newest first, at most `SHOWN`."""
    _unconfirmed: deque[JournalEntry] = field(init=False, default_factory=deque)
    number: int = 0
    """Of the latest entry."""
    live: Live = field(init=False, default_factory=Live)
    _streamed: int = field(init=False, default=0)
    _session: str = field(init=False, default="")
    """The latest one, by name."""
    _ended: tuple[int, float] = field(init=False, default=(0, 0.0))
    """The last entry of that session, and when it was over."""

    def begin(self, session: str, now: float) -> None:
        """Forget what another session has left unconfirmed: the server would take it for a part of this one.

        What came between the two is for whoever comes next.
        """
        number, at = self._ended
        if session != self._session or now > at + SAME_OCCASION:
            self.confirmed(number)
        self._session = session

    def end(self, now: float) -> None:
        """Record that the session is over."""
        self._ended = self.number, now

    def note(self, now: float, entry: Entry) -> None:
        """Add an entry; `now` is seconds on the runner's clock."""
        self.number += 1
        at = round(self.time_origin + now * 1000, 1)
        data = entry.data()
        shortened = {name: value[:1024] if isinstance(value, str) else value for name, value in data.items()}
        detail = " ".join(
            f"{name.replace('_', '-')}={value}" for name, value in data.items() if value not in (None, "")
        )
        text = entry.text()
        self.lines = (LogLine(self.number, at, entry.mark, text, detail), *self.lines[: SHOWN - 1])
        self._unconfirmed.append(JournalEntry(self.number, at, entry.event, shortened))
        self.live.noted(entry.event, text, now, self.unix(now))
        if len(self._unconfirmed) > KEPT:
            self._unconfirmed.popleft()

    def take(self, outputs: Iterable[T | Entry], now: float) -> list[T]:
        """Add the entries among `outputs`; return the others."""
        others: list[T] = []
        for output in outputs:
            if isinstance(output, Entry):
                self.note(now, output)
            else:
                others.append(output)
        return others

    def stream_soon(self) -> list[Command]:
        """Collect entries for a moment."""
        return [commands.StartTimer(TIMER, STREAMED_AFTER, only_if_idle=True)]

    def stream(self) -> list[Command]:
        """Send the server the next entries, and the rest a little later (timer `TIMER`)."""
        batch = self.next_batch()
        if not batch:
            return []
        more = [commands.StartTimer(TIMER, STREAMED_AFTER)] if self.has_more else []
        return [commands.SendSignaling(JournalMessage(batch)), *more]

    def flush(self) -> list[Command]:
        """Send what the server has not confirmed, before we leave: it may have been lost with a socket."""
        self.stream_again()
        batches = [batch for _ in range(LAST_BATCHES) if (batch := self.next_batch())]
        return [commands.SendSignaling(JournalMessage(batch)) for batch in batches]

    def rest(self) -> JournalMessage | None:
        """Return what the server has not confirmed, as much as fits into a frame, or None."""
        self.stream_again()
        batch = self.next_batch()
        return JournalMessage(batch) if batch else None

    def unix(self, now: float) -> float:
        """Return the Unix time, in seconds, that is `now`."""
        return self.time_origin / 1000 + now

    def slept(self, seconds: float) -> None:
        """Account for `seconds` that `now` does not count."""
        self.time_origin += seconds * 1000
        number, at = self._ended
        self._ended = number, at - seconds

    def next_batch(self) -> tuple[JournalEntry, ...]:
        """Return the entries to stream next, as many as fit into a frame, and count them as streamed."""
        batch: list[JournalEntry] = []
        size = 0
        for entry in self._unconfirmed:
            if entry.number <= self._streamed:
                continue
            size += len(encode(entry).encode()) + 1
            if batch and (size > BATCH_BYTES or len(batch) == MAX_JOURNAL_ENTRIES):
                break
            batch.append(entry)
        if batch:
            self._streamed = batch[-1].number
        return tuple(batch)

    @property
    def has_more(self) -> bool:
        """Whether any entry is not streamed yet."""
        return bool(self._unconfirmed) and self._unconfirmed[-1].number > self._streamed

    def confirmed(self, number: int) -> None:
        """Forget the entries up to and including `number`: the server has stored them."""
        while self._unconfirmed and self._unconfirmed[0].number <= number:
            self._unconfirmed.popleft()

    def stream_again(self) -> None:
        """Stream unconfirmed entries again: the socket was replaced."""
        self._streamed = 0
