"""Recovery as event lists in milliseconds: alone, joined with another by a wire, and what the session makes of it."""

from unittest.mock import ANY

import pytest

from pyapp.core import commands, events, provisioning
from pyapp.core.path import recovery
from pyapp.core.path.heartbeat import HIDDEN_INTERVAL
from pyapp.core.path.outage import LOST_AFTER, Suspect
from pyapp.core.path.outcomes import Recovered
from pyapp.core.path.recovery import ATTEMPT, BEAT, LOST, SETTLE, SETTLE_AFTER, SILENCE, TIMERS, Recovery
from pyapp.core.path.relays import DIRECT
from pyapp.core.path.replacement import RENEW
from pyapp.core.signaling import rendezvous
from pyapp.protocol.channel import Beat, Piece
from pyapp.protocol.ice import IceConfiguration, IceServer
from pyapp.protocol.peer import Description
from pyapp.protocol.signaling import Error, PeerLeft, Welcome
from pyapp.view.console import present
from tests.unit.pyapp.beating import Duo, duo, kinds, suspecting
from tests.unit.pyapp.fakes import sdp, stats_of
from tests.unit.pyapp.sessions import (
    CONNECTED,
    B,
    Closed,
    Core,
    IceConfigured,
    NotConfigured,
    Opened,
    Said,
    beats,
    beside_beats,
    connected,
    connecting,
    frames,
    offer_set,
)


class TestTheEvidence:
    def test_of_a_change_of_the_network_is_acted_on_at_once_and_once(self) -> None:
        both = duo(mends_after=0.1)
        both.cut()
        for after in (0.0, 0.004, 0.004):
            both.run(after)
            both.did(both.a, both.a.health.network_changed(both.now, certain=True))
        both.run(1.0)
        ((suspected, evidence),) = both.a.suspicions()
        ((attempted, rung),) = both.a.attempts()
        assert (evidence, rung) == ("network-changed", "restart")
        assert suspected == attempted == pytest.approx(5.05 + SETTLE_AFTER)
        assert both.b.suspicions() == []

    def test_of_a_second_change_while_suspect_begins_anew(self) -> None:
        both = duo()
        both.cut()
        both.run(2.0)
        assert len(both.a.attempts()) > 1
        before = len(both.a.attempts())
        both.did(both.a, both.a.health.network_changed(both.now, certain=True))
        both.run(0.1)
        at, evidence = both.a.suspicions()[-1]
        assert evidence == "network-changed"
        assert at == pytest.approx(7.05 + SETTLE_AFTER)
        assert len(both.a.attempts()) == before + 1
        assert isinstance(both.a.health.state, Suspect)
        assert both.a.health.state.ladder.attempts == 1

    def test_of_one_way_deafness_is_known_at_both_ends_at_once(self) -> None:
        both = duo(0.025)
        both.deaf = {"b"}
        both.run(1.0)
        (b_at, b_why), (a_at, a_why) = both.b.suspicions()[0], both.a.suspicions()[0]
        assert (b_why, a_why) == ("silence", "not-heard")
        assert a_at - b_at == pytest.approx(0.025), "whatever is normal to the one that hears"

    def test_of_one_way_deafness_leaves_the_restart_to_the_impolite_side(self) -> None:
        both = duo(0.025, mends_after=0.05)
        both.deaf = {"b"}
        both.run(2.0)
        assert (len(both.a.attempts()), len(both.b.attempts())) == (1, 0)

    def test_of_the_browser_is_not_believed_while_the_other_side_is_heard(self) -> None:
        both = duo()
        both.did(both.a, both.a.health.bad_news("failed", both.now))
        both.run(0.05)
        assert both.a.suspicions() == []
        assert both.a.alarms_not_given()

    def test_of_the_browser_shortens_a_silence(self) -> None:
        both = duo()
        both.cut()
        both.run(0.25)
        both.did(both.a, both.a.health.bad_news("disconnected", both.now))
        assert both.a.suspicions() == [(5.3, "disconnected")]

    def test_is_told_with_the_first_beat_and_one_more(self) -> None:
        both = duo()
        outputs = both.a.health.suspect("silence", both.now)
        assert kinds(outputs) == ["Suspected", "Attempt"]
        assert outputs[0] == commands.StartTimer(LOST, LOST_AFTER)
        assert any(isinstance(output, commands.SendOnChannel) for output in outputs)

    def test_of_the_browser_counts_though_no_beat_was_ever_heard(self) -> None:
        assert kinds(Recovery().bad_news("failed", 1.0)) == ["Suspected", "Attempt"]

    def test_before_the_channel_was_ever_open_is_no_other(self) -> None:
        health = Recovery()
        assert health.network_changed(1.0, certain=True) == []
        assert health.beat(1.0) == []


class TestLateTimers:
    @pytest.mark.parametrize("name", TIMERS)
    def test_fall_through_while_idle(self, name: str) -> None:
        both = Duo()
        assert [output for output in both.fired(Recovery(), name, both.a) if name != SETTLE] == []

    @pytest.mark.parametrize("name", [ATTEMPT, LOST])
    def test_of_an_outage_that_is_over_mean_nothing(self, name: str) -> None:
        both = duo(mends_after=0.05)
        both.cut()
        both.run(2.0)
        assert both.fired(both.a.health, name, both.a) == []
        assert not both.a.health.is_lost


class TestAStateThatEnds:
    """Takes with it what was true of it alone."""

    @pytest.mark.parametrize("asked_after", [0.0, 1.0])
    def test_leaves_no_question_to_the_next(self, asked_after: float) -> None:
        both = duo()
        both.cut()
        both.run(asked_after)
        both.did(both.a, both.a.health.network_changed(both.now, certain=False))
        both.run(2.0)
        both.mend(1)
        both.run(3.0)
        assert both.a.outcomes(Recovered)
        assert "answered" not in both.a.alarms_not_given()

    def test_is_not_said_to_be_a_busy_page_once_the_path_is_suspect(self) -> None:
        both = duo()
        both.stall(both.b, 3.0)
        both.run(2.0)
        assert both.a.health.peer_is_busy
        both.did(both.a, both.a.health.bad_news("failed", both.now))
        assert both.a.health.is_suspect
        assert not both.a.health.peer_is_busy

    def test_leaves_no_doubt_to_the_next(self) -> None:
        both = duo()
        both.cut()
        both.run(0.2)
        assert both.doubts == 2
        both.did(both.a, both.a.health.bad_news("failed", both.now))
        both.mend(1)
        both.run(1.0)
        assert both.a.outcomes(Recovered)
        assert both.reassured == 1  # of the side that only doubted

    def test_does_not_keep_the_next_from_looking_for_the_pair_at_once(self) -> None:
        health = suspecting()
        echo = health.pulse.number
        assert commands.SampleStats() in health.heard(Beat(2, echo, 0, 100, 0).encode(), 1.6)
        assert kinds(health.attempt_over(1.61, server_heard=1.6, peer_heard=1.6, is_exchanging=False)) == ["Recovered"]
        health.suspect("failed", 1.62)
        assert commands.SampleStats() in health.heard(Beat(3, echo, 0, 100, 0).encode(), 1.65)


class TestHiddenPages:
    def test_say_at_once_that_the_next_beat_is_due_later(self) -> None:
        both = duo()
        outputs = both.a.health.hidden(both.now, is_hidden=True)
        assert commands.StartTimer(recovery.BEAT, HIDDEN_INTERVAL) in outputs


# The session.

TURN_ONE, TURN_TWO = "turn:one.example:3478", "turn:two.example:3478"
STUN = "stun:stun.example"
TWO_RELAYS = IceConfiguration(
    (IceServer((STUN,)), IceServer((TURN_ONE,), "u", "c"), IceServer((TURN_TWO,), "u", "c")), lifetime=600.0
)
RELAYED = events.StatsSampled(stats_of(("l1", "r1"), candidateType="relay", relayProtocol="udp", url=TURN_ONE))
DISCONNECTED = events.StateChanged("connection", "disconnected")
CERTAIN = events.NetworkChanged("change", certain=True)


def relayed() -> Core:
    core = connected()
    core.do(IceConfigured(TWO_RELAYS), RELAYED)
    core.said.clear()
    return core


def suspicious(core: Core) -> list[Said]:
    """Let the path go silent; return what the session says to that."""
    outputs: list[Said] = []
    assert core.session.connection
    while not core.session.connection.recovery.is_suspect:
        core.now += core.timers[SILENCE]
        outputs = core.do(events.TimerFired(SILENCE))
    return beside_beats(outputs)


def outage(core: Core) -> Suspect:
    assert core.session.connection
    assert isinstance(core.session.connection.recovery.state, Suspect)
    return core.session.connection.recovery.state


class TestASessionThatLostItsNetwork:
    def test_opens_a_socket_and_restarts_once_for_a_pair_of_events(self) -> None:
        core = connected()
        core.do(events.NetworkChanged("offline", certain=True), events.NetworkChanged("online", certain=True), CERTAIN)
        assert core.timers[SETTLE] == SETTLE_AFTER
        outputs = beside_beats(core.do(events.TimerFired(SETTLE)))
        assert [type(output) for output in outputs] == [
            commands.OpenSignaling,
            commands.SetConfiguration,
            commands.RestartIce,
        ]
        assert core.state == "connected"

    def test_opens_a_socket_also_while_it_waits_for_the_other_side(self) -> None:
        core = connecting()
        core.do(Opened(), Welcome(polite=False, peer=""))
        assert core.do(CERTAIN) == [commands.OpenSignaling(ANY)]

    def test_does_nothing_for_what_only_says_that_it_is_offline(self) -> None:
        core = connected()
        assert beside_beats(core.do(events.NetworkChanged("offline", certain=True))) == []
        assert SETTLE not in core.timers

    def test_holds_messages_until_one_of_its_beats_comes_back(self) -> None:
        core = connected()
        core.do(events.ChannelReceived("heartbeat", Beat(1, 1, 0, 100, 0).encode()))
        suspicious(core)
        assert frames(core.do(events.MessageSubmitted("one"))) == []
        assert frames(core.do(events.ChannelReceived("heartbeat", Beat(2, 1, 0, 100, 0).encode()))) == []
        assert core.session.connection
        echo = core.session.connection.recovery.pulse.number
        outputs = core.do(events.ChannelReceived("heartbeat", Beat(3, echo, 0, 100, 0).encode()))
        assert [frame.body for frame in frames(outputs)] == [Piece("one")]

    def test_tries_a_pair_that_is_new_with_the_oldest_message_alone(self) -> None:
        core = connected()
        suspicious(core)
        for text in ("x" * 200, "y" * 200, "z" * 200):
            core.do(events.MessageSubmitted(text))
        assert [frame.body for frame in frames(core.do(events.PairChanged()))] == [Piece("x" * 200)]

    def test_sends_again_at_once_on_another_pair_though_it_suspected_nothing(self) -> None:
        core = connected()
        core.do(events.MessageSubmitted("one"))
        outputs = core.do(events.StatsSampled(stats_of(("l1", "r2"))))
        assert [frame.body for frame in frames(outputs)] == [Piece("one")]
        assert frames(core.do(events.StatsSampled(stats_of(("l1", "r2"))))) == []

    def test_says_on_what_evidence_and_how_it_ended(self) -> None:
        core = connected()
        core.do(events.ChannelReceived("heartbeat", Beat(1, 1, 0, 100, 0).encode()))
        suspicious(core)
        data = dict(core.journal)["suspect"]
        assert data["evidence"] == "silence"
        assert {"silence_ms", "patience_ms", "loss"} <= data.keys()
        assert ("attempt", {"rung": "restart", "number": 1}) in core.journal

    def test_and_hangs_up_in_the_middle_leaves_no_timer(self) -> None:
        core = relayed()
        suspicious(core)
        core.do(events.TimerFired(ATTEMPT), Closed(1006, ""))
        core.do(events.HangUpRequested())
        assert core.timers == {}
        for name in (*TIMERS, *rendezvous.TIMERS, RENEW, DIRECT):
            assert core.do(events.TimerFired(name)) == []
        assert core.timers == {}

    def test_sends_nothing_on_a_heartbeat_channel_that_closed_first(self) -> None:
        core = connected()
        core.do(events.ChannelClosed("heartbeat"))
        assert recovery.BEAT not in core.timers
        for event in (events.TimerFired(recovery.BEAT), events.ChannelClosed("messages"), CERTAIN):
            assert beats(core.do(event)) == []

    def test_takes_no_harm_from_what_is_no_heartbeat(self) -> None:
        core = connected()
        assert core.do(events.ChannelReceived("heartbeat", "x")) == []
        assert core.session.faults == 0

    def test_reaches_the_server_anew_when_the_other_side_restarts_after_a_silence(self) -> None:
        core = connected()
        core.do(events.ChannelReceived("heartbeat", Beat(1, 1, 0, 100, 0).encode()))
        core.now += 0.3
        assert commands.OpenSignaling(ANY) in core.peer_says(Description("offer", sdp("r2"), 1))

    def test_keeps_its_socket_when_the_other_side_restarts_though_all_is_well(self) -> None:
        core = connected()
        core.do(events.ChannelReceived("heartbeat", Beat(1, 1, 0, 100, 0).encode()))
        core.now += 0.05
        assert commands.OpenSignaling(ANY) not in core.peer_says(Description("offer", sdp("r2"), 1))

    def test_while_the_server_gave_the_other_side_up_waits_for_it(self) -> None:
        core = connected()
        core.do(PeerLeft(B, lost=True))
        assert core.state == "connected"
        suspicious(core)
        core.do(events.TimerFired(LOST))
        assert core.state == "recovering"

    def test_is_hidden_also_on_a_connection_that_is_made_later(self) -> None:
        core = connecting()
        core.do(events.VisibilityChanged(hidden=True))
        core.do(IceConfigured(TWO_RELAYS), Opened())
        core.do(Welcome(polite=False, peer=""), offer_set("l1"))
        (beat,) = beats(core.do(CONNECTED, events.ChannelOpened("heartbeat")))
        assert beat.due == HIDDEN_INTERVAL * 1000


class TestAPathThatDiesAgain:
    """In the middle of an outage, after a beat of ours had come back."""

    def resumed(self) -> Core:
        core = connected()
        core.do(events.ChannelReceived("heartbeat", Beat(1, 1, 0, 100, 0).encode()))
        suspicious(core)
        core.now += 0.1
        assert core.session.connection
        self.hear(core, 2)
        assert frames(core.do(events.MessageSubmitted("on its way")))
        return core

    def hear(self, core: Core, number: int) -> list[Said]:
        for _ in ("what came meanwhile is read first", "the beat"):
            core.now += core.timers[BEAT]
            core.do(events.TimerFired(BEAT))
        assert core.session.connection
        echo = core.session.connection.recovery.pulse.number
        return core.do(events.ChannelReceived("heartbeat", Beat(number, echo, 0, 100, 0).encode()))

    def test_holds_messages_again(self) -> None:
        core = self.resumed()
        core.now += 3.0
        for _ in ("what came meanwhile is read first", "the attempt is over"):
            core.now += core.timers[ATTEMPT]
            core.do(events.TimerFired(ATTEMPT))
        assert frames(core.do(events.MessageSubmitted("kept"))) == []
        assert [frame.body for frame in frames(self.hear(core, 3))] == [Piece("on its way"), Piece("kept")]

    def test_by_a_change_of_the_network_holds_messages_until_a_beat_comes_back_after_it(self) -> None:
        core = self.resumed()
        core.do(CERTAIN, events.TimerFired(SETTLE))
        assert frames(core.do(events.MessageSubmitted("kept"))) == []
        assert [frame.body for frame in frames(self.hear(core, 3))] == [Piece("on its way"), Piece("kept")]


class TestAnInvitationThatExpired:
    def test_during_a_call_does_not_end_it(self) -> None:
        core = relayed()
        core.do(events.TimerFired(provisioning.RENEW), NotConfigured("invitation-expired", "expired"))
        assert core.state == "connected"

    def test_does_not_end_an_outage_that_the_server_can_still_help_with(self) -> None:
        core = relayed()
        core.do(events.TimerFired(provisioning.RENEW), NotConfigured("invitation-expired", "expired"))
        core.do(DISCONNECTED)
        assert core.state != "failed"

    def test_is_the_end_when_the_server_does_not_take_us_back_while_the_path_is_lost(self) -> None:
        core = connected()
        suspicious(core)
        core.do(events.TimerFired(LOST), Opened(), Error("invitation-expired", "expired"))
        assert core.state == "failed"
        assert present(core.session).status.cause
