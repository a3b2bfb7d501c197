"""Reading the record. Blocking; the file may be written to meanwhile."""

import json
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from backend.journal.schema import FILE, open_to_read
from backend.journal.store import joined

_ENTRIES = """
select * from (
select p.participant, received, number, at, event, data, null from participants p
  join entries e on e.participant = p.id where session = :session union all
select p.participant, received, number, at, event, f.frame, figures from participants p
  join samples s on s.participant = p.id join frames f on f.id = s.frame where session = :session
) order by received, abs(number)
"""


def entries(connection: sqlite3.Connection, session: int) -> Iterator[dict[str, Any]]:
    """Yield the entries of a session (by its id) as JSON objects, in the order in which they came."""
    for participant, received, number, at, event, data, figures in connection.execute(_ENTRIES, {"session": session}):
        yield {
            "time": round(received, 3),
            "participant": participant,
            "number": max(number, 0),
            "at": round(at * 1000, 1),
            "event": event,
            "data": json.loads(data) if figures is None else joined(data, figures),
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
