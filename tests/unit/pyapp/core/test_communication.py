"""What the two people exchange, and with whom: messages, media, and what a connection says of its channels."""

import pytest

from pyapp.core import commands, events
from pyapp.core.communication import Communication, Output
from pyapp.core.company import Company
from pyapp.core.conversation import Conversation
from pyapp.core.failures import TooLong
from pyapp.core.media import Media
from pyapp.core.path.facts import ChannelFact, ChannelIs, ChannelIsFull, FrameReceived, PathChanged, PathUntried
from pyapp.core.peers import NO_PEER, PeerIds
from pyapp.core.signaling.rendezvous import Rendezvous
from pyapp.protocol.channel import MAX_TEXT_BYTES, Frame, MediaShared, Piece, encode_frame
from pyapp.protocol.entries import Entry
from pyapp.protocol.signaling import Welcome
from pyapp.view.console import present
from tests.unit.pyapp.sessions import (
    CONFIGURATION,
    CONNECTED,
    SAMPLED,
    B,
    Core,
    IceConfigured,
    Opened,
    connected,
    frames,
    negotiated,
)

PEER = PeerIds().next()


def communication() -> Communication:
    return Communication(Conversation(), Company(), Media())


def place() -> Rendezvous:
    there = Rendezvous("demo", "a" * 32, "", "")
    there.peer, there.peer_name = B, "Bob"
    return there


def frame(number: int, text: str) -> FrameReceived:
    return FrameReceived(encode_frame(Frame(number, Piece(text), 0)), "messages")


def words(outputs: list[Output]) -> list[str]:
    return [output.text() for output in outputs if isinstance(output, Entry)]


def test_a_blank_message_is_none() -> None:
    talk = communication()
    talk.problem = TooLong(1)
    assert talk.submit(" \n", 0.0) == []
    assert talk.problem is None
    assert not talk.conversation.messages


def test_a_message_that_is_too_long_is_refused_and_noted() -> None:
    talk = communication()
    (text,) = words(talk.submit("x" * (MAX_TEXT_BYTES + 1), 0.0))
    assert "not taken" in text
    assert isinstance(talk.problem, TooLong)


def test_what_comes_while_the_page_is_hidden_is_unread() -> None:
    talk = communication()
    talk.arrived(place())
    talk.connection_did(ChannelIs(PEER), 0.0)
    talk.connection_did(frame(1, "seen"), 1.0)
    talk.hidden(is_hidden=True)
    talk.connection_did(frame(2, "not seen"), 2.0)
    assert talk.unread == 1
    talk.hidden(is_hidden=False)
    assert talk.unread == 0


def test_a_peer_that_the_server_lost_before_it_is_gone_has_not_said_goodbye() -> None:
    talk = communication()
    for is_lost in (False, True):
        talk.arrived(place())
        if is_lost:
            talk.lost()
        talk.parted()
    assert [happening.kind for happening in talk.company.happenings] == ["met", "left", "back", "lost"]


def test_what_is_shared_is_told_where_there_is_a_connection() -> None:
    talk = communication()
    talk.arrived(place())
    talk.connection_did(ChannelIs(PEER), 0.0)
    talk.media_event(events.MediaToggled("camera"), 1.0, is_connected=True)
    assert not talk.shares_media
    told = talk.media_event(events.MediaStarted(1, "camera", ""), 1.0, is_connected=True)
    assert any(isinstance(output, commands.OfPeer) for output in told)
    assert talk.shares_media


def test_a_frame_that_is_none_is_noted() -> None:
    talk = communication()
    assert words(talk.connection_did(FrameReceived("{", "messages"), 0.0))


@pytest.mark.parametrize(
    ("first", "then"),
    [
        (ChannelIsFull(True), ChannelIsFull(False)),
        (ChannelIs(NO_PEER), ChannelIs(PEER)),
    ],
)
def test_a_message_waits_for_the_channel(first: ChannelFact, then: ChannelFact) -> None:
    talk = communication()
    talk.arrived(place())
    talk.connection_did(ChannelIs(PEER), 0.0)
    talk.connection_did(first, 1.0)
    assert "hello" not in str(talk.submit("hello", 1.0))
    assert "hello" in str(talk.connection_did(then, 2.0))


def test_a_new_path_has_what_was_in_flight_again() -> None:
    talk = communication()
    talk.arrived(place())
    talk.connection_did(ChannelIs(PEER), 0.0)
    assert "hello" in str(talk.submit("hello", 1.0))
    assert "hello" in str(talk.connection_did(PathUntried(), 2.0))
    assert "hello" in str(talk.connection_did(PathChanged(), 3.0))


class TestMedia:
    def test_is_off_starting_on_and_off_again(self) -> None:
        core = connected()
        assert core.do(events.MediaToggled("camera")) == [commands.StartMedia(1, "camera")]
        assert [control.busy for control in present(core.session).media.controls] == [True, False, False]
        core.do(events.MediaStarted(1, "camera"))
        assert core.do(events.MediaToggled("camera")) == [commands.StopMedia("camera")]
        core.do(events.MediaStopped(1, "camera"))
        assert core.session.media.states["camera"] == "off"

    def test_has_its_sections_added_once_and_by_the_impolite_side_alone(self) -> None:
        core = connected()
        core.do(SAMPLED, SAMPLED)
        assert core.said.count(commands.AddMediaSections()) == 1
        core = negotiated()
        assert core.session.connection is not None
        core.session.connection.negotiation.polite = True
        core.do(CONNECTED, events.ChannelOpened("messages"), SAMPLED)
        assert core.state == "connected"
        assert commands.AddMediaSections() not in core.said

    def test_that_is_shared_is_told_to_the_far_end_at_once(self) -> None:
        core = connected()
        on, off = (MediaShared(audio=False, video=video) for video in (True, False))
        assert [
            frame.body for frame in frames(core.do(events.MediaToggled("screen"), events.MediaStarted(1, "screen")))
        ] == [on]
        assert [frame.body for frame in frames(core.do(events.MediaStopped(1, "screen")))] == [off]

    def test_that_was_on_before_is_told_when_the_channel_opens(self) -> None:
        core = Core()
        core.do(events.MediaToggled("microphone"), events.MediaStarted(1, "microphone"))
        core.do(events.ConnectRequested("demo"))
        core.do(IceConfigured(CONFIGURATION), Opened(), Welcome(polite=False, peer=B))
        core.do(CONNECTED)
        told = [frame.body for frame in frames(core.do(events.ChannelOpened("messages")))]
        assert told == [MediaShared(audio=True, video=False)]

    def test_that_the_browser_does_not_give_is_explained_until_the_next_try(self) -> None:
        core = connected()
        core.do(events.MediaToggled("camera"), events.MediaFailed(1, "camera", "NotAllowedError"))
        assert core.session.media.states["camera"] == "off"
        assert "may not use the camera" in present(core.session).media.problem
        core.do(events.MediaToggled("camera"))
        assert present(core.session).media.problem == ""
