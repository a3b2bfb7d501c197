"""What is said about the link."""

import pytest

from pyapp.core import events
from pyapp.core.session import Session
from pyapp.protocol.access import Access, Invitation
from pyapp.view.inviting import invite, revocation
from tests.unit.pyapp.core.test_inviting import GUESTS, ISSUED, LAN, OPERATOR, OPERATORS

LOCAL = "http://127.0.0.1:8080/"


def page(*received: events.Event, invitation: str = "", address: str = LOCAL, name: str = "demo") -> Session:
    session = Session("a" * 32, "b" * 32, 0.0, invitation=invitation, page=address)
    for event in (events.ConnectExpected(name), *received):
        session.receive(event, 1.0)
    return session


def test_the_invitation_stands_in_the_fragment() -> None:
    shown = invite(page(invitation=GUESTS, address="https://console.example.org/x/"))
    assert shown.link == f"https://console.example.org/x/?session=demo#invite={GUESTS}"
    assert (shown.expires, shown.notice) == (1060, "")
    assert GUESTS not in repr(shown)


def test_there_is_no_link_before_it_can_be_given_away() -> None:
    shown = invite(page(invitation=OPERATORS))
    assert (shown.link, shown.placeholder) == ("", "Preparing the link…")
    session = page(events.InvitingFailed("access", "no-answer", "TimeoutError"), invitation=OPERATORS)
    assert invite(session).problem.endswith("the server does not answer. Try again in a moment.")
    assert "Choose" in invite(page(name="")).placeholder


def test_the_addresses_of_a_page_of_this_machine_alone() -> None:
    assert "leads to this machine only" in invite(page()).notice
    nobody = invite(page(events.AccessTold(Access(role="operator", is_open=True))))
    assert "--host 0.0.0.0" in nobody.notice
    shown = invite(page(events.AccessTold(LAN)))
    assert shown.link == "http://192.0.2.5:8080/?session=demo"
    assert shown.addresses == (
        ("http://192.0.2.5:8080/", "192.0.2.5:8080"),
        (LOCAL, "127.0.0.1:8080 (this machine only)"),
    )
    assert "another of its addresses" in shown.notice
    assert "no camera" in shown.notice
    chosen = invite(page(events.AccessTold(LAN), events.AddressChosen(LOCAL)))
    assert (chosen.address, chosen.link) == (LOCAL, f"{LOCAL}?session=demo")
    assert "works on this machine only" in chosen.notice


def test_no_address_without_tls_is_offered_by_a_page_with_it() -> None:
    shown = invite(page(events.AccessTold(LAN), address="https://localhost/"))
    assert (shown.link, shown.addresses) == ("https://localhost/?session=demo", ())
    assert "Nobody else can open this link" in shown.notice
    assert "the proxy" in shown.notice


def test_who_may_use_the_link_is_said() -> None:
    assert "lets in everybody" in invite(page(events.AccessTold(LAN))).note
    assert "Good until" in invite(page(invitation=GUESTS)).note
    stranger = invite(page(events.AccessTold(Access(role="guest"))))
    assert "Only an operator can invite" in stranger.note


def test_the_newest_invitation_comes_first_and_a_revoked_one_not_at_all() -> None:
    listed = (
        Invitation(id="1", session="demo", name="Ann", expires=1),
        Invitation(id="2", session="demo", name="", expires=2, is_revoked=True),
        Invitation(id="3", session="", name="", expires=3),
        Invitation(id="4", session="x", name="", expires=4),
        Invitation(id="5", session="x", name="", expires=5, issued=2),
    )
    received = (events.AccessTold(OPERATOR), events.InvitationIssued("demo", ISSUED), events.InvitationsListed(listed))
    shown = invite(page(*received, invitation=OPERATORS))
    assert shown.may_issue
    assert [(row.id, row.name, row.about, row.made) for row in shown.rows] == [
        ("5", "Link for x", "made", 2),
        ("4", "Link for x", "", 0),
        ("3", "An operator", "any session", 0),
        ("1", "Ann", "demo", 0),
    ]
    assert [revocation(row.name, row.about) for row in shown.rows[1:]] == [
        "Revoke Link for x",
        "Revoke An operator, any session",
        "Revoke Ann, demo",
    ]


@pytest.mark.parametrize(("code", "words"), [("unknown", "before"), ("malformed", "It was not taken back: no way.")])
def test_a_revocation_that_failed(code: str, words: str) -> None:
    assert words in invite(page(events.InvitingFailed("revoke", code, "no way."))).problem
