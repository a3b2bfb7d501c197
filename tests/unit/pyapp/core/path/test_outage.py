"""An outage: its attempts one after the other, and the proof that it is over."""

from collections.abc import Sequence

import pytest

from pyapp.core import commands
from pyapp.core.path import outage, recovery
from pyapp.core.path.heartbeat import INTERVAL
from pyapp.core.path.ladder import FIRST_DEADLINE
from pyapp.core.path.outage import (
    CONCEDED,
    EXCHANGE_WITHIN,
    KEY_FRAME_AFTER,
    LOST_AFTER,
    STANDS_STILL_FOR,
    SUSPECT_INTERVAL,
    Suspect,
)
from pyapp.core.path.outcomes import Attempt, Evidence, Output, Recovered, Resumed
from pyapp.core.path.recovery import ATTEMPT, LOST, SETTLE_AFTER, SILENCE, Recovery
from pyapp.core.path.silence import DOUBT_AFTER, Listening, grace
from pyapp.core.path.vitals import BEAT, Vitals
from pyapp.protocol import entries
from pyapp.protocol.channel import Beat
from tests.unit.pyapp.beating import duo, kinds, suspecting


class TestTheProof:
    def beat(self, health: Recovery, number: int, *, echo: int, generation: int, now: float) -> list[str]:
        return kinds(health.heard(Beat(number, echo, 0, 100, generation).encode(), now))

    def test_is_both_generations_and_an_echo_over_the_new_pair(self) -> None:
        health = suspecting()
        assert self.beat(health, 2, echo=1, generation=0, now=1.2) == []
        assert kinds(health.proven(1, 1.21)) == []
        health.beat(1.25)
        last = health.pulse.number
        assert self.beat(health, 3, echo=last - 1, generation=1, now=1.3) == ["Resumed"]
        assert self.beat(health, 4, echo=last, generation=0, now=1.35) == []
        outputs = health.heard(Beat(5, last, 0, 100, 1).encode(), 1.4)
        assert kinds(outputs) == ["Recovered"]
        assert all(commands.CancelTimer(name) in outputs for name in (ATTEMPT, LOST))
        assert health.is_healthy
        assert health.last_outage == pytest.approx(1.3)

    def test_asks_for_the_pair_while_it_waits(self) -> None:
        health = suspecting()
        outputs = health.heard(Beat(2, 1, 0, 100, 0).encode(), 1.2)
        assert commands.SampleStats() in outputs

    def test_cancels_what_was_armed(self) -> None:
        both = duo(mends_after=0.05)
        both.cut()
        both.run(2.0)
        for end in (both.a, both.b):
            assert end.health.is_healthy
            assert end.timers.keys() == {recovery.BEAT, SILENCE}
            assert end.outcomes(Recovered)

    def test_is_not_needed_when_the_old_path_comes_back(self) -> None:
        both = duo()
        both.cut()
        both.run(0.6)
        both.mend()
        both.run(2.0)
        for end in (both.a, both.b):
            assert end.health.is_healthy
            assert [rung for _, rung in end.attempts()] == ["restart"]
            assert kinds([outcome for _, outcome in end.said]) == [
                "Suspected",
                "Attempt",
                "Resumed",
                "Recovered",
            ]

    def test_is_none_while_one_side_is_deaf_however_well_the_other_hears(self) -> None:
        both = duo(0.025)
        both.deaf = {"b"}
        both.run(5.0)
        for end in (both.a, both.b):
            assert end.outcomes(Recovered) == []
            assert len(end.attempts()) > 2

    @pytest.mark.parametrize("ends", ["a", "b", "ab"])
    def test_begins_one_round_trip_after_the_pair_however_seldom_beats_are(self, ends: str) -> None:
        """Of two browsers one may say nothing of its new pair."""
        both = duo(0.025)
        both.cut()
        both.run(4.05)
        for end in (both.a, both.b):
            end.said.clear()
        both.mend()
        begun = both.now
        for name in ends:
            end = both.a if name == "a" else both.b
            both.did(end, end.health.pair_changed(both.now))
        both.run(0.5)
        for end in (both.a, both.b):
            (resumed,) = (at for at, outcome in end.said if isinstance(outcome, Resumed))
            assert resumed - begun < 4 * 0.025 + 0.001

    def test_lets_messages_go_before_it_is_complete(self) -> None:
        both = duo()
        both.cut()
        both.run(0.6)
        both.mend()
        both.run(0.21)
        assert both.a.outcomes(Resumed)
        assert both.a.outcomes(Recovered) == []


class TestThePicture:
    @pytest.mark.parametrize(("seconds", "key_frames"), [(0.6, 0), (2.0, 1)])
    def test_begins_anew_after_an_outage_too_long_for_packets_to_be_sent_again(
        self, seconds: float, key_frames: int
    ) -> None:
        both = duo()
        both.cut()
        both.run(seconds)
        both.mend()
        both.run(8.0)
        for end in (both.a, both.b):
            assert end.health.is_healthy
            assert end.key_frames == key_frames


class TestTheLadder:
    def test_is_spread_more_and_more(self) -> None:
        health = suspecting()
        spreads = []
        for number in range(3):
            outputs = health.attempt_over(2.0 + number, server_heard=9.0, peer_heard=9.0, is_exchanging=False)
            spreads += [output.spread for output in outputs if isinstance(output, commands.StartTimer)]
        assert spreads == sorted(spreads)
        assert spreads[0] > 0

    def test_is_not_climbed_while_the_server_is_away(self) -> None:
        both = duo()
        for end in (both.a, both.b):
            end.server_is_there = False
        both.cut()
        both.run(30.0)
        for end in (both.a, both.b):
            assert len(end.attempts()) == 1
            assert ATTEMPT in end.timers

    def test_goes_on_at_once_when_the_server_is_back(self) -> None:
        both = duo()
        both.a.server_is_there = False
        both.cut()
        both.run(30.0)
        both.did(both.a, both.a.health.server_is_back(both.now))
        assert both.a.attempts()[-1][0] == both.now

    def test_does_not_go_on_when_the_server_is_back_before_the_deadline(self) -> None:
        health = suspecting()
        assert health.server_is_back(1.3) == []

    def test_is_begun_by_the_impolite_side_if_both_have_heard_nothing(self) -> None:
        both = duo()
        both.cut()
        both.run(2.0)
        (silent_at, evidence), *_ = both.b.suspicions()
        assert evidence == "silence"
        assert both.a.attempts()[0][0] == pytest.approx(both.a.suspicions()[0][0])
        assert both.b.attempts()[0][0] == pytest.approx(silent_at + CONCEDED, abs=0.01)

    def test_is_not_begun_by_the_polite_side_if_the_other_has_begun(self) -> None:
        both = duo()
        both.cut()
        both.run(0.35)
        assert both.b.suspicions()
        both.did(both.b, both.b.health.negotiated(1, both.now))
        both.run(FIRST_DEADLINE)
        assert both.b.attempts() == []

    def test_is_begun_by_the_polite_side_at_once_if_its_own_network_changed(self) -> None:
        both = duo()
        both.did(both.b, both.b.health.network_changed(both.now, certain=True))
        both.run(2 * SETTLE_AFTER)
        assert len(both.b.attempts()) == 1

    def test_waits_for_a_restart_that_was_just_answered(self) -> None:
        both = duo()
        both.a.health.negotiated(1, both.now)
        both.cut()
        both.run(0.5)
        assert both.a.suspicions()
        assert both.a.attempts() == []
        both.run(2 * FIRST_DEADLINE)
        assert both.a.attempts()


class TestThePerson:
    def test_is_told_after_a_second_and_told_when_it_is_over(self) -> None:
        both = duo()
        both.cut()
        both.run(1.2)
        assert not both.a.health.is_lost
        both.run(0.5)
        assert both.a.health.is_lost
        both.mend()
        both.run(0.3)
        assert not both.a.health.is_lost

    def test_is_told_also_when_one_beat_came_through_in_between(self) -> None:
        both = duo()
        both.cut()
        both.run(1.2)
        both.mend()
        both.run(0.12)
        both.cut()
        both.run(6.0)
        assert both.a.health.is_lost


class TestANewPairThatFallsSilent:
    def silent_again(self, *, polite: bool, asks: bool) -> tuple[Recovery, list[Output], float]:
        """Return what a third attempt does about a silence, after a beat had come over its pair; and when that is."""
        health = Recovery(polite=polite, may_collide=lambda: not asks)
        health.channel_opened(0.0)
        health.heard(Beat(1, 1, 0, 100, 0).encode(), 0.1)
        health.suspect("silence", 1.0)
        for now in (2.0, 4.0):
            health.attempt_over(now, server_heard=now, peer_heard=now, is_exchanging=False)
        health.proven(1, 4.1)
        health.beat(4.15)  # late: what came meanwhile is read first
        health.beat(4.18)
        health.heard(Beat(2, health.pulse.number, 0, 100, 0).encode(), 4.2)
        patience = health.pulse.patience()
        [timer] = health.silent(4.2 + DOUBT_AFTER * patience)
        assert isinstance(timer, commands.StartTimer)
        assert timer.timer == SILENCE
        assert timer.after == pytest.approx((1 - DOUBT_AFTER) * patience)
        now = 4.201 + patience
        return health, health.silent(now), now

    @pytest.mark.parametrize(("polite", "asks"), [(True, False), (True, True), (False, False)])
    def test_begins_from_the_first_rung_if_the_new_pair_had_worked(self, polite: bool, asks: bool) -> None:
        health, outputs, now = self.silent_again(polite=polite, asks=asks)
        assert kinds(outputs) == ["Suspected"]
        assert commands.StartTimer(LOST, LOST_AFTER) in outputs
        (concession,) = (output for output in outputs if getattr(output, "timer", "") == ATTEMPT)
        assert isinstance(concession, commands.StartTimer)
        assert concession.after >= CONCEDED if polite and not asks else concession.after == 0.0
        attempted = health.attempt_over(now, server_heard=now, peer_heard=now, is_exchanging=False)
        assert Attempt("restart", 1) in attempted
        assert health.silent(now + 9.0) == []

    def test_waits_for_its_deadline_if_the_new_pair_brought_nothing(self) -> None:
        health = Recovery(polite=False)
        health.channel_opened(0.0)
        health.suspect("silence", 1.0)
        health.heard(Beat(2, 1, 0, 100, 0).encode(), 1.1)
        health.proven(1, 1.2)
        assert health.silent(9.0) == []


def suspect(
    evidence: Evidence = "failed",
    *,
    polite: bool = False,
    negotiated_at: float | None = None,
    offered_at: float | None = None,
) -> Suspect:
    """Return the state of a side that heard a beat at 0.5 s, and suspects the path at 1.0 s."""
    vitals = Vitals(polite=polite, is_hidden=False, may_collide=lambda: True)
    vitals.is_open = True
    vitals.pulse.listen(0.0)
    vitals.heard(Beat(1, 0, 0, 100, 0), 0.5, is_telling=True)
    vitals.beat(0.9)
    vitals.negotiated, vitals.negotiated_at, vitals.offered_at = 3, negotiated_at, offered_at
    return Suspect(vitals, evidence, 1.0)


def hear(state: Suspect, now: float, *, echo: int) -> list[object]:
    beat = Beat(state.vitals.pulse._heard + 1, echo, 0, 100, 0)
    state.vitals.heard(beat, now, is_telling=False)
    return list(state.heard(now))


def over(
    state: Suspect, now: float, *, server_heard: float | None = None, is_exchanging: bool = False
) -> list[outage.Output]:
    heard_at = now if server_heard is None else server_heard
    return state.attempt_over(now, server_heard=heard_at, peer_heard=heard_at, is_exchanging=is_exchanging)


def attempts(outputs: Sequence[object]) -> list[Attempt]:
    return [output for output in outputs if isinstance(output, Attempt)]


def deadlines(outputs: Sequence[object]) -> list[float]:
    return [each.after for each in outputs if isinstance(each, commands.StartTimer) and each.timer == ATTEMPT]


class TestTheFirstAttempt:
    def test_is_left_to_the_other_side_for_longer_where_beats_come_late(self) -> None:
        calm, busy = suspect("silence", polite=True), suspect("silence", polite=True)
        busy.vitals.pulse._jitter = 0.05
        (early,), (late,) = deadlines(calm.begin(1.0)), deadlines(busy.begin(1.0))
        assert late - early == pytest.approx(0.2)

    @pytest.mark.parametrize("evidence", ["silence", "not-heard"])
    def test_is_not_waited_for_by_a_side_that_only_asks_for_it(self, evidence: Evidence) -> None:
        state = suspect(evidence, polite=True)
        state.vitals.may_collide = lambda: False
        assert attempts(state.begin(1.0)) == [Attempt("restart", 1)]

    def test_is_made_at_once_with_its_deadline(self) -> None:
        outputs = suspect().begin(1.0)
        assert kinds(outputs) == ["Suspected", "Attempt"]
        assert outputs[-1] == Attempt("restart", 1), "last: a new connection is to find no timer of ours"

    @pytest.mark.parametrize("evidence", ["silence", "not-heard"])
    def test_is_left_to_the_other_side_by_whoever_knows_no_more_than_it(self, evidence: Evidence) -> None:
        assert attempts(suspect(evidence).begin(1.0))
        assert not attempts(suspect(evidence, polite=True).begin(1.0))

    @pytest.mark.parametrize("evidence", ["no-echo", "network-changed", "failed", "disconnected", "channel-closed"])
    def test_is_not_left_to_it_by_whoever_knows_more(self, evidence: Evidence) -> None:
        assert attempts(suspect(evidence, polite=True).begin(1.0))

    def test_is_the_restart_that_was_just_agreed(self) -> None:
        state = suspect(negotiated_at=0.8)
        assert not attempts(state.begin(1.0))
        assert (state.ladder.attempts, state.ladder.restarted_from) == (1, 2)
        assert attempts(over(state, 2.0)) == [Attempt("restart", 2)]

    def test_is_our_own_if_that_restart_had_its_time(self) -> None:
        assert attempts(suspect(negotiated_at=1.0 - 3 * FIRST_DEADLINE).begin(1.0)) == [Attempt("restart", 1)]

    def test_is_our_own_if_our_network_is_another_one_since(self) -> None:
        assert attempts(suspect("network-changed", negotiated_at=0.99).begin(1.0)) == [Attempt("restart", 1)]

    @pytest.mark.parametrize("evidence", ["silence", "not-heard", "no-echo", "failed", "disconnected"])
    @pytest.mark.parametrize("polite", [True, False])
    def test_is_the_restart_that_we_have_offered_since_the_last_beat(self, evidence: Evidence, polite: bool) -> None:
        """Another offer would take its place, and the answer that is on its way would count for nothing."""
        state = suspect(evidence, polite=polite, offered_at=0.8)
        outputs = state.begin(1.0)
        assert not attempts(outputs)
        (deadline,) = deadlines(outputs)
        assert 1.0 + deadline == pytest.approx(0.8 + state._deadline)
        assert not attempts(over(state, 1.0 + deadline, is_exchanging=True))
        assert attempts(over(state, 0.8 + EXCHANGE_WITHIN, is_exchanging=True)) == [Attempt("restart", 2)]

    def test_is_our_own_if_what_we_offered_was_gathered_while_the_path_worked(self) -> None:
        assert attempts(suspect(offered_at=0.4).begin(1.0)) == [Attempt("restart", 1)]

    @pytest.mark.parametrize("evidence", ["network-changed", "channel-closed"])
    def test_is_our_own_if_an_offer_under_way_does_not_help(self, evidence: Evidence) -> None:
        assert attempts(suspect(evidence, offered_at=0.99).begin(1.0)) == [Attempt("restart", 1)]


class TestAnAttemptThatIsOver:
    def test_is_not_followed_by_the_next_before_the_server_was_heard(self) -> None:
        """It asks, and waits as long again: an offer would reach nobody."""
        state = suspect()
        state.begin(1.0)
        outputs = over(state, 1.6, server_heard=0.9)
        assert kinds(outputs) == ["Doubted"]
        assert [output.timer for output in outputs if isinstance(output, commands.StartTimer)] == [ATTEMPT]
        assert attempts(over(state, 2.2, server_heard=2.1)) == [Attempt("restart", 2)]

    def test_was_not_needed_if_the_old_path_works_both_ways(self) -> None:
        state = suspect()
        state.begin(1.0)
        hear(state, 1.5, echo=state.vitals.pulse.number)
        assert kinds(over(state, 1.6)) == ["Proven"]

    def test_was_in_vain_if_the_old_path_works_one_way(self) -> None:
        state = suspect()
        state.begin(1.0)
        hear(state, 1.5, echo=1)
        assert attempts(over(state, 1.6))

    def test_was_in_vain_if_the_old_path_fell_silent_again(self) -> None:
        """What it takes back is told: messages are held again, and the person is told in a second."""
        state = suspect()
        state.begin(1.0)
        hear(state, 1.1, echo=state.vitals.pulse.number)
        outputs = over(state, 1.7)
        assert kinds(outputs) == ["Suspected", "Attempt"]
        assert commands.StartTimer(LOST, LOST_AFTER) in outputs
        assert not state.is_resumed


class TestARestartThatIsAgreed:
    def test_has_its_time_from_then_on(self) -> None:
        state = suspect()
        state.begin(1.0)
        (timer,) = state.negotiated(1.5)
        assert isinstance(timer, commands.StartTimer)
        assert timer.timer == ATTEMPT
        assert state.server_is_back(1.5 + timer.after - 0.01) == []
        assert attempts(state.server_is_back(1.5 + timer.after + 0.01))

    def test_has_it_though_something_is_heard_over_the_pair_that_it_replaces(self) -> None:
        state = suspect()
        state.begin(1.0)
        hear(state, 1.2, echo=0)
        assert deadlines(state.negotiated(1.5)) == [FIRST_DEADLINE]


class TestAnAttemptThatMakesProgress:
    def test_has_a_new_deadline(self) -> None:
        state = suspect()
        state.begin(1.0)
        assert deadlines(state.progressed(1.5)) == [FIRST_DEADLINE]

    def test_never_has_an_earlier_one(self) -> None:
        state = suspect(negotiated_at=0.99)
        state.begin(1.0)
        assert state.progressed(1.1) == []

    def test_is_not_begun_by_what_comes_while_it_is_left_to_the_other_side(self) -> None:
        state = suspect("silence", polite=True)
        state.begin(1.0)
        assert state.progressed(1.05) == []

    def test_is_not_over_while_its_offer_is_being_answered(self) -> None:
        state = suspect()
        state.begin(1.0)
        (wait,) = deadlines(over(state, 1.6, is_exchanging=True))
        assert 1.6 + wait == pytest.approx(1.0 + EXCHANGE_WITHIN)
        assert attempts(over(state, 1.6 + wait, is_exchanging=True)) == [Attempt("restart", 2)]

    def test_has_the_time_of_an_answer_for_each_step(self) -> None:
        state = suspect()
        state.begin(1.0)
        state.progressed(1.5)
        (wait,) = deadlines(over(state, 2.1, is_exchanging=True))
        assert 2.1 + wait == pytest.approx(1.5 + EXCHANGE_WITHIN)

    def test_still_takes_back_that_messages_go_on(self) -> None:
        state = suspect()
        state.begin(1.0)
        hear(state, 1.05, echo=state.vitals.pulse.number)
        assert kinds(over(state, 1.6, is_exchanging=True)) == ["Suspected"]

    def test_is_not_over_while_its_offer_is_answered_also_if_its_pair_fell_silent(self) -> None:
        """The ladder has started over, and the exchange is newer than the silence."""
        state = suspect()
        state.begin(1.0)
        state.vitals.proven(1)
        hear(state, 1.1, echo=0)
        state.progressed(1.2)
        state.listening = Listening(2.0)
        assert deadlines(state.silent(2.0)) == [0.0]
        assert attempts(over(state, 2.0, is_exchanging=True)) == []


class TestAPeerThatStandsStill:
    """Its browser goes on: over the pair that the attempt has found packets arrive, and no beat."""

    def over_a_new_pair(self) -> Suspect:
        state = suspect()
        state.begin(1.0)
        state.sampled(100, 1.1)
        state.vitals.proven(1)
        state.sampled(101, 1.5)
        return state

    def test_is_waited_for(self) -> None:
        state = self.over_a_new_pair()
        assert deadlines(over(state, 1.6)) == [FIRST_DEADLINE]
        assert attempts(over(state, 1.5 + state.vitals.pulse.patience() + 0.01)) == [Attempt("restart", 2)]

    def test_is_not_waited_for_for_ever(self) -> None:
        state = self.over_a_new_pair()
        state.progressed(1.5)
        for now in (2.0, 1.4 + STANDS_STILL_FOR, 1.6 + STANDS_STILL_FOR):
            state._ends_at = now
            state.sampled(200 + int(10 * now), now)
            assert bool(attempts(over(state, now))) == (now > 1.5 + STANDS_STILL_FOR)

    def test_is_not_waited_for_once_the_channel_is_closed(self) -> None:
        state = self.over_a_new_pair()
        state.evidence = "channel-closed"
        assert attempts(over(state, 1.6, is_exchanging=True))

    def test_is_waited_for_no_longer_once_dtls_has_failed_whatever_the_network_does(self) -> None:
        state = suspect()
        state.begin(1.0)
        state.broke("dtls-failed", 1.1)
        assert attempts(state.begin_anew(1.2)) == [Attempt("new-connection", 1)]

    def test_is_none_whose_beats_come_and_say_that_it_does_not_hear_us(self) -> None:
        state = self.over_a_new_pair()
        hear(state, 1.5, echo=0)
        assert attempts(over(state, 1.6)) == [Attempt("restart", 2)]

    def test_is_none_if_the_packets_came_over_the_old_pair(self) -> None:
        state = suspect()
        state.begin(1.0)
        state.sampled(100, 1.1)
        state.sampled(101, 1.5)
        assert attempts(over(state, 1.6)) == [Attempt("restart", 2)]

    def test_is_no_silence_of_the_new_pair(self) -> None:
        state = self.over_a_new_pair()
        hear(state, 1.55, echo=0)
        state.sampled(102, 2.5)
        state.listening = Listening(2.6)
        assert deadlines(state.silent(2.6)) == []
        state.listening = Listening(3.6)
        assert deadlines(state.silent(3.6)) == [0.0]


@pytest.mark.parametrize("evidence", ["channel-closed", "dtls-failed"])
class TestAChannelThatClosesInAnOutage:
    """Messages had gone on over the old path: nothing of that counts any more."""

    def test_is_replaced_though_beats_had_come_and_gone(self, evidence: Evidence) -> None:
        state = suspect()
        state.begin(1.0)
        hear(state, 1.1, echo=state.vitals.pulse.number)
        state.broke(evidence, 1.15)
        assert kinds(over(state, 1.2)) == ["Attempt"]


def test_no_attempt_is_under_way_before_the_first_one_over_another_connection() -> None:
    state = suspect(polite=True)
    assert attempts(state.begin(1.0)) == [Attempt("restart", 1)]
    state.broke("dtls-failed", 1.1)
    assert (state.ladder.rung, state.ladder.attempts) == (None, 0)


class TestAPageThatStandsStill:
    """No event for some seconds, then all at once, and in any order."""

    def test_reads_what_came_meanwhile_before_the_attempt_is_over(self) -> None:
        state = suspect()
        state.begin(1.0)
        (wait,) = deadlines(over(state, 4.0))
        assert wait == grace(state.vitals)
        assert deadlines(state.negotiated(4.01)) == [FIRST_DEADLINE], "the answer was there"

    def test_goes_on_to_the_next_if_nothing_had_come(self) -> None:
        state = suspect()
        state.begin(1.0)
        (wait,) = deadlines(over(state, 4.0))
        assert attempts(over(state, 4.0 + wait)) == [Attempt("restart", 2)]

    def test_leaves_the_first_offer_to_the_other_side_that_had_made_it(self) -> None:
        state = suspect("silence", polite=True)
        state.begin(1.0)
        assert not attempts(over(state, 2.0))

    def test_is_another_matter_than_the_late_timers_of_a_hidden_one(self) -> None:
        """Those are the rule, and everything else is on time."""
        state = suspect()
        state.vitals.is_hidden = True
        state.begin(1.0)
        assert attempts(over(state, 2.5)) == [Attempt("restart", 2)]

    @pytest.mark.parametrize("seconds", [0.7, 2.5])
    def test_begins_no_second_attempt_if_the_first_one_did_it(self, seconds: float) -> None:
        both = duo(mends_after=0.3)
        both.cut()
        both.run(0.6)
        both.stall(both.a, seconds)
        both.run(seconds + 2.0)
        assert len(both.a.attempts()) == 1
        assert both.a.health.is_healthy
        assert both.b.health.is_healthy


class TestWhatIsHeard:
    def test_lets_messages_go_once_and_only_by_an_echo_since_the_suspicion(self) -> None:
        state = suspect()
        before = state.vitals.pulse.number
        state.begin(1.0)
        assert "Resumed" not in kinds(hear(state, 1.1, echo=before))
        assert "Resumed" in kinds(hear(state, 1.2, echo=before + 1))
        assert "Resumed" not in kinds(hear(state, 1.3, echo=before + 1))

    def test_is_of_no_account_once_the_network_changed_again(self) -> None:
        state = suspect()
        state.begin(1.0)
        echo = state.vitals.pulse.number
        hear(state, 1.1, echo=echo)
        outputs = state.begin_anew(1.5)
        assert attempts(outputs) == [Attempt("restart", 1)]
        assert not state.is_resumed
        assert "Resumed" not in kinds(hear(state, 1.6, echo=echo))

    def test_begins_the_picture_anew_by_when_something_was_heard_and_not_by_the_suspicion(self) -> None:
        state = suspect()
        state.begin(1.0)
        assert commands.SendKeyFrame() in hear(state, 0.5 + KEY_FRAME_AFTER + 0.01, echo=state.vitals.pulse.number)

    def test_asks_for_the_pair_no_more_often_than_beats_come(self) -> None:
        state = suspect()
        state.begin(1.0)
        asked = [commands.SampleStats() in hear(state, now, echo=0) for now in (1.1, 1.15, 1.21)]
        assert asked == [True, False, True]


def test_beats_are_slower_once_an_outage_has_lasted_a_second() -> None:
    health = suspecting()
    assert commands.StartTimer(BEAT, INTERVAL) in health._beat(1.0 + LOST_AFTER)
    assert commands.StartTimer(BEAT, SUSPECT_INTERVAL) in health._beat(1.01 + LOST_AFTER)


def test_an_outage_of_a_channel_on_which_nothing_was_heard_began_with_the_suspicion() -> None:
    assert Suspect(Vitals(polite=True, is_hidden=False, may_collide=lambda: True), "failed", 7.0).silent_since == 7.0


def test_what_is_noted_of_its_end_has_the_time_and_the_attempts() -> None:
    state = suspect()
    state.begin(1.0)
    entry = state.recovered(1.23456)
    assert entry == entries.Recovered(seconds=1.235, attempts=1)
