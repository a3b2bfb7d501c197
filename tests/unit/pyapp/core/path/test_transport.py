"""What the browser says of a connection: its states, and its channels."""

import pytest

from pyapp.core import events
from pyapp.core.commands import SampleStats
from pyapp.core.failures import Refusal
from pyapp.core.path.facts import ChannelIs, ChannelIsFull, Failed, FrameReceived, PartOutput, PathChanged, PeerLost
from pyapp.core.path.outcomes import Suspected
from pyapp.core.path.replacement import Replacement
from pyapp.core.path.transport import Transport
from pyapp.core.peers import NO_PEER, PeerIds
from pyapp.protocol.entries import Entry
from tests.unit.pyapp.parts import Parts

PEER = PeerIds().next()
REFUSAL = Refusal("replaced", "by another page")
LATE = 60.0
"""Seconds of silence that nobody takes for normal."""


def transport(parts: Parts, *, established: bool = True) -> Transport:
    parts.observation.established = established
    replacement = Replacement(parts.health, parts.observation, parts.outside)
    return Transport(parts.health, parts.observation, parts.relaying, replacement, parts.outside)


def facts(outputs: list[PartOutput]) -> list[PartOutput]:
    return [output for output in outputs if isinstance(output, Failed | PeerLost | Suspected | PathChanged)]


def test_connected_is_a_path_to_look_at() -> None:
    one = transport(Parts(), established=False)
    assert one.state_changed("connection", "connected", 1.0)[1:] == [SampleStats(), PathChanged()]
    assert one.state == "connected"


def test_failed_before_it_was_ever_connected_is_the_end() -> None:
    (failed,) = facts(transport(Parts(), established=False).state_changed("connection", "failed", LATE))
    assert isinstance(failed, Failed)


def test_failed_is_left_to_the_timer_where_another_one_is_lost() -> None:
    one = transport(Parts(), established=False)
    one.replacement.begin(1)
    assert facts(one.state_changed("connection", "failed", LATE)) == []


@pytest.mark.parametrize("name", ["connection", "ice-connection"])
def test_disconnected_is_bad_news(name: events.StateName) -> None:
    assert facts(transport(Parts()).state_changed(name, "disconnected", LATE)) == [Suspected("disconnected")]


def test_failed_is_a_loss_if_the_peer_has_left_the_server_too() -> None:
    parts = Parts()
    parts.outside.peer_is_away = True
    assert facts(transport(parts).state_changed("connection", "failed", LATE)) == [PeerLost()]


def test_it_cannot_go_on_without_the_server() -> None:
    parts = Parts()
    parts.outside.refusal = REFUSAL
    one = transport(parts)
    assert facts(one.state_changed("connection", "disconnected", LATE)) == [Failed(REFUSAL)]
    assert one.channel(events.ChannelClosed("messages"), PEER, LATE)[-1] == Failed(REFUSAL)


def test_the_channel_of_the_messages_is_that_of_the_peer() -> None:
    one = transport(Parts())
    assert ChannelIs(PEER) in one.channel(events.ChannelOpened("messages"), PEER, 1.0)
    assert one.channel_open
    closed = one.channel(events.ChannelClosed("messages"), PEER, 2.0)
    assert not one.channel_open
    assert ChannelIs(NO_PEER) in closed
    assert facts(closed) == [Suspected("channel-closed")]


def test_dtls_that_failed_and_a_closed_channel_are_one_loss_in_either_order() -> None:
    first, second, closed = transport(Parts()), transport(Parts()), events.ChannelClosed("messages")
    first.channel(events.ChannelOpened("messages"), PEER, 1.0)
    said = [*first.state_changed("dtls", "failed", 2.0), *first.channel(closed, PEER, 2.0)]
    assert facts(said) == [Suspected("dtls-failed")]
    said = [*second.channel(closed, PEER, 2.0), *second.state_changed("dtls", "failed", 2.0)]
    assert facts(said) == [Suspected("channel-closed"), Suspected("dtls-failed")]


def test_dtls_that_failed_is_none_while_the_channel_is_open_or_before_there_was_one() -> None:
    one = transport(Parts())
    one.channel(events.ChannelOpened("messages"), PEER, 1.0)
    assert facts(one.state_changed("dtls", "failed", 2.0)) == []
    assert facts(transport(Parts(), established=False).state_changed("dtls", "failed", 2.0)) == []


def test_what_the_channels_carry_goes_its_way() -> None:
    one = transport(Parts())
    assert one.channel(events.ChannelReceived("messages", "x"), PEER, 1.0) == [FrameReceived("x", "messages")]
    assert one.channel(events.ChannelFilled("messages"), PEER, 1.0) == [ChannelIsFull(True)]
    assert one.channel(events.ChannelDrained("messages"), PEER, 1.0) == [ChannelIsFull(False)]
    assert one.channel(events.ChannelFilled("heartbeat"), PEER, 1.0) == []
    (garbled,) = one.channel(events.ChannelReceived("heartbeat", "x"), PEER, 1.0)
    assert isinstance(garbled, Entry)
