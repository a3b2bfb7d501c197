"""Where the journal is if nobody says so."""

import os
from pathlib import Path

import pytest

from backend.settings import StartError
from backend.state import default_journal, journal_in_use, moved_journal


@pytest.fixture(autouse=True)
def cwd(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize(
    ("environ", "folder"),
    [
        ({"HOME": "/ada"}, "/ada/.local/state/ice-console/journal"),
        ({"HOME": "/ada", "XDG_STATE_HOME": "/state"}, "/state/ice-console/journal"),
        ({"STATE_DIRECTORY": "/var/lib/ice-console"}, "/var/lib/ice-console/journal"),
        ({"STATE_DIRECTORY": "/var/lib/one:/var/lib/two"}, "/var/lib/one/journal"),
        ({"STATE_DIRECTORY": "/var/lib/one", "XDG_STATE_HOME": "/state"}, "/state/ice-console/journal"),
    ],
)
def test_it_is_in_the_state_folder(environ: dict[str, str], folder: str) -> None:
    assert str(default_journal(environ)) == folder


def test_without_a_home_the_option_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    def nobody() -> Path:
        raise RuntimeError

    monkeypatch.setattr(Path, "home", nobody)
    with pytest.raises(StartError, match="give --journal DIR"):
        default_journal({})


@pytest.fixture
def environ(cwd: Path) -> dict[str, str]:
    return {"XDG_STATE_HOME": str(cwd / "state")}


@pytest.fixture
def new(cwd: Path) -> Path:
    return cwd / "state/ice-console/journal"


def test_an_earlier_journal_is_in_use_until_a_server_moves_it(cwd: Path, environ: dict[str, str], new: Path) -> None:
    (cwd / "journal").mkdir()
    (cwd / "journal/demo.jsonl").touch()
    assert journal_in_use(environ) == Path("journal")
    assert moved_journal(environ) == new
    assert (new / "demo.jsonl").exists()
    assert not (cwd / "journal").exists()
    assert journal_in_use(environ) == moved_journal(environ) == new


@pytest.mark.parametrize("is_file", [True, False])
def test_what_only_has_the_name_stays(cwd: Path, environ: dict[str, str], new: Path, *, is_file: bool) -> None:
    if is_file:
        (cwd / "journal").touch()
    else:
        (cwd / "journal").mkdir()
        (cwd / "journal/diary.txt").touch()
    assert journal_in_use(environ) == moved_journal(environ) == new
    assert (cwd / "journal").exists()


def test_of_two_journals_the_earlier_one_is_left_alone(
    cwd: Path, environ: dict[str, str], new: Path, caplog: pytest.LogCaptureFixture
) -> None:
    for folder in (cwd / "journal", new):
        folder.mkdir(parents=True)
        (folder / "record.sqlite").touch()
    assert moved_journal(environ) == new
    assert (cwd / "journal/record.sqlite").exists()
    assert "left alone" in caplog.text


def test_what_cannot_be_moved_stays_in_use(
    cwd: Path, environ: dict[str, str], caplog: pytest.LogCaptureFixture
) -> None:
    (cwd / "journal").mkdir()
    (cwd / "journal/record.sqlite").touch()
    (cwd / "state").touch()
    assert moved_journal(environ) == Path("journal")
    assert "stays in use" in caplog.text


def test_folders_that_are_closed_to_this_user_are_left_to_whoever_opens_them(
    cwd: Path, environ: dict[str, str], new: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (cwd / "journal").mkdir()
    (cwd / "journal/record.sqlite").touch()
    stat = Path.stat

    def closed(path: Path, **options: bool) -> os.stat_result:  # root, who runs these tests, may see all
        if path == new:
            raise PermissionError(13, "Permission denied")
        return stat(path, **options)

    monkeypatch.setattr(Path, "stat", closed)
    assert journal_in_use(environ) == moved_journal(environ) == new

    def closed_too(path: Path, **options: bool) -> os.stat_result:
        if not path.is_absolute():
            raise PermissionError(13, "Permission denied")
        return stat(path, **options)

    monkeypatch.setattr(Path, "stat", closed_too)
    assert journal_in_use(environ) == moved_journal(environ) == new
