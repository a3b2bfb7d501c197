"""Writing to the record: a batch of entries is one transaction. Blocking: the writer's thread calls it.

A session is one occasion, though its name may be used every day: it is over when everybody has gone. A participant that
is known already stays where it was, so that what an outage kept back is added to the session it is about.
"""

import sqlite3
from collections import OrderedDict
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Self

import msgspec

from backend.journal.entry import Record, dated
from backend.journal.privacy import clean
from backend.journal.relayed import RelayMeter
from backend.journal.schema import open_to_write
from pyapp.protocol.entries import SAMPLES
from pyapp.protocol.journal import SAME_OCCASION, JournalEntry
from pyapp.protocol.wire import Scalar

STILL_HERE = 300.0
"""Seconds after which a lost participant from whom nothing was heard has gone."""
ROW = 40
"""Bytes that SQLite needs for an entry beside its texts, about."""
_KNOWN = 4096
"""Participants, and frames of samples, that are remembered."""

_to_json = msgspec.json.encode


@dataclass(slots=True)
class _Place:
    """A participant in a session. `kept` is the highest number stored, `noted` counts the server's own entries.

    `is_new`: it has only just been stored, as it came.
    """

    id: int
    session: int
    kept: int
    noted: int
    is_new: bool = False


@dataclass(slots=True)
class _Rows:
    """What a batch adds."""

    entries: list[tuple[int, int, float, float, str, str]] = field(default_factory=list)
    samples: list[tuple[int, int, float, float, int, str]] = field(default_factory=list)
    heard: dict[int, tuple[_Place, float]] = field(default_factory=dict)
    """By participant: when it was heard last."""
    sizes: dict[int, int] = field(default_factory=dict)
    """Bytes by session."""


class Store:
    """The open file. A context manager."""

    def __init__(self, path: Path, *, keep_addresses: bool = False) -> None:
        """Open it; raises `sqlite3.Error` or `OSError`."""
        self.connection = open_to_write(path)
        self._keep_addresses = keep_addresses
        self._places: OrderedDict[tuple[str, str], _Place] = OrderedDict()
        self.meter = RelayMeter(self.connection)
        self._frames: OrderedDict[tuple[int, str, str], int] = OrderedDict()
        # The last run may have ended without a word, and its pages with it.
        self.connection.execute("update participants set lost = heard where gone is null and lost is null")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the file."""
        self.connection.close()

    @contextmanager
    def transaction(self) -> Iterator[sqlite3.Connection]:
        """Do everything or nothing. Raises `sqlite3.Error`."""
        try:
            self.connection.execute("begin immediate")
            yield self.connection
            self.connection.execute("commit")
        except BaseException:
            self._places.clear()  # what is remembered may not be true now
            self._frames.clear()
            self.meter.forget()
            if self.connection.in_transaction:
                self.connection.execute("rollback")
            raise

    def write(self, records: Sequence[Record]) -> list[int]:
        """Store `records`, and return for each the highest number stored. Raises `sqlite3.Error`, and stores nothing.

        A page sends again what was not confirmed; each entry is stored once.
        """
        with self.transaction() as connection:
            rows = _Rows()
            kept = [self._add(record, rows) for record in records]
            self.meter.store()
            connection.executemany("insert or ignore into entries values (?, ?, ?, ?, ?, ?)", rows.entries)
            connection.executemany("insert or ignore into samples values (?, ?, ?, ?, ?, ?)", rows.samples)
            connection.executemany(
                "update participants set heard = max(heard, ?), kept = max(kept, ?), noted = ? where id = ?",
                [(at, place.kept, place.noted, place.id) for place, at in rows.heard.values()],
            )
            heard: dict[int, float] = {}
            for place, at in rows.heard.values():
                heard[place.session] = max(at, heard.get(place.session, 0.0))
            connection.executemany(
                "update sessions set heard = max(heard, ?), bytes = bytes + ? where id = ?",
                [(at, rows.sizes[session], session) for session, at in heard.items()],
            )
        return kept

    def _add(self, record: Record, rows: _Rows) -> int:
        place = self._place(record)
        rows.heard[place.id] = (place, max(record.at, rows.heard.get(place.id, (place, 0.0))[1]))
        size = 0
        for entry in record.entries:
            if 0 < entry.number <= place.kept:
                continue
            number = entry.number
            if not number:
                place.noted += 1
                number = -place.noted
            place.kept = max(place.kept, number)
            data = clean(entry.data, invitation=record.invitation, keep_addresses=self._keep_addresses)
            at = dated(entry.at / 1000)
            if entry.number:
                self.meter.count(place.id, place.session, entry.event, data, at=record.at)
            if entry.event in SAMPLES:
                frame, figures = _split(data)
                text = _to_json(figures).decode()
                identifier, its_size = self._frame(place, entry.event, frame)
                size += its_size
                rows.samples.append((place.id, number, record.at, at, identifier, text))
            else:
                text = _to_json(data).decode()
                rows.entries.append((place.id, number, record.at, at, entry.event, text))
                if not entry.number:
                    self._came_or_went(place, record, entry)
            size += ROW + len(text)
        rows.sizes[place.session] = rows.sizes.get(place.session, 0) + size
        return place.kept

    def _came_or_went(self, place: _Place, record: Record, entry: JournalEntry) -> None:
        match entry.event:
            case "server-joined" if place.is_new:
                place.is_new = False
            case "server-joined":
                self.connection.execute(
                    "update participants set gone = null, lost = null, name = ? where id = ?",
                    (_name(entry), place.id),
                )
            case "server-left":
                self.connection.execute("update participants set gone = ? where id = ?", (record.at, place.id))
            case "server-lost":
                self.connection.execute("update participants set lost = ? where id = ?", (record.at, place.id))
            case _:
                pass

    def _frame(self, place: _Place, event: str, frame: str) -> tuple[int, int]:
        """Return the id of a frame, and what it adds to the session, in bytes: nothing, if it was there."""
        key = (place.id, event, frame)
        known, size = self._frames.pop(key, None), 0
        if known is None:
            found = self.connection.execute(
                "select id from frames where participant = ? and event = ? and frame = ?", key
            ).fetchone()
            known = found[0] if found else self._inserted("frames (participant, event, frame) values (?, ?, ?)", *key)
            size = 0 if found else ROW + len(frame)
        self._frames[key] = known
        if len(self._frames) > _KNOWN:
            self._frames.popitem(last=False)
        return known, size

    def _inserted(self, what: str, *values: str | float) -> int:
        identifier = self.connection.execute(f"insert into {what}", values).lastrowid
        return int(identifier or 0)

    # Whose entries they are, and of which session.

    def _place(self, record: Record) -> _Place:
        key = (record.session, record.participant)
        place = self._places.pop(key, None) or self._find(*key)
        joining = next((one for one in record.entries if not one.number and one.event == "server-joined"), None)
        if place is None or joining:
            place = self._seat(record, place, _name(joining) if joining else "")
            place.is_new = place.is_new and joining is not None
        self._places[key] = place
        if len(self._places) > _KNOWN:
            self._places.popitem(last=False)
        return place

    def _find(self, session: str, participant: str) -> _Place | None:
        found = self.connection.execute(
            "select p.id, session, kept, noted from participants p join sessions s on s.id = session"
            " where participant = ? and s.name = ? order by p.id desc limit 1",
            (participant, session),
        ).fetchone()
        return _Place(*found) if found else None

    def _seat(self, record: Record, known: _Place | None, name: str) -> _Place:
        """Return the place of somebody called `name` who comes, or comes again."""
        latest = self.connection.execute(
            "select id, heard from sessions where name = ? and began <= ? order by heard desc limit 1",
            (record.session, record.at),
        ).fetchone()
        if latest and known and known.session == latest[0]:
            return known
        if latest and self._is_on(*latest, at=record.at):
            session = int(latest[0])
        else:
            session = self._inserted(
                "sessions (name, began, heard) values (?, ?, ?)", record.session, record.at, record.at
            )
        kept = known.kept if known else 0
        identifier = self._inserted(
            "participants (session, participant, name, came, heard, kept) values (?, ?, ?, ?, ?, ?)",
            *(session, record.participant, name, record.at, record.at, kept),
        )
        return _Place(identifier, session, kept, 0, is_new=True)

    def _is_on(self, session: int, heard: float, *, at: float) -> bool:
        if heard > at - SAME_OCCASION:
            return True
        return bool(
            self.connection.execute(
                "select 1 from participants where session = ? and gone is null and (lost is null or heard > ?) limit 1",
                (session, at - STILL_HERE),
            ).fetchone()
        )


def _name(joined: JournalEntry) -> str:
    return str(joined.data.get("name") or "")


def _split(data: Mapping[str, Scalar]) -> tuple[str, list[float | None]]:
    """Return what a sample has in common with the next one, and its figures."""
    names: list[str] = []
    figures: list[float | None] = []
    rest: dict[str, Scalar] = {}
    for name, value in data.items():
        if value is None or type(value) in (int, float):
            names.append(name)
            figures.append(value)  # type: ignore[arg-type]  # neither text nor truth
        else:
            rest[name] = value
    return _to_json([names, rest]).decode(), figures


def joined(frame: str, figures: str) -> dict[str, Scalar]:
    """Return the data of a sample from its `frame` and its `figures`."""
    names, rest = _frame(frame)
    data: dict[str, Scalar] = dict(zip(names, msgspec.json.decode(figures), strict=True))
    data.update(rest)
    return data


@lru_cache(_KNOWN)  # it seldom changes from one sample to the next
def _frame(frame: str) -> tuple[tuple[str, ...], dict[str, Scalar]]:
    names, rest = msgspec.json.decode(frame)
    return tuple(names), rest
