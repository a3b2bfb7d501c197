"""What a line of the log looks like, and when it is written."""

import asyncio
import io
import logging
import sys
import threading
import time
from typing import Any

import pytest

from backend.logs import Lines, Record, Together


def record(message: str, *args: Any, exc_info: Any = None, level: int = logging.INFO) -> logging.LogRecord:
    return Record("ice_console.http", level, "", 0, message, args, exc_info)


class Disk(io.StringIO):
    """Remembers each write."""

    def __init__(self) -> None:
        super().__init__()
        self.written: list[str] = []

    def write(self, text: str) -> int:
        self.written.append(text)
        return len(text)


def log_to(stream: io.StringIO) -> Together:
    handler = Together(stream)
    handler.setFormatter(logging.Formatter("%(message)s"))
    return handler


def test_a_line_has_the_time_of_its_own_second() -> None:
    lines = Lines()
    one = record("< %s", 200)
    for created in (1_000_000_000.25, 1_000_000_000.75, 1_000_003_661.5):
        one.created = created
        told = time.strftime("%H:%M:%S", time.localtime(int(created)))
        assert lines.format(one) == f"{told} ice_console.http < 200"


def test_an_exception_is_written_with_its_traceback() -> None:
    try:
        int("no number")
    except ValueError:
        text = Lines().format(record("! failed", exc_info=sys.exc_info()))
    first, *_, last = text.splitlines()
    assert first.endswith("ice_console.http ! failed")
    assert last.startswith("ValueError: ")


@pytest.mark.parametrize("args", [("a", 1), ({"name": "a"},), (), ({},), (None,)])
def test_a_record_says_what_the_librarys_own_does(args: tuple[Any, ...]) -> None:
    message = {2: "%s %d", 1: "%(name)s" if args and args[0] else "%s", 0: "100 %"}[len(args)]
    own = logging.LogRecord("ice_console.http", logging.INFO, "", 0, message, args, None)
    assert record(message, *args).getMessage() == own.getMessage()
    assert record(message, *args).levelname == own.levelname


def test_the_lines_of_one_turn_are_written_together() -> None:
    disk = Disk()
    handler = log_to(disk)

    async def turns() -> None:
        for number in range(2):
            handler.handle(record("%d one", number))
            handler.handle(record("%d two", number))
            await asyncio.sleep(0)

    asyncio.run(turns())
    assert disk.written == ["0 one\n0 two\n", "1 one\n1 two\n"]


def test_a_line_of_another_thread_is_written_at_once_after_those_before_it() -> None:
    disk = Disk()
    handler = log_to(disk)

    async def turn() -> None:
        handler.handle(record("one"))
        thread = threading.Thread(target=lambda: handler.handle(record("two")))
        thread.start()
        thread.join()
        assert "".join(disk.written) == "one\ntwo\n"

    asyncio.run(turn())


def test_what_waits_when_the_program_ends_is_written() -> None:
    disk = Disk()
    handler = log_to(disk)

    async def turn() -> None:
        handler.handle(record("the last"))
        assert disk.written == []
        handler.flush()  # as logging.shutdown() does
        assert disk.written == ["the last\n"]

    asyncio.run(turn())
    assert disk.written == ["the last\n"]


@pytest.mark.parametrize("level", [logging.WARNING, logging.ERROR, logging.CRITICAL])
def test_a_warning_is_written_before_its_turn_ends_after_the_lines_before_it(level: int) -> None:
    disk = Disk()
    handler = log_to(disk)

    async def turn() -> None:
        handler.handle(record("one"))
        handler.handle(record("two", level=level))
        assert disk.written == ["one\ntwo\n"]

    asyncio.run(turn())
    assert disk.written == ["one\ntwo\n"]


def test_a_log_that_nobody_reads_stops_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    class Closed(io.StringIO):
        def write(self, _: str) -> int:
            raise BrokenPipeError

    handler = log_to(Closed())
    handler.handle(record("one"))
    assert capsys.readouterr().err == ""
    faults: list[dict[str, Any]] = []

    async def turns() -> None:
        asyncio.get_running_loop().set_exception_handler(lambda _, fault: faults.append(fault))
        handler.handle(record("two"))
        await asyncio.sleep(0)

    asyncio.run(turns())
    assert faults == []
