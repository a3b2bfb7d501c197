"""Where this machine keeps what the server writes, if the command line names no place."""

import logging
import os
import shutil
from collections.abc import Mapping
from pathlib import Path

from backend.settings import StartError

_log = logging.getLogger("ice_console.journal")

_NAME = "ice-console"
OLD_JOURNAL = Path("journal")
"""Where the journal was by default in earlier versions: under the folder that the server was started in."""
_OURS = ("record.sqlite", "access.sqlite", "audit.log", "*.jsonl")
"""By one of these a folder is a journal's."""


def state_folder(environ: Mapping[str, str]) -> Path:
    """Return the folder for state: of `XDG_STATE_HOME` (XDG base directories 0.8), or the user's.

    Raises `RuntimeError` if there is neither, nor a home.
    """
    if state := environ.get("XDG_STATE_HOME"):
        return Path(state) / _NAME
    # A folder of the name may be given as text that is no absolute path: it is a path all the same.
    return Path(os.path.join(environ.get("HOME") or Path.home(), ".local", "state", _NAME))  # noqa: PTH118


def default_journal(environ: Mapping[str, str]) -> Path:
    """Return where the journal is unless `--journal` says otherwise: with systemd in its `StateDirectory=`.

    Raises `StartError` if there is no such place.
    """
    directories = environ.get("STATE_DIRECTORY", "")
    if directories and not environ.get("XDG_STATE_HOME"):
        return Path(directories.partition(":")[0]) / "journal"  # systemd.exec(5): a list
    try:
        return state_folder(environ) / "journal"
    except RuntimeError:
        raise StartError("no HOME, so there is no place for the journal: give --journal DIR") from None


def journal_in_use(environ: Mapping[str, str]) -> Path:
    """Return the journal of whatever server runs here: an earlier version's, until `moved_journal` was called."""
    folder = default_journal(environ)
    return OLD_JOURNAL if not _is_there(folder) and _is_journal(OLD_JOURNAL) else folder


def moved_journal(environ: Mapping[str, str]) -> Path:
    """Return the default journal, after an earlier version's was moved there. For a server that starts.

    If it cannot be moved, it stays in use.
    """
    folder = default_journal(environ)
    if not _is_journal(OLD_JOURNAL) or OLD_JOURNAL.absolute() == folder.absolute():
        return folder
    if _is_there(folder):
        _log.warning("! %s is a journal of earlier versions, and left alone: there is one in %s", OLD_JOURNAL, folder)
        return folder
    try:
        folder.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        shutil.move(OLD_JOURNAL, folder)
    except OSError as error:
        _log.warning("! %s cannot be moved to %s, and stays in use: %s", OLD_JOURNAL, folder, error.strerror or error)
        return OLD_JOURNAL
    _log.info("= %s was moved to %s", OLD_JOURNAL, folder)
    return folder


def _is_there(folder: Path) -> bool:
    try:
        folder.stat()
    except (FileNotFoundError, NotADirectoryError):
        return False
    except OSError:  # it may be; whoever opens it says what is in the way
        return True
    return True


def _is_journal(folder: Path) -> bool:
    try:
        return folder.is_dir() and any(next(folder.glob(name), None) is not None for name in _OURS)
    except OSError:  # the folder that a service was started in may be closed to its user
        return False
