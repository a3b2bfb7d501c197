"""How much of the record is kept: for how long, and how large. Blocking: the writer's thread calls it.

A session above its limit loses its quiet middle (`thinning.py`), and so do sessions that are no longer new, down to a
part of that. If the whole is still too large, sessions go, the oldest first. A transaction is short, so that what comes
in meanwhile does not wait for long.
"""

from collections.abc import Iterable

from backend.access.limits import Limits
from backend.journal import relayed
from backend.journal.store import ROW, Store
from backend.journal.thinning import Row, to_drop

DAY = 86400.0
_TARGET = 0.8
"""Of a limit, so that a session at its limit is not thinned at each batch."""
_OLD = 8
"""An old session keeps one part in so many of its limit."""
_AT_ONCE = 2000
"""Rows that are dropped in one transaction."""


def keep_within(store: Store, limits: Limits, *, now: float) -> None:
    """Drop what is above `limits` at `now` (Unix time, seconds). Raises `sqlite3.Error`."""
    oldest = now - limits.journal_days * DAY
    for (session,) in store.connection.execute("select id from sessions where heard < ?", (oldest,)).fetchall():
        _forget(store, session)
    with store.transaction() as connection:
        connection.execute("delete from checks where at < ?", (oldest,))
        relayed.clear(connection, oldest=oldest, now=now)
    smaller = limits.journal_session_bytes // _OLD
    old = now - limits.journal_full_days * DAY
    for (session,) in store.connection.execute(
        "select id from sessions where heard < ? and bytes > ? and thinned < 2", (old, smaller)
    ).fetchall():
        _thin(store, session, smaller, mark=2)
    excess = size(store) - limits.journal_bytes
    for session, its_size in store.connection.execute("select id, bytes from sessions order by heard").fetchall()[:-1]:
        if excess <= 0:
            break
        _forget(store, session)
        excess -= its_size
    store.connection.executescript("pragma incremental_vacuum(1000)")  # execute() would stop after the first page


def thin_the_full(store: Store, limits: Limits) -> None:
    """Thin the sessions that are above their own limit. Raises `sqlite3.Error`."""
    full = store.connection.execute("select id from sessions where bytes > ?", (limits.journal_session_bytes,))
    for (session,) in full.fetchall():
        _thin(store, session, int(limits.journal_session_bytes * _TARGET), mark=1)


def size(store: Store) -> int:
    """Return the bytes that the entries of all sessions take, about."""
    [total] = store.connection.execute("select coalesce(sum(bytes), 0) from sessions").fetchone()
    return int(total)


def _thin(store: Store, session: int, limit: int, *, mark: int) -> None:
    rows = list(_rows(store, session))
    dropped = to_drop(rows, limit=limit)
    entries = [row.key for row in dropped if not row.is_sample]
    samples = [row.key for row in dropped if row.is_sample]
    for table, keys in (("entries", entries), ("samples", samples)):
        for start in range(0, len(keys), _AT_ONCE):
            with store.transaction() as connection:
                connection.executemany(
                    f"delete from {table} where participant = ? and number = ?",  # noqa: S608 - constants
                    keys[start : start + _AT_ONCE],
                )
    with store.transaction() as connection:
        connection.execute(
            "delete from frames where participant in (select id from participants where session = ?)"
            " and id not in (select frame from samples s"
            " join participants p on p.id = s.participant where session = ?)",
            (session, session),
        )
        connection.execute(
            "update sessions set left_out = left_out + :dropped, thinned = :mark, bytes ="
            " (select coalesce(sum(length(data) + :row), 0) from entries where participant in"
            "  (select id from participants where session = :session))"
            " + (select coalesce(sum(length(figures) + :row), 0) from samples where participant in"
            "  (select id from participants where session = :session))"
            " + (select coalesce(sum(length(frame) + :row), 0) from frames where participant in"
            "  (select id from participants where session = :session)) where id = :session",
            {"row": ROW, "session": session, "dropped": len(dropped), "mark": mark},
        )


def _rows(store: Store, session: int) -> Iterable[Row]:
    found = store.connection.execute(
        "select p.id, number, received, at, event, length(data), null, 0 from participants p"
        " join entries e on e.participant = p.id where session = :session union all"
        " select p.id, number, received, at, event, length(figures), f.id, length(f.frame) from participants p"
        " join samples s on s.participant = p.id join frames f on f.id = s.frame where session = :session"
        " order by 3, 2",
        {"session": session},
    )
    met: set[int | None] = {None}
    for participant, number, received, at, event, length, frame, its_length in found:
        size = length + ROW + (0 if frame in met else its_length + ROW)  # a frame goes with the sample that brought it
        met.add(frame)
        yield Row((participant, number), received, at, event, size, is_sample=frame is not None)


def _forget(store: Store, session: int) -> None:
    """Delete a session, a part at a time."""
    for table in ("samples", "entries"):
        while True:
            with store.transaction() as connection:
                done = connection.execute(
                    f"delete from {table} where (participant, number) in (select e.participant, number from {table} e"  # noqa: S608 - constants
                    " join participants p on p.id = e.participant where session = ? limit ?)",
                    (session, _AT_ONCE),
                )
            if done.rowcount < _AT_ONCE:
                break
    with store.transaction() as connection:
        connection.execute("delete from sessions where id = ?", (session,))
