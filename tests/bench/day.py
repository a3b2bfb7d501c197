"""The record of one session that lasts a day: two pages in a video call, with an outage every hour.

Benchmarks and browser tests share it. It comes through the store that the journal's writer uses, an hour at a time, and
is thinned after each, as the writer does.
"""

import secrets
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from backend.access.limits import Limits
from backend.journal.entry import Record, server_entry
from backend.journal.retention import keep_within, thin_the_full
from backend.journal.schema import FILE
from backend.journal.store import Store
from pyapp.protocol import entries
from pyapp.protocol.entries import Entry
from pyapp.protocol.entries.sample import Sample
from pyapp.protocol.journal import JournalEntry

HOURS = 24
NAME = "a-day"
PEOPLE = ("Ada", "Bob")
BETTER_AFTER = 4.2
"""Seconds after which the first, relayed path became a direct one."""
_RELAY = "turn:turn1.example.org:3478?transport=udp"


def sample(number: int) -> Sample:
    """Return a sample as of a page in a video call over a relay."""
    return Sample(
        seconds=2.0,
        path="relay",
        round_trip_ms=40 + number % 17 / 10,
        jitter_ms=3 + number % 7 / 10,
        loss_in=number % 5 / 1000,
        bits_in=1_200_000 + number % 1000,
        bits_out=1_100_000 + number % 997,
        frames_in=29.9,
        frames_out=30.0,
        width_in=1280,
        height_in=720,
        width_out=1280,
        height_out=720,
        available=2_500_000,
        local_type="relay",
        relay_protocol="udp",
        server=_RELAY,
        pair="CPq7cXb2Hh_4mZ1sVnK",
        ufrag="EEtu",
        pair_sent=number * 137_500,
        pair_received=number * 150_000,
        bytes_sent=number * 137_500,
        bytes_received=number * 150_000,
    )


@dataclass
class _Page:
    participant: str = field(default_factory=lambda: secrets.token_hex(16))
    number: int = 0

    def said(self, at: float, entry: Entry) -> Record:
        self.number += 1
        return self._record(at, JournalEntry(self.number, at * 1000, entry.event, entry.data()))

    def came(self, at: float, name: str) -> Record:
        return self._record(at, server_entry(entries.ServerJoined("", name), at=at))

    def _record(self, at: float, entry: JournalEntry) -> Record:
        return Record(NAME, self.participant, at, (entry,), lambda _number: None)


def record_day(folder: Path, every: float) -> Path:
    """Record a day that has just ended, with a sample every so many seconds, in `folder`; return the file."""
    path = folder / FILE
    with Store(path) as store:
        for batch in _batches(time.time() - HOURS * 3600, every):
            store.write(batch)
            thin_the_full(store, Limits())
        keep_within(store, Limits(), now=time.time())
        store.connection.execute("pragma wal_checkpoint(truncate)")
    return path


def _batches(start: float, every: float) -> Iterator[list[Record]]:
    pages = [_Page() for _ in PEOPLE]
    yield [page.came(start + 0.1, name) for page, name in zip(pages, PEOPLE, strict=True)]
    yield _beginning(pages, start)
    for hour in range(HOURS):
        begun = start + hour * 3600
        batch: list[Record] = []
        for page in pages:
            told = [(begun + 1800 + at, entry) for at, entry in _outage(hour)]
            told += [(begun + 5 + second, sample(page.number)) for second in range(0, 3595, int(every))]
            batch += [page.said(at, entry) for at, entry in sorted(told, key=lambda one: one[0])]
        yield sorted(batch, key=lambda record: record.at)


def _beginning(pages: list[_Page], start: float) -> list[Record]:
    told: list[tuple[float, Entry]] = [
        (0.6, _pair("relay", local_type="relay", server=_RELAY, relay_protocol="udp")),
        (BETTER_AFTER, _pair("direct", local_type="host")),
    ]
    records = []
    for number, page in enumerate(pages):
        records += [
            page.said(start, entries.Entered(NAME, "all")),
            page.said(start + 0.2, entries.Joined(polite=bool(number), alone=not number)),
            *(page.said(start + at, entry) for at, entry in told),
        ]
    return sorted(records, key=lambda record: record.at)


def _pair(path: str, *, local_type: str, server: str = "", relay_protocol: str = "") -> entries.Pair:
    return entries.Pair(
        path=path,
        pair=f"CP{path}",
        local_type=local_type,
        local_protocol="udp",
        local_address="198.51.100.7",
        local_port=50_000,
        relay_protocol=relay_protocol,
        server=server,
        remote_type="srflx",
        remote_protocol="udp",
        remote_address="203.0.113.9",
        remote_port=50_001,
        round_trip_ms=12.0,
        bytes_sent=0,
        bytes_received=0,
        pair_sent=0,
        pair_received=0,
        relayed=0,
        dtls_state="connected",
        tls_version="FEFC",
        pair_changes=1,
        ufrag="EEtu",
    )


def _outage(hour: int) -> list[tuple[float, Entry]]:
    candidates: list[Entry] = [
        kind(type="srflx", protocol="udp", address="203.0.113.9", port=number, priority=number, mid="0", ufrag="EEtu")
        for kind in (entries.LocalCandidate, entries.RemoteCandidate)
        for number in range(8)
    ]
    return [
        (0.1, entries.Suspect("silence", 600, 400, 0.0)),
        (0.2, entries.Attempt("restart", hour + 1)),
        (0.2, entries.Restart("silence")),
        (0.2, entries.Description("offer", hour + 2, own=True)),
        *((0.3, candidate) for candidate in candidates),
        (1.0, _pair("direct", local_type="host")),
        (1.1, entries.Recovered(seconds=1.6, attempts=1)),
    ]
