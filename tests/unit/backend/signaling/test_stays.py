"""What the audit log says of a participant's stay."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from backend.access.audit import Audit
from backend.access.invitations import Grant
from backend.access.refusals import SPELLED_OUT, WITHIN
from backend.signaling.rooms import Departed
from backend.signaling.stays import Stays
from pyapp.protocol.journal import JournalEntry
from pyapp.protocol.signaling import Join

JOIN = Join("demo", "a" * 32, "b" * 32)


@pytest.fixture
def stays(tmp_path: Path) -> Iterator[Stays]:
    audit = Audit(tmp_path)
    yield Stays(audit)
    audit.close()


def told(folder: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (folder / "audit.log").read_text(encoding="utf-8").splitlines()]


def test_who_came_and_left_and_by_which_path(stays: Stays, tmp_path: Path) -> None:
    stays.has_come(JOIN, Grant(role="guest", session="demo", id="i", name="Bob"), address="192.0.2.1", now=10.0)
    samples: list[dict[str, Any]] = [
        {"path": "direct", "bytes_sent": 5, "bytes_received": 7},
        {"path": "relay", "bytes_sent": "many"},
    ]
    stays.heard(JOIN, [JournalEntry(number, 0.0, "sample", data) for number, data in enumerate(samples, 1)])
    stays.heard(JOIN, [JournalEntry(3, 0.0, "said", {"path": "none"})])
    stays.has_departed(Departed("demo", JOIN.participant, "left"), now=12.25)
    came, left = told(tmp_path)
    assert (came["event"], came["address"], came["role"], came["name"]) == ("came", "192.0.2.1", "guest", "Bob")
    assert (left["event"], left["how"], left["seconds"], left["path"]) == ("left", "left", 2.2, "relay")
    assert (left["bytes_sent"], left["bytes_received"]) == (5, 7)


def test_who_is_unknown_is_not_told_of(stays: Stays, tmp_path: Path) -> None:
    stays.heard(JOIN, [JournalEntry(1, 0.0, "sample", {"path": "relay"})])
    stays.has_departed(Departed("demo", JOIN.participant, "left"), now=1.0)
    assert not (tmp_path / "audit.log").exists()


@pytest.mark.parametrize("role", ["guest", "operator"])
def test_an_operator_is_known_as_long_as_it_is_here(stays: Stays, role: Any) -> None:
    assert not stays.is_operator(JOIN)
    stays.has_come(JOIN, Grant(role=role), address="192.0.2.1", now=0.0)
    assert stays.is_operator(JOIN) == (role == "operator")
    stays.has_departed(Departed("demo", JOIN.participant, "left"), now=1.0)
    assert not stays.is_operator(JOIN)


def come_and_go(stays: Stays, grant: Grant, times: int) -> None:
    for number in range(times):
        one = Join("demo", f"{number:032x}", "b" * 32)
        stays.has_come(one, grant, address="192.0.2.1", now=0.0)
        stays.has_departed(Departed("demo", one.participant, "left"), now=1.0)


def test_strangers_have_so_many_lines_and_are_counted(stays: Stays, tmp_path: Path) -> None:
    come_and_go(stays, Grant(role="guest"), 1000)
    stays.sum_up(now=WITHIN - 1)
    stays._audit.close()
    assert [one["event"] for one in told(tmp_path)] == ["came", "left"] * SPELLED_OUT
    stays.sum_up(now=WITHIN)
    stays._audit.close()
    rest = told(tmp_path)[-1]
    assert (rest["event"], rest["address"], rest["more"]) == ("came", "192.0.2.1", 1000 - SPELLED_OUT)


@pytest.mark.parametrize("grant", [Grant(role="guest", id="i"), Grant(role="operator", name="Ann")])
def test_who_was_invited_has_a_line_each_time(stays: Stays, tmp_path: Path, grant: Grant) -> None:
    come_and_go(stays, grant, 2 * SPELLED_OUT)
    stays._audit.close()
    assert len(told(tmp_path)) == 4 * SPELLED_OUT
