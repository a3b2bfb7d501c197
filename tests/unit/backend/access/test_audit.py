"""The audit log: what stands in it, and what becomes of it on a bad disk."""

import asyncio
import io
import json
import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from backend.access import audit as module
from backend.access.audit import Audit


@pytest.fixture
def audit(tmp_path: Path) -> Iterator[Audit]:
    result = Audit(tmp_path)
    yield result
    result.close()


def lines(folder: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (folder / "audit.log").read_text(encoding="utf-8").splitlines()]


def test_a_line_has_the_time_the_event_and_what_is_not_empty(audit: Audit, tmp_path: Path) -> None:
    audit.note("entered", session="demo", name="", role="guest", invitation=None)
    (line,) = lines(tmp_path)
    assert line.pop("time") > 1_700_000_000
    assert line == {"event": "entered", "session": "demo", "role": "guest"}


@pytest.mark.parametrize("name", ["two\nlines", "\r\x1b[2J", 'a"b\\', "%s %d", "Zoë", "\u2028"])
def test_whatever_somebody_calls_themselves_is_one_line(audit: Audit, tmp_path: Path, name: str) -> None:
    for _ in range(2):
        audit.note("entered", name=name)
    text = (tmp_path / "audit.log").read_text(encoding="utf-8")
    assert text.count("\n") == 2
    assert [json.loads(line)["name"] for line in text.split("\n")[:-1]] == [name] * 2


def test_there_is_no_file_before_there_is_anything_to_say(audit: Audit, tmp_path: Path) -> None:
    assert list(tmp_path.iterdir()) == []
    audit.note("left")
    assert len(lines(tmp_path)) == 1


def test_a_second_run_of_the_server_goes_on_in_the_same_file(audit: Audit, tmp_path: Path) -> None:
    audit.note("entered")
    audit.close()
    again = Audit(tmp_path)
    again.note("left")
    again.close()
    assert [line["event"] for line in lines(tmp_path)] == ["entered", "left"]


def test_a_long_log_is_cut_into_files_of_which_the_oldest_go(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_FILE_BYTES", 200)
    audit = Audit(tmp_path)
    for number in range(1, 100):
        audit.note("entered", number=number)
    audit.close()
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "audit.log",
        *(f"audit.log.{number}" for number in range(1, module._FILES + 1)),
    ]
    assert lines(tmp_path)[-1]["number"] == 99
    assert all(path.stat().st_size <= 200 for path in tmp_path.iterdir())


def test_a_disk_that_takes_nothing_stops_nobody_and_is_told_once(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    folder = tmp_path / "gone"
    audit = Audit(folder)
    with caplog.at_level(logging.ERROR, "ice_console.audit"):
        for _ in range(3):
            audit.note("entered", name="Anna")
    (record,) = caplog.records
    assert str(folder / "audit.log") in record.getMessage()
    assert "No such file" in record.getMessage()
    assert "lines lost: 1;" in record.getMessage()
    assert "Anna" not in record.getMessage()
    folder.mkdir()
    audit.note("left")
    audit.close()
    assert [line["event"] for line in lines(folder)] == ["left"], "and it goes on once there is one"


@pytest.mark.parametrize(("more", "kept"), [(0, 1), (7, 1), (-1, 0)])
def test_on_a_full_disk_the_whole_lines_stay_and_the_half_one_goes(
    audit: Audit, tmp_path: Path, caplog: pytest.LogCaptureFixture, more: int, kept: int
) -> None:
    class Full(io.FileIO):
        """Has room for the first line of a text, and for `more` bytes."""

        def write(self, text: Any) -> int:
            return super().write(text[: text.index(b"\n") + 1 + more])

    audit.note("before")
    audit.close()
    audit._file = Full(tmp_path / "audit.log", "ab")

    async def turn() -> None:
        for event in ("first", "second", "third"):
            audit.note(event)
        audit.close()

    asyncio.run(turn())
    assert [line["event"] for line in lines(tmp_path)] == ["before", "first"][: 1 + kept]
    assert f"lines lost: {3 - kept}; the disk is full" in caplog.text
    audit.note("after")
    assert [line["event"] for line in lines(tmp_path)][-1] == "after", "on a line of its own"


def test_the_lines_of_one_turn_of_the_loop_are_written_together(
    audit: Audit, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    writes: list[bytes] = []
    append = audit._append

    def counted(text: bytes) -> None:
        writes.append(text)
        append(text)

    monkeypatch.setattr(audit, "_append", counted)

    async def turn() -> None:
        audit.note("came")
        audit.note("left")
        await asyncio.sleep(0)
        audit.note("came")
        audit.close()

    asyncio.run(turn())
    assert [text.count(b"\n") for text in writes] == [2, 1]
    assert [line["event"] for line in lines(tmp_path)] == ["came", "left", "came"]
