"""Which invitations were issued, and which were revoked: SQLite, beside the journal.

The command line writes it while the server runs. An invitation is valid by its signature alone; the store has what
`server.py invitations` lists, and what was revoked.
"""

import contextlib
import sqlite3
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Self

from backend.access.invitations import Invitation
from backend.settings import StartError

_KEPT_FOR = 30 * 86400  # seconds after an invitation has expired
_SCHEMA = """
create table if not exists invitations (
  id text primary key, role text not null, session text not null, name text not null,
  issued integer not null, expires integer not null, revoked integer
) strict
"""
_COLUMNS = "id, role, session, name, issued, expires, revoked"


class Store:
    """The file `access.sqlite` in `folder`. A context manager."""

    def __init__(self, folder: Path) -> None:
        """Open the file, or make it (mode 0600). Raises `StartError`."""
        self._path = folder / "access.sqlite"
        try:
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._path.touch(mode=0o600, exist_ok=True)
            self._connection = sqlite3.connect(self._path, timeout=5.0, isolation_level=None)
        except OSError as error:
            raise StartError(f"{self._path}: cannot be made: {error.strerror}") from None
        except sqlite3.Error as error:
            raise StartError(f"{self._path}: {error}") from None
        with self._named():
            self._connection.execute(_SCHEMA)
        self._seen: set[str] = set()
        self._seen = self.newly_revoked()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the file."""
        self._connection.close()

    def add(self, invitation: Invitation) -> None:
        """Remember `invitation`, and forget those that have expired long ago."""
        values = [getattr(invitation, name) for name in _COLUMNS.split(", ")]
        with self._named():
            self._connection.execute("delete from invitations where expires < ?", (invitation.issued - _KEPT_FOR,))
            self._connection.execute(f"insert into invitations ({_COLUMNS}) values (?, ?, ?, ?, ?, ?, ?)", values)  # noqa: S608 - constants

    def all(self) -> list[Invitation]:
        """Return the invitations, the newest last."""
        with self._named():
            rows = self._connection.execute(f"select {_COLUMNS} from invitations order by issued, id").fetchall()  # noqa: S608 - constants
        return [Invitation(**dict(zip(_COLUMNS.split(", "), row, strict=True))) for row in rows]

    def revoke(self, identifier: str, *, now: float, note: Callable[[], object] = lambda: None) -> bool:
        """Revoke an invitation at `now` (Unix time, seconds); False if it is unknown, or was revoked before.

        `note` is called once that is committed, and before anybody else can see it: the audit log has the revocation
        before what follows from it, and none that came to nothing.
        """
        with self._named():
            try:
                with self._connection:
                    self._connection.execute("begin immediate")
                    # The commit keeps the lock in this mode (https://sqlite.org/pragma.html#pragma_locking_mode).
                    self._connection.execute("pragma locking_mode = exclusive")
                    done = self._connection.execute(
                        "update invitations set revoked = ? where id = ? and revoked is null", (int(now), identifier)
                    )
                if done.rowcount == 1:
                    note()
            finally:
                self._connection.execute("pragma locking_mode = normal")
                self._connection.execute("select 1 from invitations").fetchone()  # the next access lets it go
        return done.rowcount == 1

    def is_revoked(self, identifier: str) -> bool:
        """Whether an invitation was revoked; False if it is unknown."""
        with self._named():
            found = self._connection.execute(
                "select 1 from invitations where id = ? and revoked is not null", (identifier,)
            ).fetchone()
        return found is not None

    def newly_revoked(self) -> set[str]:
        """Return what anybody has revoked since the last call."""
        with self._named():
            rows = self._connection.execute("select id from invitations where revoked is not null").fetchall()
        revoked = {identifier for (identifier,) in rows}
        new, self._seen = revoked - self._seen, revoked
        return new

    @contextlib.contextmanager
    def _named(self) -> Iterator[None]:
        try:
            yield
        except sqlite3.Error as error:
            raise StartError(f"{self._path}: {error}") from None
