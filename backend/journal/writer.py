"""The journal: what happened in a session, one JSON object a line, one file a session.

One task writes it in a thread, in batches, so that a slow disk delays neither signaling nor other sessions. A full file
is thinned (`thinning.py`). No credential and no invitation is ever written.
"""

import asyncio
import contextlib
import errno
import json
import logging
import os
import re
import time
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from backend.access.limits import Limits
from backend.journal.files import file_name
from backend.journal.thinning import thin
from backend.seldom import Seldom
from backend.settings import StartError
from pyapp.protocol.journal import JournalEntry
from pyapp.protocol.wire import Scalar

_log = logging.getLogger("ice_console.journal")

_REDACTED = "[redacted]"
_EVERYWHERE = ""  # no session is called so
_WHOLE_DISK = (errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EIO)
_MAX_PARTICIPANTS = 4096  # whose highest entry number is remembered
_SENSITIVE = re.compile(r"credential|password|secret|invit|token|authori[sz]ation|(^|[^a-z])(key|pwd)$", re.IGNORECASE)
# A JWT (RFC 7519; its header starts with '{"', which is 'eyJ'), and an ICE password in SDP (RFC 8839, section 5.4).
_SECRET_TEXT = re.compile(r"eyJ[\w-]+\.[\w-]+\.[\w-]*|(?<=ice-pwd:)[\w+/]+|(?<=invite=)[^\s&]+")


@dataclass(frozen=True, slots=True)
class Record:
    """Entries of one participant, to be appended to the file of `session`. `at` is the server's Unix time, seconds.

    `done` is called on the event loop with the highest number stored, or None if writing failed.
    """

    session: str
    participant: str
    at: float
    entries: tuple[JournalEntry, ...]
    done: Callable[[int | None], None]
    invitation: str = field(default="", repr=False)


class Journal:
    """All journal files under one folder. Use as `async with Journal(...).running()`."""

    def __init__(self, folder: Path, *, limits: Limits, clock: Callable[[], float] = time.monotonic) -> None:
        """Make the folder. Raises `StartError` if that cannot be done. `clock` is in seconds."""
        self._clock = clock
        self._folder = folder
        self.limits = limits
        self._queue: asyncio.Queue[Record | None] = asyncio.Queue(limits.journal_queue)
        self._kept: dict[tuple[str, str], int] = {}
        self._pauses: dict[str, Seldom] = {}
        """By session, or for all: pauses after a failure to write."""
        self._missed: dict[tuple[str, str], None] = {}
        """Sessions and participants with unwritten entries, the latest last."""
        self._files: dict[str, None] | None = None
        """The existing files, the last written one last; None before they were listed."""
        try:
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        except OSError as error:
            raise StartError(f"--journal {folder}: cannot be made: {error.strerror}") from None
        if not os.access(folder, os.W_OK | os.X_OK):
            raise StartError(f"--journal {folder}: cannot be written to")

    @property
    def waiting(self) -> int:
        """How many batches are waiting to be written."""
        return self._queue.qsize()

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncIterator["Journal"]:
        """Write in the background; on the way out, write what is still queued."""
        task = asyncio.create_task(self._write_all())
        try:
            yield self
        finally:
            await self._queue.put(None)
            await task

    def append(self, record: Record) -> bool:
        """Queue `record`; False if the disk is so far behind that the queue is full."""
        try:
            self._queue.put_nowait(record)
        except asyncio.QueueFull:
            return False
        return True

    async def _write_all(self) -> None:
        ended = False
        while not ended:
            batch = [await self._queue.get()]
            while not self._queue.empty():
                batch.append(self._queue.get_nowait())
            ended = None in batch
            records = [record for record in batch if record is not None]
            kept = await asyncio.to_thread(self._write, records)
            for record in records:
                if id(record) in kept:
                    record.done(kept[id(record)])

    def _write(self, records: Sequence[Record]) -> dict[int, int | None]:
        """Write a batch of records; return the argument for each one's `done`, by the record's identity.

        While nothing can be written `done` is not called, or every page would send everything again and again.
        """
        by_session: dict[str, list[Record]] = {}
        for record in records:
            by_session.setdefault(record.session, []).append(record)
        kept: dict[int, int | None] = {}
        for session, group in by_session.items():
            kept |= self._write_session(session, group)
        return kept

    def _write_session(self, session: str, records: Sequence[Record]) -> dict[int, int | None]:
        now = self._clock()
        if any(where in self._pauses and now < self._pauses[where].next_at for where in (_EVERYWHERE, session)):
            self._miss(session, records)
            return {}
        highest: dict[str, int] = {}
        kept: dict[int, int | None] = {}
        lines = []
        for record in records:
            if _is_of_page(record) and (session, record.participant) in self._missed:
                # Earlier entries are missing: the page sends everything again.
                del self._missed[session, record.participant]
                kept[id(record)] = None
                continue
            last = highest.get(record.participant, self._kept.get((session, record.participant), 0))
            # The page sends unconfirmed entries again; the server's own entries have number 0.
            fresh = [entry for entry in record.entries if entry.number == 0 or entry.number > last]
            lines += [to_line(record, entry) for entry in fresh]
            kept[id(record)] = highest[record.participant] = max([last, *(entry.number for entry in fresh)])
        try:
            if lines:
                self._append(session, b"".join(lines))
                for where in (_EVERYWHERE, session):
                    if self._pauses.pop(where, None):
                        _log.info("= the journal can be written again")
        except OSError as error:
            where = _EVERYWHERE if error.errno in _WHOLE_DISK else session
            is_first = where not in self._pauses
            pause = self._pauses.setdefault(where, Seldom())
            pause.is_due(now)
            _log.error(
                "! journal of %s cannot be written: %s; trying again in %.0f s", session, error.strerror, pause.pause
            )
            if is_first:
                return dict.fromkeys(kept)
            self._miss(session, records)
            return {}
        for participant, number in highest.items():
            self._kept.pop((session, participant), None)  # to the end: those silent for longest are forgotten first
            if number:
                self._kept[session, participant] = number
                if len(self._kept) > _MAX_PARTICIPANTS:
                    del self._kept[next(iter(self._kept))]
        return kept

    def _miss(self, session: str, records: Sequence[Record]) -> None:
        """Remember whose entries must be sent again; the server's own are lost."""
        for record in filter(_is_of_page, records):
            self._missed[session, record.participant] = None
            if len(self._missed) > _MAX_PARTICIPANTS:
                del self._missed[next(iter(self._missed))]

    def _append(self, session: str, lines: bytes) -> None:
        path = self._folder / f"{file_name(session)}.jsonl"
        with contextlib.suppress(FileNotFoundError):
            if path.stat().st_size + len(lines) > self.limits.journal_file_bytes:
                self._thin(path)
        self._make_room(path.name)
        descriptor = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
        with os.fdopen(descriptor, "ab", buffering=0) as file:
            before = file.tell()
            try:
                while lines:
                    lines = lines[file.write(lines) or 0 :]
            except OSError:
                file.truncate(before)  # half a line would spoil the next one
                raise

    def _thin(self, path: Path) -> None:
        """Thin the file at `path`. It is replaced atomically, so that a crash leaves either the old or the new one."""
        with os.fdopen(os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC), "rb") as file:
            # A line that was cut off when a disk was full is no entry.
            kept = [line for line in file.read().splitlines(keepends=True) if line.endswith(b"}\n")]
        draft = path.with_name(f".{path.name}.draft")
        draft.unlink(missing_ok=True)
        descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            file.writelines(thin(kept, limit=self.limits.journal_file_bytes))
        draft.replace(path)

    def _make_room(self, name: str) -> None:
        """Record that `name` is the last written file, and delete the oldest files above the limit."""
        if self._files is None:
            files = sorted(self._folder.glob("*.jsonl*"), key=lambda path: path.stat().st_mtime)
            self._files = dict.fromkeys(path.name for path in files)
        self._files.pop(name, None)
        self._files[name] = None
        while len(self._files) > self.limits.journal_files:
            oldest = next(iter(self._files))
            (self._folder / oldest).unlink(missing_ok=True)
            del self._files[oldest]


def _is_of_page(record: Record) -> bool:
    return any(entry.number for entry in record.entries)


def to_line(record: Record, entry: JournalEntry) -> bytes:
    """Return the line for `entry`, without secrets."""
    value = {
        "time": round(record.at, 3),
        "participant": record.participant,
        "number": entry.number,
        "at": entry.at,
        "event": entry.event,
        "data": redact(entry.data, invitation=record.invitation),
    }
    return json.dumps(value, separators=(",", ":"), allow_nan=False).encode() + b"\n"


def redact(data: Mapping[str, Scalar], *, invitation: str = "") -> dict[str, Scalar]:
    """Return `data` without credentials, keys and invitations, whether by the name of a field or inside a text."""
    return {
        _redact_text(name, invitation): _REDACTED
        if _SENSITIVE.search(name) and value
        else _redact_text(value, invitation)
        if isinstance(value, str)
        else value
        for name, value in data.items()
    }


def _redact_text(text: str, invitation: str) -> str:
    if invitation:
        text = text.replace(invitation, _REDACTED)
    return _SECRET_TEXT.sub(_REDACTED, text)


def server_entry(event: str, data: Mapping[str, Scalar], *, at: float) -> JournalEntry:
    """Return an entry that the server itself writes, at `at` (Unix time, seconds)."""
    return JournalEntry(0, at * 1000, event, data)
