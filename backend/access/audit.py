"""The audit log: who joined, was refused, invited, revoked or left; one JSON object per line, without invitations."""

import io
import logging
import os
import sys
import time
from pathlib import Path

import msgspec

from backend.seldom import Seldom
from backend.turns import EndOfTurn
from pyapp.protocol.wire import Scalar

_log = logging.getLogger("ice_console.audit")

_FILE_BYTES = 10 * 1024 * 1024
_FILES = 5

_encoder = msgspec.json.Encoder()


class Audit:
    """`audit.log` in `folder`, and the older ones beside it: `audit.log.1` and so on.

    The lines of one turn of the event loop are written together, at its end.
    """

    def __init__(self, folder: Path) -> None:
        self._path = folder / "audit.log"
        self._file: io.FileIO | None = None
        self._size = 0
        self._told = Seldom()
        self._lost = 0
        """Lines, since that was last told."""
        self._lines: list[bytes] = []
        self._end = EndOfTurn(self._write)

    def note(self, event: str, **data: Scalar) -> None:
        """Have a line written. What is empty is left out."""
        value = {"time": round(time.time(), 3), "event": event} | {name: each for name, each in data.items() if each}
        self._lines.append(_encoder.encode(value) + b"\n")
        self._end.ask()

    def close(self) -> None:
        """Write what is waiting, and close the file; the next line opens it again."""
        self._write()
        self._close_file()

    def _close_file(self) -> None:
        if self._file:
            self._file.close()
            self._file = None

    def _write(self) -> None:
        lines, self._lines = self._lines, []
        if not lines:
            return
        self._lost += len(lines)
        try:
            self._append(b"".join(lines))
        except OSError:
            self._close_file()  # it may be another disk, or another folder, by the next line
            if self._told.is_due(time.monotonic()):
                _log.error("! %s cannot be written, lines lost: %d; %s", self._path, self._lost, sys.exception())
                self._lost = 0

    def _append(self, lines: bytes) -> None:
        file = self._file or self._open()
        if self._size + len(lines) > _FILE_BYTES:
            self._rotate()
            file = self._open()
        written = file.write(lines) or 0
        self._size += written
        whole = lines.rfind(b"\n", 0, written) + 1
        self._lost -= lines.count(b"\n", 0, whole)
        if written < len(lines):  # the disk is full: half a line would spoil the next one
            if whole < written:
                file.truncate(file.tell() - written + whole)
            raise OSError("the disk is full")

    def _open(self) -> io.FileIO:
        descriptor = os.open(self._path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o600)
        self._file = file = os.fdopen(descriptor, "ab", buffering=0)
        self._size = file.seek(0, os.SEEK_END)
        return file

    def _rotate(self) -> None:
        self._close_file()
        for number in range(_FILES, 0, -1):
            older = self._path.with_name(f"{self._path.name}.{number}")
            newer = self._path.with_name(f"{self._path.name}.{number - 1}") if number > 1 else self._path
            if newer.exists():
                newer.replace(older)
