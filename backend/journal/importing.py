"""Takes over the journals of earlier versions: a file of JSON lines for each session. Blocking."""

import json
import logging
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from backend.journal.entry import Record, dated
from backend.journal.privacy import redact, shorten
from backend.journal.store import Store
from pyapp.protocol.journal import JournalEntry
from pyapp.protocol.names import check_session_name, decoded
from pyapp.protocol.wire import MessageError, check_identifier, parse

_log = logging.getLogger("ice_console.journal")

IMPORTED = ".imported"
"""The extension of a file that was taken over, as it was: it holds whole addresses."""
SHORTENED = ".shortened"
"""The extension of such a file once its addresses are shortened, and its secrets gone. It is not needed any more."""
_LONGEST = 64 * 1024
"""Bytes; no entry is longer."""


def import_files(store: Store, folder: Path, *, keep_addresses: bool = False) -> bool:
    """Take over the first journal file in `folder`; return whether there are more.

    A line that is no entry is left out. All of a file is stored at once. Unless `keep_addresses`, no file with whole
    addresses stays behind: neither this one nor one that was taken over before. Raises `sqlite3.Error`.
    """
    files = _files(folder, "*.jsonl")
    done = [] if keep_addresses else _files(folder, f"*.jsonl{IMPORTED}")
    if not files and not done:
        return False
    path = (files or done)[0]
    try:
        if files:
            records = list(_records(path, _session(path.stem)))
            store.write(records)
            _log.info("= %s: %d entries taken over into the record", path.name, len(records))
        if keep_addresses:
            path.replace(path.with_name(path.name + IMPORTED))
            _log.info("= %s%s holds whole addresses; nothing needs it any more", path.name, IMPORTED)
        else:
            _shorten_file(path)
    except OSError as error:
        _log.error("! %s cannot be taken over: %s", path, error.strerror)
        return False
    return len(files) + len(done) > 1


def _files(folder: Path, pattern: str) -> list[Path]:
    return sorted(path for path in folder.glob(pattern) if path.is_file() and not path.is_symlink())


def _shorten_file(path: Path) -> None:
    """Replace `path` by a file without secrets, and with shortened addresses. Raises `OSError`."""
    name = path.name.removesuffix(IMPORTED) + SHORTENED
    draft = path.with_name(f"{name}.new")
    with path.open("rb") as old, draft.open("w", encoding="utf-8") as new:
        for line in _lines(old):
            new.write(_shortened(line) + "\n")
    draft.replace(path.with_name(name))
    path.unlink()


def _shortened(line: bytes) -> str:
    """Return a line without what the record would not hold. What is no entry may have an address anywhere."""
    text = line.decode("utf-8", "replace").strip()
    try:
        value = parse(text)
        value["data"] = redact(value["data"])
        text = json.dumps(value, ensure_ascii=False)
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
        text = "".join(map(str, redact({"": text}).values()))
    return shorten(text)


def _session(stem: str) -> str:
    """Return the session that a file is about. Of a very long name, the file had only a part."""
    name = decoded(stem)
    try:
        return check_session_name(name)
    except MessageError:
        return stem[:64]


def _records(path: Path, session: str) -> Iterator[Record]:
    with path.open("rb") as file:
        for line in _lines(file):
            try:
                value = parse(line.decode())
                check_identifier("participant", value["participant"])
                entry = JournalEntry(int(value["number"]), float(value["at"]), value["event"], dict(value["data"]))
                time = float(value["time"])
                if time == dated(time):
                    yield Record(session, value["participant"], time, (entry,), _ignore)
            except (ValueError, TypeError, KeyError, AttributeError, RecursionError, OverflowError):
                continue


def _lines(file: BinaryIO) -> Iterator[bytes]:
    """Yield the lines, but for those that are too long, or were cut off when a disk was full."""
    while line := file.readline(_LONGEST):
        if line.endswith(b"\n"):
            yield line
        while line and not line.endswith(b"\n"):
            line = file.readline(_LONGEST)


def _ignore(_number: int) -> None:
    pass
