"""Recovery as event lists in milliseconds: alone, joined with another by a wire, and what the session makes of it."""

import itertools
from unittest.mock import ANY

import pytest

from pyapp.core import commands, events, provisioning
from pyapp.core.negotiation import restarts
from pyapp.core.path import recovery
from pyapp.core.path.connection import RENEW, RENEW_SOON
from pyapp.core.path.heartbeat import HIDDEN_INTERVAL, Pulse
from pyapp.core.path.ladder import LADDER
from pyapp.core.path.outage import LOST_AFTER, Suspect
from pyapp.core.path.outcomes import Recovered
from pyapp.core.path.recovery import ATTEMPT, BEAT, LOST, SETTLE, SETTLE_AFTER, SILENCE, TIMERS, Recovery
from pyapp.core.path.relaying import ATTEMPTS_WITHOUT_PEER
from pyapp.core.path.relays import DIRECT, FIRST_DIRECT_AFTER
from pyapp.core.signaling import link, rendezvous
from pyapp.core.timers import Timer
from pyapp.protocol.channel import Beat, Piece
from pyapp.protocol.ice import IceConfiguration, IceServer
from pyapp.protocol.peer import Description, RelaySuspected
from pyapp.protocol.signaling import Error, PeerLeft, Welcome
from pyapp.view.console import present
from tests.unit.pyapp.beating import Duo, duo, kinds, suspecting
from tests.unit.pyapp.core.test_session import (
    CONNECTED,
    FETCH,
    SAMPLED,
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
    sent,
)
from tests.unit.pyapp.fakes import sdp, stats_of


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
        assert a_at - b_at < 0.2

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
        assert not [text for text in both.a.alarms_not_given() if "may have changed" in text]

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
        assert commands.SampleStats() in health.heard(Beat(2, echo, 0, 100, 0).encode(), 3.0)
        assert kinds(health.attempt_over(3.01, server_heard=3.0, peer_heard=3.0)) == ["Recovered"]
        health.suspect("failed", 3.02)
        assert commands.SampleStats() in health.heard(Beat(3, echo, 0, 100, 0).encode(), 3.05)


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


def urls(configuration: IceConfiguration) -> list[str]:
    return [url for server in configuration.servers for url in server.urls]


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


class TestASessionWhoseRelayDied:
    def test_ranks_it_last_and_the_others_twice_and_asks_for_spares(self) -> None:
        core = relayed()
        outputs = suspicious(core)
        (fetch,) = (output for output in outputs if isinstance(output, commands.FetchIceConfiguration))
        assert fetch.avoid == ("one.example",)
        for output in outputs:
            if isinstance(output, commands.SetConfiguration):
                assert urls(output.configuration) == [STUN, TURN_TWO, TURN_TWO, TURN_ONE]
        assert commands.RestartIce() in outputs

    def test_tells_the_other_side_which(self) -> None:
        assert RelaySuspected(TURN_ONE) in sent(suspicious(relayed()))

    def test_does_so_too_when_the_other_side_says_so(self) -> None:
        core = relayed()
        outputs = core.peer_says(RelaySuspected(TURN_TWO))
        (configured,) = (output for output in outputs if isinstance(output, commands.SetConfiguration))
        assert urls(configured.configuration) == [STUN, TURN_ONE, TURN_ONE, TURN_TWO]
        assert commands.RestartIce() not in outputs

    @pytest.mark.parametrize(("silence", "is_blamed"), [(0.4, True), (0.05, False)])
    def test_sets_it_aside_before_it_answers_the_other_side_that_noticed_first(
        self, silence: float, *, is_blamed: bool
    ) -> None:
        core = relayed()
        core.do(events.ChannelReceived("heartbeat", Pulse().next_beat(core.now, due=0.1, generation=0).encode()))
        core.now += silence
        outputs = core.peer_says(Description("offer", sdp("r2"), 1, 1))
        before = itertools.takewhile(lambda output: not isinstance(output, commands.SetRemoteDescription), outputs)
        *_, ranked = [urls(output.configuration) for output in before if isinstance(output, commands.SetConfiguration)]
        assert ranked == ([STUN, TURN_TWO, TURN_TWO, TURN_ONE] if is_blamed else [STUN, TURN_ONE, TURN_TWO])
        assert (RelaySuspected(TURN_ONE) in sent(outputs)) is is_blamed

    def test_does_not_blame_it_for_a_change_of_its_own_network(self) -> None:
        core = relayed()
        core.do(CERTAIN)
        outputs = core.do(events.TimerFired(SETTLE))
        assert not any(isinstance(output, commands.FetchIceConfiguration) for output in outputs)
        assert sent(outputs) == []

    def test_of_which_the_browser_does_not_say_the_url_restarts_all_the_same(self) -> None:
        core = relayed()
        core.do(events.StatsSampled(stats_of(("l1", "r1"), candidateType="relay", relayProtocol="udp")))
        assert commands.RestartIce() in suspicious(core)

    def test_takes_no_harm_from_what_is_no_relay(self) -> None:
        core = relayed()
        core.peer_says(RelaySuspected("turn:not a host"))
        assert core.state == "connected"

    def test_gets_over_all_of_them_dying(self) -> None:
        core = relayed()
        core.peer_says(RelaySuspected(TURN_TWO))
        outputs = suspicious(core)
        configured = [output for output in outputs if isinstance(output, commands.SetConfiguration)]
        assert set(urls(configured[-1].configuration)) == {STUN, TURN_ONE, TURN_TWO}


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
        core.do(events.TimerFired(ATTEMPT))
        assert frames(core.do(events.MessageSubmitted("kept"))) == []
        assert [frame.body for frame in frames(self.hear(core, 3))] == [Piece("on its way"), Piece("kept")]

    def test_by_a_change_of_the_network_holds_messages_until_a_beat_comes_back_after_it(self) -> None:
        core = self.resumed()
        core.do(CERTAIN, events.TimerFired(SETTLE))
        assert frames(core.do(events.MessageSubmitted("kept"))) == []
        assert [frame.body for frame in frames(self.hear(core, 3))] == [Piece("on its way"), Piece("kept")]


class TestCredentials:
    def test_that_were_renewed_while_relayed_are_moved_to(self) -> None:
        core = relayed()
        assert core.do(events.TimerFired(provisioning.RENEW)) == [FETCH]
        *configured, restart = core.do(IceConfigured(TWO_RELAYS))
        assert set(configured) == {commands.SetConfiguration(TWO_RELAYS)}
        assert restart == commands.RestartIce()

    def test_that_were_renewed_while_direct_need_no_restart(self) -> None:
        core = connected()
        core.do(events.TimerFired(provisioning.RENEW))
        assert core.do(IceConfigured(TWO_RELAYS)) == [commands.SetConfiguration(TWO_RELAYS)]

    def test_that_come_with_spares_do_not_put_off_those_of_the_relay_in_use(self) -> None:
        core = relayed()
        assert core.timers[provisioning.RENEW] == 450.0
        core.now += 400.0
        core.peer_says(RelaySuspected(TURN_TWO))
        core.do(IceConfigured(TWO_RELAYS))
        assert core.timers[provisioning.RENEW] == pytest.approx(50.0)

    def test_that_were_renewed_in_an_outage_are_moved_to_after_it(self) -> None:
        core = relayed()
        core.do(events.ChannelReceived("heartbeat", Beat(1, 1, 0, 100, 0).encode()))
        suspicious(core)
        core.do(events.TimerFired(provisioning.RENEW), IceConfigured(TWO_RELAYS))
        assert core.session.connection
        echo = core.session.connection.recovery.pulse.number
        core.do(events.ChannelReceived("heartbeat", Beat(2, echo, 0, 100, 0).encode()))
        outputs = core.do(events.TimerFired(ATTEMPT))
        assert core.session.connection.recovery.is_healthy
        assert commands.RestartIce() in outputs + core.do(events.TimerFired(restarts.TIMER))

    def test_that_expired_while_the_machine_slept_are_asked_for_and_tried_at_once(self) -> None:
        core = connected()
        core.now += 4000.0
        outputs = suspicious(core)
        assert FETCH in outputs
        outputs = core.do(IceConfigured(TWO_RELAYS))
        assert [type(output) for output in outputs] == [commands.SetConfiguration, commands.RestartIce]
        assert commands.RestartIce() not in core.do(IceConfigured(TWO_RELAYS))

    def test_that_come_with_the_spares_of_a_dead_relay_make_no_second_restart(self) -> None:
        core = relayed()
        suspicious(core)
        assert commands.RestartIce() not in core.do(IceConfigured(TWO_RELAYS))

    def test_are_moved_to_also_after_another_relay_died(self) -> None:
        core = relayed()
        core.peer_says(RelaySuspected(TURN_TWO))
        core.do(IceConfigured(TWO_RELAYS))
        core.do(events.TimerFired(provisioning.RENEW))
        assert commands.RestartIce() in core.do(IceConfigured(TWO_RELAYS))


class TestBackToADirectPath:
    def test_is_tried_after_a_while_with_doubling_pauses(self) -> None:
        core = relayed()
        pauses = []
        for _ in range(7):
            pauses.append(core.timers[DIRECT])
            assert commands.RestartIce() in core.do(events.TimerFired(DIRECT))
            core.do(RELAYED)
        assert pauses == [60.0, 120.0, 240.0, 480.0, 960.0, 1800.0, 1800.0]
        assert pauses[0] == FIRST_DIRECT_AFTER

    def test_is_tried_soon_again_after_a_change_of_the_network(self) -> None:
        core = relayed()
        for _ in range(3):
            core.do(events.TimerFired(DIRECT), RELAYED)
        core.do(events.NetworkChanged("change", certain=False), events.TimerFired(DIRECT), RELAYED)
        assert core.timers[DIRECT] == 2 * FIRST_DIRECT_AFTER

    def test_is_not_tried_when_it_is_there(self) -> None:
        core = relayed()
        core.do(SAMPLED)
        assert commands.RestartIce() not in core.do(events.TimerFired(DIRECT))

    def test_is_looked_for_with_all_kinds_of_candidates_although_relays_alone_were_tried_last(self) -> None:
        core = relayed()
        suspicious(core)
        assert core.session.connection
        outage(core).ladder.attempts = LADDER.index("relay-only")
        assert core.session.place
        core.session.place.link.heard_at = core.session.place.exchange.heard_at = core.now
        outputs = core.do(events.TimerFired(ATTEMPT))
        (configured,) = (output for output in outputs if isinstance(output, commands.SetConfiguration))
        assert configured.configuration.policy == "relay"
        core.do(events.ChannelReceived("heartbeat", Beat(1, 99, 0, 100, 0).encode()), events.TimerFired(ATTEMPT))
        assert core.session.connection.recovery.is_healthy
        outputs = core.do(events.TimerFired(DIRECT))
        policies = [output.configuration.policy for output in outputs if isinstance(output, commands.SetConfiguration)]
        assert policies == ["all"]


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


class TestANewConnection:
    def test_takes_the_place_of_one_that_cannot_be_mended_with_what_was_not_delivered(self) -> None:
        core = connected()
        core.do(events.MessageSubmitted("kept"), events.ChannelClosed("messages"))
        assert core.session.place is not None
        core.now += 1.0
        core.session.place.link.heard_at = core.session.place.exchange.heard_at = core.now
        outputs = core.do(events.TimerFired(ATTEMPT))
        assert [type(output) for output in outputs if not isinstance(output, commands.SendSignaling)][:2] == [
            commands.ClosePeer,
            commands.CreatePeer,
        ]
        assert core.state == "recovering"
        assert RENEW in core.timers
        core.do(offer_set("l5"))
        core.do(CONNECTED)
        assert [frame.body for frame in frames(core.do(events.ChannelOpened("messages")))] == [Piece("kept")]

    def test_is_replaced_by_another_until_one_works(self) -> None:
        core = connected()
        core.do(events.ChannelClosed("messages"))
        assert core.session.place is not None
        core.now += 1.0
        core.session.place.link.heard_at = core.session.place.exchange.heard_at = core.now
        core.do(events.TimerFired(ATTEMPT), offer_set("l5"))
        assert core.do(events.StateChanged("connection", "failed")) == []
        assert core.state == "recovering"
        assert any(isinstance(output, commands.CreatePeer) for output in core.do(events.TimerFired(RENEW)))

    def replaced(self) -> Core:
        core = connected()
        core.peer_restarts()
        core.do(events.ChannelClosed("messages"))
        self.next(core, ATTEMPT)
        return core

    def next(self, core: Core, timer: Timer) -> list[Said]:
        assert core.session.place is not None
        core.now += 1.0
        core.session.place.link.heard_at = core.session.place.exchange.heard_at = core.now
        return core.do(events.TimerFired(timer))

    def test_finds_no_timer_of_the_attempt_that_asked_for_it(self) -> None:
        assert ATTEMPT not in self.replaced().timers

    def test_for_another_peer_finds_none_either(self) -> None:
        core = connected()
        core.do(PeerLeft(B, lost=True))
        suspicious(core)
        for _ in range(ATTEMPTS_WITHOUT_PEER):
            self.next(core, ATTEMPT)
        assert present(core.session).status.state == "waiting"
        assert ATTEMPT not in core.timers

    def test_goes_on_with_the_count_of_restarts(self) -> None:
        core = connected()
        core.peer_restarts()
        assert present(core.session).path.ice_generation == 1
        core.do(events.ChannelClosed("messages"))
        self.next(core, ATTEMPT)
        assert present(core.session).path.ice_generation == 1

    def test_says_what_it_is_and_how_long_it_took(self) -> None:
        core = self.replaced()
        assert "a new one is being made" in present(core.session).status.detail
        core.do(offer_set("l5"), CONNECTED, events.ChannelOpened("messages"))
        core.do(events.StatsSampled(stats_of(("l5", "r5"))))
        assert core.state == "connected"
        assert {fact.id: fact.value for fact in present(core.session).path.facts}["interruption"] == "1.0 s"

    def test_has_growing_time_before_the_next(self) -> None:
        core = self.replaced()
        pauses = []
        for _ in range(6):
            pauses.append(core.timers[RENEW])
            self.next(core, RENEW)
        assert pauses == [12.0, 18.0, 27.0, 40.5, 60.0, 60.0]

    def test_is_replaced_soon_after_a_change_of_the_network(self) -> None:
        core = self.replaced()
        core.do(CERTAIN)
        assert core.timers[RENEW] == RENEW_SOON

    def test_is_replaced_once_the_server_is_back(self) -> None:
        core = self.replaced()
        core.do(Closed(1006, ""), Closed(1006, ""))  # the one that was opened in the outage, and the one in use
        assert not any(isinstance(output, commands.CreatePeer) for output in self.next(core, RENEW))
        assert RENEW not in core.timers
        core.do(events.TimerFired(link.RETRY), Opened(), Welcome(polite=False, peer=B))
        assert core.timers[RENEW] == RENEW_SOON

    def test_is_begun_when_the_channel_closes_in_the_middle_of_an_outage(self) -> None:
        core = connected()
        suspicious(core)
        core.do(events.ChannelClosed("messages"))
        assert core.session.place is not None
        core.now += 1.0
        core.session.place.link.heard_at = core.session.place.exchange.heard_at = core.now
        assert any(isinstance(output, commands.CreatePeer) for output in core.do(events.TimerFired(ATTEMPT)))
