"""The audit log: who joined, was refused, invited, revoked or left; one JSON object per line, without invitations."""

import json
import logging
import sys
import time
from logging.handlers import RotatingFileHandler
from pathlib import Path
from typing import Any

from backend.seldom import Seldom
from pyapp.protocol.wire import Scalar

_log = logging.getLogger("ice_console.audit")

_FILE_BYTES = 10 * 1024 * 1024
_FILES = 5


class Audit:
    """`audit.log` in `folder`, and the older ones beside it: `audit.log.1` and so on."""

    def __init__(self, folder: Path) -> None:
        self._file = _File(folder / "audit.log", maxBytes=_FILE_BYTES, backupCount=_FILES, encoding="utf-8", delay=True)

    def note(self, event: str, **data: Scalar) -> None:
        """Write a line. What is empty is left out."""
        value = {"time": round(time.time(), 3), "event": event} | {name: each for name, each in data.items() if each}
        line = json.dumps(value, separators=(",", ":"), ensure_ascii=False)
        self._file.handle(logging.LogRecord("audit", logging.INFO, "", 0, line, None, None))

    def close(self) -> None:
        """Close the file."""
        self._file.close()


class _File(RotatingFileHandler):
    def __init__(self, *given: Any, **options: Any) -> None:
        super().__init__(*given, **options)
        self._told = Seldom()

    def handleError(self, _record: logging.LogRecord) -> None:  # noqa: N802 - the name of the standard library
        if self._told.is_due(time.monotonic()):
            _log.error("! %s cannot be written: %s", self.baseFilename, sys.exception())
