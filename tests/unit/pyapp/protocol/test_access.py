"""What a page reads in an invitation."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from backend.access.invitations import new_invitation, sign
from pyapp.protocol.access import invited_session


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
