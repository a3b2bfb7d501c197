"""The writer: acknowledgements, a full disk, a damaged file."""

import asyncio
import contextlib
import json
import sqlite3
import stat
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from backend.access.limits import Limits
from backend.journal import writer as module
from backend.journal.checks import Check, new_id
from backend.journal.entry import Record
from backend.journal.reading import entries_of
from backend.journal.store import Store
from backend.journal.writer import Journal
from backend.settings import StartError
from pyapp.protocol.journal import JournalEntry
from pyapp.protocol.wire import Scalar
from tests.unit.waiting import until

A, B = "a" * 32, "b" * 32
NOW = round(time.time(), 3)  # what is very old is not kept


def entry(number: int, data: dict[str, Scalar] | None = None) -> JournalEntry:
    return JournalEntry(number, 1000.0 + number, "ice-state", data or {})


class Writer:
    """Appends and waits until it is confirmed."""

    def __init__(self, journal: Journal) -> None:
        self.journal = journal

    async def append(
        self, *entries: JournalEntry, session: str = "demo", participant: str = A, invitation: str = ""
    ) -> int:
        confirmed: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        record = Record(session, participant, NOW, entries, confirmed.set_result, invitation)
        assert self.journal.append(record)
        return await asyncio.wait_for(confirmed, 30)


def files(folder: Path) -> list[Path]:
    return sorted(folder.iterdir())


def told(caplog: pytest.LogCaptureFixture, text: str) -> list[str]:
    return [record.message for record in caplog.records if text in record.message]


def written(folder: Path, session: str = "demo") -> list[tuple[str, int]]:
    return [(line["participant"], line["number"]) for line in entries_of(folder, session)]


async def test_what_is_told_is_in_the_record(tmp_path: Path) -> None:
    folder = tmp_path / "deep" / "journal"
    async with Journal(folder, limits=Limits()).running() as journal:
        writer = Writer(journal)
        assert await writer.append(entry(1, {"state": "checking", "rtt": 0.5, "ok": True, "none": None}), entry(2)) == 2
        assert await writer.append(entry(1), session="other", participant=B) == 1
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert {stat.S_IMODE(path.stat().st_mode) for path in files(folder)} == {0o600}
    first, second = entries_of(folder, "demo")
    assert first == {
        "time": NOW,
        "participant": A,
        "number": 1,
        "at": 1001.0,
        "event": "ice-state",
        "data": {"state": "checking", "rtt": 0.5, "ok": True, "none": None},
    }
    assert second["number"] == 2
    assert written(folder, "other") == [(B, 1)]
    assert written(folder, "nothing") == []


async def test_what_was_sent_again_is_written_once_also_to_a_server_that_was_started_again(tmp_path: Path) -> None:
    async with Journal(tmp_path, limits=Limits()).running() as journal:
        writer = Writer(journal)
        assert await writer.append(entry(1), entry(2)) == 2
        assert await writer.append(entry(1), entry(2), entry(3)) == 3
        assert await writer.append(entry(2)) == 3
        assert await writer.append(entry(1), participant=B) == 1
        assert await writer.append(entry(0)) == 3
        assert await writer.append(entry(0)) == 3
    async with Journal(tmp_path, limits=Limits()).running() as journal:
        assert await Writer(journal).append(entry(2), entry(3), entry(4)) == 4
        assert await Writer(journal).append(entry(0)) == 4
    of_page = [one for one in written(tmp_path) if one[1]]
    assert sorted(of_page) == [(A, 1), (A, 2), (A, 3), (A, 4), (B, 1)]
    assert len(written(tmp_path)) == len(of_page) + 3


async def test_what_is_queued_at_the_end_is_written(tmp_path: Path) -> None:
    async with Journal(tmp_path, limits=Limits()).running() as journal:
        for number in range(1, 601):
            assert journal.append(Record("demo", A, NOW, (entry(number),), lambda _number: None))
    assert [number for _, number in written(tmp_path)] == list(range(1, 601))


@pytest.mark.parametrize("limits", [Limits(journal_queue=1), Limits(journal_queue_bytes=1000)])
async def test_a_full_queue_says_so(tmp_path: Path, limits: Limits) -> None:
    journal = Journal(tmp_path, limits=limits)
    record = Record("demo", A, NOW, (entry(1),), lambda _number: None)
    assert journal.append(record)
    assert not journal.append(record)
    assert journal.waiting == 1


@pytest.mark.parametrize("error", [RuntimeError("out of order"), OverflowError("too large")])
async def test_a_fault_of_ours_does_not_end_the_writing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, error: Exception
) -> None:
    write: Callable[[Store, Sequence[Record]], list[int]] = Store.write

    def failing(_store: Store, _records: Sequence[Record]) -> list[int]:
        monkeypatch.setattr(Store, "write", write)
        raise error

    monkeypatch.setattr(Store, "write", failing)
    async with Journal(tmp_path, limits=Limits()).running() as journal:
        assert await Writer(journal).append(entry(1)) == 1
    assert str(error) in caplog.text


async def test_who_cannot_be_told_that_it_is_written_does_not_end_the_writing(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    def failing(_number: int) -> None:
        raise RuntimeError("out of order")

    async with Journal(tmp_path, limits=Limits()).running() as journal:
        assert journal.append(Record("demo", A, NOW, (entry(1),), failing))
        assert await Writer(journal).append(entry(2)) == 2
    assert "out of order" in caplog.text


async def test_what_is_lost_for_want_of_room_is_counted_and_logged_seldom(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    now = [0.0]
    journal = Journal(tmp_path, limits=Limits(journal_queue=1), clock=lambda: now[0])
    two = Record("demo", A, NOW, (entry(1), entry(2)), lambda _number: None)
    journal.append_or_lose(two)
    assert (journal.lost, caplog.messages) == (0, [])
    for now[0] in (0.0, 0.1, 0.2, 5.0):
        journal.append_or_lose(two)
    assert journal.lost == 8
    assert caplog.messages == [f"! the journal has no room; entries lost: {lost}" for lost in (2, 6)]


class Disk:
    """One that is full as long as `is_full`."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.is_full, self.tried = True, 0
        write: Callable[[Store, Sequence[Record]], list[int]] = Store.write
        disk = self

        def to_disk(store: Store, records: Sequence[Record]) -> list[int]:
            disk.tried += 1
            if disk.is_full:
                raise sqlite3.OperationalError("database or disk is full")
            return write(store, records)

        monkeypatch.setattr(Store, "write", to_disk)


async def test_once_there_is_room_nothing_is_missing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    disk = Disk(monkeypatch)
    now = [0.0]

    def clock() -> float:
        now[0] += 0.9  # a second passes in no time
        return now[0]

    async with Journal(tmp_path, limits=Limits(), clock=clock).running() as journal:
        answers: list[int] = []
        for number in (1, 0, 2):
            assert journal.append(Record("demo", A, NOW, (entry(number),), answers.append))
        await until(lambda: len(told(caplog, "disk is full")) >= 2)
        assert not answers, "what is not stored is not confirmed"
        assert journal.lag > 1
        disk.is_full = False
        assert await Writer(journal).append(entry(3)) == 3
        assert journal.lag == 0
        assert answers == [1, 1, 2]
    first, second, *_ = told(caplog, "disk is full")
    assert first == "! the journal cannot be written: database or disk is full; trying again in 1 s"
    assert second.endswith("trying again in 2 s")
    assert sorted(number for _, number in written(tmp_path)) == [0, 1, 2, 3]
    assert "= the journal can be written again" in caplog.text


async def test_a_disk_that_stays_full_does_not_keep_the_server_from_its_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    Disk(monkeypatch)
    async with Journal(tmp_path, limits=Limits()).running() as journal:
        journal.append(Record("demo", A, NOW, (entry(1),), lambda _number: None))
    assert "1 batches are lost" in caplog.text


async def test_a_real_full_disk_takes_nothing_back_that_was_confirmed(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async with Journal(tmp_path, limits=Limits()).running() as journal:
        assert await Writer(journal).append(entry(1)) == 1
        store = journal._store
        assert store is not None
        [pages] = store.connection.execute("pragma page_count").fetchone()
        store.connection.execute(f"pragma max_page_count = {pages}")
        waiting = asyncio.create_task(Writer(journal).append(*(entry(2 + n, {"text": "x" * 1000}) for n in range(99))))
        await until(lambda: bool(told(caplog, "disk is full")))
        store.connection.execute("pragma max_page_count = 1000000")
        assert await waiting == 100
    assert [number for _, number in written(tmp_path)] == list(range(1, 101))


@pytest.mark.parametrize("content", [b"no database at all, but long enough to look at" * 20, None])
async def test_a_damaged_file_is_put_aside(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, content: bytes | None
) -> None:
    path = tmp_path / "record.sqlite"
    if content is None:
        async with Journal(tmp_path, limits=Limits()).running() as journal:
            await Writer(journal).append(*(entry(n, {"text": "x" * 900}) for n in range(1, 100)))
        whole = path.read_bytes()
        content = whole[:4096] + b"\xff" * (len(whole) - 4096)
    path.write_bytes(content)
    async with Journal(tmp_path, limits=Limits()).running() as journal:
        assert await Writer(journal).append(entry(1)) == 1
    assert "is damaged" in caplog.text
    assert written(tmp_path) == [(A, 1)]
    [aside] = [one for one in files(tmp_path) if "broken" in one.name and not one.name.endswith(("wal", "shm"))]
    assert aside.read_bytes() == content


async def test_a_link_is_not_followed(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    (tmp_path / "journal").mkdir()
    (tmp_path / "journal" / "record.sqlite").symlink_to(tmp_path / "elsewhere")
    async with Journal(tmp_path / "journal", limits=Limits()).running() as journal:
        journal.append(Record("demo", A, NOW, (entry(1),), lambda _number: None))
        await until(lambda: bool(told(caplog, "is a link")))
    assert not (tmp_path / "elsewhere").exists()


async def test_no_invitation_and_no_address_is_written(tmp_path: Path) -> None:
    given: dict[str, Scalar] = {"text": "sent abc-def here", "credential": "x", "address": "192.0.2.7"}
    async with Journal(tmp_path, limits=Limits()).running() as journal:
        await Writer(journal).append(entry(1, given), JournalEntry(2, 1.0, "stats", given), invitation="abc-def")
    for path in files(tmp_path):
        assert b"abc-def" not in path.read_bytes()
    expected = {"text": "sent [redacted] here", "credential": "[redacted]", "address": "192.0.2.0"}
    assert [line["data"] for line in entries_of(tmp_path, "demo")] == [expected, expected]


async def test_whole_addresses_for_who_asks(tmp_path: Path) -> None:
    async with Journal(tmp_path, limits=Limits(), keep_addresses=True).running() as journal:
        await Writer(journal).append(entry(1, {"address": "192.0.2.7"}))
    assert entries_of(tmp_path, "demo")[0]["data"] == {"address": "192.0.2.7"}


async def test_samples_come_back_as_they_were(tmp_path: Path) -> None:
    given: list[dict[str, Any]] = [
        {"path": "relay", "rtt": 0.5, "sent": 7, "ok": True, "loss": None},
        {"path": "relay", "rtt": 0.25, "sent": 8, "ok": True, "loss": None},
        {"path": "direct", "rtt": None, "sent": 9, "ok": False, "loss": 0.125},
        {},
    ]
    async with Journal(tmp_path, limits=Limits()).running() as journal:
        await Writer(journal).append(*(JournalEntry(n, 1.5, "stats", data) for n, data in enumerate(given, start=1)))
    assert [line["data"] for line in entries_of(tmp_path, "demo")] == given
    assert {line["event"] for line in entries_of(tmp_path, "demo")} == {"stats"}


async def test_reports_of_checks_are_found_by_their_id(tmp_path: Path) -> None:
    check = Check(5.0, {"verdict": "udp-blocked", "urls": [1, 2]}, "demo")
    async with Journal(tmp_path, limits=Limits()).running() as journal:
        await journal.keep_check(check)
        assert await journal.find_check(check.id) == check
        assert await journal.find_check(new_id()) is None
    with pytest.raises(ValueError, match="report: at most"):
        Check(5.0, {"text": "x" * 70_000})


def test_a_folder_that_cannot_be_made(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("", encoding="utf-8")
    with pytest.raises(StartError, match=r"--journal .* cannot be made"):
        Journal(tmp_path / "file" / "journal", limits=Limits())


async def test_a_record_of_a_newer_version_is_left_alone(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    with contextlib.closing(sqlite3.connect(tmp_path / "record.sqlite")) as newer:
        newer.execute("pragma user_version = 99")
    async with Journal(tmp_path, limits=Limits()).running():
        await until(lambda: bool(told(caplog, "newer version")))
    assert files(tmp_path)[0].name == "record.sqlite"
    assert "is damaged" not in caplog.text


async def test_what_was_written_is_confirmed_though_no_room_can_be_made(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def thin(*_: object) -> None:
        raise sqlite3.OperationalError("database or disk is full")

    async with Journal(tmp_path, limits=Limits()).running() as journal:
        writer = Writer(journal)
        await writer.append(entry(1))
        with monkeypatch.context() as full:
            full.setattr(module, "thin_the_full", thin)
            assert await writer.append(entry(0), entry(2)) == 2
            await until(lambda: bool(told(caplog, "disk is full")))
        assert await writer.append(entry(3)) == 3
    assert sorted(number for _, number in written(tmp_path)) == [0, 1, 2, 3], "each once"


async def test_what_is_too_old_goes_though_nobody_comes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_CLEARING", 0.05)
    now = [0.0]
    async with Journal(tmp_path, limits=Limits(journal_days=1.0), clock=lambda: now[0]).running() as journal:
        for number in (1, 2):  # the first batch may look for earlier journals, and the second clears
            await Writer(journal).append(entry(number))
        done = asyncio.Event()
        old = Record("old", A, NOW - 200_000, (entry(1),), lambda _number: done.set())
        assert journal.append(old)
        await asyncio.wait_for(done.wait(), 30)
        assert written(tmp_path, "old") == [(A, 1)]
        now[0] = 1.0
        await until(lambda: not written(tmp_path, "old"))
    assert written(tmp_path) == [(A, 1), (A, 2)]


@pytest.mark.parametrize(
    "changed",
    [{"time": float("nan")}, {"time": 1e300}, {"time": -1.0}, {"data": {"text": "\ud800"}}, {"at": float("inf")}],
)
async def test_a_line_of_an_earlier_version_that_is_none_holds_nothing_up(
    tmp_path: Path, changed: dict[str, Any]
) -> None:
    relayed = {"local_type": "relay", "pair_sent": 5, "server": "turn:turn.example"}
    line = {"time": NOW, "participant": B, "number": 1, "at": 1.0, "event": "sample", "data": relayed}
    lines = [json.dumps(line | changed), json.dumps(line | {"number": 2})]
    (tmp_path / "demo.jsonl").write_text("\n".join(lines) + "\n", encoding="utf-8")
    async with Journal(tmp_path, limits=Limits()).running() as journal:
        for number in (1, 2):
            assert await Writer(journal).append(entry(number)) == number
    assert sorted(written(tmp_path)) == [(A, 1), (A, 2), (B, 2)]
