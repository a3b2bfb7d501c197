"""Which session an entry belongs to, what is kept of many, and the journals of earlier versions."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from backend.access.limits import Limits
from backend.journal.entry import Record
from backend.journal.export import FORMATS, Format, exported
from backend.journal.importing import import_files
from backend.journal.reading import entries_of, recorded
from backend.journal.retention import DAY, keep_within, size, thin_the_full
from backend.journal.store import STILL_HERE, Store
from pyapp.protocol.journal import SAME_OCCASION, JournalEntry

A, B, C = "a" * 32, "b" * 32, "c" * 32
UNLIMITED = Limits()


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with Store(tmp_path / "record.sqlite") as opened:
        yield opened


def said(store: Store, participant: str, at: float, event: str, *, session: str = "demo", number: int = 0) -> None:
    entry = JournalEntry(number, at * 1000, event, {})
    store.write([Record(session, participant, at, (entry,), lambda _number: None)])


def sessions(store: Store) -> list[str]:
    """Return who was in each session, by first letters."""
    found = store.connection.execute(
        "select group_concat(substr(participant, 1, 1), '') from (select * from participants order by id)"
        " group by session order by session"
    )
    return [who for (who,) in found]


def test_a_name_that_is_used_every_day_is_a_session_each_day(store: Store) -> None:
    for day in range(3):
        for participant in (A, B):
            said(
                store,
                f"{day}{participant[1:]}" if participant is A else f"{day + 5}{B[1:]}",
                day * DAY,
                "server-joined",
            )
        said(store, f"{day}{A[1:]}", day * DAY + 60, "server-left")
        said(store, f"{day + 5}{B[1:]}", day * DAY + 60, "server-left")
    assert sessions(store) == ["05", "16", "27"]


def test_who_waits_for_hours_is_in_the_session_of_who_comes(store: Store) -> None:
    said(store, A, 0, "server-joined")
    said(store, B, 7200, "server-joined")
    assert sessions(store) == ["ab"]


def test_who_was_lost_and_stays_silent_has_gone(store: Store) -> None:
    said(store, A, 0, "server-joined")
    said(store, A, 1, "server-lost")
    said(store, B, STILL_HERE + 2, "server-joined")
    assert sessions(store) == ["a", "b"]


def test_both_pages_were_reloaded(store: Store) -> None:
    for who in (A, B):
        said(store, who, 0, "server-joined")
        said(store, who, 10, "server-left")
    said(store, C, 10 + SAME_OCCASION - 1, "server-joined")
    assert sessions(store) == ["abc"]


def test_what_an_outage_kept_back_is_added_to_the_session_it_is_about(store: Store) -> None:
    said(store, A, 0, "server-joined")
    said(store, A, 1, "server-lost")
    said(store, B, 9000, "server-joined")
    said(store, A, 9001, "state", number=1)
    assert sessions(store) == ["a", "b"]
    [session] = store.connection.execute(
        "select p.session from entries e join participants p on p.id = e.participant where number = 1"
    ).fetchone()
    assert session == 1


def test_a_page_that_comes_back_much_later_begins_anew_and_is_not_stored_twice(store: Store) -> None:
    said(store, A, 0, "server-joined")
    said(store, A, 1, "state", number=1)
    said(store, A, 2, "server-left")
    said(store, B, 5000, "server-joined")
    said(store, A, 5001, "server-joined")
    said(store, A, 5002, "state", number=1)
    said(store, A, 5003, "state", number=2)
    assert sessions(store) == ["a", "ba"]
    assert [n for (n,) in store.connection.execute("select number from entries where number > 0")] == [1, 2]


def test_a_server_that_ended_without_a_word_begins_new_sessions(tmp_path: Path) -> None:
    with Store(tmp_path / "record.sqlite") as store:
        said(store, A, 0, "server-joined")
    with Store(tmp_path / "record.sqlite") as store:
        said(store, B, 9000, "server-joined")
        assert sessions(store) == ["a", "b"]


def fill(store: Store, *, session: str, at: float, count: int) -> None:
    entries = tuple(JournalEntry(number, 1.0, "stats", {"text": "x", "n": number}) for number in range(1, count + 1))
    participant = f"{abs(hash(session)):032x}"[:32]
    store.write([Record(session, participant, at + one.number, (one,), lambda _number: None) for one in entries])


def test_a_session_that_is_too_large_loses_its_quiet_middle(store: Store) -> None:
    fill(store, session="demo", at=1000.0, count=2000)
    before = size(store)
    thin_the_full(store, limits := Limits(journal_session_bytes=before // 2))
    assert size(store) <= before // 2
    [stored] = store.connection.execute("select count(*) from samples").fetchone()
    [left_out] = store.connection.execute("select left_out from sessions").fetchone()
    assert stored + left_out == 2000
    thin_the_full(store, limits)
    assert store.connection.execute("select count(*) from samples").fetchone() == (stored,), "once is enough"


def test_old_sessions_are_thinned_and_very_old_ones_go(store: Store) -> None:
    for name, days in (("new", 0), ("old", 50), ("gone", 400)):
        fill(store, session=name, at=500 * DAY - days * DAY, count=1000)
    sizes = dict(store.connection.execute("select name, bytes from sessions").fetchall())
    keep_within(store, Limits(journal_session_bytes=sizes["old"] * 4), now=500 * DAY)
    left = dict(store.connection.execute("select name, bytes from sessions").fetchall())
    assert left.keys() == {"new", "old"}
    assert left["new"] == sizes["new"]
    assert left["old"] <= sizes["old"] // 2 + 1
    [orphans] = store.connection.execute(
        "select count(*) from samples where participant not in (select id from participants)"
    ).fetchone()
    assert orphans == 0


def test_the_oldest_sessions_make_room(store: Store) -> None:
    for number in range(4):
        fill(store, session=f"s{number}", at=number * DAY, count=3000)
    keep_within(store, Limits(journal_bytes=size(store) // 2), now=5 * DAY)
    assert [name for (name,) in store.connection.execute("select name from sessions order by id")] == ["s2", "s3"]


def old_line(number: int, *, at: float = 1000.0, event: str = "ice-state", participant: str = A) -> str:
    return json.dumps(
        {
            "time": at,
            "participant": participant,
            "number": number,
            "at": at * 1000,
            "event": event,
            "data": {"a": "192.0.2.9"},
        }
    )


def test_journals_of_earlier_versions_are_taken_over(
    store: Store, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    lines = [old_line(0, event="server-joined"), old_line(1), old_line(2, event="stats"), old_line(0, at=1002.0)]
    hostile = [
        "{",
        "[]",
        "null",
        '{"number": 1}',
        old_line(3, participant="../x"),
        old_line(-5),
        old_line(10**400),
        "x" * 200_000,
    ]
    hostile += [old_line(4, event="NO EVENT"), "[" * 50_000, '{"cut off']
    (tmp_path / "%E6%97%A5.jsonl").write_text("\n".join([*lines, *hostile]))
    (tmp_path / "other.jsonl").write_text(old_line(1, participant=B) + "\n")
    (tmp_path / "link.jsonl").symlink_to(tmp_path / "other.jsonl")
    said(store, C, 5000.0, "server-joined", session="日")
    assert import_files(store, tmp_path), "there is one more"
    assert not import_files(store, tmp_path)
    assert [(one["number"], one["event"]) for one in entries_of(tmp_path, "日")][:4] == [
        (0, "server-joined"),
        (1, "ice-state"),
        (2, "stats"),
        (0, "ice-state"),
    ]
    assert sorted(sessions(store)) == ["a", "b", "c"], "it is not the session of today"
    assert entries_of(tmp_path, "other")[0]["data"] == {"a": "192.0.2.0"}
    assert {path.name for path in tmp_path.glob("*.jsonl.*")} == {"%E6%97%A5.jsonl.shortened", "other.jsonl.shortened"}
    said(store, A, 6000.0, "state", session="日", number=2)
    said(store, A, 6000.0, "state", session="日", number=5)
    assert [one["number"] for one in entries_of(tmp_path, "日") if one["number"] > 2] == [5], "the page lives on"


@pytest.mark.parametrize("name", ["demo.jsonl", "demo.jsonl.imported"])
def test_no_whole_address_stays_in_a_file_that_was_taken_over(store: Store, tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_text(
        old_line(1).replace('"192.0.2.9"', '"192.0.2.9", "password": "SeCrEt"')
        + '\n{"at": "198.51.100.9", "data": [["203.0.113.8"]]}\nno entry of 2001:db8:1:2::3\n'
    )
    assert not import_files(store, tmp_path)
    assert [path.name for path in tmp_path.glob("demo*")] == ["demo.jsonl.shortened"]
    kept = (tmp_path / "demo.jsonl.shortened").read_text()
    for hidden in ("192.0.2.9", "198.51.100.9", "203.0.113.8", "2:3", "SeCrEt"):
        assert hidden not in kept
    assert len(kept.splitlines()) == 3
    assert "192.0.2.0" in kept
    assert not import_files(store, tmp_path), "it is done once"


def test_whole_addresses_may_be_kept_and_that_is_said(
    store: Store, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    (tmp_path / "demo.jsonl").write_text(old_line(1) + "\n")
    assert not import_files(store, tmp_path, keep_addresses=True)
    assert "192.0.2.9" in (tmp_path / "demo.jsonl.imported").read_text()
    assert "demo.jsonl.imported holds whole addresses" in caplog.text
    assert not import_files(store, tmp_path, keep_addresses=True)


def test_what_samples_have_in_common_counts_as_well(store: Store, tmp_path: Path) -> None:
    def say(first: int) -> None:
        numbers = range(first, first + 100)
        entries = tuple(JournalEntry(number, 1.0, "sample", {"pair": f"{number:01000}"}) for number in numbers)
        store.write([Record("demo", A, float(number), entries, lambda _number: None) for number in numbers[:1]])

    for first in range(1, 1001, 100):
        say(first)
    assert 1_000_000 < size(store) < 1_300_000
    thin_the_full(store, limits := Limits(journal_session_bytes=500_000))
    [(count, length)] = store.connection.execute("select count(*), sum(length(frame)) from frames").fetchall()
    assert length < size(store) <= 500_000
    thin_the_full(store, limits)
    assert store.connection.execute("select count(*) from frames").fetchone() == (count,), "once is enough"


@pytest.mark.parametrize("form", FORMATS)
@pytest.mark.parametrize("at", [1.7976931348623157e308, -1e300, 1e17])
def test_a_page_may_have_any_clock(store: Store, form: Format, at: float) -> None:
    for who, number, when in ((A, 1, at), (A, 2, 1000.0), (B, 1, at)):
        entry = JournalEntry(number, when, "pair", {"round_trip_ms": 3})
        store.write([Record("demo", who, 5000.0, (entry,), lambda _number: None)])
    found = recorded(store.connection, 1)
    assert found
    assert len("".join(exported(found, form))) > 100


def test_the_file_gets_smaller_when_sessions_go(store: Store, tmp_path: Path) -> None:
    fill(store, session="old", at=1000.0, count=6000)
    fill(store, session="new", at=9000.0, count=1)
    [before] = store.connection.execute("pragma page_count").fetchone()
    keep_within(store, Limits(journal_days=0.01), now=9000.0)
    [after] = store.connection.execute("pragma page_count").fetchone()
    assert after < before / 2
