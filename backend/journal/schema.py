"""The record's file: SQLite, and how it is opened.

A *session* here is one occasion: a name may be used every day. A participant is a page load. Entries of the server have
negative numbers, in the order in which they were written; a reader shows them as 0. Times are Unix seconds: `received`
by our clock, `at` by the page's.

Samples are the entries that come in any case (`SAMPLES`). Their figures stand in a JSON list; the names of these and
the fields that are no figures stand once in `frames`, because they seldom change.
"""

import contextlib
import sqlite3
from pathlib import Path

VERSION = 1
FILE = "record.sqlite"

_SCHEMA = """
create table if not exists sessions (
  id integer primary key, name text not null, began real not null, heard real not null,
  bytes integer not null default 0, left_out integer not null default 0, thinned integer not null default 0
) strict;
create index if not exists sessions_by_name on sessions (name, id);
create index if not exists sessions_by_time on sessions (heard);
create index if not exists sessions_by_size on sessions (bytes);

create table if not exists participants (
  id integer primary key, session integer not null references sessions on delete cascade,
  participant text not null, name text not null default '', came real not null, heard real not null,
  gone real, lost real, kept integer not null default 0, noted integer not null default 0,
  unique (session, participant)
) strict;
create index if not exists participants_by_name on participants (participant);

create table if not exists entries (
  participant integer not null references participants on delete cascade, number integer not null,
  received real not null, at real not null, event text not null, data text not null,
  primary key (participant, number)
) strict, without rowid;

create table if not exists frames (
  id integer primary key, participant integer not null references participants on delete cascade,
  event text not null, frame text not null
) strict;
create index if not exists frames_by_participant on frames (participant);

create table if not exists samples (
  participant integer not null references participants on delete cascade, number integer not null,
  received real not null, at real not null, frame integer not null, figures text not null,
  primary key (participant, number)
) strict, without rowid;

create table if not exists relayed (
  participant integer not null references participants on delete cascade, pair text not null, bytes integer not null,
  at real not null default 0, primary key (participant, pair)
) strict, without rowid;

create table if not exists relay_sessions (
  host text not null, session integer not null references sessions on delete cascade, bytes integer not null,
  primary key (session, host)
) strict, without rowid;

create table if not exists relay_days (
  host text not null, day text not null, bytes integer not null, primary key (host, day)
) strict, without rowid;

create table if not exists checks (
  id text primary key, at real not null, session text not null, report text not null
) strict;
"""


def open_to_write(path: Path) -> sqlite3.Connection:
    """Open the file at `path`, or make it (mode 0600).

    Raises `sqlite3.Error`, or `OSError`. It may be used from another thread than it was opened in.
    """
    if path.is_symlink():
        raise OSError(0, "is a link", str(path))
    path.touch(mode=0o600, exist_ok=True)
    connection = sqlite3.connect(path, timeout=5.0, isolation_level=None, check_same_thread=False)
    try:
        for pragma in (
            "auto_vacuum = incremental",  # first: it counts only while the file is empty, and the next one writes to it
            "journal_mode = wal",
            "synchronous = normal",  # a power cut may cost the last moment, but never the file
            "foreign_keys = on",
            "journal_size_limit = 16777216",
        ):
            connection.execute(f"pragma {pragma}")
        _check_version(connection)
        connection.executescript(_SCHEMA)
        _add_what_is_new(connection)
        connection.execute(f"pragma user_version = {VERSION}")
    except BaseException:
        connection.close()
        raise
    return connection


def _check_version(connection: sqlite3.Connection) -> None:
    [version] = connection.execute("pragma user_version").fetchone()
    if version > VERSION:
        raise sqlite3.OperationalError(f"it was written by a newer version ({version})")


def _add_what_is_new(connection: sqlite3.Connection) -> None:
    """Add a column that records of the first days of this version do not have."""
    if not connection.execute("select 1 from pragma_table_info('relayed') where name = 'at'").fetchone():
        connection.execute("alter table relayed add column at real not null default 0")


def open_to_read(path: Path) -> contextlib.closing[sqlite3.Connection]:
    """Open the file at `path` without writing to it; raises `sqlite3.Error` if that cannot be done."""
    connection = sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True, timeout=5.0, isolation_level=None)
    return contextlib.closing(connection)


def containing(text: str) -> str:
    """Return the `like` pattern, with a backslash as its escape, of what has `text` in it."""
    return "%" + text.replace("\\", "\\\\").replace("%", r"\%").replace("_", r"\_") + "%"
