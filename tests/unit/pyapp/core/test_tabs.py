"""Several tabs of one browser, as the core hears of them; invitations that come while the page is open."""

import pytest

from pyapp.core import commands, events
from pyapp.core.tabs import TAKE_OVER
from pyapp.protocol.signaling import Error, Join
from pyapp.view.console import present
from tests.unit.pyapp.sessions import (
    CONFIGURATION,
    INVITATION,
    A,
    Core,
    IceConfigured,
    NotConfigured,
    Opened,
    connected,
    connecting,
    session,
)

KEY = "f" * 32
USE_IT_HERE, ELSEWHERE = "Use it here", "Open in another tab"


def beside_another() -> Core:
    """Return a page of which another tab is in the session."""
    core = Core()
    core.do(events.TabEntered("demo"), events.ConnectExpected("demo"))
    return core


def offers_to_take_over(core: Core) -> bool:
    view = present(core.session)
    assert view.lobby.is_elsewhere == (view.status.headline == ELSEWHERE)
    return (view.status.headline, view.controls.connect_label, view.controls.can_connect) == (
        *(ELSEWHERE, USE_IT_HERE),
        True,
    )


def test_the_other_tabs_hear_where_this_one_is() -> None:
    core = connecting()
    assert core.told == [commands.TabIsIn("demo")]
    core.do(events.HangUpRequested())
    assert core.told[1:] == [commands.TabIsOut(comes_back=False)]


def test_only_a_page_that_was_left_comes_back() -> None:
    core = connecting()
    core.do(events.PageClosing())
    assert core.told[1:] == [commands.TabIsOut(comes_back=True)]
    core = connecting()
    core.do(NotConfigured("invitation-expired", "It has expired."))
    assert core.told[1:] == [commands.TabIsOut(comes_back=False)]


def test_a_session_that_is_open_in_another_tab_is_offered_and_not_joined() -> None:
    core = beside_another()
    assert offers_to_take_over(core)
    core.do(events.ConnectRequested("demo", by_itself=True), Opened())
    assert core.session.phase == "ready"
    assert not any(isinstance(said, commands.SendSignaling) for said in core.said)
    core.do(events.TabLeft("demo"))
    assert not offers_to_take_over(core)
    core.do(events.ConnectRequested("demo", by_itself=True))
    assert core.state == "connecting"


def test_another_session_can_be_joined_meanwhile() -> None:
    core = beside_another()
    core.do(events.SessionEdited("other"))
    assert not offers_to_take_over(core)
    core.do(events.ConnectRequested("other"))
    assert core.state == "connecting"


def test_used_here_it_takes_over_the_place_with_its_key() -> None:
    core = beside_another()
    core.do(events.ConnectRequested("demo"))
    assert core.told == [commands.TakePlace("demo")]
    assert core.session.phase == "ready"
    core.do(events.TabLeft("demo"), events.PlaceGiven("demo", KEY), Opened())
    assert TAKE_OVER not in core.timers
    assert commands.SendSignaling(Join("demo", A, KEY)) in core.said
    assert core.told[1:] == [commands.TabIsIn("demo")]


def test_used_here_it_goes_on_if_the_other_tab_has_crashed() -> None:
    core = beside_another()
    core.do(events.ConnectRequested("demo"))
    assert core.timers[TAKE_OVER] < 1
    core.do(events.TimerFired(TAKE_OVER))
    assert core.state == "connecting"


def test_a_place_that_a_frozen_tab_gives_too_late_is_not_taken() -> None:
    core = beside_another()
    core.do(events.ConnectRequested("demo"), events.TimerFired(TAKE_OVER), Opened())
    held = core.session.presence.held
    core.do(events.TabLeft("demo"), events.PlaceGiven("demo", KEY))
    assert core.session.presence.held == held


def test_only_the_place_that_was_asked_for_is_taken() -> None:
    core = beside_another()
    core.do(events.ConnectRequested("demo"), events.PlaceGiven("other", KEY))
    assert core.session.phase == "ready"
    assert TAKE_OVER in core.timers


def test_a_place_that_nobody_asked_for_is_not_taken() -> None:
    core = Core()
    core.do(events.PlaceGiven("demo", KEY), events.TimerFired(TAKE_OVER))
    assert (core.session.phase, core.told) == ("ready", [])


def test_a_tab_that_is_taken_over_leaves_and_says_so() -> None:
    core = connected()
    core.do(events.PlaceWanted("other"))
    assert core.state == "connected"
    core.do(events.PlaceWanted("demo"))
    assert core.told[1:] == [commands.TabIsOut(comes_back=False), commands.GivePlace("demo", A)]
    assert A not in repr(core.told)
    core.do(events.TabEntered("demo"))
    assert core.state == "closed"
    assert offers_to_take_over(core)
    core.do(events.TabLeft("demo"))
    assert "another tab" in present(core.session).status.detail
    assert present(core.session).controls.connect_label == "Connect again"


def test_of_two_tabs_that_joined_together_the_later_one_leaves() -> None:
    core = connecting()
    core.do(events.TabEntered("demo"))
    assert core.state == "closed"
    assert offers_to_take_over(core)


def test_coming_back_to_a_page_does_not_push_another_tab_out() -> None:
    core = connecting()
    core.do(events.PageClosing(), events.TabEntered("demo"), events.PageShown())
    assert core.state == "closed"
    assert offers_to_take_over(core)


@pytest.mark.parametrize("broken", ["cut.off", "é", "x" * 5000, "a.b.c", f"{INVITATION}%20", f" {INVITATION}"])
def test_an_invitation_that_can_be_none_is_said_at_once_and_never_sent(broken: str) -> None:
    core = Core(session(invitation=broken))
    assert present(core.session).status.headline == "This invitation is not valid"
    core.do(events.ConnectRequested("demo"), Opened())
    assert commands.SendSignaling(Join("demo", A, A)) in core.said


@pytest.mark.parametrize("name", ["x" * 65, "a/b", "ﬁ" * 60])
def test_a_session_name_that_can_be_none_is_said_at_once(name: str) -> None:
    core = Core()
    core.do(events.ConnectExpected(name))
    assert "1 to 64" in present(core.session).lobby.problem
    core.do(events.ConnectExpected("demo"))
    assert not present(core.session).lobby.problem


def test_an_invitation_that_comes_later_is_used_at_once_by_who_was_refused_for_want_of_one() -> None:
    core = connecting()
    core.do(NotConfigured("invitation-required", "An invitation is needed to join."))
    assert core.state == "failed"
    core.do(events.InvitationGiven(INVITATION))
    core.do(IceConfigured(CONFIGURATION), Opened())
    assert commands.SendSignaling(Join("demo", A, A, INVITATION, socket=2)) in core.said
    assert core.session.inviting.own == INVITATION


def test_an_invitation_after_a_refusal_does_not_take_the_session_from_another_tab() -> None:
    core = connecting()
    core.do(NotConfigured("invitation-expired", "It has expired."))
    core.do(events.TabEntered("demo"), events.InvitationGiven(INVITATION))
    assert core.session.phase == "failed"
    assert offers_to_take_over(core)


def test_otherwise_it_is_kept_for_the_next_time() -> None:
    core = connecting()
    core.do(Opened(), events.InvitationGiven(INVITATION))
    assert core.session.place is not None
    assert core.session.place.invitation == INVITATION
    core.do(Error("session-full", "full"))
    assert core.state == "failed"
    assert core.do(events.InvitationGiven(INVITATION)) == []
