"""The server's log: a line an event on standard error. A whole session has six."""

import logging
import time


def write_log() -> None:
    """Write it from now on."""
    # No line says where in the code it is from, nor in which thread or process: Python's Logging HOWTO, "Optimization".
    logging._srcfile = None  # noqa: SLF001 - as documented there
    logging.logThreads = logging.logProcesses = logging.logMultiprocessing = False
    handler = logging.StreamHandler()
    handler.setFormatter(Lines("%(asctime)s %(name)s %(message)s"))
    logging.basicConfig(level=logging.INFO, handlers=[handler])


class Lines(logging.Formatter):
    """Begins each line with the time of day, which it puts into words once a second."""

    def __init__(self, form: str) -> None:
        super().__init__(form)
        self._told = -1, ""

    def formatTime(self, record: logging.LogRecord, datefmt: str | None = None) -> str:  # noqa: N802 - the library's name
        """Return the time of a record."""
        second, text = self._told
        if int(record.created) != second:
            second = int(record.created)
            text = time.strftime(datefmt or "%H:%M:%S", time.localtime(second))
            self._told = second, text
        return text
