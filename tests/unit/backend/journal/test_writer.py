"""The journal: lines, redaction, limits."""

import asyncio
import json
import os
import stat
from pathlib import Path
from typing import Any

import pytest

from backend.access.limits import Limits
from backend.journal.writer import Journal, Record, redact
from backend.settings import StartError
from pyapp.protocol.journal import JournalEntry
from pyapp.protocol.wire import Scalar

A, B = "a" * 32, "b" * 32


def entry(number: int, data: dict[str, Scalar] | None = None) -> JournalEntry:
    return JournalEntry(number, 1000.0 + number, "ice-state", data or {})


class Writer:
    """Appends and waits until it is confirmed."""

    def __init__(self, journal: Journal) -> None:
        self.journal = journal

    async def append(
        self, *entries: JournalEntry, session: str = "demo", participant: str = A, invitation: str = ""
    ) -> int | None:
        confirmed: asyncio.Future[int | None] = asyncio.get_running_loop().create_future()
        record = Record(session, participant, 7.5, entries, confirmed.set_result, invitation)
        assert self.journal.append(record)
        return await confirmed


def lines(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def names(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


async def test_one_line_for_each_entry_in_a_file_for_each_session(tmp_path: Path) -> None:
    folder = tmp_path / "deep" / "journal"
    async with Journal(folder, limits=Limits()).running() as journal:
        writer = Writer(journal)
        assert await writer.append(entry(1, {"state": "checking", "rtt": 0.5, "ok": True, "none": None}), entry(2)) == 2
        assert await writer.append(entry(1), session="other", participant=B) == 1
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert names(folder) == {"demo.jsonl", "other.jsonl"}
    assert stat.S_IMODE((folder / "demo.jsonl").stat().st_mode) == 0o600
    first, second = lines(folder / "demo.jsonl")
    assert first == {
        "time": 7.5,
        "participant": A,
        "number": 1,
        "at": 1001.0,
        "event": "ice-state",
        "data": {"state": "checking", "rtt": 0.5, "ok": True, "none": None},
    }
    assert second["number"] == 2


async def test_what_was_sent_again_is_written_once(tmp_path: Path) -> None:
    async with Journal(tmp_path, limits=Limits()).running() as journal:
        writer = Writer(journal)
        assert await writer.append(entry(1), entry(2)) == 2
        assert await writer.append(entry(1), entry(2), entry(3)) == 3
        assert await writer.append(entry(2)) == 3
        assert await writer.append(entry(1), participant=B) == 1
    assert [(line["participant"], line["number"]) for line in lines(tmp_path / "demo.jsonl")] == [
        (A, 1),
        (A, 2),
        (A, 3),
        (B, 1),
    ]


async def test_entries_of_the_server_are_all_written(tmp_path: Path) -> None:
    async with Journal(tmp_path, limits=Limits()).running() as journal:
        await Writer(journal).append(entry(0))
        await Writer(journal).append(entry(0))
    assert len(lines(tmp_path / "demo.jsonl")) == 2


async def test_what_is_queued_at_the_end_is_written(tmp_path: Path) -> None:
    async with Journal(tmp_path, limits=Limits()).running() as journal:
        for number in range(1, 51):
            assert journal.append(Record("demo", A, 1.0, (entry(number),), lambda _number: None))
    assert [line["number"] for line in lines(tmp_path / "demo.jsonl")] == list(range(1, 51))


async def test_a_full_queue_says_so(tmp_path: Path) -> None:
    journal = Journal(tmp_path, limits=Limits(journal_queue=1))
    record = Record("demo", A, 1.0, (entry(1),), lambda _number: None)
    assert journal.append(record)
    assert not journal.append(record)


async def test_a_full_file_keeps_the_beginning_of_the_session_and_its_outages(tmp_path: Path) -> None:
    limit = 20_000
    async with Journal(tmp_path, limits=Limits(journal_file_bytes=limit)).running() as journal:
        for number in range(1, 1001):
            event = "restart" if number % 100 == 0 else "sample"
            await Writer(journal).append(JournalEntry(number, 1.0, event, {"text": "x" * 100}))
    assert names(tmp_path) == {"demo.jsonl"}
    assert (tmp_path / "demo.jsonl").stat().st_size <= limit
    assert stat.S_IMODE((tmp_path / "demo.jsonl").stat().st_mode) == 0o600
    written = [line for line in lines(tmp_path / "demo.jsonl") if line["event"] != "server-thinned"]
    assert [line["number"] for line in written[:15]] == list(range(1, 16))
    assert written[-1]["number"] == 1000
    assert [line["number"] for line in written if line["event"] == "restart"] == list(range(100, 1001, 100))


async def test_a_line_that_was_cut_off_is_left_out_when_the_file_is_thinned(tmp_path: Path) -> None:
    (tmp_path / "demo.jsonl").write_bytes(b'{"cut off\n' * 1000)
    async with Journal(tmp_path, limits=Limits(journal_file_bytes=1000)).running() as journal:
        await Writer(journal).append(entry(1))
    assert [line["number"] for line in lines(tmp_path / "demo.jsonl")] == [1]


async def test_the_number_of_files_is_bounded(tmp_path: Path) -> None:
    async with Journal(tmp_path, limits=Limits(journal_files=3)).running() as journal:
        for number in range(6):
            await Writer(journal).append(entry(1), session=f"session-{number}")
    assert len(names(tmp_path)) == 3
    assert "session-5.jsonl" in names(tmp_path)


async def test_a_failure_to_write_is_told_and_the_entries_can_be_sent_again(tmp_path: Path) -> None:
    (tmp_path / "demo.jsonl").mkdir()
    now = [0.0]
    async with Journal(tmp_path, limits=Limits(), clock=lambda: now[0]).running() as journal:
        assert await Writer(journal).append(entry(1)) is None
        assert await Writer(journal).append(entry(1), session="other") == 1, "it is about one file"
        (tmp_path / "demo.jsonl").rmdir()
        now[0] = 1.0
        assert await Writer(journal).append(entry(1)) == 1


class Disk:
    """One that is full as long as `is_full`, in a journal whose clock stands still."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.is_full, self.now, self.answers = True, 0.0, list[int | None]()
        self.journal = Journal(folder, limits=Limits(), clock=lambda: self.now)
        append = self.journal._append

        def to_disk(session: str, lines: bytes) -> None:
            if self.is_full:
                raise OSError(28, "No space left on device")
            append(session, lines)

        monkeypatch.setattr(self.journal, "_append", to_disk)

    def send(self, *numbers: int, session: str = "demo") -> list[int | None]:
        """Return what the page is told."""
        before = len(self.answers)
        record = Record(session, A, 7.5, tuple(entry(number) for number in numbers), self.answers.append)
        for answer in self.journal._write([record]).values():
            record.done(answer)
        return self.answers[before:]


def test_a_full_disk_is_told_once_and_then_ever_more_seldom(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    disk = Disk(tmp_path, monkeypatch)
    for at in range(1000):
        disk.now = float(at)
        disk.send(*range(1, at + 2))
        disk.send(1, session="other")
    told = [record.message for record in caplog.records if "No space left" in record.message]
    assert len(told) < 30
    assert told[0] == "! journal of demo cannot be written: No space left on device; trying again in 1 s"
    assert told[-1].endswith("trying again in 60 s")
    assert len(disk.answers) < 50, "nor is any page asked to send it all again each time"


def test_once_there_is_room_nothing_is_missing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    disk = Disk(tmp_path, monkeypatch)
    assert disk.send(1, 2) == [None]
    assert disk.send(3) == [], "while it waits nobody is told"
    disk.send(0)
    disk.is_full, disk.now = False, 1.0
    assert disk.send(0) == [0], "what the server has to say needs nothing before it"
    assert disk.send(4) == [None], "what came before is to be sent again"
    assert disk.send(1, 2, 3, 4) == [4]
    assert [line["number"] for line in lines(tmp_path / "demo.jsonl")] == [0, 1, 2, 3, 4]
    assert "= the journal can be written again" in caplog.text


def test_a_line_that_did_not_fit_is_taken_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    journal = Journal(tmp_path, limits=Limits())
    journal._append("demo", b'{"first":1}\n')
    opened = os.fdopen

    def nearly_full(descriptor: int, *given: Any, **options: Any) -> Any:
        file = opened(descriptor, *given, **options)
        write = file.write

        class Full:
            def __enter__(self) -> Any:
                file.__enter__()
                return self

            def __exit__(self, *raised: object) -> None:
                file.__exit__(*raised)

            def __getattr__(self, name: str) -> Any:
                return getattr(file, name)

            def write(self, data: bytes) -> int:
                if len(data) < 10:
                    raise OSError(28, "No space left on device")
                return int(write(data[:8]))

        return Full()

    monkeypatch.setattr(os, "fdopen", nearly_full)
    with pytest.raises(OSError, match="No space left"):
        journal._append("demo", b'{"second":2}\n')
    monkeypatch.undo()
    journal._append("demo", b'{"third":3}\n')
    assert lines(tmp_path / "demo.jsonl") == [{"first": 1}, {"third": 3}]


async def test_a_link_is_not_followed(tmp_path: Path) -> None:
    (tmp_path / "journal").mkdir()
    (tmp_path / "journal" / "demo.jsonl").symlink_to(tmp_path / "elsewhere")
    async with Journal(tmp_path / "journal", limits=Limits()).running() as journal:
        assert await Writer(journal).append(entry(1)) is None
    assert not (tmp_path / "elsewhere").exists()


async def test_no_invitation_is_written(tmp_path: Path) -> None:
    async with Journal(tmp_path, limits=Limits()).running() as journal:
        await Writer(journal).append(entry(1, {"text": "sent abc-def here", "credential": "x"}), invitation="abc-def")
    text = (tmp_path / "demo.jsonl").read_text(encoding="utf-8")
    assert "abc-def" not in text
    assert lines(tmp_path / "demo.jsonl")[0]["data"] == {"text": "sent [redacted] here", "credential": "[redacted]"}


@pytest.mark.parametrize(
    "name",
    [
        "credential",
        "turnCredential",
        "password",
        "secret",
        "invitation",
        "invite",
        "token",
        "key",
        "api-key",
        "authorization",
        "Authorization",
        "ice-pwd",
    ],
)
def test_fields_with_these_names_are_redacted(name: str) -> None:
    assert redact({name: "value"}) == {name: "[redacted]"}
    assert redact({name: None}) == {name: None}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Bearer eyJhbGciOiJIUzI1NiJ9.eyJhdWQiOiJkZW1vIn0.c2ln-_x end", "Bearer [redacted] end"),
        ("a=ice-ufrag:abcd\r\na=ice-pwd:se+c/ret\r\n", "a=ice-ufrag:abcd\r\na=ice-pwd:[redacted]\r\n"),
        ("https://h/?session=a#invite=anything", "https://h/?session=a#invite=[redacted]"),
        ("candidate:1 1 udp 1 192.0.2.1 9 typ host", "candidate:1 1 udp 1 192.0.2.1 9 typ host"),
    ],
)
def test_secrets_inside_a_text_are_redacted(text: str, expected: str) -> None:
    assert redact({"text": text}) == {"text": expected}


def test_harmless_fields_stay() -> None:
    data: dict[str, Scalar] = {"keyboard": "x", "url": "turn:t:3478", "username": "1:demo", "code": 401}
    assert redact(data) == data


def test_a_folder_that_cannot_be_made(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("", encoding="utf-8")
    with pytest.raises(StartError, match=r"--journal .* cannot be made"):
        Journal(tmp_path / "file" / "journal", limits=Limits())
