"""The relays of a direct connection are given up, and are back with the next restart that needs them."""

from dataclasses import replace
from unittest.mock import ANY

import pytest

from pyapp.core import commands, events
from pyapp.core.events import Event
from pyapp.core.negotiation.restarts import SETTLES_WITHIN
from pyapp.core.path.heartbeat import Pulse
from pyapp.core.path.relaying import TALKING
from pyapp.core.path.relays import RELEASE, RELEASE_AFTER
from pyapp.core.path.silence import SILENCE
from pyapp.protocol.channel import Frame, Piece, encode_frame
from pyapp.protocol.peer import Description
from tests.unit.pyapp.fakes import sdp, stats_of
from tests.unit.pyapp.sessions import (
    CONFIGURATION,
    DISCONNECTED,
    SAMPLED,
    TURN,
    Core,
    IceConfigured,
    beside_beats,
    connected,
    lost,
    offer_set,
    sent,
)


class TestTheRelaysOfADirectConnection:
    """Only an ICE restart makes a browser give them up."""

    LEAN = commands.SetConfiguration(CONFIGURATION.without_relays())
    FULL = commands.SetConfiguration(CONFIGURATION)

    def released(self) -> Core:
        core = connected()
        assert core.timers[RELEASE] == RELEASE_AFTER
        # The heartbeat is there to say that the path is well.
        core.do(events.ChannelReceived("heartbeat", Pulse().next_beat(core.now, due=0.1, generation=0).encode()))
        assert beside_beats(core.do(events.TimerFired(RELEASE))) == [self.LEAN, commands.RestartIce()]
        core.do(events.NegotiationNeeded())
        (offer,) = sent(core.do(offer_set("l2", 3)))
        assert isinstance(offer, Description)
        assert not offer.relays
        (answer,) = core.peer_says(Description("answer", sdp("r2"), 2, 1, relays=False))
        assert isinstance(answer, commands.SetRemoteDescription)
        core.do(events.RemoteDescriptionSet(answer.attempt, answer.description))
        return core

    def test_are_given_up_after_a_while_and_once(self) -> None:
        core = self.released()
        core.do(SAMPLED)
        assert RELEASE not in core.timers

    def test_are_not_given_up_while_a_beat_is_late(self) -> None:
        """An outage may have begun, and would find the offer of a restart without relays under way."""
        core = connected()
        core.do(events.ChannelReceived("heartbeat", Pulse().next_beat(core.now, due=0.1, generation=0).encode()))
        core.now += core.timers[SILENCE]
        core.do(events.TimerFired(SILENCE))
        assert commands.RestartIce() not in core.do(events.TimerFired(RELEASE))
        core.do(SAMPLED)
        assert RELEASE in core.timers, "later"

    def test_are_given_up_by_the_other_side_as_well(self) -> None:
        core = connected()
        outputs = core.peer_says(Description("offer", sdp("r2"), 1, 1, relays=False))
        assert outputs[:2] == [self.LEAN, commands.SetRemoteDescription(ANY, ANY)]
        assert isinstance(outputs[1], commands.SetRemoteDescription)
        (set_local,) = core.do(events.RemoteDescriptionSet(outputs[1].attempt, outputs[1].description))
        assert isinstance(set_local, commands.SetLocalDescription)
        described = events.SessionDescription("answer", sdp("l2"))
        (answer,) = sent(core.do(events.LocalDescriptionSet(set_local.attempt, described)))
        assert isinstance(answer, Description)
        assert not answer.relays

    def test_are_back_with_the_other_sides_restart_that_asks_for_them(self) -> None:
        core = self.released()
        # At first with the relays of its offer alone; if that brings nothing, with ours as well.
        outputs = core.peer_says(Description("offer", sdp("r3"), 1, 2))
        assert outputs[:2] == [self.LEAN, commands.SetRemoteDescription(ANY, ANY)]
        assert core.session.connection
        assert core.session.connection.negotiation.gathers_relays
        outputs = core.peer_says(Description("offer", sdp("r4"), 2, 3))
        assert outputs[:2] == [self.FULL, commands.SetRemoteDescription(ANY, ANY)]

    @pytest.mark.parametrize("event", [DISCONNECTED, events.RestartRequested()])
    def test_are_back_with_the_first_restart_that_has_another_reason(self, event: Event) -> None:
        core = self.released()
        core.now += SETTLES_WITHIN  # without a beat: the browser's bad news is believed
        outputs = core.do(event)
        assert outputs.index(self.FULL) < outputs.index(commands.RestartIce())
        core.do(events.NegotiationNeeded())
        (offer,) = sent(core.do(offer_set("l3", 5)))
        assert isinstance(offer, Description)
        assert offer.relays

    def test_stay_while_messages_come_or_are_acknowledged(self) -> None:
        core = connected()
        core.do(events.ChannelReceived("heartbeat", Pulse().next_beat(core.now, due=0.1, generation=0).encode()))
        core.do(events.ChannelReceived("messages", encode_frame(Frame(1, Piece("hello"), 0))))
        assert core.do(events.TimerFired(RELEASE)) == []
        assert core.timers[RELEASE] == TALKING
        core.now += TALKING
        core.do(events.ChannelReceived("heartbeat", Pulse().next_beat(core.now, due=0.1, generation=0).encode()))
        assert commands.RestartIce() in core.do(events.TimerFired(RELEASE))

    def test_stay_while_anything_else_goes_on(self) -> None:
        core = lost()
        assert core.do(events.TimerFired(RELEASE)) == []

    def test_stay_if_they_are_in_use(self) -> None:
        core = connected()
        core.do(events.StatsSampled(stats_of(("l1", "r1"), candidateType="relay", relayProtocol="udp", url=TURN)))
        assert core.do(events.TimerFired(RELEASE)) == []

    def test_are_none_where_no_server_relays(self) -> None:
        core = connected()
        core.do(IceConfigured(replace(CONFIGURATION, servers=())))
        assert core.do(events.TimerFired(RELEASE)) == []
