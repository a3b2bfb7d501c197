"""The reports of network checks, which an administrator finds by their id."""

import json
import secrets
import sqlite3
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from backend.journal.schema import containing
from backend.journal.store import Store

MOST_BYTES = 64 * 1024
"""Longest report, as JSON."""
MOST_KEPT = 10_000
"""Reports; the oldest make room."""

_LETTERS = "23456789abcdefghjkmnpqrstuvwxyz"
"""None that is taken for another when it is read out."""


def new_id() -> str:
    """Return an id that can be read out on the telephone, and that nobody guesses: 50 bits."""
    return "".join(secrets.choice(_LETTERS) for _ in range(10))


@dataclass(frozen=True, slots=True)
class Check:
    """A report: `at` is Unix time, seconds; `session` may be empty."""

    at: float
    report: Mapping[str, Any]
    session: str = ""
    id: str = field(default_factory=new_id)

    def __post_init__(self) -> None:
        """Refuse what is too long. Raises `ValueError`, which names the rule; also for what is no JSON."""
        if len(json.dumps(self.report, allow_nan=False)) > MOST_BYTES:
            raise ValueError(f"report: at most {MOST_BYTES} bytes")

    def to_json(self) -> dict[str, Any]:
        """Return all of it."""
        return {"id": self.id, "at": round(self.at, 1), "session": self.session, "report": self.report}


def keep_check(store: Store, check: Check) -> None:
    """Store a report. Raises `sqlite3.Error`."""
    with store.transaction() as connection:
        report = json.dumps(check.report, separators=(",", ":"), allow_nan=False)
        connection.execute("insert into checks values (?, ?, ?, ?)", (check.id, check.at, check.session, report))
        connection.execute(
            "delete from checks where id in (select id from checks order by at desc limit -1 offset ?)", (MOST_KEPT,)
        )


def find_check(connection: sqlite3.Connection, identifier: str) -> Check | None:
    """Return the report of that id, however it is written, or None. Raises `sqlite3.Error`."""
    found = connection.execute("select at, report, session, id from checks where id = ?", (_id_of(identifier),))
    return next(map(_check, found), None)


def search_checks(connection: sqlite3.Connection, search: str, *, most: int = 20) -> list[Check]:
    """Return the reports, the latest first, whose id is `search` or whose session has it in its name.

    Raises `sqlite3.Error`.
    """
    found = connection.execute(
        "select at, report, session, id from checks where id = :id or session like :pattern escape '\\'"
        " order by at desc limit :most",
        {"id": _id_of(search), "pattern": containing(search), "most": most},
    )
    return [_check(row) for row in found]


def _id_of(text: str) -> str:
    return text.strip().lower()[:64]


def _check(row: Sequence[Any]) -> Check:
    return Check(row[0], json.loads(row[1]), row[2], row[3])
