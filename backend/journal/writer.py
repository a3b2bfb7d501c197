"""The journal: what happened in the sessions, written to the record (`schema.py`).

One thread writes, in batches, so that a slow disk delays neither signaling nor anybody's session. What cannot be
written stays in memory, as far as there is room, and is tried again after growing pauses; above that pages are told to
send it again. No credential and no invitation is ever written.
"""

import asyncio
import contextlib
import logging
import os
import sqlite3
import time
from collections import deque
from collections.abc import AsyncIterator, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from backend.access.limits import Limits
from backend.each import each
from backend.journal.checks import Check, find_check, keep_check
from backend.journal.entry import Record
from backend.journal.importing import import_files
from backend.journal.relayed import Relayed, relayed
from backend.journal.retention import keep_within, thin_the_full
from backend.journal.schema import FILE
from backend.journal.store import Store
from backend.seldom import Seldom
from backend.settings import StartError

_log = logging.getLogger("ice_console.journal")

GATHERING = 0.1
"""Seconds for which batches are gathered before they are written together. Nobody waits for it, and each time a thread
wakes: at 0.02 a whole session cost the server a fifth more."""
_AT_ONCE = 256
"""Batches in one transaction: the thread is not to keep the interpreter busy for long."""
_CLEARING = 600.0
"""Seconds between two looks for what is too old or too much."""
_BROKEN = (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB)

_T = TypeVar("_T")


@dataclass(frozen=True, slots=True)
class _Written:
    """What became of a batch: for each record the highest number stored; what is relayed now, if that has changed."""

    kept: list[int]
    relayed: Relayed | None = None
    problem: sqlite3.Error | None = None
    """What failed in looking after the record."""


class Journal:
    """The record in one folder. Use as `async with Journal(...).running()`."""

    def __init__(
        self,
        folder: Path,
        *,
        limits: Limits,
        keep_addresses: bool = False,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Make the folder. Raises `StartError` if that cannot be done. `clock` is in seconds."""
        self.path = folder / FILE
        self.on_relayed: Callable[[Relayed], None] = lambda _: None
        """Called on the event loop when the relay meter has counted something."""
        self.limits = limits
        self._clock = clock
        self._keep_addresses = keep_addresses
        self._store: Store | None = None
        self._queue: deque[tuple[Record, float]] = deque()
        self._queued = 0
        self._wake = asyncio.Event()
        self._ended = False
        self._thread: ThreadPoolExecutor | None = None
        self._failing: Seldom | None = None
        self.lost = 0
        """How many entries found no room that nobody can send again."""
        self._untold = 0
        """As above, since that was last logged."""
        self._losing = Seldom()
        self._clear_at = 0.0
        self._imports = True
        try:
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        except OSError as error:
            raise StartError(f"--journal {folder}: cannot be made: {error.strerror}") from None
        if not os.access(folder, os.W_OK | os.X_OK):
            raise StartError(f"--journal {folder}: cannot be written to")

    @property
    def waiting(self) -> int:
        """How many batches are waiting to be written."""
        return len(self._queue)

    @property
    def lag(self) -> float:
        """For how many seconds the oldest of them has been waiting; 0 if there is none."""
        return self._clock() - self._queue[0][1] if self._queue else 0.0

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncIterator["Journal"]:
        """Write in the background; on the way out, write what is still queued."""
        with ThreadPoolExecutor(1, "record") as self._thread:
            task = asyncio.create_task(self._write_all())
            try:
                yield self
            finally:
                self._ended = True
                self._wake.set()
                await task
                await self._in_thread(self._close)

    def append(self, record: Record) -> bool:
        """Queue `record`; False if what cannot be written has filled the room for it."""
        size = record.size
        if len(self._queue) >= self.limits.journal_queue or self._queued + size > self.limits.journal_queue_bytes:
            return False
        self._queue.append((record, self._clock()))
        self._queued += size
        self._wake.set()
        return True

    def append_or_lose(self, record: Record) -> None:
        """Queue `record`, which nobody can send again; if there is no room for it, count and log that it is lost."""
        if self.append(record):
            return
        self.lost += len(record.entries)
        self._untold += len(record.entries)
        if self._losing.is_due(self._clock()):
            _log.error("! the journal has no room; entries lost: %d", self._untold)
            self._untold = 0

    async def keep_check(self, check: Check) -> None:
        """Keep the report of a network check, under its `id`. Raises `sqlite3.Error` or `OSError`."""
        await self._in_thread(lambda: keep_check(self._opened(), check))

    async def find_check(self, identifier: str) -> Check | None:
        """Return a report that was kept, or None. Raises `sqlite3.Error` or `OSError`."""
        return await self._in_thread(lambda: find_check(self._opened().connection, identifier))

    async def relayed(self) -> Relayed:
        """Return what the relay meter says of this day and month. Raises `sqlite3.Error` or `OSError`."""
        return await self._in_thread(lambda: relayed(self._opened().connection, now=time.time()))

    async def _in_thread(self, work: Callable[[], _T]) -> _T:
        return await asyncio.get_running_loop().run_in_executor(self._thread, work)

    # On the loop.

    async def _write_all(self) -> None:
        while self._queue or not self._ended:
            if not self._queue and not self._imports:
                with contextlib.suppress(TimeoutError):  # what is too old goes, also while nobody comes
                    async with asyncio.timeout(_CLEARING):
                        await self._wake.wait()
            self._wake.clear()
            if not self._ended:
                await asyncio.sleep(GATHERING)
            records = [self._queue[number][0] for number in range(min(len(self._queue), _AT_ONCE))]
            try:
                written = await self._in_thread(lambda records=records: self._write(records))  # type: ignore[misc]
            except Exception as error:  # noqa: BLE001 - whatever it is: without this task nothing is ever written again
                if self._ended:
                    _log.error("! the journal could not be written: %s; %d batches are lost", error, len(self._queue))
                    return
                await self._pause(error)
                continue
            for record in records:
                self._queue.popleft()
                self._queued -= record.size
            each(zip(records, written.kept, strict=True), _confirm)
            if written.relayed:
                each((written.relayed,), self.on_relayed)
            if written.problem:
                await self._pause(written.problem)
            elif self._failing:
                _log.info("= the journal can be written again")
                self._failing = None

    async def _pause(self, error: Exception) -> None:
        """Say that nothing can be written, and wait before the next try; the end does not wait."""
        self._failing = self._failing or Seldom()
        self._failing.is_due(self._clock())
        _log.error("! the journal cannot be written: %s; trying again in %.0f s", error, self._failing.pause)
        until = self._clock() + self._failing.pause
        while not self._ended and (left := until - self._clock()) > 0:
            self._wake.clear()
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._wake.wait(), left)

    # In the thread.

    def _opened(self) -> Store:
        if self._store is None:
            try:
                self._store = Store(self.path, keep_addresses=self._keep_addresses)
            except sqlite3.DatabaseError as error:
                if not _is_broken(error):
                    raise
                self._set_aside()
                self._store = Store(self.path, keep_addresses=self._keep_addresses)
        return self._store

    def _write(self, records: Sequence[Record]) -> _Written:
        """Write, and look after the record. Raises `sqlite3.Error` or `OSError` if nothing was written.

        What was written is confirmed even if looking after it failed: it would be written a second time.
        """
        store, kept = self._tended(lambda: self._stored(records))
        told: Relayed | None = None
        try:
            if grown := store.meter.take_grown():
                told = self._tended(lambda: relayed(store.connection, grown, now=time.time()))
            self._tended(lambda: self._look_after(store))
        except sqlite3.Error as error:
            return _Written(kept, told, error)
        return _Written(kept, told)

    def _stored(self, records: Sequence[Record]) -> tuple[Store, list[int]]:
        store = self._opened()
        return store, store.write(records)

    def _look_after(self, store: Store) -> None:
        thin_the_full(store, self.limits)
        if self._imports:
            self._imports = import_files(store, self.path.parent, keep_addresses=self._keep_addresses)
        elif (now := self._clock()) >= self._clear_at:
            self._clear_at = now + _CLEARING
            keep_within(store, self.limits, now=time.time())

    def _tended(self, work: Callable[[], _T]) -> _T:
        """Do `work`, and put the file aside if it turns out to be damaged. Raises what `work` does."""
        try:
            return work()
        except sqlite3.DatabaseError as error:
            if _is_broken(error):
                self._set_aside()
            raise

    def _set_aside(self) -> None:
        """Put a file that SQLite cannot read out of the way, and begin a new one."""
        self._close()
        aside = self.path.with_name(f"{FILE}.broken-{time.time():.0f}")
        _log.error("! %s is damaged: it becomes %s, and a new one is begun", self.path, aside.name)
        for extension in ("", "-wal", "-shm"):
            with contextlib.suppress(FileNotFoundError):
                self.path.with_name(FILE + extension).replace(aside.with_name(aside.name + extension))

    def _close(self) -> None:
        if self._store is not None:
            self._store.close()
            self._store = None


def _confirm(kept: tuple[Record, int]) -> None:
    record, number = kept
    record.done(number)


def _is_broken(error: sqlite3.DatabaseError) -> bool:
    """Return whether SQLite says so; errors of our own have no code."""
    return getattr(error, "sqlite_errorcode", None) in _BROKEN
