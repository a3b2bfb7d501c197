"""What a line of the log looks like."""

import logging
import time

from backend.logs import Lines


def test_a_line_has_the_time_of_its_own_second() -> None:
    lines = Lines("%(asctime)s %(name)s %(message)s")
    record = logging.LogRecord("ice_console.http", logging.INFO, "", 0, "< %s", (200,), None)
    for created in (1_000_000_000.25, 1_000_000_000.75, 1_000_003_661.5):
        record.created = created
        told = time.strftime("%H:%M:%S", time.localtime(int(created)))
        assert lines.format(record) == f"{told} ice_console.http < 200"
