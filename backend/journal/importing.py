"""Takes over the journals of earlier versions: a file of JSON lines for each session. Blocking."""

import logging
from collections.abc import Iterator
from pathlib import Path

from backend.journal.entry import Record, dated
from backend.journal.store import Store
from pyapp.protocol.journal import JournalEntry
from pyapp.protocol.names import check_session_name, decoded
from pyapp.protocol.wire import MessageError, check_identifier, parse

_log = logging.getLogger("ice_console.journal")

IMPORTED = ".imported"
"""The extension of a file that was taken over. It is not needed any more."""
_LONGEST = 64 * 1024
"""Bytes; no entry is longer."""


def import_files(store: Store, folder: Path) -> bool:
    """Take over the first journal file in `folder`; return whether there are more.

    A line that is no entry is left out. All of a file is stored at once, and then it is renamed. Raises
    `sqlite3.Error`.
    """
    files = sorted(path for path in folder.glob("*.jsonl") if path.is_file() and not path.is_symlink())
    if not files:
        return False
    path = files[0]
    try:
        records = list(_records(path, _session(path.stem)))
        store.write(records)
        path.replace(path.with_name(path.name + IMPORTED))
    except OSError as error:
        _log.error("! %s cannot be taken over: %s", path, error.strerror)
        return False
    _log.info("= %s: %d entries taken over into the record", path.name, len(records))
    return len(files) > 1


def _session(stem: str) -> str:
    """Return the session that a file is about. Of a very long name, the file had only a part."""
    name = decoded(stem)
    try:
        return check_session_name(name)
    except MessageError:
        return stem[:64]


def _records(path: Path, session: str) -> Iterator[Record]:
    with path.open("rb") as file:
        while line := file.readline(_LONGEST):
            if not line.endswith(b"\n"):  # too long, or cut off when a disk was full
                while line and not line.endswith(b"\n"):
                    line = file.readline(_LONGEST)
                continue
            try:
                value = parse(line.decode())
                check_identifier("participant", value["participant"])
                entry = JournalEntry(int(value["number"]), float(value["at"]), value["event"], dict(value["data"]))
                time = float(value["time"])
                if time == dated(time):
                    yield Record(session, value["participant"], time, (entry,), _ignore)
            except (ValueError, TypeError, KeyError, AttributeError, RecursionError, OverflowError):
                continue


def _ignore(_number: int) -> None:
    pass
