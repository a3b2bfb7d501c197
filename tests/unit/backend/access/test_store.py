"""Which invitations were issued and revoked, in a file that two processes share."""

import contextlib
import sqlite3
import stat
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from backend.access.invitations import Invitation, Role
from backend.access.store import Store
from backend.settings import StartError

DAY = 86400
NOW = 1_700_000_000


def invitation(identifier: str, *, issued: int = NOW, expires: int = NOW + DAY, session: str = "demo") -> Invitation:
    role: Role = "guest" if session else "operator"
    return Invitation(id=identifier, role=role, session=session, name="Zoë", issued=issued, expires=expires)


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with Store(tmp_path) as result:
        yield result


def test_what_was_issued_is_there_as_it_was_and_the_newest_last(store: Store) -> None:
    issued = [invitation("b", session=""), invitation("a"), invitation("c", issued=NOW - 1)]
    for each in issued:
        store.add(each)
    assert store.all() == [issued[2], issued[1], issued[0]]


def test_the_file_is_for_its_owner_alone(tmp_path: Path) -> None:
    folder = tmp_path / "new" / "journal"
    Store(folder).close()
    assert stat.S_IMODE((folder / "access.sqlite").stat().st_mode) == 0o600
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700


def test_what_expired_long_ago_is_forgotten_and_what_expired_lately_is_not(store: Store) -> None:
    for identifier, expires in (("old", NOW - 31 * DAY), ("late", NOW - 29 * DAY)):
        store.add(invitation(identifier, issued=expires - 1, expires=expires))
    store.revoke("old", now=NOW)
    store.add(invitation("new"))
    assert [each.id for each in store.all()] == ["late", "new"]
    assert not store.is_revoked("old")


class TestRevoking:
    def test_is_noted_before_anybody_sees_it(self, store: Store, tmp_path: Path) -> None:
        """The audit log has it before the server says who left for it, however busy the machine is."""
        store.add(invitation("a"))
        noted: list[bool] = []

        def note() -> None:
            other = sqlite3.connect(tmp_path / "access.sqlite", timeout=0.0)
            with contextlib.closing(other), pytest.raises(sqlite3.OperationalError, match="locked"):
                other.execute("select revoked from invitations").fetchall()
            noted.append(not store._connection.in_transaction)

        with Store(tmp_path) as running:
            assert store.revoke("a", now=NOW, note=note)
            assert noted == [True]
            assert running.newly_revoked() == {"a"}
            running.add(invitation("b"))
        store.revoke("a", now=NOW, note=note)
        store.revoke("unknown", now=NOW, note=note)
        assert noted == [True]

    def test_is_not_noted_if_it_comes_to_nothing(self, store: Store, tmp_path: Path) -> None:
        store.add(invitation("a"))
        noted: list[str] = []
        store._connection.execute("pragma busy_timeout = 0")
        with contextlib.closing(sqlite3.connect(tmp_path / "access.sqlite", isolation_level=None)) as reader:
            reader.execute("begin")
            reader.execute("select * from invitations").fetchall()  # whoever reads lets nobody commit
            with pytest.raises(StartError, match=r"access\.sqlite: database is locked"):
                store.revoke("a", now=NOW, note=lambda: noted.append("a"))
            assert noted == []
            reader.execute("rollback")
        assert not store.is_revoked("a")
        assert store.revoke("a", now=NOW, note=lambda: noted.append("a"))
        assert noted == ["a"]

    def test_lets_others_go_on_after_a_note_that_fails(self, store: Store, tmp_path: Path) -> None:
        store.add(invitation("a"))

        def note() -> None:
            raise KeyError("a fault")

        with Store(tmp_path) as running:
            with pytest.raises(KeyError):
                store.revoke("a", now=NOW, note=note)
            running._connection.execute("pragma busy_timeout = 0")
            assert running.newly_revoked() == {"a"}

    def test_is_done_once_and_says_when(self, store: Store) -> None:
        store.add(invitation("a"))
        store.add(invitation("b"))
        assert store.revoke("a", now=NOW + 5.9)
        assert not store.revoke("a", now=NOW + 100), "the first time counts"
        assert store.all() == [replace(invitation("a"), revoked=NOW + 5), invitation("b")]
        assert (store.is_revoked("a"), store.is_revoked("b")) == (True, False)

    @pytest.mark.parametrize("identifier", ["", "unknown", "' or 1=1 --", "%"])
    def test_is_of_what_is_known_alone(self, store: Store, identifier: str) -> None:
        store.add(invitation("a"))
        assert not store.revoke(identifier, now=NOW)
        assert not store.is_revoked(identifier)
        assert not store.is_revoked("a")

    def test_is_news_once_to_each_process_whoever_did_it(self, store: Store, tmp_path: Path) -> None:
        """The command line revokes while the server runs."""
        for identifier in "ab":
            store.add(invitation(identifier))
        with Store(tmp_path) as other:
            assert other.revoke("a", now=NOW)
            assert store.newly_revoked() == {"a"}
            assert store.newly_revoked() == set()
            assert store.revoke("b", now=NOW)
            assert (store.newly_revoked(), other.newly_revoked()) == ({"b"}, {"a", "b"})

    def test_before_a_start_is_no_news_after_it(self, store: Store, tmp_path: Path) -> None:
        store.add(invitation("a"))
        store.revoke("a", now=NOW)
        with Store(tmp_path) as later:
            assert later.newly_revoked() == set()
            assert later.is_revoked("a")


class TestAFileThatIsNoStore:
    def test_is_named(self, tmp_path: Path) -> None:
        (tmp_path / "access.sqlite").write_text("not a database, however long it is" * 100, encoding="utf-8")
        with pytest.raises(StartError, match=r"access\.sqlite: file is not a database"):
            Store(tmp_path)

    def test_and_a_folder_that_is_none_are_too(self, tmp_path: Path) -> None:
        (tmp_path / "file").touch()
        with pytest.raises(StartError, match=r"file/access\.sqlite: cannot be made: "):
            Store(tmp_path / "file")
        (tmp_path / "access.sqlite").mkdir()
        with pytest.raises(StartError, match=r"access\.sqlite: unable to open"):
            Store(tmp_path)

    def test_that_becomes_one_later_is_named_as_well(self, store: Store) -> None:
        store._connection.execute("drop table invitations")
        for use in (store.all, store.newly_revoked, lambda: store.is_revoked("a"), lambda: store.add(invitation("a"))):
            with pytest.raises(StartError, match=r"access\.sqlite: no such table"):
                use()

    def test_that_is_read_has_no_second_invitation_of_one_name(self, store: Store) -> None:
        store.add(invitation("a"))
        with pytest.raises(StartError, match="UNIQUE"):
            store.add(invitation("a", session="other"))
        assert store.all() == [invitation("a")]
