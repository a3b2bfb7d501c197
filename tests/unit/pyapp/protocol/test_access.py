"""What a page reads in an invitation."""

from dataclasses import asdict, replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from backend.access.invitations import new_invitation, sign
from pyapp.protocol.access import Access, Invitation, expiry_of, invitations_from_json, invited_session
from pyapp.protocol.wire import MessageError


@pytest.mark.parametrize("session", ["", "demo", "a" * 64, "a.b-c_d~"[:7]])
@pytest.mark.parametrize("name", ["", "Zoë", "a?b>c"])
def test_the_session_of_an_invitation_can_be_read(session: str, name: str) -> None:
    assert invited_session(sign(new_invitation(session, name=name, now=0.0), key="k" * 40)) == session


@given(st.text() | st.text().map("a.{}.b".format))
def test_any_text_is_an_invitation_to_nothing_at_worst(text: str) -> None:
    assert isinstance(invited_session(text), str)


@pytest.mark.parametrize("text", ["", "x", "a.b.c", "a.W10.c", "a.eyJhdWQiOjV9.c", "a.eyJhdWQiOlsiYSJdfQ.c"])
def test_what_is_none_has_no_session(text: str) -> None:
    assert invited_session(text) == ""


def test_what_the_server_says_of_access_is_read_as_it_was_written() -> None:
    access = Access(role="operator", is_open=True, addresses=("http://192.0.2.5/",))
    assert Access.from_json(access.to_json()) == access


@pytest.mark.parametrize(
    "value",
    [
        None,
        [],
        {"role": "king", "open": True, "addresses": []},
        {"role": "", "open": 1, "addresses": []},
        {"role": "", "open": True, "addresses": [1]},
        {"role": "", "open": True},
    ],
)
def test_what_says_nothing_of_access(value: object) -> None:
    with pytest.raises(MessageError):
        Access.from_json(value)


def test_an_invitation_is_read_as_the_server_writes_it() -> None:
    issued = new_invitation("demo", name="Bob", ttl=60, now=1000.0)
    listed = invitations_from_json({"invitations": [asdict(issued), asdict(replace(issued, revoked=5))]})
    assert listed[0] == Invitation(id=issued.id, session="demo", name="Bob", expires=1060, issued=1000)
    assert listed[1].is_revoked
    assert Invitation.from_json(asdict(issued) | {"invitation": "a.b.c"}).token == "a.b.c"
    assert expiry_of(sign(issued, key="k" * 40)) == 1060


@pytest.mark.parametrize("value", [None, {}, {"invitations": [{"id": 1}]}, {"invitations": [{"id": "1"}]}])
def test_what_lists_no_invitations(value: object) -> None:
    with pytest.raises(MessageError):
        invitations_from_json(value)
