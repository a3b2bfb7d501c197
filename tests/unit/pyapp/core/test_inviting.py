"""The link for the other side, as lists of events."""

import pytest

from backend.access.invitations import new_invitation, sign
from pyapp.core import commands, events
from pyapp.core.inviting import Inviting, Output
from pyapp.protocol.access import Access, Invitation

PAGE = "https://console.example.org/"
OPERATORS = sign(new_invitation("", now=0.0), key="k" * 40)
GUESTS = sign(new_invitation("demo", ttl=60, now=1000.0), key="k" * 40)
OPERATOR = Access(role="operator")
ISSUED = Invitation(id="1", session="demo", name="", expires=2000, token="x." + GUESTS.split(".")[1] + ".y")
LAN = Access(role="operator", is_open=True, addresses=("http://192.0.2.5:8080/",))


def asked(outputs: list[Output]) -> list[Output]:
    return [output for output in outputs if not hasattr(output, "mark")]


def operator(session: str = "demo") -> Inviting:
    inviting = Inviting(OPERATORS, PAGE)
    assert inviting.expected(session) == [commands.AskAccess()]
    return inviting


def test_an_operators_page_has_an_invitation_issued_for_its_session() -> None:
    inviting = operator()
    assert not inviting.is_ready
    assert inviting.receive(events.AccessTold(OPERATOR)) == [commands.IssueInvitation("demo", "", None, anew=False)]
    assert not inviting.is_ready
    assert inviting.receive(events.LinkWanted()) == [], "one is on its way"
    inviting.receive(events.InvitationIssued("demo", ISSUED))
    assert (inviting.is_ready, inviting.is_settled, inviting.token) == (True, True, ISSUED.token)
    assert inviting.expires == 1060


def test_another_name_needs_another_invitation_and_the_first_is_remembered() -> None:
    inviting = operator()
    inviting.receive(events.AccessTold(OPERATOR))
    inviting.receive(events.InvitationIssued("demo", ISSUED))
    inviting.session = "other"
    assert not inviting.is_ready
    assert inviting.receive(events.LinkWanted()) == [commands.IssueInvitation("other", "", None, anew=False)]
    inviting.session = "demo"
    assert inviting.token == ISSUED.token


def test_a_guests_link_has_the_guests_own_invitation_and_nothing_is_issued() -> None:
    inviting = Inviting(GUESTS, PAGE)
    assert inviting.expected("demo") == []
    assert (inviting.is_ready, inviting.token) == (True, GUESTS)
    assert inviting.receive(events.InviteOpened()) == [commands.AskAccess()]
    assert inviting.receive(events.AccessTold(Access(role="guest"))) == []
    assert inviting.receive(events.InvitationRequested("Bob", 60)) == []
    inviting.session = "another"
    assert inviting.token == ""


@pytest.mark.parametrize("own", ["", OPERATORS])
def test_on_a_server_that_is_open_to_all_no_invitation_is_needed(own: str) -> None:
    inviting = Inviting(own, PAGE)
    inviting.expected("demo")
    assert inviting.receive(events.InviteOpened()) == ([] if own else [commands.AskAccess()])
    assert inviting.receive(events.AccessTold(LAN)) == []
    assert (inviting.is_ready, inviting.is_settled, inviting.token) == (True, True, "")


def test_the_panel_lists_what_was_issued_and_again_after_each_change() -> None:
    inviting = operator()
    inviting.receive(events.AccessTold(OPERATOR))
    inviting.receive(events.InvitationIssued("demo", ISSUED))
    assert inviting.receive(events.InviteOpened()) == [commands.ListInvitations()]
    inviting.receive(events.InvitationsListed((ISSUED,)))
    new = commands.IssueInvitation("demo", "Bob", 60, anew=True)
    assert inviting.receive(events.InvitationRequested("Bob", 60)) == [new]
    assert asked(inviting.receive(events.InvitationIssued("demo", ISSUED))) == [commands.ListInvitations()]
    assert inviting.receive(events.RevocationRequested("9")) == [commands.RevokeInvitation("9")]
    assert asked(inviting.receive(events.InvitationRevoked("9"))) == [commands.ListInvitations()]


def test_a_link_that_was_taken_back_is_not_given_away() -> None:
    inviting = operator()
    inviting.receive(events.AccessTold(OPERATOR))
    inviting.receive(events.InvitationIssued("demo", ISSUED))
    inviting.receive(events.InviteOpened())
    gone = Invitation(id="1", session="demo", name="", expires=2000, is_revoked=True)
    again = commands.IssueInvitation("demo", "", None, anew=True)
    assert inviting.receive(events.InvitationsListed((gone,))) == [again]
    assert not inviting.is_ready


def test_what_failed_is_said_and_tried_again_when_it_is_wanted_again() -> None:
    inviting = operator()
    inviting.receive(events.InvitingFailed("access", "no-answer", "late"))
    assert inviting.failure is not None
    assert (inviting.is_ready, inviting.is_settled) == (False, True)
    assert inviting.receive(events.LinkWanted()) == [commands.AskAccess()]
    inviting.receive(events.AccessTold(OPERATOR))
    inviting.receive(events.InvitingFailed("issue", "malformed", "no"))
    assert inviting.receive(events.LinkWanted()) == [commands.IssueInvitation("demo", "", None, anew=False)]
    inviting.receive(events.InvitationIssued("demo", ISSUED))
    assert inviting.failure is None


def test_who_is_no_operator_after_all_is_told_so() -> None:
    inviting = operator()
    inviting.receive(events.AccessTold(OPERATOR))
    inviting.receive(events.InvitingFailed("issue", "operators-only", "Only an operator may do this."))
    assert not inviting.may_issue


@pytest.mark.parametrize("session", ["", "no such name!"])
def test_what_can_name_no_session_gets_no_invitation(session: str) -> None:
    inviting = operator(session)
    assert inviting.receive(events.AccessTold(OPERATOR)) == []


@pytest.mark.parametrize(
    ("address", "is_local"),
    [
        ("http://127.0.0.1:8080/", True),
        ("http://localhost/", True),
        ("http://a.localhost:1/", True),
        ("http://[::1]:8080/", True),
        ("http://192.0.2.5:8080/", False),
        ("https://localhost.example.org/", False),
        ("http://[2001:db8::1]/", False),
    ],
)
def test_a_page_of_this_machine_links_to_another_address_of_it_if_there_is_one(address: str, *, is_local: bool) -> None:
    inviting = Inviting("", address)
    inviting.receive(events.AccessTold(LAN))
    assert inviting.is_local == is_local
    assert inviting.base == (LAN.addresses[0] if is_local else address)
    inviting.receive(events.AddressChosen(address))
    assert inviting.base == address


def test_a_page_that_came_over_https_offers_no_way_around_its_proxy() -> None:
    inviting = Inviting("", "https://localhost/")
    inviting.receive(events.AccessTold(LAN))
    assert (inviting.others, inviting.base) == ((), "https://localhost/")
    with_tls = Access(role="operator", is_open=True, addresses=("https://192.0.2.5:8443/",))
    inviting.receive(events.AccessTold(with_tls))
    assert inviting.base == "https://192.0.2.5:8443/"


def test_no_text_of_it_has_an_invitation() -> None:
    inviting = Inviting(GUESTS, PAGE, "demo")
    inviting.receive(events.AccessTold(OPERATOR))
    outputs = inviting.receive(events.InvitationIssued("demo", ISSUED))
    for token in (GUESTS, ISSUED.token):
        assert token not in repr(inviting) + repr(outputs) + repr(events.InvitationIssued("demo", ISSUED))
