"""The server's log: a line an event on standard error. A whole session has six.

They are a good part of what a session costs, so no line says where in the code it is from, nor in which thread or
process, and those of one turn of the event loop are written together.
"""

import contextlib
import logging
import time
from collections.abc import Mapping
from types import TracebackType
from typing import Any, TextIO, TypeAlias

from backend.turns import EndOfTurn

_ExcInfo: TypeAlias = tuple[type[BaseException], BaseException, TracebackType | None] | tuple[None, None, None] | None


def write_log() -> None:
    """Write it from now on."""
    # Python's Logging HOWTO, "Optimization".
    logging._srcfile = None  # noqa: SLF001 - as documented there
    logging.setLogRecordFactory(Record)
    handler = Together()
    handler.setFormatter(Lines())
    logging.basicConfig(level=logging.INFO, handlers=[handler])


class Record(logging.LogRecord):
    """A record with what its line needs: filling in all that a format could name takes as long as all the rest."""

    def __init__(  # noqa: PLR0913, PLR0917 - the library calls it so
        self,
        name: str,
        level: int,
        pathname: str,
        lineno: int,
        msg: object,
        args: Any,
        exc_info: _ExcInfo,
        func: str | None = None,
        sinfo: str | None = None,
        **_: object,
    ) -> None:
        self.name, self.levelno, self.levelname = name, level, logging.getLevelName(level)
        self.pathname, self.lineno, self.funcName = pathname, lineno, func or ""
        self.msg = str(msg)
        # A mapping alone gives the values by their names, as in the library's own records.
        self.args = args[0] if args and len(args) == 1 and isinstance(args[0], Mapping) and args[0] else args
        self.exc_info, self.exc_text, self.stack_info = exc_info, None, sinfo
        self.created = time.time()


class Lines(logging.Formatter):
    """Begins each line with the time of day, which it puts into words once a second, and the logger's name."""

    def __init__(self) -> None:
        super().__init__("%(asctime)s %(name)s %(message)s")
        self._told = -1, ""

    def format(self, record: logging.LogRecord) -> str:
        """Return the line of a record; of one with an exception, its lines."""
        if record.exc_info or record.stack_info:
            return super().format(record)
        return f"{self.formatTime(record)} {record.name} {record.getMessage()}"

    def formatTime(self, record: logging.LogRecord, datefmt: str | None = None) -> str:  # noqa: N802 - the library's name
        """Return the time of a record."""
        second, text = self._told
        if int(record.created) != second:
            second = int(record.created)
            text = time.strftime(datefmt or "%H:%M:%S", time.localtime(second))
            self._told = second, text
        return text


class Together(logging.StreamHandler[TextIO]):
    """Writes what is logged in one turn of the event loop in one go; elsewhere, and in other threads, at once.

    A warning or worse does not wait: it may be what explains why the turn never ends.
    """

    def __init__(self, stream: TextIO | None = None) -> None:
        super().__init__(stream)
        self._lines: list[str] = []
        self._end = EndOfTurn(self.flush)

    def emit(self, record: logging.LogRecord) -> None:
        """Have the record's line written."""
        try:
            self._lines.append(self.format(record) + self.terminator)
            if record.levelno >= logging.WARNING:
                self.flush()
            else:
                self._end.ask()
        except Exception:  # noqa: BLE001 - as in the library: nothing may fail because of its log
            self.handleError(record)

    def flush(self) -> None:
        """Write what is waiting."""
        self.acquire()
        try:
            lines, self._lines = self._lines, []
            # Nobody may read it any more; and to log that would be another line that cannot be written.
            with contextlib.suppress(OSError, ValueError):
                if lines:
                    self.stream.write("".join(lines))
                super().flush()
        finally:
            self.release()
