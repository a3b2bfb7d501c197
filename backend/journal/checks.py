"""The reports of network checks, which an administrator finds by their id."""

import json
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

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


def keep_check(store: Store, check: Check) -> None:
    """Store a report. Raises `sqlite3.Error`."""
    with store.transaction() as connection:
        report = json.dumps(check.report, separators=(",", ":"), allow_nan=False)
        connection.execute("insert into checks values (?, ?, ?, ?)", (check.id, check.at, check.session, report))
        connection.execute(
            "delete from checks where id in (select id from checks order by at desc limit -1 offset ?)", (MOST_KEPT,)
        )


def find_check(store: Store, identifier: str) -> Check | None:
    """Return a report by its id, or None. Raises `sqlite3.Error`."""
    found = store.connection.execute("select at, report, session, id from checks where id = ?", (identifier,))
    if (row := found.fetchone()) is None:
        return None
    return Check(row[0], json.loads(row[1]), row[2], row[3])
