"""Who is at the other end, and who came and went, in words."""

from typing import get_args

import pytest

from pyapp.core import events
from pyapp.core.company import Company, Happening, Kind
from pyapp.protocol.signaling import PeerJoined, PeerLeft
from pyapp.view.company import company, inputs, words
from tests.unit.pyapp.sessions import B, C, Input, connected


def test_who_comes_second_joined_the_other() -> None:
    there = Company()
    there.arrived("tab", "", was_first=False, place=0)
    assert words(there.happenings[0], "12:03") == "You joined at 12:03"


@pytest.mark.parametrize("kind", get_args(Kind))
@pytest.mark.parametrize("name", ["", "Anna"])
def test_each_line_has_the_time_once_and_the_name_if_there_is_one(kind: Kind, name: str) -> None:
    line = words(Happening(kind, name, 0), "12:03")
    assert line.count("12:03") == 1
    assert line.count("Anna") == len(name) // 4
    assert "{" not in line
    assert not line.endswith((" ", ":")), "nothing is left of a name that is none"
    assert line[0].isupper()


def test_a_name_is_shown_as_it_is_written() -> None:
    assert words(Happening("left", "{time} %s <b>", 0), "12:03") == "{time} %s <b> left at 12:03"


def test_the_name_stands_at_the_picture_while_somebody_is_there() -> None:
    core = connected()
    core.do(PeerLeft(B))
    core.do(PeerJoined(C, "2" * 32, "Carla"))
    assert company(core.session).peer_name == "Carla"
    core.do(PeerLeft(C))
    assert company(core.session).peer_name == ""


def test_it_is_presented_anew_for_whatever_it_shows() -> None:
    core = connected()
    before = inputs(core.session)
    core.do(events.MessageSubmitted("hello"))
    assert inputs(core.session) == before
    seen = [before]
    # One Carla at once in the place of the other.
    happen: list[Input] = [PeerLeft(B), PeerJoined(C, "2" * 32, "Carla"), PeerJoined(B, "3" * 32, "Carla"), PeerLeft(B)]
    for event in happen:
        core.do(event)
        assert inputs(core.session) != seen[-1]
        assert company(core.session).count == len(core.session.company.happenings)
        seen.append(inputs(core.session))
