"""Who is at the other end, as the core tells it."""

from pyapp.core import commands, events
from pyapp.core.company import Company
from pyapp.protocol.peer import Description
from pyapp.protocol.signaling import PeerJoined, PeerLeft, Relayed, Welcome
from pyapp.view.company import company, words
from pyapp.view.console import present
from tests.unit.pyapp.fakes import sdp
from tests.unit.pyapp.sessions import CONFIGURATION, CONNECTED, B, C, Core, IceConfigured, Opened, connected

TAB, OTHER = "1" * 32, "2" * 32


def kinds(there: Company) -> list[str]:
    return [happening.kind for happening in there.happenings]


def test_who_comes_goes_and_comes_back() -> None:
    there = Company()
    there.arrived("tab", "Anna", was_first=True, place=0)
    there.gone(2, is_lost=False)
    there.gone(2, is_lost=False)
    there.arrived("tab", "Anna", was_first=True, place=2)
    there.arrived("tab", "Anna", was_first=True, place=2)
    there.gone(3, is_lost=True)
    there.arrived("another", "", was_first=True, place=3)
    assert kinds(there) == ["joined", "left", "back", "lost", "other"]
    assert [words(happening, "12:03") for happening in there.happenings] == [
        "Anna joined at 12:03",
        "Anna left at 12:03",
        "Anna came back at 12:03",
        "Anna is away since 12:03, without a goodbye",
        "Somebody else joined at 12:03",
    ]


def with_tab(core: Core, peer: str, tab: str, name: str = "") -> None:
    core.do(PeerJoined(peer, tab, name))


def stranger_came() -> Core:
    """One wrote to B, who left without having confirmed it; then C came, who is somebody else."""
    core = connected()
    core.do(events.MessageSubmitted("for B alone"))
    core.do(PeerLeft(B))
    return core


def test_a_message_for_one_guest_never_reaches_another() -> None:
    core = stranger_came()
    assert core.session.conversation.stranded == (0,)
    said = len(core.said)
    with_tab(core, C, OTHER, "Carla")
    core.do(CONNECTED)
    core.do(events.ChannelOpened("messages"), events.ChannelOpened("heartbeat"))
    assert "for B alone" not in str(core.said[said:])
    assert core.session.conversation.stranded == (0,)
    assert kinds(core.session.company)[-2:] == ["left", "other"]
    assert company(core.session).peer_name == "Carla"
    assert not core.session.conversation.messages[0].delivered


def test_unless_the_person_sends_it_to_them() -> None:
    core = stranger_came()
    assert core.do(events.MessageSentAgain(0)) == [], "nobody is there"
    with_tab(core, C, OTHER)
    core.do(events.MessageSentAgain(0))
    assert not core.session.conversation.stranded


def test_the_same_tab_that_was_reloaded_goes_on_where_it_was() -> None:
    core = Core()
    core.do(events.ConnectRequested("demo"), IceConfigured(CONFIGURATION), Opened(), Welcome(True, B, peer_tab=TAB))
    core.session.conversation.submit("for B", 0.0)
    core.do(PeerLeft(B))
    assert core.session.conversation.stranded == (0,)
    with_tab(core, C, TAB)
    assert not core.session.conversation.stranded
    assert kinds(core.session.company) == ["met", "left", "back"]


def test_a_new_connection_with_the_same_is_nobody_who_left() -> None:
    core = connected()
    assert commands.ClosePeer() in core.do(Relayed(B, 1, 0, Description("offer", sdp("r2"), 1), epoch=2))
    assert "left" not in kinds(core.session.company)


def test_the_own_name_goes_to_the_server_with_the_join() -> None:
    core = Core()
    core.do(events.NameGiven("Anna"), events.ConnectRequested("demo"), IceConfigured(CONFIGURATION))
    assert "name='Anna'" in str(core.do(Opened()))


def test_who_only_left_the_page_is_where_they_were_when_they_come_back() -> None:
    core = connected()
    core.do(events.PageClosing())
    assert core.session.parting == "page-left"
    assert present(core.session).status.detail.startswith("You left this page")
    assert core.do(events.PageShown())
    assert core.session.phase == "active"
    core.do(events.HangUpRequested())
    assert core.do(events.PageShown()) == []
    assert present(core.session).status.detail.startswith("You hung up")
