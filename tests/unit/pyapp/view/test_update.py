"""What a page says that is older than the server."""

import pytest

from pyapp.core import events
from pyapp.protocol.signaling import Error, Welcome
from pyapp.view.console import present
from pyapp.view.update import Update
from tests.unit.pyapp.sessions import CONFIGURATION, Core, IceConfigured, Opened, connecting

OURS, NEWER = "1" * 32, "2" * 32


def welcomed(build: str, own: str = OURS) -> Core:
    core = connecting(build=own)
    core.do(IceConfigured(CONFIGURATION), Opened(), Welcome(polite=False, peer="", build=build))
    return core


@pytest.mark.parametrize(("build", "own"), [(OURS, OURS), ("", OURS), (NEWER, "")])
def test_nothing_is_said_if_the_page_is_the_servers_or_nobody_knows(build: str, own: str) -> None:
    assert present(welcomed(build, own).session).update == Update()


def test_in_a_session_a_newer_page_is_told_of_and_afterwards_offered() -> None:
    core = welcomed(NEWER)
    told = present(core.session).update
    assert "once you have hung up" in told.sentence
    assert not told.can_reload
    core.do(events.HangUpRequested())
    offered = present(core.session).update
    assert "this page is older" in offered.sentence
    assert offered.can_reload


def test_who_is_refused_later_is_still_offered_the_newer_page() -> None:
    core = welcomed(NEWER)
    core.do(Error("session-full", "full"))
    assert present(core.session).update.can_reload


def test_it_is_noted_once() -> None:
    core = welcomed(NEWER)
    core.do(Welcome(polite=False, peer="", build=NEWER))
    assert sum("older than the server" in line.text for line in core.session.journal.lines) == 1
    core.do(Welcome(polite=False, peer="", build=OURS))
    assert present(core.session).update == Update()
