"""Reading the record. Blocking; the file may be written to meanwhile."""

import sqlite3
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import msgspec

from backend.journal.clocks import offsets
from backend.journal.schema import FILE, containing, open_to_read
from backend.journal.store import joined
from pyapp.protocol.entries import Entry
from pyapp.protocol.entries.reading import entry_of
from pyapp.protocol.wire import Scalar

_ENTRIES = """
select * from (
select p.participant, received, number, at, event, data, null from participants p
  join entries e on e.participant = p.id where session = :session union all
select p.participant, received, number, at, event, f.frame, figures from participants p
  join samples s on s.participant = p.id join frames f on f.id = s.frame where session = :session
) order by received, abs(number)
"""

BESIDE = frozenset({"candidate-remote", "candidate-error", "state", "description", "channel"})
"""Entries, next to samples, that the account does not need."""

_IN_SHORT = f"""
select p.participant, received, number, at, event, data, null from participants p
  join entries e on e.participant = p.id
  where session = :session and event not in ({", ".join(map(repr, sorted(BESIDE)))})
  order by received, abs(number)
"""  # noqa: S608 - constants
"""What the account needs."""

_SPARSE = """
with chosen as (
select s.participant, min(number) as number from participants p join samples s on s.participant = p.id
  where session = :session group by s.participant, cast(s.at / :apart as integer)
)
select * from (
select p.participant, received, number, at, event, data, null from participants p
  join entries e on e.participant = p.id where session = :session union all
select p.participant, received, s.number, at, event, f.frame, figures from participants p
  join chosen c on c.participant = p.id
  join samples s on s.participant = c.participant and s.number = c.number join frames f on f.id = s.frame
) order by received, abs(number)
"""
"""All entries, but of each page load's samples one in so many seconds.

They are chosen by the page's clock, not by their numbers: once they were thinned, there may be odd numbers alone, and
many in one hour and few in another.
"""

_FILLED = 0.95
"""Of the samples that there is room for: a page's clock may run faster than ours."""


@dataclass(frozen=True, slots=True)
class Participant:
    """A page load in a session; `name` is what its person is called. `came` is Unix time, seconds."""

    id: str
    name: str
    came: float


@dataclass(frozen=True)  # without slots, so that it can keep its `entry`
class Told:
    """An entry at `at`, Unix time in seconds by the server's clock. `is_ours`: the server itself wrote it."""

    at: float
    participant: str
    event: str
    data: dict[str, Scalar]
    """As it was told."""
    is_ours: bool

    @cached_property
    def entry(self) -> Entry:
        """What is told, as far as this version knows it."""
        return entry_of(self.event, self.data)

    @property
    def text(self) -> str:
        """What it says, in one sentence."""
        return self.entry.text()


@dataclass(frozen=True, kw_only=True)  # without slots, so that it can keep what is `told`
class Recorded:
    """A session as it was recorded. Times are Unix seconds; `left_out` is the number of entries that were thinned."""

    id: int
    name: str
    began: float
    heard: float
    left_out: int
    participants: list[Participant]
    entries: list[dict[str, Any]] = field(repr=False)
    """As JSON objects, in the order in which they came."""

    @cached_property
    def told(self) -> list[Told]:
        """The entries by the server's clock, in the order in which they happened."""
        ahead = offsets(self.entries)
        result = [
            Told(
                entry["at"] / 1000 + (ahead.get(entry["participant"], 0.0) if entry["number"] else 0.0),
                entry["participant"],
                entry["event"],
                entry["data"],
                not entry["number"],
            )
            for entry in self.entries
        ]
        result.sort(key=lambda one: one.at)
        return result


@dataclass(frozen=True, slots=True)
class Listed:
    """A session as it stands in the list."""

    id: int
    name: str
    began: float
    heard: float


def listed(connection: sqlite3.Connection, *, search: str = "", offset: int = 0, most: int = 50) -> list[Listed]:
    """Return sessions, the latest first, whose name or one of whose people has `search` in it.

    Raises `sqlite3.Error`.
    """
    found = connection.execute(
        "select id, name, began, heard from sessions s where name like :pattern escape '\\' or exists ("
        " select 1 from participants p where p.session = s.id and p.name like :pattern escape '\\')"
        " order by heard desc, id desc limit :most offset :offset",
        {"pattern": containing(search), "most": most, "offset": offset},
    )
    return [Listed(*row) for row in found]


def recorded(
    connection: sqlite3.Connection, session: int, *, in_short: bool = False, most_samples: int = 0
) -> Recorded | None:
    """Return the session with that id, or None. Raises `sqlite3.Error`.

    `in_short`: only what the account needs; `most_samples`: of each page load so many, evenly in time, about; 0: all.
    """
    found = connection.execute(
        "select id, name, began, heard, left_out from sessions where id = ?", (session,)
    ).fetchone()
    if found is None:
        return None
    apart = 0.0
    if most_samples and _most_samples(connection, session) > most_samples:
        apart = max((found[3] - found[2]) / (most_samples * _FILLED), 1.0)
    participants = connection.execute(
        "select participant, name, came from participants where session = ? order by id", (session,)
    )
    return Recorded(
        id=found[0],
        name=found[1],
        began=found[2],
        heard=found[3],
        left_out=found[4],
        participants=[Participant(*row) for row in participants],
        entries=list(entries(connection, session, _IN_SHORT if in_short else _SPARSE if apart else _ENTRIES, apart)),
    )


def _most_samples(connection: sqlite3.Connection, session: int) -> int:
    """Return how many samples the page load has that has most."""
    counts = connection.execute(
        "select count(*) from participants p join samples s on s.participant = p.id where session = ? group by p.id",
        (session,),
    )
    return max((count for (count,) in counts), default=0)


def latest_of(connection: sqlite3.Connection, name: str) -> int | None:
    """Return the id of the latest session of that name, or None. Raises `sqlite3.Error`."""
    found = connection.execute("select id from sessions where name = ? order by heard desc limit 1", (name,)).fetchone()
    return int(found[0]) if found else None


def numbered(text: str) -> int | None:
    """Return the id of a session that `text` is, or None if it can be none."""
    return int(text) if text.isdecimal() and len(text) < 19 else None  # SQLite's integers have 64 bits


def entries(
    connection: sqlite3.Connection, session: int, query: str = _ENTRIES, apart: float = 0.0
) -> Iterator[dict[str, Any]]:
    """Yield the entries of a session (by its id) as JSON objects, in the order in which they came."""
    for participant, received, number, at, event, data, figures in connection.execute(
        query, {"session": session, "apart": apart}
    ):
        yield {
            "time": round(received, 3),
            "participant": participant,
            "number": max(number, 0),
            "at": round(at * 1000, 1),
            "event": event,
            "data": msgspec.json.decode(data) if figures is None else joined(data, figures),
        }


def entries_of(folder: Path, name: str) -> list[dict[str, Any]]:
    """Return the entries of all sessions of that name in the journal `folder`; none while there is no record."""
    if not (folder / FILE).exists():
        return []
    with open_to_read(folder / FILE) as connection:
        if not connection.execute("pragma user_version").fetchone()[0]:  # it is being made
            return []
        sessions = connection.execute("select id from sessions where name = ? order by began", (name,)).fetchall()
        return [entry for (session,) in sessions for entry in entries(connection, session)]
