"""The relay meter: each byte once, on its day, whatever is sent again."""

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from backend.access.limits import Limits
from backend.journal.entry import Record
from backend.journal.importing import import_files
from backend.journal.relayed import relayed, this_month
from backend.journal.retention import keep_within
from backend.journal.schema import FILE
from backend.journal.store import Store
from pyapp.protocol.journal import JournalEntry
from pyapp.protocol.wire import Scalar

A, B = "a" * 32, "b" * 32
DAY = 86400.0
NOVEMBER = datetime(2026, 11, 16, tzinfo=UTC).timestamp()
RELAY: dict[str, Scalar] = {"local_type": "relay", "server": "turn:t1.example:3478?transport=udp", "ufrag": "u"}


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with Store(tmp_path / FILE) as opened:
        yield opened


def report(
    store: Store, number: int, pair: str, carried: int, *, at: float = NOVEMBER, who: str = A, **data: Scalar
) -> None:
    told = RELAY | {"pair": pair, "pair_sent": carried // 2, "pair_received": carried - carried // 2} | data
    store.write([Record("demo", who, at, (JournalEntry(number, 1.0, "sample", told),), print)])


def test_each_pair_counts_what_it_has_carried_since_the_last_report(store: Store) -> None:
    for number, (pair, carried) in enumerate([("P1", 1000), ("P1", 1500), ("P2", 100), ("P1", 1600), ("P1", 1600)], 1):
        report(store, number, pair, carried)
    assert this_month(store.connection, now=NOVEMBER).bytes == {"t1.example": 1700}


def test_what_the_relay_counts_is_more_than_what_ice_carries(store: Store) -> None:
    report(store, 1, "P1", 1000, relayed=1100)
    assert this_month(store.connection, now=NOVEMBER).bytes == {"t1.example": 1100}


def test_each_end_counts_its_own_relay(store: Store) -> None:
    report(store, 1, "P1", 1000)
    report(store, 1, "P9", 1010, who=B, local_type="srflx", server="")
    report(store, 2, "P8", 500, who=B, server="turns:t2.example:443?transport=tcp")
    assert this_month(store.connection, now=NOVEMBER).bytes == {"t1.example": 1000, "t2.example": 500}


def test_nothing_counts_again_that_is_sent_again_or_goes_on_after_a_restart(tmp_path: Path) -> None:
    for _ in range(2):
        with Store(tmp_path / FILE) as store:
            report(store, 1, "P1", 1000)
    with Store(tmp_path / FILE) as store:
        report(store, 2, "P1", 1250)
        assert this_month(store.connection, now=NOVEMBER).bytes == {"t1.example": 1250}


def test_growth_counts_for_its_day_and_the_month_is_forecast(store: Store) -> None:
    report(store, 1, "P1", 1000, at=NOVEMBER - 20 * DAY)
    report(store, 2, "P1", 4000, at=NOVEMBER)
    month = this_month(store.connection, now=NOVEMBER)
    assert (month.month, month.bytes) == ("2026-11", {"t1.example": 3000})
    assert month.forecast == {"t1.example": 6000}, "half of the month has passed"
    assert this_month(store.connection, now=NOVEMBER + 31 * DAY).bytes == {}


@pytest.mark.parametrize("carried", [1 << 41, -5])
def test_what_cannot_be_is_not_believed(store: Store, carried: int) -> None:
    report(store, 1, "P1", carried)
    report(store, 2, "P1", 700)
    assert this_month(store.connection, now=NOVEMBER).bytes == {"t1.example": 700}


def test_what_was_counted_outlives_the_session(store: Store) -> None:
    report(store, 1, "P1", 1000)
    keep_within(store, Limits(journal_days=1.0), now=NOVEMBER + 2 * DAY)
    assert store.connection.execute("select count(*) from sessions").fetchone() == (0,)
    assert this_month(store.connection, now=NOVEMBER).bytes == {"t1.example": 1000}


def test_a_session_of_the_lab_counts_as_its_account_says(tmp_path: Path) -> None:
    recorded = Path(__file__).parent / "recorded" / "turn-killed.jsonl"
    (tmp_path / "demo.jsonl").write_bytes(recorded.read_bytes())
    with Store(tmp_path / FILE) as store:
        import_files(store, tmp_path)
        [(at,)] = store.connection.execute("select heard from sessions").fetchall()
        assert this_month(store.connection, now=at).bytes == {"turn1.lab": 42032, "turn2.lab": 46076}


def test_no_page_relays_faster_than_its_network(store: Store) -> None:
    """Its word counts towards everybody's budget."""
    report(store, 1, "P1", 1 << 39)
    first = this_month(store.connection, now=NOVEMBER).bytes["t1.example"]
    assert first == 60 * 12_500_000
    report(store, 2, "P2", 1 << 39, at=NOVEMBER + 1)
    assert this_month(store.connection, now=NOVEMBER).bytes["t1.example"] == first + 12_500_000
    report(store, 3, "P3", 5, at=NOVEMBER + 2)
    assert this_month(store.connection, now=NOVEMBER).bytes["t1.example"] == first + 12_500_005


def test_each_session_has_its_own_sum(store: Store) -> None:
    report(store, 1, "P1", 1000)
    report(store, 1, "P2", 500, who=B, server="turn:t2.example")
    [session] = store.meter.take_grown()
    assert not store.meter.take_grown()
    found = relayed(store.connection, [session], now=NOVEMBER)
    assert found.sessions == {"demo": {"t1.example": 1000, "t2.example": 500}}
    assert found.day == found.month.bytes == found.sessions["demo"]


def test_days_go_with_the_record_but_never_those_of_this_month(store: Store) -> None:
    for number, days in enumerate((40, 20, 10, 0), 1):
        report(store, number, "P1", 1000 * number, at=NOVEMBER - days * DAY)
    keep_within(store, Limits(journal_days=1.0), now=NOVEMBER + DAY)
    kept = store.connection.execute("select day from relay_days order by day").fetchall()
    assert kept == [("2026-11-06",), ("2026-11-16",)]
    assert this_month(store.connection, now=NOVEMBER).bytes == {"t1.example": 2000}
    keep_within(store, Limits(journal_days=30.0), now=NOVEMBER + 20 * DAY)
    assert store.connection.execute("select count(*) from relay_days").fetchone() == (2,)


def test_whatever_a_page_tells_there_are_few_hosts_and_pairs(store: Store) -> None:
    for number in range(1, 301):
        report(store, number, f"P{number}", 10, at=NOVEMBER + number, server=f"turn:t{number}.example")
    keep_within(store, Limits(), now=NOVEMBER)
    month = this_month(store.connection, now=NOVEMBER).bytes
    assert (len(month), sum(month.values())) == (65, 3000)
    assert store.connection.execute("select count(*), min(at) from relayed").fetchone() == (256, NOVEMBER + 45)


def test_a_record_of_before_gets_what_is_new(tmp_path: Path) -> None:
    with Store(tmp_path / FILE) as store:
        report(store, 1, "P1", 1000)
        store.connection.execute("alter table relayed drop column at")
    with Store(tmp_path / FILE) as store:
        report(store, 2, "P1", 1250)
        assert this_month(store.connection, now=NOVEMBER).bytes == {"t1.example": 1250}
